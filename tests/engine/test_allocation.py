"""A training step asks for no memory that grows with the batch.

What NumPy does allocate is buffers where an operation converts types; they are made small here, so that they are full
at either batch size and even one truth value a row would be seen.
"""

import gc
import threading
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from nets import PLAIN, dense, dropout, residual
from probe_layer import Probe
from registry import good

from bpcli.engine.full_batch import make_step
from bpcli.engine.network_plan import plan_network
from bpcli.engine.objective import Objective
from bpcli.family import Clipper, GradientOptimizer, Layer, Loss, Optimizer, Regularizer
from bpcli.family.plan import Frame, Sample
from bpcli.numeric import threads
from bpcli.parts.layers.dense import Dense
from bpcli.parts.layers.flatten import Flatten
from bpcli.studies.run.fingerprints import THREAD_NAME

SMALL, LARGE = 256, 5120
BUDGET = 5000  # bytes of a step at either size: views, numbers, small buffers; less than one truth value a row
ALLOWED = 1000  # bytes between the two
AT = 6000  # bytes that ufunc.at takes for itself, whatever it is given

GOOD = dict(good())
LAYERS = {k: s for k, s in GOOD.items() if isinstance(s.part, Layer) and "weights by value" not in s.note}
LOSSES = {k: s for k, s in GOOD.items() if isinstance(s.part, Loss)}
OPTIMIZERS = {k: s for k, s in GOOD.items() if isinstance(s.part, GradientOptimizer)}
CLIPPERS = {k: s for k, s in GOOD.items() if isinstance(s.part, Clipper)}
L2 = Regularizer.parse({"type": "l2", "strength": 0.1})


@pytest.fixture(autouse=True)
def _small_buffers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """And one thread: a second one, which only large batches are worth, has views of its own."""
    monkeypatch.setattr(threads, "thread_count", lambda: 1)
    for thread in threading.enumerate():  # of a test before, whose buffers would be counted here
        if thread.name == THREAD_NAME:
            thread.join()
    old = np.setbufsize(16)
    yield
    np.setbufsize(old)


def peak(work: Callable[[], None]) -> int:
    """The most bytes in use at once while `work` runs, beyond what was in use before; after it ran twice. The least of
    three runs: the interpreter grows tables of its own now and then, whatever ran before."""
    work()
    work()
    gc.disable()
    tracemalloc.start()
    try:
        work()  # what is made once and kept
        peaks = []
        for _ in range(3):
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            work()
            peaks.append(tracemalloc.get_traced_memory()[1] - before)
        return min(peaks)
    finally:
        tracemalloc.stop()
        gc.enable()


def stepping(
    n: int, layers: list[Layer], x: tuple[int, ...], dtype: Any, loss: Any = "mean_squared_error",
    optimizer: Any = "adam", clipper: Any = None, weighted: bool = False, values: bool = False,
) -> Callable[[], None]:  # fmt: skip
    """One training step on `n` rows, loading them included."""
    loss = Loss.parse(loss)
    o = Objective(plan_network(layers, x, L2), loss, n, dtype, 0, need_dx=True)
    d = make_step(o, Optimizer.parse(optimizer), None if clipper is None else Clipper.parse(clipper), 100)
    rng = np.random.default_rng(0)
    (k,) = o.network.network_plan.y
    tokens = o.network.network_plan.tokens
    data = (rng.integers(0, tokens, (LARGE, *x)) if tokens else rng.normal(size=(LARGE, *x))).astype(dtype)
    t = rng.uniform(size=(LARGE, k)).astype(dtype) if values else rng.integers(0, max(k, 2), LARGE)
    w = rng.uniform(1, 2, LARGE).astype(dtype) if weighted else None
    rows = rng.permutation(LARGE)[:n]
    batch = o.batch(n)

    def work() -> None:
        batch.load(data, t, rows, w)
        d.step(batch, 126)  # Adam's t is 127, and 128 below: with and without its sweep
        batch.load(data, t, rows, w)
        d.step(batch, 127)

    return work


def does_not_grow(*args: Any, budget: int = BUDGET, **more: Any) -> None:
    small, large = (peak(stepping(n, *args, **more)) for n in (SMALL, LARGE))
    assert large - small < ALLOWED, f"{small} bytes at {SMALL} rows, {large} at {LARGE}"
    assert large < budget, f"{large} bytes"


BOTH = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def first_of_each_kind(samples: Mapping[str, Sample]) -> dict[str, Sample]:
    """One sample of every kind of part: enough where settings lead to the same calls."""
    kinds = {s.part.kind: name for name, s in reversed(samples.items())}
    return {name: s for name, s in samples.items() if name in kinds.values()}


