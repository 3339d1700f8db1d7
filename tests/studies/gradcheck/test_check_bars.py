"""How far off a gradient may be: differences see 1e-7 where no equations are, only a shown kink excuses, and the bar
is said."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_lab import Lab
from cli_lab import lab as lab
from own_parts import OWN_ACTIVATION
from own_parts import own as own
from random_nets import random_net
from registry import good
from trace_nets import dense, experiment, trace_target

from bpcli.engine.network_plan import plan_network
from bpcli.engine.objective import Objective
from bpcli.family import Layer, Loss, Regularizer
from bpcli.family.plan import Frame, Sample
from bpcli.parts.activations import Gelu, Sigmoid, Tanh
from bpcli.parts.layers.dense import Dense
from bpcli.records.gradcheck import GradcheckReport, TensorRow
from bpcli.studies.custom import load as custom
from bpcli.studies.gradcheck.check import GradcheckTarget, check_gradients
from bpcli.studies.witness.extrapolate import Line, extrapolate

RNG = np.random.default_rng(0)
X, T = RNG.normal(size=(6, 4)), RNG.normal(size=(6, 2))
GOOD = dict(good())
MAX_NUMBERS = 300  # of a batch of a sample that is tried at every seed


@pytest.fixture
def without_equations(monkeypatch: pytest.MonkeyPatch) -> None:
    """No layer, loss or penalty states equations: differences judge alone."""
    for family in (Layer, Loss, Regularizer):
        for leaf in family.registry.values():
            monkeypatch.setattr(leaf, "equations", lambda self, *args, **more: ())


def net(activation: str, *between: Any) -> dict[str, Any]:
    return experiment([dense(5, activation), *between, dense(2)], "mean_squared_error", X, T)


def wrong_alone(report: GradcheckReport) -> set[str]:
    """The tensors that are wrong by themselves."""
    return {row.tensor for row in report.tensors if row.verdict == "WRONG" and row.scope != "network"}


# ------------------------------------------------------------------------------------------------------ wrong by little
def scaled(f: Frame, a: Any, e: float) -> None:
    a *= 1 + e


def shifted(f: Frame, a: Any, e: float) -> None:
    a += e


def one_entry(f: Frame, a: Any, e: float) -> None:
    a[(0,) * a.ndim] *= 1 + e


def far_out(f: Frame, a: Any, e: float) -> None:
    a *= np.where(np.abs(f.x) > 2, 1 + e, 1.0)


def of_the_error(f: Frame, a: Any, e: float) -> None:
    a += e * f.dy


MISTAKES = (scaled, shifted, one_entry, far_out, of_the_error)


def put_in(
    monkeypatch: pytest.MonkeyPatch, part: type[Layer], name: str, mistake: Callable[..., None], e: float
) -> None:
    right = part.backward

    def wrong(self: Any, f: Frame, train: bool) -> None:
        right(self, f, train)
        if getattr(f, name) is not None:
            mistake(f, getattr(f, name), e)

    monkeypatch.setattr(part, "backward", wrong)


@pytest.mark.usefixtures("without_equations")
@pytest.mark.parametrize("e", [pytest.param(1e-3, marks=pytest.mark.slow), 9e-5, 1e-6])
@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize(("part", "name"), [(Tanh, "tanh"), (Sigmoid, "sigmoid"), (Gelu, "gelu")])
def test_a_slope_that_is_wrong_by_little_is_caught_by_differences(
    part: type[Layer], name: str, mistake: Callable[..., None], e: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_in(monkeypatch, part, "dx", mistake, e)
    beside = (dense(4, "relu"),) if e == 9e-5 else ()
    assert "dense_1.activation.dx" in wrong_alone(check_gradients(trace_target(net(name, *beside))))


@pytest.mark.usefixtures("without_equations")
@pytest.mark.parametrize("e", [pytest.param(1e-3, marks=pytest.mark.slow), 9e-5, 1e-6])
@pytest.mark.parametrize("mistake", [scaled, shifted, one_entry])
@pytest.mark.parametrize("name", ["dx", "dW", "db"])
def test_a_weight_gradient_that_is_wrong_by_little_is_caught_by_differences(
    name: str, mistake: Callable[..., None], e: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_in(monkeypatch, Dense, name, mistake, e)
    found = wrong_alone(check_gradients(trace_target(net("tanh"))))
    assert found == {f"dense_1.{name}", f"dense_2.{name}"}


def checked(own: Path, y: str, slope: str, x: Any = X, **more: Any) -> dict[str, TensorRow]:
    """The rows of a network with an activation of one's own, alone, by tensor."""
    file = own / "own.py"
    file.write_text(OWN_ACTIVATION.format(y=y, slope=slope))
    custom.load([file])
    layers = ["own", *more.get("after", [])]
    targets = np.ones((len(x), np.shape(x)[1]))
    report = check_gradients(
        trace_target(experiment([*layers, dense(np.shape(x)[1])], "mean_squared_error", x, targets))
    )
    return {row.tensor: row for row in report.tensors if row.scope == "layer"}


