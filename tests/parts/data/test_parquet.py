"""Parquet: types of columns, missing values, messages; and the message where pyarrow is not there.

Without the extra only the last is tested.
"""

import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bpcli.config.data import Data
from bpcli.family import Source, Table
from bpcli.parts.data.columns.loading import ColumnRequest
from bpcli.parts.data.columns.source import ColumnSource
from bpcli.records.training import Failure
from bpcli.studies.dataset.prepare import prepare

N = None


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def saved(columns: dict[str, Any], **types: Any) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    arrays = {n: pa.array(v, types.get(n)) for n, v in columns.items()}
    parquet.write_table(pa.table(arrays), "a.parquet")


COLUMNS = {
    "size": [1.5, 2.0, 3.0, 4.0],
    "count": [1, 2, 3, 4],
    "kind": ["a", "b", "a", "b"],
    "good": [True, False, True, True],
    "born": [date(1970, 1, 2), date(2024, 2, 29), date(1969, 12, 31), date(2000, 1, 1)],
    "at": [datetime(1970, 1, 1, 12, tzinfo=UTC)] * 4,
    "y": [0, 1, 1, 0],
}


def load(need_target: bool = True, **settings: Any) -> Table:
    source = Source.parse({"type": "parquet", "path": "a.parquet", "target": "y", **settings})
    return source.load(Path("."), need_target=need_target)


def error(**settings: Any) -> str:
    with pytest.raises(Failure) as caught:
        load(**settings)
    (problem,) = caught.value.problems
    return f"{problem.text} | {problem.help}"


@pytest.mark.peers
def test_columns_by_their_types() -> None:
    saved(COLUMNS)
    table = load()
    assert table.order == ("size", "count", "kind", "good", "born", "at")
    assert table.names == ("size", "count", "good", "born", "at")
    kinds = ("number", "number", "text", "boolean", "date", "date")
    assert tuple(map(table.kind, table.order)) == kinds
    assert table.numbers.tolist()[:2] == [[1.5, 1, 1, 1, 0.5], [2, 2, 0, 19782, 0.5]]
    assert table.numbers[2, 3] == -1
    assert table.texts["kind"].tolist() == ["a", "b", "a", "b"]
    assert table.target is not None
    assert (table.target.tolist(), table.target.dtype) == ([0, 1, 1, 0], np.int64)


@pytest.mark.peers
def test_the_same_as_a_csv() -> None:
    """Encoded rows, classes and rules."""
    pa = pytest.importorskip("pyarrow")
    saved({**COLUMNS, "kind": pa.array(COLUMNS["kind"]).dictionary_encode()})
    Path("a.csv").write_text(
        "size,count,kind,good,born,at,y\n1.5,1,a,yes,1970-01-02,1970-01-01T12:00,0\n2,2,b,no,2024-02-29,1970-01-01T12:00,1\n"
        "3,3,a,yes,1969-12-31,1970-01-01T12:00,1\n4,4,b,yes,2000-01-01,1970-01-01T12:00,0\n"
    )
    found = []
    for kind in ("parquet", "csv"):
        train = {"type": kind, "path": f"a.{kind}", "target": "y"}
        data = Data.model_validate({"train": train, "scale": "standardize"})
        found.append(prepare(data, targets="classes", seed=1, dtype=np.dtype("float64"), root=Path(".")))
    ours, known = found
    assert np.array_equal(ours.splits["train"].x, known.splits["train"].x)
    assert np.array_equal(ours.splits["train"].t, known.splits["train"].t)
    assert ours.preprocessor.to_meta() == known.preprocessor.to_meta()


