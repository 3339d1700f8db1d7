"""Floor 0: what a diagnosis found. Frozen records; nothing prints."""

from dataclasses import dataclass

from bpcli.records.training import Problem


@dataclass(frozen=True)
class Remedy:
    """A change of the experiment that should help: the `--set`s that make it, and with `--try` what they did.

    `before` and `after` are the symptom's own figure without and with it; `loss_before` and `loss_after` are the loss
    after as many steps of training, `nan` where it diverged, and `judged` says in words which loss. `helps` is None
    where it was not tried; `note` says why it could not be.
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


LEVELS = ("ok", "notice", "warning")
"""How serious a symptom is, in order."""


@dataclass(frozen=True)
class Symptom:
    """What one check found. `level` is one of LEVELS; `value` is what was measured, where that is one number,
    and `measured` says in words what it is."""

    check: str  # start, gradients, dead ...: the name of the check
    place: str  # the layer, the column, the split; empty for the whole
    figure: str
    level: str
    why: str = ""
    cures: tuple[Remedy, ...] = ()  # the key of remedies in `--json`
    value: float | None = None
    measured: str = ""


@dataclass(frozen=True)
class LayerStats:
    """The state of a layer on one batch: norms of gradient and weights, dead and saturated units, length of a step."""

    layer: str
    kind: str
    gradient: float | None  # norm of the gradient of its parameters; None where it has none
    weights: float | None
    update: float | None  # norm of the step over norm of the weights
    error: float  # root mean square of dL/dy
    output_mean: float
    output_deviation: float
    dead: float | None  # share of units whose slope is nearly 0 on every row
    saturated: float | None  # share of outputs near the ends of the range


@dataclass(frozen=True)
class DiagnoseReport:
    """What is likely to train badly, and why; `symptoms` begin with the most serious."""

    name: str
    weights: str
    rows: str
    loss: float
    constant: float  # the loss of the best prediction that is the same for every row
    layers: tuple[LayerStats, ...]
    symptoms: tuple[Symptom, ...]
    rate: float | None  # the greatest learning rate of the training
    rates: tuple[tuple[float, float], ...]  # the range test: learning rate, loss after the step with it
    overfit: tuple[float, ...]  # loss on one batch, step after step
    seconds: float
    tried: str = ""  # how remedies were tried, in words
    notes: tuple[str, ...] = ()
    warnings: tuple[Problem, ...] = ()
