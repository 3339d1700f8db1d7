"""A training that is killed and resumed beside one that is not: they are the same, and a difference is found."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from bpcli.cli.app import run
from bpcli.config.experiment import Experiment
from bpcli.config.validate import validate
from bpcli.config.yamlfile import parse
from bpcli.engine.network_plan import plan_network
from bpcli.family import Layer
from bpcli.records.training import Exit, Failure
from bpcli.records.verify_resume import ResumeVerdict
from bpcli.render.evaluation.verify_resume import tensor_text, verdict_page
from bpcli.studies.evaluation import verify_resume as study
from bpcli.studies.evaluation.compare_tensors import (
    computation_order,
    first_difference,
    named_tensors,
    tensor_difference,
)
from bpcli.studies.evaluation.verify_resume import COMMAND, KILL, KilledAfterCheckpoint, verify_resume
from bpcli.studies.run import resume
from bpcli.studies.run.saving.checkpointer import load_checkpoint
from bpcli.studies.run.setup import set_up

CONFIG = """\
name: small
data: {train: {type: synthetic, shape: spirals, rows: 24}, validation: 0.25}
architecture: [{type: dense, units: 3}, batch_norm, tanh, {type: dropout, rate: 0.2}, {type: dense, units: 2}]
loss: softmax_cross_entropy
training: {epochs: 2, batch_size: 6, early_stopping: {metric: validation.loss, patience: 9}}
"""


class Killed(BaseException):
    """Stands for the end of a process."""


def kill() -> None:
    raise Killed


def in_this_process(self: Any, program: str, words: Sequence[str]) -> tuple[int, str]:
    """Runs a training here; the one that kills its process is cut short."""
    if program == COMMAND:
        with patch.object(sys, "argv", ["bpcli", *words]):
            return run(), ""
    task = json.loads(words[0])
    setup = set_up(Path(task["config"]), tuple(task["sets"]), new_run=True)
    try:
        resume.start(setup, Path(task["out"]), [KilledAfterCheckpoint(task["after"], kill)]).run()
    except Killed:
        return -KILL, ""
    return 0, ""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(study._Training, "_run", in_this_process)
    file = tmp_path / "small.yaml"
    file.write_text(CONFIG)
    return file


def page(found: ResumeVerdict) -> str:
    return "\n".join(map(str, verdict_page(found)))


def test_a_run_that_goes_on_is_the_same(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = verify_resume(config)
    assert found.identical
    assert (found.steps, found.saved_after, found.lines) == (6, 4, 2)  # not at the end of an epoch
    weights, statistics = 6, 2  # 23 and 6 numbers; slots m and v of the weights, the best of all, and the model
    assert found.tensors == weights + statistics + 2 * weights + 2 * (weights + statistics)
    assert found.numbers == 23 + 6 + 2 * 23 + 2 * (23 + 6)
    assert "identical, bit for bit" in page(found)


def test_what_is_not_put_back_is_found(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_slots(state: Any, tensors: Mapping[str, Any], meta: Mapping[str, Any]) -> None:
        load_checkpoint(state, {n: a * (not n.startswith("slot")) for n, a in tensors.items()}, meta)

    monkeypatch.setattr(resume, "load_checkpoint", without_slots)
    found = verify_resume(config)
    assert not found.identical
    assert found.tensor is not None
    assert found.tensor.tensor == "dense_1.W"
    assert found.metrics
    assert "DIFFERENT: dense_1.W[0,0] is " in page(found)
    assert "DIFFERENT: metrics, epoch 2.metrics." in page(found)


@pytest.mark.parametrize(("epochs", "after"), [(1, 3), (1, 9), (None, 6)])
def test_there_have_to_be_steps_before_and_after(epochs: int | None, after: int, config: Path) -> None:
    with pytest.raises(Failure, match="cannot be killed after a checkpoint of step") as caught:
        verify_resume(config, epochs=epochs, after=after)
    assert caught.value.exit == Exit.USAGE


def test_what_ends_before_it_is_killed_is_said(config: Path) -> None:
    goal = "training.stop_when={metric: validation.loss, at_most: 99}"
    with pytest.raises(Failure, match="training was over before it could be killed after step 5"):
        verify_resume(config, [goal])


def test_the_order_is_that_of_the_computation() -> None:
    inside = "{type: residual, layers: [{type: dense, units: 2}, batch_norm]}"
    text = CONFIG.replace("[{type: dense", f"[{inside}, {{type: dense")
    experiment = validate(Experiment, parse(text + "regularization: {type: l2, strength: 1e-3}\n", "x.yaml"))
    network_plan = plan_network(experiment.architecture, (2,), experiment.regularization)
    size = network_plan.size
    flat = {"best.theta": np.arange(size), "slot.m": np.arange(size), "theta": np.arange(size), "clip.norm": np.ones(1)}
    states = {f"state.{path}.{name}": np.ones(2) for path in ("batch_norm_1", "residual_1.batch_norm_1")
              for name in ("rmean", "rvar")}  # fmt: skip
    named = named_tensors(flat | states, network_plan)
    assert sum(a.size for n, a in named.items() if not n.startswith(("state", "clip"))) == 3 * size
    order = computation_order(named, network_plan)
    weights = ["residual_1.dense_1.W", "residual_1.dense_1.b", "residual_1.batch_norm_1.gamma",
               "residual_1.batch_norm_1.beta"]  # fmt: skip
    assert order[:6] == [*weights, "state.residual_1.batch_norm_1.rmean", "state.residual_1.batch_norm_1.rvar"]
    assert order[6:8] == ["dense_1.W", "dense_1.b"]
    slots = [name for name in order if name.startswith("slot")]
    assert slots == [f"slot.m.{name}" for name in order if f"slot.m.{name}" in named]
    assert order.index("slot.m.dense_2.b") < order.index("clip.norm") < order.index("best.residual_1.dense_1.W")


def test_bits_are_compared() -> None:
    a = np.array([[0.0, np.nan], [1.0, 2.0]], np.float32)
    assert tensor_difference("a", a, a.copy()) is None
    assert tensor_difference("a", np.float64(3), np.float64(3)) is None  # type: ignore[arg-type]
    found = tensor_difference("a", a, a * np.array([[-1, 1], [1, 1.5]], np.float32))
    assert found is not None
    assert (found.index, found.first, found.second, found.differing, found.of) == ((0, 0), 0.0, -0.0, 2, 4)
    assert found.largest == 1.0
    assert tensor_text(found).startswith("a[0,0] is 0.0 and -0.0; 2 of its 4 numbers differ, by 1 at most")
    for other in (a.astype(float), a[:1]):
        wrong = tensor_difference("a", a, other)
        assert wrong is not None
        assert "float32 of shape (2, 2) and " in tensor_text(wrong)
    both = first_difference({"x": a, "y": a}, {"x": a, "z": a}, ["x", "y", "z"])
    assert both is not None
    assert tensor_text(both) == "y: only the first has it"


def test_a_parameter_without_axes_is_a_tensor_too() -> None:
    beta = {"beta": {"shape": [], "init": {"type": "constant", "value": 1.0}}}
    network_plan = plan_network([Layer.parse({"type": "formula", "y": "beta * x[n,...]", "params": beta})], (3,))
    found = named_tensors({"theta": np.array([2.0])}, network_plan)
    assert {name: a.tolist() for name, a in found.items()} == {"formula_1.beta": 2.0}
