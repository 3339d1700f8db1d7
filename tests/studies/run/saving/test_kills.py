"""Real processes, killed at any moment: a training, one that goes on, a cross-validation. All come to the same end."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli_lab import Lab, surroundings
from cli_lab import lab as lab
from faults.training import CONFIG, differences

KILLS = 200
OFTEN = "\n".join((CONFIG.replace("epochs: 3", "epochs: 400").replace("patience: 2", "patience: 400"), ""))
CHECKPOINTS = ("--set", "training.checkpoint={every: 3 steps, keep: 2}")


def killed(lab: Lab, words: tuple[str, ...], after: float) -> tuple[int, str]:
    """Runs a command, and kills it after some seconds, unless it has ended."""
    command = lab.command(*words, "-q")
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=lab.path, stdout=pipe, stderr=pipe, text=True, env=surroundings()) as run:
        try:
            _, err = run.communicate(timeout=after)
        except subprocess.TimeoutExpired:
            os.kill(run.pid, signal.SIGKILL)
            _, err = run.communicate()
        return run.returncode, err


@pytest.mark.slow
@pytest.mark.parametrize(("folds", "kills"), [((), KILLS * 3 // 5), (("--folds", "2"), KILLS * 2 // 5)])
def test_killed_at_any_moment_it_goes_on(lab: Lab, folds: tuple[str, ...], kills: int) -> None:
    """Every second kill hits the moments after the program is loaded, in which a run begins or is read back."""
    lab.write("line.yaml", OFTEN)
    command, record = ("train", "line.yaml", *folds, *CHECKPOINTS), "folds.json" if folds else "run.json"
    began = time.monotonic()
    lab.apart(*command, "--out", "whole", "-q")
    whole, loaded = time.monotonic() - began, 0.0
    began = time.monotonic()
    lab.apart("train", "--resume", "whole", "-q")
    loaded = time.monotonic() - began
    draw, done, struck, begun_anew = random.Random(15), 0, 0, 0
    while struck < kills:
        run = Path(f"run-{done}")
        for _ in range(50):
            folder = lab.path / run
            resumes = (folder / record).exists()
            begun_anew += folder.exists() and not resumes
            words = ("train", "--resume", str(run)) if resumes else (*command, "--out", str(run))
            early = draw.random() < 0.5
            code, err = killed(lab, words, draw.uniform(0.6, 1.1) * loaded if early else draw.uniform(0.3, 1) * whole)
            if code == 0:
                break
            assert code == -signal.SIGKILL, err
            struck += 1
        else:
            code, err = killed(lab, ("train", "--resume", str(run)), 600)
            assert code == 0, err
        assert differences(lab.path / run, lab.path / "whole") == [], run
        done += 1
    how = " by folds" * bool(folds)
    sys.stdout.write(f"\n{struck} kills of {done} trainings{how}, {begun_anew} while the folder was made\n")
