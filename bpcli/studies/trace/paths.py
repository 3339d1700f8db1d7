"""One weight's chain rule: every path from it to the loss, factor by factor.

A local factor is the backward equation of a layer evaluated with an error of 1 at one output and 0 at all others, which
is right because backward passes are linear in the error.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bpcli.engine.network import BoundLayer, Chain
from bpcli.family.plan import Array
from bpcli.notation import Program
from bpcli.notation.local_derivative import LocalDerivative, with_indices
from bpcli.notation.syntax import Number, parse
from bpcli.notation.text import Ascii, Text
from bpcli.numeric.shapes import EntryIndex, entry_name
from bpcli.records.trace import Hop, PathsTo
from bpcli.records.training import Failure, Problem
from bpcli.studies.trace.open import TraceTarget
from bpcli.studies.witness.cases import equation_env, layer_program
from bpcli.studies.witness.witness import COMPLEX_STEP

MAX_PATHS = 64  # paths that are shown one by one
NUDGE = 1e-3  # distance by which a weight is moved to either side


@dataclass(frozen=True)
class _PartialPath:
    """The first part of a path: its factors from the weight on, and the output entry where it has come to."""

    hops: tuple[tuple[str, str, str, float], ...]  # upper, lower, formula, value
    bound: BoundLayer
    at: EntryIndex
    name: str
    done: bool = False


class _Layer:
    """A layer's equations at the point that was traced; what the kernels left in memory is read and not changed."""

    def __init__(self, bound: BoundLayer, drawn: type[Text]) -> None:
        self.bound, self.drawn = bound, drawn
        self.env: dict[str, Any] = equation_env(bound)
        self.env |= {f"{name}_dx": np.zeros_like(self.env[f"{name}_dx"]) for name in bound.inside}
        self.program: Program = layer_program(bound, True)
        self.tokens = bound.plan.tokens
        self.known = frozenset({*self.env, *self.program.names})

    def reached(self, array: str, at: EntryIndex) -> list[EntryIndex]:
        """Returns the outputs that depend on one entry of `array`; also where the factor is 0 just here: at an input of
        0, a closed relu, a dropped unit."""
        rng = np.random.default_rng(0)
        found = np.zeros(self.env["dy"].shape, bool)
        for sign in (0, 1, -1):
            env = self.env
            if sign:
                real = {k: v for k, v in self.env.items() if isinstance(v, np.ndarray) and v.dtype.kind == "f"}
                env = {**self.env, **{k: sign * rng.uniform(0.5, 1.5, v.shape) for k, v in real.items()}}
                if self.tokens:
                    env["x"] = self.env["x"]  # whole numbers, by which rows are looked up
            moved = np.array(env[array], np.complex128)
            moved[at] += 1j * COMPLEX_STEP
            with np.errstate(all="ignore"):
                slope = np.imag(self.program.run({**env, array: moved}, ["y"])["y"])
            found |= np.isfinite(slope) & (slope != 0)
        return [tuple(map(int, i)) for i in np.argwhere(found)]

    def factor(self, gradient: str, at: EntryIndex, to: EntryIndex) -> tuple[float, str]:
        """Returns the derivative of output `to` by the entry that `gradient` is the gradient of, and its formula."""
        dy = np.zeros(np.shape(self.env["dy"]))
        dy[to] = 1.0
        env = self.program.complete({**self.env, "dy": dy}, [gradient])
        grid = next(g for g in self.program.grids if g.name == gradient)
        factor = LocalDerivative(grid, self.env, at, to).factor()
        return float(env[gradient][at]), "" if factor is None else self.drawn(self.known).draw(factor).text


