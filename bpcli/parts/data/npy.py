"""Arrays saved with numpy.save; one that is larger than memory stays in its file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from bpcli.family import Sample, Shape, Source
from bpcli.parts.data import arrays
from bpcli.parts.data.files import data_error, display_path
from bpcli.records.training import Exit, Failure, Problem


def _column_numbers(value: Any) -> tuple[int, ...]:
    """Returns a column, or a list of them, as a tuple."""
    found = value if isinstance(value, list | tuple) else [] if value is None else [value]
    if not all(type(v) is int for v in found) or len(set(found)) < len(found):
        raise PydanticCustomError("places", "write the place of a column, counted from 0 (-1 is the last), or a list")
    return tuple(found)


COLUMN_NUMBER: dict[str, Any] = {"type": "integer"}
ColumnNumbers = Annotated[
    tuple[int, ...],
    BeforeValidator(_column_numbers),
    WithJsonSchema({"anyOf": [COLUMN_NUMBER, {"type": "array", "items": COLUMN_NUMBER}, {"type": "null"}]}),
]


class Npy(arrays.ArraySource):
    """An array in an .npy file, and its targets in another or in some of its columns.

    Inputs    (N, ...) real numbers of any type, kept so until they are encoded
    Targets   a file of (N,) text: class labels; (N,) whole numbers: class ids; (N,) or (N, K) numbers: values; or
              columns of the inputs (N, C)
    Memory    a file of more than 64 MiB is mapped: rows are read when a step asks for them, so that one larger than
              memory trains. It must not change as long as it is used
    Errors    Failure: Python objects (never unpickled), a header that promises more or less than the file holds, a
              number that is not finite, as many targets as rows, no such column
    Source    NumPy Enhancement Proposal 1, "A Simple File Format for NumPy Arrays"
    """

    type: Literal["npy"] = "npy"
    endings: ClassVar[tuple[str, ...]] = (".npy",)
    file_settings: ClassVar[tuple[str, ...]] = ("path", "targets")
    gzipped: ClassVar[bool] = True
    path: str = Field(min_length=1, description="the file of inputs, relative to the one that names it")
    targets: str | None = Field(None, min_length=1, description="the file of targets")
    target: ColumnNumbers = Field((), description="or the columns of the inputs that are targets: -1 is the last")

    @model_validator(mode="after")
    def _one_of_them(self) -> Npy:
        if self.targets is not None and self.target:
            raise PydanticCustomError("targets", "give one of `targets` (a file) and `target` (columns)")
        return self

    def open_arrays(self, root: Path, need_target: bool) -> arrays.OpenedArrays:
        path, x, t, where = self._open(root, need_target)
        return x, t, (path, "the array"), (where, "the array")

    def _open(self, root: Path, need_target: bool) -> tuple[Path, Any, Any, Path]:
        """Returns the file, the inputs, the targets (None without `need_target`), and the file of these."""
        path, x = arrays.read_npy(root, self.path)
        if self.target:
            columns = self._columns(x.shape, path)
            rest = [i for i in range(x.shape[1]) if i not in columns]
            if not rest:
                raise data_error("no column is left to learn from", path, code="no-inputs")
            return path, arrays.columns_of(x, rest), arrays.columns_of(x, columns) if need_target else None, path
        if not need_target:
            return path, x, None, path
        if self.targets is None:
            help = "add `targets: <file>`, or `target: -1` where the last column holds them"
            raise data_error("no targets are named", path, code="no-target", help=help)
        where, t = arrays.read_npy(root, self.targets)
        if x.ndim and t.ndim:
            arrays.check_same_length(x, t, where, (display_path(path), "this file"))
        return path, x, t, where

    def _columns(self, shape: Shape, path: Path) -> list[int]:
        if len(shape) != 2:
            text = f"the array has shape {shape}: targets are columns of (N, C)"
            help = "give the targets in a file of their own: `targets: <file>`"
            raise data_error(text, path, code="npz-shape", help=help)
        count = shape[1]
        for column in self.target:
            if not -count <= column < count:
                text = f"target: the array has no column {column}"
                help = f"it has {count}: 0 to {count - 1}, -1 is the last"
                raise data_error(text, path, code="missing-column", help=help)
        return [column % count for column in self.target]

    @classmethod
    def of_file(cls, path: str, like: Source | None, *, need_target: bool, row: Shape, root: Path) -> Npy:
        """Returns a source whose targets are the columns that they were in training, or none where the file lacks
        them."""
        if isinstance(like, Npy) and like.target:
            source = like.model_copy(update={"path": path})
            inputs_only = not need_target and len(row) == 1 and arrays.read_npy(root, path)[1].shape[1:] == row
            return source.model_copy(update={"target": ()}) if inputs_only else source
        if need_target:
            help = "--data '{type: npy, path: INPUTS, targets: TARGETS}'"
            text = f"{path} holds inputs and no targets"
            raise Failure(Problem(text, code="no-target", help=help), exit=Exit.USAGE)
        return Npy(path=path)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(path="x.npy", targets="y.npy"))
        yield Sample({"type": "npy", "path": "all.npy", "target": -1})
        yield Sample({"type": "npy", "path": "x.npy"}, note="to predict")
        yield Sample({"type": "npy"}, error="Field required")
        yield Sample({"type": "npy", "path": "a.npy", "target": "y"}, error="write the place of a column")
        yield Sample({"type": "npy", "path": "a.npy", "target": [1, 1]}, error="write the place of a column")
        yield Sample({"type": "npy", "path": "a.npy", "targets": "b.npy", "target": 0}, error="give one of `targets`")
