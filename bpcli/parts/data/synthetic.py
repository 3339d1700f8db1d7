"""Rows made up as they are asked for: the small problems that networks are tried on, without a file."""

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from bpcli.family import Array, Sample, Source, Table
from bpcli.numeric.free_memory import require_memory
from bpcli.numeric.streams import Stream

Form = Literal["xor", "moons", "circles", "spirals", "blobs", "sine", "parity"]

DEFAULT_NOISE: Mapping[Form, float] = {
    "xor": 0.1, "moons": 0.1, "circles": 0.1, "spirals": 0.03, "blobs": 1.0, "sine": 0.1, "parity": 0.0,
}  # fmt: skip
"""The usual deviation: classes touch, and can be told apart."""

DEFAULT_CLASSES: Mapping[Form, int] = {"spirals": 2, "blobs": 3}
"""How many classes where that can be chosen, unless it is."""

DEFAULT_BITS = 4  # inputs of the parity
INNER_RADIUS = 0.5  # the radius of the inner circle; the outer one's is 1
BLOB_DISTANCE = 6.0  # how far the middles of blobs lie from the origin


class Synthetic(Source):
    """Rows of a small problem, made up by chance; the same seed gives the same rows.

    Inputs    xor, moons, circles, spirals, blobs: x1, x2; sine: x from -pi to pi; parity: x1 to x<bits>, 0 or 1
    Targets   class ids from 0, equally many rows of each (parity: 1 where the ones are odd in number); sine: sin(x)
    Noise     the deviation of normal noise on each input, on the target of sine, and of a blob. Left out: xor, moons,
              circles and sine 0.1, spirals 0.03, blobs 1, parity 0
    Order     by chance
    Source    moons, circles and blobs as scikit-learn's make_moons, make_circles (factor 0.5) and make_blobs; spirals
              after Lang & Witbrock 1988; xor and parity: Rumelhart, Hinton & Williams 1986
    """

    type: Literal["synthetic"] = "synthetic"
    made_up: ClassVar[bool] = True
    shape: Form = Field(description="xor, moons, circles, spirals, blobs, sine or parity")
    rows: int = Field(400, ge=2, le=10_000_000, description="how many rows")
    noise: float | None = Field(
        None, ge=0, le=1e6, description="the deviation of the noise; left out: as suits the shape"
    )
    seed: int = Field(0, ge=0, description="other rows of the same kind: one seed to train on, another to test")
    classes: int | None = Field(None, ge=2, le=100, description="how many arms or blobs; left out: 2 spirals, 3 blobs")
    bits: int | None = Field(None, ge=2, le=20, description="how many inputs of parity; left out: 4")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.classes is not None and self.shape not in DEFAULT_CLASSES:
            message = "`classes` is for {known}, and {form} has its own"
            raise PydanticCustomError("classes", message, {"known": " and ".join(DEFAULT_CLASSES), "form": self.shape})
        if self.bits is not None and self.shape != "parity":
            raise PydanticCustomError("bits", "`bits` is for parity, not for {form}", {"form": self.shape})
        if self.rows < self.count:
            context = {"rows": self.rows, "classes": self.count}
            raise PydanticCustomError("rows", "{classes} classes need a row each, and rows is {rows}", context)
        return self

    @property
    def count(self) -> int:
        """How many classes; 0 for sine."""
        return 0 if self.shape == "sine" else self.classes or DEFAULT_CLASSES.get(self.shape, 2)

    def load(self, root: Path, *, need_target: bool = True) -> Table:
        width = self.bits or DEFAULT_BITS if self.shape == "parity" else 2
        require_memory(self.rows * 8 * (4 * width + 2), f"to make up {self.rows:,} rows", "fewer `rows`")
        order = Stream(self.seed, "synthetic", self.shape, "order").permutation(self.rows)
        chance = Stream(self.seed, "synthetic", self.shape).at()
        noise = DEFAULT_NOISE[self.shape] if self.noise is None else self.noise
        x, t = GENERATORS[self.shape](self, chance)
        x, t = (x, _with_noise(t, noise, chance)) if self.shape == "sine" else (_with_noise(x, noise, chance), t)
        names = tuple(f"x{i + 1}" for i in range(x.shape[1])) if x.shape[1] > 1 else ("x",)
        return Table(
            numbers=x.take(order, axis=0),
            texts={},
            names=names,
            order=names,
            target=t.take(order, axis=0) if need_target else None,
            target_names=("class" if self.count else "y",),
            origin=f"the synthetic {self.shape}",
        )

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(shape="moons"))
        yield Sample({"type": "synthetic", "shape": "spirals", "rows": 900, "noise": 0.05, "seed": 3, "classes": 3})
        yield Sample({"type": "synthetic", "shape": "parity", "bits": 5, "rows": 32})
        yield Sample({"type": "synthetic"}, error="Field required")
        yield Sample({"type": "synthetic", "shape": "moon"}, error="Input should be 'xor', 'moons'")
        yield Sample({"type": "synthetic", "shape": "xor", "rows": 1}, error="greater than or equal to 2")
        yield Sample({"type": "synthetic", "shape": "xor", "noise": -1.0}, error="greater than or equal to 0")
        yield Sample({"type": "synthetic", "shape": "moons", "classes": 3}, error="`classes` is for spirals and blobs")
        yield Sample({"type": "synthetic", "shape": "sine", "bits": 3}, error="`bits` is for parity, not for sine")
        yield Sample(
            {"type": "synthetic", "shape": "blobs", "rows": 4, "classes": 5}, error="5 classes need a row each"
        )


