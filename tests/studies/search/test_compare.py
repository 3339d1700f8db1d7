"""Which settings are taken; that a comparison is a function of what it is given; and that time only cuts it short."""

from __future__ import annotations

import math
import pickle
import random
from dataclasses import replace
from pathlib import Path

import pytest

from bpcli.records.search import FoldScore, TrialScores, standard_error
from bpcli.records.training import Failure
from bpcli.studies.search import compare as comparing
from bpcli.studies.search.compare import choose, compare
from bpcli.studies.search.trial import FoldCache, Trial, run_fold

CONFIG = """\
name: line
seed: 3
data: {train: {type: csv, path: a.csv, target: y}, validation: 0.2, test: 0.2, scale: standardize}
architecture: [{type: dense, units: 4, activation: tanh}, {type: dense, units: 1}]
loss: mean_squared_error
training: {epochs: 3, batch_size: 8, metrics: [r2], early_stopping: {patience: 2}}
"""
SETTINGS = [(), ("training.epochs=5",), ("optimizer.learning_rate=0.1", "data.scale=minmax"), ("training.epochs=1",)]


def rows(changed: dict[int, str] | None = None) -> str:
    lines = [f"{i * 7 % 30},{i * i % 11},{(i * 7 % 30) ** 2 + i % 11}" for i in range(60)]
    for k, line in (changed or {}).items():
        lines[k] = line
    return "a,b,y\n" + "\n".join(lines) + "\n"


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trial:
    (tmp_path / "a.csv").write_text(rows())
    return Trial(CONFIG, "a.yaml", tmp_path, folds=3)


def scored(*values: float, sets: tuple[str, ...] = ()) -> TrialScores:
    folds = (FoldScore(k, {"loss": v}, 1, 1.0, "" if math.isfinite(v) else "nan") for k, v in enumerate(values, 1))
    return TrialScores(sets, tuple(folds))


FIRST = scored(1.0, 2.0, 3.0)


@pytest.mark.parametrize(
    ("others", "taken"),
    [
        ([], 0),
        ([scored(0.9, 1.9, 2.9)], 1),  # better on every fold by as much, though folds differ by more
        ([scored(1.0, 2.0, 3.0)], 0),  # the same
        ([scored(0.4, 2.2, 3.1)], 0),  # better by .1 +- .25
        ([scored(0.9, 1.9, 2.9), scored(0.85, 1.9, 2.93)], 1),  # the first of those that tie with the best
        ([scored(0.9, 1.9, 2.9), scored(0.5, 1.5, 2.5)], 2),
        # the second ties with the best, as it goes up and down, and with the first: it is no gain
        ([scored(0.2, 2.6, 3.3), scored(0.85, 1.87, 2.9)], 2),
        ([scored(math.nan)], 0),
        ([scored(0.1, math.inf, 0.1), scored(0.9, 1.9, 2.9)], 2),
    ],
)
def test_the_first_within_a_standard_error_of_the_best_is_taken(others: list[TrialScores], taken: int) -> None:
    assert choose([FIRST, *others], "loss") == taken


def test_settings_that_lose_what_is_to_be_kept_are_out() -> None:
    def kept(loss: float, accuracy: float) -> TrialScores:
        folds = (FoldScore(k, {"loss": loss + k, "accuracy": accuracy + k / 10}, 1, 1.0) for k in (1, 2, 3))
        return TrialScores((), tuple(folds))

    tried = [kept(1.0, 0.5), kept(0.2, 0.49), kept(0.6, 0.5), kept(0.4, 0.52)]
    assert choose(tried, "loss") == 1
    assert choose(tried, "loss", "accuracy") == 3
    assert choose(tried[:2], "loss", "accuracy") == 0


@pytest.mark.parametrize("seed", range(30))
def test_what_is_taken_is_never_worse_than_the_first(seed: int) -> None:
    """By chance: what is taken is the first, or better than it by more than a standard error."""
    draw = random.Random(seed)
    folds = [draw.gauss(1, 0.5) for _ in range(5)]
    shifts = [draw.gauss(0, 0.02) for _ in range(9)]
    tried = [scored(*(f + shift + draw.gauss(0, 0.05) for f in folds)) for shift in shifts]
    taken, first = tried[choose(tried, "loss")], tried[0]
    if taken is not first:
        gain = [a - b for a, b in zip(first.values("loss"), taken.values("loss"), strict=True)]
        assert sum(gain) / 5 > standard_error(gain)


def test_where_none_can_be_trained_the_first_is_taken() -> None:
    assert choose([scored(math.nan), scored(math.nan, math.nan)], "loss") == 0
    assert choose([], "loss") == 0
    assert choose([scored(math.nan), FIRST], "loss") == 1
    assert choose([scored(2.0), scored(1.0)], "loss") == 1, "a single fold has no error"


