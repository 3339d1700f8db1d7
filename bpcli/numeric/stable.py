"""Functions that neither overflow nor lose the small end, in float32 and float64, for kernels.

They write into `out`, allocate nothing, and use whole-array operations only (no masks), because small networks
pay for each call and not for each entry. Nothing here needs `np.errstate`; underflow to 0 is meant.
"""

import math

import numpy as np

from bpcli.numeric.shapes import Array

# erf(x) = sign(x) (1 - e^-(a + a p(a))), a = |x|: the exponent -log(erfc(a)) is a + a p(a) with a smooth, small p, so
# that little of p's rounding is left in it. p is the minimax polynomial of its degree for the relative error of erf
# (Remez exchange in 60 digits, with weight a erfc(a) / erf(a)), up to where erf rounds to 1. The fit itself is off by
# 2.2e-17; what remains is rounding.
_ERF = (
    0.12837916709551256, 0.6366197723675909, 0.10277260330131557, -0.019128446993097497, -0.00020919485389000265,
    0.0016962076696178307, -0.0005901324288608723, 2.5904494941371844e-05, 6.442048526624396e-05,
    -2.9575694700946417e-05, 3.1697133924619512e-06, 3.1329134744650716e-06, -2.0371442417760294e-06,
    5.70600843132891e-07, -1.1690232337061006e-08, -6.574169762865132e-08, 3.458778602225369e-08,
    -1.0774181740435238e-08, 2.360697071002354e-09, -3.7610140127003383e-10, 4.3021525568371714e-11,
    -3.3646556018138946e-12, 1.615027678069125e-13, -3.5925665550799074e-15,
)  # fmt: skip
_ERF_END = 6.0  # erf is 1 from here on


# The normal distribution's left tail is e^(-a^2 / 2) / (sqrt(2 pi) (a + p(a))) for a >= 0: p falls from 0.8 as 1 / a,
# so that far out little of its error is left in the tail. Each p is the rational minimax approximation of its degrees
# up to 39 for the relative error of the tail (Remez exchange in 120 digits); all coefficients are positive, so that
# nothing cancels. The fits are off by 4.1e-18 and 1.5e-9.
_TAIL_64 = (
    (0.7978845608028654, 0.9884002568953797, 0.6260910521835885, 0.2574546545700198, 0.07464213352432043,
     0.01570555132766497, 0.0023918869236834446, 0.00025455573592376334, 1.7272844739062283e-05,
     5.761672263810447e-07),
    (1.0, 1.6942055918058856, 1.41966032978237, 0.7617388318393578, 0.2873633114297463, 0.07932223515169919,
     0.016211207161503774, 0.002426432574495407, 0.00025570807112222107, 1.7272844730386944e-05,
     5.761672264265901e-07),
)  # fmt: skip
_TAIL_32 = (
    (0.7978845619, 0.522292585, 0.1762647354, 0.03253101979, 0.002814057578),
    (1.0, 1.110026372, 0.5898327402, 0.1817276875, 0.03253706293, 0.002813969922),
)  # fmt: skip
TAIL_END = 39.0  # the tail is 0 from here on, in float64
_BELL_END = {"f": 15.0, "d": 63.0}  # e^(-a^2 / 4), squared and multiplied by a, is 0 from here on
_SPLIT = {"f": 1.5 * 2.0**15, "d": 1.5 * 2.0**32}
"""Added to a number below 16 (64) and taken away again, it leaves 12 (26) binary digits, whose square is exact."""


def erf(x: Array) -> Array:
    """Returns the error function, entry by entry, of an array of float64.

    Accuracy: 4e-16, absolute and relative; odd, NaN stays NaN, erf(+-inf) is +-1.
    """
    a, out = np.empty_like(x), np.empty_like(x)
    np.minimum(np.abs(x, out=a), _ERF_END, out=a)
    _polynomial(_ERF, a, out)
    np.multiply(out, a, out=out)
    np.add(out, a, out=out)
    np.negative(out, out=out)
    np.expm1(out, out=out)
    return np.copysign(out, x, out=out)


def erfc(x: Array) -> Array:
    """Returns 1 - erf(x), entry by entry, of an array of float64, with both tails to the last digits.

    Accuracy: 4 units of the last place down to the smallest subnormal number; NaN stays NaN, erfc(-inf) is 2.
    """
    a, bell, far, s, t = (np.empty_like(x) for _ in range(5))
    np.minimum(np.abs(x, out=a), TAIL_END / math.sqrt(2), out=a)
    np.multiply(a, 2, out=t)
    gauss_root(t, bell, s, far)  # e^(-a^2)
    np.multiply(a, math.sqrt(2), out=t)
    mills(t, far, s)
    np.multiply(far, 2, out=far)
    np.multiply(far, bell, out=far)
    return np.where(x < 0, 2 - far, far)


