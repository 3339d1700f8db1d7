"""What is said of a wrong gradient is true: a constant is not blamed on the batch, and no equations are blamed where
there are none."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_parts import OWN_ACTIVATION
from own_parts import own as own
from trace_nets import dense, experiment, trace_target

from bpcli.family import Layer, Loss
from bpcli.parts.activations import Tanh
from bpcli.parts.losses import MeanSquaredError
from bpcli.records.gradcheck import Finding
from bpcli.studies.custom import load as custom
from bpcli.studies.gradcheck.check import check_gradients

RNG = np.random.default_rng(0)
X, T = RNG.normal(size=(6, 4)), RNG.normal(size=(6, 2))

OWN = (
    OWN_ACTIVATION
    + """
class OwnLoss(Loss):
    type: Literal["own_loss"] = "own_loss"

    def plan(self, x):
        return Plan(y=x)

    def forward(self, f):
        return float(((f.x - f.t) ** 2).sum()) / len(f.x)

    def backward(self, f):
        f.dx[...] = {loss}
"""
)


def findings(
    own: Path, layers: list[Any], y: str = "f.x", slope: str = "1", loss: str = "0", objective: str = ""
) -> dict[str, Finding]:
    """What is said of a network with parts of one's own, by tensor."""
    file = own / "own.py"
    file.write_text(OWN.format(y=y, slope=slope, loss=loss))
    custom.load([file])
    report = check_gradients(trace_target(experiment(layers, objective or "mean_squared_error", X, T)))
    return {f.tensor: f for f in report.findings}


LECUN = "1.7159 * np.tanh(2 / 3 * f.x)"


@pytest.mark.parametrize("units", [5, 7])
@pytest.mark.parametrize(("inner", "ratio"), [("2 / 3", "1.5"), ("0.6", "1.66667"), ("0.5", "2"), ("0.2", "5")])
def test_a_constant_factor_is_not_blamed_on_rows_or_outputs(own: Path, units: int, inner: str, ratio: str) -> None:
    """A scaled tanh whose slope lacks its inner factor; with 3 rows that is N/(N - 1), with 5 outputs and 0.6 K/N."""
    y = f"1.7159 * np.tanh({inner} * f.x)"
    found = findings(own, [dense(units), "own", dense(2)], y, "1.7159 * (1 - (f.y / 1.7159) ** 2)")["own_1.dx"]
    assert f"kernel / expected = {ratio} everywhere" in found.text
    assert not any(word in found.text for word in ("N", "K", "rows", "outputs"))


def test_a_factor_of_the_rows_is_blamed_on_them(own: Path) -> None:
    n = "len(f.x)"
    for slope, code, text in (
        (f"{n}", "not-divided-N", "= N (N = 3)"),
        (f"1 / {n}", "divided-N", "= 1/N (N = 3)"),
        (f"{n} / ({n} - 1)", "unbiased", "= N/(N - 1) (N = 3)"),
        ("f.x.shape[1]", "not-divided-K", "= K (K = 5)"),
    ):
        found = findings(own, [dense(5), "own", dense(2)], "f.x", slope)["own_1.dx"]
        assert (found.code, text in found.text) == (code, True), found


def test_a_loss_is_asked_at_two_batches(own: Path) -> None:
    layers = [dense(4, "tanh"), dense(2)]
    constant = findings(own, layers, loss="3 * (f.x - f.t) / len(f.x)", objective="own_loss")["loss.dx"]
    assert "kernel / expected = 1.5 everywhere" in constant.text
    rows = findings(own, layers, loss="2 * (f.x - f.t)", objective="own_loss")["loss.dx"]
    assert rows.code == "not-divided-N"


def test_a_shipped_loss_is_asked_too(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With equations."""
    right = MeanSquaredError.backward

    def wrong(self: Loss, f: Any) -> None:
        right(self, f)
        f.dx *= 1.5

    monkeypatch.setattr(MeanSquaredError, "backward", wrong)
    assert "N" not in findings(own, [dense(4, "tanh"), dense(2)])["loss.dx"].text


def test_equations_are_not_blamed_where_there_are_none(own: Path) -> None:
    layers = [dense(5), "own", dense(2)]
    found = findings(own, layers, "1 / (1 + np.exp(-f.x))", "np.cos(3 * f.x + f.dy) / f.dy")["own_1.dx"]
    assert "no single mistake in the equations" not in found.text
    assert "equations beside the kernel would tell more" in found.text


def test_where_a_slope_is_taken_shows_without_equations(own: Path) -> None:
    layers, sigmoid = [dense(5), "own", dense(2)], "1 / (1 + np.exp(-f.x))"
    assert findings(own, layers, sigmoid, "f.x * (1 - f.x)")["own_1.dx"].code == "slope-at-x"
    assert findings(own, layers, "np.tanh(f.x)", "(1 - f.x**2)")["own_1.dx"].code == "slope-at-x"
    at_output = "(1 - np.tanh(f.y) ** 2)"
    assert findings(own, layers, "np.tanh(f.x)", at_output)["own_1.dx"].code == "slope-at-y"
    assert findings(own, layers, sigmoid, "(1 - np.tanh(f.x) ** 2)")["own_1.dx"].code == "other-slope"


def test_a_factor_near_one_is_told_from_one_and_from_rounding(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = findings(own, [dense(5), "own", dense(2)], "np.tanh(f.x)", "(1 - f.y**2) * 1.000001")["own_1.dx"]
    assert "kernel / expected = 1 + 1e-06 everywhere" in found.text
    right = Tanh.backward

    def wrong(self: Layer, f: Any, train: bool) -> None:
        right(self, f, train)
        f.dx *= 1 - 2e-6

    monkeypatch.setattr(Tanh, "backward", wrong)
    found = findings(own, [dense(5, "tanh"), dense(2)])["dense_1.activation.dx"]
    assert "kernel / expected = 1 - 2e-06 everywhere" in found.text
