"""Each command as its user meets it, from the first look at a config to a trained run."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_lab import CONFIG, Lab, surroundings
from cli_lab import lab as lab

import bpcli


class TestProgram:
    @pytest.mark.parametrize("words", [("--version",), ("--version", "train")])
    def test_version(self, lab: Lab, words: tuple[str, ...]) -> None:
        assert lab.good(*words).out == f"bpcli {bpcli.__version__}\n"

    @pytest.mark.parametrize("command", ["", "train", "eval", "predict", "check", "parts", "schema"])
    @pytest.mark.parametrize("option", ["--help", "-h"])
    def test_help(self, lab: Lab, command: str, option: str) -> None:
        found = lab.good(*command.split(), option)
        assert found.out.startswith(f"Usage: bpcli {command}".rstrip())
        assert "-h, --help" in found.out
        assert max(map(len, found.out.splitlines())) <= 80
        assert ("--json" in found.out) == bool(command)

    def test_python_m_and_help_without_numpy(self, lab: Lab) -> None:
        assert lab.apart("--version").out == f"bpcli {bpcli.__version__}\n"
        program = "import atexit, sys; atexit.register(lambda: print({'numpy', 'pydantic', 'rich'} & set(sys.modules)))"
        assert lab.apart("--help", program=program).out.endswith("set()\n")

    def test_no_colour_reaches_a_pipe(self, lab: Lab) -> None:
        for words in (("check", "trees.yaml"), ("parts", "adam"), ("check", "nosuch.yaml")):
            found = lab.run(*words)
            assert "\x1b" not in found.out + found.err


class TestCheck:
    def test_text(self, lab: Lab) -> None:
        assert re.sub(r"[\d.]+ K?B", "<BYTES>", lab.good("check", "trees.yaml").out) == (
            "trees.yaml: trees\n"
            "\n"
            "layer               in  out  params  mult-adds  bytes/row  batch  weights from\n"
            "────────────────────────────────────────────────────────────────────────────────\n"
            "dense_1              2    4      12          8         16     64  glorot_uniform\n"
            "dense_1.activation   4    4                            16     64\n"
            "dense_2              4    2      10          8          8     32  glorot_uniform\n"
            "\n"
            "22 parameters, 16 multiply-adds a row forward; loss softmax_cross_entropy\n"
            "the arrays of a step take <BYTES> for a row, <BYTES> for a batch of 4;\n"
            "training needs about <BYTES> besides the data\n"
            "\n"
            "rows of  train\n"
            "──────────────\n"
            "elm          4\n"
            "oak          4\n"
            "\n"
            "all          8\n"
            "\n"
            "input   kind    from  to  what is done\n"
            "──────────────────────────────────────\n"
            "width   number     1   8  standardize\n"
            "height  number   1.5   9  standardize\n"
            "\n"
            "the first rows, as they are read\n"
            "width  height  kind\n"
            "───────────────────\n"
            "1      2       oak\n"
            "2      1.5     elm\n"
            "3      5       oak\n"
            "4      3.5     elm\n"
            "5      9       oak\n"
        )

    def test_json(self, lab: Lab) -> None:
        report = json.loads(lab.good("check", "trees.yaml", "--json").out)
        assert report["parameters"] == 22
        assert [row["path"] for row in report["layers"]] == ["dense_1", "dense_1.activation", "dense_2"]
        assert report["splits"] == [{"name": "train", "rows": 8, "classes": {"elm": 4, "oak": 4}}]
        assert report["columns"][1] == {
            "name": "height", "kind": "number", "low": 1.5, "high": 9.0, "categories": 0, "treatment": "standardize",
            "missing": 0.0, "format": "", "sentinels": [],
        }  # fmt: skip

    def test_many_columns_and_long_names(self, lab: Lab) -> None:
        names = [f"a_very_long_name_of_column_{i}" for i in range(20)]
        rows = [",".join([*(str(i * j) for j in range(20)), "xy"[i % 2]]) for i in range(6)]
        lab.write("wide.csv", ",".join([*names, "kind"]) + "\n" + "\n".join(rows) + "\n")
        lab.config(("trees.csv", "wide.csv"))
        lines = lab.good("check", "trees.yaml").out.splitlines()
        assert "and 8 more columns (all: --json)" in lines
        first = lines.index("column                    row 0  row 1  row 2  row 3  row 4")
        assert lines[first + 2] == "a_very_long_name_of_c...  0      0      0      0      0"
        assert lines[-1] == "kind                      x      y      x      y      x"

    def test_warnings(self, lab: Lab) -> None:
        lab.config(("batch_size: 4", "batch_size: 40"))
        found = lab.good("check", "trees.yaml")
        assert found.err == (
            "warning: training.batch_size: a batch of 40 is larger than the 8 training rows: every epoch is one step "
            "[batch-size]\n"
            " --> trees.yaml:10:35\n"
            "   |\n"
            " 9 | loss: softmax_cross_entropy\n"
            "10 | training: {epochs: 3, batch_size: 40}\n"
            "   |                                   ^^ help: write `full`\n"
        )
        assert found.out.startswith("trees.yaml: trees\n")

    def test_set(self, lab: Lab) -> None:
        words = ("--set", "architecture.0.units=7", "--set", "optimizer.learning_rate=0.1")
        assert json.loads(lab.good("check", "trees.yaml", "--json", *words).out)["parameters"] == 37


class TestTrain:
    def test_lines(self, lab: Lab) -> None:
        changes = ("loss:", "regularization: {type: l2, strength: 0.1}\nclipping: {type: value, limit: 1.0}\nloss:")
        lab.config(changes, ("  scale:", "  validation: 0.25\n  scale:"))
        found = lab.good("train", "trees.yaml", "--out", "run")
        assert found.out == "run\n"
        first, *epochs, end, kept, after = found.err.splitlines()
        assert first == "trees: 22 parameters; rows: train 6, validation 2; 2 steps of 4 rows an epoch"
        number = r" +-?\d+\.\d+"
        for i, line in enumerate(epochs, start=1):
            assert re.fullmatch(
                rf"epoch {i}/3  loss{number}  penalty{number}  val loss{number}  val accuracy{number}  "
                rf"\|grad\|{number}  clipped +\d+%  factor{number}  seconds{number}",
                line,
            ), line
        assert len(epochs) == 3
        assert end.startswith("all 3 epochs are done, in 0.")
        assert (kept, after) == ("kept: the weights of epoch 3", "next:   bpcli eval run")

    def test_a_run_folder(self, lab: Lab) -> None:
        out = lab.good("train", "trees.yaml", "-q").out
        run = lab.path / out.strip()
        assert run.parent.name == "runs"
        files = {str(p.relative_to(run)) for p in run.rglob("*")}
        assert files >= {
            "config.yaml", "config.resolved.yaml", "run.json", "metrics.jsonl", "model.safetensors", "checkpoints",
            "checkpoints/step-00000006.safetensors",
        }  # fmt: skip
        assert [file for file in files if file.endswith(".tmp")] == []
        assert (run / "config.yaml").read_text() == CONFIG
        record = json.loads((run / "run.json").read_text())
        assert (record["status"], record["epochs"], record["kept"], record["seed"]) == ("epochs", 3, 3, 1)
        assert record["environment"]["numpy"] == np.__version__
        assert record["data"][0]["file"] == str(lab.path / "trees.csv")
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        assert [line["epoch"] for line in lines] == [1, 2, 3]
        assert {"train.loss", "train.accuracy", "penalty", "gradient_norm", "clipped", "seconds"} <= lines[0].keys()
        resolved = lab.path / "config.resolved.yaml"
        resolved.write_text((run / "config.resolved.yaml").read_text())
        assert json.loads(lab.good("check", "config.resolved.yaml", "--json").out)["parameters"] == 22

    def test_quiet(self, lab: Lab) -> None:
        found = lab.good("train", "trees.yaml", "--out", "run", "-q")
        assert (found.out, found.err) == ("run\n", "")

    def test_json(self, lab: Lab) -> None:
        report = json.loads(lab.good("train", "trees.yaml", "--out", "run", "--json").out)
        assert (report["run"], report["stopped"], report["best_epoch"], report["rows"]) == (
            "run",
            "epochs",
            3,
            {"train": 8},
        )
        assert [row["epoch"] for row in report["epochs"]] == [1, 2, 3]
        assert report["epochs"][0]["metrics"].keys() == {"train.loss", "train.accuracy"}

    def test_a_goal_and_patience(self, lab: Lab) -> None:
        goal = "training.stop_when={metric: train.loss, at_most: 100}"
        found = lab.good("train", "trees.yaml", "--out", "goal", "--set", goal)
        assert "train.loss reached its goal: " in found.err
        assert ", at most 100; 1 epochs in 0." in found.err
        early = "training.early_stopping={metric: train.loss, mode: max, patience: 2}"
        found = lab.good("train", "trees.yaml", "--out", "patience", "--set", early, "--set", "training.epochs=50")
        assert "train.loss has not improved for 2 epochs; best " in found.err
        assert " in epoch 1; 3 epochs in 0." in found.err
        assert "kept: the weights of epoch 1\n" in found.err
        assert "  best\n" in found.err

    def test_patience_with_a_figure_that_never_was_a_number(self, lab: Lab) -> None:
        lab.write("elms.csv", "width,height,kind\n1,2,elm\n2,1,elm\n")  # one class: there is no area under a curve
        lab.config(("scale:", "validation: {type: csv, path: elms.csv, target: kind}\n  scale:"))
        early = "training.early_stopping={metric: validation.roc_auc, patience: 1}"
        found = lab.good("train", "trees.yaml", "--set", early, "--set", "training.metrics=[roc_auc]")
        assert "validation.roc_auc has not improved for 1 epochs; it never was a finite number" in found.err


class TestPartsAndSchema:
    def test_listing(self, lab: Lab) -> None:
        lines = lab.good("parts").out.splitlines()
        assert lines[0] == "layer"
        assert "sgd" in [line.split(" ")[0] for line in lines]
        assert lines[-1] == "bpcli parts NAME shows settings and equations"

    def test_page(self, lab: Lab) -> None:
        assert re.sub("─+", "─", lab.good("parts", "global_norm").out) == (
            "global_norm  (clipping)\n"
            "Shortens the whole gradient to `max_norm` where it is longer; the direction stays.\n"
            "\n"
            "  Shapes  g: j, all parameters together\n"
            "  Source  Pascanu, Mikolov & Bengio 2013, algorithm 1; no 1e-6 in the divisor (PyTorch adds one)\n"
            "\n"
            "setting   type    default   range  meaning\n"
            "─\n"
            "max_norm  number  required  > 0    the largest length of the gradient of all parameters together\n"
            "\n"
            "equations\n"
            "─\n"
            "norm = sqrt(sum(j, g[j]**2))                         the length of the gradient\n"
            "factor = where(norm > max_norm, max_norm / norm, 1)  1 where it is short enough\n"
            "g_new[j] = factor * g[j]                             the same direction\n"
            "\n"
            "example\n"
            "  clipping: {type: global_norm, max_norm: 0.5}\n"
            "\n"
        )

    def test_a_family(self, lab: Lab) -> None:
        assert lab.good("parts", "clipping").out.startswith("clipping\n────")

    def test_every_page_and_json(self, lab: Lab) -> None:
        rows = json.loads(lab.good("parts", "--json").out)
        assert {row["family"] for row in rows} >= {"layer", "activation", "loss", "optimizer", "metric"}
        for row in rows[::5]:
            assert lab.good("parts", row["type"]).out.startswith(f"{row['type']}  (")

    def test_markdown(self, lab: Lab) -> None:
        lines = lab.good("parts", "--format", "markdown").out.splitlines()
        assert lines[:2] == ["| family | parts |", "| --- | --- |"]
        assert any(line.startswith("| clipping | `value`, `global_norm`") for line in lines)

    def test_schema(self, lab: Lab) -> None:
        schema = json.loads(lab.good("schema").out)
        assert schema["title"] == "bpcli experiment"
        found = lab.good("schema", "--out", "schema.json")
        assert (found.out, found.err) == ("", "the schema is in schema.json\n")
        assert json.loads((lab.path / "schema.json").read_text()) == schema


class TestEncodings:
    """A terminal that lacks a character gets something in its place; JSON stays JSON."""

    @pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
    def test_poor_encodings(self, lab: Lab, encoding: str) -> None:
        lab.write("odd.csv", "x,kind\n1,été\n2,日本😀\n3,été\n4,日本😀\n")
        lab.config(("trees.csv", "odd.csv"))
        lab.good("train", "trees.yaml", "--out", "run", "-q")
        whole = json.loads(lab.good("eval", "run", "--json").out)
        found = [self.raw(lab, encoding, "eval", "run", *more) for more in ((), ("--json",))]
        text, data = (f.decode(encoding) for f in found)
        assert "----" in text
        assert "─" not in text
        assert json.loads(data) == whole

    def raw(self, lab: Lab, encoding: str, *words: str) -> bytes:
        program = f"import os, sys\nsys.stdout.reconfigure(encoding={encoding!r})"
        command = lab.command(*words, program=program)
        return subprocess_output(command, lab.path)


def subprocess_output(command: list[str], cwd: Path) -> Any:
    return subprocess.run(command, cwd=cwd, capture_output=True, env=surroundings(), check=True, timeout=30).stdout
