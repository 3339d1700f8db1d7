"""A derivation on the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby

import numpy as np
from rich.cells import cell_len
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text as Styled

from bpcli.notation.syntax import Bind
from bpcli.notation.text import Ascii, Text
from bpcli.records.trace import (
    STAGES,
    Array,
    Derivation,
    Given,
    LayerLine,
    PathsTo,
    Quantity,
    Stage,
    StepLine,
    WorkedEntry,
)
from bpcli.render.console import DASHES, printable, table
from bpcli.render.trace.arrays import EXACT, enough, matrix, plane, summary

STYLES = {Stage.FORWARD: "green", Stage.LOSS: "yellow", Stage.HIDDEN: "red", Stage.WEIGHTS: "red"}
"""Of headings, besides their words."""


class Terminal:
    """Draws for a terminal of so many columns, in Unicode or in ASCII alone."""

    def __init__(self, width: int = 80, ascii: bool = False) -> None:
        self.width, self.ascii = max(40, width), ascii
        self.reader: type[Text] = Ascii if ascii else Text
        self.arrow = "->" if ascii else "→"
        self.rule = "-" if ascii else "─"

    def derivation(self, d: Derivation) -> Iterator[RenderableType]:
        """All of it."""
        yield from self._header(d)
        for line in d.steps:
            if len(d.steps) > 1:
                title = f"{2 * self.rule} training step {line.step} "
                yield Styled()
                yield Styled(title + self.rule * (min(self.width, 80) - len(title)), "bold")
            if d.detail == "overview":
                yield from self._overview(d, line)
            elif d.detail == "path":
                each = len(d.paths) // len(d.steps)
                yield from self._paths(d, d.paths[(line.step - 1) * each : line.step * each])
            else:
                yield from self._stages(d, line)
        yield from self._agreement(d)

    # ------------------------------------------------------------------------------------------------ header and footer
    def _header(self, d: Derivation) -> Iterator[RenderableType]:
        steps = "one step" if len(d.steps) == 1 else f"{len(d.steps)} steps"
        yield Styled(f"{printable(d.name)}: {steps} of back-propagation, worked out", "bold")
        for name, text in d.facts:
            shown = text if not self.ascii else text.encode("ascii", "replace").decode()
            yield from self._wrapped(f"  {name:<8} ", printable(shown.replace("->", self.arrow)))

    def _agreement(self, d: Derivation) -> Iterator[RenderableType]:
        yield Styled()
        for q in d.wrong:
            text = f"{q.path}: the equation does not give what the engine computed; they are {q.gap:.1e} apart"
            yield from self._wrapped("WRONG ", f"{text}, and rounding explains {q.allowed:.1e}", "bold red")
        if not d.wrong:
            text = f"{d.compared:,} numbers were computed twice, from these equations and by the engine: they agree"
            worst = f" to {d.worst:.0e}" if d.worst else " to the last digit"
            yield from self._wrapped("", text + worst, "green")
        if d.detail == "overview":
            yield from self._wrapped("more: ", "--detail layer | neuron | path   one weight: --param NAME[i,j]")
            yield from self._wrapped("      ", "--format markdown | latex | html | json   your own numbers: bpcli mark")

    def _table(self, *headers: str) -> Table:
        found = table(*headers)
        if self.ascii:
            found.box = DASHES
        return found

    def _wrapped(self, lead: str, text: str, style: str = "", hang: int | None = None) -> Iterator[Styled]:
        """Lines no wider than the terminal; what does not fit stands under the text, not under the lead."""
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
    def _overview(self, d: Derivation, line: StepLine) -> Iterator[RenderableType]:
        yield Styled()
        rows = len(line.outputs)
        if rows > 1:
            yield Styled(f"y and dL/dy of the first of {rows} rows:")
        found = self._table("layer", "y: what goes out", "dL/dy: its error", ">|dL/dw|", "")
        for layer in line.layers:
            found.add_row(
                self._layer_name(layer), self._few(layer.y[0], d), self._few(layer.dy[0], d),
                "  ".join(f"{name[1:]} {value:.3g}" for name, value in layer.gradients.items()), layer.note,
            )  # fmt: skip
        yield found
        yield from self._step(line, d)

    def _layer_name(self, layer: LayerLine) -> str:
        units = "x".join(map(str, layer.units)) or "1"
        kind = "" if layer.kind in layer.layer else f" {layer.kind}"
        return f"{layer.layer}{kind} ({units})"

    def _few(self, values: Array, d: Derivation) -> str:
        flat = np.asarray(values, np.float64).ravel()
        if len(flat) <= 3:
            return "[" + ", ".join(self._number(v, d) for v in flat) + "]"
        return f"{self._number(flat.min(), d, 4)} to {self._number(flat.max(), d, 4)}"

    def _number(self, value: float, d: Derivation, digits: int | None = None) -> str:
        return self.reader(digits=min(digits or d.digits, 17)).number(float(value)).text

    def _step(self, line: StepLine, d: Derivation) -> Iterator[RenderableType]:
        n = partial(self._number, d=d)
        yield Styled()
        if line.penalty:
            yield Styled(f"loss     {n(line.loss)} = {n(line.data_loss)} of the data + {n(line.penalty)} penalty")
        else:
            yield Styled(f"loss     {n(line.loss)}")
        clipped = f", of which clipping leaves {n(line.clipped)}" if line.clipped != 1 else ""
        yield from self._wrapped("gradient ", f"{n(line.norm)} long{clipped}")
        yield from self._wrapped("step     ", f"learning rate {n(line.rate)}; the weights move by {n(line.moved)}")
        change = f"{n(line.after)} on the same rows: {n(line.after - line.loss)}"
        yield from self._wrapped("after    ", f"{change}; the gradient foretells {n(line.predicted)}, to first order")

    # ------------------------------------------------------------------------------------------------- the seven steps
    def _stages(self, d: Derivation, line: StepLine) -> Iterator[RenderableType]:
        own = [q for q in d.quantities if q.step == line.step]
        for stage in Stage:
            title, text = STAGES[stage]
            yield Styled()
            yield from self._wrapped(f"{stage.value}  {title}: ", text, f"bold {STYLES.get(stage, '')}".strip(), hang=3)
            if stage is Stage.INITIALIZE:
                yield from self._given(d, [g for g in d.given if g.step == line.step])
            here = [q for q in own if q.stage is stage and (q.entries or d.detail == "layer")]
            for _, group in groupby(here, key=lambda q: (q.part, q.layer, q.name)):
                yield from self._quantity(d, list(group))
            if stage is Stage.REPEAT:
                yield from self._step(line, d)

    def _given(self, d: Derivation, given: Sequence[Given]) -> Iterator[RenderableType]:
        for g in given:
            note = f"   {g.note}" if g.note else ""
            address, shown = plane(g.value, g.path)
            rows = matrix(shown, d.digits, self.reader, self.width - len(g.path) - 5)
            if not address and len(rows) == 1 and cell_len(rows[0] + note) + len(g.path) + 5 <= self.width:
                yield Styled(f"   {g.path}  {rows[0]}{printable(note)}")
                continue
            here = f"; {address} is" if address else ""
            yield from self._wrapped(f"   {g.path}  ", f"{summary(g.value)}{printable(note)}{here}")
            yield from (Styled(f"      {row}") for row in rows)

    def _quantity(self, d: Derivation, group: Sequence[Quantity]) -> Iterator[RenderableType]:
        """One equation, of one array or tensor by tensor, with its numbers."""
        q = group[0]
        name = q.path if not q.tensor else f"{q.part} {q.kind}"
        yield Styled()
        equation = self.reader(q.known).equation(q.equation)
        yield from self._wrapped(f"   {name}   ", equation, "bold", hang=6)
        where = "; ".join(f"{self._symbol(q, x)} is {source}" for x, source in q.sources.items())
        remark = "; ".join(filter(None, (q.why, where)))
        if remark:
            yield from self._wrapped("      ", printable(remark), "dim")
        for part in group:
            if d.detail == "layer":
                yield from self._array(d, part)
            for entry in part.entries:
                yield from self._entry(part, entry)
            if part.entries and part.hidden and not _followed(part):
                yield Styled(f"      ... and {part.hidden:,} more of {part.path}", "dim")

    def _symbol(self, q: Quantity, name: str) -> str:
        if name == "dy":
            return "dL/dy" if self.ascii else "∂L/∂y"
        return name

    def _array(self, d: Derivation, q: Quantity) -> Iterator[RenderableType]:
        value = q.value if q.engine is None else q.engine
        lead = f"{q.path} = " if q.tensor else "= "
        letters = [b.letter for b in q.equation.free if isinstance(b, Bind)]
        address, shown = plane(value, q.path, letters)
        lead = f"{address} = " if address else lead
        rows = matrix(shown, d.digits, self.reader, self.width - 8 - len(lead))
        for i, row in enumerate(rows):
            yield Styled("      " + (lead if i == 0 else " " * len(lead)) + row)
        if value.size > 64:
            yield Styled(f"        {summary(value)}", "dim")

    def _entry(self, q: Quantity, entry: WorkedEntry) -> Iterator[RenderableType]:
        """One number: the equation with its numbers put in, the result, and what there is to say."""
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
    def _paths(self, d: Derivation, paths: Sequence[PathsTo]) -> Iterator[RenderableType]:
        for p in paths:
            yield Styled()
            ways = "1 path" if p.count == 1 else f"{p.count} paths"
            grouped = ", each as far as an error that is taken as a whole" if p.grouped else ""
            dead = f"; {p.idle}" if p.idle else ""
            yield Styled(f"{p.name} = {self._number(p.value, d)}: {ways} to the loss{grouped}{dead}", "bold")
            for i, hops in enumerate(p.paths):
                yield Styled()
                yield from self._wrapped(
                    f"path {i + 1} of {p.count}: " if p.count > 1 else "",
                    f" {self.arrow} ".join([*(_brief(h.lower) for h in reversed(hops)), "L"]),
                )
                found = self._table("down to", ">local factor", "its formula", ">product = dL/d(this)")
                for hop in hops:
                    formula = "; ".join(filter(None, (hop.formula, hop.note)))
                    found.add_row(_brief(hop.lower), self._number(hop.value, d), formula, self._number(hop.product, d))
                yield found
            yield Styled()
            yield from self._sum(d, p)

    def _sum(self, d: Derivation, p: PathsTo) -> Iterator[RenderableType]:
        n = partial(self._number, d=d)
        shown = p.paths[:8]
        if p.count > 1:
            values = [hops[-1].product for hops in shown]
            rest = [p.total - sum(values)] if p.count > len(shown) else []
            digits = enough([*values, *rest], p.total, d.digits)
            parts = [self._number(v, d, digits or EXACT) for v in values]
            parts = [f"({part})" if i and part[0] in "-−" else part for i, part in enumerate(parts)]
            parts += [f"[{p.count - len(shown)} more: {self._number(v, d, digits or EXACT)}]" for v in rest]
            sign = "=" if digits else "~" if self.ascii else "≈"
            yield from self._wrapped("paths summed  ", f"{' + '.join(parts)} {sign} {n(p.total)}")
        yield from self._wrapped("the engine    ", f"dL/d {p.name} = {n(p.gradient)}")
        moved = f"the loss moves by {n(p.measured)} each way; foretold {n(p.predicted)}"
        yield from self._wrapped("nudge test    ", f"{p.name} up and down by {p.nudge:g}: {moved}")


def _brief(name: str) -> str:
    """An entry by its short name: dense_1.a[0,1] is the output of dense_1's activation."""
    return name.replace(".activation.y", ".a")


def _followed(q: Quantity) -> bool:
    """Whether its entries were asked for one by one, so that the others are not missed."""
    return [e.at for e in q.entries] != list(np.ndindex(*q.value.shape))[: len(q.entries)]


def derivation(d: Derivation, width: int = 80, ascii: bool = False) -> list[RenderableType]:
    """What `trace` prints."""
    return list(Terminal(width, ascii).derivation(d))
