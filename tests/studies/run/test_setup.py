"""From a file to an experiment: how one without a name is called, and how much memory training will take."""

import gc
import re
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bpcli.engine.network_plan import plan_network
from bpcli.engine.objective import Objective
from bpcli.engine.state import training_state
from bpcli.engine.step import FirstOrderStep
from bpcli.family import Layer
from bpcli.parts.data.synthetic import Synthetic
from bpcli.records.training import Failure, Problem
from bpcli.studies.run import modelfile
from bpcli.studies.run import setup as setting_up
from bpcli.studies.run.setup import Setup, set_up, training_bytes

DATA = "data: {train: {type: inline, inputs: [[-1], [0], [1]], targets: [[0], [1], [1]]}}\n"


def written(folder: Path, name: str, more: str = "") -> Setup:
    file = folder / f"{name}.yaml"
    file.write_text(
        f"{DATA}architecture: [{{type: dense, units: 1}}]\nloss: mean_squared_error\n{more}", encoding="utf-8"
    )
    return set_up(file)


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("iris", "iris"), ("2024", "2024"), ("1e5", "1e5"), ("0x1f", "0x1f"), ("true", "true"), ("null", "null"),
        ("été", "t-"), ("данные", "experiment"), ("_hidden", "hidden"), ("a b", "a-b"), ('quo"te', "quo-te"),
        ("x: y", "x--y"), ("a#b", "a-b"), ("long" * 30, ("long" * 16)),
    ],
)  # fmt: skip
def test_an_experiment_without_a_name_is_called_as_its_file(stem: str, name: str, tmp_path: Path) -> None:
    """Whatever the file is called: nobody is told that a name he did not write is wrong."""
    found = written(tmp_path, stem).experiment.name
    assert found == name
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", found)


def test_a_name_that_is_given_stays(tmp_path: Path) -> None:
    assert written(tmp_path, "iris", "name: mine\n").experiment.name == "mine"


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
@pytest.mark.parametrize(("batch", "units"), [(20_000, 10), (10, 30_000)])
def test_training_takes_the_memory_that_was_announced(batch: int, units: int, optimizer: str, tmp_path: Path) -> None:
    """Measured: the network, its loss and its optimizer, the weights of the last epoch, and a checkpoint of all."""
    experiment = written(tmp_path, "x", f"optimizer: {optimizer}\n").experiment
    spelled = [{"type": "dense", "units": units}, "gelu", {"type": "residual", "layers": ["softplus"]}]
    network_plan = plan_network([*(Layer.parse(layer) for layer in spelled), *experiment.architecture], (7,))

    def built(rows: int) -> list[object]:
        o = Objective(network_plan, experiment.loss, rows, np.float32, 0)
        step = FirstOrderStep(o, experiment.optimizer, None, 10)
        weights = o.theta.copy()
        modelfile.write(tmp_path / "a.safetensors", training_state(step) | {"good.theta": weights}, {})
        return [o, step, weights]

    built(1)  # what Python makes once, it has made
    gc.collect()
    tracemalloc.start()
    try:
        arrays = built(batch)
        taken, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    announced = training_bytes(experiment, network_plan, batch)
    assert len(arrays) == 3
    assert 0.99 * taken < announced < 1.3 * peak
    assert peak < 1.05 * announced


IMAGES = """\
data:
  train: {type: inline, inputs: [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]], targets: [[0], [1], [1]]}
  augment: [{type: shift, pixels: 1}]
architecture: [{type: reshape, shape: [2, 2, 1]}, flatten, {type: dense, units: 1}]
loss: mean_squared_error
training: {epochs: 1, batch_size: 1}
"""


@pytest.mark.parametrize("rows", [None, 1, 3])
def test_what_changes_images_has_room_for_a_batch_or_for_as_many_rows_as_are_asked_for(
    rows: int | None, tmp_path: Path
) -> None:
    file = tmp_path / "images.yaml"
    file.write_text(IMAGES)
    setup = set_up(file)
    augmenter = setup.augmenter(rows)
    assert augmenter is not None
    train = setup.prepared.splits["train"].x
    x = train[: rows or 1].copy()
    for step in range(9):
        augmenter.apply(x, step)
    assert x.shape == (rows or 1, 4)
    sizes = {len(array) for _, work, _ in augmenter._parts for array in work.values() if array.ndim}
    assert sizes <= {rows or 1}
    assert sizes


def failing(folder: Path, text: str) -> Problem:
    file = folder / "bad.yaml"
    file.write_text(text)
    with pytest.raises(Failure) as caught:
        set_up(file)
    problem, *_ = caught.value.problems  # a warning may follow
    return problem


CLASSES = """\
data: {train: {type: inline, inputs: [[0], [1], [2]], targets: [a, b, a]}}
architecture: [{type: dense, units: 2}]
loss: {type: softmax_cross_entropy, class_weights: {a: 1, c: 2}}
training: {epochs: 1, batch_size: 2}
"""


