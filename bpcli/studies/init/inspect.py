"""What a data file holds and which settings suit it: the decisions of a first experiment."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from bpcli.family import Array, Shape, Source, Table, Treatment
from bpcli.parts.data.cells import number_of, usual_sentinels
from bpcli.parts.data.columns.loading import ColumnRequest
from bpcli.parts.data.columns.settings import TreatmentMap
from bpcli.parts.data.columns.source import ColumnSource
from bpcli.records.training import Failure, Problem
from bpcli.studies.dataset.data_option import source_of
from bpcli.studies.dataset.far_off import far_off_remarks, target_values
from bpcli.studies.dataset.judgement import hazards
from bpcli.studies.init.categories import one_hot_limits
from bpcli.studies.init.codes import codes_remarks, find_codes
from bpcli.studies.init.columns import MIN_MISSING_SHARE, FileColumn, file_column, missing_values, sentinel_remark
from bpcli.studies.init.options import USUAL, ColumnOptions, option
from bpcli.studies.init.other_cells import nearly_measured_columns, other_cells_remarks, refuse_other_cells
from bpcli.studies.init.spellings import may_have_two_spellings, spelled_codes
from bpcli.studies.init.targets import (
    TableTask,
    count_outputs,
    dressed_target_remarks,
    few_rows_remark,
    find_task,
    gap_remarks,
    like_labels_remark,
    whole_numbers_remark,
)

MIN_SENTINEL_SHARE = 0.01  # likewise, where a number says so that may have a meaning of its own
MIN_IMBALANCE = 10.0  # rows of the largest class over those of the smallest, from which on accuracy says little


@dataclass(frozen=True)
class Inspection:
    """What was found in the data, and what a first experiment is made of."""

    source: dict[str, Any]  # as in the file
    origin: str
    rows: int
    columns: tuple[FileColumn, ...]
    targets: tuple[str, ...]
    task: TableTask
    shape: Shape  # of one encoded row
    outputs: int
    classes: Mapping[str, int] = field(default_factory=dict)
    several: bool = False  # labels a row
    remarks: tuple[str, ...] = ()
    pixels: bool = False

    @property
    def imbalance(self) -> float:
        """Rows of the largest class over those of the smallest."""
        return max(self.classes.values()) / min(self.classes.values()) if self.classes else 1.0

    @property
    def dates(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.columns if c.kind == "date" and not c.dropped)


def inspect_data(
    data: str, targets: Sequence[str], task: TableTask | None, root: Path, base: Path, options: ColumnOptions = USUAL
) -> Inspection:
    """Inspects the data and decides what suits it, but for what the options say.

    `data` is a path relative to `root`, or a source spelled out; `targets` are the columns to predict. In what is
    returned the path is relative to `base`. Raises Failure for whatever is wrong with the data, and where nothing can
    be predicted.
    """
    source = source_of(data, None, not data.lstrip().startswith("{"), root=root)
    if isinstance(source, ColumnSource):
        return _columns(source, tuple(targets), task, root, base, options)
    if options != USUAL:
        text = (
            f"{source.kind} has no columns with names: there is nothing for {options.words()[0].split()[0]} to be about"
        )
        raise Failure(Problem(text, code="options", help="leave the option out"))
    settings, table, remarks = source.infer_settings(root)
    values, classes, several = find_task(table, "classify" if source.classifies else task)
    return Inspection(
        source=_source_settings(source, root, base, **settings), origin=table.origin, rows=table.rows, columns=(),
        targets=(), task=values, shape=table.numbers.shape[1:], outputs=count_outputs(table, classes), classes=classes,
        several=several, remarks=remarks, pixels=source.pixels,
    )  # fmt: skip


def _source_settings(source: Source, root: Path, base: Path, **settings: Any) -> dict[str, Any]:
    """Returns the source as a config in `base` writes it, with these settings added."""
    plain = source.model_dump(mode="json", exclude_defaults=True)
    for key, value in plain.items():
        if isinstance(value, str) and root / value in source.files(root) and (root / value).exists():
            plain[key] = _path(root / value, base)
    return {"type": source.kind, **plain, **{k: v for k, v in settings.items() if v}}


def _path(file: Path, base: Path) -> str:
    """Returns the relative path from a folder to a file; absolute where there is none (another drive)."""
    try:
        way = Path(os.path.relpath(file, base)).as_posix()
        if way.startswith("../"):  # up from where a link leads to, not from where it stands
            way = Path(os.path.relpath(file.resolve(), base.resolve())).as_posix()
        return way
    except ValueError:
        return file.resolve().as_posix()


# Tables


def _columns(
    source: Any, targets: tuple[str, ...], task: TableTask | None, root: Path, base: Path, options: ColumnOptions
) -> Inspection:
    named = source = options.applied(source.model_copy(update={"target": targets or source.target}))
    table, source = _load(source, root, task)
    if task is None:
        refuse_other_cells(table, _spelled_out(named, root))
    values, classes, several = find_task(table, task)
    sentinel_remarks: tuple[str, ...] = ()
    if values == "regress" and (odd := _target_sentinels(table)):
        sentinel_remarks = tuple(sentinel_remark(name, *found) for name, found in odd.items())
        gaps = {name: source.columns[name].model_copy(update={"missing_values": tuple(map(str, missing_values(found)))})
                for name, (_, found) in odd.items()}  # fmt: skip
        table, source = _load(source.model_copy(update={"columns": {**source.columns, **gaps}}), root, task)
        values, classes, several = find_task(table, task)
    as_read = table
    unsaid = {name for name in table.order if source.declared_kind(name) is None} - options.kept
    spelling_remarks: tuple[str, ...] = ()
    codes = find_codes(table, unsaid, hazards(table))
    if spelled := may_have_two_spellings(table, unsaid - codes.keys()):
        as_cells = source.model_copy(update={"text": (*source.text, *spelled)})
        named_so, spelling_remarks = spelled_codes(as_cells.load_columns(root, ColumnRequest()), spelled)
        codes |= named_so
    as_text = {name: (source.columns.get(name) or Treatment()).model_copy(update={"kind": "text"}) for name in codes}
    source = source.model_copy(update={"columns": TreatmentMap({**source.columns, **as_text})})
    by_labels = table.target is not None and table.target.ndim == 1 and bool(classes)
    if by_labels or codes:
        table = source.load_columns(root, ColumnRequest(classes=by_labels or None))  # 01 and 1 are two classes
        values, classes, several = find_task(table, task)
    limits = one_hot_limits(table)
    nearly = nearly_measured_columns(table, unsaid | ({*table.target_names} if task is None else set()))
    columns = [file_column(table, n, n in options.kept, limits.get(n, 0), nearly.get(n)) for n in table.order]
    kept = [c for c in columns if not c.dropped]
    if not kept:
        text = f"{table.origin}: no column is left to learn from: {', '.join(c.name for c in columns[:8])}"
        help = "a network needs a column that says something about the target"
        raise Failure(Problem(text, code="no-inputs", help=help))
    found = hazards(table, {c.name for c in kept})
    text_columns = any(c.kind == "text" for c in kept)
    lost = table.target_names if any(w.code == "rows-left-out" for w in table.warnings) else ()
    said = source.model_dump(mode="json", exclude_defaults=True).get("columns", {})
    treatments: dict[str, Any] = {c.name: _joined(c.settings, said.get(c.name, {})) for c in kept}
    for name in table.target_names:
        own = (
            {"missing": "drop"} if name in lost else named.columns.get(name, Treatment()).model_dump(exclude_unset=True)
        )
        treatments[name] = {**{k: v for k, v in said.get(name, {}).items() if k != "missing"}, **own}
    treatments = {name: settings for name, settings in treatments.items() if settings}
    settings = {
        "drop": [*source.drop, *(c.name for c in columns if c.dropped)],
        "columns": treatments,
        "missing": "median",  # also where nothing is missing here: a row to be predicted may lack a value
        "indicator": any(c.missing >= (MIN_SENTINEL_SHARE if c.sentinels else MIN_MISSING_SHARE) for c in kept),
        "unseen": "ignore" if text_columns else None,
    }
    found_gaps = {c.name: c.sentinels for c in kept}
    plain = source.model_copy(update={"missing": "error", "columns": {}})
    return Inspection(
        source=_source_settings(plain, root, base, **settings),
        origin=table.origin,
        rows=table.rows,
        columns=tuple(columns),
        targets=table.target_names,
        task=values,
        shape=(sum(c.width for c in kept),),
        outputs=count_outputs(table, classes),
        classes=classes,
        several=several,
        remarks=(
            *sentinel_remarks,
            *(w.text for w in table.warnings),
            *(_unnamed_remarks(source, root) if "" in set(source.drop) - set(named.drop) else ()),
            *(c.remark for c in kept if c.remark),
            *(codes[c.name] for c in kept if c.name in codes),
            *spelling_remarks,
            *dressed_target_remarks(table),
            *whole_numbers_remark(as_read, classes, task),
            *like_labels_remark(table, classes),
            *other_cells_remarks(table, nearly, _spelled_out(named, root)),
            *gap_remarks(table, classes, _spelled_out(named, root)),
            *few_rows_remark(table.rows, classes),
            *codes_remarks(table, {c.name for c in kept if c.kind == "number"} - options.kept, found),
            *far_off_remarks(table, found_gaps, regresses=values == "regress"),
            *(hazard.advice(option("--drop", hazard.drop)) for hazard in found),
        ),
    )


def _unnamed_remarks(source: Any, root: Path) -> tuple[str, ...]:
    """Returns why each column without a name is left out, by its first cells."""
    found = []
    for cells in source.unnamed_cells(root):
        numbers = [number_of(cell) for cell in cells]
        why = "name it in the header to have it as an input"
        if not any(cells):
            why = "it is empty, as where a delimiter ends each line"
        elif all(b is not None and a is not None and b - a == 1 for a, b in pairwise(numbers)):
            why = "data frames write the numbers of their rows so"
        found.append(f"the column without a name is left out: {why}")
    return tuple(dict.fromkeys(found))


def _spelled_out(source: Any, root: Path) -> dict[str, Any]:
    """Returns the source as it can be typed in the place of a path."""
    return {key: value for key, value in _source_settings(source, root, root).items() if key != "target"}


def _target_sentinels(table: Table) -> dict[str, tuple[Array, tuple[float, ...]]]:
    """Returns the values of each target (n,) that has numbers which seem to stand for no value, and these."""
    return {name: (values, odd) for name, values in target_values(table) if (odd := usual_sentinels(values))}


def _joined(found: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings of a column that were found, what is said going before; the lists of what stands for no
    value are put together, since the one was found among what the other leaves."""
    gaps = [*said.get("missing_values", ()), *found.get("missing_values", ())]
    return {**found, **said, **({"missing_values": gaps} if gaps else {})}


