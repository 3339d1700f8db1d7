"""The networks that wrong kernels are put into for gradcheck."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from trace_nets import dense, experiment


def nets() -> Mapping[str, dict[str, Any]]:
    """The experiments by name: default settings, no size equal to another where not said."""
    rng = np.random.default_rng(5)
    x, t = rng.normal(size=(5, 2)).round(3), rng.normal(size=(5, 5)).round(3)
    mse, one_hot = "mean_squared_error", np.eye(5)[[1, 4, 0, 2, 1]]

    def through(layer: Any, loss: Any = mse, targets: Any = t, **more: Any) -> dict[str, Any]:
        return experiment([dense(4), layer, dense(5)], loss, x, targets, **more)

    activations = ("tanh", "sigmoid", "relu", "leaky_relu", "silu", "gelu", "softmax")
    residual = {"type": "residual", "layers": [dense(4, "tanh")]}
    return {
        **{kind: through(kind) for kind in (*activations, "batch_norm", "layer_norm")},
        "gelu tanh": through({"type": "gelu", "approximate": "tanh"}),
        "softplus": through({"type": "softplus", "beta": 2.5}),
        "dropout": through({"type": "dropout", "rate": 0.4}),
        "residual": through(residual),
        "square": experiment([dense(4, "tanh"), dense(4)], mse, rng.normal(size=(5, 4)).round(3), t[:, :4]),
        "softmax ce": through("tanh", "softmax_cross_entropy", one_hot),
        "smoothed": through("tanh", {"type": "softmax_cross_entropy", "label_smoothing": 0.1}, one_hot),
        "bce": through("tanh", "binary_cross_entropy", (t > 0).astype(float)),
        "half": through("tanh", {"type": "squared_error", "factor": 0.5}),
        "squared": through("tanh", "squared_error"),
        "mae": through("tanh", "mean_absolute_error"),
        "huber": through("tanh", "huber"),
        "l2": through("tanh", regularization={"type": "l2", "strength": 0.1}),
        "l1": through("tanh", regularization={"type": "l1", "strength": 0.1}),
        **{kind: _images(layer, t) for kind, layer in IMAGES.items()},
        "tokens": experiment(
            [{"type": "embedding", "tokens": 5, "units": 2}, "flatten", dense(2)], mse,
            rng.integers(0, 5, (5, 4)).astype(float), t[:, :2],
        ),
    }  # fmt: skip


IMAGES: Mapping[str, Any] = {
    "batch_norm of images": "batch_norm",
    "conv2d": {"type": "conv2d", "filters": 2, "kernel": 3, "stride": 2, "padding": 1},
    "max_pool2d": {"type": "max_pool2d", "size": 2, "stride": 1},
    "max_pool2d padded": {"type": "max_pool2d", "size": 3, "stride": 2, "padding": 1},
    "avg_pool2d": {"type": "avg_pool2d", "size": 2},
}
"""Layers on images of 4 x 3 pixels: with a stride of 2 and a padding of 1 a row is left over."""


def _images(layer: Any, t: Any) -> dict[str, Any]:
    channels = 2 if layer == "batch_norm" else 1
    x = np.random.default_rng(6).normal(size=(5, 4, 3, channels)).round(3)
    return experiment([layer, "flatten", dense(2)], "mean_squared_error", x, t[:, :2])
