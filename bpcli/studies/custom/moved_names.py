"""Where modules and names of bpcli 0.1 are now: what a file of that version writes in place of an import that fails.

All that a part needs is in `bpcli.custom`, which stays; what is not there is looked up in the rooms of the package.
"""

import ast
import functools
import importlib
import re
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import bpcli
from bpcli import custom
from bpcli.family import near

PUBLIC_MODULE = "bpcli.custom"

MOVED_MODULES = {
    "bpcli.derivation": "bpcli.records.trace",
    "bpcli.engine.blueprint": "bpcli.engine.network_plan",
    "bpcli.engine.descent": "bpcli.engine.step",
    "bpcli.engine.groups": "bpcli.engine.fusion",
    "bpcli.engine.search": "bpcli.engine.full_batch",
    "bpcli.family.network": PUBLIC_MODULE,
    "bpcli.family.objective": PUBLIC_MODULE,
    "bpcli.family.step": PUBLIC_MODULE,
    "bpcli.family.tables": PUBLIC_MODULE,
    "bpcli.numeric.finite": "bpcli.numeric.vectors",
    "bpcli.numeric.lengths": "bpcli.numeric.vectors",
    "bpcli.numeric.mapped": "bpcli.numeric.lazy_rows",
    "bpcli.numeric.notation": "bpcli.notation",
    "bpcli.numeric.notation.local": "bpcli.notation.local_derivative",
    "bpcli.numeric.notation.places": "bpcli.notation.entries_read",
    "bpcli.numeric.notation.printed": "bpcli.notation.calculator",
    "bpcli.numeric.notation.weigh": "bpcli.notation.rounding",
    "bpcli.part": PUBLIC_MODULE,
    "bpcli.parts.data.csvfile": "bpcli.parts.data.csv.file",
    "bpcli.parts.data.csvread": "bpcli.parts.data.csv.read",
    "bpcli.parts.layers.conv.kernels": "bpcli.parts.layers.conv.passes",
    "bpcli.parts.optimizers.descent": "bpcli.parts.optimizers.sgd",
    "bpcli.parts.schedules.timed": "bpcli.parts.schedules.scheduled",
    "bpcli.parts.schedules.told": "bpcli.parts.schedules.reactive",
    "bpcli.parts.report": "bpcli.studies.evaluation.report",
    "bpcli.plan": PUBLIC_MODULE,
    "bpcli.verdicts": "bpcli.records.gradcheck",
}
"""Modules of bpcli 0.1, and which one to import now; the modules inside them have moved with them."""

RENAMED = {
    "Searcher": "FullBatchOptimizer",
    "Stepper": "GradientOptimizer",
    "Surface": "ObjectiveView",
    "UnsettledError": "ClassMismatchError",
}
"""Names that every file of a part may use, and what they are called in `bpcli.custom`."""

