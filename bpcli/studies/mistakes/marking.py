"""`bpcli mark`: a derivation made by hand, marked number by number.

The marker goes through the derivation as its author did. Where a claim is wrong, what follows is worked out anew from
the wrong number, so that a mistake counts once; and every mistake that people make is tried, until one gives the very
number that is claimed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bpcli.engine.divergence import NonFiniteError
from bpcli.family.plan import Array
from bpcli.notation.worked import work_out_entry
from bpcli.numeric.vectors import EPS
from bpcli.records.trace import Cause, Mark, Marks, Quantity, Stage
from bpcli.records.training import Exit, Failure, Problem
from bpcli.studies.mistakes.addresses import Addresses, ClaimedEntry
from bpcli.studies.mistakes.claim_hypotheses import claim_hypotheses, likeliness
from bpcli.studies.mistakes.claims import Claim
from bpcli.studies.mistakes.hypotheses import Hypothesis
from bpcli.studies.trace.derive_step import without_equations
from bpcli.studies.trace.graph import LOSS_AFTER, START, NodeKey, NodeValues, StepGraph
from bpcli.studies.trace.open import TraceTarget
from bpcli.studies.trace.quantities import EntryChoice, quantities
from bpcli.studies.trace.selection import network_summary
from bpcli.studies.trace.step_blocks import take_step

MAX_ACCIDENT_PROBABILITY = 0.05  # probability that a mistake fits by accident, above which none is named
MAX_CAUSES = 3  # causes named of one claim
MAX_NODES_BACK = 12  # nodes back to which an error is looked for that no claim shows
FEW_DIGITS = 4  # significant digits; many mistakes give a number with fewer
MAX_SEARCHED_ENTRIES = 20_000  # entries of an array in which mistakes are looked for


def mark(target: TraceTarget, claims: Sequence[Claim], file: str = "", *, ascii: bool = False) -> Marks:
    """Marks claims about the next training step of a target. Raises Failure: exit 65 where a claim names nothing, 3
    where the step is not finite."""
    network = network_summary(target.network_plan)
    facts = (("network", network), ("weights", target.weights), ("rows", target.rows))
    try:
        taken = take_step(target)
    except NonFiniteError as error:
        where = f"{error.layer}.{error.tensor}" if error.layer else error.tensor
        problem = Problem(f"there is nothing to mark: {where} ({error.what}) is not finite", "diverged")
        raise Failure(problem, exit=Exit.BAD_RESULT) from None
    computed = list(quantities(taken, 1, EntryChoice(entries=0)))
    graph = StepGraph(target, taken)
    marker = _Marker(graph, Addresses(graph, computed).entries_of(claims), computed, ascii)
    wrong = tuple(q.path for q in computed if not q.agrees)
    warnings = (*target.warnings, *without_equations(target, taken))
    return Marks(target.name, file, facts, tuple(marker.marks()), wrong, warnings)


@dataclass(frozen=True)
class _Explanation:
    """A mistake in `where`, and what it gives in the quantity that is looked at."""

    hypothesis: Hypothesis
    where: NodeKey
    distance: int
    value: Array
    agree: int  # claims of that quantity that it explains
    wrong: int  # wrong ones among them


class _Scenario:
    """The arrays of the step with claimed numbers in them (`pins`), and what follows from these."""

    def __init__(self, graph: StepGraph) -> None:
        self.graph = graph
        self.values: NodeValues = dict(graph.truth)
        self.changed: set[NodeKey] = set()
        self.pins: dict[NodeKey, dict[int, float]] = {}

    def copy(self) -> _Scenario:
        """Returns a copy that can be changed on its own."""
        other = _Scenario(self.graph)
        other.values, other.changed = dict(self.values), set(self.changed)
        other.pins = {key: dict(pins) for key, pins in self.pins.items()}
        return other

    def recomputed(self, key: NodeKey) -> Array:
        """Returns a node's array, computed from the numbers before it."""
        if key[0] != START and self.graph.reads(key) & self.changed:
            return self.graph.value(key, self.values)
        return self.values[key]

    def set_array(self, key: NodeKey, value: Array) -> None:
        """Gives a node its array, but for the numbers that are pinned."""
        pins = self.pins.get(key)
        if pins:
            value = np.array(value, dtype=np.float64)
            value.reshape(-1)[list(pins)] = list(pins.values())
        if not np.array_equal(value, self.values[key], equal_nan=True):
            self.values[key] = value
            self.changed.add(key)

    def recompute(self, keys: Sequence[NodeKey]) -> None:
        """Works nodes out anew, in their order, as far as anything has changed before them."""
        for key in keys:
            self.set_array(key, self.recomputed(key))


