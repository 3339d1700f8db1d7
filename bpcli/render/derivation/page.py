"""The derivation of a formula as a page: Markdown and LaTeX by the blocks of every document, HTML with MathML."""

from collections.abc import Callable, Iterator

import numpy as np

from bpcli.notation.latex import Latex
from bpcli.notation.mathml import MathML
from bpcli.notation.reader import Reader
from bpcli.notation.symbols import symbol_of
from bpcli.notation.syntax import Equation, Expr, Read
from bpcli.notation.text import Text
from bpcli.records.derived import DerivedFormula
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
from bpcli.render.trace import blocks
from bpcli.render.trace.html.lines import math
from bpcli.render.trace.html.page import code, escaped, page, tag
from bpcli.render.trace.html.tables import array_table
from bpcli.render.trace.latex import latex_page
from bpcli.render.trace.markdown import markdown_page
from bpcli.render.trace.maths import Display, matrices

Ratio = Callable[[str, str], str]
DIGITS = 6


def formula_markdown(d: DerivedFormula) -> str:
    """Returns the Markdown page of a derivation."""
    return markdown_page(d.title, _page_blocks(d))


def formula_latex(d: DerivedFormula) -> str:
    """Returns the LaTeX document of a derivation."""
    return latex_page(d.title, _page_blocks(d))


def _page_blocks(d: DerivedFormula) -> Iterator[blocks.PageBlock]:
    reader = Display(d.known, of=d.of)
    for block in derivation_blocks(d):
        yield from _latex_block(block, reader)
    if d.numbers:
        yield blocks.Heading(1, ("with numbers",))
        for name, value in d.numbers.items():
            yield _figures(name, reader.symbol(symbol_of(name, d.known), ()).text, value)
        for array in shown_arrays(d):
            name = f"d{array.name}"
            yield _figures(name, reader.symbol(symbol_of(name, d.known), ()).text, array.value)


def _figures(name: str, symbol: str, value: object) -> blocks.Figures:
    formulas, more = matrices(symbol, np.asarray(value, dtype=np.float64), DIGITS)
    return blocks.Figures(name, "", tuple(formulas), more)


def _latex_block(block: Block, reader: Latex) -> Iterator[blocks.PageBlock]:
    match block:
        case Section(heading, text):
            yield blocks.Heading(1, (heading,))
            if text:
                yield blocks.Paragraph((text,))
        case Lines(lines, entries_of):
            for line in lines:
                if line.note:
                    yield blocks.Paragraph((f"{line.note}:",))
                left = _left(reader, line.left, entries_of, _latex_ratio)
                yield blocks.Formula(f"{left} = {reader.draw(line.right).text}")
        case StepLines(number, title, before, after):
            yield blocks.Paragraph((title,), lead=(f"{number}.",))
            for word, lines in (("before", (before,)), ("after", after)):
                for line in lines:
                    at = reader.draw(line.left).text if line.left is not None else ""
                    yield blocks.Formula(rf"\text{{{word}}}\quad {at}: \quad {reader.draw(line.right).text}")
        case Checked(words, _):
            yield blocks.Paragraph((f"{words[0].upper()}{words[1:]}.",))


def _latex_ratio(over: str, under: str) -> str:
    return rf"\frac{{{over}}}{{{under}}}"


def _mathml_ratio(over: str, under: str) -> str:
    return f"<mfrac><mrow>{over}</mrow><mrow>{under}</mrow></mfrac>"


def _left(reader: Reader, node: Expr | None, entries_of: Equation | None, ratio: Ratio) -> str:
    """Returns a left side; of a Jacobian, the derivative of one entry by another."""
    if node is None:
        return ""
    if entries_of is None or not isinstance(node, Read) or not node.array.startswith(f"d{entries_of.name}_d"):
        return reader.draw(node).text
    count = len(entries_of.free)
    index = [reader.small(i).text for i in node.index]
    sign = r"\partial " if isinstance(reader, Latex) else "<mi>∂</mi>"
    below = reader.symbol(symbol_of(node.array.removeprefix(f"d{entries_of.name}_d")), index[: len(index) - count]).text
    behind = index[len(index) - count :]
    if entries_of.name.startswith("d"):
        of = reader.of if isinstance(reader, Latex) else f"<mi>{reader.of}</mi>"
        square = r"\partial^2 " if isinstance(reader, Latex) else "<msup><mi>∂</mi><mn>2</mn></msup>"
        first = reader.symbol(symbol_of(entries_of.name[1:]), behind).text
        return ratio(square + of, f"{sign}{below}{sign}{first}")
    return ratio(sign + reader.symbol(symbol_of(entries_of.name), behind).text, sign + below)


def formula_html(d: DerivedFormula) -> str:
    """Returns a page that stands alone, and can be read without scripts."""
    reader = MathML(d.known, of=d.of)
    plain = Text(d.known)
    body = "".join(
        _html_block(block, reader, lambda name: plain.symbol(symbol_of(name, d.known), []).text)
        for block in derivation_blocks(d)
    )
    if d.numbers:
        tables = "".join(_table(name, value) for name, value in d.numbers.items())
        tables += "".join(_table(f"d{a.name}", a.value) for a in shown_arrays(d))
        body += tag("section", tag("h2", "with numbers") + tables)
    return page(d.title, tag("header", tag("h1", escaped(d.title))) + tag("main", body))


def _table(name: str, value: object) -> str:
    return array_table(np.asarray(value, dtype=np.float64), name, DIGITS)


def _html_block(block: Block, reader: MathML, symbol: Callable[[str], str]) -> str:
    match block:
        case Section(heading, text):
            return tag("h2", escaped(heading)) + (tag("p", escaped(text)) if text else "")
        case Lines(lines, entries_of):
            return "".join(_html_line(_left(reader, n.left, entries_of, _mathml_ratio), "=", n, reader) for n in lines)
        case StepLines(number, _, before, after):
            inside = tag("h3", escaped(f"{number}. {block.titled(symbol)}"))
            for i, line in enumerate((before, *after)):
                at = reader.draw(line.left).text if line.left is not None else ""
                inside += _html_line(at, ":", line, reader, ("before", "after", "and")[min(i, 2)])
            return tag("section", inside)
        case Checked(words, agrees):
            return tag("p", escaped(words), class_="agrees" if agrees else "wrong")


def _html_line(left: str, sign: str, line: FormulaLine, reader: MathML, word: str = "") -> str:
    note = tag("p", escaped(line.note), class_="note") if line.note else ""
    drawn = math(f"{left}<mo>{sign}</mo>{reader.draw(line.right).text}")
    return tag("div", (code(word) + " " if word else "") + drawn, class_="sum") + note
