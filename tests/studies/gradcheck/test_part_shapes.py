"""A part of one's own in other shapes and with other settings: which are tried, what is merged, and what is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bpcli.family import Frame, Layer, Loss, Sample
from bpcli.parts.activations import Tanh
from bpcli.records.gradcheck import Finding, GradcheckReport, LayerLaws, TensorRow
from bpcli.studies.gradcheck import part_shapes as module
from bpcli.studies.gradcheck.check_parts import _target_around
from bpcli.studies.gradcheck.part_shapes import (
    MULTIPLES,
    OUTPUT_SHAPES,
    SHAPES,
    PartCheck,
    PartFindings,
    _all,
    _notes,
    _other_settings,
    _other_shapes,
    _together,
    _worst,
    with_shapes,
)

TANH, DENSE = Layer.parse("tanh"), Layer.parse({"type": "dense", "units": 3})


def row(tensor: str, verdict: str = "ok", scope: str = "layer", **more: Any) -> TensorRow:
    base = TensorRow(scope, tensor, 1, 1, 0.0, (), 0.0, 0.0, "equations", "random", verdict, {"equations": 1e-12})
    return replace(base, **more)


def laws(layer: str = "tanh_1", **more: Any) -> LayerLaws:
    base = LayerLaws(layer, (3,), {"training": 1e-16, "evaluation": 2e-16}, {}, 1e-7, True, True, None)
    return replace(base, **more)


def report(*rows: TensorRow, **more: Any) -> GradcheckReport:
    base = GradcheckReport(
        "tanh", "random", "random numbers", 3, 0, ("data", "random"), 0, rows, (), (), ("a note",), 10, 1.0
    )
    return replace(base, **more)


class Parts:
    """What a check of a part finds, by the shape of its rows; and on which it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **wrong: str) -> None:
        self.asked: list[tuple[Any, tuple[str, ...], str]] = []
        self.wrong = wrong  # by shape or setting
        self.raises: tuple[Any, ...] = ()
        monkeypatch.setattr(module, "PartCheck", lambda sample, seed: self.at(sample))
        self.sample: Sample = Sample(TANH, (1,))

    def at(self, sample: Sample) -> Any:
        self.sample = sample
        return self

    def part_report(self, points: Sequence[str], scope: str) -> PartFindings:
        self.asked.append((self.sample.note or self.sample.x, tuple(points), scope))
        if self.sample.x in self.raises:
            raise IndexError("no such axis.\nmore")
        verdict = self.wrong.get(str(self.sample.note or self.sample.x), "ok")
        found = (Finding("tanh_1.dx", "factor-2", "twice"),) if verdict == "WRONG" else ()
        return PartFindings((row("tanh_1.dx", verdict, scope),), found, (laws(rows=(3, 9)),), 5)


def around(sample: Sample) -> Any:
    return sample


def shapes_of(part: Any, *known: tuple[int, ...]) -> list[tuple[int, ...]]:
    return [s.x for s in _other_shapes([Sample(part, x) for x in known])]


# -------------------------------------------------------------------------------------------------------- what is tried
def test_a_layer_is_tried_on_the_usual_shapes_and_on_what_it_puts_out() -> None:
    assert shapes_of(TANH, (5,)) == list(SHAPES)
    assert shapes_of(TANH, (17, 3), (2,)) == [x for x in SHAPES if x not in ((17, 3), (2,))]
    wide = Layer.parse({"type": "dense", "units": 9})
    assert shapes_of(wide, (4,)) == [*SHAPES, (9,)]
    assert shapes_of(wide, (9,)) == list(SHAPES), "that it was on already"


def test_a_loss_is_tried_on_few_and_many_outputs() -> None:
    assert shapes_of(Loss.parse("squared_error"), (2,)) == [x for x in OUTPUT_SHAPES if x != (2,)]


def test_where_a_shape_is_refused_a_multiple_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    def even(part: Any, x: tuple[int, ...]) -> tuple[int, ...]:
        if any(d % 2 for d in x):
            raise ValueError("odd")
        return x

    monkeypatch.setattr(module, "_plan", even)
    found = shapes_of(TANH, (4,))
    assert found[:3] == [(2,), (6,), (34,)]
    assert (130, 4) in found
    assert all(x in [tuple(m * d for d in s) for s in SHAPES for m in MULTIPLES] for x in found)
    monkeypatch.setattr(module, "_plan", lambda part, x: x if x == (4,) else even(part, (1,)))
    assert shapes_of(TANH, (4,)) == [x for x in SHAPES if x != (2,)], "as they are, so that the refusal is said"


