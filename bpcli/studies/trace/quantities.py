"""From a step taken apart to quantities: each left side evaluated from its own equation, held against the engine, and
entries of it worked out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bpcli.family import Activation, Array
from bpcli.notation.entries_read import entries_read
from bpcli.notation.evaluate import Grid
from bpcli.notation.symbols import gradient_of
from bpcli.notation.syntax import reads
from bpcli.notation.worked import work_out_entry
from bpcli.numeric.shapes import entry_name
from bpcli.numeric.vectors import EPS
from bpcli.records.trace import Quantity, Stage, WorkedEntry
from bpcli.studies.trace.step_blocks import StepBlock, TakenStep
from bpcli.studies.witness.witness import SUM_RTOL, max_abs

SATURATION_RATIO = 0.01  # share of the error that a saturated unit passes, at most
MAX_ENTRIES = 12  # entries of a quantity that are all worked out unless the view says how many
PATHS = {
    ("loss", "L"): "data_loss", ("gradient", "E"): "loss", ("schedule", "lr"): "learning_rate",
    ("penalty", "penalty"): "{owner}",
}  # fmt: skip
"""How claims call what belongs to no single tensor, by part and left side, where it is not owner.name."""

PATHS_OF_TENSORS = {
    ("gradient", "g"): "{layer}.d{param}", ("clipping", "g_new"): "{layer}.d{param}_clipped",
    ("penalty", "dw"): "{owner}.penalty_slope", ("optimizer", "w_new"): "{owner}_new",
    ("constraint", "w_new"): "{owner}_new",
}  # fmt: skip
"""The same of what belongs to one tensor of weights."""

WantedEntries = Mapping[tuple[str, str], frozenset[tuple[int, ...]]]
"""Entries by (layer or tensor, left side); `*` stands for every left side."""


@dataclass(frozen=True)
class EntryChoice:
    """What is worked out: `entries` of each quantity (None: all of a small one, a few of a large one; 0: none), with
    `terms` of each sum; only of these `layers`, and of `wanted` entries where that is given."""

    entries: int | None = None
    terms: int = 6
    digits: int = 6
    ascii: bool = False
    layers: tuple[str, ...] = ()
    wanted: WantedEntries | None = None


def quantities(taken: TakenStep, step: int, choice: EntryChoice) -> Iterator[Quantity]:
    """Yields all quantities of a step, in its order."""
    known: dict[int, dict[str, Any]] = {}
    for block, grid, stage in taken.blocks:
        if id(block) not in known:
            known[id(block)] = block.program.complete(block.env)
        for quantity in _quantities_of(block, grid, stage, known[id(block)], step, choice):
            yield replace(quantity, sources=_sources(taken, block, grid))


def _quantities_of(
    block: StepBlock, grid: Grid, stage: Stage, env: Mapping[str, Any], step: int, choice: EntryChoice
) -> Iterator[Quantity]:
    value = np.asarray(env[grid.name])
    engine = block.engine.get(grid.name)
    gap, allowed = _gap(block, value, engine)
    whole = Quantity(
        id="", step=step, stage=stage, part=block.part, layer=block.layer, kind=block.kind, name=grid.name,
        path=_path(block, grid.name), equation=grid.equation, known=block.known, why=grid.equation.source.why,
        value=value, engine=engine, gap=gap, allowed=allowed, tensor=block.tensor,
    )  # fmt: skip
    flat = bool(block.tensors) and grid.free == ("j",)
    start = 0
    for tensor, shape in block.tensors if flat else ((block.tensor, value.shape),):
        part = whole
        if flat:
            where = slice(start, start + int(np.prod(shape)))
            own = None if engine is None else engine[where].reshape(shape)
            gap, allowed = _gap(block, value[where], None if own is None else own.ravel())
            part = replace(
                whole, tensor=tensor, path=_path(block, grid.name, tensor), value=value[where].reshape(shape),
                engine=own, gap=gap, allowed=allowed,
            )  # fmt: skip
        part = replace(part, id=".".join(filter(None, (str(step), block.part, part.layer, tensor, grid.name))))
        yield replace(part, entries=tuple(_entries(block, grid, env, part, start if flat else -1, choice)))
        start += part.value.size


def _sources(taken: TakenStep, block: StepBlock, grid: Grid) -> Mapping[str, str]:
    """Returns what the x and the dy of an equation are elsewhere: dense_1.activation.y."""
    found = {}
    for name in sorted(reads(grid.equation) & {"x", "dy"}):
        if block.part == "layer":
            layer, what = taken.makers.get((block.layer, name), ("", ""))
            found[name] = f"{layer}.{what}" if layer else "the inputs"
        elif block.part == "loss":
            found[name] = taken.outputs_of
    return found


def _gap(block: StepBlock, value: Array, engine: Array | None) -> tuple[float, float]:
    """Returns how far equation and kernel are apart, and how far sums in another order may be."""
    if engine is None:
        return 0.0, 0.0
    with np.errstate(invalid="ignore"):
        gap = np.where(value == engine, 0.0, np.abs(value - engine))
    worst = float(gap.max()) if gap.size else 0.0
    return worst if worst == worst else float("inf"), SUM_RTOL * max(max_abs(engine), 1e-300) + 64 * EPS * block.largest


def _path(block: StepBlock, name: str, tensor: str = "") -> str:
    """Returns how claims call a quantity."""
    if block.part == "change":
        return "change"
    tensor = tensor or block.tensor
    paths = PATHS_OF_TENSORS if tensor else PATHS
    usual = "{owner}.{name}"
    layer, _, param = tensor.rpartition(".")
    owner = tensor or block.layer or block.part
    return paths.get((block.part, name), usual).format(owner=owner, name=name, layer=layer, param=param)


# --------------------------------------------------------------------------------------------------- entries worked out
def _entries(
    block: StepBlock, grid: Grid, env: Mapping[str, Any], part: Quantity, start: int, choice: EntryChoice
) -> Iterator[WorkedEntry]:
    shape = part.value.shape
    for at in _chosen(part, shape, choice):
        if start >= 0:
            own = start + (int(np.ravel_multi_index(at, shape)) if shape else 0)
            entry: tuple[int, ...] = (own,)
            index: tuple[str, ...] = (entry_name(part.tensor, at),)
        else:
            entry, index = at, tuple(map(str, at))
        worked = work_out_entry(grid, env, entry, choice.digits, choice.terms, choice.ascii)
        yield WorkedEntry(entry_name(part.path, at), at, index, worked, tuple(_notes(block, grid, env, entry)))


def _chosen(part: Quantity, shape: tuple[int, ...], choice: EntryChoice) -> Iterator[tuple[int, ...]]:
    """Yields the entries to be worked out."""
    if choice.entries == 0:
        return
    owner = part.tensor.rpartition(".")[0] or part.layer
    if choice.layers and owner and not any(_within(owner, layer) for layer in choice.layers):
        return
    count = int(np.prod(shape))
    if choice.wanted is not None and shape:
        owned = choice.wanted.get((part.tensor or part.layer or part.part, part.name), frozenset())
        whole = choice.wanted.get((part.tensor, "*"), frozenset()) if part.tensor else frozenset()
        named = sorted(owned | {at for at in whole if len(at) == len(shape)})
        most = choice.entries if choice.entries is not None else MAX_ENTRIES
        yield from named[:most]
        return
    most = choice.entries if choice.entries is not None else count if count <= MAX_ENTRIES else MAX_ENTRIES // 2
    for i in _first(part.value, min(most, count)):
        yield tuple(int(k) for k in np.unravel_index(i, shape))


def _first(value: Array, most: int) -> Sequence[int]:
    """Returns the first entries; where they are all 0, half of them give way to the first that are not."""
    live = np.flatnonzero(value)
    if not len(live) or live[0] < most:
        return range(most)
    other = live[: most // 2]
    return [*range(most - len(other)), *map(int, other)]


def _within(owner: str, layer: str) -> bool:
    """Whether a layer is the one that is named, its activation, or inside it."""
    return owner == layer or owner.startswith(f"{layer}.")


def _notes(block: StepBlock, grid: Grid, env: Mapping[str, Any], entry: tuple[int, ...]) -> Iterator[str]:
    """Returns notes on a gradient: how many paths it sums, and whether a unit lets no error pass."""
    if block.part != "layer" or grid.name not in block.backward:
        return
    read = entries_read(grid, env, dict(zip(grid.free, entry, strict=True)))
    errors = sum(len(v) for name, v in read.items() if gradient_of(name, block.known) or name.endswith("_dx"))
    if grid.name == "dx" and errors > 1:
        yield f"{errors} paths, summed"
    upstream = block.env["dy"]
    if grid.name == "dx" and errors and "win" in env and not env["dx"][entry]:
        yield "did not win: no error passes"
    elementwise = block.kind in Activation.registry and block.env["x"].shape == upstream.shape
    if grid.name == "dx" and errors == 1 and (block.layer.endswith(".activation") or elementwise):
        here, above = float(env["dx"][entry]), float(upstream[entry])
        if above and not here:
            yield "closed: no error passes"
        elif above and abs(here) < SATURATION_RATIO * abs(above):
            yield f"saturated: {abs(here / above):.1e} of the error passes"


def count_blocked_units(block: StepBlock, dx: Array) -> tuple[int, int]:
    """Returns how many units of an activation pass no error, and how many hardly any."""
    dy = np.asarray(block.env["dy"])
    if block.kind not in Activation.registry or dx.shape != dy.shape:
        return 0, 0
    closed = (dy != 0) & (dx == 0)
    saturated = (dx != 0) & (np.abs(dx) < SATURATION_RATIO * np.abs(dy))
    return int(closed.sum()), int(saturated.sum())
