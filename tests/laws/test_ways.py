"""Every way that a kernel can take is taken by some law: counted by machine, whatever was thought of.

Watched are all modules of layers, losses, penalties, constraints, clippers, optimizers and metrics, and those of the
engine and the numeric floor below them. What is not taken is listed; a new constant, and the branch that it decides,
fails here until a case of `tests/support/*_at_size.py`, or a sample of its part, crosses it.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import parts_at_size
import pytest
import row_losses_at_size
import rows_at_size
import searches_at_size
import sizes
import steps_at_size
from registry import good
from ways import Annotator, Notes, Way, functions_of, watched

from bpcli.engine import step
from bpcli.parts.activations import piecewise
from bpcli.studies.witness.cases import cases

ROOMS = (
    "bpcli.numeric", "bpcli.engine", "bpcli.parts.layers", "bpcli.parts.losses", "bpcli.parts.optimizers",
    "bpcli.parts.metrics", "bpcli.parts.activations", "bpcli.parts.clippers", "bpcli.parts.constraints",
    "bpcli.parts.regularizers",
)  # fmt: skip

NO_KERNELS: dict[str, str] = {
    "bpcli.numeric.blas": "sets how many threads BLAS has: tests/numeric/test_blas.py",
    "bpcli.numeric.cgroup": "asks the machine: tests/numeric/test_machine.py",
    "bpcli.numeric.file_state": "asks the machine: tests/parts/data/test_unchanged.py",
    "bpcli.numeric.free_memory": "asks the machine: tests/numeric/test_machine.py",
    "bpcli.numeric.shapes": "writes sizes for people",
    "bpcli.engine.augment": "changes images by chance: tests/parts/test_augment.py",
    "bpcli.engine.divergence": "says what failed: tests/engine/test_divergence.py",
    "bpcli.parts.layers.conv.writing": "writes equations",
    "bpcli.parts.losses.class_weights": "reads a setting",
}
"""Modules that are not watched, each with the reason."""

PASSED_OVER: dict[str, str] = {
    "samples, equations, check, note, flatten.between, needs_several_rows": "say what holds, or what is wrong",
    "with_classes, weighs_classes, _start, dense._frozen, filters._nested": "read settings",
    "_nothing_is_ignored, _output_padding_fits": "say what is wrong with settings",
    "binary_problem, only_class, needs_probabilities, list_classes": "say what a figure is not",
    "NetworkPlan.entry, BoundLayer.path": "find something by its name",
    "largest_layer": "says where the memory goes",
    "LayerError, Batch.gradients, Chain.learning": "say what failed, or help to",
    "in_chunks, sgd.learning_rate_setting, regularizers._strength": "are called while modules are imported",
    "thread_count, usable_cores, _granted_cores, can_start_thread": "ask the machine",
    "threads._forget": "is called in a forked process",
}
"""Functions and classes that are not watched, each by the end of its name, with what they do."""

LEFT_OUT: dict[tuple[str, str, str], str] = {
    ("bpcli/numeric/threads.py", "run_chunks", "(error := other.wait()) is not None: true"): "an error",
    ("bpcli/numeric/threads.py", "_Worker._serve", "except BaseException: entered"): "an error",
    ("bpcli/numeric/threads.py", "_Worker.wait", "except BaseException: entered"): "an interrupt",
    ("bpcli/numeric/threads.py", "_Worker.wait", "self._busy: true"): "an interrupt",
    ("bpcli/numeric/threads.py", "_Worker.wait", "self._busy: false"): "an interrupt",
    ("bpcli/numeric/streams.py", "Stream.permutation", "(ascending[1:] == ascending[:-1]).any(): true"):
        "two draws of 64 bits that are equal: tests/numeric/test_streams.py",
    ("bpcli/numeric/products.py", "_divisors", "n > MAX_ROWS: true"): "more rows than any memory holds",
    ("bpcli/numeric/lazy_rows.py", "MappedRows.__init__", "self._file: true"):
        "rows in a file: tests/parts/data/test_unchanged.py",
    ("bpcli/engine/fusion.py", "BoundKernel._blocks", "max(1, self.frame.x[:1].size): argument 1 wins"):
        "a batch of no rows",
    ("bpcli/engine/network.py", "Network.__init__",
     "for (block, slot) in planning.memory_blocks(network_plan.layers, 'net', need_dx, retain): once"):
        "every layer has two blocks at least",
    ("bpcli/engine/network_plan.py", "_plan_layer", "isinstance(inner, Layer): false"): "an error",
    ("bpcli/engine/network_plan.py", "_key",
     "next((key for key in type(layer).model_fields if getattr(layer, key) is layers), name): nothing found"):
        "names a container of one's own in an error",
    ("bpcli/parts/layers/residual.py", "Residual.plan", "except ShapeError: entered"): "an error",
    ("bpcli/engine/full_batch.py", "FullBatchStep.value", "math.isfinite(found): false"): "searches",
    ("bpcli/engine/full_batch.py", "FullBatchStep.value", "math.isfinite(self.norm): false"): "searches",
    **{
        ("bpcli/parts/regularizers.py", where, what): "a sum that overflows: tests/parts/test_regularizers.py"
        for where, what in (
            ("_total_size", "math.isfinite(total): false"),
            ("_total_square", "math.isfinite(square): false"),
            ("_total_square", "w.dtype == np.float64: true"),
            ("_total_square", "w.dtype == np.float64: false"),
        )
    },
    ("bpcli/parts/optimizers/lbfgs.py", "Lbfgs._line_search", "-math.inf < start.slope < 0: false"): "searches",
    ("bpcli/parts/optimizers/lbfgs.py", "Lbfgs._line_search", "at == high.at: true"): "searches",
    **{
        ("bpcli/parts/optimizers/levenberg_marquardt.py", f"LevenbergMarquardt.{where}", what): "searches"
        for where, what in (
            ("search", "f.d.max() <= self.tolerance: true"),
            ("search", "mu <= self.max_damping: false"),
            ("search", "self._solve(f, mu): false"),
            ("search", "max(mu * self.down, MIN_DAMPING): argument 2 wins"),
            ("_solve", "except np.linalg.LinAlgError: entered"),
        )
    },
}  # fmt: skip
"""Ways that no law takes, each with the reason; of "searches", no size decides, but the valley that is searched:
tests/parts/optimizers/test_full_batch.py and tests/engine/test_full_batch.py."""


def modules() -> Iterator[ModuleType]:
    """Every module that is watched, those that nobody has thought of yet among them."""
    for room in ROOMS:
        package = importlib.import_module(room)
        inside = [m.name for m in pkgutil.walk_packages(getattr(package, "__path__", ()), f"{room}.")]
        yield from (importlib.import_module(name) for name in (room, *inside) if name not in NO_KERNELS)


def names() -> list[str]:
    return [name for group in PASSED_OVER for name in group.split(", ")]


def run_all() -> list[Way]:
    """Runs every sample and every law at size; returns the ways that none of them took."""
    with watched(modules(), names()) as notes:
        for _, sample in good():
            for dtype in (np.float64, np.float32):
                for case in cases(sample, dtype):
                    case.kernel()
        for module in (sizes, parts_at_size, steps_at_size, searches_at_size, rows_at_size, row_losses_at_size):
            for _, law in module.laws():
                law()
    return notes.missing()


def key(way: Way) -> tuple[str, str, str]:
    return way.file, way.function, f"{way.code}: {way.what}"


def test_every_way_is_taken() -> None:
    missing = run_all()
    assert not [str(way) for way in missing if key(way) not in LEFT_OUT]
    gone = LEFT_OUT.keys() - {key(way) for way in missing}
    assert not gone, "these are taken, or are there no more: take them off the list"


def missing_with(module: ModuleType, old: str, new: str, laws: Iterable[Callable[[], None]]) -> set[str]:
    """What the laws do not take of the code that is new where a module is written otherwise in one place."""
    source = inspect.getsource(module)
    assert source.count(old) == 1
    with watched([module], names(), {module.__name__: source.replace(old, new)}) as notes:
        for law in laws:
            law()
    before = Notes()
    Annotator(before, module.__name__, names()).visit(ast.parse(source))
    known = {way.code for way in before.ways}
    return {f"{way.code}: {way.what}" for way in notes.missing() if way.code not in known}


LAWS = dict(itertools.chain(sizes.laws(), parts_at_size.laws(), steps_at_size.laws()))
RELU = [law for name, law in LAWS.items() if name.startswith("layer/relu")]
STEP = "length = CHUNK_BYTES // self.theta.itemsize"


@pytest.mark.parametrize(
    ("module", "old", "new", "few", "few_miss", "all_miss"),
    [
        pytest.param(
            piecewise, "np.maximum(f.x, 0, out=f.y)",
            "np.maximum(f.x, 0, out=f.y) if f.x.size < 100_000 else np.fmax(f.x, 0, out=f.y)",
            RELU, {"f.x.size < 100000: false"}, set(), id="a branch by size"),
        pytest.param(
            piecewise, "np.maximum(f.x, 0, out=f.y)",
            "np.maximum(f.x, 0, out=f.y) if f.x.size < 10**9 else np.fmax(f.x, 0, out=f.y)",
            RELU, {"f.x.size < 10 ** 9: false"}, {"f.x.size < 10 ** 9: false"}, id="a branch by a size of no case"),
        pytest.param(
            piecewise, "np.maximum(f.x, 0, out=f.y)",
            "for start in range(0, len(f.x), 200):\n"
            "            np.maximum(f.x[start : start + 200], 0, out=f.y[start : start + 200])",
            RELU, {"range(0, len(f.x), 200): several blocks", "range(0, len(f.x), 200): last block full"},
            {"range(0, len(f.x), 200): last block full"}, id="a loop over blocks"),
        pytest.param(
            step, STEP, f"{STEP}\n        length = min(length, max(len(self.theta) // 3, 1))",
            [LAWS["optimizer/sgd (11,) #0 on two chunks or three"]],
            {"min(length, max(len(self.theta) // 3, 1)): argument 1 wins",
             "max(len(self.theta) // 3, 1): argument 2 wins"},
            {"max(len(self.theta) // 3, 1): argument 2 wins"}, id="a limit of a block"),
    ],
)  # fmt: skip
def test_a_new_constant_asks_for_a_case(
    module: ModuleType, old: str, new: str, few: Any, few_miss: set[str], all_miss: set[str]
) -> None:
    """Code that takes another way from some size on is seen, until a case is of that size."""
    assert missing_with(module, old, new, few) == few_miss
    room = module.__name__.rsplit(".")[-1]
    more = [
        law for name, law in LAWS.items() if (name.startswith("relu") if room == "piecewise" else "sgd (11,)" in name)
    ]
    assert missing_with(module, old, new, [*few, *more]) == all_miss


PLAIN = """
def f(n, block, items, default):
    if n > 3 and items:
        n = max(n, block)
    for start in range(0, n, block):
        pass
    for k in range(n):
        default = k if k % 2 else default
    for item in items:
        while item:
            item -= 1
    try:
        n = next((i for i in items if i > 1), default)
    except TypeError:
        n = 0
    if n < 0:
        raise ValueError(n)
    return in_parts(n, block)
