"""`bpcli trace` as it is typed."""

from __future__ import annotations

import json
import re
import shlex
import shutil

import pytest
from cli_lab import Lab
from cli_lab import lab as lab

ROW = ("--x", "1,2", "--t", "elm")
KEPT = "as in golden.json"
HUGE = ("--set", "loss=mean_squared_error", "--set", "optimizer={type: sgd, learning_rate: 1e300}")


def test_levels_from_a_config(lab: Lab) -> None:
    text = lab.good("trace", "trees.yaml").out
    assert "trees: one step of back-propagation, worked out\n" in text
    assert re.search(r"rows +row 0; N = 1\n", text)
    assert "numbers were computed twice" in text
    headings = [f"{i}  {name}" for i, name in enumerate((
        "Initialize", "Forward pass", "Output error", "Hidden errors", "Chain rule for each weight", "Update", "Repeat",
    ), start=1)]  # fmt: skip
    for detail in ("layer", "neuron"):
        text = lab.good("trace", "trees.yaml", "--detail", detail).out
        found = [line for line in text.splitlines() if line[:1].isdigit() and ": " in line]
        assert [h for h, line in zip(headings, found, strict=False) if line.startswith(h)] == headings
    text = lab.good("trace", "trees.yaml", "--param", "dense_1.W[0,1]").out
    assert "dense_1.W[0,1] = " in text
    assert "nudge test" in text


def test_one_layer_and_one_weight(lab: Lab) -> None:
    text = lab.good("trace", "trees.yaml", "--layer", "dense_2").out
    assert "dense_2.dW " in text
    assert "dense_1.dW " not in text
    text = lab.good("trace", "trees.yaml", "--param", "dense_2.W[3,1]", "--detail", "neuron").out
    assert "dense_2.W_new[3,1] = " in text
    assert "dense_2.W_new[3,0]" not in text


def test_rows(lab: Lab) -> None:
    assert "rows 1, 3; N = 2" in lab.good("trace", "trees.yaml", "--sample", "1", "--sample", "3").out
    assert "the first batch of epoch 1: 4 rows (" in lab.good("trace", "trees.yaml", "--batch").out
    assert "1 row given by value; N = 1" in lab.good("trace", "trees.yaml", *ROW).out
    raw = json.loads(lab.good("trace", "trees.yaml", "--x", "1,2", "--t", "oak", "--json").out)
    same = json.loads(lab.good("trace", "trees.yaml", "--sample", "0", "--json").out)
    assert raw["loss"] == same["loss"]
    assert raw["gradients"] == same["gradients"]


def test_a_run_goes_on_from_its_memory(lab: Lab) -> None:
    lab.good("train", "trees.yaml", "--out", "run", "-q")
    text = lab.good("trace", "run").out
    assert "of run, after 6 steps, with its optimizer's memory" in " ".join(text.split())
    assert "adam, step 7 of this training" in text
    trace = json.loads(lab.good("trace", "run", "--json").out)
    mean = next(q for q in trace["steps"] if q["path"] == "dense_1.W.m_new")["value"]
    fresh = [[0.1 * g for g in row] for row in trace["clipped"]["dense_1.W"]]  # of a mean that was 0
    assert all(
        abs(m - f) > 1e-6 for row, other in zip(mean, fresh, strict=True) for m, f in zip(row, other, strict=True)
    )
    found = lab.run("trace", "run", "--set", "seed=2")
    assert (found.code, found.out) == (2, "")
    assert "--set changes a config, and run is trained already" in found.err
    text = lab.good("trace", "run/model.safetensors", *ROW).out
    assert "adam, step 1 of this training" in text
    assert "an optimizer that starts afresh" in " ".join(text.split())


def test_a_run_whose_data_is_gone(lab: Lab) -> None:
    lab.good("train", "trees.yaml", "--out", "run", "-q")
    (lab.path / "trees.csv").unlink()
    found = lab.run("trace", "run")
    assert found.code == 66
    assert "trees.csv, which the run began with, is gone" in found.err
    assert "after 6 steps" in lab.good("trace", "run", *ROW).out


@pytest.mark.parametrize("width", ["40", "60", "80", "120"])
@pytest.mark.parametrize("detail", ["overview", "layer", "neuron", "path"])
def test_no_line_is_wider_than_asked(lab: Lab, detail: str, width: str) -> None:
    text = lab.good("trace", "trees.yaml", "--detail", detail, "--width", width).out
    assert max(map(len, text.splitlines())) <= int(width)


