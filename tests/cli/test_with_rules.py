"""`--with FILE.py`: parts that break a rule or raise, before anything begins and on the way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_lab import Lab
from cli_lab import lab as lab
from own_layer_lab import PARTS
from own_layer_lab import mine as mine
from own_layer_lab import run as run
from own_parts import GAIN, changed
from own_parts import own as own

pytestmark = pytest.mark.usefixtures("own")

Y = "np.multiply(f.h, f.g, out=f.y)"

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
