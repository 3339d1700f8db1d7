"""`--with FILE.py`: parts of one's own, good ones through every command, and files that cannot be used."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from cli_lab import CONFIG, Lab
from cli_lab import lab as lab
from own_parts import EQUATIONS, GAIN, SQUARE, changed
from own_parts import own as own
from paths import ROOT

from bpcli.studies.custom import load as custom

pytestmark = pytest.mark.usefixtures("own")
PARTS = CONFIG.replace("activation: tanh}", "activation: tanh}\n  - {type: gain}")
Y = "np.multiply(f.h, f.g, out=f.y)"
UNKNOWN = "error: architecture.1.type: unknown layer `gain` [unknown-type]\n"


@pytest.fixture
def mine(lab: Lab) -> Lab:
    """A folder with an experiment that has a layer of its own."""
    lab.write("gain.yaml", PARTS)
    lab.write("gain.py", GAIN)
    return lab


@pytest.fixture
def run(mine: Lab) -> Path:
    """A finished run of it, after which the file is forgotten."""
    before = custom.registry_snapshot()
    mine.good("train", "gain.yaml", "--with", "gain.py", "--out", "run", "-q")
    custom.restore_registry(before)
    return mine.path / "run"


class TestAGoodFile:
    def test_trains(self, mine: Lab, run: Path) -> None:
        record = json.loads((run / "run.json").read_text())
        (entry,) = record["with"]
        assert entry["file"] == str(mine.path / "gain.py")
        assert re.fullmatch(r"[0-9a-f]{64}", entry["sha256"])
        assert record["status"] == "epochs"
        assert not list(mine.path.glob("__pycache__"))

    def test_a_run_without_has_no_such_record(self, lab: Lab) -> None:
        lab.good("train", "trees.yaml", "--out", "plain", "-q")
        assert "with" not in json.loads((lab.path / "plain/run.json").read_text())

    def test_evaluates_and_predicts(self, mine: Lab, run: Path) -> None:
        for path in ("run", "run/model.safetensors"):
            assert '"accuracy"' in mine.good("eval", path, "--data", "trees.csv", "--with", "gain.py", "--json").out
            found = mine.good("predict", path, "--data", "trees.csv", "--with", "gain.py")
            assert (found.err, len(found.out.splitlines())) == ("", 9)

    def test_goes_on_as_if_it_had_never_stopped(self, mine: Lab, run: Path) -> None:
        mine.good("train", "--resume", "run", "--set", "training.epochs=6", "--with", "gain.py", "-q")
        assert len((run / "metrics.jsonl").read_text().splitlines()) == 6
        mine.config(("epochs: 3", "epochs: 6"), name="longer.yaml", text=PARTS)
        mine.good("train", "longer.yaml", "--with", "gain.py", "--out", "whole", "-q")
        last_losses = [json.loads(line)["train.loss"] for folder in (run, mine.path / "whole")
                for line in (folder / "metrics.jsonl").read_text().splitlines()[-1:]]  # fmt: skip
        assert last_losses[0] == last_losses[1]

    def test_is_checked_and_shown(self, mine: Lab) -> None:
        assert "gain_1               4    4       4" in mine.good("check", "gain.yaml", "--with", "gain.py").out
        page = mine.good("parts", "gain", "--with", "gain.py").out
        assert page.startswith("gain  (layer)\ntanh, times a gain for each unit.\n")
        assert "\n  gain " in mine.good("parts", "layer", "--with", "gain.py").out.replace("\ngain ", "\n  gain ")

    def test_parts_shows_equations_of_a_layer_without_samples(self, mine: Lab) -> None:
        mine.write("gain.py", GAIN + EQUATIONS)
        assert "y[n,o] = g[o] * h[n,o]" in mine.good("parts", "gain", "--with", "gain.py").out.replace("·", "*")

    def test_several_files_and_twice_the_same(self, mine: Lab) -> None:
        mine.write("square.py", SQUARE)
        mine.config(
            ("target: kind", "target: width"), ("  scale: standardize\n", ""), name="both.yaml",
            text=PARTS.replace("softmax_cross_entropy", "square").replace("units: 2", "units: 1"),
        )  # fmt: skip
        files = ("--with", "gain.py", "--with", "square.py", "--with", "./gain.py")
        found = mine.good("train", "both.yaml", *files, "--out", "both", "-q")
        assert found.err == ""
        assert len(json.loads((mine.path / "both/run.json").read_text())["with"]) == 2

    def test_what_it_prints_is_no_result(self, mine: Lab) -> None:
        mine.write("gain.py", "print('hello')\n" + GAIN)
        found = mine.good("parts", "gain", "--with", "gain.py", "--json")
        assert json.loads(found.out)[0]["type"] == "gain"
        assert found.err == "hello\n"

    def test_is_read_again_where_it_changed(self, mine: Lab) -> None:
        mine.good("check", "gain.yaml", "--with", "gain.py")
        mine.write("gain.py", changed(GAIN, ("tanh, times", "Something else, times")))
        assert "Something else" in mine.good("parts", "gain", "--with", "gain.py").out

    def test_nobody_else_waits_for_the_examination(self, lab: Lab) -> None:
        program = "import atexit, sys; atexit.register(lambda: print('bpcli.studies.custom.contract' in sys.modules))"
        assert lab.apart("train", "trees.yaml", "--out", "run", "-q", program=program).out == "run\nFalse\n"


class TestTracing:
    def test_without_equations(self, mine: Lab) -> None:
        found = mine.good("trace", "gain.yaml", "--with", "gain.py")
        assert found.err == (
            "warning: gain_1: gain has no equations: its numbers cannot be derived [no-equations]\n"
            "  help: they stand among what is given, where the network works on with them; add `equations` to see "
            "where from\n"
        )
        assert re.search(r"^gain_1 \(4\) .* g 0\.\d+$", found.out, re.MULTILINE)
        assert "they\nagree to" in found.out

    @pytest.mark.parametrize("form", ["text", "markdown", "latex", "html", "json"])
    def test_its_numbers_are_given(self, mine: Lab, form: str) -> None:
        words = ("trace", "gain.yaml", "--with", "gain.py", "--detail", "neuron")
        mine.good(*words, "--format", form, "--out", f"derivation.{form}")
        document = (mine.path / f"derivation.{form}").read_text()
        assert re.search(r"gain.?_1[^\n]*dg", document) or form in ("latex", "html")
        assert "dense_2" in document.replace("\\_", "_")

    def test_no_path_leads_through(self, mine: Lab) -> None:
        found = mine.run("trace", "gain.yaml", "--with", "gain.py", "--detail", "path")
        assert (found.code, found.out) == (65, "")
        assert found.err == (
            "error: gain_1: gain has no equation of y, dx, dg: paths through it cannot be shown [no-equations]\n"
            "  help: --detail neuron shows the layers around it\n"
        )
        found = mine.good("trace", "gain.yaml", "--with", "gain.py", "--detail", "path", "--param", "dense_2.W[0,0]")
        assert "dense_2.W[0,0]" in found.out

    def test_with_equations_everything_is_derived(self, mine: Lab) -> None:
        mine.write("gain.py", GAIN + EQUATIONS)
        for detail in ("overview", "neuron", "path"):
            assert mine.good("trace", "gain.yaml", "--with", "gain.py", "--detail", detail).err == ""

    def test_an_equation_that_is_not_what_the_kernel_computes(self, mine: Lab) -> None:
        mine.write("gain.py", GAIN + changed(EQUATIONS, ("dy[n,o] * g[o]", "dy[n,o]")))
        found = mine.run("trace", "gain.yaml", "--with", "gain.py")
        assert found.code == 0  # gains begin at 1: the two are equal there
        mine.write("gain.py", GAIN + changed(EQUATIONS, ("dy[n,o] * g[o]", "dy[n,o] * 2")))
        assert mine.run("trace", "gain.yaml", "--with", "gain.py").code == 3

    def test_a_run_and_a_worksheet(self, mine: Lab, run: Path) -> None:
        mine.good("trace", "run", "--with", "gain.py")
        sheet = mine.good("worksheet", "gain.yaml", "--with", "gain.py", "--seed", "2").out
        assert "bpcli mark answers.yaml gain.yaml --with gain.py --seed 2" in sheet
        mine.write("claims.yaml", "dense_2.b[0]: 0\n")
        found = mine.good("mark", "claims.yaml", "gain.yaml", "--with", "gain.py")
        assert "gain has no equations" in found.err

    def test_a_loss_without_equations(self, lab: Lab) -> None:
        lab.write("square.py", SQUARE)
        lab.config(
            ("target: kind", "target: width"), ("softmax_cross_entropy", "square"), ("units: 2", "units: 1"),
            ("  scale: standardize\n", ""), name="square.yaml",
        )  # fmt: skip
        found = lab.good("trace", "square.yaml", "--with", "square.py", "--detail", "path")
        assert found.err.startswith("warning: loss: square has no equations: its numbers cannot be derived")


class TestWithoutTheFile:
    def test_an_unknown_type_says_how_it_is_loaded(self, mine: Lab) -> None:
        found = mine.run("train", "gain.yaml")
        assert found.code == 65
        assert found.err.startswith(UNKNOWN)
        assert found.err.endswith("; a part of your own: --with FILE.py\n")

    def test_a_type_like_a_known_one(self, lab: Lab) -> None:
        lab.config(("tanh}", "tanhh}"))
        assert "did you mean `tanh`? (a part of your own: --with FILE.py)" in lab.run("check", "trees.yaml").err

    @pytest.mark.parametrize("words", [("eval", "run"), ("predict", "run", "--data", "trees.csv")])
    def test_a_run_says_which_file(self, mine: Lab, run: Path, words: tuple[str, ...]) -> None:
        found = mine.run(*words)
        assert (found.code, found.out, found.err) == (
            65,
            "",
            "error: run/model.safetensors holds a layer `gain`, which is no part of this package [unknown-type]\n"
            "  help: the run was trained with a part of its own: add --with gain.py\n",
        )

    @pytest.mark.parametrize("words", [("train", "--resume", "run"), ("trace", "run")])
    def test_going_on_says_which_file(self, mine: Lab, run: Path, words: tuple[str, ...]) -> None:
        found = mine.run(*words)
        assert (found.code, found.out) == (65, "")
        assert found.err.startswith(UNKNOWN)
        assert found.err.endswith("help: the run was trained with a part of its own: add --with gain.py\n")

    def test_a_model_that_travelled(self, mine: Lab, run: Path) -> None:
        (run / "model.safetensors").rename(mine.path / "away.safetensors")
        found = mine.run("predict", "away.safetensors", "--data", "trees.csv")
        assert found.code == 65
        assert found.err.endswith("the run was trained with a part of its own: add --with gain.py\n")
        assert str(mine.path) not in found.err

    @pytest.mark.parametrize(
        "words",
        [
            ("eval", "run"),
            ("predict", "run", "--data", "trees.csv"),
            ("predict", "run/model.safetensors", "--data", "trees.csv"),
            ("trace", "run"),
            ("train", "--resume", "run", "--set", "training.epochs=4"),
        ],
    )
    def test_a_file_that_changed(self, mine: Lab, run: Path, words: tuple[str, ...]) -> None:
        mine.write("gain.py", GAIN + "\n# something else\n")
        found = mine.good(*words, "--with", "gain.py")
        assert (
            "warning: gain.py has changed since the run began [changed]\n"
            "  help: its numbers may not be those of the training\n"
        ) in found.err

    def test_another_file_with_such_a_part(self, mine: Lab, run: Path) -> None:
        mine.write("other.py", GAIN + "\n# something else\n")
        found = mine.good("eval", "run", "--with", "other.py")
        assert found.err.startswith(f"warning: the run was trained with {mine.path / 'gain.py'}, not with other.py")

    def test_a_damaged_record_is_no_record(self, mine: Lab, run: Path) -> None:
        record = json.loads((run / "run.json").read_text())
        (run / "run.json").write_text(json.dumps(record | {"with": [3, {"file": 4}, "x"]}))
        assert mine.good("eval", "run", "--with", "gain.py").err == ""


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
        "writes dx and every d<param>\n",
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


BROKEN = changed(GAIN, (Y, "f.y = f.h * f.g"))
RULE = (
    "error: gain_1: Gain.forward binds f.y to an object of its own, and the engine's array stays as it was [contract]\n"
    " --> gain.py:22:9\n"
    "   |\n"
    "21 |         np.tanh(f.x, out=f.h)\n"
    "22 |         f.y = f.h * f.g\n"
    "   |         ^^^^^^^^^^^^^^^\n"
    "   = help: write into the array that is there: np.multiply(..., out=f.y), or f.y[...] = ...\n"
)


class TestRules:
    @pytest.mark.parametrize("command", ["train", "trace", "check"])
    def test_a_broken_rule_is_found_before_anything_begins(self, mine: Lab, command: str) -> None:
        mine.write("gain.py", BROKEN)
        files = mine.files()
        found = mine.run(command, "gain.yaml", "--with", "gain.py")
        assert (found.code, found.out, found.err) == (65, "", RULE)
        assert mine.files() == files

    def test_of_a_run_that_goes_on(self, mine: Lab, run: Path) -> None:
        mine.write("gain.py", BROKEN)
        found = mine.run("train", "--resume", "run", "--set", "training.epochs=5", "--with", "gain.py")
        assert (found.code, found.err) == (65, RULE)
        assert json.loads((run / "run.json").read_text())["status"] == "epochs"

    def test_of_a_part_that_is_not_used(self, lab: Lab) -> None:
        lab.write("gain.py", BROKEN)
        lab.good("train", "trees.yaml", "--with", "gain.py", "--out", "run", "-q")

    def test_inside_a_container(self, mine: Lab) -> None:
        mine.write("gain.py", BROKEN)
        mine.config(("{type: gain}", "{type: residual, layers: [{type: gain}]}"), name="gain.yaml", text=PARTS)
        found = mine.run("train", "gain.yaml", "--with", "gain.py")
        assert (found.code, found.err) == (65, RULE.replace("gain_1", "residual_1.gain_1"))

    def test_what_is_slow_is_said_and_trained(self, mine: Lab) -> None:
        mine.write("gain.py", changed(GAIN, (Y, "f.y[...] = f.h * f.g")))
        found = mine.good("train", "gain.yaml", "--with", "gain.py", "--out", "run", "-q")
        assert found.err.startswith(
            "warning: gain_1: Gain.forward asks for 16 bytes a row in every step: right, but slow [allocates]\n"
            " --> gain.py:22:9\n"
        )

    def test_it_is_examined_on_rows_of_its_own(self, mine: Lab) -> None:
        """A layer that takes what its network gives it is not shown anything else."""
        mine.write("gain.py", changed(GAIN, (Y, f"assert (abs(f.x) < 1).all()\n        {Y}")))
        mine.good("train", "gain.yaml", "--with", "gain.py", "--out", "run", "-q")

    def test_a_layer_that_raises_on_the_way(self, mine: Lab) -> None:
        count = "calls = []\n\n\nclass Gain"
        late = f"calls.append(1)\n        if len(calls) > 40:\n            raise RuntimeError('too late')\n        {Y}"
        mine.write("gain.py", changed(GAIN, ("class Gain", count), (Y, late)))
        mine.config(("epochs: 3", "epochs: 300"), name="gain.yaml", text=PARTS)
        found = mine.run("train", "gain.yaml", "--with", "gain.py", "-q")
        assert found.code == 65
        assert found.err.startswith(
            "error: gain_1: Gain.forward raises RuntimeError: too late [raises]\n"
            " --> gain.py:27:13\n"
            "   |\n"
            "26 |         if len(calls) > 40:\n"
            "27 |             raise RuntimeError('too late')\n"
        )
        assert "here are f.x (4, 4), f.dx (4, 4), " in found.err

    def test_a_layer_that_raises_where_it_draws(self, mine: Lab) -> None:
        draws = "calls = []\n\n\nclass Gain"
        late = (
            "f.u[...] = rng.random(f.u.shape)\n        calls.append(1)\n        if len(calls) > 40:\n            1 / 0"
        )
        text = changed(GAIN, ("class Gain", draws), ("keep={", 'draws={"u": Slot((N, *x))}, keep={'))
        mine.write("gain.py", f"{text}\n    def draw(self, f, rng):\n        {late}\n")
        mine.config(("epochs: 3", "epochs: 300"), name="gain.yaml", text=PARTS)
        found = mine.run("train", "gain.yaml", "--with", "gain.py", "-q")
        assert "error: gain_1: Gain.draw raises ZeroDivisionError: division by zero [raises]\n" in found.err

    def test_a_method_that_uses_a_name_without_importing_it(self, lab: Lab) -> None:
        lab.write("gain.py", GAIN + "\n    @classmethod\n    def samples(cls):\n        yield Sample(cls(), (5,))\n")
        found = lab.run("gradcheck", "--parts", "--with", "gain.py")
        assert found.code == 65
        assert "Gain.samples raises NameError: name 'Sample' is not defined [raises]" in found.err
        assert "help: write `from bpcli.custom import Sample` at the top\n" in found.err

    def test_a_part_of_another_family_that_raises(self, lab: Lab) -> None:
        lab.write(
            "worst.py",
            "from typing import Literal\n\nfrom bpcli.custom import Metric\n\n\nclass Worst(Metric):\n"
            '    """The worst row."""\n\n    type: Literal["worst"] = "worst"\n\n'
            "    def totals(self, classes, outputs):\n        return {}\n\n"
            "    def add(self, totals, batch):\n        totals['worst'] += 1\n\n"
            "    def result(self, totals):\n        return 0.0\n",
        )
        found = lab.run("train", "trees.yaml", "--with", "worst.py", "--set", "training.metrics=[worst]", "-q")
        assert found.code == 65
        assert found.err.startswith("error: Worst.add raises KeyError: 'worst' [raises]\n --> worst.py:15:")


CENTRED = ROOT / "tests" / "support" / "custom_files" / "layer.py"
COUNTING = (GAIN + EQUATIONS).replace("Plan(y=x,", 'Plan(y=x, state={"steps": Slot(())},') + (
    "\n    def commit(self, f):\n        f.steps += 1\n"
)


def test_a_state_that_is_no_statistics_keeps_no_row_from_being_traced(mine: Lab) -> None:
    """Which of two layers with a state takes statistics over the rows is for their equations to say."""
    mine.write("gain.py", COUNTING)
    assert "gain_1" in mine.good("trace", "gain.yaml", "--with", "gain.py").out
    mine.write("centered.py", CENTRED.read_text())
    mine.config(("activation: tanh}", "activation: tanh}\n  - centered"), name="centered.yaml")
    found = mine.run("trace", "centered.yaml", "--with", "centered.py")
    assert (found.code, "centered_1 takes statistics over the rows" in found.err) == (2, True)


def test_a_last_batch_of_one_row_is_no_matter_to_other_states(mine: Lab) -> None:
    settings = ("--with", "gain.py", "--set", "training.batch_size=7", "--json")
    for text, warned in ((COUNTING, False), (CENTRED.read_text(), True)):
        mine.write("gain.py", text.replace("centered", "gain"))
        assert ("takes statistics over the rows" in mine.run("diagnose", "gain.yaml", *settings).out) == warned
