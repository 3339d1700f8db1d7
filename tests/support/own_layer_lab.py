"""A folder with an experiment that has a layer of its own, and a finished run of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_lab import CONFIG, Lab
from own_parts import GAIN

from bpcli.studies.custom import load as custom

PARTS = CONFIG.replace("activation: tanh}", "activation: tanh}\n  - {type: gain}")


@pytest.fixture
def mine(lab: Lab) -> Lab:
    """A folder with an experiment that has a layer of its own."""
    lab.write("gain.yaml", PARTS)
    lab.write("gain.py", GAIN)
    return lab


@pytest.fixture
def run(mine: Lab) -> Path:
    """A finished run of it, after which the file is forgotten."""
    before = custom.registry_snapshot()
    mine.good("train", "gain.yaml", "--with", "gain.py", "--out", "run", "-q")
    custom.restore_registry(before)
    return mine.path / "run"
