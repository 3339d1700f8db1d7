"""An evaluation on the terminal: metrics, the classification report, the confusion matrix."""

from rich.cells import cell_len
from rich.console import RenderableType
from rich.text import Text

from bpcli.records.printable import printable
from bpcli.records.training import ClassRow, EvalReport
from bpcli.render.console import clipped, table
from bpcli.render.numbers import short

MAX_MATRIX_CLASSES = 20  # classes of a confusion matrix that is printed whole
MAX_NOTES = 6  # shown
MAX_MATRIX_WIDTH = 78  # columns of the terminal; where names need more, numbers stand over the matrix


def evaluation(report: EvalReport) -> list[RenderableType]:
    """Returns what `eval` prints."""
    items: list[RenderableType] = [Text(f"{report.split}: {report.rows:,} rows, loss {short(report.loss)}"), Text()]
    items.append(table("metric", ">value", rows=((name, short(value)) for name, value in report.metrics.items())))
    if report.per_class:
        items += [Text(), _classes(report)]
    if report.confusion:
        items += [Text(), *_confusion(report)]
    items += [Text(f"note: {printable(note)}", "yellow") for note in report.notes[:MAX_NOTES]]
    if len(report.notes) > MAX_NOTES:
        items.append(Text(f"and {len(report.notes) - MAX_NOTES} more notes (all: --json)", "yellow"))
    return items


def _classes(report: EvalReport) -> RenderableType:
    rows = ((clipped(row.name), *_scores(row)) for row in report.per_class)
    found = table("class", ">precision", ">recall", ">f1-score", ">support", rows=rows)
    found.add_section()
    for row in report.averages:
        if row.name == "accuracy":
            found.add_row(row.name, "", "", f"{row.f1:.4f}", str(row.support))
        else:
            found.add_row(row.name, *_scores(row))
    return found


def _scores(row: ClassRow) -> tuple[str, str, str, str]:
    return f"{row.precision:.4f}", f"{row.recall:.4f}", f"{row.f1:.4f}", str(row.support)


def _confusion(report: EvalReport) -> list[RenderableType]:
    if len(report.classes) > MAX_MATRIX_CLASSES:
        return [Text("the most frequent mistakes (the whole matrix: --json)"), _mistakes(report)]
    names = [clipped(c) for c in report.classes]
    heads = names
    if sum(max(cell_len(n), 4) + 2 for n in names) + max(map(cell_len, names)) > MAX_MATRIX_WIDTH:
        heads = [str(i) for i in range(len(names))]
        names = [f"{head} {name}" for head, name in zip(heads, names, strict=True)]
    found = table("true \\ predicted", *(f">{head}" for head in heads))
    for i, (name, row) in enumerate(zip(names, report.confusion, strict=True)):
        found.add_row(name, *(Text(f"{n:.10g}", "bold" if i == j else ("" if n else "dim")) for j, n in enumerate(row)))
    return [Text("confusion matrix: a row for each true class, a column for each predicted one"), found]


def _mistakes(report: EvalReport) -> RenderableType:
    pairs = [
        (n, report.classes[i], report.classes[j])
        for i, row in enumerate(report.confusion)
        for j, n in enumerate(row)
        if i != j and n
    ]
    most = sorted(pairs, key=lambda p: -p[0])[:MAX_MATRIX_CLASSES]
    rows = ((clipped(true), clipped(predicted), f"{n:.10g}") for n, true, predicted in most)
    return table("true", "predicted", ">rows", rows=rows)
