"""How the equations of convolutions write where a filter looks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bpcli.parts.layers.conv.axes import Axis

__all__ = ["Along", "consts", "looked_at", "looking", "written_axes"]


class Along(NamedTuple):
    """One axis with its letters (outputs p, weights u, pixels h) and what its settings are called; "" where they are 1,
    or no zeros before the pixels, and need not be said."""

    p: str
    u: str
    h: str
    stride: str
    dilation: str
    before: str

    @property
    def pixel(self) -> str:
        """The pixel that output p sees at weight u."""
        far = f"{self.stride}*{self.p}" if self.stride else self.p
        near = f"{self.dilation}*{self.u}" if self.dilation else self.u
        return f"{far} + {near}" + (f" - {self.before}" if self.before else "")

    @property
    def reach(self) -> str:
        """The place of the output that sees pixel h at weight u, times the stride."""
        near = f"{self.dilation}*{self.u}" if self.dilation else self.u
        return f"{self.h}" + (f" + {self.before}" if self.before else "") + f" - {near}"


LETTERS = (("p", "u", "h", "h"), ("q", "v", "w", "w"))
ONE = (("p", "u", "t", ""),)


def written_axes(axes: Sequence[Axis]) -> tuple[Along, ...]:
    """The axes of an image (two), or of a series (one), with the names of `consts`."""
    found = []
    for axis, (p, u, h, own) in zip(axes, LETTERS if len(axes) == 2 else ONE, strict=True):
        names = []
        for name, value, usual in zip("sra", *_settings(axis), strict=True):
            alike = len({values[0]["sra".index(name)] for values in map(_settings, axes)}) == 1
            names.append("" if value == usual else name if alike else name + own)
        found.append(Along(p, u, h, *names))
    return tuple(found)


def _settings(axis: Axis) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Stride, dilation and zeros before, and what they are where they need not be said."""
    return (axis.stride, axis.dilation, axis.before), (1, 1, 0)


def consts(axes: Sequence[Axis]) -> dict[str, float]:
    """The numbers that the equations mention: s stride, r dilation, a zeros before; with h or w where they differ."""
    found: dict[str, float] = {}
    for along, axis in zip(written_axes(axes), axes, strict=True):
        for name, value in zip((along.stride, along.dilation, along.before), _settings(axis)[0], strict=True):
            if name:
                found[name] = float(value)
    return found


def looking(array: str, axes: Sequence[Axis], last: str) -> str:
    """The entry of `array` that output p, q sees at weight u, v; 0 outside of it."""
    read = f"{array}[n, {', '.join(along.pixel for along in written_axes(axes))}, {last}]"
    return read if all(axis.inside for axis in axes) else f"pad({read})"


def looked_at(array: str, axes: Sequence[Axis], last: str, times: str) -> str:
    """The entry of `array` at the output that sees pixel h, w at weight u, v, times a factor; 0 where there is none."""
    return "".join(_looked_at(array, axes, last, times))


def _looked_at(array: str, axes: Sequence[Axis], last: str, times: str) -> Iterator[str]:
    along = written_axes(axes)
    places = ", ".join(f"({a.reach}) // {a.stride}" if a.stride else a.reach for a in along)
    term = f"pad({array}[n, {places}, {last}]) * {times}"
    between = " + ".join(f"({a.reach}) % {a.stride}" for a in along if a.stride)
    yield f"where({between} == 0, {term}, 0)" if between else term
