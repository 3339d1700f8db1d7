"""Model files that are broken, foreign or hostile: each is refused with one message."""

from __future__ import annotations

import io
import json
import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from model_files import failure, fuzz
from model_files import file as file

from bpcli.records.training import Failure
from bpcli.studies.run.modelfile import read, write

BASE = np.arange(24, dtype=np.float64).reshape(2, 3, 4) / 7


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
