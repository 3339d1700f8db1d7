"""The first quantity in which a derivation differs from the one that was kept."""

import math
from typing import Any

import numpy as np
import pytest

from bpcli.studies.trace.golden import GOLDEN_RTOL, _compare


def rows(**values: Any) -> list[tuple[str, str, Any]]:
    """Quantities by their ids; their paths are those in capitals."""
    return [(id, id.upper(), np.asarray(value, np.float64)) for id, value in values.items()]


KEPT = rows(y=[[1.0, -2.0]], loss=0.5)


@pytest.mark.parametrize(
    ("found", "name", "text"),
    [
        (rows(y=[[1.0, -2.5]], loss=0.7), "Y[0,1]", "it was -2 and is -2.5"),
        (rows(y=[[1.0, -2.0]], loss=0.7), "LOSS", "it was 0.5 and is 0.7"),
        (rows(y=[[math.nan, -2.0]], loss=0.5), "Y[0,0]", "it was 1 and is nan"),
        (
            rows(y=[[1.0, -2.0, 3.0]], loss=0.5),
            "Y",
            "it was Y 1 x 2 and is Y 1 x 3: the network or the rows are others",
        ),
        (rows(z=[[1.0, -2.0]], loss=0.5), "Z", "it was Y 1 x 2 and is Z 1 x 2: the network or the rows are others"),
        (rows(y=[[1.0, -2.0]], loss=0.5, dy=1.0), "DY", "it is new: 2 quantities were kept, 3 are found"),
        (rows(y=[[1.0, -2.0]]), "LOSS", "it is gone: 2 quantities were kept, 1 are found"),
    ],
)
def test_the_first_difference_is_named(found: list[Any], name: str, text: str) -> None:
    difference = _compare(KEPT, found)
    assert difference is not None
    assert (difference.name, difference.text) == (name, text)


def test_rounding_of_what_is_large_beside_it_is_none() -> None:
    assert _compare(KEPT, KEPT) is None
    assert _compare(KEPT, rows(y=[[1.0 + GOLDEN_RTOL, -2.0]], loss=0.5)) is None
    assert _compare(KEPT, rows(y=[[1.0 + 3 * GOLDEN_RTOL, -2.0]], loss=0.5)) is not None


def test_infinity_beside_a_number_hides_nothing() -> None:
    kept = rows(y=[math.inf, 1.0, -math.inf])
    assert _compare(kept, kept) is None
    for other in ([math.inf, 1.5, -math.inf], [math.inf, 1.0, math.inf], [2.0, 1.0, -math.inf]):
        assert _compare(kept, rows(y=other)) is not None
