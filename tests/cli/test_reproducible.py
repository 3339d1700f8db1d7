"""Same config, same machine: the same bits."""

from __future__ import annotations

import pytest
from cli_lab import Lab
from cli_lab import lab as lab
from paths import CONFIGS


@pytest.mark.parametrize("name", ["iris", "diabetes"])
def test_two_processes_train_the_same_weights(lab: Lab, name: str) -> None:
    words = ("train", str(CONFIGS / f"{name}.yaml"), "--set", "training.epochs=5", "-q", "--out")
    for run in ("first", "second"):
        assert lab.apart(*words, run).code == 0
    lab.good(*words, "here")
    first, second, here = ((lab.path / run / "model.safetensors").read_bytes() for run in ("first", "second", "here"))
    assert first == second == here


def test_another_seed_trains_others(lab: Lab) -> None:
    for seed in (1, 2):
        lab.good("train", "trees.yaml", "--out", f"seed{seed}", "-q", "--set", f"seed={seed}")
    first, second = ((lab.path / f"seed{seed}" / "model.safetensors").read_bytes() for seed in (1, 2))
    assert first != second


def test_names_in_the_same_second_do_not_collide(lab: Lab) -> None:
    found = {lab.good("train", "trees.yaml", "-q", "--set", "training.epochs=1").out for _ in range(4)}
    assert len(found) == 4
