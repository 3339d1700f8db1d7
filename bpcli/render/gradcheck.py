"""A gradient check on the terminal: a row a tensor, the algebra, and what is wrong in words."""

import sys
from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.text import Text

from bpcli.numeric.shapes import entry_name
from bpcli.records.gradcheck import EXACT_WITNESSES, GradcheckReport, LayerLaws, PartVerdict, TensorRow
from bpcli.render.console import clipped, console_width, table, text_line, unicode

SCOPES = {
    "layer": "- each layer alone",
    "loss": "- the loss",
    "penalty": "- the penalties alone",
    "network": "- the whole objective",
    "step": "- a step",
    "external": "",
}
WIDE_COLUMNS = 118  # columns from which the witnesses have one each
LONG_NAME_COLUMNS = 110  # columns from which names of layers are longer
WITNESSES = (*EXACT_WITNESSES, "differences")
"""Their gaps have a column each; in a narrow table the worse of the exact ones has one."""
GAP_WORDS = (
    "exact, to equations, stated and derived, and complex steps; diffs, to differences",
    "of the kernel to the equations as stated and as derived, to complex steps through them, and to differences",
)
WITNESS_WORDS = {
    "differences": "the central differences",
    "rows alone": "the row alone",
    "one thread": "one thread",
    "float64": "float64",
}
STYLES = {"WRONG": "bold red", "ok": "green", "kink": "yellow", "jump": "yellow", "noise": "yellow", "dead": "yellow"}
PARTS = {"layer": 0, "activation": 1, "loss": 2, "penalty": 3}
BESIDE_WORDS = {"equations": "eqs", "differences": "diffs"}
REMARKS = (
    "training, evaluation: gap of a batch to its rows alone; where rows see each other,",
    "  to equations (eqs) or differences (diffs); float32: gap to float64",
    "dy: gradients grow as dy does; calls: no other call or batch changes anything;",
    "  threads: two at once give the same; -: not compared",
)


def gradcheck_report(report: GradcheckReport) -> list[RenderableType]:
    """Returns what `gradcheck` prints."""
    external = any(row.scope == "external" for row in report.tensors)
    head = [text_line(f"{report.name}: {report.parameters:,} parameters, weights {report.weights}")]
    if external:
        head.append(text_line(f"{report.batch} rows: {report.rows}; float64"))
    else:
        head.append(text_line(f"{report.batch} rows, of {report.rows}; float64; seed {report.seed}"))
        head.append(Text(f"points: {', '.join(report.points)}"))
        head.append(Text(f"gap/bar: {GAP_WORDS[console_width() >= WIDE_COLUMNS]}"))
    found: list[RenderableType] = [*head, Text()]
    if report.compared:
        found += [_tensors(report.tensors, external), Text()]
    if report.laws:
        found += [_laws(report), Text()]
    if report.layers:
        found += [*_layer_laws(report.layers), Text()]
    if report.findings:
        found += [*_findings(report), Text()]
    found += [text_line(f"note: {note}") for note in report.notes]
    if report.notes:
        found.append(Text())
    found.append(_verdict(report))
    return found


def _tensors(rows: Sequence[TensorRow], external: bool) -> RenderableType:
    """Returns a row a tensor. A narrow table has the kernel's number alone; a wide one that of the witness beside
    it."""
    wide = console_width() >= WIDE_COLUMNS
    both = wide or external
    digits = 6 if both else 4
    ours, theirs = ("theirs", "ours") if external else ("kernel", "witness")
    gaps = (">gap/bar",) if external else tuple(f">{w}" for w in WITNESSES) if wide else (">exact", ">diffs")
    witnesses = [[name] for name in WITNESSES] if wide else [EXACT_WITNESSES, ["differences"]]
    numbers = (f">{ours}", f">{theirs}") if both else (f">{ours}",)
    found = table("tensor", *([">seen"] if both else []), *gaps, "at", *numbers, "verdict")
    for scope in dict.fromkeys(row.scope for row in rows):
        if not external:
            found.add_row(Text(SCOPES[scope], style="dim"))
        for row in (r for r in rows if r.scope == scope):
            verdict = Text(row.verdict, style=STYLES.get(row.verdict, ""))
            figures = [_of(row, names) for names in ([list(row.gaps)] if external else witnesses)]
            at = "" if row.note.startswith("along") else entry_name("", row.index)
            values = [f"{v:.{digits}g}" for v in (row.kernel, row.numeric)[: len(numbers)]]
            found.add_row(
                clipped(row.tensor, 24), *([_seen(row)] if both else []), *figures, at, *values, verdict
            )  # fmt: skip
    return found


def _of(row: TensorRow, witnesses: Sequence[str]) -> str:
    """Returns the worst gap to some witnesses, and the loosest bar that it was held against; - where nothing was
    compared."""
    gaps = [row.gaps[n] for n in witnesses if n in row.gaps]
    bars = [row.bars[n] for n in witnesses if n in row.bars]
    return "/".join(_gap(max(values)) for values in (gaps, bars) if values) or "-"


def _seen(row: TensorRow) -> str:
    """Returns how many entries were looked at one by one: all of them, or which share."""
    if row.entries >= row.of:
        return f"{row.of:,}"
    share = row.entries / row.of
    return f"{share:.0%}" if share >= 0.01 else f"{share:.1g}"


def _gap(gap: float) -> str:
    return "0" if gap == 0 else f"{gap:.0e}".replace("e-0", "e-")


