"""Every gradient of every part, over the whole registry: a part is proven the moment it is declared."""

import numpy as np
import pytest
from pydantic import ValidationError
from registry import bad, good, leaves

from bpcli.engine.network import Network
from bpcli.engine.network_plan import plan_network
from bpcli.family import (
    Augmentation,
    Clipper,
    Constraint,
    Initializer,
    Layer,
    Loss,
    Optimizer,
    Regularizer,
    Schedule,
    Source,
)
from bpcli.family.part import Part, dump
from bpcli.family.plan import Sample
from bpcli.parts.activations import Tanh
from bpcli.parts.layers.dense import Dense
from bpcli.studies.witness.cases import DifferentiableCase, LayerCase, LossCase, cases, equation_env, layer_program
from bpcli.studies.witness.witness import central_differences, max_abs

GOOD = dict(good())
LAYERS = {k: s for k, s in GOOD.items() if isinstance(s.part, Layer)}
PROVEN = {
    k: s
    for k, s in GOOD.items()
    if isinstance(s.part, Layer | Loss | Regularizer | Optimizer | Clipper | Constraint | Schedule)
}
DIFFERENTIABLE = {k: s for k, s in PROVEN.items() if isinstance(s.part, Layer | Loss | Regularizer)}


@pytest.mark.parametrize("sample", PROVEN.values(), ids=PROVEN)
def test_witnesses_agree(sample: Sample) -> None:
    """kernel = equations = complex step = central differences."""
    for case in cases(sample):
        wrong = [g for g in case.gaps(case.kernel()) if g.verdict == "WRONG"]
        assert not wrong


@pytest.mark.parametrize("seeds", [range(1), pytest.param(range(1, 50), marks=pytest.mark.slow)], ids=["one", "many"])
@pytest.mark.parametrize("sample", DIFFERENTIABLE.values(), ids=DIFFERENTIABLE)
def test_stated_and_derived_gradients_are_one_function(sample: Sample, seeds: range) -> None:
    for case in cases(sample):
        assert isinstance(case, DifferentiableCase)
        for seed in seeds:
            assert {gap.verdict for gap in case.functions(seed)} <= {"ok"}


@pytest.mark.parametrize("leaf", leaves().values(), ids=leaves())
def test_every_part_has_a_sourced_docstring_and_samples(leaf: type[Part]) -> None:
    assert leaf.__doc__
    first, _, rest = leaf.__doc__.partition("\n")
    assert first.strip().endswith((".", ":")), "the first line is one sentence"
    assert "Source " in rest
    for name, field in leaf.model_fields.items():
        assert name == "type" or field.description, f"{name} has no description"
    if not issubclass(leaf, (Source,)) and leaf.family != "metric":
        samples = list(leaf.samples())
        assert any(not s.error for s in samples)
        if len(leaf.model_fields) > (2 if issubclass(leaf, Layer) else 1):
            assert any(s.error for s in samples), "no bad sample shows what it refuses"


