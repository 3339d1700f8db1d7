"""Where the nodes of a computational graph stand in its picture, in CSS pixels: from left to right by layers.

Layered drawing (Sugiyama, Tagawa and Toda 1981): a node stands right of all that it reads; an edge over several layers
gets a place in each of them, so that it runs around the boxes; within a layer all stand near what they are joined to.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

LINE_HEIGHT = 19.0  # all of these in CSS pixels
PITCH = 92.0  # from a node to the one below it
GAP = 96.0  # between two layers: room for the curve and the number on it
MARGIN = 24.0
PORT_GAP = 16.0  # between the places where edges run into one box
SWEEPS = 8  # times that layers are put in order, forward and back


@dataclass(frozen=True)
class Box:
    """A node: its left edge, its middle, and its size."""

    x: float
    y: float
    width: float
    height: float


class GraphLayout:
    """Boxes of nodes and the points that edges run through. `reads` has for each node, in the order of evaluation,
    those that it reads; `widths` are those of the boxes."""

    def __init__(self, reads: Mapping[str, Sequence[str]], widths: Mapping[str, float], height: float) -> None:
        self.reads, self.widths, self.box_height = reads, widths, height
        self.layer = self._layers()
        self.through: dict[tuple[str, str], list[str]] = {}
        self.rows = self._rows()
        self._join()
        self._order()
        self._place()

    def _layers(self) -> dict[str, int]:
        """Returns the layer of each node: behind all that it reads; what reads nothing stands right before its first
        reader."""
        layer: dict[str, int] = {}
        for name, read in self.reads.items():
            layer[name] = 1 + max((layer[r] for r in read), default=-1)
        readers = {name: [n for n, read in self.reads.items() if name in read] for name in self.reads}
        for name, read in self.reads.items():
            if not read and readers[name]:
                layer[name] = min(layer[n] for n in readers[name]) - 1
        return layer

    def _rows(self) -> list[list[str]]:
        rows: list[list[str]] = [[] for _ in range(1 + max(self.layer.values()))]
        for name in self.reads:
            rows[self.layer[name]].append(name)
        for name, read in self.reads.items():
            for source in read:
                between = range(self.layer[source] + 1, self.layer[name])
                points = [f"{source} {name} {k}" for k in between]
                self.through[source, name] = points
                for k, point in zip(between, points, strict=True):
                    rows[k].append(point)
        return rows

    def _join(self) -> None:
        self.before: dict[str, list[str]] = {}
        self.after: dict[str, list[str]] = {}
        for (source, name), points in self.through.items():
            chain = [source, *points, name]
            for one, two in pairwise(chain):
                self.before.setdefault(two, []).append(one)
                self.after.setdefault(one, []).append(two)

    def _order(self) -> None:
        """Puts each layer in the order of the middles of what its nodes are joined to."""
        for sweep in range(SWEEPS):
            forward = sweep % 2 == 0
            joined = self.before if forward else self.after
            layers = range(1, len(self.rows)) if forward else range(len(self.rows) - 2, -1, -1)
            for k in layers:
                beside = self.rows[k - 1 if forward else k + 1]
                place = {name: i / max(1, len(beside) - 1) for i, name in enumerate(beside)}
                own = {name: i / max(1, len(self.rows[k]) - 1) for i, name in enumerate(self.rows[k])}

                def middle(name: str, place: dict[str, float] = place, own: dict[str, float] = own) -> float:
                    near = [place[n] for n in joined.get(name, []) if n in place]  # noqa: B023
                    return sum(near) / len(near) if near else own[name]

                self.rows[k].sort(key=middle)

    def _place(self) -> None:
        tallest = max(map(len, self.rows))
        self.height = 2 * MARGIN + PITCH * tallest
        self.boxes: dict[str, Box] = {}
        x = MARGIN
        for row in self.rows:
            wide = max((self.widths[name] for name in row if name in self.widths), default=0.0)
            top = self.height / 2 - PITCH * (len(row) - 1) / 2
            for i, name in enumerate(row):
                own = self.widths.get(name, 0.0)
                height = self.box_height if name in self.widths else 0.0
                self.boxes[name] = Box(x + (wide - own) / 2, top + PITCH * i, own, height)
            x += wide + GAP
        self.width = x - GAP + MARGIN

    def path(self, source: str, reader: str) -> list[tuple[float, float]]:
        """Returns the points that an edge runs through, from the right of the one box to the left of the other."""
        first, last = self.boxes[source], self.boxes[reader]
        between = [(b.x + b.width / 2, b.y) for b in (self.boxes[p] for p in self.through[source, reader])]
        from_above = sorted(self.reads[reader], key=lambda s: self.boxes[[s, *self.through[s, reader]][-1]].y)
        spread = (from_above.index(source) - (len(from_above) - 1) / 2) * PORT_GAP
        return [(first.x + first.width, first.y), *between, (last.x, last.y + spread)]
