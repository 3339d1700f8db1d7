"""PyTorch as a peer of every part, in float64; whole trainings are in test_training.py.

The peers are named in torch_twin.py and in the tables below. A part that is named nowhere is listed as skipped at the
end: the laws prove it against its own equations, and nobody else has confirmed those.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from registry import good
from torch_schedules import PEERS as SCHEDULES
from torch_twin import ACTIVATIONS, LAYERS, LOSSES, PENALTIES, Twin, loss_of, torch_module

from bpcli.family import Activation, Clipper, Layer, Loss, Optimizer, Regularizer, Schedule
from bpcli.family.part import Part
from bpcli.family.plan import Array, Frame, Sample
from bpcli.studies.witness.cases import LayerCase, LossCase

TIGHT = 1e-12
GOOD = dict(good())


def close(ours: Any, theirs: Any, tolerance: float = TIGHT) -> None:
    """Equal to `tolerance`, of an entry or of the largest one where entries cancel."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape
    size = float(np.abs(theirs).max()) if theirs.size else 0.0
    assert np.isfinite(theirs).all()
    assert np.allclose(ours, theirs, rtol=tolerance, atol=tolerance * min(size, 1.0)), float(
        np.abs(ours - theirs).max()
    )


# --------------------------------------------------------------------------------------------------------- one part
LAYER_SAMPLES = {k: s for k, s in GOOD.items() if isinstance(s.part, Layer) and s.part.kind in ACTIVATIONS | LAYERS}
LOSS_SAMPLES = {k: s for k, s in GOOD.items() if isinstance(s.part, Loss) and s.part.kind in LOSSES}
EXTREME = [0.0, -0.0, 1e-300, -1e-300, 1e-17, -1e-9, 1e-4, -0.3, 0.75, 2.0, -5.9, 6.1, -8.3, 19.9, -20.1, 36.0, -37.0,
           80.0, -80.0, 300.0, -300.0, 700.0, -700.0, 800.0, -800.0]  # fmt: skip


@pytest.mark.peers
@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("sample", LAYER_SAMPLES.values(), ids=LAYER_SAMPLES)
def test_layers(sample: Sample, train: bool) -> None:
    """Outputs, dx, and the gradient of everything learned, inside containers too, at the samples of the laws."""
    for seed in range(3):
        case = LayerCase(sample, train, seed=seed)
        found = case.kernel()
        twin = Twin(case.network)
        x, y = twin.forward(case.chain, train)
        (y * twin.torch.tensor(case.upstream)).sum().backward()
        close(found["y"], y.detach().numpy())
        close(found["dx"], x.grad.numpy())
        theirs = twin.gradients()
        assert set(theirs) == set(case.network.gradients())
        for path, g in case.network.gradients().items():
            close(g, theirs[path])


@pytest.mark.peers
@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_activations_at_extreme_points(kind: str) -> None:
    """From the smallest to where careless formulas overflow, entry by entry; the slope at a kink is torch's."""
    points = np.array(EXTREME).reshape(-1, 1 if kind != "softmax" else 5)
    case = LayerCase(Sample(Activation.parse(kind), points.shape[1:], batch=len(points), inputs={"x": points}), True)
    found = case.kernel()
    twin = Twin(case.network)
    x, y = twin.forward(case.chain, True)
    (y * twin.torch.tensor(case.upstream)).sum().backward()
    for ours, theirs in ((found["y"], y.detach().numpy()), (found["dx"], x.grad.numpy())):
        assert np.allclose(ours, theirs, rtol=TIGHT, atol=1e-16)


@pytest.mark.peers
@pytest.mark.parametrize("sample", LOSS_SAMPLES.values(), ids=LOSS_SAMPLES)
def test_losses(sample: Sample) -> None:
    """Value and gradient, weighted and not, at the samples of the laws, huge ones among them."""
    torch = torch_module()
    for seed in range(3):
        case = LossCase(sample, seed=seed)
        found, f = case.kernel(), case.frame
        x = torch.tensor(np.array(f.x), requires_grad=True)
        loss = loss_of(sample.part, x, f.t, f.w)
        loss.backward()
        close(found["L"], loss.item())
        close(found["dx"], x.grad.numpy())


