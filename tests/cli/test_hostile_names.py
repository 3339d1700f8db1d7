"""No name, class, cell, path or argument is obeyed by what shows it: a terminal, a browser, Markdown, a spreadsheet."""

import csv
import io
import json
import re
import sys
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from unittest.mock import patch

import pytest
from cli_lab import Lab, lab
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from bpcli.cli.app import run
from bpcli.records.training import Predictions
from bpcli.render.console import say, show, show_json, show_path, show_plain, table, write_to
from bpcli.render.evaluation.predict import csv_parts

__all__ = ["lab"]

HOSTILE = "\x1b[31mA\x1b]0;t\x07\x9b2J\x7f\r\b\u202ex\u2066[bold]b[/bold][/]<script>alert(1)</script>|$`\\&\n- q"
"""Colours, a title, a cleared screen, a line break, a turned direction, markup of Rich, HTML and Markdown."""
RICH = re.compile(r"\x1b\[[0-9;]*m|\x1b\[\?25[lh]|\x1b\[2K|\x1b\[1A|\x1b\[\d*[A-G]|\r(?=\x1b)")
"""What Rich writes: styles, and the cursor of a line that is drawn over."""
FOLDER = HOSTILE.replace("/", "_")


class Terminal(io.TextIOWrapper):
    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", write_through=True)

    def isatty(self) -> bool:
        return True

    @property
    def shown(self) -> str:
        return self.buffer.getvalue().decode("utf-8", "surrogateescape")  # type: ignore[attr-defined, no-any-return]


def on_a_terminal(*words: str, code: int | None = 0) -> str:
    """What a command draws on a terminal, without what Rich itself writes."""
    out, err = Terminal(), Terminal()
    with patch.multiple(sys, stdout=out, stderr=err, argv=["bpcli", *words]):
        found = run()
    shown = out.shown + err.shown
    assert code in (None, found), shown
    assert "\x1b[31mA" not in shown
    left = RICH.sub("", shown).split("\n")
    assert [line for line in left if not line.isprintable()] == [], words
    assert not any(line.startswith("- q") for line in left), words
    return "\n".join(left)


