"""Commands that write files: whatever call to the disk fails, or is the last one of the process, what stood there or
what is new is there whole, and the same command comes to its end afterwards."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import pytest
from faults.disk import ERRORS, Disk
from hostile.judge import inside, judge
from hostile.valid import make_folder

WAYS = ("before", *ERRORS, "short")
OLD = b"what stood there\n"
NEVER_REPLACED = ("bpcli.schema.json",)  # by init


@dataclass(frozen=True)
class Command:
    """A command that writes into the folder `out`; `again` is the one that overwrites what is there ("": none does)."""

    words: str
    again: str = "same"
    images: bool = False

    def typed(self, old: bool) -> Sequence[str]:
        return (self.words if self.again in ("same", "") or not old else self.again).split()


COMMANDS = (
    Command("init trees.csv --target kind --out out/a.yaml", "init trees.csv --target kind --out out/a.yaml --force"),
    Command("init --task regress --out out/a.yaml", "init --task regress --out out/a.yaml --force"),
    Command("worksheet trees.yaml --out out/a.md"),
    Command("trace trees.yaml --out out/a.txt"),
    Command("trace trees.yaml --json --out out/a.json"),
    Command("trace --example article --golden out/golden.json", ""),
    Command("predict run-trees --data trees.csv --out out/a.csv"),
    Command("predict run-trees --data trees.csv --append --warn --out out/a.json"),
    Command("derive tanh --out out/a.md"),
    Command("examples xor --to out", ""),
    Command("schema --out out/a.json"),
    Command("eval run-png --sheet out/a.png", images=True),
    Command("check png.yaml --sheet out/a.png", images=True),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("written")
    make_folder(path, ("trees.yaml", "png.yaml"))
    with inside(path):
        yield path


def found_in(out: Path) -> dict[str, bytes]:
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


def lay_out(out: Path, old: Sequence[str]) -> None:
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    for name in old:
        (out / name).write_bytes(OLD)


def suffer(words: Sequence[str], disk: Disk) -> tuple[int, str]:
    """Runs a command with an accident. Returns its exit code, -1 where it was killed, and what is wrong with it."""
    with disk:
        verdict = judge(words)
    if disk.dead:
        return -1, ""
    return verdict.code, verdict.fault or ("" if verdict.code in (0, 66, 73, 74) else f"{verdict.code}: {verdict.said}")


def wrong(out: Path, whole: dict[str, bytes], code: int, old: bool) -> list[str]:
    """What is torn or lost in the folder after a command."""
    there = found_in(out)
    left = [name for name in there if Path(name).name.startswith(".bpcli-")]
    torn = [f"{name} is torn" for name, data in there.items()
            if name not in left and data != whole.get(name) and not (old and data == OLD)]  # fmt: skip
    lost = [f"{name} is lost" for name in whole
            if name not in there and (code == 0 or (old and name not in NEVER_REPLACED))]  # fmt: skip
    stale = [f"{name} is as before" for name in whole if code == 0 and there.get(name) == OLD]
    return torn + lost + stale + (left if code == 0 else [])


def faults_of(command: Command, out: Path, ways: Sequence[str], step: int, *, old: bool) -> list[object]:
    """What goes wrong where every `step`-th call fails, each in the next of these ways."""
    lay_out(out, ())
    calm = Disk(out)
    assert suffer(command.typed(False), calm) == (0, "")
    whole, found = found_in(out), list[object]()
    for at, way in zip(range(1 + old, len(calm.calls) + 1, step), cycle(ways), strict=False):
        lay_out(out, [name for name in whole if old and name not in NEVER_REPLACED])
        disk = Disk(out, at, way)
        code, fault = suffer(command.typed(old), disk)
        bad = [fault] * bool(fault) + wrong(out, whole, code, old)
        is_done = all(found_in(out).get(name) == data for name, data in whole.items())
        code, fault = suffer(command.typed(old or is_done), Disk(out))
        bad += [fault or "refused afterwards"] * (code != 0) + wrong(out, whole, 0, old)
        if bad:
            found.append((command.words, disk.struck, way, bad))
    return found


def test_some_calls_that_fail(folder: Path) -> None:
    found = [f for i, command in enumerate(COMMANDS[:6:2])
             for f in faults_of(command, folder / "out", WAYS[i:] + WAYS[:i], 5, old=bool(i % 2))]  # fmt: skip
    assert found == []


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c.words)
def test_every_call_in_every_way(folder: Path, command: Command, way: str) -> None:
    if command.images:
        pytest.importorskip("PIL")
    for old in (False, True)[: 1 + bool(command.again)]:
        assert faults_of(command, folder / "out", (way,), 1, old=old) == []
