"""Weights of classes in a loss: on paper, fitted by name, and what is no weight."""

import math
from typing import Annotated, Any

import jsonschema
import numpy as np
import pytest
from loss_by_hand import LN2, LN3, frame, worked
from pydantic import ValidationError
from registry import named_alone

from bpcli.config.schema import json_schema
from bpcli.family import ClassMismatchError, Loss
from bpcli.family.part import OneOf, Settings
from bpcli.family.plan import ShapeError
from bpcli.parts.losses import Focal, SoftmaxCrossEntropy


def weighed(**weights: float) -> SoftmaxCrossEntropy:
    return SoftmaxCrossEntropy(class_weights=tuple(weights.items()))


def test_class_weights_on_paper() -> None:
    """Rows of classes 0, 1, 1 with weights 1 and 3: (1 L0 + 3 L1 + 3 L1) / 7."""
    part = weighed(a=1.0, b=3.0)
    x = [[0.0, 0.0], [0.0, LN3], [LN3, 0.0]]
    loss, dx = worked(part, x, np.eye(2)[[0, 1, 1]])
    assert math.isclose(loss, (LN2 + 3 * math.log(4 / 3) + 3 * 2 * LN2) / 7, rel_tol=1e-14)
    assert np.allclose(dx, np.array([[-0.5, 0.5], [0.75, -0.75], [2.25, -2.25]]) / 7, rtol=1e-14)


def test_class_weights_all_alike_are_none() -> None:
    x, t = [[0.3, 1.0], [2.0, -1.0]], np.eye(2)[[1, 1]]
    assert np.allclose(worked(weighed(a=7.0, b=7.0), x, t)[1], worked(SoftmaxCrossEntropy(), x, t)[1], rtol=1e-14)


def test_the_mean_weight_of_a_batch() -> None:
    """What the mean was divided by, a row: by it the losses of batches are put together."""
    part = weighed(a=1.0, b=3.0)
    x, t = np.zeros((4, 2)), np.eye(2)[[0, 1, 1, 1]]
    assert part.mean_weight(frame(part, x, t)) == 2.5
    assert SoftmaxCrossEntropy().mean_weight(frame(SoftmaxCrossEntropy(), x, t)) == 1
    whole, _ = worked(part, x + np.array([0, 1]), t)
    first, rest = ((worked(part, x[s] + np.array([0, 1]), t[s])[0], part.mean_weight(frame(part, x[s], t[s])) * n)
                   for s, n in ((slice(0, 1), 1), (slice(1, 4), 3)))  # fmt: skip
    assert math.isclose((first[0] * first[1] + rest[0] * rest[1]) / (first[1] + rest[1]), whole, rel_tol=1e-14)


def test_weights_are_fitted_by_name() -> None:
    part = Loss.parse({"type": "softmax_cross_entropy", "class_weights": {"oak": 3, "ash": 0.5}})
    fitted: Any = part.with_classes(("ash", "elm", "oak"), (4, 5, 6))
    assert fitted.class_weights == (("ash", 0.5), ("elm", 1.0), ("oak", 3.0))
    assert fitted.with_classes(("ash", "elm", "oak"), ()) == fitted, "after loading, without counts"
    assert fitted.model_dump(mode="json")["class_weights"] == {"ash": 0.5, "elm": 1.0, "oak": 3.0}
    assert Loss.parse(fitted.model_dump(mode="json")) == fitted
    with pytest.raises(ShapeError, match="weights for 2 classes and 3 outputs"):
        part.plan((3,))
    with pytest.raises(ShapeError) as caught:
        SoftmaxCrossEntropy(class_weights="balanced").plan((3,))
    assert "call Loss.with_classes first" in caught.value.help
    assert fitted.plan((3,)).consts["c"].tolist() == [0.5, 1.0, 3.0]


def test_whole_numbers_name_classes() -> None:
    part = Loss.parse({"type": "focal", "alpha": {0: 2.0, "1": 4}})
    fitted: Any = part.with_classes(("0", "1"), ())
    assert fitted.alpha == (("0", 2.0), ("1", 4.0))


def test_balanced_classes_weigh_the_same_together() -> None:
    fitted: Any = SoftmaxCrossEntropy(class_weights="balanced").with_classes(("a", "b", "c"), (2, 8, 10))
    weights = [w for _, w in fitted.class_weights]
    assert np.allclose(np.multiply(weights, (2, 8, 10)), 20 / 3)
    with pytest.raises(ClassMismatchError, match="no training row is of class `b`"):
        SoftmaxCrossEntropy(class_weights="balanced").with_classes(("a", "b"), (2, 0))


def test_an_unknown_class_is_refused() -> None:
    for part, setting in ((weighed(oka=2.0), "class_weights"), (Focal(alpha=(("oka", 2.0),)), "alpha")):
        with pytest.raises(ValueError, match="there is no class `oka` to weigh") as caught:
            part.with_classes(("elm", "oak"), (1, 1))
        assert isinstance(caught.value, ClassMismatchError)
        assert caught.value.setting == setting
        assert caught.value.help == "did you mean `oak`? the classes are elm, oak"


def test_losses_without_class_weights_settle_as_they_are() -> None:
    for kind in named_alone(Loss):
        part = Loss.parse(kind)
        assert part.with_classes(("a", "b"), (1, 2)) is part


@pytest.mark.parametrize("weights", [{}, [1.0], "balance", 2.0, {"a": -1}, {"a": True}, {"a": "2"}, {"a": math.inf},
                                     {"a": math.nan}, {True: 1.0}, {1.5: 1.0}])  # fmt: skip
def test_what_is_no_weight_is_refused(weights: Any) -> None:
    with pytest.raises(ValidationError, match=r"weight for each class|greater than 0|named by"):
        Loss.parse({"type": "softmax_cross_entropy", "class_weights": weights})
    if weights != 2.0:
        with pytest.raises(
            ValidationError, match=r"a positive number, a weight for each class|greater than 0|named by"
        ):
            Loss.parse({"type": "focal", "alpha": weights})


class _File(Settings):
    loss: Annotated[Loss, OneOf()]


@pytest.mark.parametrize(
    ("loss", "fits"),
    [
        ({"type": "softmax_cross_entropy", "class_weights": {"oak": 2, "elm": 0.5}}, True),
        ({"type": "softmax_cross_entropy", "class_weights": "balanced"}, True),
        ({"type": "softmax_cross_entropy", "class_weights": None}, True),
        ({"type": "softmax_cross_entropy", "class_weights": {"oak": 0}}, False),
        ({"type": "softmax_cross_entropy", "class_weights": 2.0}, False),
        ({"type": "softmax_cross_entropy", "label_smoothing": 1}, False),
        ({"type": "focal", "alpha": 0.25}, True),
        ({"type": "focal", "alpha": {"oak": 0.25}}, True),
        ({"type": "focal", "alpha": None}, False),
        ("focal", True),
        ("kl_divergence", True),
    ],
)
def test_editors_are_told_what_the_reader_takes(loss: Any, fits: bool) -> None:
    """The JSON Schema accepts what the part accepts."""
    schema = json_schema(_File)
    assert jsonschema.Draft7Validator(schema).is_valid({"loss": loss}) == fits
    if fits:
        _File(loss=loss)
    else:
        with pytest.raises(ValidationError):
            _File(loss=loss)
