"""Floor 1: the families, each an abstract class that says once what its members must do.

Arrays come in frames (`f.x`, `f.W`, ...); a part writes into the arrays it is given and allocates nothing that grows
with the batch. Every differentiable or updating family states its members' equations.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, Protocol

import numpy as np
from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from bpcli.numeric.notation import Eq
from bpcli.part import OneOf, Part
from bpcli.plan import Array, Frame, Plan, Sample, Shape, Slot

__all__ = [
    "Activation", "Clipper", "Constraint", "Initializer", "Layer", "Link", "Loss", "Metric", "Optimizer", "Regularizer",
    "Scaler", "Schedule", "Scored", "Searcher", "Source", "Stepper", "Surface", "Table", "UnsettledError",
]  # fmt: skip


RESERVED = ("data", "loss", "penalty", "state")
"""What no layer can be called: the first words of other paths."""


class Layer(Part):
    """A step of the network from x to y. Backward writes gradients (never accumulates) of everything it owns."""

    family: ClassVar[str] = "layer"
    name: str | None = Field(None, description="what traces and reports call the layer; default <type>_<count>")

    @field_validator("name")
    @classmethod
    def _name(cls, value: str | None) -> str | None:
        if value is not None and (not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,63}", value) or value in RESERVED):
            message = "a layer's name is letters, digits and `_`, begins with a letter, and is none of {reserved}"
            raise PydanticCustomError("layer_name", message, {"reserved": ", ".join(RESERVED)})
        return value

    def plan(self, x: Shape) -> Plan:
        """The memory it needs for rows of shape `x`. Raises ShapeError where they cannot enter."""
        return Plan(y=x)

    def expand(self) -> tuple[tuple[str, Layer], ...]:
        """The layers this one stands for, each with the ending of its path (`activation:` on a dense layer)."""
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

    @abstractmethod
    def equations(self, train: bool, x: Shape) -> Sequence[Eq]:
        """The textbook for rows of shape `x`, forward and backward; y, dx and every d<param> stand on a left side."""

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Cases for the laws."""
        yield from ()


class Activation(Layer):
    """An elementwise or row-wise layer without parameters; also `activation:` of a dense layer."""

    family: ClassVar[str] = "activation"
    default_init: ClassVar[str] = "glorot_uniform"  # of the weights before it


Link = Literal["identity", "exp", "sigmoid", "softmax", "probabilities", "margin"]
"""What makes predictions of a loss's inputs: a function of them; `probabilities` and `margin` are what they are, a
margin naming its class by its sign (one of several classes: by being the largest)."""


class UnsettledError(ValueError):
    """A setting of a loss that does not fit the classes of the data; `help` says what would."""

    def __init__(self, setting: str, text: str, help: str = "") -> None:
        super().__init__(text)
        self.setting, self.help = setting, help


class Loss(Part):
    """Compares the network's output f.x with the targets f.t; the mean over the batch, or with sample weights f.w
    (which sum to 1) the weighted mean."""

    family: ClassVar[str] = "loss"
    targets: ClassVar[Literal["classes", "values"]] = "values"
    link: ClassVar[Link] = "identity"
    default_metrics: ClassVar[tuple[str, ...]] = ()

    @property
    def classifies(self) -> bool:
        """Whether predictions name classes, whatever the targets are."""
        return self.link not in ("identity", "exp")

    @property
    def gives_probabilities(self) -> bool:
        """Whether predictions are probabilities."""
        return self.link in ("sigmoid", "softmax", "probabilities")

    def plan(self, x: Shape) -> Plan:
        """Memory for outputs of shape `x`; `y` of the plan is the shape of one row's targets."""
        return Plan(y=x)

    def settle(self, classes: tuple[str, ...], counts: tuple[int, ...]) -> Loss:
        """The loss once the class names, by id, and their numbers of training rows are known.

        Settled by its own names it stays as it is, without counts (() then). Raises UnsettledError, a ValueError.
        """
        return self

    def check(self, targets: Array) -> str:
        """What is wrong with these targets, or nothing (probabilities outside [0, 1], say)."""
        return ""

    def mean_weight(self, f: Frame) -> float:
        """What a row of the batch weighs in the mean that `forward` returned, on average: 1, or its class weight."""
        return 1.0

    @abstractmethod
    def forward(self, f: Frame) -> float:
        """Reads x, t and, unless it is None, w; returns the loss and may fill keep."""

    @abstractmethod
    def backward(self, f: Frame) -> None:
        """Writes dx."""

    @abstractmethod
    def equations(self, weighted: bool) -> Sequence[Eq]:
        """`L` and `dx[n,k]` on left sides; with sample weights `w[n]` that sum to 1 where `weighted`."""


