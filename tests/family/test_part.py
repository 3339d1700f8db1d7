"""What a part is: its declaration, its short forms, and words that are near to known ones."""

import math
from typing import Any, Literal

import pytest

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.family import Activation, Array, Constraint, Loss, Schedule
from bpcli.family.part import DeclarationError, Part, dump, near, suggestion
from bpcli.parts.activations.piecewise import Relu
from bpcli.parts.layers.pooling import AvgPool2d
from bpcli.parts.metrics.ranking import RocAuc


@pytest.mark.parametrize(
    ("word", "known", "found"),
    [
        ("RELU", ["elu", "relu"], "relu"),
        ("abcxy", ["abcde"], "abcde"),  # three of five letters, in their order
        ("abxyz", ["abcde"], None),
        ("unit", ["units", "init"], "units"),
        ("dense", [], None),
        ("dense_9.dW", ["dense_2.dy", "dense_2.dW", "dense_2.dw"], "dense_2.dW"),
        ("pRICE", ["size", "Price"], "Price"),
    ],
)
def test_the_word_that_was_meant_shares_most_of_its_letters(word: str, known: list[str], found: str | None) -> None:
    assert near(word, known) == found
    assert suggestion(word, known) == (f"did you mean `{found}`? " if found else "")


def test_a_part_without_a_type_of_its_own_is_told_how_to_write_it() -> None:
    with pytest.raises(DeclarationError) as caught:

        class LeakyRelu6(Activation):
            type: str = "leaky"

    assert caught.value.help == 'write `type: Literal["leaky_relu6"] = "leaky_relu6"`'


@pytest.mark.parametrize(("part", "family"), [(Relu, "Activation"), (AvgPool2d, "Layer"), (RocAuc, "RankMetric")])
def test_a_part_of_the_package_is_no_family(part: type[Part], family: str) -> None:
    """The family that is named is the nearest, whatever other classes the part is made of."""
    with pytest.raises(DeclarationError) as caught:

        class Mine(part):  # type: ignore[misc, valid-type]
            type: Literal["mine"] = "mine"

    assert str(caught.value) == f"Mine: {part.__name__} is a part and cannot be subclassed"
    assert caught.value.help == f"subclass its family: class Mine({family})"
    assert "mine" not in part.registry


def test_a_number_is_a_constant_schedule() -> None:
    assert Schedule.parse(0.25) == Schedule.parse({"type": "constant", "value": 0.25})
    assert Loss.parse("huber") == Loss.parse({"type": "huber"})


def test_a_constraint_need_not_state_an_equation() -> None:
    class Rounded(Constraint):
        type: Literal["rounded"] = "rounded"

        def apply(self, w: Any) -> None:
            w.round(3, out=w)

    Constraint.registry.pop("rounded")
    assert list(Rounded().equations()) == []


def test_a_default_of_ones_own_that_is_infinite_is_in_no_file_and_comes_back() -> None:
    class Within(Constraint):
        """Keeps weights within a limit."""

        type: Literal["within"] = "within"
        limit: float = math.inf
        other: float = 1.0

        def apply(self, w: Array) -> None:
            w.clip(-self.limit, self.limit, out=w)

    try:
        part = Constraint.parse("within")
        assert dump(part) == {"type": "within", "other": 1.0}
        assert Constraint.parse(dump(part)) == part
        assert dump(Within(limit=2.0)) == {"type": "within", "limit": 2.0, "other": 1.0}
        with pytest.raises(ValueError, match="finite number"):
            Constraint.parse({"type": "within", "limit": math.inf})
    finally:
        del Constraint.registry["within"]
