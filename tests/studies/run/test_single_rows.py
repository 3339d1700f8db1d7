"""One row does not decide: a mistyped cell among the validation rows leaves the epoch that is kept as it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cli_lab import Lab
from cli_lab import lab as lab
from row_losses_at_size import by_bisection

from bpcli.family import Loss, Metric
from bpcli.studies.dataset.preprocessor import Preprocessor
from bpcli.studies.evaluation.evaluate import evaluate
from bpcli.studies.init.init import write_config
from bpcli.studies.run.resume import start
from bpcli.studies.run.scoring import MetricAccumulator, Predictor
from bpcli.studies.run.setup import set_up


def test_rows_count_by_their_weights_and_those_of_their_classes() -> None:
    judge = Predictor(Loss.parse("mean_squared_error"), Preprocessor(shape=(2,), columns=(), outputs=1), 1)
    accumulator = MetricAccumulator(judge, [Metric.parse("capped_loss"), Metric.parse("mae")])
    assert accumulator.of_losses
    assert not MetricAccumulator(judge, [Metric.parse("mae")]).of_losses
    rng = np.random.default_rng(1)
    loss, own, weight = rng.exponential(size=40) ** 4, rng.uniform(1, 2, 40), rng.integers(0, 3, 40).astype(float)
    for rows in (slice(0, 13), slice(13, 40)):
        none = np.zeros((len(loss[rows]), 1))
        accumulator.add(none, none, weight[rows], (loss[rows], own[rows]))
    assert accumulator.results()["capped_loss"] == pytest.approx(by_bisection(loss, own * weight, 0.15), rel=1e-9)


def stones(seed: int, rows: int) -> list[list[str]]:
    """Rows as of diamonds: three lengths, a grade, and a price that goes by them."""
    rng = np.random.default_rng(seed)
    length, depth, grade = rng.uniform(4, 9, rows), rng.uniform(2, 5, rows), rng.integers(0, 5, rows)
    width = length * rng.uniform(0.95, 1.05, rows)
    price = 120 * length**3 * (1 + grade / 10) + 40 * depth**3 + rng.normal(0, 300, rows)
    cells = zip(length, width, depth, grade, price, strict=True)
    return [[f"{a:.2f}", f"{b:.2f}", f"{c:.2f}", "ABCDE"[g], f"{y:.0f}"] for a, b, c, g, y in cells]


def written(name: str, rows: list[list[str]]) -> None:
    Path(name).write_text(
        "".join(",".join(row) + "\n" for row in [["length", "width", "depth", "grade", "price"], *rows])
    )


def r2(config: str, seed: int, *sets: str) -> float:
    """R2 on the test rows of a run with the usual config and these overrides."""
    out = Path(f"run-{len(list(Path().glob('run-*')))}")
    start(set_up(Path(config), (f"seed={seed}", *sets), new_run=True), out, []).run()
    return evaluate(out, "test").metrics["r2"]


def source(file: str) -> str:
    return f"{{type: csv, path: {file}, target: price, unseen: ignore, missing: median}}"


@pytest.mark.slow
def test_one_mistyped_cell_changes_r2_by_less_than_a_hundredth(lab: Lab) -> None:
    """Over 10 seeds, each with another cell of other files mistyped by one or two digits; it prints the largest."""
    judged, learned = list[float](), list[float]()
    for seed in range(10):
        rng = np.random.default_rng(seed)
        train, validation, test = stones(3 * seed, 3000), stones(3 * seed + 1, 500), stones(3 * seed + 2, 500)
        for name, rows in (("train", train), ("validation", validation), ("test", test)):
            written(f"{name}.csv", rows)
        write_config("train.csv", ("price",), None, Path("t.yaml"), force=True)
        column, factor = int(rng.integers(0, 3)), int(rng.choice([10, 100]))
        for rows, name in ((validation, "validation-typo"), (train, "train-typo")):
            row = int(rng.integers(0, len(rows)))
            rows[row][column] = f"{float(rows[row][column]) * factor:.2f}"
            written(f"{name}.csv", rows)
        others = f"data.test={source('test.csv')}"
        clean = r2("t.yaml", seed, others, f"data.validation={source('validation.csv')}")
        typo = r2("t.yaml", seed, others, f"data.validation={source('validation-typo.csv')}")
        taught = r2(
            "t.yaml", seed, others, f"data.validation={source('validation.csv')}", "data.train.path=train-typo.csv"
        )
        judged.append(abs(clean - typo))
        learned.append(abs(clean - taught))
    print(f"\nby a cell of the validation rows {max(judged):.2g}, by one of train {max(learned):.2g}")  # noqa: T201
    assert max(judged) < 0.01, judged
    assert max(learned) < 0.01, learned
