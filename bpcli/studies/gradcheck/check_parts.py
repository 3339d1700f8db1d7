"""Parts under the laws: the whole registry in a table, and a part of one's own in a network made for it."""

import inspect
import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
from pydantic import ValidationError

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.engine.network_plan import plan_network
from bpcli.engine.objective import Objective
from bpcli.family import Activation, Array, Layer, Loss, Part, Regularizer, Sample
from bpcli.family.part import families
from bpcli.numeric.streams import Stream
from bpcli.records.gradcheck import GradcheckReport, PartVerdict, TensorRow
from bpcli.records.training import Failure, Problem
from bpcli.studies.custom.contract import examine
from bpcli.studies.gradcheck.check import GradcheckTarget, check_gradients
from bpcli.studies.gradcheck.part_shapes import MULTIPLES, with_shapes
from bpcli.studies.witness.cases import DifferentiableCase, cases, states_equations

ROWS, OUTPUTS = (5,), (4,)  # of the network in which a loss or a penalty is checked
CHECKED_ROWS = 7  # rows of the small network in which a part is checked; a check takes 3, 5 or 7
TRIAL_SHAPES: tuple[tuple[int, ...], ...] = ((5,), (4, 2), (5, 4, 2))
"""Rows that a layer without samples is tried on: what it takes of numbers, sequences and images."""
SAMPLES = (
    "`def samples(cls): yield Sample(cls(...), (5,))` below a line `@classmethod`, "
    "and `from bpcli.custom import Sample` at the top"
)


def parts_with_laws() -> Iterator[type[Part]]:
    """Yields every registered part that has laws, once."""
    found: dict[type[Part], None] = {}
    for family in families():
        found |= dict.fromkeys(family.registry.values())
    for leaf in found:
        if any(cases(s) for s in _samples(leaf)[:1]):
            yield leaf


def check_registry() -> tuple[PartVerdict, ...]:
    """Checks the laws of every part."""
    return tuple(check_part(leaf) for leaf in parts_with_laws())


def check_part(leaf: type[Part]) -> PartVerdict:
    """Checks one part: kernel, equations, complex step and differences on all its samples; without equations, a layer
    by differences alone and another part not at all."""
    samples = _samples(leaf)
    judged = [s for s in samples if issubclass(leaf, Layer) or states_equations(s)]
    notes: tuple[str, ...] = ()
    if not all(map(states_equations, samples)):
        what = "its kernels are held against differences alone" if judged else "nothing that it does can be proven"
        notes = (f"no equations are stated for {kind(leaf)}: {what}",)
    with np.errstate(all="ignore"):
        proven = [case for sample in judged for case in cases(sample)]
        gaps = [gap for case in proven for gap in case.gaps(case.kernel())]
        gaps += [gap for case in proven if isinstance(case, DifferentiableCase) for gap in case.functions()]
    worst, at, verdict = 0.0, ("", ""), "ok" if judged else "not covered"
    for gap in (g for g in gaps if g.verdict != "kink"):
        share = gap.worst / max(gap.allowed, 1e-300)
        verdict = "WRONG" if gap.verdict == "WRONG" else verdict
        if share >= worst:
            worst, at = share, (gap.tensor, gap.right)
    return PartVerdict(
        leaf.family, kind(leaf), Path(inspect.getfile(leaf)).name, len(samples), len(gaps), worst, *at, verdict,
        notes=notes,
    )  # fmt: skip


def kind(leaf: type[Part]) -> str:
    """Returns what a part is called in a file."""
    return str(leaf.model_fields["type"].default)


def check_own(leaf: type[Part], seed: int = 0) -> GradcheckReport:
    """Checks a part of one's own: layers, losses and penalties in a network made for them, everything else by its laws.

    Raises Failure where it cannot be made, takes no rows, or breaks a rule of its family.
    """
    part = _made(leaf)
    if not isinstance(part, Layer | Loss | Regularizer):
        warnings = _examined(part, (7,))
        return replace(_laws_only(leaf, part, seed), warnings=warnings)
    samples = _samples_of_layer(part) if isinstance(part, Layer) else [Sample(part, OUTPUTS)]
    checked, x = _target_around(samples[0], seed)
    warnings = _examined(part, x)
    report = replace(check_gradients(checked, seed), warnings=warnings)
    if isinstance(part, Layer | Loss):
        return with_shapes(report, samples, lambda sample: _target_around(sample, seed)[0], seed)
    return report


def _examined(part: Part, x: tuple[int, ...]) -> tuple[Problem, ...]:
    """Returns what is right but slow. Raises Failure where a rule of the family is broken."""
    problems = examine(part, x)
    if any(p.level == "error" for p in problems):
        raise Failure(*problems)
    return problems


