"""Arrays saved with numpy.savez."""

import math
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from bpcli.family import Array, Sample, Shape, suggestion
from bpcli.numeric.lazy_rows import MappedRows
from bpcli.parts.data import arrays
from bpcli.parts.data.files import PARSER_ERRORS, data_error, expansion_limit, locate, reason, require_for_data


class Npz(arrays.ArraySource):
    """Two arrays of an .npz archive.

    Inputs    (N, ...) real numbers of any type, kept so until they are encoded
    Targets   (N,) text: class labels; (N,) whole numbers: class ids; (N,) or (N, K) numbers: values
    Memory    an array of more than 64 MiB that is not compressed is mapped: rows are read when a step asks for them, so
              that one larger than memory trains. The archive must not change as long as it is used
    Errors    Failure: a key that is not there (with those that are), Python objects (never unpickled), a damaged
              archive, one that expands to over 100 times its size (its directory is read first), a number that is
              not finite
    Source    NumPy Enhancement Proposal 1, "A Simple File Format for NumPy Arrays"
    """

    type: Literal["npz"] = "npz"
    endings: ClassVar[tuple[str, ...]] = (".npz",)
    file_settings: ClassVar[tuple[str, ...]] = ("path",)
    path: str = Field(min_length=1, description="the archive, relative to the file that names it")
    inputs: str = Field("x", min_length=1, description="the name of the array of inputs")
    targets: str = Field("y", min_length=1, description="the name of the array of targets")

    def open_arrays(self, root: Path, need_target: bool) -> arrays.OpenedArrays:
        path = locate(root, self.path)
        try:
            with zipfile.ZipFile(path) as archive:
                x = _read(archive, path, self.inputs)
                t = _read(archive, path, self.targets) if need_target else None
        except PARSER_ERRORS as error:
            text = f"this is not an .npz archive, or it is damaged: {reason(error)}"
            help = "write one with numpy.savez(path, x=..., y=...)"
            raise data_error(text, path, code="not-npz", help=help) from None
        if t is not None and x.ndim > 1 and t.ndim:
            arrays.check_same_length(x, t, path, (f"`{self.inputs}`", f"`{self.targets}`"))
        return x, t, (path, f"`{self.inputs}`"), (path, f"`{self.targets}`")

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(path="blobs.npz"))
        yield Sample({"type": "npz", "path": "mnist.npz", "inputs": "x_train", "targets": "y_train"})
        yield Sample({"type": "npz"}, error="Field required")
        yield Sample({"type": "npz", "path": "a.npz", "inputs": ""}, error="at least 1 character")


def _read(archive: zipfile.ZipFile, path: Path, key: str) -> Array | MappedRows:
    entries = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    if key not in entries:
        help = f"{suggestion(key, entries)}it holds {', '.join(entries) or 'nothing'}"
        raise data_error(f"the archive has no array `{key}`", path, code="missing-key", help=help)
    entry = entries[key]
    limit = expansion_limit(path.stat().st_size)
    if entry.file_size > limit:
        text = f"`{key}` expands to more than {limit >> 20} MiB, over 100 times the file"
        raise data_error(text, path, code="bomb", help="if that is meant, save it with numpy.savez, uncompressed")
    with archive.open(entry) as file:
        shape, fortran, dtype = arrays.header(file, f"`{key}`", path)
        expected = math.prod(shape) * dtype.itemsize
        if expected > limit:
            raise ValueError(f"`{key}` is said to have {' x '.join(map(str, shape))} entries")
        if expected > arrays.MAPPED and entry.compress_type == zipfile.ZIP_STORED and shape:
            if entry.file_size - file.tell() != expected:
                raise ValueError(f"`{key}` has {entry.file_size - file.tell()} bytes where {expected} are expected")
            return MappedRows(_map_entry(path, entry, file.tell(), shape, fortran, dtype))
        help = "save it with numpy.savez, uncompressed: then it stays in its file"
        require_for_data(expected, f"for `{key}`", path, help)
        data = file.read()
    if len(data) != expected:
        raise ValueError(f"`{key}` has {len(data)} bytes where {expected} are expected")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def _map_entry(
    path: Path, entry: zipfile.ZipInfo, start: int, shape: Shape, fortran: bool, dtype: np.dtype[Any]
) -> Array:
    """Returns an array that is not compressed, left in its archive; `start` is where its numbers begin in the entry.
    Raises ValueError where its checksum is wrong."""
    with open(path, "rb") as file:  # the entry's own header stands before it, with a name and an extra of any length
        file.seek(entry.header_offset + 26)
        name, extra = struct.unpack("<HH", file.read(4))
        entry_start = entry.header_offset + 30 + name + extra
        file.seek(entry_start)
        found, left = 0, entry.file_size
        while left:
            block = file.read(min(left, 1 << 20))
            if not block:
                raise ValueError("the archive ends inside an array")
            found, left = zlib.crc32(block, found), left - len(block)
    if found != entry.CRC:
        raise ValueError(f"Bad CRC-32 for file {entry.filename!r}")
    return arrays.mapped(path, entry_start + start, shape, fortran, dtype)
