"""Where rows come from, how they are scaled, and how predictions of them are judged."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import (
    BeforeValidator,
    Field,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from bpcli.family.cell_format import ColumnFormat, DateOrder, DecimalMark, Kind, ThousandsMark
from bpcli.family.coded_text import CodedText
from bpcli.family.part import OneOf, Part, Settings
from bpcli.family.plan import Array, Frame, Shape, Slot
from bpcli.records.training import Exit, Failure, Problem

Missing = Literal["error", "drop", "mean", "median", "mode"]
"""What is done about a value that is missing: an error, the row is left out, or something stands for it."""

DatePart = Literal["days", "year", "month", "day", "weekday", "hour", "season", "weekday_cycle", "hour_cycle"]
"""What a date is turned into: days since 1970 (with fractions), parts of the calendar, the hour of the day; and the
place in the year, the week and the day as two inputs each, a sine and a cosine, so that December is next to January."""


def _cell_texts(value: Any) -> tuple[str, ...]:
    """Returns a word, a number, or a list of them, as a tuple of cells."""
    found = value if isinstance(value, list | tuple) else [] if value is None else [value]
    for cell in found:
        if not isinstance(cell, str | int | float) or isinstance(cell, bool):
            raise PydanticCustomError("cells", "write what stands for no value: a word, a number, or a list of them")
    return tuple(map(str, found))


_CELL: dict[str, Any] = {"type": ["string", "number"]}
MissingValues = Annotated[
    tuple[str, ...],
    BeforeValidator(_cell_texts),
    WithJsonSchema({"anyOf": [_CELL, {"type": "array", "items": _CELL}, {"type": "null"}]}),
]
"""Words and numbers that stand for no value beside the usual ones."""

CategoryEncoding = Literal["one_hot", "frequency"]
"""What the categories of a text column become: an input of 0 and 1 for each, or one that says how often it occurs."""


@dataclass
class Scored:
    """A batch of predictions as metrics see it.

    `output` and `target` are (N, K): values in the target's own units for a regression, probabilities and one-hot (or
    0/1) targets for a classification. `labels` and `predicted` are class ids (N,), or (N, K) of 0/1 where a row may
    have several labels, or None for a regression. `weight` (N,) is each row's weight.
    """

    output: Array
    target: Array
    labels: Array | None
    predicted: Array | None
    weight: Array
    classes: int  # how many, 0 for a regression
    several: bool = False  # a row may have several labels
    losses: Array | None = None  # (N,), what the loss of the training makes of each row, where a metric asks for it
    loss_weight: Array | None = None  # (N,), how much each counts in the mean of them

    @property
    def guesses(self) -> Array | None:
        """The name of `predicted` in files of metrics that were written for earlier versions."""
        return self.predicted


class Metric(Part):
    """A figure over a whole split, from totals that add up over batches."""

    family: ClassVar[str] = "metric"
    task: ClassVar[Literal["classification", "regression", "any"]] = "any"
    better: ClassVar[Literal["higher", "lower"]] = "higher"
    of_losses: ClassVar[bool] = False  # whether it reads the loss of each row

    def check(self, classes: int, several: bool, probabilities: bool) -> str:
        """Returns why it cannot be measured, "" where it can: for `classes` (0 for a regression), whether a row may
        have several labels, whether the network puts out probabilities."""
        return ""

    @abstractmethod
    def totals(self, classes: int, outputs: int) -> dict[str, Array]:
        """Returns the totals of no rows at all."""

    @abstractmethod
    def add(self, totals: dict[str, Array], batch: Scored) -> None:
        """Adds a batch's rows."""

    @abstractmethod
    def result(self, totals: Mapping[str, Array]) -> float:
        """Returns the figure."""


class Scaler(Part):
    """Shifts and scales columns: y = (x - shift) / scale, fitted on the training rows only."""

    family: ClassVar[str] = "scaling"
    identity: ClassVar[bool] = False  # whether numbers stay as they are
    sorts: ClassVar[bool] = False  # whether it needs rows in memory: of a file beyond memory it sees a sample

    @abstractmethod
    def fit(self, x: Array) -> tuple[Array, Array]:
        """Returns `shift` and `scale` (both of x's row shape, float64, scale never 0) from training rows x: n ..."""


