"""A file that changes while it is read: said, whatever was read of it."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bpcli.numeric.file_state import difference
from bpcli.numeric.lazy_rows import MappedRows
from bpcli.parts.data import arrays
from bpcli.parts.data.arrays import mapped
from bpcli.parts.data.unchanged import unchanged
from bpcli.records.training import Exit, Failure, Problem


def grow(file: Path) -> None:
    with open(file, "a") as stream:
        stream.write("5,6\n")


def rewrite(file: Path) -> None:
    file.write_text(file.read_text().replace("1", "7"))
    os.utime(file, ns=(0, 10**18))


def replace_it(file: Path) -> None:
    other = file.with_name("other")
    other.write_text(file.read_text())
    os.utime(other, ns=(0, file.stat().st_mtime_ns))
    other.replace(file)


CHANGES: list[tuple[Callable[[Path], None], str]] = [
    (grow, "it had 8 bytes and has 12"),
    (lambda file: os.truncate(file, 3), "it had 8 bytes and has 3"),
    (rewrite, "it was written to"),
    (replace_it, "another file has its name"),
    (lambda file: file.unlink(), "it is gone"),
    (lambda file: (file.unlink(), file.mkdir())[1], "it is gone"),
]


@pytest.mark.parametrize(("change", "said"), CHANGES)
@pytest.mark.parametrize("fails", [False, True])
def test_a_file_that_changes_is_said_in_place_of_what_is_wrong_with_it(
    change: Callable[[Path], None], said: str, fails: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = Path("a.csv")
    file.write_text("1,2\n3,4\n")

    def read() -> None:
        with unchanged([file]):
            change(file)
            if fails:
                raise Failure(Problem("row 2 has one cell", code="cells"))

    with pytest.raises(Failure) as caught:
        read()
    (problem,) = caught.value.problems
    assert problem.text == f"the file has changed while it was read: {said}"
    assert (problem.code, problem.file, caught.value.exit) == ("changed", "a.csv", Exit.BAD_INPUT)


def test_what_stays_as_it_is_says_nothing(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("1,2\n")
    with unchanged([file, tmp_path / "gone", tmp_path]):
        file.read_text()
    with pytest.raises(Failure, match="of its own"), unchanged([file]):
        raise Failure(Problem("of its own", code="x"))
    assert difference(None, None) == ""


def test_a_picture_more_is_a_change_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "1.png").write_bytes(b"abc")
    with unchanged([tmp_path]):
        (tmp_path / "notes.txt").write_text("no source reads it")
    with pytest.raises(Failure, match="it is new"), unchanged([tmp_path]):
        (tmp_path / "cat" / "2.png").write_bytes(b"abc")
    with pytest.raises(Failure, match="it is gone"), unchanged([tmp_path]):
        (tmp_path / "cat" / "2.png").unlink()


@pytest.mark.parametrize("size", [100, 4_000_000])
def test_an_array_that_is_left_in_its_file_is_read_only_as_long_as_that_stays(tmp_path: Path, size: int) -> None:
    """A file that is cut short would end the process by a signal, SIGBUS."""
    file = tmp_path / "x.npy"
    np.save(file, np.arange(12.0).reshape(6, 2))
    rows = MappedRows(mapped(file, file.stat().st_size - 96, (6, 2), False, np.dtype(float)))
    some = rows.select(np.array([1, 4]))
    assert some.read(np.arange(2)).tolist() == [[2, 3], [8, 9]]
    column = arrays.columns_of(rows, [1])
    os.truncate(file, size)
    for lazy in (rows, some, column):
        with pytest.raises(OSError, match=r"has changed while it was read \(it had 224 bytes and has"):
            lazy.read(np.arange(1))  # type: ignore[attr-defined]
