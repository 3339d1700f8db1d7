"""Networks whose layers, loss and penalty are stated in the file, under every command."""

from pathlib import Path

import pytest
import yaml
from cli_lab import Lab
from cli_lab import lab as lab

from bpcli.records.training import Exit

STATED = """\
name: stated
data:
  train: {type: inline, inputs: [[0.1, 0.2], [0.5, -0.4], [1.0, 0.3], [-0.2, 0.9], [0.7, 0.7]],
          targets: [[0.1], [0.5], [0.3], [0.7], [0.2]]}
architecture:
  - type: formula
    equations: ["z[n,o] = sum(i, x[n,i] * W[i,o]) + b[o]", "y[n,o] = z[n,o] / (1 + abs(z[n,o]))"]
    params: {W: {shape: [i, 3], init: glorot_uniform, decays: true}, b: {shape: [3]}}
  - type: formula
    y: x[n,...] * sigmoid(beta * x[n,...])
    params: {beta: {shape: [], init: {type: constant, value: 1.0}}}
  - {type: dense, units: 1, activation: {type: formula, y: "sinh(x) / cosh(x)"}}
loss: {type: formula, L: "sum(k, log(cosh(x[n,k] - t[n,k])))"}
regularization: {type: formula, penalty: "strength * sum(j, w[j]**2 / (1 + w[j]**2))", settings: {strength: 0.001}}
training: {epochs: 2, batch_size: 2}
"""


@pytest.fixture
def stated(lab: Lab) -> Lab:
    lab.write("f.yaml", STATED)
    return lab


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("check f.yaml", "9 multiply-adds a row forward; loss formula"),
        ("gradcheck f.yaml", "all 17 gradients are right"),
        ("diagnose f.yaml", "ok  columns"),
        ("graph f.yaml", "5 derivatives agree with the gradients of the engine"),
        ("trace f.yaml --layer formula_1", "derived by quotient rule, sum rule, chain rule, abs"),
        ("trace f.yaml --param formula_1.W[0,1]", "1 path to the loss"),
        ("train f.yaml --set training.watch=true --out watched", "all 2 epochs are done"),
        ("trace f.yaml --format html", "formula_1"),
        ("trace f.yaml --format latex", "formula"),
    ],
)
def test_commands(stated: Lab, words: str, said: str) -> None:
    ended = stated.run(*words.split())
    assert ended.code == Exit.OK, ended.err
    assert said in ended.out + ended.err


def test_a_model_of_formulas_is_read_back_and_goes_on(stated: Lab) -> None:
    stated.good("train", "f.yaml", "--out", "run", "-q")
    stated.good("train", "--resume", "run", "--set", "training.epochs=3", "-q")
    stated.write("rows.csv", "0,1\n0.1,0.2\n0.5,-0.4\n")
    rows = stated.good("predict", "run", "--data", "rows.csv").out.split()
    assert len(rows) == 3
    model = stated.good("predict", "run/model.safetensors", "--data", "rows.csv").out.split()
    assert model == rows
    assert "loss" in stated.good("eval", "run").out
    assert stated.good("trace", "run").code == Exit.OK


def test_a_worksheet_s_answers_are_right(stated: Lab) -> None:
    """A formula's own z is no other name of its y."""
    stated.good("worksheet", "f.yaml", "--out", "w.md")
    answers = yaml.safe_load((stated.path / "w.answers.yaml").read_text())
    assert {"formula_1.z[0,0]", "formula_1.y[0,0]"} <= set(answers)
    ended = stated.good("mark", "w.answers.yaml", "f.yaml")
    assert f"All {len(answers)} are right." in ended.out


@pytest.mark.slow
def test_a_run_of_formulas_resumes_to_the_same_bits(stated: Lab) -> None:
    assert "identical, bit for bit" in stated.good("verify-resume", "f.yaml").out


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("sum(i, x[n,i]", "sum(i, abs(x[n,i])", "formula_1: abs(x[n,i]) has a corner at row 0 of the first 5 of train"),
        ("sum(i, x[n,i]", "sum(i, log(x[n,i])", "formula_1: log(x[n,i]) is not finite at rows 0, 1, 3"),
        ("log(cosh(x[n,k] - t[n,k]))", "sqrt(t[n,k] - t[n,k] + 0 * x[n,k])", "has a corner at every row"),
    ],
)
def test_where_the_data_stands_on_a_corner(stated: Lab, old: str, new: str, said: str) -> None:
    text = STATED.replace("[0.1, 0.2], [0.5", "[0.0, 0.2], [0.5")
    stated.write("f.yaml", text)
    assert stated.good("check", "f.yaml").err == ""
    stated.write("f.yaml", text.replace(old, new))
    ended = stated.good("check", "f.yaml")
    assert said in ended.err
    assert ended.err.count("warning:") == 1


@pytest.mark.parametrize("command", ["check", "graph", "train", "gradcheck"])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x[n,...] * sigmoid(beta * x[n,...])", "beta * x[n,...] / 0"),
        ("z[n,o] / (1 + abs(z[n,o]))", "z[n,o] / (b[o] - b[o])"),
        ("sum(k, log(cosh(x[n,k] - t[n,k])))", "sum(k, x[n,k] / 0)"),
        ("strength * sum(j, w[j]**2 / (1 + w[j]**2))", "strength * sum(j, w[j] / (w[j] - w[j]))"),
    ],
)
def test_a_division_by_0_is_refused(stated: Lab, command: str, old: str, new: str) -> None:
    assert old in STATED
    stated.write("f.yaml", STATED.replace(old, new))
    ended = stated.run(command, "f.yaml")
    assert ended.code == Exit.BAD_INPUT, ended.err
    assert "it divides by 0, whatever is put in" in ended.err


def test_what_is_not_stated_is_asked_for(lab: Lab, tmp_path: Path) -> None:
    lab.write("f.yaml", STATED.replace("z[n,o] / (1 + abs(z[n,o]))", "z[n,o] / (1 + abz(z[n,o]))"))
    ended = lab.run("check", "f.yaml")
    assert ended.code == Exit.BAD_INPUT
    lines = ended.err.splitlines()
    assert "no function or reduction is called abz" in lines[0]
    text, marks = next((lines[i], lines[i + 1]) for i in range(len(lines)) if "abz(z[n,o])" in lines[i] and i > 0)
    assert text[marks.index("^") :].startswith("abz")
    assert "did you mean `abs`?" in ended.err
