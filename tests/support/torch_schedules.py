"""Our schedules of the learning rate, and PyTorch's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bpcli.parts  # noqa: F401  (declares them)

TOTAL = 40


PEERS: list[tuple[dict[str, Any], Callable[[Any, Any], Any]]] = [
    ({"type": "step", "start": 0.3, "every": 7}, lambda t, o: t.StepLR(o, 7)),
    ({"type": "step", "start": 0.3, "every": 1, "factor": 0.9}, lambda t, o: t.StepLR(o, 1, 0.9)),
    ({"type": "multi_step", "start": 0.3, "milestones": [1, 5, 30], "factor": 0.4},
     lambda t, o: t.MultiStepLR(o, [1, 5, 30], 0.4)),
    ({"type": "exponential", "start": 0.3, "factor": 0.9}, lambda t, o: t.ExponentialLR(o, 0.9)),
    ({"type": "inverse_time", "start": 0.3, "decay": 0.2}, lambda t, o: t.LambdaLR(o, lambda k: 1 / (1 + 0.2 * k))),
    ({"type": "polynomial", "start": 0.3}, lambda t, o: t.PolynomialLR(o, TOTAL)),
    ({"type": "polynomial", "start": 0.3, "power": 2.5}, lambda t, o: t.PolynomialLR(o, TOTAL, 2.5)),
    ({"type": "cosine", "start": 0.3, "end": 0.02}, lambda t, o: t.CosineAnnealingLR(o, TOTAL, 0.02)),
    ({"type": "one_cycle", "peak": 0.3},
     lambda t, o: t.OneCycleLR(o, 0.3, total_steps=TOTAL, cycle_momentum=False)),
    ({"type": "one_cycle", "peak": 0.3, "pct_start": 0.77, "div_factor": 3.0, "final_div_factor": 7.0},
     lambda t, o: t.OneCycleLR(o, 0.3, total_steps=TOTAL, pct_start=0.77, div_factor=3.0, final_div_factor=7.0,
                               cycle_momentum=False)),
    ({"type": "one_cycle", "peak": 0.5, "pct_start": 0.01},
     lambda t, o: t.OneCycleLR(o, 0.5, total_steps=TOTAL, pct_start=0.01, cycle_momentum=False)),
    ({"type": "warmup", "steps": 8, "then": 0.3}, lambda t, o: t.LinearLR(o, 1 / 8, 1.0, 7)),
    ({"type": "warmup", "steps": 3, "then": 0.3}, lambda t, o: t.LinearLR(o, 1 / 3, 1.0, 2)),
    ({"type": "warmup", "steps": 8, "then": {"type": "cosine", "start": 0.3}},
     lambda t, o: t.ChainedScheduler([t.LinearLR(o, 1 / 8, 1.0, 7), t.CosineAnnealingLR(o, TOTAL)])),
]  # fmt: skip
