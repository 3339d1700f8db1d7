"""Problems as a reader meets them: what is wrong, where, the line with a caret under it, and what to type instead.

error: architecture.0.unit: unknown key [unknown-key]
 --> configs/iris.yaml:13:19
   |
13 |   - {type: dense, unit: 16}
   |                   ^^^^ help: did you mean `units`?
"""

from rich.cells import cell_len
from rich.text import Text

from bpcli.records.printable import printable
from bpcli.records.training import Problem

DEFAULT_WIDTH = 100  # columns
TAB = "    "
ELLIPSIS = "..."
MAX_SENTENCE = 1000  # characters of a text or a help; of a longer one the middle is left out
MIN_EXCERPT_WIDTH = 20  # cells of an excerpt that are shown on the narrowest console

StyledLine = list[tuple[str, str]]
"""Pieces of text, each with its style."""


def draw(problem: Problem, width: int = DEFAULT_WIDTH) -> str:
    """Returns the problem as plain text of several lines, without a line break at the end. Excerpts are cut to `width`
    cells; characters that are not printable are shown as escapes."""
    return "\n".join("".join(text for text, _ in line) for line in _lines(problem, width))


def rich_text(problem: Problem, width: int = DEFAULT_WIDTH) -> Text:
    """Returns the problem in colour; nothing of it is read as markup."""
    text = Text(no_wrap=False, overflow="fold")
    for number, line in enumerate(_lines(problem, width)):
        if number:
            text.append("\n")
        for piece, style in line:
            text.append(piece, style or None)
    return text


def _lines(problem: Problem, width: int) -> list[StyledLine]:
    accent = "bold red" if problem.level == "error" else "bold yellow"
    digits = len(str(max((number for number, _ in problem.excerpt), default=0)))
    margin = " " * digits
    help = _sentence(problem.help)
    lines = [_headline(problem, accent)]
    if problem.file:
        # what was typed on the command line has no line number
        position = f":{problem.line}" + f":{problem.column}" * (problem.column > 0) if problem.line else ""
        position = "" if problem.file.startswith("--") else position
        lines.append([(f"{margin[1:]}--> ", "blue"), (_clean(problem.file) + position, "")])
    if problem.excerpt:
        lines.append([(f"{margin} |", "blue")])
        width_left = max(MIN_EXCERPT_WIDTH, width - digits - 3)
        start = _start(problem, width_left)
        for number, text in problem.excerpt:
            part = _clip(text, start, width_left)
            lines.append([(f"{number:>{digits}} | " if part else f"{number:>{digits}} |", "blue"), (part, "")])
            if number == problem.line:
                caret = _caret(problem, text, start, width_left)
                fits = digits + 3 + len(caret) + cell_len(f" help: {help}") <= width
                lines.append([(f"{margin} | ", "blue"), (caret, accent)])
                if help and fits:
                    lines[-1] += [(" help: ", "bold cyan"), (help, "cyan")]
                    help = ""
    if help:
        lines.append([(f"{margin} = " if problem.file else "  ", "blue"), ("help: ", "bold cyan"), (help, "cyan")])
    return lines


def _headline(problem: Problem, accent: str) -> StyledLine:
    line: StyledLine = [(f"{_clean(problem.level)}: ", accent)]
    if problem.path:
        path = ".".join(_short(str(step)) for step in problem.path)
        line.append((f"{path}: ", "bold"))
    line.append((_sentence(problem.text), "bold"))
    if problem.code:
        line.append((f" [{_clean(problem.code)}]", "dim"))
    return line


def _start(problem: Problem, width_left: int) -> int:
    """Returns the first character of the excerpt that is shown: not 0 where the caret would stand beyond the
    console."""
    line = next((text for number, text in problem.excerpt if number == problem.line), "")
    at = _caret_offset(problem, line)
    if _cells(line[: at + problem.span]) <= width_left - len(ELLIPSIS) or _cells(line) <= width_left:
        return 0
    start = at
    while start > 0 and at - start < width_left and _cells(line[start - 1 : at]) <= width_left // 3:
        start -= 1
    return start


def _clip(text: str, start: int, width_left: int) -> str:
    """Returns the part of a line that is shown, of at most so many cells."""
    before = ELLIPSIS if 0 < start < len(text) else ""
    width_left -= len(before)
    part = text[start : start + width_left]
    if _cells(part) <= width_left and start + width_left >= len(text):
        return before + _clean(part)
    while _cells(part) > width_left - len(ELLIPSIS):
        part = part[:-1]
    return before + _clean(part) + ELLIPSIS


def _caret(problem: Problem, text: str, start: int, width_left: int) -> str:
    """Returns blanks up to the column, and carets as wide as what they underline, within the line that is shown."""
    at = _caret_offset(problem, text)
    before = _cells(text[start:at]) + (len(ELLIPSIS) if start else 0)
    span = _cells(text[at : at + min(problem.span, width_left)])
    return " " * before + "^" * max(1, min(span, width_left - before))


def _caret_offset(problem: Problem, line: str) -> int:
    return min(max(problem.column - 1, 0), len(line))


def _cells(text: str) -> int:
    return cell_len(_clean(text))


def _clean(text: str) -> str:
    return printable(text.replace("\t", TAB))


def _sentence(text: str) -> str:
    """Returns a text without its middle where it repeats something very long."""
    if len(text) > MAX_SENTENCE:
        half = MAX_SENTENCE // 2
        text = f"{text[:half]}{ELLIPSIS} [{len(text) - 2 * half:,} characters] {ELLIPSIS}{text[-half:]}"
    return _clean(text)


def _short(step: str, max_length: int = 60) -> str:
    return _clean(step if len(step) <= max_length else step[: max_length - len(ELLIPSIS)] + ELLIPSIS)
