"""A computational graph in the form that is asked for, to where it is asked for."""

from html import escape
from importlib.resources import files
from pathlib import Path

from bpcli.notation.derive.source import typed
from bpcli.records.graph import ComputationalGraph, GraphEdge, ValuedNode
from bpcli.render.console import show_json, show_plain, show_problems
from bpcli.render.graph.picture import GraphPicture
from bpcli.render.graph.text import MAX_GAP, GraphTerminal, GraphWords, check_words
from bpcli.render.json_text import dumps
from bpcli.render.trace.draw import write_text
from bpcli.render.trace.html.page import code, escaped, page, tag
from bpcli.render.trace.json import lists
from bpcli.studies.run.atomic import atomic_text

KEY = (
    "Each box is an operation on what arrows bring it: below what it is stands its value, forward, and below that the "
    "derivative of the output by it, backward. On an arrow stands the local slope: what arrives at a box from behind "
    "is the derivative at the box that reads it times this slope, and what arrives over several arrows adds up."
)


def write_graph(
    graph: ComputationalGraph, form: str, out: Path | None, width: int | None, ascii: bool, digits: int
) -> None:
    """Draws a graph on stdout, or into a file. Raises Failure where the file cannot be written."""
    show_problems(graph.warnings)
    if form == "text":
        write_text(lambda columns: GraphTerminal(graph, columns, ascii, digits).draw(), out, width)
        return
    text = {"json": graph_json, "html": graph_html, "svg": graph_svg}[form](graph, digits)
    if out is not None:
        atomic_text(out, text)
    elif form == "json":
        show_json(text)
    else:
        show_plain(text)


def graph_svg(graph: ComputationalGraph, digits: int) -> str:
    """Returns the picture as a file of its own, with its style."""
    style = files("bpcli.render.trace.html").joinpath("page.css").read_text(encoding="utf-8")
    head = '<svg xmlns="http://www.w3.org/2000/svg"'
    drawn = GraphPicture(graph, digits).draw().replace("<svg", head, 1)
    return drawn.replace(">", f"><style>{escape(style, quote=False)}</style>", 1) + "\n"


def graph_html(graph: ComputationalGraph, digits: int) -> str:
    """Returns a page that stands alone, and can be read without scripts."""
    words = GraphWords(graph, digits=digits)
    about = "".join(tag("p", escaped(line), class_="note") for line in graph.about)
    picture = tag("figure", tag("div", GraphPicture(graph, digits).draw(), class_="canvas wide"))
    forward = "".join(tag("p", code(words.forward(n))) for n in graph.nodes)
    backward = "".join(tag("p", code("  ".join(words.backward(n, graph.output)))) for n in reversed(graph.nodes))
    checks = "".join(
        tag("p", escaped(check_words(c)), class_="agrees" if c.gap <= MAX_GAP else "wrong") for c in graph.checks
    )
    warnings = "".join(tag("p", escaped(w.text), class_="warning") for w in graph.warnings)
    body = tag("header", tag("h1", escaped(graph.title)) + about)
    body += tag("main", picture + tag("p", escaped(KEY), class_="legend") + warnings + tag("h2", "forward") + forward
                + tag("h2", "backward") + backward + checks)  # fmt: skip
    return page(graph.title, body)


def graph_json(graph: ComputationalGraph, digits: int) -> str:
    """Returns a graph as JSON: every expression as it is typed, every number in full."""
    return dumps({
        "title": graph.title,
        "about": list(graph.about),
        "output": graph.output.node.name,
        "nodes": [_node(n) for n in graph.nodes],
        "edges": [_edge(e) for n in graph.nodes for e in n.edges],
        "checks": [{"witness": c.witness, "nodes": c.nodes, "gap": c.gap, "worst": c.worst} for c in graph.checks],
        "warnings": [w.text for w in graph.warnings],
    })  # fmt: skip


def _node(n: ValuedNode) -> dict[str, object]:
    return {
        "name": n.node.name,
        "indices": list(n.node.letters),
        "operation": None if n.node.right is None else typed(n.node.right),
        "reads": list(n.node.operands),
        "value": lists(n.value),
        "adjoint": None if n.adjoint is None else lists(n.adjoint),
    }


def _edge(e: GraphEdge) -> dict[str, object]:
    return {
        "from": e.source,
        "to": e.reader,
        "slope": None if e.slope is None else typed(e.slope),
        "slope_value": e.slope_value,
        "arrives": lists(e.arrives),
    }