class Treatment(Settings):
    """How a column is read and what becomes of it; what is left out is found in the file, or set for all columns."""

    kind: Kind | None = Field(None, description="what the column holds; left out: found in the file")
    scale: Annotated[Scaler, OneOf()] | None = Field(
        None, description="how its numbers are scaled; left out: as data.scale says, and booleans are not"
    )
    missing: Missing | None = Field(None, description="what is done where it has no value")
    indicator: bool | None = Field(
        None, description="whether an input of its own is 1 where there is no value; only where training rows lack one"
    )
    unseen: Literal["error", "ignore"] | None = Field(
        None, description="a category that train does not have: an error, or counted as none of those it has"
    )
    parts: tuple[DatePart, ...] = Field(("days",), strict=False, description="the inputs that a date becomes")
    encoding: CategoryEncoding | None = Field(
        None, description="what a text's categories become: one_hot, or frequency, one input: how often train has each"
    )
    min_rows: int | None = Field(
        None, ge=1, description="training rows from which on a category has an input of its own; left out: all have, "
        "beside a frequency none",
    )  # fmt: skip
    max_categories: int | None = Field(
        None, ge=1, description="how many categories have an input of their own, at most: those with the most training "
        "rows",
    )  # fmt: skip
    missing_values: MissingValues = Field(
        (),
        description='words and numbers that stand for no value in this column, beside the usual ones; with "", the '
        "empty cell, among them no others do",
    )
    unit: str | None = Field(
        None, description="what stands beside its numbers, such as $, % or kg; cells without it mean the same"
    )
    decimal: DecimalMark | None = Field(None, description="what stands before fractions; left out: found in the file")
    thousands: ThousandsMark | None = Field(
        None, description="what stands between thousands; left out: found in the file"
    )
    date_order: DateOrder | None = Field(
        None, description="the order of day, month and year in its dates; left out: found in the file"
    )

    @field_validator("parts")
    @classmethod
    def _some(cls, value: tuple[DatePart, ...]) -> tuple[DatePart, ...]:
        if not value or len(set(value)) < len(value):
            raise PydanticCustomError("parts", "name at least one part of the date, and none twice")
        return value

    @model_validator(mode="after")
    def _two_marks(self) -> Self:
        check_marks(self.decimal, self.thousands)
        return self


def check_marks(decimal: str | None, thousands: str | None) -> None:
    """Raises PydanticCustomError where one mark is said to stand between thousands and before fractions."""
    if decimal is not None and decimal == thousands:
        message = "`{mark}` cannot stand both between thousands and before fractions"
        raise PydanticCustomError("marks", message, {"mark": decimal})


@dataclass
class Table:
    """What a source holds: named input columns and targets, one row each, not yet encoded.

    `numbers` is (N, ...) float or integer: rows of numbers, or images. Of named columns, a boolean is 0 or 1 there, a
    date the days since 1970-01-01, and NaN stands where there is no value; where there is a `pivot`, it is to be added
    to each row. `texts` are text columns by name, to be one-hot encoded, with "" where there is no value (given as
    arrays of strings, they are coded). `names` are
    the columns of `numbers` and `order` the order of all columns in the file. `target` is (N,) strings for class
    labels, (N,) integers for class ids, (N, K) floats for values, or None where there is none. `weight` is (N,), how
    much each row counts. `aside` holds columns as text that rows are divided by. `locate` puts into a problem where a
    row's cell of a column stands in the file.
    """

    numbers: Array
    texts: Mapping[str, CodedText]
    names: tuple[str, ...]
    order: tuple[str, ...]
    target: Array | None
    target_names: tuple[str, ...]
    origin: str  # what messages call it
    row_names: tuple[str, ...] = ()  # what each row is called, where it has a name: the file of an image
    warnings: tuple[Problem, ...] = ()
    kinds: Mapping[str, Kind] = field(default_factory=dict)  # of the named columns; others are numbers or texts
    formats: Mapping[str, ColumnFormat] = field(default_factory=dict)  # of columns of a text file, targets too
    missing_words: Mapping[str, tuple[str, ...]] = field(
        default_factory=dict
    )  # found in the cells of columns, as there
    decimal: DecimalMark = "."  # before the fractions of plain numbers in a text file
    treatments: Mapping[str, Treatment] = field(default_factory=dict)
    pivot: Array | None = None  # (columns,), float64
    weight: Array | None = None
    aside: Mapping[str, CodedText] = field(default_factory=dict)
    locate: Callable[[Problem, int, str], Problem] | None = None
    others: tuple[str, ...] = ()  # columns that were not read

    def __post_init__(self) -> None:
        self.texts, self.aside = _coded(self.texts), _coded(self.aside)

    @property
    def rows(self) -> int:
        return len(self.numbers)

    @cached_property
    def at(self) -> Mapping[str, int]:
        """Returns where each named column of `numbers` stands."""
        return {name: j for j, name in enumerate(self.names)}

    def select(self, rows: Array) -> Table:
        """Returns the table of these rows, ascending."""
        whole = self.locate
        return replace(
            self,
            numbers=self.numbers[rows],
            texts={name: column[rows] for name, column in self.texts.items()},
            target=None if self.target is None else self.target[rows],
            row_names=tuple(self.row_names[i] for i in rows) if self.row_names else (),
            weight=None if self.weight is None else self.weight[rows],
            aside={name: column[rows] for name, column in self.aside.items()},
            locate=None if whole is None else lambda problem, row, name: whole(problem, int(rows[row]), name),
        )

    def kind(self, name: str) -> Kind:
        """Returns what a named column holds."""
        return self.kinds.get(name) or ("text" if name in self.texts else "number")

    def format_words(self, name: str) -> str:
        """Returns how the cells of a named column are written, in words, and which of them stand for no value; "" where
        there is nothing to say."""
        form = self.formats.get(name)
        if form is None:
            marked = self.decimal != "." and name in self.at and _has_fractions(self.numbers[:, self.at[name]])
            form = ColumnFormat(self.kind(name), decimal=self.decimal if marked else ".")
        return form.words(self.missing_words.get(name, ()))


