"""From which shares on classes, repeated rows, few rows and few steps are a symptom, and what is then offered."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hand_diagnosis import CLASSES, X, context_of, dense, measured, only, sets_of, values_of, with_rows

from bpcli.records.diagnose import Symptom
from bpcli.studies.diagnose.splits import class_balance, repeated_rows, row_and_step_counts

RNG = np.random.default_rng(4)
WEIGHTED = {"type": "softmax_cross_entropy", "class_weights": "balanced"}
NAMED = {"train": {"type": "inline", "inputs": X.tolist(), "targets": [f"k{k}" for k in CLASSES]}}


# ------------------------------------------------------------------------------------------------------------- classes
def balance(*counts: int, **more: Any) -> Symptom:
    """Of three classes with these many rows."""
    t = np.repeat(np.arange(len(counts)), counts)
    return only(class_balance(with_rows(context_of(**more), np.zeros((len(t), 4)), t)))


@pytest.mark.parametrize(
    ("counts", "level"),
    [((29, 10, 12), "ok"), ((30, 10, 12), "notice"), ((99, 10, 12), "notice"), ((100, 12, 10), "warning"),
     ((9, 0, 5), "notice"), ((10, 5, 0), "warning")],
)  # fmt: skip
def test_the_largest_class_over_the_smallest(counts: tuple[int, ...], level: str) -> None:
    found = balance(*counts)
    least = counts.index(min(counts))
    assert (found.level, found.value) == (level, max(counts) / max(1, min(counts)))
    assert found.figure == f"{least} has {min(counts)} training rows, 0 {max(counts)}"
    if level == "ok":
        assert (found.place, found.why, found.measured) == ("", "", "largest class over smallest")
    else:
        assert (found.place, found.measured) == (str(least), "recall, over all classes")
        assert f"saying 0 for every row is already right in {max(counts) / sum(counts):.0%} of them" in found.why
        assert sets_of(found) == ["loss.class_weights=balanced"]


def test_even_classes() -> None:
    assert balance(7, 7, 7).figure == "every class has 7 training rows"


def test_a_loss_that_weighs_classes_is_told_where_they_are_uneven() -> None:
    assert balance(29, 10, 12, loss=WEIGHTED).figure == "1 has 10 training rows, 0 29"
    found = balance(30, 10, 12, loss=WEIGHTED)
    assert (found.level, found.figure) == ("ok", "1 has 10 training rows, 0 30, and the loss weighs classes")
    assert balance(300, 10, 12, loss=WEIGHTED).level == "ok"


def test_a_loss_without_weights_of_classes_gets_none() -> None:
    assert sets_of(balance(300, 10, 12, loss="multiclass_hinge")) == []


def test_values_and_several_labels_have_no_classes_to_compare() -> None:
    assert class_balance(values_of()) == []
    context = context_of()
    assert class_balance(with_rows(context, X, np.eye(3)[CLASSES])) == []


# ------------------------------------------------------------------------------------------------------- repeated rows
def shared(count: int, of: int, name: str = "test") -> Symptom:
    """`count` of the `of` rows of a split stand in train too."""
    rows = np.vstack([X[:count], RNG.normal(size=(of - count, 4))])
    return only(repeated_rows(with_rows(context_of(), X, CLASSES, **{name: (rows, np.zeros(of, int))})))


@pytest.mark.parametrize(
    ("count", "of", "level"),
    [(0, 40, "ok"), (1, 100, "notice"), (2, 4, "notice"), (2, 40, "notice"), (3, 61, "notice"), (3, 60, "warning"),
     (4, 80, "warning"), (24, 24, "warning")],
)  # fmt: skip
def test_rows_of_a_split_that_stand_in_train_too(count: int, of: int, level: str) -> None:
    """A warning from three rows on that are a twentieth of the split."""
    found = shared(count, of)
    assert (found.level, found.place, found.value) == (level, "test", count / of)
    assert found.figure == f"{count} of {of} test rows have the same inputs as a training row"
    assert found.cures == ()
    assert bool(found.why) is (level != "ok")


def test_every_split_is_compared_with_train_and_not_with_itself() -> None:
    others = {"validation": (X[:5], CLASSES[:5]), "test": (RNG.normal(size=(6, 4)), CLASSES[:6])}
    context = with_rows(context_of(), X, CLASSES, **others)
    assert [(s.place, s.level) for s in repeated_rows(context)] == [("validation", "warning"), ("test", "ok")]
    assert repeated_rows(with_rows(context_of(), X, CLASSES)) == []


def test_0_and_minus_0_are_one_input() -> None:
    zero = np.zeros((1, 4))
    context = with_rows(context_of(), np.vstack([X, zero]), np.zeros(25, int), test=(-zero, np.zeros(1, int)))
    assert only(repeated_rows(context)).value == 1.0


def test_rows_are_compared_whatever_their_shape_and_layout() -> None:
    x = RNG.normal(size=(6, 3, 2))
    other = np.asfortranarray(x[:2])
    context = with_rows(context_of(), x, np.zeros(6, int), test=(other, np.zeros(2, int)))
    assert only(repeated_rows(context)).value == 1.0


def contradicting(count: int, of: int, t: Any = None) -> list[Symptom]:
    """The first `count` of `of` rows have the same inputs, and two targets."""
    x = RNG.normal(size=(of, 4))
    x[:count] = x[0]
    t = np.arange(of) % 2 if t is None else t
    return repeated_rows(with_rows(context_of(), x, t))


@pytest.mark.parametrize(
    ("count", "of", "level"), [(2, 4, "notice"), (3, 61, "notice"), (3, 60, "warning"), (4, 80, "warning")]
)
def test_equal_rows_with_different_targets(count: int, of: int, level: str) -> None:
    found = only(contradicting(count, of))
    assert (found.level, found.place, found.value) == (level, "train", count / of)
    assert found.figure == f"{count} of {of} training rows share their inputs with a row of another target"
    assert found.measured == "share of such rows"


def test_equal_rows_with_one_target_do_not_contradict() -> None:
    assert contradicting(5, 20, np.zeros(20, int)) == []
    assert contradicting(5, 20, np.zeros((20, 2))) == []
    assert only(contradicting(5, 20, np.eye(20)[:, :2])).value == 5 / 20


# -------------------------------------------------------------------------------------------------------------- amounts
def of_rows(rows: int, layers: Any = None, splits: Any = (), trained: bool = False, **more: Any) -> list[Symptom]:
    context = with_rows(context_of(layers, **more), np.zeros((rows, 4)), np.zeros(rows, int), **dict(splits))
    return row_and_step_counts(measured(context, trained=trained))


KEPT = {"validation": (X, CLASSES)}


def test_from_a_hundred_rows_on_some_should_judge() -> None:
    assert of_rows(99) == []
    found = only(of_rows(100))
    assert (found.level, found.place, sets_of(found)) == ("notice", "validation", ["data.validation=0.15"])
    assert found.figure == "none of the 100 rows is kept from training to judge it"
    assert of_rows(100, splits=KEPT) == []
    assert of_rows(100, trained=True) == []


def test_a_training_takes_a_hundred_steps_at_least() -> None:
    """24 rows in batches of 8 are 3 steps: 34 epochs are 102 of them, 33 are 99."""
    assert of_rows(24, training={"epochs": 34, "batch_size": 8}) == []
    found = only(of_rows(24, training={"epochs": 33, "batch_size": 8}))
    assert (found.level, found.place) == ("notice", "steps")
    assert found.figure == "33 epochs of 3 steps are 99 steps in all"
    assert [(r.sets, r.text) for r in found.cures] == [(("training.epochs=334",), "1,002 steps")]
    assert of_rows(24, training={"epochs": 33, "batch_size": 8}, trained=True) == []
    assert of_rows(24, training={"epochs": 3, "batch_size": "full"}, optimizer="lbfgs") == []
    assert of_rows(25, training={"epochs": 25, "batch_size": 8}) == []  # 4 steps an epoch: the last of one row


def test_large_batches_can_be_smaller() -> None:
    found = only(of_rows(650, splits=KEPT, training={"epochs": 9, "batch_size": 65}))
    assert [(r.sets, r.text) for r in found.cures] == [
        (("training.epochs=100",), "1,000 steps"), (("training.batch_size=32",), "21 steps an epoch"),
    ]  # fmt: skip
    assert len(only(of_rows(640, splits=KEPT, training={"epochs": 9, "batch_size": 64})).cures) == 1


NORM = [dense(4), "batch_norm", "relu", dense(3)]


def test_a_last_batch_of_one_row_has_no_statistics() -> None:
    found = only(of_rows(25, NORM))
    assert (found.level, found.place, sets_of(found)) == ("notice", "batches", ["training.batch_size=9"])
    assert found.figure.startswith("the last batch of every epoch has a single row, and batch_norm_1 takes statistics")
    assert of_rows(26, NORM) == []
    assert of_rows(24, NORM) == []
    assert of_rows(25) == []
    assert of_rows(1, NORM, training={"epochs": 200, "batch_size": 8}) == []


def test_several_amounts_may_be_wrong() -> None:
    found = of_rows(129, NORM, training={"epochs": 3, "batch_size": 64})
    assert [s.place for s in found] == ["validation", "steps", "batches"]


def test_named_classes_are_named() -> None:
    t = np.repeat([0, 1, 2], [20, 20, 2])
    found = only(class_balance(with_rows(context_of(data=NAMED), np.zeros((42, 4)), t)))
    assert (found.place, found.figure) == ("k2", "k2 has 2 training rows, k0 20")
