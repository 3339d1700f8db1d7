"""The mathematics of a derivation in LaTeX, as the LaTeX document and the Markdown page both show it."""

import re
from collections.abc import Collection, Iterator, Sequence

import numpy as np

from bpcli.notation.latex import Latex
from bpcli.notation.reader import Drawn
from bpcli.notation.symbols import Level, format_number, symbol_of
from bpcli.notation.syntax import Binary, Expr
from bpcli.numeric.shapes import Array
from bpcli.records.trace import PathsTo, Quantity, WorkedEntry
from bpcli.render.trace.arrays import EDGE_ITEMS, PLANE_AXES, ROUND_TRIP_DIGITS, digits_to_close, shown_positions

MAX_CHARACTERS = 64  # characters of a display formula before a sum goes on in the next line
MAX_WHOLE_ROWS = 2 * EDGE_ITEMS  # rows and columns of an array that are all shown
MAX_SLICES = 4  # slices shown of an array of three or more axes

_ROWS = re.compile(r"\\begin\{(aligned|cases)\}(?:\[t\])?((?:(?!\\begin)[^\\]|\\(?!begin|end))*?)\\end\{\1\}")
_BREAK = re.compile(r"\\(?:left|begin)\b|\\(?:right|end)\b|[{}]| [+-] ")


class Display(Latex):
    """LaTeX whose long sums go on in the next line."""

    def __init__(self, known: Collection[str] = (), digits: int | None = None, of: str = "L") -> None:
        super().__init__(known, digits, of)
        self._summing = False  # inside a sum that is broken as a whole

    def draw(self, node: Expr) -> Drawn:
        inner, self._summing = self._summing, isinstance(node, Binary) and node.op in "+-"
        drawn = super().draw(node)
        self._summing = inner
        if inner or self._small or drawn.level != Level.SUM or visible_width(drawn.text) <= MAX_CHARACTERS:
            return drawn
        return drawn._replace(text=_in_rows(drawn.text))

    def rest(self, count: str, value: str) -> Drawn:
        return Drawn(f"{{{super().rest(count, value).text}}}")  # else a plus sign after it has no room


def _in_rows(text: str) -> str:
    """Returns a sum as rows, each as full as it may be."""
    rows = [""]
    for term in _terms(text):
        if rows[-1] and visible_width(rows[-1] + term) > MAX_CHARACTERS:
            rows.append("")
        rows[-1] += term
    aligned = r" \\ ".join("& " + row.strip() for row in rows)
    return rf"\begin{{aligned}}[t] {aligned} \end{{aligned}}" if len(rows) > 1 else text


def _terms(text: str) -> Iterator[str]:
    """Yields the terms of a sum, each with the sign before it; what stands inside brackets of any kind is not looked
    into."""
    depth = start = 0
    for match in _BREAK.finditer(text):
        token = match[0]
        if token in ("{", r"\left", r"\begin"):
            depth += 1
        elif token in ("}", r"\right", r"\end"):
            depth -= 1
        elif not depth and match.start() > start:
            yield text[start : match.start()]
            start = match.start()
    yield text[start:]


