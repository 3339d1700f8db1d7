"""PyTorch's opinion of a network of ours: the same layers on the same numbers, differentiated by autograd.

torch is imported where it is used, so that tests which do not need it run without it.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.engine.network import BoundLayer, Chain, Network
from bpcli.family import Loss
from bpcli.family.plan import Array


def torch_module() -> Any:
    """torch, on one thread: the networks are small and the machine is shared."""
    import pytest

    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    return torch


def _softplus(torch: Any, part: Any, x: Any) -> Any:
    """Without the threshold at 20, behind which torch's is the identity; above 500 it is, to the last bit."""
    return torch.nn.functional.softplus(x, beta=part.beta, threshold=500)


ACTIVATIONS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "identity": lambda torch, part, x: x * 1,
    "relu": lambda torch, part, x: torch.relu(x),
    "tanh": lambda torch, part, x: torch.tanh(x),
    "sigmoid": lambda torch, part, x: torch.sigmoid(x),
    "softplus": _softplus,
    "gelu": lambda torch, part, x: torch.nn.functional.gelu(x, approximate=part.approximate),
    "softmax": lambda torch, part, x: torch.softmax(x, -1),
    "leaky_relu": lambda torch, part, x: torch.nn.functional.leaky_relu(x, part.slope),
    "elu": lambda torch, part, x: torch.nn.functional.elu(x, part.alpha),
    "selu": lambda torch, part, x: torch.selu(x),
    "silu": lambda torch, part, x: torch.nn.functional.silu(x),
    "mish": lambda torch, part, x: torch.nn.functional.mish(x),
    "softsign": lambda torch, part, x: torch.nn.functional.softsign(x),
    "hard_tanh": lambda torch, part, x: torch.nn.functional.hardtanh(x),
    "hard_sigmoid": lambda torch, part, x: torch.nn.functional.hardtanh(x, -3, 3) / 6 + 0.5,  # whose 1/6 is exact
}


def _dense(torch: Any, f: Any, x: Any, twin: "Twin", bound: BoundLayer, train: bool) -> Any:
    y = x @ twin.parameters[f"{bound.path}.W"]
    return y + twin.parameters[f"{bound.path}.b"] if "b" in bound.plan.params else y


def _dropout(torch: Any, f: Any, x: Any, twin: "Twin", bound: BoundLayer, train: bool) -> Any:
    """torch draws its own mask; so ours is taken, and what is compared is what is done with it."""
    kept = torch.tensor(np.array(f.u)) >= np.float32(bound.layer.rate)  # type: ignore[attr-defined]
    return x * kept / (1 - bound.layer.rate) if train else x  # type: ignore[attr-defined]


def _residual(torch: Any, f: Any, x: Any, twin: "Twin", bound: BoundLayer, train: bool) -> Any:
    around = twin.through(bound.inside["projection"], x, train) if "projection" in bound.inside else x
    return around + twin.through(bound.inside["branch"], x, train)


def _gaussian_noise(torch: Any, f: Any, x: Any, twin: "Twin", bound: BoundLayer, train: bool) -> Any:
    """With our noise, as drawn."""
    return x + torch.tensor(np.array(f.u, dtype=np.float64)) * bound.layer.stddev if train else x  # type: ignore[attr-defined]


def _gains(twin: "Twin", bound: BoundLayer) -> tuple[Any, Any]:
    return twin.parameters.get(f"{bound.path}.gamma"), twin.parameters.get(f"{bound.path}.beta")


def _layer_norm(torch: Any, f: Any, x: Any, twin: "Twin", bound: BoundLayer, train: bool) -> Any:
    part: Any = bound.layer
    return torch.nn.functional.layer_norm(x, x.shape[-1:], *_gains(twin, bound), part.eps)


def _batch_norm(torch: Any, f: Any, x: Any, twin: "Twin", bound: BoundLayer, train: bool) -> Any:
    """torch's own, without the check that refuses a single value; channels stand second there."""
    part: Any = bound.layer
    state = (twin.states[f"{bound.path}.rmean"], twin.states[f"{bound.path}.rvar"])
    y = torch.batch_norm(
        x.movedim(-1, 1), *_gains(twin, bound), *state, train, part.momentum, part.eps, torch.backends.cudnn.enabled
    )
    return y.movedim(1, -1)


def _pair(value: Any) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)


