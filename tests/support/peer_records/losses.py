"""Losses and penalties: values and gradients of PyTorch, optax and scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
from registry import named_alone
from torch_twin import loss_of, torch_module

from bpcli.family import Loss, Regularizer, Sample
from bpcli.studies.witness.cases import LossCase
from peer_records.files import Record, numbers

Part = dict[str, Any]
WEIGHTS = {"0": 0.25, "1": 3.0, "2": 1.0}
ROWS, OUTPUTS = 4, 3


def record() -> list[Record]:
    """What the peers make of every case."""
    return [*_by_torch(), *_by_torch_weighted(), *_by_optax(), *_by_scikit_learn(), *_balanced()]


def _one_hot(rng: np.random.Generator, smoothed: bool = False) -> Any:
    t = np.eye(OUTPUTS)[rng.integers(0, OUTPUTS, ROWS)]
    return np.round(0.7 * t + 0.1, 2) if smoothed else t


def _entry(part: Part, peer: str, inputs: Any, value: Any, dx: Any) -> Record:
    return {"part": part, "peer": peer, "inputs": inputs, "found": {"L": float(value), "dx": np.asarray(dx)}}


def _by_torch() -> list[Record]:
    """torch.nn.functional with the reductions it has."""
    torch, found = torch_module(), []
    rng, f = np.random.default_rng(2), torch_module().nn.functional
    x, values, labels = numbers(rng, (ROWS, OUTPUTS), 2), numbers(rng, (ROWS, OUTPUTS)), rng.integers(0, 2, (ROWS, 3))
    one_hot, spread, counts = _one_hot(rng), _one_hot(rng, True), rng.integers(0, 4, (ROWS, OUTPUTS))
    p = np.round(rng.dirichlet(np.ones(OUTPUTS), ROWS), 2) + 0.01
    classes = torch.tensor([*WEIGHTS.values()], dtype=torch.float64)
    smooth = {"type": "softmax_cross_entropy", "label_smoothing": 0.1}
    weighted = {"type": "softmax_cross_entropy", "class_weights": WEIGHTS}
    cases: list[tuple[Part, str, Any, Any, Any]] = [
        ({"type": "mean_squared_error"}, "mse_loss", x, values, f.mse_loss),
        ({"type": "mean_absolute_error"}, "l1_loss", x, values, f.l1_loss),
        ({"type": "huber"}, "huber_loss", x, values, f.huber_loss),
        ({"type": "huber", "delta": 0.4}, "huber_loss", x, values, lambda y, t: f.huber_loss(y, t, delta=0.4)),
        ({"type": "squared_error"}, "mse_loss(reduction='sum') / N", x, values,
         lambda y, t: f.mse_loss(y, t, reduction="sum") / ROWS),
        ({"type": "squared_error", "factor": 0.5}, "mse_loss(reduction='sum') / 2 N", x, values,
         lambda y, t: f.mse_loss(y, t, reduction="sum") / 2 / ROWS),
        ({"type": "binary_cross_entropy"}, "binary_cross_entropy_with_logits", x, labels,
         f.binary_cross_entropy_with_logits),
        ({"type": "poisson"}, "poisson_nll_loss", x, counts, f.poisson_nll_loss),
        ({"type": "softmax_cross_entropy"}, "cross_entropy of ids", x, one_hot,
         lambda y, t: f.cross_entropy(y, ids(t))),
        ({"type": "softmax_cross_entropy"}, "cross_entropy", x, spread, f.cross_entropy),
        (smooth, "cross_entropy of ids", x, one_hot, lambda y, t: f.cross_entropy(y, ids(t), label_smoothing=0.1)),
        (weighted, "cross_entropy of ids", x, one_hot, lambda y, t: f.cross_entropy(y, ids(t), classes)),
        ({**smooth, **weighted}, "cross_entropy of ids", x, one_hot,
         lambda y, t: f.cross_entropy(y, ids(t), classes, label_smoothing=0.1)),
        ({"type": "cross_entropy"}, "nll_loss of logarithms", p, one_hot,
         lambda y, t: f.nll_loss(torch.log(y), ids(t))),
        ({"type": "kl_divergence"}, "kl_div(reduction='batchmean')", x, spread,
         lambda y, t: f.kl_div(torch.log_softmax(y, 1), t, reduction="batchmean")),
    ]  # fmt: skip

    def ids(t: Any) -> Any:
        return t.argmax(1)

    for part, peer, outputs, targets, function in cases:
        y = torch.tensor(outputs, requires_grad=True)
        loss = function(y, torch.tensor(targets * 1.0))
        loss.backward()
        inputs = {"x": outputs, "t": targets}
        found.append(_entry(part, f"torch.nn.functional.{peer}", inputs, loss.detach(), y.grad.numpy()))
    return found


def _by_torch_weighted() -> list[Record]:
    """The mean over rows of different weights, which torch has for none: its loss of each row, and their weighted mean.
    So also focal of three classes, differentiated by autograd: see `_by_optax` for two."""
    torch, found, rng = torch_module(), [], np.random.default_rng(3)
    w = np.array([0.1, 0.4, 0.3, 0.2])
    for kind in named_alone(Loss):
        if not Loss.registry[kind].__module__.startswith("bpcli."):
            continue
        part: Part = {"type": kind}
        if kind == "softmax_cross_entropy":
            part |= {"label_smoothing": 0.2, "class_weights": WEIGHTS}
        if kind == "focal":
            part |= {"gamma": 1.5, "alpha": WEIGHTS}
        loss = _loss(part)
        x = numbers(rng, (ROWS, OUTPUTS), 2)
        x = np.round(rng.dirichlet(np.ones(OUTPUTS), ROWS), 2) + 0.01 if kind == "cross_entropy" else x
        t = _one_hot(rng) if loss.targets == "classes" else np.abs(numbers(rng, (ROWS, OUTPUTS)))
        t = _one_hot(rng, True) if kind == "kl_divergence" else t
        y = torch.tensor(x, requires_grad=True)
        value = loss_of(loss, y, t, w)
        value.backward()
        inputs = {"x": x, "t": t, "w": w}
        found.append(_entry(part, "torch, by autograd, the rows weighted", inputs, value.detach(), y.grad.numpy()))
    return found


def _by_optax() -> list[Record]:
    """Losses that torch has in another form or not at all; so focal of two classes, as that of one logit."""
    import jax
    import optax

    jax.config.update("jax_enable_x64", True)
    rng, found = np.random.default_rng(4), []
    x, values, one_hot = numbers(rng, (ROWS, OUTPUTS), 2), numbers(rng, (ROWS, OUTPUTS)), _one_hot(rng)
    labels, two = rng.integers(0, 2, (ROWS, OUTPUTS)), np.eye(2)[[0, 1, 1, 0]]
    pairs = numbers(rng, (ROWS, 2), 2)

    def focal(y: Any, t: Any, gamma: float, alpha: float) -> Any:
        # of two classes with the logits z0, z1 the sigmoid form of z1 - z0 is the softmax form
        return alpha * optax.losses.sigmoid_focal_loss(y[:, 1] - y[:, 0], t[:, 1], gamma=gamma)

    cases: list[tuple[Part, str, Any, Any, Any]] = [
        ({"type": "log_cosh"}, "log_cosh", x, values, optax.losses.log_cosh),
        ({"type": "hinge"}, "hinge_loss", x, labels, lambda y, t: optax.losses.hinge_loss(y, 2 * t - 1)),
        ({"type": "multiclass_hinge"}, "multiclass_hinge_loss", x, one_hot,
         lambda y, t: jax.vmap(optax.losses.multiclass_hinge_loss)(y, t.argmax(1))),
        ({"type": "focal"}, "sigmoid_focal_loss", pairs, two, lambda y, t: focal(y, t, 2.0, 1.0)),
        ({"type": "focal", "gamma": 0.5, "alpha": 0.25}, "sigmoid_focal_loss", pairs, two,
         lambda y, t: focal(y, t, 0.5, 0.25)),
        ({"type": "kl_divergence"}, "kl_divergence", x, one_hot,
         lambda y, t: optax.losses.kl_divergence(jax.nn.log_softmax(y), t)),
    ]  # fmt: skip
    for part, peer, outputs, targets, function in cases:
        value, dx = jax.value_and_grad(lambda y, function=function, t=targets: function(y, t * 1.0).mean())(outputs)
        found.append(_entry(part, f"optax.losses.{peer}", {"x": outputs, "t": targets}, value, dx))
    return found


def _by_scikit_learn() -> list[Record]:
    """Its compiled squared hinge, of one output at a time; and minima under penalties: there the gradient of half the
    mean square and the penalty is 0, where a weight is not 0 itself."""
    from sklearn.linear_model import ElasticNet
    from sklearn.linear_model._sgd_fast import SquaredHinge

    rng = np.random.default_rng(5)
    x, t = numbers(rng, (ROWS, OUTPUTS)), rng.integers(0, 2, (ROWS, OUTPUTS))
    hinge, pairs = SquaredHinge(), list(zip(2.0 * t.ravel() - 1, x.ravel(), strict=True))
    value = np.mean([hinge.py_loss(s, y) for y, s in pairs])
    dx = np.reshape([hinge.py_dloss(s, y) for y, s in pairs], x.shape) / x.size
    found = [_entry({"type": "squared_hinge"}, "sklearn's SquaredHinge", {"x": x, "t": t}, value, dx)]
    columns = numbers(rng, (12, 4))
    targets = np.round(columns @ [2.0, -1.0, 0.05, 0.5] + numbers(rng, (12,), 0.3), 2)
    penalties: list[Part] = [
        {"type": "l2", "strength": 0.3}, {"type": "l2", "strength": 2.0}, {"type": "l1", "strength": 0.3},
        {"type": "l1", "strength": 0.8}, {"type": "elastic_net", "strength": 0.3},
        {"type": "elastic_net", "strength": 0.9, "l1_ratio": 0.2},
    ]  # fmt: skip
    for part in penalties:
        ratio = {"l2": 0.0, "l1": 1.0}.get(part["type"], part.get("l1_ratio", 0.5))
        fit = ElasticNet(alpha=part["strength"], l1_ratio=ratio, fit_intercept=False, tol=1e-14, max_iter=10**6)
        w = fit.fit(columns, targets).coef_
        slope = np.where(w != 0, -(columns.T @ (columns @ w - targets)) / len(columns), 0.0)
        peer = "sklearn.linear_model.ElasticNet, whose minimum has this slope"
        found.append({"part": part, "peer": peer, "inputs": {"w": w}, "found": {"dw": slope}})
    return found


def _balanced() -> list[Record]:
    """What classes of different sizes weigh."""
    from sklearn.utils.class_weight import compute_class_weight

    counts = np.array([10, 3, 7])
    weights = compute_class_weight("balanced", classes=np.arange(OUTPUTS), y=np.repeat(np.arange(OUTPUTS), counts))
    peer = "sklearn.utils.class_weight.compute_class_weight"
    parts: list[Part] = [
        {"type": "softmax_cross_entropy", "class_weights": "balanced"}, {"type": "focal", "alpha": "balanced"},
    ]  # fmt: skip
    return [{"part": part, "peer": peer, "inputs": {"counts": counts}, "found": {"c": weights}} for part in parts]


def _loss(part: Part) -> Loss:
    """The loss of a part of a file, its class weights settled."""
    return Loss.parse(part).with_classes(tuple(WEIGHTS), (1,) * len(WEIGHTS))


def ours(record: Record) -> dict[str, Any]:
    """What our kernels make of a record."""
    if record["part"]["type"] in Regularizer.registry:
        w = np.array(record["inputs"]["w"])
        g = np.zeros_like(w)
        Regularizer.parse(record["part"]).add_grad(w, g, np.zeros_like(w))
        return {"dw": g}
    if "counts" in record["inputs"]:
        loss: Any = Loss.parse(record["part"]).with_classes(tuple(WEIGHTS), tuple(record["inputs"]["counts"]))
        return {"c": np.array([w for _, w in (loss.alpha if loss.kind == "focal" else loss.class_weights)])}
    inputs = {key: np.array(value, dtype=float) for key, value in record["inputs"].items()}
    x = inputs["x"]
    return dict(LossCase(Sample(_loss(record["part"]), x.shape[1:], batch=len(x), inputs=inputs)).kernel())
