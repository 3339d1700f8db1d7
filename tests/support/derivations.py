"""Derivations that pages are drawn from, and how a page is compared with the one that was kept."""

import re
from dataclasses import replace
from functools import cache
from typing import Any

import trace_nets as nets
from paths import ROOT

from bpcli.records.trace import Derivation
from bpcli.studies.trace.derive_step import View, derive
from bpcli.studies.trace.open import TracedRows, open_target

SNAPSHOTS = ROOT / "tests" / "render" / "trace" / "snapshots"


LEVELS = ("overview", "layer", "neuron", "path")


def dense_of(units: int, weights: Any, bias: Any, activation: str | None = None) -> dict[str, Any]:
    return nets.dense(units, activation) | {"weights": weights, "bias": bias}


XOR = nets.experiment(
    [dense_of(2, [[0.5, -0.4], [0.3, 0.8]], [0.1, -0.2], "sigmoid"), dense_of(1, [[0.7], [-0.6]], [0.05])],
    "mean_squared_error", [[0, 1], [1, 1]], [[1], [0]], optimizer={"type": "momentum", "learning_rate": 0.5},
)  # fmt: skip


SOFTMAX = nets.experiment(
    [dense_of(2, [[0.6, -0.7], [0.2, 0.4]], [0.1, -0.1], "relu"), dense_of(2, [[0.3, -0.2], [0.5, 0.1]], [0.0, 0.1])],
    "softmax_cross_entropy", [[1, 0.5]], [[0, 1]], optimizer={"type": "adam", "learning_rate": 0.1},
    regularization={"type": "l2", "strength": 0.01}, clipping={"type": "global_norm", "max_norm": 0.1},
)  # fmt: skip


@cache
def derived(name: str, detail: Any) -> Derivation:
    if name == "article":
        d = derive(open_target(ROOT / "configs" / "article.yaml", TracedRows(samples=(2,))), View(detail))
    else:
        d = replace(nets.derived({"xor": XOR, "softmax": SOFTMAX}[name], detail), name=name)
    return replace(d, worst=0.0)  # the last bits are the machine's


def even(text: str) -> str:
    """Without what hangs on the last bit of a number, and so on the machine's BLAS: zeros at its end, the sign of 0."""
    text = re.sub(r"(\d\.\d*?)0+(?!\d)", lambda m: m[1].rstrip("."), text)
    return re.sub(r"[-−]0(?![\d.])", "0", text)
