"""Experiments with one whole number made large: of every part that has one, by its fields, and of the training."""

from __future__ import annotations

import copy
import json
import math
import os
import resource
import signal
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from registry import leaves
from whole_settings import enlarged_layers, first_good, whole_settings

from bpcli.cli.app import run
from bpcli.family import Layer, Part
from bpcli.family.part import dump

POWERS = range(19)
MEMORY_BYTES = 1500 << 20
PROCESSOR_SECONDS, CLOCK_SECONDS = 2, 100  # others may be at work
ROWS_SECONDS = 30  # where so many rows are made up that they are work
ROWS, WIDTH = 12, 16


class Enlarged(NamedTuple):
    """An experiment as plain data, and what is large in it."""

    name: str
    experiment: dict[str, Any]


def _experiment(inputs: int = WIDTH, tokens: int = 5) -> dict[str, Any]:
    rows = [[(i * 7 + j * 3) % tokens for j in range(inputs)] for i in range(ROWS)]
    return {
        "name": "large",
        "data": {"train": {"type": "inline", "inputs": rows, "targets": [[i % 3] for i in range(ROWS)]},
                 "validation": 0.25},
        "architecture": [{"type": "dense", "units": 3}],
        "loss": "softmax_cross_entropy",
        "training": {"epochs": 1, "batch_size": 4},
    }  # fmt: skip


def of_layers() -> Iterator[Enlarged]:
    """Every whole setting of every layer, alone and beside a padding or a window as large."""
    for layer, x, name in enlarged_layers(POWERS):
        found = _experiment(math.prod(x), min(5, getattr(layer, "tokens", 5)))
        own = {key: value for key, value in dump(layer).items() if key not in ("weights", "bias")}
        shaped = [{"type": "reshape", "shape": list(x)}] if len(x) > 1 else []
        found["architecture"] = [*shaped, own, "flatten", {"type": "dense", "units": 3}]
        yield Enlarged(name, found)


PLACES: dict[str, tuple[str, ...]] = {
    "optimizer": ("optimizer",), "schedule": ("optimizer", "learning_rate"), "clipper": ("clipping",),
    "source": ("data", "train"),
}  # fmt: skip
"""Where in an experiment a part of a family stands."""


def of_other_parts() -> Iterator[Enlarged]:
    """Every whole setting of optimizers, schedules, clippers, sources, metrics and augmentations."""
    for place, kind in leaves().items():
        family = place.partition("/")[0]
        if issubclass(kind, Layer) or not whole_settings(kind):
            continue
        for name in whole_settings(kind):
            for k in POWERS:
                found = _placed(family, kind, {**dump(first_good(kind).part), name: 10**k})
                yield Enlarged(f"{kind.__name__} {name}: 10**{k}", found)


def _placed(family: str, kind: type[Part], part: dict[str, Any]) -> dict[str, Any]:
    found = _experiment()
    if family == "metric":
        found["training"]["metrics"] = [part]
        return found
    if family == "augmentation":
        found["architecture"] = [{"type": "reshape", "shape": [4, 4, 1]}, "flatten", *found["architecture"]]
        found["data"]["augment"] = [part]
        return found
    at: Any = found
    *way, last = PLACES[family]
    for key in way:
        at = at.setdefault(key, {"type": "sgd"})
    at[last] = part
    if getattr(kind, "full_batch", False) or part["type"] in ("lbfgs", "levenberg_marquardt"):
        found["training"]["batch_size"] = "full"
    return found


def of_trainings() -> Iterator[Enlarged]:
    """Every whole setting of an experiment that is no part's."""
    for k in POWERS:
        for *way, last in (
            ("seed",), ("training", "epochs"), ("training", "batch_size"),
            ("training", "early_stopping"), ("data", "fold"),
        ):  # fmt: skip
            found = copy.deepcopy(_experiment())
            at: Any = found
            for key in way:
                at = at[key]
            large: Any = {"early_stopping": {"metric": "validation.loss", "patience": 10**k},
                          "fold": {"of": 3, "number": 10**k}}.get(last, 10**k)  # fmt: skip
            at[last] = large
            yield Enlarged(f"{'.'.join((*way, last))}: 10**{k}", found)
        for units in (10**k,):
            found = _experiment()
            found["architecture"] = [{"type": "dense", "units": units}] * 3 + [{"type": "dense", "units": 3}]
            yield Enlarged(f"three dense layers of 10**{k}", found)
            inner: Any = {"type": "dense", "units": units}
            for _ in range(5):
                inner = {"type": "residual", "layers": [inner, {"type": "dense", "units": WIDTH}]}
            found = _experiment()
            found["architecture"] = [inner, {"type": "dense", "units": 3}]
            yield Enlarged(f"dense of 10**{k}, five containers deep", found)


def limited(argv: list[str], said: Path, seconds: int) -> int:
    """The exit code of `bpcli ARGV` in a forked process; minus the signal that ended it. What it says is in a file."""
    child = os.fork()
    if not child:
        code = 99
        try:
            out = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(out, 1)
            os.dup2(out, 2)
            sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(CLOCK_SECONDS)
            sys.argv = ["bpcli", *argv]
            code = run()
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def walk(experiments: Iterable[Enlarged], folder: Path) -> tuple[Counter[int], list[str]]:
    """How many ended with which exit code, and those that did not end as they should."""
    table: Counter[int] = Counter()
    bad: list[str] = []
    file, said = folder / "large.yaml", folder / "said"
    for name, experiment in experiments:
        file.write_text(json.dumps(experiment))
        code = limited(["check", str(file)], said, ROWS_SECONDS if " rows:" in name else PROCESSOR_SECONDS)
        text = said.read_text(errors="replace")
        table[code] += 1
        if code not in (0, 65) or "Traceback" in text or "made a mistake" in text:
            bad.append(f"{name}: {code}: {text[-200:]}")
            print(bad[-1])
    print(f"{sum(table.values())} experiments, by exit code {dict(table)}")
    return table, bad