class Regularizer(Part):
    """A penalty on the weights of one slice of the flat vector."""

    family: ClassVar[str] = "penalty"

    @abstractmethod
    def value(self, w: Array, scratch: Array) -> float:
        """The penalty of the weights `w` (flat); `scratch` is as long as `w`."""

    @abstractmethod
    def add_grad(self, w: Array, g: Array, scratch: Array) -> None:
        """Adds its gradient to `g`; `scratch` is as long as `w`."""

    @abstractmethod
    def equations(self) -> Sequence[Eq]:
        """`penalty` and `dw[j]` on left sides."""

    def consts(self) -> Mapping[str, float]:
        """The numbers the equations mention."""
        return {}


class Constraint(Part):
    """A region that weights are put back into after every step."""

    family: ClassVar[str] = "constraint"

    @abstractmethod
    def apply(self, w: Array) -> None:
        """Changes the weights of one tensor, w: ... o, in place."""

    @abstractmethod
    def equations(self) -> Sequence[Eq]:
        """`w_new[...,o]` on a left side, of one tensor."""

    def consts(self) -> Mapping[str, float]:
        """The numbers the equations mention."""
        return {}


class Clipper(Part):
    """Tames the flat gradient f.g in place; f.norm is its norm before, f.pieces its tensors with their weights."""

    family: ClassVar[str] = "clipping"
    per_tensor: ClassVar[bool] = False  # its equations are of one tensor g with its weights w, else of the flat vector

    def state(self) -> Mapping[str, Slot]:
        """What it remembers between steps, float64 and 0 at first; saved with a checkpoint."""
        return {}

    @abstractmethod
    def clip(self, f: Frame) -> float:
        """Writes f.g; returns the factor: 1 where nothing was clipped, else the share of the norm that is left."""

    @abstractmethod
    def equations(self, tensor: Shape = (2, 2)) -> Sequence[Eq]:
        """`g_new[j]` on a left side, over the flat index j, and every `<state>_new`; where it works per tensor,
        `g_new` of a tensor of that shape."""

    def consts(self) -> Mapping[str, float]:
        """The numbers the equations mention."""
        return {}


NOTHING: Mapping[str, Array] = MappingProxyType({})


