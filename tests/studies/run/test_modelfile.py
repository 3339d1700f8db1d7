"""The model file: what is written comes back, and nothing that is broken, foreign or hostile comes back at all."""

from __future__ import annotations

import io
import json
import math
import os
import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bpcli.records.training import Exit, Failure
from bpcli.studies.run import modelfile
from bpcli.studies.run.modelfile import read, write

BASE = np.arange(24, dtype=np.float64).reshape(2, 3, 4) / 7
fuzz = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A small valid file."""
    path = tmp_path / "model.safetensors"
    tensors = {"dense_1.W": np.array([[1.5, -2.0], [0.0, 3.0]], np.float32), "seen": np.array([True, False])}
    write(path, tensors, {"classes": ["a", "ö"], "step": 10, "rate": 1e-07})
    return path


def failure(path: Path, exit: Exit = Exit.BAD_INPUT) -> str:
    """The code and the text of the one problem that reading the file gives."""
    with pytest.raises(Failure) as caught:
        read(path)
    assert caught.value.exit == exit
    (problem,) = caught.value.problems
    assert problem.file == str(path)
    assert str(path) in problem.text
    return f"{problem.code}: {problem.text}"


def forge(header: Any, payload: bytes = b"") -> bytes:
    """A safetensors file with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + payload


def own(**changes: Any) -> dict[str, Any]:
    """The metadata of a file as bpcli writes it, with changes."""
    return {"bpcli": json.dumps({"format_version": 1, "meta": {}, "sha256": "00", **changes})}


def tensor(**changes: Any) -> dict[str, Any]:
    """The header entry of one float, with changes."""
    return {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], **changes}


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
        np.array([np.nan, np.inf, -0.0, 5e-324]),
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
        {"big": 2**200, "small": 5e-324, "third": 1 / 3, "zero": -0.0, "no": False, "infinite": math.inf},
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


def test_nan_in_meta(tmp_path: Path) -> None:
    write(tmp_path / "m", {}, {"best": math.nan})
    assert math.isnan(read(tmp_path / "m")[1]["best"])


