"""`bpcli.custom`: the example of its docstring, and a part of each family that imports nothing else of the package."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path

import pytest
from cli_lab import Lab
from cli_lab import lab as lab
from own_parts import own as own
from paths import ROOT

from bpcli import custom
from bpcli.family.part import families

pytestmark = pytest.mark.usefixtures("own")
FILES = ROOT / "tests" / "support" / "custom_files"
OLD = FILES / "old_imports.py"
VALUES = ("data.train.target=width", "architecture.1.units=1")
IMAGES = (
    "data.train={type: inline, inputs: [[[[0], [1]], [[2], [3]]], [[[3], [2]], [[1], [0]]]], targets: [0, 1]}",
    "data.scale={type: standardize, per: all}",
    "architecture=[flatten, {type: dense, units: 2}]",
    "training.batch_size=2",
)

USES: Mapping[str, tuple[str, ...]] = {
    "activation": ("architecture.0.activation=soft_tanh",),
    "layer": ("architecture=[{type: dense, units: 4}, centered, tanh, {type: dense, units: 2}]",),
    "loss": ("loss=log_cosh_error", *VALUES),
    "regularizer": ("regularization=quartic",),
    "clipper": ("clipping=halved",),
    "constraint": ("constraint=boxed",),
    "optimizer": ("optimizer={type: heavy, learning_rate: 0.1}",),
    "full_batch_optimizer": ("optimizer=backtracking", "training.batch_size=full"),
    "schedule": ("optimizer={type: sgd, learning_rate: hyperbola}",),
    "initializer": ("architecture.0.init=signs",),
    "metric": ("training.metrics=[surest]",),
    "scaler": ("data.scale=halves",),
    "source": ("data.train={type: spaced, path: trees.txt}",),
    "augmentation": (*IMAGES, "data.augment=[dimmed]"),
}
"""By file: the settings that put its part into the config of `cli_lab`."""

DERIVED = (
    "activation", "layer", "loss", "regularizer", "clipper", "constraint", "optimizer", "schedule", "initializer",
)  # fmt: skip
"""Parts with equations or weights of their own, which `trace` and `gradcheck` hold their kernels against."""


def settings(kind: str) -> list[str]:
    return [word for setting in USES[kind] for word in ("--set", setting)]


def imported(file: Path) -> set[str]:
    """The modules of this package that a file imports from."""
    nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    return {n.module for n in nodes if isinstance(n, ast.ImportFrom) and n.module and n.module.startswith("bpcli")}


def test_there_is_a_file_of_each_family() -> None:
    assert {file.stem for file in FILES.glob("*.py")} == {*USES, OLD.stem}


def test_every_family_can_be_subclassed_from_it() -> None:
    ours = {f.__name__ for f in families() if f.__module__.startswith("bpcli.family")}
    assert ours - {"Optimizer"} <= set(custom.__all__)  # an optimizer is a GradientOptimizer or a FullBatchOptimizer


@pytest.mark.parametrize("kind", USES)
def test_a_part_needs_no_other_import_and_trains(lab: Lab, kind: str) -> None:
    file = FILES / f"{kind}.py"
    assert imported(file) == {"bpcli.custom"}
    lab.write("trees.txt", "1 2 0\n2 1.5 1\n3 5 0\n4 3.5 1\n")
    found = lab.good("train", "trees.yaml", "--with", str(file), *settings(kind), "--out", "run", "-q")
    assert found.err == "" or "[allocates]" in found.err
    lab.good("eval", "run", "--with", str(file))


@pytest.mark.parametrize("kind", DERIVED)
def test_its_kernels_agree_with_its_equations(lab: Lab, kind: str) -> None:
    words = ["trees.yaml", "--with", str(FILES / f"{kind}.py"), *settings(kind)]
    assert "they\nagree to" in lab.good("trace", *words, "--batch").out
    lab.good("gradcheck", *words)


def test_the_example_of_its_docstring(lab: Lab) -> None:
    text = textwrap.dedent(re.split(r"\n(?=\S)", (custom.__doc__ or "").partition("is complete:\n")[2])[0])
    lab.write("my_layer.py", text)
    lab.config(("activation: tanh}", "activation: tanh}\n  - {type: gain, start: 2.0}"))
    assert imported(lab.path / "my_layer.py") == {"bpcli.custom"}
    for command in ("check", "gradcheck", "trace"):
        assert lab.good(command, "trees.yaml", "--with", "my_layer.py").err == ""


def test_old_import_lines_end_in_the_new_ones_and_these_work(lab: Lab) -> None:
    """Each line that fails is named with what to type; typed over it, the file runs, its other old lines too."""
    lab.write("mine.py", OLD.read_text(encoding="utf-8"))
    optimizer = "optimizer={type: downhill, learning_rate: 0.1}"
    words = ("train", "trees.yaml", "--with", "mine.py", "--set", optimizer, "-q")
    found = lab.run(*words)
    assert (found.code, found.out) == (65, "")
    lines = (lab.path / "mine.py").read_text().splitlines()
    new = re.findall(r"--> mine\.py:(\d+):1\n(?:.*\n)*?.*help: write `(from bpcli\.custom import .*)`\n", found.err)
    assert new == [
        ("4", "from bpcli.custom import Eq"),
        ("5", "from bpcli.custom import Frame"),
        ("7", "from bpcli.custom import GradientOptimizer as Stepper"),
        ("9", "from bpcli.custom import Failure"),
    ]
    for number, line in new:
        lines[int(number) - 1] = line
    lab.write("mine.py", "\n".join(lines))
    lab.good(*words)
