"""Every file in configs/ fits its data and trains, and the models it makes are as good as they have to be.

The figures are printed: `pytest tests/configs/test_configs.py -k bar -m 'slow or not slow' -s`.
"""

import hashlib
import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT

from bpcli.config.yamlfile import read
from bpcli.studies.evaluation.evaluate import evaluate
from bpcli.studies.run import modelfile
from bpcli.studies.run.resume import start
from bpcli.studies.run.setup import set_up

CONFIGS = ROOT / "configs"
SEEDS = range(5)

FASHION = "fashion_mnist_mlp"
IMAGES = [s[key] for s in map(read(CONFIGS / f"{FASHION}.yaml").data["data"].get, ("train", "test"))
          for key in ("inputs", "targets")]  # fmt: skip
needs_images = pytest.mark.skipif(
    not all((CONFIGS / name).is_file() for name in IMAGES), reason=f"{FASHION}.yaml names files that are not here"
)


def marked(name: str) -> list[pytest.MarkDecorator]:
    return [needs_images] if name.startswith("fashion_mnist") else []


EXPERIMENTS = [f.stem for f in sorted(CONFIGS.glob("*.yaml")) if not f.stem.endswith("_claims")]
ALL = [pytest.param(name, marks=marked(name)) for name in EXPERIMENTS]


@pytest.mark.parametrize("name", ALL)
def test_it_fits_its_data(name: str) -> None:
    file = CONFIGS / f"{name}.yaml"
    setup = set_up(file)
    assert setup.experiment.name == name
    assert setup.warnings == ()
    first, second, *_ = file.read_text(encoding="utf-8").splitlines()
    assert first == "# yaml-language-server: $schema=./bpcli.schema.json"
    assert second.startswith("# ")


@pytest.mark.parametrize("name", ["article", "xor"])
def test_it_reaches_its_goal(name: str, tmp_path: Path) -> None:
    report = start(set_up(CONFIGS / f"{name}.yaml"), tmp_path / "run").run()
    assert report.stopped == "goal"


@pytest.mark.parametrize("seed", range(1, 10))
def test_xor_is_learned_whatever_the_seed(seed: int, tmp_path: Path) -> None:
    report = start(set_up(CONFIGS / "xor.yaml", [f"seed={seed}"]), tmp_path / "run").run()
    assert report.stopped == "goal"
    assert 40 < len(report.epochs) < 110
    assert evaluate(tmp_path / "run").metrics["accuracy"] == 1


@pytest.mark.parametrize(
    ("name", "figure", "bar"),
    [
        ("iris", "accuracy", 0.95),
        ("digits", "accuracy", 0.975),
        pytest.param("digits_cnn", "accuracy", 0.985, marks=pytest.mark.slow),
        ("diabetes", "r2", 0.42),
        ("wine", "accuracy", 0.97),
        ("breast_cancer", "accuracy", 0.965),
        ("spirals", "accuracy", 0.98),
        pytest.param(FASHION, "accuracy", 0.89, marks=[pytest.mark.slow, needs_images]),
    ],
)
def test_the_mean_over_the_seeds_clears_the_bar(name: str, figure: str, bar: float, tmp_path: Path) -> None:
    """On rows that took no part in training. The seed changes the split (where there is one), weights and masks."""
    found, seconds = [], []
    for seed in SEEDS:
        run = tmp_path / str(seed)
        report = start(set_up(CONFIGS / f"{name}.yaml", [f"seed={seed}"]), run).run()
        found.append(evaluate(run, "test").metrics[figure])
        seconds.append(report.seconds)
    listed = " ".join(f"{v:.4f}" for v in found)
    mean = statistics.mean(found)
    sys.stdout.write(
        f"\n{name}: test {figure} {listed}, mean {mean:.4f} (bar {bar}); {statistics.mean(seconds):.2f} s a training\n"
    )
    assert mean >= bar


@pytest.mark.slow
@needs_images
@pytest.mark.parametrize(("name", "bar", "most"), [("cnn", 0.930, 100_000), ("resnet", 0.940, 10**9)])
def test_clothes(name: str, bar: float, most: int, tmp_path: Path) -> None:
    """On the 10,000 test images of Fashion-MNIST; a training takes half an hour and more."""
    setup = set_up(CONFIGS / f"fashion_mnist_{name}.yaml")
    assert setup.network_plan.size < most
    report = start(setup, tmp_path / "run").run()
    found = evaluate(tmp_path / "run", "test")
    sys.stdout.write(f"\n{name}: test accuracy {found.metrics['accuracy']:.4f} (bar {bar}), {report.seconds:.0f} s\n")
    assert found.rows == 10_000
    assert found.metrics["accuracy"] >= bar


@pytest.mark.slow
@pytest.mark.parametrize(("name", "mean"), [("wine", 0.9875), ("breast_cancer", 0.976), ("spirals", 0.998)])
def test_the_figure_of_twenty_seeds_in_the_comment(name: str, mean: float, tmp_path: Path) -> None:
    """Five splits of a small file say little; these figures vary less."""
    found = []
    for seed in range(20):
        run = tmp_path / str(seed)
        start(set_up(CONFIGS / f"{name}.yaml", [f"seed={seed}"]), run).run()
        found.append(evaluate(run, "test").metrics["accuracy"])
    sys.stdout.write(f"\n{name}: {min(found):.4f} to {max(found):.4f}, mean {statistics.mean(found):.4f}\n")
    assert statistics.mean(found) == pytest.approx(mean, abs=0.005)
    assert f"{mean}" in (CONFIGS / f"{name}.yaml").read_text(encoding="utf-8")


def test_the_spirals_are_what_their_readme_prints() -> None:
    folder = ROOT / "datasets" / "spirals"
    _, code, _ = (folder / "README.md").read_text(encoding="utf-8").split("```")
    words = [sys.executable, "-c", code.removeprefix("python\n")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == (folder / "spirals.csv").read_text(encoding="utf-8")


def test_two_processes_train_the_same_bits(tmp_path: Path) -> None:
    """Dropout, a shuffled order and threads included, and whatever the order of Python's sets."""
    words = [sys.executable, "-m", "bpcli", "train", str(CONFIGS / "digits.yaml"), "-q", "--set", "training.epochs=3"]
    sums = []
    for salt in ("1", "2"):
        run = tmp_path / salt
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": salt}
        done = subprocess.run([*words, "--out", str(run)], env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        tensors, _ = modelfile.read(run / "model.safetensors")
        assert {"dense_1.W", "dense_1.b", "dense_2.W", "dense_2.b"} <= tensors.keys()
        sums.append({name: hashlib.sha256(a.tobytes()).hexdigest() for name, a in tensors.items()})
    assert sums[0] == sums[1]
