"""Optimizers on one sequence of gradients: weights after some steps of PyTorch, optax, SciPy and scikit-learn."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from torch_twin import torch_module

from bpcli.engine.full_batch import FullBatchStep
from bpcli.engine.network_plan import plan_network
from bpcli.engine.objective import Objective
from bpcli.family import Frame, GradientOptimizer, Layer, Loss, Optimizer
from peer_records.files import Record, numbers

STEPS, SIZE, DECAYING = 64, 6, 4
SHOWN = (1, 2, 3, 5, 6, 7, 10, 16, 24, 40, 64)
"""The steps after which weights are kept: radam begins to divide at the sixth."""
START = np.array([1.0, -0.5, 0.25, 2.0, -1.5, 0.75])


def gradients() -> Iterator[Any]:
    """Gradients of six weights: ordinary, large, one that changes its sign every second step and one that never does
    (the step lengths of rprop come to both their ends), one as small as eps, one that is 0 from some step on."""
    for k in range(STEPS):
        yield np.array([
            round(math.cos(0.7 * k) + 0.3, 3), round(40 * math.sin(1.3 * k + 1), 2),
            (1 if k % 4 < 2 else -1) * (1 + round(0.1 * (k % 3), 1)), round(1.5 + math.sin(k), 3),
            round(3 * math.cos(k), 2) * 1e-8, round(math.sin(2.1 * k), 3) if k < 30 else 0.0,
        ])  # fmt: skip


Peer = Callable[[Any, Any], Any]
TORCH: list[tuple[dict[str, Any], str, Peer]] = [
    ({"type": "sgd"}, "SGD", lambda o, w: o.SGD(w, lr=0.01)),
    ({"type": "momentum"}, "SGD", lambda o, w: o.SGD(w, lr=0.01, momentum=0.9)),
    ({"type": "momentum", "mu": 0.5}, "SGD", lambda o, w: o.SGD(w, lr=0.01, momentum=0.5)),
    ({"type": "nesterov"}, "SGD", lambda o, w: o.SGD(w, lr=0.01, momentum=0.9, nesterov=True)),
    ({"type": "nesterov", "mu": 0.5}, "SGD", lambda o, w: o.SGD(w, lr=0.01, momentum=0.5, nesterov=True)),
    ({"type": "adagrad"}, "Adagrad", lambda o, w: o.Adagrad(w)),
    ({"type": "adagrad", "eps": 1e-3}, "Adagrad", lambda o, w: o.Adagrad(w, eps=1e-3)),
    ({"type": "adadelta"}, "Adadelta", lambda o, w: o.Adadelta(w)),
    ({"type": "adadelta", "rho": 0.5, "eps": 1e-3}, "Adadelta", lambda o, w: o.Adadelta(w, rho=0.5, eps=1e-3)),
    ({"type": "rmsprop"}, "RMSprop", lambda o, w: o.RMSprop(w)),
    ({"type": "rmsprop", "alpha": 0.9, "eps": 1e-3}, "RMSprop", lambda o, w: o.RMSprop(w, alpha=0.9, eps=1e-3)),
    ({"type": "rmsprop", "centered": True, "alpha": 0.9}, "RMSprop",
     lambda o, w: o.RMSprop(w, alpha=0.9, centered=True)),
    ({"type": "rmsprop", "momentum": 0.8}, "RMSprop", lambda o, w: o.RMSprop(w, momentum=0.8)),
    ({"type": "adam"}, "Adam", lambda o, w: o.Adam(w)),
    ({"type": "adam", "beta1": 0.5, "beta2": 0.9, "eps": 1e-3}, "Adam",
     lambda o, w: o.Adam(w, betas=(0.5, 0.9), eps=1e-3)),
    ({"type": "adam", "amsgrad": True, "beta2": 0.7}, "Adam", lambda o, w: o.Adam(w, betas=(0.9, 0.7), amsgrad=True)),
    ({"type": "adamw"}, "AdamW", lambda o, w: o.AdamW([{"params": w[:1]}, {"params": w[1:], "weight_decay": 0.0}])),
    ({"type": "adamw", "decay": 20.0, "beta1": 0.5, "beta2": 0.9, "eps": 1e-3}, "AdamW",
     lambda o, w: o.AdamW([{"params": w[:1]}, {"params": w[1:], "weight_decay": 0.0}], weight_decay=20.0,
                          betas=(0.5, 0.9), eps=1e-3)),
    ({"type": "nadam"}, "NAdam", lambda o, w: o.NAdam(w)),
    ({"type": "nadam", "psi": 0.5, "beta1": 0.5, "beta2": 0.9, "eps": 1e-3}, "NAdam",
     lambda o, w: o.NAdam(w, momentum_decay=0.5, betas=(0.5, 0.9), eps=1e-3)),
    ({"type": "adamax"}, "Adamax", lambda o, w: o.Adamax(w)),
    ({"type": "adamax", "beta1": 0.5, "beta2": 0.7, "eps": 1e-3}, "Adamax",
     lambda o, w: o.Adamax(w, betas=(0.5, 0.7), eps=1e-3)),
    ({"type": "radam"}, "RAdam", lambda o, w: o.RAdam(w)),
    ({"type": "radam", "beta1": 0.5, "beta2": 0.9, "eps": 1e-3}, "RAdam",
     lambda o, w: o.RAdam(w, betas=(0.5, 0.9), eps=1e-3)),
    ({"type": "rprop"}, "Rprop", lambda o, w: o.Rprop(w)),
    ({"type": "rprop", "shrink": 0.3, "grow": 1.5, "min_step": 1e-3, "max_step": 0.4}, "Rprop",
     lambda o, w: o.Rprop(w, etas=(0.3, 1.5), step_sizes=(1e-3, 0.4))),
]  # fmt: skip
OPTAX: list[tuple[dict[str, Any], str, Callable[[Any], Any]]] = [
    ({"type": "lion"}, "lion", lambda o: o.lion(1e-4, weight_decay=0.0)),
    ({"type": "lion", "beta1": 0.3, "beta2": 0.6}, "lion", lambda o: o.lion(1e-4, b1=0.3, b2=0.6, weight_decay=0.0)),
    ({"type": "nesterov"}, "sgd", lambda o: o.sgd(0.01, momentum=0.9, nesterov=True)),
    ({"type": "adam"}, "adam", lambda o: o.adam(0.001)),
]


def record() -> list[Record]:
    """What the peers make of the sequence, and of whole objectives."""
    return [*(_by_torch(*c) for c in TORCH), *(_by_optax(*c) for c in OPTAX), *_directions(), *_damped()]


def _by_torch(part: dict[str, Any], peer: str, make: Peer) -> Record:
    torch = torch_module()
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # NAdam keeps the product of its momenta in the default type
    try:
        weights = [torch.tensor(w, requires_grad=True) for w in np.split(START, [DECAYING])]
        optimizer, shown = make(torch.optim, weights), []
        for k, g in enumerate(gradients(), 1):
            for w, part_of_g in zip(weights, np.split(g, [DECAYING]), strict=True):
                w.grad = torch.tensor(part_of_g)
            optimizer.step()
            if k in SHOWN:
                shown.append(np.concatenate([w.detach().numpy() for w in weights]))
    finally:
        torch.set_default_dtype(usual)
    return {"part": part, "peer": f"torch.optim.{peer}", "inputs": {}, "found": {"w": np.array(shown)}}


def _by_optax(part: dict[str, Any], peer: str, make: Callable[[Any], Any]) -> Record:
    import jax
    import optax

    jax.config.update("jax_enable_x64", True)
    optimizer, w, shown = make(optax), jax.numpy.asarray(START), []
    state = optimizer.init(w)
    for k, g in enumerate(gradients(), 1):
        update, state = optimizer.update(jax.numpy.asarray(g), state, w)
        w = optax.apply_updates(w, update)
        if k in SHOWN:
            shown.append(np.asarray(w))
    return {"part": part, "peer": f"optax.{peer}", "inputs": {}, "found": {"w": np.array(shown)}}


def _directions() -> list[Record]:
    """SciPy's product of the inverse Hessian that pairs of steps stand for, with the first matrix scaled as Nocedal and
    Wright's eq. 7.20 says."""
    from scipy.optimize import LbfgsInvHessProduct

    found, rng = [], np.random.default_rng(6)
    for pairs, kept in ((10, 4), (3, 3)):
        S, g = numbers(rng, (kept, 4)), numbers(rng, (4,))
        Y = np.round(S @ np.diag([1.0, 2.0, 0.5, 3.0]) + 0.1 * numbers(rng, (kept, 4)), 2)
        root = math.sqrt((S[-1] @ Y[-1]) / (Y[-1] @ Y[-1]))
        d = -(root**2) * LbfgsInvHessProduct(S / root, Y * root).matvec(g)
        part = {"type": "lbfgs"} if pairs == 10 else {"type": "lbfgs", "pairs": pairs}
        found.append({"part": part, "peer": "scipy.optimize.LbfgsInvHessProduct", "inputs": {"S": S, "Y": Y, "g": g},
                      "found": {"d": d}})  # fmt: skip
    return found


