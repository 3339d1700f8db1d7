"""Parts of a user's own of unusual kinds: what is wrong where no other test looks (a loss at some targets, a weight of
0, a layer whose dx nobody asks for, a setting that is 1 by default) is found and said; what is right is not blamed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from faulty_layers import CONFIG, HEAD
from own_parts import SQUARE, changed
from own_parts import own as own

from bpcli.records.gradcheck import GradcheckReport
from bpcli.studies.custom.load import load
from bpcli.studies.gradcheck.check import check_gradients
from bpcli.studies.gradcheck.check_parts import check_own
from bpcli.studies.trace.open import TracedRows, open_target


def of_part(folder: Path, source: str) -> GradcheckReport:
    (folder / "part.py").write_text(source)
    (leaf,) = load((folder / "part.py",))
    return check_own(leaf)


def of_network(folder: Path, source: str) -> GradcheckReport:
    """A layer `own` between two dense layers, on rows of 20 numbers."""
    (folder / "layer.py").write_text(source)
    (folder / "net.yaml").write_text(CONFIG.format(layer="own"))
    rng = np.random.default_rng(0)
    np.savez(folder / "rows.npz", x=rng.normal(size=(64, 20)), y=rng.normal(size=(64, 2)))
    load((folder / "layer.py",))
    return check_gradients(open_target(folder / "net.yaml", TracedRows(batch=True)))


def layer(forward: str, backward: str, plan: str = "return Plan(y=x)", more: str = "") -> str:
    """A file with a layer `own` of these lines."""
    indented = [text.replace("\n", "\n        ") for text in (plan, forward, backward)]
    return HEAD.replace("Plan, Slot", "Field, Plan, Slot") + (
        'class Own(Layer):\n    type: Literal["own"] = "own"\n'
        f"{more}\n"
        f"    def plan(self, x):\n        {indented[0]}\n\n"
        f"    def forward(self, f, train):\n        {indented[1]}\n\n"
        f"    def backward(self, f, train):\n        {indented[2]}\n"
    )


def texts(report: GradcheckReport) -> str:
    return "\n".join(f"{found.tensor}: {found.text}" for found in report.findings)


# ------------------------------------------------------------------------------------------------------- wrong losses
LOSSES = [
    ("f.dx[f.t == 0] *= 2", "loss.dx", "entries are wrong"),
    ("f.dx[f.t == 1] *= 2", "loss.dx", "entries are wrong"),
    ("f.dx[f.t < -1] = 0", "loss.dx", "it is 0"),
    ("f.dx[:, 16:] = 0", "loss.dx", "it is 0 wherever index 1 is 16"),
    ("f.dx *= 1 + 0.01 * (f.x.shape[1] == 1)", "loss.dx", "rows of shape (1,)"),
    ("if f.x.dtype == np.float32: f.dx *= 1.001", "loss.dx", "in float32"),
]


@pytest.mark.parametrize(("code", "tensor", "words"), LOSSES)
def test_what_is_wrong_with_a_loss_is_found(code: str, tensor: str, words: str, own: Path) -> None:
    report = of_part(own, SQUARE + f"        {code}\n")
    assert tensor in report.wrong
    assert words in texts(report)


def test_a_loss_whose_value_is_wrong_in_float32(own: Path) -> None:
    wrong = changed(SQUARE, ("return 0.5 *", "return (0.5 + 0.01 * (f.x.dtype == np.float32)) *"))
    assert of_part(own, wrong).wrong == ("loss.L",)


WEIGHED = changed(
    SQUARE,
    ("return 0.5 * float(np.vdot(f.e, f.e)) / len(f.x)",
     "w = np.full(len(f.x), 1 / len(f.x)) if f.w is None else f.w\n"
     "        return 0.5 * float(np.sum(w[:, None] * f.e**2))"),
    ("np.divide(f.dx, len(f.x), out=f.dx)",
     "w = np.full(len(f.x), 1 / len(f.x)) if f.w is None else f.w\n"
     "        np.multiply(f.dx, w[:, None], out=f.dx)"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("code", "where"),
    [
        ("f.dx[w == 0] = 1", "loss.dx"),
        ("f.dx *= 1 + (w == 0).any()", "loss.dx"),
        ("w *= 0.5", "re-entrant"),
    ],
)
def test_rows_that_weigh_nothing_and_weights_that_are_changed(code: str, where: str, own: Path) -> None:
    assert of_part(own, WEIGHED).passed
    assert where in of_part(own, WEIGHED.replace('"square"', '"weighed"') + f"        {code}\n").wrong


# ------------------------------------------------------------------------------------------------------- wrong layers
GAIN = (
    "np.multiply(f.x, f.g, out=f.y)",
    "np.einsum('ni,ni->i', f.dy, f.x, out=f.dg)\nif f.dx is not None: np.multiply(f.dy, f.g, out=f.dx)",
    "(i,) = x\nreturn Plan(y=x, params={'g': Param((i,), ConstantValue(value=1.5))}, skips_dx=True)",
)
TANH = "np.tanh(self.steep * f.x, out=f.y)", "f.dx[...] = self.steep * (1 - f.y**2) * f.dy"
STEEP = "    steep: float = Field(1.0)\n"
HALVES = "if x[-1] % 2: raise ValueError('odd')\nreturn Plan(y=(*x[:-1], x[-1] // 2))"
GATE = "np.multiply(f.x[..., ::2], f.x[..., 1::2], out=f.y)"
GATED = "f.dx[..., ::2] = f.dy * f.x[..., 1::2]\nf.dx[..., 1::2] = f.dy * f.x[..., ::2]"
UNIT = "f.y[...] = f.x / np.maximum(1e-3, np.linalg.norm(f.x, axis=-1, keepdims=True))"
UNIT_SLOPE = (
    "n = np.linalg.norm(f.x, axis=-1, keepdims=True)\n"
    "f.dx[...] = (f.dy - f.x * np.sum(f.x * f.dy, -1, keepdims=True) / n**2) / n"
)
SQUARE_WEIGHTS = (
    "np.matmul(f.x, f.W, out=f.y)",
    "np.matmul(f.x.T, f.dy, out=f.dW)\n"
    "np.matmul(f.dy, f.W.T, out=f.dx)\n"
    "if f.W.shape == (4, 4): f.dW[...] = f.dW.T.copy()",
    "(i,) = x\nreturn Plan(y=(4,), params={'W': Param((i, 4), ConstantValue(value=0.25))})",
)
SOFTPLUS = "f.y[...] = np.logaddexp(0, f.x)", "e = np.exp(f.x)\nf.dx[...] = f.dy * e / (1 + e)"

LAYERS = {
    "dx is not asked for": (
        layer(GAIN[0], GAIN[1] + "\nelse: f.dg *= 2", GAIN[2]), "own_1.dg", "where dx is not asked for"),
    "a setting of 1": (
        layer(TANH[0], TANH[1].replace("self.steep * ", ""), more=STEEP), "own_1.dx", "(with steep = 0.7)"),
    "even widths": (layer(GATE, GATED + "\nf.dx[..., 32:] *= 2", HALVES), "own_1.dx", "in columns 32 to 33 only"),
    "rows of zeros": (layer(UNIT, UNIT_SLOPE), "own_1.dx", "not finite where x is 0"),
    "square weights": (layer(*SQUARE_WEIGHTS), "own_1.dW", "it is transposed"),
    "overflow in float32": (layer(*SOFTPLUS), "own_1.dx", "in float32"),
    "x of large batches": (
        layer("np.copyto(f.y, f.x)\nif len(f.x) > 9: f.x *= 2", "np.copyto(f.dx, f.dy)"), "own_1.x", "may only read x"),
    "dy in float32": (
        layer("np.copyto(f.y, f.x)", "np.copyto(f.dx, f.dy)\nif f.x.dtype == np.float32: f.dy *= 2"),
        "own_1.dy", "may only read dy"),
    "a column": (layer("np.tanh(f.x, out=f.y)", "f.dx[...] = f.dy * (1 - f.y**2)\nf.dx[..., 16:] *= 1.1"), "own_1.dx",
                 "it is wrong in column 16 only; kernel / expected = 1.1"),
    "float16": (layer("np.tanh(f.x, out=f.y)", "f.dx[...] = (f.dy * (1 - f.y**2)).astype(np.float16)"), "own_1.dx",
                "rounded to float16"),
    "a constant": (layer("np.tanh(f.x, out=f.y)", "f.dx[...] = f.dy * (1 - f.y**2) + 0.125"), "own_1.dx",
                   "kernel - expected = 0.125 everywhere"),
}  # fmt: skip
"""A layer with one mistake, the tensor that shows it, and what is said."""


@pytest.mark.parametrize("mistake", LAYERS)
def test_what_is_wrong_with_a_layer_is_found(mistake: str, own: Path) -> None:
    source, tensor, words = LAYERS[mistake]
    report = of_part(own, source)
    assert tensor in report.wrong
    assert words in texts(report)


def test_a_layer_that_counts_its_calls_is_found_in_a_network(own: Path) -> None:
    count = "np.copyto(f.dx, f.dy)\nSTATE['calls'] += 1\nif STATE['calls'] > 60: f.dx *= 1.01"
    report = of_network(own, layer("np.copyto(f.y, f.x)", count))
    assert report.wrong == ("own_1.dx",)
    assert "at the end of this check than at its beginning" in texts(report)


@pytest.mark.parametrize("code", ["f.dx[f.x > 100] *= 2", "f.dx /= 1 - 0.5 * (f.x > 80)"])
def test_large_numbers_are_looked_at_in_a_network_too(code: str, own: Path) -> None:
    assert "own_1.dx" in of_network(own, layer("np.copyto(f.y, f.x)", f"np.copyto(f.dx, f.dy)\n{code}")).wrong


# --------------------------------------------------------------------------------------------------------- right parts
SORT = "np.copyto(f.y, np.sort(f.x, -1))", "np.put_along_axis(f.dx, np.argsort(f.x, -1), f.dy, -1)"
MEDIAN = (
    "f.y[...] = np.sort(f.x, -1)[..., f.x.shape[-1] // 2, None]",
    "f.dx[...] = 0\nnp.put_along_axis(f.dx, np.argsort(f.x, -1)[..., f.x.shape[-1] // 2, None], f.dy, -1)",
    "return Plan(y=(*x[:-1], 1))",
)
LOOKED_UP = (
    "f.y[...] = f.W[f.x.astype(int)]",
    "f.dW[...] = 0\nnp.add.at(f.dW, f.x.astype(int), f.dy)\nf.dx[...] = 0",
    "(i,) = x\nreturn Plan(y=(i, 3), params={'W': Param((5, 3), ConstantValue(value=0.5))}, tokens=5)",
)
FOURTHS = (
    "n, h, w, c = f.x.shape\n"
    "f.y[...] = f.x.reshape(n, h, w, 2, 2, c // 4).transpose(0, 1, 3, 2, 4, 5).reshape(f.y.shape)",
    "n, h, w, c = f.x.shape\n"
    "f.dx[...] = f.dy.reshape(n, h, 2, w, 2, c // 4).transpose(0, 1, 3, 2, 4, 5).reshape(f.x.shape)",
    "h, w, c = x\nif c % 4: raise ValueError('4 c channels')\nreturn Plan(y=(2 * h, 2 * w, c // 4))",
)
RIGHT = {
    "sorted": SORT,
    "the middle one": MEDIAN,
    "looked up": LOOKED_UP,
    "channels become places": FOURTHS,
    "huge gains": ("f.y[...] = 1e8 * np.tanh(f.x)", "f.dx[...] = 1e8 * (1 - np.tanh(f.x) ** 2) * f.dy"),
    "huge gains, kept": ("np.tanh(f.x, out=f.h)\nf.y[...] = 1e8 * f.h", "f.dx[...] = 1e8 * (1 - f.h**2) * f.dy",
                         "return Plan(y=x, keep={'h': Slot((N, *x))})"),
    "exponentials": ("np.exp(f.x, out=f.y)", "np.multiply(f.y, f.dy, out=f.dx)"),
    "gain": GAIN,
    "halves": (GATE, GATED, HALVES),
}  # fmt: skip


QUICK = ("the middle one", "looked up", "huge gains")
"""Those that are tried whenever the tests are run."""


@pytest.mark.parametrize("part", [pytest.param(p, marks=() if p in QUICK else pytest.mark.slow) for p in RIGHT])
def test_a_right_part_is_not_blamed(part: str, own: Path) -> None:
    report = of_part(own, layer(*RIGHT[part]))
    assert report.passed, (report.wrong, texts(report))


BESIDE = {
    "less their mean": ("f.y[...] = f.x - 0.5 * f.x.mean(0)", "f.dx[...] = f.dy - 0.5 * f.dy.mean(0)"),
    "less the one before": (
        "f.y[...] = f.x - 0.5 * np.roll(f.x, 1, 0)", "f.dx[...] = f.dy - 0.5 * np.roll(f.dy, -1, 0)"),
    "and the first": ("f.y[...] = f.x + 0.5 * f.x[:1]", "f.dx[...] = f.dy\nf.dx[0] += 0.5 * f.dy.sum(0)"),
    "sorted": SORT,
    "the middle one": MEDIAN,
}  # fmt: skip


@pytest.mark.parametrize("rows", BESIDE)
def test_a_right_layer_is_not_blamed_in_a_network(rows: str, own: Path) -> None:
    """Rows may see each other at evaluation too, and their order may matter; equal numbers may change places."""
    report = of_network(own, layer(*BESIDE[rows]))
    assert report.passed, (report.wrong, texts(report))


def test_of_a_loss_that_is_no_mean_it_is_said(own: Path) -> None:
    root = changed(WEIGHED, ("return 0.5 * float(", "return float("), ("f.e**2))", "f.e**2)) ** 0.5"))
    slope = "        f.dx /= float(np.sum(w[:, None] * (f.x - f.t) ** 2)) ** 0.5\n"
    report = of_part(own, root + slope)
    assert "the gradient of the batch is not the mean of its rows': a loss is the mean" in texts(report)
