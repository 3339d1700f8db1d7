"""Predictions that can be joined with the file they were made for, and rows that come from standard input."""

from __future__ import annotations

import csv
import io
import json
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_lab import Lab
from cli_lab import lab as lab

from bpcli.family import Source
from bpcli.numeric import free_memory
from bpcli.parts.data.csv.source import Csv
from bpcli.parts.data.idx import Idx
from bpcli.records.training import Failure, Predictions, Problem
from bpcli.render.evaluation import predict as written
from bpcli.render.evaluation.predict import csv_parts, json_parts
from bpcli.studies.dataset.standard_input import standard_input
from bpcli.studies.evaluation import predict as predicting

ROWS = '''\
kind,zip,height,=note,p(oak),width,height of it
oak,007,2.0,"say ""a, b""",+1,1.0,1
elm, 012 ,1.5,=1+1,@x,2.0,
fir,-5,"3.5","two
lines",,4.0,'7
'''
CELLS = [
    ["oak", "007", "2.0", 'say "a, b"', "+1", "1.0", "1"],
    ["elm", "012 ", "1.5", "=1+1", "@x", "2.0", ""],
    ["fir", "-5", "3.5", "two\nlines", "", "4.0", "'7"],
]
HEAD = ["kind", "zip", "height", "=note", "p(oak)", "width", "height of it"]


@pytest.fixture
def trained(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    lab.good("train", "trees.yaml", "--out", "run", "--quiet")
    lab.write("rows.csv", ROWS)
    (lab.path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(lab.path / "temporary"))
    return lab


def table(lab: Lab, *words: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(lab.good("predict", "run", *words).out, newline="")))


def give(monkeypatch: pytest.MonkeyPatch, data: str | bytes) -> None:
    """Puts data where standard input is read from: it can be read once."""
    raw = io.BytesIO(data if isinstance(data, bytes) else data.encode())
    monkeypatch.setattr(raw, "seekable", lambda: False, raising=False)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(raw)))  # type: ignore[arg-type]


def test_columns_of_the_file_stand_before_the_predictions_as_they_are(trained: Lab) -> None:
    bare = table(trained, "--data", "rows.csv")
    assert bare[0] == ["kind", "p(elm)", "p(oak)"]
    names = ["predicted_kind", "p(elm)", "predicted_p(oak)"]
    every = table(trained, "--data", "rows.csv", "--append")
    assert every[0] == [*HEAD, *names]
    assert every[1:] == [[*cells, *row] for cells, row in zip(CELLS, bare[1:], strict=True)]
    kept = table(trained, "--data", "rows.csv", "--keep", "=note", "--keep", "zip", "--keep", "zip", "--row-numbers")
    assert kept[0] == ["row", "zip", "=note", "kind", "p(elm)", "p(oak)"], "in the order of the file"
    assert kept[1:] == [
        [str(i), cells[1], cells[3], *row] for i, (cells, row) in enumerate(zip(CELLS, bare[1:], strict=True))
    ]
    found = json.loads(trained.good("predict", "run", "--data", "rows.csv", "--append", "--row-numbers", "--json").out)
    assert [list(row) for row in found] == [["row", *HEAD, *names]] * 3
    assert [list(row.values())[:8] for row in found] == [[i, *cells] for i, cells in enumerate(CELLS)]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("extra", ["", "note", '"a ""note"""'])
def test_blank_lines_are_no_rows(trained: Lab, ending: str, extra: str) -> None:
    rows = ["", "id,width,height", "", "a1,1.0,2.0", "   ", f"a2,2.0,1.5{',' * bool(extra)}{extra}", "", ""]
    rows = [f"{row},x" if extra and row[:1] in ("i", "a") and extra not in row else row for row in rows]
    trained.write("blank.csv", ending.join(rows))
    found = table(trained, "--data", "blank.csv", "--keep", "id", "--row-numbers")
    assert [row[:2] for row in found] == [["row", "id"], ["0", "a1"], ["1", "a2"]]


def test_a_file_without_a_header_counts_its_columns(lab: Lab) -> None:
    lab.write("bare.csv", "1,2,oak\n3,1,elm\n5,7,oak\n2,1,elm\n")
    lab.config(("path: trees.csv, target: kind", "path: bare.csv, target: -1, header: false"))
    lab.good("train", "trees.yaml", "--out", "run", "--quiet")
    assert table(lab, "--data", "bare.csv", "--keep=-1", "--keep", "0")[:2] == [
        ["0", "2", "predicted_2", "p(elm)", "p(oak)"],
        ["1", "oak", *table(lab, "--data", "bare.csv")[1]],
    ]


