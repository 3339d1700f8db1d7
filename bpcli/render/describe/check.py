"""A checked experiment on the terminal: layers, splits, columns, first rows."""

from rich.cells import cell_len
from rich.console import RenderableType
from rich.text import Text

from bpcli.numeric.shapes import in_bytes, written
from bpcli.records.training import CheckReport
from bpcli.render.console import clipped, table, text_line
from bpcli.render.numbers import date

MAX_COLUMNS_SHOWN = 12  # columns of the data that are shown
MAX_CLASSES_SHOWN = 20  # classes that are counted one by one
MAX_CELL_WIDTH = 24  # characters of a cell of the first rows
MAX_TABLE_WIDTH = 80  # characters


def check_page(report: CheckReport) -> list[RenderableType]:
    """Returns what `check` prints."""
    return [
        text_line(f"{report.file}: {report.name}"),
        Text(),
        _layers(report),
        Text(),
        *_costs(report),
        Text(),
        _splits(report),
        *([text_line(report.division)] if report.division else []),
        *_augmentation(report),
        Text(),
        *_columns(report),
        Text(),
        Text("the first rows, as they are read"),
        _first(report),
    ]


def _costs(report: CheckReport) -> list[RenderableType]:
    """Returns what it takes to train, in words."""
    row, batch, all_ = map(in_bytes, (report.bytes_per_sample, report.bytes_per_batch, report.bytes_training))
    found = f"{report.parameters:,} parameters, {report.multiply_adds:,} multiply-adds a row forward"
    return [
        Text(f"{found}; loss {report.loss}"),
        Text(f"the arrays of a step take {row} for a row, {batch} for a batch of {report.batch_size};"),
        Text(f"training needs about {all_} besides the data"),
    ]


def _layers(report: CheckReport) -> RenderableType:
    found = table("layer", ">in", ">out", ">params", ">mult-adds", ">bytes/row", ">batch", "weights from")
    for row in report.layers:
        found.add_row(
            row.path, written(row.input), written(row.output), f"{row.params:,}" if row.params else "",
            f"{row.multiply_adds:,}" if row.multiply_adds else "", f"{row.bytes_per_sample:,}",
            f"{row.bytes_per_batch:,}", row.note,
        )  # fmt: skip
    return found


def _splits(report: CheckReport) -> RenderableType:
    classes = list(report.splits[0].classes) if len(report.splits[0].classes) <= MAX_CLASSES_SHOWN else []
    counts = ((clipped(name), *(f"{split.classes[name]:,}" for split in report.splits)) for name in classes)
    found = table("rows of", *(f">{split.name}" for split in report.splits), rows=counts)
    if classes:
        found.add_section()
    found.add_row("all", *(f"{split.rows:,}" for split in report.splits))
    return found


def _augmentation(report: CheckReport) -> list[RenderableType]:
    if not report.augmentation:
        return []
    changes = table("augmentation", "settings", rows=report.augmentation)
    return [Text(), Text("training images, and no others, are changed by chance in every step"), changes]


def _columns(report: CheckReport) -> list[RenderableType]:
    gaps = any(column.missing for column in report.columns)
    found = table("input", "kind", ">from", ">to", *([">missing"] if gaps else []), "what is done")
    for column in report.columns[:MAX_COLUMNS_SHOWN]:
        limits = (column.low, column.high)
        low, high = ("" if v is None else date(v) if column.kind == "date" else f"{v:.6g}" for v in limits)
        lost = column.missing
        share = "" if not lost else "< 0.1 %" if lost < 0.001 else f"{lost:.1%}".replace("%", " %")
        missing = [share] if gaps else []
        treated = f"{column.format}; {column.treatment}" if column.format else column.treatment
        found.add_row(clipped(column.name), column.kind, low, high, *missing, treated)
    left = len(report.columns) - MAX_COLUMNS_SHOWN
    return [found, *([Text(f"and {left} more columns (all: --json)", "dim")] if left > 0 else [])]


def _first(report: CheckReport) -> RenderableType:
    header, rows = report.first_header, report.first_rows
    cut = len(header) > MAX_COLUMNS_SHOWN
    if cut:  # the first inputs and the target
        header = (*header[: MAX_COLUMNS_SHOWN - 4], "...", header[-1])
        rows = tuple((*r[: MAX_COLUMNS_SHOWN - 4], "...", r[-1]) for r in rows)
    cells = [tuple(clipped(c, MAX_CELL_WIDTH) for c in column) for column in zip(header, *rows, strict=True)]
    if sum(max(map(cell_len, column)) + 2 for column in cells) <= MAX_TABLE_WIDTH:
        return table(*(column[0] for column in cells), rows=zip(*(column[1:] for column in cells), strict=True))
    return table("column", *(f"row {i}" for i in range(len(rows))), rows=cells)  # a line for each column
