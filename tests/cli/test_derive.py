"""`bpcli derive`, as it is typed."""

import json
from pathlib import Path

import pytest
from cli_lab import Lab
from cli_lab import lab as lab
from own_parts import GAIN, SCALED
from own_parts import own as own

from bpcli.records.training import Exit


def test_a_formula_is_derived_step_by_step_and_checked(lab: Lab) -> None:
    ended = lab.run("derive", "y[n,o] = tanh(sum(i, x[n,i]*W[i,o]) + b[o])", "--numbers", "--ascii")
    assert ended.code == Exit.OK
    assert "chain rule, tanh: the slope of tanh is 1 - tanh^2" in ended.out
    assert "  dL/dW[i,o] = sum_n dL/dy[n,o]*x[n,i]*(1 - y[n,o]^2)" in ended.out
    assert "agrees with complex steps" in ended.out


def test_a_part_beside_what_its_author_states(lab: Lab) -> None:
    ended = lab.run("derive", "softmax", "--ascii")
    assert ended.code == Exit.OK
    assert "as its author states it" in ended.out
    assert "agrees with the equations that the author states" in ended.out


def test_a_part_of_one_s_own(lab: Lab, own: Path) -> None:
    """Without samples; its setting is a constant of the equations."""
    (own / "mine.py").write_text(SCALED)
    ended = lab.run("derive", "scaled", "--with", str(own / "mine.py"))
    assert "∂L/∂x[n,i] = ∂L/∂y[n,i]·a·(1 − y[n,i]²)   as its author states it" in ended.out
    (own / "bare.py").write_text(GAIN)
    assert "`gain` states no equations" in lab.run("derive", "gain", "--with", str(own / "bare.py")).err


def test_what_no_author_states_is_held_against_complex_steps(lab: Lab) -> None:
    ended = lab.run("derive", "formula", "--ascii")
    assert "author" not in ended.out
    assert "agrees with complex steps" in ended.out


def test_a_number_s_derivatives_are_of_that_number(lab: Lab) -> None:
    ended = lab.run("derive", "f = (x + y) * z", "--ascii")
    assert "df/dx = z" in ended.out
    assert "df/dz = x + y" in ended.out


def test_a_hessian(lab: Lab) -> None:
    ended = lab.run("derive", "L = mean(n, (sum(i, x[n,i]*w[i]) - t[n])**2)", "--by", "w", "--order", "2", "--numbers")
    assert "∂²L/(∂w[i]∂w[k]) = (2·Σ_n x[n,k]·x[n,i]) / N" in ended.out
    assert "DISAGREES" not in ended.out


def test_json_reads_back(lab: Lab) -> None:
    found = json.loads(lab.run("derive", "y[n] = sum(i, x[n,i]**2)", "--json").out)
    assert found["backward"] == [{"left": "dx[n,i]", "right": "2 * dy[n] * x[n,i]", "why": ""}]
    assert {s["rule"] for s in found["steps"]} == {"sum", "power rule", "entry"}


@pytest.mark.parametrize("ending", ["md", "tex", "html"])
def test_pages(lab: Lab, tmp_path: Path, ending: str) -> None:
    assert lab.run("derive", "huber", "--out", str(tmp_path / f"page.{ending}")).code == Exit.OK
    assert "product rule" in (tmp_path / f"page.{ending}").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["y[n] = foo(x[n])"], "no function or reduction is called foo"),
        (["y[n] = x[n"], "cannot be read"),
        (["softmx"], "did you mean `softmax`?"),
        (["y[n<100000,m<100000] = x[n] * x[m]", "--numbers"], "the equations have 10,000,000,000 terms"),
        *((["y = " + zero], "it divides by 0, whatever is put in") for zero in ("x/0", "1/(x-x)", "x + 1/0.0")),
        (["adam"], "`adam` is no layer, loss or penalty"),
        (["residual"], "`residual` holds layers"),
        (["y[n] = x[n]", "--by", "X"], "no equation reads X"),
        (["softmax", "--by", "z"], "`softmax` has no array z"),
        (["y[n] = x[n] + y[n]"], "a new value takes a new name"),
        (["y[n,o] = x[n,i] * W[i,o]"], "the index i of x runs over nothing"),
        (["y[n] = 2"], "no array or number is read"),
        (["y[n] = x[n] ^ 2"], "a power is written x[n]**2"),
        (["y = percentile(i, 50, x[i])"], "percentile has no derivative"),
    ],
)
def test_bad_input(lab: Lab, arguments: list[str], said: str) -> None:
    ended = lab.run("derive", *arguments)
    assert ended.code == Exit.USAGE
    assert said in ended.err


@pytest.mark.parametrize(
    ("typed", "under"),
    [("  y[n] =  x[n] +* 2", "+*"), ("y[n] = x[n]**", "**"), ("y[n] = 2 * tnh(x[n])", "tnh"), ("y[n,k = x[n]", "[n,k")],
)
def test_the_caret_stands_where_an_equation_cannot_be_read(lab: Lab, typed: str, under: str) -> None:
    line, caret = lab.run("derive", typed, "--ascii").err.splitlines()[2:4]
    assert line == f"1 | {typed}"
    place = caret.index("^") - len("1 | ")
    assert typed.index(under) <= place <= typed.index(under) + len(under)


def test_what_author_and_derivation_have_in_common_is_said_once(lab: Lab) -> None:
    ended = lab.run("derive", "softmax", "--ascii")
    assert ended.out.count("dL/dx[n,k] = y[n,k]*(dL/dy[n,k] - sum_j dL/dy[n,j]*y[n,j])") == 1


def test_the_jacobian_and_the_numbers_of_a_part(lab: Lab) -> None:
    ended = lab.run("derive", "softmax", "--jacobian", "--ascii")
    assert "dy[l,m]/dx[n,k] = [n = l]*y[n,k]*([k = m] - y[n,m])" in ended.out
    assert "agrees with complex steps" in ended.out
    assert "agrees with complex steps" in lab.run("derive", "layer_norm", "--numbers").out


def test_steps_call_arrays_by_their_symbols(lab: Lab) -> None:
    assert "γ is used at every n: what arrives there adds up" in lab.run("derive", "batch_norm").out
    assert "gamma is used at every n: what arrives there adds up" in lab.run("derive", "batch_norm", "--ascii").out
