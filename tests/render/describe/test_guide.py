"""How a guide and the lists of guides and examples are drawn."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from bpcli.render.console import show
from bpcli.render.describe.examples import copied, example_list
from bpcli.render.describe.guide import MAX_LINE_COLUMNS, GuidePage, column_widths, guide_list
from bpcli.studies.describe.examples import Example
from bpcli.studies.describe.guides import Guide


def page(text: str, width: int = 80) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(GuidePage(Guide("g", "t", "s", text)))
    return [line.rstrip() for line in out.getvalue().split("\n")]


def styled(text: str) -> list[tuple[str, bool]]:
    """The pieces of a page, each with whether it is bold."""
    console = Console(width=80, color_system="standard", force_terminal=True)
    pieces = console.render(GuidePage(Guide("g", "t", "s", text)))
    return [(s.text.strip(), bool(s.style and s.style.bold)) for s in pieces if s.text.strip()]


def test_a_heading_stands_at_the_margin_and_code_is_indented() -> None:
    assert page("# Title\n\ntext `code`\n\n```console\n$ bpcli x\nout  put\n```\n") == [
        "Title", "", "text code", "", "  $ bpcli x", "  out  put", "",
    ]  # fmt: skip


def test_commands_and_headings_are_bold_and_what_they_print_is_not() -> None:
    assert styled("## Head\n\n```console\n$ bpcli x\noutput\n```\n") == [
        ("Head", True), ("$ bpcli x", True), ("output", False),
    ]  # fmt: skip


def test_code_that_would_not_fit_indented_stands_at_the_margin() -> None:
    """All of it, and what does not fit either is folded."""
    for length, indent in ((78, 2), (79, 0)):
        lines = page(f"```\nab\n{'x' * length}\n```\n")
        assert lines[:2] == [" " * indent + "ab", " " * indent + "x" * length]
    assert page(f"```\n{'x' * 90}\n```\n")[:2] == ["x" * 80, "x" * 10]


def test_a_listing_is_wrapped_under_its_text() -> None:
    line = "name   " + "word " * 20
    lines = page(f"```\n{line}\n```\n", 60)
    assert lines[0].startswith("name   word")
    assert lines[1].startswith("       word")
    assert " ".join(" ".join(lines).split()) == " ".join(line.split())
    assert max(map(len, lines)) <= 60
    narrow = page(f"```\n{'n' * 40}   {'word ' * 6}\n```\n", 60)
    assert not narrow[1].startswith(" " * 43), "too little room beside the name"


def test_links_to_guides_are_commands() -> None:
    assert page("see [data](data.md), [the data](bpcli/guides/data.md) and [x](http://y)")[0] == (
        "see bpcli guide data, the data (bpcli guide data) and x (http://y)"
    )


def test_prose_keeps_within_a_hundred_columns() -> None:
    for width, most in ((60, 60), (200, MAX_LINE_COLUMNS)):
        longest = max(map(len, page("word " * 80, width)))
        assert most - len(" word") < longest <= most


def test_a_table_has_a_line_under_its_header() -> None:
    assert page("| a | b |\n| --- | --- |\n| one | `two` |\n") == ["", "a    b", "────────", "one  two", ""]


@pytest.mark.parametrize(
    ("cells", "width", "widths"),
    [
        ([["a", "bbb"], ["cc", "d"]], 7, [None, None]),
        ([["a", "b b b b b"], ["c", "d d d d d"]], 20, [None, None]),
        ([["a", "b b b b b"], ["c", "d d d d d"]], 19, [8, 8]),
        ([["a", "b b b b b"], ["ccc", "ccc"]], 10, [5, 3]),
        ([["a", "bbbb bbbb"], ["c", "dddd dddd"]], 9, [None, None]),
        ([["a", "bbbb bbbb"], ["c", "dddd dddd"]], 10, [4, 4]),
        ([["", ""], ["c", "d e f g h"]], 8, [0, 6]),
    ],
)
def test_no_word_of_a_table_is_broken_while_there_is_room_for_words(
    cells: list[list[str]], width: int, widths: list[int | None]
) -> None:
    assert list(column_widths(cells, width)) == widths


def test_lists_end_with_what_to_type(capsys: pytest.CaptureFixture[str]) -> None:
    show(*guide_list([Guide("data", "Data", "", "")]))
    assert capsys.readouterr().out.splitlines() == [
        "guide  what it is about", "───────────────────────", "data   Data", "", "bpcli guide NAME shows one",
    ]  # fmt: skip
    known = [Example("iris", "flowers", ()), Example("mnist", "digits", (), ("a.gz", "b.gz"))]
    show(*example_list(known))
    lines = capsys.readouterr().out.splitlines()
    assert [*lines[:1], *lines[2:]] == [
        "example  what it shows",
        "iris     flowers",
        "mnist    digits (its images do not come with bpcli)",
        "",
        "copy one with its data: bpcli examples NAME",
    ]


def test_what_was_copied_is_followed_by_what_to_type() -> None:
    iris, mnist = Example("iris", "", ()), Example("mnist", "", (), ("a.gz", "b.gz"))
    assert copied([iris], [Path("my configs/iris.yaml")], 3).plain == (
        "3 files are in place\nnext:   bpcli train 'my configs/iris.yaml'"
    )
    assert copied([mnist, iris], [Path("m.yaml"), Path("i.yaml")], 3).plain == (
        "3 files are in place\nmnist needs a.gz, b.gz, which do not come with bpcli\nnext:   bpcli check m.yaml"
    )
