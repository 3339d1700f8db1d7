"""A derivation as Markdown: display formulas between `$$`, pipe tables, names in backticks.

Some pages let Markdown read a formula before it is set, and then lose backslashes before punctuation and take
underscores for emphasis. So no formula here has either, nor a `<` that could open a tag.
"""

import re
from collections.abc import Iterable

from bpcli.records.trace import Derivation, Worksheet
from bpcli.render.trace import blocks
from bpcli.render.trace.blocks import Code, InlineText, WorkedLine
from bpcli.render.trace.document import document
from bpcli.render.trace.outline import title

MAX_NAMES_LISTED = 4  # entries whose names are all listed before their lines

_MATH = {
    r"\begin{aligned}[t]": r"\begin{aligned}", r"\\": r"\cr", r"\,": r"\thinspace", r"\{": r"\lbrace ",
    r"\}": r"\rbrace ", r"\_": r"\rule{0.4em}{0.05em}", "<": r"\lt ", ">": r"\gt ",
}  # fmt: skip
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$&])")


def markdown(source: Derivation | Worksheet) -> str:
    """Returns the Markdown page of a derivation or a worksheet, with a newline at its end."""
    return markdown_page(title(source), document(source))


def markdown_page(title: str, content: Iterable[blocks.PageBlock]) -> str:
    """Returns blocks under a title as a Markdown page, with a newline at its end."""
    found = [f"# {_plain(title)}", *map(_block, content)]
    return "\n\n".join(b for b in found if b) + "\n"


def _block(block: blocks.PageBlock) -> str:
    match block:
        case blocks.Heading(level=level, words=words, number=number):
            return "#" * max(2, level + 1) + " " + (f"{number}. " if number else "") + _words(words)
        case blocks.Paragraph(words=words, lead=lead):
            return " ".join(filter(None, (f"**{_words(lead)}**" if lead else "", _words(words))))
        case blocks.HeaderBlock(rows=rows):
            return _table((("",), ("",)), tuple(((name,), (text,)) for name, text in rows), frozenset())
        case blocks.TableBlock(head=head, rows=rows, right=right):
            return _table(head, rows, right)
        case blocks.Formula(math=math):
            return _display(math)
        case blocks.Figures(name=name, note=note, formulas=formulas, more=more):
            about = f"`{name}`: {_plain(note)}" if note else f"`{name}`"
            rest = f"slices not shown: {more:,}" if more else ""
            return "\n\n".join(filter(None, (about, *map(_display, formulas), rest)))
        case blocks.WorkedLines(lines=lines):
            return _lines(lines)
        case blocks.Command(text=text):
            return f"```\n{text}\n```"


def _lines(lines: tuple[WorkedLine, ...]) -> str:
    if lines[0].blank is not None:
        return _blanks(lines)
    names = [f"`{line.name}`" for line in lines if line.name.endswith("]")]
    if len(names) > MAX_NAMES_LISTED:
        names = [*names[: MAX_NAMES_LISTED - 2], "...", names[-1]]
    named = ", ".join(names) + ":" if names else ""
    notes = [f"- `{line.name}`: {_plain('; '.join(line.notes))}" for line in lines if line.notes]
    return "\n\n".join(filter(None, (named, _display(_worked(lines)), "\n".join(notes))))


def _worked(lines: tuple[WorkedLine, ...]) -> str:
    """Returns the lines under each other, aligned."""
    if len(lines) == 1 and "aligned" not in lines[0].numbers:
        line = lines[0]
        return f"{line.left} " + (f"= {line.numbers} " if line.numbers else "") + f"{line.sign} {line.result}"
    rows = []
    for line in lines:
        numbers = f"= {line.numbers} " if line.numbers else ""
        if "aligned" in numbers:
            rows += [f"{line.left} &{numbers}", f"&{line.sign} {line.result}"]
        else:
            rows.append(f"{line.left} &{numbers}{line.sign} {line.result}")
    whole = " \\\\\n".join(rows)
    return f"\\begin{{aligned}}\n{whole}\n\\end{{aligned}}"


def _display(math: str) -> str:
    """Returns a display formula that Markdown cannot misread."""
    for sign, safe in _MATH.items():
        math = math.replace(sign, safe)
    math = re.sub(r"_(?=\S)", "_ ", math)
    return f"$$\n{math}\n$$"


def _blanks(lines: tuple[WorkedLine, ...]) -> str:
    head: tuple[InlineText, ...] = (("",), ("name",), ("the numbers put in",), ("result",))
    rows = tuple(
        ((f"({line.blank})" if line.blank else "",), (Code(line.name),), ("; ".join(line.notes),), (Code("____"),))
        for line in lines
    )
    return _table(head, rows, frozenset())


def _table(head: tuple[InlineText, ...], rows: tuple[tuple[InlineText, ...], ...], right: frozenset[int]) -> str:
    def row(cells: tuple[InlineText, ...]) -> str:
        return "| " + " | ".join(_words(c) for c in cells) + " |"

    rule = "|" + "|".join("---:" if i in right else "---" for i in range(len(head))) + "|"
    return "\n".join((row(head), rule, *map(row, rows)))


def _words(words: InlineText) -> str:
    return "".join(f"`{w.text}`" if isinstance(w, Code) else _plain(w) for w in words)


def _plain(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()) if "\n" in text else text)
