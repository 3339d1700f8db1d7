"""The claims of a derivation made by hand: a file of names and numbers."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from bpcli.config import yamlfile
from bpcli.config.compose import MAX_PROBLEMS
from bpcli.config.document import Position, SourceText, YamlNode, make_problem
from bpcli.config.scalars import FLOAT, backticks
from bpcli.records.training import Exit, Failure, Problem
from bpcli.studies.run.saving.regular_file import read_regular

CLAIM_FORM = "claims are lines of `name: number`, say `dense_1.dW[0,0]: -0.2165`"
CSV_FORM = 'claims are lines of name,number, say "dense_1.dW[0,0]",-0.2165'
HELP_BY_CODE = {
    "empty-file": CLAIM_FORM,
    "not-settings": CLAIM_FORM,
    "too-large": "",
    "not-text": "save it as plain text (UTF-8)",
}
"""What helps where a file of claims fails, in place of what helps with an experiment."""
ORDER_HELP = "the claims come first: bpcli mark CLAIMS CONFIG"
PAGES = {".md": "Markdown", ".markdown": "Markdown", ".tex": "LaTeX", ".html": "HTML"}
ANSWERS_HELP = "answers go into a YAML file, lines of `name: number`: bpcli mark answers.yaml CONFIG"

MAX_TABLE_BYTES = 16 << 20  # bytes of claims as CSV; a file of YAML has fewer
MIN_ODD_LINES = 5  # of a CSV, most of its lines, that are no claims: it is another table
RELATIVE_TOLERANCE = 1e-9  # relative error that calculators of ten or more digits leave
EXACT_DIGITS = 16  # significant digits that such a number counts as having
MAX_WHOLE_NUMBER_DIGITS = 3  # digits of a whole number that is meant exactly


@dataclass(frozen=True)
class Claim:
    """A number that is claimed. It is meant to half a `unit` of its last digit, or was cut off there. A whole
    number of at most three digits is meant exactly (unit 0), and one with a tolerance of its own to that."""

    name: str
    written: str
    value: float
    unit: float
    tolerance: float | None
    digits: int  # significant
    position: Position

    @property
    def half_width(self) -> float:
        """How far the number that was meant may lie from the one that was written."""
        return self.unit / 2 if self.tolerance is None else self.tolerance

    def fits(self, number: float, floor: float) -> bool:
        """Whether this is `number`, as far as it is written; `floor` is the rounding that is in any case allowed."""
        slack = floor + RELATIVE_TOLERANCE * abs(number)
        gap = abs(self.value - number)
        if gap <= self.half_width * (1 + RELATIVE_TOLERANCE) + slack:
            return True
        cut = self.tolerance is None and abs(self.value) <= abs(number) + slack and self.value * number >= 0
        return cut and gap < self.unit * (1 - RELATIVE_TOLERANCE)

    def problem(self, text: str, code: str, help: str) -> Problem:
        """Returns a problem with this claim, that points at its line."""
        return make_problem(self.position, text, path=(self.name,), code=code, help=help)


def read_claims(path: Path) -> list[Claim]:
    """Returns the claims in a YAML file, or in a CSV of name,value (by its ending). Raises Failure: exit 66 where there
    is no such file, 65 where it cannot be understood; all that is wrong at once."""
    if path.is_dir():
        raise _swapped(path, "a run folder" if (path / "run.json").is_file() else "a folder")
    if path.suffix == ".safetensors" and path.exists():
        raise _swapped(path, "a model")
    if path.suffix.lower() == ".csv":
        return _of_table(path)
    if path.suffix.lower() in PAGES and path.is_file():
        text = f"this is {PAGES[path.suffix.lower()]}, such as a worksheet, not a file of claims"
        raise Failure(Problem(text, "not-claims", file=str(path), help=ANSWERS_HELP))
    try:
        document = yamlfile.read(path)
    except Failure as failure:
        problems = [
            replace(p, help=HELP_BY_CODE.get(p.code, p.help.replace("experiment", "claims"))) for p in failure.problems
        ]
        raise Failure(*problems, exit=failure.exit) from None
    root = document.root
    if "architecture" in root.value:
        raise _swapped(path, "a config")
    return _checked(path, [(name, root.keys[name], child) for name, child in root.value.items()], CLAIM_FORM)


def _swapped(path: Path, what: str) -> Failure:
    problem = Problem(f"this is {what}, not a file of claims", "not-claims", file=str(path), help=ORDER_HELP)
    return Failure(problem, exit=Exit.NO_INPUT if path.is_dir() else Exit.BAD_INPUT)


def _of_table(path: Path) -> list[Claim]:
    try:
        text = read_regular(path, MAX_TABLE_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Failure(Problem("this is not a text file in UTF-8", "not-text", file=str(path), help=CSV_FORM)) from None
    except (OSError, ValueError) as error:
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        reason = "there is no such file" if missing else "the file cannot be read"
        if not missing and isinstance(error, OSError) and error.strerror:
            reason += f": {error.strerror}"
        problem = Problem(reason, "missing-file", file=str(path), help=CSV_FORM)
        raise Failure(problem, exit=Exit.NO_INPUT) from None
    source = SourceText(str(path), text)
    found: list[tuple[str, Position, YamlNode]] = []
    problems = []
    for number, line in enumerate(source.lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        position = Position(source, number, 1, len(line))
        try:
            cells = [c.strip() for c in next(csv.reader([line], strict=True, skipinitialspace=True))]
        except csv.Error:
            problems.append(make_problem(position, "this line is not CSV", code="not-csv", help="check its quotes"))
            continue
        if len(cells) < 2:
            problems.append(make_problem(position, "this line has no number", code="not-csv", help=CSV_FORM))
            continue
        name, value = ",".join(cells[:-1]), cells[-1]  # a name's own comma, where it is not in quotes
        if not found and not problems and name.lower() in ("name", "claim", "quantity"):
            continue
        found.append((name, position, YamlNode(value, position)))
    odd = sum("," in name.partition("[")[0] or FLOAT.fullmatch(name) is not None or _number(_text(value)) is None
              for name, _, value in found) + len(problems)  # fmt: skip
    if odd >= MIN_ODD_LINES and 2 * odd > len(found) + len(problems):
        text = f"this is another table, not a file of claims: {odd:,} of {len(found) + len(problems):,} lines are none"
        raise Failure(Problem(text, "not-claims", file=str(path), help=CSV_FORM))
    if problems:
        raise first_of(problems)
    return _checked(path, found, CSV_FORM)


def first_of(problems: Sequence[Problem]) -> Failure:
    """Returns the failure of a file of claims with so many problems that are shown, and how many more there are."""
    more = len(problems) - MAX_PROBLEMS
    rest = [Problem(f"and {more:,} more", "and-more", file=problems[0].file)] if more > 0 else []
    return Failure(*problems[:MAX_PROBLEMS], *rest)


def _checked(path: Path, written: Sequence[tuple[str, Position, YamlNode]], form: str) -> list[Claim]:
    """Returns the claims, if there are any and each of them is a number."""
    if not written:
        raise Failure(Problem("the file says nothing", "empty-file", file=str(path), help=form))
    found: list[Claim] = []
    problems: list[Problem] = []
    for name, position, node in written:
        value, tolerance = node, None
        if isinstance(node.value, dict):
            tolerance, inner = node.child("tolerance"), node.child("value")
            if inner is None or node.value.keys() - {"value", "tolerance"}:
                text = "expected a number, or `{value: 0.5, tolerance: 0.01}`"
                problems.append(make_problem(position, text, path=(name,), code="not-a-number", help=form))
                continue
            value = inner
        number = _text(value)
        limit = None if tolerance is None else _number(_text(tolerance))
        if _number(number) is None or (tolerance is not None and (limit is None or limit < 0)):
            bad = value if _number(number) is None or tolerance is None else tolerance
            text = f"{backticks(_text(bad))} is not a number" if _text(bad) else "this is nothing, not a number"
            text += " from 0" if bad is tolerance else ""
            problems.append(make_problem(bad.position, text, path=(name,), code="not-a-number", help=form))
            continue
        found.append(_claim(name, number, limit, position))
    if problems:
        raise first_of(problems)
    return found


def _text(node: YamlNode) -> str:
    """Returns a value as it stands in the file, with all its digits; a minus sign as a hyphen."""
    position = node.position
    text = node.value if isinstance(node.value, str) else None
    if text is None:
        text = position.source.lines[position.line - 1][position.column - 1 : position.column - 1 + position.width]
        if type(node.value) in (int, float) and math.isfinite(node.value) and not FLOAT.fullmatch(text):
            text = repr(node.value)  # of an alias, or in hexadecimal
    return text.strip().replace("\u2212", "-")


def _number(text: str) -> float | None:
    value = float(text) if FLOAT.fullmatch(text) and len(text) < 1000 else math.nan
    return value if math.isfinite(value) else None


def _claim(name: str, text: str, tolerance: float | None, position: Position) -> Claim:
    parts = Decimal(text).as_tuple()
    exponent = parts.exponent
    assert isinstance(exponent, int), "nan and infinities are no numbers here"
    significant = len("".join(map(str, parts.digits)).lstrip("0"))
    exact = significant <= MAX_WHOLE_NUMBER_DIGITS and not any(c in text for c in ".eE")
    unit = 0.0 if exact else float(Decimal(1).scaleb(max(exponent, -400)))
    return Claim(name, text, float(text), unit, tolerance, EXACT_DIGITS if exact else significant, position)
