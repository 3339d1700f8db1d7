"""Files as they come in life, from `init` to `eval`, untouched, against scikit-learn's MLP after its usual pipeline.

Run: pytest -m "slow and peers" -s tests/studies/init/test_ten_files.py (about ten minutes). It prints rows of a
table: file, rows, columns, seeds, figure, ours, scikit-learn's, difference ± its standard error;
seconds of the processor for init, check, train, eval and scikit-learn's fit and predict; MiB at most."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from cli_lab import Lab
from cli_lab import lab as lab
from paths import ROOT
from ten_files import LONE, SHIPPED, TEN, Case, usual

BELOW = 0.01  # by so much may a figure be worse


@dataclass(frozen=True)
class Ran:
    """What a command said, seconds of the processor it took, and how much memory it had at most."""

    out: str
    err: str
    code: int
    busy: float
    mib: float


def bpcli(folder: Path, *words: str) -> Ran:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with open(folder / "out", "wb+") as out, open(folder / "err", "wb+") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "bpcli", *words], cwd=folder, env=environment, stdout=out, stderr=err
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        return Ran(out.read().decode(), err.read().decode(), process.returncode,
                   usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)  # fmt: skip


def file_of(case: Case, folder: Path) -> Path:
    """The file of the case in the folder."""
    file = folder / f"{case.name}.csv"
    if case.make is None:
        file.write_bytes((ROOT / "datasets" / case.name / file.name).read_bytes())
    else:
        file.write_bytes(case.make(np.random.default_rng(7)))
    return file


def good(ran: Ran) -> Ran:
    assert ran.code == 0, ran.err
    return ran


@pytest.mark.peers
@pytest.mark.slow
@pytest.mark.parametrize("case", [c for c in (*SHIPPED, *TEN) if c is not LONE], ids=lambda c: c.name)
def test_as_good_as_the_usual_pipeline(case: Case, tmp_path: Path) -> None:
    """Taught by the same rows (scikit-learn has the validation rows as well), judged on the same rows."""
    from bpcli.studies.evaluation.evaluate import open_rows

    file = file_of(case, tmp_path)
    with open(file, "rb") as lines:
        columns, rows = next(lines).count(case.sep.encode()) + 1, sum(1 for _ in lines)
    written = good(bpcli(tmp_path, "init", file.name, "--target", case.target))
    checked = good(bpcli(tmp_path, "check", f"{case.name}.yaml"))
    ours: dict[str, list[float]] = {}
    theirs: dict[str, list[float]] = {}
    times, most = np.zeros(3), max(written.mib, checked.mib)
    for seed in range(case.seeds):
        run = f"run{seed}"
        trained = good(bpcli(tmp_path, "train", f"{case.name}.yaml", "--set", f"seed={seed}", "--out", run, "--quiet"))
        evaluated = good(bpcli(tmp_path, "eval", run, "--split", "test", "--json"))
        report = json.loads(evaluated.out)
        for name, value in report["metrics"].items():
            ours.setdefault(name, []).append(value)
        if not case.regression:  # over all classes, as theirs
            ours["f1"][-1] = report["averages"]["macro avg"]["f1"]
        test = open_rows(tmp_path / run, "test").rows
        kept = np.setdiff1d(np.arange(rows), test)
        start = time.process_time()
        for name, value in usual(case, file, test, kept, seed).items():
            theirs.setdefault(name, []).append(value)
        times += trained.busy, evaluated.busy, time.process_time() - start
        most = max(most, trained.mib, evaluated.mib)
    train, judge, them = times / case.seeds
    for name in case.figures():
        mine, other = np.array(ours[name]), np.array(theirs[name])
        apart = float((mine - other).std() / np.sqrt(len(mine)))
        found = f"{mine.mean():.4f} | {other.mean():.4f} | {mine.mean() - other.mean():+.4f} ± {apart:.4f}"
        spent = f"{written.busy:.1f} | {checked.busy:.1f} | {train:.1f} | {judge:.1f} | {them:.1f} | {most:.0f}"
        print(f"\n| {case.name} | {rows:,} | {columns} | {case.seeds} | {name} | {found} | {spent} |")  # noqa: T201
    for name in case.figures():
        assert np.mean(ours[name]) > np.mean(theirs[name]) - BELOW


def test_one_row_of_each_class(lab: Lab) -> None:
    """It cannot be learned, and that is what is said, with what to do instead."""
    file_of(LONE, lab.path)
    ran = lab.soon("init", "lone.csv", "--target", "name")
    assert ran.code == 65
    said = " ".join(ran.err.split())
    assert "the target `name` has 150 different values in 150 rows: a class of a single row cannot be learned" in said
    assert "name a column whose values come back, --target NAME (there are height, weight)" in said
