"""What is said of an equation that is not in the notation."""

from __future__ import annotations

import pytest

from bpcli.notation import Eq, NotationError, syntax
from bpcli.notation.syntax import parse, parse_expression


class TestMisspellings:
    @pytest.mark.parametrize(
        ("right", "text"),
        [
            ("x[i", "cannot be read"),
            ("foo(x)", "no function or reduction is called foo"),
            ("sum(x[i])", "sum needs an index: sum(i, ...)"),
            ("log(x, 2)", "log takes 1 arguments"),
            ("where(x, 1)", "where takes 3 arguments"),
            ("pad(x)", "pad takes one read, pad(x[...])"),
            ("x and y", "is not in the notation"),
            ("1 < x < 2", "is not in the notation"),
            ("sum(i, x[i], key=1)", "is not in the notation"),
            ("'a'", "is not in the notation"),
            ("True", "is not in the notation"),
            ("x.real", "is not in the notation"),
            ("(lambda: 1)()", "is not in the notation"),
            ("count(ij)", "is not an index: one letter, or letter < size"),
            ("sum(0<i<3, 1)", "sum needs an index"),
        ],
    )
    def test_the_right_side(self, right: str, text: str) -> None:
        with pytest.raises(NotationError) as caught:
            parse_expression(right)
        assert text in str(caught.value)

    @pytest.mark.parametrize(
        ("left", "text"),
        [
            ("y[n+1]", "'n + 1' is not an index: one letter, or letter < size"),
            ("y[row]", "'row' is not an index"),
            ("y[n,n]", "an index occurs twice"),
            ("2*y", "a left side is a name or name[index,...]"),
            ("y[0]", "'0' is not an index"),
        ],
    )
    def test_the_left_side(self, left: str, text: str) -> None:
        with pytest.raises(NotationError) as caught:
            parse(Eq(left, "1"))
        assert text in str(caught.value)


def test_trees_of_long_equations_are_not_kept() -> None:
    """4096 of 17,000 characters would take 3 GB."""
    short, long = (Eq("y[n]", " + ".join(["log(x[n] + 1)"] * count)) for count in (5, 60))
    kept = [len(eq.right) <= syntax.MAX_KEPT_CHARACTERS for eq in (short, long)]
    assert [syntax.parse(eq) is syntax.parse(eq) for eq in (short, long)] == kept == [True, False]
    assert syntax.parse(long) == syntax.parse(long)
    trees = [syntax.parse_expression(eq.right) is syntax.parse_expression(eq.right) for eq in (short, long)]
    assert trees == kept
