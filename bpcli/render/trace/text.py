"""A derivation on the terminal."""

import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
from rich.cells import cell_len
from rich.console import RenderableType
from rich.text import Text as Styled

from bpcli.notation.text import Ascii, Text
from bpcli.records.printable import printable
from bpcli.records.trace import (
    STAGES,
    Derivation,
    PathsTo,
    Quantity,
    Stage,
    StartValue,
    StepLine,
    WorkedEntry,
)
from bpcli.render.console import table
from bpcli.render.trace import outline
from bpcli.render.trace.arrays import ROUND_TRIP_DIGITS, digits_to_close, first_plane, matrix_rows, summary

STYLES = {Stage.FORWARD: "green", Stage.LOSS: "yellow", Stage.HIDDEN: "red", Stage.WEIGHTS: "red"}
"""Of headings, besides their words."""


class Terminal:
    """Draws a derivation for a terminal of so many columns, in Unicode or in ASCII alone."""

    def __init__(self, d: Derivation, width: int = 80, ascii: bool = False) -> None:
        self.d, self.width, self.ascii = d, max(40, width), ascii
        self.reader: type[Text] = Ascii if ascii else Text
        self.arrow = "->" if ascii else "→"
        self.rule = "-" if ascii else "─"

    def draw(self) -> Iterator[RenderableType]:
        """Yields everything in order: header, blocks, agreement."""
        yield Styled(printable(outline.title(self.d)), "bold")
        for name, text in self.d.facts:
            plain = text if not self.ascii else text.encode("ascii", "replace").decode()
            yield from self._wrapped(f"  {name:<8} ", printable(plain.replace("->", self.arrow)))
        for block in outline.outline_blocks(self.d):
            if not isinstance(block, StartValue | outline.StageQuantities):
                yield Styled()
            match block:
                case outline.StepStart(step):
                    heading = f"{2 * self.rule} training step {step.step} "
                    yield Styled(heading + self.rule * (min(self.width, 80) - len(heading)), "bold")
                case outline.LayerOverview(step):
                    yield from self._overview(step)
                case PathsTo():
                    yield from self._paths(block)
                case Stage():
                    heading, text = STAGES[block]
                    style = f"bold {STYLES.get(block, '')}".strip()
                    yield from self._wrapped(f"{block.value}  {heading}: ", text, style, hang=3)
                case StartValue():
                    yield from self._start_value(block)
                case outline.StageQuantities(shown):
                    for _, group in groupby(shown, key=lambda q: (q.part, q.layer, q.name)):
                        yield from self._quantity(list(group))
                case outline.StepLosses(step):
                    yield from self._losses(step)
        yield Styled()
        for path, text in outline.agreement(self.d):
            yield from self._wrapped("WRONG " if path else "", path + text, "bold red" if path else "green")
        if self.d.detail == "overview":
            yield from self._wrapped("more: ", "--detail layer | neuron | path   one weight: --param NAME[i,j]")
            yield from self._wrapped("      ", "--format markdown | latex | html | json   your own numbers: bpcli mark")

    def _wrapped(self, lead: str, text: str, style: str = "", hang: int | None = None) -> Iterator[Styled]:
        """Yields lines no wider than the terminal; what does not fit stands under the text, not under the lead."""
        start = cell_len(lead)
        indent = " " * (start if hang is None else hang)
        lines = textwrap.wrap(
            text, max(self.width, start + 24), initial_indent="." * start, subsequent_indent=indent,
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
        yield Styled(lead + (lines[0][start:] if lines else ""), style)
        for line in lines[1:]:
            yield Styled(line, style)

    # --------------------------------------------------------------------------------------------------------- overview
    def _overview(self, step: StepLine) -> Iterator[RenderableType]:
        rows = len(step.outputs)
        if rows > 1:
            yield Styled(f"y and dL/dy of the first of {rows} rows:")
        found = table("layer", "y: what goes out", "dL/dy: its error", ">|dL/dw|", "", ascii=self.ascii)
        for line in step.layers:
            kind = "" if line.kind in line.layer else f" {line.kind}"
            found.add_row(
                f"{line.layer}{kind} ({'x'.join(map(str, line.units)) or '1'})",
                *(outline.ends_of_array(a[0], self.d.digits, self._number) for a in (line.y, line.dy)),
                "  ".join(f"{name[1:]} {value:.3g}" for name, value in line.gradients.items()), line.note,
            )  # fmt: skip
        yield found

    def _number(self, value: float, digits: int | None = None) -> str:
        return self.reader(digits=min(digits or self.d.digits, 17)).number(float(value)).text

    def _losses(self, step: StepLine) -> Iterator[RenderableType]:
        n = self._number
        parts = f" = {n(step.data_loss)} of the data + {n(step.penalty)} penalty" if step.penalty else ""
        yield Styled(f"loss     {n(step.loss)}{parts}")
        clipped = f", of which clipping leaves {n(step.clipped)}" if step.clipped != 1 else ""
        yield from self._wrapped("gradient ", f"{n(step.norm)} long{clipped}")
        yield from self._wrapped("step     ", f"learning rate {n(step.rate)}; the weights move by {n(step.moved)}")
        change = f"{n(step.after)} on the same rows: {n(step.change)}"
        yield from self._wrapped("after    ", f"{change}; the gradient predicts {n(step.predicted)}, to first order")

    # ------------------------------------------------------------------------------------------------- the seven steps
    def _start_value(self, g: StartValue) -> Iterator[RenderableType]:
        note = f"   {g.note}" if g.note else ""
        address, shown = first_plane(g.value, g.path)
        rows = matrix_rows(shown, self.d.digits, self.reader, self.width - len(g.path) - 5)
        if not address and len(rows) == 1 and cell_len(rows[0] + note) + len(g.path) + 5 <= self.width:
            yield Styled(f"   {g.path}  {rows[0]}{printable(note)}")
            return
        here = f"; {address} is" if address else ""
        yield from self._wrapped(f"   {g.path}  ", f"{summary(g.value)}{printable(note)}{here}")
        yield from (Styled(f"      {row}") for row in rows)

    def _quantity(self, group: Sequence[Quantity]) -> Iterator[RenderableType]:
        """Yields one equation, of one array or tensor by tensor, with its numbers."""
        q = group[0]
        name = q.path if not q.tensor else f"{q.part} {q.kind}"
        yield Styled()
        equation = self.reader(q.known).equation(q.equation)
        yield from self._wrapped(f"   {name}   ", equation, "bold", hang=6)
        where = [f"{letter} is {source}" for letter, source in outline.symbol_sources(q, "d" if self.ascii else "∂")]
        remark = "; ".join(filter(None, (q.why, *where)))
        if remark:
            yield from self._wrapped("      ", printable(remark), "dim")
        for part in group:
            if self.d.detail == "layer":
                yield from self._array(part)
            for entry in part.entries:
                yield from self._entry(part, entry)
            if part.entries and part.hidden and not _chosen_by_weight(part):
                yield Styled(f"      ... and {part.hidden:,} more of {part.path}", "dim")

    def _array(self, q: Quantity) -> Iterator[RenderableType]:
        value = q.value if q.engine is None else q.engine
        lead = f"{q.path} = " if q.tensor else "= "
        address, shown = first_plane(value, q.path, q.equation.letters)
        lead = f"{address} = " if address else lead
        rows = matrix_rows(shown, self.d.digits, self.reader, self.width - 8 - len(lead))
        for i, row in enumerate(rows):
            yield Styled("      " + (lead if i == 0 else " " * len(lead)) + row)
        if value.size > 64:
            yield Styled(f"        {summary(value)}", "dim")

    def _entry(self, q: Quantity, entry: WorkedEntry) -> Iterator[RenderableType]:
        """Yields one entry: the equation with its numbers put in, the result, and notes."""
        worked = entry.worked
        left = entry.name if q.tensor else f"[{','.join(entry.index)}]" if entry.index else q.name
        sign = "=" if worked.closes else ("~" if self.ascii else "≈")
        result = f"{sign} {worked.result}"
        notes = "; ".join((*worked.notes, *entry.notes))
        lead = f"      {left} = "
        plain = worked.substituted == worked.result
        line = lead + worked.substituted + ("" if plain else f" {result}")
        if cell_len(line) <= self.width:
            found = Styled(line)
            found.stylize("bold", len(line) - len(worked.result))
            if notes and cell_len(line) + 3 + cell_len(notes) <= self.width:
                found.append(f"   {notes}", "dim")
                notes = ""
            yield found
        else:
            hang = min(cell_len(lead), 16)
            yield from self._wrapped(lead, worked.substituted, hang=hang)
            yield Styled(" " * (hang - 2) + result, "bold")
        if notes:
            yield from self._wrapped("         ", notes, "dim")

    # ------------------------------------------------------------------------------------------------------- the paths
    def _paths(self, p: PathsTo) -> Iterator[RenderableType]:
        ways = "1 path" if p.count == 1 else f"{p.count} paths"
        yield Styled(f"{p.name} = {self._number(p.value)}: {ways} to the loss{outline.limits(p)}", "bold")
        for i, hops in enumerate(p.paths):
            yield Styled()
            yield from self._wrapped(
                f"path {i + 1} of {p.count}: " if p.count > 1 else "",
                f" {self.arrow} ".join([*(_brief(h.lower) for h in reversed(hops)), "L"]),
            )
            found = table("down to", ">local factor", "its formula", ">product = dL/d(this)", ascii=self.ascii)
            for hop in hops:
                formula = "; ".join(filter(None, (hop.formula, hop.note)))
                found.add_row(_brief(hop.lower), self._number(hop.value), formula, self._number(hop.product))
            yield found
        yield Styled()
        yield from self._sum(p)

    def _sum(self, p: PathsTo) -> Iterator[RenderableType]:
        n = self._number
        shown = p.paths[:8]
        if p.count > 1:
            values = [hops[-1].product for hops in shown]
            rest = [p.total - sum(values)] if p.count > len(shown) else []
            digits = digits_to_close([*values, *rest], p.total, self.d.digits)
            parts = [n(v, digits or ROUND_TRIP_DIGITS) for v in values]
            parts = [f"({part})" if i and part[0] in "-−" else part for i, part in enumerate(parts)]
            parts += [f"[{p.count - len(shown)} more: {n(v, digits or ROUND_TRIP_DIGITS)}]" for v in rest]
            sign = "=" if digits else "~" if self.ascii else "≈"
            yield from self._wrapped("paths summed  ", f"{' + '.join(parts)} {sign} {n(p.total)}")
        yield from self._wrapped("the engine    ", f"dL/d {p.name} = {n(p.gradient)}")
        moved = f"the loss moves by {n(p.measured)} each way; predicted {n(p.predicted)}"
        yield from self._wrapped("nudge test    ", f"{p.name} up and down by {p.nudge:g}: {moved}")


def _brief(name: str) -> str:
    """Returns an entry by its short name: dense_1.a[0,1] is the output of dense_1's activation."""
    return name.replace(".activation.y", ".a")


def _chosen_by_weight(q: Quantity) -> bool:
    """Whether its entries were asked for one by one, so that the others are not missed."""
    return [e.at for e in q.entries] != list(np.ndindex(*q.value.shape))[: len(q.entries)]