def _has_fractions(numbers: Array) -> bool:
    """Whether some of the numbers (n,) are not whole; NaN is none."""
    return bool((np.floor(numbers) < numbers).any())


def _coded(columns: Mapping[str, Any]) -> Mapping[str, CodedText]:
    return {n: c if isinstance(c, CodedText) else CodedText.of(map(str, c)) for n, c in columns.items()}


class Source(Part):
    """Where rows come from."""

    family: ClassVar[str] = "data source"
    made_up: ClassVar[bool] = False  # whether its rows are made by chance, as many as its setting `rows` says
    endings: ClassVar[tuple[str, ...]] = ()  # of the names of the files it reads, in small letters
    file_settings: ClassVar[tuple[str, ...]] = ()  # those that name a file, or a folder of them
    gzipped: ClassVar[bool] = False  # whether it reads them with .gz behind the ending too
    pixels: ClassVar[bool] = False  # whether its numbers are those of images, all on one scale
    classifies: ClassVar[bool] = False  # whether its targets are names of classes, whatever the files hold

    @field_validator("*", mode="wrap")
    @classmethod
    def _any_bytes(cls, value: Any, validate: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        """Returns the name of a file as it is: it may have any bytes, and one that is not UTF-8 stands in it as Python
        writes it, `\\udce9`, which Pydantic takes for no text."""
        if info.field_name not in cls.file_settings or not isinstance(value, str):
            return validate(value)
        validate(value.encode("utf-8", "replace").decode())
        return value

    @abstractmethod
    def load(self, root: Path, *, need_target: bool = True) -> Table:
        """Reads all rows; paths are relative to `root`. Raises Failure naming file, line and column.

        `need_target=False` (predict): a file without the target column is welcome.
        """

    def infer_settings(self, root: Path) -> tuple[Mapping[str, Any], Table, tuple[str, ...]]:
        """Returns the settings that suit its files, for a first experiment with them; the rows that it then reads; and
        what a user should know of it, in sentences. Raises Failure as `load` does."""
        return {}, self.load(root), ()

    def read_cells(self, root: Path, names: Sequence[str] | None) -> tuple[tuple[str, ...], Sequence[tuple[str, ...]]]:
        """Returns the named columns of its file, or all (None), in the order of the file: their names, and for each row
        their cells as text, as they stand there. Raises Failure where it has no such columns."""
        text = f"{self.kind}: the rows have no columns with names that could be kept"
        help = "leave --keep and --append out; --row-numbers says which row is which"
        raise Failure(Problem(text, code="no-columns", help=help), exit=Exit.USAGE)

    def files(self, root: Path) -> tuple[Path, ...]:
        """Returns the files it reads (or the folder of them), for the run's record."""
        return tuple(root / name for setting in self.file_settings if (name := getattr(self, setting)))

    @classmethod
    def reads(cls, path: Path) -> bool:
        """Whether the name of a file says that it is one for this kind of source."""
        name = path.name.lower()
        return (name.removesuffix(".gz") if cls.gzipped else name).endswith(cls.endings)

    @classmethod
    def of_file(cls, path: str, like: Source | None, *, need_target: bool, row: Shape, root: Path) -> Self:
        """Returns the source for a file that is named without settings, relative to `root`: with those of `like`, the
        training source, where that is of this kind. `row` is the shape of a row that the model takes, () where there is
        none. Raises Failure where more has to be said."""
        if isinstance(like, cls):
            return like.model_copy(update={"path": path})
        return cls.model_validate({"path": path})


class Augmentation(Part):
    """Training images changed by chance in every step, so that the network never sees the same one twice.

    A frame holds the images `f.x` (n, h, w, c), the slots of `work` for n rows, `f.zero` (what a 0 of the file has
    become by scaling) and `f.unit` (what a 1 adds to it).
    """

    family: ClassVar[str] = "augmentation"

    def work(self, x: Shape) -> Mapping[str, Slot]:
        """Returns the arrays it works in, for images of shape x (h, w, c). Raises ShapeError where it cannot change
        them."""
        return {}

    @abstractmethod
    def apply(self, f: Frame, chance: np.random.Generator) -> None:
        """Changes every image of `f.x` in place. The same draws for the same `chance`, whatever the type of the run."""
