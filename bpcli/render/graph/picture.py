"""A computational graph as SVG: values forward, adjoints backward, local slopes on the edges."""

from itertools import pairwise

import numpy as np

from bpcli.notation.syntax import Name
from bpcli.records.graph import ComputationalGraph, GraphEdge, ValuedNode
from bpcli.render.graph.layout import GraphLayout
from bpcli.render.graph.text import GraphWords
from bpcli.render.trace.html.page import escaped, tag

CHARACTER_WIDTH = 8.0  # CSS pixels of a character, about
BOX_PADDING = 22.0
MIN_WIDTH, MAX_WIDTH = 76.0, 236.0
BOX_HEIGHT = 66.0
MAX_DIGITS = 4  # significant digits of a number in the picture
MIN_WIDTH_RATIO = 0.85  # share of its full width to which a picture may shrink; then it scrolls
MAX_CHARACTERS = 28  # characters of a line in a box, at most
MAX_SLOPE_CHARACTERS = 16


class GraphPicture:
    """Draws a graph."""

    def __init__(self, graph: ComputationalGraph, digits: int = 6) -> None:
        self.graph, self.words = graph, GraphWords(graph, digits=digits)
        self.brief = GraphWords(graph, digits=min(MAX_DIGITS, digits))
        self.lines = {n.node.name: self._lines(n) for n in graph.nodes}
        names = set(self.lines)
        reads = {n.node.name: [r for r in n.node.operands if r in names] for n in graph.nodes}
        widths = {
            name: min(MAX_WIDTH, max(MIN_WIDTH, BOX_PADDING + CHARACTER_WIDTH * max(map(len, lines))))
            for name, lines in self.lines.items()
        }
        self.layout = GraphLayout(reads, widths, BOX_HEIGHT)
        self.edges = {(e.source, e.reader): e for n in graph.nodes for e in n.edges}

    def draw(self) -> str:
        """Returns the svg element."""
        edges = [self._edge(source, n.node.name) for n in self.graph.nodes for source in self.layout.reads[n.node.name]]
        labels = [self._label(edge) for edge in self.edges.values()]
        boxes = [self._box(n) for n in self.graph.nodes]
        width, height = self.layout.width, self.layout.height
        return tag(
            "svg", "\n".join((*edges, *labels, *boxes)), viewBox=f"0 0 {width:g} {height:g}", width=width,
            height=height, style=f"min-width: {MIN_WIDTH_RATIO * width:.0f}px", role="img",
            aria_label=f"computational graph of {self.graph.title}", class_="graph",
        )  # fmt: skip

    def _lines(self, n: ValuedNode) -> tuple[str, str, str]:
        """Returns what stands in a box: what it is, its value, its adjoint."""
        name = self.words.expression(Name(n.node.name))
        own = self.words.expression(n.node.right) if n.node.right is not None else name
        first = f"{name} = {own}" if n.node.right is not None else name
        return _cut(first), _cut(self._number(n.value)), _cut("" if n.adjoint is None else self._number(n.adjoint))

    def _number(self, value: object) -> str:
        array = np.asarray(value)
        text = self.brief.value(array)
        return text if len(text) <= MAX_CHARACTERS else "×".join(map(str, array.shape))

    def _box(self, n: ValuedNode) -> str:
        box = self.layout.boxes[n.node.name]
        first, value, adjoint = self.lines[n.node.name]
        middle = box.x + box.width / 2
        kind = "input" if n.node.right is None else "operation"
        parts = [
            tag("rect", "", class_=f"node {kind}", x=box.x, y=box.y - BOX_HEIGHT / 2, width=box.width,
                height=BOX_HEIGHT, rx=9 if n.node.right is not None else 26),
            tag("text", escaped(first), class_="middle name", x=middle, y=box.y - 14),
            tag("text", escaped(value), class_="middle forward", x=middle, y=box.y + 5),
        ]  # fmt: skip
        if adjoint:
            parts.append(tag("text", escaped(adjoint), class_="middle backward", x=middle, y=box.y + 24))
        facts = [self.words.forward(n), *self.words.backward(n, self.graph.output)]
        return tag("g", tag("title", escaped("\n".join(facts))) + "".join(parts))

    def _edge(self, source: str, reader: str) -> str:
        points = self.layout.path(source, reader)
        shape = f"M{points[0][0]:g} {points[0][1]:g}" + "".join(
            f"C{(x1 + x2) / 2:g} {y1:g} {(x1 + x2) / 2:g} {y2:g} {x2:g} {y2:g}"
            for (x1, y1), (x2, y2) in pairwise(points)
        )
        x, y = points[-1]
        arrow = f"M{x - 7:g} {y - 4:g}L{x:g} {y:g}L{x - 7:g} {y + 4:g}"
        return f'<path class="around" d="{shape}"/><path class="head" d="{arrow}"/>'

    def _label(self, edge: GraphEdge) -> str:
        text = self.brief.slope(edge)
        if not text or len(text) > MAX_SLOPE_CHARACTERS:
            return ""
        (x1, y1), (x2, y2) = self.layout.path(edge.source, edge.reader)[-2:]
        share = 0.62
        x = x1 + share * (x2 - x1)
        y = y1 + (y2 - y1) * share * share * (3 - 2 * share)  # on the curve, about
        return tag("g", tag("text", escaped(text), class_="middle backward small", x=x, y=y - 5), class_="label")


def _cut(text: str) -> str:
    return text if len(text) <= MAX_CHARACTERS else f"{text[: MAX_CHARACTERS - 1]}…"
