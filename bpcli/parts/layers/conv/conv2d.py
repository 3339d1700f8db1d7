"""Convolution of images."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from bpcli.family.plan import Frame, Plan, Sample, Shape, ShapeError
from bpcli.notation import Eq
from bpcli.numeric.threads import ChunkedWork, in_chunks
from bpcli.parts.activations import Relu
from bpcli.parts.layers.conv.axes import FilterAxis, padded_axis
from bpcli.parts.layers.conv.filters import PADDING_DESCRIPTION, Filters, Padding
from bpcli.parts.layers.conv.passes import Passes
from bpcli.parts.layers.conv.writing import entry_seen, entry_seen_by, settings_text
from bpcli.parts.layers.windows import Pair, as_pair


class Conv2d(Filters):
    """Lays each filter on every window of an image: a weighted sum of the pixels under it, and a bias.

    The filters are not turned round first (in signal processing that is cross-correlation). With groups, a filter sees
    the channels of its group only; as many groups as channels make a depthwise convolution. `same` gives in / stride
    outputs, rounded up, with the odd zero at the bottom and at the right.

    Shapes   x: n h w c, W: u v c f with the channels of one group, b: f, y: n p q f (the pre-activation)
    Letters  s stride, r dilation, a zeros at the top and at the left, Cg and Fg channels and filters of a group
    Source   LeCun et al. 1989; Dumoulin & Visin 2016 for the arithmetic; dilation: Yu & Koltun 2016, eq. 2
    Numerics windows of a few images at a time times the filters, or strips of them a filter row high; the way back is a
             correlation with the filters turned round, one for each remainder of the stride; the gradient of W is
             summed in 4 parts, then these are
    """

    rows_are_independent: ClassVar[bool] = True
    type: Literal["conv2d"] = "conv2d"
    kernel: Pair = Field(description="pixels of a filter: one number, or height and width")
    stride: Pair = Field(1, description="pixels from one window to the next")
    padding: Padding = Field("valid", description=PADDING_DESCRIPTION)
    dilation: Pair = Field(1, description="pixels from one weight of a filter to the next")
    groups: int = Field(1, gt=0, description="into how many groups channels and filters are split")

    def axes(self, x: Shape) -> tuple[FilterAxis, FilterAxis]:
        """Returns how the filters move over images of shape x. Raises ShapeError where they do not fit."""
        if len(x) != 3:
            raise ShapeError(
                f"conv2d takes images (height, width, channels), not rows of shape {x}",
                "put a `reshape` before it: {type: reshape, shape: [28, 28, 1]}",
            )
        zeros = (self.padding,) * 2 if isinstance(self.padding, str) else as_pair(self.padding)
        kernel, stride, dilation = as_pair(self.kernel), as_pair(self.stride), as_pair(self.dilation)
        h, w = (
            padded_axis(name, x[i], kernel[i], stride[i], dilation[i], zeros[i])
            for i, name in enumerate(("high", "wide"))
        )
        return h, w

    def plan(self, x: Shape) -> Plan:
        return self.plan_windows(self.axes(x), x[2], self.groups)

    def _passes(self, x: Shape) -> Passes:
        return self.window_passes(self.axes(x), x[2], self.groups)

    @in_chunks
    def forward(self, f: Frame, train: bool) -> ChunkedWork:
        return self._passes(f.x.shape[1:]).forward(f, f.x, f.W, f.b if self.bias is not False else None, f.y)

    @in_chunks
    def backward(self, f: Frame, train: bool) -> ChunkedWork:
        db = f.db if self.bias is not False else None
        return self._passes(f.x.shape[1:]).backward(f, f.x, f.W, f.dy, f.dW, db, f.dx)

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        axes, biased, grouped = self.axes(x), self.bias is not False, self.groups > 1
        pixel = entry_seen("x", axes, "f // Fg * Cg + c" if grouped else "c")
        if grouped:
            slope = entry_seen_by("dy", axes, "c // Cg * Fg + g", "W[u, v, c % Cg, c // Cg * Fg + g]")
        else:
            slope = entry_seen_by("dy", axes, "f", "W[u,v,c,f]")
        window = "a filter weighs what it sees" + (", of its group" if grouped else "") + settings_text(axes)
        return [
            Eq("y[n,p,q,f]", ("b[f] + " if biased else "") + f"sum(u,v,c, W[u,v,c,f] * {pixel})", window),
            Eq("dW[u,v,c,f]", f"sum(n,p,q, dy[n,p,q,f] * {pixel})", "a weight works in every window; they add"),
            *([Eq("db[f]", "sum(n,p,q, dy[n,p,q,f])", "so does a bias, whose input is 1")] if biased else []),
            Eq("dx[n,h,w,c]", f"sum(u,v,{'g<Fg' if grouped else 'f'}, {slope})", "every output that saw the pixel"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(filters=2, kernel=3), (5, 4, 3), batch=2, note="odd sizes")
        yield Sample(cls(filters=3, kernel=3, padding="same"), (5, 4, 2), batch=2, note="same")
        yield Sample(cls(filters=2, kernel=3, padding="same"), (12, 11, 4), batch=1, note="large enough for strips")
        yield Sample(cls(filters=2, kernel=3, stride=2, padding="same"), (6, 5, 2), batch=2, note="uneven same")
        yield Sample(cls(filters=2, kernel=(2, 3), stride=(3, 2), padding=(1, 0)), (7, 8, 2), batch=2, note="leftovers")
        yield Sample(cls(filters=2, kernel=3, dilation=2, padding=2), (6, 5, 2), batch=2, note="dilated")
        yield Sample(cls(filters=2, kernel=3, dilation=2, stride=2, padding=1), (8, 7, 1), note="dilated with a stride")
        yield Sample(cls(filters=2, kernel=2, dilation=3, stride=2), (7, 6, 1), batch=2, note="dilated by 3")
        yield Sample(cls(filters=4, kernel=3, groups=2, padding=1), (4, 3, 6), batch=2, note="groups")
        yield Sample(cls(filters=3, kernel=(3, 2), groups=3, stride=2, padding=1), (5, 4, 3), batch=2, note="depthwise")
        yield Sample(cls(filters=4, kernel=2, groups=2, bias=False), (3, 3, 2), note="two filters a channel")
        yield Sample(cls(filters=3, kernel=1), (3, 2, 5), note="kernel of one")
        yield Sample(cls(filters=2, kernel=1, stride=3, bias=False), (5, 7, 2), batch=2, note="pixels nobody sees")
        yield Sample(cls(filters=2, kernel=2, stride=3), (5, 5, 1), batch=1, note="batch of one")
        yield Sample(cls(filters=1, kernel=(3, 1), padding=(2, 0)), (2, 1, 1), note="zeros all around")
        values = (((((1.0,), (-2.0,)), ((0.5,), (3.0,)))),)
        yield Sample(
            cls(filters=1, kernel=(1, 2), weights=values, bias=(0.1,)), (2, 3, 2), batch=2, note="weights by value"
        )
        yield Sample(cls(filters=1, kernel=5), (4, 6, 1), error="a kernel 5 high does not fit into an input 4 high")
        yield Sample(
            cls(filters=1, kernel=3, dilation=3, padding=1), (9, 4, 1),
            error="a kernel 7 wide does not fit into an input 4 wide, padded to 6",
        )  # fmt: skip
        yield Sample(cls(filters=4, kernel=1, groups=4), (3, 3, 6), error="6 channels cannot be split into 4 groups")
        yield Sample({"type": "conv2d", "filters": 3, "kernel": 1, "groups": 2}, error="3 filters cannot be split")
        yield Sample(
            cls(filters=1, kernel=1), (3,), error="takes images (height, width, channels), not rows of shape (3,)"
        )
        yield Sample(
            cls(filters=1, kernel=1, weights=((1.0,),)), (2, 2, 1), error="given as 1 x 1 and must be 1 x 1 x 1 x 1"
        )
        yield Sample(cls(filters=2, kernel=1, bias=(1.0,)), (2, 2, 1), error="1 biases are given for 2 filters")
        yield Sample({"type": "conv2d", "filters": 0, "kernel": 1}, error="greater than 0")
        yield Sample(
            {"type": "conv2d", "filters": 1, "kernel": 1, "weights": [[[[1]]]], "init": "zeros"},
            error="leave `init` out",
        )
        named = Relu(name="r")
        yield Sample({"type": "conv2d", "filters": 1, "kernel": 1, "activation": named}, error="leave its `name` out")
