"""Evaluates consecutive layers by their equations: inputs may be complex, so that derivatives come out exactly."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bpcli.engine.network import BoundLayer, Chain
from bpcli.engine.network_plan import PlannedLayer
from bpcli.engine.objective import Batch, Objective
from bpcli.family.part import equations_of
from bpcli.family.plan import Array
from bpcli.notation import Program, compile_equations
from bpcli.studies.witness.cases import equation_views, layer_program, loss_views


def states_all(planned: PlannedLayer, train: bool) -> bool:
    """Whether a planned layer and all inside it are stated in equations."""
    own = bool(planned.layer.equations(train, planned.x))
    return own and all(states_all(inner, train) for chain in planned.inside.values() for inner in chain)


def has_equations(bound: BoundLayer, train: bool) -> bool:
    """Whether a layer and all inside it are stated in equations."""
    return states_all(bound.planned, train)


class ForwardEquations:
    """The forward equations of layers in a row; what they read besides `x` and `replaced` stands in the network."""

    def __init__(self, bound_layers: Sequence[BoundLayer], train: bool) -> None:
        self.bound_layers = tuple(bound_layers)
        self._programs: dict[str, Program] = {}
        self._read: dict[str, Mapping[str, Any]] = {}
        for bound in bound_layers:
            self._add(bound, train)

    def _add(self, bound: BoundLayer, train: bool) -> None:
        self._programs[bound.path] = layer_program(bound, train)
        self._read[bound.path] = equation_views(bound)
        for chain in bound.inside.values():
            for inner in chain.layers:
                self._add(inner, train)

    def outputs(
        self, x: Array, replaced: Mapping[str, Array], bound_layers: Sequence[BoundLayer] | None = None
    ) -> Array:
        """Returns what comes out for inputs `x`; `replaced` holds parameters, by path, that take the place of the
        network's."""
        for bound in self.bound_layers if bound_layers is None else bound_layers:
            env = {**self._read[bound.path], "x": x}
            for name in bound.plan.params:
                env[name] = replaced.get(f"{bound.path}.{name}", env[name])
            for name, chain in bound.inside.items():
                env[f"{name}_y"] = self.outputs(x, replaced, chain.layers)
            x = self._programs[bound.path].run(env, {"y"})["y"]
        return x


class ObjectiveEquations:
    """The objective of a network by its equations: layers, loss and penalties."""

    def __init__(self, objective: Objective, batch: Batch, train: bool) -> None:
        chain: Chain = batch.chain
        self.layers = ForwardEquations(chain.layers, train)
        self.objective = objective
        self.x = chain.x.copy()
        self.env, self.loss = loss_program(objective, batch)
        self.parameters = {path: w.copy() for path, w in objective.network.parameters().items()}
        self._penalties = [
            (p, compile_equations(p.equations(), {"w": w, **p.consts()}, {"dw": w.shape}), where)
            for (p, w, _), (_, where) in zip(
                objective.penalties, objective.network.network_plan.penalties, strict=True
            )
        ]  # fmt: skip

    def value(self, replaced: Mapping[str, Array]) -> Any:
        """Returns the loss with its penalties; `replaced` may hold `x` and parameters by path."""
        y = self.layers.outputs(replaced.get("x", self.x), replaced)
        total = self.loss.run({**self.env, "x": y}, {"L"})["L"]
        layout = self.objective.network.network_plan.layout
        for part, program, where in self._penalties:
            under = [e for e in layout if where.start <= e.start < where.stop]
            if any(e.path in replaced for e in under):  # what stays as it is has no derivative
                w = np.concatenate([np.ravel(replaced.get(e.path, self.parameters[e.path])) for e in under])
                total = total + program.run({"w": w, **part.consts()}, {"penalty"})["penalty"]
        return total


def loss_program(objective: Objective, batch: Batch, detail: str = "") -> tuple[dict[str, Any], Program]:
    """Returns what a loss's equations read on a batch, copied, and the equations compiled for it."""
    f = batch.frame
    env = {n: np.array(v) if np.ndim(v) else v for n, v in loss_views(f, objective.plan.consts).items()}
    with equations_of(objective.loss.kind):
        equations = objective.loss.equations(f.w is not None)
        return env, compile_equations(equations, env, {"dx": f.dx.shape}, detail=detail)
