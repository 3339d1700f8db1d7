"""Layers that put entries elsewhere and compute nothing: reshape, zero_pad, upsample."""

import math
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import BeforeValidator, Field

from bpcli.family import Frame, Layer, Plan, Sample, Shape, ShapeError
from bpcli.notation import Eq
from bpcli.numeric.shapes import written
from bpcli.parts.layers.flatten import SIZES, entry, letters, offset
from bpcli.parts.layers.windows import Margin, Pair, as_pair, as_tuples

_NEW = ("P", "Q", "R", "S")  # the sizes of the axes that a reshape gives, in the equations


class Reshape(Layer):
    """Gives the entries of each row other axes and leaves their order as it is, the last axis running fastest.

    Shapes   x: n ..., y: n ... of the same number of entries
    Source   row-major order, as NumPy's reshape
    """

    moves: ClassVar[bool] = True
    relabels: ClassVar[bool] = True
    rows_are_independent: ClassVar[bool] = True
    type: Literal["reshape"] = "reshape"
    shape: Annotated[tuple[int, ...], BeforeValidator(as_tuples)] = Field(
        strict=False, min_length=1, max_length=4,
        description="the axes of a row behind it; one of them may be -1, which is what is left",
    )  # fmt: skip

    def plan(self, x: Shape) -> Plan:
        if not 1 <= len(x) <= 4:
            raise ShapeError(f"reshape takes rows of at most 4 axes, not rows of shape {x}")
        size, entries = math.prod(x), math.prod(d for d in self.shape if d != -1)
        if any(d == 0 or d < -1 for d in self.shape) or self.shape.count(-1) > 1:
            raise ShapeError(f"the shape {list(self.shape)} is none", "whole numbers above 0, and -1 at most once")
        y = tuple(size // entries if d == -1 else d for d in self.shape)
        if math.prod(y) != size:
            text = f"a row of shape {x} has {size} entries, and {written(self.shape)} are {entries}"
            if -1 in self.shape:
                text = f"a row of shape {x} has {size} entries, which {entries} does not divide"
            raise ShapeError(text, f"the axes of `shape` multiply to {size}")
        sizes = {
            name: float(d) for names, axes in ((SIZES, x), (_NEW, y)) for name, d in zip(names, axes, strict=False)
        }
        return Plan(y=y, consts=sizes)

    def forward(self, f: Frame, train: bool) -> None:
        np.copyto(f.y, f.x.reshape(f.y.shape))

    def backward(self, f: Frame, train: bool) -> None:
        np.copyto(f.dx, f.dy.reshape(f.dx.shape))

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        before, after = SIZES[: len(x)], _NEW[: len(self.shape)]
        old, new = letters(len(x)), letters(len(self.shape))
        ranges = ",".join(f"{letter}<{size}" for letter, size in zip(new, after, strict=True))
        return [
            Eq(f"y[n,{ranges}]", f"x[n, {entry(f'({offset(new, after)})', before)}]", "the same entries, end to end"),
            Eq(f"dx[n,{','.join(old)}]", f"dy[n, {entry(f'({offset(old, before)})', after)}]",
               "every slope goes back where its entry came from"),
        ]  # fmt: skip

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(shape=(2, 3, 2)), (12,))
        yield Sample(cls(shape=(-1, 2)), (2, 3, 3), batch=1)
        yield Sample(cls(shape=(30,)), (2, 3, 5), note="flat")
        yield Sample(cls(shape=(5, 3, 2)), (2, 3, 5), note="axes of the same sizes in another order")
        yield Sample(cls(shape=(2, 2)), (5,), error="has 5 entries, and 2 x 2 are 4")
        yield Sample(cls(shape=(-1, 2)), (5,), error="has 5 entries, which 2 does not divide")
        yield Sample(cls(shape=(-1, -1)), (4,), error="the shape [-1, -1] is none")
        yield Sample(cls(shape=(0,)), (4,), error="the shape [0] is none")
        yield Sample(cls(shape=(1,)), (1, 1, 1, 1, 1), error="at most 4 axes")
        yield Sample({"type": "reshape"}, error="Field required")


