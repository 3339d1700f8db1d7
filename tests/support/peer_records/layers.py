"""Activations and layers: outputs and gradients of PyTorch, and of JAX where PyTorch's lose digits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch_twin import ACTIVATIONS, Twin, torch_module

from bpcli.family import Layer, Sample
from bpcli.studies.witness.cases import LayerCase
from peer_records.files import Record, numbers

POINTS = [-800.0, -40.0, -20.5, -12.0, -8.0, -6.0, -4.5, -3.5, -3.0, -2.5, -1.5, -1.0, -0.75, -0.3, -1e-4, 0.0, 1e-9,
          0.05, 0.5, 1.0, 1.25, 2.0, 2.75, 3.0, 4.0, 5.5, 7.0, 10.0, 19.5, 20.5, 36.0, 800.0]  # fmt: skip
"""Both tails, the kinks, and what lies between."""

CURVES: list[tuple[dict[str, Any], str]] = [
    ({"type": "identity"}, "torch.nn.Identity"),
    ({"type": "relu"}, "torch.relu"),
    ({"type": "leaky_relu"}, "torch.nn.functional.leaky_relu"),
    ({"type": "leaky_relu", "slope": 0.3}, "torch.nn.functional.leaky_relu"),
    ({"type": "hard_tanh"}, "torch.nn.functional.hardtanh"),
    ({"type": "hard_sigmoid"}, "torch.nn.functional.hardsigmoid"),
    ({"type": "tanh"}, "torch.tanh"),
    ({"type": "sigmoid"}, "torch.sigmoid"),
    ({"type": "softsign"}, "torch.nn.functional.softsign"),
    ({"type": "softmax"}, "torch.softmax"),
    ({"type": "softplus"}, "jax.nn.softplus"),
    ({"type": "softplus"}, "torch.nn.functional.softplus"),
    ({"type": "softplus", "beta": 2.5}, "torch.nn.functional.softplus(threshold=500)"),
    ({"type": "elu"}, "torch.nn.functional.elu"),
    ({"type": "elu", "alpha": 0.4}, "torch.nn.functional.elu"),
    ({"type": "selu"}, "torch.selu"),
    ({"type": "silu"}, "torch.nn.functional.silu"),
    ({"type": "mish"}, "torch.nn.functional.mish"),
    ({"type": "gelu"}, "jax.nn.gelu(approximate=False)"),
    ({"type": "gelu", "approximate": "tanh"}, "torch.nn.functional.gelu(approximate='tanh')"),
]

LAYERS: list[tuple[dict[str, Any], tuple[int, ...], int, str]] = [
    ({"type": "dense", "units": 2}, (3,), 2, "x @ W + b"),
    ({"type": "dense", "units": 3, "bias": False}, (2,), 3, "x @ W"),
    ({"type": "conv1d", "filters": 2, "kernel": 3}, (5, 2), 2, "conv1d"),
    ({"type": "conv1d", "filters": 2, "kernel": 3, "stride": 2, "dilation": 2, "padding": 2}, (6, 1), 2, "conv1d"),
    ({"type": "conv1d", "filters": 4, "kernel": 2, "groups": 2, "padding": "same", "bias": False}, (3, 2), 2, "conv1d"),
    ({"type": "conv2d", "filters": 2, "kernel": [2, 3]}, (3, 4, 2), 2, "conv2d"),
    ({"type": "conv2d", "filters": 1, "kernel": 3, "stride": [2, 1], "padding": [1, 0]}, (4, 3, 2), 2, "conv2d"),
    ({"type": "conv2d", "filters": 1, "kernel": 2, "dilation": 2, "padding": "same"}, (4, 3, 1), 2, "conv2d"),
    ({"type": "conv2d", "filters": 4, "kernel": 2, "groups": 2, "stride": 2, "padding": "same"}, (3, 3, 2), 1,
     "conv2d"),
    ({"type": "conv2d", "filters": 2, "kernel": 2, "groups": 2, "bias": False}, (3, 2, 2), 2, "conv2d"),
    ({"type": "conv_transpose2d", "filters": 2, "kernel": 2}, (2, 2, 2), 1, "conv_transpose2d"),
    ({"type": "conv_transpose2d", "filters": 1, "kernel": [3, 2], "stride": [2, 3], "padding": [1, 0]},
     (2, 2, 2), 2, "conv_transpose2d"),
    ({"type": "conv_transpose2d", "filters": 1, "kernel": 3, "stride": 2, "padding": 1, "output_padding": 1},
     (2, 2, 1), 2, "conv_transpose2d"),
    ({"type": "conv_transpose2d", "filters": 1, "kernel": 2, "dilation": 2, "bias": False}, (2, 2, 1), 2,
     "conv_transpose2d"),
    ({"type": "conv_transpose2d", "filters": 1, "kernel": 3, "stride": 2, "padding": "same"}, (2, 2, 1), 1,
     "conv_transpose2d"),
    ({"type": "embedding", "tokens": 4, "units": 2}, (3,), 2, "embedding"),
    ({"type": "embedding", "tokens": 3, "units": 3}, (2,), 2, "embedding"),
    ({"type": "dropout"}, (3,), 3, "dropout"),
    ({"type": "dropout", "rate": 0.2}, (5,), 2, "dropout"),
    ({"type": "spatial_dropout"}, (2, 2, 3), 2, "dropout2d"),
    ({"type": "spatial_dropout", "rate": 0.25}, (3, 4), 2, "dropout1d"),
    ({"type": "gaussian_noise"}, (4,), 2, "x + stddev u"),
    ({"type": "gaussian_noise", "stddev": 0.5}, (4,), 2, "x + stddev u"),
    ({"type": "layer_norm"}, (4,), 2, "layer_norm"),
    ({"type": "layer_norm", "eps": 0.1, "affine": False}, (2, 3), 2, "layer_norm"),
    ({"type": "group_norm", "groups": 2}, (2, 4), 2, "group_norm"),
    ({"type": "group_norm", "groups": 1, "eps": 0.1, "affine": False}, (2, 3), 2, "group_norm"),
    ({"type": "batch_norm"}, (3,), 4, "batch_norm"),
    ({"type": "batch_norm", "momentum": 0.3, "eps": 0.1}, (2, 2), 3, "batch_norm"),
    ({"type": "batch_norm", "momentum": 1.0, "affine": False}, (2,), 3, "batch_norm"),
    ({"type": "max_pool2d"}, (4, 5, 2), 1, "max_pool2d"),
    ({"type": "max_pool2d", "size": [3, 2], "stride": [1, 2], "padding": 1}, (4, 3, 1), 2, "max_pool2d"),
    ({"type": "max_pool2d", "size": 3, "stride": 2, "padding": "same"}, (4, 3, 1), 2, "max_pool2d"),
    ({"type": "avg_pool2d"}, (4, 5, 2), 1, "avg_pool2d"),
    ({"type": "avg_pool2d", "size": [3, 2], "stride": [1, 2], "padding": 1}, (4, 3, 1), 2, "avg_pool2d"),
    ({"type": "avg_pool2d", "size": 3, "stride": 2, "padding": "same"}, (4, 3, 1), 2, "avg_pool2d"),
    ({"type": "global_max_pool"}, (2, 3, 2), 2, "amax"),
    ({"type": "global_avg_pool"}, (2, 3, 2), 2, "mean"),
    ({"type": "residual", "layers": [{"type": "dense", "units": 3}, "tanh"]}, (3,), 2, "x + f(x)"),
    ({"type": "residual", "layers": ["tanh", {"type": "dense", "units": 2}],
      "projection": [{"type": "dense", "units": 2, "bias": False}]}, (3,), 2, "p(x) + f(x)"),
    ({"type": "flatten"}, (2, 3), 2, "flatten"),
    ({"type": "reshape", "shape": [3, 2]}, (2, 3), 2, "reshape"),
    ({"type": "reshape", "shape": [6]}, (2, 3), 2, "reshape"),
    ({"type": "zero_pad", "padding": 1}, (2, 2, 1), 2, "pad"),
    ({"type": "zero_pad", "padding": [[0, 2], [1, 0]]}, (2, 2, 1), 2, "pad"),
    ({"type": "upsample"}, (2, 1, 2), 2, "interpolate(mode='nearest')"),
    ({"type": "upsample", "factor": [3, 1]}, (1, 2, 1), 2, "interpolate(mode='nearest')"),
]  # fmt: skip
BY_MODE = ("dropout", "spatial_dropout", "gaussian_noise", "batch_norm")
"""Layers that do something else at evaluation."""


def record() -> list[Record]:
    """What the peers make of every case."""
    return [_curve(part, peer) for part, peer in CURVES] + [
        _layer(part, x, rows, peer, train, 10 * i)
        for i, (part, x, rows, peer) in enumerate(LAYERS)
        for train in ((True, False) if part["type"] in BY_MODE else (True,))
    ]


def _curve(part: dict[str, Any], peer: str) -> Record:
    """An activation at POINTS, which of a softmax make rows of 4."""
    x = np.array(POINTS).reshape(-1, 4)
    dy = numbers(np.random.default_rng(5), x.shape)
    if peer.startswith("jax"):
        y, dx = _by_jax(peer, x, dy)
    else:
        torch = torch_module()
        t = torch.tensor(x, requires_grad=True)
        itself = peer.removeprefix("torch.nn.functional.")
        if itself in ("hardsigmoid", "softplus"):  # which ACTIVATIONS has in our sense
            found = getattr(torch.nn.functional, itself)(t)
        else:
            found = ACTIVATIONS[part["type"]](torch, Layer.parse(part), t)
        (found * torch.tensor(dy)).sum().backward()
        y, dx = found.detach().numpy(), t.grad.numpy()
    return {"part": part, "peer": peer, "train": True, "inputs": {"x": x, "dy": dy}, "found": {"y": y, "dx": dx}}


def _by_jax(peer: str, x: Any, dy: Any) -> tuple[Any, Any]:
    import jax

    jax.config.update("jax_enable_x64", True)
    curve = {"jax.nn.softplus": jax.nn.softplus}.get(peer, lambda x: jax.nn.gelu(x, approximate=False))
    y, back = jax.vjp(curve, jax.numpy.asarray(x))
    return np.asarray(y), np.asarray(back(jax.numpy.asarray(dy))[0])


def _layer(part: dict[str, Any], x: tuple[int, ...], rows: int, peer: str, train: bool, seed: int) -> Record:
    rng = np.random.default_rng(seed)
    case = LayerCase(Sample(Layer.parse(part), x, batch=rows), train)
    tokens_or_numbers = (
        rng.integers(0, part["tokens"], (rows, *x)) * 1.0 if "tokens" in part else numbers(rng, (rows, *x))
    )
    inputs: dict[str, Any] = {"x": tokens_or_numbers, "dy": numbers(rng, case.chain.y.shape)}
    inputs |= {path: numbers(rng, w.shape) for path, w in case.network.parameters().items()}
    inputs |= {path: np.round(rng.uniform(0.5, 1.5, s.shape), 2) for path, s in case.network.states.items()}
    if part["type"] == "gaussian_noise":
        inputs["u"] = numbers(rng, case.bound.frame.u.shape)
    if "rate" in part:
        return _dropped(part, case, inputs, train)
    _give(case, inputs)
    twin = Twin(case.network)
    t, y = twin.forward(case.chain, train)
    (y * twin.torch.tensor(case.upstream)).sum().backward()
    found = {"y": y.detach().numpy(), "dx": t.grad.numpy()}
    found |= {f"d{path}": g for path, g in twin.gradients().items()}
    found |= {f"{path}_new": s.numpy() for path, s in twin.states.items() if train}
    peer = peer if " " in peer else f"torch.nn.functional.{peer}"
    return {"part": part, "peer": peer, "train": train, "inputs": inputs, "found": found}


def _dropped(part: dict[str, Any], case: LayerCase, inputs: dict[str, Any], train: bool) -> Record:
    """PyTorch's own dropout; `u` is what a mask like the one it drew is made of."""
    torch, functional = torch_module(), torch_module().nn.functional
    torch.manual_seed(1)
    x = torch.tensor(inputs["x"], requires_grad=True)
    if part["type"] == "dropout":
        peer, y = "dropout", functional.dropout(x, part.get("rate", 0.5), train)
    else:
        peer = "dropout1d" if x.ndim == 3 else "dropout2d"
        y = getattr(functional, peer)(x.movedim(-1, 1), part.get("rate", 0.5), train).movedim(1, -1)
    (y * torch.tensor(inputs["dy"])).sum().backward()
    kept = (y != 0).numpy().reshape(len(x), -1, x.shape[-1])
    inputs["u"] = (0.99 * (kept if part["type"] == "dropout" else kept.any(1))).reshape(case.bound.frame.u.shape)
    found = {"y": y.detach().numpy(), "dx": x.grad.numpy()}
    return {"part": part, "peer": f"torch.nn.functional.{peer}", "train": train, "inputs": inputs, "found": found}


