"""Ctrl-C while a command is being loaded, or a file of one's own: it ends as an interruption, whatever the code that is
cut short makes of it. And options that a command names are options that it has."""

import signal
import subprocess
import time
from pathlib import Path

import pytest
from cli_lab import Lab, surroundings
from cli_lab import lab as lab

WHEN = """\
import os, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            {action}

sys.meta_path.insert(0, Interrupting())
"""
INTERRUPT = "os.kill(os.getpid(), signal.SIGINT)"
SWALLOW = f"""
            try:
                {INTERRUPT}
            except KeyboardInterrupt:
                raise ImportError("numpy.core.multiarray failed to import")"""
"""As an extension module that is cut short says it."""

OWN = """\
from typing import Literal
from bpcli.custom import Activation
{}
class Mine(Activation):
    type: Literal["mine"] = "mine"
"""
CASES = [
    ("typer", INTERRUPT), ("numpy", INTERRUPT), ("rich.table", INTERRUPT),
    ("bpcli.cli.app", SWALLOW), ("numpy", SWALLOW), ("bpcli.studies.gradcheck.check", SWALLOW),
]  # fmt: skip


@pytest.mark.parametrize(("name", "action"), CASES)
def test_an_interrupt_while_bpcli_is_loaded(lab: Lab, name: str, action: str) -> None:
    done = lab.apart("gradcheck", "trees.yaml", program=WHEN.format(name=name, action=action))
    assert (done.code, done.out, done.err) == (130, "", "")


@pytest.mark.parametrize(
    "line",
    [
        f"import os, signal; {INTERRUPT}",
        f"import os, signal\ntry:\n    {INTERRUPT}\nexcept KeyboardInterrupt:\n    raise ImportError('cut short')",
    ],
    ids=["passed on", "made another error of"],
)
def test_an_interrupt_while_a_file_of_ones_own_is_loaded(lab: Lab, line: str) -> None:
    lab.write("mine.py", OWN.format(line))
    done = lab.apart("gradcheck", "--parts", "--with", "mine.py", program="pass")
    assert (done.code, done.out, done.err) == (130, "", "")


def test_an_import_error_without_an_interrupt_is_still_reported(lab: Lab) -> None:
    lab.write("mine.py", OWN.format("raise ImportError('cut short')"))
    done = lab.apart("gradcheck", "--parts", "--with", "mine.py")
    assert done.code == 65
    assert "this cannot be imported: cut short" in done.err


@pytest.mark.slow
def test_an_interrupt_at_any_moment(lab: Lab) -> None:
    """Every 20 ms of a check; before Python has come to bpcli it has a way of its own, and is killed."""
    codes = []
    for k in range(100):
        command = lab.command("gradcheck", "trees.yaml", program="pass")
        pipe = subprocess.PIPE
        with subprocess.Popen(command, cwd=lab.path, stdout=pipe, stderr=pipe, text=True, env=surroundings()) as run:
            time.sleep(0.02 * k)
            run.send_signal(signal.SIGINT)
            _, err = run.communicate(timeout=60)
        codes.append(run.returncode)
        assert "mistake of its own" not in err, k
        assert "Traceback" not in err or run.returncode == -signal.SIGINT, (k, err)
    assert 130 in codes
    assert set(codes) <= {130, 0, -signal.SIGINT}


BATCH_NORM = "architecture=[{type: dense, units: 3}, batch_norm, {type: dense, units: 2}]"
ONE_ROW = ("--set", BATCH_NORM, "--set", "training.batch_size=1")


def test_a_batch_norm_in_batches_of_one_row_says_what_can_be_typed(lab: Lab, tmp_path: Path) -> None:
    """Options that gradcheck has: as it says it, it works."""
    done = lab.run("gradcheck", "trees.yaml", *ONE_ROW)
    assert done.code == 2
    assert "batch_norm_1 takes statistics over the rows, and one row has none" in done.err
    assert "help: its batches are of one row: --set training.batch_size=8" in done.err
    assert "--sample" not in done.err
    assert lab.run("gradcheck", "trees.yaml", *ONE_ROW, "--set", "training.batch_size=8").code == 0


def test_of_what_is_trained_it_says_where_rows_come_from(lab: Lab, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert lab.run("train", "trees.yaml", *ONE_ROW, "--out", str(run), "-q").code == 0
    done = lab.run("gradcheck", str(run))
    assert "bpcli gradcheck CONFIG, of the config that it was trained from" in " ".join(done.err.split())
    done = lab.run("gradcheck", str(run / "model.safetensors"))
    assert "use the run folder that it came from: bpcli gradcheck RUN" in " ".join(done.err.split())
    assert "--x" not in done.err
    done = lab.run("gradcheck", str(run), "--set", "seed=2")
    assert "bpcli gradcheck CONFIG --set ..." in " ".join(done.err.split())
