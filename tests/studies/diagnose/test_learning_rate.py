"""Where a learning rate lies in the range test and what is left of one batch, on both sides of every bound."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from experiments_to_diagnose import HIDDEN, RNG, X, config, worst
from hand_diagnosis import context_of, dense, measured, only, sets_of

from bpcli.records.diagnose import Symptom
from bpcli.studies.diagnose.diagnosis_context import DiagnosisContext, open_context
from bpcli.studies.diagnose.learning_rate import learning_rate, overfit_one_batch, remaining_loss
from bpcli.studies.diagnose.lr_range_test import RateRange

CLIP = "clipping={type: global_norm, max_norm: 1.0}"
ADAM = "optimizer={type: adam, learning_rate: 0.001}"
WIDE = "architecture.0.units=10"


def found_range(low: float = 0.01, best: float = 1.0, most: float | None = None, last: float = 0.5) -> RateRange:
    return RateRange(((1e-4, 1.0), (1.0, 0.1), (10.0, last)), low, best, most)


def rated(found: RateRange | None, rate: float = 0.1, left: float = 0.0, **more: Any) -> list[Symptom]:
    """The rate of a training in this range, of which `left` of one batch's loss is left at the end."""
    context = context_of(optimizer={"type": "sgd", "learning_rate": rate}, **more)
    context = measured(context, rate_range=found, constant=1.0, least_loss=0.0, overfit=(1.0, left))
    return learning_rate(context)


def test_a_rate_among_the_good_ones() -> None:
    found = only(rated(found_range()))
    assert (found.level, found.place, found.value) == ("ok", "", 0.1)
    assert found.measured == "learning rate, over the best of the range test"
    assert found.figure == "the loss falls from a rate of 0.01 on and is least at 1; the training has 0.1"
    assert only(rated(found_range(best=4.0))).value == 0.1 / 4
    exploding = only(rated(found_range(most=5.0)))
    assert exploding.figure.endswith("is least at 1; at 5 it explodes; the training has 0.1")


@pytest.mark.parametrize(("rate", "last", "level"), [
    (4.99, 2.0, "ok"), (5.0, 1.01, "warning"), (5.0, 1.0, "notice"), (99.0, 1.01, "warning"),
])  # fmt: skip
def test_a_rate_at_which_the_loss_explodes(rate: float, last: float, level: str) -> None:
    """A warning where the test ended higher than it began."""
    found = only(rated(found_range(most=5.0, last=last), rate))
    assert (found.level, found.value) == (level, rate)
    if level != "ok":
        assert sets_of(found) == ["optimizer.learning_rate=0.02", CLIP]  # between 0.01 and 0.1
        assert "goes so far beyond the valley" in found.why


@pytest.mark.parametrize(
    ("rate", "left", "level"),
    [(0.00101, 0.9, "ok"), (0.00099, 0.099, "notice"), (0.00099, 0.1, "warning"), (0.00099, 0.9, "warning")],
)
def test_a_rate_far_below_where_the_loss_begins_to_fall(rate: float, left: float, level: str) -> None:
    """A tenth of it; a warning where one batch cannot be learned by heart either."""
    found = only(rated(found_range(), rate, left))
    assert found.level == level
    if level != "ok":
        assert found.value == rate
        assert sets_of(found) == ["optimizer.learning_rate=0.02"]
        assert "changes next to nothing" in found.why


@pytest.mark.parametrize(("most", "level"), [(None, "notice"), (0.5, "warning")])
def test_no_rate_that_lowers_the_loss(most: float | None, level: str) -> None:
    found = only(rated(RateRange(((1e-4, 1.0), (1.0, 1.0)), math.nan, math.nan, most)))
    assert (found.level, found.figure, found.cures) == (level, "no rate from 0.0001 on lowers the loss", ())


def test_a_test_that_shows_nothing_at_all() -> None:
    found = only(rated(None))
    assert (found.level, found.figure) == ("warning", "no rate from 0.1 on lowers the loss")
    assert (found.check, found.place) == ("rates", "")


def test_no_rate_is_looked_for_where_there_is_none_or_all_is_trained() -> None:
    context = measured(context_of(optimizer="lbfgs", training={"batch_size": "full"}), rate_range=None)
    assert learning_rate(context) == []
    assert learning_rate(measured(context_of(), trained=True, rate_range=found_range())) == []


# ----------------------------------------------------------------------------------------------------------- by heart
def learned(*losses: float, least: float = 0.0, constant: float = 0.0, **more: Any) -> DiagnosisContext:
    context = context_of(more.pop("layers", None), **more)
    return measured(context, overfit=losses, least_loss=least, constant=constant, rate_range=found_range(0.1, 1.0))


@pytest.mark.parametrize(
    ("losses", "least", "constant", "left"),
    [((2.0, 0.5), 0.0, 0.0, 0.25), ((2.0, 9.0, 0.5), 0.0, 1.0, 0.25), ((2.0, 1.0), 0.5, 0.0, 1 / 3),
     ((2.0, 1.0), 0.5, 4.5, 0.125), ((1.0, 1.0), 1.0, 0.5, 0.0), ((0.5, 0.7), 1.0, 0.5, 0.0),
     ((1.0, 3.0), 0.0, 0.0, 3.0)],
)  # fmt: skip
def test_what_is_left_of_the_way_to_the_least_loss(
    losses: tuple[float, ...], least: float, constant: float, left: float
) -> None:
    """From the first loss on, or from that of the best constant where this is larger."""
    assert remaining_loss(learned(*losses, least=least, constant=constant)) == pytest.approx(left)


