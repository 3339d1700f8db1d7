"""Where text goes, and that it is plain where it is not a terminal."""

from __future__ import annotations

import io
import math
import sys

import pytest
from rich.text import Text

from bpcli.records.training import ClassRow, EvalReport, Predictions, Problem
from bpcli.render.console import (
    PIPED_WIDTH,
    can_redraw,
    clipped,
    console,
    console_width,
    say,
    show,
    show_json,
    show_plain,
    show_problems,
    show_result,
    table,
    waiting,
)
from bpcli.render.evaluation.predict import csv_parts, json_parts
from bpcli.render.json_text import dumps, evaluation_record
from bpcli.render.numbers import date


class Stream(io.StringIO):
    """A stream of some encoding, a terminal or not."""

    def __init__(self, terminal: bool = True, encoding: str = "utf-8") -> None:
        super().__init__()
        self.terminal, self._encoding = terminal, encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def isatty(self) -> bool:
        return self.terminal


def piped(monkeypatch: pytest.MonkeyPatch) -> Stream:
    """Takes stdout's place from now on."""
    stream = Stream(terminal=False)
    monkeypatch.setattr(sys, "stdout", stream)
    return stream


def test_a_pipe_has_eighty_columns_and_a_terminal_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    out = piped(monkeypatch)
    monkeypatch.setenv("COLUMNS", "57")
    assert console(out).width == console_width() == PIPED_WIDTH == 80
    assert console(Stream()).width == 57


def test_piped_a_wide_table_is_whole_and_its_lines_end_with_their_text(monkeypatch: pytest.MonkeyPatch) -> None:
    out = piped(monkeypatch)
    wide = table("a", ">b", rows=[("x" * 90, "y" * 50)])
    show(Text("first"), wide, Text("word " * 30))
    lines = out.getvalue().split("\n")
    assert lines[0] == "first"
    assert lines[3] == "x" * 90 + "  " + "y" * 50
    assert lines[4] == ("word " * 30).strip()
    assert lines[5:] == [""]
    assert all(line == line.rstrip() for line in lines)


def test_on_a_terminal_text_is_folded_at_its_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    stream = Stream()
    monkeypatch.setattr(sys, "stdout", stream)
    show(Text("word " * 10), Text("end"))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 4
    assert max(map(len, lines)) <= 20


def test_text_is_no_markup_and_nothing_is_coloured(monkeypatch: pytest.MonkeyPatch) -> None:
    out = piped(monkeypatch)
    console(out).print("[bold]1[/bold] :smile:")
    assert out.getvalue() == "[bold]1[/bold] :smile:\n"


