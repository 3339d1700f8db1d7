"""Inputs so large that sums overflow, to every activation: training, evaluation and prediction show it in figures."""

import pytest
from cli_lab import Lab
from cli_lab import lab as lab
from registry import named_alone

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.family import Activation


@pytest.mark.parametrize("kind", named_alone(Activation))
def test_inputs_that_overflow_are_no_warning(lab: Lab, kind: str) -> None:
    """In float32 a weighted sum of 3e38 is infinite: training says that it diverged, or goes on; evaluation and
    prediction show the figures that come of it. Nothing else is said (warnings are errors here)."""
    lab.config(("activation: tanh", f"activation: {kind}"), ("  scale: standardize\n", ""))
    lab.good("train", "trees.yaml", "--out", "run", "-q")
    lab.write("huge.csv", "width,height,kind\n3e38,3e38,oak\n-3e38,-3e38,elm\n1.0,2.0,oak\n")
    assert lab.good("predict", "run", "--data", "huge.csv").err == ""
    assert lab.good("eval", "run", "--data", "huge.csv").err == ""
    lab.write("trees.csv", "width,height,kind\n3e38,3e38,oak\n-3e38,-3e38,elm\n1.0,2.0,oak\n2.0,1.0,elm\n")
    assert lab.run("train", "trees.yaml", "--out", "diverged", "-q").code in (0, 3)