def mills(a: Array, out: Array, scratch: Array) -> Array:
    """Computes Mills' ratio over sqrt(2 pi), for a from 0 to TAIL_END: r(a) with Phi(-a) = e^(-a^2 / 2) r(a), and Phi
    the normal distribution."""
    top, bottom = _TAIL_32 if a.dtype.char == "f" else _TAIL_64
    _polynomial(top, a, out)
    _polynomial(bottom, a, scratch)
    np.divide(out, scratch, out=out)
    np.add(out, a, out=out)
    return np.divide(1 / math.sqrt(2 * math.pi), out, out=out)


def _polynomial(coefficients: tuple[float, ...], a: Array, out: Array) -> None:
    """Writes c_0 + c_1 a + ..., by Horner's rule."""
    *rest, last = coefficients
    np.multiply(a, last, out=out)
    for c in rest[:0:-1]:
        np.add(out, c, out=out)
        np.multiply(out, a, out=out)
    np.add(out, rest[0], out=out)


def gauss_root(a: Array, out: Array, scratch: Array, other: Array) -> Array:
    """Returns e^(-a^2 / 4), the root of the bell curve, to the last digits, for a >= 0; multiplied in twice, it
    underflows only where the product does. Far out, where its square is 0, it stays where it is.

    a^2 is not rounded, which would cost up to a^2 / 4 units of the last place: it is h^2 + (a - h) (a + h) with h the
    first half of a's digits. h^2 is exact, and of the small rest d the first terms of e^d are all there is.
    """
    split = _SPLIT[a.dtype.char]
    np.minimum(a, _BELL_END[a.dtype.char], out=other)
    np.add(other, split, out=scratch)
    np.subtract(scratch, split, out=scratch)
    np.subtract(scratch, other, out=out)
    np.add(scratch, other, out=other)
    np.multiply(out, other, out=out)
    np.multiply(out, 0.25, out=out)  # d
    np.multiply(scratch, scratch, out=other)
    np.multiply(other, -0.25, out=other)
    np.exp(other, out=other, dtype=np.float64, casting="same_kind")  # NumPy's own in float32 is off by 2.2 ulp
    _polynomial((1.0, 1 / 2, 1 / 6), out, scratch)
    np.multiply(scratch, out, out=scratch)  # e^d - 1
    np.multiply(scratch, other, out=scratch)
    return np.add(other, scratch, out=out)


def sigmoid(x: Array, out: Array, scratch: Array) -> Array:
    """Returns 1 / (1 + e^-x), with both tails to the last bits; `out` may be `x`, `scratch` has x's shape."""
    exp_minus_abs(x, scratch)
    np.greater_equal(x, 0, out=out)
    np.maximum(out, scratch, out=out)  # 1 on the right, e^x on the left
    np.add(scratch, 1, out=scratch)
    return np.divide(out, scratch, out=out)


def sigmoids(x: Array, p: Array, q: Array, scratch: Array) -> None:
    """Writes p = sigmoid(x) and q = sigmoid(-x) = 1 - p, both with both tails to the last bits."""
    exp_minus_abs(x, scratch)
    np.greater_equal(x, 0, out=p)
    np.maximum(p, scratch, out=p)
    np.less(x, 0, out=q)
    np.maximum(q, scratch, out=q)
    np.add(scratch, 1, out=scratch)
    np.divide(p, scratch, out=p)
    np.divide(q, scratch, out=q)


def exp_minus_abs(x: Array, out: Array) -> Array:
    """Returns e^-|x|, from which sigmoid, tanh and their slopes come without a loss at either end; `out` is not `x`."""
    np.negative(x, out=out)
    np.minimum(out, x, out=out)
    return np.exp(out, out=out)


def softmax(x: Array, out: Array, row_scratch: Array) -> Array:
    """Returns e^x over its sum along the last axis; `out` may be `x`, `row_scratch` has x's shape with a last axis of
    1.

    A row of nothing but -inf has no softmax.
    """
    np.maximum.reduce(x, axis=-1, keepdims=True, out=row_scratch)
    np.subtract(x, row_scratch, out=out)
    np.exp(out, out=out)
    np.add.reduce(out, axis=-1, keepdims=True, out=row_scratch)
    return np.divide(out, row_scratch, out=out)


def flush(x: Array, scratch: Array) -> None:
    """Sets subnormal numbers to 0, in place; `scratch` has x's shape and type."""
    np.abs(x, out=scratch)
    np.greater_equal(scratch, np.finfo(x.dtype).tiny, out=scratch)
    np.multiply(x, scratch, out=x)
