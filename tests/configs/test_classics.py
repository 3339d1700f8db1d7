"""configs/classics/: each experiment learns, and what its comment says of it is so.

The figures over twenty seeds are printed: `pytest tests/configs/test_classics.py -m slow -s`.
"""

from __future__ import annotations

import math
import statistics
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from paths import CONFIGS

from bpcli.config.yamlfile import read
from bpcli.family.plan import Array
from bpcli.records.training import TrainReport
from bpcli.studies.run import modelfile
from bpcli.studies.run.resume import start
from bpcli.studies.run.setup import set_up

FOLDER = CONFIGS / "classics"
NAMES = sorted(f.stem for f in FOLDER.glob("*.yaml"))
QUADRATIC, ENTROPY = "nielsen", "nielsen_cross_entropy"
LOW_START = ("architecture.0.weights=[[0.6]]", "architecture.0.bias=[0.9]")


def trained(name: str, folder: Path, *sets: str) -> tuple[TrainReport, dict[str, Array]]:
    run = folder / "run"
    report = start(set_up(FOLDER / f"{name}.yaml", sets), run).run()
    return report, modelfile.read(run / "model.safetensors")[0]


def sigmoid(z: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-z)))


def hidden(weights: dict[str, Array], x: Array) -> Array:
    return sigmoid(x @ weights["dense_1.W"] + weights["dense_1.b"])


def output(weights: dict[str, Array], x: Array) -> Array:
    """Of a sigmoid net with one hidden layer, by no code of the project."""
    return sigmoid(hidden(weights, x) @ weights["dense_2.W"] + weights["dense_2.b"])


def rows(name: str) -> tuple[Array, Array]:
    data = read(FOLDER / f"{name}.yaml").data["data"]["train"]
    return np.array(data["inputs"], float), np.array(data["targets"], float)


def neuron(weights: dict[str, Array]) -> float:
    return float(sigmoid(weights["dense_1.W"] + weights["dense_1.b"]).item())


@pytest.mark.parametrize("name", NAMES)
def test_it_fits_its_data(name: str) -> None:
    setup = set_up(FOLDER / f"{name}.yaml")
    assert setup.experiment.name == name
    assert setup.warnings == ()
    first, second, *_ = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    assert first == "# yaml-language-server: $schema=../bpcli.schema.json"
    assert second.startswith("# ")


def test_the_tables_are_what_they_are_called() -> None:
    x, t = rows("parity")
    assert len(np.unique(x, axis=0)) == 16
    assert ((x.sum(1) % 2 == 1) == (t[:, 0] == 0.9)).all()
    x, t = rows("symmetry")
    assert len(np.unique(x, axis=0)) == 64
    assert ((x == x[:, ::-1]).all(1) == (t[:, 0] == 1)).all()
    x, t = rows("encoder")
    assert (x == np.eye(8)).all()
    assert (t == x).all()


@pytest.mark.parametrize(("name", "within"), [("xor", 0.1), ("parity", 0.18), ("symmetry", 0.36), ("encoder", 0.5)])
def test_it_reaches_its_goal(name: str, within: float, tmp_path: Path) -> None:
    report, weights = trained(name, tmp_path)
    assert report.stopped == "goal"
    x, t = rows(name)
    assert np.abs(output(weights, x) - t).max() < within


def test_a_stuck_xor_has_two_outputs_half_way(tmp_path: Path) -> None:
    report, weights = trained("xor", tmp_path, "seed=8")
    assert report.stopped == "epochs"
    off = np.sort(np.abs(output(weights, rows("xor")[0]) - 0.5).ravel())
    assert off == pytest.approx([0, 0, 0.4, 0.4], abs=0.03)


def test_the_encoder_invents_codes_with_halves(tmp_path: Path) -> None:
    _, weights = trained("encoder", tmp_path)
    codes = hidden(weights, np.eye(8))
    assert min(np.abs(a - b).max() for a, b in combinations(codes, 2)) > 0.3
    assert len(np.unique(codes > 0.5, axis=0)) == 7
    assert ((codes > 0.3) & (codes < 0.7)).any()