@pytest.mark.parametrize(
    ("words", "text", "help", "code"),
    [
        (("--keep", "Zip"), "--keep: the file has no column `Zip`", "did you mean `zip`?", 65),
        (("--keep", "n"), "the header names `n` twice: columns 2 and 4 (counted from 0)", "rename one of them\n", 65),
        (("--append",), "the header names `n` twice: columns 2 and 4", "--keep takes single columns along", 65),
    ],
)
def test_a_column_to_keep_that_there_is_not(
    trained: Lab, words: tuple[str, ...], text: str, help: str, code: int
) -> None:
    trained.write("twice.csv", "width,height,n,zip,n\n1,2,3,4,5\n")
    found = trained.run("predict", "run", "--data", "twice.csv", *words)
    assert (found.code, found.out) == (code, "")
    assert text in found.err
    assert help in found.err
    assert len(table(trained, "--data", "twice.csv", "--keep", "zip")) == 2


def test_rows_without_named_columns_can_be_numbered(lab: Lab) -> None:
    np.save(lab.path / "x.npy", np.arange(8.0).reshape(4, 2))
    np.save(lab.path / "y.npy", np.array([0, 1, 0, 1]))
    lab.config(("{type: csv, path: trees.csv, target: kind}", "{type: npy, path: x.npy, targets: y.npy}"))
    lab.good("train", "trees.yaml", "--out", "run", "--quiet")
    assert [row[0] for row in table(lab, "--data", "x.npy", "--row-numbers")] == ["row", "0", "1", "2", "3"]
    found = lab.run("predict", "run", "--data", "x.npy", "--append")
    assert (found.code, found.err) == (
        2,
        "error: npy: the rows have no columns with names that could be kept [no-columns]\n"
        "  help: leave --keep and --append out; --row-numbers says which row is which\n",
    )


# Standard input


def test_standard_input_is_a_file_as_the_training_file_was(trained: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = (trained.path / "trees.csv").read_text()
    for words in (("predict",), ("eval", "--json")):
        expected = trained.good(words[0], "run", "--data", "trees.csv", *words[1:])
        give(monkeypatch, rows)
        found = trained.good(words[0], "run", "--data", "-", *words[1:])
        assert found.out == expected.out
        assert found.err == expected.err.replace("trees.csv", "stdin")
    give(monkeypatch, ROWS)
    assert trained.good("predict", "run", "--data", "-", "--append").out == trained.good(
        "predict", "run", "--data", "rows.csv", "--append"
    ).out  # fmt: skip
    assert list((trained.path / "temporary").iterdir()) == [], "the copy of what was read is gone"


def test_standard_input_with_its_source_spelled_out(trained: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, "Höhe;width;height\n7;1,5;2,5\n".encode("latin-1"))
    source = "{type: csv, path: '-', encoding: latin-1, delimiter: ';'}"
    found = table(trained, "--data", source, "--keep", "Höhe")
    trained.write("plain.csv", "width,height\n1.5,2.5\n")
    assert found[1] == ["7", *table(trained, "--data", "plain.csv")[1]]
    buffer = io.BytesIO()
    np.save(buffer, np.array([[1.5, 2.5]]))
    give(monkeypatch, buffer.getvalue())
    assert table(trained, "--data", "{type: npy, path: '-'}")[1] == found[1][1:]
    assert list((trained.path / "temporary").iterdir()) == []


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("", "error: the file is empty [empty-file]\n--> stdin\n  = help: it needs a header line and rows of data\n"),
        (
            "width,height\n1,2\n1,x\n",
            "error: column `height`: `x` is not a number [not-a-number]\n--> stdin:3:3\n  |\n3 | 1,x\n  |   ^",
        ),
        (
            "a,b\n1,2\n",
            "error: stdin has no column `width`, which the model was trained on [missing-column]\n--> stdin\n",
        ),
    ],
)
def test_what_is_wrong_with_standard_input(trained: Lab, monkeypatch: pytest.MonkeyPatch, data: str, text: str) -> None:
    give(monkeypatch, data)
    found = trained.run("predict", "run", "--data", "-")
    assert (found.code, found.out) == (65, "")
    assert found.err.startswith(text)
    assert list((trained.path / "temporary").iterdir()) == []


