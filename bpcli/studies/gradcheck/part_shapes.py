"""A layer of one's own on rows of several shapes: one, two and three axes, narrow and wide; and on all its samples."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain

from bpcli.engine.network_plan import plan_network
from bpcli.family import Layer, Sample, Shape
from bpcli.records.gradcheck import GradcheckReport, LayerLaws, TensorRow
from bpcli.studies.custom.source_location import first_line
from bpcli.studies.gradcheck.check import Gradcheck, GradcheckTarget
from bpcli.studies.gradcheck.diagnosis_sentences import sentence
from bpcli.studies.gradcheck.explain_gradient import merged
from bpcli.studies.gradcheck.layer_point import DATA, EVALUATION, MAGNITUDE_POINTS, RANDOM

SHAPES: tuple[Shape, ...] = (
    (2,), (3,), (17,), (65,),
    (65, 2), (17, 3), (3, 17), (2, 65),
    (2, 17, 2), (17, 2, 3), (3, 3, 17), (5, 2, 65),
)  # fmt: skip
"""Numbers, sequences and images, with few and many columns and channels, on both sides of blocks of 16 and 64."""
SHAPE_POINTS = (RANDOM, EVALUATION, *MAGNITUDE_POINTS)


def with_shapes(
    report: GradcheckReport,
    samples: Sequence[Sample],
    target_around: Callable[[Sample], GradcheckTarget],
    seed: int,
) -> GradcheckReport:
    """Returns the report of a layer, checked on its first sample, with what its other samples show, and rows of other
    shapes; and which shapes its plan refused."""
    began = time.perf_counter()
    first = samples[0]
    part: Layer = first.part
    others = [Sample(part, x) for x in SHAPES if all(x != s.x for s in samples)]
    rows = {row.tensor: [row] for row in report.tensors if row.scope == "layer"}
    layers = {laws.layer: [laws] for laws in report.layers}
    findings = {finding.tensor: finding for finding in report.findings}
    seen: list[Shape] = []
    refused: dict[str, list[Shape]] = {}
    evaluations = report.evaluations
    todo = [*samples, *others]
    while todo and not any(row.verdict == "WRONG" for row in chain(*rows.values())):  # the first mistake is enough
        sample = todo.pop(0)
        points = (DATA, *SHAPE_POINTS) if "x" in sample.inputs else SHAPE_POINTS
        why = "which plan refuses: "
        try:
            plan_network([sample.part], sample.x)
            why = "which plan accepts, and then the part raises "
            found = Gradcheck(target_around(sample), seed).part_report(points)
        except Exception as error:  # of the part's own code
            if sample in samples:
                raise
            why += first_line(error) if "refuses" in why else f"{type(error).__name__}: {first_line(error)}"
            refused.setdefault(why, []).append(sample.x)
            continue
        seen += [sample.x] if sample.x not in seen else []
        evaluations += found.evaluations
        for row in found.rows:
            rows.setdefault(row.tensor, []).append(replace(row, shape=sample.x))
        for laws in found.layers:
            layers.setdefault(laws.layer, []).append(laws)
        for finding in found.findings:
            more = "" if sample in samples else sentence("shape", axes=len(sample.x))[1]
            findings.setdefault(finding.tensor, replace(finding, text=finding.text + more))
    known = [row for row in report.tensors if row.scope != "layer"]
    return replace(
        report, tensors=(*(_worst(some) for some in rows.values()), *known), findings=tuple(findings.values()),
        layers=tuple(map(_together, layers.values())), points=tuple(dict.fromkeys((*report.points, *SHAPE_POINTS))),
        notes=(*report.notes, *_notes(seen, refused, [s.x for s in todo])), evaluations=evaluations,
        seconds=report.seconds + time.perf_counter() - began,
    )  # fmt: skip


def _worst(rows: Sequence[TensorRow]) -> TensorRow:
    """Merges what was found on several shapes; of what is no worse than on the first, the first is shown."""
    worst = merged(rows)
    return worst if worst.verdict != rows[0].verdict else replace(rows[0], gaps=worst.gaps)


def _together(several: Sequence[LayerLaws]) -> LayerLaws:
    """Merges the laws of one layer on several shapes."""
    alone: dict[str, float | None] = {}
    for mode in several[0].alone:
        gaps = [laws.alone[mode] for laws in several]
        alone[mode] = None if None in gaps else max(gap for gap in gaps if gap is not None)
    beside: dict[str, tuple[str, float]] = {}
    for mode, (witness, gap) in chain(*(laws.beside.items() for laws in several)):
        beside[mode] = (witness, max(gap, beside.get(mode, ("", 0.0))[1]))
    return replace(
        several[0], rows=tuple(sorted({n for laws in several for n in laws.rows})), alone=alone, beside=beside,
        float32=max((laws.float32 for laws in several if laws.float32 is not None), default=None),
        scaled=_all(laws.scaled for laws in several), calls=_all(laws.calls for laws in several),
        threads=_all(laws.threads for laws in several),
        note="; ".join(dict.fromkeys(laws.note for laws in several if laws.note)),
    )  # fmt: skip


def _all(found: Iterator[bool | None]) -> bool | None:
    """Whether all hold that were compared; None where none was."""
    compared = [holds for holds in found if holds is not None]
    return all(compared) if compared else None


def _notes(seen: Sequence[Shape], refused: Mapping[str, Sequence[Shape]], left: Sequence[Shape]) -> Iterator[str]:
    if seen:
        yield f"looked at on rows of shape {', '.join(map(str, seen))}"
    if left:
        more = "more" if seen else "other"
        yield f"not looked at on rows of {len(left)} {more} shapes: first put right what is WRONG"
    for why, shapes in refused.items():
        yield f"not looked at on rows of shape {', '.join(map(str, shapes))}, {why}"
