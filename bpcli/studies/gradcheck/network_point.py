"""The whole objective, penalties included: every gradient of a training step, as the optimizer gets it."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np

from bpcli.engine.network import BoundLayer
from bpcli.engine.objective import Batch, Objective
from bpcli.family.plan import Array
from bpcli.numeric.streams import Stream
from bpcli.studies.gradcheck.forward_equations import ObjectiveEquations, has_equations
from bpcli.studies.gradcheck.layer_point import tokens_of
from bpcli.studies.gradcheck.rounding import NetworkRounding
from bpcli.studies.witness.evidence import CheckedGradient
from bpcli.studies.witness.kinks import Outputs
from bpcli.studies.witness.program_rounding import COARSE_EPS, TO_FLOAT64
from bpcli.studies.witness.witness import max_abs


class NetworkPoint:
    """A network with its rows and weights as they stand, after one pass forward and backward in training."""

    def __init__(self, objective: Objective, batch: Batch, name: str) -> None:
        self.objective, self.batch, self.name = objective, batch, name
        self.bound_layers = batch.chain.layers
        self.rng = Stream(0, "gradcheck", f"shake {name}").at()
        objective.network.draw(batch.chain, 0)
        self.loss = self.evaluate()
        self.moved_weights = self._backward()
        self.finite = bool(np.isfinite(self.loss) and np.isfinite(batch.frame.dx).all())
        self.kernel = {path: g.copy() for path, g in objective.network.gradients().items()}
        self.dx = batch.chain.dx.copy() if batch.chain.dx is not None else None
        self.reach = max([max_abs(g) for g in self.kernel.values()], default=0.0)
        all_stated = all(has_equations(k, True) for k in self.bound_layers) and bool(objective.loss.equations(False))
        all_stated = all_stated and all(p.equations() for p, _, _ in objective.penalties)
        self.equations = ObjectiveEquations(objective, batch, True) if all_stated else None
        self.rounding = NetworkRounding(objective, batch, self.rng)

    def _backward(self) -> tuple[str, ...]:
        """Computes the gradient of the objective. Weights that the pass moves are put back; returns their paths."""
        theta = self.objective.theta.copy()
        self.batch.backward(True)
        self.objective.add_penalty_gradient()
        moved = self.objective.theta != theta
        np.copyto(self.objective.theta, theta)
        return tuple(e.path for e in self.objective.network.network_plan.layout if moved[e.where].any())

    def gradient_again(self, path: str) -> Array:
        """Returns the gradient of a parameter, or of the inputs, by another pass."""
        self.evaluate()
        self._backward()
        found = self.batch.chain.dx if path == "x" else self.objective.network.gradients()[path]
        return np.array(found)

    @contextmanager
    def moved(self, path: str, share: float) -> Iterator[Array]:
        """Moves weights and inputs by chance, and puts them back; yields the gradient of a parameter, or of the inputs,
        there."""
        tensors = (
            [self.objective.theta] if any(map(tokens_of, self.bound_layers)) else [self.objective.theta, self.batch.x]
        )
        before = [a.copy() for a in tensors]
        for a in tensors:
            a += share * np.maximum(1, np.abs(a)) * self.rng.normal(size=a.shape)
        found = self.gradient_again(path)
        self.evaluate()
        yield found
        for a, value in zip(tensors, before, strict=True):
            np.copyto(a, value)
        self.evaluate()

    def _outputs(self, first: int) -> Array:
        """Returns the outputs of all layers from one on, in a row: what shows a kink on the way."""
        bound_layers = (
            k
            for bound in self.bound_layers[first:]
            for k in (bound, *(i for c in bound.inside.values() for i in c.walk()))
        )
        return np.concatenate([np.ravel(k.frame.y) for k in bound_layers])

    def evaluate(self) -> float:
        """Returns the objective, everything computed anew."""
        return self.batch.forward(True) + self.objective.penalty()

    def _objective_from(self, bound_layers: tuple[BoundLayer, ...]) -> tuple[float, float]:
        """Returns the objective where only these layers, the last ones, may have changed."""
        for bound in bound_layers:
            bound.layer.forward(bound.frame, True)
        loss = float(self.objective.loss.forward(self.batch.frame))
        penalty = self.objective.penalty()
        mass = abs(loss) + abs(penalty) + max_abs(self.batch.frame.x) + self.rounding.loss / COARSE_EPS
        return loss + penalty, mass

    def gradients(self) -> Iterator[CheckedGradient]:
        """Yields every parameter, and the inputs. Each begins with a forward pass: the one before left its arrays
        behind."""
        parameters = self.objective.network.parameters()
        for i, bound in enumerate(self.bound_layers):
            for inner in (bound, *(k for chain in bound.inside.values() for k in chain.walk())):
                for name in inner.plan.params:
                    path = f"{inner.path}.{name}"
                    self.evaluate()
                    yield self._gradient(f"{inner.path}.d{name}", path, parameters[path], self.kernel[path], i)
        if self.dx is not None:
            self.evaluate()
            yield self._gradient("inputs dx", "x", self.batch.x, self.dx, 0)

    def _gradient(self, tensor: str, path: str, at: Array, kernel: Array, first: int) -> CheckedGradient:
        value = partial(self._objective_from, self.bound_layers[first:])
        equations = self.equations
        complex_value = (lambda z: equations.value({path: z})) if equations else None
        always_zero = path == "x" and any(tokens_of(bound) for bound in self.bound_layers)
        return CheckedGradient(
            "network", tensor, self.name, at, kernel, value, None, complex_value, self.reach,
            partial(self.moved, path), TO_FLOAT64 * self.rounding.gradient[path], always_zero,
            outputs=Outputs(partial(self._outputs, first)),
        )  # fmt: skip


def perturb_weights(objective: Objective, rng: np.random.Generator, far: float) -> None:
    """Adds noise to every weight, biases and gains too, then multiplies it by `far`."""
    fan_ins = np.ones(len(objective.theta))  # by these, noise keeps the scale of what is computed
    for e in objective.network.network_plan.layout:
        fan_ins[e.where] = max(1, e.param.fan_in)
    objective.theta += 0.5 * rng.normal(size=objective.theta.shape) / np.sqrt(fan_ins)
    objective.theta *= far
