"""An experiment described before it is trained: layers with their shapes, costs and memory, by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bpcli.records.training import CheckReport
from bpcli.studies.describe import check as describing
from bpcli.studies.describe.check import report
from bpcli.studies.run.setup import set_up, step_bytes, training_bytes


def checked(folder: Path, **more: Any) -> CheckReport:
    train = {
        "type": "inline",
        "inputs": [[float(k), 1.5 * k] for k in range(10)],
        "targets": [[float(k)] for k in range(10)],
    }
    layers = [
        {"type": "dense", "units": 3, "activation": "relu"},
        {"type": "dropout", "rate": 0.5},
        {"type": "dense", "units": 1},
    ]
    data = {"train": train, "test": 0.2}
    written = {"name": "net", "data": data, "architecture": layers, "loss": "mean_squared_error",
               "training": {"batch_size": 4}, **more}  # fmt: skip
    (folder / "net.yaml").write_text(json.dumps(written))
    return report(set_up(folder / "net.yaml"))


def test_a_row_for_each_layer(tmp_path: Path) -> None:
    found = checked(tmp_path)
    assert [
        (row.path, row.kind, row.input, row.output, row.params, row.multiply_adds, row.note) for row in found.layers
    ] == [
        (
            "dense_1",
            "dense",
            (2,),
            (3,),
            9,
            6,
            "he_normal",
        ),
        ("dense_1.activation", "relu", (3,), (3,), 0, 0, ""),
        ("dropout_1", "dropout", (3,), (3,), 0, 0, ""),
        ("dense_2", "dense", (3,), (1,), 4, 3, "glorot_uniform"),
    ]
    first, relu, dropout, last = found.layers
    assert (first.bytes_per_sample, first.bytes_per_batch) == (3 * 4, 4 * 3 * 4)
    assert (last.bytes_per_sample, last.bytes_per_batch) == (4, 16)
    assert dropout.bytes_per_sample > relu.bytes_per_sample >= 12  # its mask is kept too
    assert checked(tmp_path, dtype="float64").layers[0].bytes_per_sample == 3 * 8


def test_what_a_step_costs(tmp_path: Path) -> None:
    found = checked(tmp_path)
    setup = set_up(tmp_path / "net.yaml")
    assert (found.name, found.loss, found.parameters, found.multiply_adds) == ("net", "mean_squared_error", 13, 9)
    assert (found.batch_size, found.file) == (4, str(tmp_path / "net.yaml"))
    assert found.bytes_per_sample == step_bytes(setup.experiment, setup.network_plan, 1)
    assert found.bytes_per_batch == step_bytes(setup.experiment, setup.network_plan, 4) > found.bytes_per_sample
    assert found.bytes_training == training_bytes(setup.experiment, setup.network_plan, 4) > found.bytes_per_batch
    assert [(split.name, split.rows) for split in found.splits] == [("train", 8), ("test", 2)]
    assert found.augmentation == ()


def test_the_column_that_rows_are_divided_by_is_said_to_be_no_input(tmp_path: Path) -> None:
    lines = "".join(f"p{k},{k / 7:.2f},{k % 3}.5\n" for k in range(9))
    (tmp_path / "a.csv").write_text("who,a,y\n" + lines)
    source = {"type": "csv", "path": "a.csv", "target": "y"}
    data = {"train": source, "test": 0.3, "split": {"group": "who"}}
    layers = [{"type": "dense", "units": 1}]
    assert checked(tmp_path, data=data, architecture=layers).division.endswith("are in one split; it is no input")
    data = {"train": {**source, "drop": ["who"]}, "test": 0.3, "split": {"time": "a"}}
    found = checked(tmp_path, data=data, architecture=layers)
    assert found.division == "the rows are divided in the order of `a`, the latest last"
    assert [c.name for c in found.columns] == ["a"]


def test_what_changes_images_is_described_by_its_settings(tmp_path: Path) -> None:
    images = [[[[float(k + i + j)] for i in range(4)] for j in range(4)] for k in range(8)]
    pixels = {"type": "inline", "inputs": images, "targets": [[1.0]] * 8}
    layers = ["flatten", {"type": "dense", "units": 1}]
    data = {"train": pixels, "augment": [{"type": "shift", "pixels": 1, "fill": 2.0}]}
    ((kind, words),) = checked(tmp_path, data=data, architecture=layers).augmentation
    assert kind == "shift"
    assert words.startswith("pixels: 1")
    assert "fill: 2.0" in words


def test_a_training_that_nobody_will_wait_for_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the least that a step takes, and by what a row costs: 9 multiply-adds, three times, 8 rows."""

    def warned(epochs: int) -> list[str]:
        return [w.text for w in checked(tmp_path, training={"epochs": epochs}).warnings if w.code == "long"]

    assert warned(10**9) == []
    with monkeypatch.context() as patch:
        patch.setattr(describing, "SECONDS_PER_STEP", 0.01)
        assert warned(10**9) == ["training takes 116 days or more: each of the epochs 0.01 seconds"]
        assert warned(10**8) == []
    monkeypatch.setattr(describing, "MACS_PER_SECOND", 216e2)
    assert warned(10**9) == ["training takes 116 days or more: each of the epochs 0.01 seconds"]