def _laws(report: GradcheckReport) -> Text:
    """Returns the algebra in one line."""
    words = {"batch": "batch = mean of rows", "permutation": "order of rows", "derived": "stated = derived"}
    found = Text("algebra  ")
    for law in report.laws:
        figure = f" {law.worst:.0e}" if law.name == "float32" and law.holds else ""
        found.append(f"{words.get(law.name, law.name)}{figure} ")
        found.append(_mark(law.holds))
        found.append("   ")
    found.rstrip()
    return found


def _mark(holds: bool | None) -> Text:
    yes, no = ("✓", "✗") if unicode(sys.stdout) else ("ok", "FAILS")
    return Text("-" if holds is None else yes if holds else no, style="bold red" if holds is False else "")


def _layer_laws(layers: Sequence[LayerLaws]) -> list[RenderableType]:
    """Returns the table of what holds at the sizes of whole batches, with what its columns say."""
    found = table("layer", ">training", ">evaluation", ">float32", "dy", "calls", "threads")
    for laws in layers:
        found.add_row(
            clipped(laws.layer, 40 if console_width() >= LONG_NAME_COLUMNS else 24),
            *(_row_gaps(laws, mode) for mode in laws.alone),
            _gap_or_dash(laws.float32),
            *(_mark(holds) for holds in (laws.scaled, laws.calls, laws.threads)),
        )
    sizes = sorted({n for laws in layers for n in laws.rows})
    notes = dict.fromkeys(f"note: {laws.layer}: {laws.note}" for laws in layers if laws.note)
    head = Text(f"- each layer alone, in batches of {', '.join(map(str, sizes))} rows", style="dim")
    return [head, *(Text(line, style="dim") for line in REMARKS), Text(), found, *map(text_line, notes)]


def _row_gaps(laws: LayerLaws, mode: str) -> str:
    """Returns how far a batch is from what its rows give alone; where rows see each other, from what stands beside."""
    if mode in laws.beside:
        witness, gap = laws.beside[mode]
        return f"{BESIDE_WORDS[witness]} {_gap_or_dash(gap)}"
    return _gap_or_dash(laws.alone[mode])


def _gap_or_dash(gap: float | None) -> str:
    return "-" if gap is None else "0" if gap == 0 else f"{gap:.0e}"


def _findings(report: GradcheckReport) -> Iterator[Text]:
    rows = {row.tensor: row for row in report.tensors if row.verdict == "WRONG"}
    for finding in report.findings:
        row, figures = rows.get(finding.tensor), ""
        if row is not None and row.scope != "external":
            at = f" at {entry_name('', row.index)}" if row.index else ""
            witness = WITNESS_WORDS.get(row.witness, f"the {row.witness}")
            other = "" if row.witness == "kernel" else f", {witness} {row.numeric:.6g}"
            figures = f"  {_point(row)}, the kernel gives {row.kernel:.6g}{at}{other}\n"
        yield Text.assemble((finding.tensor, "bold red"), f"{figures}  {finding.text}")


def _point(row: TensorRow) -> str:
    """Returns where a tensor was looked at: at a point, or in a batch of some size."""
    shape = f" of shape {row.shape}" if row.shape else ""
    if row.point[:1].isdigit():
        return f"with {row.point}" + (f", rows{shape}" if shape else "")
    at = "with weights as they are" if row.point == "data" else f"at the {row.point} point"
    return at + (f" on rows{shape}" if shape else "")


def _verdict(report: GradcheckReport) -> Text:
    count = len({(r.scope, r.tensor) for r in report.tensors})
    took = f"{report.evaluations:,} evaluations, {report.seconds:.2f} s" if report.evaluations else ""
    if not report.compared:
        return Text("nothing was compared", style="yellow")
    if report.passed:
        soft = [r for r in report.tensors if r.verdict not in ("ok", "follows")]
        text = f"all {count} gradients are right" if not soft else f"no gradient is wrong, of {count}"
        return Text("; ".join(filter(None, (text, took))), style="green")
    text = f"WRONG: {', '.join(report.wrong)}" if report.wrong else "NOT PROVEN: some gradients could not be judged"
    return Text("; ".join(filter(None, (text, took))), style="bold red")


def part_table(rows: Sequence[PartVerdict]) -> list[RenderableType]:
    """Returns what `gradcheck --parts` prints."""
    found = table("part", "family", ">cases", ">compared", ">worst", "tensor", "against", "verdict")
    for row in sorted(rows, key=lambda r: (PARTS.get(r.family, 4), r.family, r.type)):
        verdict = Text(row.verdict, style=STYLES.get(row.verdict, ""))
        found.add_row(
            clipped(row.type, 22), row.family, str(row.samples), str(row.comparisons), f"{row.worst:.1g}",
            clipped(row.tensor, 12), row.witness, verdict,
        )  # fmt: skip
    wrong = [row.type for row in rows if row.verdict == "WRONG"]
    count = sum(row.comparisons for row in rows)
    unproven = [row.type for row in rows if row.verdict == "not covered"]
    text = f"all {len(rows)} parts are right, in {count:,} comparisons"
    if wrong or unproven:
        text = f"WRONG: {', '.join(wrong)}" if wrong else f"NOT PROVEN: {', '.join(unproven)}"
    notes = [text_line(f"note: {note}") for row in rows for note in row.notes]
    remark = "worst: the largest gap between two witnesses, as a share of what rounding allows there"
    return [found, Text(), Text(remark), *notes, Text(text, style="bold red" if wrong or unproven else "green")]
