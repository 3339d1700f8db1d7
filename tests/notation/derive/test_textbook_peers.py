"""Derivations of textbooks beside torch: its functions, and its gradients of them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from textbook_derivations import TEXTBOOK, Textbook, textbook_numbers

from bpcli.notation import Eq, compile_equations
from bpcli.notation.derive.backward import derive_backward
from bpcli.notation.syntax import parse
from bpcli.studies.describe.typed import formula
from bpcli.studies.witness.witness import max_abs

torch: Any = None  # imported by the tests that are run
F: Any = None
Tensors = dict[str, Any]


def gru(v: Tensors) -> Any:
    z, r = torch.sigmoid(v["a"]), torch.sigmoid(v["b"])
    return z * v["s"] + (1 - z) * torch.tanh(v["p"] + r * v["q"])


def lstm(v: Tensors) -> Any:
    gates = torch.cat([v["p"], v["q"], v["s"], v["r"]], dim=1)
    size = v["d"].shape[1]
    one, none = torch.eye(4 * size, dtype=gates.dtype), torch.zeros(4 * size, size, dtype=gates.dtype)
    return torch.lstm_cell(gates, (torch.zeros_like(v["d"]), v["d"]), one, none)[0]


def batch_norm(v: Tensors) -> Any:
    return F.batch_norm(v["x"], None, None, v["gamma"], v["beta"], training=True, eps=float(v["eps"]))


def layer_norm(v: Tensors) -> Any:
    return F.layer_norm(v["x"], v["x"].shape[1:], v["gamma"], v["beta"], float(v["eps"]))


def attention(v: Tensors) -> Any:
    return F.scaled_dot_product_attention(v["Q"], v["K"], v["V"], scale=float(v["D"]) ** -0.5)


def triplet(v: Tensors) -> Any:
    far = ((v["a"] - v["p"]) ** 2).sum(1) - ((v["a"] - v["q"]) ** 2).sum(1) + v["margin"]
    return F.relu(far).sum()


def gaussian(v: Tensors) -> Any:
    return -F.gaussian_nll_loss(v["mu"].expand_as(v["x"]), v["x"], v["var"].expand_as(v["x"]), reduction="sum")


def divergence(v: Tensors) -> Any:
    normal, s = torch.distributions.Normal, v["s"]
    return torch.distributions.kl_divergence(normal(v["mu"], s), normal(0 * s, 0 * s + 1)).sum()


def perceptron(v: Tensors) -> Any:
    return ((torch.tanh(v["x"] @ v["V"]) @ v["W"] - v["t"]) ** 2).sum() / 2


PEERS: dict[str, Callable[[Tensors], Any]] = {
    "linear regression": lambda v: F.mse_loss(v["x"] @ v["w"], v["t"], reduction="sum") / 2,
    "ridge regression": lambda v: F.mse_loss(v["x"] @ v["w"], v["t"], reduction="sum") + v["decay"] * (v["w"] @ v["w"]),
    "logistic regression": lambda v: F.binary_cross_entropy_with_logits(v["x"] @ v["w"], v["t"], reduction="sum"),
    "softmax": lambda v: torch.softmax(v["z"], 1),
    "softmax and cross-entropy": lambda v: -(v["t"] * F.log_softmax(v["z"], 1)).sum(),
    "two-layer perceptron": perceptron,
    "batch normalization": batch_norm,
    "layer normalization": layer_norm,
    "root mean square normalization": lambda v: F.rms_norm(v["x"], v["x"].shape[1:], v["g"], float(v["eps"])),
    "scaled dot-product attention": attention,
    "gated recurrent unit": gru,
    "long short-term memory": lstm,
    "recurrent step": lambda v: torch.tanh(v["b"] + v["g"] @ v["W"] + v["x"] @ v["U"]),
    "triplet loss": triplet,
    "cosine similarity": lambda v: F.cosine_similarity(v["a"], v["b"], dim=0),
    "Gaussian log-likelihood": gaussian,
    "divergence of a variational autoencoder": divergence,
    "bilinear form": lambda v: v["x"] @ v["A"] @ v["x"],
    "log-sum-exp": lambda v: torch.logsumexp(v["x"], 0),
    "hinge loss": lambda v: F.relu(1 - v["t"] * (v["x"] @ v["w"])).mean(),
    "swish": lambda v: v["x"] * torch.sigmoid(v["beta"] * v["x"]),
    "convolution": lambda v: F.conv1d(v["x"].transpose(1, 2), v["K"].permute(2, 1, 0)).transpose(1, 2),
}


@pytest.fixture(autouse=True)
def imported() -> None:
    global torch, F
    torch = pytest.importorskip("torch")
    F = torch.nn.functional


@pytest.mark.peers
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("book", TEXTBOOK, ids=lambda book: book.name)
def test_torch_has_the_same_function_and_the_same_gradients(book: Textbook, seed: int) -> None:
    forward: list[Eq] = [formula(text) for text in book.forward]
    found = derive_backward(forward, book.by or None)
    output = parse(forward[-1]).name
    env, arriving = textbook_numbers(book, seed)
    known = {**env, f"d{output}": arriving} if arriving.ndim else env
    shapes = {f"d{name}": np.shape(env[name]) for name in found.by}
    values = compile_equations([*forward, *found.equations], known, shapes).run(known)
    tensors = {name: torch.tensor(value, dtype=torch.float64) for name, value in env.items()}
    for name in found.by:
        tensors[name].requires_grad_()
    y = PEERS[book.name](tensors)
    assert max_abs(y.detach().numpy() - values[output]) <= 1e-12 * max(1, max_abs(values[output]))
    y.backward(torch.tensor(arriving, dtype=torch.float64))
    for name in found.by:
        wanted = tensors[name].grad.numpy()
        assert max_abs(values[f"d{name}"] - wanted) <= 1e-12 * max(max_abs(wanted), 1e-3), name
