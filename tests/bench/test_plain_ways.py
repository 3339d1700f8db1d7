"""Augmentation, percentile clipping and refusing a huge file, each against the plain way, in one process and in
turn. Run: pytest -m bench -s tests/bench/test_plain_ways.py"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import yaml
from timing import ratio

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.config.experiment import Experiment
from bpcli.config.validate import validate
from bpcli.config.yamlfile import parse
from bpcli.engine.augment import Augmenter
from bpcli.family import Augmentation, Clipper
from bpcli.family.plan import Frame
from bpcli.records.training import Failure

pytestmark = pytest.mark.bench

ROUNDS = 5
RNG = np.random.default_rng(0)
Run = Callable[[], Any]


def compared(title: str, ours: Run, other: str, theirs: Run, times: int, bar: float) -> float:
    """Our time over the other's: the median over rounds, in each of which both run so many times."""
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for run, spent in zip((ours, theirs), found, strict=True):
            began = time.perf_counter()
            for _ in range(times):
                run()
            spent.append((time.perf_counter() - began) / times)
    mine, its = (1e3 * statistics.median(spent) for spent in found)
    quotient = ratio(*found)
    print(f"\n{title}: {mine:.3f} ms, {other} {its:.3f} ms, {quotient:.2f} times; bar {bar}")
    return quotient


def test_flip_and_shift() -> None:
    x = RNG.uniform(size=(64, 28, 28, 1)).astype(np.float32)
    parts = [Augmentation.parse(kind) for kind in ("flip", "shift")]
    augmenter = Augmenter(parts, x.shape[1:], len(x), np.float32, 0, 0.0, 1.0)

    def one_by_one() -> None:
        padded = np.zeros((32, 32, 1), np.float32)
        for image in x:
            padded[2:-2, 2:-2] = image[:, ::-1] if RNG.random() < 0.5 else image
            down, right = RNG.integers(0, 5, 2)
            image[...] = padded[down : down + 28, right : right + 28]

    title = "flip and shift, 64 images of 28 x 28"
    assert compared(title, lambda: augmenter.apply(x, 1), "image by image", one_by_one, 500, 0.4) < 0.4


def test_a_full_window_of_norms() -> None:
    part, g, norms = Clipper.parse("percentile"), np.zeros(1), RNG.uniform(size=10_000)
    f = Frame(x=g, y=g, dx=None, dy=g, g=g, h=norms.copy(), held=np.array(1e4), place=np.zeros(()), pieces=[])

    def clipped() -> None:
        f.norm = norms[int(f.place)]
        part.clip(f)

    title = "percentile of 10,000 norms"
    assert compared(title, clipped, "np.percentile", lambda: np.percentile(f.h, 10.0), 1000, 1.0) < 1


def test_ninety_thousand_layers_are_refused() -> None:
    """Beside PyYAML's reading of the same text, which no refusal can do without; ours keeps every node's position, and
    takes 1.5 times as long."""
    text = "data: {train: {type: csv, path: a.csv, target: y}}\nloss: huber\narchitecture:\n" + "  - relu\n" * 90_000

    def refused() -> None:
        with pytest.raises(Failure, match="must hold at most 1000 items, holds 90000"):
            validate(Experiment, parse(text, "a.yaml"))

    assert compared("90,000 layers", refused, "yaml.safe_load", lambda: yaml.safe_load(text), 1, 1.8) < 1.8
