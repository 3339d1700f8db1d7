"""Contexts of a diagnosis whose figures are given by hand, so that a check can be held against the exact numbers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import copy
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import numpy as np

from bpcli.records.diagnose import LayerStats, Symptom
from bpcli.records.training import EpochRow
from bpcli.studies.dataset.prepare import Split
from bpcli.studies.diagnose.diagnosis_context import DiagnosisContext, open_context

ROWS = 24
X = np.random.default_rng(1).normal(size=(ROWS, 4)).round(3)
CLASSES = np.arange(ROWS) % 3
VALUES = np.linspace(-1, 1, ROWS).round(3)[:, None]


def dense(units: int, activation: str | None = None, **more: Any) -> dict[str, Any]:
    return {"type": "dense", "units": units, **({"activation": activation} if activation else {}), **more}


FOLDER = TemporaryDirectory(prefix="diagnosis-")


def context_of(
    layers: Any = None, *, x: Any = X, t: Any = CLASSES, data: Any = None, sets: Sequence[str] = (), **more: Any
) -> DiagnosisContext:
    """What a config of these rows and layers opens as; classes unless a loss of values is named."""
    train = {"type": "inline", "inputs": np.asarray(x).tolist(), "targets": np.asarray(t).tolist()}
    written = {
        "name": "net", "dtype": "float64", "data": {"train": train, **(data or {})}, "seed": 3,
        "loss": "softmax_cross_entropy",
        "architecture": layers or [dense(5, "tanh"), dense(3)], "optimizer": {"type": "sgd", "learning_rate": 0.1},
        "training": {"epochs": 60, "batch_size": 8}, **more,
    }  # fmt: skip
    return copy(_opened(json.dumps(written), tuple(sets)))


@lru_cache
def _opened(text: str, sets: tuple[str, ...]) -> DiagnosisContext:
    """The context of a config with this text, of which nothing is measured yet."""
    file = Path(FOLDER.name, f"{len(list(Path(FOLDER.name).iterdir()))}.yaml")
    file.write_text(text)
    return open_context(file, sets)


def values_of(layers: Any = None, **more: Any) -> DiagnosisContext:
    """The same for targets that are numbers."""
    layers = layers or [dense(5, "tanh"), dense(1)]
    return context_of(layers, **{"t": VALUES, "loss": "mean_squared_error", **more})


def measured(context: DiagnosisContext, *, trained: bool | None = None, loss: float | None = None,
             **figures: Any) -> DiagnosisContext:  # fmt: skip
    """The context, as if these figures had been measured."""
    if loss is not None:
        context.__dict__["probe"] = SimpleNamespace(loss=loss, measure=lambda *_: (stats("dense_1"),))
    if trained is not None:
        context.trained = trained
    context.__dict__.update(figures)
    return context


def stats(layer: str, gradient: float | None = 1.0, **more: Any) -> LayerStats:
    usual = {
        "kind": "dense", "weights": 1.0, "update": None, "error": 1.0, "output_mean": 0.0, "output_deviation": 1.0,
        "dead": None, "saturated": None,
    }  # fmt: skip
    return LayerStats(layer=layer, gradient=gradient, **(usual | more))


def epochs(train: Sequence[float], validation: Sequence[float] = ()) -> tuple[EpochRow, ...]:
    """The history of a run with these losses."""
    rows = []
    for k, loss in enumerate(train):
        metrics = {"train.loss": loss} | ({"validation.loss": validation[k]} if len(validation) else {})
        rows.append(SimpleNamespace(metrics=metrics))
    return tuple(rows)  # type: ignore[arg-type]


def only(found: list[Symptom]) -> Symptom:
    (symptom,) = found
    return symptom


def sets_of(symptom: Symptom) -> list[str]:
    """The settings of each remedy, as one text."""
    return ["; ".join(remedy.sets) for remedy in symptom.cures]


def with_rows(context: DiagnosisContext, x: Any, t: Any, **others: Any) -> DiagnosisContext:
    """The context with these training rows, as they are encoded, and with other splits."""
    splits = {"train": (x, t)} | others
    context.splits = {n: Split(n, np.asarray(a), np.asarray(b), np.arange(len(a))) for n, (a, b) in splits.items()}
    return context