class Schedule(Part):
    """A number as a function of k completed steps of T; of epochs where it has a setting `per` that says `epoch`."""

    family: ClassVar[str] = "schedule"

    @classmethod
    def shorthand(cls, value: Any) -> Any:
        """A number alone is that number at every step."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            return {"type": "constant", "value": value}
        return super().shorthand(value)

    @classmethod
    def short_schemas(cls) -> list[dict[str, Any]]:
        return [{"type": "number", "description": "the same at every step"}, *super().short_schemas()]

    @abstractmethod
    def at(self, k: int, total: int, state: Mapping[str, Array] = NOTHING) -> float:
        """The number for the step after `k` completed ones of `total`."""

    @abstractmethod
    def equations(self) -> Sequence[Eq]:
        """`lr` on a left side, from `k`, `T` and the state; where it watches a figure, every `<state>_new` from that
        `value` and `sense` (1 where lower is better, -1 where higher is)."""

    def watched(self) -> str:
        """The figure that it is told after each epoch (validation.loss), or nothing."""
        return ""

    def state(self) -> Mapping[str, float]:
        """What it remembers between epochs, as it begins; saved with a checkpoint."""
        return {}

    def observe(self, state: Mapping[str, Array], value: float, lower: bool) -> None:
        """Carries the watched figure of an epoch into the state (0-d arrays); `lower`: whether lower is better."""

    def check(self, total: int) -> Sequence[tuple[tuple[str, ...], str]]:
        """The settings that a training of `total` steps never comes to, and what to say of each."""
        return ()

    def consts(self) -> Mapping[str, float]:
        """The numbers the equations mention."""
        return {}


class Optimizer(Part):
    """Moves the flat weights f.w: a Stepper by the gradient that it is given, a Searcher by looking where it likes."""

    family: ClassVar[str] = "optimizer"
    full_batch: ClassVar[bool] = False  # whether a step has to see all training rows

    @abstractmethod
    def state(self, size: int) -> Mapping[str, Slot]:
        """What it remembers of `size` weights, 0 at first; saved with a checkpoint."""

    @abstractmethod
    def work(self, size: int) -> Mapping[str, Slot]:
        """The arrays that it works in, dead on return."""

    @abstractmethod
    def equations(self) -> Sequence[Eq]:
        """`w_new[j]` and all that it remembers (`<slot>_new`) on left sides."""

    def consts(self) -> Mapping[str, float]:
        """The numbers the equations mention, besides `lr`, `t` and `D`."""
        return {}


class Stepper(Optimizer):
    """Moves the flat weights f.w against the flat gradient f.g, elementwise.

    The first f.D entries are weights under decay, the others biases and gains. An update is made in stretches of the
    flat vectors, so it may not look across entries.
    """

    learning_rate: Annotated[Schedule, OneOf()]

    @property
    def slots(self) -> tuple[str, ...]:
        """The flat vectors that it remembers."""
        return ()

    @property
    def scratch(self) -> tuple[str, ...]:
        """Flat vectors that it works in, as long as a stretch."""
        return ()

    def state(self, size: int) -> Mapping[str, Slot]:
        return {name: Slot((size,)) for name in self.slots}

    def work(self, size: int) -> Mapping[str, Slot]:
        return {name: Slot((size,)) for name in self.scratch}

    @abstractmethod
    def update(self, f: Frame, lr: float, t: int) -> None:
        """Step `t` (from 1) with learning rate `lr`, in place on f.w and the slots; f.g may be overwritten."""


class Surface(Protocol):
    """What a Searcher sees of the objective: all training rows, at the weights that stand in f.w."""

    def value(self) -> float:
        """The loss plus the penalties, f.g then being its gradient; inf where one of them is not finite."""

    def jacobian(self, block: Array) -> Iterator[Array]:
        """The derivatives of every output of every row by the weights: as many at a time as `block` (., size) has rows,
        in it. Overwrites f.g."""

    def quadratic(self, bend: Array) -> float:
        """`scale`, where the objective is scale / 2 (sum of squared errors + sum bend w^2); writes `bend` (size,)."""


class Searcher(Optimizer):
    """Moves the flat weights f.w after looking at the objective at points of its own choice: a step is an iteration.

    It has no learning rate. Whatever the type of the run, what it remembers and works in is float64: it lives on small
    differences. It takes no clipping and no constraint (what it was told of the objective would no longer hold where
    they put the weights), and no layer that draws by chance (it compares values).
    """

    full_batch: ClassVar[bool] = True
    losses: ClassVar[tuple[str, ...]] = ()  # the only ones that it lowers; none named: all
    penalties: ClassVar[tuple[str, ...]] = ()  # the only ones that it takes; none named: all
    row_by_row: ClassVar[bool] = False  # whether it asks for a Jacobian: no row's output may depend on other rows
    told: ClassVar[tuple[str, ...]] = ()  # names in f of what it found and its equations take as given

    @abstractmethod
    def search(self, f: Frame, surface: Surface, t: int) -> str:
        """Iteration `t` (from 1). On entry f.value is the objective at f.w and f.g its gradient.

        Returns nothing where it moved f.w, having looked there last; or why no step is worth taking, with f.w as it
        was, in words that follow "converged: ". Writes f.rate, the length of its step.
        """

    @abstractmethod
    def equations(self) -> Sequence[Eq]:
        """Besides, brackets that are 1: the conditions that a step keeps. Given are `w`, `g`, the objective `L`, the
        slots; `g_new` and `L_new`; what it told; `J[i,j]`, `e[i]` (outputs less targets, flat) and `bend[j]`."""


class Initializer(Part):
    """How the weights of one tensor start."""

    family: ClassVar[str] = "initializer"

    @abstractmethod
    def fill(self, out: Array, fan_in: int, fan_out: int, rng: np.random.Generator) -> None:
        """Writes float64 `out`, which is then cast to the type of the run."""


@dataclass
class Scored:
    """A batch of predictions as metrics see it.

    `output` and `target` are (N, K): values in the target's own units for a regression, probabilities and one-hot (or
    0/1) targets for a classification. `labels` and `guesses` are class ids (N,), or (N, K) of 0/1 where a row may have
    several labels, or None for a regression. `weight` (N,) is each row's weight.
    """

    output: Array
    target: Array
    labels: Array | None
    guesses: Array | None
    weight: Array
    classes: int  # how many, 0 for a regression
    several: bool = False  # a row may have several labels


class Metric(Part):
    """A figure over a whole split, from totals that add up over batches."""

    family: ClassVar[str] = "metric"
    task: ClassVar[Literal["classification", "regression", "any"]] = "any"
    better: ClassVar[Literal["higher", "lower"]] = "higher"

    def check(self, classes: int, several: bool, probabilities: bool) -> str:
        """What keeps it from being measured, or nothing: `classes` (0 for a regression), whether a row may have several
        labels, whether the network puts out probabilities."""
        return ""

    @abstractmethod
    def totals(self, classes: int, outputs: int) -> dict[str, Array]:
        """Totals of no rows at all."""

    @abstractmethod
    def add(self, totals: dict[str, Array], batch: Scored) -> None:
        """Adds a batch's rows."""

    @abstractmethod
    def result(self, totals: Mapping[str, Array]) -> float:
        """The figure."""


