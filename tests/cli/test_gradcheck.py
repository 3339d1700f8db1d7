"""`bpcli gradcheck` as a user meets it: the table, the exit codes, --parts, --with, --external."""

import json
import textwrap
from pathlib import Path

import numpy as np
import pytest
from cli_lab import Lab
from cli_lab import lab as lab
from own_parts import own as own
from rich.text import Text

from bpcli.render import console
from bpcli.render.gradcheck import part_table
from bpcli.studies.custom.load import load
from bpcli.studies.gradcheck.check_parts import check_part
from bpcli.studies.trace.open import TracedRows, open_target

pytestmark = pytest.mark.usefixtures("own")

NET = """\
seed: 3
data:
  train:
    type: inline
    inputs: [[0.5, -1.0], [1.5, 0.25], [-0.75, 2.0], [0.1, 0.2], [-1.0, -0.3]]
    targets: [[1.0], [0.0], [0.5], [0.2], [0.9]]
architecture:
  - {type: dense, units: 4, activation: tanh}
  - {type: dense, units: 1}
loss: mean_squared_error
"""

SWISH = '''\
from typing import Literal

import numpy as np

from bpcli.family import Activation
from bpcli.notation import Eq


class Swish(Activation):
    """x times its own sigmoid."""

    type: Literal["swish"] = "swish"

    def forward(self, f, train):
        f.y[...] = f.x / (1 + np.exp(-f.x))

    def backward(self, f, train):
        s = 1 / (1 + np.exp(-f.x))
        f.dx[...] = f.dy * (s + f.x * s)
'''
EQUATIONS = """
    def equations(self, train, x):
        return [
            Eq("s[n,...]", "1 / (1 + exp(-x[n,...]))", "the sigmoid"),
            Eq("y[n,...]", "x[n,...] * s[n,...]", "its input, weighed by it"),
            Eq("dx[n,...]", "dy[n,...] * (s[n,...] + x[n,...] * s[n,...] * (1 - s[n,...]))", "the product rule"),
        ]
"""

HALVED = """

from bpcli.family import Constraint


class Halved(Constraint):
    type: Literal["halved"] = "halved"

    def apply(self, w):
        w *= 0.5
"""


@pytest.fixture
def net(lab: Lab) -> str:
    return str(lab.write("net.yaml", NET))


def test_a_right_network_passes(lab: Lab, net: str) -> None:
    done = lab.run("gradcheck", net)
    assert done.code == 0
    assert "all 13 gradients are right" in done.out
    for tensor in ("dense_1.dW", "dense_1.dx", "dense_1.activation.dx", "loss.dx", "inputs dx"):
        assert tensor in done.out
    assert "WRONG" not in done.out


def test_json_says_it_all(lab: Lab, net: str) -> None:
    done = lab.run("gradcheck", net, "--json")
    report = json.loads(done.out)
    assert done.code == 0
    assert report["batch"] == 3
    row = next(r for r in report["tensors"] if r["tensor"] == "dense_1.dW" and r["scope"] == "layer")
    assert row["verdict"] == "ok"
    assert row["of"] == row["entries"] == 8
    assert set(row["gaps"]) == {"equations", "derived", "complex step", "differences"}
    assert max(row["gaps"]["equations"], row["gaps"]["complex step"]) < 1e-12
    assert {law["name"]: law["holds"] for law in report["laws"]} == dict.fromkeys(
        ("re-entrant", "linear", "batch", "permutation", "float32", "derived"), True
    )


