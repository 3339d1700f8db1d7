"""`init --tune`: what is tried, what is written, and that the same is written again."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from bpcli.config.overrides import apply_sets
from bpcli.config.yamlfile import parse
from bpcli.records.search import Comparison, FoldScore, TrialScores
from bpcli.records.training import Failure
from bpcli.studies.init import config_text as config_texts
from bpcli.studies.init import tune as tuning
from bpcli.studies.init.config_text import config_text
from bpcli.studies.init.init import FirstConfig, write_config
from bpcli.studies.init.inspect import inspect_data
from bpcli.studies.init.tune import FACTORS, Factors, Tuning, settings_to_try, tuning_remarks, words
from bpcli.studies.run.setup import set_up
from bpcli.studies.search.compare import OutOfTimeError

FEW = (Factors(), Factors(epochs=1 / 3), Factors(epochs=1 / 10, strength=0.1, units=0.5, patience=2))


@pytest.fixture(autouse=True)
def _few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of a curve, and few settings that take little time."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tuning, "FACTORS", FEW)
    monkeypatch.setattr(config_texts, "SIZES", ((500, (8,), 16, 10), (1 << 62, (64, 32), 32, 60)))
    Path("a.csv").write_text(rows(80))


def rows(count: int) -> str:
    return "x,kind,y\n" + "".join(f"{i * 37 % 80 / 9},k{i % 3},{(i * 37 % 80) ** 2 + 40 * (i % 3)}\n"
                                  for i in range(count))  # fmt: skip


def written(seconds: float | None = None, **more: Any) -> FirstConfig:
    return write_config("a.csv", ("y",), None, None, force=True, tuning=Tuning(seconds), **more)


def without_seconds(text: str) -> str:
    """The text without what differs from one time to another."""
    return re.sub(r" +\d+\.\d(?=  (as|epochs))", "", text)


def test_the_winner_is_written_with_the_figures_of_all() -> None:
    found = written(seed=4)
    assert found.comparison is not None
    taken = found.comparison.tried[found.comparison.chosen].sets
    plain = write_config("a.csv", ("y",), None, None, force=True, seed=4)
    assert parse(found.text, "").data == apply_sets(parse(plain.text, ""), taken).data
    lines = [line[2:] for line in found.text.splitlines() if re.match(r"#  +-?\d", line)]
    assert len(lines) == len(FEW)
    assert "as first guessed" in lines[0]
    assert [k for k, line in enumerate(lines) if "<- taken" in line] == [found.comparison.chosen]
    for scores, line in zip(found.comparison.tried, lines, strict=True):
        values = [scores.mean("capped_loss"), scores.error("capped_loss"), scores.mean("r2"), scores.error("r2")]
        assert [float(v) for v in line.split()[:4]] == pytest.approx(values, abs=6e-4)
    assert "seed: 4" in found.text
    assert "`bpcli init a.csv --target y --tune --seed 4`" in found.text
    assert without_seconds(written(seed=4).text) == without_seconds(found.text)
    assert without_seconds(written(seed=5).text) != without_seconds(found.text)
    set_up(Path("a.yaml"))


def test_a_short_budget_tries_the_first_and_says_what_was_not_tried() -> None:
    found = written(0.0, budget="1s")
    assert found.comparison is not None
    assert not found.comparison.tried
    assert "there was no time to finish one" in found.text
    assert "--tune --budget 1s`" in found.text
    clock = {"trials": 0}

    def ended(place: int, scores: TrialScores) -> None:
        clock["trials"] = place

    def callbacks(place: int, fold: int) -> list[Any]:
        if place == 3:
            raise OutOfTimeError
        return []

    cut = write_config("a.csv", ("y",), None, None, force=True,
                       tuning=Tuning(9.0, callbacks=callbacks, on_trial_end=ended))  # fmt: skip
    assert clock["trials"] == 2
    assert "# There was no time for:\n#   epochs 1, strength 0.005, units 4\n" in cut.text


def test_test_rows_do_not_reach_the_choice() -> None:
    found = written()
    judged = set_up(Path("a.yaml")).prepared.splits["test"].rows.tolist()
    lines = rows(80).splitlines()
    for row in judged:
        lines[1 + row] = "4.5,k0,1e9"
    Path("a.csv").write_text("\n".join(lines) + "\n")
    again = written()
    assert found.comparison is not None
    assert again.comparison is not None
    assert [s.values("loss") for s in again.comparison.tried] == [s.values("loss") for s in found.comparison.tried]


def test_what_decides_is_no_single_row() -> None:
    """The capped loss decides, also where the config does not ask for it; the file that is written does not either."""
    found = written()
    assert found.comparison is not None
    assert found.comparison.figure == "capped_loss"
    assert "capped_loss  " in found.text
    assert parse(found.text, "").data["training"]["metrics"] == ["r2", "mae"]
    assert found.comparison.tried[0].folds[0].figures.keys() == {"loss", "r2", "mae", "capped_loss"}


def test_classes_are_told_apart_by_their_loss_and_keep_their_accuracy() -> None:
    """No row is above its share in the capped loss, but a few sure mistakes are what a loss of classes is made of."""
    for loss, figures in (
        ("softmax_cross_entropy", ("loss", "accuracy")),
        ("{type: softmax_cross_entropy, class_weights: balanced}", ("loss", "accuracy")),
        ("binary_cross_entropy", ("loss", "accuracy")),
        ("mean_squared_error", ("capped_loss", "")),
    ):
        text = f"loss: {loss}\ntraining: {{metrics: [accuracy, f1]}}\n"
        assert tuning.deciding_figures(parse(text, "")) == figures
    found = write_config("a.csv", ("kind",), None, None, force=True, tuning=Tuning())
    assert "# None with a lower accuracy than its is taken.\n" in found.text


def test_what_is_tried() -> None:
    Path("b.csv").write_text(rows(600))
    document = parse(config_text(inspect_data("b.csv", ["y"], None, Path(), Path()), "b", "init"), "b.yaml")
    tried = [words(sets) for sets in (tuning._settings(document, factors) for factors in FACTORS)]
    assert tried[:4] == [
        "as first guessed", "epochs 180, patience 45, strength 0.009", "strength 0.09",
        "epochs 180, patience 45, strength 0.003",
    ]  # fmt: skip
    assert len(set(tried)) == len(FACTORS)
    assert tried[-1] == "patience 60"
    small = parse(config_text(inspect_data("a.csv", ["y"], None, Path(), Path()), "a", "init"), "a.yaml")
    assert not any("patience" in one for sets in settings_to_try(small) for one in sets)
    images = "architecture: [{type: conv2d, units: 3}, flatten, {type: dense, units: 2}]\ntraining: {epochs: 3}\n"
    assert settings_to_try(parse(images, "c.yaml")) == [(), ("training.epochs=1",)]


def test_rows_that_cannot_be_folded() -> None:
    Path("a.csv").write_text("x,y\n" + "".join(f"{i / 3},{i * i / 7}\n" for i in range(4)))
    with pytest.raises(Failure) as caught:
        written()
    (problem,) = caught.value.problems
    assert problem.text == "settings cannot be compared by 5 folds: 4 rows cannot be divided into 5 folds"
    assert problem.help == "leave --tune out: the first guess is written as it is"
    assert not Path("a.yaml").exists()


def test_no_place_to_write_is_said_before_anything_is_tried() -> None:
    with pytest.raises(Failure, match="the folder gone does not exist"):
        write_config("a.csv", ("y",), None, Path("gone/a.yaml"),
                     tuning=Tuning(on_start=lambda settings, folds, figure: pytest.fail("began")))  # fmt: skip


def test_the_table_of_figures() -> None:
    def scores(sets: tuple[str, ...], *losses: float) -> TrialScores:
        folds = (FoldScore(k, {"loss": v, "r2": 1 - v / 1000}, 3, 1.0) for k, v in enumerate(losses, 1))
        return TrialScores(sets, tuple(folds))

    diverged = TrialScores(("a.units=3", "b.units=4"), (FoldScore(1, {}, 0, 2.25, "it diverged"),))
    tried = (scores((), 12.0, 14.0), diverged, scores(("c.strength=0.5",), 1.5, 2.5))
    lines = tuning_remarks(Comparison("loss", tried, 2, (("c.epochs=9",),), 2), "r2")[5:]
    assert lines == [
        "      loss    +-      r2      +-  seconds  settings",
        "     13.00  1.00  0.9870  0.0010      2.0  as first guessed",
        "  diverged                            2.2  units 3, 4",
        "      2.00  0.50  0.9980  0.0005      2.0  strength 0.5   <- taken",
        "",
        "There was no time for:",
        "  epochs 9",
    ]
