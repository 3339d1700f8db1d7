"""From a CSV file of 100 MB to the first step: time and memory. Run: pytest -m bench -s tests/bench/test_csv.py"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from paths import ROOT

pytestmark = pytest.mark.bench

ROWS, COLUMNS = 340_000, 32
TIME, MEMORY = 1.3, 2.0
"""Bars: times np.loadtxt of the same file, times the matrix of inputs in float32."""

TIME_WITH_TEXT = 1.5  # times np.loadtxt with a converter for each column of text
CATEGORIES = {"kind": 12, "group": 5}  # different cells of each column of text

CONFIG = """\
data: {train: {type: csv, path: big.csv, target: y}, scale: standardize}
architecture: [{type: dense, units: 16, activation: relu}, {type: dense, units: 2}]
loss: softmax_cross_entropy
training: {epochs: 1, batch_size: 256}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `big.csv`, of numbers, and `text.csv`, with columns of text, of 104 MB each; and their configs."""
    here = tmp_path_factory.mktemp("csv")
    for name, texts in (("big", {}), ("text", CATEGORIES)):
        write_table(here / f"{name}.csv", texts)
        (here / f"{name}.yaml").write_text(CONFIG.replace("big", name))
    return here


def write_table(path: Path, texts: dict[str, int]) -> None:
    """Writes a table of numbers, the last of them columns of text with so many different cells."""
    rng, numbers = np.random.default_rng(0), COLUMNS - len(texts)
    with open(path, "w") as file:
        file.write(",".join([*(f"c{j}" for j in range(numbers)), *texts, "y"]) + "\n")
        for _ in range(ROWS // 10_000):
            x, y = rng.normal(size=(10_000, numbers)), rng.integers(0, 2, 10_000)
            words = [rng.integers(0, count, 10_000).tolist() for count in texts.values()]
            cells = (zip(*words, strict=True)) if words else [()] * len(y)
            rows = (
                ",".join(["%.6f" % v for v in row] + [f"word {w}" for w in more] + [str(t)])  # noqa: UP031  (fast)
                for row, more, t in zip(x.tolist(), cells, y.tolist(), strict=True)
            )
            file.write("\n".join(rows) + "\n")


def measured(*words: str | Path) -> tuple[float, float, float]:
    """Seconds, seconds of the processor, MiB."""
    command = [sys.executable, ROOT / "tests/support/first_step.py", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    found = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.split()
    return float(found[0]), float(found[1]), float(found[2])


def compare(
    title: str, peer: str, table: Path, sets: Sequence[str], texts: Sequence[str], inputs: int, bar: float
) -> None:
    """Prints and bounds the time to the first step of a table beside np.loadtxt's, whose columns of text are `texts`,
    and its memory beside the matrix of so many inputs."""
    config = table.with_suffix(".yaml")
    runs = [(measured("loadtxt", table, *texts), measured(config, *sets)) for _ in range(5)]
    theirs, ours = ([min(column) for column in zip(*rows, strict=True)] for rows in zip(*runs, strict=True))
    matrix = ROWS * inputs * 4 / 2**20
    print(f"\nfirst step {title}: {ours[0]:.2f} s, {peer} {theirs[0]:.2f} s, {ours[0] / theirs[0]:.2f} times "
          f"(processor {ours[1] / theirs[1]:.2f}); bar {bar}")  # fmt: skip
    print(f"  memory {ours[2]:.0f} MiB, {ours[2] / matrix:.2f} times the matrix of {matrix:.0f} MiB; bar {MEMORY}; "
          f"np.loadtxt {theirs[2]:.0f} MiB; load of the machine {os.getloadavg()[0]:.1f}")  # fmt: skip
    assert ours[0] < bar * theirs[0]
    assert ours[2] < MEMORY * matrix


@pytest.mark.parametrize("sets", [(), ("data.validation=0.15", "data.test=0.15")])
def test_a_table_of_100_mb_to_the_first_step(folder: Path, sets: tuple[str, ...]) -> None:
    compare(" ".join(sets) or "(all rows)", "np.loadtxt", folder / "big.csv", sets, (), COLUMNS, TIME)


def test_a_table_with_text_to_the_first_step(folder: Path) -> None:
    texts = [str(COLUMNS - 1 - k) for k in range(len(CATEGORIES))]
    inputs = COLUMNS - len(CATEGORIES) + sum(CATEGORIES.values())
    compare("with text", "np.loadtxt with converters", folder / "text.csv", (), texts, inputs, TIME_WITH_TEXT)