def test_a_long_equation_goes_on_under_itself(lab: Lab) -> None:
    text = lab.good("trace", "--example", "step_levenberg_marquardt").out
    update = text[text.index("\n6  Update") + 1 : text.index("\n7  Repeat")].splitlines()
    assert any("solved[j]" in line for line in update)
    assert all(line.startswith("   ") for line in update[1:] if line)


def test_ascii_alone(lab: Lab) -> None:
    for detail in ("overview", "layer", "neuron", "path"):
        text = lab.good("trace", "trees.yaml", "--detail", detail, "--ascii").out
        assert text.isascii()


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_poor_terminals(lab: Lab, encoding: str) -> None:
    for detail in ("neuron", "path"):
        found = lab.apart("trace", "trees.yaml", "--detail", detail, PYTHONIOENCODING=encoding, NO_COLOR="1")
        assert found.code == 0, found.err
        assert "dL/dW" in found.out or "down to" in found.out


def test_files(lab: Lab) -> None:
    for form, ending, begins in (
        ("markdown", "md", "# trees"), ("latex", "tex", "\\documentclass"), ("html", "html", "<!DOCTYPE html>"),
        ("json", "json", "{"), ("text", "txt", "trees: one step"),
    ):  # fmt: skip
        found = lab.good("trace", "trees.yaml", "--format", form, "--out", f"t.{ending}")
        assert found.out == ""
        assert (lab.path / f"t.{ending}").read_text(encoding="utf-8").startswith(begins)


def test_json_says_what_the_design_says(lab: Lab) -> None:
    trace = json.loads(lab.good("trace", "trees.yaml", "--json").out)
    assert trace.keys() >= {
        "loss", "data_loss", "penalty", "loss_after", "outputs", "gradients", "clipped", "updated", "steps",
    }  # fmt: skip
    assert trace["gradients"].keys() == trace["updated"].keys() == {"dense_1.W", "dense_1.b", "dense_2.W", "dense_2.b"}
    first = trace["steps"][0]
    assert first.keys() >= {"id", "step", "pass", "layer", "name", "equation", "value", "engine", "gap", "why"}
    assert first["id"] == "1.layer.dense_1.y"
    assert len({q["id"] for q in trace["steps"]}) == len(trace["steps"])


def test_golden(lab: Lab) -> None:
    words = ("trace", "trees.yaml", "--golden", "golden.json")
    assert "are written to golden.json" in lab.good(*words).out
    assert KEPT in lab.good(*words).out
    found = lab.run(*words, "--set", "optimizer.learning_rate=0.02")
    assert found.code == 3
    assert "first at learning_rate: it was 0.001 and is 0.02" in found.out
    found = lab.run("trace", "trees.yaml", "--golden", "trees.yaml")
    assert found.code == 65
    assert "is not a derivation that `bpcli trace --golden` wrote" in found.err


def test_examples(lab: Lab) -> None:
    listed = lab.good("trace", "--list-examples").out
    assert "article " in listed
    text = lab.good("trace", "--example", "article", "--digits", "12").out
    assert "0.324962472623" in text
    assert "0.455675663367" in text
    assert "0.941772396732" in text
    assert "it took w2 alone for the input of the second unit and dropped o1" in " ".join(text.split())


def test_marking_and_worksheets_have_moved_and_go_on_working(lab: Lab) -> None:
    named = ("trees.yaml", "--sample", "1", "--seed", "2")
    for old, new, moved in (
        (("--worksheet",), ("worksheet",), "bpcli worksheet trees.yaml --sample 1 --seed 2"),
        (("--worksheet", "--format", "latex", "--digits", "4", "--param", "dense_1.W[0,1]"),
         ("worksheet", "--format", "latex", "--digits", "4", "--param", "dense_1.W[0,1]"),
         "bpcli worksheet trees.yaml --sample 1 --seed 2 --format latex --digits 4 --param 'dense_1.W[0,1]'"),
        (("--check", "claims.yaml"), ("mark", "claims.yaml"), "bpcli mark claims.yaml trees.yaml --sample 1 --seed 2"),
        (("--check", "claims.yaml", "--format", "json"), ("mark", "claims.yaml", "--json"),
         "bpcli mark claims.yaml trees.yaml --sample 1 --seed 2 --json"),
    ):  # fmt: skip
        lab.write("claims.yaml", "loss: 0.5\n")
        found, same = lab.run("trace", *named, *old), lab.run(*new, *named)
        assert (found.code, found.out) == (same.code, same.out)
        note, *rest = found.err.splitlines(keepends=True)
        assert note == f"`trace {old[0]}` has moved: {moved}\n"
        assert "".join(rest) == same.err
        typed = lab.run(*shlex.split(moved)[1:])
        assert (typed.code, typed.out) == (same.code, same.out)
    assert "--check" not in lab.good("trace", "--help").out
    assert "--worksheet" not in lab.good("trace", "--help").out
    found = lab.run("trace", "trees.yaml", "--worksheet", "--format", "json")
    assert found.code == 2
    assert "a worksheet is markdown, latex or html" in found.err
    found = lab.run("worksheet", "trees.yaml", "--format", "json")
    assert "for '--format': 'json' is not one of 'markdown', 'latex', 'html' [usage]" in found.err


