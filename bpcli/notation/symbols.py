"""What every drawing of an equation shares: symbols for names, figures for numbers, what binds tighter than what, and
the textbook form of the functions that are evaluated in a stabler one."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum

from bpcli.notation.syntax import Binary, Call, Expr, Number, Reduce

GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "eps": "ε", "eta": "η", "theta": "θ", "lam": "λ", "mu": "μ",
    "nu": "ν", "xi": "ξ", "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ", "cdf": "Φ", "pdf": "φ", "psi": "ψ",
    "omega": "ω", "inf": "∞",
}  # fmt: skip
"""Greek letters and signs; `cdf` and `pdf` are those of the normal distribution."""

SPELLED = {
    "epsilon": "eps", "lambda": "lam", "strength": "lam", "lr": "eta", "b1": "beta1", "b2": "beta2", "var": "sigma",
    "sd": "sigma",
}  # fmt: skip
"""Names that are drawn as another: the textbooks' letters for settings with whole words as names."""

SQUARES = {"var"}  # their symbol carries a square of its own: the variance is sigma squared


class Level(IntEnum):
    """How tightly an expression holds together; one that is looser than its surroundings gets parentheses."""

    SUM = 1
    QUOTIENT = 2  # also a sum over an index, which takes in all factors that follow
    PRODUCT = 3
    FACTOR = 4  # a fraction: no parentheses among factors, but as a base
    POWER = 5
    ATOM = 6


@dataclass(frozen=True)
class Symbol:
    """How a name is drawn. `name` is the name itself, without `_new` and the d of a gradient."""

    name: str
    letter: str  # a Latin or Greek letter, or a word
    digits: str  # lowered: beta1
    hat: bool
    square: bool
    new: bool  # after the step: a raised plus
    gradient: bool  # the derivative of L by it


def gradient_of(name: str, known: Collection[str]) -> str | None:
    """Returns `W` for `dW` where W is an array or a left side of the part; None for `decay` and `delta`."""
    return name[1:] if name.startswith("d") and name[1:] in known else None


def symbol_of(name: str, known: Collection[str] = ()) -> Symbol:
    """Returns the symbol for a name; `known` are the arrays and left sides of the part."""
    old = name.removesuffix("_new") or name
    plain = gradient_of(old, known) or old
    letter = SPELLED.get(plain, plain)
    stem = letter.rstrip("0123456789")
    if not stem or not (len(stem) == 1 or stem in GREEK):
        stem = letter
    hat = len(stem) == 4 and stem.endswith("hat")
    return Symbol(
        name=plain,
        letter=stem[0] if hat else GREEK.get(stem, stem),
        digits=letter[len(stem) :],
        hat=hat,
        square=plain in SQUARES,
        new=old != name,
        gradient=plain != old,
    )


def format_number(value: float, digits: int | None = None) -> str:
    """Returns a number in `digits` significant digits, trailing zeros kept; as written where it has no more digits than
    that, or where `digits` is None. Small and large ones as 1.5e-7."""
    if isinstance(value, int):
        return str(value)
    if not math.isfinite(value):
        return {math.inf: "inf", -math.inf: "-inf"}.get(value, "nan")
    exact = Decimal(repr(value)).normalize() if value else Decimal(0)
    if digits is None or len(exact.as_tuple().digits) <= digits:
        return _plain(exact, 15)
    return _plain(Decimal(f"{value:.{digits - 1}e}"), digits)


def _plain(number: Decimal, most: int) -> str:
    """Writes a number positionally with at most `most` digits before the point or three zeros after it, else with an
    exponent."""
    if -4 <= number.adjusted() < most:
        return f"{number:f}"
    mantissa, exponent = f"{number:e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def textbook_form(node: Expr) -> Expr:
    """Returns the expression that a stably evaluated function or reduction stands for; any other, unchanged."""
    one = Number(1)
    match node:
        case Call(fn="log1pexp", args=(z,)):
            return Call("log", (Binary("+", one, Call("exp", (z,))),))
        case Call(fn="log1p", args=(z,)):
            return Call("log", (Binary("+", one, z),))
        case Call(fn="expm1", args=(z,)):
            return Binary("-", Call("exp", (z,)), one)
        case Call(fn="xlogy", args=(a, b)):
            return Binary("*", a, Call("log", (b,)))
        case Call(fn="pad", args=(read, *_)):
            return read
        case Reduce(fn="logsumexp", over=over, body=body):
            return Call("log", (Reduce("sum", over, Call("exp", (body,))),))
        case Reduce(fn="norm", over=over, body=body):
            return Call("sqrt", (Reduce("sum", over, Binary("**", body, Number(2))),))
        case Reduce(fn="mean", over=over, body=body):
            return Binary("*", Binary("/", one, Reduce("count", over, one)), Reduce("sum", over, body))
    return node