@pytest.mark.parametrize(
    ("end", "level"), [(0.0999, "ok"), (0.1, "notice"), (0.4999, "notice"), (0.5, "warning"), (math.inf, "warning")]
)
def test_one_batch_is_learned_by_heart(end: float, level: str) -> None:
    found = only(overfit_one_batch(learned(1.0, 0.7, end)))
    assert (found.level, found.value, found.place) == (level, end, "")
    assert found.figure == f"in 3 steps the loss of 8 rows goes from 1 to {end:.3g}"
    if level == "ok":
        assert (found.measured, found.cures) == ("what is left of the loss of one batch", ())
    else:
        assert (found.measured, sets_of(found)) == ("what is left of one batch's loss", [ADAM, WIDE])
        assert "any network that works can learn a few rows by heart" in found.why


def test_the_least_loss_is_shown_where_it_is_not_0() -> None:
    figure = only(overfit_one_batch(learned(1.0, 0.01, least=0.0011))).figure
    assert figure == "in 2 steps the loss of 8 rows goes from 1 to 0.01, and 0.0011 is the least there is"
    assert only(overfit_one_batch(learned(1.0, 0.01, least=0.001))).figure.endswith("to 0.01")


def test_a_batch_of_one_row_and_of_sixteen_at_most() -> None:
    assert "of one row goes" in only(overfit_one_batch(learned(1.0, 0.01, training={"batch_size": 1}))).figure
    assert "of 16 rows goes" in only(overfit_one_batch(learned(1.0, 0.01, training={"batch_size": 20}))).figure


def test_what_is_trained_has_not_learned_a_batch_by_heart() -> None:
    assert overfit_one_batch(measured(learned(1.0, 0.9), trained=True)) == []


@pytest.mark.parametrize(
    ("rate", "offered"), [(0.0332, True), (0.0335, False), (0.1, False), (0.2998, False), (0.3002, True)]
)
def test_another_rate_is_offered_where_a_good_one_is_three_times_as_large_or_small(rate: float, offered: bool) -> None:
    """The good one: a tenth of the best, 0.1."""
    context = learned(1.0, 0.9, optimizer={"type": "sgd", "learning_rate": rate})
    sets = ["optimizer.learning_rate=0.1"] * offered
    assert sets_of(only(overfit_one_batch(context))) == [*sets, ADAM, WIDE]


def test_no_rate_is_offered_where_the_range_test_found_none() -> None:
    for nothing in (None, RateRange(((1.0, 1.0),), math.nan, math.nan, None)):
        context = measured(learned(1.0, 0.9, optimizer={"type": "sgd", "learning_rate": 9.0}), rate_range=nothing)
        assert sets_of(only(overfit_one_batch(context))) == [ADAM, WIDE]
    more: dict[str, Any] = {"optimizer": "lbfgs", "training": {"batch_size": "full"}}
    assert sets_of(only(overfit_one_batch(learned(1.0, 0.9, layers=[dense(3)], **more)))) == []


@pytest.mark.parametrize(
    ("rate", "level", "low"), [(30.0, "warning", False), (1e-6, "warning", True), (0.01, "ok", False)]
)
def test_the_range_test_knows_a_wrong_rate(rate: float, level: str, low: bool, tmp_path: Path) -> None:
    found = worst("rates", config(tmp_path, optimizer={"type": "adam", "learning_rate": rate}))
    assert found.level == level
    if level != "ok":
        better = float(found.cures[0].sets[0].partition("=")[2])
        assert 1e-4 < better < 0.3
        assert (better > rate) is low
        assert worst("rates", tmp_path / "net.yaml", found.cures[0].sets).level == "ok"


def test_a_rate_in_a_schedule_is_changed_where_it_stands(tmp_path: Path) -> None:
    optimizer = {
        "type": "adam",
        "learning_rate": {"type": "warmup", "steps": 5, "then": {"type": "cosine", "start": 50.0}},
    }
    remedy = worst("rates", config(tmp_path, optimizer=optimizer)).cures[0]
    assert remedy.sets[0].startswith("optimizer.learning_rate.then.start=")
    assert worst("rates", tmp_path / "net.yaml", remedy.sets).level == "ok"


def test_one_batch_by_heart(tmp_path: Path) -> None:
    one = [{"type": "dense", "units": 1, "activation": "tanh"}, {"type": "dense", "units": 3}]
    x = np.column_stack([X[:, 0], X[:, 0] ** 2, X[:, 0] * 0 + RNG.normal(size=90).round(3)])
    hard = config(tmp_path, x=x[:, 2:], layers=one, optimizer={"type": "sgd", "learning_rate": 1e-3})
    ill = worst("by heart", hard)
    assert ill.level == "warning"
    assert any("units" in s for remedy in ill.cures for s in remedy.sets)
    well = open_context(config(tmp_path))
    assert worst("by heart", tmp_path / "net.yaml").level == "ok"
    assert well.overfit[-1] < 0.02 * well.overfit[0]


def test_dropout_and_penalties_do_not_keep_a_batch_from_being_learned(tmp_path: Path) -> None:
    strong = {"type": "l2", "strength": 5.0}
    layers = [
        {**HIDDEN[0], "regularization": strong},
        {"type": "dropout", "rate": 0.9},
        {**HIDDEN[1], "regularization": strong},
    ]
    file = config(tmp_path, layers=layers, regularization=strong)
    assert worst("by heart", file).level == "ok"