@pytest.mark.parametrize(("seed", "ratios"), [(0, (1, 1.99, 3.96)), (10, (1, 1.53, 2.04))])
def test_symmetry_is_found_by_opposite_weights(seed: int, ratios: tuple[float, ...], tmp_path: Path) -> None:
    _, weights = trained("symmetry", tmp_path, f"seed={seed}")
    w = weights["dense_1.W"]
    assert np.abs(w + w[::-1]).max() < 0.001 * np.abs(w).max()  # about the middle
    assert np.abs(w[:, 0] + w[:, 1]).max() < 0.05 * np.abs(w).max()  # and the two units
    half = np.sort(np.abs(w[:3]), axis=0)
    for unit in (half / half[0]).T:
        assert unit == pytest.approx(ratios, abs=0.01)
    assert (weights["dense_1.b"] < -1.8).all()


@pytest.mark.parametrize(
    ("name", "sets", "start", "end", "published"),
    [
        (QUADRATIC, LOW_START, 0.8175744761936437, 0.09395569486364724, (0.82, 0.09)),
        (QUADRATIC, (), 0.9820137900379085, 0.2028484242677765, (0.98, 0.20)),
        (ENTROPY, LOW_START, 0.8175744761936437, 0.4176792995988869, (0.82, None)),
        (ENTROPY, (), 0.9820137900379085, 0.7795870642061684, (0.98, None)),
    ],
)
def test_nielsen_to_sixteen_digits_and_to_the_two_of_the_book(
    name: str, sets: tuple[str, ...], start: float, end: float, published: tuple[float, float | None], tmp_path: Path
) -> None:
    report, weights = trained(name, tmp_path, *sets)
    assert neuron(weights) == pytest.approx(end, rel=1e-12)
    assert len(report.epochs) == 300
    loss = report.epochs[0].metrics["train.loss"]
    first = math.sqrt(2 * loss) if name == QUADRATIC else -math.expm1(-loss)
    assert first == pytest.approx(start, rel=1e-12)
    assert round(first, 2) == published[0]
    assert published[1] is None or round(neuron(weights), 2) == published[1]


def test_squared_error_starts_slowly_and_cross_entropy_does_not(tmp_path: Path) -> None:
    slow, _ = trained(QUADRATIC, tmp_path / "slow")
    seen = [row.metrics["train.mae"] for row in slow.epochs]
    assert [round(seen[k], 2) for k in (100, 150)] == [0.96, 0.93]
    quick, weights = trained(ENTROPY, tmp_path / "quick", "optimizer.learning_rate=0.15")
    assert 1 - math.exp(-quick.epochs[50].metrics["train.loss"]) == pytest.approx(0.10, abs=0.005)
    assert neuron(weights) == pytest.approx(0.012, abs=0.0005)
    for report, gradient in ((slow, 0.017), (quick, 0.98)):  # of weight and of bias, the same as x = 1
        assert report.epochs[0].gradient_norm / math.sqrt(2) == pytest.approx(gradient, rel=0.03)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "arrive", "fewest", "half", "most"),
    [("xor", 18, 141, 205, 1176), ("parity", 12, 646, 1153, 3339), ("encoder", 20, 473, 629, 1659),
     ("symmetry", 20, 1873, 2921, 4456)],
)  # fmt: skip
def test_twenty_seeds(name: str, arrive: int, fewest: int, half: int, most: int, tmp_path: Path) -> None:
    """The figures of the comment. A processor that adds in another order may lose or win a seed."""
    reports = [trained(name, tmp_path / str(seed), f"seed={seed}")[0] for seed in range(20)]
    epochs = [len(r.epochs) for r in reports if r.stopped == "goal"]
    found = (len(epochs), min(epochs), statistics.median(epochs), max(epochs))
    sys.stdout.write(f"\n{name}: {found[0]} of 20 seeds, {found[1]} to {found[3]} sweeps, median {found[2]:g}\n")
    assert abs(found[0] - arrive) <= 1
    assert found[1:] == pytest.approx((fewest, half, most), rel=0.1)
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    for figure in (f"{arrive} of 20 seeds", f"{fewest:,} to {most:,} sweeps", f"half within {half:,}"):
        assert figure in " ".join(text.replace("\n#", "").split())
