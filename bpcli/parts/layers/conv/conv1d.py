"""Convolution of series."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from bpcli.family.plan import Frame, Plan, Sample, Shape, ShapeError
from bpcli.notation import Eq
from bpcli.numeric.threads import ChunkedWork, in_chunks
from bpcli.parts.layers.conv.axes import FilterAxis, padded_axis
from bpcli.parts.layers.conv.filters import PADDING_DESCRIPTION, AxisPadding, Filters
from bpcli.parts.layers.conv.passes import Passes
from bpcli.parts.layers.conv.writing import entry_seen, entry_seen_by, settings_text


class Conv1d(Filters):
    """Lays each filter on every window of a series: a weighted sum of the moments under it, and a bias.

    Shapes   x: n t c, W: u c f with the channels of one group, b: f, y: n p f (the pre-activation)
    Letters  s stride, r dilation, a zeros before the first moment, Cg and Fg channels and filters of a group
    Source   Waibel et al. 1989, where it is a time-delay network
    Numerics those of conv2d, on images one pixel wide
    """

    rows_are_independent: ClassVar[bool] = True
    type: Literal["conv1d"] = "conv1d"
    kernel: int = Field(gt=0, description="moments of a filter")
    stride: int = Field(1, gt=0, description="moments from one window to the next")
    padding: AxisPadding = Field("valid", description=PADDING_DESCRIPTION)
    dilation: int = Field(1, gt=0, description="moments from one weight of a filter to the next")
    groups: int = Field(1, gt=0, description="into how many groups channels and filters are split")

    def axis(self, x: Shape) -> FilterAxis:
        """Returns how the filters move over series of shape x. Raises ShapeError where they do not fit."""
        if len(x) != 2:
            raise ShapeError(
                f"conv1d takes series (moments, channels), not rows of shape {x}",
                "put a `reshape` before it: {type: reshape, shape: [-1, 1]}",
            )
        return padded_axis("long", x[0], self.kernel, self.stride, self.dilation, self.padding)

    def plan(self, x: Shape) -> Plan:
        return self.plan_windows((self.axis(x),), x[1], self.groups)

    def _passes(self, x: Shape) -> Passes:
        return self.window_passes((self.axis(x),), x[1], self.groups)

    @in_chunks
    def forward(self, f: Frame, train: bool) -> ChunkedWork:
        b = f.b if self.bias is not False else None
        return self._passes(f.x.shape[1:]).forward(f, f.x[:, :, None], f.W[:, None], b, f.y[:, :, None])

    @in_chunks
    def backward(self, f: Frame, train: bool) -> ChunkedWork:
        db, dx = f.db if self.bias is not False else None, None if f.dx is None else f.dx[:, :, None]
        through = self._passes(f.x.shape[1:])
        return through.backward(f, f.x[:, :, None], f.W[:, None], f.dy[:, :, None], f.dW[:, None], db, dx)

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        axes, biased, grouped = (self.axis(x),), self.bias is not False, self.groups > 1
        moment = entry_seen("x", axes, "f // Fg * Cg + c" if grouped else "c")
        if grouped:
            slope = entry_seen_by("dy", axes, "c // Cg * Fg + g", "W[u, c % Cg, c // Cg * Fg + g]")
        else:
            slope = entry_seen_by("dy", axes, "f", "W[u,c,f]")
        window = "a filter weighs what it sees" + (", of its group" if grouped else "") + settings_text(axes)
        return [
            Eq("y[n,p,f]", ("b[f] + " if biased else "") + f"sum(u,c, W[u,c,f] * {moment})", window),
            Eq("dW[u,c,f]", f"sum(n,p, dy[n,p,f] * {moment})", "a weight works in every window; they add"),
            *([Eq("db[f]", "sum(n,p, dy[n,p,f])", "so does a bias, whose input is 1")] if biased else []),
            Eq("dx[n,t,c]", f"sum(u,{'g<Fg' if grouped else 'f'}, {slope})", "every output that saw the moment"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(filters=3, kernel=3), (7, 2))
        yield Sample(cls(filters=3, kernel=4, padding="same"), (5, 2), note="uneven same")
        yield Sample(cls(filters=2, kernel=3, stride=2, padding="same"), (8, 3), note="same with a stride")
        yield Sample(cls(filters=2, kernel=2, stride=3, padding=1, bias=False), (9, 2), note="leftovers")
        yield Sample(cls(filters=2, kernel=3, dilation=2, stride=2, padding=2), (9, 2), note="dilated with a stride")
        yield Sample(cls(filters=6, kernel=2, groups=2), (5, 4), note="groups")
        yield Sample(cls(filters=3, kernel=3, groups=3, padding=1), (5, 3), note="depthwise")
        yield Sample(cls(filters=13, kernel=1), (3, 13), batch=1, note="kernel of one, batch of one")
        yield Sample(cls(filters=1, kernel=2, weights=(((1.0,),), ((-1.0,),)), bias=(0.5,)), (5, 1), note="by value")
        yield Sample(cls(filters=1, kernel=5), (4, 1), error="a kernel 5 long does not fit into an input 4 long")
        yield Sample(cls(filters=2, kernel=1, groups=2), (4, 3), error="3 channels cannot be split into 2 groups")
        yield Sample(cls(filters=1, kernel=1), (4,), error="takes series (moments, channels), not rows of shape (4,)")
        yield Sample({"type": "conv1d", "filters": 3, "kernel": 1, "groups": 2}, error="3 filters cannot be split")
        yield Sample({"type": "conv1d", "filters": 1, "kernel": 0}, error="greater than 0")