@pytest.mark.peers
@pytest.mark.parametrize("kind", LOSSES)
def test_losses_on_wide_rows(kind: str) -> None:
    """100 rows of 10 outputs, the largest 50 wide; class ids as torch takes them."""
    torch = torch_module()
    rng = np.random.default_rng(3)
    part = Loss.parse(kind)
    ids = rng.integers(0, 10, 100)
    t = np.eye(10)[ids] if part.targets == "classes" else rng.uniform(size=(100, 10))
    z = rng.normal(size=(100, 10)) * np.exp(rng.uniform(-3, 3, (100, 1)))
    if part.link == "probabilities":
        z = torch.softmax(torch.tensor(z), 1).numpy()
    case = LossCase(Sample(part, (10,), batch=100, inputs={"x": z, "t": t}))
    found = case.kernel()
    x = torch.tensor(z, requires_grad=True)
    loss = loss_of(part, x, t)
    loss.backward()
    close(found["L"], loss.item())
    close(found["dx"], x.grad.numpy())


# --------------------------------------------------------------------------------------- optimizers, on one sequence
STEPS, SIZE = 100, 40


def sequence() -> Iterator[Array]:
    """Gradients of all sizes, zeros among them, and columns that fall asleep."""
    rng = np.random.default_rng(11)
    scale = 10.0 ** rng.uniform(-6, 3, SIZE)
    for k in range(STEPS):
        g = rng.normal(size=SIZE) * scale * np.exp(rng.normal(size=SIZE))
        g[rng.uniform(size=SIZE) < 0.1] = 0
        if k > STEPS // 3:
            g[:5] = 0
        yield g


OPTIMIZERS: dict[str, list[tuple[dict[str, Any], Callable[[Any, Any], Any]]]] = {
    "sgd": [
        ({"learning_rate": 0.1}, lambda torch, w: torch.optim.SGD(w, lr=0.1)),
    ],
    "momentum": [
        ({}, lambda torch, w: torch.optim.SGD(w, lr=0.01, momentum=0.9)),
        ({"learning_rate": 0.3, "mu": 0.5}, lambda torch, w: torch.optim.SGD(w, lr=0.3, momentum=0.5)),
        ({"mu": 0.0}, lambda torch, w: torch.optim.SGD(w, lr=0.01)),
    ],
    "adam": [
        ({}, lambda torch, w: torch.optim.Adam(w)),
        ({"learning_rate": 0.3, "beta1": 0.5, "beta2": 0.9, "eps": 1e-3},
         lambda torch, w: torch.optim.Adam(w, lr=0.3, betas=(0.5, 0.9), eps=1e-3)),
        ({"beta1": 0.0}, lambda torch, w: torch.optim.Adam(w, betas=(0.0, 0.999))),
        ({"beta1": 0.0, "beta2": 0.0}, lambda torch, w: torch.optim.Adam(w, betas=(0.0, 0.0))),
        ({"amsgrad": True, "beta2": 0.9}, lambda torch, w: torch.optim.Adam(w, betas=(0.9, 0.9), amsgrad=True)),
    ],
    "nesterov": [
        ({}, lambda torch, w: torch.optim.SGD(w, lr=0.01, momentum=0.9, nesterov=True)),
        ({"learning_rate": 0.3, "mu": 0.5}, lambda torch, w: torch.optim.SGD(w, lr=0.3, momentum=0.5, nesterov=True)),
    ],
    "adagrad": [
        ({}, lambda torch, w: torch.optim.Adagrad(w)),
        ({"learning_rate": 0.3, "eps": 1e-3}, lambda torch, w: torch.optim.Adagrad(w, lr=0.3, eps=1e-3)),
    ],
    "adadelta": [
        ({}, lambda torch, w: torch.optim.Adadelta(w)),
        ({"learning_rate": 0.3, "rho": 0.5, "eps": 1e-3},
         lambda torch, w: torch.optim.Adadelta(w, lr=0.3, rho=0.5, eps=1e-3)),
    ],
    "rmsprop": [
        ({}, lambda torch, w: torch.optim.RMSprop(w)),
        ({"momentum": 0.9}, lambda torch, w: torch.optim.RMSprop(w, momentum=0.9)),
        ({"centered": True, "alpha": 0.9}, lambda torch, w: torch.optim.RMSprop(w, alpha=0.9, centered=True)),
        ({"centered": True, "momentum": 0.5, "alpha": 0.5, "eps": 1e-3},
         lambda torch, w: torch.optim.RMSprop(w, alpha=0.5, eps=1e-3, momentum=0.5, centered=True)),
    ],
    "adamw": [
        ({}, lambda torch, w: torch.optim.AdamW(w)),
        ({"learning_rate": 0.3, "beta1": 0.5, "decay": 0.7},
         lambda torch, w: torch.optim.AdamW(w, lr=0.3, betas=(0.5, 0.999), weight_decay=0.7)),
    ],
    "nadam": [
        ({}, lambda torch, w: torch.optim.NAdam(w)),
        ({"learning_rate": 0.3, "beta1": 0.5, "beta2": 0.9, "psi": 1.0, "eps": 1e-3},
         lambda torch, w: torch.optim.NAdam(w, lr=0.3, betas=(0.5, 0.9), momentum_decay=1.0, eps=1e-3)),
        ({"psi": 0.0}, lambda torch, w: torch.optim.NAdam(w, momentum_decay=0.0)),
    ],
    "adamax": [
        ({}, lambda torch, w: torch.optim.Adamax(w)),
        ({"learning_rate": 0.3, "beta1": 0.5, "beta2": 0.9, "eps": 1e-3},
         lambda torch, w: torch.optim.Adamax(w, lr=0.3, betas=(0.5, 0.9), eps=1e-3)),
    ],
    "radam": [
        ({}, lambda torch, w: torch.optim.RAdam(w)),
        ({"learning_rate": 0.3, "beta1": 0.5, "beta2": 0.9, "eps": 1e-3},
         lambda torch, w: torch.optim.RAdam(w, lr=0.3, betas=(0.5, 0.9), eps=1e-3)),
    ],
}  # fmt: skip
RUNS = [(kind, ours, theirs) for kind, runs in OPTIMIZERS.items() for ours, theirs in runs]


