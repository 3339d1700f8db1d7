"""PyTorch's opinion of a network of ours: the same layers on the same numbers, differentiated by autograd.

torch is imported where it is used, so that tests which do not need it run without it.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.engine.network import Chain, Link, Network
from bpcli.family import Loss
from bpcli.plan import Array


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
}


def _dense(torch: Any, f: Any, x: Any, twin: "Twin", link: Link, train: bool) -> Any:
    y = x @ twin.parameters[f"{link.path}.W"]
    return y + twin.parameters[f"{link.path}.b"] if "b" in link.node.plan.params else y


def _dropout(torch: Any, f: Any, x: Any, twin: "Twin", link: Link, train: bool) -> Any:
    """torch draws its own mask; so ours is taken, and what is compared is what is done with it."""
    kept = torch.tensor(np.array(f.u)) >= np.float32(link.layer.rate)  # type: ignore[attr-defined]
    return x * kept / (1 - link.layer.rate) if train else x  # type: ignore[attr-defined]


def _residual(torch: Any, f: Any, x: Any, twin: "Twin", link: Link, train: bool) -> Any:
    return x + twin.through(link.inside["branch"], x, train)


LAYERS: dict[str, Callable[..., Any]] = {
    "dense": _dense,
    "dropout": _dropout,
    "residual": _residual,
    "flatten": lambda torch, f, x, twin, link, train: torch.flatten(x, 1),
}

LOSSES: dict[str, Callable[[Any, Any, Any, Any], Any]] = {
    "mean_squared_error": lambda torch, part, x, t: torch.nn.functional.mse_loss(x, t, reduction="none").mean(1),
    "squared_error": lambda torch, part, x, t: (
        part.factor * torch.nn.functional.mse_loss(x, t, reduction="none").sum(1)
    ),
    "binary_cross_entropy": lambda torch, part, x, t: torch.nn.functional.binary_cross_entropy_with_logits(
        x, t, reduction="none"
    ).mean(1),
    "softmax_cross_entropy": lambda torch, part, x, t: torch.nn.functional.cross_entropy(x, t, reduction="none"),
}
"""The cost of each row."""


PENALTIES: dict[str, Callable[[Any, Any], Any]] = {"l2": lambda part, w: part.strength / 2 * (w**2).sum()}


def loss_of(part: Loss, x: Any, t: Array, w: Array | None = None) -> Any:
    """torch's loss of outputs x (a tensor) and targets t, weighted by w where it is given (normalised here)."""
    torch = torch_module()
    rows = LOSSES[part.kind](torch, part, x, torch.tensor(np.array(t)))
    if w is None:
        return rows.mean()
    weights = torch.tensor(np.array(w))
    return (rows * weights).sum() / weights.sum()


class Twin:
    """A network of ours as torch sees it: leaf tensors with the values of the parameters, by their paths."""

    def __init__(self, network: Network) -> None:
        self.torch = torch_module()
        self.network = network
        self.parameters = {path: self._leaf(w) for path, w in network.parameters().items()}

    def _leaf(self, a: Array) -> Any:
        return self.torch.tensor(np.array(a, dtype=np.float64), requires_grad=True)

    def copy_parameters(self) -> None:
        """Takes over the values of our parameters."""
        with self.torch.no_grad():
            for path, w in self.network.parameters().items():
                self.parameters[path].copy_(self.torch.tensor(np.array(w)))

    def through(self, chain: Chain, x: Any, train: bool) -> Any:
        """The outputs of a chain for inputs x, a tensor."""
        for link in chain.links:
            kind = link.layer.kind
            if kind in ACTIVATIONS:
                x = ACTIVATIONS[kind](self.torch, link.layer, x)
            else:
                x = LAYERS[kind](self.torch, link.frame, x, self, link, train)
        return x

    def forward(self, chain: Chain, train: bool) -> tuple[Any, Any]:
        """Inputs and outputs as tensors, from what stands in the chain's x."""
        x = self._leaf(chain.x)
        return x, self.through(chain, x, train)

    def gradients(self) -> Mapping[str, Array]:
        """What backward() left at every parameter, by path."""
        return {path: p.grad.numpy() for path, p in self.parameters.items() if p.grad is not None}