class FixedChance:
    """A source of chance that draws what a record gives."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def random(self, out: Any, dtype: Any) -> None:
        out[...] = self.values

    standard_normal = random


def _give(case: LayerCase, inputs: Mapping[str, Any]) -> None:
    """Puts what a record gives into a case."""
    case.chain.x[...], case.upstream = inputs["x"], np.array(inputs["dy"], dtype=float)
    for arrays in (case.network.parameters(), case.network.states):
        for path, array in arrays.items():
            array[...] = inputs[path]
    if "u" in inputs:
        chance: Any = FixedChance(inputs["u"])
        case.layer.draw(case.bound.frame, chance)


def ours(record: Record) -> dict[str, Any]:
    """What our kernels make of a record."""
    inputs = record["inputs"]
    x = np.array(inputs["x"])
    case = LayerCase(Sample(Layer.parse(record["part"]), x.shape[1:], batch=len(x)), record["train"])
    _give(case, inputs)
    kernel = case.kernel()
    found = {"y": kernel["y"], "dx": kernel["dx"]}
    found |= {f"d{path}": g for path, g in case.network.gradients().items()}
    path = case.bound.path
    return found | {f"{path}.{name}": a for name, a in kernel.items() if name.endswith("_new")}


def differently(record: Record) -> tuple[str, dict[str, Any]]:
    """How we differ from the peer on purpose, "" where we do not; and what it found, with that difference."""
    found = {name: np.array(value, dtype=float) for name, value in record["found"].items()}
    if record["peer"] == "torch.nn.functional.hardsigmoid":
        found["dx"] *= 1 / 6 / float(np.float32(1 / 6))
        return "its slope is the float32 nearest to 1/6, ours is 1/6", found
    if record["peer"] == "torch.nn.functional.softplus":
        x = np.array(record["inputs"]["x"])
        rest = np.exp(-np.where(x > 20, x, np.inf))
        found = {"y": found["y"] + np.log1p(rest), "dx": found["dx"] / (1 + rest)}
        return "it is the identity beyond 20, ours nowhere", found
    return "", found
