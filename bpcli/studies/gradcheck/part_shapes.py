"""A part of one's own in several shapes: a layer on rows of one, two and three axes, narrow and wide, a loss on few and
many outputs; on all its samples; and with other settings."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Literal, get_args, get_origin

import numpy as np
from pydantic import ValidationError

from bpcli.engine.network_plan import plan_network
from bpcli.family import Layer, Part, Sample, Shape
from bpcli.records.gradcheck import Finding, GradcheckReport, LayerLaws, TensorRow
from bpcli.studies.custom.source_location import first_line
from bpcli.studies.gradcheck.check import Gradcheck, GradcheckTarget
from bpcli.studies.gradcheck.diagnosis_sentences import sentence
from bpcli.studies.gradcheck.explain_gradient import merged
from bpcli.studies.gradcheck.layer_point import DATA, EVALUATION, PART_POINTS, RANDOM

SHAPES: tuple[Shape, ...] = (
    (2,), (3,), (17,), (65,),
    (65, 2), (17, 3), (3, 17), (2, 65),
    (2, 17, 2), (17, 2, 3), (3, 3, 17), (5, 2, 65),
)  # fmt: skip
"""Numbers, sequences and images, with few and many columns and channels, on both sides of blocks of 16 and 64."""
OUTPUT_SHAPES: tuple[Shape, ...] = ((1,), (2,), (3,), (17,), (65,))
"""Outputs that a loss is tried on."""
MULTIPLES = (1, 2, 4)  # multiples of a shape that are tried where plan refuses it: it may ask for even numbers
MAX_MULTIPLE_ENTRIES = 5000  # entries of a row of such a multiple, at most
SHAPE_POINTS = (RANDOM, EVALUATION, *PART_POINTS)
COMMON_SIZES = (16, 32, 64, 128)  # rows of batches that a part of one's own is run on besides


@dataclass(frozen=True)
class PartFindings:
    """What a check of one part alone found."""

    rows: tuple[TensorRow, ...]
    findings: tuple[Finding, ...]
    layers: tuple[LayerLaws, ...]
    evaluations: int


class PartCheck(Gradcheck):
    """A check of one part alone: the first layer of a network, or its loss."""

    def part_report(self, points: Sequence[str], scope: str) -> PartFindings:
        """Checks a layer at these points by some entries of each tensor, and in whole batches; or a loss."""
        with np.errstate(all="ignore"):
            self._load()
            if scope == "loss":
                self._check_loss_and_penalties()
                self._check_loss_rows()
            else:
                bound = self.batch.chain.layers[0]
                self._check_own_layer(bound, points, self.batch.x.copy())
                self._reset()
                self._check_layer_laws(bound.path, COMMON_SIZES)
        rows = tuple(row for row in self._rows() if row.scope == scope)
        return PartFindings(rows, tuple(self._findings(rows, ())), tuple(self.layers), self.evaluations)


def with_shapes(
    report: GradcheckReport,
    samples: Sequence[Sample],
    target_around: Callable[[Sample], GradcheckTarget],
    seed: int,
) -> GradcheckReport:
    """Returns the report of a layer or a loss, checked on its first sample, with what its other samples show, rows of
    other shapes and other settings; and which shapes its plan refused."""
    began = time.perf_counter()
    scope = "layer" if isinstance(samples[0].part, Layer) else "loss"
    rows = {row.tensor: [row] for row in report.tensors if row.scope == scope}
    layers = {laws.layer: [laws] for laws in report.layers}
    findings = {finding.tensor: finding for finding in report.findings}
    seen: list[Shape] = []
    settings: list[str] = []
    refused: dict[str, list[Shape]] = {}
    evaluations = report.evaluations
    todo = [*samples, *_other_shapes(samples), *_other_settings(samples)]
    while todo and not any(row.verdict == "WRONG" for row in chain(*rows.values())):  # the first mistake is enough
        sample = todo.pop(0)
        points = (DATA, *SHAPE_POINTS) if "x" in sample.inputs else SHAPE_POINTS
        why = "which plan refuses: "
        try:
            _plan(sample.part, sample.x)
            why = "which plan accepts, and then the part raises "
            found = PartCheck(target_around(sample), seed).part_report(points, scope)
        except Exception as error:  # of the part's own code
            if sample in samples:
                raise
            why += first_line(error) if "refuses" in why else f"{type(error).__name__}: {first_line(error)}"
            refused.setdefault(why, []).append(sample.x)
            continue
        (settings if sample.note else seen).append(sample.note or sample.x)  # type: ignore[arg-type]
        evaluations += found.evaluations
        for row in found.rows:
            rows.setdefault(row.tensor, []).append(replace(row, shape=sample.x))
        for laws in found.layers:
            layers.setdefault(laws.layer, []).append(laws)
        for finding in found.findings:
            key = "setting" if sample.note else "shape"
            more = "" if sample in samples else sentence(f"at {key}", shape=sample.x, setting=sample.note)[1]
            findings.setdefault(finding.tensor, replace(finding, text=finding.text + more))
    known = [row for row in report.tensors if row.scope != scope]
    more_points = SHAPE_POINTS if scope == "layer" else ()
    left = [s.x for s in todo if not s.note]
    return replace(
        report, tensors=(*(_worst(some) for some in rows.values()), *known), findings=tuple(findings.values()),
        layers=tuple(map(_together, layers.values())), points=tuple(dict.fromkeys((*report.points, *more_points))),
        notes=(*report.notes, *_notes(list(dict.fromkeys(seen)), settings, refused, left)), evaluations=evaluations,
        seconds=report.seconds + time.perf_counter() - began,
    )  # fmt: skip


def _plan(part: Part, x: Shape) -> Shape:
    """Returns the shape of what a layer puts out, or of a loss's targets. Raises what its plan raises."""
    return plan_network([part], x).y if isinstance(part, Layer) else part.plan(x).y  # type: ignore[attr-defined]


