"""A marked derivation on the terminal and as JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from mark_file import mark_file
from paths import CONFIGS
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from bpcli.records.trace import Marks
from bpcli.render.json_text import dumps
from bpcli.render.trace import marks as marks_module
from bpcli.render.trace.marks import marks, marks_record
from bpcli.studies.trace.open import TracedRows

ARTICLE = """\
article: your numbers in claims.yaml, marked
  network  1 -> dense_1 (1) -> dense_1.activation sigmoid -> dense_2 (1) ->
           dense_2.activation sigmoid
  weights  as they start
  rows     1 row given by value

your number                   as you have it        as it is
-------------------------------------------------------------------
2 Forward pass
  dense_1.a                    0.73105857863   0.73105857863  right
  dense_2.a                    0.26894142137   0.32496247262  WRONG
3 Output error
  loss                         0.07610244617    0.4556756634  WRONG
5 Chain rule for each weight
  dense_1.dW                   0.25942358493  0.058227603268  WRONG
6 Update
  dense_1.W_new                1.25942358493  0.941772396732  WRONG

1 of 5 right; 4 wrong.

The first wrong number: dense_2.a = 0.26894142137 (line 4)
  it is    dense_2.activation.y[0,0] = 1 / (1 + e^(-(-0.731059))) = 0.324962
  cause    in dense_2.y, which you did not write down: its input,
           dense_1.activation.y, is left out, as if it were 1
  or       in dense_2.y, which you did not write down: its input is taken before
           sigmoid, which is not applied

Also wrong: loss = 0.07610244617 (line 5)
  it is    loss = 1*(0.324962 - 1)^2 / 1 = 0.455676
  yours    from your numbers before it: 0.5344466454
  cause    no cause found: none of the usual mistakes gives this number
  note     it is 0.167 times the right number

Also wrong: dense_1.dW = 0.25942358493 (line 6)
  it is    dense_1.dW[0,0] = 1*0.0582276 = 0.0582276
  yours    from your numbers before it: 0.056519969713
  cause    no cause found: none of the usual mistakes gives this number
  note     it is 4.455 times the right number

Also wrong: dense_1.W_new = 1.25942358493 (line 7)
  it is    dense_1.W_new[0,0] = 1 - 1*0.0582276 = 0.941772
  yours    from your numbers before it: 0.74057641507
  cause    the gradient is added; to go downhill it is subtracted
"""


def article(folder: Path, text: str = "", *, ascii: bool = False) -> Marks:
    claims = folder / "claims.yaml"
    claims.write_text(text or (CONFIGS / "article_claims.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    return mark_file(CONFIGS / "article.yaml", TracedRows(x=("1",), t=("1",)), claims, ascii=ascii)


def drawn(m: Marks, width: int = 80, *, ascii: bool = False) -> str:
    stream = StringIO()
    target = Console(file=stream, width=width, markup=False, highlight=False, emoji=False, no_color=True)
    for item in marks(m, width, ascii):
        target.print(item)
    return "\n".join(line.rstrip() for line in stream.getvalue().split("\n"))


def test_the_article(tmp_path: Path) -> None:
    m = replace(article(tmp_path, ascii=True), file="claims.yaml")
    text = drawn(m, ascii=True)
    assert text == ARTICLE
    assert text.isascii()


@pytest.mark.parametrize("width", [50, 80, 120])
def test_no_line_is_wider_than_the_terminal(width: int, tmp_path: Path) -> None:
    text = drawn(article(tmp_path), width)
    assert max(map(cell_len, text.split("\n")[5:])) <= max(width, 67)


def test_all_right(tmp_path: Path) -> None:
    text = drawn(article(tmp_path, "dense_1.a: 0.731\nloss: 0.4557\n"))
    assert text.endswith("\nAll 2 are right.\n")
    assert drawn(article(tmp_path, "loss: 0.4557\n")).endswith("\nIt is right.\n")


def test_what_follows_is_told_apart(tmp_path: Path) -> None:
    text = drawn(article(tmp_path, "dense_2.a: 0.26894142137\nloss: 0.534446645389\n"))
    assert "0 of 2 right; 1 wrong; 1 consistent with your earlier error: right, had that" in text
    assert "0.534446645389  0.455675663367  follows" in text
    assert "The wrong number: dense_2.a" in text
    assert "Also wrong" not in text


def test_many_that_are_right_are_counted(tmp_path: Path) -> None:
    config = tmp_path / "net.yaml"
    config.write_text(
        "data:\n  train: {type: inline, inputs: [[1]], targets: [[1]]}\n"
        "architecture:\n  - {type: dense, units: 50}\nloss: mean_squared_error\n".replace("[[1]]}", f"[{[1] * 50}]}}"),
        encoding="utf-8",
    )
    claims = tmp_path / "many.csv"
    claims.write_text("".join(f"dense_1.b[{i}],{int(i == 7)}\n" for i in range(50)), encoding="utf-8")
    text = drawn(mark_file(config, TracedRows(), claims))
    assert "  49 others" in text
    assert "dense_1.b[7]" in text
    assert "dense_1.b[8]" not in text
    assert "it is given, not worked out" in text
    assert "no cause found" not in text


def test_what_programs_read(tmp_path: Path) -> None:
    record = json.loads(dumps(marks_record(article(tmp_path))))
    assert record["right"] is False
    assert record["first"] == "dense_2.a"
    assert record["counts"] == {"right": 1, "wrong": 4, "follows": 0}
    second = record["claims"][1]
    assert second["verdict"] == "wrong"
    assert second["stage"] == 2
    assert second["causes"][0]["code"] == "dropped-input"
    assert second["right"] == pytest.approx(0.324962472623176, abs=1e-14)


def test_where_bpcli_disagrees_with_itself_it_says_so_after_the_marks(tmp_path: Path) -> None:
    found = drawn(replace(article(tmp_path, ascii=True), disagree=("dense_1.dW",)), ascii=True)
    *_, first, second, empty = found.split("\n")
    assert first == "WRONG bpcli itself: at dense_1.dW its equation does not give what its engine"
    assert second == "      computed; please report it"
    assert empty == ""


@pytest.mark.parametrize(("most", "more"), [(3, "and 1 more wrong numbers; all of them: --json"), (4, ""), (5, "")])
def test_so_many_mistakes_are_explained_and_the_others_counted(
    most: int, more: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marks_module, "MAX_EXPLAINED", most)
    found = drawn(article(tmp_path, ascii=True), ascii=True)
    assert found.count("Also wrong: ") == min(most, 4) - 1
    assert ("more wrong numbers" in found) == bool(more)
    assert more in found


def test_lines_are_drawn_in_unicode_eighty_columns_wide_unless_it_is_said(tmp_path: Path) -> None:
    found = article(tmp_path)
    plain = [str(item) for item in marks(found) if isinstance(item, Text)]
    assert plain == [str(item) for item in marks(found, 80, False) if isinstance(item, Text)]
    assert plain != [str(item) for item in marks(found, 80, True) if isinstance(item, Text)]
