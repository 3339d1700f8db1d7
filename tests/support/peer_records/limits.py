"""Clippers and constraints: what is left of gradients and weights after optax, PyTorch and the authors' own program."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch_twin import torch_module

from bpcli.family import Clipper, Constraint, Frame
from peer_records.files import Record, numbers

SHAPES = ((3, 2), (2,), (2, 1, 2, 3))
CUT = [int(n) for n in np.cumsum([np.prod(s) for s in SHAPES])[:-1]]
STEPS = 40
SPIKES = {5: 4.0, 26: 9.0, 27: 0.2, 30: 30.0, 31: 6.0, 38: 12.0}


def record() -> list[Record]:
    """What the peers make of every case."""
    return [*_one_step(), *_percentiles(), *_zclip(), *_projected()]


def norms() -> list[float]:
    """Gradient norms step by step, some of which stand out."""
    return [SPIKES.get(k, round(1 + 0.3 * float(np.sin(1.7 * k)), 2)) for k in range(STEPS)]


def _one_step() -> list[Record]:
    """Gradients of three tensors and the weights they belong to."""
    import jax
    import optax

    jax.config.update("jax_enable_x64", True)
    rng = np.random.default_rng(8)
    gs, ws = ([numbers(rng, s) for s in SHAPES] for _ in range(2))
    ws[1][...] = 0.0  # counts as 1e-3
    whole: dict[str, Any] = {"by_each_tensor": optax.clip_by_global_norm}
    cases = [
        ({"type": "value", "limit": 0.6}, "clip", optax.clip(0.6)),
        ({"type": "value", "limit": 1.1}, "clip", optax.clip(1.1)),
        ({"type": "global_norm", "max_norm": 1.5}, "clip_by_global_norm", optax.clip_by_global_norm(1.5)),
        ({"type": "global_norm", "max_norm": 9.0}, "clip_by_global_norm", optax.clip_by_global_norm(9.0)),
        ({"type": "norm", "max_norm": 1.5}, "clip_by_global_norm, each tensor alone", None),
        ({"type": "norm", "max_norm": 0.4}, "clip_by_global_norm, each tensor alone", None),
        ({"type": "adaptive"}, "adaptive_grad_clip", optax.adaptive_grad_clip(0.01)),
        ({"type": "adaptive", "clipping": 0.8}, "adaptive_grad_clip", optax.adaptive_grad_clip(0.8)),
    ]
    found = []
    for part, peer, rule in cases:
        arrays, weights = ([jax.numpy.asarray(a) for a in each] for each in (gs, ws))
        if rule is None:
            alone = whole["by_each_tensor"](part["max_norm"])
            clipped = [alone.update([a], alone.init([a]))[0][0] for a in arrays]
        else:
            clipped, _ = rule.update(arrays, rule.init(weights), weights)
        inputs = {"g": np.concatenate([g.ravel() for g in gs]), "w": np.concatenate([w.ravel() for w in ws])}
        flat = np.concatenate([np.asarray(c).ravel() for c in clipped])
        found.append({"part": part, "peer": f"optax.{peer}", "inputs": inputs, "found": {"g": flat}})
    torch = torch_module()
    tensor = torch.zeros(len(found[0]["inputs"]["g"]), dtype=torch.float64, requires_grad=True)
    tensor.grad = torch.tensor(found[0]["inputs"]["g"])
    torch.nn.utils.clip_grad_norm_([tensor], 1.5)
    found.append({"part": {"type": "global_norm", "max_norm": 1.5}, "peer": "torch.nn.utils.clip_grad_norm_",
                  "inputs": found[0]["inputs"], "found": {"g": tensor.grad.numpy()}})  # fmt: skip
    return found


def _percentiles() -> list[Record]:
    """AutoClip as its authors' program has it: numpy.percentile of all norms so far, and of the last ones only."""
    found, seen = [], norms()
    for part in ({"type": "percentile"}, {"type": "percentile", "percentile": 70.0, "window": 6}):
        window = int(part.get("window", 10_000))
        bounds = [
            np.percentile(seen[max(0, k + 1 - window) : k + 1], part.get("percentile", 10.0)) for k in range(STEPS)
        ]
        left = np.minimum(seen, bounds)
        found.append({"part": part, "peer": "numpy.percentile", "inputs": {}, "found": {"norm": left}})
    return found