def _window(torch: Any, part: Any, x: Any, outside: float) -> tuple[Any, tuple[int, int], tuple[int, int]]:
    """The image with its channels first and its padding put around, where torch's own takes half a window at most and
    the same on both sides; the window and its stride."""
    size, stride = _pair(part.size), _pair(part.size if part.stride is None else part.stride)
    margins: list[int] = []
    for pixels, k, s, a in zip(x.shape[2:0:-1], size[::-1], stride[::-1], _margins(part.padding)[::-1], strict=True):
        total = max((-(-pixels // s) - 1) * s + k - pixels, 0)
        margins += [a, a] if a is not None else [total // 2, total - total // 2]
    return torch.nn.functional.pad(x.movedim(-1, 1), margins, value=outside), size, stride


def _margins(padding: Any) -> tuple[int | None, int | None]:
    return {"same": (None, None), "valid": (0, 0)}.get(padding) if isinstance(padding, str) else _pair(padding)  # type: ignore[return-value]


def _max_pool2d(torch: Any, f: Any, x: Any, twin: "Twin", bound: BoundLayer, train: bool) -> Any:
    return torch.nn.functional.max_pool2d(*_window(torch, bound.layer, x, -math.inf)).movedim(1, -1)


def _avg_pool2d(torch: Any, f: Any, x: Any, twin: "Twin", bound: BoundLayer, train: bool) -> Any:
    return torch.nn.functional.avg_pool2d(*_window(torch, bound.layer, x, 0.0)).movedim(1, -1)


def _global_max_pool(torch: Any, f: Any, x: Any, twin: "Twin", bound: BoundLayer, train: bool) -> Any:
    return x.flatten(1, -2).max(1).values  # of one axis: the first of equals has the slope


def _group_norm(torch: Any, f: Any, x: Any, twin: "Twin", bound: BoundLayer, train: bool) -> Any:
    part: Any = bound.layer
    return torch.nn.functional.group_norm(x.movedim(-1, 1), part.groups, *_gains(twin, bound), part.eps).movedim(1, -1)


def _zero_pad(torch: Any, f: Any, x: Any, twin: "Twin", bound: BoundLayer, train: bool) -> Any:
    part: Any = bound.layer
    pads = part.padding if isinstance(part.padding, tuple) else (part.padding,) * (x.ndim - 2)
    margins = [m for pair in reversed([_pair(m) for m in pads]) for m in pair]
    return torch.nn.functional.pad(x, [0, 0, *margins])


def _upsample(torch: Any, f: Any, x: Any, twin: "Twin", bound: BoundLayer, train: bool) -> Any:
    factor = tuple(map(float, _pair(bound.layer.factor)))  # type: ignore[attr-defined]
    return torch.nn.functional.interpolate(x.movedim(-1, 1), scale_factor=factor, mode="nearest").movedim(1, -1)


def _embedding(torch: Any, f: Any, x: Any, twin: "Twin", bound: BoundLayer, train: bool) -> Any:
    """What has no slope is given one of 0."""
    found = torch.nn.functional.embedding(x.detach().long(), twin.parameters[f"{bound.path}.W"])
    return found + 0 * x.unsqueeze(-1)


def _spatial_dropout(torch: Any, f: Any, x: Any, twin: "Twin", bound: BoundLayer, train: bool) -> Any:
    """With our mask: torch's dropout2d draws its own."""
    kept = torch.tensor(np.array(f.u)) >= np.float32(bound.layer.rate)  # type: ignore[attr-defined]
    kept = kept.reshape(len(x), *(1,) * (x.ndim - 2), -1)
    return x * kept / (1 - bound.layer.rate) if train else x  # type: ignore[attr-defined]


def _filters(twin: "Twin", bound: BoundLayer) -> tuple[Any, Any]:
    return twin.parameters[f"{bound.path}.W"], twin.parameters.get(f"{bound.path}.b")


def _around(pixels: int, kernel: int, stride: int, dilation: int, padding: int | None) -> list[int]:
    """Zeros before and after; torch's own `same` knows no stride."""
    if padding is not None:
        return [padding, padding]
    total = max((-(-pixels // stride) - 1) * stride + dilation * (kernel - 1) + 1 - pixels, 0)
    return [total // 2, total - total // 2]


def _conv2d(torch: Any, f: Any, x: Any, twin: "Twin", bound: BoundLayer, train: bool) -> Any:
    part: Any = bound.layer
    W, b = _filters(twin, bound)
    kernel, stride, dilation = _pair(part.kernel), _pair(part.stride), _pair(part.dilation)
    sides = zip(x.shape[1:3], kernel, stride, dilation, _margins(part.padding), strict=True)
    high, wide = (_around(*side) for side in sides)
    padded = torch.nn.functional.pad(x.movedim(-1, 1), [*wide, *high])
    y = torch.nn.functional.conv2d(padded, W.permute(3, 2, 0, 1).contiguous(), b, stride, 0, dilation, part.groups)
    return y.movedim(1, -1)


def _conv1d(torch: Any, f: Any, x: Any, twin: "Twin", bound: BoundLayer, train: bool) -> Any:
    part: Any = bound.layer
    W, b = _filters(twin, bound)
    zeros = {"same": None, "valid": 0}.get(part.padding, part.padding)
    before_after = _around(x.shape[1], part.kernel, part.stride, part.dilation, zeros)
    padded = torch.nn.functional.pad(x.movedim(-1, 1), before_after)
    y = torch.nn.functional.conv1d(
        padded, W.permute(2, 1, 0).contiguous(), b, part.stride, 0, part.dilation, part.groups
    )
    return y.movedim(1, -1)


def _conv_transpose2d(torch: Any, f: Any, x: Any, twin: "Twin", bound: BoundLayer, train: bool) -> Any:
    """All of the output, of which `same` takes off what is more than in * stride."""
    part: Any = bound.layer
    W, b = _filters(twin, bound)
    kernel, stride, dilation = _pair(part.kernel), _pair(part.stride), _pair(part.dilation)
    spans = [r * (k - 1) + 1 for r, k in zip(dilation, kernel, strict=True)]
    off, more = _margins(part.padding), (part.output_padding,) * 2
    if part.padding == "same":
        off, more = (0, 0), tuple(max(s - span, 0) for s, span in zip(stride, spans, strict=True))  # type: ignore[assignment]
    y = torch.nn.functional.conv_transpose2d(
        x.movedim(-1, 1), W.permute(2, 3, 0, 1).contiguous(), b, stride, off, more, dilation=dilation
    )
    if part.padding == "same":
        high, wide = (max(span - s, 0) // 2 for s, span in zip(stride, spans, strict=True))
        y = y[:, :, high : high + x.shape[1] * stride[0], wide : wide + x.shape[2] * stride[1]]
    return y.movedim(1, -1)


LAYERS: dict[str, Callable[..., Any]] = {
    "conv1d": _conv1d,
    "conv2d": _conv2d,
    "conv_transpose2d": _conv_transpose2d,
    "dense": _dense,
    "dropout": _dropout,
    "gaussian_noise": _gaussian_noise,
    "layer_norm": _layer_norm,
    "batch_norm": _batch_norm,
    "residual": _residual,
    "flatten": lambda torch, f, x, twin, bound, train: torch.flatten(x, 1),
    "reshape": lambda torch, f, x, twin, bound, train: x.reshape(len(x), *bound.plan.y),
    "zero_pad": _zero_pad,
    "upsample": _upsample,
    "max_pool2d": _max_pool2d,
    "avg_pool2d": _avg_pool2d,
    "global_max_pool": _global_max_pool,
    "global_avg_pool": lambda torch, f, x, twin, bound, train: x.flatten(1, -2).mean(1),
    "group_norm": _group_norm,
    "embedding": _embedding,
    "spatial_dropout": _spatial_dropout,
}


def _ids(t: Any) -> Any:
    """Class ids where every row of t is one-hot, else t: PyTorch takes both."""
    return t.argmax(1) if bool(((t == 0) | (t == 1)).all() & (t.sum(1) == 1).all()) else t


def _of_classes(torch: Any, weights: Any) -> Any:
    """Settled class weights as a tensor, or None."""
    return None if weights is None else torch.tensor([w for _, w in weights], dtype=torch.float64)


def _softmax_cross_entropy(torch: Any, part: Any, x: Any, t: Any) -> Any:
    weight = _of_classes(torch, part.class_weights)
    return torch.nn.functional.cross_entropy(x, _ids(t), weight, label_smoothing=part.label_smoothing, reduction="none")


def _focal(torch: Any, part: Any, x: Any, t: Any) -> Any:
    """torchvision has the sigmoid form only; this is the definition, differentiated by autograd."""
    surprise = torch.nn.functional.cross_entropy(x, _ids(t), reduction="none")
    alpha = part.alpha if isinstance(part.alpha, float) else (t * _of_classes(torch, part.alpha)).sum(1)
    return alpha * (1 - torch.exp(-surprise)) ** part.gamma * surprise


def _shortfall(torch: Any, x: Any, t: Any) -> Any:
    return torch.relu(1 - (2 * t - 1) * x)


def _crammer_singer(torch: Any, part: Any, x: Any, t: Any) -> Any:
    """torch's MultiMarginLoss adds up over all rivals; here only the best counts."""
    best = x.masked_fill(t == 1, -torch.inf).max(1).values
    return torch.relu(1 + best - (t * x).sum(1))


LOSSES: dict[str, Callable[[Any, Any, Any, Any], Any]] = {
    "mean_squared_error": lambda torch, part, x, t: torch.nn.functional.mse_loss(x, t, reduction="none").mean(1),
    "squared_error": lambda torch, part, x, t: (
        part.factor * torch.nn.functional.mse_loss(x, t, reduction="none").sum(1)
    ),
    "binary_cross_entropy": lambda torch, part, x, t: torch.nn.functional.binary_cross_entropy_with_logits(
        x, t, reduction="none"
    ).mean(1),
    "softmax_cross_entropy": _softmax_cross_entropy,
    "mean_absolute_error": lambda torch, part, x, t: torch.nn.functional.l1_loss(x, t, reduction="none").mean(1),
    "huber": lambda torch, part, x, t: torch.nn.functional.huber_loss(x, t, reduction="none", delta=part.delta).mean(1),
    "log_cosh": lambda torch, part, x, t: (torch.logaddexp(x - t, t - x) - math.log(2)).mean(1),
    "poisson": lambda torch, part, x, t: torch.nn.functional.poisson_nll_loss(x, t, reduction="none").mean(1),
    "cross_entropy": lambda torch, part, x, t: -torch.xlogy(t, x).sum(1),
    "kl_divergence": lambda torch, part, x, t: torch.nn.functional.kl_div(
        torch.log_softmax(x, 1), t, reduction="none"
    ).sum(1),
    "focal": _focal,
    "hinge": lambda torch, part, x, t: _shortfall(torch, x, t).mean(1),
    "squared_hinge": lambda torch, part, x, t: (_shortfall(torch, x, t) ** 2).mean(1),
    "multiclass_hinge": _crammer_singer,
}
"""The cost of each row."""


PENALTIES: dict[str, Callable[[Any, Any], Any]] = {
    "l2": lambda part, w: part.strength / 2 * (w**2).sum(),
    "l1": lambda part, w: part.strength * w.abs().sum(),
    "elastic_net": lambda part, w: (
        part.strength * (part.l1_ratio * w.abs().sum() + (1 - part.l1_ratio) / 2 * (w**2).sum())
    ),
}


def loss_of(part: Loss, x: Any, t: Array, w: Array | None = None) -> Any:
    """torch's loss of outputs x (a tensor) and targets t, weighted by w where it is given (normalised here)."""
    torch = torch_module()
    targets = torch.tensor(np.array(t))
    rows = LOSSES[part.kind](torch, part, x, targets)
    weights = torch.ones_like(rows) if w is None else torch.tensor(np.array(w))
    classes = _of_classes(torch, getattr(part, "class_weights", None))
    mass = weights if classes is None else weights * (targets * classes).sum(1)
    return (rows * weights).sum() / mass.sum()


class Twin:
    """A network of ours as torch sees it: leaf tensors with the values of the parameters, by their paths, and the
    running statistics, which a training pass moves on."""

    def __init__(self, network: Network) -> None:
        self.torch = torch_module()
        self.network = network
        self.parameters = {path: self._leaf(w) for path, w in network.parameters().items()}
        self.states = {path: self.torch.tensor(np.array(s, dtype=np.float64)) for path, s in network.states.items()}

    def _leaf(self, a: Array) -> Any:
        return self.torch.tensor(np.array(a, dtype=np.float64), requires_grad=True)

    def copy_parameters(self) -> None:
        """Takes over the values of our parameters."""
        with self.torch.no_grad():
            for path, w in self.network.parameters().items():
                self.parameters[path].copy_(self.torch.tensor(np.array(w)))

    def through(self, chain: Chain, x: Any, train: bool) -> Any:
        """The outputs of a chain for inputs x, a tensor."""
        for bound in chain.layers:
            kind = bound.layer.kind
            if kind in ACTIVATIONS:
                x = ACTIVATIONS[kind](self.torch, bound.layer, x)
            else:
                x = LAYERS[kind](self.torch, bound.frame, x, self, bound, train)
        return x

    def forward(self, chain: Chain, train: bool) -> tuple[Any, Any]:
        """Inputs and outputs as tensors, from what stands in the chain's x."""
        x = self._leaf(chain.x)
        return x, self.through(chain, x, train)

    def gradients(self) -> Mapping[str, Array]:
        """What backward() left at every parameter, by path."""
        return {path: p.grad.numpy() for path, p in self.parameters.items() if p.grad is not None}
