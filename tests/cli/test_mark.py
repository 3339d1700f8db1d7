"""`bpcli mark` as it is typed."""

from __future__ import annotations

import json
import re

import pytest
from cli_lab import Lab
from cli_lab import lab as lab

ARTICLE = """\
dense_1.a: 0.73105857863
dense_2.a: 0.26894142137
loss: 0.07610244617
dense_1.dW: 0.25942358493
dense_1.W_new: 1.25942358493
"""


def test_the_articles_claims(lab: Lab) -> None:
    lab.write("claims.yaml", ARTICLE)
    found = lab.run("mark", "claims.yaml", "--example", "article")
    assert found.code == 3
    assert [line.split()[-1] for line in found.out.splitlines() if re.match(r"  (dense|loss)", line)][:5] == [
        "right", "WRONG", "WRONG", "WRONG", "WRONG",
    ]  # fmt: skip
    words = " ".join(found.out.split())
    assert "The first wrong number: dense_2.a = 0.26894142137" in words
    assert "is left out, as if it were 1" in words
    assert words.count("no cause found") == 2
    assert "the gradient is added" in words
    marked = json.loads(lab.run("mark", "claims.yaml", "--example", "article", "--json").out)
    assert [m["verdict"] for m in marked["claims"]] == ["right", "wrong", "wrong", "wrong", "wrong"]


@pytest.mark.parametrize("width", ["60", "80", "120"])
def test_no_line_is_wider_than_asked(lab: Lab, width: str) -> None:
    lab.write("claims.yaml", ARTICLE)
    text = lab.run("mark", "claims.yaml", "--example", "article", "--width", width).out
    said = text.split("The first wrong number")[1]  # a table may be wider where nobody looks at a terminal
    assert max(map(len, said.splitlines())) <= int(width)


def test_piped_and_in_ascii(lab: Lab) -> None:
    lab.write("claims.yaml", ARTICLE)
    for environment in ({"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "utf-8", "COLUMNS": "80"}):
        found = lab.apart("mark", "claims.yaml", "--example", "article", **environment)
        assert found.code == 3
        assert max(map(len, found.out.splitlines())) <= 80
    text = lab.run("mark", "claims.yaml", "--example", "article", "--ascii").out
    assert text.isascii()


def test_rows_and_runs(lab: Lab) -> None:
    lab.good("train", "trees.yaml", "--out", "run", "-q")
    for words in (("trees.yaml", "--sample", "3"), ("trees.yaml", "--x", "1,2", "--t", "elm"), ("run", "--batch")):
        loss = json.loads(lab.good("trace", *words, "--json").out)["loss"]
        lab.write("claims.csv", f"name,number\nloss,{loss:.9g}\n")
        assert "It is right." in lab.good("mark", "claims.csv", *words).out


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (
            ("claims.yaml",),
            2,
            "say what to mark the claims against: a config, a run folder, a model file, or an --example",
        ),
        (("none.yaml", "trees.yaml"), 66, "there is no such file [missing-file] --> none.yaml"),
        (("claims.yaml", "none.yaml"), 66, "none.yaml"),
        (("trees.yaml", "claims.yaml"), 65, "this is a config, not a file of claims [not-claims] --> trees.yaml"),
        (("trees.yaml", "claims.yaml"), 65, "the claims come first: bpcli mark CLAIMS CONFIG"),
        (("run", "claims.yaml"), 66, "this is a folder, not a file of claims [not-claims] --> run"),
        (("trained", "claims.yaml"), 66, "this is a run folder, not a file of claims [not-claims] --> trained"),
        (("/dev/null", "trees.yaml"), 66, "help: write the claims to a file first"),
        (("empty.yaml", "trees.yaml"), 65, "the file says nothing [empty-file] --> empty.yaml"),
        (("empty.csv", "trees.yaml"), 65, "the file says nothing [empty-file] --> empty.csv"),
        (("sheet.md", "trees.yaml"), 65, "this is Markdown, such as a worksheet, not a file of claims [not-claims]"),
        (
            ("sheet.md", "trees.yaml"),
            65,
            "answers go into a YAML file, lines of `name: number`: bpcli mark answers.yaml",
        ),
        (("run/model.safetensors", "claims.yaml"), 65, "this is a model, not a file of claims"),
        (("claims.yaml", "trees.yaml", "--t", "elm"), 2, "--x and --t go together"),
        (("claims.yaml", "trees.yaml", "--sample", "1", "--batch"), 2, "give --sample, --batch or --x, not several"),
        (("claims.yaml", "trees.yaml"), 65, "error: dense_9.y: this names nothing in this derivation"),
    ],
)
def test_mistakes(lab: Lab, words: tuple[str, ...], code: int, text: str) -> None:
    lab.write("claims.yaml", "dense_9.y: 0.25\n")
    lab.write("sheet.md", "`dense_1.y` = ____\n")
    lab.write("run/model.safetensors", b"")
    lab.write("trained/run.json", "{}")
    lab.write("empty.yaml", "{}\n")
    lab.write("empty.csv", "name,number\n")
    found = lab.run("mark", *words)
    assert (found.code, found.out) == (code, "")
    assert text in " ".join(found.err.split())
