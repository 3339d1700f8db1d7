"""Going on with a run: what may change, what is warned of, and where it goes on from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bpcli.records.training import Exit, Failure, Problem
from bpcli.studies.run.resume import _beyond_schedule, reopen, resume, start
from bpcli.studies.run.runfolder import RunFolder
from bpcli.studies.run.saving.checkpointer import load_checkpoint
from bpcli.studies.run.saving.environment import SPEED, environment, other_environment
from bpcli.studies.run.setup import set_up

CONFIG = """\
name: line
data: {train: {type: inline, inputs: [[0], [1], [2], [3]], targets: [[1], [3], [5], [7]]}}
architecture: [{type: dense, units: 1}]
loss: mean_squared_error
optimizer: {type: momentum, learning_rate: 0.05}
training: {epochs: 3, batch_size: 2}
"""
COSINE = CONFIG.replace("learning_rate: 0.05", "learning_rate: {type: cosine, start: 0.05}")


def begun(folder: Path, text: str = CONFIG) -> Path:
    file = folder / "line.yaml"
    file.write_text(text)
    start(set_up(file), folder / "run").run()
    return folder / "run"


def record_of(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "run.json").read_text())
    return found


def failing(*arguments: Any) -> tuple[Problem, int]:
    with pytest.raises(Failure) as caught:
        resume(*arguments)
    (problem,) = caught.value.problems
    return problem, int(caught.value.exit)


def test_a_record_says_what_the_run_was_made_from(tmp_path: Path) -> None:
    run = begun(tmp_path)
    record = record_of(run)
    assert {k: record[k] for k in ("name", "seed", "root", "sets", "steps", "rows", "status", "epochs", "kept")} == {
        "name": "line", "seed": 0, "root": str(tmp_path), "sets": [], "steps": 6, "rows": {"train": 4},
        "status": "epochs", "epochs": 3, "kept": 3,
    }  # fmt: skip
    assert record["reason"] == "all 3 epochs are done"
    assert (run / "config.yaml").read_text() == CONFIG
    resolved = (run / "config.resolved.yaml").read_text()
    assert resolved.startswith("# Every setting of this run, defaults and --set included.\n# Paths are relative to ")
    assert "mu: 0.9" in resolved


def test_only_the_number_of_epochs_may_change(tmp_path: Path) -> None:
    run = begun(tmp_path)
    problem, exit = failing(run, ("seed=2",))
    assert (problem.text, problem.code, exit) == ("--set seed=2 would change the experiment", "resume", Exit.BAD_INPUT)
    assert problem.help == "of a run that goes on only training.epochs may change; for anything else start a new run"
    longer = resume(run, ("training.epochs=5",))
    assert not longer.finished
    assert longer.state.train_step.total == 6, "schedules keep the length they began with"
    assert [row.epoch for row in longer.state.history] == [1, 2, 3]
    assert record_of(run)["sets"] == ["training.epochs=5"]
    assert record_of(run)["status"] == "running"
    report = longer.run()
    assert [row.epoch for row in report.epochs] == [1, 2, 3, 4, 5]
    assert record_of(run)["steps"] == 6


def test_a_run_that_was_finished_says_so_again_and_changes_nothing(tmp_path: Path) -> None:
    run = begun(tmp_path)
    before = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}
    trainer = resume(run)
    assert trainer.finished
    report = trainer.run()
    assert (report.stopped, report.best_epoch) == ("epochs", 3)
    assert report.reason == "this run was finished before: all 3 epochs are done"
    assert {file: file.read_bytes() for file in run.rglob("*") if file.is_file()} == before


def test_a_run_that_diverged_cannot_go_on(tmp_path: Path) -> None:
    run = begun(tmp_path)
    for reason, said in (({"reason": "it was too steep"}, "it was too steep"), ({}, "it diverged")):
        record = {k: v for k, v in record_of(run).items() if k != "reason"} | {"status": "diverged", **reason}
        (run / "run.json").write_text(json.dumps(record))
        problem, exit = failing(run)
        assert (problem.text, exit) == (f"this run cannot go on: {said}", Exit.BAD_RESULT)
        assert problem.code == "diverged"


def test_without_a_checkpoint_it_begins_anew(tmp_path: Path) -> None:
    run = begun(tmp_path)
    shutil.rmtree(run / "checkpoints")
    trainer = resume(run)
    (warning,) = (w for w in trainer.warnings if w.code == "no-checkpoint")
    assert warning.text == f"{run} has no checkpoint to go on from: training begins anew"
    assert warning.level == "warning"
    assert trainer.state.progress.step == 0
    assert list(trainer.state.history) == []
    assert (run / "checkpoints").is_dir()
    assert (run / "train.lock").read_text() != ""
    trainer.run()


def test_a_failure_releases_the_lock(tmp_path: Path) -> None:
    run = begun(tmp_path)
    (tmp_path / "run" / "config.yaml").write_text(CONFIG + "# changed\n")
    assert failing(run)[0].code == "changed"
    assert not (run / "train.lock").exists()


def test_the_experiment_of_a_run_is_as_it_was_with_what_was_set(tmp_path: Path) -> None:
    run = begun(tmp_path)
    folder = RunFolder(run)
    record = folder.record() | {"sets": ["training.epochs=7"]}
    assert reopen(folder, record).experiment.training.epochs == 7
    assert reopen(folder, record, ("training.epochs=9",)).experiment.training.epochs == 9
    assert reopen(folder, record, inputs=False).root == tmp_path


def test_beyond_the_end_of_its_schedule_nothing_is_learned(tmp_path: Path) -> None:
    run = begun(tmp_path, COSINE)
    trainer = resume(run, ("training.epochs=4",))
    (warning,) = _beyond_schedule(trainer.state)
    assert warning.text == (
        "the learning rate is 0 after step 6, where its schedule was to end: nothing is learned beyond"
    )
    assert warning.help == "for a longer schedule start a new run with more training.epochs"
    assert (warning.code, warning.level) == ("schedule", "warning")
    assert warning in trainer.warnings
    trainer.run()
    again = resume(run)
    assert _beyond_schedule(again.state) != ()
    again.run()


@pytest.mark.parametrize(
    ("text", "epochs"), [(CONFIG, 4), (COSINE, 3), (CONFIG.replace("momentum, learning_rate: 0.05", "lbfgs"), 4)]
)
def test_where_the_rate_does_not_end_or_no_more_is_asked_for_there_is_no_warning(
    text: str, epochs: int, tmp_path: Path
) -> None:
    full = text.replace("batch_size: 2", "batch_size: full") if "lbfgs" in text else text
    run = begun(tmp_path, full)
    trainer = resume(run, (f"training.epochs={epochs}",))
    assert _beyond_schedule(trainer.state) == ()
    trainer.run()


def test_another_environment_is_a_warning_that_says_what_differs_and_why() -> None:
    now = environment()
    assert now["blas"]["threads"] >= 0
    assert now["cores"] <= now["processors"]
    old = {name: value for name, value in now.items() if name != "cores"} | {"blas": {"name": now["blas"]["name"]}}
    for same in ({"environment": now}, {}, {"environment": 3}, {"environment": old}, {"environment": {"blas": 1}}):
        assert other_environment(same) == ()
    before = now | {"numpy": "1.0", "blas": now["blas"] | {"kernel": "Prescott"}, "cores": 999}
    (found,) = other_environment({"environment": before})
    assert found.text == (
        f"this run began elsewhere: NumPy 1.0 then, {np.__version__} now; BLAS's kernel Prescott then, "
        f"{now['blas']['kernel'] or 'unknown'} now; the cores 999 then, {now['cores']} now: its weights may differ in "
        "their last bits from those of a run that stayed there (another version may compute in another order; another "
        "kernel of BLAS adds the terms of a product in another order)"
    )
    assert (found.code, found.level) == ("environment", "warning")
    (found,) = other_environment({"environment": now | {"cores": 999}})
    assert found.text.endswith(f"{now['cores']} now: {SPEED}")
    (found,) = other_environment({"environment": old | {"processors": 999}})
    assert f"the machine's cores 999 then, {now['processors']} now" in found.text
    assert other_environment({"environment": now | {"processors": 999}}) == ()
    (found,) = other_environment({"environment": now | {"threads": {"MKL_NUM_THREADS": "7"}}})
    assert "MKL_NUM_THREADS 7 then, unset now" in found.text


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    run = begun(tmp_path)
    tensors, meta, _ = RunFolder(run).newest_checkpoint()
    state = start(set_up(tmp_path / "line.yaml"), tmp_path / "other").state
    load_checkpoint(state, tensors, meta)
    assert (state.progress.step, state.progress.epoch, state.progress.sums.steps) == (6, 3, 0)
    assert np.array_equal(state.epoch_weights["theta"], tensors["theta"])
    assert state.best_weights == {}
    for bad, damage in ((dict(list(tensors.items())[1:]), meta), (tensors | {"theta": np.zeros(9)}, meta),
                        (tensors, {"progress": {"colour": 1, "sums": {}}}), (tensors, {})):  # fmt: skip
        with pytest.raises(Failure, match="the checkpoint does not fit this experiment: ") as caught:
            load_checkpoint(state, bad, damage)
        assert caught.value.problems[0].code == "bad-checkpoint"
    good = {**tensors, "best.theta": tensors["theta"] + 1, "good.theta": tensors["theta"] + 2}
    load_checkpoint(state, good, meta)
    assert np.array_equal(state.best_weights["theta"], tensors["theta"] + 1)
    assert np.array_equal(state.epoch_weights["theta"], tensors["theta"] + 2)
