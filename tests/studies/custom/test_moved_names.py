"""Import lines of bpcli 0.1 in a file of one's own: each works, or ends in an error that names the new line."""

from __future__ import annotations

import ast
import importlib
import re

import pytest
from cli_lab import Lab
from cli_lab import lab as lab
from own_parts import GAIN, changed
from own_parts import own as own
from paths import ROOT

from bpcli.studies.custom import moved_names

pytestmark = pytest.mark.usefixtures("own")
NAMES = [
    (module, name)
    for line in (ROOT / "tests/support/first_version_names.txt").read_text().splitlines()
    for module, _, names in [line.partition(": ")]
    for name in names.split()
]
"""What modules for parts offered in bpcli 0.1."""


HELPERS = {
    "Along", "FromErrors", "Glyph", "Index", "Local", "Look", "Noted", "Point", "Slip", "Stretches", "beyond", "by_id",
    "counted", "draw", "dump", "figure", "fitted", "glyph", "idle", "listed", "looked_at", "looking", "math",
    "not_binary", "one_class", "padded", "placed", "reads_at", "refused", "same", "settled", "slips", "stretch",
    "sweep", "swapped", "textbook", "told", "weigh", "windows",
}  # fmt: skip
"""Helpers of old modules that have nothing in their place: the error says so, and names where to look."""


def works(line: str) -> bool:
    try:
        exec(line, {})
    except ImportError:
        return False
    return True


@pytest.mark.parametrize("module", dict.fromkeys(module for module, _ in NAMES))
def test_an_old_line_works_or_names_a_line_that_works(module: str) -> None:
    for name in (name for its, name in NAMES if its == module):
        line = f"from {module} import {name}"
        if works(line):
            continue
        (node,) = ast.parse(line).body
        assert isinstance(node, ast.ImportFrom)
        advice = moved_names.instead_of_import(node)
        new = re.fullmatch(r"write `(from .*)`", advice)
        if new is None:
            assert name in {*HELPERS, *moved_names.REMOVED_NAMES}, f"{line}: {advice}"
        else:
            assert works(new[1]), f"{line}: {advice}"


def test_the_tables_name_what_there_is() -> None:
    for module in moved_names.MOVED_MODULES.values():
        importlib.import_module(module)
    for name in moved_names.RENAMED_IN.values():
        module, _, last = name.rpartition(".")
        assert hasattr(importlib.import_module(module), last), name


BY_CUSTOM = "write `from bpcli.custom import"
LINES = {
    "import bpcli.family as fam\nfam.Stepper": (
        f"{BY_CUSTOM} GradientOptimizer` at the top, and `GradientOptimizer` here"
    ),
    "import bpcli\nbpcli.plan.Slot": "write `import bpcli.custom` at the top, and `bpcli.custom` here",
    "from bpcli.numeric import threads\nthreads.by_lanes": moved_names.BY_THE_ENGINE,
    "from bpcli.numeric import threads\nthreads.workers": (
        "write `from bpcli.numeric.threads import thread_count` at the top, and `thread_count` here"
    ),
    "from bpcli.numeric import threads\nthreads.no_such": (
        "no module of bpcli has `no_such`; what a part of your own needs is in bpcli.custom"
    ),
    "from bpcli.numeric.steps import by_lanes": moved_names.BY_THE_ENGINE,
    "from bpcli.numeric import steps": moved_names.BY_THE_ENGINE,
    "from bpcli.numeric.stable import log1pexp": "write np.logaddexp(0, x, out=out)",
    "from bpcli.plan import *": f"{BY_CUSTOM} *`",
    "from bpcli.family import *\nStepper": f"{BY_CUSTOM} GradientOptimizer as Stepper` at the top",
    "from bpcli.part import Part": f"{BY_CUSTOM} Part`",
    "from bpcli.custom import Lyer": "no module of bpcli has `Lyer`; did you mean `from bpcli.custom import Layer`?",
    "from bpcli.family.step import Searcher as S, Clipper": f"{BY_CUSTOM} FullBatchOptimizer as S, Clipper`",
    "from bpcli.numeric.notation.syntax import Eq, parse": (
        f"{BY_CUSTOM} Eq` and `from bpcli.notation.syntax import parse`"
    ),
    "from bpcli.parts.schedules.told import ReduceOnPlateau, Plateau": (
        "write `from bpcli.parts.schedules.reactive import Plateau`; bpcli.parts.schedules.told is "
        "bpcli.parts.schedules.reactive now, which has no `ReduceOnPlateau`"
    ),
    "import bpcli.parts.schedules.timed as timed": "write `from bpcli.parts.schedules import scheduled as timed`",
    "import numpy, bpcli.part": "write `import bpcli.custom`, and `bpcli.custom` for `bpcli.part` below it",
    "from bpcli.numeric import finite": "write `from bpcli.numeric import vectors as finite`",
    "from bpcli import plan, part as p": (
        "write `from bpcli import custom as plan`; write `from bpcli import custom as p`"
    ),
}  # fmt: skip
"""What stands at the top of a file, and the help that its error ends in."""


@pytest.mark.parametrize("lines", LINES)
def test_the_error_names_the_new_line(lab: Lab, lines: str) -> None:
    lab.write("mine.py", f"{lines}\n{GAIN}")
    found = lab.run("check", "trees.yaml", "--with", "mine.py")
    assert (found.code, found.out) == (65, "")
    assert [" ".join(help.split()) for help in re.findall(r"help: (.*(?:\n    .*)*)", found.err)] == [LINES[lines]]


def test_an_old_line_inside_a_method(lab: Lab) -> None:
    inside = "        from bpcli.numeric.finite import all_finite\n"
    lab.write(
        "mine.py", changed(GAIN, ("    def backward(self", f"{inside}        all_finite(f.y)\n\n    def backward(self"))
    )
    lab.config(("activation: tanh}", "activation: tanh}\n  - {type: gain}"))
    found = lab.run("check", "trees.yaml", "--with", "mine.py")
    assert found.code == 65
    assert "help: write `from bpcli.numeric.vectors import all_finite`\n" in found.err


def test_an_old_line_in_a_file_that_the_file_imports(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(lab.path))
    lab.write("beside_mine.py", "import math\nfrom bpcli.plan import Slot\n")
    lab.write("mine.py", f"import beside_mine\n{GAIN}")
    found = lab.run("check", "trees.yaml", "--with", "mine.py")
    assert found.code == 65
    assert "beside_mine.py:2:1\n" in found.err
    assert f"help: {BY_CUSTOM} Slot`\n" in found.err


def test_another_missing_module_is_nothing_of_ours(lab: Lab) -> None:
    lab.write("mine.py", f"import no_such_module\n{GAIN}")
    assert "bpcli.custom" not in lab.run("check", "trees.yaml", "--with", "mine.py").err
