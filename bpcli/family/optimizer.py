"""What makes a step of a gradient: clippers, schedules, optimizers; and how weights start and where they are kept."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Protocol

import numpy as np

from bpcli.family.part import OneOf, Part
from bpcli.family.plan import Array, Frame, Shape, Slot
from bpcli.notation import Eq


class Constraint(Part):
    """A region that weights are put back into after every step."""

    family: ClassVar[str] = "constraint"

    @abstractmethod
    def apply(self, w: Array) -> None:
        """Changes the weights of one tensor, w: ... o, in place."""

    def equations(self) -> Sequence[Eq]:
        """Returns the equation of `w_new[...,o]`, of one tensor."""
        return ()


class Clipper(Part):
    """Tames the flat gradient f.g in place; f.norm is its norm before, f.pieces its tensors with their weights."""

    family: ClassVar[str] = "clipping"
    per_tensor: ClassVar[bool] = False  # its equations are of one tensor g with its weights w, else of the flat vector

    def state(self) -> Mapping[str, Slot]:
        """Returns what it remembers between steps: float64, 0 at first, saved with a checkpoint."""
        return {}

    @abstractmethod
    def clip(self, f: Frame) -> float:
        """Writes f.g; returns the factor: 1 where nothing was clipped, else the share of the norm that is left."""

    def equations(self, tensor: Shape = (2, 2)) -> Sequence[Eq]:
        """Returns equations of `g_new[j]`, over the flat index j, and of every `<state>_new`; where it works per
        tensor, of `g_new` for a tensor of that shape."""
        return ()


NOTHING: Mapping[str, Array] = MappingProxyType({})


class Schedule(Part):
    """A number as a function of k completed steps of T; of epochs where it has a setting `per` that says `epoch`."""

    family: ClassVar[str] = "schedule"

    @classmethod
    def shorthand(cls, value: Any) -> Any:
        """Takes a number alone as that number at every step."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            return {"type": "constant", "value": value}
        return super().shorthand(value)

    @classmethod
    def short_schemas(cls) -> list[dict[str, Any]]:
        return [{"type": "number", "description": "the same at every step"}, *super().short_schemas()]

    @abstractmethod
    def at(self, k: int, total: int, state: Mapping[str, Array] = NOTHING) -> float:
        """Returns the number for the step after `k` completed ones of `total`."""

    def equations(self) -> Sequence[Eq]:
        """Returns the equation of `lr`, from `k`, `T` and the state; where it observes a figure, also of every
        `<state>_new`, from that `value` and `sense` (1 where lower is better, -1 where higher is)."""
        return ()

    def watched(self) -> str:
        """Returns the name of the figure that it observes after each epoch (validation.loss), "" for none."""
        return ""

    def state(self) -> Mapping[str, float]:
        """Returns what it remembers between epochs, with its first values; saved with a checkpoint."""
        return {}

    def observe(self, state: Mapping[str, Array], value: float, lower: bool) -> None:
        """Carries the watched figure of an epoch into the state (0-d arrays); `lower`: whether lower is better."""

    def check(self, total: int) -> Sequence[tuple[tuple[str, ...], str]]:
        """Returns the settings that a training of `total` steps never comes to, each with what to say of it."""
        return ()


class Optimizer(Part):
    """Moves the flat weights f.w: a GradientOptimizer by the gradient it is given, a FullBatchOptimizer by evaluations
    of its own."""

    family: ClassVar[str] = "optimizer"
    full_batch: ClassVar[bool] = False  # whether a step has to see all training rows

    @abstractmethod
    def state(self, size: int) -> Mapping[str, Slot]:
        """Returns what it remembers of `size` weights: 0 at first, saved with a checkpoint."""

    @abstractmethod
    def work(self, size: int) -> Mapping[str, Slot]:
        """Returns the arrays that it works in, which are scratch: dead on return."""

    def equations(self) -> Sequence[Eq]:
        """Returns equations of `w_new[j]` and of all that it remembers (`<slot>_new`)."""
        return ()


