"""Where in a file of a user's own something stands: a line, a class, a method, and what raised an error."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from own_parts import GAIN, STEP, changed
from own_parts import own as own
from pydantic import BaseModel, ValidationError

from bpcli.config.document import Position, SourceText
from bpcli.engine.network import Network
from bpcli.engine.network_plan import plan_network
from bpcli.family import Frame, GradientOptimizer, Layer
from bpcli.records.training import Failure, Problem
from bpcli.studies.custom import load as custom
from bpcli.studies.custom.imports import import_problems, importing_file, missing_name
from bpcli.studies.custom.source_location import (
    SOURCES,
    class_position,
    code_of,
    families_of,
    family_rule,
    find_raised,
    first_line,
    line_position,
    method_position,
    own_code_failure,
    problem_at,
)

BACKWARD = "the rule of backward: reads dy and keep; writes dx and every d<param>"


def load(own: Path, text: str) -> Any:
    (own / "mine.py").write_text(text)
    (leaf,) = custom.load([Path("mine.py")])
    return leaf


def at(position: Position) -> tuple[int, str]:
    """The line, and what of it is pointed at."""
    if not position.line:
        return 0, ""
    line = position.source.lines[position.line - 1]
    return position.line, line[position.column - 1 : position.column - 1 + position.width]


def raised_by(run: Callable[[], Any]) -> BaseException:
    try:
        run()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


# ------------------------------------------------------------------------------------------------------- lines, classes
def test_a_line_without_its_blanks(own: Path) -> None:
    SOURCES["some.py"] = SourceText("some.py", "first\n    second  \n")
    assert at(line_position("some.py", 1)) == (1, "first")
    assert at(line_position("some.py", 2)) == (2, "second")
    for line in (0, 3, -1):
        found = line_position("some.py", line)
        assert (found.line, found.column, found.width) == (line, 1, 0)
    unknown = line_position("other.py", 1)
    assert (unknown.source.file, unknown.line, unknown.width) == ("other.py", 1, 0)


def test_a_class_begins_where_its_name_stands(own: Path) -> None:
    leaf = load(own, GAIN)
    assert at(class_position(leaf)) == (11, "class Gain(Layer):")
    found = class_position(Layer.registry["tanh"])
    assert found.line == 0, "no file of a user's own"


def test_a_method_or_the_line_of_it_that_shows_a_pattern(own: Path) -> None:
    leaf = load(
        own, changed(GAIN, ("        np.multiply(f.h, f.g, out=f.y)", "        # f.y = 3\n        f.y = f.h * f.g"))
    )
    assert at(method_position(leaf, "forward")) == (20, "def forward(self, f, train):")
    assert at(method_position(leaf, "forward", r"\bf\.y\s*=")) == (23, "f.y = f.h * f.g"), "no comment"
    assert at(method_position(leaf, "forward", r"nothing", r"tanh")) == (21, "np.tanh(f.x, out=f.h)")
    assert at(method_position(leaf, "forward", r"train|tanh")) == (21, "np.tanh(f.x, out=f.h)"), "below its `def`"
    assert at(method_position(leaf, "forward", r"einsum")) == (20, "def forward(self, f, train):"), "not in this method"
    assert at(method_position(leaf, "backward", r"np\.multiply\(f\.dy")) == (30, "np.multiply(f.dy, f.s, out=f.dx)")
    assert at(method_position(leaf, "backward", r"def")) == (25, "def backward(self, f, train):")
    assert at(method_position(leaf, "no_such")) == (11, "class Gain(Layer):")
    assert at(method_position(leaf, "commit")) == (11, "class Gain(Layer):"), "its family's, not its own"
    assert at(method_position(leaf, "type")) == (11, "class Gain(Layer):"), "no method"


def test_a_decorator_before_a_method_is_not_the_method(own: Path) -> None:
    samples = "\n    @classmethod\n    def samples(cls):\n        return iter(())\n"
    leaf = load(own, GAIN + samples)
    assert at(method_position(leaf, "samples")) == (32, "def samples(cls):")


def test_the_code_of_what_can_be_called(own: Path) -> None:
    leaf = load(own, GAIN)
    code = code_of(leaf.plan)
    assert code is not None
    assert code.co_name == "plan", "unwrapped, however it was wrapped"
    assert code_of(3) is None
    assert code_of(len) is None


def test_a_problem_with_and_without_a_place(own: Path) -> None:
    load(own, GAIN)
    found = problem_at(
        line_position("mine.py", 11), "bad", code="contract", help="do so", path=("gain_1",), level="warning"
    )
    assert (found.text, found.code, found.path, found.file, found.line) == (
        "bad",
        "contract",
        ("gain_1",),
        "mine.py",
        11,
    )
    assert (found.help, found.level) == ("do so", "warning")
    assert found.excerpt
    nowhere = problem_at(line_position("mine.py", 0), "bad", code="contract", help="do so", path=["gain_1"])
    assert nowhere == Problem("bad", "contract", ("gain_1",), "mine.py", help="do so")


# ------------------------------------------------------------------------------------------------------ what was raised
def frame() -> Frame:
    return Frame(x=np.zeros((3, 4)), y=np.zeros((3, 4)), dx=None, dy=np.zeros((3, 4)))


def test_an_error_of_own_code_is_placed_at_its_expression(own: Path) -> None:
    leaf = load(own, changed(GAIN, ("np.tanh(f.x, out=f.h)", "f.h[...] = 1 + 1 / (f.x.size - 12)")))
    error = raised_by(lambda: leaf().forward(frame(), True))
    found = find_raised(error)
    assert found is not None
    assert at(found.position) == (21, "1 / (f.x.size - 12)")
    assert (found.method, found.part, found.layer) == ("Gain.forward", leaf, "")
    assert found.frame is not None
    assert find_raised(ValueError("of nobody")) is None
    assert find_raised(raised_by(lambda: 1 / 0)) is None


def test_an_error_over_several_lines_is_placed_to_the_end_of_the_first(own: Path) -> None:
    leaf = load(own, changed(GAIN, ("np.tanh(f.x, out=f.h)", "np.tanh(f.x,\n            out=3)")))
    found = find_raised(raised_by(lambda: leaf().forward(frame(), True)))
    assert found is not None
    assert at(found.position) == (21, "np.tanh(f.x,")


def test_columns_count_letters_and_not_bytes(own: Path) -> None:
    leaf = load(own, changed(GAIN, ("np.tanh(f.x, out=f.h)", "'äöü', f.nothing")))
    found = find_raised(raised_by(lambda: leaf().forward(frame(), True)))
    assert found is not None
    assert at(found.position) == (21, "f.nothing")


def test_an_error_in_a_helper_is_placed_there_and_belongs_to_the_method(own: Path) -> None:
    helper = "\n\ndef helper(f):\n    raise RuntimeError('no')\n"
    leaf = load(own, changed(GAIN, ("np.tanh(f.x, out=f.h)", "helper(f)")) + helper)
    found = find_raised(raised_by(lambda: leaf().forward(frame(), True)))
    assert found is not None
    assert at(found.position) == (33, "raise RuntimeError('no')")
    assert (found.method, found.part) == ("Gain.forward", leaf)


def test_of_a_class_method_the_class_is_the_part(own: Path) -> None:
    leaf = load(own, GAIN + "\n    @classmethod\n    def samples(cls):\n        raise RuntimeError('no')\n")
    found = find_raised(raised_by(leaf.samples))
    assert found is not None
    assert (found.method, found.part) == ("Gain.samples", leaf)


def test_of_what_is_no_part_there_is_none(own: Path) -> None:
    load(
        own,
        GAIN + "\n\ndef helper():\n    raise RuntimeError('no')\n\n\nclass Other:\n    def go(self):\n        1 / 0\n",
    )
    (module,) = (m for m in sys.modules.values() if m.__name__ in {c.__module__ for c in custom.loaded_classes()})
    for run, method in ((module.helper, "helper"), (module.Other().go, "Other.go")):
        found = find_raised(raised_by(run))
        assert found is not None
        assert (found.method, found.part, found.frame) == (method, None, None)
        failure = own_code_failure(raised_by(run))
        assert failure is not None
        assert failure.problems[0].help == ""


def test_the_layer_whose_kernel_raised_is_named(own: Path) -> None:
    load(own, changed(GAIN, ("np.tanh(f.x, out=f.h)", "raise RuntimeError('no')")))
    network_plan = plan_network([Layer.parse("tanh"), Layer.parse("gain"), Layer.parse("gain")], (4,))
    chain = Network(network_plan, 3, np.float64, 0).chain(3)
    found = find_raised(raised_by(lambda: chain.forward(True)))
    assert found is not None
    assert found.layer == "gain_1"
    failure = own_code_failure(raised_by(lambda: chain.forward(True)))
    assert failure is not None
    assert failure.problems[0].path == ("gain_1",)
    named = own_code_failure(raised_by(lambda: chain.forward(True)), layer="other")
    assert named is not None
    assert named.problems[0].path == ("other",)


def test_the_layer_whose_plan_raised_is_named(own: Path) -> None:
    load(own, changed(GAIN, ("params = {", "1 / 0\n        params = {")))
    found = find_raised(raised_by(lambda: plan_network([Layer.parse("tanh"), Layer.parse("gain")], (4,))))
    assert found is not None
    assert found.layer == "gain_1"


def test_what_is_said_of_an_error(own: Path) -> None:
    leaf = load(own, changed(GAIN, ("np.multiply(f.dy, f.s, out=f.dx)", "raise RuntimeError('no\\nmore')")))

    def run() -> None:
        f = frame()
        f.h, f.s, f.g, f.dg, f.rate = np.zeros((3, 4)), np.zeros((3, 4)), np.ones(4), np.zeros(4), 0.5
        leaf().backward(f, True)

    error = raised_by(run)
    failure = own_code_failure(error)
    assert failure is not None
    (problem,) = failure.problems
    assert (problem.text, problem.code) == ("Gain.backward raises RuntimeError: no", "raises")
    shapes = problem.help.partition("; ")[0].removeprefix("here are ").replace(", f.", "; f.").split("; ")
    assert set(shapes) == {
        "f.x (3, 4)", "f.y (3, 4)", "f.dy (3, 4)", "f.h (3, 4)", "f.s (3, 4)", "f.g (4,)", "f.dg (4,)",
    }  # fmt: skip
    assert problem.help.endswith(f"; {BACKWARD}")
    error.add_note("a note")
    noted = own_code_failure(error)
    assert noted is not None
    assert noted.problems[0].help.endswith(f"{BACKWARD}; a note")
    assert own_code_failure(ValueError("of nobody")) is None


def test_at_most_twelve_shapes_are_listed(own: Path) -> None:
    leaf = load(own, changed(GAIN, ("np.tanh(f.x, out=f.h)", "raise RuntimeError('no')")))

    def run() -> None:
        f = frame()
        for k in range(12):
            setattr(f, f"a{k}", np.zeros(k))
        leaf().forward(f, True)

    failure = own_code_failure(raised_by(run))
    assert failure is not None
    assert failure.problems[0].help.partition("; ")[0].count("f.") == 12


# ---------------------------------------------------------------------------------------------------- words of an error
class Settings(BaseModel):
    rate: float


def test_the_first_line_of_an_error() -> None:
    def validation() -> None:
        Settings.model_validate({"rate": "fast"})

    assert first_line(ValueError("\n  one two. \nthree")) == "one two"
    assert first_line(KeyError("gamma")) == "'gamma'"
    assert first_line(ValueError("")) == "(no message)"
    assert first_line(ValueError(" \n ")) == "(no message)"
    error = raised_by(validation)
    assert isinstance(error, ValidationError)
    assert first_line(error) == "rate: Input should be a valid number, unable to parse string as a number"


def test_the_rule_of_a_method(own: Path) -> None:
    leaf = load(own, GAIN)
    assert family_rule(leaf, "backward") == BACKWARD
    assert family_rule(leaf, "no_such") == ""
    assert family_rule(leaf, "model_copy") == ""
    step = load(own, STEP)
    assert family_rule(step, "update").startswith("the rule of update: ")
    assert not family_rule(step, "update").endswith(".")


def test_the_families_of_a_part(own: Path) -> None:
    step = load(own, STEP)
    names = [family.__name__ for family in families_of(step)]
    assert names[0] == "GradientOptimizer"
    assert names[-1] == "Part"
    assert GradientOptimizer in families_of(step)
    assert step not in families_of(step)


# -------------------------------------------------------------------------------------------------------------- imports
def test_imports_of_this_package_that_do_not_work() -> None:
    source = SourceText(
        "mine.py",
        "import math, numpy\nfrom bpcli.custom import Layer\nfrom bpcli.part import Part\n"
        "def late():\n    import bpcli.plan as plan\n    from . import near\n    from bpclix import x\n",
    )
    found = import_problems(source)
    assert [(p.text, p.line, p.column) for p in found] == [
        ("this cannot be imported: No module named 'bpcli.part'", 3, 1),
        ("this cannot be imported: No module named 'bpcli.plan'", 5, 5),
    ]
    assert [p.span for p in found] == [len("from bpcli.part import Part"), len("import bpcli.plan as plan")]
    assert found[0].help == "write `from bpcli.custom import Part`"
    assert found[0].code == "import"
    named = import_problems(SourceText("mine.py", "from bpcli.family import Stepper\n"))
    assert named[0].text == "this cannot be imported: cannot import name 'Stepper' from 'bpcli.family'"


def test_the_file_whose_import_failed(tmp_path: Path) -> None:
    def run(file: str, text: str) -> ImportError:
        error = raised_by(lambda: exec(compile(text, file, "exec"), {}))
        assert isinstance(error, ImportError)
        return error

    there = tmp_path / "there.py"
    there.write_text("from bpcli.part import Part\n")
    found = importing_file(run(str(there), there.read_text()))
    assert found is not None
    assert (found.file, found.text) == (str(there), there.read_text())
    assert importing_file(run(str(tmp_path / "gone.py"), "import bpcli.plan")) is None
    there.write_bytes(b"\xff\xfe import")
    assert importing_file(run(str(there), "import bpcli.plan")) is None
    assert importing_file(ImportError("of nobody")) is None
    through = importing_file(run(str(there), "import importlib\nimportlib.import_module('bpcli.plan')"))
    assert through is not None
    assert through.file.endswith("__init__.py"), "the last file that can be read"
    there.write_text("from bpcli.custom import Layer; 1 / 0\n")
    other = raised_by(lambda: exec(compile(there.read_text(), str(there), "exec"), {}))
    assert missing_name(other) == "", "no import that fails"
    there.write_text("import math\n\nfrom bpcli.plan import (\n    Slot,\n)\n")
    assert missing_name(run(str(there), there.read_text())) == "write `from bpcli.custom import Slot`"
    assert missing_name(run(str(there), "\n" + there.read_text().replace("(\n    Slot,\n)", "Slot"))) == (
        "write `from bpcli.custom import Slot`"
    )


def test_names_that_are_elsewhere() -> None:
    assert missing_name(NameError("no", name="Layer")) == "write `from bpcli.custom import Layer` at the top"
    assert missing_name(NameError("no", name="anything")) == ""
    assert missing_name(NameError("no")) == ""
    import bpcli.family

    assert missing_name(AttributeError("no", name="Stepper", obj=bpcli.family)) == (
        "write `from bpcli.custom import GradientOptimizer` at the top, and `GradientOptimizer` here"
    )
    assert missing_name(AttributeError("no", name="cosine", obj=math)) == ""
    assert missing_name(AttributeError("no", name="x", obj=3)) == ""
    assert missing_name(ValueError("no")) == ""
    assert missing_name(Failure(Problem("no", code="x"))) == ""