@pytest.mark.parametrize("sample", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("train", [True, False])
def test_equations_are_complete(sample: Sample, train: bool) -> None:
    case = LayerCase(sample, train)
    wanted = {"y", "dx", *(f"d{p}" for p in case.bound.plan.params)}
    if train:
        wanted |= {f"{state}_new" for state in case.bound.plan.state}
    assert wanted <= set(layer_program(case.bound, train).names)


@pytest.mark.parametrize("sample", LAYERS.values(), ids=LAYERS)
def test_long_forms_agree(sample: Sample) -> None:
    case = LayerCase(sample, True)
    case.kernel()
    long = layer_program(case.bound, True, detail="path").run(equation_env(case.bound))
    assert np.allclose(long["dx"], case.equations["dx"], rtol=1e-12, atol=1e-14)


LOSSES = {k: s for k, s in GOOD.items() if isinstance(s.part, Loss)}


@pytest.mark.parametrize("sample", LOSSES.values(), ids=LOSSES)
def test_long_forms_of_losses_agree(sample: Sample) -> None:
    case = LossCase(sample)
    if sample.note.startswith("huge"):
        return  # the long form divides by probabilities that are 0 there
    long = case.program(detail="path").run(case.env)
    assert np.allclose(long["dx"], case.equations["dx"], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("sample", PROVEN.values(), ids=PROVEN)
def test_float32_agrees_with_float64(sample: Sample) -> None:
    for wide, narrow in zip(cases(sample), cases(sample, np.float32), strict=True):
        expected, got = wide.kernel(), narrow.kernel()
        largest = max(max_abs(v) for k, v in expected.items() if k != "y")
        for name, value in expected.items():
            scale = max_abs(value) if name == "y" or name not in ("dx",) else largest
            assert np.allclose(got[name], value, rtol=1e-4, atol=1e-5 * max(scale, largest, 1e-3)), name


@pytest.mark.parametrize("sample", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("train", [True, False])
def test_passes_are_functions_of_the_frame(sample: Sample, train: bool) -> None:
    """Twice gives the same bits; inputs, parameters, chance, state and the upstream gradient are left as they were."""
    case = LayerCase(sample, train)
    f, plan = case.bound.frame, case.bound.plan
    inputs = ["x", *plan.params, *plan.draws, *plan.state]
    before = {name: np.array(getattr(f, name)) for name in inputs}
    first = case.kernel()
    second = case.kernel()
    for name, value in first.items():
        assert np.array_equal(value, second[name], equal_nan=True), name
    for name, value in before.items():
        assert np.array_equal(getattr(f, name), value), name
    assert np.array_equal(case.chain.dy, case.upstream)


@pytest.mark.parametrize("sample", LAYERS.values(), ids=LAYERS)
def test_a_short_batch_is_the_beginning_of_a_long_one(sample: Sample) -> None:
    """At evaluation a row's output does not depend on the rows beside it, beyond rounding."""
    case = LayerCase(sample, False)
    x = case.chain.x.copy()
    y = case.kernel()["y"]
    chain = case.network.chain(1)
    for i in range(sample.batch):
        chain.x[...] = x[i : i + 1]
        chain.forward(False)
        assert np.allclose(chain.y[0], y[i], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("sample", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("batch", [1, 3])
def test_between_other_layers(sample: Sample, batch: int) -> None:
    """In a network, with memory shared as in training: every parameter's gradient against central differences."""
    if "x" in sample.inputs:
        return
    before = Dense(units=sample.x[0]) if len(sample.x) == 1 else Tanh()
    shape = sample.part.plan(sample.x).y
    after = (Dense(units=3), Tanh()) if len(shape) == 1 else (Tanh(),)
    network = Network(plan_network([before, sample.part, *after], sample.x), 4, np.float64, 1)
    rng = np.random.default_rng(5)
    network.theta[...] = rng.normal(size=network.theta.shape)
    chain = network.chain(batch)
    chain.x[...] = rng.normal(size=chain.x.shape)
    upstream = rng.normal(size=chain.y.shape)
    network.draw(chain, 0)

    def objective() -> tuple[float, float]:
        chain.forward(True)
        return float((chain.y * upstream).sum()), float(np.abs(chain.y * upstream).sum())

    d = central_differences(objective, network.theta)
    objective()
    chain.dy[...] = upstream
    chain.backward(True)
    grad = network.grad
    kink = np.abs(d.left - d.right) > 1e-3 * (np.abs(d.left) + np.abs(d.right) + 1e-3)
    wrong = np.abs(grad - d.value) > 1e-6 * np.abs(grad) + d.noise + 1e-8 * (max_abs(grad) + 1e-3)
    assert not (wrong & ~kink).any()
    assert kink.mean() < 0.2 if kink.size else True


BAD = {name: (leaf, sample) for name, leaf, sample in bad()}


@pytest.mark.parametrize(("leaf", "sample"), BAD.values(), ids=BAD)
def test_bad_samples_are_refused_in_their_words(leaf: type[Part], sample: Sample) -> None:
    with pytest.raises((ValidationError, ValueError)) as caught:
        _use(leaf, sample)
    assert sample.error in str(caught.value)


def _use(leaf: type[Part], sample: Sample) -> None:
    if not isinstance(sample.part, Part):
        leaf.parse(sample.part)
    elif isinstance(sample.part, Initializer):
        sample.part.fill(np.zeros(sample.x), 1, 1, np.random.default_rng(0))
    elif isinstance(sample.part, Augmentation):
        sample.part.work(sample.x)
    else:
        sample.part.plan(sample.x)


@pytest.mark.parametrize("leaf", leaves().values(), ids=leaves())
def test_parts_round_trip(leaf: type[Part]) -> None:
    """A part written out and read back is the same part."""
    for sample in leaf.samples():
        if isinstance(sample.part, Part):
            assert type(sample.part).parse(dump(sample.part)) == sample.part
            assert hash(sample.part) == hash(type(sample.part).parse(dump(sample.part)))


INITIALIZERS = {k: s for k, s in GOOD.items() if isinstance(s.part, Initializer)}


@pytest.mark.parametrize("sample", INITIALIZERS.values(), ids=INITIALIZERS)
def test_initializers_fill_everything_the_same_way_twice(sample: Sample) -> None:
    out = [np.full(sample.x, np.nan) for _ in range(2)]
    for o in out:
        sample.part.fill(o, sample.x[0], sample.x[-1], np.random.default_rng(3))
    assert np.isfinite(out[0]).all()
    assert np.array_equal(*out)
