"""Layers that break a rule, or that are right and could be better: each is found, at its line, by the rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from examined_parts import APART, WRITE, look, shown
from own_parts import EQUATIONS, GAIN, changed
from own_parts import own as own

from bpcli.records.training import Failure

FORWARD = "the rule of forward: reads x, params, draws and state; writes y and keep"
BACKWARD = "the rule of backward: reads dy and keep; writes dx and every d<param>"
SHAPES = "here are f.x (3, 4), f.dx (3, 4), f.dy (3, 4), f.y (3, 4), f.g (4,), f.dg (4,), f.h (3, 4), f.s (3, 4); "

Y = "np.multiply(f.h, f.g, out=f.y)"
H = "np.tanh(f.x, out=f.h)"
DG = 'np.einsum("no,no->o", f.dy, f.h, out=f.dg)'
DX = "np.multiply(f.dy, f.s, out=f.dx)"
MEMORY = 'keep={"h": Slot((N, *x))}, scratch={"s": Slot((N, *x))}'


@pytest.mark.parametrize("text", [GAIN, GAIN + EQUATIONS], ids=["without equations", "with equations"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_good_layer(own: Path, text: str, dtype: Any) -> None:
    assert look(text, dtype=dtype) == ()


LAYERS: Mapping[str, tuple[Sequence[tuple[str, str]], str, str, str]] = {
    "binds its output": (
        [(Y, "f.y = f.h * f.g")],
        "Gain.forward binds f.y to an object of its own, and the engine's array stays as it was",
        "f.y = f.h * f.g",
        WRITE.format("y"),
    ),
    "binds a gradient of another shape": (
        [(DX, "f.dx = (f.dy * f.s).sum(0)")],
        "Gain.backward binds f.dx to an object of its own, and the engine's array stays as it was (the new one is "
        "(4,), the engine's (3, 4))",
        "f.dx = (f.dy * f.s).sum(0)",
        WRITE.format("dx"),
    ),
    "binds what it keeps": (
        [(H, "f.h = np.tanh(f.x)")],
        "Gain.forward binds f.h to an object of its own, and the engine's array stays as it was",
        "f.h = np.tanh(f.x)",
        WRITE.format("h"),
    ),
    "binds a parameter": (
        [(Y, f"f.g = f.g * 2\n        {Y}")],
        "Gain.forward binds f.g to an object of its own, and the engine's array stays as it was",
        "f.g = f.g * 2",
        WRITE.format("g"),
    ),
    "returns its output": (
        [(Y, "return f.h * f.g")],
        "Gain.forward does not write f.y",
        "return f.h * f.g",
        f"what a method returns is not looked at; {WRITE.format('y')}",
    ),
    "does not write a gradient": (
        [(f"        {DG}\n", "")],
        "Gain.backward does not write f.dg",
        "def backward(self, f, train):",
        WRITE.format("dg"),
    ),
    "writes a part of a gradient": (
        [(DX, "np.multiply(f.dy[:, 1:], f.s[:, 1:], out=f.dx[:, 1:])")],
        "Gain.backward leaves 3 of 12 entries of f.dx as they were",
        "def backward(self, f, train):",
        "every entry is written, every time; f.dx[0,0] is the first that is not",
    ),
    "adds to a gradient": (
        [(DG, "f.dg += (f.dy * f.h).sum(0)")],
        "f.dg depends on what stood in memory before Gain.backward",
        "f.dg += (f.dy * f.h).sum(0)",
        "f.dg is written and never added to; scratch and keep are written before they are read",
    ),
    "reads scratch too early": (
        [(H, "np.add(f.x, f.s, out=f.h)")],
        "f.y depends on what stood in memory before Gain.forward",
        Y,
        "f.y is written and never added to; scratch and keep are written before they are read",
    ),
    "keeps in scratch": (
        [(MEMORY, 'scratch={"s": Slot((N, *x)), "h": Slot((N, *x))}')],
        "Gain.backward reads what forward left in f.h, and scratch is everybody's",
        DG,
        "other layers write into it between the two passes: ask for `h` in keep, not in scratch",
    ),
    "changes its input": (
        [(H, "np.tanh(f.x, out=f.x)\n        np.copyto(f.h, f.x)")],
        "Gain.forward changes f.x, which is what the layer before it put out",
        "np.tanh(f.x, out=f.x)",
        APART + FORWARD,
    ),
    "changes its input in backward": (
        [(DX, f"{DX}\n        f.x[:, 0] = 0")],
        "Gain.backward changes f.x, which is what the layer before it put out",
        "f.x[:, 0] = 0",
        APART + BACKWARD,
    ),
    "changes its output in backward": (
        [(DX, f"{DX}\n        f.y[...] = 0")],
        "Gain.backward changes f.y, which is what the layer behind it works on",
        "f.y[...] = 0",
        APART + BACKWARD,
    ),
    "changes the error": (
        [(DX, "f.dy *= f.s\n        np.copyto(f.dx, f.dy)")],
        "Gain.backward changes f.dy, which is the error that comes in",
        "f.dy *= f.s",
        APART + BACKWARD,
    ),
    "changes a parameter": (
        [(Y, f"f.g -= 0.1\n        {Y}")],
        "Gain.forward changes f.g, which it may only read",
        "f.g -= 0.1",
        APART + FORWARD,
    ),
    "changes what it kept": (
        [("np.multiply(f.h, f.h, out=f.s)", "np.multiply(f.h, f.h, out=f.h)\n        np.copyto(f.s, f.h)")],
        "Gain.backward, called again, gives another f.dx",
        "def backward(self, f, train):",
        "it changes f.h, which forward kept; gradients are a function of the frame",
    ),
    "is not a number": (
        [(H, "np.log(f.x, out=f.h)")],
        "f.y is not finite after Gain.forward",
        "def forward(self, f, train):",
        "f.y[0,0] is nan, though all that it reads is finite",
    ),
    "raises": (
        [(Y, "raise KeyError('gamma')")],
        "Gain.forward raises KeyError: 'gamma'",
        "raise KeyError('gamma')",
        SHAPES + FORWARD,
    ),
    "does not fit": (
        [(Y, "np.multiply(f.h, f.g[:2], out=f.y)")],
        "Gain.forward raises ValueError: operands could not be broadcast together with shapes (3,4) (2,) (3,4)",
        "np.multiply(f.h, f.g[:2], out=f.y)",
        SHAPES + FORWARD,
    ),
    "asks for what is not there": (
        [(DX, "np.multiply(f.dy, f.slope, out=f.dx)")],
        "Gain.backward raises AttributeError: 'Frame' object has no attribute 'slope'",
        "f.slope",
        SHAPES + BACKWARD,
    ),
    "has double precision in a run without": (
        [(Y, "np.multiply(f.h, np.ones(4), out=f.y, casting='no')")],
        "Gain.forward raises UFuncTypeError: Cannot cast ufunc 'multiply' input 0 from dtype('float32') to "
        "dtype('float64') with casting rule 'no'",
        "np.multiply(f.h, np.ones(4), out=f.y, casting='no')",
        SHAPES + FORWARD,
    ),
    "remembers in itself": (
        [(Y, f"self.last = 1\n        {Y}")],
        "Gain.forward raises ValidationError: last: Instance is frozen",
        "self.last",
        SHAPES + FORWARD,
    ),
    "fits one batch size": (
        [(Y, "f.y[...] = np.zeros((3, 1)) + f.h * f.g")],
        "Gain.forward raises ValueError: operands could not be broadcast together with shapes (3,1) (2,4)",
        "np.zeros((3, 1)) + f.h * f.g",
        SHAPES.replace("(3, 4)", "(2, 4)") + FORWARD,
    ),
    "claims to do without dx": (
        [("Plan(y=x,", "Plan(y=x, skips_dx=True,"), (DX, "f.dx[...] = f.dy * f.s")],
        "Gain.backward raises TypeError: 'NoneType' object does not support item assignment",
        "f.dx[...]",
        "plan says skips_dx=True: then f.dx is None in the first layer. Begin with `if f.dx is not None:`",
    ),
    "plans nothing": (
        [("return Plan(", "Plan(")],
        "Gain.plan returns nothing, not a Plan (for rows of shape (4,))",
        "def plan(self, x):",
        "write `return Plan(y=...)`: y is the shape of a row of outputs",
    ),
    "plans no shape": (
        [("Plan(y=x,", "Plan(y=x[0],")],
        "Gain.plan gives y as 4 (for rows of shape (4,))",
        'return Plan(y=x[0], params=params, keep={"h": Slot((N, *x))}, scratch={"s": Slot((N, *x))})',
        "y is a tuple of whole numbers, the shape of a row of outputs: (units,)",
    ),
    "plans no slot": (
        [('keep={"h": Slot((N, *x))}', 'keep={"h": (N, *x)}')],
        "Gain.plan gives `h` in keep as (-1, 4) (for rows of shape (4,))",
        'return Plan(y=x, params=params, keep={"h": (N, *x)}, scratch={"s": Slot((N, *x))})',
        'write keep={"h": Slot((N, *x))}; N is the batch',
    ),
    "plans a name that is taken": (
        [('keep={"h"', 'keep={"dg"')],
        "Gain.plan asks for `dg` in keep, and f.dg is the gradient by g (for rows of shape (4,))",
        'return Plan(y=x, params=params, keep={"dg": Slot((N, *x))}, scratch={"s": Slot((N, *x))})',
        "choose another name",
    ),
    "plans a start that is none": (
        [("ConstantValue(value=1.0)", "1.0")],
        "Gain.plan lets `g` start from 1.0, which is no initializer (for rows of shape (4,))",
        'return Plan(y=x, params=params, keep={"h": Slot((N, *x))}, scratch={"s": Slot((N, *x))})',
        "write ConstantValue(value=1.0) or HeNormal(), from bpcli.custom",
    ),
    "plans what is not there": (
        [("params = {", 'params = {"q": Param((x[3],)), ')],
        "Gain.plan raises IndexError: tuple index out of range",
        "x[3]",
        "the rule of plan: returns the memory it needs for rows of shape `x`. Raises ShapeError where they cannot "
        "enter",
    ),
    "states what cannot be read": (
        [(DX, DX + "\n" + EQUATIONS.replace("tanh(x[n,o])", "tan(x[n,o]"))],
        "Gain.equations cannot be read: 'tan(x[n,o]' cannot be read: '(' was never closed",
        "def equations(self, train, x):",
        'an equation is Eq(left, right, why): Eq("y[n,...]", "g * x[n,...]", "scaled")',
    ),
    "states a function that is none": (
        [(DX, DX + "\n" + EQUATIONS.replace("tanh(x[n,o])", "tann(x[n,o])"))],
        "Gain.equations cannot be read: 'tann(x[n, o])': no function or reduction is called tann",
        "def equations(self, train, x):",
        "did you mean `tanh`? known: abs, argmax, clip, cos, cosh, count, erf, erfc, exp, expm1, floor, log, log1p, "
        "log1pexp, logsumexp, max, mean, min, norm, pad, percentile, prod, relu, sigmoid, sign, sin, sinh, softplus, "
        "sqrt, sum, tanh, where, xlogy",
    ),
}


@pytest.mark.parametrize(("changes", "text", "line", "help"), LAYERS.values(), ids=LAYERS)
def test_a_layer_that_breaks_a_rule(
    own: Path, changes: Sequence[tuple[str, str]], text: str, line: str, help: str
) -> None:
    try:
        (problem,) = look(changed(GAIN, *changes))
    except Failure as failure:  # of a plan, before anything can be run
        (problem,) = failure.problems
    assert (problem.level, problem.file) == ("error", "mine.py")
    assert (problem.text, shown(problem), problem.help) == (text, line, help)


WARNINGS: Mapping[str, tuple[Sequence[tuple[str, str]], str, str, str]] = {
    "in one line": (
        [(Y, "f.y[...] = f.h * f.g")],
        "Gain.forward asks for 16 bytes a row in every step: right, but slow",
        "f.y[...] = f.h * f.g",
        'write into the arrays that are there, np.tanh(f.x, out=f.y); ask for others: scratch={"s": Slot((N, *x))}',
    ),
    "a truth value a row": (
        [(DX, f"{DX}\n        f.dx[f.h[:, 0] > 2] = 0")],
        "Gain.backward asks for 1 byte a row in every step: right, but slow",
        "f.dx[f.h[:, 0] > 2] = 0",
        'write into the arrays that are there, np.tanh(f.x, out=f.y); ask for others: scratch={"s": Slot((N, *x))}',
    ),
    "into the frame": (
        [(H, f"f.m = f.x > 0\n        {H}")],
        "Gain.forward puts f.m into the frame by itself, anew in every step",
        "f.m = f.x > 0",
        'ask for it in plan, keep={"m": Slot((N, *x))}, and write into it: out=f.m',
    ),
    "an equation left out": (
        [(DX, DX + "\n" + EQUATIONS.replace("dg[o]", "slope[o]"))],
        "Gain has no equation of dg",
        "def equations(self, train, x):",
        "it is trained and checked all the same, and its derivation cannot be shown",
    ),
}


@pytest.mark.parametrize(("changes", "text", "line", "help"), WARNINGS.values(), ids=WARNINGS)
def test_a_layer_that_is_right_and_could_be_better(
    own: Path, changes: Sequence[tuple[str, str]], text: str, line: str, help: str
) -> None:
    (problem,) = look(changed(GAIN, *changes))
    assert problem.level == "warning"
    assert (problem.text, shown(problem), problem.help) == (text, line, help)


def test_chance_that_is_not_drawn(own: Path) -> None:
    drawn = (MEMORY, MEMORY + ', draws={"u": Slot((N, *x), "float32")}')
    draw = "    def draw(self, f, rng):\n        {}\n\n    def forward"
    good = draw.format("rng.random(out=f.u, dtype=np.float32)")
    assert look(changed(GAIN, drawn, ("    def forward", good))) == ()
    (problem,) = look(changed(GAIN, drawn, ("    def forward", draw.format("return rng.random(f.u.shape)"))))
    assert problem.text == "Gain.draw does not write f.u"
    (problem,) = look(changed(GAIN, drawn, ("    def forward", draw.format("f.u += rng.random(f.u.shape)"))))
    assert problem.text == "f.u depends on what stood in memory before Gain.draw"


def test_state_is_carried_by_commit_alone(own: Path) -> None:
    kept = (MEMORY, MEMORY + ', state={"mean": Slot(x)}')
    commit = ("    def forward", "    def commit(self, f):\n        np.mean(f.x, 0, out=f.mean)\n\n    def forward")
    assert look(changed(GAIN, kept, commit)) == ()
    (problem,) = look(changed(GAIN, kept, (Y, f"f.mean[...] = 0\n        {Y}")))
    assert problem.text == "Gain.forward changes f.mean, which it may only read"
