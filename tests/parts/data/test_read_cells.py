"""Columns of a file as they stand there, to be put beside predictions."""

from __future__ import annotations

import csv
import gzip
import io
import random
from pathlib import Path
from typing import Any

import pytest

from bpcli.family import Source
from bpcli.parts.data.csv.source import Csv
from bpcli.parts.data.parquet import Parquet
from bpcli.records.training import Exit, Failure

LETTERS = [*"ab01.=+-@#%'| \t", "\n", "\r\n", '"', '""', ",", ";", "é", "NA", "nan", "007", "1e5"]


def random_table(seed: int) -> tuple[list[str], list[list[str]], str, str]:
    """Returns names, cells, the text of the file, and its delimiter."""
    rng = random.Random(seed)
    width, delimiter, quoted = rng.randint(2, 5), rng.choice(",;\t|"), rng.random() < 0.5
    text = lambda: "".join(rng.choices(LETTERS, k=rng.randint(0, 4)))  # noqa: E731
    names = [f"{text().strip()}{i}" for i in range(width)]
    rows = [[text() if quoted else text().lstrip(" ") for _ in range(width - 1)] + ["end"] for _ in range(12)]
    file = io.StringIO(newline="")
    writer = csv.writer(
        file, delimiter=delimiter, quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL,
        lineterminator=rng.choice(["\n", "\r\n"]),
    )  # fmt: skip
    writer.writerows([names, *rows])
    return names, rows, file.getvalue(), delimiter


@pytest.mark.parametrize("seeds", [range(40), pytest.param(range(40, 4000), marks=pytest.mark.slow)])
def test_cells_of_random_tables_are_what_was_written(seeds: range, tmp_path: Path) -> None:
    for seed in seeds:
        names, rows, text, delimiter = random_table(seed)
        packed = seed % 4 == 0
        file = tmp_path / f"{seed}.csv{'.gz' * packed}"
        file.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
        source = Csv(path=file.name, delimiter=delimiter, header=True)
        assert source.read_cells(tmp_path, None) == (tuple(names), list(map(tuple, rows))), seed
        chosen = random.Random(seed).sample(range(len(names)), 2)
        found = source.read_cells(tmp_path, [names[i] for i in [*chosen, chosen[0]]])
        assert found == (tuple(names[i] for i in sorted(chosen)), [tuple(r[i] for i in sorted(chosen)) for r in rows])
        file.unlink()


@pytest.mark.peers
def test_cells_of_parquet_are_written_as_text(tmp_path: Path) -> None:
    pa: Any = pytest.importorskip("pyarrow")
    pq: Any = pytest.importorskip("pyarrow.parquet")
    table = pa.table({
        "id": pa.array([2**60 + 1, None, 3]), "x": pa.array([0.1, None, 2.0]), "yes": pa.array([True, None, False]),
        "day": pa.array([None, "2024-01-31", "2024-02-01"]).cast(pa.date32()), "code": pa.array(["007", None, " a"]),
    })  # fmt: skip
    pq.write_table(table, tmp_path / "a.parquet")
    source = Parquet(path="a.parquet")
    assert source.read_cells(tmp_path, None) == (
        ("id", "x", "yes", "day", "code"),
        [
            (str(2**60 + 1), "0.1", "true", "", "007"),
            ("", "", "", "2024-01-31", ""),
            ("3", "2.0", "false", "2024-02-01", " a"),
        ],
    )
    assert source.read_cells(tmp_path, ["code", "id"])[0] == ("id", "code")
    with pytest.raises(Failure, match="--keep: the file has no column `ID`"):
        source.read_cells(tmp_path, ["ID"])


def test_a_source_without_names_has_no_columns_to_keep() -> None:
    source = Source.parse({"type": "inline", "inputs": [[1], [2]], "targets": [[0], [1]]})
    with pytest.raises(Failure, match="inline: the rows have no columns with names that could be kept") as caught:
        source.read_cells(Path("."), None)
    assert caught.value.exit == Exit.USAGE
