"""What `check` says of a branch that does not fit, with the caret at its line."""

import pytest
from cli_lab import Lab
from cli_lab import lab as lab

FIRST = "  - {type: dense, units: 4, activation: tanh}\n"
KEEP = "= help: a residual branch must keep the shape: change the units of its last layer, or add a `projection`"
BRANCHES = {
    "flow": (
        "  - {type: residual, layers: [{type: dense, units: 3}]}\n",
        "error: architecture.1: residual_1: the branch turns rows of shape (4,) into (3,), and they are added [shape]",
        "  - {type: residual, layers: [{type: dense, units: 3}]}",
        KEEP,
    ),
    "block": (
        "  - type: residual\n    layers:\n      - relu\n      - type: dense\n        units: 3\n",
        "error: architecture.1: residual_1: the branch turns rows of shape (4,) into (3,), and they are added [shape]",
        "  - type: residual",
        KEEP,
    ),
    "inner": (
        "  - type: residual\n    layers:\n      - {type: residual, name: inner, layers: [{type: dense, units: 5}]}\n",
        "error: architecture.1.layers.0: residual_1.inner: the branch turns rows of shape (4,) into (5,), and they are"
        " added [shape]",
        "      - {type: residual, name: inner, layers: [{type: dense, units: 5}]}",
        KEEP,
    ),
    "inside": (
        "  - type: residual\n    layers:\n      - relu\n      - {type: dense, units: 4, weights: [[1.0, 2.0]]}\n",
        "error: architecture.1.layers.1: residual_1.dense_1: the weights are given as 1 x 2 and must be 4 x 4 [shape]",
        "      - {type: dense, units: 4, weights: [[1.0, 2.0]]}",
        "= help: one row for each input, one column for each unit",
    ),
}


@pytest.mark.parametrize(("branch", "error", "line", "help"), BRANCHES.values(), ids=BRANCHES)
def test_a_branch_that_does_not_fit(lab: Lab, branch: str, error: str, line: str, help: str) -> None:
    file = lab.config((FIRST, FIRST + branch))
    found = lab.run("check", "trees.yaml")
    assert found.code == 65
    said = [text.rstrip() for text in found.err.splitlines()]
    assert said[0] == error
    number = file.read_text().splitlines().index(line) + 1
    column = len(line) - len(line.lstrip(" -")) + 1
    assert said[1].strip() == f"--> trees.yaml:{number}:{column}"
    (at,) = (i for i, text in enumerate(said) if text.startswith(f"{number} | ") and text.endswith(line))
    assert said[at + 1].index("^") - said[at].index(line) == column - 1
    assert said[at + 2].strip() == help
