"""Layers, losses and penalties on many rows and wide ones, held against their equations; what has no block is here too,
for sums of many numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from registry import good
from sizes import threads_at_work

from bpcli.engine import fusion
from bpcli.engine.network import Network
from bpcli.family import Activation, Constraint, Layer, Loss, Part, Regularizer
from bpcli.family.plan import Array, Sample
from bpcli.numeric import stable
from bpcli.numeric.vectors import all_finite
from bpcli.studies.witness.cases import LayerCase, LossCase, PenaltyCase
from bpcli.studies.witness.step_cases import ConstraintCase

ROWS = 130
"""Rows of a batch, and of which of the samples' settings are tried."""

TIGHT = {"float64": 1e-11, "float32": 1e-4}
"""Of the largest entry of an array."""


def many_rows(sample: Sample, rows: int) -> Sample:
    """The same on more rows: what it fixes for its rows is repeated, and sample weights sum to 1 again."""
    inputs: dict[str, Any] = {}
    for name, value in sample.inputs.items():
        value = np.asarray(value, float)
        if name in ("x", "t", "w") and value.ndim:
            value = np.resize(value, (rows, *value.shape[1:]))
            value = value / value.sum() if name == "w" else value
        inputs[name] = value
    if isinstance(sample.part, Loss) and "t" not in inputs:
        inputs["t"] = np.random.default_rng(rows).normal(size=(rows, *sample.x))
    return replace(sample, batch=rows, inputs=inputs)


def samples_of_many_rows() -> Iterator[tuple[str, Sample]]:
    """Every sample of layers, losses and penalties."""
    for name, sample in good():
        if isinstance(sample.part, Layer | Loss):
            yield name, many_rows(sample, ROWS)


def _wide() -> Iterator[tuple[str, Sample]]:
    """Layers on wide rows and many of them; activations on blocks below and above the size of one, several a thread."""
    settings: tuple[tuple[str, Mapping[str, Any], tuple[int, ...], int], ...] = (
        ("layer_norm", {"type": "layer_norm"}, (7, 65), 517),
        ("layer_norm of wide rows", {"type": "layer_norm", "affine": False}, (4099,), 33),
        ("group_norm", {"type": "group_norm", "groups": 5}, (17, 13, 65), 33),
        ("batch_norm", {"type": "batch_norm"}, (31, 33, 17), 65),
        ("batch_norm of many rows", {"type": "batch_norm"}, (3,), 20_011),
        ("residual", {"type": "residual", "layers": [{"type": "dense", "units": 65}, {"type": "tanh"}]}, (65,), 517),
        ("dropout", {"type": "dropout", "rate": 0.3}, (31, 33, 17), 33),
        ("spatial_dropout", {"type": "spatial_dropout", "rate": 0.3}, (31, 33, 17), 33),
        ("gaussian_noise", {"type": "gaussian_noise"}, (31, 33, 17), 33),
    )
    for name, setting, x, rows in settings:
        yield name, Sample(Layer.parse(setting), x, batch=rows)
    for kind in ("relu", "gelu", "softmax"):
        yield f"{kind} in blocks", Sample(Activation.parse(kind), (701,), batch=1100)


def law_of_true_blocks(kind: str) -> None:
    """An activation on rows that fill less than a block, several, and several for each thread, as they are."""
    for rows in (374, 1122, 6001):
        law_of_layer(Sample(Activation.parse(kind), (701,), batch=rows))


WIDE = dict(_wide())


def compare_arrays(
    right: Mapping[str, Array], found: Mapping[str, Array], dtype: str, reach: float = 0.0, upstream: float = 0.0
) -> None:
    """Every array of the equations that the kernel gives too; what is off by more than rounding is said. `reach` and
    `upstream` are the largest number and the largest slope that are put in: what is no gradient may cancel so much as
    the one, a gradient to the last places of the other."""
    names = right.keys() & found.keys()
    assert names & {"y", "L", "penalty", "w_new"}, "something is compared"
    for name in names:
        a, b = np.asarray(found[name], float), np.asarray(right[name], float)
        assert a.shape == b.shape, name
        allowed = TIGHT[dtype] * max(0.0 if name[0] == "d" else reach, float(np.abs(b).max(initial=0)))
        allowed += 64 * float(np.finfo(dtype).eps) * upstream + 1e-38
        off = np.abs(a - b)
        assert (off <= allowed).all(), f"{name} in {dtype}: off by {off.max():g} where {allowed:g} is rounding"


