"""configs/gradients/: each file shows a problem and its remedies, and the figures in its comment are so.

Here with seed 0; the medians over five seeds, and the table of them all, by
`pytest tests/configs/test_gradients.py -m slow -s`.
"""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from gradient_headers import (
    AS_IT_STANDS,
    FOLDER,
    LOGARITHMIC,
    NAMES,
    RANGED,
    Figure,
    measured,
    over_seeds,
    sets,
    split,
    table,
    trained,
    written,
)

from bpcli.config.yamlfile import read
from bpcli.studies.run import modelfile
from bpcli.studies.run.setup import set_up

ROWS = [(name, setting) for name in NAMES for setting in table(name)]
RELATIVE = {"first/last": 3, "first": 3, "train loss": 6, "update": 3, "steps": 1.25}  # another seed, another processor
APART = {"accuracy": 0.03, "R2": 0.05, "validation loss": 0.05, "dead": 0.15, "satur.": 0.1}


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


def near(found: float, shown: Figure, column: str) -> bool:
    """Whether a figure of one seed is where the comment says that such figures are, or not far from there."""
    if math.isnan(shown.middle) or shown.middle == 0:
        return math.isnan(found) if shown.middle else found == 0
    if math.isnan(shown.least):  # some seeds diverge
        return math.isnan(found) or found <= shown.most + APART[column]
    if column in LOGARITHMIC:
        return shown.least / RELATIVE[column] <= found <= shown.most * RELATIVE[column]
    off = APART[column] + (shown.most - shown.least) / 2
    return shown.least - off <= found <= shown.most + off


@pytest.mark.parametrize("name", [*NAMES, "exploding"])
def test_it_fits_its_data(name: str) -> None:
    setup = set_up(FOLDER / f"{name}.yaml")
    assert setup.experiment.name == name
    assert setup.warnings == ()
    first, second, *rest = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    assert first == "# yaml-language-server: $schema=../bpcli.schema.json"
    assert second.startswith("# ")
    assert max(map(len, rest)) <= 120


def test_every_file_is_tested() -> None:
    assert {f.stem for f in FOLDER.glob("*.yaml")} == {*NAMES, "exploding"}


@pytest.mark.parametrize(("name", "setting"), ROWS)
def test_the_figures_of_a_setting(name: str, setting: str, out: Path) -> None:
    """With seed 0; where another processor's last bits lead that one elsewhere, the middle of five seeds counts."""
    for column, shown in table(name)[setting].items():
        found = measured(name, setting, column, 0, out)
        if not near(found, shown, column):
            found = float(np.median([measured(name, setting, column, seed, out) for seed in range(5)]))
        assert near(found, shown, column), f"{column}: {found:.4g}, shown {shown}"


@pytest.mark.parametrize(
    ("name", "column", "without", "remedied"),
    [
        ("vanishing", "first/last", AS_IT_STANDS, "--set=architecture.{0..8}.activation=tanh"),
        ("vanishing", "accuracy", AS_IT_STANDS, "--set=architecture.{0..8}.activation=relu"),
        ("normalization", "first/last", "--set=architecture.{1..17..2}=identity", AS_IT_STANDS),
        ("normalization", "accuracy", "--set=architecture.{1..17..2}=identity", AS_IT_STANDS),
        ("residual", "first/last", "--set=architecture.{1..18}='{type: dense, units: 32, activation: sigmoid}'",
         AS_IT_STANDS),
        ("residual", "accuracy", "--set=architecture.{1..18}='{type: dense, units: 32, activation: sigmoid}'",
         AS_IT_STANDS),
        ("initialization", "first", "--set=architecture.{0..8}.init='{type: normal, std: 0.01}'", AS_IT_STANDS),
        ("initialization", "accuracy", "--set=architecture.{0..8}.init='{type: normal, std: 1}'", AS_IT_STANDS),
        ("learning_rate", "accuracy", "--set optimizer.learning_rate=1e-4", AS_IT_STANDS),
        ("learning_rate", "accuracy", "--set optimizer.learning_rate=2", AS_IT_STANDS),
        ("dropout", "R2", "--set=architecture.{1,3}.rate=0", AS_IT_STANDS),
    ],
)  # fmt: skip
def test_the_remedy_is_one(name: str, column: str, without: str, remedied: str) -> None:
    """By the figures of the comment, which the other tests hold to the truth."""
    before, after = table(name)[without][column], table(name)[remedied][column]
    if column in LOGARITHMIC:
        assert after.least > 500 * before.most
    else:
        assert after.least > before.most + 0.15


@pytest.mark.parametrize("name", ["clipping_value", "clipping_norm"])
def test_without_clipping_it_diverges_at_once(name: str, out: Path) -> None:
    for seed in range(5):
        report = trained(name, "--set clipping=null", (), seed, out)
        assert report.stopped == "diverged"
        assert not report.epochs
    share = trained(name, AS_IT_STANDS, (), 0, out).epochs[0].clipped
    assert share > 0.5


