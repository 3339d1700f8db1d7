"""`--with FILE.py`: files that cannot be used, each with one message and nothing changed."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
from cli_lab import Lab
from cli_lab import lab as lab
from own_parts import GAIN, SQUARE, changed
from own_parts import own as own

from bpcli.studies.custom import load as custom

pytestmark = pytest.mark.usefixtures("own")

BAD: Mapping[str, tuple[str | bytes | None, int, str]] = {
    "is not there": (
        None,
        66,
        "error: no such file: gain.py [missing-file]\n  help: --with takes a Python file with parts of your own\n",
    ),
    "is not Python": (
        changed(GAIN, ("def plan(self, x):", "def plan(self, x)")),
        65,
        "error: this is not Python: expected ':' [not-python]\n"
        " --> gain.py:16:22\n"
        "   |\n"
        "16 |     def plan(self, x)\n"
        "   |                      ^\n",
    ),
    "holds a null byte": (
        b"x = 1\0\n",
        65,
        "error: this is not Python: source code string cannot contain null bytes [not-python]\n--> gain.py\n",
    ),
    "imports what is not there": (
        "import nothing_of_that_name\n",
        65,
        "error: this cannot be imported: No module named 'nothing_of_that_name' [import]\n"
        "--> gain.py:1:1\n"
        "  |\n"
        "1 | import nothing_of_that_name\n"
        "  | ^^^^^^^^^^^^^^^^^^^^^^^^^^^\n"
        "  = help: a file that is loaded can import what is installed; another file of your own is given by a --with "
        "too\n",
    ),
    "imports from where an earlier version had it": (
        "from bpcli.part import OneOf, near\nfrom bpcli.family import Stepper, Loss as Measure\nimport bpcli.plan\n",
        65,
        "error: this cannot be imported: No module named 'bpcli.part' [import]\n"
        "--> gain.py:1:1\n"
        "  |\n"
        "1 | from bpcli.part import OneOf, near\n"
        "  | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n"
        "  = help: write `from bpcli.custom import OneOf` and `from bpcli.family.part import near`\n"
        "\n"
        "error: this cannot be imported: cannot import name 'Stepper' from 'bpcli.family' [import]\n"
        "--> gain.py:2:1\n"
        "  |\n"
        "1 | from bpcli.part import OneOf, near\n"
        "2 | from bpcli.family import Stepper, Loss as Measure\n"
        "  | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n"
        "  = help: write `from bpcli.custom import GradientOptimizer as Stepper, Loss as Measure`\n"
        "\n"
        "error: this cannot be imported: No module named 'bpcli.plan' [import]\n"
        "--> gain.py:3:1\n"
        "  |\n"
        "2 | from bpcli.family import Stepper, Loss as Measure\n"
        "3 | import bpcli.plan\n"
        "  | ^^^^^^^^^^^^^^^^^\n"
        "  = help: write `import bpcli.custom`, and `bpcli.custom` for `bpcli.plan` below it\n",
    ),
    "uses a name that it does not import": (
        changed(GAIN, ("    ConstantValue, Eq, Layer,\n", "    ConstantValue, Eq,\n")),
        65,
        "error: loading stops here: NameError: name 'Layer' is not defined [import]\n"
        " --> gain.py:11:12\n"
        "   |\n"
        "11 | class Gain(Layer):\n"
        "   |            ^^^^^ help: write `from bpcli.custom import Layer` at the top\n",
    ),
    "raises": (
        GAIN + "\nSTART = 1 / 0\n",
        65,
        "error: loading stops here: ZeroDivisionError: division by zero [import]\n"
        " --> gain.py:31:9\n"
        "   |\n"
        "31 | START = 1 / 0\n"
        "   |         ^^^^^\n"
        "   = help: a file that is loaded only declares parts, and runs to its end\n",
    ),
    "ends the program": (
        "raise SystemExit(0)\n",
        65,
        "error: loading stops here: SystemExit: 0 [import]\n"
        "--> gain.py:1:1\n"
        "  |\n"
        "1 | raise SystemExit(0)\n"
        "  | ^^^^^^^^^^^^^^^^^^^\n"
        "  = help: a file that is loaded only declares parts, and runs to its end\n",
    ),
    "declares nothing": (
        "x = 3\n",
        65,
        "error: gain.py declares no part [no-part]\n"
        '  help: a part is a class such as `class Mine(Activation): type: Literal["mine"] = "mine"`\n',
    ),
    "declares a family": (
        changed(GAIN, ('    type: Literal["gain"] = "gain"\n', "")),
        65,
        "error: Gain has no `type`, so it is no part [no-part]\n"
        " --> gain.py:11:1\n"
        "   |\n"
        "11 | class Gain(Layer):\n"
        "   | ^^^^^^^^^^^^^^^^^^\n"
        '   = help: add `type: Literal["gain"] = "gain"`: what a config calls it\n',
    ),
    "takes a name": (
        changed(GAIN, ('Literal["gain"] = "gain"', 'Literal["relu"] = "relu"')),
        65,
        "error: Gain: the type `relu` is taken by bpcli.parts.activations.piecewise.Relu [declaration]\n"
        " --> gain.py:11:1\n"
        "   |\n"
        "11 | class Gain(Layer):\n"
        "   | ^^^^^^^^^^^^^^^^^^ help: choose another `type`\n",
    ),
    "has a name that is no Literal": (
        changed(GAIN, ('Literal["gain"] = "gain"', 'str = "gain"')),
        65,
        "error: Gain: its `type` is not the Literal of one name (small letters, digits and `_`) [declaration]\n"
        " --> gain.py:11:1\n"
        "   |\n"
        "11 | class Gain(Layer):\n"
        '   | ^^^^^^^^^^^^^^^^^^ help: write `type: Literal["gain"] = "gain"`\n',
    ),
    "has a name without a type": (
        changed(GAIN, ('type: Literal["gain"] = "gain"', 'type = "gain"')),
        65,
        "error: the settings of this class cannot be read: A non-annotated attribute was detected: `type = 'gain'` "
        "[declaration]\n"
        " --> gain.py:11:1\n"
        "   |\n"
        "11 | class Gain(Layer):\n"
        '   | ^^^^^^^^^^^^^^^^^^ help: write `type: Literal["gain"] = "gain"`\n',
    ),
    "has two names": (
        changed(GAIN, ('Literal["gain"] = "gain"', 'Literal["gain", "loss"] = "gain"')),
        65,
        "error: Gain: its `type` is not the Literal of one name (small letters, digits and `_`) [declaration]\n"
        " --> gain.py:11:1\n"
        "   |\n"
        "11 | class Gain(Layer):\n"
        '   | ^^^^^^^^^^^^^^^^^^ help: write `type: Literal["gain"] = "gain"`\n',
    ),
    "has a name with a blank": (
        changed(GAIN, ('Literal["gain"] = "gain"', 'Literal["my gain"] = "my gain"')),
        65,
        "error: Gain: its `type` is not the Literal of one name (small letters, digits and `_`) [declaration]\n"
        " --> gain.py:11:1\n"
        "   |\n"
        "11 | class Gain(Layer):\n"
        '   | ^^^^^^^^^^^^^^^^^^ help: write `type: Literal["gain"] = "gain"`\n',
    ),
    "has a setting that no file can hold": (
        changed(GAIN, ('= "gain"\n', '= "gain"\n    start: np.ndarray\n')),
        65,
        "error: the settings of this class cannot be read: Unable to generate pydantic-core schema for <class "
        "'numpy.ndarray'> [declaration]\n"
        " --> gain.py:11:1\n"
        "   |\n"
        "11 | class Gain(Layer):\n"
        "   | ^^^^^^^^^^^^^^^^^^\n"
        "   = help: a setting is `name: float = Field(1.0, description=...)`, a constant `NAME: ClassVar[float] = "
        "1.0`\n",
    ),
    "names a type that nobody knows": (
        "from __future__ import annotations\n" + changed(GAIN, ('= "gain"\n', '= "gain"\n    slope: Number = 3.0\n')),
        65,
        "error: the settings of Gain cannot be read: name 'Number' is not defined [declaration]\n"
        " --> gain.py:12:1\n"
        "   |\n"
        "12 | class Gain(Layer):\n"
        "   | ^^^^^^^^^^^^^^^^^^ help: import what its annotations name\n",
    ),
    "names a type that it does not import": (
        "from __future__ import annotations\n" + changed(GAIN, ('= "gain"\n', '= "gain"\n    size: Shape = ()\n')),
        65,
        "error: the settings of Gain cannot be read: name 'Shape' is not defined [declaration]\n"
        " --> gain.py:12:1\n"
        "   |\n"
        "12 | class Gain(Layer):\n"
        "   | ^^^^^^^^^^^^^^^^^^ help: write `from bpcli.custom import Shape` at the top\n",
    ),
    "leaves a method out": (
        GAIN[: GAIN.index("    def backward")],
        65,
        "error: Gain has no `backward` [declaration]\n"
        " --> gain.py:11:1\n"
        "   |\n"
        "11 | class Gain(Layer):\n"
        "   | ^^^^^^^^^^^^^^^^^^\n"
        "   = help: add `def backward(self, f: Frame, train: bool) -> None:`; the rule of backward: reads dy and keep; "
        "writes dx and every d<param>; or state the forward pass in `equations`: what is missing is derived from it\n",
    ),
    "has a method that cannot be called": (
        changed(GAIN, ("def forward(self, f, train)", "def forward(self, f)")),
        65,
        "error: Gain.forward cannot be called as the engine calls it [declaration]\n"
        " --> gain.py:20:5\n"
        "   |\n"
        "20 |     def forward(self, f):\n"
        "   |     ^^^^^^^^^^^^^^^^^^^^^\n"
        "   = help: write `def forward(self, f: Frame, train: bool) -> None:`\n",
    ),
    "overrides what has another name now": (
        changed(
            SQUARE,
            ("    def forward", "    def settle(self, classes, counts):\n        return self\n\n    def forward"),
        ),
        65,
        "error: Square.settle is called `with_classes` now, and nobody calls it under its old name [declaration]\n"
        " --> gain.py:16:5\n"
        "   |\n"
        "16 |     def settle(self, classes, counts):\n"
        "   |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ help: rename it to `with_classes`\n",
    ),
    "changes a part of the package": (
        "from typing import Literal\n\nfrom bpcli.parts.activations import Relu\n\n\nclass Mine(Relu):\n"
        '    type: Literal["mine"] = "mine"\n',
        65,
        "error: Mine: Relu is a part and cannot be subclassed [declaration]\n"
        "--> gain.py:6:1\n"
        "  |\n"
        "6 | class Mine(Relu):\n"
        "  | ^^^^^^^^^^^^^^^^^ help: subclass its family: class Mine(Activation)\n",
    ),
}


@pytest.mark.parametrize(("content", "code", "text"), BAD.values(), ids=BAD)
def test_a_file_that_cannot_be_used(lab: Lab, content: str | bytes | None, code: int, text: str) -> None:
    """One message; every registry and every file as before."""
    if content is not None:
        lab.write("gain.py", content)
    before, files = custom.registry_snapshot(), lab.files()
    found = lab.run("train", "trees.yaml", "--with", "gain.py", "--out", "run")
    assert (found.code, found.out, found.err) == (code, "", text)
    assert custom.registry_snapshot() == before
    assert lab.files() == files


def test_a_bad_file_takes_the_good_ones_with_it(lab: Lab) -> None:
    lab.write("gain.py", GAIN)
    lab.write("bad.py", "1 / 0\n")
    before = custom.registry_snapshot()
    assert lab.run("parts", "gain", "--with", "gain.py", "--with", "bad.py").code == 65
    assert custom.registry_snapshot() == before
    lab.good("parts", "gain", "--with", "gain.py")


def test_two_files_with_the_same_part(lab: Lab) -> None:
    lab.write("one.py", GAIN)
    lab.write("two.py", GAIN + "\n")
    found = lab.run("parts", "gain", "--with", "one.py", "--with", "two.py")
    assert found.code == 65
    assert re.match(r"error: Gain: the type `gain` is taken by with_one_[0-9a-f]{8}\.Gain \[declaration\]", found.err)


def test_a_name_that_is_no_python(lab: Lab) -> None:
    found = lab.run("parts", "--with", "trees.yaml")
    assert found.code == 65
    assert found.err.startswith("error: trees.yaml is not a Python file: its name does not end in .py [not-python]\n")