def visible_width(text: str) -> int:
    """Returns about how many characters wide a formula is."""
    before = ""
    while before != text:
        before = text
        text = _ROWS.sub(lambda m: max((_plain(row) for row in m[2].split(r"\\")), key=len), text)
        text = re.sub(r"[_^]\{([^{}]*)\}", lambda m: m[1][: (len(m[1]) + 1) // 2], text)
        text = re.sub(r"\\frac\{([^{}]*)\}\{([^{}]*)\}", lambda m: max(_plain(m[1]), _plain(m[2]), key=len), text)
        text = re.sub(r"\\(?:mathrm|hat|text|sqrt|underbrace|operatorname\*?)\{([^{}]*)\}", r"\1", text)
    return len(_plain(text))


def _plain(text: str) -> str:
    text = re.sub(r"\\(?:left|right)\b", "", text)
    text = re.sub(r"\\[a-zA-Z]+|\\.", "x", text)
    return re.sub(r"[{}\s&]", "", text)


# ----------------------------------------------------------------------------------------------------------- equations
def equation(q: Quantity) -> str:
    """Returns a quantity's general equation."""
    return Display(q.known).equation(q.equation)


def left_side(q: Quantity, at: Sequence[int] = ()) -> str:
    """Returns the symbol of a quantity, or of one of its entries."""
    return Latex(q.known).symbol(symbol_of(q.name, q.known), [str(i) for i in at]).text


def symbol(name: str) -> str:
    """Returns the symbol of a start value: W, x, beta1."""
    return Latex().symbol(symbol_of(name), ()).text


def worked(q: Quantity, e: WorkedEntry) -> tuple[str, str, str, str]:
    """Returns a worked entry: its left side, the numbers put in, = or what else stands there, the result. The numbers
    are nothing where they are the result itself."""
    numbers, found = Display(q.known, e.worked.digits).draw(e.worked.tree).text, result(e.worked.result)
    sign = "=" if e.worked.closes else r"\approx"
    return left_side(q, e.at), "" if numbers == found else numbers, sign, found


def result(printed: str) -> str:
    """Returns a printed result, `−2.5e-7`."""
    text = printed.replace("−", "-").replace("∞", "inf")
    return "-" * text.startswith("-") + Latex().numeral(text.lstrip("-"))


def numeral(value: float, digits: int) -> str:
    """Returns a number in that many significant digits."""
    return result(format_number(value, digits))


# -------------------------------------------------------------------------------------------------------------- arrays
def matrices(name: str, value: Array, digits: int, letters: Sequence[str] = ()) -> tuple[list[str], int]:
    """Returns `name = [...]` for an array; one of three or more axes as slices, and how many slices are not shown.

    `letters` are the indices of its equation, by which an image's axes are known from its channels.
    """
    array = np.asarray(value)
    if not array.size:
        return [], 0
    if array.ndim == 0:
        return [f"{name} = {numeral(array.item(), digits)}"], 0
    if array.ndim <= 2:
        return [f"{name} = {_matrix(array, digits)}"], 0
    last = array.ndim - 2, array.ndim - 1
    pairs = [tuple(i for i, letter in enumerate(letters) if letter in p) for p in PLANE_AXES]
    pair = next((p for p in pairs if len(p) == 2 and len(letters) == array.ndim), last)
    others = [i for i in range(array.ndim) if i not in pair]
    count = int(np.prod([array.shape[i] for i in others]))
    shown = []
    for k in range(min(count, MAX_SLICES)):
        fixed = dict(zip(others, map(int, np.unravel_index(k, [array.shape[i] for i in others])), strict=True))
        at = ",".join(str(fixed[i]) if i in fixed else r"\cdot" for i in range(array.ndim))
        index = tuple(fixed.get(i, slice(None)) for i in range(array.ndim))
        shown.append(f"{name}_{{{at}}} = {_matrix(array[index], digits)}")
    return shown, count - len(shown)


def _matrix(array: Array, digits: int) -> str:
    """Returns a vector or a matrix with its shape; of a big one the edges."""
    shape = r" \times ".join(map(str, array.shape))
    array = np.atleast_2d(array)
    rows, columns = (shown_positions(n, MAX_WHOLE_ROWS) for n in array.shape)
    lines: list[list[str]] = []
    for i in rows:
        if i is None:
            lines.append([r"\vdots" if j is not None else r"\ddots" for j in columns])
        else:
            lines.append([numeral(array[i, j].item(), digits) if j is not None else r"\cdots" for j in columns])
    inside = r" \\ ".join(" & ".join(line) for line in lines)
    return rf"\begin{{bmatrix}} {inside} \end{{bmatrix}}_{{{shape}}}"


# --------------------------------------------------------------------------------------------------------------- paths
def product(paths: PathsTo, number: int, digits: int) -> str:
    """Returns the factors of one path multiplied, with as many digits as let the line close."""
    hops = paths.paths[number]
    return _closing([h.value for h in hops], hops[-1].product, digits, times=True)


def total(paths: PathsTo, digits: int) -> str:
    """Returns the paths added up."""
    return _closing([hops[-1].product for hops in paths.paths], paths.total, digits, times=False)


def _closing(values: Sequence[float], value: float, digits: int, *, times: bool) -> str:
    """Returns values = value, true as printed: the product or sum of the printed digits is the printed result."""
    more = digits_to_close(values, value, digits, times=times)
    drawn = [numeral(v, more or ROUND_TRIP_DIGITS) for v in values]
    first, *others = (rf"\left({d}\right)" if d.startswith("-") else d for d in drawn)
    joined = r" \cdot ".join([first, *others]) if times else _in_rows(" + ".join([drawn[0], *others]))
    sign = "=" if more else r"\approx"
    return f"{joined} {sign} {numeral(value, digits)}"
