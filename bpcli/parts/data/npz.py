"""Arrays saved with numpy.savez."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from bpcli.family import Source, Table
from bpcli.part import near
from bpcli.parts.data.files import bad, expansion_limit, locate, shown
from bpcli.parts.data.targets import labels, numeric_target
from bpcli.plan import Array, Sample
from bpcli.records import Failure


class Npz(Source):
    """Two arrays of an .npz archive.

    Inputs    (N, ...) real numbers of any type, kept so until they are encoded
    Targets   (N,) text: class labels; (N,) whole numbers: class ids; (N,) or (N, K) numbers: values
    Errors    Failure: a key that is not there (with those that are), Python objects (never unpickled), a damaged
              archive, one that expands to over 100 times its size (its directory is read first), a number that is
              not finite
    Source    NumPy Enhancement Proposal 1, "A Simple File Format for NumPy Arrays"
    """

    type: Literal["npz"] = "npz"
    path: str = Field(min_length=1, description="the archive, relative to the file that names it")
    inputs: str = Field("x", min_length=1, description="the name of the array of inputs")
    targets: str = Field("y", min_length=1, description="the name of the array of targets")

    def files(self, root: Path) -> tuple[Path, ...]:
        return (root / self.path,)

    def load(self, root: Path, *, need_target: bool = True) -> Table:
        path = locate(root, self.path)
        try:
            with zipfile.ZipFile(path) as archive:
                x = _inputs(_read(archive, path, self.inputs), path, self.inputs)
                t = _targets(_read(archive, path, self.targets), path, self.targets) if need_target else None
        except Failure:
            raise
        except Exception as error:  # whatever a foreign or hostile file makes the parsers of zip and npy raise
            text = f"this is not an .npz archive, or it is damaged: {error}"
            raise bad(text, path, code="not-npz", help="write one with numpy.savez(path, x=..., y=...)") from None
        if t is not None and len(t) != len(x):
            text = f"`{self.inputs}` has {len(x)} rows and `{self.targets}` {len(t)}"
            raise bad(text, path, code="npz-count")
        return Table(x, {}, (), (), t, (), shown(path))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(path="blobs.npz"))
        yield Sample({"type": "npz", "path": "mnist.npz", "inputs": "x_train", "targets": "y_train"})
        yield Sample({"type": "npz"}, error="Field required")
        yield Sample({"type": "npz", "path": "a.npz", "inputs": ""}, error="at least 1 character")


def _read(archive: zipfile.ZipFile, path: Path, key: str) -> Array:
    entries = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    if key not in entries:
        guess = near(key, entries)
        help = (f"did you mean `{guess}`? " if guess else "") + f"it holds {', '.join(entries) or 'nothing'}"
        raise bad(f"the archive has no array `{key}`", path, code="missing-key", help=help)
    limit = expansion_limit(path.stat().st_size)
    if entries[key].file_size > limit:
        text = f"`{key}` expands to more than {limit >> 20} MiB, over 100 times the file"
        raise bad(text, path, code="bomb", help="if that is meant, save it with numpy.savez, uncompressed")
    with archive.open(entries[key]) as file:
        version = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = header(file)
        if dtype.hasobject:
            text = f"`{key}` holds Python objects, which are not loaded: they could run code"
            raise bad(text, path, code="objects", help="save numbers, or text as an array of strings (dtype str)")
        count = math.prod(shape)
        if count * dtype.itemsize > limit:
            raise ValueError(f"`{key}` is said to have {' x '.join(map(str, shape))} entries")
        data = file.read()
    if len(data) != count * dtype.itemsize:
        raise ValueError(f"`{key}` has {len(data)} bytes where {count * dtype.itemsize} are expected")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def _inputs(x: Array, path: Path, key: str) -> Array:
    if x.dtype.kind not in "iufb":
        raise bad(f"`{key}` holds {x.dtype.name}, not real numbers", path, code="not-numbers")
    if x.ndim < 2:
        help = "reshape one column to (N, 1)"
        raise bad(f"`{key}` has shape {x.shape}: (N, ...) is expected", path, code="npz-shape", help=help)
    if not x.size:
        raise bad(f"`{key}` is empty: its shape is {x.shape}", path, code="no-rows")
    _all_finite(x, path, key)
    return x


def _targets(t: Array, path: Path, key: str) -> Array:
    if t.dtype.kind == "U" and t.ndim == 1:
        return labels(t.tolist())
    if t.dtype.kind not in "iufb" or t.ndim not in (1, 2):
        text = f"`{key}` is {t.dtype.name} of shape {t.shape}"
        help = "targets are (N,) text or whole numbers for classes, or (N, K) numbers"
        raise bad(text, path, code="npz-shape", help=help)
    _all_finite(t, path, key)
    return numeric_target(t)


def _all_finite(x: Array, path: Path, key: str) -> None:
    for row in range(0, len(x), 1 << 14):
        part = x[row : row + (1 << 14)]
        wrong = ~np.isfinite(part) if x.dtype.kind == "f" else np.zeros(1, bool)
        if wrong.any():
            i, *rest = (int(k) for k in np.argwhere(wrong)[0])
            at = ", ".join(map(str, (row + i, *rest)))
            raise bad(f"`{key}[{at}]` is {part[(i, *rest)]}, not a finite number", path, code="not-finite")
