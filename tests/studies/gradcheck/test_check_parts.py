"""Parts alone: those of the package by their samples, and one of a user's own in a network that is made for it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_parts import EQUATIONS, GAIN, SQUARE, STEP, changed
from own_parts import own as own

from bpcli.family import Frame, Initializer, Layer, Loss, Metric, Regularizer
from bpcli.family.plan import Sample
from bpcli.parts.activations import Relu, Tanh
from bpcli.parts.optimizers.sgd import Sgd
from bpcli.records.training import Failure
from bpcli.studies.custom.load import load
from bpcli.studies.gradcheck.check_parts import (
    _samples_of_layer,
    _target_around,
    check_own,
    check_part,
    kind,
    parts_with_laws,
)


def own_part(text: str) -> Any:
    Path("mine.py").write_text(text)
    (leaf,) = load([Path("mine.py")])
    return leaf


# ------------------------------------------------------------------------------------------------------- of the package
def test_every_part_that_has_laws_comes_once() -> None:
    found = list(parts_with_laws())
    assert len(found) == len(set(found))
    names = {f"{leaf.family}/{kind(leaf)}" for leaf in found}
    assert {"activation/tanh", "layer/dense", "loss/huber", "optimizer/adam", "schedule/cosine"} <= names
    assert not any(issubclass(leaf, Initializer | Metric) for leaf in found)
    assert len(names) > 80


def test_a_part_is_called_as_in_a_file() -> None:
    assert [kind(leaf) for leaf in (Tanh, Relu, Sgd)] == ["tanh", "relu", "sgd"]


def test_a_right_part() -> None:
    found = check_part(Tanh)
    samples = [s for s in Tanh.samples() if not s.error]
    assert (found.family, found.type, found.source, found.verdict) == ("activation", "tanh", "saturating.py", "ok")
    assert found.samples == len(samples)
    assert found.comparisons == 12 * len(samples), "y, dx four times and as a function, in training and at evaluation"
    assert 0 < found.worst < 1
    assert found.tensor in ("y", "dx")
    assert found.witness in ("equations", "derived", "complex step", "differences")
    assert (found.notes, found.findings) == ((), ())


def test_a_wrong_part(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Tanh.backward

    def wrong(self: Any, f: Frame, train: bool) -> None:
        right(self, f, train)
        f.dx *= 1.5

    monkeypatch.setattr(Tanh, "backward", wrong)
    found = check_part(Tanh)
    assert (found.verdict, found.tensor) == ("WRONG", "dx")
    assert found.worst > 1e6


def test_a_kink_is_no_worst_place() -> None:
    found = check_part(Relu)
    assert (found.verdict, found.worst < 1) == ("ok", True)


@pytest.mark.parametrize("part", ["optimizer/sgd", "clipping/value", "constraint/max_norm", "schedule/cosine"])
def test_parts_of_other_families(part: str) -> None:
    known = {f"{leaf.family}/{kind(leaf)}": leaf for leaf in parts_with_laws()}
    found = check_part(known[part])
    assert (found.verdict, f"{found.family}/{found.type}") == ("ok", part)
    assert found.comparisons > 0


def test_without_equations_a_layer_is_held_against_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tanh, "equations", lambda self, train, x: ())
    found = check_part(Tanh)
    assert (found.verdict, found.witness) == ("ok", "differences")
    assert found.notes == ("no equations are stated for tanh: its kernels are held against differences alone",)
    monkeypatch.setattr(Sgd, "equations", lambda self, *args: ())
    found = check_part(Sgd)
    assert (found.verdict, found.comparisons, found.worst, found.tensor) == ("not covered", 0, 0.0, "")
    assert found.notes == ("no equations are stated for sgd: nothing that it does can be proven",)


# ------------------------------------------------------------------------------------------------------ of a user's own
def test_a_step_of_ones_own_by_its_equations(own: Path) -> None:
    text = STEP.replace("import GradientOptimizer", "import Eq, GradientOptimizer, Sample") + (
        "\n    def equations(self):\n        return [Eq('w_new[j]', 'w[j] - lr * g[j]', 'down the slope')]\n"
        "\n    @classmethod\n    def samples(cls):\n"
        "        yield Sample(cls(learning_rate={'type': 'constant', 'value': 0.1}), (7,))\n"
    )
    report = check_own(own_part(text), 5)
    assert report.passed
    (first, *_) = report.tensors
    assert {(row.scope, row.entries, row.of, row.point, row.verdict) for row in report.tensors} == {
        ("step", 1, 1, "random", "ok"),
    }  # fmt: skip
    assert first.tensor.startswith("downhill.w_new")
    assert first.worst == first.gaps["equations"] <= first.bars["equations"]
    assert (report.name, report.weights, report.rows, report.batch, report.seed) == (
        "downhill", "random", "no rows", 0, 5,
    )  # fmt: skip
    assert report.evaluations == len(report.tensors)
    assert report.notes == ()
    wrong = check_own(own_part(text.replace("w[j] - lr * g[j]", "w[j] - 2 * lr * g[j]")))
    assert not wrong.passed
    row = next(row for row in wrong.tensors if row.verdict == "WRONG")
    assert row.worst > row.bars["equations"]
    assert row.worst == pytest.approx(abs(row.kernel - row.numeric) / max(abs(row.kernel), abs(row.numeric)))


def test_a_step_without_equations_is_not_covered(own: Path) -> None:
    rate = "learning_rate={'type': 'constant', 'value': 0.1}"
    text = STEP.replace("import GradientOptimizer", "import GradientOptimizer, Sample") + (
        f"\n    @classmethod\n    def samples(cls):\n        yield Sample(cls({rate}), (7,))\n"
    )
    report = check_own(own_part(text))
    (row,) = report.tensors
    assert (row.scope, row.tensor, row.verdict, row.entries, row.of) == (
        "step", "downhill, every step", "not covered", 0, 1,
    )  # fmt: skip
    assert math.isnan(row.kernel)
    assert report.notes == ("it has no equations, so what it does in a step cannot be proven",)
    assert report.evaluations == 0


def test_a_part_of_a_family_without_laws_has_nothing_to_compare(own: Path) -> None:
    text = (
        "from typing import Literal\nfrom bpcli.custom import Initializer\n\n\nclass Ones(Initializer):\n"
        '    type: Literal["own_ones"] = "own_ones"\n\n    def fill(self, out, fan_in, fan_out, rng):\n'
        "        out.fill(1)\n"
    )
    report = check_own(own_part(text))
    assert report.tensors == ()
    assert report.notes == ("a part of the family initializer has no gradient and no equations to compare with",)


def test_a_part_that_cannot_be_made(own: Path) -> None:
    with pytest.raises(Failure) as raised:
        check_own(own_part(changed(GAIN, ('"gain"\n', '"gain"\n    slope: float\n    rate: int\n'))))
    (problem,) = raised.value.problems
    assert problem.text == "Gain cannot be made without settings (slope, rate)"
    assert problem.help.startswith("give them defaults, or declare one case: `def samples(cls): yield Sample(")
    assert problem.file == "mine.py"


def test_a_part_that_breaks_a_rule_is_not_checked(own: Path) -> None:
    with pytest.raises(Failure, match=r"Gain\.forward binds f\.y to an object of its own"):
        check_own(own_part(changed(GAIN, ("np.multiply(f.h, f.g, out=f.y)", "f.y = f.h * f.g"))))


def test_what_is_right_but_slow_is_a_warning(own: Path) -> None:
    text = SQUARE.replace("np.subtract(f.x, f.t, out=f.e)", "f.e[...] = f.x - f.t")
    report = check_own(own_part(text))
    assert [p.code for p in report.warnings] == ["allocates"]
    assert report.passed


def test_a_layer_that_takes_none_of_the_usual_rows(own: Path) -> None:
    raises = changed(GAIN, ("        params = {", "        raise ShapeError(f'not {len(x)}', '')\n        params = {"),
                     ("Param, Plan,", "Param, Plan, ShapeError,"))  # fmt: skip
    part = own_part(raises)()
    with pytest.raises(Failure) as raised:
        _samples_of_layer(part)
    (problem,) = raised.value.problems
    assert problem.text == "Gain takes none of the rows (5,), (4, 2), (5, 4, 2): not 1"
    assert problem.help.startswith("declare a case that it takes: `def samples(cls)")


# ---------------------------------------------------------------------------------------------- the network made for it
def test_an_activation_stands_alone_and_another_layer_before_a_dense_one() -> None:
    def layers(layer: Any, x: tuple[int, ...]) -> list[str]:
        target, shape = _target_around(Sample(Layer.parse(layer), x), 0)
        assert shape == x
        assert target.x.shape == (7, *x)
        return [node.path for node in target.objective.network.network_plan.walk()]

    assert layers("tanh", (5,)) == ["tanh_1"]
    assert layers("layer_norm", (5,)) == ["layer_norm_1", "dense_1"]
    assert layers("tanh", (4, 2)) == ["tanh_1", "flatten_1"]
    assert layers({"type": "conv2d", "filters": 2, "kernel": 2}, (4, 4, 1)) == ["conv2d_1", "flatten_1"]


def test_the_target_of_a_part() -> None:
    target, _ = _target_around(Sample(Layer.parse("tanh"), (5,), scale=3.0), 0)
    assert (target.name, target.weights, target.rows) == ("tanh", "random", "random numbers")
    assert 2 < np.std(target.x) < 4
    assert target.objective.loss.kind == "squared_error"
    assert 0.1 <= target.t.min() < target.t.max() <= 0.9
    other, _ = _target_around(Sample(Layer.parse("tanh"), (5,), scale=3.0), 1)
    assert (other.x != target.x).all()


def test_rows_and_weights_of_a_sample_are_taken_over() -> None:
    rows = {"x": [[0.5, 1.5]], "W": np.full((2, 3), 0.25)}
    sample = Sample(Layer.parse({"type": "dense", "units": 3}), (2,), inputs=rows)
    target, _ = _target_around(sample, 0)
    np.testing.assert_array_equal(target.x, [[0.5, 1.5]] * 7)
    assert (target.objective.network.parameters()["dense_1.W"] == 0.25).all()


def test_numbers_that_stand_for_things_are_drawn_among_them() -> None:
    target, _ = _target_around(Sample(Layer.parse({"type": "embedding", "tokens": 4, "units": 2}), (3, 3)), 0)
    assert set(np.unique(target.x)) == {0, 1, 2, 3}


def test_targets_are_what_the_loss_takes() -> None:
    loss = Loss.parse("squared_error")
    target, shape = _target_around(Sample(loss, (5,)), 0)
    assert target.objective.loss is loss
    assert target.t.shape == (7, *shape)
    classes, shape = _target_around(Sample(Loss.parse("softmax_cross_entropy"), (4,)), 0)
    assert classes.t.shape == (7,)
    assert set(np.unique(classes.t)) <= set(range(shape[-1]))
    penalty = Regularizer.parse({"type": "l1", "strength": 0.1})
    around, _ = _target_around(Sample(penalty, (5,)), 0)
    assert [p for p, _, _ in around.objective.penalties] == [penalty]


def test_a_right_layer_of_ones_own_with_equations(own: Path) -> None:
    assert check_own(own_part(GAIN + EQUATIONS)).passed