@pytest.mark.parametrize(
    ("words", "unused"),
    [
        ("--check claims.yaml --out o.txt", "--out"),
        ("--check claims.yaml --golden g.json --layer dense_1", "--golden, --layer"),
        ("--check claims.yaml --steps 2 --detail path", "--detail, --steps"),
        ("--check claims.yaml --format html", "--format"),
        ("--check claims.yaml --digits 4 --elide 3 --param dense_1.W[0,0]", "--param, --digits, --elide"),
        ("--worksheet --steps 2 --golden g.json --detail neuron", "--detail, --steps, --golden"),
        ("--worksheet --width 60 --json", "--width, --json"),
        ("--worksheet --check claims.yaml", "--check"),
    ],
)
def test_what_the_old_options_have_no_use_for_is_said_and_they_go_on(lab: Lab, words: str, unused: str) -> None:
    """As they always did; files that the option would have written are not."""
    lab.write("claims.yaml", "loss: 0.5\n")
    before, is_sheet = lab.files(), words.startswith("--worksheet")
    command = ["worksheet", "trees.yaml"] if is_sheet else ["mark", "claims.yaml", "trees.yaml"]
    found, same = lab.run("trace", "trees.yaml", *words.split()), lab.run(*command)
    assert (found.code, found.out) == (same.code, same.out)
    note, *rest = found.err.splitlines(keepends=True)
    assert note == f"`trace {words.split()[0]}` has moved: bpcli {' '.join(command)} (it has no use for {unused})\n"
    assert "".join(rest) == same.err
    assert lab.files() == before


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("--param", "dense_1.w[0,1]"), 2, "did you mean `dense_1.W`?"),
        (("--param", "dense_1.W"), 2, "dense_1.W has entries dense_1.W[0,0] to dense_1.W[1,3], counted from 0"),
        (("--param", "dense_1.W[2,0]"), 2, "there is no entry dense_1.W[2,0]"),
        (("--layer", "dense_3"), 2, "layers: dense_1, dense_1.activation, dense_2"),
        (("--sample", "8"), 2, "rows are counted from 0 in file order: --sample 0 to 7"),
        (("--sample", "-1"), 2, "there is no row -1"),
        (("--x", "1", "--t", "elm"), 2, "--x 1 has 1 value, and a row has 2: width, height"),
        (("--x", "1,b", "--t", "elm"), 2, "--x: `b` is not a number"),
        (("--x", "1,2", "--t", "ash"), 65, "class `ash` does not occur in the training rows"),
        (("--x", "1,2"), 2, "--x and --t go together"),
        (("--sample", "1", "--batch"), 2, "give --sample, --batch or --x, not several"),
        (("--elide", "few"), 2, "auto, none, or a number from 2"),
        (("--example", "article"), 2, "say what to trace"),
        (("--check", "none.yaml"), 66, "none.yaml"),
        (("--out", "no/where.txt"), 73, "does not exist"),
        ((*HUGE, "--steps", "2"), 3, "step 2 cannot be shown: loss (loss) is not finite"),
    ],
)
def test_mistakes(lab: Lab, words: tuple[str, ...], code: int, text: str) -> None:
    found = lab.soon("trace", "trees.yaml", *words)
    assert found.code == code, (found.out, found.err)
    assert text in " ".join(found.err.split())
    assert "Traceback" not in found.err


def test_statistics_of_one_row_are_refused(lab: Lab) -> None:
    lab.config(("  - {type: dense, units: 2}", "  - batch_norm\n  - {type: dense, units: 2}"))
    found = lab.run("trace", "trees.yaml")
    assert found.code == 2
    assert "batch_norm_1 takes statistics over the rows, and one row has none" in found.err
    assert "batch_norm_1" in lab.good("trace", "trees.yaml", "--batch").out


def test_a_run_without_checkpoints_is_traced_from_its_model(lab: Lab) -> None:
    lab.good("train", "trees.yaml", "--out", "run", "-q")
    shutil.rmtree(lab.path / "run" / "checkpoints")
    assert "an optimizer that starts afresh" in " ".join(lab.good("trace", "run", "--sample", "1").out.split())
