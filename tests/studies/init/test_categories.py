"""Text columns of many categories."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bpcli.family import CodedText, Table
from bpcli.studies.evaluation.evaluate import evaluate
from bpcli.studies.init.categories import choose_encoding, one_hot_limits
from bpcli.studies.init.init import write_config
from bpcli.studies.init.inspect import Inspection, inspect_data
from bpcli.studies.init.options import ColumnOptions
from bpcli.studies.run.resume import start
from bpcli.studies.run.setup import set_up


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def found(options: ColumnOptions | None = None, **columns: Any) -> Inspection:
    """What is found in a table of these columns."""
    rows = [",".join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    Path("a.csv").write_text("\n".join([",".join(columns), *rows]) + "\n")
    return inspect_data("a.csv", ("y",), None, Path(), Path(), options or ColumnOptions())


# Text


def coded(*counts: int) -> CodedText:
    return CodedText.of([f"w{i}" for i, n in enumerate(counts) for _ in range(n)])


@pytest.mark.parametrize(
    ("counts", "limit", "words", "width", "least"),
    [
        ((3, 2, 1), 3, "one-hot, 3 inputs", 3, None),
        ((9, 5, 5, 1), 3, "one-hot from 2 rows on, and frequency", 4, 2),
        ((9, 5, 5, 5), 3, "one-hot of the 3 most frequent, and frequency", 4, None),
        ((5, 5, 5, 5), 3, "one-hot of the 3 most frequent, and frequency", 4, None),
        ((1, 1, 1, 1), 3, "frequency, 1 input", 1, None),
    ],
)
def test_beyond_the_limit_the_most_frequent_have_inputs_of_their_own(
    counts: tuple[int, ...], limit: int, words: str, width: int, least: int | None
) -> None:
    made = choose_encoding(coded(*counts), limit)
    assert (made.words, made.width, made.left_out) == (words, width, "")
    rows, most = {"min_rows": least} if least else {}, {"max_categories": limit} if made.width > 1 else {}
    assert made.settings == ({} if len(counts) <= limit else {"encoding": "frequency", **rows, **most})


def table_of(rows: int, *categories: int) -> Table:
    texts = {
        f"t{k}": CodedText(np.arange(rows, dtype=np.int32) % n, tuple(f"w{i}" for i in range(n)))
        for k, n in enumerate(categories)
    }
    return Table(np.zeros((rows, 0)), texts, (), tuple(texts), None, (), "a table")


def test_zeros_and_ones_fit_into_memory() -> None:
    assert one_hot_limits(table_of(2000, 60)) == {"t0": 1000}
    assert one_hot_limits(table_of(500_000, 1000)) == {"t0": 268}
    assert one_hot_limits(table_of(500_000, 1000, 900, 50)) == {"t0": 134, "t1": 134, "t2": 134}
    for columns in ((1000,), (1000, 900), (1000, 900, 800, 700)):
        assert sum(one_hot_limits(table_of(500_000, *columns)).values()) * 500_000 * 4 <= 1 << 29  # bytes of float32


def test_more_than_a_thousand_are_counted_too() -> None:
    rng = np.random.default_rng(5)
    words = [f"w{i}" for i in range(1200) for _ in range(2)]
    f = found(z=rng.normal(size=len(words)).round(3), w=words, y=rng.normal(size=len(words)).round(3))
    (column,) = (c for c in f.columns if c.name == "w")
    assert column.treatment == "one-hot of the 1,000 most frequent, and frequency"
    assert f.source["columns"] == {"w": {"encoding": "frequency", "max_categories": 1000}}
    assert f.shape == (1002,)


def test_who_a_row_is_of_is_no_input_where_each_has_few_rows() -> None:
    rng = np.random.default_rng(5)
    rows = 360
    who = [f"p{i // 6:03}" for i in range(rows)]
    noise = rng.normal(size=(2, rows)).round(3)
    kinds = {c.name: c.treatment for c in found(patient=who, z=noise[0], y=noise[1]).columns}
    assert kinds["patient"] == "left out: who or what a row is of"
    kept = found(ColumnOptions(text=("patient",)), patient=who, z=noise[0], y=noise[1])
    assert kept.columns[0].treatment == "one-hot, 60 inputs"
    assert found(shop=who, z=noise[0], y=noise[1]).columns[0].treatment == "one-hot, 60 inputs"


def reached(columns: str) -> float:
    """R2 on the test rows with these settings of column `w`; with none of it where they are ""."""
    setting = f"columns: {{w: {columns}}}" if columns else "drop: [w]"
    done = write_config(
        f"{{type: csv, path: a.csv, unseen: ignore, {setting}}}", ("y",), None, Path("a.yaml"), force=True
    )
    assert done.file is not None
    out = Path(f"run{len(list(Path().glob('run*')))}")
    start(set_up(done.file, ("seed=1",), new_run=True), out, []).run()
    return evaluate(out, "test").metrics["r2"]


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "count"), [(600, 60), (3000, 60), (3000, 300), (10_000, 800)])
def test_all_categories_with_inputs_of_their_own_gain_more_than_they_lose(rows: int, count: int) -> None:
    """Categories of which some are rare, with an effect each and with none: the figures of leaving the column out, of
    its frequency, of inputs for the frequent half, and of inputs for all."""
    ways = ("", "{encoding: frequency}", f"{{encoding: frequency, min_rows: {rows // count}}}", "{kind: text}")
    for size in (1.0, 0.0):
        rng = np.random.default_rng(rows + count)
        shares = rng.gamma(1.0, size=count) + 0.05
        at = rng.choice(count, rows, p=shares / shares.sum())
        x = rng.normal(size=(3, rows)).round(3)
        y = x[0] + np.sin(x[1]) + size * rng.normal(size=count)[at] + rng.normal(0, 0.5, rows)
        table = zip(*x.tolist(), [f"c{i}" for i in at], y.round(3).tolist(), strict=True)
        Path("a.csv").write_text("a,b,c,w,y\n" + "".join(",".join(map(str, row)) + "\n" for row in table))
        none, frequency, frequent, every = (reached(way) for way in ways)
        print(f"\n| {rows:,} | {count} | {size:g} | {none:.3f} | {frequency:.3f} | {frequent:.3f} | {every:.3f} |")  # noqa: T201
        if size:
            assert every > none + 0.15
            assert every >= max(frequency, frequent) - 0.01
        else:
            assert every > none - 0.05
