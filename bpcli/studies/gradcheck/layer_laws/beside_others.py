"""A layer whose rows see each other, compared at the size of a batch with its equations; without any, with differences
by entries that are spread over all rows."""

import math
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from bpcli.engine.network_plan import PlannedLayer
from bpcli.numeric.vectors import EPS
from bpcli.records.gradcheck import Finding, TensorRow
from bpcli.studies.gradcheck.ask_witnesses import ask_witnesses
from bpcli.studies.gradcheck.diagnosis_sentences import sentence
from bpcli.studies.gradcheck.explain_gradient import explain_gradient, layer_clues, tensor_row
from bpcli.studies.gradcheck.layer_laws.row_law import ROUNDINGS, entry_gaps, largest_of_row
from bpcli.studies.gradcheck.layer_laws.single_layer import LayerInputs, SingleLayer
from bpcli.studies.gradcheck.layer_point import LayerPoint
from bpcli.studies.witness.evidence import Effort

MAX_EQUATION_ENTRIES = 1 << 22  # entries of rows that equations are evaluated on, at most


@dataclass(frozen=True)
class SpreadEffort(Effort):
    """Chooses entries so that each index of each axis is among them, as far as there are enough."""

    def indices(self, shape: tuple[int, ...], most: int, rng: np.random.Generator) -> tuple[tuple[int, ...], ...]:
        if math.prod(shape) <= most:
            return tuple(np.ndindex(shape))
        each = [np.resize(np.append(rng.permutation(d), (0, d - 1)), most) for d in shape]
        found = {tuple(int(i) for i in index) for index in np.transpose(each)}
        return tuple(sorted(found | {(0,) * len(shape), tuple(d - 1 for d in shape)}))


@dataclass(frozen=True, eq=False)
class SizeVerdict:
    """What the witnesses of a layer said at the size of a batch."""

    rows: tuple[TensorRow, ...]
    findings: tuple[Finding, ...]
    witness: str
    worst: float


def depends_on_place(layer: SingleLayer, inputs: LayerInputs, n: int, train: bool) -> bool:
    """Whether a row of y is the same whatever the rows beside it hold: what makes it another in another batch is then
    its place, or the number of rows."""
    y = layer.forward(inputs, 0, n, train)
    even = np.arange(len(inputs.x)) % 2 == 0
    for kept in (even, ~even):
        x = inputs.x.copy()
        x[~kept] = x[~kept][::-1] if layer.network.network_plan.tokens else 1.5 - x[~kept][::-1]
        other = layer.forward(replace(inputs, x=x), 0, n, train)
        some = kept[:n]
        gap = entry_gaps(other[some], y[some])
        if not (gap <= ROUNDINGS * EPS * largest_of_row(y[some])).all():
            return False
    return True


def check_beside_others(
    planned: PlannedLayer, layer: SingleLayer, inputs: LayerInputs, n: int, train: bool, entries: int, point: str
) -> SizeVerdict:
    """Holds forward and backward on n rows against the equations, or against `entries` differences a tensor."""
    bound = layer.network.chain(n).layers[0]
    layer.take_weights(inputs)
    at = LayerPoint(layer.network, layer.network.chain(n), bound, point, inputs.x[:n], 0, train)
    rng = np.random.default_rng(0)
    effort = SpreadEffort(0, entries, entries, 0)
    rows: list[TensorRow] = []
    findings: list[Finding] = []
    worst, witness = 0.0, "differences"
    mismatch = at.forward_mismatch()
    if mismatch is not None:
        tensor = f"{planned.path}.{mismatch.name}"
        index = f" at [{','.join(map(str, mismatch.index))}]" if mismatch.index else ""
        rows.append(
            TensorRow(
                "layer", tensor, mismatch.entries, mismatch.entries, mismatch.share, mismatch.index, mismatch.kernel,
                mismatch.equations, "equations", point, "WRONG", note="the forward pass",
            )
        )  # fmt: skip
        gap = sentence("forward gap", kernel=mismatch.kernel, equations=mismatch.equations, at=index)
        findings.append(Finding(tensor, *gap))
    for gradient in at.gradients():
        own, tensor = gradient.tensor, f"{planned.path}{gradient.tensor[len(bound.path) :]}"
        if gradient.equations is not None:
            gradient = replace(gradient, differences=False, complex_value=None)
            witness = "equations"
        gradient = replace(gradient, tensor=tensor, mistakes_only=True)
        evidence = ask_witnesses(gradient, effort, rng)
        worst = max(worst, *evidence.gaps.values(), 0.0)
        if evidence.verdict == "WRONG":
            rows.append(tensor_row(gradient, evidence))
            found = explain_gradient(gradient, evidence, partial(layer_clues, at, own), planned.layer)
            findings += [found] if found is not None else []
        at.forward()
    return SizeVerdict(tuple(rows), tuple(findings), witness, worst)
