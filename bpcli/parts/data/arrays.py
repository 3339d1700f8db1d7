"""Arrays as NumPy saves them: their headers, kept in memory or left in their file, and checked before they are used."""

import math
import sys
import warnings
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from bpcli.family import Array, Shape, Source, Table
from bpcli.numeric.lazy_rows import LazyRows, MappedRows, RowIndices
from bpcli.numeric.shapes import written
from bpcli.parts.data.files import (
    PARSER_ERRORS,
    data_error,
    display_path,
    locate,
    open_binary,
    reason,
    require_for_data,
)
from bpcli.parts.data.targets import labels, numeric_target

MAPPED = 64 << 20
"""Bytes of an array from which on it stays in its file. As float32 one of bytes takes four times as many."""

MAX_AXES = 32
"""Axes of an array in a file."""

MORE_THAN_NUMBERS = "save numbers, or text as an array of strings (dtype str)"


def header(file: IO[bytes], name: str, path: Path) -> tuple[Shape, bool, np.dtype[Any]]:
    """Returns shape, whether columns come first, and type, from the beginning of the file. Raises Failure for Python
    objects and records, ValueError where it is no such header."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers that Python 2 wrote
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = read(file)
    except (*PARSER_ERRORS, MemoryError) as error:  # it is parsed as Python; deep brackets are a MemoryError then
        raise ValueError(reason(error)) from None
    if dtype.hasobject:
        text = f"{name} holds Python objects, which are not loaded: they could run code"
        raise data_error(text, path, code="objects", help=MORE_THAN_NUMBERS)
    if dtype.kind == "V":
        text = f"{name} holds records of several values, not numbers"
        raise data_error(text, path, code="not-numbers", help="save an array for each of their fields")
    whole = all(type(n) is int and n >= 0 for n in shape)
    is_beyond = 0 in shape and math.prod(n or 1 for n in shape) * dtype.itemsize > sys.maxsize  # of NumPy, empty or not
    if len(shape) > MAX_AXES or not whole or is_beyond or not dtype.itemsize:
        raise ValueError(f"its header describes no array: {dtype.str} of shape {str(shape)[:100]}")
    return shape, fortran, dtype


def mapped(path: Path, offset: int, shape: Shape, fortran: bool, dtype: np.dtype[Any]) -> Array:
    """Returns the array that begins at `offset`, left in the file. The file must not change as long as it is used."""
    return np.memmap(path, dtype, "r", offset, shape, "F" if fortran else "C")


def read_npy(root: Path, name: str) -> tuple[Path, Array | MappedRows]:
    """Returns the array of an .npy file, by its path relative to `root`; a large one stays there. Raises Failure."""
    path = locate(root, name)
    with open_binary(path) as file:
        try:
            shape, fortran, dtype = header(file, "the file", path)
        except ValueError as error:
            text = f"this is not an .npy file, or it is damaged: {error}"
            raise data_error(text, path, code="not-npy", help="write one with numpy.save(path, array)") from None
        count = math.prod(shape)
        expected = count * dtype.itemsize
        if path.suffix != ".gz":
            offset = file.tell()
            found = path.stat().st_size - offset
            if found != expected:
                raise _size_mismatch(path, shape, dtype, expected, found)
            if expected > MAPPED and shape:
                return path, MappedRows(mapped(path, offset, shape, fortran, dtype))
            data = file.read(expected)
        else:
            help = "unpack it with gunzip: then it stays in its file"
            require_for_data(expected, f"for {written(shape)} values", path, help)
            data = file.read(expected + 1) if expected < 1 << 62 else b""
        if len(data) != expected:
            raise _size_mismatch(path, shape, dtype, expected, len(data))
    return path, np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def _size_mismatch(path: Path, shape: Shape, dtype: np.dtype[Any], expected: int, found: int) -> Exception:
    text = f"the header promises {written(shape)} values of {dtype.name} ({expected} bytes), the file has {found}"
    return data_error(text, path, code="truncated", help="fetch it again, or save it anew")


def inputs_of(x: Array | MappedRows, path: Path, name: str, *, finite: bool = True) -> Array:
    """Returns the inputs (N, ...), as they are. Raises Failure where they cannot be inputs; without `finite` their
    numbers are not looked at."""
    if x.dtype.kind not in "iufb":
        raise data_error(f"{name} holds {x.dtype.name}, not real numbers", path, code="not-numbers")
    if x.ndim < 2:
        help = "reshape one column to (N, 1)"
        raise data_error(f"{name} has shape {x.shape}: (N, ...) is expected", path, code="npz-shape", help=help)
    if not x.size:
        raise data_error(f"{name} is empty: its shape is {x.shape}", path, code="no-rows")
    if finite:
        check_finite(x, path, name)
    return as_array(x)


def targets_of(t: Array | MappedRows, path: Path, name: str) -> Array:
    """Returns the targets in one of their three forms (see Table). Raises Failure where they cannot be targets."""
    check_target_type(t, path, name)
    if t.dtype.kind == "U":
        return labels(np.asarray(t).tolist())
    check_finite(t, path, name)
    return numeric_target(np.asarray(t))


def check_target_type(t: Array | MappedRows, path: Path, name: str) -> None:
    """Raises Failure where the type or the shape is not that of targets."""
    if t.dtype.kind == "U" and t.ndim == 1:
        return
    if t.dtype.kind not in "iufb" or t.ndim not in (1, 2):
        text = f"{name} is {t.dtype.name} of shape {t.shape}"
        help = "targets are (N,) text or whole numbers for classes, or (N, K) numbers"
        raise data_error(text, path, code="npz-shape", help=help)


def check_finite(x: Array | LazyRows, path: Path, name: str, rows: RowIndices | None = None) -> None:
    """Raises Failure at the first number that is not finite; `rows` is where those of x stand in their file."""
    if x.dtype.kind != "f":
        return
    if isinstance(x, MappedRows) and all(np.isfinite(limit).all() for limit in x.limits()):
        return
    step = max(1, (1 << 20) // max(1, math.prod(x.shape[1:])))
    for row in range(0, len(x), step):
        part = x[row : row + step]
        wrong = ~np.isfinite(part)
        if wrong.any():
            i, *rest = (int(k) for k in np.argwhere(wrong)[0])
            where = row + i if rows is None else int(rows[row + i])
            at = ", ".join(map(str, (where, *rest)))
            label = f"`{name.strip('`')}[{at}]`" if name.startswith("`") else f"entry [{at}]"
            help = "before it is saved, give it a value (numpy.nan_to_num) or leave its row out"
            raise data_error(f"{label} is {part[(i, *rest)]}, not a finite number", path, code="not-finite", help=help)


Origin = tuple[Path, str]
"""The file of an array, and what messages call the array."""


OpenedArrays = tuple[Any, Any, Origin, Origin]
"""Inputs and targets (or None), and where each comes from."""


class ArraySource(Source):
    """A source of arrays that can stay in their files."""

    @abstractmethod
    def open_arrays(self, root: Path, need_target: bool) -> OpenedArrays:
        """Returns the arrays as they stand in their files, without targets where they are not needed. Raises Failure
        where there are none."""

    def load(self, root: Path, *, need_target: bool = True) -> Table:
        x, t, inputs, targets = self.open_arrays(root, need_target)
        found = inputs_of(x, *inputs)
        return Table(found, {}, (), (), None if t is None else targets_of(t, *targets), (), display_path(inputs[0]))

    def left_in_file(self, root: Path) -> tuple[Array, Any, Origin]:
        """Returns inputs and targets as they stand in their files, the numbers of the inputs not looked at yet, and
        where these come from. Raises Failure where they cannot be inputs or targets."""
        x, t, inputs, targets = self.open_arrays(root, True)
        check_target_type(t, *targets)
        check_finite(t, *targets)
        return inputs_of(x, *inputs, finite=False), t, inputs


def columns_of(x: Array | MappedRows, columns: Sequence[int]) -> Array:
    """Returns some columns of (N, C), where the array is large left in the file."""
    if isinstance(x, MappedRows):
        run = columns[-1] - columns[0] == len(columns) - 1 and list(columns) == sorted(columns)
        if run:
            return as_array(MappedRows(x.base[:, columns[0] : columns[-1] + 1]))
        return as_array(MappedRows(x.base, None, np.array(columns, np.intp)))
    return np.ascontiguousarray(x[:, list(columns)])


def as_array(x: Any) -> Array:
    """Returns x, an array or what is indexed like one, as an array to the type checker."""
    return cast(Array, x)


def check_same_length(x: Array | LazyRows, t: Array | LazyRows, path: Path, names: tuple[str, str]) -> None:
    """Raises Failure where there are not as many targets as rows."""
    if len(t) != len(x):
        raise data_error(f"{names[0]} has {len(x)} rows and {names[1]} {len(t)}", path, code="npz-count")
