"""Schedules: the learning rate after each step, of PyTorch, optax and JAX."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch_schedules import PEERS, TOTAL
from torch_twin import torch_module

from bpcli.family import Schedule
from peer_records.files import Record

FIGURES = (10.0, 9.0, 9.0, 8.9997, 9.5, 8.0, 8.5, 8.1, 9.0, 9.0, 9.0, 9.0, 7.0, 7.0, 6.9, 6.8, 6.8, 6.8, 6.0, 6.0)
PLATEAUS: list[dict[str, Any]] = [
    {"type": "plateau", "start": 0.3, "patience": 3},
    {"type": "plateau", "start": 0.3, "patience": 2, "factor": 0.5, "threshold": 0.05},
    {"type": "plateau", "start": 0.8, "patience": 1, "factor": 0.3, "mode": "max", "min_rate": 0.05},
    {"type": "plateau", "start": 0.3},
]


def record() -> list[Record]:
    """What the peers make of every case; torch's LambdaLR of a formula is no peer."""
    found = [_by_torch(ours, peer) for ours, peer in PEERS if ours["type"] != "inverse_time"]
    return [*found, *_others(), *(_plateau(part) for part in PLATEAUS)]


def _by_torch(part: dict[str, Any], peer: Any) -> Record:
    torch = torch_module()
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    schedule, rates = peer(torch.optim.lr_scheduler, optimizer), []
    for _ in range(TOTAL):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    name = f"torch.optim.lr_scheduler.{type(schedule).__name__}"
    return {"part": part, "peer": name, "inputs": {}, "found": {"lr": np.array(rates, dtype=float)}}


def _others() -> list[Record]:
    import jax
    import optax
    from jax.example_libraries import optimizers

    jax.config.update("jax_enable_x64", True)
    cases: list[tuple[dict[str, Any], str, Any]] = [
        ({"type": "constant", "value": 0.3}, "optax.constant_schedule", optax.constant_schedule(0.3)),
        ({"type": "constant", "value": 0.02}, "optax.constant_schedule", optax.constant_schedule(0.02)),
        ({"type": "inverse_time", "start": 0.3, "decay": 0.2}, "jax.example_libraries.optimizers.inverse_time_decay",
         optimizers.inverse_time_decay(0.3, 5.0, 1.0)),
        ({"type": "inverse_time", "start": 0.7, "decay": 2.0}, "jax.example_libraries.optimizers.inverse_time_decay",
         optimizers.inverse_time_decay(0.7, 1.0, 2.0)),
        ({"type": "polynomial", "start": 0.7, "end": 0.02, "power": 2.0}, "optax.polynomial_schedule",
         optax.polynomial_schedule(0.7, 0.02, 2.0, TOTAL)),
        ({"type": "cosine", "start": 0.5}, "optax.cosine_decay_schedule", optax.cosine_decay_schedule(0.5, TOTAL)),
        ({"type": "exponential", "start": 0.5, "factor": 0.8}, "optax.exponential_decay",
         optax.exponential_decay(0.5, 1, 0.8)),
        ({"type": "step", "start": 0.5, "every": 9, "factor": 0.5}, "optax.exponential_decay",
         optax.exponential_decay(0.5, 9, 0.5, staircase=True)),
        ({"type": "multi_step", "start": 0.5, "milestones": [3, 20]}, "optax.piecewise_constant_schedule",
         optax.piecewise_constant_schedule(0.5, {3: 0.1, 20: 0.1})),
    ]  # fmt: skip
    return [
        {"part": part, "peer": peer, "inputs": {}, "found": {"lr": np.array([float(rule(k)) for k in range(TOTAL)])}}
        for part, peer, rule in cases
    ]


def _plateau(part: dict[str, Any]) -> Record:
    """ReduceLROnPlateau, which acts when more epochs than its patience were bad, and so is given one less than ours."""
    torch = torch_module()
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=part["start"])
    rule = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, mode=part.get("mode", "min"), factor=part.get("factor", 0.1), patience=part.get("patience", 10) - 1,
        threshold=part.get("threshold", 1e-4), min_lr=part.get("min_rate", 0.0),
    )  # fmt: skip
    rates = []
    for figure in FIGURES:
        rule.step(figure)
        rates.append(optimizer.param_groups[0]["lr"])
    peer = "torch.optim.lr_scheduler.ReduceLROnPlateau(patience - 1)"
    return {"part": part, "peer": peer, "inputs": {"values": list(FIGURES)}, "found": {"rate": np.array(rates)}}


def ours(record: Record) -> dict[str, Any]:
    """What our schedule makes of a record."""
    part = Schedule.parse(record["part"])
    if "values" not in record["inputs"]:
        return {"lr": np.array([part.at(k, TOTAL) for k in range(TOTAL)])}
    state: dict[str, Any] = {name: np.array(value) for name, value in part.state().items()}
    rates = []
    for k, value in enumerate(record["inputs"]["values"]):
        part.observe(state, value, True)
        rates.append(part.at(k, TOTAL, state))
    return {"rate": np.array(rates)}
