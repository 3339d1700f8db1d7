"""What of a derivation is shown and in which order: the blocks that the terminal and the documents draw."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from bpcli.numeric.shapes import Array
from bpcli.records.trace import Derivation, PathsTo, Quantity, Stage, StartValue, StepLine, Worksheet


@dataclass(frozen=True)
class StepStart:
    """One training step of several begins."""

    step: StepLine


@dataclass(frozen=True)
class LayerOverview:
    """A training step layer by layer, without the seven steps of the algorithm."""

    step: StepLine


@dataclass(frozen=True)
class StageQuantities:
    """The quantities of one of the seven steps: those shown, and those that are not worked out."""

    shown: tuple[Quantity, ...]
    hidden: tuple[Quantity, ...]


@dataclass(frozen=True)
class StepLosses:
    """The loss before and after a training step, and what lies between."""

    step: StepLine

    def rows(self, after: str = "it") -> Iterator[tuple[str, float]]:
        """Yields the words and numbers of its table; `after` is how the table calls the step."""
        step = self.step
        yield "the loss before the step", step.loss
        if step.penalty:
            yield "of which the data's", step.data_loss
            yield "and the penalty's", step.penalty
        yield "the length of the gradient", step.norm
        if step.clipped != 1:
            yield "what clipping leaves of it, as a factor", step.clipped
        yield "the learning rate", step.rate
        yield "how far the weights move", step.moved
        yield f"the loss of the same rows after {after}", step.after
        yield "the change of the loss", step.change
        yield "as predicted by the gradient, to first order", step.predicted


OutlineBlock = StepStart | LayerOverview | PathsTo | Stage | StartValue | StageQuantities | StepLosses


def outline_blocks(d: Derivation, losses: bool = True) -> Iterator[OutlineBlock]:
    """Yields a derivation block by block; a worksheet does not give away the `losses`."""
    for line in d.steps:
        if len(d.steps) > 1:
            yield StepStart(line)
        if d.detail == "overview":
            yield LayerOverview(line)
            yield StepLosses(line)
        elif d.detail == "path":
            each = len(d.paths) // len(d.steps)
            yield from d.paths[(line.step - 1) * each : line.step * each]
        else:
            for stage in Stage:
                yield stage
                if stage is Stage.INITIALIZE:
                    yield from (g for g in d.start_values if g.step == line.step)
                own = [q for q in d.quantities if q.step == line.step and q.stage is stage]
                hidden = tuple(q for q in own if not q.entries and d.detail != "layer")
                yield StageQuantities(tuple(q for q in own if q.entries or d.detail == "layer"), hidden)
                if stage is Stage.REPEAT and losses:
                    yield StepLosses(line)


def ends_of_array(
    values: Array, digits: int, number: Callable[[float, int], str], most: int = 3, around: str = "[{}]",
    between: str = ", ",
) -> str:  # fmt: skip
    """Returns a short array, or the ends of what a long one holds; `number` draws a value in so many digits."""
    flat = np.asarray(values, np.float64).ravel()
    if len(flat) <= most:
        return around.format(between.join(number(v, digits) for v in flat))
    return f"{number(flat.min(), 4)} to {number(flat.max(), 4)}"


def limits(p: PathsTo) -> str:
    """Returns what a heading adds on the paths that are listed: how far they go, and how many come to 0."""
    grouped = ", each as far as an error that is taken as a whole" if p.grouped else ""
    return grouped + (f"; {p.idle}" if p.idle else "")


def title(source: Derivation | Worksheet) -> str:
    """Returns the title of a derivation or a worksheet."""
    if isinstance(source, Worksheet):
        return f"{source.derivation.name}: a worksheet" + (f", variant {source.seed}" if source.seed else "")
    steps = "one step" if len(source.steps) == 1 else f"{len(source.steps)} steps"
    return f"{source.name}: {steps} of back-propagation, worked out"


def agreement(d: Derivation) -> Iterator[tuple[str, str]]:
    """Returns paths where equation and engine disagree, each with a sentence on it; if there are none, an empty path
    and a sentence on how well the two agree."""
    for q in d.wrong:
        text = f": the equation does not give what the engine computed; they are {q.gap:.1e} apart"
        yield q.path, f"{text}, and rounding explains {q.allowed:.1e}"
    if not d.wrong:
        worst = f"to {d.worst:.0e}" if d.worst else "to the last digit"
        both = "from these equations and by the engine"
        yield "", f"{d.compared:,} numbers were computed twice, {both}: they agree {worst}"


def symbol_sources(q: Quantity, d: str = "∂") -> Iterator[tuple[str, str]]:
    """Yields what the x and the dy of an equation are elsewhere: `∂L/∂y` and `loss.dx`."""
    for name, source in q.sources.items():
        yield f"{d}L/{d}y" if name == "dy" else name, source
