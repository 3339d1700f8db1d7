"""`init` and `examples` as they are typed."""

import json
import os
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cli_lab import Lab, lab

from bpcli.cli.init import _seconds
from bpcli.family import Callback
from bpcli.render.describe import tune as rendering
from bpcli.studies.init import tune
from bpcli.studies.init.tune import Tuning

__all__ = ["lab"]


def trees(lab: Lab) -> None:
    lab.path.joinpath("trees.yaml").unlink()
    rows = "".join(f"{i * 7 % 30 / 10},{i * i % 50},{'oak' if i * 7 % 30 > 14 else 'elm'}\n" for i in range(120))
    lab.write("trees.csv", "width,height,kind\n" + rows)


def test_from_a_file_to_a_judged_network(lab: Lab) -> None:
    trees(lab)
    done = lab.good("init", "trees.csv", "--target", "kind")
    assert done.err == "trees.yaml is written: look at it, it explains itself\nnext:   bpcli check trees.yaml\n"
    assert [line.split()[:2] for line in done.out.splitlines()[4:6]] == [["width", "number"], ["height", "number"]]
    lab.good("check", "trees.yaml")
    lab.good("train", "trees.yaml", "--out", "run")
    assert "accuracy" in lab.good("eval", "run").out
    again = lab.run("init", "trees.csv", "--target", "kind")
    assert again.code == 73
    assert "overwrite it with --force" in again.err
    lab.good("init", "trees.csv", "--target", "kind", "--force")
    assert stat.S_IMODE(Path("trees.yaml").stat().st_mode) & 0o600 == 0o600


def test_tuned_within_a_budget(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    trees(lab)
    monkeypatch.setattr(tune, "FACTORS", tune.FACTORS[:1])
    done = lab.good("init", "trees.csv", "--target", "kind", "--tune", "--budget", "1.5h")
    assert done.err.splitlines() == [
        "1 setting was tried: none is better than the first guess by more than its standard error",
        "trees.yaml is written: look at it, it explains itself",
        "next:   bpcli check trees.yaml",
    ]
    assert "accuracy" in Path("trees.yaml").read_text()
    done = lab.good("init", "trees.csv", "--target", "kind", "--tune", "--budget", "0.001s", "--force")
    assert done.err.splitlines()[0] == "there was no time to compare settings: the first guess is written as it is"
    lab.good("check", "trees.yaml")


@pytest.mark.parametrize(("typed", "seconds"), [("90s", 90), ("2m", 120), ("1.5h", 5400)])
def test_a_budget_is_a_time(typed: str, seconds: float) -> None:
    assert _seconds(typed) == seconds


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_tuning_and_nothing_is_written(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """Within a training, which remembers it until its step is done; and between two, where Python itself raises."""
    trees(lab)
    before, as_found = lab.files(), signal.signal(signal.SIGINT, signal.default_int_handler)

    def callbacks(place: int, fold: int) -> list[Callback]:
        return [Signalling(number)] if fold == 2 else []

    @contextmanager
    def status(seconds: float | None) -> Iterator[Tuning]:
        yield Tuning(callbacks=callbacks)

    monkeypatch.setattr(rendering, "tuning_status", status)
    done = lab.run("init", "trees.csv", "--target", "kind", "--tune")
    signal.signal(signal.SIGINT, as_found)  # ignored where the tests run in the background
    assert done.code == 128 + number
    assert done.err.splitlines()[0] == f"stopped by {number.name}: nothing is written"
    assert "--budget 60s takes what is found by then" in done.err
    assert lab.files() == before
    if number == signal.SIGINT:
        monkeypatch.setattr(tune, "compare", interrupted)
        done = lab.run("init", "trees.csv", "--target", "kind", "--tune")
        assert (done.code, done.err.splitlines()[0]) == (130, "stopped by SIGINT: nothing is written")
        assert lab.files() == before


class Signalling(Callback):
    def __init__(self, number: signal.Signals) -> None:
        self.number = number

    def on_epoch_end(self, state: Any, row: Any) -> None:
        os.kill(os.getpid(), self.number)


def interrupted(*arguments: Any) -> None:
    raise KeyboardInterrupt


def test_on_stdout(lab: Lab) -> None:
    trees(lab)
    out = lab.good("init", "trees.csv", "--target", "kind", "--out", "-").out
    assert out.startswith("# yaml-language-server")
    assert "# Made by `bpcli init trees.csv --target kind`" in out
    assert not Path("trees.yaml").exists()


def test_examples(lab: Lab) -> None:
    for task in ("classify", "regress", "images"):
        lab.good("init", "--task", task)
        lab.good("check", f"{task}.yaml")
    assert Path("datasets/digits/README.md").exists()
    lab.good("init", "--task", "regress", "--out", "other.yaml")
    assert "name: other" in Path("other.yaml").read_text()


def test_words_that_do_not_go_together(lab: Lab) -> None:
    for words, text in (
        ((), "name a data file, or say what to do"),
        (("--task", "classify", "--target", "y"), "there is no file to look for it in"),
        (("pets", "--task", "images"), "a folder of images says so itself"),
        (("--task", "sing"), "is not one of"),
        (("--task", "classify", "--tune"), "there is no file to learn from"),
        (("--task", "classify", "--seed", "3"), "there is no file to divide"),
        (("trees.csv", "--budget", "60s"), "give --tune too"),
        (("trees.csv", "--tune", "--budget", "60"), "`60` is no time: write 60s, 2m or 1h"),
        (("trees.csv", "--tune", "--budget", "0s"), "`0s` is no time"),
        (("trees.csv", "--tune", "--budget", "-5m"), "`-5m` is no time"),
        (("trees.csv", "--tune", "--budget", "1 day"), "`1 day` is no time"),
        (("trees.csv", "--tune", "--seed", "-1"), "greater than or equal to 0"),
    ):
        done = lab.run("init", *words)
        assert done.code == 2
        assert text in done.err
    assert lab.run("init", "trees.csv", "--out", "new.yaml").code == 65
    assert lab.run("init", "gone.csv", "--target", "y").code == 66


def test_the_list_and_a_copy(lab: Lab) -> None:
    out = lab.good("examples").out
    assert "classics/xor" in out
    assert "Exclusive or: no single layer can learn it" in out
    names = [e["name"] for e in json.loads(lab.good("examples", "--json").out)]
    assert "iris" in names
    done = lab.good("examples", "iris", "gradients/vanishing", "--to", "mine")
    assert done.err.endswith("next:   bpcli train mine/configs/iris.yaml\n")
    lab.good("check", "mine/configs/gradients/vanishing.yaml")
    assert lab.run("examples", "irsi").code == 65
    assert lab.run("examples", "--to", "x").code == 2
    files = json.loads(lab.good("examples", "wine", "--json").out)
    assert files[0] == "configs/wine.yaml"
    lab.good("examples", "--all", "--to", "everything")
    assert len(list(Path("everything/configs").rglob("*.yaml"))) > 20
