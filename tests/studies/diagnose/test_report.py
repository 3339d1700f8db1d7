"""What the report of a diagnosis says of rows and of what was not looked at, in which order, and what it opens."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from experiments_to_diagnose import config, trained
from hand_diagnosis import context_of, dense, measured, values_of, with_rows

from bpcli.records.diagnose import Symptom
from bpcli.records.training import Exit, Failure
from bpcli.studies.diagnose import diagnose as module
from bpcli.studies.diagnose.diagnose import _notes, _rows, diagnose
from bpcli.studies.diagnose.diagnosis_context import DiagnosisContext, open_context

IMAGES = {"data": {"augment": [{"type": "flip"}]}, "x": np.arange(24 * 16).reshape(24, 4, 4, 1) % 7}


def test_how_many_rows_were_looked_at() -> None:
    assert _rows(context_of()) == "all 24 training rows"
    many = np.zeros((1300, 4)), np.zeros(1300, int)
    assert _rows(with_rows(context_of(), *many)) == "256 of 1,300 training rows"
    context = with_rows(context_of(), *many)
    context.splits = {"train": type(context.train)("data", *many, np.arange(1300))}
    assert _rows(context) == "256 of 1,300 rows of --data"


@pytest.mark.parametrize(("rows", "noted"), [(512, []), (513, ["single steps saw 512 rows of each batch of 513"])])
def test_large_batches_are_noted(rows: int, noted: list[str]) -> None:
    context = with_rows(context_of(training={"batch_size": rows}), np.zeros((600, 4)), np.zeros(600, int))
    assert _notes(measured(context, loss=1.0)) == noted


def test_what_was_not_looked_at_is_noted() -> None:
    assert _notes(measured(context_of(), loss=1.0)) == []
    assert _notes(measured(context_of(), loss=math.inf)) == ["figures of layers are those of numbers that overflowed"]
    trained = measured(context_of(training={"batch_size": 24}), trained=True, loss=1.0)
    assert _notes(trained) == ["how it starts, its learning rate and one batch by heart: bpcli diagnose CONFIG"]
    assert _notes(measured(context_of(["flatten", dense(3)], **IMAGES), loss=1.0)) == [
        "images were not changed by chance"
    ]


def test_the_most_serious_symptoms_come_first_and_causes_before_what_they_lead_to(monkeypatch: Any) -> None:
    levels = ["ok", "warning", "notice", "warning", "ok", "notice"]
    checks = {
        f"check {k}": (lambda _, k=k, level=level: [Symptom(f"check {k}", "", "", level)])
        for k, level in enumerate(levels)
    }
    monkeypatch.setattr(module, "CHECKS", checks)
    monkeypatch.setattr(module, "open_context", lambda *words: measured(values_of([dense(1)]), overfit=()))
    report = diagnose(Path("x.yaml"))
    assert [s.check[-1] for s in report.symptoms] == ["1", "3", "2", "5", "0", "4"]
    assert report.tried == ""


def report_of(context: DiagnosisContext, monkeypatch: Any) -> Any:
    monkeypatch.setattr(module, "CHECKS", {})
    monkeypatch.setattr(module, "open_context", lambda *words: context)
    return diagnose(Path("x.yaml"))


def test_the_report_has_the_measurements_that_were_made(monkeypatch: Any) -> None:
    context = values_of([dense(1)])
    clock = iter((7.0, 9.5))  # before anything is measured, and behind it
    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    report = report_of(context, monkeypatch)
    assert (report.name, report.weights, report.rows) == ("net", "as they start", "all 24 training rows")
    assert (report.loss, report.constant, report.rate) == (context.loss, context.constant, 0.1)
    assert report.layers == context.layer_stats
    assert context.rate_range is not None
    assert report.rates == context.rate_range.rates
    assert report.overfit == context.overfit
    assert report.seconds == 2.5


def test_of_what_is_trained_neither_rates_nor_a_batch_are_shown(monkeypatch: Any) -> None:
    report = report_of(measured(values_of([dense(1)]), trained=True), monkeypatch)
    assert (report.rates, report.overfit) == ((), ())
    report = report_of(values_of([dense(1)], optimizer="lbfgs", training={"batch_size": "full"}), monkeypatch)
    assert (report.rates, report.rate) == ((), None)
    assert report.overfit
    assert report_of(measured(values_of([dense(1)]), rate_range=None), monkeypatch).rates == ()


def test_options_that_do_not_go_with_the_path(tmp_path: Path) -> None:
    config = tmp_path / "net.yaml"
    (tmp_path / "m.safetensors").write_bytes(b"")
    wrong: list[tuple[Path, tuple[str, ...], str | None, str]] = [
        (tmp_path, ("seed=1",), None, "--set changes a config"),
        (tmp_path / "m.safetensors", ("seed=1",), None, "--set changes a config"),
        (config, (), "rows.csv", "brings its own rows"),
        (tmp_path, (), "rows.csv", "brings its own rows"),
    ]
    for path, sets, data, words in wrong:
        with pytest.raises(Failure, match=words) as failure:
            open_context(path, sets, data)
        assert failure.value.exit == Exit.USAGE


def test_more_settings_come_behind_those_that_were_given() -> None:
    context = context_of(sets=["seed=7"])
    assert context.with_settings is not None
    assert context.with_settings(()).experiment.seed == 7
    changed = context.with_settings(("training.epochs=3",))
    assert (changed.experiment.seed, changed.experiment.training.epochs) == (7, 3)
    assert context.with_settings(("seed=9",)).experiment.seed == 9


def test_a_model_alone_needs_rows(tmp_path: Path) -> None:
    run = trained(tmp_path, config(tmp_path))
    alone = tmp_path / "model.safetensors"
    alone.write_bytes((run / "model.safetensors").read_bytes())
    with pytest.raises(Failure) as failure:
        diagnose(alone)
    assert failure.value.exit == Exit.USAGE
    assert "--data FILE" in failure.value.problems[0].help
    rows = "{type: inline, inputs: [[0, 1, 2, 3], [1, 0, 1, 0]], targets: [0, 1]}"
    assert diagnose(alone, data=rows).rows == "all 2 rows of --data"


def test_a_run_takes_no_sets(tmp_path: Path) -> None:
    run = trained(tmp_path, config(tmp_path))
    with pytest.raises(Failure) as failure:
        diagnose(run, ["seed=1"])
    assert failure.value.exit == Exit.USAGE