def test_where_standard_input_cannot_be_had(trained: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    found = trained.run("eval", "run", "--data", "-")
    assert (found.code, found.err) == (66, "error: standard input is closed [stdin]\n  help: name a file\n")
    with pytest.raises(Failure, match="inputs and targets are both `-`"), standard_input(
        Idx(inputs="-", targets="-")
    ):  # fmt: skip
        pass
    source = Csv(path="rows.csv")
    with standard_input(source) as same:
        assert same is source


def test_a_signal_leaves_nothing_behind(trained: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, ROWS)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL

    def end(source: Source) -> None:
        assert isinstance(source, Csv)
        assert Path(source.path).read_text() == ROWS
        signal.raise_signal(signal.SIGTERM)

    with pytest.raises(SystemExit) as caught, standard_input(Csv(path="-")) as source:
        end(source)
    assert caught.value.code == 143
    assert list((trained.path / "temporary").iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


# Rows that were trained on


def said(lab: Lab, *words: str) -> str:
    return lab.good("eval", *words, "--json").err


def test_rows_that_were_trained_on_are_told_by_their_content(trained: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """In any order, among others, as a copy, through a pipe; by the run folder and by the model in it."""
    text = "warning: {0}: the model was trained on {1} rows [trained-on]\n  help: they show what it remembers, not how"
    assert text.format("trees.csv", "all 8") in said(trained, "run", "--data", "trees.csv")
    head, *rows = (trained.path / "trees.csv").read_text().splitlines()
    mixed = "\n".join([head, *rows[:0:-1], "9.5,1,oak", "1.5,8,elm"]) + "\n"
    trained.write("mixed.csv", mixed)
    assert text.format("mixed.csv", "7 of 9") in said(trained, "run/model.safetensors", "--data", "mixed.csv")
    give(monkeypatch, mixed)
    assert text.format("stdin", "7 of 9") in said(trained, "run", "--data", "-")
    trained.write("new.csv", f"{head}\n9.5,1,oak\n1.5,8,elm\n1.5,8,oak\n")
    assert said(trained, "run", "--data", "new.csv") == ""
    trained.write("same.csv", (trained.path / "trees.csv").read_text())
    trained.write("trees.csv", "changed")
    assert "warning: same.csv is a file that the model was trained on [trained-on]" in said(
        trained, "run", "--data", "same.csv"
    )
    assert said(trained, "run", "--data", "mixed.csv") == "", "the training rows are no more there to be compared"
    (trained.path / "run" / "model.safetensors").rename(trained.path / "alone.safetensors")
    assert said(trained, "alone.safetensors", "--data", "same.csv") == ""


def test_rows_that_repeat_by_nature_are_no_sign(lab: Lab) -> None:
    rng = np.random.default_rng(0)

    def survey(rows: int) -> str:
        cells = zip(rng.integers(1, 4, rows), rng.integers(1, 3, rows), rng.choice(["oak", "elm"], rows), strict=True)
        return "width,height,kind\n" + "".join(f"{a},{b},{kind}\n" for a, b, kind in cells)

    for name in ("trees", "test", "fresh"):
        lab.write(f"{name}.csv", survey(120))
    lab.config(("  scale: st", "  test: {type: csv, path: test.csv, target: kind}\n  scale: st"))
    lab.good("train", "trees.yaml", "--out", "run", "--quiet")
    assert said(lab, "run", "--data", "fresh.csv") == ""
    assert said(lab, "run", "--data", "test.csv") == "", "it is a file of the run, and not one that it was trained on"
    again = said(lab, "run", "--data", "trees.csv")
    assert "the model was trained on all 120 rows" in again
    assert "; `bpcli eval run` judges it by its test rows" in again


@pytest.mark.parametrize("parts", [csv_parts, json_parts])
def test_no_more_than_a_block_of_the_answer_is_in_memory(
    trained: Lab, monkeypatch: pytest.MonkeyPatch, parts: Callable[[Predictions], Iterator[str]]
) -> None:
    """Rows are predicted when they are written: 256 at a time, in the network, and 20 of them as text."""
    monkeypatch.setattr(written, "CELLS_PER_PART", 60)
    monkeypatch.setattr(predicting, "CELLS_PER_BLOCK", 40)
    trained.write("many.csv", "width,height\n" + "".join(f"{i},{i % 7}\n" for i in range(1000)))
    whole = "".join(parts(predicting.predict(Path("run"), "many.csv", Path.cwd())))
    honest, made = predicting.prediction_rows, []

    def counted(model: Any, output: Any) -> Any:
        made.append(len(output))
        return honest(model, output)

    monkeypatch.setattr(predicting, "prediction_rows", counted)
    found = predicting.predict(Path("run"), "many.csv", Path.cwd(), warn=True, append=True, row_numbers=True)
    assert made == []
    most = [sum(made) for _ in parts(found)]
    assert most[0] == 20, "what is written first needs no more"
    assert sum(made) == len(found.rows) == 1000
    again = "".join(parts(predicting.predict(Path("run"), "many.csv", Path.cwd())))
    assert again == whole
    assert whole.count("elm") + whole.count("oak") >= 1000


def test_an_answer_too_large_for_the_memory_is_refused_before_a_row_is_made(
    trained: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(free_memory, "SMALL_BYTES", 0)
    monkeypatch.setattr(predicting, "require_memory", lambda *words: free_memory.require_memory(1 << 62, *words[1:]))
    trained.write("a.csv", "kept\n")
    found = trained.run("predict", "run", "--data", "rows.csv", "--out", "a.csv")
    assert found.code == 65
    assert "for predictions of 3 rows at a time" in found.err
    assert (trained.path / "a.csv").read_text() == "kept\n"


def test_an_answer_that_ends_in_the_midst_leaves_the_file_as_it_was(
    trained: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(model: Any, output: Any) -> Any:
        raise Failure(Problem("the data changed"))

    monkeypatch.setattr(predicting, "prediction_rows", failing)
    trained.write("a.csv", "kept\n")
    before = trained.files()
    assert trained.run("predict", "run", "--data", "rows.csv", "--out", "a.csv").code == 65
    assert ((trained.path / "a.csv").read_text(), trained.files()) == ("kept\n", before)
