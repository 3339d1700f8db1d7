"""`bpcli graph`, as it is typed."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from cli_lab import Lab
from cli_lab import lab as lab
from paths import ROOT

from bpcli.records.training import Exit


def test_the_example_of_every_course(lab: Lab) -> None:
    ended = lab.run("graph", "sum_times", "--ascii")
    assert ended.code == Exit.OK
    lines = [line.strip() for line in ended.out.splitlines()]
    for line in ("f = q*z = -12", "df/dz = df/df*q = 1*3 = 3", "df/dx = df/dq = (-4)*1 = -4"):
        assert line in lines


def test_the_neuron_has_the_numbers_of_the_notes(lab: Lab) -> None:
    """Stanford CS231n prints two digits of them."""
    found = json.loads(lab.run("graph", "sigmoid_neuron", "--json").out)
    nodes = {n["name"]: n for n in found["nodes"]}
    assert nodes["f"]["value"] == pytest.approx(0.73, abs=0.005)
    wanted = {"w0": -0.20, "x0": 0.39, "w1": -0.39, "x1": -0.59, "w2": 0.20}
    assert {name: nodes[name]["adjoint"] for name in wanted} == pytest.approx(wanted, abs=0.005)
    slopes = [e["slope_value"] for e in found["edges"] if e["from"].startswith("v")]
    assert sorted(slopes)[:2] == pytest.approx([-1, -0.53], abs=0.005)
    assert {c["witness"] for c in found["checks"]} == {"the equations derived from the whole", "complex steps"}
    assert max(c["gap"] for c in found["checks"]) < 1e-14


def test_what_arrives_from_several_operations_adds_up(lab: Lab) -> None:
    out = lab.run("graph", "f = x**2 + x*y", "--at", "x=3,y=-4", "--ascii").out
    assert "df/dx = 2*df/dv1*x + df/dv2*y = 1*6 + 1*(-4) = 2" in out
    assert "(2 operations" in out


def test_a_network_agrees_with_the_engine(lab: Lab) -> None:
    inner = "{type: residual, layers: [{type: dense, units: 4, activation: relu}, {type: dense, units: 4}]}"
    lab.config(("  - {type: dense, units: 2}", f"  - {inner}\n  - {{type: dense, units: 2}}"))
    for name, count in (("trees.yaml", 8), (str(ROOT / "configs/article.yaml"), 4)):
        ended = lab.run("graph", name, "--ascii")
        assert ended.code == Exit.OK
        assert f"{count} derivatives agree with the gradients of the engine" in ended.out


def test_what_cancels_is_no_disagreement(lab: Lab) -> None:
    """Two rows under batch norm: what arrives at its mean, and at biases, is a sum that cancels."""
    lab.config(("  - {type: dense, units: 2}", "  - batch_norm\n  - {type: dense, units: 2}"))
    ended = lab.run("graph", "trees.yaml", "--sample", "0", "--sample", "1", "--ascii")
    assert ended.code == Exit.OK
    assert "derivatives agree with the gradients of the engine" in ended.out


def test_a_picture_has_every_node_and_edge(lab: Lab, tmp_path: Path) -> None:
    lab.good("graph", "q = x + y", "f = q * z", "--at", "x=-2", "--at", "y=5", "--at", "z=-4", "--out", "f.svg")
    root = ElementTree.parse(lab.path / "f.svg").getroot()
    texts = ["".join(t.itertext()) for t in root.iter("{http://www.w3.org/2000/svg}text")]
    boxes = ["x", "−2", "−4", "y", "5", "−4", "z", "−4", "3", "q = x + y", "3", "−4", "f = q·z", "−12", "1"]
    arrows = ["1", "1", "−4", "3"]
    assert sorted(texts) == sorted(boxes + arrows)
    lab.good("graph", "sum_times", "--out", "f.html")
    assert "<svg" in (lab.path / "f.html").read_text()


def test_a_corner_is_named(lab: Lab) -> None:
    ended = lab.run("graph", "f = relu(x) * y", "--at", "x=0,y=2")
    assert ended.code == Exit.OK
    assert "v1 = relu(x) has a corner at x = 0" in ended.err


def test_arrays_by_value_and_at_random(lab: Lab) -> None:
    out = lab.run("graph", "L = sum(i, w[i]*x[i])", "--at", "w=[1, 2]", "--at", "x=[3, 4]", "--ascii").out
    assert "dL/dw[i] = dL/dL*x[i] = [3, 4]" in out
    assert "with small random numbers" in lab.run("graph", "L = sum(i, w[i]*x[i])").out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["f = x * y", "--at", "x=1"], "y has no value"),
        (["f = x * y", "--at", "x=1,q=2"], "no equation reads q"),
        (["f = x", "--at", "x"], "gives no value"),
        (["f = x", "--at", "x=one"], "gives no value"),
        (["f = x", "--at", "x=" + "[" * 500 + "]" * 500], "gives no value"),
        (["y[n<1000000000] = x[n]"], "x would have 1,000,000,000 numbers"),
        (["y[n<100000,m<100000] = x[n] * x[m]"], "the equations have 10,000,000,000 terms"),
        (["y = sum(n<1000000,m<1000000, n*m*x)"], "the equations have 1,000,000,000,000 terms"),
        (["f = 1 / x", "--at", "x=0"], "f is not finite at this point"),
        (["f = foo(x)"], "no function or reduction is called foo"),
        (["f = percentile(i, 50, x[i])"], "percentile has no derivative"),
        (["sum_time"], "did you mean `sum_times`?"),
        (["sum_times", "--at", "x=1"], "an example has its own numbers"),
        (["f = x", "--sample", "1"], "equations have no rows"),
        (["f = " + " + ".join(f"sin({i} * x)" for i in range(2, 150))], "more than 400 nodes"),
    ],
)
def test_bad_input(lab: Lab, arguments: list[str], said: str) -> None:
    ended = lab.run("graph", *arguments)
    assert ended.code in (Exit.USAGE, Exit.NO_INPUT)
    assert said in ended.err
