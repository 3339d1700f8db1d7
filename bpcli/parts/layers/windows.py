"""Windows that move over an image: their settings, where they stand, and how equations write it."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field

from bpcli.family import Array, Settings, Shape, ShapeError
from bpcli.numeric.shapes import written


def as_tuples(value: Any) -> Any:
    """Turns lists into tuples, so that a layer can be compared and hashed."""
    return tuple(as_tuples(v) for v in value) if isinstance(value, list | tuple) else value


WindowSize = Annotated[int, Field(gt=0)]
Pair = Annotated[WindowSize | tuple[WindowSize, WindowSize], BeforeValidator(as_tuples)]
"""A number for both axes of an image, or one for its height and one for its width."""
MAX_PLACES = 1 << 53
"""Places of a window that equations, which have floating-point numbers, can count."""
Margin = Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class WindowAxis:
    """A window of `size` pixels that moves by `stride` along `pixels` to `out` places, at first `before` of it outside.

    Output p looks at the pixels stride * p + u - before, for u from 0 to size - 1.
    """

    pixels: int
    size: int
    stride: int
    before: int
    out: int

    @property
    def offsets(self) -> Iterator[int]:
        """Yields the offsets at which an output has a pixel, upwards: of a window much larger than the image a few."""
        starts = range(self.before - self.stride * (self.out - 1), self.before + 1, self.stride)
        for start, end in zip(starts, (*starts[1:], self.size), strict=True):  # by outputs, the last one first
            yield from range(max(0, start), min(end, start + self.pixels))

    def meeting(self, u: int) -> tuple[slice, slice]:
        """Returns the outputs whose window has a pixel at offset u, one of `offsets`, and those pixels."""
        first = max(0, -(-(self.before - u) // self.stride))
        last = min(self.out - 1, (self.pixels - 1 + self.before - u) // self.stride)
        start, stop = (self.stride * p + u - self.before for p in (first, last))
        return slice(first, last + 1), slice(start, stop + 1, self.stride)

    @property
    def inside(self) -> bool:
        """Whether every window lies in the image."""
        return self.before == 0 and (self.out - 1) * self.stride + self.size <= self.pixels

    @property
    def tiles(self) -> bool:
        """Whether each pixel is in exactly one window."""
        return self.inside and self.stride == self.size and self.out * self.size == self.pixels


@dataclass(frozen=True)
class WindowCell:
    """One place of the window: its number, row by row; the outputs that have a pixel there (None: all), n p q; and
    those pixels, n h w."""

    number: int
    outputs: tuple[slice, slice, slice] | None
    pixels: tuple[slice, slice, slice]

    def seen(self, *arrays: Array) -> Sequence[Array]:
        """Returns views of arrays n p q ..., of the outputs that have a pixel here."""
        return arrays if self.outputs is None else [a[self.outputs] for a in arrays]


@dataclass(frozen=True)
class WindowGrid:
    """A window over the height and the width of an image."""

    rows: WindowAxis
    columns: WindowAxis

    @property
    def places(self) -> int:
        """How many places the window has."""
        return self.rows.size * self.columns.size

    @cached_property
    def cells(self) -> tuple[WindowCell, ...]:
        """Every place of the window at which some output has a pixel, row by row."""
        found: list[WindowCell] = []
        every = slice(None)
        everywhere = slice(0, self.rows.out), slice(0, self.columns.out)
        columns = [(v, self.columns.meeting(v)) for v in self.columns.offsets]
        for u in self.rows.offsets:
            p, h = self.rows.meeting(u)
            for v, (q, w) in columns:
                outputs = None if (p, q) == everywhere else (every, p, q)
                found.append(WindowCell(u * self.columns.size + v, outputs, (every, h, w)))
        return tuple(found)

    @cached_property
    def inside(self) -> bool:
        """Whether every window lies in the image."""
        return self.rows.inside and self.columns.inside

    @cached_property
    def tiles(self) -> bool:
        """Whether each pixel is in exactly one window."""
        return self.rows.tiles and self.columns.tiles

    @cached_property
    def apart(self) -> bool:
        """Whether no pixel is in two windows."""
        return self.rows.stride >= self.rows.size and self.columns.stride >= self.columns.size

    # How equations write it: u, v run over the window, p, q over the outputs, h, w over the pixels

    @property
    def consts(self) -> dict[str, float]:
        """The numbers that the equations mention."""
        found = {"U": self.rows.size, "V": self.columns.size}
        for name, high, wide in self._named:
            found |= {name: high} if high == wide else {f"{name}h": high, f"{name}w": wide}
        return {name: float(number) for name, number in found.items()}

    @property
    def _named(self) -> tuple[tuple[str, int, int], ...]:
        """Stride and padding with their letters."""
        return ("s", self.rows.stride, self.columns.stride), ("a", self.rows.before, self.columns.before)

    def _names(self) -> Iterator[tuple[str, str]]:
        """Yields what stride and padding are called for each axis; "" where they are 1 and 0 and need not be said."""
        (s, sh, sw), (a, ah, aw) = self._named
        for axis, stride, before in (("h", sh, ah), ("w", sw, aw)):
            yield (
                "" if stride == 1 else s if sh == sw else s + axis,
                "" if before == 0 else a if ah == aw else a + axis,
            )

    def read(self, outside: str = "") -> str:
        """Writes the pixel at offset u, v of the window of output p, q; outside the image there is `outside`, or 0."""
        indices = []
        for (s, a), p, u in zip(self._names(), "pq", "uv", strict=True):
            indices.append((f"{s}*{p}" if s else p) + f" + {u}" + (f" - {a}" if a else ""))
        pixel = f"x[n, {', '.join(indices)}, c]"
        if self.inside:
            return pixel
        return f"pad({pixel}, {outside})" if outside else f"pad({pixel})"

    def back(self, term: str) -> str:
        """Writes the sum over all windows that pixel h, w lies in; `@` in `term` is the place of their output."""
        indices, conditions = [], []
        for (s, a), h, u in zip(self._names(), "hw", "uv", strict=True):
            index = f"{h} + {a} - {u}" if a else f"{h} - {u}"
            conditions += [f"({index}) % {s}"] if s else []
            indices.append(f"({index}) // {s}" if s else index)
        inner = term.replace("@", f"n, {', '.join(indices)}, c")
        if conditions:
            inner = f"where({' + '.join(conditions)} == 0, {inner}, 0)"
        return f"sum(u<U, v<V, {inner})"


class Window(Settings):
    """What the layers that move a window over an image have in common."""

    size: Pair = Field(2, description="pixels of the window: one number, or height and width")
    stride: Pair | None = Field(None, description="pixels from one window to the next; default `size`, side by side")
    padding: Literal["valid", "same"] | Annotated[Margin | tuple[Margin, Margin], BeforeValidator(as_tuples)] = Field(
        "valid",
        description="pixels put around the image: none (valid), what gives in / stride outputs (same), or how many",
    )

    def grid(self, x: Shape) -> WindowGrid:
        """Returns where the windows stand on images of shape x. Raises ShapeError where none fits, or one would see
        nothing."""
        return _grid(self.size, self.size if self.stride is None else self.stride, self.padding, x)


@lru_cache(maxsize=256)
def _grid(size: Any, stride: Any, padding: Any, x: Shape) -> WindowGrid:
    if len(x) != 3:
        raise ShapeError(
            f"windows move over images (height, width, channels), not over rows of shape {x}",
            "put a `reshape` before it: {type: reshape, shape: [28, 28, 1]}",
        )
    sizes, strides, axes = as_pair(size), as_pair(stride), []
    for i, name in enumerate(("high", "wide")):
        pixels, k, s = x[i], sizes[i], strides[i]
        if padding == "same":
            out = -(-pixels // s)
            axes.append(WindowAxis(pixels, k, s, max((out - 1) * s + k - pixels, 0) // 2, out))
            continue
        a = 0 if padding == "valid" else as_pair(padding)[i]
        if a >= k:
            text = f"a padding of {a} is not smaller than the window, which is {k} {name}"
            raise ShapeError(f"{text}: some windows would see nothing else", f"at most `padding: {k - 1}`")
        if pixels + 2 * a < k:
            padded = f", padded to {pixels + 2 * a}" if a else ""
            text = f"a window {k} {name} does not fit into an image {pixels} {name}{padded}"
            raise ShapeError(text, "a smaller `size`, fewer such layers before it, or `padding: same`")
        axes.append(WindowAxis(pixels, k, s, a, (pixels + 2 * a - k) // s + 1))
    grid = WindowGrid(*axes)
    if grid.places > MAX_PLACES:
        raise ShapeError(f"a window of {written(sizes)} pixels is too large to count them", "a smaller `size`")
    return grid


def as_pair(value: int | tuple[int, int]) -> tuple[int, int]:
    """Returns a setting for the height and for the width."""
    return value if isinstance(value, tuple) else (value, value)


TIED = (-2.0, -1.0, 0.0, 1.0)
"""The values of samples with ties: at one of them a difference is the slope of one side."""


def tied(shape: Shape, values: int = 4) -> Array:
    """Returns the first few of TIED over and over, in no regular order."""
    return np.asarray((np.arange(math.prod(shape)) * 7 % 11 % values - 2.0).reshape(shape))
