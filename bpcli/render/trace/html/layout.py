"""Where the units of a network stand in its picture, in CSS pixels."""

from collections.abc import Iterator
from dataclasses import dataclass

from bpcli.render.trace.html.network import INPUTS, NetworkPicture, UnitColumn

UNIT_WIDTH = 116.0  # all of these in CSS pixels
ROOMY_GAP, NARROW_GAP = 116.0, 90.0  # between columns: with numbers on the wires, and without
LOSS_GAP, LOSS_WIDTH = 60.0, 122.0  # before the box of the loss, and the box
HEADING_HEIGHT = 76.0  # pixels above the units, for what a column is called
TAG_HEIGHT, CHIP_HEIGHT, UNIT_GAP, ELLIPSIS_HEIGHT = 14.0, 19.0, 22.0, 44.0  # of what stands in a column
MAX_LABELLED_UNITS = 4  # units of a column, for the numbers of its weights to have room


@dataclass(frozen=True)
class UnitPosition:
    """Where a unit stands: its left edge and the middle of its height."""

    x: float
    y: float


class PictureLayout:
    """Columns from left to right, their units around one middle line, the loss at the right, ways around below."""

    def __init__(self, network: NetworkPicture) -> None:
        self.network = network
        columns = network.columns
        self.chips = {
            c.path: [(p, v) for p, v in network.parameters(c) if c.vector and v.shape == c.units] for c in columns
        }
        self.left: dict[str, float] = {}
        self.right = 20.0  # where the loss stands
        for c in columns:
            self.right += 0 if c.path == INPUTS else ROOMY_GAP if self.roomy(c) else NARROW_GAP
            self.left[c.path] = self.right
            self.right += UNIT_WIDTH
        self.right += LOSS_GAP
        self.pitch = UNIT_GAP + max(TAG_HEIGHT + self.tall(c) + CHIP_HEIGHT * len(self.chips[c.path]) for c in columns)
        self.body = max(self._height(c) for c in columns)
        self.spots = {c.path: dict(self._stacked(c)) for c in columns}
        order = [c.path for c in columns]  # of columns side by side, the wires cross no other
        ways = [(c, s) for c in columns for s in c.sources if order.index(s) + 1 != order.index(c.path)]
        self.ways = sorted(ways, key=lambda way: self.left[way[1]] - self.left[way[0].path])  # the longest: the lowest
        self.bottom = HEADING_HEIGHT + self.body + 24 + 26 * len(self.ways)
        self.width = self.right + LOSS_WIDTH + 12
        self.height = self.bottom + 8

    @property
    def middle(self) -> float:
        """The height of the line around which units stand."""
        return HEADING_HEIGHT + self.body / 2

    def tall(self, column: UnitColumn) -> float:
        """Returns the height of the body of a unit, in CSS pixels."""
        return 44 if column.z is not None else 30

    def _height(self, column: UnitColumn) -> float:
        """Returns the distance from the top of its first unit to what hangs below its last."""
        if not column.vector:
            return 70
        dots = sum(1 for _, skipped in shown_units(column) if skipped)
        return len(column.shown) * self.pitch + dots * ELLIPSIS_HEIGHT - UNIT_GAP

    def _stacked(self, column: UnitColumn) -> Iterator[tuple[int, UnitPosition]]:
        """Yields the places of the units: the middles of all columns are on one line."""
        left = self.left[column.path]
        if not column.vector:
            yield 0, UnitPosition(left, self.middle)
        y = self.middle - (self._height(column) + UNIT_GAP - self.pitch) / 2
        for unit, skipped in shown_units(column):
            y += ELLIPSIS_HEIGHT if skipped else 0
            yield unit, UnitPosition(left, y)
            y += self.pitch

    def matrix(self, column: UnitColumn, source: UnitColumn) -> str:
        """Returns the parameter whose entries are the wires between two columns; empty where they have none."""
        shape = (*source.units, *column.units)
        return next((p for p, v in self.network.parameters(column) if v.shape == shape and p.endswith(".W")), "")

    def roomy(self, column: UnitColumn) -> bool:
        """Whether there is room for numbers on the wires to a column."""
        source = next((c for c in self.network.columns if c.path in column.sources[:1]), column)
        whole = all(c.vector and len(c.shown) == c.units[0] for c in (source, column))
        return whole and column.units[0] <= MAX_LABELLED_UNITS and bool(self.matrix(column, source))

    def under(self, column: UnitColumn) -> float:
        """Returns the distance from the middle of a unit to below all that hangs from it."""
        return self.tall(column) / 2 + CHIP_HEIGHT * len(self.chips[column.path]) + 4 if column.vector else 36


def shown_units(column: UnitColumn) -> Iterator[tuple[int, int]]:
    """Yields the units that are drawn, each with how many before it are not."""
    before = -1
    for unit in column.shown:
        yield unit, unit - before - 1
        before = unit


def wire(start: UnitPosition, end: UnitPosition) -> tuple[float, float, float, float]:
    """Returns the two ends of a line between units: x and y of each."""
    return start.x + UNIT_WIDTH, start.y, end.x, end.y
