"""Cross-validation: parts of rows, runs of folds, mean and spread, going on."""

import json
import os
import signal
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_cases import csv, problem_of, ready
from hypothesis import given
from hypothesis import strategies as st

from bpcli.family import Callback, CodedText
from bpcli.records.training import EpochRow, Failure
from bpcli.studies.dataset.split import group_k_fold, k_fold
from bpcli.studies.evaluation import cross_validate as folds
from bpcli.studies.evaluation.evaluate import evaluate
from bpcli.studies.run.state import TrainingState


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def quiet(number: int, of: int) -> list[Callback]:
    return []


@given(st.lists(st.integers(0, 4), min_size=4, max_size=60), st.integers(2, 4), st.integers(0, 9))
def test_each_row_is_test_once(codes: list[int], of: int, seed: int) -> None:
    counts = np.bincount(codes, minlength=5)
    lone = {k for k in range(5) if counts[k] == 1} if (counts > 0).sum() > 1 else set()
    wanted = [i for i, code in enumerate(codes) if code not in lone]
    if len(wanted) < of:
        with pytest.raises(Failure, match="cannot be divided into"):
            k_fold(np.array(codes), of, 1, seed)
        return
    parts = [k_fold(np.array(codes), of, k, seed) for k in range(1, of + 1)]
    inside = np.concatenate([part for _, part in parts])
    assert sorted(inside.tolist()) == wanted
    for rest, part in parts:
        assert sorted([*rest, *part]) == list(range(len(codes)))
        assert {codes[i] for i in rest} == set(codes)
    for k in range(5):
        shares = [sum(codes[i] == k for i in part) for _, part in parts]
        assert max(shares) - min(shares) <= 1
    sizes = [len(part) for _, part in parts]
    assert max(sizes) - min(sizes) <= 1


def test_the_seed_decides_the_parts() -> None:
    codes = np.zeros(100, np.int64)
    first, again, other = (k_fold(codes, 5, 2, seed)[1].tolist() for seed in (1, 1, 2))
    assert first == again != other
    assert first != list(range(first[0], first[0] + 20))


def test_groups_stay_together() -> None:
    values = CodedText.of(f"g{i % 7}" for i in range(50))
    found = [group_k_fold(values, 3, k, 0) for k in (1, 2, 3)]
    assert sorted(np.concatenate([part for _, part in found]).tolist()) == list(range(50))
    for rest, part in found:
        assert not {values[i] for i in rest} & {values[i] for i in part}
        assert 7 <= len(part) <= 23
    with pytest.raises(Failure, match="7 groups cannot be divided into 8 folds"):
        group_k_fold(values, 8, 1, 0)


ROWS = "".join(f"{i},{i * i % 7},{'ab'[i % 2]},g{i // 4 % 6}\n" for i in range(40))


def source(**settings: Any) -> dict[str, Any]:
    return csv("p,q,y,who\n" + ROWS, drop=["who"], **settings)


def test_a_fold_of_an_experiment() -> None:
    seen: list[int] = []
    for number in range(1, 6):
        found = ready(source(), fold={"of": 5, "number": number}, validation=0.25)
        assert {n: len(s.x) for n, s in found.splits.items()} == {"train": 24, "validation": 8, "test": 8}
        assert np.bincount(found.splits["test"].t).tolist() == [4, 4]
        assert np.bincount(found.splits["validation"].t).tolist() == [4, 4]
        together = np.concatenate([s.rows for s in found.splits.values()])
        assert sorted(together.tolist()) == list(range(40))
        seen += found.splits["test"].rows.tolist()
    assert sorted(seen) == list(range(40))


def test_a_fold_of_groups() -> None:
    known = [f"g{i // 4 % 6}" for i in range(40)]
    train = csv("p,q,y,who\n" + ROWS)
    for number in (1, 2, 3):
        found = ready(train, fold={"of": 3, "number": number}, split={"group": "who"}, validation=0.3)
        groups = [{known[i] for i in s.rows} for s in found.splits.values()]
        assert not groups[0] & groups[1]
        assert not groups[0] & groups[2]
        assert not groups[1] & groups[2]


@pytest.mark.parametrize("targets", ["classes", "values"])
def test_nothing_of_the_test_rows_is_learned(targets: Any) -> None:
    """Rules are those of the training rows alone."""
    for number in (1, 2):
        train = csv("p,q,y\n" + "".join(f"{i * 1000 if i % 3 else i},{i},{i % 2}\n" for i in range(30)))
        found = ready(train, targets, fold={"of": 2, "number": number}, scale="standardize")
        x = np.array([i * 1000 if i % 3 else i for i in range(30)], float)
        rows = found.splits["train"].rows
        assert found.preprocessor.tensors()["data.inputs.shift"][0] == pytest.approx(x[rows].mean())


def test_what_does_not_go_together() -> None:
    with pytest.raises(ValueError, match="of 3 folds number 4 is none"):
        ready(source(), fold={"of": 3, "number": 4})
    with pytest.raises(ValueError, match="`fold` says which rows are test"):
        ready(source(), fold={"of": 3, "number": 1}, test=0.2)
    with pytest.raises(ValueError, match="split goes by time"):
        ready(source(), fold={"of": 3, "number": 1}, split={"time": "p"}, validation=0.2)
    assert problem_of(source(), fold={"of": 50, "number": 1}).text == "40 rows cannot be divided into 50 folds"


