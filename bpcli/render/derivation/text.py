"""The derivation of a formula on the terminal."""

import textwrap
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from rich.cells import cell_len
from rich.console import RenderableType
from rich.text import Text as Styled

from bpcli.notation.symbols import symbol_of
from bpcli.notation.syntax import Equation, Expr, Name, Read
from bpcli.notation.text import Ascii, Text
from bpcli.records.derived import DerivedFormula
from bpcli.records.printable import printable
from bpcli.render.derivation.content import (
    Block,
    Checked,
    FormulaLine,
    Lines,
    Section,
    StepLines,
    derivation_blocks,
    shown_arrays,
)
from bpcli.render.trace.arrays import first_plane, matrix_rows, summary

INDENT = 6  # columns of formulas under a step


class FormulaTerminal:
    """Draws the derivation of a formula for a terminal of so many columns, in Unicode or in ASCII alone."""

    def __init__(self, d: DerivedFormula, width: int = 80, ascii: bool = False, digits: int = 6) -> None:
        self.d, self.width, self.digits = d, max(40, width), digits
        kind = Ascii if ascii else Text
        self.reader, self.numbers = kind(d.known, of=d.of), kind(digits=digits)
        self.sign = "d" if ascii else "∂"

    def draw(self) -> Iterator[RenderableType]:
        """Yields everything in order."""
        yield Styled(printable(self.d.title), "bold")
        for block in derivation_blocks(self.d):
            yield from self._block(block)
        yield from self._values()

    def _block(self, block: Block) -> Iterator[Styled]:
        match block:
            case Section(heading, text):
                yield Styled()
                yield Styled(heading, "bold")
                yield from (Styled(line, "dim") for line in self._folded(text, 0))
            case Lines(lines, entries_of):
                for line in lines:
                    yield from self._formula(self._left(line.left, entries_of), line, "  ")
            case StepLines(number, _, before, after):
                yield Styled()
                lead = f"{number:>3}  "
                yield from self._wrapped(lead, printable(block.titled(self._symbol)), "bold", hang=len(lead))
                for i, line in enumerate((before, *after)):
                    word = ("before", "after", "")[min(i, 2)]
                    yield from self._formula(self._at(line.left), line, " " * INDENT + f"{word:<8}", ":  ")
            case Checked(words, agrees):
                yield Styled()
                yield from self._wrapped("", words, "green" if agrees else "bold red", hang=2)

    def _at(self, node: Expr | None) -> str:
        return self.reader.draw(node).text if node is not None else ""

    def _symbol(self, name: str) -> str:
        return self.reader.symbol(symbol_of(name, self.d.known), []).text

    def _left(self, node: Expr | None, entries_of: Equation | None) -> str:
        if entries_of is None or not isinstance(node, Read) or not node.array.startswith(f"d{entries_of.name}_d"):
            return self._at(node)
        return jacobian_left(self.reader, node, entries_of, self.sign)

    def _formula(self, left: str, line: FormulaLine, lead: str, between: str = " = ") -> Iterator[Styled]:
        indent = len(lead)
        right = self.reader.draw(line.right).text
        note = f"   {printable(line.note)}" if line.note else ""
        whole = lead + left + between + right
        if cell_len(whole + note) <= self.width:
            found = Styled(whole)
            found.append(note, "dim")
            yield found
            return
        if cell_len(whole) <= self.width:
            yield Styled(whole)
        elif cell_len(left) + indent + len(between) <= self.width // 2:
            yield from self._wrapped(lead + left + between, right, "", hang=indent + 4)
        else:
            yield from self._wrapped(lead, left + between.rstrip(), "", hang=indent + 4)
            yield from self._wrapped(" " * (indent + 4), right, "", hang=indent + 8)
        if note:
            yield from self._wrapped(" " * (indent + 4), note.strip(), "dim")

    def _values(self) -> Iterator[RenderableType]:
        """Yields arrays put in, and what the results come to."""
        if not self.d.numbers:
            return
        yield Styled()
        yield Styled("with numbers", "bold")
        for name, value in self.d.numbers.items():
            yield from self._array(name, value)
        yield Styled()
        for array in shown_arrays(self.d):
            yield from self._array(self._derivative(array.name), array.value)

    def _derivative(self, name: str) -> str:
        """Returns ∂L/∂x, or of a Jacobian ∂y/∂x."""
        if self.d.entries_of is None:
            return self.reader.draw(Name(f"d{name}")).text
        bare = replace(self.d.entries_of, free=())
        return jacobian_left(self.reader, Read(f"d{bare.name}_d{name}", ()), bare, self.sign)

    def _array(self, name: str, value: object) -> Iterator[RenderableType]:
        array = np.asarray(value, dtype=np.float64)
        if not array.ndim:
            yield Styled(f"  {name} = {self.numbers.number(float(array)).text}")
            return
        address, shown = first_plane(array, name)
        lead = f"  {address or name} = "
        rows = matrix_rows(shown, self.digits, self.numbers.__class__, self.width - cell_len(lead))
        for i, row in enumerate(rows):
            yield Styled((lead if i == 0 else " " * cell_len(lead)) + row)
        if address:
            yield Styled(f"    {summary(array)}", "dim")

    def _folded(self, text: str, indent: int) -> list[str]:
        return textwrap.wrap(text, self.width, initial_indent=" " * indent, subsequent_indent=" " * indent)

    def _wrapped(self, lead: str, text: str, style: str = "", hang: int | None = None) -> Iterator[Styled]:
        start = cell_len(lead)
        lines = textwrap.wrap(
            text, max(self.width, start + 24), initial_indent="." * start,
            subsequent_indent=" " * (start if hang is None else hang), break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
        for i, line in enumerate(lines):
            yield Styled((lead + line[start:] if i == 0 else line), style)


def jacobian_left(reader: Text, node: Read, entries_of: Equation, sign: str) -> str:
    """Returns ∂y[m,k]/∂x[n,i], or of a gradient ∂²L/(∂W[i,o]∂W[j,p])."""
    count = len(entries_of.free)
    index = [reader.draw(i).text for i in node.index]
    below = _read(reader, node.array.removeprefix(f"d{entries_of.name}_d"), index[: len(index) - count])
    behind = index[len(index) - count :]
    if entries_of.name.startswith("d"):
        square = "²" if sign == "∂" else "^2"
        return f"{sign}{square}{reader.of}/({sign}{below}{sign}{_read(reader, entries_of.name[1:], behind)})"
    return f"{sign}{_read(reader, entries_of.name, behind)}/{sign}{below}"


def _read(reader: Text, name: str, index: list[str]) -> str:
    return reader.symbol(symbol_of(name), index).text