class GradientOptimizer(Optimizer):
    """Moves the flat weights f.w against the flat gradient f.g, elementwise.

    The first f.D entries are weights under decay, the others biases and gains. An update is made in chunks of the
    flat vectors, so it may not look across entries.
    """

    one_rate: ClassVar[bool] = False  # whether all weights move at the same rate, whatever their gradients have been
    learning_rate: Annotated[Schedule, OneOf()]

    @property
    def slots(self) -> tuple[str, ...]:
        """The names of the flat vectors that it remembers."""
        return ()

    @property
    def scratch(self) -> tuple[str, ...]:
        """The names of flat vectors that it works in, each as long as a chunk."""
        return ()

    def state(self, size: int) -> Mapping[str, Slot]:
        return {name: Slot((size,)) for name in self.slots}

    def work(self, size: int) -> Mapping[str, Slot]:
        return {name: Slot((size,)) for name in self.scratch}

    @abstractmethod
    def update(self, f: Frame, lr: float, t: int) -> None:
        """Takes step `t` (from 1) with learning rate `lr`, in place on f.w and the slots; f.g may be overwritten."""


class ObjectiveView(Protocol):
    """What a FullBatchOptimizer sees of the objective: all training rows, at the weights that stand in f.w."""

    def value(self) -> float:
        """Returns the loss plus the penalties, inf where one of them is not finite; f.g is then its gradient."""

    def jacobian(self, block: Array) -> Iterator[Array]:
        """Yields the derivatives of every output of every row by the weights, as many at a time as `block` (., size)
        has rows, in `block`. Overwrites f.g."""

    def quadratic(self, curvature: Array) -> float:
        """Returns `scale`, where the objective is scale / 2 (sum of squared errors + sum curvature w^2); writes
        `curvature` (size,)."""


class FullBatchOptimizer(Optimizer):
    """Moves the flat weights f.w after looking at the objective at points of its own choice: a step is an iteration.

    It has no learning rate. Whatever the type of the run, what it remembers and works in is float64: it lives on small
    differences. It takes no clipping and no constraint (what it found of the objective would no longer hold where
    they put the weights), and no layer that draws by chance (it compares values).
    """

    full_batch: ClassVar[bool] = True
    least_squares: ClassVar[bool] = False  # whether it takes only such losses, and only penalties that are quadratic
    row_by_row: ClassVar[bool] = False  # whether it asks for a Jacobian: no row's output may depend on other rows
    reported: ClassVar[tuple[str, ...]] = ()  # names in f of what it found and its equations take as given

    @abstractmethod
    def search(self, f: Frame, objective: ObjectiveView, t: int) -> str:
        """Makes iteration `t` (from 1). On entry f.value is the objective at f.w and f.g its gradient.

        Returns nothing where it moved f.w, having looked there last; or why no step is worth taking, with f.w as it
        was, in words that follow "converged: ". Writes f.rate, the length of its step.
        """

    def equations(self) -> Sequence[Eq]:
        """Returns, besides, brackets that are 1: the conditions that a step keeps. Given are `w`, `g`, the objective
        `L`, the slots; `g_new` and `L_new`; what it `reported`; `J[i,j]`, `e[i]` (outputs less targets, flat) and
        `bend[j]`."""
        return ()


class Initializer(Part):
    """How the weights of one tensor start."""

    family: ClassVar[str] = "initializer"
    signal_gain: ClassVar[float] = 0.0  # growth of the mean square of signals, where the fans set the variance
    both_fans: ClassVar[bool] = False  # whether the mean of both fans sets it, or fan_in alone

    @abstractmethod
    def fill(self, out: Array, fan_in: int, fan_out: int, rng: np.random.Generator) -> None:
        """Writes float64 `out`, which is then cast to the type of the run."""

    def shape_problem(self, shape: Shape) -> str:
        """Returns what is wrong with these settings for a tensor of this shape, "" where it can be filled."""
        return ""

    def variance(self, fan_in: float, fan_out: float) -> float:
        """Returns the variance of the entries that keeps signals at their size; 0 where the fans do not choose it."""
        return self.signal_gain / ((fan_in + fan_out) / 2 if self.both_fans else fan_in)
