"""The law of rows of a loss: that of a batch is the mean of its rows', weighed where they have weights."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bpcli.family import Array, Loss
from bpcli.family.plan import Frame, empty
from bpcli.records.gradcheck import Finding, TensorRow
from bpcli.studies.gradcheck.diagnosis_sentences import sentence
from bpcli.studies.gradcheck.layer_laws.row_law import (
    NOISE_DRAWS,
    NOISE_MARGIN,
    ROUNDINGS,
    RowComparison,
    RowMismatch,
    entry_gaps,
    groups,
    largest_of_row,
    largest_share,
)
from bpcli.studies.gradcheck.layer_laws.row_sentences import describe_rows, describe_values

EPS = float(np.finfo(np.float64).eps)
LARGEST_IN_FLOAT32 = 1e-6 * float(np.finfo(np.float32).max)  # of a result: the sum before a mean is larger


def compare_loss_rows(loss: Loss, x: Array, t: Array, sizes: Sequence[int], seed: int) -> RowComparison:
    """Compares the loss and its gradient on batches of these sizes with those of single rows and small groups. Outputs
    `x` (R, ...) and targets `t` (R, K) are repeated as often as it takes."""
    found = RowComparison()
    most = max(sizes)
    x, t = (np.resize(a, (most, *a.shape[1:])) for a in (x, t))
    rng = np.random.default_rng(seed)
    drawn = rng.uniform(0.5, 1.5, most)
    weighs = _run(loss, x, t, drawn, 0, most)[0] != _run(loss, x, t, None, 0, most)[0]  # whether it reads weights
    for weights in (None, drawn) if weighs else (None,):
        for n in sizes:
            values, gradients = [], []
            for start, stop in groups([n], heavy=False):
                value, gradient, weight = _run(loss, x, t, weights, start, stop)
                values.append(weight * value)
                gradients.append(weight * gradient)
            value, gradient, weight = _run(loss, x, t, weights, 0, n)
            alone = {"L": np.asarray(sum(values) / weight), "dx": np.concatenate(gradients) / weight}
            scales = {"L": np.abs(values).sum() / abs(weight), "dx": largest_of_row(alone["dx"])}
            for name, batch in (("L", np.asarray(value)), ("dx", gradient)):
                gap = np.atleast_1d(entry_gaps(np.atleast_1d(batch), np.atleast_1d(alone[name])))
                floor = 1 / n + (np.abs(x).max(initial=0.0) if name == "L" else 0.0)
                wrong = ~(gap <= ROUNDINGS * EPS * (scales[name] + floor))
                found.worst = max(found.worst, largest_share(gap, scales[name] + floor))
                if wrong.any():
                    found.mismatches.append(
                        RowMismatch(name, n, True, np.atleast_1d(batch), np.atleast_1d(alone[name]), wrong)
                    )
    return found


def compare_loss_floats(loss: Loss, x: Array, t: Array) -> tuple[float, list[RowMismatch]]:
    """Compares the loss and its gradient in float32 with those in float64, on the same numbers. Returns the largest
    gap, as a share of a row's largest number, and what is farther apart than roundings explain."""
    x, t = (a.astype(np.float32).astype(np.float64) for a in (x, t))
    eps, rng = float(np.finfo(np.float32).eps), np.random.default_rng(0)
    whole = bool((t == np.rint(t)).all())  # classes
    runs = [_run(loss, x, t, None, 0, len(x), np.float32), _run(loss, x, t, None, 0, len(x))]
    for _ in range(NOISE_DRAWS[0]):
        off = [1 + ROUNDINGS * eps * rng.choice((-1, 1), a.shape) for a in (x, t)]
        runs.append(_run(loss, x * off[0], t if whole else t * off[1], None, 0, len(x)))
    worst, mismatches = 0.0, []
    for i, name in enumerate(("L", "dx")):
        narrow, wide, *moved = (np.atleast_1d(np.asarray(run[i], np.float64)) for run in runs)
        scale = np.abs(wide) if name == "L" else largest_of_row(wide)
        scale = scale + 1 / len(x) + (np.abs(x).max(initial=0.0) if name == "L" else 0.0)
        effect = max(float(np.nan_to_num(entry_gaps(other, wide)).max(initial=0.0)) for other in moved)
        gap = np.where(np.abs(wide) <= LARGEST_IN_FLOAT32, entry_gaps(narrow, wide), 0.0)
        worst = max(worst, largest_share(gap, scale))
        wrong = ~(gap <= ROUNDINGS * eps * scale + NOISE_MARGIN * effect)
        if wrong.any():
            mismatches.append(RowMismatch(name, len(x), True, narrow, wide, wrong))
    return worst, mismatches


def _run(
    loss: Loss, x: Array, t: Array, weights: Array | None, start: int, stop: int, dtype: Any = np.float64
) -> tuple[float, Array, float]:
    """Returns the loss of some rows, its gradient, and what the rows weigh."""
    n = stop - start
    plan = loss.plan(x.shape[1:])
    slots = {name: empty(slot, n, dtype) for name, slot in {**plan.keep, **plan.scratch}.items()}
    dx = np.full((n, *x.shape[1:]), np.nan, dtype)
    f = Frame(x=x[start:stop].astype(dtype), y=np.zeros(0), dx=dx, dy=np.zeros(0), **slots)
    f.t, f.w, total = t[start:stop].astype(dtype), None, float(n)
    if weights is not None:
        total = float(weights[start:stop].sum())
        f.w = weights[start:stop] / total
    value = float(loss.forward(f))
    loss.backward(f)
    return value, f.dx, total * loss.mean_weight(f)


def loss_row(mismatch: RowMismatch, witness: str) -> tuple[TensorRow, Finding]:
    """Returns the row of a loss that is not the mean of its rows', or another in float32, with the finding."""
    tensor = f"loss.{mismatch.name}"
    if witness == "float64":
        finding = describe_values(tensor, mismatch, "float32")
    elif mismatch.name == "dx":
        finding = describe_rows(tensor, mismatch, "loss dx")
    else:
        finding = Finding(tensor, *sentence("rows loss", rows=mismatch.rows, ratio=_ratio(mismatch)))
    index = mismatch.index
    batch, alone = float(mismatch.batch[index]), float(mismatch.alone[index])
    worst = abs(batch - alone) / max(abs(batch), abs(alone), 1e-300)
    count, point = mismatch.batch.size, f"{mismatch.rows} rows"
    place = index if mismatch.name == "dx" else ()
    row = TensorRow("loss", tensor, count, count, worst, place, batch, alone, witness, point, "WRONG")
    return row, finding


def _ratio(mismatch: RowMismatch) -> str:
    alone = float(mismatch.alone[0])
    return f"{float(mismatch.batch[0]) / alone:.6g}" if alone else "another"
