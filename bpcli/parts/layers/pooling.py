"""Pooling: windows of images brought down to one number for each channel."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Literal

import numpy as np

from bpcli.family import Layer
from bpcli.family.plan import DType, Frame, N, Plan, Sample, Shape, Slot
from bpcli.notation import Eq
from bpcli.numeric.steps import Steps, done_in_blocks, in_chunks
from bpcli.parts.layers.windows import TIED, Window, tied


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
        number: DType = "byte" if len(grid.cells) <= 256 else "int"
        scratch = {"more": Slot((N, *y), "bool"), "number": Slot((N, *y), number)}
        if not grid.apart:
            scratch["part"] = Slot((N, *y))
        return Plan(y=y, keep={"win": Slot((N, *y), number)}, scratch=scratch, consts=grid.consts)

    @in_chunks
    def forward(self, f: Frame, train: bool) -> None:
        grid = self.grid(f.x.shape[1:])

        def tell(do: Steps, rows: slice) -> None:
            do(f.win[rows].fill, 0)
            if grid.inside:
                do(np.copyto, f.y[rows], f.x[rows, *grid.cells[0].pixels])
            else:
                do(f.y[rows].fill, -np.inf)
            for cell in islice(grid.cells, 1 if grid.inside else 0, None):
                out = (rows, *cell.outputs)
                pixel, best, won = f.x[rows, *cell.pixels], f.y[out], f.win[out]
                more, number = f.more[out], f.number[out]
                do(np.greater, pixel, best, out=more)
                do(np.maximum, best, pixel, out=best)
                do(np.multiply, more.view(np.uint8), won.dtype.type(cell.number), out=number)
                do(np.maximum, won, number, out=won)  # places are counted up: a later winner has the larger number

        done_in_blocks(f.notes("forward"), tell, f.x)

    @in_chunks
    def backward(self, f: Frame, train: bool) -> None:
        grid = self.grid(f.x.shape[1:])

        def tell(do: Steps, rows: slice) -> None:
            if not grid.tiles:
                do(f.dx[rows].fill, 0)
            for cell in grid.cells:
                out = (rows, *cell.outputs)
                slope, pixel = f.dy[out], f.dx[rows, *cell.pixels]
                won = f.more[out]
                do(np.equal, f.win[out], f.win.dtype.type(cell.number), out=won)
                if grid.apart:
                    do(np.multiply, slope, won, out=pixel)
                else:
                    do(np.multiply, slope, won, out=f.part[out])
                    do(np.add, pixel, f.part[out], out=pixel)

        done_in_blocks(f.notes("backward"), tell, f.x)

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
        return Plan(y=y, scratch={"part": Slot((N, *y))}, consts=grid.consts)

    @in_chunks
    def forward(self, f: Frame, train: bool) -> None:
        grid = self.grid(f.x.shape[1:])

        def tell(do: Steps, rows: slice) -> None:
            if grid.inside:
                do(np.copyto, f.y[rows], f.x[rows, *grid.cells[0].pixels])
            else:
                do(f.y[rows].fill, 0)
            for cell in islice(grid.cells, 1 if grid.inside else 0, None):
                total = f.y[rows, *cell.outputs]
                do(np.add, total, f.x[rows, *cell.pixels], out=total)
            do(np.divide, f.y[rows], f.y.dtype.type(len(grid.cells)), out=f.y[rows])

        done_in_blocks(f.notes("forward"), tell, f.x)

    @in_chunks
    def backward(self, f: Frame, train: bool) -> None:
        grid = self.grid(f.x.shape[1:])

        def tell(do: Steps, rows: slice) -> None:
            do(np.divide, f.dy[rows], f.y.dtype.type(len(grid.cells)), out=f.part[rows])
            if not grid.tiles:
                do(f.dx[rows].fill, 0)
            for cell in grid.cells:
                pixel, slope = f.dx[rows, *cell.pixels], f.part[rows, *cell.outputs]
                if grid.apart:
                    do(np.copyto, pixel, slope)
                else:
                    do(np.add, pixel, slope, out=pixel)

        done_in_blocks(f.notes("backward"), tell, f.x)

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