# Each gives inputs (N, K) without noise and class ids (N,) or values (N, 1), class after class.


def _sizes(rows: int, classes: int) -> list[int]:
    """Returns rows of each class, the same number give or take one; the last classes have those left over."""
    return [rows // classes + (k >= classes - rows % classes) for k in range(classes)]


def _ids(sizes: list[int]) -> Array:
    return np.repeat(np.arange(len(sizes)), sizes)


def _with_noise(x: Array, noise: float, chance: np.random.Generator) -> Array:
    """Returns the points with normal noise on each coordinate."""
    if noise == 0 and x.dtype.kind == "i":
        return x.astype(np.float64)
    found = chance.standard_normal(x.shape)
    found *= noise
    found += x
    return found


def _xor(s: Synthetic, chance: np.random.Generator) -> tuple[Array, Array]:
    """Returns clouds about the corners of the unit square."""
    corners = np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    sizes = [part for half in _sizes(s.rows, 2) for part in _sizes(half, 2)]
    return np.repeat(corners, sizes, axis=0), _ids(_sizes(s.rows, 2))


def _moons(s: Synthetic, chance: np.random.Generator) -> tuple[Array, Array]:
    """Returns two half circles, each reaching into the other."""
    sizes = _sizes(s.rows, 2)
    outer, inner = (np.linspace(0, math.pi, n) for n in sizes)
    x = np.concatenate([np.column_stack([np.cos(outer), np.sin(outer)]),
                        np.column_stack([1 - np.cos(inner), 0.5 - np.sin(inner)])])  # fmt: skip
    return x, _ids(sizes)


def _circles(s: Synthetic, chance: np.random.Generator) -> tuple[Array, Array]:
    """Returns a circle about another."""
    sizes = _sizes(s.rows, 2)
    angles = [np.linspace(0, 2 * math.pi, n, endpoint=False) for n in sizes]
    rings = (r * np.column_stack([np.cos(a), np.sin(a)]) for r, a in zip((1.0, INNER_RADIUS), angles, strict=True))
    return np.concatenate(list(rings)), _ids(sizes)


def _spirals(s: Synthetic, chance: np.random.Generator) -> tuple[Array, Array]:
    """Returns arms that wind one and a quarter times round the origin, evenly apart."""
    sizes, x, start = _sizes(s.rows, s.count), np.empty((s.rows, 2)), 0
    for k, n in enumerate(sizes):
        along, arm = np.linspace(0, 1, n), x[start : start + n]
        radius, angle = 0.1 + 0.9 * along, 2 * math.pi * (1.25 * along + k / len(sizes))
        np.multiply(radius, np.cos(angle), out=arm[:, 0])
        np.multiply(radius, np.sin(angle), out=arm[:, 1])
        start += n
    return x, _ids(sizes)


def blob_centers(classes: int) -> Array:
    """Returns where blobs lie (classes, 2): evenly on a circle."""
    angle = 2 * math.pi * np.arange(classes) / classes
    return BLOB_DISTANCE * np.column_stack([np.cos(angle), np.sin(angle)])


def _blobs(s: Synthetic, chance: np.random.Generator) -> tuple[Array, Array]:
    """Returns round clouds."""
    sizes = _sizes(s.rows, s.count)
    return np.repeat(blob_centers(s.count), sizes, axis=0), _ids(sizes)


def _sine(s: Synthetic, chance: np.random.Generator) -> tuple[Array, Array]:
    """Returns a period of the sine; the inputs are even, the targets noisy."""
    x = np.linspace(-math.pi, math.pi, s.rows)[:, None]
    return x, np.sin(x)


def _parity(s: Synthetic, chance: np.random.Generator) -> tuple[Array, Array]:
    """Returns all patterns of bits, again and again; of more patterns than rows some, none twice."""
    bits = s.bits or DEFAULT_BITS
    patterns = np.arange(s.rows) % (1 << bits)
    if s.rows < 1 << bits:
        patterns = np.sort(chance.permutation(1 << bits)[: s.rows])
    x = (patterns[:, None] >> np.arange(bits)[::-1]) & 1
    return x, x.sum(axis=1) % 2


GENERATORS: Mapping[Form, Callable[[Synthetic, np.random.Generator], tuple[Array, Array]]] = {
    "xor": _xor, "moons": _moons, "circles": _circles, "spirals": _spirals, "blobs": _blobs, "sine": _sine,
    "parity": _parity,
}  # fmt: skip