CONFIG = """\
name: letters
data:
  train: {type: csv, path: a.csv, target: y, drop: [who]}
  validation: 0.2
architecture: [{type: dense, units: 4, activation: tanh}, {type: dense, units: 2}]
loss: softmax_cross_entropy
training: {epochs: 3, batch_size: 8}
"""


def begun(text: str = CONFIG, *sets: str, count: int = 4) -> folds.CrossValidation:
    source()
    Path("sub").mkdir(exist_ok=True)
    Path("a.yaml").write_text(text)
    return folds.start(Path("a.yaml"), sets, count, Path("f"))


def test_figures_of_the_folds_and_their_spread() -> None:
    problem_of: list[int] = []
    report = begun().run(quiet, lambda row: problem_of.append(row.number))
    assert problem_of == [1, 2, 3, 4]
    assert (report.name, report.count, len(report.folds), report.stopped) == ("letters", 4, 4, "")
    for row in report.folds:
        known = evaluate(Path(row.run), "test")
        assert row.metrics == {"loss": known.loss, **known.metrics}
        assert row.rows == {"train": 24, "validation": 6, "test": 10}
    values = [row.metrics["accuracy"] for row in report.folds]
    figure = report.metrics["accuracy"]
    assert figure.mean == pytest.approx(statistics.fmean(values))
    assert figure.std == pytest.approx(statistics.stdev(values))
    assert (figure.low, figure.high) == (min(values), max(values))
    record = json.loads(Path("f/folds.json").read_text())
    assert record["status"] == "finished"
    assert record["metrics"]["accuracy"]["mean"] == figure.mean
    assert [r["run"] for r in record["results"]] == [f"f/fold-{k}" for k in (1, 2, 3, 4)]


def test_it_goes_on_where_it_was_stopped() -> None:
    whole = begun().run(quiet).metrics
    for name in ("fold-3", "fold-4"):
        for file in sorted(Path("f", name).rglob("*"), reverse=True):
            file.rmdir() if file.is_dir() else file.unlink()
        Path("f", name).rmdir()
    kept = Path("f/fold-1/run.json").stat().st_mtime_ns
    assert folds.resume(Path("f")).run(quiet).metrics == whole
    assert Path("f/fold-1/run.json").stat().st_mtime_ns == kept


class Stop(Callback):
    """Asks a fold to stop after two epochs, as `kill` does: a shell may have made Ctrl-C mean nothing here."""

    def on_epoch_end(self, state: TrainingState, row: EpochRow) -> None:
        if row.epoch == 2:
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_signal_ends_it_and_it_goes_on() -> None:
    whole = begun().run(quiet).metrics
    again = folds.start(Path("a.yaml"), (), 4, Path("g"))
    report = again.run(lambda number, of: [Stop()] if number == 2 else [])
    assert (report.signal, len(report.folds)) == (signal.SIGTERM, 1)
    assert report.stopped.startswith("fold 2: stopped by")
    assert json.loads(Path("g/folds.json").read_text())["status"] == "signal"
    found = folds.resume(Path("g")).run(quiet)
    assert (found.signal, found.metrics) == (0, whole)


def test_a_fold_that_diverges_ends_it() -> None:
    rate = "optimizer={type: sgd, learning_rate: 1e30}"
    report = begun(CONFIG.replace("tanh", "relu"), rate).run(quiet)
    assert report.problem is not None
    assert report.folds == ()
    assert "fold 1: training diverged" in report.stopped


def test_a_test_split_gives_way_and_a_name_stays() -> None:
    text = CONFIG.replace("validation: 0.2", "test: 0.2").replace("name: letters\n", "")
    study = begun(text)
    assert study.remark == "each fold is test in its turn: data.test is left out"
    report = study.run(quiet)
    assert report.name == "a"
    assert report.folds[0].rows == {"train": 30, "test": 10}


def test_what_is_refused() -> None:
    with pytest.raises(Failure, match=r"data\.fold asks for one fold"):
        begun(CONFIG, "data.fold={of: 3, number: 1}")
    with pytest.raises(Failure, match="40 rows cannot be divided into 41 folds"):
        begun(count=41)
    assert not Path("f").exists()
    begun()
    with pytest.raises(Failure, match="never overwrites"):
        begun()
    Path("f/config.yaml").write_text(CONFIG + "\n")
    with pytest.raises(Failure, match=r"config\.yaml has changed since the folds began"):
        folds.resume(Path("f"))
    Path("f/folds.json").write_text("{}")
    with pytest.raises(Failure, match=r"folds\.json is damaged"):
        folds.resume(Path("f"))


@pytest.mark.peers
def test_as_even_as_scikit_learn_divides() -> None:
    from sklearn.model_selection import StratifiedKFold

    codes = np.repeat([0, 1, 2], [50, 33, 12])
    theirs = [np.bincount(codes[test]) for _, test in StratifiedKFold(5).split(codes, codes)]
    ours = [np.bincount(codes[k_fold(codes, 5, k, 0)[1]]) for k in range(1, 6)]
    assert np.sort(ours, axis=0).tolist() == np.sort(theirs, axis=0).tolist()