def test_every_better_optimizer_is_better() -> None:
    """And none needs more than a sixth of the steps of plain descent."""
    found = {sets(setting)[0] if sets(setting) else "": row["steps"] for setting, row in table("optimizers").items()}
    plain = next(f for s, f in found.items() if "sgd, learning_rate: 0.0022" in s)
    assert len(found) == 7
    assert all(f.most < plain.least / 4 for f in found.values() if f is not plain)


def test_the_valley_is_as_steep_as_the_comment_says() -> None:
    rows = np.array(read(FOLDER / "optimizers.yaml").data["data"]["train"]["inputs"], float)
    x = np.c_[rows, np.ones(len(rows))]
    bends = np.linalg.eigvalsh(x.T @ x)
    assert round(bends[-1] / bends[0]) == 1196
    assert "1,196 times" in (FOLDER / "optimizers.yaml").read_text(encoding="utf-8")


def test_other_figures_of_the_comments() -> None:
    assert len(set_up(FOLDER / "dropout.yaml").prepared.splits["train"].x) == 265
    assert pytest.approx(1.6) == 0.4 / math.sqrt(2 / 32)  # he_normal's deviation behind 32 relu units
    file = FOLDER.parents[1] / "datasets" / "diabetes" / "diabetes.csv"
    targets = [float(line.rpartition(",")[2]) for line in file.read_text(encoding="utf-8").splitlines()[1:]]
    assert (min(targets), max(targets)) == (25, 346)


def test_without_normalization_it_is_the_net_that_vanishes(out: Path) -> None:
    plain = trained("vanishing", AS_IT_STANDS, (), 0, out)
    bare = trained("normalization", "--set=architecture.{1..17..2}=identity", (), 0, out)
    ours, theirs = (modelfile.read(Path(r.model))[0] for r in (plain, bare))
    assert {n: a.tobytes() for n, a in ours.items()} == {n: a.tobytes() for n, a in theirs.items()}


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize("setting", sorted({s for _, s in ROWS if s != AS_IT_STANDS}))
def test_settings_mean_what_a_shell_makes_of_them(setting: str) -> None:
    words = subprocess.run(
        ["bash", "-c", f"printf '%s\\n' {setting}"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    found = []
    while words:
        word = words.pop(0)
        found.append(words.pop(0) if word == "--set" else word.removeprefix("--set="))
    assert sets(setting) == found
    assert split(setting)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_five_seeds(name: str, out: Path) -> None:
    """The figures of the comment. A processor that adds in another order may shift them a little."""
    sys.stdout.write(f"\n{name}\n")
    for setting, row in table(name).items():
        for column, shown in row.items():
            found = over_seeds(name, setting, column, out)
            sys.stdout.write(f"  {setting}: {column} {found}\n")
            assert near(found.middle, Figure(shown.middle, shown.middle, shown.middle), column), (setting, column)
            if column in RANGED:
                assert near(found.least, shown, column), (setting, column)
                assert near(found.most, shown, column), (setting, column)


@pytest.mark.slow
def test_a_sigmoid_net_of_depth_10_before_and_after_each_remedy(out: Path) -> None:
    """Medians of five seeds: the gradient of the first and of the last layer before the first step, on all training
    rows; loss and accuracy at the end; seconds of the training. What helps is what the comments say."""
    rows = [("vanishing", setting) for setting in table("vanishing")]
    rows += [("normalization", setting) for setting in table("normalization") if "identity" not in setting]
    columns = ("first", "last", "first/last", "train loss", "accuracy", "seconds")
    lines = [f"| {' | '.join(('file', 'setting', *columns))} |", "|---" * (len(columns) + 2) + "|"]
    remedied = set()
    for name, setting in rows:
        found = [over_seeds(name, setting, column, out).middle for column in columns]
        lines.append(f"| {name} | `{setting}` | {' | '.join(map(written, found))} |")
        if found[4] > 0.9:
            remedied.add((name, setting))
    sys.stdout.write("\n" + "\n".join(lines) + "\n")
    better = [s for _, s in remedied if not s.startswith("--set=architecture.{0..8}.init")]
    assert len(remedied) == 7
    assert sorted(better) == [
        "--set=architecture.{0..8}.activation=relu",
        "--set=architecture.{0..8}.activation=tanh",
        "--set=architecture.{1..17..2}=layer_norm",
        "--set=architecture.{1..8}='{type: residual, layers: [{type: dense, units: 32, activation: sigmoid}]}'",
        AS_IT_STANDS,
    ]
    assert ("normalization", AS_IT_STANDS) in remedied
