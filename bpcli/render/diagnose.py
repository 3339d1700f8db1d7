"""A diagnosis on the terminal: the layers in figures, then what was found, most serious first, with what to type."""

import math
import textwrap
from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from bpcli.records.diagnose import DiagnoseReport, LayerStats, Remedy, Symptom
from bpcli.records.printable import printable, shell_word
from bpcli.records.training import Curve
from bpcli.render.console import table
from bpcli.render.numbers import duration, percent
from bpcli.render.run.curve import curves

LEVEL_STYLES = {"warning": "bold red", "notice": "bold yellow", "ok": "green"}
MAX_TEXT_WIDTH = 100  # characters of a line of text
UNCHANGED_RATIO = 0.95  # loss after over loss before, from which on a remedy did not help
MAX_PLOTTED_RATIO = 2.0  # loss over the first one, at which the plot of one that explodes ends
MARGIN = 2  # columns left blank at the left


def brief(value: float | None) -> str:
    """Returns three significant digits in at most seven characters: 0.123, 22.5, 1.4e-7, 2.9e4."""
    if value is None:
        return ""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if 0.01 <= abs(value) < 999.5:
        return f"{value:.3g}"
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return f"{mantissa}e{int(exponent)}"


def diagnosis(report: DiagnoseReport, columns: int) -> list[RenderableType]:
    """Returns what `diagnose` prints, for so many columns."""
    width = min(columns, MAX_TEXT_WIDTH)
    symptoms = [s for s in report.symptoms if s.level != "ok"]
    passed = [s for s in report.symptoms if s.level == "ok"]
    found: list[RenderableType] = [
        Text(f"{printable(report.name)}: weights {printable(report.weights)}, measured on {report.rows}"),
        Text(f"loss {report.loss:.6g}; the best prediction that is the same for every row has {report.constant:.6g}"),
        Text(),
        *_layers(report.layers, width),
        *_plots(report, columns),
        Text(),
    ]
    for symptom in symptoms:
        found += [*_symptom(symptom, width), Text()]
    if passed:
        found += [_passed_checks(passed, width), Text()]
    found += [_paragraph(line, width, "dim") for line in _closing(report)]
    return [*found, Text(_verdict(symptoms) + f", in {duration(report.seconds)}", "bold")]


def _layers(rows: tuple[LayerStats, ...], width: int) -> Iterator[RenderableType]:
    """Yields the table of layers with weights or with units that can be dead."""
    shown = [row for row in rows if row.gradient is not None or row.dead is not None]
    found = table(
        "layer", ">|grad|", ">|W|", ">step", ">error", ">mean", ">dev", ">dead", ">at ends"
    )  # fmt: skip
    for row in shown:
        found.add_row(
            printable(row.layer), brief(row.gradient), brief(row.weights), brief(row.update), brief(row.error),
            brief(row.output_mean), brief(row.output_deviation), percent(row.dead), percent(row.saturated),
        )  # fmt: skip
    yield found
    steps = "step: the first, over |W|; " if any(row.update is not None for row in shown) else ""
    legend = f"{steps}error: root mean square of dL/dy; mean, dev: of outputs; dead: units that no row opens; "
    yield _paragraph(f"{legend}at ends: outputs where the slope is nearly 0", width, "dim")
    left = len(rows) - len(shown)
    if left:
        yield Text(f"and {left} layer{'s' * (left != 1)} without weights or a flat end (all: --json)", "dim")


def _plots(report: DiagnoseReport, columns: int) -> list[RenderableType]:
    """Returns the curves of the range test and of the batch that is overfitted."""
    drawn: list[Curve] = []
    if len(report.rates) > 1:
        x = tuple(round(math.log10(rate), 1) for rate, _ in report.rates)
        y = [loss for _, loss in report.rates]
        drawn.append(Curve("loss, as the rate grows", "log10 of the learning rate", x, _capped(y)))
    if len(report.overfit) > 1:
        steps = tuple(float(k) for k in range(len(report.overfit)))
        drawn.append(Curve("loss of one batch, by heart", "steps", steps, _capped(list(report.overfit))))
    return [Text(), curves(drawn, columns)] if drawn else []


