"""A derivation made by hand, marked: on the terminal, and as JSON."""

import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text as Styled

from bpcli.notation.symbols import format_number
from bpcli.records.printable import printable
from bpcli.records.trace import STAGES, Mark, Marks, Stage
from bpcli.render.console import table

STYLES = {"right": "green", "wrong": "bold red", "follows": "yellow"}
WORDS = {"right": "right", "wrong": "WRONG", "follows": "follows"}
MAX_CLAIMS_LISTED = 40  # claims; of more, those that are right are only counted
MIN_DIGITS = 6  # significant digits of the right number
MAX_EXPLAINED = 12  # wrong claims that are explained one by one


def marks(m: Marks, width: int = 80, ascii: bool = False) -> Iterator[RenderableType]:
    """Yields all that is said about a file of claims, in lines of at most `width` columns; with `ascii` in ASCII
    alone."""
    yield from _MarkedSheet(m, max(width, 40), ascii).lines()


def marks_record(m: Marks) -> dict[str, Any]:
    """Returns `right`, `first` (the name of the first wrong claim, or null), `counts`, and `claims` in the order of the
    derivation, each with its verdict and causes."""
    return {
        "name": m.name,
        "file": m.file,
        "facts": dict(m.facts),
        "right": m.right,
        "first": m.first.name if m.first else None,
        "counts": {verdict: m.count(verdict) for verdict in WORDS},
        "claims": m.marks,
        "disagree": m.disagree,
    }


class _MarkedSheet:
    def __init__(self, m: Marks, width: int, ascii: bool) -> None:
        self.m, self.width, self.ascii = m, width, ascii

    def lines(self) -> Iterator[RenderableType]:
        m = self.m
        yield self._line(f"{printable(m.name)}: your numbers in {printable(m.file)}, marked", "bold")
        for name, text in m.facts:
            yield from self._wrapped(f"  {name:<8} ", text)
        yield Styled()
        yield self._table()
        yield from self._summary()
        wrong = [mark for mark in m.marks if mark.verdict == "wrong"]
        for i, mark in enumerate(wrong[:MAX_EXPLAINED]):
            yield Styled()
            yield from self._explained(mark, first=i == 0, alone=len(wrong) == 1)
        if len(wrong) > MAX_EXPLAINED:
            yield Styled()
            yield self._line(f"and {len(wrong) - MAX_EXPLAINED} more wrong numbers; all of them: --json")
        for path in m.disagree:
            text = f"bpcli itself: at {path} its equation does not give what its engine computed; please report it"
            yield from self._wrapped("WRONG ", text, "bold red")

    def _table(self) -> Table:
        found = table("your number", ">as you have it", ">as it is", "", ascii=self.ascii)
        short = len(self.m.marks) > MAX_CLAIMS_LISTED
        for stage, group in groupby(self.m.marks, key=lambda mark: mark.stage):
            own = list(group)
            found.add_row(Styled(f"{stage.value} {STAGES[stage][0]}", "bold"), "", "", "")
            shown = [mark for mark in own if not short or mark.verdict != "right"]
            for mark in shown:
                verdict = Styled(WORDS[mark.verdict], STYLES[mark.verdict])
                found.add_row(f"  {printable(mark.name)}", mark.written, _number(mark.right, mark), verdict)
            if len(shown) < len(own):
                words = f"  {len(own) - len(shown)}{' others' if shown else ''}"
                found.add_row(words, "", "", Styled("right", STYLES["right"]))
        return found

    def _summary(self) -> Iterator[RenderableType]:
        m, count = self.m, len(self.m.marks)
        yield Styled()
        if m.count("right") == count:
            yield self._line(f"All {count} are right." if count > 1 else "It is right.", "green")
            return
        said = [f"{m.count('right')} of {count} right", f"{m.count('wrong')} wrong"]
        if m.count("follows"):
            said.append(f"{m.count('follows')} consistent with your earlier error: right, had that been right")
        yield from self._wrapped("", "; ".join(said) + ".")

    def _explained(self, mark: Mark, first: bool, alone: bool) -> Iterator[RenderableType]:
        lead = ("The wrong number" if alone else "The first wrong number") if first else "Also wrong"
        where = f" (line {mark.line})" if mark.line else ""
        yield self._line(f"{lead}: {printable(mark.name)} = {mark.written}{where}", STYLES["wrong"])
        yield from self._wrapped("  it is    ", mark.worked or _number(mark.right, mark))
        if mark.expected != mark.right and _number(mark.expected, mark) != _number(mark.right, mark):
            yield from self._wrapped("  yours    ", f"from your numbers before it: {_number(mark.expected, mark)}")
        yield from self._causes(mark)
        if mark.note:
            yield from self._wrapped("  note     ", mark.note)

    def _causes(self, mark: Mark) -> Iterator[RenderableType]:
        if not mark.causes and mark.stage is not Stage.INITIALIZE:
            text = "no cause found: none of the usual mistakes gives this number"
            yield from self._wrapped("  cause    ", text)
        leads = ["  cause    ", *["  or       "] * len(mark.causes)]
        for lead, cause in zip(leads, mark.causes, strict=False):
            at = "" if cause.where == mark.address else f"in {cause.where}, which you did not write down: "
            yield from self._wrapped(lead, f"{at}{cause.text}")

    def _wrapped(self, lead: str, text: str, style: str = "") -> Sequence[Styled]:
        text = printable(text)
        lines = textwrap.wrap(lead + text, self.width, subsequent_indent=" " * len(lead), break_on_hyphens=False)
        return [self._line(line, style) for line in lines]

    def _line(self, text: str, style: str = "") -> Styled:
        if self.ascii:
            text = text.encode("ascii", "replace").decode()
        return Styled(text, style)


def _number(value: float, mark: Mark) -> str:
    """Returns a number with as many digits as the one that is claimed, and at least six."""
    digits = sum(c.isdigit() for c in mark.written.lower().partition("e")[0].lstrip("-+0."))
    return format_number(value, min(max(digits, MIN_DIGITS), 17))
