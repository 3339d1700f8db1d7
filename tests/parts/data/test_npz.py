"""Arrays saved with numpy.savez."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bpcli.family import Table
from bpcli.family.plan import Array
from bpcli.parts.data.npz import Npz
from bpcli.records.training import Failure


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


X = np.arange(6.0).reshape(3, 2)


def load(x: Array = X, y: Any = (0, 1, 1), need_target: bool = True, **names: str) -> Table:
    np.savez("a.npz", x=x, y=np.asarray(y))
    return Npz(path="a.npz", **names).load(Path("."), need_target=need_target)


@pytest.mark.parametrize("dtype", ["f2", "f4", ">f8", "u1", "i8", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_any_real_type_and_order(dtype: str, order: Any) -> None:
    x = np.asarray(np.arange(12).reshape(3, 2, 2) % 2, dtype, order=order)
    table = load(x)
    assert np.array_equal(table.numbers, x)
    assert table.numbers.dtype == x.dtype


@pytest.mark.parametrize(
    ("y", "expected", "dtype"),
    [
        (["b", "a", "b"], ["b", "a", "b"], object),
        (np.array([2, 0, 1], np.uint8), [2, 0, 1], np.int64),
        ([0.0, 1.0, 2.0], [0, 1, 2], np.int64),
        ([0.5, 1, 2], [[0.5], [1], [2]], np.float64),
        ([[0, 1], [1, 0], [0, 1]], [[0, 1], [1, 0], [0, 1]], np.float64),
    ],
)
def test_forms_of_targets(y: Any, expected: list[Any], dtype: Any) -> None:
    target = load(y=y).target
    assert target is not None
    assert target.tolist() == expected
    assert target.dtype == dtype


def test_compressed_and_without_targets() -> None:
    np.savez_compressed("a.npz", images=X)
    table = Npz(path="a.npz", inputs="images").load(Path("."), need_target=False)
    assert (table.numbers.tolist(), table.target) == (X.tolist(), None)


def failure_text(**settings: Any) -> str:
    with pytest.raises(Failure) as caught:
        Npz(path="a.npz", **settings).load(Path("."))
    (problem,) = caught.value.problems
    assert problem.file == "a.npz"
    return f"{problem.text} | {problem.help}"


@pytest.mark.parametrize(
    ("x", "y", "text"),
    [
        (X[:, 0], [0, 1, 1], "`x` has shape (3,): (N, ...) is expected | reshape one column to (N, 1)"),
        (X, [0, 1], "`x` has 3 rows and `y` 2 | "),
        (X + 0j, [0, 1, 1], "`x` holds complex128, not real numbers | "),
        (np.array([["a"]]), [0], "`x` holds str32, not real numbers | "),
        (np.zeros((0, 2)), [], "`x` is empty: its shape is (0, 2) | "),
        (np.array([[1, 2], [3, np.inf]]), [0, 1], "`x[1, 1]` is inf, not a finite number | "),
        (X, [0, np.nan, 1], "`y[1]` is nan, not a finite number | "),
        (X, np.zeros((3, 1, 1)), "`y` is float64 of shape (3, 1, 1) | targets are (N,) text or whole numbers"),
        (X, [["a"], ["b"], ["c"]], "`y` is str32 of shape (3, 1) | targets are"),
    ],
)
def test_bad_arrays(x: Array, y: Any, text: str) -> None:
    np.savez("a.npz", x=x, y=np.asarray(y))
    assert failure_text().startswith(text)


def test_a_missing_key_lists_the_others() -> None:
    np.savez("a.npz", x_train=X, labels=X)
    assert (
        failure_text(inputs="x_trian")
        == "the archive has no array `x_trian` | did you mean `x_train`? it holds x_train, labels"
    )


def test_objects_are_never_unpickled() -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return (Path("harm").touch, ())

    np.savez("a.npz", x=np.array([[Trap()]], object), y=[0])
    assert failure_text().startswith("`x` holds Python objects, which are not loaded: they could run code")
    assert not Path("harm").exists()


def archive(data: bytes, compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile("a.npz", "w", compression) as file:
        file.writestr("x.npy", data)


def test_a_bomb_is_refused_from_the_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    archive(bytes(17 << 20), zipfile.ZIP_DEFLATED)
    monkeypatch.setattr(zipfile.ZipFile, "open", None)
    assert failure_text().startswith("`x` expands to more than 16 MiB, over 100 times the file")


def test_a_header_may_not_promise_more_than_the_entry_holds() -> None:
    saved = io.BytesIO()
    np.save(saved, np.zeros((10, 1)))
    archive(saved.getvalue().replace(b"(10, 1)", b"(99, 1)"))
    assert "`x` has 80 bytes where 792 are expected" in failure_text()
    archive(saved.getvalue().replace(b"(10, 1), }     ", b"(99999999999,)}"))
    assert "`x` is said to have 99999999999 entries" in failure_text()
    archive(saved.getvalue().replace(b"(10, 1), }", b"(10, 1), ("))
    assert failure_text().startswith("this is not an .npz archive, or it is damaged")


def test_damaged_archives() -> None:
    load()
    whole = Path("a.npz").read_bytes()
    for broken in (b"", whole[:-30], b"x,y\n1,2\n", whole.replace(b"NUMPY", b"NUMPI")):
        Path("a.npz").write_bytes(broken)
        assert failure_text().startswith("this is not an .npz archive, or it is damaged")
    flipped = bytearray(whole)
    flipped[whole.index(b"NUMPY") + 140] ^= 1
    Path("a.npz").write_bytes(flipped)
    assert "Bad CRC-32" in failure_text()
