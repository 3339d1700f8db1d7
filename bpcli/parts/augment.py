"""Augmentation: training images changed by chance, so that a network learns what does not matter about them.

Everything is done for a whole batch at once, in memory that is asked for by name.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
from numpy.lib.stride_tricks import as_strided
from pydantic import Field

from bpcli.family import Array, Augmentation, Frame, N, Sample, Shape, ShapeError, Slot

Fill = float | Literal["edge"]

FILL: Any = Field(
    0.0,
    union_mode="left_to_right",
    description="what comes in at the borders, in the file's own numbers; edge: the pixels that stand there",
)


class Flip(Augmentation):
    """Mirrors an image, left to right, with some probability.

    Shapes    x: n h w c
    Source    Krizhevsky, Sutskever, Hinton 2012, section 4.1 (horizontal reflections)
    Numerics  pixels move and do not change
    """

    type: Literal["flip"] = "flip"
    probability: float = Field(0.5, gt=0, le=1, description="how often an image is mirrored")
    axis: Literal["horizontal", "vertical"] = Field("horizontal", description="left to right, or top to bottom")

    def work(self, x: Shape) -> Mapping[str, Slot]:
        return {"chosen": Slot((N, *x))}

    def apply(self, f: Frame, chance: np.random.Generator) -> None:
        rows = np.flatnonzero(chance.random(len(f.x)) < self.probability)
        chosen = f.x.take(rows, 0, out=f.chosen[: len(rows)], mode="clip")
        f.x[rows] = chosen[:, :, ::-1] if self.axis == "horizontal" else chosen[:, ::-1]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), (3, 5, 2))
        yield Sample(cls(probability=1.0, axis="vertical"), (5, 3, 1))
        yield Sample({"type": "flip", "probability": 0}, error="greater than 0")
        yield Sample({"type": "flip", "axis": "diagonal"}, error="Input should be 'horizontal' or 'vertical'")


class Shift(Augmentation):
    """Moves an image by whole pixels, each direction by chance.

    Every shift from -`pixels` to `pixels` is equally likely, up and down as left and right.

    Shapes    x: n h w c
    Source    Simard, Steinkraus, Platt 2003, section 2 (translations)
    Numerics  pixels move and do not change; those moved out are lost
    """

    type: Literal["shift"] = "shift"
    pixels: int = Field(2, ge=1, description="how far, at most")
    fill: Fill = FILL

    def work(self, x: Shape) -> Mapping[str, Slot]:
        h, w, c = x
        if self.pixels >= min(h, w):
            text = f"a shift by {self.pixels} pixels can move a whole image of {h} x {w} pixels out of sight"
            raise ShapeError(text, f"at most `pixels: {min(h, w) - 1}`" if min(h, w) > 1 else "leave it out")
        return {"padded": Slot((N, h + 2 * self.pixels, w + 2 * self.pixels, c))}

    def apply(self, f: Frame, chance: np.random.Generator) -> None:
        (n, h, w, c), pad = f.x.shape, self.pixels
        _pad(f, f.padded, pad, self.fill)
        down, right = chance.integers(0, 2 * pad + 1, (2, n))
        steps = f.padded.strides
        windows = as_strided(f.padded, (n, 2 * pad + 1, 2 * pad + 1, h, w, c), (*steps[:3], *steps[1:]))
        f.x[...] = windows[np.arange(n), down, right]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), (5, 7, 2))
        yield Sample(cls(pixels=1, fill="edge"), (3, 2, 1))
        yield Sample(cls(pixels=3), (3, 5, 1), error="can move a whole image of 3 x 5 pixels out of sight")
        yield Sample({"type": "shift", "pixels": 0}, error="greater than or equal to 1")
        yield Sample({"type": "shift", "fill": "wrap"}, error="Input should be 'edge'")


class Rotate(Augmentation):
    """Turns an image about its centre, by an angle drawn evenly from -`degrees` to `degrees`.

    Shapes    x: n h w c
    Source    Simard, Steinkraus, Platt 2003, section 2 (rotations); bilinear interpolation as in Gonzalez & Woods
              2018, section 2.4
    Numerics  each new pixel is the mean of the four old ones about the place it comes from, weighted by nearness; as
              the weights sum to 1, turning before scaling and after it are the same
    """

    type: Literal["rotate"] = "rotate"
    degrees: float = Field(10.0, gt=0, le=180, description="how far, at most, either way round")
    fill: Fill = FILL

    def work(self, x: Shape) -> Mapping[str, Slot]:
        h, w, c = x
        return {
            "padded": Slot((N, h + 2, w + 2, c)),
            **{name: Slot((N, h, w, 1)) for name in ("row", "column", "whole")},
            **{name: Slot((N, h, w, 1), "int") for name in ("at", "line")},
            **{name: Slot((N, h, w, c)) for name in ("above", "beside")},
        }

    def apply(self, f: Frame, chance: np.random.Generator) -> None:
        n, h, w, c = f.x.shape
        _pad(f, f.padded, 1, self.fill)
        angle = np.radians(self.degrees) * (2 * chance.random(n) - 1)
        cos, sin = (a.astype(f.x.dtype)[:, None, None, None] for a in (np.cos(angle), np.sin(angle)))
        down = (np.arange(h, dtype=f.x.dtype) - (h - 1) / 2)[:, None, None]
        right = (np.arange(w, dtype=f.x.dtype) - (w - 1) / 2)[:, None]
        _source_pixels(f.row, f.line, cos * down, -sin * right, h, f.whole)
        _source_pixels(f.column, f.at, sin * down, cos * right, w, f.whole)
        f.line *= w + 2
        f.at += f.line
        f.at += (np.arange(n) * ((h + 2) * (w + 2)))[:, None, None, None]
        pixels = f.padded.reshape(-1, c)
        _interpolate(f.above, f.beside, pixels, f.at, f.column)
        f.at += w + 1  # from the right-hand neighbour to the first pixel of the next line
        _interpolate(f.x, f.beside, pixels, f.at, f.column)
        f.x -= f.above
        f.x *= f.row
        f.x += f.above

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), (5, 7, 2))
        yield Sample(cls(degrees=180.0, fill="edge"), (3, 3, 1))
        yield Sample({"type": "rotate", "degrees": 0}, error="greater than 0")
        yield Sample({"type": "rotate", "degrees": 270}, error="less than or equal to 180")


class Cutout(Augmentation):
    """Covers a square at a place by chance, so that no single part of an image is relied on.

    The centre is any pixel, equally likely: near a border less than the whole square is covered.

    Shapes    x: n h w c
    Source    DeVries & Taylor 2017, section 3.2 (there, images of mean 0 are covered with 0)
    Numerics  the other pixels do not change
    """

    type: Literal["cutout"] = "cutout"
    size: int = Field(8, ge=1, description="the side of the square, in pixels")
    probability: float = Field(1.0, gt=0, le=1, description="how often an image is covered")
    fill: float = Field(0.0, description="what it is covered with, in the file's own numbers")

    def work(self, x: Shape) -> Mapping[str, Slot]:
        h, w, _ = x
        if self.size > min(h, w):
            text = f"a square of {self.size} x {self.size} pixels does not fit into an image of {h} x {w}"
            raise ShapeError(text, f"at most `size: {min(h, w)}`")
        return {"covered": Slot((N, h, w, 1), "bool")}

    def apply(self, f: Frame, chance: np.random.Generator) -> None:
        n, h, w, _ = f.x.shape
        down, right = (self._reach(side, np.asarray(chance.integers(0, side, n))) for side in (h, w))
        chosen = np.less(chance.random(n), self.probability)
        down &= chosen[:, None]
        np.logical_and(down[:, :, None, None], right[:, None, :, None], out=f.covered)
        np.copyto(f.x, f.zero + self.fill * f.unit, where=f.covered)

    def _reach(self, length: int, centre: Array) -> Array:
        """Returns which pixels of an axis the squares around these centres cover: n by length."""
        first = (centre - (self.size - 1) // 2)[:, None]
        along = np.arange(length)
        covered: Array = (along >= first) & (along < first + self.size)
        return covered

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(size=2), (3, 5, 2))
        yield Sample(cls(size=3, probability=0.5, fill=1.0), (3, 3, 1))
        yield Sample(cls(), (7, 9, 1), error="a square of 8 x 8 pixels does not fit into an image of 7 x 9")
        yield Sample({"type": "cutout", "size": 0}, error="greater than or equal to 1")


def _pad(f: Frame, padded: Array, pad: int, fill: Fill) -> None:
    """Writes the images with a border of `pad` pixels: a number of the file's, or the pixels at the edge again."""
    padded[:, pad:-pad, pad:-pad] = f.x
    inner = slice(pad, -pad)
    if fill == "edge":
        padded[:, :pad, inner], padded[:, -pad:, inner] = f.x[:, :1], f.x[:, -1:]
        padded[:, :, :pad] = padded[:, :, pad : pad + 1]
        padded[:, :, -pad:] = padded[:, :, -pad - 1 : -pad]
    else:
        shade = f.zero + fill * f.unit
        padded[:, :pad] = padded[:, -pad:] = padded[:, :, :pad] = padded[:, :, -pad:] = shade


def _source_pixels(part: Array, whole: Array, first: Array, second: Array, length: int, work: Array) -> None:
    """Computes where along an axis of a padded image each pixel comes from, `first + second` about the centre and no
    farther away than the border: the pixel before that place (`whole`), and how far on towards the next it is
    (`part`)."""
    np.add(first, second, out=part)
    part += (length - 1) / 2 + 1
    np.clip(part, 0, np.nextafter(part.dtype.type(length + 1), part.dtype.type(0)), out=part)
    np.floor(part, out=work)
    part -= work
    np.copyto(whole, work, casting="unsafe")


def _interpolate(out: Array, work: Array, pixels: Array, at: Array, part: Array) -> None:
    """Computes the mean of the pixels `at` and of their right-hand neighbours, where `part` is the weight of the
    latter; leaves `at` at the neighbours."""
    pixels.take(at[..., 0], 0, out=out, mode="clip")
    at += 1
    pixels.take(at[..., 0], 0, out=work, mode="clip")
    work -= out
    work *= part
    out += work
