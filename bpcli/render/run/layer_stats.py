"""What `training: {watch: true}` found: of the first and the last layer for each epoch, of all layers at the end."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bpcli.records.training import WATCH_PREFIX, EpochRow
from bpcli.render.console import clipped
from bpcli.render.numbers import percent, short

SHARES = {"dead": "dead", "saturated": "satur."}  # with their headers
COLUMN_WIDTHS = {"|grad|": 7, "update": 7, "dead": 4, "satur.": 6}
MIN_COLUMN_WIDTH = 7  # characters of a column of epochs, at least; a number takes no more
MAX_NAME_WIDTH = 20  # characters of a layer's name, at most: two epochs fit 80 columns
ACTIVATION_SUFFIX = ".activation"  # its figures stand on the line of its layer


@dataclass(frozen=True)
class TableColumn:
    """A column of the table of epochs: `key` is what it shows of an EpochRow, `split` (train, validation, a layer or
    nothing) stands over its header."""

    key: str
    split: str
    header: str

    @property
    def name(self) -> str:
        """The header where nothing stands over it."""
        if self.key.startswith(WATCH_PREFIX):
            return f"{self.split} {self.header}".strip()
        return f"val {self.header}" if self.split == "validation" else self.header

    @property
    def width(self) -> int:
        return max(MIN_COLUMN_WIDTH, len(self.header))


def watch_columns(keys: Sequence[str]) -> list[TableColumn]:
    """Returns the columns of a table of epochs: gradient and update of the first and of the last layer that learns, and
    the largest share of dead units and of saturated outputs of any layer."""
    learning = [key.removesuffix(".gradient") for key in keys if key.endswith(".gradient")]
    found = []
    for layer in dict.fromkeys((*learning[:1], *learning[-1:])):
        name = layer.removeprefix(WATCH_PREFIX)
        found += [TableColumn(f"{layer}.gradient", name, "|grad|"), TableColumn(f"{layer}.update", name, "update")]
    return found + [
        TableColumn(WATCH_PREFIX + s, "", h) for s, h in SHARES.items() if any(key.endswith(f".{s}") for key in keys)
    ]


def watch_cell(watch: Mapping[str, float], key: str) -> str:
    """Returns what stands in such a column."""
    share = key.removeprefix(WATCH_PREFIX)
    if share in SHARES:
        return percent(max(value for k, value in watch.items() if k.endswith(f".{share}")))
    return short(watch[key])


def layer_stats_table(first: EpochRow, last: EpochRow) -> Iterator[str]:
    """Yields a line for each layer, as it fared in two epochs (in one, where they are the same)."""
    rows = list({row.epoch: row for row in (first, last)}.values())
    figures = [f for f in ("gradient", "update", *SHARES) if any(key.endswith(f".{f}") for key in last.watch)]
    headers = [{"gradient": "|grad|", **SHARES}.get(f, f) for f in figures]
    widths = [COLUMN_WIDTHS[h] for h in headers]
    layers = dict.fromkeys(_layer_and_figure(key)[0] for key in last.watch)
    name = max(5, *(len(clipped(layer, MAX_NAME_WIDTH)) for layer in layers))
    group = sum(w + 1 for w in widths) - 1
    yield "  ".join((" " * name, *(f"epoch {row.epoch}".center(group) for row in rows))).rstrip()
    yield "  ".join(
        ("layer".ljust(name), *[" ".join(h.rjust(w) for h, w in zip(headers, widths, strict=True))] * len(rows))
    )
    for layer in layers:
        cells = [" ".join(_cell(row, layer, f).rjust(w) for f, w in zip(figures, widths, strict=True)) for row in rows]
        yield "  ".join((clipped(layer, MAX_NAME_WIDTH).ljust(name), *cells)).rstrip()


def _layer_and_figure(key: str) -> tuple[str, str]:
    """Returns the layer on whose line a figure stands, and which figure it is."""
    path, _, figure = key.removeprefix(WATCH_PREFIX).rpartition(".")
    return path.removesuffix(ACTIVATION_SUFFIX), figure


def _cell(row: EpochRow, layer: str, figure: str) -> str:
    found = [value for key, value in row.watch.items() if _layer_and_figure(key) == (layer, figure)]
    if not found:
        return ""
    return percent(found[0]) if figure in SHARES else short(found[0])
