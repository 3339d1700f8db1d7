"""The files of MNIST and Fashion-MNIST."""

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bpcli.family.plan import Array
from bpcli.parts.data.idx import Idx
from bpcli.records.training import Failure

CODES = {"u1": 8, "i1": 9, ">i2": 0x0B, ">i4": 0x0C, ">f4": 0x0D, ">f8": 0x0E}


def idx(array: Array, code: str = "u1") -> bytes:
    head = bytes([0, 0, CODES[code], array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(code).tobytes()


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


IMAGES = np.arange(3 * 4 * 5).reshape(3, 4, 5)


def load(images: bytes, labels: bytes | None = None, x: str = "x", t: str = "t", **kwargs: Any) -> Any:
    Path(x).write_bytes(images)
    Path(t).write_bytes(idx(np.array([7, 0, 9])) if labels is None else labels)
    return Idx(inputs=x, targets=t).load(Path("."), **kwargs)


@pytest.mark.parametrize("packed", [False, True])
def test_images_and_labels(packed: bool) -> None:
    pack = gzip.compress if packed else bytes
    end = ".gz" if packed else ""
    table = load(pack(idx(IMAGES)), pack(idx(np.array([7, 0, 9]))), "x" + end, "t" + end)
    assert np.array_equal(table.numbers, IMAGES[..., None]), "one channel"
    assert table.numbers.dtype == np.uint8
    assert table.target.tolist() == [7, 0, 9]
    assert table.target.dtype == np.int64


@pytest.mark.parametrize("code", CODES)
def test_all_types(code: str) -> None:
    table = load(idx(IMAGES, code))
    assert np.array_equal(table.numbers, IMAGES[..., None])
    assert table.numbers.dtype.isnative


def test_absolute_paths_and_files(tmp_path: Path) -> None:
    Path("x").write_bytes(idx(IMAGES))
    part = Idx(inputs=str(tmp_path / "x"))
    assert part.load(Path("/nowhere"), need_target=False).rows == 3
    assert part.files(Path("/nowhere")) == (tmp_path / "x",)
    assert part.load(Path("/nowhere"), need_target=False).target is None


BIG = 2**31
HUGE = bytes([0, 0, 8, 3]) + struct.pack(">3I", BIG, BIG, BIG) + bytes(100)
BAD: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "this is not an IDX file: it starts with nothing"),
    "csv": (b"a,b\n1,2\n", "this is not an IDX file: it starts with 61 2c 62 0a"),
    "no axes": (bytes([0, 0, 8, 0]), "this is not an IDX file: it starts with 00 00 08 00"),
    "short header": (idx(IMAGES)[:11], "the file ends inside its header"),
    "truncated": (idx(IMAGES)[:-1], "the header promises 3 x 4 x 5 values (60 bytes), the file has only 59"),
    "bytes left over": (idx(IMAGES) + b"x", "the header promises 3 x 4 x 5 values (60 bytes), the file has more"),
    "huge": (HUGE, f"the header promises {BIG} x {BIG} x {BIG} values, more than a file of 116 bytes holds"),
    "no rows": (idx(np.zeros((0, 4, 5))), "the file holds no data: its axes are 0 x 4 x 5"),
    "labels": (idx(np.array([1, 2, 3])), "this IDX file has 1 axis of 3: labels, where images are expected"),
    "nan": (idx(np.full((3, 2), np.nan), ">f8"), "the data holds a number that is not finite"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_images(name: str) -> None:
    content, text = BAD[name]
    with pytest.raises(Failure) as caught:
        load(content)
    (problem,) = caught.value.problems
    assert (problem.text, problem.file, int(caught.value.exit)) == (text, "x", 65)


def test_a_compressed_header_may_not_promise_more_than_deflate_holds() -> None:
    with pytest.raises(Failure, match="more than a file of"):
        load(gzip.compress(HUGE), x="x.gz")
    with pytest.raises(Failure, match="the gzip file is truncated or damaged"):
        load(gzip.compress(idx(IMAGES))[:-12], x="x.gz")


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        (idx(np.array([1, 2])), "2 labels for 3 images of x"),
        (idx(IMAGES), "labels are one axis of whole numbers; this file has 3 axes of uint8"),
        (idx(np.array([0.5, 1, 2]), ">f4"), "labels are one axis of whole numbers; this file has 1 axes of float32"),
    ],
)
def test_bad_labels(labels: bytes, text: str) -> None:
    with pytest.raises(Failure) as caught:
        load(idx(IMAGES), labels)
    assert caught.value.problems[0].text == text


def test_missing_files() -> None:
    with pytest.raises(Failure, match="no such file: x") as caught:
        Idx(inputs="x", targets="t").load(Path("."))
    assert int(caught.value.exit) == 66
    Path("x").write_bytes(idx(IMAGES))
    with pytest.raises(Failure, match="no such file: t"):
        Idx(inputs="x", targets="t").load(Path("."))
    with pytest.raises(Failure, match="no file of labels is named"):
        Idx(inputs="x").load(Path("."))