def _takes(part: Part, x: Shape) -> bool:
    try:
        return math.prod(x) <= MAX_MULTIPLE_ENTRIES and bool(_plan(part, x))
    except Exception:  # of the part's own code
        return False


def _other_shapes(samples: Sequence[Sample]) -> Iterator[Sample]:
    """Yields the part on rows of other shapes: the usual ones, or multiples of them where it refuses these; and of that
    which it puts out, so that its weights may be square."""
    part, known = samples[0].part, {s.x for s in samples}
    for shape in (*SHAPES, _plan(part, samples[0].x)) if isinstance(part, Layer) else OUTPUT_SHAPES:
        multiples = (tuple(factor * d for d in shape) for factor in MULTIPLES)
        x = next((x for x in multiples if _takes(part, x)), shape)
        if x not in known and (shape in (*SHAPES, *OUTPUT_SHAPES) or _takes(part, x)):
            known.add(x)
            yield Sample(part, x)


def _other_settings(samples: Sequence[Sample]) -> Iterator[Sample]:
    """Yields the part with one setting other than it is in all samples: a factor that backward forgets does not show
    where it is 1."""
    part = samples[0].part
    for name, field in type(part).model_fields.items():
        value = getattr(part, name)
        if name in ("type", "name") or any(getattr(s.part, name) != value for s in samples):
            continue
        others: tuple[object, ...] = ()
        if isinstance(value, bool):
            others = (not value,)
        elif isinstance(value, float):
            others = (0.5 * value + 0.2,)  # between 0 and 1 where it was
        elif get_origin(field.annotation) is Literal:
            others = tuple(other for other in get_args(field.annotation) if other != value)
        for other in others:
            try:
                changed = type(part).model_validate({**dict(part), name: other})
            except ValidationError:
                continue
            if _takes(changed, samples[0].x):
                shown = f"{other:.6g}" if isinstance(other, float) else str(other)
                yield Sample(changed, samples[0].x, note=f"{name} = {shown}")


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


def _notes(
    seen: Sequence[Shape], settings: Sequence[str], refused: Mapping[str, Sequence[Shape]], left: Sequence[Shape]
) -> Iterator[str]:
    if seen:
        yield f"looked at on rows of shape {', '.join(map(str, seen))}"
    if settings:
        yield f"looked at with other settings: {'; '.join(settings)}"
    if left:
        more = "more" if seen else "other"
        yield f"not looked at on rows of {len(left)} {more} shapes: first put right what is WRONG"
    for why, shapes in refused.items():
        yield f"not looked at on rows of shape {', '.join(map(str, shapes))}, {why}"
