"""All laws of a layer by itself, at the sizes that it is used at."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np

from bpcli.engine.network_plan import PlannedLayer
from bpcli.family import Array
from bpcli.records.gradcheck import Finding, LayerLaws, TensorRow
from bpcli.studies.gradcheck.forward_equations import states_all
from bpcli.studies.gradcheck.layer_laws.beside_others import (
    MAX_EQUATION_ENTRIES,
    check_beside_others,
    depends_on_place,
)
from bpcli.studies.gradcheck.layer_laws.call_orders import compare_orders
from bpcli.studies.gradcheck.layer_laws.lockstep import compare_threads, runs_on_threads
from bpcli.studies.gradcheck.layer_laws.precision import compare_floats, compare_scaled, find_overflow
from bpcli.studies.gradcheck.layer_laws.row_law import RowMismatch, compare_rows
from bpcli.studies.gradcheck.layer_laws.row_sentences import describe_rows, describe_sum, describe_values
from bpcli.studies.gradcheck.layer_laws.single_layer import SingleLayer, entries_a_row
from bpcli.studies.gradcheck.layer_point import is_own

LAW_SIZES = (33, 130)
"""Rows of the batches that every layer is looked at with, besides those of its network: more than a block of 32, more
than one of 128, and no multiple of anything that kernels count in."""
MAX_LAW_BYTES = 1 << 28  # bytes of the arrays that a layer works in at one size, at most
MAX_LAW_SECONDS = 2.0  # seconds that all passes at one size may take, about
PASSES = 8  # passes forward and backward on all rows of a size: batches and groups, in two modes and two types
MAX_TWICE_WEIGHTS = 1 << 20  # weights of a layer, up to which it is put into memory a second time
LEAST_ROWS_OF_THREADS = 8  # rows of a batch: two for each chunk
MODES: Mapping[bool, str] = {True: "training", False: "evaluation"}
EVIDENCE_ENTRIES = 260  # entries that differences are taken by at one size: two of each row


@dataclass(eq=False)
class LayerCheck:
    """What the laws of a layer showed: their row, and of what is wrong rows of tensors with findings."""

    laws: LayerLaws
    rows: list[TensorRow] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def renamed(self, path: str) -> LayerCheck:
        """Returns the same of another layer of the same class, settings and shapes."""
        old = self.laws.layer

        def of(tensor: str) -> str:
            return path + tensor[len(old) :]

        rows = [replace(row, tensor=of(row.tensor)) for row in self.rows]
        findings = [replace(found, tensor=of(found.tensor)) for found in self.findings]
        return LayerCheck(replace(self.laws, layer=path), rows, findings)


def check_layer(
    planned: PlannedLayer,
    sizes: Mapping[bool, Sequence[int]],
    forward_seconds: float,
    seed: int,
    x: Array | None = None,
) -> LayerCheck:
    """Checks the laws of a layer with batches of these sizes, in training (True) and at evaluation; `forward_seconds`
    is what a forward pass takes, for each row. `x` may hold rows; else they are random."""
    return _LayerCheck(planned, sizes, forward_seconds, seed, x).check()


def mismatch_row(mismatch: RowMismatch, witness: str, point: str, finding: Finding) -> TensorRow:
    """Returns the row of an array of a layer that is not what it is by a witness."""
    index, count = mismatch.index, mismatch.batch.size
    kernel, other = float(mismatch.batch[index]), float(mismatch.alone[index])
    worst = abs(kernel - other) / max(abs(kernel), abs(other), 1e-300)
    return TensorRow(
        "layer", finding.tensor, count, count, worst, index, kernel, other, witness, point, "WRONG", {witness: worst}
    )


class _LayerCheck:
    def __init__(
        self,
        planned: PlannedLayer,
        sizes: Mapping[bool, Sequence[int]],
        forward_seconds: float,
        seed: int,
        x: Array | None,
    ) -> None:
        self.planned, self.path, self.row_seconds = planned, planned.path, forward_seconds
        self.sizes = {train: self._affordable(some) for train, some in sizes.items()}
        self.left_out = sorted({*sizes[True], *sizes[False]} - {*self.sizes[True], *self.sizes[False]})
        self.most = max(max(some) for some in self.sizes.values())
        self.layer = SingleLayer(planned, self.most, np.float64)
        self.inputs = self.layer.inputs(self.most, seed, x)
        self.layer.take_weights(self.inputs)
        self.light = self.layer.network.network_plan.size <= MAX_TWICE_WEIGHTS
        self.rows: dict[str, TensorRow] = {}
        self.findings: dict[str, Finding] = {}
        self.beside: dict[str, tuple[str, float]] = {}

    def _affordable(self, sizes: Sequence[int]) -> tuple[int, ...]:
        """Returns the sizes that memory and time allow; the smallest in any case."""
        bytes_a_row = 8 * entries_a_row(self.planned)
        seconds = PASSES * 3 * self.row_seconds
        return tuple(
            n
            for n in sorted(set(sizes))
            if n == min(sizes) or (n * bytes_a_row <= MAX_LAW_BYTES and n * seconds <= MAX_LAW_SECONDS)
        )

    def check(self) -> LayerCheck:
        narrow = SingleLayer(self.planned, self.most, np.float32)
        narrow.take_weights(self.inputs)
        for layer, train in product((self.layer, narrow), (True, False)):
            for n in self.sizes[train] if self.light else self.sizes[train][-1:]:
                self._unchanged(layer, n, train)
        alone = {MODES[train]: self._rows(train) for train in (True, False)}
        scaled = self._scaled()
        threads = self._threads() if runs_on_threads(self.layer) and self.most >= LEAST_ROWS_OF_THREADS else None
        calls = self._calls() if self.light else None
        float32 = self._float32(narrow)
        note = ""
        if self.left_out:
            listed = ", ".join(map(str, self.left_out))
            note = f"not looked at with {listed} rows, which take too much time or memory"
        rows = tuple(sorted({*self.sizes[True], *self.sizes[False]}))
        laws = LayerLaws(self.path, rows, alone, self.beside, float32, scaled, calls, threads, note)
        return LayerCheck(laws, list(self.rows.values()), list(self.findings.values()))

    # ----------------------------------------------------------------------------------------------------------- rows
    def _rows(self, train: bool) -> float | None:
        """Holds batches against their rows; returns the largest gap, None where rows see each other."""
        found = compare_rows(self.layer, self.inputs, self.sizes[train], train)
        if found.independent:
            for mismatch in found.mismatches:
                self._wrong_rows(mismatch)
            return found.worst
        first = next(m for m in found.mismatches if m.name == "y")
        if self.planned.layer.rows_are_independent:
            self._keep(first, "rows alone", describe_rows(self._tensor("y"), first, "declared"))
        elif depends_on_place(self.layer, self.inputs, first.rows, train):
            self._keep(first, "rows alone", describe_rows(self._tensor("y"), first, "place"))
        else:
            self._beside_others(train)
        return None

    def _wrong_rows(self, mismatch: RowMismatch) -> None:
        tensor = self._tensor(mismatch.name)
        if tensor in self.rows:
            return
        if mismatch.name == "dx":
            finding = describe_rows(tensor, mismatch, "alone")
        else:
            finding = describe_sum(tensor, mismatch, self.layer, self.inputs)
        self._keep(mismatch, "rows alone", finding)

    def _beside_others(self, train: bool) -> None:
        """Holds the layer against its equations, or differences, at every size that they can be had at."""
        stated = states_all(self.planned, train)
        entries = math.prod(self.planned.x) + math.prod(self.planned.plan.y)
        seconds = 2 * EVIDENCE_ENTRIES * self.row_seconds
        for n in self.sizes[train]:
            if n > min(self.sizes[train]) and (n * entries > MAX_EQUATION_ENTRIES if stated else n * seconds > 1):
                continue
            point = self._point(n, train)
            verdict = check_beside_others(self.planned, self.layer, self.inputs, n, train, EVIDENCE_ENTRIES, point)
            _, worst = self.beside.get(MODES[train], ("", 0.0))
            self.beside[MODES[train]] = (verdict.witness, max(worst, verdict.worst))
            for row in verdict.rows:
                self.rows.setdefault(row.tensor, row)
            for finding in verdict.findings:
                self.findings.setdefault(finding.tensor, finding)
        self.layer.take_weights(self.inputs)

    # --------------------------------------------------------------------------------------------- types, errors, calls
    def _scaled(self) -> bool:
        most = {train: self.sizes[train][-1] for train in (True, False)}
        wrong = [m for train, n in most.items() for m in compare_scaled(self.layer, self.inputs, n, train)]
        for mismatch in wrong:
            self._keep_values(mismatch, "scaled", "same for dy as it is")
        return not wrong

    def _float32(self, narrow: SingleLayer) -> float:
        worst = 0.0
        wrong: list[RowMismatch] = []
        for train in (True, False):
            for n in self.sizes[train] if self.light else self.sizes[train][-1:]:
                found, mismatches = compare_floats(self.layer, narrow, self.inputs, n, train)
                worst, wrong = max(worst, *found.values()), wrong + mismatches
            if is_own(self.planned.layer) and not self.layer.network.network_plan.tokens:
                for mismatch in find_overflow(self.layer, narrow, self.inputs, self.sizes[train][-1], train):
                    self._keep_values(mismatch, "overflow", "float64")
        for mismatch in wrong:
            self._keep_values(mismatch, "float32", "float64")
        return worst

    def _unchanged(self, layer: SingleLayer, n: int, train: bool) -> None:
        for name, after, before in layer.changed(self.inputs, n, train):
            self._keep_values(RowMismatch(name, n, train, after, before, after != before), "changes", "number before")

    def _calls(self) -> bool:
        n = self.sizes[True][0] if self.most > 64 else self.most
        holds = True
        first = self._again(need_dx=False) if self.planned.plan.skips_dx and self.planned.plan.params else None
        for mismatch in compare_orders(self._again, self.inputs, n, first):
            holds = False
            self._keep_values(mismatch.found, f"order {mismatch.order}", "first call")
        return holds

    def _threads(self) -> bool:
        n = next((n for n in self.sizes[True] if n >= LEAST_ROWS_OF_THREADS), self.most)
        wrong = list(compare_threads(self.layer, self.inputs, n))
        for mismatch in wrong:
            self._keep_values(mismatch, "threads", "one thread")
        return not wrong

    def _again(self, need_dx: bool = True) -> SingleLayer:
        layer = SingleLayer(self.planned, self.most, np.float64, need_dx)
        layer.take_weights(self.inputs)
        return layer

    # ----------------------------------------------------------------------------------------------------- what is kept
    def _tensor(self, name: str) -> str:
        return f"{self.path}.{name}"

    def _point(self, n: int, train: bool) -> str:
        return f"{n} rows in training" if train else f"{n} rows at evaluation"

    def _keep_values(self, mismatch: RowMismatch, key: str, witness: str) -> None:
        tensor = self._tensor(mismatch.name)
        if tensor not in self.rows:
            self._keep(mismatch, witness, describe_values(tensor, mismatch, key))

    def _keep(self, mismatch: RowMismatch, witness: str, finding: Finding) -> None:
        row = mismatch_row(mismatch, witness, self._point(mismatch.rows, mismatch.train), finding)
        self.rows.setdefault(finding.tensor, row)
        self.findings.setdefault(finding.tensor, finding)