"""


def ways_of(source: str, *calls: tuple[Any, ...]) -> tuple[set[str], set[str]]:
    """Those of a function f that are asked for, and those that calls of it take."""
    notes = Notes()
    tree = ast.fix_missing_locations(Annotator(notes, "m", ()).visit(ast.parse(source)))
    space: dict[str, Any] = {"__ways__": notes, "in_parts": lambda a, parts: a}
    exec(compile(tree, "m", "exec"), space)
    for call in calls:
        space["f"](*call)
    missing = {f"{way.code}: {way.what}" for way in notes.missing()}
    every = {f"{way.code}: {way.what}" for way in notes.required.values()}
    return every, every - missing


def test_what_counts_as_a_way() -> None:
    every, taken = ways_of(PLAIN)
    assert not taken
    assert every == {
        "def f: entered", "n > 3: true", "n > 3: false", "items: true", "items: false",
        "max(n, block): argument 1 wins", "max(n, block): argument 2 wins",
        "range(0, n, block): one block", "range(0, n, block): several blocks", "range(0, n, block): last block full",
        "range(0, n, block): last block partial", "for k in range(n): once", "for k in range(n): several times",
        "k % 2: true", "k % 2: false", "for item in items: goes round", "item: true", "item: false",
        "next((i for i in items if i > 1), default): found",
        "next((i for i in items if i > 1), default): nothing found", "i > 1: true", "i > 1: false",
        "except TypeError: entered", "n < 0: false", "in_parts(n, block), argument 2: cut",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("call", "takes"),
    [
        ((2, 5, [], 1), {"n > 3: false", "range(0, n, block): one block", "range(0, n, block): last block partial"}),
        ((6, 3, [0], 1), {"items: true", "max(n, block): argument 1 wins", "range(0, n, block): several blocks",
                          "range(0, n, block): last block full", "item: false"}),
        ((4, 4, [3], 1), {"next((i for i in items if i > 1), default): found", "item: true"}),
        ((1, 1, [1], 1), {"for k in range(n): once", "range(0, n, block): one block"}),
        ((5, 2, [], 0), {"items: false", "next((i for i in items if i > 1), default): nothing found"}),
    ],
)  # fmt: skip
def test_ways_that_a_call_takes(call: tuple[Any, ...], takes: set[str]) -> None:
    _, taken = ways_of(PLAIN, call)
    assert takes <= taken


def test_watching_changes_nothing() -> None:
    """Afterwards every function is what it was."""
    before = {f: f.__code__ for found in functions_of(modules()).values() for f in found}
    with watched(modules(), names()):
        assert any(f.__code__ is not code for f, code in before.items())
        sizes.law_of_net("dense")
    assert all(f.__code__ is code for f, code in before.items())
    assert not any("__ways__" in vars(module) for module in modules())
