"""`gradcheck`: every gradient of a network against its witnesses."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from bpcli.engine.network import BoundLayer
from bpcli.engine.network_plan import PlannedLayer
from bpcli.engine.objective import Objective
from bpcli.engine.state import restore, snapshot
from bpcli.family import Array, Layer
from bpcli.numeric.streams import Stream
from bpcli.records.gradcheck import Finding, GradcheckReport, LawRow, LayerLaws, TensorRow
from bpcli.records.training import Problem
from bpcli.studies.gradcheck.ask_witnesses import ask_witnesses
from bpcli.studies.gradcheck.diagnosis_sentences import sentence
from bpcli.studies.gradcheck.explain_gradient import (
    explain_gradient,
    layer_clues,
    loss_clues,
    merged,
    penalty_clues,
    tensor_row,
)
from bpcli.studies.gradcheck.find_mistake import Clues
from bpcli.studies.gradcheck.forward_equations import has_equations
from bpcli.studies.gradcheck.laws import laws
from bpcli.studies.gradcheck.layer_laws.beside_others import SpreadEffort
from bpcli.studies.gradcheck.layer_laws.check_layer import LAW_SIZES, LayerCheck, check_layer, mismatch_row
from bpcli.studies.gradcheck.layer_laws.loss_rows import compare_loss_floats, compare_loss_rows, loss_row
from bpcli.studies.gradcheck.layer_laws.row_law import RowMismatch
from bpcli.studies.gradcheck.layer_laws.row_sentences import describe_values
from bpcli.studies.gradcheck.layer_point import (
    DATA,
    EVALUATION,
    OWN_POINTS,
    PART_POINTS,
    POINTS,
    RANDOM,
    SATURATED,
    ZEROS,
    ForwardMismatch,
    LayerPoint,
    is_own,
)
from bpcli.studies.gradcheck.loss_point import LossPoint, PenaltyPoint, penalties
from bpcli.studies.gradcheck.network_point import NetworkPoint, perturb_weights
from bpcli.studies.run.model import ROWS_PER_BATCH
from bpcli.studies.trace.open import TraceTarget
from bpcli.studies.witness.evidence import CheckedGradient, Effort

BATCH_SIZES = (3, 5, 7)
"""Rows to try: the first number that is no width of the network, so that no transposed array fits by chance."""
MAX_PARAMETERS = 25_000  # parameters of a network, up to which each of them is looked at
MAX_ENTRIES_ALONE = 10_000  # entries of a tensor that differences look at one by one where equations look at all
HEAVY_SECONDS = 2e-3  # seconds of a forward pass, from which on a point is looked at in fewer ways
OWN_ENTRIES = 67
"""Entries of each tensor by which differences look at a layer of one's own at more points: one in each of 65 columns at
least."""
THOROUGH_SECONDS, BRIEF_SECONDS = 1.2, 0.15  # seconds that the differences of one tensor may take, about
NETWORK_SECONDS = 3.0  # seconds that the differences of the whole network may take, about


@dataclass(frozen=True, eq=False)
class GradcheckTarget:
    """What is checked: an objective whose network keeps all its arrays, and rows, encoded; `weights` and `rows` say in
    words where both come from."""

    name: str
    objective: Objective
    x: Array
    t: Array
    weights: str
    rows: str
    warnings: tuple[Problem, ...] = ()


@dataclass(eq=False)
class Gradcheck:
    """A gradient check under way."""

    target: TraceTarget | GradcheckTarget
    seed: int = 0
    notify: Callable[[str], None] = lambda what: None  # is called with what is checked next
    tensor_rows: dict[tuple[str, str], list[TensorRow]] = field(default_factory=dict)
    mismatches: dict[str, tuple[ForwardMismatch, str]] = field(default_factory=dict)
    findings: dict[str, Finding] = field(default_factory=dict)
    infinite: list[str] = field(default_factory=list)  # points at which the loss is
    layers: list[LayerLaws] = field(default_factory=list)
    evaluations: int = 0

    def __post_init__(self) -> None:
        objective = self.target.objective
        self.objective, self.network = objective, objective.network
        widths = {d for node in objective.network.network_plan.walk() for d in (*node.x, *node.plan.y)}
        fitting = [n for n in BATCH_SIZES if n not in widths] or [BATCH_SIZES[0]]
        self.n = min(fitting[0], len(self.target.x))
        self.batch = objective.batch(self.n)
        self.rng = Stream(self.seed, "gradcheck", "entries").at()
        self.theta = objective.theta.copy()
        self.states = snapshot(self.network.states)

    def report(self) -> GradcheckReport:
        """Checks everything, in order: each layer alone, the loss and the penalties, the whole network, the laws."""
        began = time.perf_counter()
        with np.errstate(all="ignore"):
            begun = self._layers_at_random()
            self._load()
            self.network.draw(self.batch.chain, 0)
            self.batch.forward(True)
            inputs = {bound.path: bound.frame.x.copy() for bound in self.batch.chain.walk()}
            for bound in self.batch.chain.walk():
                self._check_layer(bound, inputs[bound.path])
            self._check_loss_and_penalties()
            self._check_network()
            self._reset()
            self._load()
            found = laws(self.objective, self.batch, self.target.x, self.target.t, self.seed)
            broken = {law.name for law in found if law.holds is False}
            if "re-entrant" not in broken:
                self._check_layer_laws()
                self._check_drift(begun)
                if "batch" not in broken:
                    self._check_loss_rows()
        self._reset()
        rows = self._rows()
        own = any(is_own(bound.layer) for bound in self.batch.chain.walk())
        points = (*POINTS, EVALUATION, *(OWN_POINTS if own else ()))
        return GradcheckReport(
            self.target.name, self.target.weights, self.target.rows, self.n, self.network.network_plan.size,
            points, self.seed, rows, found, tuple(self._findings(rows, found)),
            tuple(self._notes(rows)), self.evaluations, time.perf_counter() - began, self.target.warnings,
            tuple(self.layers),
        )  # fmt: skip

    def _load(self) -> None:
        self.batch.load(self.target.x, self.target.t, np.arange(self.n))

    def _reset(self) -> None:
        self.objective.theta[...] = self.theta
        restore(self.network.states, self.states)

    def _judge(
        self, gradient: CheckedGradient, effort: Effort, clues: Callable[[], Clues], layer: Layer | None = None
    ) -> None:
        """Asks the witnesses of a tensor at a point, and keeps what they say; where it is wrong, the cause too."""
        self.notify(gradient.tensor)
        evidence = ask_witnesses(gradient, effort, self.rng)
        self.evaluations += evidence.evaluations
        self.tensor_rows.setdefault((gradient.scope, gradient.tensor), []).append(tensor_row(gradient, evidence))
        if gradient.tensor not in self.findings:
            layer_path = gradient.tensor.rpartition(".")[0]
            mismatch = next((t for t in self.mismatches if t.rpartition(".")[0] == layer_path), "")
            if (found := explain_gradient(gradient, evidence, clues, layer, mismatch)) is not None:
                self.findings[gradient.tensor] = found

    # ------------------------------------------------------------------------------------------------------ the parts
    def _check_layer(self, bound: BoundLayer, x: np.ndarray) -> None:
        for name in (*POINTS, EVALUATION):
            point = self._layer_point(bound, name, x)
            cost = _forward_seconds(bound.planned, self.n)
            terms = bound.plan.multiply_adds * self.n
            effort = _effort(cost, THOROUGH_SECONDS if name == RANDOM else BRIEF_SECONDS, terms)
            if point.all_stated:  # the equations look at every entry, and the whole objective does again
                effort = replace(effort, differences=min(effort.differences, MAX_ENTRIES_ALONE))
            self._check_point(bound, point, effort)
        if is_own(bound.layer):
            self._check_own_layer(bound, OWN_POINTS, x)

    def _check_own_layer(self, bound: BoundLayer, points: Sequence[str], x: np.ndarray) -> None:
        """Checks a layer of one's own at these points by some entries of each tensor."""
        for name in points:
            point = self._layer_point(bound, name, x)
            if name in PART_POINTS and not np.isfinite(point.kernel["y"]).all():
                continue  # no gradient there: too large for its numbers, or a division by 0
            if name == ZEROS and all(np.isfinite(g.kernel).all() for g in point.gradients()):
                continue  # where all are equal nothing else can be told
            self._check_point(bound, point, SpreadEffort(0, OWN_ENTRIES, OWN_ENTRIES, 1))
        for place, some in self.tensor_rows.items():  # what rounding hides among large numbers is judged elsewhere
            judged = [row for row in some if row.point not in PART_POINTS or row.verdict not in ("noise", "dead")]
            self.tensor_rows[place] = judged or some

    def _layer_point(self, bound: BoundLayer, name: str, x: np.ndarray) -> LayerPoint:
        self._reset()
        return LayerPoint(self.network, self.batch.chain, bound, name, x if name == DATA else None, self.seed)

    def _check_point(self, bound: BoundLayer, point: LayerPoint, effort: Effort) -> None:
        self._check_forward(bound.path, point, point.name)
        for gradient in point.gradients():
            self._judge(gradient, effort, partial(layer_clues, point, gradient.tensor), bound.layer)
            point.forward()

    def _check_loss_and_penalties(self) -> None:
        rng = Stream(self.seed, "gradcheck", "outputs").at()
        for name in (DATA, RANDOM, SATURATED, *LossPoint.points(self.objective)):
            self._reset()
            if name != DATA:
                perturb_weights(self.objective, rng, 8.0 if name == SATURATED else 1.0)
            self._load()
            self.batch.forward(True)
            point = LossPoint(self.objective, self.batch, name, self.seed)
            if not point.meaningless:
                self._check_forward("loss", point, name)
            if point.overflows:
                self.infinite.append(name)
            elif not point.meaningless:
                effort = _effort(1e-5 + 1e-8 * point.frame.x.size, BRIEF_SECONDS)
                self._judge(point.gradient(), effort, partial(loss_clues, point))
            self.batch.frame.w = None
        for penalty in penalties(self.objective, self.seed):
            self._check_forward(penalty.tensor, penalty, penalty.name)
            self._judge(penalty.gradient(), Effort(), partial(penalty_clues, penalty, self.n))

    def _check_forward(self, where: str, point: LayerPoint | LossPoint | PenaltyPoint, name: str) -> None:
        mismatch = point.forward_mismatch()
        if mismatch is not None:
            self.mismatches.setdefault(f"{where}.{mismatch.name}", (mismatch, name))

    def _check_network(self) -> None:
        size = self.network.network_plan.size
        forward = sum(_forward_seconds(node, self.n) for node in self.network.network_plan.walk()) + 2e-5
        forward += sum(2.5e-10 * len(w) for _, w, _ in self.objective.penalties)
        tensors = max(1, len(self.network.network_plan.layout) + 1)
        for name in (DATA, RANDOM) if forward < HEAVY_SECONDS else (DATA,):
            self._reset()
            if name == RANDOM:
                perturb_weights(self.objective, Stream(self.seed, "gradcheck", "weights").at(), 1.0)
            self._load()
            point = NetworkPoint(self.objective, self.batch, name)
            if not point.finite:
                self.infinite.append(name)
                continue
            exhaustive = name == DATA and size <= MAX_PARAMETERS and 2 * size * forward <= NETWORK_SECONDS
            effort = _effort(forward, (NETWORK_SECONDS if name == DATA else 0.3) / tensors)
            effort = replace(effort, complex_steps=min(effort.complex_steps, 20))
            if name == DATA:
                effort = replace(effort, differences=MAX_PARAMETERS if exhaustive else effort.differences, directions=3)
            for gradient in point.gradients():
                self._judge(gradient, effort, partial(self._network_clues, point, gradient.tensor))

    def _network_clues(self, point: NetworkPoint, tensor: str) -> Clues:
        layer, _, name = tensor.rpartition(".d")
        path = f"{layer}.{name}" if layer else "x"
        w = self.network.parameters().get(path)
        arrays = {f"the weights {path}": w.copy()} if w is not None else {}
        return Clues(
            {"N": self.n, "K": self.batch.chain.y.shape[-1]}, {}, arrays, None, lambda _: point.gradient_again(path),
            "", np.zeros(0), moved_weights=point.moved_weights, whole_network=True,
        )  # fmt: skip

    def _check_layer_laws(self, only: str = "", more: Sequence[int] = ()) -> None:
        """Checks each layer, or `only` one, at the sizes of batches that training and evaluation have, and `more`; one
        of several layers that are alike. Of a gradient that is wrong on few rows already it says nothing more."""
        known: dict[object, LayerCheck] = {}
        own = {self.n, len(self.target.x), *LAW_SIZES, *more}
        sizes = {True: tuple(own), False: (*own, ROWS_PER_BATCH)}
        wrong = {r.tensor for rows in self.tensor_rows.values() for r in rows if r.verdict == "WRONG"}
        for node in (n for n in self.network.network_plan.walk() if only in ("", n.path)):
            key = node.layer.model_copy(update={"name": None}), node.x
            if key not in known:
                self.notify(f"{node.path}, batches of many sizes")
                known[key] = check_layer(node, sizes, _forward_seconds(node, 100) / 100, self.seed)
            check = known[key].renamed(node.path)
            self.layers.append(check.laws)
            for row in check.rows:
                if row.tensor not in wrong | self.mismatches.keys():
                    self.tensor_rows.setdefault((row.scope, row.tensor), []).append(row)
            for finding in check.findings:
                self.findings.setdefault(finding.tensor, finding)

    def _layers_at_random(self) -> dict[str, dict[str, Array]]:
        """Returns what each layer computes alone, by path."""
        names = {b.path: ("y", "dx", *(f"d{p}" for p in b.plan.params)) for b in self.batch.chain.walk()}
        points = {b.path: self._layer_point(b, RANDOM, b.frame.x) for b in self.batch.chain.walk()}
        return {path: {name: point.kernel[name] for name in names[path]} for path, point in points.items()}

    def _check_drift(self, begun: Mapping[str, Mapping[str, Array]]) -> None:
        """Checks that each layer still computes what it did at the beginning: many calls lie between."""
        for path, now in self._layers_at_random().items():
            for name, value in now.items():
                before = begun[path][name]
                if not np.array_equal(value, before, equal_nan=True) and f"{path}.{name}" not in self.findings:
                    mismatch = RowMismatch(name, self.n, True, value, before, value != before)
                    finding = describe_values(f"{path}.{name}", mismatch, "order later")
                    row = mismatch_row(mismatch, "first call", f"{self.n} rows in training", finding)
                    self.tensor_rows.setdefault(("layer", finding.tensor), []).append(row)
                    self.findings[finding.tensor] = finding

    def _check_loss_rows(self) -> None:
        """Checks that the loss of a whole batch is the mean of its rows', on outputs of the network."""
        self._reset()
        batch = self.objective.batch(len(self.target.x))
        batch.load(self.target.x, self.target.t, np.arange(batch.n))
        batch.forward(False)
        if not np.isfinite(batch.frame.x).all():
            return
        sizes = tuple(sorted({self.n, batch.n, *LAW_SIZES}))
        x, t = batch.frame.x.copy(), batch.t.copy()
        found = compare_loss_rows(self.objective.loss, x, t, sizes, self.seed)
        float32, narrow = compare_loss_floats(self.objective.loss, x, t)
        self._load()
        self.layers.append(
            LayerLaws("loss", sizes, {"training": found.worst, "evaluation": None}, {}, float32, None, None, None)
        )
        wrong = {r.tensor for rows in self.tensor_rows.values() for r in rows if r.verdict == "WRONG"}
        for mismatch, witness in [(m, "rows alone") for m in found.mismatches] + [(m, "float64") for m in narrow]:
            row, finding = loss_row(mismatch, witness)
            if row.tensor not in wrong | self.mismatches.keys():
                self.tensor_rows.setdefault((row.scope, row.tensor), []).append(row)
                self.findings.setdefault(row.tensor, finding)

    # ----------------------------------------------------------------------------------------------------- the report
    def _rows(self) -> tuple[TensorRow, ...]:
        rows = [merged(found) for found in self.tensor_rows.values()]
        alone = {r.tensor for r in rows if r.verdict == "WRONG" and r.scope != "network"} | self.mismatches.keys()
        rows += [
            TensorRow(
                "loss" if tensor.startswith("loss.") else "layer", tensor, mismatch.entries, mismatch.entries,
                mismatch.share, mismatch.index, mismatch.kernel, mismatch.equations,
                "equations", name, "WRONG", {"equations": mismatch.share}, "the forward pass",
                {"equations": mismatch.bar},
            )
            for tensor, (mismatch, name) in self.mismatches.items()
        ]  # fmt: skip
        if alone:
            first = min(alone, key=lambda t: (not t.startswith("loss"), t))
            culprits = ", ".join(sorted(alone)) if len(alone) <= 2 else f"{first} and others"
            for i, row in enumerate(rows):
                if row.scope == "network" and row.verdict == "WRONG":
                    rows[i] = replace(row, verdict="follows", note=f"from {culprits}")
        for scope, tensor in (("loss", "loss.dx"), ("network", "every gradient")):
            if not any(r.scope == scope for r in rows):  # infinite at every point: nothing was shown
                rows.append(TensorRow(scope, tensor, 0, 1, 0.0, (), math.nan, math.nan, "", "", "not covered"))
        order = {"layer": 0, "loss": 1, "penalty": 2, "network": 3}
        place = {bound.path: i for i, bound in enumerate(self.batch.chain.walk())}
        return tuple(sorted(rows, key=lambda r: (order[r.scope], place.get(r.tensor.rpartition(".")[0], -1))))

    def _findings(self, rows: tuple[TensorRow, ...], found: tuple[LawRow, ...]) -> Iterator[Finding]:
        wrong = {r.tensor for r in rows if r.verdict == "WRONG"}
        for tensor, (mismatch, _) in self.mismatches.items():
            at = f" at [{','.join(map(str, mismatch.index))}]" if mismatch.index else ""
            yield Finding(tensor, *sentence("forward gap", kernel=mismatch.kernel, equations=mismatch.equations, at=at))
        for finding in self.findings.values():
            if finding.tensor in wrong:
                yield finding
        for law in found:
            if law.holds is False:
                yield Finding(law.name, "law", law.note)

    def _notes(self, rows: tuple[TensorRow, ...]) -> Iterator[str]:
        without = [k.path for k in self.batch.chain.walk() if not has_equations(k, True) and not k.inside]
        if without:
            yield (
                f"no equations are stated for {', '.join(without)}: its kernels are held against differences alone; "
                "what is wrong in forward and backward alike cannot be shown"
            )
        sampled = [r for r in rows if r.entries < r.of and r.verdict != "not covered"]
        if sampled:
            texts = [f"{r.tensor} ({r.scope}) {r.entries:,} of {r.of:,}" for r in sampled[:4]]
            more = f" and {len(sampled) - 4} more tensors" if len(sampled) > 4 else ""
            yield f"entries looked at by differences: {'; '.join(texts)}{more}; besides, random directions through each"
        lost = [f"{r.tensor} ({r.scope}) {r.unresolved:,}" for r in rows if r.unresolved]
        if lost:
            more = f" and {len(lost) - 4} more tensors" if len(lost) > 4 else ""
            yield f"entries that differences cannot resolve, so not shown to be right: {'; '.join(lost[:4])}{more}"
        if DATA in self.infinite:
            yield "the loss, or its slope, is infinite on these rows with these weights: nothing can be shown there"
        dead = [r.tensor for r in rows if r.verdict == "dead"]
        if dead:
            yield f"no gradient at all, at any point: {', '.join(dead)}: nothing that stands there can be learned"


