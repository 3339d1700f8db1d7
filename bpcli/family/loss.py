"""What training lowers: losses, and penalties on the weights."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal

from bpcli.family.part import Part
from bpcli.family.plan import Array, Frame, Link, Plan, Shape
from bpcli.notation import Eq


class ClassMismatchError(ValueError):
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
    behind_link: ClassVar[str] = ""  # the type of the same loss of predictions, where there is one
    least_squares: ClassVar[bool] = False
    """Whether it is, up to a constant factor, the mean over rows of sum_k (x - t)^2: what Gauss-Newton and Levenberg-
    Marquardt steps lower. The engine finds the factor; training compares the loss with the squares before it begins."""

    @property
    def classifies(self) -> bool:
        """Whether predictions name classes, whatever the targets are."""
        return self.link not in ("identity", "exp")

    @property
    def gives_probabilities(self) -> bool:
        """Whether predictions are probabilities."""
        return self.link in ("sigmoid", "softmax", "probabilities")

    @property
    def weighs_classes(self) -> bool:
        """Whether rows of some classes count more than others: as a setting `class_weights` says, where it has one."""
        return getattr(self, "class_weights", None) is not None

    def plan(self, x: Shape) -> Plan:
        """Returns the memory it needs for outputs of shape `x`; `y` of the plan is the shape of one row's targets."""
        return Plan(y=x)

    def with_classes(self, classes: tuple[str, ...], counts: tuple[int, ...]) -> Loss:
        """Returns the loss once the class names, by id, and their numbers of training rows are known.

        A loss whose settings name the classes stays as it is, without counts (() then). Raises ClassMismatchError, a
        ValueError, where they are others.
        """
        return self

    def check(self, targets: Array) -> str:
        """Returns what is wrong with these targets (probabilities outside [0, 1], say), "" where nothing is."""
        return ""

    def mean_weight(self, f: Frame) -> float:
        """Returns the mean weight of a row in the loss that `forward` returned: 1, or that of the class weights."""
        return 1.0

    @abstractmethod
    def forward(self, f: Frame) -> float:
        """Reads x, t and, unless it is None, w; returns the loss and may fill keep."""

    def row_losses(self, f: Frame) -> tuple[Array, Array] | None:
        """Returns, after `forward` on rows without weights, what each row loses and how much it weighs in the mean of
        them that `forward` returned, both (N,) float64; None where only `forward` on a row alone can tell."""
        return None

    @abstractmethod
    def backward(self, f: Frame) -> None:
        """Writes dx."""

    def equations(self, weighted: bool) -> Sequence[Eq]:
        """Returns equations of `L` and `dx[n,k]`; with sample weights `w[n]` that sum to 1 where `weighted`."""
        return ()


class Regularizer(Part):
    """A penalty on the weights of one slice of the flat vector."""

    family: ClassVar[str] = "penalty"
    quadratic: ClassVar[bool] = False  # whether it is a sum of squares of weights, each times a constant

    @abstractmethod
    def value(self, w: Array, scratch: Array) -> float:
        """Returns the penalty of the weights `w` (flat); `scratch` is as long as `w`."""

    @abstractmethod
    def add_grad(self, w: Array, g: Array, scratch: Array) -> None:
        """Adds its gradient to `g`; `scratch` is as long as `w`."""

    def equations(self) -> Sequence[Eq]:
        """Returns equations of `penalty` and `dw[j]`."""
        return ()
