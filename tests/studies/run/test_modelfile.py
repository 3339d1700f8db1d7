"""The model file: what is written comes back, and what is said where it cannot be kept or read."""

from __future__ import annotations

import io
import math
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from model_files import failure, fuzz
from model_files import file as file

from bpcli.numeric import free_memory
from bpcli.numeric.free_memory import NotEnoughMemoryError
from bpcli.records.training import Exit, Failure
from bpcli.studies.run import modelfile
from bpcli.studies.run.modelfile import read, write

FINITE: Any = {"allow_nan": False, "allow_infinity": False}
BASE = np.arange(24, dtype=np.float64).reshape(2, 3, 4) / 7


# What is written comes back
@pytest.mark.parametrize(
    "array",
    [
        BASE,
        BASE.astype(np.float32),
        np.asfortranarray(BASE),
        BASE.T,
        BASE[:, ::2, ::-1],
        np.broadcast_to(BASE[:, :1], (2, 3, 4)),
        BASE.astype(">f8"),
        np.array([[-(2**63), 2**63 - 1]]),
        np.arange(256, dtype=np.uint8),
        np.array([[True], [False]]),
        np.array(2.5),
        np.array(True),
        np.zeros((0, 3), np.float32),
        np.array([-0.0, 5e-324, 1.7e308]),
        np.zeros((1,) * 8),
    ],
)
def test_round_trip(tmp_path: Path, array: np.ndarray[Any, Any]) -> None:
    write(tmp_path / "m", {"x": array}, {})
    tensors, meta = read(tmp_path / "m")
    x = tensors["x"]
    assert meta == {}
    assert (x.shape, x.dtype) == (array.shape, array.dtype.newbyteorder("="))
    assert x.tobytes() == array.astype(x.dtype).tobytes()
    assert x.flags.owndata or x.base.flags.owndata
    assert x.flags.writeable
    assert x.flags.c_contiguous
    assert x.flags.aligned
    other = safetensors.numpy.load_file(tmp_path / "m")["x"]  # other tools see the same
    assert other.tobytes() == x.tobytes()


@pytest.mark.parametrize(
    "meta",
    [
        {},
        {"names": ["é", "漢字", "\N{BROKEN HEART}", "\ud800", '"\\\n\0', "sha256"], "": None},
        {"big": 2**200, "small": 5e-324, "third": 1 / 3, "zero": -0.0, "no": False},
        {"deep": [[[[[[[[[{"a": [1, 2.0, "3"]}]]]]]]]]]},
        {"sha256": "", "meta": {"sha256": "x"}},
        dict.fromkeys("zyxwv"),
    ],
)
def test_meta_round_trip(tmp_path: Path, meta: dict[str, Any]) -> None:
    write(tmp_path / "m", {}, meta)
    tensors, found = read(tmp_path / "m")
    assert tensors == {}
    assert repr(found) == repr(meta)  # types, signs and order too


def test_meta_is_json_that_every_reader_takes(tmp_path: Path) -> None:
    """NaN and infinities are no words of JSON: they are null."""
    write(tmp_path / "m", {}, {"best": math.nan, "sums": {"loss": math.inf, "rates": (1.0, -math.inf)}})
    assert read(tmp_path / "m")[1] == {"best": None, "sums": {"loss": None, "rates": [1.0, None]}}
    assert not re.search(rb"NaN|Infinity", (tmp_path / "m").read_bytes())


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_no_array_that_is_not_finite_is_written(tmp_path: Path, bad: float, dtype: str) -> None:
    """Every other file is, though its sum overflows."""
    good = {"a": np.full((2, 3), np.finfo(dtype).max, dtype), "n": np.arange(3)}
    write(tmp_path / "m", good, {})
    before = (tmp_path / "m").read_bytes()
    worse = np.zeros((2, 3), dtype)
    worse[1, 2] = bad
    with pytest.raises(Failure, match=r"cannot write .*m: dense_1\.W holds a number that is not finite") as failure:
        write(tmp_path / "m", {**good, "dense_1.W": worse}, {})
    assert failure.value.exit == Exit.BAD_RESULT
    assert (tmp_path / "m").read_bytes() == before


@fuzz
@given(
    st.dictionaries(
        st.from_regex(r"[\w.\-]{1,12}", fullmatch=True),
        st.sampled_from(["f4", "f8", "i8", "u1", "?"]).flatmap(
            lambda t: arrays(t, st.lists(st.integers(0, 3), max_size=4), elements=FINITE if t[0] == "f" else None)
        ),
        max_size=5,
    ),
    st.dictionaries(
        st.text(),
        st.one_of(st.text(), st.integers(), st.floats(**FINITE), st.none()),
        max_size=5,
    ),
)
def test_any_content_round_trips(tmp_path: Path, content: dict[str, Any], meta: dict[str, Any]) -> None:
    write(tmp_path / "m", content, meta)
    tensors, found = read(tmp_path / "m")
    assert found == meta
    assert {k: (v.shape, v.dtype.str, v.tobytes()) for k, v in tensors.items()} == {
        k: (v.shape, v.dtype.str, v.tobytes()) for k, v in content.items()
    }


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    names = [f"dense_{i}.W" for i in range(20)]
    write(tmp_path / "a", dict.fromkeys(names, BASE), {"b": 1, "a": 2})
    write(tmp_path / "b", dict.fromkeys(reversed(names), BASE), {"b": 1, "a": 2})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_an_array_stays_as_it_was(tmp_path: Path) -> None:
    array = np.asfortranarray(BASE)
    write(tmp_path / "m", {"x": array}, {})
    assert array.flags.f_contiguous
    assert np.array_equal(array, BASE)


