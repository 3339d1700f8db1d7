"""What a network is made of: layers, activations among them.

The rules of a kernel, which `studies.custom.contract` examines in a part of a user's own: it writes into the arrays
that it is given, all of them and every time (`np.tanh(f.x, out=f.y)`), and binds none anew; it changes nothing that it
reads; every other array is asked for in `plan`, where `keep` lives from forward to backward and `scratch` does not;
called twice, it computes the same. What it returns is not looked at.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from bpcli.family.part import Part
from bpcli.family.plan import Frame, Link, Plan, Sample, Shape
from bpcli.notation import Eq

RESERVED = ("data", "loss", "penalty", "state")
"""Names that no layer can have: they are the first words of other paths."""


class Layer(Part):
    """A step of the network from x to y. Backward writes gradients (never accumulates) of everything it owns."""

    family: ClassVar[str] = "layer"
    moves: ClassVar[bool] = False  # y holds the entries of x, and zeros: whole numbers stay what they are
    relabels: ClassVar[bool] = False  # y holds the entries of x in their order: only the axes are called otherwise
    normalizes: ClassVar[bool] = False  # y keeps its size, however large x is
    fully_connected: ClassVar[bool] = False  # each of its `units` weighs all numbers of a row
    link: ClassVar[Link | None] = None  # the function that makes predictions of scores, where it is one
    rows_are_independent: ClassVar[bool] = False
    """Whether rows do not see each other: a row of y and of dx depends on the same row of other arrays alone (and on
    parameters and state), in training and in evaluation, and a gradient of a parameter is a sum over rows. Of a layer
    with inner chains: where it is so of all their layers. The engine may then run a large batch in blocks of rows that
    stay in cache, and on several threads, and `gradcheck` compares the whole batch with groups of its rows."""
    name: str | None = Field(None, description="what traces and reports call the layer; default <type>_<count>")

    @field_validator("name")
    @classmethod
    def _name(cls, value: str | None) -> str | None:
        if value is not None and (not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,63}", value) or value in RESERVED):
            message = "a layer's name is letters, digits and `_`, begins with a letter, and is none of {reserved}"
            raise PydanticCustomError("layer_name", message, {"reserved": ", ".join(RESERVED)})
        return value

    def plan(self, x: Shape) -> Plan:
        """Returns the memory it needs for rows of shape `x`. Raises ShapeError where they cannot enter."""
        return Plan(y=x)

    def expand(self) -> tuple[tuple[str, Layer], ...]:
        """Returns the layers this one stands for, each with the ending of its path (`activation:` on a dense layer)."""
        return (("", self),)

    def draw(self, f: Frame, rng: np.random.Generator) -> None:
        """Fills the plan's `draws`; called once before each training step."""

    @abstractmethod
    def forward(self, f: Frame, train: bool) -> None:
        """Reads x, params, draws and state; writes y and keep."""

    @abstractmethod
    def backward(self, f: Frame, train: bool) -> None:
        """Reads dy and keep; writes dx and every d<param>."""

    def commit(self, f: Frame) -> None:
        """Carries the step into the state (running statistics); called once after each training step."""

    def equations(self, train: bool, x: Shape) -> Sequence[Eq]:
        """Returns the textbook for rows of shape `x`, forward and backward; y, dx and every d<param> are left sides.

        Every part of this package has equations; one of a user's own may do without, and is not derived then.
        """
        return ()

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Yields the cases that the laws are tried on."""
        yield from ()


class Activation(Layer):
    """An elementwise or row-wise layer without parameters; also `activation:` of a dense layer."""

    family: ClassVar[str] = "activation"
    default_init: ClassVar[str] = "glorot_uniform"  # of the weights before it
    elementwise: ClassVar[bool] = True  # whether an entry of y depends on the same entry of x alone