class Scaler(Part):
    """Shifts and scales columns: y = (x - shift) / scale, fitted on the training rows only."""

    family: ClassVar[str] = "scaling"

    @abstractmethod
    def fit(self, x: Array) -> tuple[Array, Array]:
        """`shift` and `scale` (both of x's row shape, float64, scale never 0) from training rows x: n ..."""


@dataclass
class Table:
    """What a source holds: named input columns and targets, one row each, not yet encoded.

    `numbers` is (N, ...) float or integer: rows of numbers, or images. `texts` are text columns by name, to be one-hot
    encoded. `names` are the columns of `numbers` and `order` the order of all columns in the file. `target` is (N,)
    strings for class labels, (N,) integers for class ids, (N, K) floats for values, or None where there is none.
    """

    numbers: Array
    texts: Mapping[str, Array]
    names: tuple[str, ...]
    order: tuple[str, ...]
    target: Array | None
    target_names: tuple[str, ...]
    origin: str  # what messages call it

    @property
    def rows(self) -> int:
        return len(self.numbers)


class Source(Part):
    """Where rows come from."""

    family: ClassVar[str] = "data source"

    @abstractmethod
    def load(self, root: Path, *, need_target: bool = True) -> Table:
        """All rows; paths are relative to `root`. Raises Failure naming file, line and column.

        `need_target=False` (predict): a file without the target column is welcome.
        """

    def files(self, root: Path) -> tuple[Path, ...]:
        """The files it reads, for the run's record."""
        return ()
