"""Rows that are read, ordered and scored some at a time: files of more rows than a block, a window or a total holds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest

from bpcli.family import Metric, Scored
from bpcli.family.plan import Array
from bpcli.numeric import lazy_rows, order
from bpcli.numeric.lazy_rows import ComputedRows, MappedRows, RowBlocks
from bpcli.numeric.order import row_order
from bpcli.numeric.streams import Stream
from bpcli.parts.metrics import add_confusion, average_of, counts_of, f1_of

# Rows that are read, and their order


def law_of_mapped_rows(shape: tuple[int, ...], rows: Any, columns: Any) -> None:
    """Rows of a file are those of the array, whichever are asked for, at once and block by block."""
    base = np.random.default_rng(0).permutation(math.prod(shape)).reshape(shape).astype(float)
    right = base if rows is None else base[np.asarray(rows[:])]
    right = right if columns is None else right[:, columns]
    found = MappedRows(base, rows, columns)
    assert (found.shape, found.ndim, found.size, found.nbytes) == (right.shape, right.ndim, right.size, right.nbytes)
    assert np.array_equal(np.asarray(found), right)
    assert np.array_equal(found.astype("float32"), right.astype("float32"))
    assert np.array_equal(found.reshape(-1), right.reshape(-1))
    starts = [start for start, _ in found.blocks()]
    assert np.array_equal(np.concatenate([block for _, block in found.blocks()]), right)
    assert starts == list(range(0, len(right), starts[1] if len(starts) > 1 else len(right)))
    if right.size:
        assert np.array_equal(found.min(axis=0), right.min(0))
        assert np.array_equal(found.max(axis=0), right.max(0))
        assert (found.min(), found.max()) == (right.min(), right.max())
    last, some = len(right) - 1, np.arange(len(right))[::7]
    mask = np.arange(len(right)) % 3 == 0
    uneven = np.array([0, 0, min(2, last)])  # as far apart as three that follow each other
    for key in (0, last, uneven, slice(None), slice(1, last), slice(last, None, -2), some, some[::-1], mask, some[:0]):
        assert np.array_equal(found[key], right[key])
        assert np.array_equal(found[key, ..., :1], right[key][..., :1])
    out = np.empty((len(some), *right.shape[1:]), "float32")
    assert found.take(some, out=out) is out
    assert np.array_equal(out, right[some])
    assert np.array_equal(found.take(some[::-1]), right[some[::-1]])
    assert found.select(np.arange(len(right))) is found
    if rows is None:
        assert np.array_equal(np.asarray(found.select(some)), right[some])


def law_of_computed_rows() -> None:
    """Rows that are computed from their places are those of these places."""
    rows = ComputedRows(lambda at: np.stack([at, at**2], 1), 1 << 18, (2,), "int64")
    assert np.array_equal(np.asarray(rows)[:, 1], np.arange(1 << 18) ** 2)
    some = ComputedRows(rows.compute, 9, (2,), "int64", np.arange(100, 109))
    assert np.array_equal(np.asarray(some)[:, 0], np.arange(100, 109))


def law_of_row_blocks(length: int, count: int, last: bool) -> None:
    """Places of blocks are the rows in them, the last block's too, which may be shorter."""
    blocks = -(-count // length)
    chosen = np.array([k for k in range(blocks) if k % 3 == 0 or (last and k == blocks - 1)])
    right = [row for k in chosen for row in range(k * length, min((k + 1) * length, count))]
    found = RowBlocks(chosen, length, count)
    assert len(found) == len(right)
    for key in (slice(None), slice(3, 40), np.array([0, len(right) - 1])):
        assert np.array_equal(found[key], np.array(right)[key])
    assert len(RowBlocks(chosen[:0], length, count)) == 0


def law_of_order(count: int, computed: bool, window: int = order.ROWS_PER_WINDOW) -> None:
    """Every row comes once, in an order that is another one in each epoch; a slice is the same whoever asks first. So
    it is with windows shorter than a block, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(order, "ROWS_PER_WINDOW", window)
        if window < order.MAX_ROWS_NUMBERED // order.MAX_BLOCKS:
            patch.setattr(order, "MAX_ROWS_NUMBERED", 100)
            patch.setattr(order, "MAX_BLOCKS", 40)
        _check_order(count, computed)


def _check_order(count: int, computed: bool) -> None:
    x: Any = ComputedRows(lambda at: at, count, (), "int64") if computed else np.zeros(count)
    assert np.array_equal(row_order(None, x, 0)[: 1 << 12], np.arange(min(count, 1 << 12)))
    found = row_order(Stream(1, "order"), x, 3)
    assert len(found) == count
    whole = found[:count]
    assert (np.bincount(whole, minlength=count) == 1).all()
    again = row_order(Stream(1, "order"), x, 3)
    for start, stop in ((count - 9, count), (count // 3, count // 3 + 64), (0, 33), (count, count)):
        assert np.array_equal(again[start:stop], whole[start:stop])
    middle = min(count // 2, order.ROWS_PER_WINDOW)
    assert np.array_equal(again[middle - 50 : middle + 50], whole[middle - 50 : middle + 50])
    assert not np.array_equal(row_order(Stream(1, "order"), x, 4)[:1000], whole[:1000])


# Metrics, of rows that come in batches


def scored(classes: int, outputs: int, several: bool, rows: int = 517) -> Scored:
    """Predictions by chance, with ties and weights of which some are 0."""
    rng = np.random.default_rng([classes, outputs, rows])
    weight = rng.integers(0, 4, rows).astype(float)
    if not classes:
        target = rng.normal(size=(rows, outputs)) + 1e3
        return Scored(target + rng.normal(size=(rows, outputs)), target, None, None, weight, 0)
    output = np.round(rng.dirichlet(np.ones(max(2, outputs)), rows), 2)[:, -outputs:]
    if several:
        labels = rng.integers(0, 2, (rows, classes))
        return Scored(output, labels.astype(float), labels, (output > 0.3).astype(int), weight, classes, True)
    labels = rng.integers(0, classes, rows)
    predicted = output.argmax(1) if outputs > 1 else (output[:, 0] > 0.5).astype(int)
    return Scored(output, np.eye(classes)[labels], labels, predicted, weight, classes)


def rows_of(batch: Scored, own: slice) -> Scored:
    chosen = [None if a is None else a[own] for a in (batch.output, batch.target, batch.labels, batch.predicted)]
    return Scored(*chosen, batch.weight[own], batch.classes, batch.several)  # type: ignore[arg-type]


def repeated(batch: Scored) -> Scored:
    """Each row as often as it weighs: what a weight means."""
    times = batch.weight.astype(int)
    chosen = [None if a is None else np.repeat(a, times, 0)
              for a in (batch.output, batch.target, batch.labels, batch.predicted)]  # fmt: skip
    return Scored(*chosen, np.ones(times.sum()), batch.classes, batch.several)  # type: ignore[arg-type]


def figure(metric: Metric, *batches: Scored) -> float:
    totals = metric.totals(batches[0].classes, batches[0].output.shape[1])
    for batch in batches:
        metric.add(totals, batch)
    return metric.result(totals)


def _pairs(score: Array, truth: Array, weight: Array) -> float:
    """How much of the weight of all pairs of a row of the class and another is ranked right; a tie counts half."""
    inside, outside = truth.astype(bool), ~truth.astype(bool)
    better = (score[inside, None] > score[outside]) + 0.5 * (score[inside, None] == score[outside])
    pairs = weight[inside, None] * weight[outside]
    return float((better * pairs).sum() / pairs.sum())


def _mean_precision(score: Array, truth: Array, weight: Array) -> float:
    """The precision at each threshold, by how much recall it adds."""
    found, before = 0.0, 0.0
    for threshold in np.unique(score)[::-1]:
        taken = score >= threshold
        hits = weight[taken] @ truth[taken]
        found += (hits - before) * (hits / weight[taken].sum() if weight[taken].sum() else 0.0)
        before = hits
    return found / before


PLAIN: dict[str, Callable[[Scored], float]] = {
    "mse": lambda b: np.average(((b.output - b.target) ** 2).mean(1), weights=b.weight),
    "mae": lambda b: np.average(np.abs(b.output - b.target).mean(1), weights=b.weight),
    "rmse": lambda b: float(np.sqrt(np.average((b.output - b.target) ** 2, axis=0, weights=b.weight)).mean()),
    "r2": lambda b: float(np.mean(1 - np.average((b.output - b.target) ** 2, axis=0, weights=b.weight)
                                  / _spread(b.target, b.weight))),
    "explained_variance": lambda b: float(np.mean(1 - _spread(b.output - b.target, b.weight)
                                                  / _spread(b.target, b.weight))),
    "accuracy": lambda b: np.average((b.labels == b.predicted).reshape(len(b.weight), -1).all(1), weights=b.weight),
    "roc_auc": lambda b: float(np.mean([_pairs(*one, b.weight) for one in _one_against_the_rest(b)])),
    "average_precision": lambda b: float(np.mean([_mean_precision(*one, b.weight)
                                                  for one in _one_against_the_rest(b)])),
}  # fmt: skip
"""What a figure is, row by row or pair by pair."""


def _spread(values: Array, weight: Array) -> Array:
    mean = np.average(values, axis=0, weights=weight)
    return np.average((values - mean) ** 2, axis=0, weights=weight)


def _one_against_the_rest(b: Scored) -> Iterator[tuple[Array, Array]]:
    """Scores and truths of each output; of two classes, of the second one alone."""
    assert b.labels is not None
    if b.several:
        yield from ((b.output[:, k], b.labels[:, k]) for k in range(b.classes))
    elif b.output.shape[1] <= 2:
        yield b.output[:, -1], b.labels
    else:
        yield from ((b.output[:, k], (b.labels == k).astype(int)) for k in range(b.classes))


def law_of_metric(kind: str, settings: dict[str, Any], batch: Scored) -> None:
    """A figure of rows in batches is that of all at once, of each row as often as it weighs, and what it is said to
    be."""
    metric = Metric.parse({"type": kind, **settings})
    whole = figure(metric, batch)
    cuts = [0, 1, 3, 3, 64, 128, 129, len(batch.weight)]
    parts = [rows_of(batch, slice(a, b)) for a, b in itertools.pairwise(cuts)]
    assert math.isclose(figure(metric, *parts), whole, rel_tol=1e-9)
    assert math.isclose(figure(metric, repeated(batch)), whole, rel_tol=1e-9)
    if kind in PLAIN and not settings:
        assert math.isclose(whole, PLAIN[kind](batch), rel_tol=1e-9)
    assert math.isnan(figure(metric, rows_of(batch, slice(0)))), "no rows"


def law_of_undefined_figures() -> None:
    """Where a class has no row, or all, where nothing is of any label, and where a net diverged: what the docstrings
    say."""
    none = replace_labels(scored(2, 1, False), 0)
    every = replace_labels(scored(2, 1, False), 1)
    for batch in (none, every):
        assert math.isnan(figure(Metric.parse("roc_auc"), batch))
        assert figure(Metric.parse("matthews"), batch) == 0
    assert figure(Metric.parse("average_precision"), none) == 0
    assert figure(Metric.parse("average_precision"), every) == 1
    labels = replace_labels(scored(4, 4, True), 0)
    for kind in ("precision", "recall", "f1", "average_precision"):
        assert figure(Metric.parse({"type": kind, "average": "weighted"}), labels) == 0
    diverged = scored(5, 5, False)
    diverged.output[200] = np.nan
    assert math.isnan(figure(Metric.parse("roc_auc"), diverged))
    assert math.isnan(average_of(f1_of, np.zeros((3, 4)), "macro", False))


def replace_labels(batch: Scored, label: int) -> Scored:
    assert batch.labels is not None
    labels = np.full_like(batch.labels, label)
    target = labels.astype(float) if batch.several else np.eye(batch.classes)[labels]
    return Scored(batch.output, target, labels, batch.predicted, batch.weight, batch.classes, batch.several)


def law_of_confusion() -> None:
    """Entries of a confusion matrix are weights of rows, and the counts of classes are its sums."""
    batch = scored(5, 5, False)
    confusion, plain = np.zeros((5, 5)), np.zeros((5, 5))
    for own in (slice(0, 64), slice(64, None)):
        add_confusion(confusion, rows_of(batch, own))
    assert batch.labels is not None
    assert batch.predicted is not None
    for true, predicted, weight in zip(batch.labels, batch.predicted, batch.weight, strict=True):
        plain[true, predicted] += weight
    assert np.array_equal(confusion, plain)
    assert np.array_equal(counts_of(confusion), [np.diag(plain), plain.sum(0), plain.sum(1)])


def laws() -> Iterator[tuple[str, Callable[[], None]]]:
    """Every law of this module, by what it is about."""
    per_read = lazy_rows.BYTES_PER_READ // 8
    for shape in ((2 * per_read // 8, 8), (30_011, 9), (11, 3, 4), (3, per_read + 5), (5, 0)):
        for rows, columns in ((None, None), (np.arange(0, shape[0], 2), None), (None, np.arange(shape[1])[::-2])):
            chosen = "all" if rows is None else "half"
            name = f"{chosen} rows and {'all' if columns is None else 'half'} columns of {shape}"
            yield name, partial(law_of_mapped_rows, shape, rows, columns)
    yield "half rows and columns", partial(law_of_mapped_rows, (999, 6), RowBlocks(np.arange(0, 100, 2), 10, 999),
                                           np.array([4, 1]))  # fmt: skip
    yield "computed rows", law_of_computed_rows
    for length, count, last in ((10, 995, True), (10, 985, False), (10, 1000, True)):
        yield f"blocks of {length} of {count}, the last {last}", partial(law_of_row_blocks, length, count, last)
    limit = order.MAX_ROWS_NUMBERED
    yield "order of many", partial(law_of_order, limit + 77, True)
    yield "order of some", partial(law_of_order, 70_003, True)
    yield "order in memory", partial(law_of_order, 70_003, False)
    for computed in (True, False):
        name = f"order of blocks longer than a window, computed {computed}"
        yield name, partial(law_of_order, 1999, computed, 10)
    cases = {"values": scored(0, 3, False), "two outputs": scored(2, 2, False), "one output": scored(2, 1, False),
             "classes": scored(5, 5, False), "labels": scored(4, 4, True),
             "two labels": scored(2, 2, True)}  # fmt: skip
    averages: dict[str, list[dict[str, Any]]] = {
        **{kind: [{}, *({"average": a} for a in ("macro", "micro", "weighted", "binary"))]
           for kind in ("precision", "recall", "f1")},
        **{kind: [{}, {"average": "weighted"}] for kind in ("roc_auc", "average_precision")},
        "top_k": [{"k": 1}, {"k": 3}],
    }  # fmt: skip
    for name, batch in cases.items():
        for kind, leaf in Metric.registry.items():
            for settings in averages.get(kind, [{}]):
                metric = Metric.parse({"type": kind, **settings})
                classified = batch.labels is not None
                fits = leaf.task != ("regression" if classified else "classification") and not leaf.of_losses
                if fits and not metric.check(batch.classes, batch.several, classified):
                    yield f"{kind} {settings} of {name}", partial(law_of_metric, kind, settings, batch)
    yield "undefined figures", law_of_undefined_figures
    yield "confusion", law_of_confusion