def test_another_figure_decides(trial: Trial) -> None:
    """The first settings have the lower loss, of another scale, and the larger errors."""
    settings = [("training.epochs=1", "loss={type: huber, delta: 0.01}"), ("training.epochs=5",)]
    one = replace(trial, sets=("training.metrics=[mae]",))
    for figure, chosen in (("loss", 0), ("mae", 1)):
        found = compare(one, settings, figure=figure)
        assert (found.figure, found.chosen) == (figure, chosen)


def test_scores_are_a_function_of_the_trial(trial: Trial) -> None:
    """Whatever was tried before it, and by whom; and nothing is written."""
    before = set(trial.root.rglob("*"))
    whole = compare(trial, SETTINGS)
    assert set(trial.root.rglob("*")) == before
    assert [scores.sets for scores in whole.tried] == SETTINGS
    assert not whole.left
    assert len({scores.values("loss") for scores in whole.tried}) == len(SETTINGS)
    for scores in whole.tried:
        one = Trial(trial.text, trial.file, trial.root, scores.sets, trial.folds)
        again = [run_fold(one, number, FoldCache(max_bytes=0)).figures for number in (3, 2, 1)]
        assert again[::-1] == [fold.figures for fold in scores.folds]
        assert all(fold.figures.keys() == {"loss", "r2"} for fold in scores.folds)


def test_a_trial_can_be_sent_to_another_process(trial: Trial) -> None:
    there = pickle.loads(pickle.dumps(trial))
    assert there == trial
    score = run_fold(there, 2, FoldCache())
    back = pickle.loads(pickle.dumps(score))
    assert back == score
    assert back.figures == run_fold(trial, 2, FoldCache()).figures


def test_test_rows_change_nothing(trial: Trial) -> None:
    whole = compare(trial, SETTINGS[:2])
    judged = judging_rows(trial)
    (trial.root / "a.csv").write_text(rows(dict.fromkeys(judged, "1e9,-1e9,1e12")))
    assert losses(compare(trial, SETTINGS[:2])) == losses(whole)
    learned = next(k for k in range(60) if k not in judged)
    (trial.root / "a.csv").write_text(rows({learned: "3,4,5"}))
    assert losses(compare(trial, SETTINGS[:2])) != losses(whole)


def judging_rows(trial: Trial) -> list[int]:
    """The test rows of the experiment itself."""
    from bpcli.studies.run.setup import prepare_data

    found: list[int] = prepare_data(*trial.open(), trial.root).splits["test"].rows.tolist()
    assert len(found) == 12
    return found


def losses(found: comparing.Comparison) -> list[tuple[float, ...]]:
    return [scores.values("loss") for scores in found.tried]


@pytest.mark.parametrize("steps", [0, 1, 40, 150, 250, 10_000])
def test_time_cuts_the_list_and_nothing_else(trial: Trial, monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """A clock that goes on by a second whenever it is looked at, as it is after each step."""
    whole = compare(trial, SETTINGS)
    clock = iter(range(10**6))
    monkeypatch.setattr(comparing.time, "monotonic", lambda: next(clock))
    cut = compare(trial, SETTINGS, seconds=steps)
    count = len(cut.tried)
    assert losses(cut) == losses(whole)[:count]
    assert cut.left == tuple(SETTINGS[count:])
    assert cut.chosen == choose(whole.tried[:count], "loss")
    assert {0: count == 0, 10_000: count == 4}.get(steps, True)


def test_time_ends_a_training_in_the_middle(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(10**6))
    monkeypatch.setattr(comparing.time, "monotonic", lambda: next(clock))
    found = compare(trial, [("training.epochs=100",)], seconds=50)
    assert not found.tried
    assert next(clock) < 100


def test_rows_count_by_their_weight_where_they_judge(trial: Trial) -> None:
    losses = []
    for odd in (1, 9):
        lines = rows().splitlines()
        table = [f"{line},{odd if k % 2 else 1}" for k, line in enumerate(lines[1:])]
        (trial.root / "a.csv").write_text("\n".join([lines[0] + ",w", *table]) + "\n")
        sets = ("data.train.weight=w", "optimizer.learning_rate=1e-30", "data.scale=none")
        one = Trial(trial.text, trial.file, trial.root, sets, trial.folds)
        losses.append(run_fold(one, 1, FoldCache()).figures["loss"])
    assert losses[0] != pytest.approx(losses[1], rel=1e-3)


def test_settings_that_diverge_are_out(trial: Trial) -> None:
    wild = ("optimizer={type: sgd, learning_rate: 1e30}",)
    found = compare(trial, [(), wild, ("training.epochs=4",)])
    assert [scores.diverged for scores in found.tried] == [False, True, False]
    assert "diverged" in found.tried[1].folds[-1].diverged
    assert found.chosen in (0, 2)


def test_what_does_not_fit_is_said(trial: Trial) -> None:
    with pytest.raises(Failure, match="cannot be divided into 100 folds"):
        compare(Trial(trial.text, trial.file, trial.root, folds=100), [()])