class Alone:
    """An optimizer of ours over SIZE weights, without a network."""

    def __init__(self, part: Optimizer) -> None:
        self.part, self.t = part, 0
        self.frame = Frame(x=np.zeros(0), y=np.zeros(0), dx=None, dy=np.zeros(0), D=SIZE)
        self.frame.w = np.random.default_rng(1).normal(size=SIZE)
        for slot in (*part.slots, *part.scratch):
            setattr(self.frame, slot, np.zeros(SIZE))

    def step(self, g: Array, total: int = STEPS) -> None:
        self.frame.g = g.copy()
        self.t += 1
        self.part.update(self.frame, self.part.learning_rate.at(self.t - 1, total), self.t)


@pytest.mark.peers
@pytest.mark.parametrize(("kind", "options", "peer"), RUNS, ids=[f"{k} {o}" for k, o, _ in RUNS])
def test_optimizers(kind: str, options: dict[str, Any], peer: Callable[[Any, Any], Any]) -> None:
    torch = torch_module()
    ours = Alone(Optimizer.parse({"type": kind, **options}))
    w = torch.tensor(ours.frame.w).clone().requires_grad_()
    theirs = peer(torch, [w])
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # NAdam keeps the product of its momenta in the default type
    try:
        for g in sequence():
            ours.step(g)
            w.grad = torch.tensor(g)
            theirs.step()
            assert np.allclose(ours.frame.w, w.detach().numpy(), rtol=TIGHT, atol=TIGHT)
    finally:
        torch.set_default_dtype(usual)
    assert np.abs(ours.frame.w - Alone(ours.part).frame.w).max() > 1e-3, "they went somewhere"


