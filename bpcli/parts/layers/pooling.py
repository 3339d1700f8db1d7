"""Pooling: windows of images brought down to one number for each channel."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Literal

import numpy as np

from bpcli.family import Layer
from bpcli.numeric.notation import Eq
from bpcli.numeric.threads import LANES
from bpcli.parts.layers.windows import TIED, Window, images_at_a_time, in_blocks, tied
from bpcli.plan import Array, DType, Frame, N, Plan, Sample, Shape, Slot


class MaxPool2d(Window, Layer):
    """Keeps the largest number of each window.

    The first of several largest ones wins, row by row, and it alone is given the slope; padding never wins. Pixels that
    are left over at the right and at the bottom are in no window.

    Shapes   x: n h w c, y: n p q c; win: n p q c, the place in its window of what won, counted row by row
    Source   Weng, Ahuja & Huang 1992; Scherer, Müller & Behnke 2010, section 3
    Numerics worked out place by place of the window, on a few images at a time; `win` is kept, and no mask
    """

    type: Literal["max_pool2d"] = "max_pool2d"

    def plan(self, x: Shape) -> Plan:
        grid = self.grid(x)
        y = (grid.rows.out, grid.columns.out, x[2])
        block = (LANES, images_at_a_time(x), *y)
        number: DType = "byte" if len(grid.cells) <= 256 else "int"
        scratch = {"more": Slot(block, "bool"), "number": Slot(block, number)}
        if not grid.apart:
            scratch["part"] = Slot(block)
        return Plan(y=y, keep={"win": Slot((N, *y), number)}, scratch=scratch, consts=grid.consts)

    def forward(self, f: Frame, train: bool) -> None:
        grid = self.grid(f.x.shape[1:])

        def work(rows: slice, lane: int) -> None:
            x, y, win = f.x[rows], f.y[rows], f.win[rows]
            win.fill(0)
            if grid.inside:
                np.copyto(y, x[grid.cells[0].pixels])
            else:
                y.fill(-np.inf)
            for cell in islice(grid.cells, 1 if grid.inside else 0, None):
                pixel, best, won = x[cell.pixels], y[cell.outputs], win[cell.outputs]
                more, number = _corner(f.more[lane], best), _corner(f.number[lane], best)
                np.greater(pixel, best, out=more)
                np.maximum(best, pixel, out=best)
                np.multiply(more.view(np.uint8), cell.number, out=number, dtype=number.dtype)
                np.maximum(won, number, out=won)  # places are counted up: a later winner has the larger number

        in_blocks(work, len(f.x), f.more.shape[1], f.x.size)

    def backward(self, f: Frame, train: bool) -> None:
        grid = self.grid(f.x.shape[1:])

        def work(rows: slice, lane: int) -> None:
            dx, dy, win = f.dx[rows], f.dy[rows], f.win[rows]
            if not grid.tiles:
                dx.fill(0)
            for cell in grid.cells:
                slope, pixel = dy[cell.outputs], dx[cell.pixels]
                won = np.equal(win[cell.outputs], cell.number, out=_corner(f.more[lane], slope))
                if grid.apart:
                    np.multiply(slope, won, out=pixel)
                else:
                    np.add(pixel, np.multiply(slope, won, out=_corner(f.part[lane], slope)), out=pixel)

        in_blocks(work, len(f.x), f.more.shape[1], f.x.size)

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        grid = self.grid(x)
        window = f"u<U, v<V, {grid.read('-inf')}"
        why = "the largest of the window" if grid.inside else "the largest of the window; padding never wins"
        return [
            Eq("y[n,p,q,c]", f"max({window})", why),
            Eq("win[n,p,q,c]", f"argmax({window})", "where it stands: the first of equals, row by row"),
            Eq("dx[n,h,w,c]", grid.back("pad(dy[@]) * (pad(win[@], -1) == V*u + v)"), "a winner has the whole slope"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), (4, 6, 2))
        yield Sample(cls(), (5, 7, 2), note="leftover row and column")
        yield Sample(cls(size=3, stride=2, padding=1), (7, 6, 2), batch=2, note="overlapping, padded")
        yield Sample(cls(size=(3, 2), stride=(1, 3)), (5, 6, 3), batch=1, note="stride apart from size")
        yield Sample(cls(size=3, stride=2, padding="same"), (6, 5, 1), batch=2, note="same, one row more below")
        yield Sample(cls(size=1, stride=2), (5, 4, 2), note="gaps")
        yield Sample(cls(size=2, stride=1, padding=1), (3, 3, 2), batch=2, inputs={"x": tied((2, 3, 3, 2), 2)},
                     kinks=TIED, note="negative, with padding and ties")  # fmt: skip
        yield Sample(cls(size=(2, 3), stride=(1, 2)), (4, 5, 2), batch=2, inputs={"x": tied((2, 4, 5, 2))},
                     kinks=TIED, note="ties in overlapping windows")  # fmt: skip
        yield Sample(cls(), (4, 4, 2), batch=2, inputs={"x": np.zeros((2, 4, 4, 2))}, kinks=(0.0,), note="all alike")
        yield Sample(cls(size=3), (2, 5, 1), error="a window 3 high does not fit into an image 2 high")
        yield Sample(cls(size=4, padding=1), (9, 1, 1), error="an image 1 wide, padded to 3")
        yield Sample(cls(padding=2), (5, 5, 1), error="a padding of 2 is not smaller than the window")
        yield Sample(cls(), (12,), error="windows move over images (height, width, channels), not over rows of shape")
        yield Sample({"type": "max_pool2d", "size": 0}, error="greater than 0")
        yield Sample({"type": "max_pool2d", "size": [2, 2, 2]}, error="at most 2 items")
        yield Sample({"type": "max_pool2d", "padding": -1}, error="greater than or equal to 0")


class AvgPool2d(Window, Layer):
    """Takes the mean of each window; padding counts as zeros, so that every window divides by its size.

    Shapes   x: n h w c, y: n p q c
    Source   LeCun, Bottou, Bengio & Haffner 1998, section II.B, without its coefficient and bias
    """

    type: Literal["avg_pool2d"] = "avg_pool2d"

    def plan(self, x: Shape) -> Plan:
        grid = self.grid(x)
        y = (grid.rows.out, grid.columns.out, x[2])
        return Plan(y=y, scratch={"part": Slot((LANES, images_at_a_time(x), *y))}, consts=grid.consts)

    def forward(self, f: Frame, train: bool) -> None:
        grid = self.grid(f.x.shape[1:])

        def work(rows: slice, lane: int) -> None:
            x, y = f.x[rows], f.y[rows]
            if grid.inside:
                np.copyto(y, x[grid.cells[0].pixels])
            else:
                y.fill(0)
            for cell in islice(grid.cells, 1 if grid.inside else 0, None):
                total = y[cell.outputs]
                np.add(total, x[cell.pixels], out=total)
            np.divide(y, len(grid.cells), out=y)

        in_blocks(work, len(f.x), f.part.shape[1], f.x.size)

    def backward(self, f: Frame, train: bool) -> None:
        grid = self.grid(f.x.shape[1:])

        def work(rows: slice, lane: int) -> None:
            dx, dy = f.dx[rows], f.dy[rows]
            part = np.divide(dy, len(grid.cells), out=f.part[lane, : len(dy)])
            if not grid.tiles:
                dx.fill(0)
            for cell in grid.cells:
                pixel, slope = dx[cell.pixels], part[cell.outputs]
                if grid.apart:
                    np.copyto(pixel, slope)
                else:
                    np.add(pixel, slope, out=pixel)

        in_blocks(work, len(f.x), f.part.shape[1], f.x.size)

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        grid = self.grid(x)
        why = "the mean of the window" if grid.inside else "the mean of the window; padding counts as 0"
        return [
            Eq("y[n,p,q,c]", f"mean(u<U, v<V, {grid.read()})", why),
            Eq("dx[n,h,w,c]", f"{grid.back('pad(dy[@])')} / (U*V)", "every pixel has its share of each window's slope"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), (4, 6, 2))
        yield Sample(cls(), (5, 7, 2), note="leftover row and column")
        yield Sample(cls(size=3, stride=2, padding=1), (7, 6, 2), batch=2, note="overlapping, padded")
        yield Sample(cls(size=(3, 2), stride=(1, 3)), (5, 6, 3), batch=1, note="stride apart from size")
        yield Sample(cls(size=(3, 2), stride=2, padding="same"), (5, 4, 1), batch=2, note="same")
        yield Sample(cls(size=3), (2, 5, 1), error="a window 3 high does not fit into an image 2 high")
        yield Sample(cls(), (3, 4), error="not over rows of shape (3, 4)")
        yield Sample({"type": "avg_pool2d", "stride": 0}, error="greater than 0")
        yield Sample({"type": "avg_pool2d", "padding": "full"}, error="'valid' or 'same'")


def _corner(scratch: Array, like: Array) -> Array:
    """As much of the scratch as an array of this shape takes."""
    n, p, q, _ = like.shape
    return scratch[:n, :p, :q]
