"""A training step of PyTorch in every mode worth trying: rows gathered, Adam, relu, softmax cross-entropy.

Each builder takes (torch, data, weights) and returns the step: it learns from one batch of row numbers and returns the
loss as a tensor, which nobody waits for. `weights` are W1, b1, W2, b2 as ours.
"""

from collections.abc import Callable, Sequence
from typing import Any

Step = Callable[[Any], Any]
RATE, BETA1, BETA2, EPS = 1e-3, 0.9, 0.999, 1e-8


def _model(torch: Any, weights: Sequence[Any]) -> Any:
    w1, b1, w2, b2 = weights
    model = torch.nn.Sequential(torch.nn.Linear(*w1.shape), torch.nn.ReLU(), torch.nn.Linear(*w2.shape))
    values = {"0.weight": w1.T, "0.bias": b1, "2.weight": w2.T, "2.bias": b2}
    model.load_state_dict({name: torch.tensor(w.copy()) for name, w in values.items()})
    return model


def modular(torch: Any, x: Any, y: Any, weights: Sequence[Any], compiled: bool = False, **adam: Any) -> Step:
    """nn.Module and torch.optim.Adam, as in every tutorial; `compiled`: forward and loss by torch.compile."""
    model = _model(torch, weights)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, **adam)

    def loss_of(rows: Any) -> Any:
        return torch.nn.functional.cross_entropy(model(x.index_select(0, rows)), y.index_select(0, rows))

    loss_of = torch.compile(loss_of) if compiled else loss_of

    def step(rows: Any) -> Any:
        loss = loss_of(rows)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss

    return step


def raw(torch: Any, x: Any, y: Any, weights: Sequence[Any]) -> Step:
    """addmm and tensors in place of nn.Module; fused Adam."""
    w1, b1, w2, b2 = parameters = [torch.tensor(w.copy(), requires_grad=True) for w in weights]
    optimizer = torch.optim.Adam(parameters, lr=RATE, fused=True)

    def step(rows: Any) -> Any:
        hidden = torch.relu(torch.addmm(b1, x.index_select(0, rows), w1))
        loss = torch.nn.functional.cross_entropy(torch.addmm(b2, hidden, w2), y.index_select(0, rows))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss

    return step


def whole(torch: Any, x: Any, y: Any, weights: Sequence[Any]) -> Step:
    """Forward, backward and optimizer in one torch.compile, fused Adam."""
    model = _model(torch, weights)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)

    @torch.compile
    def step(rows: Any) -> Any:
        loss = torch.nn.functional.cross_entropy(model(x.index_select(0, rows)), y.index_select(0, rows))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss

    return step


def functional(torch: Any, x: Any, y: Any, weights: Sequence[Any]) -> Step:
    """No nn.Module, no torch.optim: Adam written out, gradients by torch.func, all of it in one torch.compile."""
    parameters = [torch.tensor(w.copy()) for w in weights]
    means, squares = ([torch.zeros_like(p) for p in parameters] for _ in range(2))
    time = torch.zeros(())

    def loss_of(parameters: Any, rows: Any) -> Any:
        w1, b1, w2, b2 = parameters
        hidden = torch.relu(torch.addmm(b1, x.index_select(0, rows), w1))
        return torch.nn.functional.cross_entropy(torch.addmm(b2, hidden, w2), y.index_select(0, rows))

    @torch.compile
    def step(rows: Any) -> Any:
        gradients, loss = torch.func.grad_and_value(loss_of)(parameters, rows)
        time.add_(1)
        rate, root = RATE / (1 - BETA1**time), (1 - BETA2**time).sqrt()
        for p, m, v, g in zip(parameters, means, squares, gradients, strict=True):
            m.lerp_(g, 1 - BETA1)
            v.mul_(BETA2).addcmul_(g, g, value=1 - BETA2)
            p.sub_(rate * m / (v.sqrt() / root + EPS))
        return loss

    return step


MODES: dict[str, Callable[..., Step]] = {
    "eager": modular,
    "eager, foreach Adam": lambda *a: modular(*a, foreach=True),
    "eager, fused Adam": lambda *a: modular(*a, fused=True),
    "eager, no modules, fused Adam": raw,
    "compiled loss": lambda *a: modular(*a, compiled=True),
    "compiled loss, fused Adam": lambda *a: modular(*a, compiled=True, fused=True),
    "compiled step, fused Adam": whole,
}
BY_HAND = "compiled step written by hand"
