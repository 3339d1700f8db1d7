"""The laws that gradients of any network obey: each is broken by a kernel that is wrong in one way, and says so."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_parts import own as own

from bpcli.engine.network_plan import plan_network
from bpcli.engine.objective import Batch, Objective
from bpcli.family import Array, Frame, Layer, Loss
from bpcli.parts.activations import Tanh
from bpcli.parts.layers.dense import Dense
from bpcli.parts.losses import SquaredError
from bpcli.records.gradcheck import LawRow
from bpcli.studies.custom import load as custom
from bpcli.studies.gradcheck.laws import laws

RNG = np.random.default_rng(3)
X, T = RNG.normal(size=(5, 2)), RNG.normal(size=(5, 3))
NAMES = ("re-entrant", "linear", "batch", "permutation", "float32", "derived")
DENSE: tuple[Any, ...] = ({"type": "dense", "units": 3},)
Edit = Callable[[Frame], None]


def objective_of(*layers: Any, x: tuple[int, ...] = (2,), loss: str = "squared_error") -> Objective:
    network_plan = plan_network([Layer.parse(layer) for layer in layers], x)
    return Objective(network_plan, Loss.parse(loss), 5, np.float64, 0, retain=True, need_dx=True)


def found(
    *layers: Any, n: int = 4, x: Array = X, t: Array = T, scale: float = 1.0, loss: str = "squared_error"
) -> dict[str, LawRow]:
    """The laws of a network, by name."""
    objective = objective_of(*layers, x=x.shape[1:], loss=loss)
    objective.theta *= scale
    batch = objective.batch(n)
    batch.load(x, t, np.arange(n))
    with np.errstate(all="ignore"):
        rows = laws(objective, batch, x, t, 0)
    assert tuple(row.name for row in rows) == NAMES
    return {row.name: row for row in rows}


def behind(monkeypatch: pytest.MonkeyPatch, part: type, method: str, edit: Edit) -> None:
    """Lets a kernel do something more."""
    right = getattr(part, method)

    def wrong(self: Any, f: Frame, *train: bool) -> Any:
        value = right(self, f, *train)
        edit(f)
        return value

    monkeypatch.setattr(part, method, wrong)


def broken(rows: dict[str, LawRow]) -> dict[str, str]:
    return {name: row.note for name, row in rows.items() if row.holds is False}


def test_a_right_network_obeys_them_all() -> None:
    rows = found(*DENSE, "tanh", {"type": "dense", "units": 3})
    assert [row.holds for row in rows.values()] == [True] * 6
    assert [row.note for row in rows.values()] == [""] * 6
    assert rows["re-entrant"].worst == 0
    assert 0 < rows["linear"].worst < 1e-14
    assert rows["batch"].worst < 1e-14
    assert rows["permutation"].worst < 1e-14
    assert 1e-9 < rows["float32"].worst < 1e-5


# ----------------------------------------------------------------------------------------------- twice the same numbers
def add(name: str, value: float) -> Edit:
    def edit(f: Frame) -> None:
        getattr(f, name)[...] += value

    return edit


@pytest.mark.parametrize(
    ("method", "name"), [("backward", "W"), ("forward", "W"), ("forward", "x"), ("backward", "dy")]
)
def test_a_kernel_that_changes_what_it_reads(method: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    behind(monkeypatch, Dense, method, add(name, 0.5))
    row = found(*DENSE)["re-entrant"]
    assert (row.holds, row.worst, row.note) == (False, math.inf, f"dense_1 changes its {name}")


def test_a_kernel_that_changes_several_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    behind(monkeypatch, Dense, "backward", add("W", 0.5))
    behind(monkeypatch, Dense, "backward", add("x", 0.5))
    assert found(*DENSE)["re-entrant"].note == "dense_1 changes its x, W"


@pytest.mark.parametrize(
    ("method", "name"), [("forward", "y"), ("backward", "dx"), ("backward", "dW"), ("backward", "db")]
)
def test_a_kernel_whose_second_call_gives_something_else(
    method: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = [0.0]

    def grow(f: Frame) -> None:
        calls[0] += 0.25
        getattr(f, name)[...] += calls[0]

    behind(monkeypatch, Dense, method, grow)
    row = found(*DENSE)["re-entrant"]
    assert row.note == f"dense_1: {name} is another when computed a second time"
    assert row.holds is False
    assert row.worst == pytest.approx(0.25, rel=1e-9)


def test_backward_alone_a_second_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a forward pass it is right once: then it stands on what it left."""
    behind(monkeypatch, Tanh, "backward", add("y", 0.25))
    row = found(*DENSE, "tanh")["re-entrant"]
    assert row.note == "tanh_1: dx is another when computed a second time"


def test_a_loss_that_changes_what_it_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("x", "t"):
        with monkeypatch.context() as patch:
            behind(patch, SquaredError, "backward", add(name, 0.5))
            behind(patch, SquaredError, "backward", lambda f: f.dx.fill(0.25))
            row = found(*DENSE)["re-entrant"]
        assert (row.holds, row.worst, row.note) == (
            False,
            math.inf,
            "loss changes its outputs, its targets or the weights of its rows",
        )


