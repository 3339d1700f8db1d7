"""`bpcli guide`: the list, a guide laid out on a terminal, its Markdown in a pipe."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable

import pytest
from cli_lab import Lab
from cli_lab import lab as lab
from paths import ROOT
from rich.cells import cell_len

GUIDES = ROOT / "bpcli" / "guides"
COLUMNS = pytest.mark.parametrize("columns", [80, 120])
Draw = Callable[[str, int], list[str]]


def test_the_list(lab: Lab) -> None:
    header, _, *lines = lab.good("guide").out.splitlines()
    assert header.split()[0] == "guide"
    assert [line.split()[0] for line in lines[:-2]] == sorted(file.stem for file in GUIDES.glob("*.md"))
    assert lines[-1] == "bpcli guide NAME shows one"


def test_piped_it_is_the_file(lab: Lab) -> None:
    assert lab.good("guide", "gradcheck").out == (GUIDES / "gradcheck.md").read_text(encoding="utf-8")


def test_json(lab: Lab) -> None:
    rows = json.loads(lab.good("guide", "--json").out)
    assert {"name", "title", "summary"} == set(rows[0])
    (row,) = json.loads(lab.good("guide", "data", "--json").out)
    assert row["text"] == (GUIDES / "data.md").read_text(encoding="utf-8")


def test_an_unknown_name(lab: Lab) -> None:
    found = lab.run("guide", "dta")
    assert (found.code, found.out) == (2, "")
    first, second = found.err.splitlines()
    assert first == "error: there is no guide `dta` [unknown-guide]"
    assert second.strip() == "help: did you mean `data`? `bpcli guide` lists all"


@pytest.fixture
def drawn(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Draw:
    """Draws a guide as on a terminal of so many columns."""

    def draw(name: str, columns: int) -> list[str]:
        for variable, value in (("COLUMNS", str(columns)), ("TERM", "xterm"), ("NO_COLOR", "1")):
            monkeypatch.setenv(variable, value)
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        return re.sub(r"\x1b\[[\d;]*m", "", lab.good("guide", name).out).splitlines()

    return draw


@COLUMNS
def test_no_word_of_a_table_is_broken(drawn: Draw, columns: int) -> None:
    for file in GUIDES.glob("*.md"):
        lines = drawn(file.stem, columns)
        assert max(map(cell_len, lines)) <= columns  # x̂ takes one column
        words = set(" ".join(lines).split())
        prose = re.sub(r"```.*?```", "", file.read_text(encoding="utf-8"), flags=re.DOTALL)
        cells = " ".join(line for line in prose.splitlines() if line.startswith("|") and "](" not in line)
        cells = re.sub(r"(?<!\\)\||-{3,}:?", " ", re.sub(r"[`*]", "", cells)).replace("\\|", "|")
        assert set(cells.split()) - words == set(), file.stem


@COLUMNS
def test_what_a_room_is_stands_beside_its_name(drawn: Draw, columns: int) -> None:
    """In a listing of names and texts no text goes on under the names."""
    lines = drawn("development", columns)
    first = next(i for i, line in enumerate(lines) if "bpcli/notation/ " in line)
    last = next(i for i, line in enumerate(lines) if "these guides" in line)
    for line in lines[first:last]:
        assert line.lstrip().startswith("bpcli/") or line.startswith(" " * 15), line


@COLUMNS
def test_on_a_terminal(drawn: Draw, columns: int) -> None:
    for name in ("configs", "gradcheck"):
        lines = drawn(name, columns)
        assert max(map(cell_len, lines)) <= columns  # x̂ takes one column
    text = "\n".join(line.rstrip() for line in lines)
    assert "```" not in text
    assert "](" not in text
    assert "\nThis guide is for everybody" in text
    assert "bpcli guide custom_parts" in text
    assert "$ bpcli gradcheck configs/iris.yaml" in text
