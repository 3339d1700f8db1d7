"""The format of MNIST and Fashion-MNIST: one file of images, one of labels."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from bpcli.family import Array, Sample, Shape, Source, Table
from bpcli.numeric.shapes import written
from bpcli.parts.data.files import data_error, display_path, expansion_limit, locate, open_binary, require_for_data
from bpcli.records.training import Exit, Failure, Problem

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


class Idx(Source):
    """Images and labels in IDX files; gzip where a name ends in .gz.

    Inputs    (N, h, w) images get the axis of their one channel, (N, h, w, 1); else as the file has them. Numbers keep
              their type (unsigned bytes for MNIST) until they are encoded
    Targets   (N,) whole numbers: class ids
    Errors    Failure: not an IDX file, truncated, bytes left over, as many labels as images, labels that are no ids
    Source    LeCun, Cortes, Burges: The MNIST database, "The IDX file format": two zero bytes, the type, the number of
              axes, each axis as a big-endian 32-bit number, the data in row-major order
    """

    type: Literal["idx"] = "idx"
    endings: ClassVar[tuple[str, ...]] = ("ubyte", ".idx")
    file_settings: ClassVar[tuple[str, ...]] = ("inputs", "targets")
    gzipped: ClassVar[bool] = True
    inputs: str = Field(min_length=1, description="the file of images, relative to the one that names it")
    targets: str | None = Field(None, min_length=1, description="the file of labels")

    def load(self, root: Path, *, need_target: bool = True) -> Table:
        path = locate(root, self.inputs)
        x = read(path)
        if x.ndim < 2:
            text = f"this IDX file has {x.ndim} axis of {len(x)}: labels, where images are expected"
            raise data_error(text, path, code="idx-shape", help="`inputs` names the images, `targets` the labels")
        if x.dtype.kind == "f" and not np.isfinite(x).all():
            raise data_error("the data holds a number that is not finite", path, code="not-finite")
        t = self._labels(root, path, len(x)) if need_target else None
        x = x[..., None] if x.ndim == 3 else x
        return Table(x, {}, (), (), t, (), display_path(path))

    @classmethod
    def of_file(cls, path: str, like: Source | None, *, need_target: bool, row: Shape, root: Path) -> Idx:
        """Raises Failure where labels are needed: they stand in another file, which has to be named."""
        if need_target:
            help = "--data '{type: idx, inputs: IMAGES, targets: LABELS}'"
            raise Failure(Problem(f"{path} holds images and no labels", code="no-target", help=help), exit=Exit.USAGE)
        return Idx(inputs=path)

    def _labels(self, root: Path, images: Path, count: int) -> Array:
        if not self.targets:
            raise data_error("no file of labels is named", images, code="no-target", help="add `targets: <file>`")
        path = locate(root, self.targets)
        t = read(path)
        if t.ndim != 1 or t.dtype.kind == "f":
            text = f"labels are one axis of whole numbers; this file has {t.ndim} axes of {t.dtype.name}"
            raise data_error(text, path, code="idx-shape", help="`inputs` names the images, `targets` the labels")
        if len(t) != count:
            raise data_error(f"{len(t)} labels for {count} images of {display_path(images)}", path, code="idx-count")
        return t.astype(np.int64)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(inputs="train-images-idx3-ubyte.gz", targets="train-labels-idx1-ubyte.gz"))
        yield Sample({"type": "idx", "inputs": "images"}, note="to predict")
        yield Sample({"type": "idx", "targets": "labels"}, error="Field required")


def read(path: Path) -> Array:
    """Returns the array of an IDX file. Raises Failure where its header or its size is wrong."""
    with open_binary(path) as file:
        magic = file.read(4)
        if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES or not magic[3]:
            text = f"this is not an IDX file: it starts with {magic.hex(' ') or 'nothing'}"
            help = "it starts with 00 00, a type (08 for bytes) and the number of axes"
            raise data_error(text, path, code="not-idx", help=help)
        sizes = file.read(4 * magic[3])
        if len(sizes) < 4 * magic[3]:
            raise data_error("the file ends inside its header", path, code="truncated", help="fetch it again")
        shape = struct.unpack(f">{magic[3]}I", sizes)
        dtype = np.dtype(TYPES[magic[2]])
        expected = math.prod(shape) * dtype.itemsize
        if not expected:
            raise data_error(f"the file holds no data: its axes are {written(shape)}", path, code="no-rows")
        size = path.stat().st_size
        if expected > (expansion_limit(size) if path.suffix == ".gz" else size):
            text = f"the header promises {written(shape)} values, more than a file of {size} bytes holds"
            raise data_error(text, path, code="truncated", help="fetch it again")
        help = "unpack it, cut it into parts, or save it as an .npy file, which may be larger than memory"
        require_for_data(expected, f"for {written(shape)} values", path, help)
        data = file.read(expected + 1)
    if len(data) != expected:
        more = "more" if len(data) > expected else f"only {len(data)}"
        text = f"the header promises {written(shape)} values ({expected} bytes), the file has {more}"
        raise data_error(text, path, code="truncated", help="fetch it again")
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)
