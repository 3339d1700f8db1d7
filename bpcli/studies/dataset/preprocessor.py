"""What was learned from the training rows and nothing else: how any row becomes the network's input, and how a target
becomes a class id or a scaled value and back."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self

import numpy as np
from pydantic import ConfigDict, TypeAdapter, ValidationError

from bpcli.config.compatibility import find_bad_token
from bpcli.config.validate import error_line
from bpcli.family import Array, ColumnFormat, Kind, Missing, Shape, Table, join_names, suggestion
from bpcli.numeric.free_memory import require_memory
from bpcli.numeric.lazy_rows import NUMBERS_PER_BLOCK
from bpcli.numeric.vectors import all_finite
from bpcli.records.training import Failure, Problem
from bpcli.studies.dataset.class_labels import distinct_labels, lost_zeros, match_labels, not_classes, one_hot_ids
from bpcli.studies.dataset.columns import ColumnEncoder, InputLayout, Scaling, expand_columns
from bpcli.studies.dataset.row_errors import expected_rows, no_column, no_value, row_failure, row_name, shape_text

Labels = Literal["text", "ids", "one-hot", "none"]
"""How targets name classes: as text, as whole numbers, as rows with a single 1; `none` for numeric values."""


@dataclass(frozen=True, eq=False)
class Preprocessor:
    """How rows are encoded, as learned from the training rows; saved with the model.

    `shape` is that of one encoded row. `columns` are the named inputs in the order of the training file, () where they
    have no names. `scaling` of inputs and targets is None where numbers stay as they are. `classes` are the class names
    by id, () for numeric targets, whose count is `outputs`. `tokens` is the network's: inputs have to be whole numbers
    below it, for an embedding to look up; 0 where any numbers will do. `target_formats` say how the targets' cells
    were written, where they stood in a text file.
    """

    shape: Shape
    columns: tuple[ColumnEncoder, ...] = ()
    scaling: Scaling | None = None
    target_names: tuple[str, ...] = ()
    labels: Labels = "none"
    classes: tuple[str, ...] = ()
    outputs: int = 0
    target_scaling: Scaling | None = None
    tokens: int = 0
    target_formats: Mapping[str, ColumnFormat] = field(default_factory=dict)

    @property
    def kinds(self) -> dict[str, Kind]:
        """What each named input column holds."""
        return {c.name: c.kind for c in self.columns}

    @property
    def formats(self) -> dict[str, ColumnFormat]:
        """How the cells of each column were written in the training file, targets too, where it was a text file."""
        return {**self.target_formats} | {c.name: c.format for c in self.columns if c.format is not None}

    @property
    def missing(self) -> dict[str, Missing]:
        """What is done about a missing value of each named input column."""
        return {c.name: c.missing for c in self.columns}

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

    def encode_inputs(self, table: Table, dtype: Any, rows: Array | None = None, *, reuse: bool = False) -> Array:
        """Returns the network's input (N, *shape), C-contiguous, of all rows or of those asked for (ascending).

        Columns are matched by name where the table has names; others are ignored. With `reuse` the table's numbers may
        be overwritten or given up, so that a large table needs no memory twice. Raises Failure: a column that is not
        there or holds another kind, a value that is missing, a category never trained on, a number too large for
        `dtype`.
        """
        pick, count = self._positions(table), table.rows if rows is None else len(rows)
        mine = reuse and isinstance(table.numbers, np.ndarray) and table.numbers.dtype == dtype
        if mine and table.numbers.shape[1:] == self.shape and table.numbers.flags.c_contiguous:
            out = table.numbers[:count]  # a row is written when it has been read: none comes before its place
        else:
            given_back = table.numbers.nbytes if reuse else 0
            what = f"for {count:,} rows of {math.prod(self.shape):,} inputs"
            help = "fewer inputs: `drop` columns, or of many categories take `encoding: frequency`; or fewer rows"
            require_memory(count * math.prod(self.shape) * np.dtype(dtype).itemsize - given_back, what, help)
            out = np.empty((count, *self.shape), dtype)
        step = max(1, NUMBERS_PER_BLOCK // max(1, math.prod(self.shape)))
        layout = InputLayout.of(self.columns)
        categories = {c.name: self._categories(table, c) for c in self.columns if c.categories}
        blocks = [slice(start, start + step) for start in range(0, count, step)]

        def encode(block: slice) -> None:
            chosen = np.arange(block.start, min(block.stop, count)) if rows is None else rows[block]
            self._encode(table, chosen, pick, layout, categories, out[block])

        if not reuse or out.base is not None or not table.numbers.flags.owndata:
            for block in blocks:
                encode(block)
            return out
        while blocks:  # from the last: the memory of rows that have been encoded is given back
            try:
                encode(blocks[-1])
            except Failure:
                for block in blocks:  # the first row that is wrong is named
                    encode(block)
                raise
            last = blocks.pop().start if rows is None else int(rows[blocks.pop().start])
            table.numbers.resize((last, *table.numbers.shape[1:]), refcheck=False)
        return out

    def _encode(
        self, table: Table, chosen: Array, pick: Array | None, layout: InputLayout, categories: Mapping[str, Array],
        part: Array,
    ) -> None:  # fmt: skip
        """Writes the inputs that the chosen rows become; `categories` is what each text of the table is to the
        model."""
        x = table.numbers[chosen]
        if pick is None:
            x = x.reshape(part.shape)
        elif len(pick) != x.shape[1] or (np.diff(pick) != 1).any():
            x = x[:, pick]
        pivot = None if table.pivot is None else table.pivot if pick is None else table.pivot[pick]
        gaps = {c.name: np.isnan(x[:, j]) for j, c in enumerate(self._numeric()) if c.indicator}
        if pick is not None:
            x = expand_columns(self._numeric(), x)
            if pivot is None and np.isnan(x).any():  # where there is a pivot, all numbers are known to be finite
                raise self._missing(table, chosen, pick)
        with np.errstate(over="ignore"):
            x = self.scaling.apply(x, pivot) if self.scaling is not None else x if pivot is None else x + pivot
            if layout.texts or layout.indicators:
                part[:] = 0
                part[:, layout.values] = x
            else:
                part[...] = x
        for c in self.columns:
            if c.categories:
                codes, gaps[c.name] = self._codes(table, c, chosen, categories[c.name])
                c.write_categories(codes, part[:, layout.texts[c.name] :])
        for name, first in layout.indicators.items():
            part[:, first] = gaps[name]
        if not all_finite(part):
            raise self._too_large(part, chosen, table)
        if self.tokens:
            self._check_tokens(part, chosen, table)

    def _numeric(self) -> list[ColumnEncoder]:
        return [c for c in self.columns if not c.categories]

    def _missing(self, table: Table, rows: Array, pick: Array) -> Failure:
        """Returns the failure of a value that is missing, and nothing stands for it."""
        x = table.numbers[rows][:, pick]
        fixed = np.array([c.fill is not None for c in self._numeric()])
        i, j = (int(k) for k in np.argwhere(np.isnan(x) & ~fixed)[0])
        return no_value(table, rows[i], self._numeric()[j].name)

    def _positions(self, table: Table) -> Array | None:
        """Returns where each number column stands in the table's numbers; None where all are taken as they stand."""
        if self.columns and (table.names or table.texts or table.others):
            for c in self.columns:
                if c.name not in (table.texts if c.categories else table.at):
                    raise no_column(table, c.name, c.kind)
            return np.array([table.at[c.name] for c in self._numeric()], np.intp)
        shape = table.numbers.shape[1:]
        texts = [c.name for c in self.columns if c.kind != "number" or c.indicator] + list(table.texts)
        turned = len(shape) > 1 and len(self.shape) > 1 and _long_sides(shape) != _long_sides(self.shape)
        if texts or turned or math.prod(shape) != math.prod(self.shape):
            text = f"{table.origin} has rows of {shape_text(shape)}, the model takes {shape_text(self.shape)}"
            if texts:
                kind = next((c.kind for c in self.columns if c.name == texts[0]), "text")
                text += f", with {kind if kind == 'text' else f'a {kind}'} in column `{texts[0]}`"
            raise Failure(
                Problem(
                    text, code="row-shape", help=expected_rows(table, self.shape, tuple(c.name for c in self.columns))
                )
            )
        return None

    def _categories(self, table: Table, column: ColumnEncoder) -> Array:
        """Returns which category each text of the table's column is, -1 where it is none; for a missing value, that
        which stands for it."""
        known = {category: i for i, category in enumerate(column.categories)}
        if column.fill is not None:
            known[""] = known[str(column.fill)]
        return np.array([known.get(text, -1) for text in table.texts[column.name].categories], np.int64)

    def _codes(self, table: Table, column: ColumnEncoder, rows: Array, categories: Array) -> tuple[Array, Array]:
        """Returns the category of each row, -1 for one that is ignored, and where there was no value."""
        name = column.name
        text = table.texts[name][rows]
        codes, gaps = categories[text.codes], text.gaps
        if column.fill is None and gaps.any():
            raise no_value(table, rows[int(np.argmax(gaps))], name)
        if column.unseen == "error" and (codes < 0).any():
            i = int(np.argmax(codes < 0))
            problem = f"column `{name}`: `{text[i]}` does not occur in the training rows"
            help = lost_zeros([text[i]], column.categories) or suggestion(text[i], column.categories)
            help += f"it knows {join_names(column.categories)}; to count it as "
            help += "none of them, train with `unseen: ignore`"
            raise row_failure(table, rows[i], name, problem, "unknown-category", help)
        return codes, gaps

    def unseen(self, table: Table, rows: Array | None = None) -> tuple[Problem, ...]:
        """Returns a warning for each column with categories that train does not have and that are ignored: how many."""
        found = []
        for column in self.columns:
            if column.unseen == "ignore" and column.categories and column.name in table.texts:
                text = table.texts[column.name] if rows is None else table.texts[column.name][rows]
                known = frozenset(column.categories)
                odd = {v: n for v, n in text.found.items() if v not in known}
                if odd:
                    names = join_names(tuple(f"`{v}`" for v in odd))
                    problem = f"{table.origin}: column `{column.name}`: {sum(odd.values())} of {len(text)} rows hold "
                    problem += f"{names}, which train does not: they count as none of its categories"
                    help = lost_zeros(odd, column.categories).removesuffix("; ")
                    found.append(Problem(problem, code="unseen-category", help=help, level="warning"))
        return tuple(found)

    def _too_large(self, part: Array, rows: Array, table: Table) -> Failure:
        i, *index = (int(k) for k in np.argwhere(~np.isfinite(part))[0])
        help = "scale it (`scale: standardize`) or set `dtype: float64`"
        problem = f"is too large for {part.dtype.name}"
        if not self.columns:
            name = f"input {index[0] if len(index) == 1 else tuple(index)}"
            return row_failure(table, rows[i], "", f"{name} {problem}", "too-large", help)
        last_inputs = np.cumsum([c.width for c in self.columns])
        name = self.columns[int(np.searchsorted(last_inputs, index[0], "right"))].name
        return row_failure(table, rows[i], name, f"column `{name}` {problem}", "too-large", help)

    def _check_tokens(self, part: Array, rows: Array, table: Table) -> None:
        found = find_bad_token(part, self.tokens, self.scaling is not None)
        if found is not None:
            (i, *_), text, help = found
            raise Failure(Problem(f"{row_name(table, rows[i])}: the model {text}", code="tokens", help=help))

    # Targets

    def encode_target(self, table: Table, dtype: Any = np.float64, rows: Array | None = None) -> Array:
        """Returns class ids (N,) int64, or values (N, K) scaled as the training targets were.

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
            text = f"{row_name(table, chosen[0])}: the target is `{target[0]}`; the model predicts numbers"
            raise Failure(Problem(text, code="text-target", help="a text target needs a loss that compares classes"))
        values = (target if target.ndim == 2 else target[:, None]).astype(np.float64)
        if values.shape[1] != self.outputs:
            text = f"{table.origin} has {values.shape[1]} targets a row, the model predicts {self.outputs}"
            raise Failure(Problem(text, code="target-shape"))
        with np.errstate(over="ignore"):
            values = values if self.target_scaling is None else self.target_scaling.apply(values)
            out = values.astype(dtype)
        if not np.isfinite(out).all():
            i, k = (int(n) for n in np.argwhere(~np.isfinite(out))[0])
            text = f"the target is too large for {out.dtype.name}"
            help = "write `scale_target: standardize` or `dtype: float64`"
            raise row_failure(
                table, chosen[i], table.target_names[k] if table.target_names else "", text, "too-large", help
            )
        return out

    def _ids(self, table: Table, target: Array, rows: Array) -> Array:
        if target.ndim == 2:
            raise not_classes(table, rows)
        labels, ranks = distinct_labels(target)
        ids = match_labels(labels, self.classes)[ranks]
        if (ids < 0).any():
            i = int(np.argmax(ids < 0))
            name = labels[ranks[i]]
            text = f"class `{name}` does not occur in the training rows"
            help = f"{suggestion(name, self.classes)}the classes are {join_names(self.classes)}"
            raise row_failure(table, rows[i], "".join(table.target_names[:1]), text, "unknown-class", help)
        return ids

    def renamed_classes(self, table: Table) -> tuple[Problem, ...]:
        """Returns a warning where labels count as the classes that they are equal to as numbers."""
        if self.labels not in ("text", "ids") or table.target is None or table.target.ndim == 2:
            return ()
        labels, _ = distinct_labels(table.target)
        ids = match_labels(labels, self.classes).tolist()
        pairs = [f"`{n}` as `{self.classes[i]}`" for n, i in zip(labels, ids, strict=True) if n != self.classes[i]]
        if not pairs:
            return ()
        name = f"column `{table.target_names[0]}`" if table.target_names else "the target"
        text = f"{table.origin}: {name} writes classes in another way than train: it counts {join_names(pairs)}"
        return (Problem(text, code="renamed-class", level="warning"),)

    def decode_values(self, y: Array) -> Array:
        """Returns values (N, K) in the target's own units, float64."""
        return y.astype(np.float64) if self.target_scaling is None else self.target_scaling.undo(y)

    # The model file

    def to_meta(self) -> dict[str, Any]:
        """Returns all but the arrays, as plain data."""
        found = {f.name: getattr(self, f.name) for f in fields(_Meta)}
        found["columns"] = [c.to_meta() for c in self.columns]
        found["target_formats"] = {name: form.to_meta() for name, form in self.target_formats.items()}
        if not self.target_formats:
            del found["target_formats"]
        return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}

    def tensors(self) -> dict[str, Array]:
        """Returns the arrays, float64, by the names they have in the model file."""
        found: dict[str, Array] = {}
        for key, scaling in (("inputs", self.scaling), ("targets", self.target_scaling)):
            if scaling is not None:
                found |= {f"data.{key}.shift": scaling.shift, f"data.{key}.scale": scaling.scale}
        return found

    @classmethod
    def from_meta(cls, meta: Mapping[str, Any], tensors: Mapping[str, Array]) -> Self:
        """Returns the preprocessor that `to_meta` and `tensors` described. Raises Failure where they do not fit
        together."""
        if not isinstance(meta, Mapping):
            raise _damaged("it is no table")
        try:
            stored = META.validate_python(dict(meta))
        except ValidationError as error:
            raise _damaged(error_line(error)) from None
        scaled = (sum(c.scaled_width for c in stored.columns),) if stored.columns else stored.shape
        if len(set(stored.classes)) < len(stored.classes):
            raise _damaged("two of its classes have one name")
        if stored.columns and stored.shape != (sum(c.width for c in stored.columns),):
            raise _damaged("the columns do not add up to the shape of a row")
        if odd := next((c.name for c in stored.columns if not c.is_consistent), None):
            raise _damaged(f"the settings of column `{odd}` do not fit together")
        if bool(stored.classes) != (stored.labels != "none") or bool(stored.classes) == (stored.outputs > 0):
            raise _damaged("classes, labels and outputs do not fit together")
        scaling = _scaling(tensors, "inputs", scaled)
        target_scaling = _scaling(tensors, "targets", (stored.outputs,))
        return cls(**stored.__dict__, scaling=scaling, target_scaling=target_scaling)


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
class _Meta:
    """What `to_meta` holds."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    shape: tuple[int, ...]
    columns: tuple[ColumnEncoder, ...]
    target_names: tuple[str, ...]
    labels: Labels
    classes: tuple[str, ...]
    outputs: int
    target_formats: dict[str, ColumnFormat] = field(default_factory=dict)


META = TypeAdapter(_Meta)


def _damaged(what: str) -> Failure:
    return Failure(Problem(f"the model file's description of its data is damaged: {what}", code="damaged-model"))


def _long_sides(shape: Shape) -> Shape:
    """Returns the sides of an array, without those of length 1."""
    return tuple(d for d in shape if d > 1)
