"""From the cost of each row to the mean over the batch, in kernels, in equations and in samples."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from bpcli.family import Array, Frame, Loss, N, Sample, Shape, ShapeError, Slot

NOT_ROWS = "compares rows of numbers, and the network ends in rows of shape (2, 2)"
"""The error of samples whose outputs are images."""
ALWAYS_ONE = "its softmax is always 1"


def check_row(x: Shape, loss: str) -> None:
    """Raises ShapeError where outputs are not rows of numbers."""
    if len(x) != 1:
        raise ShapeError(
            f"{loss} compares rows of numbers, and the network ends in rows of shape {x}",
            "end the architecture with a `flatten` or a `dense` layer",
        )


def check_several(x: Shape, loss: str, why: str, instead: str) -> None:
    """Raises ShapeError where outputs are not rows of at least two numbers, one for each class."""
    check_row(x, loss)
    if x[0] == 1:
        help = f"end with one unit for each class, or use {instead}"
        raise ShapeError(f"{loss} on one output: {why} and nothing can be learned", help)


# Kernels

ROWS = Slot((N,), "float64")
"""What each row costs: float64 whatever the run. A loss is the sum of many numbers, and in float32 that of a million
rows would have lost two of its seven digits; NumPy adds float64 in pairs, to the last digits."""


def row_loss_slots(x: Shape) -> dict[str, Slot]:
    """Returns the scratch of `mean_cost`: what each output costs, and each row, in float64."""
    return {"e": Slot((N, *x), "float64"), "rows": ROWS}


def mean(rows: Array, w: Array | None) -> float:
    """Returns the mean of the rows' costs (N,) float64, or with weights their weighted sum, for which it multiplies
    them in place."""
    if w is None:
        return float(np.add.reduce(rows)) / len(rows)
    np.multiply(rows, w, out=rows)
    return float(np.add.reduce(rows))


def mean_cost(f: Frame) -> float:
    """Returns the mean over outputs and rows of the costs f.e (N, K)."""
    np.add.reduce(f.e, 1, out=f.rows)
    outputs: int = f.e.shape[1]
    return mean(f.rows, f.w) / outputs


def losses(f: Frame, factor: float = 1.0) -> tuple[Array, Array]:
    """Returns the costs of the rows times `factor`, and that all rows weigh the same (see `Loss.row_losses`)."""
    return f.rows * factor, np.ones(len(f.rows))


def slope(f: Frame, factor: float) -> None:
    """Multiplies the slopes in dx by `factor` and by each row's share in the mean."""
    if f.w is None:
        np.multiply(f.dx, factor / len(f.x), out=f.dx)
    else:
        np.multiply(f.dx, factor, out=f.dx)
        np.multiply(f.dx, f.w[:, None], out=f.dx)


# Equations


def average(body: str, weighted: bool) -> str:
    """Returns the mean over the batch, as the equations write it."""
    return f"sum(n, w[n] * ({body}))" if weighted else f"mean(n, {body})"


def share(slope: str, weighted: bool) -> str:
    """Returns a row's slope times its share in the mean."""
    return f"w[n] * ({slope})" if weighted else f"({slope}) / count(n)"


def over_rows(weighted: bool) -> str:
    """Returns what the mean is divided by, in words."""
    return "over rows with weights w, which sum to 1" if weighted else "over the N rows"


# Samples


def samples(part: Loss, **more: Any) -> Iterator[Sample]:
    """Yields cases of a loss on values, for which the laws draw the targets."""
    yield Sample(part, (3,), batch=5, **more)
    yield Sample(part, (1,), batch=1, **more, note="one row, one output")
    yield Sample(part, (2,), inputs={"w": [0.5, 0.2, 0.3]}, **more, note="sample weights")
    yield Sample(part, (2, 2), error=NOT_ROWS)
