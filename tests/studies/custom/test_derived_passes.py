"""Parts of one's own that leave out passes: what is derived in their place is what they would have written."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_parts import EQUATIONS, GAIN, changed
from own_parts import own as own

from bpcli.engine.network_plan import plan_network
from bpcli.engine.objective import Objective
from bpcli.family import Layer, Loss, Regularizer, Sample, ShapeError
from bpcli.records.training import Failure
from bpcli.studies.custom import load as custom
from bpcli.studies.gradcheck.check_parts import check_own
from bpcli.studies.witness.cases import cases

HEAD = """\
from typing import Literal

import numpy as np

from bpcli.custom import Activation, ConstantValue, Eq, Layer, Loss, N, Param, Plan, Regularizer, Slot

"""
FORWARD = (
    HEAD
    + '''
class Gain(Layer):
    """tanh, times a gain."""

    type: Literal["bare_gain"] = "bare_gain"

    def plan(self, x):
        return Plan(y=x, params={"g": Param(x, ConstantValue(value=1.0))})

    def equations(self, train, x):
        return [Eq("h[n,o]", "tanh(x[n,o])"), Eq("y[n,o]", "g[o] * h[n,o]")]
'''
)
KERNEL = """
    def forward(self, f, train):
        np.multiply(np.tanh(f.x), f.g, out=f.y)
"""
KEPT = """
    def forward(self, f, train):
        np.tanh(f.x, out=f.h)
        np.multiply(f.h, f.g, out=f.y)
"""
OTHERS = (
    HEAD
    + '''
class Scaled(Activation):
    """No plan: a setting, and the shape as it comes."""

    type: Literal["bare_tanh"] = "bare_tanh"
    a: float = 0.5

    def equations(self, train, x):
        return [Eq("y[n,...]", "tanh(a * x[n,...])")]


class Square(Loss):
    """Squares, by a mean over rows."""

    type: Literal["bare_square"] = "bare_square"

    def equations(self, weighted):
        whole = "sum(n, w[n] * row[n])" if weighted else "mean(n, row[n])"
        return [Eq("row[n]", "mean(k, (x[n,k] - t[n,k])**2)"), Eq("L", whole)]


class Half(Regularizer):
    """Squares of weights."""

    type: Literal["bare_l2"] = "bare_l2"
    strength: float = 0.5

    def equations(self):
        return [Eq("penalty", "strength * sum(j, w[j]**2) / 2")]
'''
)


def load(own: Path, text: str, name: str = "mine.py") -> tuple[Any, ...]:
    (own / name).write_text(text)
    return custom.load([own / name])


def trained(layer: str, loss: Any = "mean_squared_error", penalty: Any = None, steps: int = 50) -> np.ndarray:
    """The weights of a small network after some steps of gradient descent, in float64."""
    rng = np.random.default_rng(0)
    dense = {"type": "dense", "units": 3}
    layers = [Layer.parse(dense), Layer.parse(layer), Layer.parse({**dense, "units": 2})]
    network_plan = plan_network(layers, (4,), None if penalty is None else Regularizer.parse(penalty))
    objective = Objective(network_plan, Loss.parse(loss), 5, np.float64, 0)
    x, t = rng.normal(size=(40, 4)), rng.normal(size=(40, 2))
    for step in range(steps):
        batch = objective.batch(5)
        batch.load(x, t, np.arange(5) + 5 * (step % 8))
        objective.network.draw(batch.chain, step)
        batch.forward(True)
        batch.backward(True)
        objective.theta[...] -= 0.1 * objective.grad
    return objective.theta.copy()


@pytest.mark.parametrize(
    "text",
    [
        FORWARD,
        FORWARD + KERNEL,
        FORWARD.replace("ConstantValue(value=1.0))}", 'ConstantValue(value=1.0))}, keep={"h": Slot((N, *x))}') + KEPT,
    ],
    ids=["equations alone", "with a kernel", "with a kernel that keeps"],
)
def test_it_trains_as_a_layer_that_is_written_out(text: str, own: Path) -> None:
    load(own, GAIN + EQUATIONS)
    (leaf,) = load(own, text, "bare.py")
    assert not leaf.__abstractmethods__
    assert np.allclose(trained("bare_gain"), trained("gain"), rtol=1e-12, atol=1e-13)
    assert check_own(leaf).passed


def test_activations_losses_and_penalties(own: Path) -> None:
    """A part without a plan; a loss with its weights of rows; a penalty."""
    _, loss, penalty = load(own, OTHERS)
    weights = {"w": [0.5, 0.2, 0.3]}
    for case in (
        *cases(Sample(loss(), (2,))),
        *cases(Sample(loss(), (2,), inputs=weights)),
        *cases(Sample(penalty(), (7,))),
    ):
        assert {gap.verdict for gap in case.gaps(case.kernel())} == {"ok"}
    ours = trained("bare_tanh", "bare_square", {"type": "bare_l2", "strength": 0.2})
    theirs = trained("bare_tanh", "mean_squared_error", {"type": "l2", "strength": 0.1})
    assert np.allclose(ours, theirs, rtol=1e-12, atol=1e-13)


def test_what_is_stated_of_the_backward_pass_stays_a_statement(own: Path) -> None:
    """The pass is derived, and the author's own line is held against it."""
    wrong = FORWARD.replace('"g[o] * h[n,o]")]', '"g[o] * h[n,o]"), Eq("dg[o]", "mean(n, dy[n,o] * h[n,o])")]')
    (leaf,) = load(own, wrong)
    assert "bare_gain_1.dg" in check_own(leaf).wrong


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ((("g[o] * h[n,o]", "g[o] * q[n,o]"),), "q is not known"),
        ((('"y[n,o]"', '"y[o]"'), ('"g[o] * h[n,o]"', '"sum(n, g[o] * h[n,o])"')), "y has no axis of rows"),
        ((('"y[n,o]", "g[o] * h[n,o]"', '"y[n]", "sum(o, g[o] * h[n,o])"'),), "its plan gives y the shape (4,)"),
    ],
)
def test_equations_that_do_not_fit(change: Any, said: str, own: Path) -> None:
    (leaf,) = load(own, changed(FORWARD, *change))
    with pytest.raises(ShapeError) as raised:
        leaf().plan((4,))
    assert said in str(raised.value)


def test_a_part_with_neither_says_so(own: Path) -> None:
    with pytest.raises(Failure) as raised:
        load(own, FORWARD[: FORWARD.index("    def equations")])
    first = raised.value.problems[0]
    assert first.text == "Gain has no `backward`"
    assert first.help.endswith("or state the forward pass in `equations`: what is missing is derived from it")
