"""Model files whose checksum holds and whose description is changed: the network fits or one message says why not."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bpcli.numeric import free_memory
from bpcli.numeric.free_memory import NotEnoughMemoryError
from bpcli.records.training import Failure
from bpcli.studies.evaluation.predict import outputs
from bpcli.studies.run import model as models
from bpcli.studies.run import modelfile
from bpcli.studies.run.model import load
from bpcli.studies.run.resume import start
from bpcli.studies.run.setup import set_up

CONFIG = """\
data:
  train: {type: csv, path: a.csv, target: kind, missing: median, indicator: true}
  scale: standardize
architecture: [{type: dense, units: 3, activation: tanh}, {type: batch_norm}, {type: dense, units: 2}]
loss: softmax_cross_entropy
training: {epochs: 1}
"""
ROWS = "width,colour,born,kind\n1,red,2024-01-01,oak\n2,blue,2024-02-01,elm\n,red,2024-03-01,oak\n4,,2024-04-01,elm\n"
VALUES: list[Any] = [
    None, True, -1, 0, 1, 2**70, 1e308, "", "x", "train", [], {}, [1], {"a": 1}, [[]], "9" * 400, ["x"] * 3, 3, 4,
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where everything in nested tables and lists stands."""
    if path:
        yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*path, key))


def changed(meta: dict[str, Any], path: tuple[Any, ...], chance: random.Random) -> None:
    """Puts another value there, or nothing."""
    inner: Any = meta
    for key in path[:-1]:
        inner = inner[key]
    if chance.random() < 0.3:
        del inner[path[-1]]
    else:
        inner[path[-1]] = chance.choice(VALUES)


@pytest.mark.parametrize("times", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_changed_descriptions(times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text(ROWS)
    Path("a.yaml").write_text(CONFIG)
    start(set_up(Path("a.yaml")), Path("run")).run()
    arrays, meta = modelfile.read(Path("run/model.safetensors"))
    known, chance, refused = json.dumps(meta), random.Random(3), 0
    for _ in range(times):
        other = json.loads(known)
        for _ in range(chance.randint(1, 2)):
            changed(other, chance.choice(list(places(other)) or [("kind",)]), chance)
        modelfile.write(Path("m.safetensors"), arrays, other)
        try:
            load(Path("m.safetensors"))
        except Failure:  # and nothing else
            refused += 1
    assert times / 5 < refused < times


@pytest.mark.parametrize("record", [None, 5, "x", []])
def test_a_record_that_is_no_table(record: Any, tmp_path: Path) -> None:
    modelfile.write(tmp_path / "m", {}, {"kind": "model", "record": record})
    with pytest.raises(Failure, match="its record is no table"):
        load(tmp_path / "m")


def test_a_loss_that_cannot_take_the_outputs_is_said_before_the_weights_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text(ROWS)
    Path("a.yaml").write_text(CONFIG)
    start(set_up(Path("a.yaml")), Path("run")).run()
    arrays, meta = modelfile.read(Path("run/model.safetensors"))
    meta["experiment"]["architecture"][2]["units"] = 1
    modelfile.write(Path("m.safetensors"), arrays, meta)
    with pytest.raises(Failure, match="does not fit together: softmax_cross_entropy on one output"):
        load(Path("m.safetensors"))
    meta["experiment"]["architecture"][2]["units"] = 2
    for name, text in (("dense_1.W", "the network needs dense_1.W, and the file has none"),
                       ("state.batch_norm_1.rmean", "the network needs state.batch_norm_1.rmean")):  # fmt: skip
        modelfile.write(Path("m.safetensors"), {n: a for n, a in arrays.items() if n != name}, meta)
        with pytest.raises(Failure, match=text):
            load(Path("m.safetensors"))
    modelfile.write(Path("m.safetensors"), {**arrays, "dense_9.W": arrays["dense_1.W"]}, meta)
    with pytest.raises(Failure, match=r"it holds dense_9\.W, and the network has no such tensor"):
        load(Path("m.safetensors"))


PADDED = """\
data: {train: {type: inline, inputs: [[1, 2, 3, 4], [4, 3, 2, 1]], targets: [[0], [1]]}}
architecture:
  - {type: reshape, shape: [2, 2, 1]}
  - {type: zero_pad, padding: 100}
  - global_max_pool
  - {type: dense, units: 1}
loss: mean_squared_error
training: {epochs: 1}
"""


def test_evaluation_takes_as_many_rows_at_a_time_as_memory_has_room_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each row is 202 x 202 numbers, in several arrays: 256 of them take about 200 MB, and give the same."""
    (tmp_path / "padded.yaml").write_text(PADDED)
    start(set_up(tmp_path / "padded.yaml"), tmp_path / "run").run()
    usual = load(tmp_path / "run")
    assert usual.objective.network.rows == models.ROWS_PER_BATCH
    x = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    monkeypatch.setattr(models, "available_bytes", lambda: 10_000_000)
    narrow = load(tmp_path / "run")
    assert 1 <= narrow.objective.network.rows < 40
    np.testing.assert_array_equal(outputs(narrow, x), outputs(usual, x))
    monkeypatch.setattr(models, "available_bytes", lambda: 100_000)
    with pytest.raises(Failure) as caught:
        load(tmp_path / "run")
    (problem,) = caught.value.problems
    assert (problem.code, caught.value.exit) == ("memory", 65)
    assert problem.text.endswith(" of memory and 100 KB are free; the most is for zero_pad_1")


def test_a_table_of_predictions_larger_than_the_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "padded.yaml").write_text(PADDED)
    start(set_up(tmp_path / "padded.yaml"), tmp_path / "run").run()
    model = load(tmp_path / "run")
    monkeypatch.setattr(free_memory, "SMALL_BYTES", 0)
    monkeypatch.setattr(free_memory, "available_bytes", lambda: 1000)
    with pytest.raises(NotEnoughMemoryError, match=r"1\.9 KB of memory are needed for predictions of 40 rows"):
        outputs(model, np.zeros((40, 4), np.float32))


def test_encoded_rows_larger_than_the_memory_are_refused_at_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "padded.yaml").write_text(PADDED)
    monkeypatch.setattr(free_memory, "SMALL_BYTES", 0)
    monkeypatch.setattr(free_memory, "available_bytes", lambda: 10)
    with pytest.raises(Failure) as caught:
        set_up(tmp_path / "padded.yaml")
    (problem,) = caught.value.problems
    assert problem.text == "32 B of memory are needed for 2 rows of 4 inputs, and 10 B are free"
    assert (problem.code, problem.path, problem.line) == ("memory", ("data", "train"), 1)