@pytest.mark.parametrize(
    "array", [np.zeros(1, np.float16), np.zeros(1, np.int32), np.zeros(1, complex), np.array(["a"]), np.zeros((1,) * 9)]
)
def test_what_cannot_be_kept_is_refused(tmp_path: Path, array: Any) -> None:
    with pytest.raises(TypeError, match=r"tensor x: .* cannot be kept"):
        write(tmp_path / "m", {"x": array}, {})
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("name", ["", "a b", "../x", "a\n", "__metadata__\0", "x" * 4097])
def test_names_are_plain(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="only letters"):
        write(tmp_path / "m", {name: BASE}, {})


def test_a_description_without_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="the description of the model passes 16 MiB"):
        write(tmp_path / "m", {}, {"classes": "x" * 2**24})
    assert not (tmp_path / "m").exists()


def test_a_failed_write_leaves_the_old_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = file.read_bytes()
    monkeypatch.setattr(os, "fsync", lambda number: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(Failure, match="No space left on device") as caught:
        write(file, {"x": BASE}, {})
    assert caught.value.exit == Exit.IO_ERROR
    assert file.read_bytes() == before
    assert os.listdir(file.parent) == [file.name]


# Files that cannot be read
def test_a_missing_file(tmp_path: Path) -> None:
    assert failure(tmp_path / "m", Exit.NO_INPUT) == f"missing-file: no such file: {tmp_path / 'm'}"
    (tmp_path / "f").touch()
    assert "Not a directory" in failure(tmp_path / "f" / "m", Exit.NO_INPUT)


def test_what_is_not_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert f"{tmp_path} is a folder, not a model file" in failure(tmp_path)
    assert "is a pipe, not a model file" in failure(tmp_path / "pipe")  # and does not wait for a writer
    assert "is a device, not a model file" in failure(Path("/dev/zero"))


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(5, "Input/output error")])
def test_an_unreadable_file(file: Path, monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    def refuse(*args: Any) -> Any:
        raise error

    monkeypatch.setattr(modelfile, "open", refuse, raising=False)
    assert failure(file, Exit.NO_INPUT) == f"unreadable-file: cannot read {file}: {error.strerror}"


def test_a_file_larger_than_the_memory(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Huge(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if size == -1:
                raise MemoryError
            return super().read(size)

        def fileno(self) -> int:
            return number

    number = os.open(file, os.O_RDONLY)
    monkeypatch.setattr(modelfile, "open", lambda *args: Huge(file.read_bytes()), raising=False)
    assert "more than the memory" in failure(file)
    os.close(number)


def test_a_header_may_be_as_long_as_the_limit_and_no_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In writing and in reading alike."""
    file = tmp_path / "m"
    modelfile.write(file, {"a": np.ones(3)}, {"kind": "model"})
    length = int.from_bytes(file.read_bytes()[:8], "little")
    monkeypatch.setattr(modelfile, "MAX_HEADER_BYTES", length)
    assert modelfile.read(file)[1] == {"kind": "model"}
    modelfile.write(tmp_path / "n", {"a": np.ones(3)}, {"kind": "model"})
    monkeypatch.setattr(modelfile, "MAX_HEADER_BYTES", length - 1)
    with pytest.raises(Failure, match=f"its header claims {length} bytes"):
        modelfile.read(file)
    with pytest.raises(Failure, match="the description of the model passes 0 MiB"):
        modelfile.write(tmp_path / "o", {"a": np.ones(3)}, {"kind": "model"})


def test_a_file_that_there_is_no_memory_to_write_is_said_and_the_old_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """safetensors would end the process."""
    modelfile.write(tmp_path / "m", {"a": np.zeros(2)}, {})
    before = (tmp_path / "m").read_bytes()
    monkeypatch.setattr(free_memory, "SMALL_BYTES", 0)
    monkeypatch.setattr(free_memory, "available_bytes", lambda: 8000)
    with pytest.raises(NotEnoughMemoryError, match=r"16\.0 KB of memory are needed to write .*m, and 8\.0 KB are free"):
        modelfile.write(tmp_path / "m", {"a": np.zeros(1000)}, {})
    assert (tmp_path / "m").read_bytes() == before
