"""Worksheets: a derivation whose results are to be filled in, in as many variants as there are seeds, each with the key
that marks it."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bpcli.engine.step import FirstOrderStep
from bpcli.family import Activation, Param
from bpcli.notation.evaluate import CONSTANTS
from bpcli.notation.syntax import letters_used, reads
from bpcli.numeric.shapes import Array
from bpcli.numeric.streams import Stream
from bpcli.records.trace import Blank, Derivation, Quantity, StartValue, Worksheet
from bpcli.records.training import Exit, Failure, Problem
from bpcli.studies.trace.derive_step import View, derive
from bpcli.studies.trace.open import TraceTarget
from bpcli.studies.witness.cases import equation_env

CONNECTED_NAMES = {"x", "dy", "t", "L", "penalty", "data", "own", "g", "w", "w_new", "lr"}
"""What equations of one part read of another's results; and so they do what the chains in a container make."""

MAX_DRAWS = 50  # variants drawn until one has no dead weights
ZERO_WEIGHTS_SPAN = 0.5  # largest new weight where all weights start at 0
KINK_DISTANCE = 1e-9  # an activation's input closer to 0 stands between two branches


def worksheet(target: TraceTarget, seed: int, view: View, command: str) -> Worksheet:
    """Returns the next step of a target as a worksheet, after `draw_variant`; `command` is what marks it.

    Every entry that the view works out is a blank. The exceptions are the learning rate and what leans on numbers that
    no equation gives (a line search's), which are shown, and a gradient without its penalty, since claims call by its
    name the one with the penalty. Raises Failure where nothing is worked out, and as `derive` does.
    """
    draw_variant(target, seed)
    arrays = _memory(target)
    d = derive(target, replace(view, detail="neuron", steps=1))
    d = replace(d, start_values=(*d.start_values, *_settings(target, d, arrays)))
    known = frozenset(g.path for g in d.start_values)
    shown = frozenset(q.id for q in d.quantities if q.part == "schedule" or not _solvable(q, d.quantities, known))
    entries = [(q, e) for q in d.quantities for e in q.entries if q.id not in shown]
    last = {e.name: q.id for q, e in entries}
    checked = [(q, e) for q, e in entries if last[e.name] == q.id]
    if not checked:
        text = "a worksheet needs numbers that are worked out, and here are none"
        raise Failure(Problem(text, code="no-blanks", help="leave out --elide and --layer"), exit=Exit.USAGE)
    blanks = tuple(Blank(i, q.id, e.name, _typed(e.worked.result)) for i, (q, e) in enumerate(checked, start=1))
    variant = f"variant {seed}" if seed else "the network as it is"
    head = f"# The answers to the worksheet of {d.name}: {variant} (--seed {seed}).\n# Marked by: {command}\n"
    key = head + "".join(f"{b.name}: {b.answer}\n" for b in blanks)
    return Worksheet(d, seed, blanks, shown, key, command)


def _typed(result: str) -> str:
    """Returns a printed result as YAML has it."""
    return result.replace("−", "-").replace("∞", "inf").replace("inf", ".inf").replace("nan", ".nan")


# ------------------------------------------------------------------------------------------------------------ variants
def draw_variant(target: TraceTarget, seed: int) -> None:
    """Gives a target, in place, weights and inputs that are easy to compute with: multiples of 0.1, or of another
    power of ten that suits their size, between the ends of those it has. Seed 0 leaves them as they are.

    The same seed gives the same numbers. Of 50 draws the first is taken in which every weight tensor moves the loss and
    no activation stands on its edge; if there is none, the last.
    """
    if not seed:
        return
    theta, x = target.objective.theta.copy(), target.x.copy()
    stream = Stream(seed, "worksheet")
    for attempt in range(MAX_DRAWS):
        for number, e in enumerate(target.network_plan.layout):
            low, high = _weight_range(theta[e.where], e.param)
            target.objective.theta[e.where] = _round_multiples(stream.at(attempt, number).random(e.size), low, high)
        drawn = stream.at(attempt, len(target.network_plan.layout)).random(x.size).reshape(x.shape)
        low, high = float(x.min()), float(x.max())
        if target.network_plan.tokens:
            target.x[...] = low + np.floor(drawn * (high - low + 1))
        else:
            target.x[...] = _round_multiples(drawn, *((low, high) if low < high else (-(abs(low) or 1), abs(low) or 1)))
        if _is_usable(target):
            break
    target.weights = f"drawn for variant {seed} of the worksheet"
    target.rows += f", with inputs drawn for variant {seed}"


def _weight_range(w: Array, param: Param) -> tuple[float, float]:
    """Returns the range of new weights: weights to both sides of 0, gains about where they are."""
    size = min(float(np.abs(w).max()), 2.0) or ZERO_WEIGHTS_SPAN
    if not param.decays and w.min() > 0:
        return 0.5 * float(w.min()), 1.5 * float(w.max())
    return -size, size