def test_a_gradient_that_is_no_number_twice_is_the_same_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    behind(monkeypatch, SquaredError, "backward", lambda f: f.dx.fill(np.nan))
    assert found(*DENSE)["re-entrant"].note == ""


def test_a_loss_whose_second_gradient_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = [0.0]

    def grow(f: Frame) -> None:
        calls[0] += 0.125
        f.dx[...] += calls[0]

    behind(monkeypatch, SquaredError, "backward", grow)
    row = found(*DENSE)["re-entrant"]
    assert row.note == "loss: dx is another when computed a second time"
    assert row.worst == pytest.approx(0.125, rel=1e-9)


def after_backward(monkeypatch: pytest.MonkeyPatch, edit: Callable[[Batch, bool], None]) -> None:
    right = Batch.backward

    def wrong(self: Batch, train: bool) -> None:
        right(self, train)
        edit(self, train)

    monkeypatch.setattr(Batch, "backward", wrong)


def test_a_whole_pass_that_moves_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    def step(batch: Batch, train: bool) -> None:
        for bound in batch.chain.layers:
            bound.frame.W[...] -= 0.1

    after_backward(monkeypatch, step)
    objective = objective_of(*DENSE, *DENSE)
    theta, batch = objective.theta.copy(), objective.batch(4)
    batch.load(X, T, np.arange(4))
    row = laws(objective, batch, X, T, 0)[0]
    np.testing.assert_array_equal(objective.theta, theta)
    assert (row.holds, row.worst) == (False, math.inf)
    assert row.note == "the pass backward moves dense_1.W, dense_2.W: all that comes after sees updated weights"


def test_gradients_that_are_never_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Array] = []

    def accumulate(batch: Batch, train: bool) -> None:
        (bound,) = batch.chain.layers
        if not train:
            return
        kept.append(bound.frame.dW.copy())
        bound.frame.dW[...] = sum(kept)

    after_backward(monkeypatch, accumulate)
    row = found(*DENSE)["re-entrant"]
    assert row.note == (
        "the gradient of the whole network is another when computed a second time: it grows by the same every time, "
        "and is never set back to 0"
    )
    assert row.holds is False
    assert row.worst == pytest.approx(np.abs(kept[0]).max())


def test_a_whole_pass_that_draws_by_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    after_backward(monkeypatch, lambda batch, train: batch.chain.layers[0].frame.dW.fill(rng.normal()))
    row = found(*DENSE)["re-entrant"]
    assert row.note == "the gradient of the whole network is another when computed a second time"


# --------------------------------------------------------------------------------------------------------------- linear
@pytest.mark.parametrize(
    "edit", [lambda f: np.multiply(f.dx, np.abs(f.dy).sum(), out=f.dx), lambda f: np.add(f.dx, 1e-9, out=f.dx)]
)
def test_a_backward_that_is_not_linear(edit: Edit, monkeypatch: pytest.MonkeyPatch) -> None:
    """It multiplies two errors, or gives something for none."""
    behind(monkeypatch, Tanh, "backward", edit)
    row = found(*DENSE, "tanh")["linear"]
    assert row.holds is False
    assert row.note == "tanh_1: dx is not linear in the error that arrives (dy)"
    assert row.worst > 1e-10


def test_what_was_added_up_without_an_error_is_seen_in_a_parameter_too(monkeypatch: pytest.MonkeyPatch) -> None:
    behind(monkeypatch, Dense, "backward", add("db", 1e-3))
    row = found(*DENSE)["linear"]
    assert row.note == "dense_1: db is not linear in the error that arrives (dy)"


# ------------------------------------------------------------------------------------------------------ rows of a batch
def test_a_batch_that_is_a_sum_of_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    behind(monkeypatch, SquaredError, "backward", lambda f: np.multiply(f.dx, len(f.x), out=f.dx))
    row = found(*DENSE)["batch"]
    assert row.note == "the gradient of the batch is not the mean of its rows': it is 4 times that (N = 4)"
    assert row.holds is False
    assert row.worst == pytest.approx(0.75)


def test_a_batch_that_forgets_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def forget(f: Frame) -> None:
        if len(f.dx) > 1:
            f.dx[-1] = 0

    behind(monkeypatch, SquaredError, "backward", forget)
    rows = found(*DENSE)
    assert rows["batch"].note == "the gradient of the batch is not the mean of its rows'"
    assert rows["permutation"].note == "the gradient changes when the rows change places"
    assert rows["permutation"].holds is False
    assert rows["permutation"].worst > 1e-3


def test_rows_that_lean_on_each_other_in_training_alone_are_no_break() -> None:
    rows = found(*DENSE, "batch_norm")
    assert broken(rows) == {}


def test_of_one_row_nothing_is_said() -> None:
    rows = found(*DENSE, n=1)
    for name in ("batch", "permutation"):
        assert (rows[name].holds, rows[name].worst, rows[name].note) == (None, 0.0, "there is one row")


