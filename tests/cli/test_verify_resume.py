"""`bpcli verify-resume` with processes that are really killed."""

import json
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from cli_lab import CONFIG, Lab, lab, surroundings

__all__ = ["lab"]

TRAINING, LAST = "training: {epochs: 3, batch_size: 4}", "  - {type: dense, units: 2}"
PLATEAU = "optimizer: {type: adam, learning_rate: {type: plateau, start: 0.1, metric: train.loss, patience: 1}}"
OTHERS = {
    "lbfgs": (TRAINING, "training: {epochs: 4, batch_size: full}\noptimizer: lbfgs"),
    "momentum": (TRAINING, f"optimizer: momentum\nclipping: {{type: percentile}}\n{TRAINING}"),
    "batch_norm": (LAST, f"  - batch_norm\n  - {{type: dropout, rate: 0.3}}\n{LAST}"),
    "plateau": (TRAINING, f"{PLATEAU}\n{TRAINING}"),
}


def leftovers() -> set[str]:
    return {p.name for p in Path(tempfile.gettempdir()).glob("bpcli-verify-resume-*")}


def test_what_cannot_be_tried_is_said(lab: Lab) -> None:
    found = lab.run("verify-resume", "trees.yaml", "--after", "6")
    assert found.code == 2
    assert "a training of 6 steps cannot be killed after a checkpoint of step 6" in found.err
    assert lab.run("verify-resume", "none.yaml").code == 66
    assert lab.run("verify-resume", "trees.yaml", "--set", "loss=none").code == 65


@pytest.mark.slow
@pytest.mark.parametrize("name", ["trees", *OTHERS])
def test_a_process_that_is_killed(name: str, lab: Lab) -> None:
    before = leftovers()
    lab.config(OTHERS.get(name, ("", "")), text=CONFIG)
    found = lab.good("verify-resume", "trees.yaml", "--json")
    verdict = json.loads(found.out)
    assert verdict["identical"]
    assert verdict["tensors"] > 8
    assert verdict["environment"]["numpy"]
    assert leftovers() == before
    assert "identical, bit for bit" in lab.good("verify-resume", "trees.yaml", "--epochs", "2", "--after", "1").out


@pytest.mark.slow
def test_a_training_that_fails_is_said(lab: Lab) -> None:
    found = lab.run("verify-resume", "trees.yaml", "--set", "optimizer={type: adam, learning_rate: 1e38}")
    assert found.code == 3
    assert "a training failed (exit code 3): training diverged" in found.err


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_leaves_nothing(which: signal.Signals, lab: Lab) -> None:
    before = leftovers()
    words = lab.command("verify-resume", "trees.yaml", "--epochs", "100000")
    process = subprocess.Popen(words, cwd=lab.path, env=surroundings(), stderr=subprocess.DEVNULL)
    while leftovers() == before and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(which)
    assert process.wait(30) == 128 + which
    assert leftovers() == before