def _forward_seconds(node: PlannedLayer, rows: int) -> float:
    """Estimates how many seconds a forward pass of a layer takes: by its multiply-adds, and by the memory of its
    weights where no cache holds them."""
    weights = sum(math.prod(p.shape) for p in node.plan.params.values())
    values = rows * (math.prod(node.x) + math.prod(node.plan.y))
    return 5e-11 * node.plan.multiply_adds * rows + 1e-9 * max(0, weights - 100_000) + 1e-9 * values + 5e-6


def _effort(cost: float, budget: float, terms: int = 0) -> Effort:
    """Returns how many entries fit in a budget of seconds, where one evaluation of the kernels costs `cost`, and one of
    the equations goes over so many `terms`; a third where that is much."""
    # the equations look at every entry anyhow
    directions = 3 if budget == THOROUGH_SECONDS else int(cost < HEAVY_SECONDS)
    budget = budget if cost < HEAVY_SECONDS else budget / 3
    differences = max(8, int(budget / (2 * cost)))
    complex_steps = int(budget / (10 * cost + 6e-5 + 5e-8 * max(0, terms - 1_000_000)))  # which few products have
    return Effort(min(2000, complex_steps), min(25_000, differences), 500, directions)


def check_gradients(
    target: TraceTarget | GradcheckTarget, seed: int = 0, notify: Callable[[str], None] = lambda what: None
) -> GradcheckReport:
    """Checks every gradient of a network, at points drawn by `seed`; calls `notify` with what comes next."""
    return Gradcheck(target, seed, notify).report()