def _laws_only(leaf: type[Part], part: Part, seed: int) -> GradcheckReport:
    """Checks what an optimizer, a clipper, a schedule or a constraint does in a step, against its equations. Without
    them it is not covered; of a family that has none nothing is compared."""
    rows: list[TensorRow] = []
    for case in (c for s in _samples(leaf) for c in cases(s, seed=seed) if states_equations(s)):
        for gap in case.gaps(case.kernel()):
            unit = max(*map(abs, gap.values), 1e-300)
            worst = gap.worst / unit
            rows.append(
                TensorRow(
                    "step", f"{part.kind}.{gap.tensor}", 1, 1, worst, gap.index, *gap.values, gap.right, "random",
                    gap.verdict, {gap.right: worst}, bars={gap.right: gap.allowed / unit},
                )
            )  # fmt: skip
    notes: tuple[str, ...] = ()
    if not rows and any(map(cases, _samples(leaf))):
        notes = ("it has no equations, so what it does in a step cannot be proven",)
        rows = [TensorRow("step", f"{part.kind}, every step", 0, 1, 0.0, (), math.nan, math.nan, "", "", "not covered")]
    elif not rows:
        notes = (f"a part of the family {part.family} has no gradient and no equations to compare with",)
    found = tuple(rows)
    compared = sum(row.entries for row in found)
    return GradcheckReport(part.kind, "random", "no rows", 0, 0, ("random",), seed, found, (), (), notes, compared, 0.0)


def _declared(leaf: type[Part]) -> list[Sample]:
    """Returns the good samples that a part declares of itself."""
    return [s for s in leaf.samples() if not s.error and isinstance(s.part, leaf)]


def _samples(leaf: type[Part]) -> list[Sample]:
    """Returns the good samples that a part declares, or the part as it is by default."""
    try:
        return _declared(leaf) or [Sample(leaf.parse({"type": kind(leaf)}), (7,))]
    except ValidationError:
        return []


def _made(leaf: type[Part]) -> Part:
    """Returns the part of the first sample, or a part with its default settings."""
    try:
        return next((s.part for s in _declared(leaf)), None) or leaf.parse({"type": kind(leaf)})
    except ValidationError as error:
        needed = ", ".join(str(e["loc"][0]) for e in error.errors() if e["loc"])
        text = f"{leaf.__name__} cannot be made without settings ({needed})"
        help = f"give them defaults, or declare one case: {SAMPLES}"
        raise Failure(Problem(text, code="own-part", file=inspect.getfile(leaf), help=help)) from None


def first_sample(leaf: type[Part]) -> Sample:
    """Returns the first case of a layer, a loss or a penalty: one that it declares, or one that it takes.

    Raises Failure where it cannot be made without settings, or takes no rows that are tried.
    """
    part = _made(leaf)
    return next(
        iter(_declared(leaf) if not isinstance(part, Layer) else _samples_of_layer(part)), Sample(part, OUTPUTS)
    )


def _target_around(sample: Sample, seed: int) -> tuple[GradcheckTarget, tuple[int, ...]]:
    """Returns a network around the part of a sample, with its rows or random ones; and the shape of the rows that the
    part gets."""
    part = sample.part
    rng = Stream(seed, "gradcheck", "own part").at()
    outputs = sample.x if isinstance(part, Loss) else OUTPUTS
    dense = Layer.parse({"type": "dense", "units": outputs[-1]})
    rows = sample.x if isinstance(part, Layer) else ROWS
    loss = part if isinstance(part, Loss) else Loss.parse("squared_error")
    penalty = part if isinstance(part, Regularizer) else None
    layers = [part if isinstance(part, Layer) else dense]
    y = plan_network(layers, rows, penalty).y
    if len(y) != 1:
        layers.append(Layer.parse("flatten"))
    elif isinstance(part, Layer) and not isinstance(part, Activation) and len(rows) == 1:
        layers.append(dense)
    network_plan = plan_network(layers, rows, penalty)
    objective = Objective(network_plan, loss, CHECKED_ROWS, np.float64, seed, retain=True, need_dx=True)
    x = rng.normal(size=(CHECKED_ROWS, *rows)) * sample.scale
    tokens = min((node.plan.tokens for node in network_plan.walk() if node.plan.tokens), default=0)
    if tokens:
        x = rng.integers(0, tokens, x.shape).astype(np.float64)
    if "x" in sample.inputs:
        x = np.resize(np.asarray(sample.inputs["x"], np.float64), x.shape)
    for name in sample.inputs.keys() - {"x"}:
        objective.network.parameters()[f"{network_plan.layers[0].path}.{name}"][...] = sample.inputs[name]
    checked = GradcheckTarget(part.kind, objective, x, _targets(objective, loss, rng), "random", "random numbers")
    return checked, (network_plan.y if isinstance(part, Loss) else rows)


def _targets(objective: Objective, loss: Loss, rng: np.random.Generator) -> Array:
    rows, width = CHECKED_ROWS, objective.plan.y[-1]
    if loss.targets == "classes":
        return rng.integers(0, max(width, 2), rows)
    return rng.uniform(0.1, 0.9, (rows, *objective.plan.y))


def _samples_of_layer(part: Layer) -> list[Sample]:
    """Returns the cases that the layer declares, or rows of the first of the usual shapes that it takes."""
    if declared := _declared(type(part)):
        return declared
    refused = ""
    for factor, shape in product(MULTIPLES, TRIAL_SHAPES):
        try:
            part.plan(x := tuple(factor * d for d in shape))
        except ValueError as error:
            refused = refused or str(error)
        else:
            return [Sample(part, x)]
    help = f"declare a case that it takes: {SAMPLES}"
    text = f"{type(part).__name__} takes none of the rows {', '.join(map(str, TRIAL_SHAPES))}: {refused}"
    raise Failure(Problem(text, code="own-part", file=inspect.getfile(type(part)), help=help))