def test_what_does_not_fit_the_data_ends_it_at_its_place_in_the_file(tmp_path: Path) -> None:
    found = failing(tmp_path, CLASSES)
    assert (found.path, found.line, found.code) == (("loss", "class_weights"), 3, "class-weights")
    found = failing(tmp_path, CLASSES.replace(", class_weights: {a: 1, c: 2}", "").replace("units: 2", "units: 3"))
    assert (found.path, found.line) == (("architecture", 0, "units"), 2)
    found = failing(tmp_path, CLASSES.replace("softmax_cross_entropy, class_weights: {a: 1, c: 2}", "poisson"))
    assert (found.path, found.line) == (("loss",), 3)
    lookup = "architecture: [{type: embedding, tokens: 2, units: 1}, flatten, {type: dense, units: 1}]\n"
    found = failing(tmp_path, f"{DATA}{lookup}loss: mean_squared_error\n")
    assert found.path == ("architecture", 0)
    assert "takes whole numbers from 0 to 1" in found.text


def test_an_experiment_larger_than_the_memory_is_refused_by_its_largest_layer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setting_up, "available_bytes", lambda: 30)
    found = failing(tmp_path, f"{DATA}architecture: [{{type: dense, units: 1}}]\nloss: mean_squared_error\n")
    assert (found.path, found.code) == (("architecture", 0, "units"), "memory")
    assert found.text.endswith(" of memory and 30 B are free; it has 2 parameters, 1 of them in dense_1.W")
    assert found.help == "fewer units, or a smaller batch_size"
    monkeypatch.setattr(setting_up, "available_bytes", lambda: 200)  # enough for the parameters
    found = failing(tmp_path, f"{DATA}architecture: [relu, {{type: dense, units: 1}}]\nloss: mean_squared_error\n")
    assert (found.path, found.code) == (("architecture", 0), "memory")
    assert found.text.endswith(" rows at a time the most is for relu_1")
    for free in (None, 10**9):
        monkeypatch.setattr(setting_up, "available_bytes", lambda free=free: free)
        assert written(tmp_path, "x").steps_per_epoch == 1


def test_data_that_changes_while_it_is_read_begins_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads it, the fingerprint of a run is that of what it is trained on."""
    (tmp_path / "a.csv").write_text("x,y\n1,2\n2,3\n3,4\n")
    data = "data: {train: {type: csv, path: a.csv, target: y}}\n"
    (tmp_path / "a.yaml").write_text(f"{data}architecture: [{{type: dense, units: 1}}]\nloss: mean_squared_error\n")
    known, prepare = set_up(tmp_path / "a.yaml", new_run=True), setting_up.prepare
    assert known.fingerprints is not None
    (fingerprint,) = known.fingerprints.of([tmp_path / "a.csv"])

    def late(*args: Any, **named: Any) -> Any:
        found = prepare(*args, **named)
        with open(tmp_path / "a.csv", "a") as file:
            file.write("4,5\n")
        return found

    monkeypatch.setattr(setting_up, "prepare", late)
    for new_run in (False, True):
        with pytest.raises(Failure, match=r"has changed while it was read: it had \d+ bytes and has \d+"):
            set_up(tmp_path / "a.yaml", new_run=new_run)
    with pytest.raises(Failure, match="has changed while it was read"):
        known.fingerprints.of([tmp_path / "a.csv"])
    assert fingerprint["bytes"] == 16


MADE_UP = """\
data:
  train: {type: synthetic, shape: moons, rows: 10000000}
architecture: [{type: dense, units: 2}]
loss: softmax_cross_entropy
training: {epochs: 1, batch_size: 7}
"""


def test_what_fits_no_number_of_made_up_rows_is_refused_before_many_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.yaml").write_text(MADE_UP)
    honest, made = Synthetic.load, list[int]()

    def load(self: Synthetic, *words: Any, **more: Any) -> Any:
        made.append(self.rows)
        assert self.rows < 10_000_000
        return honest(self, *words, **more)

    monkeypatch.setattr(Synthetic, "load", load)
    with pytest.raises(Failure, match="the network has 3 outputs and the data has 2 classes"):
        set_up(tmp_path / "a.yaml", ["architecture.0.units=3"])
    assert made == list(setting_up.TRIED_ROWS)
    monkeypatch.setattr(setting_up, "MANY_MADE_UP_ROWS", 100)
    monkeypatch.setattr(setting_up, "TRIED_ROWS", (20, 40))
    for sets, text in (
        ([], ""),
        (["optimizer=rprop"], "rprop needs all 400 training rows in every step"),
        (["data.validation=0.01", "data.fold={of: 30, number: 1}"], ""),  # 20 rows are too few for that
    ):
        try:
            set_up(tmp_path / "a.yaml", ["data.train.rows=400", *sets])
            said = ""
        except Failure as failure:
            said = failure.problems[0].text
        assert (text in said, bool(said)) == (True, bool(text)), said
        assert made[-1] == 400, "what depends on how many rows there are is found with all of them"