RENAMED_IN = {
    "bpcli.derivation.Entry": "bpcli.records.trace.WorkedEntry",
    "bpcli.derivation.Given": "bpcli.records.trace.StartValue",
    "bpcli.engine.blueprint.Blueprint": "bpcli.engine.network_plan.NetworkPlan",
    "bpcli.engine.blueprint.Node": "bpcli.engine.network_plan.PlannedLayer",
    "bpcli.engine.blueprint.draw_up": "bpcli.engine.network_plan.plan_network",
    "bpcli.engine.descent.Descent": "bpcli.engine.step.FirstOrderStep",
    "bpcli.engine.network.Link": "bpcli.engine.network.BoundLayer",
    "bpcli.engine.search.Search": "bpcli.engine.full_batch.FullBatchStep",
    "bpcli.numeric.axes.fold": "bpcli.numeric.axes.sum_strip",
    "bpcli.numeric.axes.places": "bpcli.numeric.axes.as_positions",
    "bpcli.numeric.axes.rows": "bpcli.numeric.axes.as_rows",
    "bpcli.numeric.axes.spread": "bpcli.numeric.axes.spread_over_strip",
    "bpcli.numeric.axes.strips": "bpcli.numeric.axes.as_strips",
    "bpcli.numeric.lengths.columns": "bpcli.numeric.vectors.as_columns",
    "bpcli.numeric.lengths.length": "bpcli.numeric.vectors.l2_norm",
    "bpcli.numeric.lengths.unit_lengths": "bpcli.numeric.vectors.column_norms",
    "bpcli.numeric.mapped.Computed": "bpcli.numeric.lazy_rows.ComputedRows",
    "bpcli.numeric.mapped.Mapped": "bpcli.numeric.lazy_rows.MappedRows",
    "bpcli.numeric.mapped.Rows": "bpcli.numeric.lazy_rows.LazyRows",
    "bpcli.numeric.order.Mixed": "bpcli.numeric.order.ShuffledOrder",
    "bpcli.numeric.order.Straight": "bpcli.numeric.order.SequentialOrder",
    "bpcli.numeric.order.order": "bpcli.numeric.order.row_order",
    "bpcli.numeric.threads.Lane": "bpcli.numeric.threads.Chunk",
    "bpcli.numeric.threads.alone": "bpcli.numeric.threads.one_thread",
    "bpcli.numeric.threads.in_lanes": "bpcli.numeric.threads.run_chunks",
    "bpcli.numeric.threads.share": "bpcli.numeric.threads.chunk_range",
    "bpcli.numeric.threads.workers": "bpcli.numeric.threads.thread_count",
    "bpcli.parts.extras.missing": "bpcli.parts.extras.not_installed",
    "bpcli.parts.layers.conv.axes.Axis": "bpcli.parts.layers.conv.axes.FilterAxis",
    "bpcli.parts.layers.conv.filters.pair": "bpcli.parts.layers.windows.as_pair",
    "bpcli.parts.layers.flatten.place": "bpcli.parts.layers.flatten.offset",
    "bpcli.parts.layers.windows.Axis": "bpcli.parts.layers.windows.WindowAxis",
    "bpcli.parts.layers.windows.Cell": "bpcli.parts.layers.windows.WindowCell",
    "bpcli.parts.layers.windows.Grid": "bpcli.parts.layers.windows.WindowGrid",
    "bpcli.parts.layers.windows.frozen": "bpcli.parts.layers.windows.as_tuples",
    "bpcli.parts.losses.averaging.cost": "bpcli.parts.losses.averaging.mean_cost",
    "bpcli.parts.losses.class_weights.Named": "bpcli.parts.losses.class_weights.NamedWeights",
    "bpcli.parts.metrics.classes.FromCounts": "bpcli.parts.metrics.classes.CountMetric",
    "bpcli.parts.metrics.ranking.FromRanks": "bpcli.parts.metrics.ranking.RankMetric",
    "bpcli.parts.optimizers.descent.rate": "bpcli.parts.optimizers.sgd.learning_rate_setting",
    "bpcli.verdicts.Cure": "bpcli.records.diagnose.Remedy",
}
"""Other names of bpcli 0.1, in full, and what they are called now."""

BY_THE_ENGINE = (
    "leave it out: the engine shares the rows of a layer out to threads where it says "
    "`rows_are_independent: ClassVar[bool] = True`"
)
REMOVED_NAMES = dict.fromkeys(
    ("Steps", "by_lanes", "done_in_blocks", "done_in_lanes", "is_by_lanes", "together"), BY_THE_ENGINE
)
REMOVED_NAMES["log1pexp"] = "write np.logaddexp(0, x, out=out)"
REMOVED_NAMES["logsumexp"] = "write np.logaddexp.reduce(x, -1, keepdims=True, out=out)"
REMOVED_NAMES["erf_into"] = "write `from bpcli.numeric.stable import erf`, which returns a new array: out[...] = erf(x)"
"""Names with nothing in their place, and what to do without them; `bpcli.numeric.steps` held them."""
REMOVED_MODULES = {"bpcli.numeric.steps": BY_THE_ENGINE}

SEARCHED_ROOMS = ("notation", "numeric", "records", "family", "parts", "engine", "config")


def instead_of_import(node: ast.Import | ast.ImportFrom) -> str:
    """Returns what to type in place of an import that does not work. A name that was changed is imported under the one
    that the file knows it by."""
    if isinstance(node, ast.Import):
        return _joined(
            _module_advice(alias.name, alias.asname) for alias in node.names if alias.name.startswith("bpcli")
        )
    module = node.module or "bpcli"
    lines: dict[str, list[str]] = {}
    advice: list[str] = []
    for alias in node.names:
        here = alias.asname or alias.name
        if alias.name == "*":
            lines.setdefault(moved_module(module) or module, []).append("*")
        elif moved_module(f"{module}.{alias.name}") or f"{module}.{alias.name}" in REMOVED_MODULES:
            advice.append(_module_advice(f"{module}.{alias.name}", here))
        elif home := new_home(module, alias.name):
            lines.setdefault(home[0], []).append(home[1] if home[1] == here else f"{home[1]} as {here}")
        else:
            advice.append(_removed(module, alias.name))
    written = " and ".join(f"`from {m} import {', '.join(names)}`" for m, names in sorted(lines.items()))
    return _joined([f"write {written}" if written else "", *advice])