def settings_of(part: Any, *others: Any) -> list[str]:
    return [s.note for s in _other_settings([Sample(part, (4,)), *(Sample(o, (4,)) for o in others)])]


def test_a_setting_that_is_the_same_in_all_samples_is_changed() -> None:
    leaky = Layer.parse({"type": "leaky_relu", "slope": 0.1})
    assert settings_of(leaky) == ["slope = 0.25"]
    assert settings_of(leaky, Layer.parse({"type": "leaky_relu", "slope": 0.2})) == []
    norm = Layer.parse({"type": "layer_norm", "eps": 0.5})
    assert set(settings_of(norm)) == {"eps = 0.45", "affine = False"}
    (changed,) = _other_settings([Sample(leaky, (4,))])
    assert (changed.part.slope, changed.x) == (0.25, (4,))
    assert settings_of(TANH) == []


# ------------------------------------------------------------------------------------------------------- what is merged
def test_of_what_is_no_worse_the_first_shape_is_shown() -> None:
    first, other = row("a", shape=()), row("a", shape=(2,), gaps={"equations": 1e-10, "differences": 1e-8})
    found = _worst([first, other])
    assert (found.shape, found.gaps) == ((), {"equations": 1e-10, "differences": 1e-8})
    assert _worst([first, replace(other, verdict="WRONG")]).shape == (2,)


def test_laws_of_several_shapes_are_one() -> None:
    one = laws(beside={"training": ("equations", 1e-9)}, note="first", threads=None)
    two = laws(
        rows=(1, 9), alone={"training": 3e-16, "evaluation": 1e-16}, float32=3e-7, scaled=False, threads=True,
        beside={"training": ("differences", 1e-8)}, note="second",
    )  # fmt: skip
    three = laws(alone={"training": None, "evaluation": 0.0}, float32=None, calls=None, note="first")
    both = _together([one, two])
    assert (both.layer, both.rows, both.alone) == ("tanh_1", (1, 3, 9), {"training": 3e-16, "evaluation": 2e-16})
    assert both.beside == {"training": ("differences", 1e-8)}
    assert (both.float32, both.scaled, both.calls, both.threads, both.note) == (
        3e-7,
        False,
        True,
        True,
        "first; second",
    )
    every = _together([one, two, three])
    assert (every.alone["training"], every.alone["evaluation"]) == (None, 2e-16)
    assert every.note == "first; second"
    assert _together([three]).float32 is None
    assert _together([laws(), two]).note == "second"
    assert [_all(iter(x)) for x in ([], [None], [True, None], [True, False])] == [None, None, True, False]


def test_notes_of_what_was_looked_at() -> None:
    def notes(*args: Any) -> list[str]:
        return list(_notes(*args))

    assert notes([], [], {}, []) == []
    assert notes([(2,), (3, 4)], ["slope = 0.25", "affine = False"], {"which plan refuses: no": [(5,), (6,)]}, []) == [
        "looked at on rows of shape (2,), (3, 4)",
        "looked at with other settings: slope = 0.25; affine = False",
        "not looked at on rows of shape (5,), (6,), which plan refuses: no",
    ]
    assert notes([], [], {}, [(2,)]) == ["not looked at on rows of 1 other shapes: first put right what is WRONG"]
    assert notes([(2,)], [], {}, [(3,), (4,)])[1].startswith("not looked at on rows of 2 more shapes")


# --------------------------------------------------------------------------------------------------------- all together
def test_a_right_layer_is_looked_at_in_every_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = Parts(monkeypatch)
    samples = [Sample(TANH, (5,)), Sample(TANH, (9,), inputs={"x": np.ones((2, 9))})]
    known = row("loss.dx", scope="loss"), row("tanh_1.dx", gaps={"equations": 1e-13})
    found = with_shapes(report(*known, layers=(laws(), laws("loss"))), samples, around, 0)
    assert [x for x, _, _ in parts.asked] == [(5,), (9,), *SHAPES]
    assert {scope for _, _, scope in parts.asked} == {"layer"}
    assert parts.asked[0][1] == module.SHAPE_POINTS
    assert parts.asked[1][1] == ("data", *module.SHAPE_POINTS), "on the rows that it brings"
    assert [r.tensor for r in found.tensors] == ["tanh_1.dx", "loss.dx"]
    assert found.tensors[0].gaps == {"equations": 1e-12}
    assert found.evaluations == 10 + 5 * (2 + len(SHAPES))
    assert found.points == ("data", "random", *(p for p in module.SHAPE_POINTS if p != "random"))
    assert found.notes == ("a note", f"looked at on rows of shape {', '.join(map(str, ((5,), (9,), *SHAPES)))}")
    assert [(x.layer, x.rows) for x in found.layers] == [("tanh_1", (3, 9)), ("loss", (3,))]
    assert found.seconds >= 1.0


