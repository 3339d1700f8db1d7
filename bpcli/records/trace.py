"""Floor 0: a worked derivation of training steps, as the study returns it and renderers draw it.

A derivation is a row of quantities in the order in which a step computes them. Each is one textbook equation with its
array, evaluated from that equation, and beside it the array that the engine computed. Renderers draw; they compute
nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from bpcli.notation.syntax import Equation
from bpcli.notation.worked import Worked
from bpcli.numeric.shapes import Array
from bpcli.records.training import Problem


class Stage(IntEnum):
    """The seven steps of the back-propagation algorithm."""

    INITIALIZE = 1
    FORWARD = 2
    LOSS = 3
    HIDDEN = 4
    WEIGHTS = 5
    UPDATE = 6
    REPEAT = 7


STAGES: Mapping[Stage, tuple[str, str]] = {
    Stage.INITIALIZE: ("Initialize", "the weights as they are, a row of inputs, its target"),
    Stage.FORWARD: ("Forward pass", "from the inputs to the outputs, layer by layer"),
    Stage.LOSS: ("Output error", "how wrong the outputs are, and which way"),
    Stage.HIDDEN: ("Hidden errors", "the error sent back: what each number inside does to the loss"),
    Stage.WEIGHTS: ("Chain rule for each weight", "what each weight does to the loss"),
    Stage.UPDATE: ("Update", "every weight at once, from the OLD weights and their gradients"),
    Stage.REPEAT: ("Repeat", "the same rows again, with the new weights"),
}
"""The heading of each step, and what it does."""


@dataclass(frozen=True)
class StartValue:
    """Something the derivation starts from: inputs, targets, a weight, a mask."""

    step: int
    path: str  # dense_1.W
    value: Array
    note: str = ""


@dataclass(frozen=True)
class WorkedEntry:
    """One number of a quantity, with its equation worked out."""

    name: str  # as claims call it: dense_1.dW[0,1]
    at: tuple[int, ...]  # in the quantity's array
    index: tuple[str, ...]  # as its equation has it: ("0", "1"), or ("dense_1.W[0,1]",) for the j of all weights
    worked: Worked
    notes: tuple[str, ...]  # besides the equation's own: 0 because the relu is closed


@dataclass(frozen=True)
class Quantity:
    """One left side: its equation, its value from that equation and from the engine, and some entries worked out.

    `path` is how claims call it. An equation over all weights at once (an optimizer's) is split tensor by tensor:
    `tensor` is whose part of it this is.
    """

    id: str  # 1.forward.dense_1.y
    step: int  # of training, from 1
    stage: Stage
    part: str  # forward, loss, backward, penalty, clipping, schedule, optimizer, constraint, state
    layer: str  # its path, "" of what belongs to no layer
    kind: str  # of the part: dense, softmax_cross_entropy, adam
    name: str  # the left side: y, dx, dW, m_new
    path: str  # dense_1.dW
    equation: Equation
    known: frozenset[str]  # arrays and left sides of the part, by which dW is known from decay
    why: str
    value: Array
    engine: Array | None  # None where the engine has no array of it (a textbook's intermediate step)
    gap: float
    allowed: float
    entries: tuple[WorkedEntry, ...] = ()
    tensor: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)  # what its x and dy are elsewhere: dense_1.activation.y

    @property
    def agrees(self) -> bool:
        """Whether the engine has the same numbers."""
        return self.gap <= self.allowed

    @property
    def hidden(self) -> int:
        """How many of its entries are not worked out here."""
        return int(self.value.size) - len(self.entries)


@dataclass(frozen=True)
class LayerLine:
    """A layer in one line: what goes out, and what its error is."""

    layer: str
    kind: str
    units: tuple[int, ...]
    y: Array
    dy: Array  # dL/dy
    dx: Array | None
    parameters: int
    gradients: Mapping[str, float]  # the length of the gradient of each of its parameters
    note: str = ""  # 3 of 8 closed


@dataclass(frozen=True)
class StepLine:
    """A training step in numbers: what it did to the loss, and to the gradient on its way to the weights."""

    step: int
    loss: float  # all of it
    data_loss: float
    penalty: float
    after: float  # the loss of the same rows with the new weights
    predicted: float  # the change of the loss to first order
    norm: float  # of the gradient, penalty included
    clipped: float  # what clipping left of it, 1: all
    rate: float
    moved: float  # the length of the step
    outputs: Array
    gradients: Mapping[str, Array]  # by parameter, penalty included, before clipping
    after_clipping: Mapping[str, Array]
    updated: Mapping[str, Array]
    layers: tuple[LayerLine, ...]

    @property
    def change(self) -> float:
        """What the step did to the loss."""
        return self.after - self.loss


@dataclass(frozen=True)
class Hop:
    """One factor of a path: the derivative of `upper` by `lower`, and the product of all factors from the loss on."""

    upper: str  # what is differentiated: L, dense_2.y[0,0]
    lower: str
    formula: str
    value: float
    product: float
    note: str = ""


@dataclass(frozen=True)
class PathsTo:
    """All ways on which one weight reaches the loss: the product of the factors of each, summed.

    Of more than can be shown, each path ends at an error that is taken as a whole (`grouped`).
    """

    name: str  # dense_1.W[0,1]
    value: float
    paths: tuple[tuple[Hop, ...], ...]
    count: int
    dead: int  # how many of them come to 0
    grouped: bool
    total: float  # the sum of the paths shown and not shown
    gradient: float  # the engine's, of the data term
    nudge: float
    predicted: float
    measured: float

    @property
    def idle(self) -> str:
        """How many of several paths come to 0, in words; empty where none does."""
        return (
            f"{self.dead:,} of them {'comes' if self.dead == 1 else 'come'} to 0"
            if self.dead and self.count > 1
            else ""
        )


@dataclass(frozen=True)
class Derivation:
    """What `trace` returns: training steps, quantity by quantity."""

    name: str
    detail: str
    facts: tuple[tuple[str, str], ...]  # the header: network, loss, step, rows
    steps: tuple[StepLine, ...]
    start_values: tuple[StartValue, ...]
    quantities: tuple[Quantity, ...]
    paths: tuple[PathsTo, ...]
    compared: int  # numbers held against the engine
    worst: float  # the largest gap
    digits: int
    warnings: tuple[Problem, ...] = ()

    @property
    def wrong(self) -> tuple[Quantity, ...]:
        """Returns where equation and engine disagree, in order."""
        return tuple(q for q in self.quantities if not q.agrees)


@dataclass(frozen=True)
class Cause:
    """A mistake that gives the claimed number, digit for digit."""

    code: str  # sign, no-slope, new-weight
    text: str
    where: str  # the quantity in which it was made


@dataclass(frozen=True)
class Mark:
    """One claimed number, marked: its verdict, the right number, and likely causes."""

    name: str  # as the file has it
    address: str  # the entry that it means: dense_1.activation.y[0,0]
    stage: Stage
    line: int  # of the file
    written: str
    value: float
    right: float  # the derivation's number
    verdict: str  # right, wrong, or follows: consistent with an earlier error
    expected: float  # what the claimed numbers before it lead to; `right`, if none of them is wrong
    causes: tuple[Cause, ...] = ()  # of a wrong one, the likeliest first; none: none was found
    worked: str = ""  # of a wrong one: how it is worked out
    note: str = ""


@dataclass(frozen=True)
class Marks:
    """What `mark` returns: claims in the order of the derivation."""

    name: str
    file: str
    facts: tuple[tuple[str, str], ...]  # the header: network, loss, step, rows
    marks: tuple[Mark, ...]
    disagree: tuple[str, ...] = ()  # quantities whose equation does not give what the engine computed
    warnings: tuple[Problem, ...] = ()

    @property
    def first(self) -> Mark | None:
        """The first wrong claim, which explains those that follow from it; None where none is wrong."""
        return next((m for m in self.marks if m.verdict == "wrong"), None)

    @property
    def right(self) -> bool:
        """Whether every claim is right."""
        return not self.disagree and all(m.verdict == "right" for m in self.marks)

    def count(self, verdict: str) -> int:
        """Returns how many claims have this verdict."""
        return sum(m.verdict == verdict for m in self.marks)


@dataclass(frozen=True)
class Blank:
    """A result that a worksheet leaves out; `answer` is what would be printed, in ASCII."""

    number: int  # from 1, in order
    quantity: str  # the id of its quantity: a name may stand for the gradient with and without a penalty
    name: str  # of the entry, as claims call it
    answer: str


@dataclass(frozen=True)
class Worksheet:
    """A derivation whose results are to be filled in.

    An entry of `derivation` that is no blank is shown as it is if `shown` has its quantity's id; else there is room for
    it and nobody checks it. `key` is a claims file with all answers, and `command` what marks one of that kind.
    """

    derivation: Derivation
    seed: int  # 0: the network as it is
    blanks: tuple[Blank, ...]
    shown: frozenset[str]
    key: str
    command: str


@dataclass(frozen=True)
class Difference:
    """Where a derivation first differs from the one that was kept."""

    id: str
    name: str  # of the entry that differs most
    text: str


@dataclass(frozen=True)
class Golden:
    """What `trace --golden` returns: that a file was written, or the first difference from it."""

    file: str
    written: bool
    count: int  # of quantities
    difference: Difference | None = None
