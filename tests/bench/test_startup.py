"""How long a process takes from its start to its end. Run: pytest -m bench -s tests/bench"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from paths import ROOT

pytestmark = pytest.mark.bench

BARE = [sys.executable, "-c", "pass"]


def seconds(command: Sequence[str | Path]) -> float:
    began = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - began


def compare(title: str, commands: Sequence[Sequence[str | Path]], bar: float) -> float:
    """The median time of these runs of one command, told beside a bare interpreter's, which runs in turn with it."""
    pairs = [(seconds(BARE), seconds(command)) for command in commands]
    bare, whole = (statistics.median(column) for column in zip(*pairs, strict=True))
    times = statistics.median(w / b for b, w in pairs)
    print(f"\n{title}: {whole:.3f} s (fastest {min(w for _, w in pairs):.3f} s, bar {bar} s), {times:.1f} times")
    print(f"  `python -c pass`, which takes {bare:.3f} s; load of the machine {os.getloadavg()[0]:.1f}")
    return whole


def test_help_is_there_at_once() -> None:
    bpcli = [sys.executable, "-m", "bpcli", "--help"]
    shown = subprocess.run([sys.executable, "-X", "importtime", *bpcli[1:]], cwd=ROOT, capture_output=True, text=True)
    imported = [line.rpartition("|")[2].strip() for line in shown.stderr.splitlines()]
    assert "typer" in imported
    assert "numpy" not in imported
    assert compare("bpcli --help", [bpcli] * 11, 0.2) < 0.2


def test_a_small_training_is_over_soon(tmp_path: Path) -> None:
    train = [sys.executable, "-m", "bpcli", "train", "configs/iris.yaml", "--out"]
    seconds([*train, tmp_path / "first"])  # the files of a fresh checkout are compiled and read once
    assert compare("bpcli train configs/iris.yaml", [[*train, tmp_path / str(i)] for i in range(7)], 1.5) < 1.5
