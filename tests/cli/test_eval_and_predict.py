"""What a trained model says, by eval and predict, with numbers that were worked out apart."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import struct

import numpy as np
import pytest
from cli_lab import Lab
from cli_lab import lab as lab

STILL = "optimizer: {type: sgd, learning_rate: 1e-12}\ntraining: {epochs: 1}\n"
"""Weights by value stay what they are, to ten digits."""

BY_HAND = (
    """\
name: by_hand
data:
  train: {type: csv, path: trees.csv, target: kind}
architecture:
  - {type: dense, units: 2, weights: [[0.0, 0.5], [0.0, -0.5]]}
loss: softmax_cross_entropy
"""
    + STILL
)  # predicts oak, the second, where width > height

LINE = (
    """\
name: line
data:
  train: {type: inline, inputs: [[1], [2], [3], [4]], targets: [[10], [20], [30], [50]]}
  scale_target: standardize
architecture:
  - {type: dense, units: 1, weights: [[1.0]], bias: [-2.5]}
loss: mean_squared_error
"""
    + STILL
)


def csv_rows(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


@pytest.fixture
def by_hand(lab: Lab) -> Lab:
    lab.write("by_hand.yaml", BY_HAND)
    lab.good("train", "by_hand.yaml", "--out", "run", "-q")
    return lab


class TestEval:
    LOSS = sum(math.log1p(math.exp(-s * 0.5 * (w - h))) for w, h, s in (
        (1, 2, 1), (2, 1.5, -1), (3, 5, 1), (4, 3.5, -1), (5, 9, 1), (6, 2.5, -1), (7, 8, 1), (8, 4.5, -1),
    )) / 8  # fmt: skip

    def test_text(self, by_hand: Lab) -> None:
        """All oaks are taken for elms and all elms for oaks, but for weights: an elm is oak where width > height."""
        metrics, _, classes = by_hand.good("eval", "run").out.partition("\n\nclass ")
        first, _, header, *lines = metrics.splitlines()
        assert first == f"train: 8 rows, loss {self.LOSS:.4f}"
        assert header.split() == ["metric", "value"]
        known = ("accuracy", "precision", "recall", "f1")
        assert {(name, "0.0000") for name in known} | {("log_loss", f"{self.LOSS:.4f}")} <= {
            tuple(line.split()) for line in lines
        }
        assert f"class {classes}" == (
            "class         precision  recall  f1-score  support\n"
            "──────────────────────────────────────────────────\n"
            "elm              0.0000  0.0000    0.0000        4\n"
            "oak              0.0000  0.0000    0.0000        4\n"
            "\n"
            "accuracy                           0.0000        8\n"
            "macro avg        0.0000  0.0000    0.0000        8\n"
            "weighted avg     0.0000  0.0000    0.0000        8\n"
            "\n"
            "confusion matrix: a row for each true class, a column for each predicted one\n"
            "true \\ predicted  elm  oak\n"
            "──────────────────────────\n"
            "elm                 0    4\n"
            "oak                 4    0\n"
        )

    def test_json(self, by_hand: Lab) -> None:
        report = json.loads(by_hand.good("eval", "run", "--json").out)
        assert {"split", "rows", "loss", "metrics", "per_class", "confusion"} <= report.keys()
        assert (report["split"], report["rows"]) == ("train", 8)
        assert report["loss"] == pytest.approx(self.LOSS, rel=1e-6)
        assert report["metrics"].keys() >= {"accuracy", "precision", "recall", "f1", "roc_auc", "log_loss"}
        assert report["per_class"]["elm"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 4}
        assert report["confusion"] == [[0, 4], [4, 0]]
        assert report["classes"] == ["elm", "oak"]

    def test_other_rows(self, by_hand: Lab) -> None:
        """Columns are told by name, and there may be more of them."""
        by_hand.write("new.csv", 'note,kind,height,age,width\nfine,oak,1,3,2\n,elm,5,x,4\n"a,b",elm,3,,9\n')
        report = json.loads(by_hand.good("eval", "run", "--data", "new.csv", "--json").out)
        assert (report["split"], report["rows"], report["confusion"]) == ("data", 3, [[1, 1], [0, 1]])
        again = json.loads(by_hand.good("eval", "run/model.safetensors", "--data", "new.csv", "--json").out)
        assert {**again, "model": ""} == {**report, "model": ""}
        spelled = "{type: csv, path: new.csv, target: kind}"
        assert json.loads(by_hand.good("eval", "run", "--data", spelled, "--json").out) == report

    def test_a_note_on_a_class_that_is_never_predicted(self, by_hand: Lab) -> None:
        by_hand.write("new.csv", "width,height,kind\n2,1,oak\n2,1,elm\n")
        found = by_hand.good("eval", "run", "--data", "new.csv").out
        assert found.endswith("note: class elm: never predicted; its precision counts as 0\n")

    def test_splits(self, lab: Lab) -> None:
        lab.config(("  scale:", "  validation: 0.25\n  test: 0.25\n  scale:"))
        lab.good("train", "trees.yaml", "--out", "run", "-q")
        rows = {}
        for split in ("train", "validation", "test"):
            report = json.loads(lab.good("eval", "run", "--split", split, "--json").out)
            rows[report["split"]] = report["rows"]
        assert rows == {"train": 4, "validation": 2, "test": 2}
        assert json.loads(lab.good("eval", "run", "--json").out)["split"] == "test"

    def test_regression_in_the_targets_own_units(self, lab: Lab) -> None:
        """Outputs are -1.5, -0.5, 0.5 and 1.5 deviations (14.79) from the mean (27.5)."""
        lab.write("line.yaml", LINE)
        lab.good("train", "line.yaml", "--out", "run", "-q")
        report = json.loads(lab.good("eval", "run", "--json").out)
        targets, mean, std = np.array([10, 20, 30, 50]), 27.5, np.sqrt(218.75)
        error = mean + std * np.array([-1.5, -0.5, 0.5, 1.5]) - targets
        wanted = {"mse": np.mean(error**2), "mae": np.mean(abs(error)), "r2": 1 - np.sum(error**2) / 875}
        assert {k: report["metrics"][k] for k in wanted} == pytest.approx(wanted, rel=1e-6)
        assert report["loss"] == pytest.approx(np.mean((error / std) ** 2), rel=1e-6)
        assert (report["per_class"], report["confusion"]) == ({}, [])
        text = lab.good("eval", "run").out
        assert text.startswith("train: 4 rows, loss 0.0")
        assert "class" not in text
        predicted = csv_rows(lab.good("predict", "run", "--data", "{type: inline, inputs: [[1], [4]]}").out)
        assert [float(row[0]) for row in predicted[1:]] == pytest.approx([mean - 1.5 * std, mean + 1.5 * std])

    def test_many_classes_and_strange_names(self, lab: Lab) -> None:
        names = [
            "[bold]red[/bold]",
            "a long name of a class with blanks in it",
            "日本語",
            "x\x1b[31my",
            'say "hi", you',
        ]
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([["x", "kind"], *([i, names[i % 5]] for i in range(25))])
        lab.write("odd.csv", text.getvalue())
        lab.config(("trees.csv", "odd.csv"), ("units: 2", "units: 5"))
        lab.good("train", "trees.yaml", "--out", "run [x]", "-q")
        found = lab.good("eval", "run [x]").out
        start = next(i for i, line in enumerate(found.splitlines()) if line.startswith("true"))
        header, _, *matrix = found.splitlines()[start : start + 7]
        assert header.split() == ["true", "\\", "predicted", "0", "1", "2", "3", "4"]
        assert [line[: line.index("  ")] for line in matrix] == [
            "0 [bold]red[/bold]", "1 a long name of a class with b...", '2 say "hi", you', "3 x\\x1b[31my", "4 日本語",
        ]  # fmt: skip
        assert "\x1b" not in found
        assert json.loads(lab.good("eval", "run [x]", "--json").out)["classes"] == sorted(names)
        predicted = csv_rows(lab.good("predict", "run [x]", "--data", "odd.csv").out)
        assert predicted[0] == ["kind", *(f"p({name})" for name in sorted(names))]
        assert "[/b" not in lab.good("check", "trees.yaml").err


class TestPredict:
    def test_csv(self, by_hand: Lab) -> None:
        by_hand.write("new.csv", "height,width\n1,2\n5,4\n")
        rows = csv_rows(by_hand.good("predict", "run", "--data", "new.csv").out)
        assert rows[0] == ["kind", "p(elm)", "p(oak)"]
        oak = 1 / (1 + math.exp(-0.5))
        assert [row[0] for row in rows[1:]] == ["oak", "elm"]
        assert [float(v) for v in rows[1][1:]] == pytest.approx([1 - oak, oak], rel=1e-6)
        assert sum(float(v) for v in rows[2][1:]) == pytest.approx(1)

    def test_json_and_files(self, by_hand: Lab) -> None:
        by_hand.write("new.csv", "height,width\n1,2\n5,4\n")
        rows = json.loads(by_hand.good("predict", "run", "--data", "new.csv", "--json").out)
        assert [row["kind"] for row in rows] == ["oak", "elm"]
        for name in ("out.csv", "out.json"):
            found = by_hand.good("predict", "run", "--data", "new.csv", "--out", name)
            assert (found.out, found.err) == ("", f"2 predictions in {name}\n")
        assert json.loads((by_hand.path / "out.json").read_text()) == rows
        assert len(csv_rows((by_hand.path / "out.csv").read_text())) == 3

    def test_binary_labels(self, lab: Lab) -> None:
        """One output and two classes: the probability of the second."""
        changes = (("units: 2, weights: [[0.0, 0.5], [0.0, -0.5]]", "units: 1, weights: [[1.0], [-1.0]]"),
                   ("softmax_cross_entropy", "binary_cross_entropy"))  # fmt: skip
        lab.config(*changes, text=BY_HAND, name="binary.yaml")
        lab.good("train", "binary.yaml", "--out", "run", "-q")
        rows = csv_rows(lab.good("predict", "run", "--data", "{type: inline, inputs: [[2, 1], [4, 5]]}").out)
        assert rows[0] == ["kind", "p(elm)", "p(oak)"]
        assert [row[0] for row in rows[1:]] == ["oak", "elm"]
        assert float(rows[1][2]) == pytest.approx(1 / (1 + math.exp(-1)), rel=1e-6)
        report = json.loads(lab.good("eval", "run", "--json").out)
        assert report["confusion"] == [[0, 4], [4, 0]]

    def test_several_labels(self, lab: Lab) -> None:
        lab.write("tags.csv", "x,red,round\n1,1,0\n2,0,1\n3,1,1\n-1,0,0\n")
        lab.write("tags.yaml", (
            "data: {train: {type: csv, path: tags.csv, target: [red, round]}}\n"
            "architecture: [{type: dense, units: 2, weights: [[1.0, -1.0]]}]\n"
            f"loss: binary_cross_entropy\n{STILL}"
        ))  # fmt: skip
        lab.good("train", "tags.yaml", "--out", "run", "-q")
        rows = csv_rows(lab.good("predict", "run", "--data", "tags.csv").out)
        assert rows[0] == ["red", "round", "p(red)", "p(round)"]
        assert [row[:2] for row in rows[1:]] == [["1", "0"], ["1", "0"], ["1", "0"], ["0", "1"]]
        report = json.loads(lab.good("eval", "run", "--json").out)
        assert report["per_class"].keys() == {"red", "round"}
        assert report["metrics"]["accuracy"] == 0.25
        assert report["confusion"] == []
        assert "confusion" not in lab.good("eval", "run").out

    def test_npz(self, lab: Lab) -> None:
        x = np.array([[2.0, 1.0], [1.0, 3.0], [5.0, 2.0], [0.0, 1.0]])
        buffer = io.BytesIO()
        np.savez(buffer, x=x, y=np.array([1, 0, 1, 0]))
        lab.write("rows.npz", buffer.getvalue())
        lab.config(("{type: csv, path: trees.csv, target: kind}", "{type: npz, path: rows.npz}"), text=BY_HAND)
        lab.good("train", "trees.yaml", "--out", "run", "-q")
        assert json.loads(lab.good("eval", "run", "--json").out)["metrics"]["accuracy"] == 1
        buffer = io.BytesIO()
        np.savez(buffer, x=x[::-1])
        lab.write("new.npz", buffer.getvalue())
        rows = csv_rows(lab.good("predict", "run", "--data", "new.npz").out)
        assert [row[0] for row in rows] == ["class", "0", "1", "0", "1"]

    def test_idx(self, lab: Lab) -> None:
        images = np.zeros((4, 2, 3), np.uint8)
        images[::2, 0, 0] = 200
        labels = np.array([1, 0, 1, 0], np.uint8)
        for name, array in (("images-ubyte", images), ("labels-ubyte.gz", labels)):
            data = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()
            lab.write(name, gzip.compress(data) if name.endswith("gz") else data)
        source = "{type: idx, inputs: images-ubyte, targets: labels-ubyte.gz}"
        dense = "  - {type: dense, units: 4"
        lab.config(("{type: csv, path: trees.csv, target: kind}", source), (dense, f"  - flatten\n{dense}"))
        lab.good("train", "trees.yaml", "--out", "run", "-q", "--set", "training.epochs=60", "--set",
                 "optimizer.learning_rate=0.1")  # fmt: skip
        assert json.loads(lab.good("eval", "run", "--data", source, "--json").out)["metrics"]["accuracy"] == 1
        rows = csv_rows(lab.good("predict", "run", "--data", "images-ubyte").out)
        assert [row[0] for row in rows] == ["class", "1", "0", "1", "0"]
        found = lab.run("eval", "run", "--data", "images-ubyte")
        assert (found.code, found.err) == (
            2,
            "error: images-ubyte holds images and no labels [no-target]\n"
            "  help: --data '{type: idx, inputs: IMAGES, targets: LABELS}'\n",
        )