def instead_of_attribute(module: ModuleType, name: str) -> str:
    """Returns what to type where a module of this package has no such attribute."""
    if new := moved_module(f"{module.__name__}.{name}"):
        return f"write `import {new}` at the top, and `{new}` here"
    home = new_home(module.__name__, name)
    if home is None:
        return _removed(module.__name__, name)
    return f"write `from {home[0]} import {home[1]}` at the top, and `{home[1]}` here"


def instead_of_name(name: str) -> str:
    """Returns what to type where a file uses a name of `bpcli.custom`, of this version or an earlier one, without
    importing it; nothing of other names."""
    new = RENAMED.get(name, name)
    wanted = new if new == name else f"{new} as {name}"
    return f"write `from {PUBLIC_MODULE} import {wanted}` at the top" if new in custom.__all__ else ""


def moved_module(module: str) -> str | None:
    """Returns the module to import in place of one that has moved; None where it is where it was, or nowhere."""
    if module in MOVED_MODULES:
        return MOVED_MODULES[module]
    room, _, name = module.rpartition(".")
    while room and room not in MOVED_MODULES:
        room, _, inner = room.rpartition(".")
        name = f"{inner}.{name}"
    new = f"{MOVED_MODULES[room]}.{name}" if room else ""
    return new if new and MOVED_MODULES[room] != PUBLIC_MODULE and _exists(new) else None


def new_home(module: str, name: str) -> tuple[str, str] | None:
    """Returns which module to import a name of an earlier version's `module` from, and what it is called there; None
    where it is not known."""
    new = RENAMED.get(name, name)
    if f"{module}.{name}" in RENAMED_IN:
        home, _, new = RENAMED_IN[f"{module}.{name}"].rpartition(".")
        return home, new
    if new in custom.__all__:
        return PUBLIC_MODULE, new
    moved = moved_module(module)
    if moved and hasattr(importlib.import_module(moved), name):
        return moved, name
    return (found[0], name) if name not in REMOVED_NAMES and len(found := _modules_with(name)) == 1 else None


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # what stands before the last dot is no package
        return False


@functools.cache
def _modules_with(name: str) -> tuple[str, ...]:
    """Returns the modules of this package that define a name."""
    pattern = re.compile(rf"^(?:(?:class|def) {re.escape(name)}\b|{re.escape(name)}(?::.*)? = )", re.MULTILINE)
    root = Path(bpcli.__file__).parent
    found = []
    for room in SEARCHED_ROOMS:
        for file in sorted((root / room).rglob("*.py")):
            if pattern.search(file.read_text(encoding="utf-8")):
                parts = file.relative_to(root.parent).with_suffix("").parts
                found.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return tuple(found)


def _module_advice(module: str, here: str | None) -> str:
    """Returns what to type in place of the import of a whole module."""
    if module in REMOVED_MODULES:
        return REMOVED_MODULES[module]
    new = moved_module(module)
    if new is None:
        return f"what a part of your own needs is in {PUBLIC_MODULE}"
    if here is None:
        return f"write `import {new}`, and `{new}` for `{module}` below it"
    room, _, name = new.rpartition(".")
    return f"write `from {room} import {name if name == here else f'{name} as {here}'}`"


def _removed(module: str, name: str) -> str:
    if name in REMOVED_NAMES:
        return REMOVED_NAMES[name]
    moved = moved_module(module)
    if moved and moved != PUBLIC_MODULE:
        return f"{module} is {moved} now, which has no `{name}`"
    meant = near(name, custom.__all__)
    if meant is not None:
        return f"no module of bpcli has `{name}`; did you mean `from {PUBLIC_MODULE} import {meant}`?"
    return f"no module of bpcli has `{name}`; what a part of your own needs is in {PUBLIC_MODULE}"


def _joined(advice: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(filter(None, advice)))
