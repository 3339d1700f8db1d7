"""Floor 0: what a check of gradients found. Frozen records; nothing prints."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bpcli.records.training import Problem

EXACT_WITNESSES = ("equations", "derived", "complex step")
"""Witnesses without a step size: where they agree with the kernel it is to rounding."""

VERDICTS = ("ok", "dead", "noise", "kink", "jump", "not covered", "WRONG")
"""Verdicts of witnesses, the more serious the later."""


@dataclass(frozen=True)
class TensorRow:
    """One tensor against its witnesses, at the entry where they are worst apart.

    `scope` says where it was checked: layer (alone, under a random upstream), loss, penalty (alone), network (the whole
    objective). `worst`, `gaps` and `bars` are relative to the larger of the two values (or a thousandth of what may
    have cancelled). `verdict` is one of ok, WRONG, follows, kink, jump, noise, dead, not covered.
    """

    scope: str
    tensor: str  # dense_1.dW, dense_1.dx, dense_1.y, loss.L, loss.dx
    entries: int  # looked at one by one
    of: int
    worst: float
    index: tuple[int, ...]
    kernel: float  # what the kernel says there
    numeric: float  # what the witness says
    witness: str  # equations, derived, complex step, differences
    point: str
    verdict: str
    gaps: Mapping[str, float] = field(default_factory=dict)  # by witness: the worst relative gap
    note: str = ""
    bars: Mapping[str, float] = field(default_factory=dict)  # by witness: the loosest that a gap was held against
    unresolved: int = 0  # entries that differences could not show well enough
    shape: tuple[int, ...] = ()  # of the rows of a part of one's own, where it is another than at first


@dataclass(frozen=True)
class LawRow:
    """One law of the algebra over the whole network: it holds, it does not, or (None) there was nothing to ask."""

    name: str  # linear, re-entrant, batch, permutation, float32, derived
    holds: bool | None
    worst: float
    note: str = ""


@dataclass(frozen=True)
class LayerLaws:
    """What a layer obeys by itself at the sizes that it is used at. What is None was not compared.

    `rows` are the sizes of the batches. `alone` is how far batches are from what their rows give alone, as a share of a
    row's largest number, in training and at evaluation; where rows see each other, `beside` says what such a batch was
    held against instead (equations, differences) and how far apart they are. `float32` is how far the kernels in
    float32 are from those in float64, of y, dx and all gradients. `scaled` says whether errors that are far larger or
    smaller give gradients that are so; `calls` whether results depend on no earlier batch and no order of calls;
    `threads` whether two threads at once give the same bits.
    """

    layer: str
    rows: tuple[int, ...]
    alone: Mapping[str, float | None]
    beside: Mapping[str, tuple[str, float]]
    float32: float | None
    scaled: bool | None
    calls: bool | None
    threads: bool | None
    note: str = ""  # what was not looked at, and why


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
    layers: tuple[LayerLaws, ...] = ()

    @property
    def wrong(self) -> tuple[str, ...]:
        """The tensors and laws that fail."""
        broken = tuple(row.name for row in self.laws if row.holds is False)
        return tuple(dict.fromkeys(row.tensor for row in self.tensors if row.verdict == "WRONG")) + broken

    @property
    def weak(self) -> bool:
        """Whether a path is dead, rounding hides a gradient, or a function jumps."""
        return any(row.verdict in ("dead", "noise", "jump") for row in self.tensors)

    @property
    def compared(self) -> bool:
        """Whether there was anything to compare."""
        return bool(self.tensors)

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