@pytest.mark.parametrize(
    ("encoding", "shown"), [("utf-8", '{\n  "a": "é\\n"\n}\n'), ("ascii", '{\n  "a": "\\u00e9\\n"\n}\n')]
)
def test_json_is_in_characters_that_the_stream_has(encoding: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Stream(False, encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    show_json(dumps({"a": "é\n"}))
    assert stream.getvalue() == shown


def test_a_plain_result_ends_its_line_once(monkeypatch: pytest.MonkeyPatch) -> None:
    out = piped(monkeypatch)
    show_plain("a")
    show_plain("b\n")
    assert out.getvalue() == "a\nb\n"


def test_a_result_is_json_or_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    out = piped(monkeypatch)
    show_result(Problem("p", "c"), True, lambda: pytest.fail("no page was asked for"))
    assert '"text": "p"' in out.getvalue()
    show_result(Problem("p", "c"), False, lambda: [Text("page")])
    assert out.getvalue().endswith("}\npage\n")


def test_remarks_go_to_stderr_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    err = Stream(False)
    monkeypatch.setattr(sys, "stderr", err)
    say("word " * 30)
    say()
    assert err.getvalue() == "word " * 30 + "\n\n"


def test_problems_are_apart_by_empty_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    err = Stream(False)
    monkeypatch.setattr(sys, "stderr", err)
    show_problems([Problem("one"), Problem("two", level="warning")])
    assert err.getvalue() == "error: one\n\nwarning: two\n"


def test_a_line_of_a_file_is_cut_to_the_console(monkeypatch: pytest.MonkeyPatch) -> None:
    """To at least 40 columns, and to one less than there are: some terminals break a full line."""
    problem = Problem("t", file="f.yaml", line=1, column=1, excerpt=((1, "x" * 300),))
    for columns, width in ((60, 59), (10, 40)):
        err = Stream()
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setattr(sys, "stderr", err)
        show_problems([problem])
        text = "".join(err.getvalue().split("\n"))
        assert text.count("x") == width - len("1 | ") - len("...")


def test_only_a_terminal_that_can_go_back_shows_what_is_being_done(monkeypatch: pytest.MonkeyPatch) -> None:
    for term, terminal, drawn in (("xterm", True, True), ("dumb", True, False), ("xterm", False, False)):
        err = Stream(terminal)
        monkeypatch.setenv("TERM", term)
        monkeypatch.setattr(sys, "stderr", err)
        ran = []
        with waiting("reading rows"):
            ran.append(1)
        assert ran == [1]
        assert can_redraw(err) == drawn == ("reading rows" in err.getvalue())


def test_lines_of_a_table_are_those_that_the_stream_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    for encoding, ascii, line in (("utf-8", False, "─"), ("utf-8", True, "-"), ("ascii", False, "-")):
        stream = Stream(False, encoding)
        monkeypatch.setattr(sys, "stdout", stream)
        show(table("name", ">n", rows=[("a", "1")], ascii=ascii))
        assert stream.getvalue().splitlines() == ["name  n", line * 7, "a     1"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [("x" * 32, "x" * 32), ("x" * 33, "x" * 29 + "..."), ("a\x1bb", "a\\x1bb"), ("x" * 28 + "    yz", "x" * 28 + "..."),
     ("字" * 17, "字" * 14 + "...")],
)  # fmt: skip
def test_a_long_name_is_shown_by_its_beginning(name: str, shown: str) -> None:
    assert clipped(name) == shown


# --------------------------------------------------------------------------------------------------- what programs read
def test_records_are_mappings_all_the_way_and_what_json_lacks_is_null() -> None:
    record = {"a": [Problem("t", "c", ("x", 0))], 1: (math.nan, -math.inf, 0.5, True, None)}
    assert dumps(record) == dumps({"a": [{"text": "t", "code": "c", "path": ["x", 0], "file": "", "line": 0,
                                          "column": 0, "span": 1, "excerpt": [], "help": "", "level": "error"}],
                                   "1": [None, None, 0.5, True, None]})  # fmt: skip
    assert dumps({"a": "é"}) == '{\n  "a": "é"\n}'


def test_an_evaluation_has_its_classes_by_name_and_no_warnings() -> None:
    report = EvalReport("m", "test", 4, 0.5, {"accuracy": 1.0}, (ClassRow("cat", 1, 2, 3, 4),),
                        (ClassRow("macro avg", 5, 6, 7, 8),), ((1.0,),), ("cat",), ("n",), (Problem("w"),))  # fmt: skip
    found = evaluation_record(report)
    assert list(found) == ["model", "split", "rows", "loss", "metrics", "classes", "per_class", "averages",
                           "confusion", "notes"]  # fmt: skip
    assert found["per_class"] == {"cat": {"precision": 1, "recall": 2, "f1": 3, "support": 4}}
    assert found["averages"] == {"macro avg": {"precision": 5, "recall": 6, "f1": 7, "support": 8}}
    assert found["model"] == "m"


def test_predictions_are_csv_that_reads_back_and_json_an_object_for_each_row() -> None:
    found = Predictions(("name", "p"), (("a,b", 0.1 + 0.2), ('"é"', 1.0)))
    assert "".join(csv_parts(found)) == 'name,p\n"a,b",0.30000000000000004\n"""é""",1.0\n'
    assert (
        "".join(json_parts(found))
        == '[\n  {"name": "a,b", "p": 0.30000000000000004},\n  {"name": "\\"é\\"", "p": 1.0}\n]\n'
    )
    assert "".join(json_parts(Predictions(("p",), ((math.nan,),)))) == '[\n  {"p": null}\n]\n'
    assert "".join(json_parts(Predictions(("p",), ()))) == "[]\n"


@pytest.mark.parametrize(
    ("days", "shown"),
    [(0.0, "1970-01-01"), (19753.0, "2024-01-31"), (19753.5, "2024-01-31 12:00"), (0.5 / 24, "1970-01-01 00:30"),
     (-1.0, "1969-12-31"), (1 / 86400 * 20, "1970-01-01")],
)  # fmt: skip
def test_days_since_1970_are_dates(days: float, shown: str) -> None:
    assert date(days) == shown
