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


RESIDUAL = nets.experiment(
    [dense_of(2, [[0.6, -0.7], [0.2, 0.4]], [0.1, -0.1], "tanh"),
     {"type": "residual", "layers": [dense_of(2, [[0.3, -0.2], [0.5, 0.1]], [0.0, 0.1], "relu"),
                                     {"type": "residual", "layers": ["tanh"]}]},
     "layer_norm", dense_of(1, [[0.4], [-0.9]], [0.2])],
    "binary_cross_entropy", [[0.5, -1], [1, 2]], [[0], [1]], optimizer={"type": "adam", "learning_rate": 0.1},
    regularization={"type": "l2", "strength": 0.01},
)  # fmt: skip


IMAGE = nets.experiment(
    [{"type": "reshape", "shape": [2, 2, 1]},
     {"type": "conv2d", "filters": 1, "kernel": 2, "padding": "same", "activation": "relu",
      "weights": [[[[0.5]], [[-0.25]]], [[[0.75]], [[0.125]]]], "bias": [0.1]},
     {"type": "conv2d", "filters": 1, "kernel": 1, "weights": [[[[0.5]]]], "bias": [0.0]},
     "flatten", dense_of(2, [[0.3, -0.2], [0.5, 0.1], [-0.4, 0.25], [0.125, 0.75]], [0.0, 0.1])],
    "softmax_cross_entropy", [[1, 0.5, -0.25, 2]], [[0, 1]], optimizer={"type": "sgd", "learning_rate": 0.1},
)  # fmt: skip


WIDE = nets.experiment(
    [dense_of(20, [[round(0.05 * (k - 10), 2) for k in range(20)]] * 2, [0.1] * 20, "relu"),
     dense_of(1, [[round(0.1 * (k % 3 - 1), 1)] for k in range(20)], [0.0])],
    "mean_squared_error", [[1, 0.5]], [[2]], optimizer={"type": "sgd", "learning_rate": 0.1},
)  # fmt: skip


FAN = nets.experiment(
    [dense_of(1, [[0.5]], [0.1]), dense_of(40, [[round(0.05 * (k - 20), 2) for k in range(40)]], [0.1] * 40),
     dense_of(1, [[round(0.1 * (k % 3 - 1), 1)] for k in range(40)], [0.0])],
    "mean_squared_error", [[1]], [[2]], optimizer={"type": "sgd", "learning_rate": 0.1},
)  # fmt: skip


NETS = {"fan": FAN, "xor": XOR, "softmax": SOFTMAX, "residual": RESIDUAL, "image": IMAGE, "wide": WIDE}


@cache
def derived(name: str, detail: Any) -> Derivation:
    if name == "article":
        d = derive(open_target(ROOT / "configs" / "article.yaml", TracedRows(samples=(2,))), View(detail))
    elif name == "twice":
        d = replace(nets.derived(XOR, detail, steps=2), name=name)
    else:
        d = replace(nets.derived(NETS[name], detail), name=name)
    return replace(d, worst=0.0)  # the last bits are the machine's


def even(text: str) -> str:
    """Without what hangs on the last bit of a number, and so on the machine's BLAS: zeros at its end, the sign of 0."""
    text = re.sub(r"(\d\.\d*?)0+(?!\d)", lambda m: m[1].rstrip("."), text)
    return re.sub(r"[-−]0(?![\d.])", "0", text)
