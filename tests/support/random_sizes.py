"""Networks of sizes by chance, near those at which kernels take another way."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from sizes import Net, by_textbook, is_exact

from bpcli.engine.network_plan import plan_network
from bpcli.family import Layer
from bpcli.family.plan import Shape, ShapeError
from bpcli.records.training import Failure

MOST_MACS = 300_000_000
"""Multiply-adds of a forward pass."""

Chance = np.random.Generator


def random_net(rng: Chance) -> Net:
    """One to four layers, of which most are convolutions, and so many rows that a batch is worth a few threads or not
    quite."""
    while True:
        found = _drawn(rng)
        if found is not None and is_exact(by_textbook(found)):
            return found


def _drawn(rng: Chance) -> Net | None:
    x: Shape = (_upto(rng, 70), _upto(rng, 70), _channels(rng))
    if rng.random() < 0.15:
        x = (_upto(rng, 400), _channels(rng))
    layers: list[Any] = []
    y = x
    for _ in range(_upto(rng, 4)):
        layer = _layer(rng, y)
        try:
            plan = plan_network([Layer.parse(one) for one in (*layers, layer)], x)
        except (Failure, ShapeError, ValueError):
            continue
        if math.prod(plan.y) < 60_000 and sum(planned.plan.multiply_adds for planned in plan.walk()) < MOST_MACS // 5:
            layers, y = [*layers, layer], plan.y
    if not layers:
        return None
    plan = plan_network([Layer.parse(one) for one in layers], x)
    macs = sum(planned.plan.multiply_adds for planned in plan.walk())
    entries = max(math.prod(x), *(math.prod(planned.plan.y) for planned in plan.walk()))
    most = min(MOST_MACS // max(1, macs), 6_000_000 // entries)
    if most < 1 or math.prod(y) * most < 1:
        return None
    return Net(tuple(layers), x, min(most, _rows(rng, entries)))


def _rows(rng: Chance, entries: int) -> int:
    """Few, fewer than chunks; or as many as fill a few blocks of a kernel, and one more or less."""
    block = max(1, (1 << 18) // entries)
    return max(1, int(rng.choice([1, 2, 3, 4, 5, 7, 33, 130, block - 1, block, block + 1, 4 * block, 9 * block + 1])))


def _upto(rng: Chance, most: int) -> int:
    return int(rng.integers(1, most + 1))


def _channels(rng: Chance) -> int:
    return int(rng.choice([1, 2, 3, 4, 5, 11, 12, 13, 16, 17, 31, 32, 33, 64, 65, 127, 128]))


def _pair(rng: Chance, most: int) -> Any:
    a, b = _upto(rng, most), _upto(rng, most)
    return a if rng.random() < 0.5 else [a, b]


def _layer(rng: Chance, x: Shape) -> Any:
    """A layer that may follow; whole numbers stay whole."""
    if len(x) == 1:
        return {"type": "relu"} if rng.random() < 0.2 else {"type": "dense", "units": int(rng.choice([1, 10, 64, 300]))}
    if len(x) == 2:
        groups = int(rng.choice([1, 1, x[1]]))
        return {"type": "conv1d", "filters": groups * _upto(rng, 8), "kernel": _upto(rng, 9), "groups": groups,
                "stride": _upto(rng, 3), "padding": str(rng.choice(["same", "valid"])),
                "dilation": int(rng.choice([1, 1, 2]))}  # fmt: skip
    kind = rng.choice(["conv2d"] * 6 + ["conv_transpose2d", "max_pool2d", "relu", "flatten"])
    if kind in ("relu", "flatten"):
        return {"type": str(kind)}
    if kind == "max_pool2d":
        return {"type": "max_pool2d", "size": _pair(rng, 4), "stride": _pair(rng, 3), "padding": str(
            rng.choice(["same", "valid"]))}  # fmt: skip
    found: dict[str, Any] = {"type": str(kind), "kernel": _pair(rng, 5), "bias": bool(rng.random() < 0.7)}
    found |= {"stride": _pair(rng, 3), "dilation": _pair(rng, 2)} if rng.random() < 0.5 else {}
    found["padding"] = "same" if rng.random() < 0.5 else "valid" if rng.random() < 0.5 else _pair(rng, 4)
    if kind == "conv2d" and rng.random() < 0.25:
        found["groups"] = int(rng.choice([d for d in range(1, x[2] + 1) if x[2] % d == 0]))
    return found | {"filters": found.get("groups", 1) * int(rng.choice([1, 2, 3, 8, 16, 17, 64]))}