def _load(source: Any, root: Path, task: TableTask | None) -> tuple[Table, Any]:
    """Loads all rows, with gaps where the file has them. Returns the source that reads them so, too: one that takes a
    first line that is data, columns without a name (the row numbers that a data frame writes) and a target that is said
    to be classes as they are."""
    first: Failure | None = None  # of a file whose first line was taken for data
    while True:  # every other try changes the source
        known = {name: source.columns.get(name) or Treatment() for name in source.target}
        dropped = {n: own.model_copy(update={"missing": own.missing or "drop"}) for n, own in known.items()}
        columns = {**source.columns, **dropped}
        tolerant = source.model_copy(update={"missing": "median", "columns": columns})
        try:
            return tolerant.load(root), tolerant
        except Failure as failure:
            code = failure.problems[0].code
            if code == "no-name" and "" in {*source.columns, *source.text}:
                text, help = "the column without a name cannot be asked for", "give it a name in the header of the file"
                raise Failure(Problem(text, code="no-name", file=failure.problems[0].file, help=help)) from None
            elif code == "no-name" and "" not in source.drop:
                source = source.model_copy(update={"drop": (*source.drop, "")})
            elif code == "no-header" and source.header is None:
                source = source.model_copy(update={"header": False})
                first = failure
            elif code == "missing-column" and first is not None and source.header is False:
                source, first = source.model_copy(update={"header": True}), failure  # years may be names
            elif code == "missing-column" and first is not None:
                raise first from None
            elif code == "no-target":
                raise _no_target(failure) from None
            elif task == "classify" and len(source.target) == 1 and not {*source.target} & {*source.text}:
                source = source.model_copy(update={"text": (*source.text, *source.target)})
            else:
                raise


def _no_target(failure: Failure) -> Failure:
    problem = failure.problems[0]
    _, _, names = problem.help.partition("; ")
    help = f"name the column to predict: --target NAME; {names}"
    return Failure(Problem("what is to be predicted is not said", code="no-target", file=problem.file, help=help))
