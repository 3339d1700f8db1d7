"""Arrays saved with numpy.save: forms of targets, what is refused, and files left where they are."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bpcli.family import Source, Table
from bpcli.numeric.lazy_rows import MappedRows
from bpcli.parts.data import arrays
from bpcli.parts.data.npy import Npy
from bpcli.parts.data.npz import Npz
from bpcli.records.training import Failure
from bpcli.studies.dataset.data_option import source_of

X = np.arange(12.0).reshape(4, 3)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", X)
    np.save("y.npy", np.array([0, 1, 1, 0]))


def load(need_target: bool = True, **settings: Any) -> Table:
    source = Source.parse({"type": "npy", "path": "x.npy", **settings})
    return source.load(Path("."), need_target=need_target)


def failure_text(**settings: Any) -> str:
    with pytest.raises(Failure) as caught:
        load(**settings)
    (problem,) = caught.value.problems
    return f"{problem.file}: {problem.text} | {problem.help}"


@pytest.mark.parametrize("dtype", ["f2", "f4", ">f8", "u1", "i8", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("left", [False, True])
def test_any_real_type_and_order(dtype: str, order: Any, left: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "MAPPED", 1 if left else 1 << 30)
    x = np.asarray(np.arange(24).reshape(4, 3, 2) % 2, dtype, order=order)
    np.save("x.npy", x)
    numbers = load(targets="y.npy").numbers
    assert isinstance(numbers, MappedRows) == left
    assert np.array_equal(np.asarray(numbers), x)
    assert numbers.shape == x.shape
    assert numbers[2].tolist() == x[2].tolist()


def test_targets_in_columns() -> None:
    table = load(target=-1)
    assert table.numbers.tolist() == X[:, :2].tolist()
    assert table.target is not None
    assert (table.target.tolist(), table.target.dtype) == ([2, 5, 8, 11], np.int64)
    table = load(target=[0, 2])
    assert (table.numbers.tolist(), table.target.tolist()) == (X[:, [1]].tolist(), X[:, [0, 2]].tolist())
    assert load(target=-1, need_target=False).target is None


def test_targets_in_a_file() -> None:
    np.save("names.npy", np.array(["b", "a", "b", "b"]))
    found = load(targets="names.npy").target
    assert found is not None
    assert found.tolist() == ["b", "a", "b", "b"]
    with gzip.open("y.npy.gz", "wb") as file:
        np.save(file, np.array([3, 4, 5, 6]))
    found = load(targets="y.npy.gz").target
    assert found is not None
    assert found.tolist() == [3, 4, 5, 6]
    assert load(need_target=False).target is None
    assert Npy(path="x.npy", targets="y.npy").files(Path("a")) == (Path("a/x.npy"), Path("a/y.npy"))


def test_what_is_refused() -> None:
    help = "add `targets: <file>`, or `target: -1` where the last column holds them"
    assert failure_text() == f"x.npy: no targets are named | {help}"
    assert failure_text(target=3) == "x.npy: target: the array has no column 3 | it has 3: 0 to 2, -1 is the last"
    assert failure_text(target=[0, 1, 2]).startswith("x.npy: no column is left to learn from")
    assert "no such file: z.npy" in failure_text(targets="z.npy")
    np.save("y.npy", np.arange(5))
    assert failure_text(targets="y.npy").startswith("y.npy: x.npy has 4 rows and this file 5")
    np.save("x.npy", np.arange(4.0))
    assert "targets are columns of (N, C)" in failure_text(target=0)
    np.save("x.npy", X + 0j)
    assert "holds complex128, not real numbers" in failure_text(target=0)
    np.save("x.npy", np.array([[1, 2], [3, np.nan]]))
    assert failure_text(target=0).startswith("x.npy: entry [1, 0] is nan, not a finite number")


@pytest.mark.parametrize("left", [False, True])
def test_damaged_files(left: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "MAPPED", 1 if left else 1 << 30)
    whole = Path("x.npy").read_bytes()
    for broken, text in (
        (b"", "this is not an .npy file, or it is damaged"),
        (b"x,y\n1,2\n", "this is not an .npy file, or it is damaged"),
        (whole[:-8], "the header promises 4 x 3 values of float64 (96 bytes), the file has 88"),
        (whole + b"!", "the header promises 4 x 3 values of float64 (96 bytes), the file has 97"),
        (whole.replace(b"(4, 3), }      ", b"(4, 10**12), }")[: len(whole)], "this is not an .npy file"),
        (whole.replace(b"(4, 3), }        ", b"(4, 999999999), }"), "the header promises 4 x 999999999 values"),
    ):
        Path("x.npy").write_bytes(broken)
        assert text in failure_text(target=0), text


def test_a_shape_that_no_array_has_is_said_without_addresses() -> None:
    """An empty array is of no more bytes than another one, but its shape has limits too."""
    whole = Path("x.npy").read_bytes()
    for shape in (b"(0, 10**12)", b"(0, %d)" % 10**20, b"(%d, 0)" % 10**20, b"(0, %d, 2)" % 2**62):
        field = b"(4, 3), }".ljust(len(shape) + 3)
        assert field in whole
        Path("x.npy").write_bytes(whole.replace(field, shape + b", }"))
        said = failure_text(target=0)
        assert said.startswith("x.npy: this is not an .npy file, or it is damaged"), said
        assert " at 0x" not in said


def test_objects_are_never_unpickled() -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return (Path("harm").touch, ())

    np.save("x.npy", np.array([[Trap()]], object), allow_pickle=True)
    assert "holds Python objects, which are not loaded: they could run code" in failure_text(target=0)
    assert not Path("harm").exists()


def test_an_archive_that_is_not_compressed_is_left_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "MAPPED", 1)
    np.savez("a.npz", x=X, y=np.array([0, 1, 1, 0]))
    numbers = Npz(path="a.npz").load(Path(".")).numbers
    assert isinstance(numbers, MappedRows)
    assert np.array_equal(np.asarray(numbers), X)
    np.savez_compressed("a.npz", x=X, y=np.array([0, 1, 1, 0]))
    assert isinstance(Npz(path="a.npz").load(Path(".")).numbers, np.ndarray)
    np.savez("a.npz", x=X, y=np.array([0, 1, 1, 0]))
    data = bytearray(Path("a.npz").read_bytes())
    data[data.index(b"NUMPY") + 140] ^= 1
    Path("a.npz").write_bytes(data)
    with pytest.raises(Failure, match="Bad CRC-32"):
        Npz(path="a.npz").load(Path("."))


def test_data_given_by_a_path() -> None:
    train = Npy(path="x.npy", target=(-1,))
    assert source_of("new.npy", train, True) == Npy(path="new.npy", target=(-1,))
    np.save("new.npy", X[:, :2])
    assert source_of("new.npy", train, False, (2,), Path(".")) == Npy(path="new.npy")
    assert source_of("x.npy", train, False, (2,), Path(".")) == train
    assert source_of("x.npy", Npy(path="a.npy", targets="b.npy"), False, (3,), Path(".")) == Npy(path="x.npy")
    with pytest.raises(Failure, match="holds inputs and no targets"):
        source_of("x.npy", Npy(path="a.npy", targets="b.npy"), True)


@pytest.mark.parametrize("settings", [{"targets": "y.npy"}, {"target": -1}, {"target": [0, 2]}, {}])
def test_a_model_file_says_the_same(settings: Any) -> None:
    source = Source.parse({"type": "npy", "path": "x.npy", **settings})
    assert Source.parse(source.model_dump(mode="json")) == source
