"""Numbers and dates that stand for no value: which are found, and which are values."""

from dataclasses import replace

import numpy as np
import pytest

from bpcli.family import Array
from bpcli.parts.data.cells import ColumnFormat, cell_values, sentinels_of, usual_sentinels
from bpcli.parts.data.cells.sentinels import find_sentinels


@pytest.mark.parametrize(
    ("numbers", "found"),
    [
        ({-999: 3, 1: 1, 5: 1, 9: 2}, (-999,)),
        ({9999: 2, 12.5: 1, 80: 1}, (9999,)),
        ({-1: 5, 50_000: 1, 90_000: 1}, (-1,)),
        ({-999: 4, 9999: 3, 0: 1, 1: 1}, (-999, 9999)),
        ({-2147483648: 2, 0: 1, 1: 1}, (-2147483648,)),
        ({-999: 1, 1: 1, 5: 1}, ()),  # a single one may be a typing error
        ({-1: 9, 0: 5, 1: 7}, ()),  # an order of three
        ({99: 4, 18: 1, 80: 2}, ()),  # near the others
        ({-999: 4, -1200: 1, 800: 2}, ()),  # among the others
        ({-500: 4, 1: 1, 2: 2}, ()),  # far, but nobody's word for no value
        ({-999: 4, 3: 2}, ()),
        ({np.nan: 3, 1: 2}, ()),
    ],
)
def test_sentinels(numbers: dict[float, int], found: tuple[float, ...]) -> None:
    assert find_sentinels(np.array([*numbers], float), np.array([*numbers.values()])) == found


def days(first: str, width: int, n: int = 300) -> Array:
    """Days of a uniform spread."""
    return float(np.datetime64(first, "D").astype(int)) + np.random.default_rng(0).integers(0, width, n)


def mixed(values: Array, odd: float, share: float = 0.05) -> Array:
    """The values, of which a share (at least two of them) is another one."""
    found = values.astype(float).copy()
    found[: max(2, int(share * len(values)))] = odd
    return found


RNG = np.random.default_rng(1)
UNIT, AMOUNTS = np.round(RNG.random(400), 3), np.round(np.exp(RNG.normal(3, 1.5, 400)), 2)
COUNTS = RNG.negative_binomial(0.3, 0.02, 400).astype(float)
CAPPED = np.minimum(np.round(np.exp(RNG.normal(11, 0.6, 400))), 99_999)


@pytest.mark.parametrize("odd", [9999.9, -9.99, -99.9, 1e30, -8888, 888.8, -500])
def test_a_number_that_comes_back_ranges_away_stands_for_no_value(odd: float) -> None:
    assert sentinels_of(mixed(UNIT, odd), "number") == (odd,)
    assert sentinels_of(mixed(UNIT, odd).astype(np.float32), "number") == (odd,)
    assert usual_sentinels(mixed(UNIT, odd)) == ((odd,) if odd not in (-8888, 888.8, -500) else ())


@pytest.mark.parametrize(
    ("values", "odd"),
    [
        (UNIT, 0.0), (UNIT + 5, 0.0),  # what there is none of
        (UNIT, 2.5), (AMOUNTS, AMOUNTS.max()), (COUNTS, COUNTS.max()), (CAPPED, 99_999),
        (UNIT, 1.999), (np.floor(30 * UNIT) / 200, 1.0), (np.ceil(29 * UNIT), 365), (np.ceil(41_310 * UNIT), 99_999),
        (np.repeat(np.arange(5.0), 80), 50),  # packs of 1 to 4, and of 50
    ],
)  # fmt: skip
def test_a_number_near_the_others_is_a_value(values: Array, odd: float) -> None:
    assert sentinels_of(mixed(values, odd), "number") == ()


def test_a_number_that_most_rows_have_is_a_value() -> None:
    assert sentinels_of(mixed(np.round(1000 + 100 * UNIT), 5, 0.7), "number") == ()


@pytest.mark.parametrize(
    ("first", "width", "odd", "found"),
    [
        ("2019-01-01", 700, "1900-01-01", True),
        ("2019-01-01", 700, "9999-12-31", True),
        ("2019-01-01", 700, "1970-01-01", True),
        ("2019-01-01", 700, "2049-12-31", True),
        ("2019-01-01", 700, "2030-06-15", True),
        ("1925-01-01", 29_000, "1900-01-01", True),  # births
        ("1901-01-01", 40_000, "1900-01-01", False),
        ("2019-11-01", 30, "2019-01-01", False),  # of a month, and the first of its year
        ("1971-01-01", 18_000, "1970-01-01", False),
        ("2000-01-01", 7_000, "2021-01-01", False),
    ],
)
def test_a_date_far_from_all_others_stands_for_none(first: str, width: int, odd: str, found: bool) -> None:
    day = float(np.datetime64(odd, "D").astype(int))
    assert sentinels_of(mixed(days(first, width), day), "date") == ((day,) if found else ())


def test_dates_of_which_the_year_alone_is_known() -> None:
    year = np.datetime64("1990") + np.arange(300) % 30
    assert sentinels_of(year.astype("datetime64[D]").astype(float), "date") == ()


@pytest.mark.parametrize(
    ("form", "cells", "named"),
    [
        (ColumnFormat("number", "dressed", thousands=",", unit="$"), ["$1.50", "$9,999.90", "$-9999.90"], "9999.9"),
        (ColumnFormat("number", "dressed", unit="kg"), ["5 kg", "-999 kg", "-99 kg"], "-999"),
        (ColumnFormat("number", "dressed", decimal=","), ["1,5", "9999,90", "99,9"], "9999.9"),
        (ColumnFormat("date", date_order="dmy"), ["01.02.2020", "31.12.9999", "02.01.2020"], "9999-12-31"),
        (ColumnFormat("date"), ["20200102", "19000101", "20200103"], "1900-01-01"),
        (ColumnFormat("date"), ["1967-04-08", "nil", "1970-01-01"], "-999"),  # a number is no day
    ],
)
def test_what_is_named_is_missing_however_it_is_written(form: ColumnFormat, cells: list[str], named: str) -> None:
    found = cell_values(cells, replace(form, missing_values=(named,)))
    assert np.isnan(found.values).tolist() == [False, True, False]
    assert not len(found.wrong)