class PathFinder:
    """Finds paths in the network as its last pass left it."""

    def __init__(self, target: TraceTarget, ascii: bool = False) -> None:
        self.target, self.drawn = target, Ascii if ascii else Text
        self.chain = target.objective.network.chain(len(target.x))
        self._layers: dict[str, _Layer] = {}
        self._above: dict[str, BoundLayer] = {}  # of the last layer of a branch: the container
        for bound in self.chain.walk():
            for inner in bound.inside.values():
                self._above[inner.layers[-1].path] = bound
        self._users = _users(self.chain)

    def paths(self, tensor: str, at: EntryIndex) -> PathsTo:
        """Returns the paths of one entry of a tensor of weights, after a pass and before its update is forgotten."""
        path, _, param = tensor.rpartition(".")
        bound = next(k for k in self.chain.walk() if k.path == path)
        name = entry_name(tensor, at)
        ways = list(self._through(bound, param, f"d{param}", _PartialPath((), bound, at, name)))
        grouped = len(ways) > MAX_PATHS
        while not grouped and not all(w.done for w in ways):
            longer = [further for way in ways for further in ([way] if way.done else self._further(way))]
            grouped = len(longer) > MAX_PATHS
            ways = ways if grouped else longer
        found = [self._hops(way) for way in ways]
        total = sum(hops[-1].product for hops in found)
        gradient = float(getattr(bound.frame, f"d{param}")[at])
        return PathsTo(
            name=name, value=float(getattr(bound.frame, param)[at]), paths=tuple(found[:MAX_PATHS]), count=len(found),
            dead=sum(hops[-1].product == 0 for hops in found), grouped=grouped, total=float(total), gradient=gradient,
            nudge=NUDGE, predicted=gradient * NUDGE, measured=self._measured(getattr(bound.frame, param), at),
        )  # fmt: skip

    def _layer(self, bound: BoundLayer) -> _Layer:
        """Returns the equations of a layer. Raises Failure where it has none."""
        if bound.path not in self._layers:
            own = layer_program(bound, True).names
            if missing := [n for n in ("y", "dx", *(f"d{p}" for p in bound.plan.params)) if n not in own]:
                text = f"{bound.layer.kind} has no equation of {', '.join(missing)}: paths through it cannot be shown"
                help = "--detail neuron shows the layers around it"
                raise Failure(Problem(text, code="no-equations", path=(bound.path,), help=help))
            self._layers[bound.path] = _Layer(bound, self.drawn)
        return self._layers[bound.path]

    def _further(self, way: _PartialPath) -> Iterator[_PartialPath]:
        """Extends a path by one layer: through each layer that reads the entry it has come to."""
        users = self._users.get(way.bound.path, [])
        for bound in users:
            yield from self._through(bound, "x", "dx", way)
        above = self._above.get(way.bound.path)
        if above is not None:
            name = next(n for n, chain in above.inside.items() if chain.layers[-1].path == way.bound.path)
            yield from self._through(above, f"{name}_y", f"{name}_dy", way)
        if not users and above is None:
            yield replace(way, done=True)

    def _through(self, bound: BoundLayer, array: str, gradient: str, way: _PartialPath) -> Iterator[_PartialPath]:
        """Extends a path through one layer, which reads the entry it has come to in `array`."""
        layer = self._layer(bound)
        for to in layer.reached(array, way.at):
            value, formula = layer.factor(gradient, way.at, to)
            name = entry_name(f"{bound.path}.y", to)
            yield _PartialPath((*way.hops, (name, way.name, formula, value)), bound, to, name)

    def _hops(self, way: _PartialPath) -> tuple[Hop, ...]:
        """Returns the factors from the loss to the weight, with their running product."""
        product = float(way.bound.frame.dy[way.at])  # the derivative of the loss by its end, all paths together
        note = "" if way.done else "all its paths together"
        hops = [Hop("L", way.name, self._slope(way), product, product, note)]
        for upper, lower, formula, value in reversed(way.hops):
            product *= value
            hops.append(Hop(upper, lower, formula, value, product))
        return tuple(hops)

    def _slope(self, way: _PartialPath) -> str:
        """Returns how the loss's own slope at the end of a whole path is computed."""
        if not way.done:
            return ""
        stated = (parse(eq) for eq in self.target.objective.loss.equations(False))
        equation = next((eq for eq in stated if eq.name == "dx"), None)
        if equation is None:
            return ""
        letters = {getattr(b, "letter", ""): Number(i) for b, i in zip(equation.free, way.at, strict=True)}
        return self.drawn(frozenset("xt")).draw(with_indices(equation.right, letters)).text

    def _measured(self, weights: Array, at: EntryIndex) -> float:
        """Returns half the difference of the losses with the weight moved by NUDGE up and down."""
        batch, old = self.target.objective.batch(len(self.target.x)), float(weights[at])
        found = []
        for sign in (1, -1):
            weights[at] = old + sign * NUDGE
            found.append(batch.forward(True))
        weights[at] = old
        batch.forward(True)
        return float(found[0] - found[1]) / 2


def _users(chain: Chain) -> dict[str, list[BoundLayer]]:
    """Returns which layers take a layer's output as their input; the first layers of a branch take what the container
    takes."""
    found: dict[str, list[BoundLayer]] = {}
    for before, after in zip(chain.layers, chain.layers[1:], strict=False):
        found[before.path] = [after, *_inner_first(after)]
    for bound in chain.layers:
        for inner in bound.inside.values():
            found |= _users(inner)
    return found


def _inner_first(bound: BoundLayer) -> Iterator[BoundLayer]:
    for inner in bound.inside.values():
        yield inner.layers[0]
        yield from _inner_first(inner.layers[0])
