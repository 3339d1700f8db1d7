"""A computational graph on the terminal: forward line by line, then backward."""

import textwrap
from collections.abc import Iterator

import numpy as np
from rich.cells import cell_len
from rich.console import RenderableType
from rich.text import Text as Styled

from bpcli.notation.syntax import Expr, Name, Read
from bpcli.notation.text import Ascii, Text
from bpcli.numeric.shapes import Array
from bpcli.records.graph import ComputationalGraph, GraphCheck, GraphEdge, ValuedNode
from bpcli.records.printable import printable

MAX_ENTRIES = 6  # entries of an array that are all shown
MAX_GAP = 1e-10
"""As a share: more is a disagreement."""


class GraphTerminal:
    """Draws a graph for a terminal of so many columns, in Unicode or in ASCII alone."""

    def __init__(self, graph: ComputationalGraph, width: int = 80, ascii: bool = False, digits: int = 6) -> None:
        self.graph, self.width = graph, max(40, width)
        self.brief = GraphWords(graph, ascii=ascii, digits=digits)

    def draw(self) -> Iterator[RenderableType]:
        """Yields everything in order."""
        graph = self.graph
        yield Styled(printable(graph.title), "bold")
        for line in graph.about:
            yield from self._wrapped(line, 0, 0, "dim")
        yield Styled()
        yield Styled("forward: what each operation makes of what it reads", "bold")
        for node in graph.nodes:
            yield from self._wrapped(self.brief.forward(node), 2, 6)
        yield Styled()
        yield Styled("backward: what arrives from behind, times the local slope", "bold")
        for node in reversed(graph.nodes):
            for i, line in enumerate(self.brief.backward(node, graph.output)):
                yield from self._wrapped(line, 2 if i == 0 else 6, 6 if i == 0 else 10)
        for check in graph.checks:
            yield Styled()
            yield from self._wrapped(check_words(check), 0, 2, "green" if check.gap <= MAX_GAP else "bold red")

    def _wrapped(self, text: str, indent: int, hang: int, style: str = "") -> Iterator[Styled]:
        if cell_len(text) + indent <= self.width:
            yield Styled(" " * indent + text, style)
            return
        for line in textwrap.wrap(
            text, self.width, initial_indent=" " * indent, subsequent_indent=" " * hang, break_long_words=False,
            break_on_hyphens=False,
        ):  # fmt: skip
            yield Styled(line, style)


class GraphWords:
    """Words and formulas of a graph, for any format that sets lines of text."""

    def __init__(self, graph: ComputationalGraph, *, ascii: bool = False, digits: int = 6) -> None:
        kind = Ascii if ascii else Text
        known = {n.node.name for n in graph.nodes}
        output = graph.output.node
        self.values = {n.node.name: n for n in graph.nodes}
        self.reader = kind(known, of="L" if output.letters else output.name)
        self.numbers = kind(digits=digits)
        self.times = " x " if ascii else "×"

    def expression(self, node: Expr) -> str:
        """Returns an expression."""
        return self.reader.draw(node).text

    def value(self, array: Array) -> str:
        """Returns a number, a small array, or of a large one its shape and how large its entries are."""
        if array.ndim == 0:
            return self.numbers.number(float(array)).text
        if array.size <= MAX_ENTRIES and array.ndim <= 2:
            rows = (", ".join(self.numbers.number(float(v)).text for v in row) for row in np.atleast_2d(array))
            return f"[{'; '.join(rows)}]"
        shape = self.times.join(map(str, array.shape))
        return f"{shape} numbers, {self.numbers.number(float(np.abs(array).mean())).text} in size on average"

    def forward(self, node: ValuedNode) -> str:
        """Returns what a node is, and its value."""
        if node.node.right is None:
            return f"{self.reader.draw(Name(node.node.name)).text} = {self.value(node.value)}"
        left = self.expression(node.node.read)
        return f"{left} = {self.expression(node.node.right)} = {self.value(node.value)}"

    def backward(self, node: ValuedNode, output: ValuedNode) -> Iterator[str]:
        """Yields lines of how the adjoint of a node comes about."""
        if node is output:
            behind = "" if not node.node.letters else " (what arrives from behind)"
            assert node.adjoint is not None
            yield f"{self.adjoint(node)} = {self.value(node.adjoint)}{behind}"
        elif node.adjoint is None:
            yield f"{self.reader.draw(Name(node.node.name)).text}: no slope leads to it"
        elif all(edge.slope_value is not None for edge in node.edges):
            terms = " + ".join(self.expression(e.share) for e in node.edges)
            numbers = " + ".join(self._product(e) for e in node.edges)
            note = f"   ({len(node.edges)} operations read it: what arrives adds up)" if len(node.edges) > 1 else ""
            yield f"{self.adjoint(node)} = {terms} = {numbers} = {self.value(node.adjoint)}{note}"
        elif len(node.edges) == 1:
            (edge,) = node.edges
            share = self.expression(edge.share)
            yield f"{self.adjoint(node, edge.letters)} = {share} = {self.value(node.adjoint)}"
        else:
            yield f"{self.adjoint(node)} = {self.value(node.adjoint)}, the sum of what arrives:"
            for edge in node.edges:
                share = self.expression(edge.share)
                left = self.adjoint(node, edge.letters)
                yield f"{left} gets {share} = {self.value(edge.arrives)}, from {edge.reader}"

    def adjoint(self, node: ValuedNode, letters: tuple[str, ...] | None = None) -> str:
        """Returns the derivative of the output by a node."""
        index = tuple(map(Name, node.node.letters if letters is None else letters))
        name = f"d{node.node.name}"
        return self.expression(Read(name, index) if index else Name(name))

    def slope(self, edge: GraphEdge) -> str:
        """Returns the local slope of an edge: its number where it is one, else its expression; "" where a sum is part
        of it."""
        if edge.slope_value is not None:
            return self.numbers.number(edge.slope_value).text
        return self.expression(edge.slope) if edge.slope is not None else ""

    def _product(self, edge: GraphEdge) -> str:
        behind = self.values[edge.reader].adjoint
        assert behind is not None
        assert edge.slope_value is not None
        return self.reader.signs["*"].join(self._bracketed(float(v)) for v in (behind, edge.slope_value))

    def _bracketed(self, value: float) -> str:
        text = self.numbers.number(value).text
        return f"({text})" if value < 0 else text


def check_words(check: GraphCheck) -> str:
    """Returns what a check compared, and what came of it."""
    sign = "agree with" if check.gap <= MAX_GAP else "DISAGREE with"
    gap = f"at most {check.gap:.0e} apart, of {check.worst}" if check.gap else "to the last digit"
    return f"{check.nodes} derivative{'s' * (check.nodes > 1)} {sign} {check.witness}: {gap}"
