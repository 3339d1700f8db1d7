"""The lines of metrics.jsonl: one for each epoch, an object of JSON. A damaged one costs no other."""

import itertools
import json
import math
import os
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from bpcli.records.epochs import EpochRows
from bpcli.records.plain import plain
from bpcli.records.training import WATCH_PREFIX, EpochRow, Problem
from bpcli.studies.run.atomic import unwritable
from bpcli.studies.run.saving.regular_file import regular_size
from bpcli.studies.run.saving.stored import epoch_row

MAX_LINE_BYTES = 1 << 20
"""Bytes of a line; one that is longer is none, nor is what follows it."""


@dataclass
class EpochLog:
    """What a file says: the epochs, in order, and the numbers of the lines that describe none, or one out of order. A
    last line that was cut off is neither."""

    file: Path
    rows: EpochRows = field(default_factory=EpochRows)
    damaged: Sequence[int] = ()

    def until(self, epoch: int) -> EpochRows:
        """Returns the rows of the first so many epochs, those that are there."""
        if not self.rows or self.rows[-1].epoch <= epoch:
            return self.rows
        return EpochRows(row for row in self.rows if row.epoch <= epoch)

    def warnings(self, epochs: int, kept: Path | None = None) -> tuple[Problem, ...]:
        """Returns a warning where lines are damaged, or missing of so many epochs; `kept` is the file as it was."""
        missing = epochs - len(self.until(epochs))
        if not self.damaged and missing <= 0:
            return ()
        found = []
        if self.damaged:
            others = len(self.damaged) - 1
            found.append(f"line {self.damaged[0]:,} is damaged" + (f", and {others:,} more" if others else ""))
        if missing > 0:
            found.append(f"of {epochs:,} epochs {missing:,} {'is' if missing == 1 else 'are'} missing")
        help = "the weights do not depend on it, nor does what is trained from here on"
        help += "" if kept is None else f"; the file as it was is kept, as {kept}"
        return (Problem(f"{self.file}: {'; '.join(found)}", code="damaged-log", help=help, level="warning"),)


def read_lines(file: Path) -> EpochLog:
    """Returns what a file says; where there is none, nothing. Raises OSError where it cannot be read."""
    rows, epochs, numbers, damaged = EpochRows(), list[int](), list[int](), list[int]()
    try:
        regular_size(file)
        with open(file, "rb") as stream:
            for number, row in _parsed(stream):
                if row is None:
                    damaged.append(number)
                else:
                    rows.append(row)
                    epochs.append(row.epoch)
                    numbers.append(number)
    except FileNotFoundError:
        return EpochLog(file)
    kept = _increasing(epochs)
    if len(kept) < len(rows):
        damaged = sorted({*damaged, *numbers} - {numbers[i] for i in kept})
        rows = EpochRows(rows[i] for i in kept)
    return EpochLog(file, rows, damaged)


def _parsed(stream: BinaryIO) -> Iterator[tuple[int, EpochRow | None]]:
    """Yields the numbers of the lines with what they describe, None where that is no epoch."""
    for number in itertools.count(1):
        line = stream.readline(MAX_LINE_BYTES)
        row, is_whole, is_long = None, line.endswith(b"\n"), len(line) == MAX_LINE_BYTES
        with suppress(ValueError, TypeError, AttributeError, RecursionError):  # no JSON, or no epoch
            row = _from_line(json.loads(line.decode("utf-8")))
        if row is not None or (line.strip() and (is_whole or is_long)):
            yield number, row
        if not is_whole:
            return


def _increasing(numbers: Sequence[int]) -> list[int]:
    """Returns the places of as many of the numbers as can be, each larger than the one before.

    Source    Fredman 1975, On computing the length of longest increasing subsequences
    """
    least, places, before = list[int](), list[int](), list[int]()  # least last number of each length, and its place
    for i, number in enumerate(numbers):
        length = bisect_left(least, number)
        least[length : length + 1], places[length : length + 1] = [number], [i]
        before.append(places[length - 1] if length else -1)
    found, i = list[int](), places[-1] if places else -1
    while i >= 0:
        found.append(i)
        i = before[i]
    return found[::-1]


def put_aside(file: Path) -> Path:
    """Gives a file a second name, NAME.damaged.jsonl, under which it stays when another takes its place; returns it.
    Raises Failure where it can have none."""
    for count in itertools.count(1):
        aside = file.with_suffix(f".damaged{'' if count == 1 else f'-{count}'}{file.suffix}")
        try:
            os.link(file, aside)
        except FileExistsError:
            if not os.path.samestat(file.lstat(), aside.lstat()):  # else an earlier attempt came as far as this
                continue
        except OSError:  # files have one name here
            try:
                file.rename(aside)
            except OSError as error:
                raise unwritable(aside, error) from None
        break
    return aside


def to_line(row: EpochRow) -> str:
    """Returns a line of metrics.jsonl; JSON has no word for nan and infinities, they are null."""
    data = dict(vars(row))
    flat = {"epoch": data.pop("epoch"), **data.pop("metrics"), **data.pop("watch"), **data}
    return json.dumps(plain(flat)) + "\n"


def _from_line(line: Mapping[str, Any]) -> EpochRow:
    """Returns the epoch that a line of metrics.jsonl describes."""
    figures: dict[str, Any] = {k: math.nan if v is None else v for k, v in line.items()}
    own = {k: v for k, v in figures.items() if "." not in k}
    keyed = {k: v for k, v in figures.items() if "." in k}
    watch = {k: v for k, v in keyed.items() if k.startswith(WATCH_PREFIX)}
    return epoch_row({**own, "metrics": {k: v for k, v in keyed.items() if k not in watch}, "watch": watch})