@pytest.fixture
def hostile(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A table whose columns and classes are hostile, in a folder of such a name."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "300")
    out = io.StringIO()
    csv.writer(out).writerows(
        [["w" + HOSTILE, "h", "k" + HOSTILE], *([i, i * 7 % 5, HOSTILE if i % 2 else "b" + HOSTILE] for i in range(60))]
    )
    lab.write("t.csv", out.getvalue())
    (lab.path / FOLDER).mkdir()
    return lab


def test_a_terminal(hostile: Lab) -> None:
    config, folder = f"{FOLDER}/c.yaml", f"{FOLDER}/run"
    on_a_terminal("init", "t.csv", "--target", "k" + HOSTILE, "--out", config)
    on_a_terminal("check", config)
    on_a_terminal("train", config, "--out", folder, "--set", "training.epochs=2")
    on_a_terminal("train", config, "--out", folder, code=73)
    on_a_terminal("eval", folder)
    on_a_terminal("eval", folder, "--data", "t.csv", "--json")
    predicted = on_a_terminal("predict", folder, "--data", "t.csv", "--append")
    assert "\\x1b[31mA\\x1b]0;t\\x07\\x9b2J\\x7f\\r\\x08\\u202ex\\u2066[bold]b[/bold][/]<script>" in predicted
    on_a_terminal("predict", folder, "--data", "t.csv", "--out", f"{FOLDER}/p.csv")
    on_a_terminal("trace", config, "--layer", "dense_2")
    assert on_a_terminal("--debug", "check", config, "--set", HOSTILE, code=2)


WAYS_OUT: dict[str, Callable[[], None]] = {
    "text": lambda: show(Text(HOSTILE, "bold")),
    "string": lambda: show(HOSTILE),
    "padded": lambda: show(Padding(Text.assemble("a", (HOSTILE, "red"), "b"), 1)),
    "grid": lambda: show(Table(Column(HOSTILE), title=HOSTILE)),
    "table": lambda: show(table(HOSTILE, rows=[[HOSTILE]])),
    "plain": lambda: show_plain(HOSTILE),
    "path": lambda: show_path(HOSTILE),
    "json": lambda: show_json(json.dumps([HOSTILE], ensure_ascii=False)),
    "remark": lambda: say(HOSTILE),
    "line": lambda: write_to(sys.stderr, HOSTILE),
}


@pytest.mark.parametrize("name", WAYS_OUT)
def test_every_way_out_is_safe_by_itself(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = Terminal(), Terminal()
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    WAYS_OUT[name]()
    shown = RICH.sub("", (out.shown + err.shown).replace("\x1b[31mA", "<raw>"))
    assert "<raw>" not in shown
    assert shown.replace("\n", "").isprintable()
    assert "[bold]" in shown  # and what is left of it is all there
    if name in ("table", "remark"):  # where no line break can be our own
        assert "\n- q" not in shown


@pytest.mark.slow
def test_all_that_a_terminal_shows(hostile: Lab) -> None:
    config, run, sheet = (f"{FOLDER}/{name}" for name in ("c.yaml", "run", "sheet"))
    name = "k" + HOSTILE
    on_a_terminal("init", "t.csv", "--target", name, "--out", config)
    on_a_terminal("train", config, "--out", run, "--set", "training.epochs=2")
    hostile.write("claims.yaml", '"dense_1.W[0,0]": 0.5\nloss: 0.3\n')
    for words in (
        ["init", "t.csv", "--target", name, "--out", "-"],
        ["init", "t.csv", "--target", name, "--drop", "w" + HOSTILE, "--tune", "--budget", "2s", "--out", "u.yml"],
        ["train", "--resume", run, "--set", "training.epochs=3"],
        ["train", config, "--out", f"{run}w", "--set", "training.epochs=2", "--set", "training.watch=true"],
        ["train", config, "--out", f"{run}f", "--set", "training.epochs=2", "--folds", "2"],
        ["eval", run, "--json"], ["check", config, "--json"], ["gradcheck", config], ["diagnose", config],
        ["diagnose", run, "--json"], ["predict", run, "--data", "t.csv", "--warn"],
        ["predict", run, "--data", "t.csv", "--json"], ["predict", run, "--data", "t.csv", "--out", f"{sheet}.json"],
        *(["trace", config, "--format", form] for form in ("text", "markdown", "latex", "html", "json")),
        *(["trace", config, "--out", sheet + ending] for ending in (".txt", ".md", ".tex", ".html", ".json")),
        ["trace", config, "--golden", f"{sheet}.golden"], ["trace", config, "--golden", f"{sheet}.golden"],
        ["worksheet", config], ["worksheet", config, "--out", f"{sheet}.md"],
        ["mark", f"{sheet}.answers.yaml", config], ["schema", "--out", f"{sheet}.json"],
        ["examples", "--all", "--to", FOLDER], ["guide", "configs"], ["parts"],
    ):  # fmt: skip
        on_a_terminal(*words)
    on_a_terminal("mark", "claims.yaml", config, code=3)
    hostile.write("part.py", "raise ValueError('\\x1b[31mA')\n")
    on_a_terminal("--debug", "check", config, "--with", "part.py", code=65)
    on_a_terminal("predict", run, "--data", "t.csv", "--keep", HOSTILE, code=65)
    for command in (["examples", HOSTILE], ["trace", "--example", HOSTILE], ["trace", config, "--layer", HOSTILE]):
        on_a_terminal(*command, code=None)
    hostile.write("y.yaml", 'name: "\\e[31mA"\ndata: {train: {"\\e[31mA": 1}}\narchitecture: [{type: "\\e[31mA"}]\n')
    on_a_terminal("check", "y.yaml", code=65)


def test_what_a_program_reads_is_exact(hostile: Lab) -> None:
    config, folder = f"{FOLDER}/c.yaml", f"{FOLDER}/run"
    hostile.good("init", "t.csv", "--target", "k" + HOSTILE, "--out", config)
    hostile.good("train", config, "--out", folder, "--set", "training.epochs=1", "-q")
    rows = csv.reader(io.StringIO(hostile.good("predict", folder, "--data", "t.csv").out, newline=""))
    assert next(rows)[0] == "k" + HOSTILE
    assert {row[0] for row in rows} <= {HOSTILE, "b" + HOSTILE}


@pytest.mark.parametrize(
    "words",
    [
        ["{}"], ["train", "{}"], ["eval", "{}"], ["train", "trees.yaml", "--out", "trees.csv/{}"], ["init", "{}"],
        ["check", "trees.yaml", "--set", "{}=1"], ["check", "trees.yaml", "--set", "loss={}"], ["parts", "{}"],
        ["init", "trees.csv", "--target", "{}"], ["guide", "{}"],
        ["check", "trees.yaml", "--with", "{}"], ["mark", "{}", "trees.yaml"], ["worksheet", "{}"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_an_argument(words: list[str], hostile: Lab) -> None:
    on_a_terminal(*(word.replace("{}", HOSTILE) for word in words), code=None)


class Elements(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found[" ".join((tag, *sorted(name for name, _ in attrs)))] += 1


def pages(lab: Lab, name: str) -> dict[str, str]:
    """The pages of a network whose classes and columns have a name in them, by their endings."""
    lab.write("c.csv", f'"{name}",h,k\n' + "".join(f'{i},1,"{i % 2}{name}"\n' for i in range(8)))
    text = "data: {train: {type: csv, path: c.csv, target: k}}\narchitecture: [{type: dense, units: 2}]\n"
    lab.write("c.yaml", text + "loss: softmax_cross_entropy\n")
    for ending in ("html", "md", "tex"):
        lab.good("trace", "c.yaml", "--detail", "layer", "--out", f"c.{ending}")
    return {ending: (lab.path / f"c.{ending}").read_text(encoding="utf-8") for ending in ("html", "md", "tex")}


def test_a_page(lab: Lab) -> None:
    """As many elements of HTML as with a plain name; nothing that Markdown or TeX would read as theirs."""
    sign = "x<script>|$`\\_[a](b)<img src=x onerror=y>&amp;{}"
    plain, evil = pages(lab, "plain"), pages(lab, sign)
    assert Elements(plain["html"]).found == Elements(evil["html"]).found
    assert "<script>|" not in evil["md"]
    assert "x\\<script\\>\\|\\$\\`\\\\\\_\\[a\\](b)\\<img" in evil["md"]
    assert [line.count("|") - line.count("\\|") for line in evil["md"].splitlines()] == [
        line.count("|") for line in plain["md"].splitlines()
    ]
    assert "x$<$script$>$$|$\\$\\textasciigrave{}\\textbackslash{}\\_[a](b)" in evil["tex"]


@pytest.mark.parametrize("command", ["trace", pytest.param("worksheet", marks=pytest.mark.slow)])
def test_the_ending_says_what_is_written(command: str, lab: Lab) -> None:
    def begins(name: str, *more: str) -> str:
        lab.good(command, "trees.yaml", "--out", name, *more)
        return (lab.path / name).read_text(encoding="utf-8")[:15]

    assert begins("a.html") == begins("a.HTM") == "<!DOCTYPE html>"
    assert begins("a.md").startswith("# ")
    assert begins("a.tex") == "\\documentclass["
    assert begins("a.md", "--format", "html") == "<!DOCTYPE html>"
    for words in (["a.pdf"], ["a.htmlx"], ["x.html", "--format", "markdown"], ["x.svg", "--format", "latex"]):
        found = lab.run(command, "trees.yaml", "--out", *words)
        assert found.code == 2
        assert ".html" in found.err or "--format html" in found.err
        assert not (lab.path / words[0]).exists()


def test_other_files_end_as_what_they_hold(lab: Lab) -> None:
    for words in (
        ["predict", "run", "--data", "trees.csv", "--out", "p.html"],
        ["eval", "run", "--sheet", "s.html"],
        ["check", "trees.yaml", "--sheet", "s.svg"],
        ["init", "trees.csv", "--target", "kind", "--out", "c.html"],
        ["schema", "--out", "s.html"],
        ["trace", "trees.yaml", "--json", "--out", "t.html"],
    ):
        found = lab.run(*words)
        assert found.code == 2, words
        assert "invalid value for --" in found.err


def test_a_spreadsheet() -> None:
    """What would be a formula is a text; a number stays one."""
    formulas = ["=1+1", "+cmd", "-2+3", "@SUM(A1)", "\tx", "\rx", " =1", "\uff1d1", "-"]
    texts = [*formulas, "-1.5", "+3", "-1e-5", "-5%", "a=b", "", "a\rb"]
    found = Predictions(("=h", "p(-x)"), [(text, -0.5) for text in texts])
    rows = list(csv.reader(io.StringIO("".join(csv_parts(found, escape_formulas=True)), newline="")))
    assert rows[0] == ["'=h", "p(-x)"]
    assert rows[1:] == [[f"'{text}" if text in formulas else text, "-0.5"] for text in texts]
    assert next(csv.reader(io.StringIO("".join(csv_parts(found))))) == ["=h", "p(-x)"]


def test_formulas_are_escaped_where_that_is_asked_for(lab: Lab) -> None:
    lab.write("f.csv", "w,k\n" + "".join(f"{i},{'=A1' if i % 2 else '-2'}\n" for i in range(8)))
    lab.config(("path: trees.csv, target: kind", "path: f.csv, target: k"))
    lab.good("train", "trees.yaml", "--out", "run", "-q")
    words = ("predict", "run", "--data", "f.csv", "--append", "--out", "p.csv")
    lab.good(*words, "--escape-formulas")
    cells = (lab.path / "p.csv").read_text().split("\n")[2].split(",")
    assert cells[:2] == ["1", "'=A1"]
    lab.good(*words)
    assert Path("p.csv").read_text().split("\n")[2].split(",")[1] == "=A1"
    assert lab.run("predict", "run", "--data", "f.csv", "--json", "--escape-formulas").code == 2
