"""`bpcli guide`: the list, a guide laid out on a terminal, its Markdown in a pipe."""

from __future__ import annotations

import json
import re
import sys

import pytest
from cli_lab import Lab
from cli_lab import lab as lab
from paths import ROOT

GUIDES = ROOT / "bpcli" / "guides"


def test_the_list(lab: Lab) -> None:
    header, _, *lines = lab.good("guide").out.splitlines()
    assert header.split()[0] == "guide"
    assert [line.split()[0] for line in lines[:-2]] == sorted(file.stem for file in GUIDES.glob("*.md"))
    assert lines[-1] == "bpcli guide NAME shows one"


def test_piped_it_is_the_file(lab: Lab) -> None:
    assert lab.good("guide", "gradcheck").out == (GUIDES / "gradcheck.md").read_text(encoding="utf-8")


def test_json(lab: Lab) -> None:
    rows = json.loads(lab.good("guide", "--json").out)
    assert {"name", "title", "summary", "text"} == set(rows[0])
    (row,) = json.loads(lab.good("guide", "data", "--json").out)
    assert row["text"] == (GUIDES / "data.md").read_text(encoding="utf-8")


def test_an_unknown_name(lab: Lab) -> None:
    found = lab.run("guide", "dta")
    assert (found.code, found.out) == (2, "")
    first, second = found.err.splitlines()
    assert first == "error: there is no guide `dta` [unknown-guide]"
    assert second.strip() == "help: did you mean `data`? `bpcli guide` lists all"


@pytest.mark.parametrize("columns", [80, 120])
def test_on_a_terminal(lab: Lab, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    for name in ("configs", "gradcheck"):
        lines = re.sub(r"\x1b\[[\d;]*m", "", lab.good("guide", name).out).splitlines()
        assert max(map(len, lines)) <= columns
    text = "\n".join(line.rstrip() for line in lines)
    assert "```" not in text
    assert "](" not in text
    assert "\nThis guide is for everybody" in text
    assert "bpcli guide custom_parts" in text
    assert "$ bpcli gradcheck configs/iris.yaml" in text
