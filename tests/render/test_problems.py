"""Problems as they are drawn: carets under what they mean, whatever stands in the line."""

from __future__ import annotations

from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from bpcli.records.training import Problem
from bpcli.render.problems import draw, rich_text


def problem(line: str, column: int, span: int = 1, *, number: int = 13, help: str = "", before: str = "") -> Problem:
    excerpt = ((number - 1, before), (number, line)) if before else ((number, line),)
    return Problem("bad", "code", ("a", 0, "b"), "x.yaml", number, column, span, excerpt, help)


def caret(drawn: str, start: str = " | ") -> tuple[str, str]:
    """The last excerpt line and its carets, from the same cell on."""
    lines = drawn.splitlines()
    at = next(i for i, line in enumerate(lines) if set(line.partition(" | ")[2].partition(" help")[0].strip()) == {"^"})
    margin = lines[at].index(start) + len(start)
    return lines[at - 1][margin:], lines[at][margin:].partition(" help")[0]


def test_the_example_of_the_design() -> None:
    drawn = draw(
        Problem(
            "unknown key",
            "unknown-key",
            ("architecture", 0, "unit"),
            "configs/iris.yaml",
            13,
            19,
            4,
            ((13, "  - {type: dense, unit: 16}"),),
            "did you mean `units`?",
        )
    )
    assert drawn == (
        "error: architecture.0.unit: unknown key [unknown-key]\n"
        " --> configs/iris.yaml:13:19\n"
        "   |\n"
        "13 |   - {type: dense, unit: 16}\n"
        "   |                   ^^^^ help: did you mean `units`?"
    )


def test_numbers_of_different_length_are_aligned() -> None:
    assert draw(problem("b", 1, number=10, before="a")).splitlines()[1:] == [
        " --> x.yaml:10:1",
        "   |",
        " 9 | a",
        "10 | b",
        "   | ^",
    ]


@pytest.mark.parametrize(
    ("reported", "drawn"),
    [
        (Problem("bad"), "error: bad"),
        (Problem("bad", level="warning", help="do it"), "warning: bad\n  help: do it"),
        (Problem("bad", file="x.yaml"), "error: bad\n--> x.yaml"),
        (Problem("bad", file="x.yaml", help="do it"), "error: bad\n--> x.yaml\n  = help: do it"),
        (Problem("bad", file="data.csv", line=7), "error: bad\n--> data.csv:7"),
        (Problem("bad", "c", ("a",)), "error: a: bad [c]"),
        (
            Problem("bad", file="--set a=1", line=1, column=3, excerpt=((1, "a=1"),)),
            "error: bad\n--> --set a=1\n  |\n1 | a=1\n  |   ^",
        ),
        (
            Problem("bad", file="x", line=2, column=9, excerpt=((1, ""), (2, "ab"))),
            "error: bad\n--> x:2:9\n  |\n1 |\n2 | ab\n  |   ^",
        ),
    ],
)  # fmt: skip
def test_what_is_left_out_leaves_no_trace(reported: Problem, drawn: str) -> None:
    assert draw(reported) == drawn


def test_a_long_help_stands_on_a_line_of_its_own() -> None:
    narrow = draw(problem("ab", 1, help="h" * 30), width=40)
    assert narrow.splitlines()[-2:] == ["   | ^", "   = help: " + "h" * 30]
    wide = draw(problem("ab", 1, help="h" * 30), width=43)
    assert wide.splitlines()[-1] == "   | ^ help: " + "h" * 30


@pytest.mark.parametrize(
    ("line", "column", "span", "excerpt", "carets"),
    [
        ("a: 数据, b: 1", 4, 2, "a: 数据, b: 1", "   ^^^^"),
        ("a: 数据, b: 1", 8, 1, "a: 数据, b: 1", "         ^"),
        ("\ta: 1", 2, 1, "    a: 1", "    ^"),
        ("a:\t1", 3, 1, "a:    1", "  ^^^^"),
        ("a: e\u0301x", 6, 1, "a: e\u0301x", "    ^"),
        ("\x1b[31mred", 6, 3, "\\x1b[31mred", "        ^^^"),
        ("a\u202eb c", 4, 2, "a\\u202eb c", "        ^^"),
        ("a\ud800b", 3, 1, "a\\ud800b", "       ^"),
        ("abc", 2, 99, "abc", " ^^"),
        ("abc", 4, 1, "abc", "   ^"),
        ("abc", 99, 1, "abc", "   ^"),
        ("abc", 0, 0, "abc", "^"),
        ("", 1, 1, None, "^"),
    ],
)
def test_carets_stand_under_what_they_mean(line: str, column: int, span: int, excerpt: str | None, carets: str) -> None:
    drawn = draw(problem(line, column, span))
    if excerpt is not None:
        assert caret(drawn) == (excerpt, carets)
    assert drawn.splitlines()[-1] == f"   | {carets}"