@fuzz
@given(
    st.dictionaries(
        st.from_regex(r"[\w.\-]{1,12}", fullmatch=True),
        st.sampled_from(["f4", "f8", "i8", "u1", "?"]).flatmap(
            lambda t: arrays(t, st.lists(st.integers(0, 3), max_size=4))
        ),
        max_size=5,
    ),
    st.dictionaries(st.text(), st.one_of(st.text(), st.integers(), st.floats(allow_nan=False), st.none()), max_size=5),
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


@pytest.mark.parametrize("name", ["", "a b", "../x", "a\n", "__metadata__\0", "x" * 257])
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


# Broken files


def test_every_truncation_is_called_so(file: Path) -> None:
    data = file.read_bytes()
    for length in range(len(data)):
        file.write_bytes(data[:length])
        assert failure(file).startswith("truncated-model: "), length


def test_every_flipped_bit_is_found(file: Path) -> None:
    data = file.read_bytes()
    codes = set()
    for position in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[position // 8] ^= 1 << position % 8
        file.write_bytes(flipped)
        codes.add(failure(file).split(":")[0])
    assert codes == {"damaged-model", "truncated-model", "foreign-model", "newer-model"}


def test_a_flipped_weight_is_found_by_the_checksum(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    assert (
        failure(file) == f"damaged-model: {file} is damaged: its checksum does not hold: some of its bytes were changed"
    )


@pytest.mark.parametrize(("old", "new"), [(b"[2,2]", b"[4,1]"), (b"dense_1.W", b"dense_2.W")])
def test_the_checksum_covers_the_header(file: Path, old: bytes, new: bytes) -> None:
    data = file.read_bytes()
    assert data.count(old) == 1
    file.write_bytes(data.replace(old, new))
    assert "checksum" in failure(file)


def test_a_bool_is_0_or_1(tmp_path: Path) -> None:
    write(tmp_path / "m", {"seen": np.array([False, True])}, {})
    data = bytearray((tmp_path / "m").read_bytes())
    data[-1] = 3
    (tmp_path / "m").write_bytes(data)
    assert failure(tmp_path / "m").endswith("is damaged: a bool that is neither 0 nor 1")


def test_a_tail_is_damage(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"xyz")
    assert failure(file) == f"damaged-model: {file} is damaged: 3 bytes follow its end"


def npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, x=BASE)
    return buffer.getvalue()


def npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, BASE)
    return buffer.getvalue()


FOREIGN = {
    "npz": (npz(), "it looks like a zip archive"),
    "npy": (npy(), r"it looks like a NumPy array \(.npy\)"),
    "pickle": (pickle.dumps({"x": [1.0] * 9}), "it looks like a pickle, which may run code"),
    "gzip": (b"\x1f\x8b\x08" + bytes(20), "it looks like a gzip archive"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(20), "it looks like an HDF5 file"),
    "yaml": (b"name: iris\nseed: 7\n", "it looks like a text file"),
    "zeros": (bytes(100), "it looks like something else"),
    "safetensors": (safetensors.numpy.save({"x": BASE}), "a safetensors file of another program"),
    "pytorch": (safetensors.numpy.save({"x": BASE}, {"format": "pt"}), "a safetensors file of another program"),
}


@pytest.mark.parametrize("name", list(FOREIGN))
def test_files_of_other_programs(tmp_path: Path, name: str) -> None:
    content, text = FOREIGN[name]
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(Failure, match=text) as caught:
        read(tmp_path / "m")
    assert caught.value.problems[0].code == "foreign-model"
    assert "bpcli train CONFIG" in caught.value.problems[0].help


def test_a_newer_format_is_named(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(forge({"__metadata__": own(format_version=999, meta=[], sha256=None)}))
    assert "written by a newer bpcli (format 999; this one reads 1)" in failure(tmp_path / "m")


NOT_JSON, INCOMPLETE, NOT_OURS = "header cannot be read", "its metadata is incomplete", "is not one that bpcli writes"
MARK = {"__metadata__": own()}
HOSTILE: dict[str, tuple[bytes, str]] = {
    "length 2^64 - 1": (b"\xff" * 8 + b"{}", "its header claims 18446744073709551615 bytes"),
    "length 16 MiB + 1": ((2**24 + 1).to_bytes(8, "little") + b"{}", "its header claims 16777217 bytes"),
    "not JSON": (forge(b"{nonsense}"), NOT_JSON),
    "not UTF-8": (forge(b'{"\xff\xfe": 1}'), NOT_JSON),
    "UTF-16": (forge('{"__metadata__": {}}'.encode("utf-16-le")), "another program"),
    "endless nesting": (forge(b'{"a":' * 200_000), NOT_JSON),
    "a number of 5000 digits": (forge(b'{"a": ' + b"9" * 5000 + b"}"), NOT_JSON),
    "a key twice": (forge(b'{"a": 1, "a": 1}'), NOT_JSON),
    "a key of the record twice": (forge({"__metadata__": {"bpcli": '{"meta": {}, "meta": {}}'}}), NOT_JSON),
    "record of nesting": (forge({"__metadata__": {"bpcli": "[" * 100_000}}), NOT_JSON),
    "record is a list": (forge({"__metadata__": {"bpcli": "[]"}}), "not a table"),
    "no meta": (forge({"__metadata__": own(meta=None)}), INCOMPLETE),
    "no sha256": (forge({"__metadata__": own(sha256=None)}), INCOMPLETE),
    "empty sha256": (forge({"__metadata__": own(sha256="")}), INCOMPLETE),
    "sha256 is a bracket": (forge({"__metadata__": own(sha256="{")}), "checksum"),
    "version 0": (forge({"__metadata__": own(format_version=0)}), INCOMPLETE),
    "version is a text": (forge({"__metadata__": own(format_version="1")}), INCOMPLETE),
    "wrong sha256": (forge(MARK), "checksum"),
    "lone surrogate": (forge({"__metadata__": {"bpcli": own()["bpcli"][:-1] + ', "a": "\ud800"}'}}), "is damaged"),
    "lone surrogate in the record": (forge({"__metadata__": own(meta={"a": "\ud800"})}), "checksum"),
    "too much metadata": (
        forge({"__metadata__": own() | {str(i): "" for i in range(1001)}}),
        "metadata has 1,002 entries",
    ),
    "metadata is a list": (forge({"__metadata__": []}), "another program"),
    "tensor is a list": (forge({**MARK, "x": []}), NOT_OURS),
    "tensor is empty": (forge({**MARK, "x": {}}), NOT_OURS),
    "half a float": (forge({**MARK, "x": tensor(dtype="F16", data_offsets=[0, 2])}, bytes(2)), NOT_OURS),
    "bfloat": (forge({**MARK, "x": tensor(dtype="BF16", data_offsets=[0, 2])}, bytes(2)), NOT_OURS),
    "type is a list": (forge({**MARK, "x": tensor(dtype=["F32"])}, bytes(4)), NOT_OURS),
    "shape is a number": (forge({**MARK, "x": tensor(shape=1)}, bytes(4)), NOT_OURS),
    "shape of texts": (forge({**MARK, "x": tensor(shape=["1"])}, bytes(4)), "is damaged"),
    "shape of true": (forge({**MARK, "x": tensor(shape=[True])}, bytes(4)), "is damaged"),
    "shape 1e12": (forge({**MARK, "x": tensor(shape=[10**12])}, bytes(4)), "is damaged"),
    "shape 2^62 x 4": (forge({**MARK, "x": tensor(shape=[2**62, 4])}, bytes(4)), "is damaged"),
    "empty and huge": (forge({**MARK, "x": tensor(shape=[2**62, 0, 2**62], data_offsets=[0, 0])}), "is damaged"),
    "negative shape": (forge({**MARK, "x": tensor(shape=[-1])}, bytes(4)), "is damaged"),
    "nine axes": (forge({**MARK, "x": tensor(shape=[1] * 9)}, bytes(4)), NOT_OURS),
    "offsets of texts": (forge({**MARK, "x": tensor(data_offsets=["0", "4"])}), NOT_OURS),
    "offsets beyond": (forge({**MARK, "x": tensor(data_offsets=[0, 2**70])}, bytes(4)), "is truncated"),
    "offsets reversed": (forge({**MARK, "x": tensor(data_offsets=[4, 0])}), "is damaged"),
    "offsets negative": (forge({**MARK, "x": tensor(data_offsets=[-4, 0])}), "is damaged"),
    "a hole": (forge({**MARK, "x": tensor(data_offsets=[4, 8])}, bytes(8)), "is damaged"),
    "an overlap": (forge({**MARK, "x": tensor(), "y": tensor()}, bytes(4)), "is damaged"),
    "a name with a path": (forge({**MARK, "../../x": tensor()}, bytes(4)), "'../../x' " + NOT_OURS),
    "a name that moves the cursor": (forge({**MARK, "\x1b[2J": tensor()}, bytes(4)), r"'\x1b[2J' " + NOT_OURS),
}


@pytest.mark.parametrize("name", list(HOSTILE))
def test_hostile_files_cost_one_message(tmp_path: Path, name: str) -> None:
    content, expected = HOSTILE[name]
    (tmp_path / "m").write_bytes(content)
    tracemalloc.start()
    try:
        text = failure(tmp_path / "m")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert expected in text
    assert text.isprintable()
    assert peak < 64 * 2**20


@fuzz
@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_give_a_failure(tmp_path: Path, content: bytes, as_header: bool) -> None:
    (tmp_path / "m").write_bytes(forge(content) if as_header else content)
    failure(tmp_path / "m")


@fuzz
@given(st.data())
def test_any_damage_is_found(tmp_path: Path, file: Path, data: st.DataObject) -> None:
    """Bytes cut out, put in or overwritten; two files spliced."""
    good = file.read_bytes()
    start = data.draw(st.integers(0, len(good)))
    end = data.draw(st.integers(start, len(good)))
    bad_file = good[:start] + data.draw(st.one_of(st.binary(max_size=20), st.just(good[-end:]))) + good[end:]
    (tmp_path / "m").write_bytes(bad_file)
    if bad_file == good:
        read(tmp_path / "m")
    else:
        failure(tmp_path / "m")


json_values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(["F32", "dtype", "x", "__metadata__"])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["dtype", "shape", "x"]), inner)
    ),
    max_leaves=8,
)


@fuzz
@given(
    st.dictionaries(st.sampled_from(["x", "y", "__metadata__"]), st.one_of(json_values, st.just(tensor()))),
    st.booleans(),
)
def test_any_header_gives_a_failure(tmp_path: Path, header: dict[str, Any], ours: bool) -> None:
    if ours:
        header["__metadata__"] = own()
    (tmp_path / "m").write_bytes(forge(header, bytes(4)))
    failure(tmp_path / "m")


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
