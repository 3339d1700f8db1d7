"""Callbacks in a file that `--with` loads: they follow every training, and what is wrong with one is named."""

from __future__ import annotations

import json
import re

import pytest
from cli_lab import Lab
from cli_lab import lab as lab
from own_parts import own as own

pytestmark = pytest.mark.usefixtures("own")
LOG = '''\
from bpcli.custom import Callback, EpochRow, TrainReport


class _Lines(Callback):
    """What both do; not made by itself."""

    def on_train_begin(self, state):
        self.write(state, f"{state.progress.step}")

    def write(self, state, text):
        with (state.folder.path / "lines.txt").open("a") as file:
            file.write(f"{type(self).__name__} {text}\\n")


class EpochLog(_Lines):
    def on_epoch_end(self, state, row: EpochRow):
        self.write(state, f"{row.epoch} {len(state.history)} {'train.loss' in row.metrics}")


class EndLog(_Lines):
    def on_train_end(self, state, report: TrainReport | None):
        self.write(state, "nothing" if report is None else report.stopped)
'''
TRAIN = ("train", "trees.yaml", "--with", "log.py", "--set", "training.epochs=2", "--out", "run", "-q")


def test_all_of_a_file_follow_a_training_and_one_that_goes_on(lab: Lab) -> None:
    lab.write("log.py", LOG)
    lab.good(*TRAIN)
    begun = ["EpochLog 0", "EndLog 0", "EpochLog 1 1 True", "EpochLog 2 2 True", "EndLog epochs"]
    lines = lab.path / "run/lines.txt"
    assert lines.read_text().splitlines() == begun
    (entry,) = json.loads((lab.path / "run/run.json").read_text())["with"]
    assert (entry["file"], entry["callbacks"]) == (str(lab.path / "log.py"), ["EpochLog", "EndLog"])
    assert lab.good("train", "--resume", "run", "--set", "training.epochs=3", "--with", "log.py", "-q").err == ""
    assert re.findall("EpochLog .*", lines.read_text())[-1] == "EpochLog 3 3 True"
    assert lab.good("eval", "run").err == "", "a callback is no part of the model"


def test_each_fold_is_followed(lab: Lab) -> None:
    lab.write("log.py", LOG)
    lab.good("train", "trees.yaml", "--with", "log.py", "--folds", "2", "--out", "folds", "-q")
    for fold in (1, 2):
        assert "EndLog epochs\n" in (lab.path / f"folds/fold-{fold}/lines.txt").read_text()


def test_a_run_that_goes_on_without_them_says_so(lab: Lab) -> None:
    lab.write("log.py", LOG)
    lab.good(*TRAIN)
    before = (lab.path / "run/lines.txt").read_text()
    found = lab.apart("train", "--resume", "run", "--set", "training.epochs=3", "-q")
    assert found.code == 0
    assert "EpochLog, EndLog of " in found.err
    assert "help: add --with log.py" in found.err
    assert (lab.path / "run/lines.txt").read_text() == before


def test_numbers_are_as_without(lab: Lab) -> None:
    lab.good("train", "trees.yaml", "--set", "training.epochs=2", "--out", "plain", "-q")
    lab.write("log.py", LOG)
    lab.good(*TRAIN)
    lines = [(lab.path / run / "metrics.jsonl").read_text() for run in ("plain", "run")]
    without = [re.sub(r'"seconds": [^,}]*', "", text) for text in lines]
    assert without[0] == without[1]


def test_one_that_raises_is_named_with_its_hook_and_the_weights_are_kept(lab: Lab) -> None:
    lab.write(
        "log.py",
        LOG.replace('self.write(state, f"{row.epoch}', '1 / (2 - row.epoch)\n        self.write(state, f"{row.epoch}'),
    )
    found = lab.run(*TRAIN)
    assert found.code == 65
    words = " ".join(found.err.split())
    assert "error: EpochLog.on_epoch_end raises ZeroDivisionError: division by zero [raises] --> log.py:17:9" in words
    assert "what was trained until then is kept: mend it and type bpcli train --resume run --with log.py" in words
    assert "EndLog nothing" in (lab.path / "run/lines.txt").read_text()
    assert len(list((lab.path / "run").glob("**/step-*"))) == 2, "that of the first step, and the last"
    lab.write("log.py", LOG)
    lab.good("train", "--resume", "run", "--with", "log.py", "-q")
    assert "EndLog epochs" in (lab.path / "run/lines.txt").read_text()
    assert len((lab.path / "run/metrics.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("on_epoch_end(self, state, row: EpochRow)", "on_epoch(self, state, row)", "EpochLog.on_epoch is no hook"),
        ("state, row: EpochRow)", "row)", "EpochLog.on_epoch_end cannot be called as the trainer calls it"),
        (
            "class EndLog(_Lines):\n",
            "class EndLog(_Lines):\n    def __init__(self, file):\n        self.file = file\n\n",
            "EndLog cannot be made without arguments",
        ),
    ],
)
def test_one_that_is_declared_wrongly(lab: Lab, old: str, new: str, text: str) -> None:
    lab.write("log.py", LOG.replace(old, new))
    found = lab.run(*TRAIN)
    assert (found.code, found.out) == (65, "")
    assert text in " ".join(found.err.split())
    assert "log.py:" in found.err
    assert not (lab.path / "run").exists()
