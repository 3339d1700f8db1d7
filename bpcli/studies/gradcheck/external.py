"""Gradients computed elsewhere, for the same weights and rows, tensor by tensor against ours."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bpcli.engine.network import BoundLayer
from bpcli.engine.objective import Batch, Objective
from bpcli.engine.state import network_state, restore
from bpcli.family import Array, near
from bpcli.parts.data.files import PARSER_ERRORS
from bpcli.records.gradcheck import Finding, GradcheckReport, TensorRow
from bpcli.records.training import Exit, Failure, Problem
from bpcli.studies.gradcheck.diagnosis_sentences import sentence
from bpcli.studies.gradcheck.find_mistake import Clues, find_mistake, gradient_hypotheses
from bpcli.studies.gradcheck.forward_equations import loss_program
from bpcli.studies.run.saving.regular_file import regular_size
from bpcli.studies.trace.open import TraceTarget
from bpcli.studies.witness.cases import equation_env, layer_program
from bpcli.studies.witness.witness import differences, max_abs

FLOAT64_RTOL, FLOAT32_RTOL = 1e-9, 1e-4
"""How far a tensor may be off, of its largest entry: numbers of float64, and of float32."""
SHARED_RATIO_RTOL = 1e-5  # how far one factor between all tensors may vary
VAGUE_CODES = ("unknown", "some")  # findings that name no cause


def check_external(target: TraceTarget, file: Path) -> GradcheckReport:
    """Compares the gradients of an .npz file, `<layer>.d<param>`, with ours.

    The file may bring the rows `x` and `t` and the weights `<layer>.<param>` that they were computed with, and the
    `loss`. Raises Failure where it cannot be read or does not fit.
    """
    began = time.perf_counter()
    arrays = _read(file)
    objective = target.objective
    parameters = objective.network.parameters()
    gradients = {f"{p.rpartition('.')[0]}.d{p.rpartition('.')[2]}": p for p in parameters}
    _check_names(file, arrays, parameters, gradients)
    objective, batch = _loaded(target, file, arrays)
    train = not objective.network.draws
    ours = ReferencePass(objective, batch, train)
    rows = [_row(name, arrays[name], ours, gradients[name]) for name in gradients if name in arrays]
    if "loss" in arrays:
        rows.insert(0, _loss(float(arrays["loss"]), ours.loss))
    findings, rows = _explained(rows, arrays, ours, gradients)
    missing = [name for name in gradients if name not in arrays]
    notes = [f"not in the file, so not compared: {', '.join(missing)}"] if missing else []
    if not train:
        notes.append("chance cannot be the same elsewhere: compared as at evaluation, without dropout and noise")
    weights = "of the file" if any(p in arrays for p in parameters) else target.weights
    rows_from = "of the file" if "x" in arrays else target.rows
    return GradcheckReport(
        target.name, weights, rows_from, batch.n, objective.network.network_plan.size, (), 0, tuple(rows), (),
        tuple(findings), tuple(notes), 0, time.perf_counter() - began, target.warnings,
    )  # fmt: skip


@dataclass(eq=False)
class ReferencePass:
    """One pass of ours, forward and backward, with what it computed."""

    objective: Objective
    batch: Batch
    train: bool

    def __post_init__(self) -> None:
        self.loss = self.batch.forward(self.train) + self.objective.penalty()
        self.batch.backward(self.train)
        self.counts = {"N": self.batch.n, "K": self.batch.chain.y.shape[-1]}
        self.bound_layers = {bound.path: bound for bound in self.batch.chain.walk()}
        self.own = {path: g.copy() for path, g in self.objective.network.gradients().items()}
        self.objective.add_penalty_gradient()
        self.gradients = {path: g.copy() for path, g in self.objective.network.gradients().items()}

    def difference(self, path: str, index: tuple[int, ...]) -> float:
        """Returns the central difference by one entry: the judge between them and us."""

        def value() -> tuple[float, float]:
            loss = self.batch.forward(self.train) + self.objective.penalty()
            return loss, abs(loss) + max_abs(self.batch.frame.x)

        return float(differences(value, self.objective.network.parameters()[path], [index]).value[0])


def _read(file: Path) -> dict[str, Array]:
    if not file.exists():
        raise Failure(Problem(f"there is no file {file}", code="missing-file"), exit=Exit.NO_INPUT)
    try:
        regular_size(file)
        with open(file, "rb") as stream, np.load(stream, allow_pickle=False) as archive:
            found = {name: np.asarray(archive[name]) for name in archive.files}
    except (*PARSER_ERRORS, MemoryError):
        help = "write one with numpy.savez(FILE, **{'dense_1.dW': ...})"
        raise Failure(Problem(f"{file} is not an .npz file of numbers", code="not-npz", help=help)) from None
    for name, a in found.items():
        if a.dtype.kind not in "fiu":
            raise Failure(Problem(f"{file}: {name} holds {a.dtype}, not numbers", code="not-npz"))
    return found


def _check_names(
    file: Path, arrays: Mapping[str, Array], parameters: Mapping[str, Array], gradients: Mapping[str, str]
) -> None:
    """Checks that every name is ours and has our shape, and that there is something to compare."""
    shapes = {p: w.shape for p, w in parameters.items()}
    shapes |= {name: parameters[path].shape for name, path in gradients.items()}
    known = [*gradients, *parameters, "x", "t", "loss"]
    for name, a in arrays.items():
        if name not in known:
            closest = near(name, known)
            help = f"did you mean {closest}?" if closest else f"known: {', '.join(known)}"
            raise Failure(Problem(f"{file}: nothing here is called {name}", code="unknown-tensor", help=help))
        shape = shapes.get(name)
        if shape is None or a.shape == shape:
            continue
        text = f"{file}: {name} has the shape {a.shape}, and must have {shape}"
        turned = a.shape == shape[::-1]
        help = "PyTorch's Linear stores (out, in): write .T" if turned else "rows are inputs, columns are units"
        raise Failure(Problem(text, code="shape", help=help))
    if not any(name in arrays for name in gradients):
        help = f"save them by these names: {', '.join(gradients)}"
        raise Failure(Problem(f"{file} holds no gradient", code="no-gradient", help=help))
    if ("x" in arrays) != ("t" in arrays):
        raise Failure(Problem(f"{file}: x and t go together", code="batch", help="save both, or neither"))


def _loaded(target: TraceTarget, file: Path, arrays: Mapping[str, Array]) -> tuple[Objective, Batch]:
    """Returns our network with the weights and the rows of the file, where it brings them."""
    objective, x, t = target.objective, target.x, target.t
    if "x" in arrays:
        x, t = arrays["x"].astype(np.float64), arrays["t"]
        if t.ndim == 2 and t.shape[1] == 1 and target.t.ndim == 1:
            t = t[:, 0]
        t = t.astype(target.t.dtype)
        for name, theirs, wanted in (("x", x, target.x), ("t", t, target.t)):
            if theirs.shape[1:] != wanted.shape[1:] or theirs.ndim != wanted.ndim or not len(theirs):
                axes = ", ".join(map(str, wanted.shape[1:])) or "no more axes"
                text = f"{file}: {name} has the shape {theirs.shape}, and must have (rows, {axes})"
                help = "as the network sees it: scaled, categories as 0 and 1; class ids for t"
                raise Failure(Problem(text, code="shape", help=help))
        if len(x) != len(t):
            text = f"{file}: x has {len(x)} rows and t has {len(t)}"
            raise Failure(Problem(text, code="shape", help="a target for each row"))
        if t.ndim == 1 and not 0 <= int(t.min()) <= int(t.max()) < max(2, objective.plan.y[-1]):
            text = f"{file}: t holds the class {int(t.max() if t.min() >= 0 else t.min())}"
            help = f"classes are counted from 0 to {max(2, objective.plan.y[-1]) - 1}"
            raise Failure(Problem(text, code="classes", help=help))
        network = objective.network
        objective = Objective(
            network.network_plan, objective.loss, len(x), np.float64, network.seed, retain=True, need_dx=True
        )
        restore(network_state(objective.network), network_state(network))
    for path, w in objective.network.parameters().items():
        if path in arrays:
            w[...] = arrays[path]
    batch = objective.batch(len(x))
    batch.load(x, t, np.arange(len(x)))
    return objective, batch


def _row(name: str, theirs: Array, ours: ReferencePass, path: str) -> TensorRow:
    a, n = theirs.astype(np.float64), ours.gradients[path]
    rtol = _rtol_of(theirs)
    largest = max(max_abs(n), 1e-3 * max(max_abs(g) for g in ours.gradients.values()))
    gap = np.where(np.isfinite(a), np.abs(a - n), np.inf)
    index = tuple(int(i) for i in np.unravel_index(int(gap.argmax()), gap.shape))
    wrong = bool(gap.max(initial=0.0) > rtol * largest)
    verdict = "WRONG" if wrong else "ok" if n.any() or a.any() else "dead"
    unit = max(abs(float(a[index])), abs(float(n[index])), 1e-3 * largest, 1e-300)
    worst = float(gap[index]) / unit
    return TensorRow(
        "external", name, a.size, a.size, worst, index, float(a[index]), float(n[index]), "bpcli", "as given", verdict,
        {"bpcli": worst}, bars={"bpcli": rtol * largest / unit},
    )  # fmt: skip


def _loss(theirs: float, ours: float) -> TensorRow:
    worst = abs(theirs - ours) / max(abs(theirs), abs(ours), 1e-300)
    verdict = "ok" if worst <= FLOAT32_RTOL else "WRONG"
    return TensorRow(
        "external", "loss", 1, 1, worst, (), theirs, ours, "bpcli", "as given", verdict, {"bpcli": worst},
        bars={"bpcli": FLOAT32_RTOL},
    )  # fmt: skip


def _explained(
    rows: list[TensorRow], arrays: Mapping[str, Array], ours: ReferencePass, gradients: Mapping[str, str]
) -> tuple[list[Finding], list[TensorRow]]:
    """Finds the cause in the layer where the error first goes wrong, from the loss backwards; what comes after
    follows."""
    of_loss = [r for r in rows if r.verdict == "WRONG" and r.tensor == "loss"]
    found = [Finding("loss", *sentence("loss", theirs=row.kernel, ours=row.numeric)) for row in of_loss]
    wrong = [r for r in rows if r.verdict == "WRONG" and r.tensor != "loss"]
    if not wrong:
        return found, rows
    compared = {r.tensor: gradients[r.tensor] for r in rows if r.tensor != "loss"}
    for bare in (False, True):
        base = ours.own if bare else ours.gradients
        ratio = _common([(arrays[tensor], base[path]) for tensor, path in compared.items()])
        if ratio is None or (bare and not ours.objective.penalties):
            continue
        texts = [sentence("penalty")[1]] if bare else []
        if abs(ratio - 1) > SHARED_RATIO_RTOL:
            clues = Clues(ours.counts, rtol=FLOAT32_RTOL)
            texts.insert(0, find_mistake("every gradient", np.full(3, ratio), np.ones(3), clues).text)
        return [*found, Finding("every gradient", "penalty" if bare else "ratio", "; ".join(texts))], rows
    order = {path: i for i, path in enumerate(ours.bound_layers)}
    last = max((r.tensor.rpartition(".")[0] for r in wrong), key=lambda path: order[path])
    here = {r.tensor: arrays[r.tensor] for r in wrong if r.tensor.rpartition(".")[0] == last}
    text = _of_loss(here, ours, ours.bound_layers[last]) if ours.batch.chain.layers[-1].path == last else ""
    if text:
        found.append(Finding(", ".join(here), *sentence("loss slope", text=text)))
    else:
        own = (r for r in wrong if r.tensor in here)
        found += [_of_one(r, arrays[r.tensor], ours, gradients[r.tensor]) for r in own]
    rest = {r.tensor for r in wrong if r.tensor.rpartition(".")[0] != last}
    note = f"may follow from the error that {last} hands back"
    return found, [replace(row, note=note) if row.tensor in rest else row for row in rows]


def _of_loss(theirs: Mapping[str, Array], ours: ReferencePass, bound: BoundLayer) -> str:
    """Names the mistake in the loss's own gradient that gives all of the last layer's wrong gradients, in
    words."""
    loss, layer = ours.objective.loss, bound.layer
    if not loss.equations(ours.batch.frame.w is not None) or not layer.equations(ours.train, bound.planned.x):
        return ""
    if not all(np.isfinite(a).all() for a in theirs.values()):
        return ""
    env, program = loss_program(ours.objective, ours.batch)
    layer_equations, known = layer_program(bound, ours.train), equation_env(bound)
    wanted = {name.rpartition(".")[2]: a.astype(np.float64) for name, a in theirs.items()}
    paths = {name: f"{bound.path}.{name[1:]}" for name in wanted}
    penalty = {name: ours.gradients[path] - ours.own[path] for name, path in paths.items()}
    for hypothesis in gradient_hypotheses((program,), env, "dx", (), "L").all():
        if hypothesis.value.shape != known["dy"].shape or not np.isfinite(hypothesis.value).all():
            continue
        gradients = layer_equations.run({**known, "dy": hypothesis.value}, wanted)
        for added in (1, 0):
            gaps = {name: max_abs(a - gradients[name] - added * penalty[name]) for name, a in wanted.items()}
            if all(gap <= _rtol_of(theirs[f"{bound.path}.{n}"]) * max_abs(wanted[n]) for n, gap in gaps.items()):
                lost = not added and any(p.any() for p in penalty.values())
                return sentence("penalty and", text=hypothesis.text)[1] if lost else hypothesis.text
    return ""


def _of_one(row: TensorRow, theirs: Array, ours: ReferencePass, path: str) -> Finding:
    """Finds the cause of one wrong gradient, with the penalty or without it; and what central differences say."""
    a, rtol = theirs.astype(np.float64), _rtol_of(theirs)
    clues = replace(_clues(ours.bound_layers[path.rpartition(".")[0]], ours, row.tensor), rtol=rtol)
    found = find_mistake(row.tensor, a, ours.gradients[path], clues)
    if not np.array_equal(ours.own[path], ours.gradients[path]):
        bare = find_mistake(row.tensor, a, ours.own[path], clues)
        if max_abs(a - ours.own[path]) <= rtol * max_abs(a):
            found = Finding(row.tensor, *sentence("penalty"))
        elif found.code in VAGUE_CODES and bare.code not in VAGUE_CODES:
            found = replace(bare, text=sentence("penalty and", text=bare.text)[1])
    number = ours.difference(path, row.index)
    return replace(found, text=sentence("differences", text=found.text, number=number, index=list(row.index))[1])


def _common(pairs: Sequence[tuple[Array, Array]]) -> float | None:
    """Returns the one factor between all tensors and ours; None where there is none."""
    a = np.concatenate([np.ravel(theirs).astype(np.float64) for theirs, _ in pairs])
    n = np.concatenate([np.ravel(own) for _, own in pairs])
    if len(pairs) < 2 or not n.any() or not np.isfinite(a).all():
        return None
    ratio = float(np.vdot(a, n) / np.vdot(n, n))
    return ratio if max_abs(a - ratio * n) <= SHARED_RATIO_RTOL * max(max_abs(a), max_abs(n)) else None


def _rtol_of(theirs: Array) -> float:
    """Returns how near their numbers can be to ours, by their type."""
    return FLOAT32_RTOL if theirs.dtype in (np.float32, np.float16) else FLOAT64_RTOL


def _clues(bound: BoundLayer, ours: ReferencePass, tensor: str) -> Clues:
    name = tensor.rpartition(".")[2]
    path = f"{bound.path}.{name[1:]}"
    env = equation_env(bound)
    arrays: dict[str, Any] = {f"the weights {path}": ours.objective.network.parameters()[path].copy()}
    arrays |= {k: v for k, v in env.items() if np.ndim(v)}
    hypotheses = None
    if np.array_equal(ours.own[path], ours.gradients[path]) and bound.layer.equations(ours.train, bound.planned.x):
        program = layer_program(bound, ours.train)
        hypotheses = gradient_hypotheses((program,), env, name, tuple(bound.plan.params), "y")
    return Clues(ours.counts, {}, arrays, hypotheses)