def test_a_long_line_is_cut_around_the_caret() -> None:
    line = "a" * 500 + "HERE" + "b" * 500
    excerpt, carets = caret(draw(problem(line, 501, 4), width=60))
    assert excerpt == "..." + "a" * 18 + "HERE" + "b" * 27 + "..."
    assert carets == " " * 21 + "^^^^"
    assert cell_len(excerpt) == 60 - 5


def test_a_long_line_is_cut_behind_a_caret_at_its_start_or_end() -> None:
    assert caret(draw(problem("HERE" + "b" * 500, 1, 4), width=30)) == ("HERE" + "b" * 18 + "...", "^^^^")
    excerpt, carets = caret(draw(problem("a" * 500 + "HERE", 501, 4), width=30))
    assert excerpt.startswith("...")
    assert excerpt.endswith("HERE")
    assert carets.strip() == "^^^^"
    assert excerpt[carets.index("^") :] == "HERE"


def test_both_lines_are_cut_alike() -> None:
    drawn = draw(problem("a" * 100 + "HERE" + "b" * 90, 101, 4, before="x" * 40), width=40).splitlines()
    assert drawn[3] == "12 |"
    drawn = draw(problem("a" * 100 + "HERE" + "b" * 90, 101, 4, before="x" * 100 + "OVER"), width=40).splitlines()
    assert drawn[3].index("OVER") == drawn[4].index("HERE") == drawn[5].index("^")


def test_a_span_beyond_the_console_ends_with_it() -> None:
    excerpt, carets = caret(draw(problem("a: " + "7" * 5000, 4, 5000), width=50))
    assert cell_len(excerpt) == 45
    assert 3 < len(carets) <= 45


@given(
    st.text(st.characters(exclude_characters="\n\r"), max_size=200),
    st.integers(0, 250), st.integers(0, 300), st.integers(10, 120),
)  # fmt: skip
def test_any_line_fits_and_prints(line: str, column: int, span: int, width: int) -> None:
    drawn = draw(problem(line, column, span), width=width).splitlines()
    assert drawn[-1].rstrip("^").rstrip() == "   |"
    for row in drawn[3:]:
        assert row.isprintable()
        assert cell_len(row) <= max(width, 5 + 20 + 1)  # a caret may stand behind the last character


def test_names_and_paths_cannot_disturb_the_terminal() -> None:
    evil = Problem("it\x1b[2J", "c", ("a\nb", "k" * 500), "x\x07.yaml", help="do\x1b]0;x\x07")
    assert draw(evil) == (f"error: a\\nb.{'k' * 57}...: it\\x1b[2J [c]\n--> x\\x07.yaml\n  = help: do\\x1b]0;x\\x07")


def test_colour_says_the_same_and_reads_no_markup() -> None:
    reported = problem("a: [bold]x[/bold] :smile: [link=x]", 4, 6, help="[/red] write [x]", before="# [/]")
    console = Console(file=StringIO(), width=100, force_terminal=False)
    console.print(rich_text(reported), soft_wrap=True)
    assert isinstance(console.file, StringIO)
    assert console.file.getvalue() == draw(reported) + "\n"
    coloured = Console(file=StringIO(), width=100, force_terminal=True, color_system="standard")
    coloured.print(rich_text(reported), soft_wrap=True)
    assert isinstance(coloured.file, StringIO)
    assert "\x1b[1;31m   ^^^^^^\x1b[0m" in coloured.file.getvalue()


def test_of_a_text_that_repeats_something_very_long_the_middle_is_left_out() -> None:
    drawn = draw(Problem(f"no part is called `{'x' * 10_000}`", help=f"write `{'y' * 10_000}` shorter"))
    assert [len(line) for line in drawn.split("\n")] == [1033, 1034]
    assert drawn.startswith("error: no part is called `xxx")
    assert drawn.endswith("yyy` shorter")
    assert "... [9,020 characters] ..." in drawn
    assert draw(Problem("z" * 1000)) == "error: " + "z" * 1000