@pytest.mark.parametrize("beside", [[], ["tanh"], ["relu"]])
def test_a_wrong_smooth_slope_is_no_kink(beside: list[str], own: Path) -> None:
    row = checked(own, "np.tanh(f.x)", "(1 - f.y**2) * 1.00009", after=beside)["own_1.dx"]
    assert row.verdict == "WRONG"
    assert row.bars["differences"] <= 1e-6


def test_a_kernel_that_jumps_by_itself_is_not_excused(own: Path) -> None:
    """Its number is another a millionth beside, and the function is smooth."""
    jumps = "(1 - f.y**2) * (1 + 0.01 * np.sign(np.sin(1e7 * f.x)))"
    assert checked(own, "np.tanh(f.x)", jumps)["own_1.dx"].verdict == "WRONG"


KINKS = {
    "np.maximum(f.x, 0)": ("(f.x > 0)", "(f.x >= 0)", "np.where(f.x == 0, 0.3, f.x > 0)"),
    "np.abs(f.x)": ("np.sign(f.x)", "np.where(f.x > 0, 1.0, -1.0)"),
    "np.clip(f.x, -1, 1)": ("(np.abs(f.x) < 1)", "(np.abs(f.x) <= 1)"),
    "np.maximum(f.x, 0) * (1 + 1e-3 * f.x**2)": ("(f.x > 0) * (1 + 3e-3 * f.x**2)",),
}


@pytest.mark.parametrize(("y", "slope"), [(y, slope) for y, slopes in KINKS.items() for slope in slopes])
def test_a_shown_kink_excuses_slopes_between(y: str, slope: str, own: Path) -> None:
    assert checked(own, y, slope)["own_1.dx"].verdict in ("ok", "kink")


@pytest.mark.parametrize(
    ("y", "slope"),
    [
        ("np.maximum(f.x, 0)", "np.where(f.x == 0, 1.2, f.x > 0)"),
        ("np.abs(f.x)", "np.where(f.x == 0, -1.1, np.sign(f.x))"),
        ("np.maximum(f.x, 0)", "(f.x > 0) * 1.00009"),
        ("np.where(f.x > 0, f.x, 1.0 * f.x)", "np.where(f.x == 0, 0.5, 1.0)"),
    ],
)
def test_no_other_slope_is_excused(y: str, slope: str, own: Path) -> None:
    """Beside the slopes of both sides; between them, but wrong elsewhere; and at a bend that is none."""
    assert checked(own, y, slope)["own_1.dx"].verdict == "WRONG"