class _Marker:
    """Goes through a derivation and marks the claims on the way."""

    def __init__(
        self, graph: StepGraph, entries: Sequence[ClaimedEntry], computed: Sequence[Quantity], ascii: bool
    ) -> None:
        self.graph, self.ascii = graph, ascii
        self.keys = list(graph.truth)
        self.claimed: dict[NodeKey, list[ClaimedEntry]] = {}
        for t in entries:
            self.claimed.setdefault(t.key, []).append(t)
        self.computed = computed
        self.scenario = _Scenario(graph)  # with the numbers that were meant, as far as that is known
        self.written = _Scenario(graph)  # with the numbers as they are written
        self.reached = 0  # how far `written` is worked out
        self.erred = False

    def marks(self) -> Iterator[Mark]:
        """Yields every claim marked, in the order of the derivation."""
        for key in self.keys:
            base = self.scenario.recomputed(key)
            entries = self.claimed.get(key)
            if entries is None:
                self.scenario.set_array(key, base)
                continue
            self.scenario.values[key] = base
            yield from self._mark(key, base, entries)

    def _mark(self, key: NodeKey, base: Array, entries: Sequence[ClaimedEntry]) -> Iterator[Mark]:
        truth, floor = self.graph.truth[key].reshape(-1), self._floor(key)
        recomputed = base.reshape(-1)
        verdicts: dict[int, str] = {}
        pins: dict[int, float] = {}
        for t in entries:
            if t.claim.fits(truth[t.index], floor):
                verdicts[t.index] = "right"
                pins[t.index] = recomputed[t.index] if t.claim.fits(recomputed[t.index], floor) else truth[t.index]
            elif t.claim.fits(recomputed[t.index], floor):
                verdicts[t.index], pins[t.index] = "follows", recomputed[t.index]
            elif self.erred and t.claim.fits(self._as_written(key).reshape(-1)[t.index], floor):
                verdicts[t.index], pins[t.index] = "follows", t.claim.value
            else:
                verdicts[t.index] = "wrong"
        wrong = [t for t in entries if verdicts[t.index] == "wrong"]
        found = self._explanations(key, base, entries, wrong, floor) if wrong else []
        causes: dict[int, list[_Explanation]] = {}
        for t in wrong:
            fitting = [f for f in found if t.claim.fits(f.value.reshape(-1)[t.index], floor)]
            causes[t.index] = _distinct(fitting)
            pins[t.index] = float(fitting[0].value.reshape(-1)[t.index]) if fitting else t.claim.value
        self.erred |= bool(wrong)
        self._adopt(key, base, found, entries)
        self.scenario.pins[key] = pins
        adopted = self.scenario.values[key]
        self.scenario.values[key] = self.graph.truth[key]
        self.scenario.set_array(key, adopted)
        for t in entries:
            i = t.index
            yield self._mark_of(t, verdicts[i], float(truth[i]), float(recomputed[i]), causes.get(i, []))

    def _adopt(self, key: NodeKey, base: Array, found: Sequence[_Explanation], entries: Sequence[ClaimedEntry]) -> None:
        """Applies the mistake to the unclaimed entries, where one explains all claims of a quantity."""
        best = next(iter(found), None)
        if best is None or best.agree < len(entries):
            return
        if best.where == key:
            self.scenario.values[key] = best.value
            return
        self.scenario.set_array(best.where, best.hypothesis.value)
        self.scenario.recompute(self.keys[self.graph.order[best.where] + 1 : self.graph.order[key]])
        self.scenario.values[key] = best.value

    def _as_written(self, key: NodeKey) -> Array:
        """Returns a node's array, computed from the claims with the rounding they are written with."""
        for before in self.keys[self.reached : self.graph.order[key]]:
            self.written.pins[before] = {t.index: t.claim.value for t in self.claimed.get(before, ())}
            self.written.recompute([before])
        self.reached = max(self.reached, self.graph.order[key])
        return self.written.recomputed(key)

    def _floor(self, key: NodeKey) -> float:
        """Returns the tolerance due to summation order."""
        return 64 * EPS * (self.graph.nodes[key].block.largest if key in self.graph.nodes else 1.0)

    # --------------------------------------------------------------------------------------------------------- causes
    def _explanations(
        self, key: NodeKey, base: Array, entries: Sequence[ClaimedEntry], wrong: Sequence[ClaimedEntry], floor: float
    ) -> list[_Explanation]:
        """Returns the mistakes that explain at least one of the wrong claims, the likeliest first."""
        if key[0] == START or base.size > MAX_SEARCHED_ENTRIES:
            return []
        found: list[tuple[int, _Explanation]] = []
        for tried, (where, distance, hypothesis, value) in enumerate(self._guesses(key, base), start=1):
            flat = value.reshape(-1)
            explained = [t for t in wrong if t.claim.fits(flat[t.index], floor)]
            if explained:
                agree = sum(t.claim.fits(flat[t.index], floor) for t in entries)
                found.append((tried, _Explanation(hypothesis, where, distance, value, agree, len(explained))))
        likely = [f for n, f in found if self._chance(n, f, wrong, floor) < MAX_ACCIDENT_PROBABILITY]
        return sorted(likely, key=lambda f: (-f.agree, likeliness(f.hypothesis), f.distance))

    def _guesses(self, key: NodeKey, base: Array) -> Iterator[tuple[NodeKey, int, Hypothesis, Array]]:
        """Yields every mistake in a quantity and in the unclaimed arrays it is computed from; with the array that it
        leads to."""
        ahead: list[NodeValues] = []

        def later() -> NodeValues:
            if not ahead:
                scenario = self.scenario.copy()
                scenario.recompute(self.keys[self.graph.order[key] :])
                ahead.append(scenario.values)
            return ahead[0]

        own = [(g, g.value) for g in claim_hypotheses(self.graph, key, self.scenario.values, later)]
        written = self._as_written(key)
        text = "it is computed from the numbers before it as they are written, rounded"
        own.append((Hypothesis("rounding", text, written), written))
        for hypothesis, value in sorted(own, key=lambda pair: likeliness(pair[0])):
            yield key, 0, hypothesis, value
        for where, distance in self._unclaimed_sources(key):
            for hypothesis in sorted(claim_hypotheses(self.graph, where, self.scenario.values, later), key=likeliness):
                if hypothesis.code == "rounding" or np.array_equal(hypothesis.value, self.scenario.values[where]):
                    continue
                scenario = self.scenario.copy()
                scenario.set_array(where, hypothesis.value)
                scenario.recompute(self.keys[self.graph.order[where] + 1 : self.graph.order[key]])
                value = scenario.recomputed(key)
                if value is not base:
                    yield where, distance, hypothesis, value

    def _unclaimed_sources(self, key: NodeKey) -> list[tuple[NodeKey, int]]:
        """Returns what a node is computed from and nobody claims in full, the nearest first."""
        found: dict[NodeKey, int] = {}
        waiting = [(key, 0)]
        while waiting:
            at, distance = waiting.pop(0)
            for before in sorted(self.graph.reads(at), key=lambda k: -self.graph.order[k]):
                size = self.scenario.values[before].size
                hidden = len(self.claimed.get(before, ())) < size <= MAX_SEARCHED_ENTRIES
                if hidden and before not in found and before[0] not in (START, "schedule"):
                    found[before] = distance + 1
                    if distance + 1 < MAX_NODES_BACK:
                        waiting.append((before, distance + 1))
        return sorted(found.items(), key=lambda item: item[1])

    def _chance(self, tried: int, found: _Explanation, wrong: Sequence[ClaimedEntry], floor: float) -> float:
        """Returns the probability that one of so many mistakes fits the written digits by accident."""
        chance = float(tried)
        flat = found.value.reshape(-1)
        for t in wrong:
            if t.claim.fits(flat[t.index], floor):
                size = max(abs(t.claim.value), abs(float(self.graph.truth[t.key].reshape(-1)[t.index])), 1e-300)
                chance *= min(1.0, 0.75 * t.claim.half_width / size)  # 1.5 units of the last digit, of 4 sizes
        return chance

    # ---------------------------------------------------------------------------------------------------------- words
    def _mark_of(
        self, t: ClaimedEntry, verdict: str, truth: float, recomputed: float, found: Sequence[_Explanation]
    ) -> Mark:
        causes = tuple(Cause(f.hypothesis.code, f.hypothesis.text, self._claim_name(f.where, t)) for f in found)
        others = Stage.REPEAT if t.key == LOSS_AFTER else Stage.INITIALIZE
        stage = self.graph.nodes[t.key].stage if t.key in self.graph.nodes else others
        note = ""
        if verdict == "wrong" and t.key[0] == START:
            note = "it is given, not worked out: copy it from the network"
        elif verdict == "wrong" and not causes:
            note = f"it is {t.claim.value / truth:.4g} times the right number" if truth else "the right number is 0"
            note += "; more digits would show more" if t.claim.digits < FEW_DIGITS else ""
        return Mark(
            name=t.claim.name, address=t.address, stage=stage, line=t.claim.position.line, written=t.claim.written,
            value=t.claim.value, right=truth, verdict=verdict, expected=recomputed, causes=causes,
            worked=self._worked(t) if verdict == "wrong" else "", note=note,
        )  # fmt: skip

    def _worked(self, t: ClaimedEntry) -> str:
        """Returns the line of the derivation that a claim is about."""
        node = self.graph.nodes.get(t.key)
        if node is None:
            return ""
        at = tuple(int(i) for i in np.unravel_index(t.index, node.grid.shape)) if node.grid.shape else ()
        line = work_out_entry(node.grid, node.base, at, ascii=self.ascii)
        return f"{t.address} {line.line[len(line.left) :].lstrip()}"

    def _claim_name(self, key: NodeKey, t: ClaimedEntry) -> str:
        """Returns how claims call a node; of all weights at once, those that the claim is about."""
        if key == t.key:
            return t.address
        own = [q for q in self.computed if key in ((q.part, q.tensor or q.layer, q.name), (q.part, q.layer, q.name))]
        near = [q for q in own if q.tensor and t.address.startswith(q.tensor)]
        return (near or own)[0].path


def _distinct(found: Sequence[_Explanation]) -> list[_Explanation]:
    """Returns the likeliest explanation of each kind, at most MAX_CAUSES."""
    kinds: dict[str, _Explanation] = {}
    for f in found:
        kinds.setdefault(f.hypothesis.code, f)
    return list(kinds.values())[:MAX_CAUSES]