def _damped() -> list[Record]:
    """Of a model that is linear in its weights a damped step is a ridge regression of what is left: two of them, each
    with the damping that the one before leaves."""
    from sklearn.linear_model import Ridge

    rng, found = np.random.default_rng(7), []
    x, t = numbers(rng, (7, 2)), numbers(rng, (7, 1))
    J = np.column_stack([x, np.ones(7)])
    for part in ({"type": "levenberg_marquardt"}, {"type": "levenberg_marquardt", "damping": 3.0, "down": 0.5}):
        w, mu, shown = np.zeros(3), float(part.get("damping", 1e-3)), []
        for _ in range(2):
            fit = Ridge(alpha=mu, fit_intercept=False, solver="svd").fit(J, t[:, 0] - J @ w)
            w, mu = w + fit.coef_, mu * float(part.get("down", 0.1))
            shown.append(w)
        found.append({"part": part, "peer": "sklearn.linear_model.Ridge", "inputs": {"x": x, "t": t},
                      "found": {"w": np.array(shown)}})  # fmt: skip
    return found


def ours(record: Record) -> dict[str, Any]:
    """What our kernels make of a record."""
    part: Any = Optimizer.parse(record["part"])
    inputs = {key: np.array(value) for key, value in record["inputs"].items()}
    if part.kind == "lbfgs":
        return {"d": _our_direction(part, **inputs)}
    return {"w": _our_updates(part) if isinstance(part, GradientOptimizer) else _our_fit(part, **inputs)}


