"""Whole numbers that may be names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bpcli.family import Array, Table
from bpcli.studies.init.codes import codes_remarks, find_codes, order_and_names
from bpcli.studies.init.inspect import Inspection, inspect_data
from bpcli.studies.init.options import ColumnOptions


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def found(options: ColumnOptions | None = None, **columns: Any) -> Inspection:
    """What is found in a table of these columns."""
    rows = [",".join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    Path("a.csv").write_text("\n".join([",".join(columns), *rows]) + "\n")
    return inspect_data("a.csv", ("y",), None, Path(), Path(), options or ColumnOptions())


CURVES: dict[str, Callable[[Array], Array]] = {
    "a line": lambda r: r,
    "a parabola": lambda r: r**2,
    "a step": lambda r: np.where(r > 0.2, 1.0, 0.0),
    "a wave": lambda r: np.sin(np.pi * r),
    "nothing": lambda r: 0 * r,
}


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("seed", range(5))
def test_an_order_is_no_name(curve: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 12, 600)
    effect = CURVES[curve](np.linspace(-1, 1, 12))
    y = effect[codes] + rng.normal(0, 0.3, 600)
    assert order_and_names(codes * 5.0, y[:, None]) is None


def test_numbers_that_are_names_are_told() -> None:
    rng = np.random.default_rng(5)
    codes, worth = np.array([101, 205, 317, 402, 548, 611, 790, 802]), [5, 1, 4, 0, 7, 2, 6, 3]
    at = rng.integers(0, 8, 600)
    rent = np.array(worth)[at] + rng.normal(0, 0.6, 600)
    rooms = rng.integers(1, 6, 600)
    f = found(area=codes[at], rooms=rooms, y=rent.round(3))
    (remark,) = f.remarks
    assert remark.startswith("`area`: 8 different whole numbers, whose order explains ")
    assert remark.endswith("%: if they are names, `--text area`")
    assert found(ColumnOptions(text=("area",)), area=codes[at], rooms=rooms, y=rent.round(3)).remarks == ()
    assert found(ColumnOptions(number=("area",)), area=codes[at], rooms=rooms, y=rent.round(3)).remarks == ()
    classes = np.array(["low", "high"])[(rent > 3.5).astype(int)]
    assert any("`--text area`" in remark for remark in found(area=codes[at], rooms=rooms, y=classes).remarks)
    patients = [f"p{i // 20}" for i in range(600)]  # all rows of one are alike: any few numbers know them
    grouped = found(patient=patients, height=[150 + (7 * (i // 20)) % 40 for i in range(600)], y=rent.round(3)).remarks
    assert not any("--text" in remark for remark in grouped)


@pytest.mark.parametrize(
    ("values", "named"),
    [([0.5, 1, 2, 3, 4, 5, 6, 7], False), ([0, 1, 2, 3, 4, 5, 6, 7], True), ([0, 1, 2, 3], False)],
)
def test_only_a_few_whole_numbers_are_names(values: list[float], named: bool) -> None:
    rng, at = np.random.default_rng(5), np.arange(400) % len(values)
    y = np.where(at % 2 == 0, 1.0, -1.0) + rng.normal(0, 0.1, 400)
    assert (order_and_names(np.array(values, float)[at], y[:, None]) is not None) is named
    many = np.arange(6000) % 1001
    assert order_and_names(many.astype(float), np.where(many % 2, 1.0, -1.0)[:, None]) is None


WORTH = np.random.default_rng(7).normal(size=1000)


@pytest.mark.parametrize(
    ("name", "low", "high", "count", "each", "read"),
    [
        ("area", 10_000, 99_999, 60, 20, "text"),
        ("area", 100_000, 999_999, 300, 20, "text"),
        ("area", 10_000, 99_999, 300, 8, "said"),  # fewer rows of each
        ("area", 100, 999, 60, 20, "said"),  # short, and its column is not called so
        ("code", 100, 999, 60, 20, "text"),
        ("ZipCode", 98_001, 98_199, 90, 5, "text"),  # most numbers of one town
        ("code_lines", 100, 999, 60, 20, "said"),
    ],
)
def test_many_codes_are_names_too(name: str, low: int, high: int, count: int, each: int, read: str) -> None:
    rng = np.random.default_rng(count)
    codes = rng.choice(np.arange(low, high), count, replace=False)
    at = np.arange(count * each) % count
    y = WORTH[at] + rng.normal(0, 0.5, len(at))
    table = whole_numbers(name, codes[at], y)
    text, remarks = find_codes(table, {name}, ()), codes_remarks(table, {name}, ())
    assert list(text) == [name] * (read == "text")
    assert read == "text" or f"if they are names, `--text {name}`" in remarks[0]


@pytest.mark.parametrize("curve", CURVES)
def test_many_amounts_that_come_back_are_no_names(curve: str) -> None:
    """Incomes of 200 towns, of five digits each, and a sum: the order says what the numbers say."""
    rng = np.random.default_rng(5)
    towns = rng.integers(20_000, 90_000, 200)
    at = rng.integers(0, 200, 5000)
    y = CURVES[curve]((towns[at] - 55_000) / 35_000) + rng.normal(0, 0.3, 5000)
    for name in ("income", "store_sales"):
        table = whole_numbers(name, towns[at] if name == "income" else np.exp(towns[at] / 9000) // 1, y)
        assert not find_codes(table, {name}, ())
        assert not codes_remarks(table, {name}, ())


@pytest.mark.parametrize(("low", "high"), [(10, 900), (10_000, 99_999)])
@pytest.mark.parametrize("shared", [True, False])
def test_numbers_of_persons_are_no_names_to_learn(low: int, high: int, shared: bool) -> None:
    """A panel: 80 persons in 25 years each, whose schooling stays as it is."""
    rng = np.random.default_rng(3)
    at = rng.permutation(np.arange(2000) % 80)
    numbers = rng.choice(np.arange(low, high), 80, replace=False)[at]
    school = rng.integers(6, 17, 80)[at] if shared else rng.integers(6, 17, 2000)
    wage = WORTH[at] + rng.normal(0, 0.5, 2000)
    (remark,) = found(nr=numbers, school=school, y=wage.round(3)).remarks
    assert ("`split: {group: nr}`" in remark) is shared
    assert ("`school` is the same in all rows of one" in remark) is shared


def whole_numbers(name: str, values: Array, y: Array) -> Table:
    return Table(values[:, None].astype(float), {}, (name,), (name,), y[:, None], ("y",), "a table",
                 kinds={name: "number"})  # fmt: skip


def test_many_codes_are_categories_in_the_config() -> None:
    rng = np.random.default_rng(5)
    codes, at = rng.choice(90_000, 60, replace=False) + 10_000, np.arange(1200) % 60
    f = found(area=codes[at], x=rng.normal(size=1200).round(2), y=WORTH[at].round(2))
    assert f.columns[0].treatment == "one-hot, 60 inputs"
    assert f.source["columns"]["area"] == {"kind": "text"}
    assert "`area`: 60 different numbers of 5 digits that come back look like names" in f.remarks[0]
    kept = found(ColumnOptions(number=("area",)), area=codes[at], x=at % 7, y=WORTH[at].round(2))
    assert kept.columns[0].kind == "number"
