"""Floor 0: what a check of gradients found, and what a diagnosis found. Frozen records; nothing prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bpcli.records.training import Problem


@dataclass(frozen=True)
class TensorRow:
    """One tensor against its witnesses, at the entry where they are worst apart.

    `scope` says where it was checked: layer (alone, under a random upstream), loss, penalty (alone), network (the whole
    objective). `worst` is relative to the larger of the two values. `verdict` is one of ok, WRONG, kink, noise, dead,
    not covered.
    """

    scope: str
    tensor: str  # dense_1.dW, dense_1.dx, dense_1.y, loss.L, loss.dx
    entries: int  # looked at one by one
    of: int
    worst: float
    index: tuple[int, ...]
    kernel: float  # what the kernel says there
    numeric: float  # what the witness says
    witness: str  # equations, complex step, differences
    point: str
    verdict: str
    gaps: Mapping[str, float] = field(default_factory=dict)  # by witness: the worst relative gap
    note: str = ""


@dataclass(frozen=True)
class LawRow:
    """One law of the algebra over the whole network: it holds, it does not, or (None) there was nothing to ask."""

    name: str  # linear, re-entrant, batch, permutation, float32
    holds: bool | None
    worst: float
    note: str = ""


@dataclass(frozen=True)
class Finding:
    """What is wrong with a gradient, in words; `code` is a short stable word for the kind of mistake."""

    tensor: str
    code: str
    text: str


@dataclass(frozen=True)
class GradcheckReport:
    """What a gradient check found."""

    name: str
    weights: str  # in words: where they come from
    rows: str
    batch: int
    parameters: int
    points: tuple[str, ...]
    seed: int
    tensors: tuple[TensorRow, ...]
    laws: tuple[LawRow, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]  # what was sampled, what could not be shown
    evaluations: int
    seconds: float
    warnings: tuple[Problem, ...] = ()

    @property
    def wrong(self) -> tuple[str, ...]:
        """The tensors and laws that fail."""
        broken = tuple(row.name for row in self.laws if row.holds is False)
        return tuple(dict.fromkeys(row.tensor for row in self.tensors if row.verdict == "WRONG")) + broken

    @property
    def weak(self) -> bool:
        """Whether a path is dead, or rounding hides a gradient."""
        return any(row.verdict in ("dead", "noise") for row in self.tensors)

    @property
    def passed(self) -> bool:
        """Nothing is wrong, and nothing was left uncovered."""
        return not self.wrong and not any(row.verdict == "not covered" for row in self.tensors)


@dataclass(frozen=True)
class PartVerdict:
    """A registered part under the laws: how many comparisons over all its samples, and the worst of them."""

    family: str
    type: str
    source: str  # the file it is written in
    samples: int
    comparisons: int
    worst: float  # as a share of what is allowed
    tensor: str
    witness: str
    verdict: str
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cure:
    """A change of the experiment that should help: the `--set`s that make it, and with `--try` what they did.

    `before` and `after` are the symptom's own figure; `loss_before` and `loss_after` the loss after as many steps of
    training without and with it, `nan` where it diverged. `judged` says in words what both are of. `helps` is None
    where it was not tried, and `note` says why where it could not be.
    """

    sets: tuple[str, ...]
    text: str
    figure: str = ""  # what is measured, in words
    before: float | None = None
    after: float | None = None
    judged: str = ""
    loss_before: float | None = None
    loss_after: float | None = None
    helps: bool | None = None
    note: str = ""


@dataclass(frozen=True)
class Symptom:
    """One finding of a diagnosis. `level` is one of ok, notice, warning; `value` is what was measured, where that is
    one number, and `measured` says in words what it is."""

    check: str  # start, gradients, dead ...: the name of the check
    place: str  # the layer, the column, the split; empty for the whole
    figure: str
    level: str
    why: str = ""
    cures: tuple[Cure, ...] = ()
    value: float | None = None
    measured: str = ""


@dataclass(frozen=True)
class HealthRow:
    """How a layer fares on one batch: norms of its gradient and weights, what its units do, how far a step moves it."""

    layer: str
    kind: str
    gradient: float | None  # norm of the gradient of its parameters; None where it has none
    weights: float | None
    update: float | None  # norm of the step over norm of the weights
    error: float  # root mean square of dL/dy
    output_mean: float
    output_deviation: float
    dead: float | None  # share of units that no row opens
    saturated: float | None  # share of outputs near the ends of the range


@dataclass(frozen=True)
class DiagnoseReport:
    """What is likely to train badly, and why; `symptoms` begin with the most serious."""

    name: str
    weights: str
    rows: str
    loss: float
    constant: float  # the loss of the best prediction that is the same for every row
    layers: tuple[HealthRow, ...]
    symptoms: tuple[Symptom, ...]
    rate: float | None  # the greatest learning rate of the training
    rates: tuple[tuple[float, float], ...]  # the range test: learning rate, loss after the step with it
    overfit: tuple[float, ...]  # loss on one batch, step after step
    seconds: float
    tried: str = ""  # how cures were tried, in words
    notes: tuple[str, ...] = ()
    warnings: tuple[Problem, ...] = ()
