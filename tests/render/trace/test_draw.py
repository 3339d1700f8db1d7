"""Where a derivation goes: stdout or a file, in each form; and what a comparison with a kept one says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from derivations import XOR, derived

from bpcli.records.trace import Difference, Golden
from bpcli.render.console import show
from bpcli.render.trace.draw import golden_report, renderers, write_derivation, write_worksheet
from bpcli.studies.trace.derive_step import View
from bpcli.studies.trace.worksheet import worksheet


@pytest.mark.parametrize(
    ("form", "begins"),
    [
        ("text", "xor: "),
        ("json", "{"),
        ("html", "<!DOCTYPE html>"),
        ("markdown", "# xor"),
        ("latex", "\\documentclass"),
    ],
)
def test_a_derivation_is_the_same_on_stdout_and_in_a_file(
    form: str, begins: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    d = derived("xor", "layer")
    write_derivation(d, form, None, 80, False)
    shown = capsys.readouterr().out
    assert shown.startswith(begins)
    write_derivation(d, form, tmp_path / "d", 80, False)
    assert capsys.readouterr().out == ""
    kept = (tmp_path / "d").read_text(encoding="utf-8")
    assert kept.rstrip("\n") == shown.rstrip("\n")
    assert shown.endswith("\n")
    assert form == "text" or kept.rstrip("\n") == renderers()[form](d).rstrip("\n")


def test_text_is_as_wide_as_it_may_be_and_ascii_where_it_has_to(capsys: pytest.CaptureFixture[str]) -> None:
    for width in (60, 100):
        write_derivation(derived("xor", "layer"), "text", None, width, False)
        longest = max(map(len, capsys.readouterr().out.splitlines()))
        assert longest <= width
        assert longest > 50
    write_derivation(derived("xor", "layer"), "text", None, None, True)
    assert capsys.readouterr().out.isascii()


def test_a_worksheet_in_a_file_has_its_answers_beside_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import trace_nets as nets

    sheet = worksheet(nets.trace_target(XOR), 0, View("neuron"), "bpcli mark answers.yaml x.yaml")
    write_worksheet(sheet, "markdown", None)
    out, err = capsys.readouterr()
    assert out.startswith("# net: a worksheet")
    assert err == "--out FILE writes the answers too, beside it\n"
    file = tmp_path / "sheet.md"
    write_worksheet(sheet, "markdown", file)
    shown = capsys.readouterr()
    assert (shown.out, file.read_text(encoding="utf-8")) == ("", out)
    assert (tmp_path / "sheet.answers.yaml").read_text(encoding="utf-8") == sheet.key
    assert shown.err == f"the worksheet is in {file}, its answers in {tmp_path / 'sheet.answers.yaml'}\n"


def test_what_a_comparison_found(capsys: pytest.CaptureFixture[str]) -> None:
    reports = (
        Golden(file="g.json", count=7, written=True, difference=None),
        Golden(file="g.json", count=7, written=False, difference=None),
        Golden(file="g.json", count=7, written=False, difference=Difference("q3", "dense_1.y", "it is 1 and was 2")),
    )
    said = []
    for report in reports:
        show(*golden_report(report))
        said.append(capsys.readouterr().out)
    assert said == [
        "7 quantities are written to g.json; from now on it is compared with\n",
        "all 7 quantities are as in g.json\n",
        "differs from g.json, first at dense_1.y: it is 1 and was 2\n",
    ]
    assert json.loads(renderers()["json"](derived("xor", "layer")))["name"] == "xor"
