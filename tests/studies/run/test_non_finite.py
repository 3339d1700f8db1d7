"""Numbers that are not finite: no file of a run holds one, what may be one comes back exactly, and files of others that
hold one are refused, or passed over."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_lab import Lab
from cli_lab import lab as lab
from extremes import unwritable_numbers

from bpcli.engine.divergence import NonFiniteError
from bpcli.family import Callback
from bpcli.parts.initializers import HeNormal
from bpcli.studies.run import modelfile
from bpcli.studies.run.resume import resume, start
from bpcli.studies.run.runfolder import RunFolder
from bpcli.studies.run.saving.checkpointer import Checkpointer
from bpcli.studies.run.saving.non_finite import with_non_finite, without_non_finite
from bpcli.studies.run.setup import set_up

PLATEAU = "optimizer={type: sgd, learning_rate: {type: plateau, start: 0.1, metric: train.loss}}"


def test_what_may_be_infinite_comes_back_bit_for_bit_and_is_never_written() -> None:
    kept = {
        "tally.r2.sum": np.array([math.nan, 1.5, -0.0, math.inf, -math.inf], np.float32),
        "schedule.best": np.array(math.inf),
        "tally.n": np.arange(3),
        "theta": np.ones(2),
    }
    written = without_non_finite(kept)
    assert modelfile.first_non_finite_tensor(written) is None
    assert sorted(written) == sorted([*kept, "tally.r2.sum.non_finite", "schedule.best.non_finite"])
    back = with_non_finite({name: a.copy() for name, a in written.items()})
    assert [*back] == [*kept]
    assert all(back[n].tobytes() == a.tobytes() and back[n].dtype == a.dtype for n, a in kept.items() if "r2" not in n)
    assert np.array_equal(back["tally.r2.sum"], kept["tally.r2.sum"], equal_nan=True)
    with pytest.raises(ValueError, match="not of the shape"):
        with_non_finite({**written, "schedule.best.non_finite": np.zeros(2, np.uint8)})


def spoil(file: Path, name: str, **meta: Any) -> None:
    """Writes a file again as an earlier version could have: with nan in one array, by another name where it has none
    such."""
    tensors, found = modelfile.read(file)
    tensors[name].flat[0] = math.nan
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(modelfile, "first_non_finite_tensor", lambda _: None)
        modelfile.write(file, tensors, {**found, **meta})


@pytest.mark.parametrize("command", [["eval", "run"], ["predict", "run", "--data", "trees.csv"],
                                     ["trace", "run/model.safetensors", "--x", "1,2", "--t", "1,0"],
                                     ["gradcheck", "run"], ["diagnose", "run"]], ids=lambda c: c[0])  # fmt: skip
def test_a_model_that_holds_one_is_refused_by_name(lab: Lab, command: list[str]) -> None:
    lab.good("train", "trees.yaml", "--out", "run", "-q")
    name = "data.inputs.scale" if command[0] == "predict" else "dense_2.W"
    spoil(lab.path / "run" / "model.safetensors", name)
    for file in (lab.path / "run" / "checkpoints").iterdir():
        file.unlink()
    found = lab.run(*command)
    assert (found.code, found.out) == (65, ""), found
    assert f"model.safetensors cannot be used: {name} holds a number that is not finite [not-finite]" in found.err


@pytest.mark.parametrize("name", ["theta", "slot.v", "slot.m"])
def test_a_checkpoint_that_holds_one_is_passed_over(lab: Lab, name: str) -> None:
    lab.good("train", "trees.yaml", "--out", "run", "-q")
    model = modelfile.read(lab.path / "run" / "model.safetensors")[0]
    newest = max((lab.path / "run" / "checkpoints").iterdir())
    spoil(newest, name)
    (lab.path / "run" / "model.safetensors").unlink()
    found = lab.good("train", "--resume", "run")
    said = f"passed over: run/checkpoints/{newest.name} holds a number that is not finite, in {name}"
    assert said in re.sub(r"\s+", " ", found.err)
    again = modelfile.read(lab.path / "run" / "model.safetensors")[0]
    assert all(model[n].tobytes() == a.tobytes() for n, a in again.items())


def test_figures_that_are_no_numbers_are_null_and_come_back_as_nan(lab: Lab) -> None:
    """Before the first epoch no figure is the best, nor has the schedule seen one."""
    trainer = start(set_up(lab.path / "trees.yaml", (PLATEAU,)), lab.path / "run")
    trainer.state.progress.sums.norm = math.inf
    file = Checkpointer(trainer.state).save()
    assert not re.search(rb"NaN|Infinity", file.read_bytes())
    assert modelfile.first_non_finite_tensor(modelfile.read(file)[0]) is None
    assert trainer.lock is not None
    trainer.lock.release()
    state = resume(lab.path / "run").state
    assert math.isnan(state.progress.best)
    assert math.isnan(state.progress.sums.norm)
    assert float(state.train_step.schedule_state["best"]) == math.inf


def test_a_line_of_figures_without_numbers_is_read(lab: Lab) -> None:
    lab.good("train", "trees.yaml", "--out", "run", "-q")
    file = lab.path / "run" / "metrics.jsonl"
    rows = [json.loads(line) | {"gradient_norm": None, "train.loss": None} for line in file.read_text().splitlines()]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = RunFolder(lab.path / "run").epochs()
    assert [math.isnan(row.gradient_norm) and math.isnan(row.metrics["train.loss"]) for row in found] == [True] * 3
    lab.good("train", "--resume", "run", "--set", "training.epochs=4")


def test_memory_that_is_no_number_ends_a_training_before_it_is_saved(lab: Lab) -> None:
    state = start(set_up(lab.path / "trees.yaml"), lab.path / "run").state
    state.check_memory()
    state.train_step.slots["v"][13] = math.inf
    with pytest.raises(NonFiniteError) as caught:
        state.check_memory()
    assert (str(caught.value), caught.value.what) == ("optimizer.v", "memory of dense_2.W")


def test_a_periodic_save_and_one_by_a_signal_look_at_the_memory_first(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of an epoch, where no step has met it yet."""
    monkeypatch.setattr(Checkpointer, "due", property(lambda self: self.state.progress.step == 3))
    trainer = start(set_up(lab.path / "trees.yaml"), lab.path / "run")
    slots = trainer.state.train_step.slots

    class Spoils(Callback):
        def on_batch_end(self, state: Any, loss: float) -> None:
            if state.progress.step == 3:
                slots["v"][0] = math.inf

    trainer.callbacks = (*trainer.callbacks, Spoils())
    report = trainer.run()
    assert report.problem is not None
    assert report.stopped == "diverged"
    assert "in epoch 2, batch 2 of 2: optimizer.v (memory of dense_1.W) is not finite" in report.problem.text
    assert unwritable_numbers(lab.path / "run") == []


def test_an_initializer_of_ones_own_that_draws_no_number_is_refused(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HeNormal, "fill", lambda self, out, fan_in, fan_out, rng: out.fill(math.nan))
    found = lab.run("train", "trees.yaml", "--out", "run", "--set", "architecture.1.init=he_normal")
    assert (found.code, found.out) == (65, "")
    assert "error: the first weights are not finite, in dense_2.W [not-finite]" in found.err
    assert not (lab.path / "run").exists()
