"""configs/gradients/exploding.yaml: a run that diverges without clipping, and what adaptive clippers make of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from paths import CONFIGS

from bpcli.records.training import TrainReport
from bpcli.studies.run.resume import start
from bpcli.studies.run.setup import set_up

FILE = CONFIGS / "gradients" / "exploding.yaml"
SEEDS = (3, 4, 5, 6)


def trained(clipping: str, seed: int, folder: Path) -> TrainReport:
    return start(set_up(FILE, [f"clipping={clipping}", f"seed={seed}"]), folder / "run").run()


def means(report: TrainReport) -> tuple[float, float]:
    """Share of the steps that were clipped, and mean factor, over all epochs."""
    rows = report.epochs
    return sum(r.clipped for r in rows) / len(rows), sum(r.clip_factor for r in rows) / len(rows)


@pytest.mark.parametrize("seed", [*SEEDS, 7, 8])
def test_without_clipping_it_diverges(seed: int, tmp_path: Path) -> None:
    report = trained("null", seed, tmp_path)
    assert report.stopped == "diverged"
    assert len(report.epochs) <= 1


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["percentile", "zscore", "adaptive"])
def test_a_clipper_tames_it(kind: str, seed: int, tmp_path: Path) -> None:
    """To the end, on readings that are right nearly without error, while gradients are still a thousand long."""
    report = trained(f"{{type: {kind}}}", seed, tmp_path)
    assert report.stopped == "epochs"
    assert report.epochs[-1].metrics["validation.r2"] > 0.999
    assert max(r.gradient_norm for r in report.epochs) > 900
    share, factor = means(report)
    assert 0 < share <= 1
    assert 0.4 < factor < 1


@pytest.mark.parametrize("seed", [7, 8])
@pytest.mark.parametrize("kind", ["zscore", "adaptive"])
def test_those_with_a_bound_of_their_own_need_no_good_start(kind: str, seed: int, tmp_path: Path) -> None:
    """The bad reading is among the first few, which a percentile of past norms takes for the usual."""
    assert trained(f"{{type: {kind}}}", seed, tmp_path).epochs[-1].metrics["validation.r2"] > 0.999


@pytest.mark.parametrize(
    ("kind", "share", "factor"), [("percentile", 0.60, 0.73), ("zscore", 0.10, 0.93), ("adaptive", 0.98, 0.69)]
)
def test_the_figures_in_the_comment(kind: str, share: float, factor: float, tmp_path: Path) -> None:
    """They are told as whole percents; another processor adds in another order."""
    report = trained(f"{{type: {kind}}}", 4, tmp_path)
    assert means(report) == pytest.approx((share, factor), abs=0.02)
    text = FILE.read_text(encoding="utf-8")
    assert f"{{type: {kind}}}" in text
    assert f"{share:.0%}".replace("%", " %") in text
    assert f"{factor:.2f}" in text


def test_as_it_stands_it_fits_and_is_tame(tmp_path: Path) -> None:
    setup = set_up(FILE)
    assert setup.experiment.name == FILE.stem
    assert setup.warnings == ()
    report = start(setup, tmp_path / "run").run()
    assert report.stopped == "epochs"
    assert report.epochs[-1].metrics["validation.r2"] > 0.9999