class ZeroPad(Layer):
    """Puts zeros around the rows of images, or of sequences.

    Shapes   x: n h w c, or n t c; y: the same, larger by what is put before and behind each axis but the channels'
    Source   LeCun et al. 1989, section 3, where the borders of an image are handled so
    """

    moves: ClassVar[bool] = True
    rows_are_independent: ClassVar[bool] = True
    type: Literal["zero_pad"] = "zero_pad"
    padding: Annotated[Margin | tuple[Margin | tuple[Margin, Margin], ...], BeforeValidator(as_tuples)] = Field(
        description="how many zeros on every side; or a list with a number for each axis, or a pair, before and behind"
    )

    def _margins(self, x: Shape) -> tuple[tuple[int, int], ...]:
        axes = len(x) - 1
        if axes not in (1, 2):
            text = (
                f"zero_pad takes images (height, width, channels) or sequences (steps, channels), not rows of shape {x}"
            )
            raise ShapeError(text, "put a `reshape` before it")
        margins: tuple[Any, ...] = self.padding if isinstance(self.padding, tuple) else (self.padding,) * axes
        if len(margins) != axes:
            raise ShapeError(
                f"padding names {len(margins)} axes, and a row of shape {x} has {axes} besides its channels",
                "one number for every side, or one entry for each axis",
            )
        return tuple(m if isinstance(m, tuple) else (m, m) for m in margins)

    def plan(self, x: Shape) -> Plan:
        margins = self._margins(x)
        y = tuple(d + before + behind for d, (before, behind) in zip(x, margins, strict=False))
        return Plan(y=(*y, x[-1]), consts={name: float(m[0]) for name, m in zip("ab", margins, strict=False)})

    def _inner(self, x: Shape) -> tuple[slice, ...]:
        margins = zip(x, self._margins(x), strict=False)
        return (slice(None), *(slice(before, before + d) for d, (before, _) in margins))

    def forward(self, f: Frame, train: bool) -> None:
        f.y.fill(0)
        np.copyto(f.y[self._inner(f.x.shape[1:])], f.x)

    def backward(self, f: Frame, train: bool) -> None:
        np.copyto(f.dx, f.dy[self._inner(f.dx.shape[1:])])

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        new, old = (("p", "q"), ("h", "w")) if len(x) == 3 else (("p",), ("t",))
        came = ", ".join(f"{letter} - {a}" for letter, a in zip(new, "ab", strict=False))
        went = ", ".join(f"{letter} + {a}" for letter, a in zip(old, "ab", strict=False))
        return [
            Eq(f"y[n,{','.join(new)},c]", f"pad(x[n, {came}, c])", "0 outside"),
            Eq(f"dx[n,{','.join(old)},c]", f"dy[n, {went}, c]", "what was put around leans on nothing"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(padding=1), (2, 3, 2))
        yield Sample(cls(padding=((0, 2), (3, 1))), (3, 2, 1), batch=2, note="each side its own")
        yield Sample(cls(padding=(0, 1)), (2, 2, 3), batch=1, note="sideways only")
        yield Sample(cls(padding=((2, 0),)), (5, 3), note="a sequence, before it")
        yield Sample(cls(padding=1), (5,), error="not rows of shape (5,)")
        yield Sample(cls(padding=(1, 1)), (5, 3), error="padding names 2 axes, and a row of shape (5, 3) has 1")
        yield Sample({"type": "zero_pad", "padding": -1}, error="greater than or equal to 0")


class Upsample(Layer):
    """Repeats every pixel `factor` times downwards and sideways: the nearest pixel of the smaller image.

    Shapes   x: n h w c, y: n p q c, with p = factor h and q = factor w
    Source   Odena, Dumoulin & Olah 2016, as nearest-neighbour resize
    """

    moves: ClassVar[bool] = True
    rows_are_independent: ClassVar[bool] = True
    type: Literal["upsample"] = "upsample"
    factor: Pair = Field(2, description="how many times every pixel is repeated: one number, or downwards and sideways")

    def plan(self, x: Shape) -> Plan:
        if len(x) != 3:
            text = f"upsample takes images (height, width, channels), not rows of shape {x}"
            raise ShapeError(text, "put a `reshape` before it")
        high, wide = as_pair(self.factor)
        return Plan(y=(x[0] * high, x[1] * wide, x[2]), consts={"U": float(high), "V": float(wide)})

    def forward(self, f: Frame, train: bool) -> None:
        n, h, w, c = f.x.shape
        high, wide = as_pair(self.factor)
        np.copyto(f.y.reshape(n, h, high, w, wide, c), f.x[:, :, None, :, None, :])

    def backward(self, f: Frame, train: bool) -> None:
        high, wide = as_pair(self.factor)
        np.copyto(f.dx, f.dy[:, ::high, ::wide])
        for u in range(high):
            for v in range(wide):
                if u or v:
                    np.add(f.dx, f.dy[:, u::high, v::wide], out=f.dx)

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        return [
            Eq("y[n,p,q,c]", "x[n, p // U, q // V, c]", "the pixel it lies in"),
            Eq("dx[n,h,w,c]", "sum(u<U, v<V, dy[n, U*h + u, V*w + v, c])", "a pixel leans through all its copies"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), (2, 3, 2))
        yield Sample(cls(factor=(3, 1)), (2, 2, 1), batch=1)
        yield Sample(cls(factor=1), (3, 2, 1), note="nothing to do")
        yield Sample(cls(), (6,), error="not rows of shape (6,)")
        yield Sample({"type": "upsample", "factor": 0}, error="greater than 0")
