"""What rounding does to a gradient: layers and whole networks with every number on the way off by a little, by chance,
as `witness/program_rounding` does it for equations."""

import numpy as np

from bpcli.engine.network import BoundLayer
from bpcli.engine.objective import Batch, Objective
from bpcli.family.plan import Array
from bpcli.studies.gradcheck.forward_equations import has_equations, loss_program
from bpcli.studies.witness.cases import engine_arrays, equation_env, layer_program
from bpcli.studies.witness.program_rounding import COARSE_EPS, N_RUNS, Rng, RoundingScale, rounding_scale, with_noise
from bpcli.studies.witness.witness import max_abs


def layer_rounding_scale(bound: BoundLayer, train: bool, rng: Rng) -> RoundingScale:
    """Returns that of a layer's equations where it stands; that of its kernels where it has no equations. What the
    layers inside add to its y and dx is in these, and `inside` is the sum of it."""
    if has_equations(bound, train):
        found = dict(rounding_scale(layer_program(bound, train), equation_env(bound), rng))
    else:
        found = dict(_kernel_rounding_scale(bound, train, rng))
    for chain in bound.inside.values():
        for inner in chain.walk():
            for name, value in layer_rounding_scale(inner, train, rng).items():
                for sum_ in (name, "inside") if name in ("y", "dx") else ():
                    found[sum_] = found.get(sum_, 0.0) + value
    return found


def _kernel_rounding_scale(bound: BoundLayer, train: bool, rng: Rng) -> RoundingScale:
    """Returns how far what a layer's kernels compute moves, at most, where all that they read is off by COARSE_EPS of
    its largest entry. What they compute on the way is not known: slopes may be differences of terms of size 1."""
    f, plan = bound.frame, bound.plan
    reads = [getattr(f, name) for name in ("x", "dy", *plan.params)]
    before, moved = [a.copy() for a in reads], []
    for run in range(N_RUNS + 1):  # the first as it is
        for a, value in zip(reads, before, strict=True):
            np.copyto(a, with_noise(value, rng, max_abs(value)) if run else value)
        bound.layer.forward(f, train)
        bound.layer.backward(f, train)
        moved.append(engine_arrays(bound))
    for a, value in zip(reads, before, strict=True):
        np.copyto(a, value)
    bound.layer.forward(f, train)
    found = {name: max(max_abs(run[name] - value) for run in moved[1:]) for name, value in moved[0].items()}
    return found | {name: found[name] + COARSE_EPS * max_abs(f.dy) for name in ("dx",) if name in found}


class NetworkRounding:
    """What rounding does to the whole network as it stands, after a pass forward and backward: how far off its loss
    and the gradients may be, by parameter path and as `x`."""

    def __init__(self, objective: Objective, batch: Batch, rng: Rng, weights: bool = False) -> None:
        self.objective, self.batch, self.rng = objective, batch, rng
        self.rounding_scales = {bound.path: layer_rounding_scale(bound, True, rng) for bound in batch.chain.layers}
        self.of_loss = self._loss_rounding_scale()
        theta, grad, dx = objective.theta.copy(), objective.grad, batch.chain.dx
        loss = batch.forward(True)
        batch.backward(True)
        np.copyto(objective.theta, theta)
        base = grad.copy()
        base_dx = None if dx is None else dx.copy()
        layout = objective.network.network_plan.layout
        self.gradient = {e.path: 0.0 for e in layout} | {"x": 0.0}
        self.loss = self.of_loss.get("L", 0.0)
        for _ in range(N_RUNS):
            self.loss = max(self.loss, abs(self._run(weights) - loss))
            for e in layout:
                self.gradient[e.path] = max(self.gradient[e.path], max_abs(grad[e.where] - base[e.where]))
            if dx is not None:
                self.gradient["x"] = max(self.gradient["x"], max_abs(dx - base_dx))
        for bound in batch.chain.layers:
            for inner in (k for chain in bound.inside.values() for k in chain.walk()):
                own = layer_rounding_scale(inner, True, rng)
                for name in inner.plan.params:
                    self.gradient[f"{inner.path}.{name}"] += own.get(f"d{name}", 0.0)
        batch.forward(True)

    def _loss_rounding_scale(self) -> RoundingScale:
        """Returns that of the loss's equations; without them, that of slopes that are differences of terms of size
        1 in a mean over the rows."""
        if self.objective.loss.equations(False):
            env, program = loss_program(self.objective, self.batch)
            return rounding_scale(program, env, self.rng)
        weights = self.batch.frame.w
        return {"dx": COARSE_EPS * (1 / self.batch.n if weights is None else max_abs(weights))}

    def _run(self, weights: bool) -> float:
        """Returns the loss, with its gradients in place, of a pass in which what layers hand each other is off."""
        objective, batch = self.objective, self.batch
        theta, inputs = objective.theta.copy(), batch.x.copy()
        if weights:
            objective.theta *= 1 + COARSE_EPS * self.rng.uniform(-1, 1, theta.shape)
        np.copyto(batch.x, with_noise(batch.x, self.rng))
        for bound in batch.chain.layers:
            bound.layer.forward(bound.frame, True)
            self._disturb(bound.frame.y, self.rounding_scales[bound.path].get("y", 0.0))
        loss = float(objective.loss.forward(batch.frame))
        objective.loss.backward(batch.frame)
        self._disturb(batch.frame.dx, self.of_loss.get("dx", 0.0))
        for bound in reversed(batch.chain.layers):
            bound.layer.backward(bound.frame, True)
            if bound.frame.dx is not None:
                self._disturb(bound.frame.dx, self.rounding_scales[bound.path].get("dx", 0.0))
        np.copyto(batch.x, inputs)
        np.copyto(objective.theta, theta)
        return loss

    def _disturb(self, a: Array, more: float) -> None:
        if not (a == np.rint(a)).all():
            a += (COARSE_EPS * np.abs(a) + more) * self.rng.uniform(-1, 1, a.shape)
