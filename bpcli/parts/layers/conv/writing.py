"""How the equations of convolutions write where a filter looks."""

from collections.abc import Sequence
from typing import NamedTuple

from bpcli.parts.layers.conv.axes import FilterAxis


class AxisLetters(NamedTuple):
    """The letters of one axis (outputs p, weights u, pixels h) and the names of its settings, "" where a setting is
    neutral (a stride of 1, a dilation of 1, no zeros before the pixels)."""

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


IMAGE, SERIES = (("p", "u", "h"), ("q", "v", "w")), (("p", "u", "t"),)


def written_axes(axes: Sequence[FilterAxis], turned: bool = False) -> tuple[AxisLetters, ...]:
    """Returns the axes of an image (two), or of a series (one), with the names of `consts`; `turned`: of a transposed
    convolution, whose outputs are what the filters move over."""
    found = []
    for (p, u, h), axis in zip(IMAGE if len(axes) == 2 else SERIES, axes, strict=True):
        names = [name if alike else name + h for name, alike in zip("sra", _alike(axes), strict=True)]
        said = (axis.stride != 1, axis.dilation != 1, axis.before != 0)
        stride, dilation, before = (name if here else "" for name, here in zip(names, said, strict=True))
        found.append(AxisLetters(*((h, u, p) if turned else (p, u, h)), stride, dilation, before))
    return tuple(found)


def _alike(axes: Sequence[FilterAxis]) -> tuple[bool, ...]:
    """Whether stride, dilation and zeros before are the same for all axes."""
    settings = [(axis.stride, axis.dilation, axis.before) for axis in axes]
    return tuple(len(set(values)) == 1 for values in zip(*settings, strict=True))


def consts(axes: Sequence[FilterAxis]) -> dict[str, float]:
    """Returns the numbers that the equations mention: s stride, r dilation, a zeros before; with h or w where they
    differ."""
    found: dict[str, float] = {}
    for letters, axis in zip(written_axes(axes), axes, strict=True):
        named = {letters.stride: axis.stride, letters.dilation: axis.dilation, letters.before: axis.before}
        found |= {name: float(value) for name, value in named.items() if name}
    return found


def settings_text(axes: Sequence[FilterAxis]) -> str:
    """Writes these numbers as the end of a remark: `; stride s = 2, zeros a = 1`."""
    words = {"s": "stride", "r": "dilation", "a": "zeros"}
    return "".join(
        f"{',' if i else ';'} {words[name[0]]} {name} = {value:.0f}"
        for i, (name, value) in enumerate(consts(axes).items())
    )


def entry_seen(array: str, axes: Sequence[FilterAxis], last: str, turned: bool = False) -> str:
    """Writes the entry of `array` that output p, q sees at weight u, v; it is 0 outside."""
    read = f"{array}[n, {', '.join(a.pixel for a in written_axes(axes, turned))}, {last}]"
    return read if all(axis.inside for axis in axes) else f"pad({read})"


def entry_seen_by(array: str, axes: Sequence[FilterAxis], last: str, times: str, turned: bool = False) -> str:
    """Returns the entry of `array` at the output that sees pixel h, w at weight u, v, times a factor; 0 where there is
    none."""
    along = written_axes(axes, turned)
    indices = ", ".join(f"({a.reach}) // {a.stride}" if a.stride else a.reach for a in along)
    term = f"pad({array}[n, {indices}, {last}]) * {times}"
    between = " + ".join(f"({a.reach}) % {a.stride}" for a in along if a.stride)
    return f"where({between} == 0, {term}, 0)" if between else term
