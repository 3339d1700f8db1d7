"""Parts of a user's own that an experiment uses are examined where they stand in it, each once; and what an examination
runs them with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_parts import GAIN, SQUARE, STEP, changed
from own_parts import own as own
from trace_nets import dense, experiment, trace_target

from bpcli.family import Layer, Loss, Regularizer, Schedule, ShapeError
from bpcli.family.plan import Sample
from bpcli.parts.layers.conv.conv2d import Conv2d
from bpcli.records.training import Failure, Problem
from bpcli.studies.custom import load as custom
from bpcli.studies.custom.contract import examine
from bpcli.studies.custom.sandbox import BrokenRuleError, frame_name

RNG = np.random.default_rng(0)
X, T = RNG.normal(size=(5, 4)), RNG.normal(size=(5, 2))
Y = "np.multiply(f.h, f.g, out=f.y)"
SLOW = "f.y[...] = f.h * f.g"
RATE = {"type": "constant", "value": 0.1}
RIDGE = """\
from typing import Literal

import numpy as np

from bpcli.custom import Regularizer


class Ridge(Regularizer):
    \"\"\"A sum of squares.\"\"\"

    type: Literal["ridge"] = "ridge"
    quadratic = True

    def value(self, w, scratch):
        return 0.5 * float(w @ w)

    def add_grad(self, w, g, scratch):
        np.add(g, w, out=g)
