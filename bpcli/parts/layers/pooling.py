"""Pooling: windows of images brought down to one number for each channel."""

from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np

from bpcli.family import DType, Frame, Layer, N, Plan, Sample, Shape, Slot
from bpcli.notation import Eq
from bpcli.parts.layers.windows import TIED, Window, tied


class MaxPool2d(Window, Layer):
    """Keeps the largest number of each window.

    The first of several largest ones wins, row by row, and it alone is given the slope; padding never wins. Pixels that
    are left over at the right and at the bottom are in no window.

    Shapes   x: n h w c, y: n p q c; win: n p q c, the place in its window of what won, counted row by row
    Source   Weng, Ahuja & Huang 1992; Scherer, Müller & Behnke 2010, section 3
    Numerics worked out place by place of the window; `win` is kept, and no mask
    """

    rows_are_independent: ClassVar[bool] = True
    type: Literal["max_pool2d"] = "max_pool2d"

    def plan(self, x: Shape) -> Plan:
        grid = self.grid(x)
        y = (grid.rows.out, grid.columns.out, x[2])
        number: DType = "byte" if grid.places <= 256 else "int"
        scratch = {"more": Slot((N, *y), "bool"), "number": Slot((N, *y), number)}
        if not grid.apart:
            scratch["part"] = Slot((N, *y))
        return Plan(y=y, keep={"win": Slot((N, *y), number)}, scratch=scratch, consts=grid.consts)

    def forward(self, f: Frame, train: bool) -> None:
        grid = self.grid(f.x.shape[1:])
        f.win.fill(0)
        if grid.inside:
            np.copyto(f.y, f.x[grid.cells[0].pixels])
        else:
            f.y.fill(-np.inf)
        more_as_number, integer = f.more.view(np.uint8), f.win.dtype.type
        for cell in grid.cells[1:] if grid.inside else grid.cells:
            pixel = f.x[cell.pixels]
            best, won, more, one, number = cell.seen(f.y, f.win, f.more, more_as_number, f.number)
            np.greater(pixel, best, out=more)
            np.maximum(best, pixel, out=best)
            np.multiply(one, integer(cell.number), out=number)
            np.maximum(won, number, out=won)  # places are counted up: a later winner has the larger number

    def backward(self, f: Frame, train: bool) -> None:
        grid = self.grid(f.x.shape[1:])
        if not grid.tiles:
            f.dx.fill(0)
        for cell in grid.cells:
            pixel = f.dx[cell.pixels]
            slope, win, won = cell.seen(f.dy, f.win, f.more)
            np.equal(win, cell.number, out=won)
            if grid.apart:
                np.multiply(slope, won, out=pixel)
            else:
                (part,) = cell.seen(f.part)
                np.multiply(slope, won, out=part)
                np.add(pixel, part, out=pixel)

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
        yield Sample(cls(size=9, padding="same"), (2, 3, 1), batch=2, note="a window larger than the image")
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

    rows_are_independent: ClassVar[bool] = True
    type: Literal["avg_pool2d"] = "avg_pool2d"

    def plan(self, x: Shape) -> Plan:
        grid = self.grid(x)
        y = (grid.rows.out, grid.columns.out, x[2])
        return Plan(y=y, scratch={"part": Slot((N, *y))}, consts=grid.consts)

    def forward(self, f: Frame, train: bool) -> None:
        grid = self.grid(f.x.shape[1:])
        if grid.inside:
            np.copyto(f.y, f.x[grid.cells[0].pixels])
        else:
            f.y.fill(0)
        for cell in grid.cells[1:] if grid.inside else grid.cells:
            (total,) = cell.seen(f.y)
            np.add(total, f.x[cell.pixels], out=total)
        np.divide(f.y, grid.places, out=f.y)

    def backward(self, f: Frame, train: bool) -> None:
        grid = self.grid(f.x.shape[1:])
        np.divide(f.dy, grid.places, out=f.part)
        if not grid.tiles:
            f.dx.fill(0)
        for cell in grid.cells:
            pixel, (slope,) = f.dx[cell.pixels], cell.seen(f.part)
            if grid.apart:
                np.copyto(pixel, slope)
            else:
                np.add(pixel, slope, out=pixel)

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
        yield Sample(cls(size=6, stride=5, padding=5), (2, 3, 1), batch=2, note="windows that miss the image")
        yield Sample(cls(size=3), (2, 5, 1), error="a window 3 high does not fit into an image 2 high")
        yield Sample(cls(), (3, 4), error="not over rows of shape (3, 4)")
        yield Sample({"type": "avg_pool2d", "stride": 0}, error="greater than 0")
        yield Sample({"type": "avg_pool2d", "padding": "full"}, error="'valid' or 'same'")
