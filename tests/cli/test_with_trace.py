"""`--with FILE.py`: what is derived of parts of one's own, with equations and without."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cli_lab import Lab
from cli_lab import lab as lab
from own_layer_lab import mine as mine
from own_layer_lab import run as run
from own_parts import EQUATIONS, GAIN, SQUARE, changed
from own_parts import own as own
from paths import ROOT

pytestmark = pytest.mark.usefixtures("own")


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
