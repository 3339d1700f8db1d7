"""A stretch of a network by its equations alone: what goes in may be complex, so that derivatives come out exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bpcli.engine.network import BoundLayer, Chain
from bpcli.engine.objective import Batch, Objective
from bpcli.family.plan import Array
from bpcli.notation import Program, compile_equations
from bpcli.studies.witness.cases import equation_views, layer_program


def has_equations(link: BoundLayer, train: bool) -> bool:
    """Whether a layer and all inside it are stated in equations."""
    own = bool(link.layer.equations(train, link.node.x))
    return own and all(has_equations(k, train) for chain in link.inside.values() for k in chain.layers)


class Textbook:
    """The forward equations of layers in a row; what they read besides `x` and `given` stands in the network."""

    def __init__(self, links: Sequence[BoundLayer], train: bool) -> None:
        self.links = tuple(links)
        self._programs: dict[str, Program] = {}
        self._envs: dict[str, Mapping[str, Any]] = {}
        for link in links:
            self._take(link, train)

    def _take(self, link: BoundLayer, train: bool) -> None:
        self._programs[link.path] = layer_program(link, train)
        self._envs[link.path] = equation_views(link)
        for chain in link.inside.values():
            for inner in chain.layers:
                self._take(inner, train)

    def outputs(self, x: Array, given: Mapping[str, Array], links: Sequence[BoundLayer] | None = None) -> Array:
        """What comes out for inputs `x`; `given` holds parameters, by path, that take the place of the network's."""
        for link in self.links if links is None else links:
            env = {**self._envs[link.path], "x": x}
            for name in link.node.plan.params:
                env[name] = given.get(f"{link.path}.{name}", env[name])
            for name, chain in link.inside.items():
                env[f"{name}_y"] = self.outputs(x, given, chain.layers)
            x = self._programs[link.path].run(env, {"y"})["y"]
        return x


class WholeTextbook:
    """The objective of a network by its equations: layers, loss and penalties."""

    def __init__(self, objective: Objective, batch: Batch, train: bool) -> None:
        chain: Chain = batch.chain
        self.layers = Textbook(chain.layers, train)
        self.objective = objective
        self.x = chain.x.copy()
        self.env, self.loss = loss_program(objective, batch)
        self.parameters = {path: w.copy() for path, w in objective.network.parameters().items()}
        self._penalties = [
            (p, compile_equations(p.equations(), {"w": w.shape, "dw": w.shape}, p.consts()), where)
            for (p, w, _), (_, where) in zip(
                objective.penalties, objective.network.network_plan.penalties, strict=True
            )
        ]  # fmt: skip

    def value(self, given: Mapping[str, Array]) -> Any:
        """The loss with its penalties; `given` may hold `x` and parameters by path."""
        y = self.layers.outputs(given.get("x", self.x), given)
        total = self.loss.run({**self.env, "x": y}, {"L"})["L"]
        layout = self.objective.network.network_plan.layout
        for part, program, where in self._penalties:
            under = [e for e in layout if where.start <= e.start < where.stop]
            if any(e.path in given for e in under):  # what stays as it is has no derivative
                w = np.concatenate([np.ravel(given.get(e.path, self.parameters[e.path])) for e in under])
                total = total + program.run({"w": w, **part.consts()}, {"penalty"})["penalty"]
        return total


def loss_program(objective: Objective, batch: Batch, detail: str = "") -> tuple[dict[str, Any], Program]:
    """What a loss's equations read on a batch, copied, and the equations compiled for it."""
    f, plan = batch.frame, objective.plan
    env: dict[str, Any] = {"x": f.x.copy(), "t": f.t.copy(), "K": f.t.shape[-1], **plan.consts}
    if f.w is not None:
        env["w"] = f.w.copy()
    shapes = {name: np.shape(value) for name, value in env.items() if np.ndim(value)} | {"dx": f.dx.shape}
    numbers = {name: value for name, value in env.items() if np.ndim(value) == 0}
    return env, compile_equations(objective.loss.equations(f.w is not None), shapes, numbers, detail=detail)