@pytest.mark.peers
def test_missing_values() -> None:
    saved({"x": [1.0, N, 3.0], "k": ["a", "b", N], "y": [0, 1, 1]})
    assert error().startswith("row 1 (counted from 0), column `x` has no value | `missing: drop` leaves such rows out")
    table = load(missing="drop")
    assert table.numbers.tolist() == [[1]]
    assert table.warnings[0].text == "a.parquet: 2 rows are left out: they have no value in `x` (1), `k` (1)"
    table = load(missing="median")
    assert np.isnan(table.numbers[1, 0])
    assert table.texts["k"].tolist() == ["a", "b", ""]
    saved({"x": [1.0, 2.0], "y": [0, N]})
    assert error(missing="median").startswith("row 1 (counted from 0), column `y` has no value")
    assert load(missing="median", need_target=False).rows == 2
    saved({"x": [1.0, N], "y": [0, 1]})
    source = ColumnSource.parse({"type": "parquet", "path": "a.parquet", "target": "y"})
    with pytest.raises(Failure, match="column `x` has no value") as caught:
        source.load_columns(Path("."), ColumnRequest({"x": "number"}, need_target=False))
    assert caught.value.problems[0].help.startswith("the rules are those of training, and none is there")


@pytest.mark.peers
def test_targets() -> None:
    saved(COLUMNS)
    found = [load(target=t).target for t in ("kind", "good", ["size", "count"])]
    assert [f.tolist() for f in found if f is not None] == [
        ["a", "b", "a", "b"], ["true", "false", "true", "true"], [[1.5, 1], [2, 2], [3, 3], [4, 4]],
    ]  # fmt: skip
    assert "target column `kind` holds text; several targets" in error(target=["kind", "y"])
    assert "no target column is named | add `target: <column>`; the columns are size, count" in error(target=None)


@pytest.mark.peers
def test_messages() -> None:
    pytest.importorskip("pyarrow")
    saved({"x": [[1], [2]], "y": [0, 1], "z": [1.0, np.inf], "t": ["a", "b"]})
    assert "column `x` holds list<" in error()
    assert "to leave the column out, write `drop: [x]`" in error()
    assert error(drop=["x"]).startswith("row 1 (counted from 0), column `z`: inf is not a finite number")
    assert "the file has no column `w` |" in error(target="w")
    assert "weight: the file has no column `zz` | did you mean `z`?" in error(weight="zz")
    assert "drop: the file has no column `zz` | did you mean `z`?" in error(drop=["zz"])
    assert "column `t` holds string, not what a number is" in error(drop=["x", "z"], columns={"t": "number"})
    saved({"x": [1.0, 2.0], "y": [0, 1], "w": [1.0, -1.0]})
    assert "row 1 (counted from 0), column `w`: a weight is 0 or more, and here is -1" in error(weight="w")
    Path("a.parquet").write_bytes(b"PAR1 no")
    assert error().startswith("this is not a Parquet file, or it is damaged: ")
    saved({"x": np.arange(1000.0), "y": np.arange(1000) % 2})
    damaged = bytearray(Path("a.parquet").read_bytes())
    damaged[50:200] = b"\xff" * 150
    Path("a.parquet").write_bytes(damaged)
    assert "damaged" in error()


def test_without_pyarrow_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("a.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    text = "reading Parquet needs pyarrow, which is not installed | install it: pip install 'bpcli[parquet]'"
    assert error() == text


@pytest.mark.peers
def test_values_that_are_named_as_missing() -> None:
    saved({"x": [1.0, -999.0, 3.0], "n": [1, 2, -999], "c": ["red", "Nil", "blue"], "y": [0, 1, 2]})
    table = load(missing="median", missing_values=["nil", -999])
    assert np.isnan(table.numbers).tolist() == [[False, False], [True, False], [False, True]]
    assert table.texts["c"].tolist() == ["red", "", "blue"]
    one = load(columns={"x": {"missing_values": [-999], "missing": "drop"}})
    assert one.numbers.tolist() == [[1, 1], [3, -999]]
    source = Source.parse({"type": "parquet", "path": "a.parquet"})
    assert isinstance(source, ColumnSource)
    later = source.load_columns(
        Path("."), ColumnRequest({"x": "number"}, False, {"x": "median"}, formats={"x": table.formats["x"]})
    )
    assert np.isnan(later.numbers[:, 0]).tolist() == [False, True, False]
