"""Floor 0: what a study returns. Frozen records that say everything a renderer needs and print nothing."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any


class Exit(IntEnum):
    """The exit codes of the command line (sysexits' numbers where they exist)."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    BAD_RESULT = 3  # diverged, or a check failed
    BAD_INPUT = 65  # config, data or model file
    NO_INPUT = 66
    CANNOT_CREATE = 73
    IO_ERROR = 74
    INTERRUPTED = 130


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, said so that the reader can act: what, where, what was expected, what to type next."""

    text: str
    code: str = ""  # a short stable word: unknown-key, missing-file, shape...
    path: tuple[str | int, ...] = ()  # where in the experiment, ("architecture", 0, "units")
    file: str = ""
    line: int = 0  # counted from 1; 0 where there is none
    column: int = 0
    span: int = 1  # how many characters the caret underlines
    excerpt: tuple[tuple[int, str], ...] = ()  # lines of the file with their numbers
    help: str = ""
    level: str = "error"  # or "warning", or "note"


class Failure(Exception):
    """Ends a command with problems to print and an exit code; never a traceback."""

    def __init__(self, *problems: Problem, exit: Exit = Exit.BAD_INPUT) -> None:
        super().__init__("; ".join(p.text for p in problems))
        self.problems: Sequence[Problem] = problems
        self.exit = exit


@dataclass(frozen=True)
class LayerRow:
    """One line of the layer table: shapes without the batch axis; memory in bytes of what it gives and keeps."""

    path: str
    kind: str
    input: tuple[int, ...]
    output: tuple[int, ...]
    params: int
    multiply_adds: int
    bytes_per_sample: int
    bytes_per_batch: int
    note: str = ""


WATCH_PREFIX = "watch."
"""What the names of the figures of layers begin with: watch.dense_1.gradient."""


@dataclass(frozen=True)
class EpochRow:
    """One line of the training table; a metric is keyed `train.loss`, `validation.accuracy` and so on."""

    epoch: int
    metrics: Mapping[str, float]
    penalty: float
    gradient_norm: float  # mean over the steps of the epoch, before clipping
    clipped: float  # share of the steps that were clipped
    clip_factor: float  # mean factor over all steps (1: never clipped)
    learning_rate: float  # of the last step
    steps: int
    seconds: float
    best: bool = False
    watch: Mapping[str, float] = field(default_factory=dict)  # of one step: watch.dense_1.gradient and so on


@dataclass(frozen=True)
class TrainReport:
    """How a training ended. `stopped` is one of epochs, goal, patience, converged, diverged, signal."""

    run: str
    name: str
    epochs: Sequence[EpochRow]
    stopped: str
    reason: str
    best_epoch: int
    parameters: int
    rows: Mapping[str, int]
    seconds: float
    model: str
    problem: Problem | None = None
    signal: int = 0
    warnings: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class ClassRow:
    """Precision, recall and F1 of one class, or of one average over classes."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class EvalReport:
    """What `eval` found on one split."""

    model: str
    split: str
    rows: int
    loss: float
    metrics: Mapping[str, float]
    per_class: tuple[ClassRow, ...] = ()
    averages: tuple[ClassRow, ...] = ()
    confusion: tuple[tuple[float, ...], ...] = ()  # whole numbers, unless rows count differently
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class FoldRow:
    """One fold of a cross-validation: its run, and how its network judged the rows it had not seen."""

    number: int  # from 1
    run: str
    name: str
    rows: Mapping[str, int]
    epochs: int  # whose weights were kept
    seconds: float
    metrics: Mapping[str, float]  # the loss among them


@dataclass(frozen=True)
class Spread:
    """A figure over the folds; `std` is the standard deviation between them (divisor: one less than folds)."""

    mean: float
    std: float
    low: float
    high: float


@dataclass(frozen=True)
class FoldsReport:
    """A cross-validation; `stopped` says why not all `count` folds were trained."""

    run: str
    name: str
    count: int
    folds: tuple[FoldRow, ...]
    metrics: Mapping[str, Spread]
    stopped: str = ""
    problem: Problem | None = None
    signal: int = 0
    warnings: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class GeneratedRows:
    """Rows of a table, `count` of them, that are made one after the other whenever they are gone through: no more than
    a block of them is in memory at a time."""

    count: int
    generate: Callable[[], Iterator[tuple[Any, ...]]]

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return self.generate()


TableRows = Sequence[tuple[Any, ...]] | GeneratedRows
"""Rows of a table, each with a cell for each column."""


def changed_rows(rows: TableRows, change: Callable[[int, tuple[Any, ...]], tuple[Any, ...]]) -> GeneratedRows:
    """Returns what `change` makes of each row and its number, from 0."""
    return GeneratedRows(len(rows), lambda: (change(i, row) for i, row in enumerate(rows)))


@dataclass(frozen=True)
class Predictions:
    """One row for each row of the data."""

    columns: tuple[str, ...]
    rows: TableRows
    warnings: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class SplitRow:
    """Rows of one split, and of each class in it."""

    name: str
    rows: int
    classes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ColumnRow:
    """One input column: what it holds and what will be done to it."""

    name: str
    kind: str
    low: float | None
    high: float | None
    categories: int
    treatment: str
    missing: float = 0.0  # share of the training rows without a value
    format: str = ""  # how its cells are written, where that is not as programs write them
    sentinels: tuple[float, ...] = ()  # numbers that seem to stand for no value


@dataclass(frozen=True)
class CheckReport:
    """What `check` found: the network and the data it will see."""

    file: str
    name: str
    layers: tuple[LayerRow, ...]
    loss: str
    parameters: int
    multiply_adds: int
    bytes_per_sample: int  # of all arrays of a step but the weights': outputs, gradients, what is kept and worked in
    bytes_per_batch: int
    bytes_training: int
    batch_size: int
    splits: tuple[SplitRow, ...]
    columns: tuple[ColumnRow, ...]
    first_rows: tuple[tuple[str, ...], ...]
    first_header: tuple[str, ...]
    warnings: tuple[Problem, ...] = ()
    augmentation: tuple[tuple[str, str], ...] = ()  # what changes training images in every step, and its settings
    division: str = ""  # how rows are divided where not by chance, in words


@dataclass(frozen=True)
class FieldRow:
    """One setting of a part."""

    name: str
    type: str
    default: str
    range: str
    description: str


@dataclass(frozen=True)
class Curve:
    """A line over evenly spaced points of an axis: what a small plot shows."""

    name: str
    axis: str
    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True)
class PartRow:
    """One registered part: its spelling in YAML, its family, what it is, its settings and its equations."""

    type: str
    family: str
    summary: str
    source: str
    doc: str
    fields: tuple[FieldRow, ...]
    equations: tuple[tuple[str, str], ...]  # drawn as text, and why
    example: str
    curves: tuple[Curve, ...] = ()


@dataclass(frozen=True)
class Gap:
    """How far two witnesses of one tensor are apart: the worst entry, and what was allowed there."""

    tensor: str
    left: str  # the witness: kernel, equations, complex step, differences
    right: str
    worst: float  # absolute
    allowed: float
    index: tuple[int, ...]
    values: tuple[float, float]
    verdict: str  # ok, WRONG, kink
