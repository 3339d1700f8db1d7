"""Quantities on a page: the general equation, and its entries with their numbers, in MathML."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from types import MappingProxyType

from bpcli.notation.mathml import MathML
from bpcli.notation.symbols import Level, symbol_of, textbook_form
from bpcli.notation.syntax import Binary, Call, Expr, Number
from bpcli.records.trace import Derivation, Quantity, WorkedEntry
from bpcli.render.trace.html.network import entry_id
from bpcli.render.trace.html.page import code, escaped, tag
from bpcli.render.trace.html.tables import array_table
from bpcli.render.trace.outline import symbol_sources

NumberedQuantity = tuple[int, Quantity]
"""A quantity and its number in the derivation."""

MAX_OPEN_LINES = 60  # worked lines of a page up to which all of them are unfolded


class InlineMathML(MathML):
    """MathML in a line of text, where a term of a sum may come first."""

    def term(self, op: str, node: Expr) -> str:
        """Returns a term that follows others."""
        return f'<mo form="infix">{MathML.signs[op][4:]}' + self.fit(node, Level.QUOTIENT, inner=True).text


Blanks = Mapping[str, Mapping[str, int]]
"""Of a worksheet: the numbers of the blanks, by the id of their quantity and their name."""


def quantity_lines(
    d: Derivation, body: Sequence[NumberedQuantity], unfolded: bool, blanks: Blanks = MappingProxyType({})
) -> Iterator[str]:
    """Yields the quantities of one stage; an equation over all weights is stated once and worked out tensor by
    tensor."""
    whole = d.detail == "layer"
    shown = [(i, q) for i, q in body if q.entries or whole]
    for _, group in groupby(shown, key=lambda iq: (iq[1].part, iq[1].layer, iq[1].name, iq[1].equation)):
        yield _quantity(d, list(group), unfolded, blanks)


def _quantity(d: Derivation, group: Sequence[NumberedQuantity], unfolded: bool, blanks: Blanks) -> str:
    q = group[0][1]
    several = bool(q.tensor)
    name = f"{q.part}: {escaped(q.kind)}" if several else code(q.path)
    wrong = [r for _, r in group if not r.agrees]
    head = tag("span", name, class_="of") + math(InlineMathML(q.known).equation(q.equation), "general")
    sources = (f"{letter} is {source}" for letter, source in symbol_sources(q))
    remarks = [escaped(text) for text in (q.why, *sources) if text]
    if several and "j" in q.equation.letters:
        remarks.append("j counts all weights")
    why = tag("span", "; ".join(remarks), class_="why") if remarks else ""
    body = "".join(_blank(r, blanks[r.id]) if r.id in blanks else _of(d, i, r, several) for i, r in group)
    for r in wrong:
        words = f"WRONG: {code(r.path)} is {r.gap:.1e} from what the engine computed; rounding explains {r.allowed:.1e}"
        body = tag("p", words, class_="wrong") + body
    more = tag("summary", head + why)
    return tag("details", more + body, class_="quantity", **({"open": "open"} if unfolded or wrong else {}))


def _of(d: Derivation, number: int, q: Quantity, several: bool) -> str:
    """Returns the array of a quantity, or its worked lines."""
    if d.detail == "layer":
        value = q.value if q.engine is None else q.engine
        return array_table(value, q.path, d.digits, letters=q.equation.letters)
    lines = "".join(line(q, e, entry_id(number, k)) for k, e in enumerate(q.entries))
    if q.hidden:
        lines += tag("p", f"and {q.hidden:,} more of {code(q.path)}", class_="more")
    return lines


def _blank(q: Quantity, numbers: Mapping[str, int]) -> str:
    """Returns the entries of a quantity, their results left out."""
    lines = []
    for e in q.entries:
        index = () if q.tensor else tuple(f"<mn>{i}</mn>" for i in e.index)
        left = math(f"{InlineMathML(q.known).symbol(symbol_of(q.name, q.known), index).text}<mo>=</mo>")
        number = f"({numbers[e.name]})" if numbers.get(e.name) else "for you alone: nobody checks it"
        gap = tag("div", left + tag("span", "", class_="gap") + tag("span", number, class_="note"), class_="sum")
        lines.append(tag("div", code(e.name) + gap, class_="worked"))
    return "".join(lines)


def line(q: Quantity, e: WorkedEntry, name: str) -> str:
    """Returns a worked entry: its address, left side = numbers = result, and what there is to say about it."""
    reader = InlineMathML(q.known, e.worked.digits)
    index = () if q.tensor else tuple(f"<mn>{i}</mn>" for i in e.index)
    terms = _terms(reader, e.worked.tree)
    result = _printed(e.worked.result)
    left = reader.symbol(symbol_of(q.name, q.known), index).text
    sign = "=" if e.worked.closes else "≈"
    pieces = [f"{left}<mo>=</mo>{terms[0]}", *terms[1:]]
    drawn = "".join(math(piece) for piece in pieces)
    if terms != [result]:
        drawn += math(f"<mo>{sign}</mo>{result}", "result")
    notes = "; ".join(dict.fromkeys((*e.worked.notes, *e.notes)))
    body = code(e.name) + tag("div", drawn, class_="sum")
    if notes:
        body += tag("p", escaped(notes), class_="note")
    return tag("div", body, class_="worked", id=name)


def math(inside: str, class_: str = "") -> str:
    """Returns mathematics in a line of text."""
    return tag("math", f"<mrow>{inside}</mrow>", class_=class_)


def _terms(reader: InlineMathML, tree: Expr) -> list[str]:
    """Returns a sum term by term, or a product factor by factor, each with the sign before it: a page can break the
    line between them. All else in one piece."""
    node = textbook_form(tree)
    if isinstance(node, Binary) and node.op in "+-":
        return [*_terms(reader, node.left), reader.term(node.op, node.right)]
    if isinstance(node, Call) and node.fn == "sum" and node.args:
        first, *others = node.args
        first_term = reader.fit(first, Level.SUM if isinstance(first, Number) else Level.QUOTIENT).text
        return [first_term, *(reader.term("+", other) for other in others)]
    return _factors(reader, node)


def _factors(reader: InlineMathML, node: Expr) -> list[str]:
    if isinstance(node, Binary) and node.op == "*":
        drawn = reader.fit(node.left, Level.PRODUCT)
        first = _factors(reader, node.left) if drawn == reader.draw(node.left) else [drawn.text]
        return [*first, f'<mo form="infix">·</mo>{reader.fit(node.right, Level.FACTOR, inner=True).text}']
    return [reader.draw(node).text]


def _printed(text: str) -> str:
    """Returns a result as it was printed, `−2.5e-7`."""
    figure = text.replace("−", "-").replace("∞", "inf")
    sign = InlineMathML.signs["neg"] if figure.startswith("-") else ""
    return sign + InlineMathML().numeral(figure.lstrip("-"))
