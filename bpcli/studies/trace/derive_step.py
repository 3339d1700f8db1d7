"""`derive`: the next training steps of a target, worked out."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from bpcli.engine.divergence import NonFiniteError
from bpcli.family import Array, GradientOptimizer
from bpcli.numeric.vectors import l2_norm
from bpcli.records.trace import Derivation, LayerLine, PathsTo, Quantity, StartValue, StepLine
from bpcli.records.training import Exit, Failure, Problem
from bpcli.studies.trace.open import TraceTarget
from bpcli.studies.trace.paths import PathFinder
from bpcli.studies.trace.quantities import EntryChoice, WantedEntries, count_blocked_units, quantities
from bpcli.studies.trace.selection import check_layers, entries_behind, network_summary, parse_weight
from bpcli.studies.trace.step_blocks import TakenStep, take_step

HeaderRows = tuple[tuple[str, str], ...]
Detail = Literal["overview", "layer", "neuron", "path"]

MAX_TARGETS_NAMED = 8  # rows whose classes are named


@dataclass(frozen=True)
class View:
    """How much of a derivation is worked out. `entries`: how many of each quantity (None: all of a small, a few of a
    large one), with `terms` of each sum."""

    detail: Detail = "overview"
    layers: tuple[str, ...] = ()
    params: tuple[str, ...] = ()
    steps: int = 1
    digits: int = 6
    entries: int | None = None
    terms: int = 6
    ascii: bool = False


@np.errstate(all="ignore")  # what overflows is found by the step, and named
def derive(target: TraceTarget, view: View, notes: HeaderRows = ()) -> Derivation:
    """Returns the next `view.steps` training steps of a target; `notes` begin its header.

    Raises Failure where something named is not there, or a step is not finite.
    """
    chosen = [parse_weight(target.network_plan, p) for p in view.params]
    layers = check_layers(target.network_plan, view.layers)
    detail = view.detail
    if detail == "path" and not chosen:
        chosen = [_first_weight(target)]
    facts = (*notes, *_facts(target))
    lines: list[StepLine] = []
    worked_out: list[Quantity] = []
    start_values: list[StartValue] = []
    paths: list[PathsTo] = []
    for step in range(1, view.steps + 1):
        before = list(_start_values(target, step))
        try:
            taken = take_step(target)
        except NonFiniteError as error:
            where = f"{error.layer}.{error.tensor}" if error.layer else error.tensor
            text = f"step {step} cannot be shown: {where} ({error.what}) is not finite"
            help = "lower optimizer.learning_rate, or trace fewer steps"
            raise Failure(Problem(text, code="diverged", help=help), exit=Exit.BAD_RESULT) from None
        wanted = _wanted_entries(taken, chosen)
        few = 0 if detail in ("overview", "layer") else view.entries
        choice = EntryChoice(few, view.terms, view.digits, view.ascii, layers, wanted)
        found = list(quantities(taken, step, choice))
        worked_out += found
        start_values += [*before, *_drawn(target, step), *_without_equation(taken, step)]
        lines.append(_line(target, taken, found, step))
        if target.train_step.ended:
            text = f"step {step} was not taken, the weights stay as they are: {target.train_step.ended}"
            target.warnings = (*target.warnings, Problem(text, code="converged", level="warning"))
        if detail == "path":
            with _as_before(target, taken):
                finder = PathFinder(target, view.ascii)
                paths += [finder.paths(tensor, at) for tensor, at in chosen]
    target.warnings = (*target.warnings, *without_equations(target, taken))
    compared = sum(q.value.size for q in worked_out if q.engine is not None)
    worst = max((q.gap for q in worked_out), default=0.0)
    return Derivation(
        name=target.name, detail=detail, facts=facts, steps=tuple(lines), start_values=tuple(start_values),
        quantities=tuple(worked_out), paths=tuple(paths), compared=compared, worst=worst, digits=view.digits,
        warnings=target.warnings,
    )  # fmt: skip


def _wanted_entries(taken: TakenStep, chosen: Sequence[tuple[str, tuple[int, ...]]]) -> WantedEntries | None:
    """Returns the entries that belong to any of these weights; None where none was named."""
    if not chosen:
        return None
    found: dict[tuple[str, str], frozenset[tuple[int, ...]]] = {}
    for tensor, at in chosen:
        for key, entries in entries_behind(taken, tensor, at).items():
            found[key] = found.get(key, frozenset()) | entries
    return found


def _first_weight(target: TraceTarget) -> tuple[str, tuple[int, ...]]:
    """Returns the first weight of the first layer that has any: what `path` follows where no weight is named."""
    layout = {e.path: e.shape for e in target.network_plan.layout}
    if not layout:
        text = "this network has no weight whose paths could be shown"
        raise Failure(Problem(text, code="no-weights", help="--detail neuron"), exit=Exit.USAGE)
    first = next(f"{node.path}.{p}" for node in target.network_plan.walk() for p in node.plan.params)
    return first, (0,) * len(layout[first])


def _facts(target: TraceTarget) -> HeaderRows:
    """Returns the header of the derivation: network, weights, rows, loss, and what trains."""
    loss, optimizer, experiment = target.objective.loss, target.experiment.optimizer, target.experiment
    why = next((eq.why for eq in loss.equations(False) if eq.left == "L"), "")
    rows = len(target.x)
    facts = [
        ("network", f"{network_summary(target.network_plan)}; {target.network_plan.size:,} parameters, float64"),
        ("weights", target.weights),
        ("rows", f"{target.rows}; N = {rows}"),
        ("loss", f"{loss.kind}: {why}" if why else loss.kind),
    ]
    if experiment.regularization is not None:
        facts.append(("penalty", f"{experiment.regularization.kind}, on weights and not on biases"))
    if experiment.clipping is not None:
        facts.append(("clipping", experiment.clipping.kind))
    facts.append(("step", f"{optimizer.kind}, step {target.done + 1} of this training; gradients at the OLD weights"))
    return tuple(facts)


def _start_values(target: TraceTarget, step: int) -> Iterator[StartValue]:
    if step == 1:
        yield StartValue(step, "x", target.x, "the inputs, as the network sees them")
        t = target.t
        words = "the targets, as the loss sees them"
        if t.ndim == 1 and target.preprocessor.classes:
            named = [target.preprocessor.classes[int(i)] for i in t[:MAX_TARGETS_NAMED]]
            words = f"the targets: {', '.join(named)}" + ", ..." * (len(t) > MAX_TARGETS_NAMED)
        yield StartValue(step, "t", t, words)
    for path, value in target.objective.network.parameters().items():
        yield StartValue(step, path, value.copy(), "OLD" if step == 1 else f"after step {step - 1}")


def _drawn(target: TraceTarget, step: int) -> Iterator[StartValue]:
    """Yields the masks and noise that were drawn by chance in this step."""
    for bound in target.objective.network.chain(len(target.x)).walk():
        for name in bound.plan.draws:
            yield StartValue(step, f"{bound.path}.{name}", np.array(getattr(bound.frame, name)), "drawn by chance")


def _without_equation(taken: TakenStep, step: int) -> Iterator[StartValue]:
    """Yields what layers computed that no equation gives; the derivation starts from it."""
    for block in taken.layers:
        for name in block.without_equation:
            yield StartValue(
                step, f"{block.layer}.{name}", block.engine[name], f"as {block.kind} computes it: no equation"
            )


def without_equations(target: TraceTarget, taken: TakenStep) -> Iterator[Problem]:
    """Yields warnings about parts at work that have no equations; those of this package all have."""
    experiment, loss = target.experiment, target.objective.loss
    for block in taken.layers:
        if block.without_equation:
            yield _no_equations(
                block.layer, block.kind, "" if not block.program.names else f" of {', '.join(block.without_equation)}"
            )
    others: list[tuple[str, str, Sequence[Any]]] = [("loss", loss.kind, loss.equations(False))]
    others += [("penalty", p.kind, p.equations()) for p, _ in target.network_plan.penalties]
    if experiment.clipping is not None:
        others.append(("clipping", experiment.clipping.kind, experiment.clipping.equations()))
    if isinstance(experiment.optimizer, GradientOptimizer):
        rate = experiment.optimizer.learning_rate
        others.append(("learning_rate", rate.kind, rate.equations()))
    others.append(("optimizer", experiment.optimizer.kind, experiment.optimizer.equations()))
    yield from (_no_equations(path, kind, "") for path, kind, equations in others if not equations)


def _no_equations(path: str, kind: str, which: str) -> Problem:
    text = f"{kind} has no equation{which or 's'}: its numbers cannot be derived"
    help = "they stand among what is given, where the network works on with them; add `equations` to see where from"
    return Problem(text, "no-equations", (path,), help=help, level="warning")


def _line(target: TraceTarget, taken: TakenStep, found: Sequence[Quantity], step: int) -> StepLine:
    change = next(q for q in found if q.part == "change")
    parts = {e.path: e for e in target.network_plan.layout}

    def cut(flat: Array) -> dict[str, Array]:
        return {path: flat[e.where].reshape(e.shape).copy() for path, e in parts.items()}

    return StepLine(
        step=step, loss=taken.loss + taken.penalty, data_loss=taken.loss, penalty=taken.penalty, after=taken.after,
        predicted=float(change.value), norm=l2_norm(taken.gradient), clipped=taken.factor, rate=taken.rate,
        moved=l2_norm(taken.updated - taken.theta), outputs=taken.outputs, gradients=cut(taken.gradient),
        after_clipping=cut(taken.clipped), updated=cut(taken.updated), layers=tuple(_layers(taken)),
    )  # fmt: skip


def _layers(taken: TakenStep) -> Iterator[LayerLine]:
    for block in taken.layers:
        engine = block.engine
        closed, saturated = count_blocked_units(block, engine["dx"])
        count = engine["y"].size
        notes = [f"{n} of {count} {word}" for n, word in ((closed, "closed"), (saturated, "saturated")) if n]
        gradients = {name: l2_norm(a.ravel()) for name, a in engine.items()
                     if name.startswith("d") and name[1:] in block.env and name not in ("dx", "dy")}  # fmt: skip
        yield LayerLine(
            layer=block.layer, kind=block.kind, units=engine["y"].shape[1:], y=engine["y"],
            dy=np.asarray(block.env["dy"]), dx=engine["dx"],
            parameters=sum(block.env[n[1:]].size for n in gradients), gradients=gradients, note=", ".join(notes),
        )  # fmt: skip


@contextmanager
def _as_before(target: TraceTarget, taken: TakenStep) -> Iterator[None]:
    """Puts the weights, and what the passes leave in memory, back to where they were before the step, for a while."""
    objective = target.objective
    batch = objective.batch(len(target.x))
    after = objective.theta.copy()
    objective.theta[...] = taken.theta
    batch.forward(True)
    batch.backward(True)
    try:
        yield
    finally:
        objective.theta[...] = after