def law_of_layer(sample: Sample) -> None:
    """Kernels and equations come to the same, in training and in evaluation, in both types; by any number of threads,
    in blocks of one row, of some and of all, to the same bits."""
    for train in (True, False):
        case = LayerCase(sample, train)
        whole, largest = case.kernel(), [float(np.abs(a).max()) for a in (case.chain.x, case.upstream)]
        compare_arrays(case.equations, whole, "float64", *largest)
        compare_arrays(case.equations, LayerCase(sample, train, np.float32).kernel(), "float32", *largest)
        if case.bound.plan.skips_dx:
            _compare_without_dx(case, train)
        if not fusion.splits_rows(case.layer, case.bound.plan):
            continue
        for block, (count, always) in ((9, (3, True)), (13, (1, False))):
            with threads_at_work(count, always), pytest.MonkeyPatch.context() as patch:
                patch.setattr(fusion, "KERNEL_BLOCK_ENTRIES", max(1, sample.batch // block * case.chain.x[:1].size))
                for name, value in LayerCase(sample, train).kernel().items():
                    assert np.array_equal(value, whole[name]), f"{name} in {block} blocks by {count} threads"


def _compare_without_dx(case: LayerCase, train: bool) -> None:
    """Where nobody asks for the gradient of the inputs, those of the parameters are the same, to the last bit."""
    network = Network(case.network.network_plan, case.sample.batch, np.float64, 0)
    chain = network.chain(case.sample.batch)
    assert chain.dx is None
    network.theta[...] = case.theta
    for path, state in case.network.states.items():
        network.states[path][...] = state
    network.draw(chain, 3)
    chain.x[...] = case.chain.x
    chain.forward(train)
    chain.dy[...] = case.upstream
    chain.backward(train)
    assert np.array_equal(network.grad, case.network.grad)


def law_of_loss(sample: Sample) -> None:
    """Kernel and equations of a loss come to the same, in both types."""
    case = LossCase(sample)
    share = 1 / sample.batch if case.frame.w is None else float(case.frame.w.max())
    compare_arrays(case.equations, case.kernel(), "float64", upstream=share)
    compare_arrays(case.equations, LossCase(sample, np.float32).kernel(), "float32", upstream=share)


def law_of_flat(case: Any) -> None:
    """The same of what works on the weights alone."""
    for dtype in ("float64", "float32"):
        short = case(dtype)
        compare_arrays(case("float64").equations, short.kernel(), dtype)


def law_of_functions() -> None:
    """Functions on many numbers are the standard library's of each, and a softmax is exponentials over their sum."""
    x = np.random.default_rng(1).normal(size=(2003, 17)) * 3
    right = np.vectorize(math.erf)(x)
    assert np.allclose(stable.erf(x), right, rtol=0, atol=4e-16)
    assert np.allclose(stable.erfc(x), np.vectorize(math.erfc)(x), rtol=2e-15, atol=0)
    total = np.exp(x).sum(1, keepdims=True)
    assert np.allclose(stable.softmax(x, np.empty_like(x), np.empty_like(total)), np.exp(x) / total, rtol=1e-14)


def law_of_finite() -> None:
    """One entry that is not finite is found among many, and sums that overflow are none."""
    for size in (1, 70_003):
        x = np.full(size, 1e308)
        assert all_finite(x)
        for value in (np.inf, np.nan, -np.inf):
            x[size // 2] = value
            assert not all_finite(x)


def _usual(family: type[Part], kind: str, settings: dict[str, Any]) -> Any:
    """Returns a part with these settings; a formula, which has no usual settings, as its first sample states it."""
    if kind == "formula":
        return next(s.part for s in family.registry[kind].samples() if not s.error)
    return family.parse(settings)


def laws() -> Iterator[tuple[str, Callable[[], None]]]:
    """Every law of this module, by what it is about."""
    for name, sample in samples_of_many_rows():
        yield f"{name}, {ROWS} rows", partial(law_of_layer if isinstance(sample.part, Layer) else law_of_loss, sample)
    for name, sample in WIDE.items():
        yield name, partial(law_of_layer, sample)
    yield "functions", law_of_functions
    yield "finite", law_of_finite
    for kind in Loss.registry:
        part = _usual(Loss, kind, {"type": kind})
        rng = np.random.default_rng(5)
        x, t = rng.uniform(0.05, 0.9, (1031, 65)), np.eye(65)[rng.integers(0, 65, 1031)]
        yield f"{kind}, wide", partial(law_of_loss, Sample(part, (65,), batch=1031, inputs={"x": x, "t": t}))
    for kind in Regularizer.registry:
        sample = Sample(_usual(Regularizer, kind, {"type": kind, "strength": 0.01}), (70_003,))
        yield f"{kind}, wide", partial(law_of_flat, partial(PenaltyCase, sample))
    for kind in Constraint.registry:
        for shape in ((401, 65), (3, 3, 65, 64), (70_003,)):
            sample = Sample(Constraint.parse({"type": kind, "limit": 2.0}), shape)
            yield f"{kind} of {shape}", partial(law_of_flat, partial(ConstraintCase, sample))
