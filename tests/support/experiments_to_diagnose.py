"""Experiments that are written as files and diagnosed as users do it, and runs of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bpcli.records.diagnose import DiagnoseReport, Symptom
from bpcli.studies.custom import load as custom
from bpcli.studies.diagnose.diagnose import CHECKS
from bpcli.studies.diagnose.diagnosis_context import DiagnosisContext, open_context
from bpcli.studies.run import resume as runs
from bpcli.studies.run.setup import set_up

RNG = np.random.default_rng(11)
X = RNG.normal(size=(90, 4)).round(3)
CLASSES = np.argsort(np.argsort(X @ RNG.normal(size=4))) // 30
VALUES = np.tanh(X @ RNG.normal(size=(4, 1))).round(3)
HIDDEN = [{"type": "dense", "units": 16, "activation": "tanh"}, {"type": "dense", "units": 3}]


def deep(activation: str, depth: int = 9, **more: Any) -> list[Any]:
    hidden = [{"type": "dense", "units": 16, "activation": activation, **more} for _ in range(depth)]
    return [*hidden, {"type": "dense", "units": 3}]


def config(folder: Path, *, x: Any = X, t: Any = CLASSES, layers: Any = HIDDEN, **more: Any) -> Path:
    """An experiment of classes, or of values where the loss says so; JSON is YAML."""
    import json

    data = {"train": {"type": "inline", "inputs": np.asarray(x).tolist(), "targets": np.asarray(t).tolist()}}
    data |= more.pop("data", {"validation": 0.2})
    found = {
        "name": "net", "data": data, "architecture": layers, "loss": "softmax_cross_entropy", "seed": 3,
        "optimizer": {"type": "adam", "learning_rate": 0.01}, "training": {"epochs": 60, "batch_size": 16}, **more,
    }  # fmt: skip
    file = folder / "net.yaml"
    file.write_text(json.dumps(found))
    return file


def values(folder: Path, *, t: Any = VALUES, last: str | None = None, **more: Any) -> Path:
    end = {"type": "dense", "units": 1, **({"activation": last} if last else {})}
    return config(folder, t=t, layers=[HIDDEN[0], end], loss="mean_squared_error", **more)


def found_by(check: str, context: DiagnosisContext) -> list[Symptom]:
    return list(CHECKS[check](context))


def worst(check: str, file: Path, sets: Sequence[str] = ()) -> Symptom:
    rank = {"ok": 0, "notice": 1, "warning": 2}
    return max(found_by(check, open_context(file, sets)), key=lambda s: rank[s.level])


def warned(report: DiagnoseReport) -> set[str]:
    return {s.check for s in report.symptoms if s.level == "warning"}


OWN = """
from typing import ClassVar, Literal

import numpy as np

from bpcli.custom import Initializer, Layer, N, Param, Plan, Slot


class Unit(Layer):
    type: Literal["unit"] = "unit"
    normalizes: ClassVar[bool] = True

    def plan(self, x):
        return Plan(y=x, keep={"s": Slot((N, 1))})

    def forward(self, f, train):
        f.s[...] = np.sqrt(np.mean(f.x * f.x, axis=1, keepdims=True)) + 1e-9
        np.divide(f.x, f.s, out=f.y)

    def backward(self, f, train):
        f.dx[...] = (f.dy - f.y * np.mean(f.y * f.dy, axis=1, keepdims=True)) / f.s


class Mixed(Layer):
    type: Literal["mixed"] = "mixed"
    fully_connected: ClassVar[bool] = True
    units: int
    init: object = None

    def plan(self, x):
        return Plan(y=(self.units,), params={"W": Param((x[0], self.units), None, x[0], self.units, decays=True)})

    def forward(self, f, train):
        np.matmul(f.x, f.W, out=f.y)

    def backward(self, f, train):
        np.matmul(f.x.T, f.dy, out=f.dW)
        np.matmul(f.dy, f.W.T, out=f.dx)
"""
"""A norm and a dense layer of a user's own, which say what they are."""


def loaded(folder: Path, without: str = "") -> None:
    (folder / "mine.py").write_text(OWN.replace(f"    {without}: ClassVar[bool] = True\n", ""))
    custom.load([folder / "mine.py"])


def trained(folder: Path, file: Path, *sets: str) -> Path:
    runs.start(set_up(file, sets), folder / "run").run()
    return folder / "run"
