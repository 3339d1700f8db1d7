"""Initializers: how wide PyTorch and JAX draw for layers of some shapes, and how widely we do."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from torch_twin import torch_module

from bpcli.engine.network import Network
from bpcli.engine.network_plan import plan_network
from bpcli.family import Layer
from peer_records.files import Record

LAYERS: list[tuple[dict[str, Any], tuple[int, ...]]] = [
    ({"type": "dense", "units": 250}, (120,)),
    ({"type": "conv2d", "filters": 64, "kernel": 5}, (8, 8, 16)),
]
DENSE = LAYERS[0]
GROUPS: tuple[dict[str, Any], tuple[int, ...]] = (
    {"type": "conv2d", "filters": 128, "kernel": 5, "groups": 4}, (8, 8, 32)
)  # fmt: skip
FANS = {
    "glorot_uniform": "xavier_uniform_", "glorot_normal": "xavier_normal_", "he_uniform": "kaiming_uniform_",
    "he_normal": "kaiming_normal_",
}  # fmt: skip
PLAIN: list[tuple[dict[str, Any], str, tuple[float, ...]]] = [
    ({"type": "uniform"}, "uniform_", (-0.05, 0.05)),
    ({"type": "uniform", "low": -1.0, "high": 3.0}, "uniform_", (-1.0, 3.0)),
    ({"type": "normal"}, "normal_", (0.0, 0.05)),
    ({"type": "normal", "mean": 2.0, "std": 0.3}, "normal_", (2.0, 0.3)),
    ({"type": "truncated_normal"}, "trunc_normal_", (0.0, 0.05, -0.1, 0.1)),
    ({"type": "truncated_normal", "std": 2.0}, "trunc_normal_", (0.0, 2.0, -4.0, 4.0)),
    ({"type": "zeros"}, "zeros_", ()),
    ({"type": "constant", "value": 0.3}, "constant_", (0.3,)),
    ({"type": "constant", "value": -2.0}, "constant_", (-2.0,)),
]
DRAWS = 200_000
"""How many numbers of a peer a deviation is measured on: to half a per cent at least."""


def record() -> list[Record]:
    """The mean, the deviation and the largest size of many draws; of a rotation, the singular values."""
    torch, found = torch_module(), []
    torch.manual_seed(0)
    for kind, name in FANS.items():
        gain = {"nonlinearity": "relu"} if kind.startswith("he_") else {}
        for layer, x in (*LAYERS, GROUPS):
            w = torch.empty(_torch_shape(layer, x), dtype=torch.float64)
            drawn = [
                getattr(torch.nn.init, name)(w, **gain).numpy().ravel().copy() for _ in range(-(-DRAWS // w.numel()))
            ]
            found.append(_moments({"type": kind}, f"torch.nn.init.{name}", layer, x, np.concatenate(drawn)))
    for part, name, arguments in PLAIN:
        w = torch.empty(DRAWS, dtype=torch.float64)
        drawn_all = getattr(torch.nn.init, name)(w, *arguments).numpy()
        found.append(_moments(part, f"torch.nn.init.{name}", *DENSE, drawn_all))
    found += [_by_jax(kind, layer, x) for kind in ("lecun_uniform", "lecun_normal") for layer, x in LAYERS]
    for gain in (1.0, 1.5):
        q = torch.nn.init.orthogonal_(torch.empty(*_torch_shape(*DENSE), dtype=torch.float64), gain).numpy()
        part = {"type": "orthogonal"} if gain == 1 else {"type": "orthogonal", "gain": gain}
        found.append({"part": part, "peer": "torch.nn.init.orthogonal_", "inputs": {"layer": DENSE[0], "x": DENSE[1]},
                      "found": {"singular": np.linalg.svd(q, compute_uv=False)[[0, 60, -1]]}})  # fmt: skip
    return found


def _torch_shape(layer: dict[str, Any], x: tuple[int, ...]) -> tuple[int, ...]:
    if layer["type"] == "dense":
        return (layer["units"], x[0])
    return (layer["filters"], x[-1] // layer.get("groups", 1), layer["kernel"], layer["kernel"])


def _by_jax(kind: str, layer: dict[str, Any], x: tuple[int, ...]) -> Record:
    import jax

    jax.config.update("jax_enable_x64", True)
    out, *inside = _torch_shape(layer, x)
    shape = (*inside[1:], inside[0], out)
    rule = getattr(jax.nn.initializers, kind)()
    keys = jax.random.split(jax.random.key(0), -(-DRAWS // math.prod(shape)))
    drawn = np.concatenate([np.asarray(rule(key, shape, float)).ravel() for key in keys])
    return _moments({"type": kind}, f"jax.nn.initializers.{kind}", layer, x, drawn)


def _moments(part: dict[str, Any], peer: str, layer: dict[str, Any], x: tuple[int, ...], drawn: Any) -> Record:
    found = _measured(part, drawn)
    return {"part": part, "peer": peer, "inputs": {"layer": layer, "x": x, "drawn": len(drawn)},
            "found": {name: float(f"{value:.6g}") for name, value in found.items()}}  # fmt: skip


def ours(record: Record) -> dict[str, Any]:
    """The same of our draws."""
    inputs = record["inputs"]
    layer = Layer.parse({**inputs["layer"], "init": record["part"]})
    network_plan, drawn = plan_network([layer], tuple(inputs["x"])), []
    size = math.prod(next(e.shape for e in network_plan.layout if e.path.endswith("W")))
    for seed in range(-(-inputs.get("drawn", 1) // size)):
        network = Network(network_plan, 1, np.dtype(np.float64), seed)
        drawn.append(np.array(network.parameters()[f"{network_plan.layers[0].path}.W"]))
    if "singular" in record["found"]:
        return {"singular": np.linalg.svd(drawn[0], compute_uv=False)[[0, 60, -1]]}
    flat = np.concatenate([w.ravel() for w in drawn])
    return _measured(record["part"], flat)


def _measured(part: dict[str, Any], drawn: Any) -> dict[str, Any]:
    """The mean, the deviation and, where there is a bound, the largest distance from the mean."""
    found = {"mean": drawn.mean(), "deviation": drawn.std()}
    if not part["type"].endswith("normal") or part["type"] == "truncated_normal":
        found["bound"] = np.abs(drawn - drawn.mean()).max()
    return found


def tolerance(record: Record, name: str) -> tuple[float, float]:
    """How far two samples may be apart: six standard errors of the mean, or 1 % of a deviation or a bound."""
    if name == "singular":
        return 1e-12, 0.0
    return (0.01, 1e-12) if name != "mean" else (0.0, 6 * record["found"]["deviation"] / DRAWS**0.5 + 1e-12)


def differently(record: Record) -> tuple[str, dict[str, Any]]:
    """How we differ from the peer on purpose, "" where we do not; and what it found, with that difference."""
    found, layer = dict(record["found"]), record["inputs"]["layer"]
    groups = layer.get("groups", 1)
    if groups == 1 or not record["part"]["type"].startswith("glorot"):
        return "", found
    fan_in, fan_out = record["inputs"]["x"][-1] / groups, layer["filters"]  # each times the size of the field
    wider = math.sqrt((fan_in + fan_out) / (fan_in + fan_out / groups))
    found = {name: value * wider if name != "mean" else value for name, value in found.items()}
    return "it counts the filters of all groups into fan_out, we those of one group", found
