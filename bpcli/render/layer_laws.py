"""What each layer obeys at the sizes of whole batches, a row a layer."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from bpcli.records.gradcheck import LayerLaws
from bpcli.render.console import clipped, console_width, table, unicode

WIDE_COLUMNS = 110  # columns from which names are longer
BESIDE_WORDS = {"equations": "eqs", "differences": "diffs"}
REMARKS = (
    "training, evaluation: gap of a batch to its rows alone; where rows see each other,",
    "  to equations (eqs) or differences (diffs); float32: gap to float64",
    "dy: gradients grow as dy does; calls: no other call or batch changes anything;",
    "  threads: two at once give the same; -: not compared",
)


def layer_laws(layers: Sequence[LayerLaws]) -> list[RenderableType]:
    """Returns the table of what holds at the sizes of whole batches, with what its columns say."""
    found = table("layer", ">training", ">evaluation", ">float32", "dy", "calls", "threads")
    for laws in layers:
        found.add_row(
            clipped(laws.layer, 40 if console_width() >= WIDE_COLUMNS else 24),
            *(_rows(laws, mode) for mode in laws.alone),
            _gap(laws.float32),
            *(_mark(holds) for holds in (laws.scaled, laws.calls, laws.threads)),
        )
    sizes = sorted({n for laws in layers for n in laws.rows})
    notes = dict.fromkeys(f"note: {laws.layer}: {laws.note}" for laws in layers if laws.note)
    head = Text(f"- each layer alone, in batches of {', '.join(map(str, sizes))} rows", style="dim")
    return [head, *(Text(line, style="dim") for line in REMARKS), Text(), found, *map(Text, notes)]


def _rows(laws: LayerLaws, mode: str) -> str:
    """Returns how far a batch is from what its rows give alone; where rows see each other, from what stands beside."""
    if mode in laws.beside:
        witness, gap = laws.beside[mode]
        return f"{BESIDE_WORDS[witness]} {_gap(gap)}"
    return _gap(laws.alone[mode])


def _gap(gap: float | None) -> str:
    return "-" if gap is None else "0" if gap == 0 else f"{gap:.0e}"


def _mark(holds: bool | None) -> Text:
    yes, no = ("✓", "✗") if unicode(sys.stdout) else ("ok", "FAILS")
    return Text("-" if holds is None else yes if holds else no, style="bold red" if holds is False else "")