def _our_updates(part: GradientOptimizer) -> Any:
    f = Frame(x=np.zeros(0), y=np.zeros(0), dx=None, dy=np.zeros(0), w=START.copy(), D=DECAYING)
    for name in (*part.slots, *part.scratch):
        setattr(f, name, np.zeros(SIZE))
    shown = []
    for k, g in enumerate(gradients(), 1):
        f.g = g
        part.update(f, part.learning_rate.at(k - 1, STEPS), k)
        if k in SHOWN:
            shown.append(f.w.copy())
    return np.array(shown)


def _our_direction(part: Any, S: Any, Y: Any, g: Any) -> Any:
    f = Frame(x=g, y=g, dx=None, dy=g, g=g.copy(), w=np.zeros(4), slope=g.copy())
    for name, slot in {**part.state(4), **part.work(4)}.items():
        if name not in ("slope", "g", "w"):
            setattr(f, name, np.zeros(slot.shape))
    f.S[-len(S) :], f.Y[-len(Y) :], f.kept[...] = S, Y, len(S)
    part._descent_direction(f)
    return f.d


def _our_fit(part: Any, x: Any, t: Any) -> Any:
    layer = Layer.parse({"type": "dense", "units": 1, "init": "zeros"})
    objective = Objective(plan_network([layer], x.shape[1:]), Loss.parse("mean_squared_error"), len(x), np.float64, 0)
    objective.theta.fill(0)
    batch = objective.batch(len(x))
    batch.load(x, t, np.arange(len(x)))
    step, shown = FullBatchStep(objective, part, 2), []
    for k in range(2):
        step.step(batch, k)
        shown.append(objective.theta.copy())
    return np.array(shown)