def _zclip() -> list[Record]:
    """The package of ZClip's authors."""
    from zclip import ZClip

    torch, found = torch_module(), []
    parts: list[dict[str, Any]] = [
        {"type": "zscore"}, {"type": "zscore", "max_norm": 50.0},
        {"type": "zscore", "z_thr": 1.5, "max_norm": 5.0, "a": 0.8},
    ]  # fmt: skip
    for part in parts:
        model, left = torch.nn.Linear(1, 1, bias=False).double(), []
        z_thr, limit, a = part.get("z_thr", 2.5), part.get("max_norm", 1.0), part.get("a", 0.97)
        rule = ZClip(alpha=a, z_thresh=z_thr, max_grad_norm=limit)
        for norm in norms():
            model.weight.grad = torch.tensor([[norm]], dtype=torch.float64)
            rule.step(model)
            left.append(float(model.weight.grad))
        found.append({"part": part, "peer": "zclip.ZClip", "inputs": {}, "found": {"norm": np.array(left)}})
    return found


def _projected() -> list[Record]:
    """The nearest point of a ball, for the weights into each unit."""
    import jax
    import optax

    jax.config.update("jax_enable_x64", True)
    rng, found = np.random.default_rng(9), []
    for limit, shape in ((1.0, (3, 4)), (2.5, (2, 2, 2, 3))):
        w = numbers(rng, shape)
        project = jax.vmap(lambda v, limit=limit: optax.projections.projection_l2_ball(v, limit), -1, -1)
        columns = np.asarray(project(jax.numpy.asarray(w.reshape(-1, shape[-1]))))
        found.append({"part": {"type": "max_norm", "limit": limit}, "peer": "optax.projections.projection_l2_ball",
                      "inputs": {"w": w}, "found": {"w": columns.reshape(shape)}})  # fmt: skip
    return found


def ours(record: Record) -> dict[str, Any]:
    """What our kernels make of a record."""
    inputs = {key: np.array(value) for key, value in record["inputs"].items()}
    if record["part"]["type"] in Constraint.registry:
        w = inputs["w"].copy()
        Constraint.parse(record["part"]).apply(w)
        return {"w": w}
    part = Clipper.parse(record["part"])
    state: dict[str, Any] = {name: np.zeros(slot.shape) for name, slot in part.state().items()}
    f = Frame(x=np.zeros(0), y=np.zeros(0), dx=None, dy=np.zeros(0), **state)
    if "norm" in record["found"]:
        left = []
        for norm in norms():
            f.g, f.norm = np.array([norm]), norm
            part.clip(f)
            left.append(f.g[0])
        return {"norm": np.array(left)}
    f.g, f.norm = inputs["g"].copy(), float(np.linalg.norm(inputs["g"]))
    pieces = zip(SHAPES, np.split(f.g, CUT), np.split(inputs["w"], CUT), strict=True)
    f.pieces = [(g.reshape(s), w.reshape(s)) for s, g, w in pieces]
    part.clip(f)
    return {"g": f.g}


def differently(record: Record) -> tuple[str, dict[str, Any]]:
    """How we differ from the peer on purpose, "" where we do not; and what it found, with that difference."""
    found = {name: np.array(value) for name, value in record["found"].items()}
    if record["peer"] not in ("torch.nn.utils.clip_grad_norm_", "zclip.ZClip"):
        return "", found
    norm = np.array(norms()) if "norm" in found else np.linalg.norm(record["inputs"]["g"])
    for name, before in {"norm": norm, "g": np.array(record["inputs"].get("g", 0.0))}.items():
        if name in found:
            found[name] *= np.where(found[name] != before, (norm + 1e-6) / norm, 1.0)
    return "it divides by the norm + 1e-6, we by the norm", found
