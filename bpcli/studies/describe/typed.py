"""Equations as somebody types them on the command line: read, or pointed at where they cannot be."""

from collections.abc import Sequence

from bpcli.notation import Eq, NotationError
from bpcli.notation.derive.backward import values
from bpcli.notation.derive.letters import bound_in
from bpcli.notation.syntax import Equation, Name, Read, parse, sides, walk
from bpcli.records.training import Exit, Failure, Problem

EXAMPLE = "'y[n,o] = sum(i, x[n,i] * W[i,o])'"


def formula(text: str) -> Eq:
    """Returns a typed equation. Raises NotationError where no `=` stands between two sides, and Failure, which points
    at the place, where a side cannot be read."""
    left, sign, right = sides(text)
    if not (sign and left and right):
        raise NotationError(f"{text!r} is no equation", f"write left = right: {EXAMPLE}")
    _read(text, Eq(left, "0"), left, len(text) - len(text.lstrip()))
    _read(text, Eq("y", right), right, len(text.rstrip()) - len(right))
    return Eq(left, right)


def _read(text: str, equation: Eq, side: str, start: int) -> None:
    try:
        parse(equation)
    except NotationError as error:
        first, end = error.at or (0, len(side))
        problem = Problem(
            str(error), "formula", line=1, column=start + first + 1, span=max(1, end - first),
            excerpt=((1, text),) if "\n" not in text else (), help=typed_help(error),
        )  # fmt: skip
        raise Failure(problem, exit=Exit.USAGE) from None


def typed_help(error: NotationError) -> str:
    """Returns the help of an equation that cannot be read, for whoever typed it."""
    return error.help if "Eq(" not in error.help else f"an equation is left = right: {EXAMPLE}"


def check_indices(equations: Sequence[Equation]) -> None:
    """Raises NotationError where an index of an array runs over nothing: a sum that was left out, mostly. A letter that
    is computed with besides is a number."""
    computed = {e.name for e in equations}
    for e in equations:
        numbers = {n.id for n in values(e.right) if isinstance(n, Name)}
        known = {*bound_in(e), *computed, *numbers}
        for read in (n for n in walk(e.right) if isinstance(n, Read)):
            for k in (i.id for i in read.index if isinstance(i, Name)):
                if len(k) == 1 and k.islower() and k not in known:
                    raise NotationError(
                        f"{e.source.left} = {e.source.right}: the index {k} of {read.array} runs over nothing",
                        f"sum over it, sum({k}, ...), or let the left side have it",
                    )