"""


def load(text: str, file: str = "mine.py") -> Any:
    Path(file).write_text(text)
    (leaf,) = custom.load([Path(file)])
    return leaf


def warnings_of(layers: Any, loss: Any = "squared_error", **more: Any) -> tuple[Problem, ...]:
    return trace_target(experiment(layers, loss, X, T, **more)).warnings


def failure_of(layers: Any, loss: Any = "squared_error", **more: Any) -> Problem:
    with pytest.raises(Failure) as raised:
        warnings_of(layers, loss, **more)
    return raised.value.problems[0]


def test_nothing_is_examined_where_nothing_was_loaded() -> None:
    assert warnings_of([dense(3), dense(2)]) == ()


def test_a_layer_is_examined_once_for_each_shape_of_rows(own: Path) -> None:
    load(changed(GAIN, (Y, SLOW)))
    found = [p for p in warnings_of(["gain", "gain", dense(3), "gain", dense(2)]) if p.code == "allocates"]
    assert [(p.path, p.text) for p in found] == [
        (("gain_1",), "Gain.forward asks for 32 bytes a row in every step: right, but slow"),
        (("gain_3",), "Gain.forward asks for 24 bytes a row in every step: right, but slow"),
    ]


def test_of_the_packages_own_parts_none_is_examined(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load(GAIN)
    examined: list[str] = []
    monkeypatch.setattr("bpcli.studies.custom.contract.examine", lambda part, *args: examined.append(part.kind) or ())
    warnings_of([dense(4), "gain", dense(2)])
    assert examined == ["gain"]


def test_an_error_is_raised_where_the_part_stands(own: Path) -> None:
    load(changed(GAIN, (Y, "f.y = f.h * f.g")))
    residual = {"type": "residual", "layers": ["gain"]}
    assert failure_of([dense(4), residual, dense(2)]).path == ("residual_1.gain_1",)
    load(changed(SQUARE, ("return 0.5 *", "0.5 *")), "mine_loss.py")
    found = failure_of([dense(2)], "square")
    assert (found.path, found.text) == (("loss",), "Square.forward returns nothing")
    load(RIDGE.replace("return 0.5 *", "return 2 *"), "ridge.py")
    found = failure_of([dense(2)], regularization="ridge")
    assert found.path == ("penalty",)
    assert found.text.startswith("Ridge declares quadratic, and its gradient does not grow with each weight")
    load(changed(STEP, ("np.subtract(f.w, f.s, out=f.w)", "np.subtract(f.w, f.s)")), "step.py")
    found = failure_of([dense(2)], optimizer={"type": "downhill", "learning_rate": 0.1})
    assert (found.path, found.text) == (("optimizer",), "Downhill.update leaves f.w as it was, in 3 steps")


def test_good_parts_of_every_family_are_used(own: Path) -> None:
    load(SQUARE, "mine_loss.py")
    load(RIDGE, "ridge.py")
    load(STEP, "step.py")
    load(GAIN)
    more = {"regularization": "ridge", "optimizer": {"type": "downhill", "learning_rate": 0.1}}
    assert [p for p in warnings_of(["gain", dense(2)], "square", **more) if p.code != "no-equations"] == []


def test_a_layer_is_shown_the_rows_that_reach_it(own: Path) -> None:
    """And the loss the outputs and targets of the network."""
    load(changed(GAIN, (Y, f"assert (f.x > 0).all()\n        {Y}")))
    assert failure_of(["gain", dense(2)]).text.startswith("Gain.forward raises AssertionError")
    warnings_of(["sigmoid", "gain", dense(2)])
    load(changed(SQUARE, ("        np.subtract(f.x, f.t, out=f.e)", "        assert (f.t < 0.5).all()\n"
                          "        np.subtract(f.x, f.t, out=f.e)")), "mine_loss.py")  # fmt: skip
    assert "AssertionError" in failure_of([dense(2)], "square").text
    low = experiment([dense(2)], "square", X, np.full((5, 2), 0.25))
    assert trace_target(low).objective.loss.kind == "square"


def test_an_experiment_of_one_row_is_examined_on_three(own: Path) -> None:
    load(changed(GAIN, (Y, f"assert len(f.x) > 1\n        {Y}")))
    trace_target(experiment(["gain", dense(2)], "squared_error", X[:1], T[:1]))


# -------------------------------------------------------------------------------------------------- what it is run with
def test_steps_of_an_optimizer_are_counted_from_1(own: Path) -> None:
    step = load(changed(STEP, ("        np.subtract(f.w", "        if t == 1: np.subtract(f.w")))
    assert examine(step(learning_rate=RATE), ()) == ()
    late = load(changed(STEP, ("        np.subtract(f.w", "        if t > 3: np.subtract(f.w")))
    assert [p.text for p in examine(late(learning_rate=RATE), ())] == [
        "Downhill.update leaves f.w as it was, in 3 steps"
    ]


def test_an_optimizer_has_weights_and_no_rows(own: Path) -> None:
    step = load(changed(STEP, ("        np.subtract(f.w", "        f.x\n        np.subtract(f.w")))
    (problem,) = examine(step(learning_rate=RATE), ())
    assert problem.text == "Downhill.update raises AttributeError: 'Frame' object has no attribute 'x'"
    half = load(
        changed(STEP, ("        np.subtract(f.w", "        assert f.D == len(f.w) // 2\n        np.subtract(f.w"))
    )
    assert examine(half(learning_rate=RATE), ()) == ()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_optimizer_gets_the_numbers_of_the_run(dtype: Any, own: Path) -> None:
    text = changed(STEP, ("        np.subtract(f.w", f"        assert f.g.dtype == f.s.dtype == np.{dtype.__name__}\n"
                          "        np.subtract(f.w"))  # fmt: skip
    assert examine(load(text)(learning_rate=RATE), (), dtype=dtype) == ()


def test_a_shorter_batch_is_one_of_training(own: Path) -> None:
    two = f"assert len(f.x) != 2 or not train\n        {Y}"
    assert examine(load(changed(GAIN, (Y, two)))(), (4,))[0].text.startswith("Gain.forward raises AssertionError")
    other = load(
        changed(
            GAIN,
            (Y, two.replace("not train", "train")),
        )
    )
    assert examine(other(), (4,)) == ()


def test_rows_of_their_own_are_as_many_as_it_takes(own: Path) -> None:
    gain = load(changed(GAIN, (Y, f"assert f.x.min() == f.x.max() == 0.5\n        {Y}")))
    rows = {"x": np.full((3, 4), 0.5)}
    assert examine(gain(), (4,), inputs=rows) == ()
    assert examine(gain(), (4,))[0].level == "error"


def test_a_mask_that_is_never_written_is_seen(own: Path) -> None:
    """Truth values in memory are true one time and false the other."""
    mask = ('keep={"h": Slot((N, *x))}', 'keep={"h": Slot((N, *x)), "m": Slot((N, *x), "bool")}')
    read = (
        "np.multiply(f.dy, f.s, out=f.dx)",
        "np.multiply(f.dy, f.s, out=f.dx)\n        np.multiply(f.dx, f.m, out=f.dx)",
    )
    problem = examine(load(changed(GAIN, mask, read))(), (4,))[0]
    assert problem.text == "f.dx depends on what stood in memory before Gain.backward"
    written = ("np.tanh(f.x, out=f.h)", "np.tanh(f.x, out=f.h)\n        np.greater(f.x, 0, out=f.m)")
    assert all(p.level == "warning" for p in examine(load(changed(GAIN, mask, read, written))(), (4,)))


def test_the_name_that_a_method_gives_its_frame(own: Path) -> None:
    part = load(
        changed(
            GAIN,
            (
                "def forward(self, f, train):\n        np.tanh(f.x, out=f.h)\n",
                "def forward(self, frame, train):\n        f = frame\n        np.tanh(f.x, out=f.h)\n",
            ),
        )
    )()
    assert [frame_name(part, method) for method in ("forward", "backward", "no_such", "kind")] == [
        "frame",
        "f",
        "f",
        "f",
    ]
    assert str(BrokenRuleError(Problem("what is wrong", "contract"))) == "what is wrong"


def test_what_the_package_raises_is_no_rule_that_was_broken(own: Path) -> None:
    """Rows that a layer does not take."""
    with pytest.raises(ShapeError):
        examine(Conv2d(filters=2, kernel=3), (4,))


def test_of_other_families_nothing_is_examined() -> None:
    assert examine(Sample(Loss.parse("squared_error"), (2,)).part, (2,)) == ()
    assert examine(Regularizer.parse({"type": "l1", "strength": 0.1}), ()) == ()
    assert examine(Layer.parse("tanh"), (2,)) == ()
    assert examine(Schedule.parse({"type": "constant", "value": 0.1}), ()) == ()


def test_a_penalty_that_is_a_sum_of_squares(own: Path) -> None:
    ridge = load(RIDGE)
    assert examine(ridge(), ()) == ()
    for old, new in (("np.add(g, w, out=g)", "np.add(g, np.sign(w), out=g)"), ("0.5 *", "0.7 *")):
        (problem,) = examine(load(changed(RIDGE, (old, new)))(), ())
        assert problem.text == (
            "Ridge declares quadratic, and its gradient does not grow with each weight, or is not that of its value"
        )
        assert problem.help == "it is then sum_j c_j w_j^2, with the gradient 2 c_j w_j; else leave `quadratic` out"
        assert (problem.line, problem.level) == (17, "error")
    plain = load(changed(RIDGE, ("    quadratic = True\n", ""), ("0.5 *", "0.7 *")))
    assert examine(plain(), ()) == (), "of others nothing is known"


@pytest.mark.parametrize(
    ("factor", "least", "problem"),
    [
        ("0.5 *", True, ""),
        ("0.5 *", False, ""),
        ("3.0 *", True, "declares least_squares"),
        ("0.1 + 0.5 *", True, "declares least_squares"),
        ("0.1 + 0.5 *", False, ""),
    ],
)
def test_a_loss_that_declares_itself_a_sum_of_squares(factor: str, least: bool, problem: str, own: Path) -> None:
    declared = '"square"\n    least_squares: ClassVar[bool] = True\n' if least else '"square"\n'
    text = changed(SQUARE, ("return 0.5 *", f"return {factor}"), ('= "square"\n', f"= {declared}"),
                   ("import Literal", "import ClassVar, Literal"))  # fmt: skip
    found = [p.text for p in examine(load(text)(), (4,)) if p.level == "error"]
    assert bool(found) == bool(problem)
    assert all(problem in text for text in found)


def test_a_sum_of_squares_that_is_none_where_errors_are_large(own: Path) -> None:
    text = changed(SQUARE, ("return 0.5 * float(np.vdot(f.e, f.e)) / len(f.x)",
                            "e = np.minimum(np.abs(f.e), 20)\n        return 0.5 * float(np.vdot(e, e)) / len(f.x)"),
                   ('= "square"\n', '= "square"\n    least_squares: ClassVar[bool] = True\n'),
                   ("import Literal", "import ClassVar, Literal"))  # fmt: skip
    (problem,) = examine(load(text)(), (4,))
    assert problem.text.startswith("Square declares least_squares, and forward returns ")