def test_chance_belongs_to_a_place_and_not_to_a_row() -> None:
    assert broken(found(*DENSE, {"type": "dropout", "rate": 0.5})) == {}


def test_a_gradient_of_nothing_obeys(monkeypatch: pytest.MonkeyPatch) -> None:
    behind(monkeypatch, SquaredError, "backward", lambda f: f.dx.fill(0))
    rows = found(*DENSE)
    assert broken(rows) == {}
    assert (rows["batch"].worst, rows["permutation"].worst) == (0, 0)


# -------------------------------------------------------------------------------------------------------------- float32
def narrow(edit: Edit) -> Edit:
    def only(f: Frame) -> None:
        if f.dx is not None and f.dx.dtype == np.float32:
            edit(f)

    return only


@pytest.mark.parametrize(("name", "tensor"), [("dW", "dense_1.W"), ("db", "dense_1.b"), ("dx", "x")])
def test_a_kernel_that_is_off_in_float32(name: str, tensor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    behind(monkeypatch, Dense, "backward", narrow(lambda f: getattr(f, name).__imul__(1.01)))
    row = found(*DENSE)["float32"]
    assert row.holds is False
    assert row.note == f"{tensor}: float32 is off by 1.0e-02 of its largest entry"
    assert row.worst == pytest.approx(0.01, rel=1e-3)


def test_the_tensor_that_is_farthest_off_in_float32_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def off(f: Frame) -> None:
        f.dW *= 1.01
        f.db *= 1.02

    behind(monkeypatch, Dense, "backward", narrow(off))
    assert found(*DENSE)["float32"].note == "dense_1.b: float32 is off by 2.0e-02 of its largest entry"


def test_a_bar_for_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    for off, holds in ((9e-5, True), (1.2e-4, False)):
        with monkeypatch.context() as patch:
            behind(patch, Dense, "backward", narrow(lambda f, off=off: f.dW.__imul__(1 + off)))  # type: ignore[misc]
            assert found(*DENSE)["float32"].holds is holds, off


def test_a_gradient_that_is_none_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    behind(monkeypatch, Dense, "backward", narrow(lambda f: f.dW.__setitem__((0, 0), np.nan)))
    row = found(*DENSE)["float32"]
    assert (row.holds, row.worst, row.note) == (False, math.inf, "dense_1.W: in float32 its gradient is not finite")


def test_a_loss_beyond_float32_shows_nothing() -> None:
    for row in (found(*DENSE, scale=1e39)["float32"], found(*DENSE, scale=60.0, loss="poisson")["float32"]):
        assert (row.holds, row.worst, row.note) == (None, 0.0, "the loss is beyond the numbers of float32")


ONE_HOT = """\
from typing import Literal
import numpy as np
from bpcli.custom import Layer, Plan

class OneHot(Layer):
    type: Literal["one_hot"] = "one_hot"

    def plan(self, x):
        return Plan(y=(3 * x[0],), tokens=3)

    def forward(self, f, train):
        f.y[...] = (f.x[..., None] == np.arange(3)).reshape(f.y.shape)

    def backward(self, f, train):
        f.dx.fill(0)
"""


def test_without_a_gradient_float32_is_not_compared(own: Path) -> None:
    (own / "one_hot.py").write_text(ONE_HOT)
    custom.load([own / "one_hot.py"])
    row = found("one_hot", x=np.arange(10.0).reshape(5, 2) % 3, t=RNG.normal(size=(5, 6)))["float32"]
    assert (row.holds, row.worst, row.note) == (None, 0.0, "there is no gradient to compare")


def test_chance_in_float32_is_that_of_float64() -> None:
    """Numbers are drawn anew for both, from the same seed."""
    row = found(*DENSE, {"type": "dropout", "rate": 0.5})["float32"]
    assert row.holds is True


def test_whole_numbers_that_stand_for_things_have_no_gradient() -> None:
    rows = found({"type": "embedding", "tokens": 6, "units": 2}, "flatten", *DENSE, x=np.arange(10.0).reshape(5, 2) % 6)
    assert broken(rows) == {}


# ------------------------------------------------------------------------------------------------- stated and derived
def test_a_statement_that_is_another_function_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no kernel is run, too."""
    right = Tanh.equations

    def wrong(self: Tanh, train: bool, x: tuple[int, ...]) -> Any:
        return [
            replace(e, right=f"where(x[n,...] < 200, {e.right}, dy[n,...])") if e.left.startswith("dx") else e
            for e in right(self, train, x)
        ]

    monkeypatch.setattr(Tanh, "equations", wrong)
    row = found(*DENSE, "tanh")["derived"]
    assert row.holds is False
    assert row.note.startswith("tanh_1.dx as stated is another function than the derivative of the forward equations")


def test_parts_that_state_nothing_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    for part in (Dense, SquaredError):
        monkeypatch.setattr(part, "equations", lambda *_: ())
    row = found(*DENSE)["derived"]
    assert (row.holds, row.note) == (None, "no gradient is stated")
