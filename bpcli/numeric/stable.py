"""Functions that neither overflow nor lose the small end, in float32 and float64, for kernels.

They write into `out`, allocate nothing, and use whole-array operations only (no masks), because small networks
pay for each call and not for each entry. Nothing here needs `np.errstate`; underflow to 0 is meant.
"""

from __future__ import annotations

import numpy as np

from bpcli.numeric.shapes import Array

# erf(x) = sign(x) (1 - e^-(a + a p(a))), a = |x|: the exponent -log(erfc(a)) is a + a p(a) with a smooth, small p, so
# that little of p's rounding is left in it. Each p is the minimax polynomial of its degree for the relative error of
# erf (Remez exchange in 60 digits, with weight a erfc(a) / erf(a)), up to where erf rounds to 1. The fit itself is off
# by 2.2e-17 and 4.1e-9; what remains is rounding.
_ERF_64 = (
    0.12837916709551256, 0.6366197723675909, 0.10277260330131557, -0.019128446993097497, -0.00020919485389000265,
    0.0016962076696178307, -0.0005901324288608723, 2.5904494941371844e-05, 6.442048526624396e-05,
    -2.9575694700946417e-05, 3.1697133924619512e-06, 3.1329134744650716e-06, -2.0371442417760294e-06,
    5.70600843132891e-07, -1.1690232337061006e-08, -6.574169762865132e-08, 3.458778602225369e-08,
    -1.0774181740435238e-08, 2.360697071002354e-09, -3.7610140127003383e-10, 4.3021525568371714e-11,
    -3.3646556018138946e-12, 1.615027678069125e-13, -3.5925665550799074e-15,
)  # fmt: skip
_ERF_32 = (
    0.1283791716, 0.6366193822, 0.1027778279, -0.01915305345, -0.0001604151172, 0.00166704463, -0.0006328443754,
    0.0001176426305, -9.256312967e-06,
)  # fmt: skip
_ERF_END = {"f": 4.0, "d": 6.0}  # erf is 1 from here on

_EXP_END = {"f": 87.0, "d": 708.0}  # e^z is finite, and e^-z a normal number, up to here


def erf(x: Array, out: Array | None = None) -> Array:
    """The error function, entry by entry, of a floating-point array; a new array where `out` is None.

    Accuracy: 4e-16 in float64 and 2.4e-7 in float32, absolute and relative; odd, NaN stays NaN, erf(+-inf) is +-1.
    """
    out = np.empty_like(x) if out is None else out
    return erf_into(x, out, np.empty_like(x))


def erf_into(x: Array, out: Array, scratch: Array) -> Array:
    """`erf` for kernels: writes `out`, which is not `x`, and needs one scratch array of x's shape and type."""
    first, *rest = _ERF_32[::-1] if x.dtype.char == "f" else _ERF_64[::-1]
    a = np.minimum(np.abs(x, out=scratch), _ERF_END[x.dtype.char], out=scratch)
    np.multiply(a, first, out=out)
    for c in rest:
        np.add(out, c, out=out)
        np.multiply(out, a, out=out)
    np.add(out, a, out=out)
    np.negative(out, out=out)
    np.expm1(out, out=out, dtype=np.float64, casting="same_kind")  # NumPy's own in float32 is off by 2.3 ulp
    return np.copysign(out, x, out=out)


def sigmoid(x: Array, out: Array) -> Array:
    """1 / (1 + e^-x), with both tails to the last bits; `out` may be `x`.

    Left of -87 (float32) or -708 (float64) it stays at its value there, the smallest that is not subnormal.
    """
    np.maximum(x, -_EXP_END[x.dtype.char], out=out)
    np.negative(out, out=out)
    np.exp(out, out=out)
    np.add(out, 1.0, out=out)
    return np.reciprocal(out, out=out)


def log1pexp(x: Array, out: Array, scratch: Array) -> Array:
    """log(1 + e^x) as max(x, 0) + log1p(e^-|x|); `out` may be `x`, `scratch` has x's shape."""
    np.copysign(x, -1.0, out=scratch)
    np.exp(scratch, out=scratch)
    np.log1p(scratch, out=scratch)
    np.maximum(x, 0.0, out=out)
    return np.add(out, scratch, out=out)


def softmax(x: Array, out: Array, row_scratch: Array) -> Array:
    """e^x over its sum along the last axis; `out` may be `x`, `row_scratch` has x's shape with a last axis of 1.

    A row of nothing but -inf has no softmax.
    """
    np.maximum.reduce(x, axis=-1, keepdims=True, out=row_scratch)
    np.subtract(x, row_scratch, out=out)
    np.exp(out, out=out)
    np.add.reduce(out, axis=-1, keepdims=True, out=row_scratch)
    return np.divide(out, row_scratch, out=out)


def logsumexp(x: Array, out: Array, scratch: Array, row_scratch: Array) -> Array:
    """log of the sum of e^x along the last axis.

    `out` and `row_scratch` have x's shape with a last axis of 1; `scratch` has x's shape and may be `x`. It is left
    holding e^(x - max x). A row of nothing but -inf has none.
    """
    np.maximum.reduce(x, axis=-1, keepdims=True, out=out)
    np.subtract(x, out, out=scratch)
    np.exp(scratch, out=scratch)
    np.add.reduce(scratch, axis=-1, keepdims=True, out=row_scratch)
    np.log(row_scratch, out=row_scratch)
    return np.add(out, row_scratch, out=out)


def flush(x: Array, scratch: Array) -> None:
    """Sets subnormal numbers to 0, in place; `scratch` has x's shape and type."""
    np.abs(x, out=scratch)
    np.greater_equal(scratch, np.finfo(x.dtype).tiny, out=scratch)
    np.multiply(x, scratch, out=x)
