"""How a filter moves along one axis of an image, there and back."""

import math
from functools import lru_cache
from typing import Literal, NamedTuple

from bpcli.family.plan import ShapeError


class FilterAxis(NamedTuple):
    """A filter of `kernel` weights, `dilation` pixels apart, that moves by `stride` along `size` pixels with `before`
    and `after` zeros around them (fewer than none: so many pixels are left out).

    Output p sees at weight u the pixel stride * p + dilation * u - before.
    """

    size: int
    kernel: int
    stride: int = 1
    dilation: int = 1
    before: int = 0
    after: int = 0

    @property
    def span(self) -> int:
        """How many pixels the filter covers, gaps of its dilation included."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def out(self) -> int:
        """How many outputs; below 1 where the filter does not fit."""
        return (self.size + self.before + self.after - self.span) // self.stride + 1

    @property
    def inside(self) -> bool:
        """Whether no output sees a zero around the pixels."""
        return self.before <= 0 and (self.out - 1) * self.stride + self.span - self.before <= self.size


def same_axis(size: int, kernel: int, stride: int, dilation: int) -> FilterAxis:
    """Returns the axis with size / stride outputs, rounded up; of an odd number of zeros one more is after the
    pixels."""
    bare = FilterAxis(size, kernel, stride, dilation)
    zeros = max((-(-size // stride) - 1) * stride + bare.span - size, 0)
    return bare._replace(before=zeros // 2, after=zeros - zeros // 2)


def padded_axis(
    name: str, size: int, kernel: int, stride: int, dilation: int, padding: int | Literal["valid", "same"]
) -> FilterAxis:
    """Returns the axis with zeros as `padding` says; messages call its direction `name`. Raises ShapeError where the
    filter does not fit into the padded input."""
    if padding == "same":
        return same_axis(size, kernel, stride, dilation)
    zeros = 0 if padding == "valid" else padding
    found = FilterAxis(size, kernel, stride, dilation, zeros, zeros)
    if found.out < 1:
        padded = f", padded to {size + 2 * zeros}" if zeros else ""
        raise ShapeError(
            f"a kernel {found.span} {name} does not fit into an input {size} {name}{padded}",
            "a smaller `kernel` or `dilation`, fewer such layers before it, or `padding: same`",
        )
    return found


class Phase(NamedTuple):
    """Every `stride`-th pixel from `first` on. What the outputs lay on these pixels is itself a filter of stride 1 that
    moves along the outputs: every `step`-th weight from `weight` on, in reverse, as `back` says; None where no output
    sees these pixels."""

    first: int
    stride: int
    weight: int
    step: int
    back: FilterAxis | None

    @property
    def pixels(self) -> slice:
        return slice(self.first, None, self.stride)

    @property
    def weights(self) -> slice:
        return slice(self.weight, None, self.step)


@lru_cache(maxsize=256)
def phases(axis: FilterAxis) -> tuple[Phase, ...]:
    """Returns the way back from outputs to pixels: output p sees pixel h at weight u where
    stride * p + dilation * u = h + before, which asks for the same u of all pixels a stride apart."""
    s, r = axis.stride, axis.dilation
    common = math.gcd(s, r)
    step = s // common
    inverse = pow(r // common, -1, step)
    found = []
    for first in range(min(s, axis.size)):
        start = first + axis.before
        count = -(-(axis.size - first) // s)
        weight = start // common * inverse % step  # the first u for which s divides start - r u, where one does
        if start % common or weight >= axis.kernel:
            found.append(Phase(first, s, 0, 1, None))
            continue
        kernel = len(range(weight, axis.kernel, step))
        bare = FilterAxis(axis.out, kernel, 1, r // common)
        before = bare.span - 1 - (start - r * weight) // s
        back = bare._replace(before=before, after=count + bare.span - 1 - axis.out - before)
        found.append(Phase(first, s, weight, step, back))
    return tuple(found)