def in_both_types(samples: Mapping[str, Sample]) -> pytest.MarkDecorator:
    """Every sample in float32, where a constant or a mask of another type would be converted; in float64 one of each
    kind, for kernels that choose by type."""
    cases = [pytest.param(s, np.float32, id=f"{name}-float32") for name, s in samples.items()]
    cases += [pytest.param(s, np.float64, id=f"{name}-float64") for name, s in first_of_each_kind(samples).items()]
    return pytest.mark.parametrize(("sample", "dtype"), cases)


@in_both_types(LAYERS)
def test_layers_allocate_nothing_that_grows(sample: Sample, dtype: type) -> None:
    dense_first = len(sample.x) == 1 and not sample.part.plan(sample.x).tokens
    before = [Dense(units=sample.x[0])] if dense_first else []
    budget = BUDGET + AT * bool(sample.part.plan(sample.x).tokens)
    does_not_grow([*before, sample.part, Flatten(), Dense(units=3)], sample.x, dtype, budget=budget)


@pytest.mark.parametrize(("values", "weighted"), [(False, False), (True, True)], ids=["ids", "values, weighted"])
@in_both_types(LOSSES)
def test_losses_allocate_nothing_that_grows(sample: Sample, values: bool, weighted: bool, dtype: type) -> None:
    layers: list[Layer] = [Dense(units=sample.x[0])]
    if sample.part.link == "probabilities":
        layers.append(Layer.parse("softmax"))
    does_not_grow(layers, (3,), dtype, sample.part, weighted=weighted, values=values)


@pytest.mark.parametrize("sample", first_of_each_kind(OPTIMIZERS).values(), ids=lambda s: s.part.kind)
def test_optimizers_allocate_nothing_that_grows(sample: Sample) -> None:
    does_not_grow([Dense(units=3)], (3,), np.float32, optimizer=sample.part)


@BOTH
@pytest.mark.parametrize("optimizer", ["lbfgs", "levenberg_marquardt"])
def test_searches_allocate_nothing_that_grows(optimizer: str, dtype: type) -> None:
    """With a tolerance of 0 they go on; what the solver of the other takes grows with the weights alone."""
    does_not_grow([Dense(units=3)], (3,), dtype, optimizer={"type": optimizer, "tolerance": 0.0})


@pytest.mark.parametrize("sample", first_of_each_kind(CLIPPERS).values(), ids=lambda s: s.part.kind)
def test_clippers_allocate_nothing_that_grows(sample: Sample) -> None:
    does_not_grow([Dense(units=3)], (3,), np.float32, clipper=sample.part)


@BOTH
def test_a_deep_network_allocates_nothing_that_grows(dtype: type) -> None:
    spelled = [*(layer for kind in PLAIN for layer in (dense(7), kind)), dropout(0.2),
               residual(dense(7), "relu", residual(dropout(0.1), dense(7))), dense(5)]  # fmt: skip
    layers = [Probe(), *(Layer.parse(layer) for layer in spelled)]
    does_not_grow(layers, (11,), dtype, "softmax_cross_entropy", clipper={"type": "global_norm", "max_norm": 1.0})


@in_both_types({**OPTIMIZERS, **CLIPPERS})
def test_steps_allocate_nothing_but_numbers(sample: Sample, dtype: type) -> None:
    """Over 100,000 parameters an update or a clipping asks for a few hundred bytes, those of buffers included."""
    f = Frame(x=np.zeros(0), y=np.zeros(0), dx=None, dy=np.zeros(0), D=60_000)
    f.w = np.zeros(100_000, dtype)
    f.g = np.ones(100_000, dtype)
    part = sample.part
    slots = (*part.slots, *part.scratch) if isinstance(part, GradientOptimizer) else ()
    for slot in slots:
        setattr(f, slot, np.zeros_like(f.w))
    if isinstance(part, GradientOptimizer):
        assert peak(lambda: [part.update(f, 0.01, t) for t in (127, 128)] and None) < BUDGET
    else:
        for name, slot in part.state().items():
            setattr(f, name, np.zeros(slot.shape))
        f.norm, f.pieces = float(np.linalg.norm(f.g)), [(f.g, f.w)]
        assert peak(lambda: part.clip(f) and None) < BUDGET


def test_the_measure_sees_one_truth_value_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check is trusted after it was seen to fail."""
    honest = Dense.forward

    def forward(self: Dense, f: Frame, train: bool) -> None:
        honest(self, f, train)
        f.y[:, 0] > 0  # noqa: B015

    monkeypatch.setattr(Dense, "forward", forward)
    with pytest.raises(AssertionError, match="bytes at"):
        does_not_grow([Dense(units=3)], (3,), np.float32)
