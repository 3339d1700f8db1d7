"""Trainings at numerical extremes: rates, sizes of inputs and of first weights, what optimizers, clippers, penalties
and norms are set to; in float32 and in float64."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from cli_lab import DATA

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.family import Clipper, Optimizer
from bpcli.studies.run import modelfile


@dataclass(frozen=True)
class Extreme:
    """A training of the small config with some settings; its inputs are `times` as large."""

    sets: tuple[str, ...]
    times: float = 1.0

    def __str__(self) -> str:
        return f"{' '.join(self.sets)} x {self.times:g}"

    def arguments(self, out: str) -> tuple[str, ...]:
        """What follows `bpcli`; without --json, since that is the longer way."""
        return ("train", "trees.yaml", "--out", out, *(word for text in self.sets for word in ("--set", text)))

    def write(self, folder: Path) -> None:
        """Writes the table."""
        head, *rows = DATA.splitlines()
        cells = [row.split(",") for row in rows]
        lines = (f"{float(a) * self.times!r},{float(b) * self.times!r},{kind}" for a, b, kind in cells)
        (folder / "trees.csv").write_text("\n".join([head, *lines, ""]))


REGRESSION = (
    "data.train={type: csv, path: trees.csv, target: height, drop: [kind]}", "architecture.1.units=1",
    "loss=mean_squared_error",
)  # fmt: skip
FULL = ("training.batch_size=full",)
RAW = ("data.scale=none",)
HUGE = {"float32": 3e38, "float64": 1e308}
RELU = ("architecture.0.activation=relu",)
L2_HUGE = "regularization={type: l2, strength: %g}"


def _norms(kind: str, *more: str) -> tuple[str, ...]:
    middle = ", ".join([f"type: {kind}", *more])
    return (f"architecture=[{{type: dense, units: 4}}, {{{middle}}}, {{type: relu}}, {{type: dense, units: 2}}]",)


def _optimizers() -> Iterator[Extreme]:
    for kind, leaf in Optimizer.registry.items():
        base = REGRESSION if kind == "levenberg_marquardt" else ()
        base += FULL if leaf.full_batch else ()
        if "learning_rate" in leaf.model_fields:
            for rate in (1e-30, 1e10, 1e30, 1e38):
                yield Extreme((*base, f"optimizer={{type: {kind}, learning_rate: {rate!r}}}"))
            wide = f"optimizer={{type: {kind}, learning_rate: 1e300}}"
            yield Extreme((*base, *RELU, wide, "dtype=float64"))
            yield Extreme((*base, *RELU, L2_HUGE % 1e30, f"optimizer={{type: {kind}, learning_rate: 1.0}}"))
        else:
            for times in (1e-30, 1e10, 1e18):
                yield Extreme((*base, *RAW, f"optimizer={kind}"), times)
        yield Extreme((*base, "architecture.0.init={type: constant, value: 1e30}", f"optimizer={kind}"))


SETTINGS = (
    "adam, beta1: 0.0, beta2: 0.0", "adam, beta1: 0.999999, beta2: 0.9999999", "adam, eps: 1e-300",
    "adam, eps: 1e-45, beta2: 0.0", "adam, eps: 1e38", "adam, amsgrad: true, learning_rate: 1e38", "adamw, decay: 1e38",
    "adamw, decay: 1e30, learning_rate: 1e8", "nadam, psi: 1e30", "rmsprop, alpha: 0.0, eps: 1e-300",
    "rmsprop, momentum: 0.9999, centered: true", "rmsprop, momentum: 0.9999, learning_rate: 1e37", "adadelta, rho: 0.0",
    "adadelta, eps: 1e38", "adagrad, eps: 1e-300", "momentum, mu: 0.9999, learning_rate: 1e37", "momentum, mu: 0.0",
    "nesterov, mu: 0.9999, learning_rate: 1e37", "lion, beta1: 0.0, beta2: 0.0, learning_rate: 1e38",
)  # fmt: skip
BATCH_OF_ALL = (
    "rprop, min_step: 1e-45", "rprop, max_step: 1e38, grow: 1e30", "lbfgs, c1: 1e-30, c2: 0.99, pairs: 1",
    "lbfgs, tolerance: 1e-300", "lbfgs, max_evaluations: 1",
)  # fmt: skip
OTHERS: tuple[tuple[str, ...], ...] = (
    ("loss={type: softmax_cross_entropy, label_smoothing: 0.999999}",), ("loss={type: focal, gamma: 1e30}",),
    ("loss={type: focal, gamma: 1e-30, alpha: 1e30}",), ("optimizer={type: sgd, learning_rate: 1e20}", "loss=focal"),
    ("loss={type: softmax_cross_entropy, class_weights: {oak: 1e-30, elm: 1e30}}",),
    ("loss={type: softmax_cross_entropy, class_weights: {oak: 1e38}}",),
    (L2_HUGE % 1e38,), (L2_HUGE % 1e38, "optimizer=sgd"), (L2_HUGE % 1e-45,),
    ("regularization={type: l1, strength: 1e38}", "optimizer=sgd"),
    ("regularization={type: elastic_net, strength: 1e30}", "optimizer=momentum"),
    ("constraint={type: max_norm, limit: 1e-38}",), ("constraint={type: max_norm, limit: 1e38}",),
    ("constraint={type: max_norm, limit: 1.0}", "optimizer={type: sgd, learning_rate: 1e38}"),
    ("training.batch_size=1", "optimizer={type: sgd, learning_rate: 1e30}", *_norms("batch_norm")),
    ("training.batch_size=1", *_norms("layer_norm", "eps: 1e-45")),
    ("optimizer={type: adam, learning_rate: {type: plateau, start: 1e-30, metric: train.loss}}",),
    ("optimizer={type: sgd, learning_rate: {type: exponential, start: 1e38, factor: 1e-30}}",),
    ("optimizer={type: sgd, learning_rate: {type: one_cycle, peak: 1e38, div_factor: 1e30}}",),
    ("training.early_stopping={metric: train.loss, patience: 1}", "optimizer={type: sgd, learning_rate: 1e30}"),
    ("training.watch=true", "optimizer={type: sgd, learning_rate: 1e20}"),
    ("data.scale=minmax", "optimizer={type: rmsprop, learning_rate: 1e19}"),
)  # fmt: skip


def _others() -> Iterator[Extreme]:
    for settings in SETTINGS:
        yield Extreme((f"optimizer={{type: {settings}}}",))
    for settings in BATCH_OF_ALL:
        yield Extreme((*FULL, f"optimizer={{type: {settings}}}"))
    for sets in OTHERS:
        yield Extreme(sets)
    for kind in Clipper.registry:
        for small, large in ((1e-38, 1e38), (1e-300, 1e308)):
            wide = ("dtype=float64",) if large > 1e100 else ()
            for size in (small, large):
                keys = {"value": f", limit: {size!r}", "adaptive": f", clipping: {size!r}", "percentile": ""}
                clipper = f"clipping={{type: {kind}{keys.get(kind, f', max_norm: {size!r}')}}}"
                yield Extreme((clipper, f"optimizer={{type: sgd, learning_rate: {large / 10!r}}}", *RELU, *wide))
    for dtype, most in HUGE.items():
        for kind in ("batch_norm", "layer_norm", "group_norm"):
            groups = ("groups: 2",) if kind == "group_norm" else ()
            yield Extreme((*_norms(kind, *groups), f"dtype={dtype}", f"optimizer={{type: sgd, learning_rate: {most}}}"))
            yield Extreme((*_norms(kind, *groups), f"dtype={dtype}", *RAW), most / 100)
        for value in (most, -most, most**0.5, 1 / most, 0.0):
            yield Extreme((f"architecture.0.init={{type: constant, value: {value!r}}}", *RELU, f"dtype={dtype}"))
            yield Extreme((*REGRESSION, f"architecture.1.bias=[{value!r}]", f"dtype={dtype}"))
        for times in (1e-300, 1e-38, 1e19, 1e38 if dtype == "float32" else 1e150):
            if times <= most / 10:
                yield Extreme((f"dtype={dtype}", *RAW), times)
                yield Extreme((f"dtype={dtype}",), times)
                figures = "training.metrics=[mse, rmse, mae, r2, explained_variance]"
                yield Extreme((f"dtype={dtype}", *REGRESSION, *RAW, figures), times)


def extremes() -> list[Extreme]:
    """All of them, each once."""
    return list(dict.fromkeys([*_optimizers(), *_others()]))


def unwritable_numbers(folder: Path) -> list[str]:
    """Returns every place within a run folder where a number is not finite: tensors, JSON, lines of figures."""
    found: list[str] = []
    for file in sorted(folder.rglob("*.safetensors")):
        tensors, _ = modelfile.read(file)
        found += [f"{file.name}: {name}" for name, a in tensors.items() if not np.isfinite(a).all()]
    for file in sorted(p for p in folder.rglob("*") if p.is_file()):
        if re.search(rb"NaN|Infinity|\.nan\b|\.inf\b", file.read_bytes()):
            found.append(f"{file.name}: a word for it")
    json.loads((folder / "run.json").read_text())
    return found
