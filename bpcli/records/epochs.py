"""Floor 0: the epochs of a training, however many, in little memory."""

from array import array
from collections.abc import Iterable, Sequence
from typing import overload

from bpcli.records.training import EpochRow

_FIGURES = ("penalty", "gradient_norm", "clipped", "clip_factor", "learning_rate", "seconds")
_COUNTS = ("epoch", "steps", "best")

_Names = tuple[tuple[str, ...], tuple[str, ...]]
"""Of the metrics and of the figures of layers that a row has."""


class EpochRows(Sequence[EpochRow]):
    """Rows that are made when they are asked for, of 8 bytes a figure; of 10,000 epochs a megabyte is kept, not ten."""

    def __init__(self, rows: Iterable[EpochRow] = ()) -> None:
        self._values, self._starts, self._names = array("d"), array("q"), array("q")
        self._known: list[_Names] = []
        for row in rows:
            self.append(row)

    def append(self, row: EpochRow) -> None:
        """Adds a row behind the others."""
        names = tuple(row.metrics), tuple(row.watch)
        if names not in self._known[-1:]:
            self._known.append(names)
        self._starts.append(len(self._values))
        self._names.append(len(self._known) - 1)
        self._values.extend(float(getattr(row, name)) for name in (*_COUNTS, *_FIGURES))
        self._values.extend(map(float, (*row.metrics.values(), *row.watch.values())))

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> EpochRow: ...
    @overload
    def __getitem__(self, index: slice) -> list[EpochRow]: ...
    def __getitem__(self, index: int | slice) -> EpochRow | list[EpochRow]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        start, (metrics, watch) = self._starts[index], self._known[self._names[index]]
        own = len(_COUNTS) + len(_FIGURES)
        epoch, steps, best, *figures = self._values[start : start + own + len(metrics) + len(watch)]
        rest = figures[len(_FIGURES) :]
        return EpochRow(
            epoch=int(epoch), steps=int(steps), best=bool(best), **dict(zip(_FIGURES, figures, strict=False)),
            metrics=dict(zip(metrics, rest, strict=False)), watch=dict(zip(watch, rest[len(metrics) :], strict=True)),
        )  # fmt: skip
