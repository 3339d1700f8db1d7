"""Arrays, layers and paths on a page, as tables."""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from bpcli.numeric.shapes import Array
from bpcli.records.trace import Derivation, LayerLine, PathsTo, StepLine
from bpcli.render.trace.arrays import first_plane, shown_positions, summary
from bpcli.render.trace.html.page import code, escaped, number, tag
from bpcli.render.trace.outline import StepLosses, ends_of_array, limits

MAX_OPEN_PATHS = 4  # paths of one weight


def array_table(value: Array, path: str, digits: int, note: str = "", letters: Sequence[str] = ()) -> str:
    """Returns an array with its indices; of a large one the edges, of one of more than two axes its first picture."""
    address, array = first_plane(value, path, letters)
    shape = summary(value).replace(" x ", " × ").replace("-", "−")
    block = f"; here is {address}" if address else ""
    caption = f"{code(path)} {tag('span', escaped(shape + block + (f'; {note}' if note else '')), class_='note')}"
    if array.ndim == 0:
        shown = tag("span", number(array.item(), digits), class_="number")
        return tag("p", f"{code(path)} = {shown}" + (f" {tag('span', escaped(note), class_='note')}" if note else ""))
    rows = np.atleast_2d(array)
    columns = shown_positions(rows.shape[1])
    head = "".join(tag("th", _index(j), scope="col") for j in columns)
    lines = [tag("tr", tag("td", "") + head)] if rows.shape[1] > 1 or array.ndim > 1 else []
    for i in shown_positions(rows.shape[0]):
        cells = "".join(
            tag("td", "⋯" if i is None or j is None else number(rows[i, j].item(), digits)) for j in columns
        )
        first = tag("th", _index(i), scope="row") if array.ndim > 1 else tag("td", "")
        lines.append(tag("tr", first + cells))
    table = tag("table", "".join(lines), class_="array", aria_label=path)
    return tag("div", tag("p", caption) + tag("div", table, class_="wide"), class_="given")


def _index(number: int | None) -> str:
    return "⋯" if number is None else str(number)


def layer_table(d: Derivation, line: StepLine) -> str:
    """Returns a training step as a table with a row for each layer."""
    heads = ("layer", "units", "y: what goes out", "∂L/∂y: its error", "length of ∂L/∂weights", "")
    body = "".join(tag("tr", "".join(_cells(d, layer))) for layer in line.layers)
    head = tag("tr", "".join(tag("th", h, scope="col") for h in heads))
    rows = len(line.outputs)
    note = tag("p", f"y and ∂L/∂y are those of the first of {rows} rows.", class_="note") if rows > 1 else ""
    return note + tag("div", tag("table", head + body, class_="layers"), class_="wide")


def _cells(d: Derivation, layer: LayerLine) -> Iterator[str]:
    kind = "" if layer.kind in layer.layer else f" {escaped(layer.kind)}"
    yield tag("th", code(layer.layer) + kind, scope="row")
    yield tag("td", "×".join(map(str, layer.units)) or "1")
    for values in (layer.y[0], layer.dy[0]):
        yield tag("td", ends_of_array(values, d.digits, number, around="{}", between="<br>"), class_="number")
    lengths = (f"{escaped(name[1:])} {number(value, 4)}" for name, value in layer.gradients.items())
    yield tag("td", "<br>".join(lengths), class_="number")
    yield tag("td", escaped(layer.note))


def step_table(d: Derivation, line: StepLine) -> str:
    """Returns a training step as a table of losses, lengths and rates."""
    rows = StepLosses(line).rows(after="the step")
    body = "".join(tag("tr", tag("th", n, scope="row") + tag("td", number(v, d.digits))) for n, v in rows)
    return tag("table", body, class_="step")


def paths(d: Derivation, shown: Sequence[PathsTo]) -> Iterator[str]:
    """Yields the chain rule of each weight, path by path."""
    for p in shown:
        ways = "one path" if p.count == 1 else f"{p.count:,} paths"
        title = tag("h3", f"{code(p.name)} = {number(p.value, d.digits)}: {ways} to the loss{limits(p)}")
        one = "".join(_path(d, p, k) for k in range(len(p.paths)))
        yield tag("div", title + one + _sum(d, p), class_="paths", data_weight=p.name)


def _path(d: Derivation, p: PathsTo, k: int) -> str:
    n = partial(number, digits=d.digits)
    hops = p.paths[k]
    names = " → ".join(code(name) for name in (*(h.lower for h in reversed(hops)), "L"))
    head = tag(
        "tr", "".join(tag("th", h, scope="col") for h in ("factor", "its formula", "its value", "product so far"))
    )
    body = "".join(
        tag(
            "tr",
            tag("th", f"∂ {code(h.upper)} / ∂ {code(h.lower)}", scope="row")
            + tag("td", escaped("; ".join(filter(None, (h.formula, h.note)))))
            + tag("td", n(h.value), class_="number")
            + tag("td", n(h.product), class_="number"),
        )
        for h in hops
    )
    lead = tag("b", f"Path {k + 1} of {p.count:,}: ") if p.count > 1 else ""
    table = tag("div", tag("table", head + body, class_="factors"), class_="wide")
    opened = {"open": "open"} if k < MAX_OPEN_PATHS else {}
    return tag("details", tag("summary", lead + names) + table, class_="path", **opened)


def _sum(d: Derivation, p: PathsTo) -> str:
    n = partial(number, digits=d.digits)
    words = "the paths summed" if p.count > 1 else "the path"
    rows = [
        (f"{words}, ∂L/∂ {code(p.name)}", p.total), ("the engine", p.gradient),
        (f"nudge test: {code(p.name)} moved up and down by {p.nudge:g}, the loss moves each way by", p.measured),
        ("as predicted by the derivative", p.predicted),
    ]  # fmt: skip
    body = "".join(tag("tr", tag("th", name, scope="row") + tag("td", n(value))) for name, value in rows)
    return tag("table", body, class_="step")
