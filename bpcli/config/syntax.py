"""PyYAML's error messages in the words of an experiment file, with what to type instead."""

import re
from collections.abc import Sequence
from typing import Any

from yaml.error import MarkedYAMLError

from bpcli.config.scalars import backticks

QUOTE = "put the text in quotes"
INDENT_HELP = "keys of one mapping start in the same column; indent what belongs to a key, with spaces"


def explain(error: MarkedYAMLError, lines: Sequence[str]) -> tuple[Any, int, str, str]:
    """Returns where the mistake is, how many characters it takes, what it is, and what to type instead."""
    problem = str(error.problem)
    context = str(error.context or "")
    mark: Any = error.problem_mark or error.context_mark
    start: Any = error.context_mark or mark
    rest = lines[start.line][start.column :].rstrip()
    if (stray := re.search(r"found character (.+) that cannot start any token", problem)) is not None:
        if "\\t" in stray[1]:
            return mark, 1, "a tab where YAML wants spaces", "replace the tab by spaces"
        return mark, 1, f"unquoted text cannot start with {stray[1]}", QUOTE
    if "could not find expected ':'" in problem:
        colon = re.match(r"([\w-]+):(\S)", rest)
        help = (
            f"put a space after the colon: {backticks(f'{colon[1]}: {colon[2]}...')}" if colon else "write `key: value`"
        )
        return start, len(rest), "this is not `key: value`", help
    if problem == "mapping values are not allowed here":
        if ": " in lines[mark.line][: mark.column]:
            return mark, 1, "a second `:` in one value", "put text that holds `: ` in quotes"
        return mark, 1, "this key does not fit the lines above", INDENT_HELP
    if problem in ("sequence entries are not allowed here", "mapping keys are not allowed here"):
        return mark, 1, "a list cannot begin here" if "sequence" in problem else "a key cannot begin here", INDENT_HELP
    if (bracket := re.search(r"expected ',' or '(.)'", problem)) is not None:
        opening = {"]": "[", "}": "{"}[bracket[1]]
        if "<stream end>" in problem:
            return start, 1, f"this `{opening}` is never closed", f"add `{bracket[1]}` where it ends"
        if mark.line > start.line and "':'" in problem:  # the next key was read as part of it
            return start, 1, f"this `{opening}` is not closed", f"add `{bracket[1]}` before line {mark.line + 1}"
        help = f"the `{opening}` on line {start.line + 1} is still open"
        return mark, 1, f"expected `,` or `{bracket[1]}` here", help
    if "expected <block end>" in problem and start.line == mark.line:
        return mark, 1, "this does not belong behind the value", f"remove it, or {QUOTE} as a whole"
    if "expected <block end>" in problem:
        return mark, 1, f"this line does not continue what began on line {start.line + 1}", INDENT_HELP
    if "expected the node content" in problem:
        return mark, 1, "a value is missing here", "write a value, or remove the comma or bracket that is too many"
    if "quoted scalar" in context and problem.startswith("found unexpected"):
        return start, 1, "this quote is never closed", "add the closing quote; inside single quotes, ' is written ''"
    if "unknown escape" in problem or "hexadecimal" in problem:
        return mark, 1, "an unknown escape after this backslash", "use single quotes, or write \\\\ for a backslash"
    if "expected '<document start>'" in problem:
        return mark, 1, "this does not continue the lines above", "an experiment is a mapping: lines of `key: value`"
    if "while scanning an a" in context:  # an alias or an anchor
        name = "*" if "alias" in context else "&"
        return start, 1, f"`{name}` begins {context.removeprefix('while scanning ')}, and its name is missing", QUOTE
    if "block scalar" in context:
        return start, 1, f"`{rest[:1]}` begins a text of several lines, which start on the next line", QUOTE
    if "tag" in context or "tag" in problem:
        return mark, 1, "this is not a tag", f"{QUOTE} if it was not meant to be one"
    if "directive" in context or "YAML" in problem:
        return mark, 1, "a line that begins with % is a directive, and this is none that YAML 1.2 knows", "remove it"
    return mark, 1, f"this is not valid YAML: {problem}", "check the quotes and the indentation around it"
