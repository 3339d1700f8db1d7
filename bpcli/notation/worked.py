"""One entry of an equation with its numbers put in: `dW[0,1] = 0.7·(−0.11875761) = −0.083130`.

The printed digits are true: whoever computes the printed line from its printed digits gets the printed result. So the
numbers of a line get more digits, all alike, until it closes; `calculator.reevaluate` is the judge.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from bpcli.notation.calculator import reevaluate
from bpcli.notation.evaluate import Grid
from bpcli.notation.functions import real
from bpcli.notation.rounding import value_and_scale
from bpcli.notation.substitute import Substitution
from bpcli.notation.syntax import Expr
from bpcli.notation.text import Ascii, Text
from bpcli.numeric.shapes import entry_name
from bpcli.numeric.vectors import EPS

_EXACT = 17  # significant digits that give a double back
_NOISE_RTOL = 64 * EPS  # share of the size of a sum that rounding leaves of 0
_SMALLEST = 1e-300  # magnitude below which an underflow may have made a number 0


@dataclass(frozen=True)
class Worked:
    """A worked line. `tree` is the substituted expression and `digits` the significant digits of its numbers, for
    readers other than text; `notes` say what the line itself does not (terms that are 0, the branch taken, the winner,
    rounding)."""

    left: str
    substituted: str
    result: str
    value: float
    closes: bool
    notes: tuple[str, ...]
    tree: Expr
    digits: int

    @property
    def line(self) -> str:
        """Left side, numbers and result as one line."""
        return f"{self.left} = {self.substituted} {'=' if self.closes else '≈'} {self.result}"


def work_out_entry(
    grid: Grid, env: Mapping[str, Any], at: tuple[int, ...], digits: int = 6, terms: int = 6, ascii: bool = False
) -> Worked:
    """Returns the entry `at` of a compiled equation's left side; `env` holds every array and number that the equation
    reads.

    Results and numbers show `digits` significant digits, and more where the line needs them to close; a number with
    fewer digits is printed as it is. A sum shows at most `terms` terms: the biggest, and the rest as one number.
    """
    digits = min(digits, _EXACT)
    reader = Ascii if ascii else Text
    index = dict(zip(grid.free, at, strict=True))
    numbers = Substitution(grid, env, max(terms, 2), reader(digits=digits))
    tree = numbers.substitute(grid.equation.right, index)
    notes = numbers.notes
    value = shown = float(real(grid.at(env, grid.equation.right, index)))
    size = value_and_scale(tree)[1]
    if 0 < abs(value) <= _NOISE_RTOL * size < np.inf:
        shown = 0.0
        notes.append("rounding")
    closed = _close(tree, shown, size, digits, reader)
    if shown == 0 and reevaluate(closed.text) != 0:
        notes.append("rounding")
    if 0 < closed.digits < digits:
        notes.append(f"cancellation leaves {closed.digits} digits")
    return Worked(
        left=entry_name(grid.name, at),
        substituted=closed.text,
        result=reader(digits=closed.digits or digits).number(closed.result).text,
        value=value,
        closes=closed.digits > 0,
        notes=tuple(dict.fromkeys(notes)),
        tree=tree,
        digits=closed.operands,
    )


class _Closed(NamedTuple):
    """A printed line: to how many `digits` its `result` is true (0: to none), with how many in its `operands`."""

    text: str
    result: float
    digits: int
    operands: int


def _close(tree: Expr, value: float, size: float, digits: int, reader: type[Text]) -> _Closed:
    """Returns the line with as few digits in its numbers as close it.

    With all their digits, what the line comes to is the result (0.7 times 0.12 is 0.084, whatever doubles make of it).
    Should that not close, the result lies on the edge of rounding (one digit more decides), or has lost digits to
    cancellation (fewer are true).
    """
    whole = reader(digits=_EXACT).draw(tree).text
    for operands in range(digits, _EXACT):
        text = reader(digits=operands).draw(tree).text
        if text == whole:
            break
        if _same(reevaluate(text), value, size, digits):
            return _Closed(text, value, digits, operands)
    found = reevaluate(whole)
    for kept in (digits, digits + 1, digits + 2, *range(digits - 1, 0, -1)):
        if _same(found, value, size, kept):
            return _Closed(whole, found if value and kept >= digits else value, kept, _EXACT)
    return _Closed(whole, value, 0, _EXACT)


def _same(found: float, value: float, size: float, digits: int) -> bool:
    """Whether both print alike in that many digits; 0, to the digits of the terms it is the sum of."""
    if value == 0:
        return abs(found) <= max(0.5 * 10.0**-digits * size, _SMALLEST)
    return f"{found:.{digits - 1}e}" == f"{value:.{digits - 1}e}"
