"""What `init --tune` gains on rows that it has not seen, table by table.

Run: pytest -m slow -s tests/studies/init/test_tune_gains.py (about ten minutes). It prints rows of a table: file, rows,
figure, first guess, tuned, difference ± its standard error over the seeds, settings taken, seconds of the processor."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from paths import ROOT
from ten_files import TEN, chance, effect, picked, written

from bpcli.studies.evaluation.evaluate import evaluate
from bpcli.studies.init.init import write_config
from bpcli.studies.init.tune import Tuning, words
from bpcli.studies.run.resume import start
from bpcli.studies.run.setup import set_up

BY_NAME = {case.name: case for case in TEN}
SEEDS = 5  # each another split, other folds, other weights


def smooth(rng: np.random.Generator) -> bytes:
    """A thousand rows of a smooth function of five of eight columns (Friedman 1991), with little noise."""
    x = rng.uniform(size=(1000, 8))
    y = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
    return written({**{f"x{k}": x[:, k].round(4) for k in range(8)}, "y": (y + rng.normal(0, 1, 1000)).round(3)})


def strength(rng: np.random.Generator) -> bytes:
    """How much a thousand mixtures bear, by what is in them and their age."""
    n = 1000
    cement, slag, water = rng.uniform(100, 540, n), np.maximum(0, rng.normal(70, 90, n)), rng.uniform(140, 230, n)
    ash, plasticizer = np.maximum(0, rng.normal(50, 65, n)), np.maximum(0, rng.normal(6, 6, n))
    coarse, fine = rng.uniform(800, 1145, n), rng.uniform(600, 990, n)
    age = rng.choice([3, 7, 14, 28, 56, 90, 180, 365], n, p=[0.13, 0.12, 0.06, 0.41, 0.09, 0.1, 0.06, 0.03])
    ratio = (cement + 0.8 * slag + 0.5 * ash) / water
    bears = 8 * np.log1p(age) * ratio**0.9 * (1 - 0.1 * np.sin(coarse / 60)) - 0.00008 * (fine - 770) ** 2
    bears += 1.8 * plasticizer * np.exp(-(((plasticizer - 8) / 6) ** 2)) + rng.normal(0, 2.5, n)
    return written({
        "cement": cement.round(1), "slag": slag.round(1), "ash": ash.round(1), "water": water.round(1),
        "plasticizer": plasticizer.round(1), "coarse": coarse.round(1), "fine": fine.round(1), "age": age,
        "bears": bears.round(2),
    })  # fmt: skip


def flats(rng: np.random.Generator) -> bytes:
    """A thousand prices of flats: by year, size, floor, rooms and part of the town, with steps and little noise."""
    n = 1000
    year, surface, floor = rng.integers(1920, 2011, n), rng.integers(20, 151, n), rng.integers(1, 11, n)
    rooms = np.clip(surface // 27 + rng.integers(-1, 2, n), 1, 6)
    worth = {f"part {k}": v for k, v in enumerate((2000, 900, 900, 950, 0, 0, 0, 0, -50, 0))}
    part = picked(rng, list(worth), n)
    price = 5000 + 600 * ((year < 1935) | (year > 1995)) - 10 * surface - 100 * floor - 50 * rooms
    price = price + effect(part, worth) - 3 * surface * (rooms > 4) + rng.normal(0, 15, n)
    return written({"year": year, "surface": surface, "floor": floor, "rooms": rooms, "part": part,
                    "price": price.round()})  # fmt: skip


def noisy(rng: np.random.Generator) -> bytes:
    """Three hundred wages by ten numbers that go together and nine categories, most of it noise."""
    n = 300
    known, columns, numbers = rng.normal(size=n), dict[str, Any](), []
    for k in range(10):
        numbers.append(known * rng.uniform(0.2, 0.9) + rng.normal(size=n) * rng.uniform(0.5, 1.2))
        columns[f"number {k}"] = np.exp(numbers[-1] * 0.5 + 3).round(1)
    wage = 0.5 * known + 0.3 * numbers[0] - 0.2 * numbers[1] * numbers[2]
    for k, count in enumerate((2, 2, 3, 3, 4, 5, 6, 8, 10)):
        kind = rng.integers(0, count, n)
        wage = wage + rng.normal(size=count)[kind] * 0.2
        columns[f"kind {k}"] = [f"v{i}" for i in kind]
    return written({**columns, "wage": np.exp(0.6 * wage + 6 + rng.normal(0, 0.4, n)).round(1)})


def spirals(rng: np.random.Generator) -> bytes:
    """Nine hundred points on two spirals, and a column that says nothing."""
    n = 900
    kind, radius = rng.integers(0, 2, n), rng.uniform(0.3, 3, n)
    angle = radius * 3 + np.pi * kind + rng.normal(0, 0.12, n)
    return written({"u": (radius * np.cos(angle)).round(4), "v": (radius * np.sin(angle)).round(4),
                    "w": rng.normal(size=n).round(3), "kind": np.array(["a", "b"])[kind]})  # fmt: skip


def hardly(rng: np.random.Generator) -> bytes:
    """Four hundred answers, of which twelve numbers say hardly anything."""
    x = rng.normal(size=(400, 12))
    return written({**{f"x{k}": x[:, k].round(3) for k in range(12)},
                    "answer": np.where(chance(rng, 0.6 * x[:, 0]), "yes", "no")})  # fmt: skip


@dataclass(frozen=True)
class Table:
    name: str
    target: str
    make: Callable[[np.random.Generator], bytes] | None = None  # None: a data set that is shipped
    gains: bool = False


TABLES = (
    Table("smooth", "y", smooth, gains=True),
    Table("strength", "bears", strength, gains=True),
    Table("flats", "price", flats, gains=True),
    Table("noisy", "wage", noisy),
    Table("spirals", "kind", spirals, gains=True),
    Table("hardly", "answer", hardly),
    *(Table(case.name, case.target, case.make) for case in (BY_NAME["missing"], BY_NAME["labels"])),
    Table("diabetes", "progression"),
    Table("breast_cancer", "diagnosis"),
)


@pytest.mark.slow
@pytest.mark.parametrize("table", TABLES, ids=lambda t: t.name)
def test_tuned_against_the_first_guess(table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never worse by more than noise, and better where there is something to gain."""
    monkeypatch.chdir(tmp_path)
    data = Path("data.csv")
    shipped = ROOT / "datasets" / table.name / f"{table.name}.csv"
    data.write_bytes(shipped.read_bytes() if table.make is None else table.make(np.random.default_rng(11)))
    found: dict[str, list[float]] = {"plain": [], "tuned": []}
    taken, busy, figure = Counter[str](), 0.0, ""
    for seed in range(1, SEEDS + 1):
        for name, tuning in (("plain", None), ("tuned", Tuning())):
            began = time.process_time()
            made = write_config("data.csv", (table.target,), None, Path(f"{name}{seed}.yaml"), seed=seed, tuning=tuning)
            if made.comparison is not None:
                busy += time.process_time() - began
                taken[words(made.comparison.tried[made.comparison.chosen].sets)] += 1
            run = start(set_up(Path(f"{name}{seed}.yaml")), Path(f"{name}{seed}")).run().run
            metrics = evaluate(Path(run), "test").metrics
            figure = "r2" if "r2" in metrics else "accuracy"
            found[name].append(metrics[figure])
    gain = np.array(found["tuned"]) - np.array(found["plain"])
    error = float(gain.std(ddof=1) / np.sqrt(SEEDS))
    lines = len(data.read_bytes().splitlines()) - 1
    settings = "; ".join(f"{n} x {what}" for what, n in taken.most_common())
    print(f"\n| {table.name} | {lines:,} | {figure} | {np.mean(found['plain']):.4f} | {np.mean(found['tuned']):.4f} | "  # noqa: T201
          f"{gain.mean():+.4f} ± {error:.4f} | {settings} | {busy / SEEDS:.0f} |")  # fmt: skip
    assert gain.mean() > -2 * error - 0.005
    if table.gains:
        assert gain.mean() > 2 * error
