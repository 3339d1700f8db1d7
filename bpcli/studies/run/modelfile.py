"""Model files and checkpoints: one self-contained, checksummed safetensors file each.

The file is plain safetensors, which other tools open; it holds no code, and nothing in it is ever imported or used as a
path. What bpcli adds stands in its metadata under the key `bpcli`, as JSON:

    {"format_version": 1, "meta": {...}, "sha256": "..."}

where sha256 covers this text with an empty sha256 and then, of each tensor in the order of their names, a line of name,
type and shape, and its bytes. (One key, because safetensors writes several in an order that changes.)
"""

import hashlib
import json
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save

from bpcli.config.scalars import MAX_INTEGER
from bpcli.family.plan import Array
from bpcli.numeric.free_memory import require_memory
from bpcli.numeric.vectors import all_finite
from bpcli.records.plain import MAX_DEPTH, is_deeper, plain
from bpcli.records.training import Exit, Failure, Problem
from bpcli.studies.run.atomic import atomic_bytes, file_kind

FORMAT_VERSION = 1  # the number that is raised where older versions cannot read a file
METADATA_KEY = "bpcli"
MAX_HEADER_BYTES = 16 * 2**20  # bytes; a bound on what a file can make us parse
MAX_KEYS = 1000  # keys of metadata; a model has one
MAX_AXES = 8  # axes of a tensor
TENSOR_NAME = re.compile(r"[\w.\-]{1,4096}")  # 31 branches inside each other, each of a name of 64
DTYPES: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
    "I64": np.dtype("<i8"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
FOREIGN = {
    b"PK\x03\x04": "a zip archive (.npz, .keras and PyTorch's files are zip archives)",
    b"\x80": "a pickle, which may run code when it is opened; bpcli never opens one",
    b"\x93NUMPY": "a NumPy array (.npy)",
    b"\x89HDF": "an HDF5 file (.h5)",
    b"\x1f\x8b": "a gzip archive",
}
HELP_TRAIN = "`bpcli train CONFIG` writes model.safetensors into its run folder"
COPIES = 2
"""How often safetensors copies what it writes."""
HELP_COPY = "copy the file again, or use another checkpoint of the run"


def write(path: Path, tensors: Mapping[str, Array], meta: Mapping[str, Any]) -> None:
    """Writes a model file: arrays of float32, float64, int64, uint8 or bool in any memory layout, and plain JSON data.

    Shapes are kept, () too; numbers in `meta` come back bit for bit, tuples as lists, nan and infinities as None. Equal
    content gives equal bytes. Raises TypeError or ValueError where an array, a name or `meta` cannot be kept, and
    Failure as `atomic_bytes` does, or where `meta` passes 16 MiB or an array holds a number that is not finite.
    """
    arrays = {name: storable(name, value) for name, value in tensors.items()}
    if (name := first_non_finite_tensor(arrays)) is not None:
        text = f"cannot write {path}: {name} holds a number that is not finite"
        help = "this is a fault of bpcli, or of a part of your own: please report it"
        raise Failure(Problem(text, code="not-finite", file=str(path), help=help), exit=Exit.BAD_RESULT)
    record = {"format_version": FORMAT_VERSION, "meta": plain(meta), "sha256": ""}
    record["sha256"] = digest(json.dumps(record), arrays)
    needed = COPIES * sum(a.nbytes for a in arrays.values())  # and where there is less, safetensors ends the process
    require_memory(needed, f"to write {path}", "a smaller network, or less of other work beside it")
    data = save(arrays, metadata={METADATA_KEY: json.dumps(record)})
    if int.from_bytes(data[:8], "little") > MAX_HEADER_BYTES:
        text = f"cannot write {path}: the description of the model passes {MAX_HEADER_BYTES >> 20} MiB"
        raise bad_file(path, text, help="classes and text columns with fewer different values make it smaller")
    atomic_bytes(path, data, follow=False)


def first_non_finite_tensor(tensors: Mapping[str, Array]) -> str | None:
    """Returns the name of the first array that holds nan or an infinity; None where there is none."""
    return next((name for name, a in tensors.items() if a.dtype.kind == "f" and not all_finite(a)), None)


def storable(name: str, value: Array) -> Array:
    """Returns the array as the file holds it: little-endian and C-contiguous (safetensors corrupts what is not)."""
    a = np.asarray(value, order="C")  # ascontiguousarray would give () the shape (1,)
    a = a.astype(a.dtype.newbyteorder("<"), copy=False)
    if not TENSOR_NAME.fullmatch(name):
        raise ValueError(f"tensor name {name!r}: only letters, digits, `_`, `.` and `-`, at most 4096")
    if a.dtype not in DTYPES.values() or a.ndim > MAX_AXES:
        raise TypeError(f"tensor {name}: {a.dtype} of shape {a.shape} cannot be kept")
    return a


def digest(text: str, arrays: Mapping[str, Array]) -> str:
    """Returns the sha256, in hexadecimal, over the metadata text (with an empty sha256) and the tensors."""
    found = hashlib.sha256(text.encode("utf-8", "surrogatepass"))
    for name in sorted(arrays):
        a = arrays[name]
        found.update(f"\n{name} {a.dtype.str} {a.shape}\n".encode())
        found.update(a.reshape(-1).view(np.uint8).data)
    return found.hexdigest()


def read(path: Path) -> tuple[dict[str, Array], dict[str, Any]]:
    """Returns the tensors (owned, writable, C-contiguous) and the meta data of a model file.

    Raises Failure: 66 where the file is missing or unreadable; 65 where it is truncated, damaged (the checksum does not
    hold), of another kind, or written by a newer bpcli. Allocates in proportion to the size of the file.
    """
    try:
        header, data = header_and_bytes(path)
    except FileNotFoundError:
        problem = Problem(f"no such file: {path}", code="missing-file", file=str(path), help=HELP_TRAIN)
        raise Failure(problem, exit=Exit.NO_INPUT) from None
    except OSError as e:
        problem = Problem(f"cannot read {path}: {e.strerror or e}", code="unreadable-file", file=str(path))
        raise Failure(problem, exit=Exit.NO_INPUT) from e
    text, meta, sha256 = read_metadata(path, header)
    check_tensors(path, header)
    try:
        arrays = {name: to_array(tensor) for name, tensor in deserialize(data)}  # type: ignore[no-untyped-call]
    except (SafetensorError, TypeError, ValueError, OverflowError) as e:
        raise damaged_file(path, str(e)) from e
    if digest(text, arrays) != sha256:
        raise damaged_file(path, "its checksum does not hold: some of its bytes were changed")
    return arrays, meta


def header_and_bytes(path: Path) -> tuple[dict[str, Any], bytes]:
    """Returns the parsed header and all bytes, after the lengths that the file states were compared with its size."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise bad_file(path, f"{path} is {file_kind(mode)}, not a model file", help=HELP_TRAIN)
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        header, end = read_header(path, file, size)
        if end > size:
            raise truncated_file(path, f"it has {size} bytes of {end}")
        if end < size:
            raise damaged_file(path, f"{size - end} bytes follow its end")
        file.seek(0)
        try:
            require_memory(3 * size, f"to read {path}", "")  # the bytes, each tensor of safetensors, and each array
            return header, file.read()
        except MemoryError:
            raise bad_file(path, f"{path} has {size} bytes, more than the memory") from None


def read_header(path: Path, file: BinaryIO, size: int) -> tuple[dict[str, Any], int]:
    """Returns the parsed header, and the size that the whole file should have."""
    start = file.read(9)
    length = int.from_bytes(start[:8], "little")
    if len(start) < 9:
        raise truncated_file(path, f"it has {size} bytes" if size else "it is empty")
    if start[8:] != b"{":
        text = "a text file" if re.fullmatch(rb"[\t\r\n -~]+", start) else "something else"
        what = next((what for magic, what in FOREIGN.items() if start.startswith(magic)), text)
        raise bad_file(path, f"{path} is not a model file; it looks like {what}", code="foreign-model", help=HELP_TRAIN)
    if length > MAX_HEADER_BYTES:
        raise damaged_file(path, f"its header claims {length} bytes")
    if length > size - 8:
        raise truncated_file(path, f"it has {size} bytes, its header alone needs {length + 8}")
    header = parse_object(path, start[8:] + file.read(length - 1))
    tensor_ends = [t["data_offsets"][1] for name, t in header.items() if name != "__metadata__" and has_offsets(t)]
    return header, 8 + length + max(tensor_ends, default=0)


def has_offsets(tensor: Any) -> bool:
    """Whether a header entry says where its bytes are."""
    offsets = tensor.get("data_offsets") if isinstance(tensor, dict) else None
    return isinstance(offsets, list) and len(offsets) == 2 and all(type(n) is int for n in offsets)


def parse_object(path: Path, text: bytes | str) -> dict[str, Any]:
    """Returns a JSON object. A key that stands twice and endless nesting are damage."""
    try:
        found = json.loads(text, object_pairs_hook=without_duplicates, parse_int=bounded_int)
    except (ValueError, RecursionError) as e:
        raise damaged_file(path, f"its header cannot be read ({type(e).__name__})") from e
    if not isinstance(found, dict):
        raise damaged_file(path, "its header is not a table")
    if is_deeper(found, MAX_DEPTH):
        raise damaged_file(path, f"its header is nested more than {MAX_DEPTH} levels deep")
    return found


def bounded_int(text: str) -> int:
    """Returns a whole number as a config can hold it. Raises ValueError where it is too large for a float."""
    number = int(text)
    if abs(number) >= MAX_INTEGER:
        raise ValueError("a number is too large")
    return number


def without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Returns the pairs as a dict. Raises ValueError where a key stands twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found


def read_metadata(path: Path, header: Mapping[str, Any]) -> tuple[str, dict[str, Any], str]:
    """Returns the metadata text with an empty sha256, the meta data in it, and the sha256."""
    metadata = header.get("__metadata__")
    if isinstance(metadata, dict) and len(metadata) > MAX_KEYS:
        raise damaged_file(path, f"its metadata has {len(metadata):,} entries")
    text = metadata.get(METADATA_KEY) if isinstance(metadata, dict) else None
    if not isinstance(text, str):
        what = f"{path} is a safetensors file of another program: it holds weights, but no network to put them in"
        raise bad_file(path, what, code="foreign-model", help=HELP_TRAIN)
    record = parse_object(path, text)
    version, meta, sha256 = (record.get(key) for key in ("format_version", "meta", "sha256"))
    if type(version) is int and version > FORMAT_VERSION:
        what = f"{path} was written by a newer bpcli (format {version}; this one reads {FORMAT_VERSION})"
        raise bad_file(path, what, code="newer-model", help="upgrade bpcli, or train again with this version")
    if version != FORMAT_VERSION or not isinstance(meta, dict) or not isinstance(sha256, str) or not sha256:
        raise damaged_file(path, "its metadata is incomplete")
    before, _, after = text.rpartition(sha256)
    return before + after, meta, sha256


def check_tensors(path: Path, header: Mapping[str, Any]) -> None:
    """Holds the names, types and numbers of axes to what bpcli writes; the rest is checked by safetensors."""
    for name, tensor in header.items():
        if name == "__metadata__":
            continue
        shape, dtype = (tensor.get("shape"), tensor.get("dtype")) if isinstance(tensor, dict) else (None, None)
        fits = isinstance(shape, list) and len(shape) <= MAX_AXES and isinstance(dtype, str) and dtype in DTYPES
        if not (fits and has_offsets(tensor) and TENSOR_NAME.fullmatch(name)):
            raise damaged_file(path, f"its tensor {name[:40]!r} is not one that bpcli writes")


def to_array(tensor: Mapping[str, Any]) -> Array:
    """Returns an owned array from what safetensors gives. Raises ValueError for a bool that is neither 0 nor 1."""
    dtype = DTYPES[tensor["dtype"]]
    if dtype == np.bool_ and tensor["data"].strip(b"\x00\x01"):
        raise ValueError("a bool that is neither 0 nor 1")
    flat: Array = np.frombuffer(tensor["data"], dtype)
    return flat.reshape(tensor["shape"]).copy()


def bad_file(path: Path, text: str, *, code: str = "bad-model", help: str = "") -> Failure:
    """Returns the failure of a file that is there and cannot be used."""
    return Failure(Problem(text, code=code, file=str(path), help=help), exit=Exit.BAD_INPUT)


def truncated_file(path: Path, why: str) -> Failure:
    """Returns the failure of a file that ends too early."""
    return bad_file(path, f"{path} is truncated: {why}", code="truncated-model", help=HELP_COPY)


def damaged_file(path: Path, why: str) -> Failure:
    """Returns the failure of a file that is not as it was written."""
    return bad_file(path, f"{path} is damaged: {why}", code="damaged-model", help=HELP_COPY)