def test_the_first_mistake_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = Parts(monkeypatch, **{"(3,)": "WRONG"})
    samples = [Sample(TANH, (5,))]
    found = with_shapes(report(row("tanh_1.dx")), samples, around, 0)
    assert [x for x, _, _ in parts.asked] == [(5,), (2,), (3,)]
    (wrong,) = found.tensors
    assert (wrong.verdict, wrong.shape) == ("WRONG", (3,))
    assert found.findings == (
        Finding("tanh_1.dx", "factor-2",
                "twice; where it is not meant for rows of shape (3,), let its plan raise ShapeError"),
    )  # fmt: skip
    assert found.notes[-1] == f"not looked at on rows of {len(SHAPES) - 2} more shapes: first put right what is WRONG"
    at_once = with_shapes(report(row("tanh_1.dx", "WRONG")), samples, around, 0)
    assert len(parts.asked) == 3, "what is wrong already is not looked at in other shapes"
    assert at_once.notes[-1].startswith(f"not looked at on rows of {1 + len(SHAPES)} other shapes")


def test_a_mistake_with_another_setting_names_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    leaky = Layer.parse({"type": "leaky_relu", "slope": 0.1})
    parts = Parts(monkeypatch, **{"slope = 0.25": "WRONG"})
    found = with_shapes(report(row("tanh_1.dx")), [Sample(leaky, (5,))], around, 0)
    assert parts.asked[-1][0] == "slope = 0.25"
    assert found.findings[0].text == "twice (with slope = 0.25)"
    assert found.notes[-1] == "looked at with other settings: slope = 0.25"


def test_shapes_that_are_refused_are_said_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = Parts(monkeypatch)
    parts.raises = ((17,), (65,))
    found = with_shapes(report(row("dense_1.dx")), [Sample(DENSE, (5,))], around, 0)
    (raised,) = (note for note in found.notes if "raises" in note)
    refused = found.notes[-1]
    assert raised == (
        "not looked at on rows of shape (17,), (65,), which plan accepts, and then the part raises IndexError: no such "
        "axis"
    )
    assert refused == (
        "not looked at on rows of shape (5, 2, 65), which plan refuses: dense_1: a dense layer takes rows of numbers, "
        "not rows of shape (5, 2, 65)"
    )


def test_a_sample_that_raises_is_no_shape_that_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = Parts(monkeypatch)
    parts.raises = ((5,),)
    with pytest.raises(IndexError):
        with_shapes(report(row("tanh_1.dx")), [Sample(TANH, (5,))], around, 0)


def test_a_loss_is_looked_at_by_its_own_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = Parts(monkeypatch)
    samples = [Sample(Loss.parse("squared_error"), (4,))]
    known = row("dense_1.dW"), row("loss.dx", scope="loss")
    found = with_shapes(report(*known), samples, around, 0)
    assert {scope for _, _, scope in parts.asked} == {"loss"}
    assert [x for x, _, _ in parts.asked if isinstance(x, tuple)] == [(4,), *OUTPUT_SHAPES]
    assert found.points == ("data", "random")
    assert [r.scope for r in found.tensors if r.tensor == "dense_1.dW"] == ["layer"]


def test_a_part_alone_is_its_layer_or_its_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {"x": np.full((1, 3), 0.125)}
    layer = _target_around(Sample(TANH, (3,), inputs=rows), 0)[0]
    found = PartCheck(layer, 0).part_report(("data", "random"), "layer")
    assert [(r.tensor, r.verdict) for r in found.rows] == [("tanh_1.dx", "ok")]
    assert found.findings == ()
    (of_layer,) = found.layers
    assert (of_layer.layer, of_layer.rows[:6]) == ("tanh_1", (5, 7, 16, 32, 33, 64))
    assert found.evaluations > 0
    loss = PartCheck(_target_around(Sample(Loss.parse("squared_error"), (3,)), 0)[0], 0).part_report((), "loss")
    assert [(r.tensor, r.verdict) for r in loss.rows] == [("loss.dx", "ok")]
    assert [x.layer for x in loss.layers] == ["loss"]
    right = Tanh.backward

    def wrong(self: Any, f: Frame, train: bool) -> None:
        right(self, f, train)
        f.dx[f.x == 0.125] *= 2

    monkeypatch.setattr(Tanh, "backward", wrong)
    found = PartCheck(layer, 0).part_report(("data",), "layer")
    assert [(r.tensor, r.verdict, r.point) for r in found.rows] == [("tanh_1.dx", "WRONG", "data")]
    assert [f.tensor for f in found.findings] == ["tanh_1.dx"]
