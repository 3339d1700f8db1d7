"""The trace of a convolution: one output with its window, one weight with every term, at every level of detail."""

import json

import pytest
from cli_lab import Lab
from cli_lab import lab as lab

NET = """\
name: tiny
data:
  train:
    type: inline
    inputs:
      - [[[0], [1], [2], [1]], [[3], [4], [5], [0]], [[6], [7], [8], [2]], [[1], [0], [2], [1]]]
      - [[[1], [1], [0], [1]], [[0], [2], [5], [0]], [[1], [7], [1], [2]], [[1], [0], [2], [1]]]
    targets: [a, b]
architecture:
  - {type: conv2d, filters: 2, kernel: 3, padding: same, activation: relu}
  - max_pool2d
  - {type: conv2d, filters: 2, kernel: 2, stride: 2, padding: 1, groups: 2}
  - {type: conv_transpose2d, filters: 1, kernel: 3, stride: 2}
  - {type: reshape, shape: [5, 5]}
  - {type: conv1d, filters: 2, kernel: 3, dilation: 2}
  - flatten
  - {type: dense, units: 2}
loss: softmax_cross_entropy
"""


@pytest.mark.parametrize("detail", ["overview", "layer", "neuron", "path"])
def test_every_level(lab: Lab, detail: str) -> None:
    """The engine and the equations agree, in forward, backward and update."""
    lab.write("tiny.yaml", NET)
    more = ("--param", "conv2d_1.W[0,0,0,0]") if detail == "path" else ()
    text = lab.good("trace", "tiny.yaml", "--detail", detail, "--width", "80", *more).out
    assert "conv2d_1.W[0,0,0,0] → conv2d_1.y[0," in text if detail == "path" else "were computed twice" in text
    assert all(len(line) <= 80 for line in text.splitlines())


def test_one_output_with_its_window(lab: Lab) -> None:
    text = lab.good("trace", "--example", "convolution", "--detail", "neuron", "--elide", "none").out
    assert "[0,0,0,0] = 0 + (1·1 + 2·3 + 3·4) = 19" in text
    assert "1 of 4 terms is 0; sees x[0, 0 to 1, 0 to 1, 0]" in text
    assert "[1,1,0,0] = 1·5 + 2·7 + 3·8 = 43   1 of 4 terms is 0" in text
    assert "[0,1,1,0] = 2·1 + 1·2 = 4   2 of 4 terms are 0" in text
    assert "agree to the last digit" in " ".join(text.split())


def test_settings_of_the_windows_are_told(lab: Lab) -> None:
    lab.write("tiny.yaml", NET)
    text = " ".join(lab.good("trace", "tiny.yaml", "--detail", "layer").out.split())
    assert "a filter weighs what it sees, of its group; stride s = 2, zeros a = 1" in text
    assert "a filter weighs what it sees; dilation r = 2" in text


def test_elided_terms_are_counted(lab: Lab) -> None:
    """A long sum shows its largest terms, and how many more there are with what they come to."""
    lab.write("tiny.yaml", NET)
    text = " ".join(
        lab.good("trace", "tiny.yaml", "--layer", "conv2d_1", "--detail", "neuron", "--elide", "3").out.split()
    )
    assert " more: " in text
    found = json.loads(lab.good("trace", "tiny.yaml", "--json").out)
    assert all(step["gap"] is None or step["gap"] < 1e-12 for step in found["steps"])
