"""Floor 1: how a part asks for memory by name, and the frame of views it gets."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np

from bpcli.family.part import Part
from bpcli.numeric.shapes import Array as Array
from bpcli.numeric.shapes import Shape as Shape

N = -1
"""The batch axis in the shape of a slot."""

DType = Literal["float", "float32", "float64", "bool", "byte", "int"]
"""`float` is the type of the run; chance is drawn in `float32` whatever the run, so that all see the same masks; what
is summed over many rows is summed in `float64`."""

Link = Literal["identity", "exp", "sigmoid", "softmax", "probabilities", "margin"]
"""What makes predictions of a loss's inputs: a function of them; `probabilities` and `margin` are what they are, a
margin naming its class by its sign (one of several classes: by being the largest)."""

WIDTHS: dict[str, Any] = {
    "float32": np.float32,
    "float64": np.float64,
    "bool": np.bool_,
    "byte": np.uint8,
    "int": np.int64,
}


class ShapeError(ValueError):
    """A shape that cannot enter a layer; `help` says what would fit."""

    def __init__(self, text: str, help: str = "") -> None:
        super().__init__(text)
        self.help = help


@dataclass(frozen=True)
class Slot:
    """One array: its shape (N stands for the batch) and type; `start` is the first value of a layer's `state`. What an
    optimizer or a clipper remembers lies within `limits` and, where it counts something, is `whole`: nothing else is
    taken from a checkpoint."""

    shape: Shape
    dtype: DType = "float"
    start: float = 0.0
    limits: tuple[float, float] = (-math.inf, math.inf)
    whole: bool = False


@dataclass(frozen=True)
class Param:
    """One learned tensor.

    `init` is an Initializer, or None for the default, chosen from the activation that follows; `fan_in` and `fan_out`
    are what it scales by; `decays` puts it under the penalty (weights yes, biases and gains no).
    """

    shape: Shape
    init: Part | None = None
    fan_in: int = 1
    fan_out: int = 1
    decays: bool = False


@dataclass(frozen=True)
class Plan:
    """What a layer needs for rows of one shape. Shapes of `x` and `y` are without the batch; slots say N for it.

    `keep` lives from forward to backward, `scratch` is dead on return, `draws` is filled by `draw`, `state` is saved
    but not optimized (running statistics), `consts` are the numbers the equations mention, `inside` are the chains of a
    container. `skips_dx`: backward leaves dx alone where `f.dx` is None (the first layer of a network). `tokens`: x
    has to hold whole numbers from 0 to `tokens` - 1, as they stand in the data; 0 where any numbers will do.
    """

    y: Shape
    params: Mapping[str, Param] = field(default_factory=dict)
    keep: Mapping[str, Slot] = field(default_factory=dict)
    scratch: Mapping[str, Slot] = field(default_factory=dict)
    draws: Mapping[str, Slot] = field(default_factory=dict)
    state: Mapping[str, Slot] = field(default_factory=dict)
    consts: Mapping[str, float] = field(default_factory=dict)
    inside: Mapping[str, Sequence[Part]] = field(default_factory=dict)
    skips_dx: bool = False
    tokens: int = 0
    multiply_adds: int = 0  # of one sample's forward pass


class Frame(SimpleNamespace):
    """The views a part works on, bound once by the engine: `f.x f.y f.dy f.dx`, its params `f.W` with `f.dW`, its slots
    and its inner chains, by the names of its plan. `x` is the previous layer's `y` itself. `f.matmul(a, b, out=...)` is
    np.matmul; in a network whose layers share the cores out to threads, one that leaves the cores to them."""

    __slots__ = ("recorded",)  # what a kernel works out of these views once: no array that a plan asks for

    x: Array
    y: Array
    dx: Any  # None where nobody asks for it
    dy: Array
    matmul: Callable[..., Any] = staticmethod(np.matmul)


@dataclass(frozen=True)
class Sample:
    """One case the laws are tried on.

    `part` may be a mapping as it stands in a file, where building it must fail with a message that holds `error`; with
    a part and `error`, planning for `x` must fail so. `inputs` names fixed inputs (ties, saturation) in place of random
    ones: arrays for `x`, a loss's `t`, a parameter; or what a law holds a part to: a schedule's `first` and `last`, an
    initializer's `deviation` and `bound`.
    """

    part: Any
    x: Shape = ()
    batch: int = 3
    error: str = ""
    note: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    scale: float = 1.0  # of the random inputs
    kinks: tuple[float, ...] = ()  # values of x at which the slope jumps


def empty(slot: Slot, batch: int, dtype: Any) -> Array:
    """Returns an array for a slot, zeroed."""
    return np.zeros(tuple(batch if d == N else d for d in slot.shape), {"float": dtype, **WIDTHS}[slot.dtype])
