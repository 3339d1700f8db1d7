"""What each row loses, and the capped loss: the mean of that, none of them more than its share of the sum."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from row_losses_at_size import capped as figure
from row_losses_at_size import laws

from bpcli.family import Metric, Scored

RNG = np.random.default_rng(8)


@pytest.mark.parametrize("law", [pytest.param(law, id=name) for name, law in laws()])
def test_laws_of_the_losses_of_rows(law: Callable[[], None]) -> None:
    law()


def test_it_is_the_mean_where_no_row_makes_up_more_than_its_share() -> None:
    loss = RNG.uniform(1, 2, 200)
    assert figure(loss) == pytest.approx(loss.mean(), rel=1e-14)
    weight = RNG.uniform(0.5, 2, 200)
    assert figure(loss, weight) == pytest.approx(np.average(loss, weights=weight), rel=1e-14)


@pytest.mark.parametrize("odd", [1, 3, 6])
def test_rows_that_are_far_off_count_for_their_share_however_far(odd: int) -> None:
    loss = RNG.exponential(size=75)
    rest, least = loss[odd:], loss[odd:].min()
    expected = least + (rest - least).sum() / (1 - 0.15 * odd) / 75
    for size in (1e3, 1e300, np.inf, np.nan):
        loss[:odd] = size
        assert figure(loss) == pytest.approx(expected, rel=1e-12)


def test_too_many_losses_that_are_no_numbers_are_no_figure() -> None:
    assert math.isinf(figure([1.0, *[np.nan] * 9, np.inf]))
    assert math.isnan(figure([]))
    assert figure([0.0] * 20) == 0


def test_what_comes_without_losses_is_refused() -> None:
    one, metric = np.zeros((1, 1)), Metric.parse("capped_loss")
    totals = metric.totals(0, 1)
    with pytest.raises(TypeError, match="the loss of each"):
        metric.add(totals, Scored(one, one, None, None, np.ones(1), 0))
