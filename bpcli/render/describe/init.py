"""A first config on the terminal: what its data hold, what is done with them, and what to type to have it otherwise."""

from rich.console import RenderableType
from rich.text import Text

from bpcli.records.printable import printable, shell_word
from bpcli.render.console import clipped, table, text_line
from bpcli.studies.init.columns import FileColumn
from bpcli.studies.init.init import FirstConfig
from bpcli.studies.init.inspect import Inspection

MAX_COLUMNS_SHOWN = 40  # columns of the data; the others are counted by what is done with them
MAX_CELL_WIDTH = 24  # characters of a name, or of what a column holds
OVERRULING = (
    "--text COL, --number COL or --drop COL (each repeatable), --task classify or regress, --date-order dmy or mdy, "
    "--thousands and --decimal with the mark that stands there"
)


def page(first: FirstConfig) -> list[RenderableType]:
    """Returns what `init` prints beside the file that it has written."""
    found = first.inspection
    return [] if found is None or not found.columns else [*_columns(found), *_remarks(found), *_overruling(first)]


def _columns(found: Inspection) -> list[RenderableType]:
    """Returns a table of the inputs, those that are left out last."""
    columns = sorted(found.columns, key=lambda c: c.dropped)
    gaps = any(c.missing for c in columns)
    shown = table("column", "kind", "holds", *([">missing"] if gaps else []), "what is done")
    for c in columns[:MAX_COLUMNS_SHOWN]:
        missing = [f"{100 * c.missing:.3g} %" if c.missing else ""] if gaps else []
        shown.add_row(clipped(c.name, MAX_CELL_WIDTH), c.kind, clipped(c.holds, MAX_CELL_WIDTH), *missing, c.treatment)
    rest = columns[MAX_COLUMNS_SHOWN:]
    more = (
        [Text(f"and {len(rest):,} more, {_dropped(rest)} of them left out (all: bpcli check --json)", "dim")]
        if rest
        else []
    )
    return [text_line(f"{found.origin}: {found.rows:,} rows; {_target(found)}"), Text(), shown, *more]


def _dropped(columns: list[FileColumn]) -> str:
    return f"{sum(c.dropped for c in columns):,}"


def _target(found: Inspection) -> str:
    """Returns what is predicted, in words."""
    names = ", ".join(f"`{clipped(name)}`" for name in found.targets)
    if found.task == "regress":
        return f"{names} as numbers"
    return f"{names} as {len(found.classes):,} classes" if found.classes else f"{names} as classes, 0 or 1 each"


def _remarks(found: Inspection) -> list[RenderableType]:
    return [part for remark in found.remarks for part in (Text(), text_line(remark))]


def _overruling(first: FirstConfig) -> list[RenderableType]:
    """Returns what to type to have it otherwise."""
    return [Text(), Text(f"to have it otherwise, add {OVERRULING}:"), Text(f"  {first.again}", "bold"), Text()]


def next_step(first: FirstConfig) -> Text:
    """Returns what to type after `init`."""
    name = shell_word(first.file)
    return Text.assemble(
        f"{printable(str(first.file))} is written: look at it, it explains itself\n",
        (f"next:   bpcli check {name}", "bold"),
    )