def test_a_function_that_jumps_is_told_from_a_kink(own: Path) -> None:
    """At whole numbers, which the tied point is made of, floor jumps: its slope there is none, beside it 0."""
    assert checked(own, "np.floor(f.x)", "0.0")["own_1.dx"].verdict == "jump"
    assert checked(own, "np.floor(f.x) + 0.5 * f.x", "0.5")["own_1.dx"].verdict == "jump"
    assert checked(own, "np.floor(f.x)", "1.0")["own_1.dx"].verdict == "WRONG"
    assert checked(own, "np.floor(f.x)", "(f.x == np.floor(f.x)) * 1.0")["own_1.dx"].verdict == "WRONG"


def test_what_differences_cannot_resolve_is_counted_and_not_ok(own: Path) -> None:
    """A forward pass that keeps seven digits: its differences show five of a slope."""
    row = checked(own, "(f.x**3 + 1e9) - 1e9", "3 * f.x**2")["own_1.dx"]
    assert row.verdict == "noise"
    assert row.unresolved > 0


@pytest.mark.usefixtures("without_equations")
@pytest.mark.parametrize("size", [1e-8, 1e8])
def test_a_tiny_or_a_huge_loss_hides_nothing(size: float, monkeypatch: pytest.MonkeyPatch) -> None:
    scale = float(np.sqrt(size))
    huge = experiment([dense(5, "tanh"), dense(2)], "mean_squared_error", X, T * scale)
    assert check_gradients(trace_target(huge)).passed
    put_in(monkeypatch, Tanh, "dx", scaled, 9e-5)
    assert wrong_alone(check_gradients(trace_target(huge))) == {"dense_1.activation.dx"}


# ------------------------------------------------------------------------------------------------------ no false alarms
def alarms(report: GradcheckReport) -> list[Any]:
    rows = [row for row in report.tensors if row.verdict in ("WRONG", "follows")]
    return rows + [law for law in report.laws if law.holds is False]


@pytest.mark.usefixtures("without_equations")
@pytest.mark.parametrize("chunk", range(2))
def test_a_random_network_without_equations_is_right(chunk: int) -> None:
    for seed in range(10 * chunk, 10 * (chunk + 1)):
        report = check_gradients(random_net(seed, small=True)[0], seed)
        assert not alarms(report), seed


@pytest.mark.usefixtures("without_equations")
@pytest.mark.parametrize("seed", [38, 296, 441, 978])
def test_terms_that_cancel_in_a_kernel_are_no_mistake_of_float32(seed: int) -> None:
    """Two rows of a batch norm, and classes that are sure."""
    assert not alarms(check_gradients(random_net(seed, small=True)[0], seed))


@pytest.mark.usefixtures("without_equations")
def test_a_slope_that_is_too_large_for_a_number_is_right() -> None:
    """That of a logarithm at a probability of 1e-310."""
    assert not alarms(check_gradients(random_net(811)[0], 811))


@pytest.mark.slow
@pytest.mark.usefixtures("without_equations")
@pytest.mark.parametrize("chunk", range(20))
def test_a_thousand_random_networks_without_equations_are_right(chunk: int) -> None:
    for seed in range(50 * chunk, 50 * (chunk + 1)):
        report = check_gradients(random_net(seed, small=seed % 2 == 0)[0], seed)
        assert not alarms(report), seed


def around(sample: Sample, seed: int) -> GradcheckTarget:
    """A network of the layer of a sample and what makes numbers of its outputs, on random rows."""
    rng = np.random.default_rng(seed)
    layers = [sample.part]
    if len(plan_network(layers, sample.x).y) != 1:
        layers.append(Layer.parse("flatten"))
    plan = plan_network(layers, sample.x)
    n = max(3, sample.batch)
    objective = Objective(plan, Loss.parse("squared_error"), n, np.float64, seed, retain=True, need_dx=True)
    x = rng.normal(size=(n, *sample.x)) * sample.scale
    if plan.tokens:
        x = rng.integers(0, plan.tokens, x.shape).astype(np.float64)
    return GradcheckTarget(sample.part.kind, objective, x, rng.normal(size=(n, *plan.y)), "random", "random")