def _capped(losses: list[float]) -> tuple[float, ...]:
    """Returns losses as a plot shows them: no higher than twice the first."""
    top = MAX_PLOTTED_RATIO * losses[0] if losses[0] > 0 else math.inf
    return tuple(min(loss, top) if math.isfinite(loss) else top for loss in losses)


def _symptom(symptom: Symptom, width: int) -> Iterator[RenderableType]:
    head = Text()
    head.append(symptom.level, LEVEL_STYLES[symptom.level])
    head.append(f"  {symptom.check}", "bold")
    head.append(f", {printable(symptom.place)}" if symptom.place else "")
    yield head
    yield _paragraph(symptom.figure, width, indent=MARGIN)
    if symptom.why:
        yield _paragraph(symptom.why, width, "dim", MARGIN)
    for remedy in symptom.cures:
        yield from _remedy(remedy, width)


def _remedy(remedy: Remedy, width: int) -> Iterator[RenderableType]:
    """Yields what to type, one `--set` on each line, and below it what that is and what it did."""
    last = len(remedy.sets) - 1
    for i, setting in enumerate(remedy.sets):
        line = f"--set {shell_word(printable(setting))}" + " \\" * (i < last)
        yield _paragraph(line, width, "cyan", MARGIN + 2, MARGIN + 8)  # quoted text may be broken where it has a space
    yield _paragraph(remedy.text, width, indent=MARGIN + 4)
    if remedy.note:
        yield _paragraph(remedy.note, width, "yellow", MARGIN + 4)
    elif remedy.helps is not None:
        yield _paragraph(_effect(remedy), width, "green" if remedy.helps else "yellow", MARGIN + 4)


def _effect(remedy: Remedy) -> str:
    parts = []
    if remedy.before is not None and remedy.after is not None and remedy.figure:
        parts.append(f"{remedy.figure}: {brief(remedy.before)} -> {brief(remedy.after)}")
    parts.append(f"{remedy.judged}: {_loss(remedy.loss_before)} -> {_loss(remedy.loss_after)}")
    before, after = remedy.loss_before or 0.0, remedy.loss_after or 0.0
    verdict = "it helps" if remedy.helps else "it does not help"
    if remedy.helps and after > UNCHANGED_RATIO * before:
        verdict = "it remedies this, and does not lower the loss by itself"
    return f"tried: {'; '.join(parts)}; {verdict}"


def _loss(value: float | None) -> str:
    return "diverges" if value is None or not math.isfinite(value) else f"{value:.4g}"


def _passed_checks(symptoms: list[Symptom], width: int) -> RenderableType:
    found = Table.grid(padding=(0, 2, 0, 0))
    longest = max(len(s.check) for s in symptoms)
    for symptom in symptoms:
        figure = _paragraph(symptom.figure, width - longest - len("ok") - 4)
        found.add_row(Text("ok", LEVEL_STYLES["ok"]), symptom.check, figure)
    return found


def _paragraph(text: str, width: int, style: str = "", indent: int = 0, hanging: int | None = None) -> Text:
    """Returns a paragraph of at most `width` columns; words are never broken, so that what is to be typed can be
    copied."""
    behind = indent if hanging is None else hanging
    lines = textwrap.wrap(
        printable(text), max(width, 40), initial_indent=" " * indent, subsequent_indent=" " * behind,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    return Text("\n".join(lines), style, no_wrap=True, overflow="ignore")


def _closing(report: DiagnoseReport) -> Iterator[str]:
    if report.tried:
        yield f"tried: {report.tried}"
    for note in report.notes:
        yield f"not looked at: {note}" if note.startswith("how it") else note


def _verdict(symptoms: list[Symptom]) -> str:
    warnings, notices = (sum(s.level == level for s in symptoms) for level in ("warning", "notice"))
    if not symptoms:
        return "nothing found"
    counts = [f"{n} {word}{'s' * (n != 1)}" for n, word in ((warnings, "warning"), (notices, "notice")) if n]
    return " and ".join(counts)
