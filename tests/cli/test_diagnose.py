"""`bpcli diagnose`, as it is typed: what it prints at 80 columns, in ASCII and as JSON, and how it ends."""

from __future__ import annotations

import json
import re
import shlex

import pytest
from cli_lab import CONFIG, Lab
from cli_lab import lab as lab

DEEP = CONFIG.replace(
    "  - {type: dense, units: 4, activation: tanh}\n", "  - {type: dense, units: 4, activation: sigmoid}\n" * 8
).replace("training: {epochs: 3, batch_size: 4}", "optimizer: {type: sgd, learning_rate: 0.01}\ntraining: {epochs: 30}")


def test_a_diagnosis_fits_eighty_columns(lab: Lab) -> None:
    lab.write("deep.yaml", DEEP)
    out = lab.good("diagnose", "deep.yaml", "--try").out
    assert max(map(len, out.splitlines())) <= 80
    assert out.index("dense_1.activation") < out.index("warning  gradients") < out.index("\nok  inputs")
    for words in ("|grad|", "dead", "--set architecture.0.activation=relu \\", "tried: ", "does not help", "warnings"):
        assert words in out


def test_what_is_printed_behind_set_can_be_typed(lab: Lab) -> None:
    """Each suggestion as the terminal shows it, line breaks and all, through a shell's eyes."""
    lab.write("deep.yaml", DEEP)
    out = lab.good("diagnose", "deep.yaml").out
    found = re.findall(r"^    (--set (?:.*\\\n)*(?:'[^']*'|\S+))", out, re.MULTILINE)
    assert len(found) >= 4
    assert any("\n" in text for text in found)
    for text in found:
        lab.good("check", "deep.yaml", *shlex.split(text.replace("\\\n", " ")))


def test_json_has_every_figure(lab: Lab) -> None:
    found = json.loads(lab.good("diagnose", "trees.yaml", "--json").out)
    assert {"name", "loss", "constant", "layers", "symptoms", "rates", "overfit", "rate"} <= found.keys()
    assert [row["layer"] for row in found["layers"]] == ["dense_1", "dense_1.activation", "dense_2"]
    assert found["layers"][0]["gradient"] > 0
    assert found["layers"][1]["gradient"] is None
    assert {s["level"] for s in found["symptoms"]} <= {"ok", "notice", "warning"}


def test_nothing_but_ascii_where_the_terminal_has_no_more(lab: Lab) -> None:
    found = lab.apart("diagnose", "trees.yaml", LC_ALL="C", PYTHONIOENCODING="ascii")
    assert found.code == 0
    assert found.out.isascii()


def test_settings_apply_and_nothing_is_written(lab: Lab) -> None:
    before = lab.files()
    out = lab.good("diagnose", "trees.yaml", "--set", "optimizer={type: sgd, learning_rate: 1e5}").out
    assert "warning  rates" in out or "warning  steps" in out
    assert lab.files() == before


def test_of_a_run_its_epochs_and_no_set(lab: Lab) -> None:
    lab.good("train", "trees.yaml", "--quiet", "--out", "run")
    assert "weights of run, after epoch 3" in lab.good("diagnose", "run").out
    refused = lab.run("diagnose", "run", "--set", "seed=3")
    assert refused.code == 2
    assert "bpcli diagnose CONFIG --set" in refused.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("diagnose", 2, "missing argument"),
        ("diagnose none.yaml", 66, "none.yaml"),
        ("diagnose trees.yaml --data trees.csv", 2, "--data goes with a model file"),
        ("diagnose trees.yaml --set optimizer=never", 65, "unknown optimizer"),
    ],
)
def test_bad_input(words: str, code: int, said: str, lab: Lab) -> None:
    found = lab.run(*words.split())
    assert found.code == code
    assert said in found.err


def test_a_model_file_alone_is_looked_at_with_rows(lab: Lab) -> None:
    lab.good("train", "trees.yaml", "--quiet", "--out", "run")
    lab.write("alone.safetensors", (lab.path / "run" / "model.safetensors").read_bytes())
    assert lab.run("diagnose", "alone.safetensors").code == 2
    out = lab.good("diagnose", "alone.safetensors", "--data", "trees.csv", "--try").out
    assert "all 8 rows of --data" in out