@pytest.mark.peers
@pytest.mark.parametrize("options", [{}, {"learning_rate": 0.1, "shrink": 0.3, "grow": 1.5, "max_step": 0.4}])
def test_rprop_step_by_step(options: dict[str, Any]) -> None:
    """Each step from torch's state: where a sign is decided by rounding two correct programs part ways."""
    torch = torch_module()
    ours = Alone(Optimizer.parse({"type": "rprop", **options}))
    part: Any = ours.part
    w = torch.tensor(ours.frame.w).clone().requires_grad_()
    lr, etas, limits = part.learning_rate.value, (part.shrink, part.grow), (part.min_step, part.max_step)
    theirs = torch.optim.Rprop([w], lr=lr, etas=etas, step_sizes=limits)
    for g in sequence():
        w.grad = torch.tensor(g)
        theirs.step()
        ours.step(g)
        state = theirs.state[w]
        close(ours.frame.w, w.detach().numpy())
        close(ours.frame.s, state["step_size"].numpy())
        close(ours.frame.p, np.sign(state["prev"].numpy()))
        ours.frame.w[...] = w.detach().numpy()
        ours.frame.s[...] = state["step_size"].numpy()


@pytest.mark.parametrize(("lr", "beta1", "beta2"), [(1e-4, 0.9, 0.99), (0.1, 0.3, 0.7), (0.1, 0.0, 0.0)])
def test_lion_step_by_step(lr: float, beta1: float, beta2: float) -> None:
    """torch has none; as its authors' program: c = interpolate(m, g), w -= lr sign(c), m = interpolate(m, g)."""
    ours = Alone(Optimizer.parse({"type": "lion", "learning_rate": lr, "beta1": beta1, "beta2": beta2}))
    w, m = ours.frame.w.copy(), np.zeros(SIZE)
    for g in sequence():
        ours.step(g)
        w = w - lr * np.sign(beta1 * m + (1 - beta1) * g)
        m = beta2 * m + (1 - beta2) * g
        close(ours.frame.w, w)
        close(ours.frame.m, m)
        ours.frame.w[...], ours.frame.m[...] = w, m


@pytest.mark.peers
@pytest.mark.parametrize(("start", "end"), [(0.1, 0.0), (3e-3, 1e-4), (1.0, 0.5)])
@pytest.mark.parametrize("total", [1, 7, 100])
def test_cosine(start: float, end: float, total: int) -> None:
    """CosineAnnealingLR, stepped once a step."""
    torch = torch_module()
    ours = Schedule.parse({"type": "cosine", "start": start, "end": end})
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=start)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=total, eta_min=end)
    for k in range(total + 1):
        assert math.isclose(ours.at(k, total), optimizer.param_groups[0]["lr"], rel_tol=0, abs_tol=TIGHT * start)
        optimizer.step()
        theirs.step()


@pytest.mark.peers
def test_momentum_on_a_cosine() -> None:
    torch = torch_module()
    ours = Alone(Optimizer.parse({"type": "momentum", "learning_rate": {"type": "cosine", "start": 0.2}}))
    w = torch.tensor(ours.frame.w).clone().requires_grad_()
    optimizer = torch.optim.SGD([w], lr=0.2, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=STEPS)
    for g in sequence():
        ours.step(g)
        w.grad = torch.tensor(g)
        optimizer.step()
        schedule.step()
    assert np.allclose(ours.frame.w, w.detach().numpy(), rtol=1e-11, atol=1e-11)


# ---------------------------------------------------------------------------------------------- clipping, by hand
def by_global_norm(pieces: list[Array], limit: float) -> list[Array]:
    """Without the 1e-6 that torch adds to the norm."""
    norm = math.sqrt(math.fsum(float(v) ** 2 for g in pieces for v in g.ravel()))
    return [g * min(1.0, limit / norm) if norm else g for g in pieces]


CLIPPERS: dict[str, tuple[str, Callable[[list[Array], float], list[Array]]]] = {
    "value": ("limit", lambda pieces, limit: [np.clip(g, -limit, limit) for g in pieces]),
    "global_norm": ("max_norm", by_global_norm),
}