@pytest.mark.usefixtures("without_equations")
@pytest.mark.parametrize("kind", ["relu", "max_pool2d", "hard_tanh", "layer_norm"])
def test_a_layer_without_equations_is_right(kind: str) -> None:
    sample = next(s for s in GOOD.values() if s.part.kind == kind)
    assert not alarms(check_gradients(around(sample, 1), 1))


@pytest.mark.slow
@pytest.mark.usefixtures("without_equations")
@pytest.mark.parametrize("seed", range(50))
def test_every_layer_without_equations_is_right(seed: int) -> None:
    for name, sample in GOOD.items():
        if isinstance(sample.part, Layer) and np.prod(sample.x) * sample.batch <= MAX_NUMBERS:
            assert not alarms(check_gradients(around(sample, seed), seed)), name


# ---------------------------------------------------------------------------------------------------- the bars are said
def test_every_gap_has_its_bar_and_keeps_it(lab: Lab) -> None:
    done = lab.run("gradcheck", "trees.yaml", "--json")
    rows = json.loads(done.out)["tensors"]
    assert rows
    for row in rows:
        assert row["gaps"].keys() == row["bars"].keys()
        for witness, gap in row["gaps"].items():
            assert gap <= row["bars"][witness] < 1e-3, row
    seen = [line for line in lab.run("gradcheck", "trees.yaml").out.splitlines() if line.startswith("dense_1.dW")]
    assert all(line.count("/1e-9") + line.count("/2e-9") == 1 and line.count("/") == 2 for line in seen), seen


@pytest.mark.usefixtures("without_equations")
def test_what_was_not_compared_is_a_dash(lab: Lab) -> None:
    done = lab.run("gradcheck", "trees.yaml")
    (line, *_) = (line for line in done.out.splitlines() if line.startswith("dense_1.dW"))
    assert line.split()[1] == "-"
    assert line.split()[2].endswith("/1e-7")


# ---------------------------------------------------------------------------------------------------- the extrapolation
FUNCTIONS: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "sin": (np.sin, np.cos),
    "exp": (np.exp, np.exp),
    "steep": (lambda x: np.tanh(300 * x), lambda x: 300 / np.cosh(300 * x) ** 2),
    "narrow": (lambda x: max(0.0, 1 - 1e5 * abs(x - 0.3)), lambda x: 0.0),
    "bent beside": (lambda x: max(x, 0.3 + 1e-3) ** 2, lambda x: 0.0),
    "bent twice beside": (lambda x: max(x - 0.3 - 1e-3, 0) ** 2 + x, lambda x: 1.0),
    "noisy": (lambda x: np.sin(x) + 1e-9 * np.sin(1e12 * x), np.cos),
    "cancelled": (lambda x: (1e6 + np.sin(x)) - 1e6, np.cos),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_extrapolated_derivative_is_as_near_as_it_says(name: str) -> None:
    """At points beside the bends of all of these, so that none of them is met."""
    function, slope = FUNCTIONS[name]
    x = np.array([0.0])

    def value() -> tuple[float, float]:
        return float(function(x[0])), 1e6 if name == "cancelled" else 1.0

    worst = 0.0
    for at in RNG.uniform(0.28, 0.29, 20).tolist() if name == "narrow" else RNG.uniform(0.1, 0.3, 20).tolist():
        x[0] = at
        line = Line(value, x, (0,))
        near, off = line.central(2.0**-17)
        noise = line.scatter()
        found = extrapolate([line], np.zeros(1), np.array([near]), np.array([1e-5 * abs(near) + 4 * off]), noise)
        assert abs(found.number[0] - slope(at)) <= 2 * found.error[0] + 1e-12, at
        worst = max(worst, float(found.error[0]) / max(1.0, abs(slope(at))))
    assert worst < {"noisy": 1e-5, "cancelled": 1e-5}.get(name, 1e-7)
