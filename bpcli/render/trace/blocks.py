"""What a document is made of, for any page format to set.

Mathematics is LaTeX throughout, since Markdown and LaTeX both speak it; all else is plain words, not escaped yet.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Code:
    """A name or a command, to be set as it is typed."""

    text: str


InlineText = tuple[str | Code, ...]


@dataclass(frozen=True)
class Heading:
    """The heading of a training step (level 0), of a section (1; `number` is its step of the algorithm) or of a part of
    one (2)."""

    level: int
    words: InlineText
    number: int = 0


@dataclass(frozen=True)
class Paragraph:
    """Words; `lead` stands before them in bold."""

    words: InlineText
    lead: InlineText = ()


@dataclass(frozen=True)
class HeaderBlock:
    """Terms, each with what is to be said about it."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class TableBlock:
    """Rows of cells; `right` are the columns of numbers."""

    head: tuple[InlineText, ...]
    rows: tuple[tuple[InlineText, ...], ...]
    right: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Formula:
    """A display formula."""

    math: str


@dataclass(frozen=True)
class Figures:
    """An array by its name, and what it is; one of three or more axes slice by slice, of which `more` are not shown."""

    name: str
    note: str
    formulas: tuple[str, ...]
    more: int


@dataclass(frozen=True)
class WorkedLine:
    """One worked entry: left = numbers = result. With `blank` there is room in place of both: a numbered one, or 0 for
    one that nobody checks."""

    name: str
    left: str
    numbers: str
    sign: str
    result: str
    notes: tuple[str, ...] = ()
    blank: int | None = None


@dataclass(frozen=True)
class WorkedLines:
    """Worked entries of one quantity, in order."""

    lines: tuple[WorkedLine, ...]


@dataclass(frozen=True)
class Command:
    """A command line."""

    text: str


PageBlock = Heading | Paragraph | HeaderBlock | TableBlock | Formula | Figures | WorkedLines | Command