def clipped(kind: str, key: str, limit: float, pieces: list[Array]) -> tuple[list[Array], float]:
    """What our clipper makes of these tensors, and the factor it reports."""
    flat = np.concatenate([g.ravel() for g in pieces])
    f = Frame(x=flat[:0], y=flat[:0], dx=None, dy=flat[:0], g=flat, norm=math.sqrt(float(np.dot(flat, flat))))
    factor = Clipper.parse({"type": kind, key: limit}).clip(f)
    offsets = np.cumsum([g.size for g in pieces])[:-1]
    return [part.reshape(g.shape) for part, g in zip(np.split(flat, offsets), pieces, strict=True)], factor


@pytest.mark.parametrize("kind", ["value", "global_norm"])
@pytest.mark.parametrize("limit", [1e-9, 0.1, 1.0, 3.0, 1e9])
def test_clippers_by_hand(kind: str, limit: float) -> None:
    rng = np.random.default_rng(6)
    key, expected = CLIPPERS[kind]
    for scale in (1e-12, 1.0, 1e6):
        pieces = [rng.normal(size=shape) * scale for shape in ((4, 3), (3,), (3, 2), (2,))]
        ours, factor = clipped(kind, key, limit, pieces)
        theirs = expected(pieces, limit)
        for a, b in zip(ours, theirs, strict=True):
            close(a, b)
        before, after = (math.sqrt(sum(float((g**2).sum()) for g in gs)) for gs in (pieces, theirs))
        assert math.isclose(factor, after / before, rel_tol=1e-7)
        assert (factor == 1) == (all(np.array_equal(a, b) for a, b in zip(pieces, theirs, strict=True)))


@pytest.mark.peers
@pytest.mark.parametrize("limit", [0.1, 1.0, 3.0, 50.0])
def test_clippers(limit: float) -> None:
    """torch's own functions; its norm clipping differs by the 1e-6 in its divisor, and by that alone."""
    torch = torch_module()
    rng = np.random.default_rng(6)
    pieces = [rng.normal(size=shape) for shape in ((4, 3), (3,), (3, 2), (2,))]
    tensors = [torch.zeros(g.shape, dtype=torch.float64, requires_grad=True) for g in pieces]

    def refill() -> None:
        for p, g in zip(tensors, pieces, strict=True):
            p.grad = torch.tensor(g)

    refill()
    torch.nn.utils.clip_grad_value_(tensors, limit)
    for a, p in zip(clipped("value", "limit", limit, pieces)[0], tensors, strict=True):
        close(a, p.grad.numpy())
    refill()
    norm = float(torch.nn.utils.clip_grad_norm_(tensors, limit))
    off = (norm + 1e-6) / norm if norm > limit else 1.0
    for a, p in zip(clipped("global_norm", "max_norm", limit, pieces)[0], tensors, strict=True):
        close(a, p.grad.numpy() * off)


# ------------------------------------------------------------------------------------------------- who has no peer
PEERS: dict[type[Part], set[str]] = {
    Layer: {*ACTIVATIONS, *LAYERS},
    Loss: {*LOSSES},
    Regularizer: {*PENALTIES},
    Clipper: {*CLIPPERS, "norm"},  # norm: tests/parts/test_clippers.py
    Optimizer: {*OPTIMIZERS, "rprop", "lion", "lbfgs", "levenberg_marquardt"},  # the last: test_full_batch.py
    Schedule: {"constant", *(ours["type"] for ours, _ in SCHEDULES), "plateau"},
}


ALONE: dict[type[Part], set[str]] = {
    Clipper: {"adaptive", "percentile", "zscore"},
    Layer: {"formula"}, Loss: {"formula"}, Regularizer: {"formula"},
}  # fmt: skip
"""Parts that PyTorch does not have: the laws and the papers' own formulas are their witnesses, and of what a file
states parts that are built in (tests/parts/test_formula.py)."""


@pytest.mark.peers
@pytest.mark.parametrize("family", PEERS)
def test_every_part_has_a_peer_or_is_known_to_have_none(family: type[Part]) -> None:
    assert PEERS[family] & ALONE.get(family, set()) == set()
    own = {kind for kind, leaf in family.registry.items() if leaf.__module__.startswith("bpcli.")}
    assert own <= PEERS[family] | ALONE.get(family, set())