def _round_multiples(drawn: Array, low: float, high: float) -> Array:
    """Returns numbers in [0, 1) as multiples of a power of ten between low and high, 0 left out."""
    power = math.floor(math.log10((high - low) / 5))
    first, last = (round(end / 10.0**power, 6) for end in (low, high))
    choices = np.arange(math.ceil(first), math.floor(last) + 1)
    choices = choices[choices != 0]
    picked = choices[(drawn * len(choices)).astype(int)]
    multiples: Array = picked * 10.0**power if power >= 0 else picked / 10.0**-power
    return multiples


def _is_usable(target: TraceTarget) -> bool:
    """Whether every tensor of weights moves the loss, and no activation stands on its edge."""
    objective, n = target.objective, len(target.x)
    batch = objective.batch(n)
    batch.load(target.x, target.t, np.arange(n))
    if objective.network.draws:
        objective.network.draw(batch.chain, target.done)
    with np.errstate(all="ignore"):
        loss = batch.forward(True)
        batch.backward(True)
    moved = all(objective.grad[e.where].any() for e in target.network_plan.layout)
    edges = (k.frame.x for k in batch.chain.walk() if isinstance(k.layer, Activation))
    return moved and math.isfinite(loss) and not any((np.abs(x) < KINK_DISTANCE).any() for x in edges)


# ------------------------------------------------------------------------------------------------- what has to be given
StepMemory = Mapping[tuple[str, str], Array]


def _memory(target: TraceTarget) -> StepMemory:
    """Returns what optimizer, clipper and layers remember before the step, by part or layer and name."""
    train_step = target.train_step
    kept = {("optimizer", name): a.copy() for name, a in train_step.slots.items()}
    kept |= {("clipping", name): a.copy() for name, a in train_step.clip_state.items()}
    for bound in target.objective.network.chain(len(target.x)).walk():
        kept |= {(bound.path, name): np.array(getattr(bound.frame, name)) for name in bound.plan.state}
    return kept


def _settings(target: TraceTarget, d: Derivation, memory: StepMemory) -> Iterator[StartValue]:
    """Yields the settings and memories that the equations read, which a trace shows where it puts the numbers in."""
    seen = set()
    for q in d.quantities:
        if not q.entries or q.part == "schedule":
            continue
        owner = q.layer or q.part
        constants = _constants(target, q)
        for name in sorted(reads(q.equation)):
            path = f"{owner}.{name}"
            if path in seen:
                continue
            if (owner, name) in memory:
                seen.add(path)
                yield from _remembered(target, path, memory[owner, name])
            elif name in constants:
                seen.add(path)
                yield StartValue(q.step, path, np.asarray(constants[name]), "a setting")


def _solvable(q: Quantity, quantities: Sequence[Quantity], known: frozenset[str]) -> bool:
    """Whether all that its equation reads is given or computed."""
    computed = {o.name for o in quantities if (o.part, o.layer) == (q.part, q.layer)}
    names = reads(q.equation) - letters_used(q.equation) - computed - CONNECTED_NAMES - set(CONSTANTS)
    paths = {name: {f"{q.layer or q.part}.{name}", f"{q.tensor}.{name}"} for name in names}
    return all(paths[name] & known or name.endswith(("_y", "_dx")) for name in names)


def _remembered(target: TraceTarget, path: str, array: Array) -> Iterator[StartValue]:
    """Yields memory as it is before the step; that of an optimizer is one number if it is 0 everywhere, else by
    tensor."""
    if not np.any(array):
        yield StartValue(1, path, np.asarray(0.0), "remembered: 0 everywhere before the step")
    elif path.startswith("optimizer."):
        for e in target.network_plan.layout:
            name = path.removeprefix("optimizer.")
            yield StartValue(1, f"{e.path}.{name}", array[e.where].reshape(e.shape), "remembered from the steps before")
    else:
        yield StartValue(1, path, array, "remembered from the steps before")


def _constants(target: TraceTarget, q: Quantity) -> Mapping[str, Any]:
    """Returns the numbers by name that the equations of a quantity's part may read."""
    train_step, objective = target.train_step, target.objective
    match q.part:
        case "layer":
            bound = next(k for k in objective.network.chain(len(target.x)).walk() if k.path == q.layer)
            return {name: v for name, v in equation_env(bound).items() if np.ndim(v) == 0}
        case "loss":
            return {"K": objective.batch(len(target.x)).t.shape[-1], **objective.plan.consts}
        case "penalty":
            number = int(q.layer.rpartition("_")[2]) - 1 if "_" in q.layer else 0
            return target.network_plan.penalties[number][0].consts()
        case "clipping" if isinstance(train_step, FirstOrderStep) and train_step.clipper is not None:
            return train_step.clipper.consts()
        case "optimizer":
            decaying = {"D": target.network_plan.decaying, "t": target.done}
            return {**target.experiment.optimizer.consts(), **decaying}
        case "constraint" if isinstance(train_step, FirstOrderStep):
            return next(own.consts() for own, path, _ in train_step.constrained if path == q.tensor)
    return {}
