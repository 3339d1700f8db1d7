"""The law of rows: what a batch gives is what its rows give by themselves.

Where rows do not see each other, y and dx of a batch are those of single rows and small groups, one below the other,
and the gradient of a parameter is their sum. So what was proven on a few rows holds at any size, without differences.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from bpcli.family import Array
from bpcli.studies.gradcheck.layer_laws.single_layer import LayerInputs, Results, SingleLayer

ROUNDINGS = 64
"""How many roundings two ways of computing a row may be apart: of its largest number, those that it is computed from
among them (for y those of x, for dx those of dy). Where that is not enough, also what so many roundings of everything
that the layer reads do to the row."""
NOISE_DRAWS = (6, 60)  # draws of the effect of roundings, of which the largest counts; at first, and at most
NOISE_MARGIN = 4.0  # multiple of the drawn effect that is allowed
KEPT_SHARE = 8  # how many times fewer roundings are behind what forward leaves for backward
MAX_GAP_PER_DRAWN_EFFECT = 100  # multiple of the drawn effect that no further draw would explain
HEAVY_WEIGHTS = 100_000  # weights of a layer, from which on a pass over a few rows takes as long as one over many
BLOCK_SIZES = tuple(2**k for k in range(3, 9))
"""Rows after which a group ends, so that a block of them that is lost can be named."""


@dataclass(frozen=True, eq=False)
class RowMismatch:
    """A tensor of a batch that is not what its rows give alone: `batch` is what the batch gives, `alone` what the rows
    give (or the other of two runs that must be alike), and `wrong` says which entries differ."""

    name: str  # y, dx, dW
    rows: int
    train: bool
    batch: Array
    alone: Array
    wrong: Array

    @property
    def index(self) -> tuple[int, ...]:
        """Where the two are farthest apart: in the first row that is wrong."""
        gap = np.where(self.wrong, np.abs(self.batch - self.alone), -1.0)
        gap = np.where(np.isnan(gap), np.inf, gap)
        if self.name in ("x", "y", "dy", "dx"):
            first = int(np.argmax(self.wrong.reshape(self.rows, -1).any(1)))
            gap[first + 1 :] = -1.0
        return tuple(int(i) for i in np.unravel_index(int(gap.argmax()), gap.shape))


@dataclass(eq=False)
class RowComparison:
    """Batches of several sizes held against their rows: all mismatches, the largest gap as a share of a row's largest
    number, and whether rows see each other: whether y of some row is another in another batch. Where they do, larger
    batches are not looked at."""

    mismatches: list[RowMismatch] = field(default_factory=list)
    worst: float = 0.0

    @property
    def independent(self) -> bool:
        """Whether rows of y do not depend on the rows beside them."""
        return all(m.name != "y" for m in self.mismatches)


def groups(sizes: Sequence[int], heavy: bool) -> Iterator[tuple[int, int]]:
    """Yields groups of rows, from where to where: single rows and small groups first, larger ones later; one ends at
    every size."""
    group_ends = sorted({*sizes, *(() if heavy else (1, *(b for b in BLOCK_SIZES if b < max(sizes))))})
    start = 0
    for end in group_ends:
        step = end - start if heavy else max(2 + start // 8, (end - start) // 8, 1)
        for at in range(start, end, step):
            yield at, min(at + step, end)
        start = end


def compare_rows(layer: SingleLayer, inputs: LayerInputs, sizes: Sequence[int], train: bool) -> RowComparison:
    """Compares batches of these sizes, the first rows of `inputs` each, with groups of their rows."""
    found = RowComparison()
    eps = float(np.finfo(layer.dtype).eps)
    alone = rows_alone(layer, inputs, sizes, train)
    for n in sizes:
        batch = layer.run(inputs, 0, n, train)
        roundings = Roundings(layer, inputs, partial(_results_alone, layer, n, train))
        for name, value in batch.items():
            expected, scale = alone[n].results[name], alone[n].scales[name]
            gap = entry_gaps(value, expected)
            wrong = roundings.unexplained(name, gap, ROUNDINGS * eps * scale)
            found.worst = max(found.worst, largest_share(gap, scale))
            if wrong.any():
                found.mismatches.append(RowMismatch(name, n, train, value, expected, wrong))
        if not found.independent:
            break
    return found


def _results_alone(layer: SingleLayer, n: int, train: bool, inputs: LayerInputs) -> Results:
    return rows_alone(layer, inputs, [n], train)[n].results


def largest_share(gap: Array, scale: Array) -> float:
    """Returns the largest gap as a share of the numbers there; 1 where one is no number."""
    share = gap / np.maximum(scale, np.finfo(gap.dtype).tiny)
    return float(np.where(np.isfinite(share), share, 1.0).max(initial=0.0))


def entry_gaps(a: Array, b: Array) -> Array:
    """Returns how far entries are apart: 0 where both are the same infinity or no number at all."""
    return np.asarray(np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b)))


@dataclass(frozen=True, eq=False)
class RowsAlone:
    """What so many rows give alone, put together; and how large the numbers are that it is made of: the largest of each
    row, and of a sum the sizes of its terms."""

    results: Results
    scales: Results


def rows_alone(layer: SingleLayer, inputs: LayerInputs, sizes: Sequence[int], train: bool) -> Mapping[int, RowsAlone]:
    """Returns what single rows and small groups give, put together for each size."""
    rows: dict[str, list[Array]] = {"y": [], "dx": []}
    sums: dict[str, Array] = {}
    masses: dict[str, Array] = {}
    found: dict[int, RowsAlone] = {}
    for start, stop in groups(sizes, layer.network.network_plan.size > HEAVY_WEIGHTS):
        for name, value in layer.run(inputs, start, stop, train).items():
            if name in rows:
                rows[name].append(value)
            else:
                sums[name] = sums[name] + value if name in sums else value
                masses[name] = masses.get(name, 0.0) + np.abs(value)
        if stop in sizes:
            whole = {name: np.concatenate(parts) for name, parts in rows.items()}
            scales = row_scales(layer, inputs, whole)
            found[stop] = RowsAlone(whole | sums, scales | masses)
    return found


class Roundings:
    """How far roundings on the way may take what a layer computes: of y and dx each row's largest number, and each
    entry of a parameter's gradient.

    It is what ROUNDINGS roundings of everything that is read do, several times by chance: where numbers cancel on the
    way, what is left of them by rounding is then another every time (as in Monte Carlo arithmetic; Parker 1997).
    """

    def __init__(self, layer: SingleLayer, inputs: LayerInputs, compute: Callable[[LayerInputs], Results]) -> None:
        self._layer, self._inputs, self._compute = layer, inputs, compute
        self._amount = ROUNDINGS * float(np.finfo(layer.dtype).eps)
        self._rng = np.random.default_rng(0)
        self._count = 0
        self._base: Results = {}
        self._found: dict[str, Array] = {}

    def unexplained(self, name: str, gap: Array, bar: Array) -> Array:
        """Returns where a gap of the array `name` is neither within its bar nor what roundings may do."""
        wrong = ~(gap <= bar)
        for draws in NOISE_DRAWS:
            if not wrong.any() or not np.isfinite(gap[wrong]).any():
                break
            while self._count < draws:
                self._draw()
            effect = self._found[name]
            allowed = bar + NOISE_MARGIN * (largest_of_row(effect) if name in ("y", "dx") else effect)
            wrong = ~(gap <= allowed)
            if (gap > MAX_GAP_PER_DRAWN_EFFECT * allowed).any():
                break
        return wrong

    def _draw(self) -> None:
        inputs = self._inputs
        self._base = self._base or self._compute(inputs)
        x = inputs.x if self._layer.network.network_plan.tokens else self._off(inputs.x)
        moved = replace(inputs, x=x, dy=self._off(inputs.dy), theta=self._off(inputs.theta), rounded=self._kept)
        self._layer.take_weights(moved)
        for name, value in self._compute(moved).items():
            effect = np.nan_to_num(entry_gaps(value, self._base[name]), nan=0.0, posinf=0.0)
            self._found[name] = np.maximum(self._found.get(name, 0.0), effect)
        self._layer.take_weights(inputs)
        self._count += 1

    def _kept(self, a: Array) -> Array:
        return a + (self._off(a) - a) / KEPT_SHARE

    def _off(self, a: Array) -> Array:
        return a * (1 + self._amount * self._rng.choice((-1.0, 1.0), a.shape))


def row_scales(layer: SingleLayer, inputs: LayerInputs, results: Results) -> dict[str, Array]:
    """Returns the largest number of each row of y and dx, among those that it comes from too."""
    n = len(results["y"])
    whole = bool(layer.network.network_plan.tokens)  # numbers that stand for things are no size
    read = {
        "y": np.zeros(1) if whole else largest_of_row(inputs.x[:n]).ravel(),
        "dx": largest_of_row(inputs.dy[:n]).ravel(),
    }
    found = {}
    for name, sizes in read.items():
        largest = largest_of_row(results[name])
        found[name] = np.maximum(largest, sizes.reshape(-1, *(1,) * (largest.ndim - 1)))
    return found


def largest_of_row(a: Array) -> Array:
    """Returns the largest finite size of each row's numbers, shaped to be compared with all of them."""
    sizes = np.abs(a.reshape(len(a), -1))
    sizes = np.where(np.isfinite(sizes), sizes, 0.0)
    return np.asarray(sizes.max(1, initial=0.0)).reshape(len(a), *(1,) * (a.ndim - 1))
