"""What was learned from the training rows and nothing else: how any row becomes the network's input, and how a target
becomes a class id or a scaled value and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import ConfigDict, TypeAdapter, ValidationError

from bpcli.config.fitting import odd_token
from bpcli.family import Table
from bpcli.part import near
from bpcli.plan import Array, Shape
from bpcli.records import Failure, Problem

Labels = Literal["text", "ids", "one-hot", "none"]
"""How targets name classes: as text, as whole numbers, as rows with a single 1; `none` for numeric values."""

BLOCK = 1 << 18  # numbers encoded at a time


@dataclass(frozen=True)
class Column:
    """One input column: numbers, or text with these categories (sorted)."""

    name: str
    categories: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """How many inputs it becomes."""
        return len(self.categories) or 1


@dataclass(frozen=True, eq=False)
class Scaling:
    """y = (x - shift) / scale, float64, of the numbers of one row."""

    shift: Array
    scale: Array

    def apply(self, x: Array) -> Array:
        """Scaled values, float64."""
        scaled: Array = (x.astype(np.float64) - self.shift) / self.scale
        return scaled

    def undo(self, y: Array) -> Array:
        """Values in their own units, float64."""
        values: Array = y.astype(np.float64) * self.scale + self.shift
        return values


@dataclass(frozen=True, eq=False)
class Rules:
    """Learned from the training rows; saved with the model.

    `shape` is that of one encoded row. `columns` are the named inputs in the order of the training file, () where they
    have no names. `scaling` of inputs and targets is None where numbers stay as they are. `classes` are the class names
    by id, () for numeric targets, whose count is `outputs`. `tokens` is the network's: inputs have to be whole numbers
    below it, for an embedding to look up; 0 where any numbers will do.
    """

    shape: Shape
    columns: tuple[Column, ...] = ()
    scaling: Scaling | None = None
    target_names: tuple[str, ...] = ()
    labels: Labels = "none"
    classes: tuple[str, ...] = ()
    outputs: int = 0
    target_scaling: Scaling | None = None
    tokens: int = 0

    @property
    def kinds(self) -> dict[str, Literal["number", "text"]]:
        """What each named input column holds."""
        return {c.name: "text" if c.categories else "number" for c in self.columns}

    @property
    def even_scale(self) -> tuple[float, float] | None:
        """What a 0 of the file becomes, and what a step of 1 adds to it, where that is the same for all inputs."""
        if self.scaling is None:
            return 0.0, 1.0
        shift, scale = self.scaling.shift, self.scaling.scale
        if not shift.size or (shift != shift.flat[0]).any() or (scale != scale.flat[0]).any():
            return None
        return -float(shift.flat[0] / scale.flat[0]), 1 / float(scale.flat[0])

    # Inputs

    def encode_inputs(self, table: Table, dtype: Any, rows: Array | None = None) -> Array:
        """The network's input (N, *shape), C-contiguous, of all rows or of those asked for.

        Columns are matched by name where the table has names; others are ignored. Raises Failure: a column that is not
        there or holds another kind, a category never trained on, a number too large for `dtype`.
        """
        pick = self._positions(table)
        out = np.empty((table.rows if rows is None else len(rows), *self.shape), dtype)
        step = max(1, BLOCK // max(1, math.prod(self.shape)))
        numeric, texts = self._places()
        for start in range(0, len(out), step):
            part = out[start : start + step]
            chosen = np.arange(start, start + len(part)) if rows is None else rows[start : start + step]
            x = table.numbers[chosen]
            x = x.reshape(part.shape) if pick is None else x[:, pick]
            with np.errstate(over="ignore"):
                x = x if self.scaling is None else self.scaling.apply(x)
                if texts:
                    part[:] = 0
                    part[:, numeric] = x
                else:
                    part[...] = x
            for name, place in texts.items():
                codes = self._codes(table, name, chosen)
                part[np.arange(len(part)), place + codes] = 1
            if not np.isfinite(part).all():
                raise self._too_large(part, chosen, table)
            if self.tokens:
                self._look_up(part, chosen, table)
        return out

    def _places(self) -> tuple[Array, dict[str, int]]:
        """Where in an encoded row the numbers stand, and where each text column's categories start."""
        starts = np.cumsum([0, *(c.width for c in self.columns)])
        numeric = [int(s) for c, s in zip(self.columns, starts, strict=False) if not c.categories]
        texts = {c.name: int(s) for c, s in zip(self.columns, starts, strict=False) if c.categories}
        return np.array(numeric, np.intp), texts

    def _positions(self, table: Table) -> Array | None:
        """Where each number column stands in the table's numbers; None where all are taken as they stand."""
        if self.columns and (table.names or table.texts):
            for name, kind in self.kinds.items():
                known = table.names if kind == "number" else tuple(table.texts)
                if name not in known:
                    raise _no_column(table, name, kind)
            return np.array([table.names.index(n) for n, kind in self.kinds.items() if kind == "number"], np.intp)
        shape = table.numbers.shape[1:]
        texts = [c.name for c in self.columns if c.categories] + list(table.texts)
        turned = len(shape) > 1 and len(self.shape) > 1 and _sides(shape) != _sides(self.shape)
        if texts or turned or math.prod(shape) != math.prod(self.shape):
            text = f"{table.origin} has rows of {_times(shape)}, the model takes {_times(self.shape)}"
            if texts:
                text += f", with text in column `{texts[0]}`"
            raise Failure(Problem(text, code="row-shape", help=_wanted(self, table)))
        return None

    def _codes(self, table: Table, name: str, rows: Array) -> Array:
        categories = next(c.categories for c in self.columns if c.name == name)
        known = {category: i for i, category in enumerate(categories)}
        values = table.texts[name][rows].tolist()
        codes = np.fromiter((known.get(v, -1) for v in values), np.int64, len(values))
        if (codes < 0).any():
            i = int(np.argmax(codes < 0))
            text = f"column `{name}`: `{values[i]}` does not occur in the training rows"
            help = f"{_guess(values[i], categories)}it knows {listed(categories)}"
            raise Failure(Problem(f"{row_of(table, rows[i])}: {text}", code="unknown-category", help=help))
        return codes

    def _too_large(self, part: Array, rows: Array, table: Table) -> Failure:
        i, *place = (int(k) for k in np.argwhere(~np.isfinite(part))[0])
        name = f"input {place[0] if len(place) == 1 else tuple(place)}"
        if self.columns:
            starts = np.cumsum([c.width for c in self.columns])
            name = f"column `{self.columns[int(np.searchsorted(starts, place[0], 'right'))].name}`"
        text = f"{row_of(table, rows[i])}: {name} is too large for {part.dtype.name}"
        return Failure(Problem(text, code="too-large", help="scale it (`scale: standardize`) or set `dtype: float64`"))

    def _look_up(self, part: Array, rows: Array, table: Table) -> None:
        found = odd_token(part, self.tokens, self.scaling is not None)
        if found is not None:
            (i, *_), text, help = found
            raise Failure(Problem(f"{row_of(table, rows[i])}: the model {text}", code="tokens", help=help))

    # Targets

    def encode_target(self, table: Table, dtype: Any = np.float64, rows: Array | None = None) -> Array:
        """Class ids (N,) int64, or values (N, K) scaled as the training targets were.

        Raises Failure: no target, a class never trained on, text or another number of values where numbers are wanted.
        """
        if table.target is None:
            raise Failure(Problem(f"{table.origin} has no target", code="no-target", help="name its target column"))
        chosen = np.arange(table.rows) if rows is None else rows
        target = table.target[chosen]
        if self.labels == "one-hot" and target.ndim == 2:
            return one_hot_ids(table, chosen, len(self.classes))
        if self.labels != "none":
            return self._ids(table, target, chosen)
        if target.dtype == object:
            text = f"{row_of(table, chosen[0])}: the target is `{target[0]}`; the model predicts numbers"
            raise Failure(Problem(text, code="text-target", help="a text target needs a loss that compares classes"))
        values = (target if target.ndim == 2 else target[:, None]).astype(np.float64)
        if values.shape[1] != self.outputs:
            text = f"{table.origin} has {values.shape[1]} targets a row, the model predicts {self.outputs}"
            raise Failure(Problem(text, code="target-shape"))
        with np.errstate(over="ignore"):
            values = values if self.target_scaling is None else self.target_scaling.apply(values)
            out = values.astype(dtype)
        if not np.isfinite(out).all():
            i = int(np.argwhere(~np.isfinite(out))[0][0])
            text = f"{row_of(table, chosen[i])}: the target is too large for {out.dtype.name}"
            raise Failure(Problem(text, code="too-large", help="write `scale_target: standardize` or `dtype: float64`"))
        return out

    def _ids(self, table: Table, target: Array, rows: Array) -> Array:
        if target.ndim == 2:
            raise not_labels(table, rows)
        known = {name: i for i, name in enumerate(self.classes)}
        ids = np.fromiter((known.get(str(v), -1) for v in target.tolist()), np.int64, len(target))
        if (ids < 0).any():
            i = int(np.argmax(ids < 0))
            name = str(target[i])
            text = f"{row_of(table, rows[i])}: class `{name}` does not occur in the training rows"
            help = f"{_guess(name, self.classes)}the classes are {listed(self.classes)}"
            raise Failure(Problem(text, code="unknown-class", help=help))
        return ids

    def decode_values(self, y: Array) -> Array:
        """Values (N, K) in the target's own units, float64."""
        return y.astype(np.float64) if self.target_scaling is None else self.target_scaling.undo(y)

    # The model file

    def to_meta(self) -> dict[str, Any]:
        """All but the arrays, as plain data."""
        return {
            "shape": list(self.shape),
            "columns": [{"name": c.name, "categories": list(c.categories)} for c in self.columns],
            "target_names": list(self.target_names),
            "labels": self.labels,
            "classes": list(self.classes),
            "outputs": self.outputs,
        }

    def tensors(self) -> dict[str, Array]:
        """The arrays, float64, by the names they have in the model file."""
        found: dict[str, Array] = {}
        for key, scaling in (("inputs", self.scaling), ("targets", self.target_scaling)):
            if scaling is not None:
                found |= {f"data.{key}.shift": scaling.shift, f"data.{key}.scale": scaling.scale}
        return found

    @classmethod
    def from_meta(cls, meta: Mapping[str, Any], tensors: Mapping[str, Array]) -> Rules:
        """The rules that `to_meta` and `tensors` described. Raises Failure where they do not fit together."""
        try:
            plain = PLAIN.validate_python(dict(meta))
        except ValidationError as error:
            first = error.errors()[0]
            raise _damaged(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        numbers = (sum(not c.categories for c in plain.columns),) if plain.columns else plain.shape
        if plain.columns and plain.shape != (sum(c.width for c in plain.columns),):
            raise _damaged("the columns do not add up to the shape of a row")
        if bool(plain.classes) != (plain.labels != "none") or bool(plain.classes) == (plain.outputs > 0):
            raise _damaged("classes, labels and outputs do not fit together")
        scaling = _scaling(tensors, "inputs", numbers)
        target_scaling = _scaling(tensors, "targets", (plain.outputs,))
        return cls(**plain.__dict__, scaling=scaling, target_scaling=target_scaling)


def _scaling(tensors: Mapping[str, Array], key: str, shape: Shape) -> Scaling | None:
    shift, scale = tensors.get(f"data.{key}.shift"), tensors.get(f"data.{key}.scale")
    if shift is None and scale is None:
        return None
    for array in (shift, scale):
        if array is None or array.shape != shape or array.dtype != np.float64 or not np.isfinite(array).all():
            raise _damaged(f"the scaling of its {key} does not fit")
    assert shift is not None
    assert scale is not None
    if not scale.all():
        raise _damaged(f"the scaling of its {key} divides by zero")
    return Scaling(shift, scale)


@dataclass(frozen=True)
class _Plain:
    """What `to_meta` holds."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    shape: tuple[int, ...]
    columns: tuple[Column, ...]
    target_names: tuple[str, ...]
    labels: Labels
    classes: tuple[str, ...]
    outputs: int


PLAIN = TypeAdapter(_Plain)


def _damaged(what: str) -> Failure:
    return Failure(Problem(f"the model file's description of its data is damaged: {what}", code="damaged-model"))


def one_hot_ids(table: Table, rows: Array, classes: int) -> Array:
    """The class ids (N,) of targets (N, K) with a single 1 a row. Raises Failure at the first other row."""
    assert table.target is not None
    target = table.target[rows]
    good = ((target == 0) | (target == 1)).all(axis=1) & (target.sum(axis=1) == 1)
    if not good.all() or target.shape[1] != classes:
        i = int(np.argmin(good))
        text = f"{row_of(table, rows[i])}: the targets {_numbers(target[i])} are not one 1 among {classes - 1} zeros"
        raise Failure(Problem(text, code="not-one-hot", help="this loss compares classes: name one target column"))
    ids: Array = np.argmax(target, axis=1).astype(np.int64)
    return ids


def not_labels(table: Table, rows: Array) -> Failure:
    """The Failure for a loss that compares classes and a target of numbers."""
    assert table.target is not None
    target = table.target[rows]
    odd = np.argwhere(np.floor(target) != target)
    i, k = odd[0] if len(odd) else (0, 0)
    name = f"target column `{table.target_names[k]}`" if table.target_names else "the target"
    text = f"{row_of(table, rows[i])}: {name} holds {target[i, k]:.15g}; this loss compares classes"
    help = "class labels are text or whole numbers; for numeric targets use a loss such as mean_squared_error"
    if not len(odd):
        help = "whole numbers this large are not exact: read the column as text"
    return Failure(Problem(text, code="not-classes", help=help))


# Words


def row_of(table: Table, row: Any) -> str:
    if table.row_names:
        return f"{table.origin}, {table.row_names[int(row)]}"
    return f"{table.origin}, row {int(row)} (counted from 0)"


def _times(shape: Shape) -> str:
    return f"{' x '.join(map(str, shape))} values"


def _numbers(values: Array) -> str:
    return "[" + ", ".join(f"{v:g}" for v in values[:10]) + (", ..." if len(values) > 10 else "") + "]"


def listed(words: tuple[str, ...]) -> str:
    return ", ".join(words[:20]) + (f" and {len(words) - 20} more" if len(words) > 20 else "")


def _guess(word: str, known: tuple[str, ...]) -> str:
    found = near(word, known)
    return f"did you mean `{found}`? " if found else ""


def _sides(shape: Shape) -> Shape:
    """The sides of an array, without those of length 1."""
    return tuple(d for d in shape if d > 1)


def _wanted(rules: Rules, table: Table) -> str:
    if table.row_names and len(rules.shape) == 3:
        h, w, c = rules.shape
        mode = "gray" if c == 1 else "rgb"
        return f"bring images to that form: {{type: images, path: ..., mode: {mode}, size: [{h}, {w}]}}"
    return f"the model was trained on {listed(tuple(c.name for c in rules.columns))}" if rules.columns else ""


def _no_column(table: Table, name: str, kind: str) -> Failure:
    if name in table.names or name in table.texts:
        has, had = ("numbers", "text") if name in table.names else ("text", "numbers")
        text = f"{table.origin}: column `{name}` holds {has}, in training it held {had}"
        return Failure(Problem(text, code="column-kind"))
    text = f"{table.origin} has no column `{name}`, which the model was trained on"
    return Failure(
        Problem(text, code="missing-column", help=f"{_guess(name, table.order)}it has {listed(table.order)}")
    )
