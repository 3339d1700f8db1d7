"""Transposed convolution, which makes images larger."""

from collections.abc import Iterator
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from bpcli.family.plan import Frame, Plan, Sample, Shape, ShapeError, Slot
from bpcli.notation import Eq
from bpcli.numeric.threads import ChunkedWork, in_chunks, run_together
from bpcli.parts.layers.conv.axes import FilterAxis, same_axis
from bpcli.parts.layers.conv.filters import Filters, Padding
from bpcli.parts.layers.conv.passes import Passes, passes
from bpcli.parts.layers.conv.writing import consts, entry_seen, entry_seen_by, settings_text
from bpcli.parts.layers.windows import Margin, Pair, as_pair


class ConvTranspose2d(Filters):
    """Puts each pixel down as a whole filter, `stride` pixels apart, and adds up where these overlap.

    It is what conv2d does to slopes on their way back, as a layer.

    Shapes   x: n h w c, W: u v c f, b: f, y: n p q f (the pre-activation)
    Letters  s stride, r dilation, a the pixels taken off at the top and at the left
    Source   Zeiler et al. 2010; Dumoulin & Visin 2016, section 4
    Numerics no sums of overlapping windows: one correlation for each remainder of the stride, as conv2d's dx
    """

    rows_are_independent: ClassVar[bool] = True
    type: Literal["conv_transpose2d"] = "conv_transpose2d"
    kernel: Pair = Field(description="pixels of a filter: one number, or height and width")
    stride: Pair = Field(1, description="how many times as large the output is, about")
    padding: Padding = Field(
        "valid",
        description="pixels taken off around the output: none (valid), down to in * stride (same), or a number",
    )
    output_padding: Margin = Field(
        0, description="rows and columns more at the bottom and at the right, below `stride`"
    )
    dilation: Pair = Field(1, description="pixels from one weight of a filter to the next")

    @model_validator(mode="after")
    def _output_padding_fits(self) -> Self:
        if self.output_padding and self.padding == "same":
            raise PydanticCustomError("output_padding", "`padding: same` settles the size: leave `output_padding` out")
        if self.output_padding >= min(as_pair(self.stride)):
            message = "an output_padding of {more} is not below the stride"
            if self.output_padding:
                raise PydanticCustomError("output_padding", message, {"more": self.output_padding})
        return self

    def axes(self, x: Shape) -> tuple[FilterAxis, FilterAxis]:
        """Returns how the filters of the convolution that this one transposes move over the outputs. Raises ShapeError
        where nothing would be left of them."""
        if len(x) != 3:
            raise ShapeError(
                f"conv_transpose2d takes images (height, width, channels), not rows of shape {x}",
                "put a `reshape` before it: {type: reshape, shape: [7, 7, 16]}",
            )
        kernel, stride, dilation = as_pair(self.kernel), as_pair(self.stride), as_pair(self.dilation)
        found = []
        for i, name in enumerate(("high", "wide")):
            if self.padding == "same":
                found.append(same_axis(x[i] * stride[i], kernel[i], stride[i], dilation[i]))
                continue
            off = 0 if self.padding == "valid" else as_pair(self.padding)[i]
            span = FilterAxis(0, kernel[i], 1, dilation[i]).span
            size = (x[i] - 1) * stride[i] + span + self.output_padding - 2 * off
            if size < 1:
                text = f"a padding of {off} takes off all of an output {size + 2 * off} {name}"
                raise ShapeError(text, "a smaller `padding`")
            found.append(FilterAxis(size, kernel[i], stride[i], dilation[i], off, off))
        h, w = found
        return h, w

    def plan(self, x: Shape) -> Plan:
        h, w = self.axes(x)
        entries = h.kernel * w.kernel
        scratch = dict(self._passes(x).scratch())
        if self.bias is not False:
            scratch["row"] = Slot((w.size, self.filters))
        return Plan(
            y=(h.size, w.size, self.filters),
            params=self.params((h.kernel, w.kernel, x[2], self.filters), entries * x[2], entries * self.filters),
            scratch=scratch,
            consts=consts((h, w)),
            skips_dx=True,
            multiply_adds=x[0] * x[1] * entries * x[2] * self.filters,
        )

    def _passes(self, x: Shape) -> Passes:
        """Returns the passes of the convolution from y to x."""
        h, w = self.axes(x)
        return passes(h, w, 1, self.filters, x[2], "back" if self.bias is not False else "")

    @in_chunks
    def forward(self, f: Frame, train: bool) -> ChunkedWork:
        b = f.b if self.bias is not False else None
        return self._passes(f.x.shape[1:]).transposed(f, f.x, f.W.swapaxes(2, 3), b, f.y)

    def backward(self, f: Frame, train: bool) -> None:
        W, dW = f.W.swapaxes(2, 3), f.dW.swapaxes(2, 3)
        run_together((self._passes(f.x.shape[1:]).transposed_backward(f, f.x, W, f.dy, dW, f.dx),))
        if self.bias is not False:
            np.add.reduce(f.dy, (0, 1), out=f.row)
            np.add.reduce(f.row, 0, out=f.db)

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        axes, biased = self.axes(x), self.bias is not False
        pixel = entry_seen_by("x", axes, "c", "W[u,v,c,f]", turned=True)
        slope = entry_seen("dy", axes, "f", turned=True)
        return [
            Eq(
                "y[n,p,q,f]",
                ("b[f] + " if biased else "") + f"sum(u,v,c, {pixel})",
                "all pixels that reach so far" + settings_text(axes),
            ),
            Eq("dW[u,v,c,f]", f"sum(n,h,w, x[n,h,w,c] * {slope})", "a weight is put down with every pixel; they add"),
            *([Eq("db[f]", "sum(n,p,q, dy[n,p,q,f])", "a bias is in every output")] if biased else []),
            Eq("dx[n,h,w,c]", f"sum(u,v,f, W[u,v,c,f] * {slope})", "wherever the pixel's filter was put down"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(filters=2, kernel=3), (3, 2, 3), batch=2, note="stride of one")
        yield Sample(cls(filters=2, kernel=3, stride=2), (3, 2, 2), batch=2, note="overlaps")
        yield Sample(
            cls(filters=2, kernel=3, stride=2, padding=1, output_padding=1), (2, 3, 2), batch=2, note="doubled"
        )
        yield Sample(cls(filters=2, kernel=(2, 3), stride=(3, 2), padding="same"), (2, 3, 2), batch=2, note="same")
        yield Sample(cls(filters=1, kernel=2, stride=3, bias=False), (3, 2, 2), batch=2, note="gaps")
        yield Sample(cls(filters=2, kernel=2, stride=3), (2, 2, 2), batch=1, note="gaps with a bias, batch of one")
        yield Sample(cls(filters=2, kernel=3, dilation=2, stride=2, padding=1), (3, 2, 1), note="dilated")
        yield Sample(cls(filters=3, kernel=1), (2, 3, 2), note="kernel of one")
        yield Sample(cls(filters=1, kernel=(1, 2), weights=((((2.0,),), ((-1.0,),)),)), (2, 2, 1), note="by value")
        yield Sample(
            cls(filters=1, kernel=2, padding=1), (1, 1, 1), error="a padding of 1 takes off all of an output 2 high"
        )
        yield Sample(cls(filters=1, kernel=2), (3,), error="takes images (height, width, channels), not rows")
        yield Sample(
            {"type": "conv_transpose2d", "filters": 1, "kernel": 2, "stride": 2, "output_padding": 2},
            error="an output_padding of 2 is not below the stride",
        )
        same = {"type": "conv_transpose2d", "filters": 1, "kernel": 2, "stride": 2, "padding": "same"}
        yield Sample({**same, "output_padding": 1}, error="leave `output_padding` out")