def test_a_run_is_checked_where_its_training_stands(lab: Lab, net: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert lab.run("train", net, "--out", str(run), "--set", "training.epochs=2", "-q").code == 0
    done = lab.run("gradcheck", str(run))
    assert done.code == 0
    assert "after 2 steps" in done.out


def test_a_dead_path_is_said_and_fails_when_strict(lab: Lab, net: str) -> None:
    closed = "{type: dense, units: 3, bias: [-1.0e6, -1.0e6, -1.0e6], activation: relu}"
    dead = f"architecture=[{closed}, {{type: dense, units: 1}}]"
    done = lab.run("gradcheck", net, "--set", dead)
    assert done.code == 0
    assert "no gradient at all" in done.out
    assert "dead" in done.out
    assert lab.run("gradcheck", net, "--set", dead, "--strict").code == 3


def test_what_a_students_layer_lacks_is_named(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "swish.py"
    file.write_text(SWISH + EQUATIONS)
    done = lab.run("gradcheck", "--parts", "--with", str(file))
    assert done.code == 3
    assert "swish_1.dx" in done.out
    assert "the factor 1 - s[n,i] is left out in dx" in " ".join(done.out.split())
    mended = tmp_path / "mended.py"
    mended.write_text(
        (SWISH + EQUATIONS).replace("(s + f.x * s)", "(s + f.x * s * (1 - s))").replace("swish", "mended")
    )
    done = lab.run("gradcheck", "--parts", "--with", str(mended))
    assert done.code == 0
    assert "all 3 gradients are right" in done.out


def test_several_own_parts_are_one_json(lab: Lab, tmp_path: Path) -> None:
    two = (SWISH + EQUATIONS).split("class Swish")[1].replace("swish", "swish_two")
    file = tmp_path / "two.py"
    file.write_text(SWISH + EQUATIONS + "\n\nclass SwishTwo" + two)
    done = lab.run("gradcheck", "--parts", "--with", str(file), "--json")
    assert [part["name"] for part in json.loads(done.out)["parts"]] == ["swish", "swish_two"]


def test_an_objective_that_is_infinite_everywhere_is_not_covered(lab: Lab, net: str) -> None:
    huge = "architecture=[{type: dense, units: 1, weights: [[1.0e200], [1.0e200]]}]"
    done = lab.run("gradcheck", net, "--set", huge, "--json")
    found = json.loads(done.out)
    assert done.code == 3
    assert "every gradient" in [r["tensor"] for r in found["tensors"] if r["verdict"] == "not covered"]


def test_a_loss_of_outputs_beyond_all_precision_raises_no_alarm(lab: Lab) -> None:
    """x - log(sum exp x) loses the logarithm there, in the equations and not in the kernel."""
    huge = "architecture=[{type: dense, units: 2, init: {type: constant, value: 1.0e100}}]"
    done = lab.run("gradcheck", "trees.yaml", "--set", huge, "--json")
    assert [r["verdict"] for r in json.loads(done.out)["tensors"] if r["tensor"] == "loss.dx"] == ["ok"]


def test_without_equations_differences_judge_and_the_rest_is_said(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "swish.py"
    file.write_text(SWISH)
    done = lab.run("gradcheck", "--with", str(file))
    assert done.code == 3
    assert "no equations are stated for swish_1" in done.out
    assert "the slope is" in done.out
    mended = tmp_path / "mended.py"
    mended.write_text(SWISH.replace("(s + f.x * s)", "(s + f.x * s * (1 - s))").replace("swish", "mended"))
    done = lab.run("gradcheck", "--with", str(mended))
    assert done.code == 0
    assert "no equations are stated for mended_1" in done.out


def test_what_states_no_equations_is_said_among_all_parts(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "without.py"
    file.write_text(SWISH.replace("(s + f.x * s)", "(s + f.x * s * (1 - s))") + HALVED)
    swish, halved = map(check_part, load([file]))
    assert (swish.verdict, halved.verdict) == ("ok", "not covered")
    assert swish.notes == ("no equations are stated for swish: its kernels are held against differences alone",)
    assert halved.notes == ("no equations are stated for halved: nothing that it does can be proven",)
    table = [line.plain for line in part_table([swish, halved]) if isinstance(line, Text)]
    assert table[-3:] == [f"note: {swish.notes[0]}", f"note: {halved.notes[0]}", "NOT PROVEN: halved"]
    done = lab.run("gradcheck", "--parts", "--with", str(file))
    assert done.code == 3, "as among all parts"
    assert "it has no equations, so what it does in a step cannot be proven" in done.out
    assert "NOT PROVEN: some gradients could not be judged" in done.out
    assert "all 0 gradients" not in done.out


ONES = """

from bpcli.custom import Initializer


class Ones(Initializer):
    type: Literal["own_ones"] = "own_ones"

    def fill(self, out, fan_in, fan_out, rng):
        out.fill(1)
"""


def test_where_nothing_is_compared_nothing_is_called_right(lab: Lab, tmp_path: Path) -> None:
    alone, beside = tmp_path / "alone.py", tmp_path / "beside.py"
    alone.write_text("from typing import Literal" + ONES)
    done = lab.run("gradcheck", "--parts", "--with", str(alone))
    assert done.code == 3
    assert "note: a part of the family initializer has no gradient and no equations to compare with\n" in done.out
    assert done.out.endswith("\n\nnothing was compared\n")
    assert "right" not in done.out
    found = lab.run("gradcheck", "--parts", "--with", str(alone), "--json")
    assert (found.code, json.loads(found.out)["parts"][0]["tensors"]) == (3, [])
    right = SWISH.replace("(s + f.x * s)", "(s + f.x * s * (1 - s))").replace("swish", "beside")
    beside.write_text(right + ONES.replace("own_ones", "more_ones"))
    done = lab.run("gradcheck", "--parts", "--with", str(beside))
    assert done.code == 0, "the layer of the file is right"
    assert "all 3 gradients are right" in done.out
    assert done.out.endswith("nothing was compared\n")


def external(net: str, tmp_path: Path, **changes: np.ndarray) -> Path:
    """A file as somebody else would write it: rows, weights, and gradients by hand in NumPy."""
    target = open_target(Path(net), TracedRows(batch=True))
    weights = {path: w.copy() for path, w in target.objective.network.parameters().items()}
    x, t = target.x, target.t
    a = np.tanh(x @ weights["dense_1.W"] + weights["dense_1.b"])
    dy = 2 * (a @ weights["dense_2.W"] + weights["dense_2.b"] - t) / len(x)
    dz = dy @ weights["dense_2.W"].T * (1 - a**2)
    found = {"dense_2.dW": a.T @ dy, "dense_2.db": dy.sum(0), "dense_1.dW": x.T @ dz, "dense_1.db": dz.sum(0)}
    file = tmp_path / "theirs.npz"
    np.savez(file, **({"x": x, "t": t} | weights | found | changes))
    return file


def test_gradients_from_elsewhere_that_agree(lab: Lab, net: str, tmp_path: Path) -> None:
    done = lab.run("gradcheck", net, "--external", str(external(net, tmp_path)))
    assert done.code == 0
    assert "all 4 gradients are right" in done.out
    assert "weights of the file" in done.out


def test_gradients_from_elsewhere_that_are_wrong(lab: Lab, net: str, tmp_path: Path) -> None:
    theirs = dict(np.load(external(net, tmp_path)))
    gradients = {name: 5 * a for name, a in theirs.items() if ".d" in name}
    done = lab.run("gradcheck", net, "--external", str(external(net, tmp_path, **gradients)))
    assert done.code == 3
    assert "every gradient" in done.out
    assert "it is not divided by the rows" in done.out


BAD_FILES = {
    "no such file": (None, 66, "there is no file"),
    "not an archive": (b"hello", 65, "is not an .npz file of numbers"),
    "an unknown name": ({"dense_9.dW": np.zeros((2, 4))}, 65, "nothing here is called dense_9.dW"),
    "transposed": ({"dense_1.dW": np.zeros((4, 2))}, 65, "write .T"),
    "no gradient": ({"dense_1.W": np.zeros((2, 4))}, 65, "holds no gradient"),
    "x without t": ({"dense_1.dW": np.zeros((2, 4)), "x": np.zeros((3, 2))}, 65, "x and t go together"),
    "rows of another width": (
        {"dense_1.dW": np.zeros((2, 4)), "x": np.zeros((3, 5)), "t": np.zeros((3, 1))}, 65, "x has the shape (3, 5)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_FILES)
def test_each_bad_file_has_its_own_message(lab: Lab, net: str, tmp_path: Path, name: str) -> None:
    content, code, text = BAD_FILES[name]
    file = tmp_path / "theirs.npz"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        np.savez(file, **content)
    done = lab.run("gradcheck", net, "--external", str(file))
    assert done.code == code
    assert text in " ".join(done.err.split())
    assert "Traceback" not in done.err


def test_say_what_to_check(lab: Lab) -> None:
    done = lab.run("gradcheck")
    assert done.code == 2
    assert "say what to check" in done.err


def test_help_says_what_it_cannot_see(lab: Lab) -> None:
    assert "no gradient check can see" in textwrap.dedent(" ".join(lab.run("gradcheck", "--help").out.split()))


def test_long_work_says_where_it_is(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line in ten seconds: of a short check none."""
    assert lab.good("gradcheck", "trees.yaml").err == ""
    monkeypatch.setattr(console, "QUIET_SECONDS", 0.0)
    lines = lab.good("gradcheck", "trees.yaml", "--json").err.splitlines()
    assert lines[0] == "checking: dense_1.dx, after 0 s"
    assert "checking: dense_2.dW, after 0 s" in lines
    assert [line for line in lines if "dense_2, batches of many sizes" in line]
    assert all(line.startswith("checking: ") for line in lines)
