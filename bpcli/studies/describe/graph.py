"""Values forward and adjoints backward through a computational graph, node by node, and their proof."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from bpcli.notation import Program, compile_equations
from bpcli.notation.derive.algebra import ONE, multiply
from bpcli.notation.derive.backward import derive_backward, derived_gradients
from bpcli.notation.derive.graph import FormulaNode, graph_nodes
from bpcli.notation.derive.simplify import simplified
from bpcli.notation.derive.source import typed, typed_equation
from bpcli.notation.syntax import Expr, Name, Read, Reduce, changed, walk
from bpcli.numeric.shapes import Array
from bpcli.records.graph import ComputationalGraph, GraphCheck, GraphEdge, ValuedNode
from bpcli.records.training import Exit, Failure, Problem
from bpcli.studies.describe.corners import corner
from bpcli.studies.describe.small_arrays import require_few_terms
from bpcli.studies.witness.witness import complex_step, max_abs

MAX_COMPARED_ENTRIES = 300
"""Entries of all nodes together, up to which every adjoint is held against complex steps."""


def valued_graph(
    title: str,
    program: Program,
    env: Mapping[str, Any],
    constants: Collection[str],
    about: tuple[str, ...],
    arriving: Array | None = None,
) -> ComputationalGraph:
    """Returns the graph of compiled equations, with what `env` holds put in. `arriving` is what is handed to an output
    with indices; a number gets 1.

    Raises Failure where a value is not finite, NotationError where an operation has no derivative.
    """
    shapes = {name: np.shape(value) for name, value in env.items()}
    output = program.grids[-1].name
    needed = program.needed({output})
    require_few_terms(program)
    nodes = graph_nodes([g for g in program.grids if g.name in needed], shapes, constants)
    return _Valued(title, program, dict(env), nodes, about, arriving).graph()


class _Valued:
    def __init__(
        self,
        title: str,
        program: Program,
        env: dict[str, Any],
        nodes: Sequence[FormulaNode],
        about: tuple[str, ...],
        arriving: Array | None,
    ) -> None:
        self.title, self.program, self.env, self.nodes, self.about = title, program, env, nodes, about
        self.operations = [n for n in nodes if n.right is not None]
        self.shapes = {n.name: n.shape for n in self.operations}
        self.flat = [n.equation for n in self.operations]
        self.output = nodes[-1]
        known = {n.name for n in nodes}
        self.edges_to: dict[str, list[GraphEdge]] = {name: [] for name in known}
        with np.errstate(all="ignore"):
            self.values = compile_equations(self.flat, env, self.shapes).complete(env)
        self.arriving = np.ones(self.output.shape) if arriving is None else arriving
        self.adjoints: dict[str, Array] = {}

    def graph(self) -> ComputationalGraph:
        self._check_finite()
        self.adjoints[self.output.name] = self.arriving
        for node in reversed(self.operations):
            if node.name in self.adjoints:
                for edge in self._edges(node):
                    self.edges_to[edge.source].append(edge)
                    self.adjoints[edge.source] = self.adjoints.get(edge.source, 0) + edge.arrives
        valued = [
            ValuedNode(n, np.asarray(self.values[n.name]), self._adjoint(n.name), tuple(self.edges_to[n.name][::-1]))
            for n in self.nodes
        ]
        corners = tuple(self._corners())
        found = [self._against_derived(), None if corners else self._against_steps()]
        checks = tuple(check for check in found if check is not None)
        return ComputationalGraph(self.title, valued, self.about, checks, corners)

    def _adjoint(self, name: str) -> Array | None:
        return np.asarray(self.adjoints[name]) if name in self.adjoints else None

    def _check_finite(self) -> None:
        for node in self.nodes:
            value = np.asarray(self.values[node.name])
            if not np.isfinite(value).all():
                what = "read" if node.right is None else f"{node.equation.left} = {node.equation.right}"
                text = f"{node.name} is not finite at this point ({what}): there is no derivative to hand back"
                help = "choose other numbers with --at, --seed or --sample"
                raise Failure(Problem(text, code="not-finite", help=help), exit=Exit.USAGE)

    def _edges(self, node: FormulaNode) -> Iterator[GraphEdge]:
        """Yields what an operation hands to each node that it reads: the chain rule, one edge at a time."""
        by = [name for name in node.operands if name in self.edges_to and name != node.name]
        env = {**self.values, f"d{node.name}": self.adjoints[node.name]}
        if not by:
            return
        derived = derive_backward([node.equation], by, self.values, {node.name: node.shape})
        sizes = {f"d{name}": np.shape(self.values[name]) for name in by}
        found = compile_equations([node.equation, *derived.equations], env, {**sizes, **self.shapes}).run(
            {name: value for name, value in env.items() if name != node.name}
        )
        for name in by:
            equation = next(e for e in derived.backward if e.name == f"d{name}")
            arrives, share = found[f"d{name}"], equation.right
            if not node.letters:  # its derivative, and not yet what arrives
                arrives, share = arrives * self.adjoints[node.name], multiply(Name(f"d{node.name}"), share)
            if not arrives.any() and typed(equation.right) in ("0", "0.0"):
                continue  # a count, a condition: there is no slope
            slope = _local_slope(equation.right, f"d{node.name}")
            value = None
            if slope is not None and not node.letters and not np.ndim(self.values[name]):
                value = float(found[f"d{name}"])
            yield GraphEdge(name, node.name, slope, value, equation.letters, simplified(share), np.asarray(arrives))

    # proof

    def _against_derived(self) -> GraphCheck | None:
        """Compares the adjoints of what is read with the equations that are derived from the whole formula."""
        by = {n.name: np.shape(self.env[n.name]) for n in self.nodes if n.right is None and n.name in self.adjoints}
        env = {**self.env, f"d{self.output.name}": self.arriving}
        stated = [typed_equation(g.equation) for g in self.program.grids]
        program = compile_equations(stated, env, {g.name: g.shape for g in self.program.grids})
        whole = derived_gradients(program, env, self.output.name, by)
        once = 1.0 if self.output.letters else float(self.arriving)
        gaps = {name: self._gap(name, once * whole[f"d{name}"]) for name in by if f"d{name}" in whole}
        return _check("the equations derived from the whole", gaps)

    def _against_steps(self) -> GraphCheck | None:
        """Compares every adjoint with complex steps: through all that comes after the node."""
        chosen = [n for n in self.nodes if n.name in self.adjoints and n is not self.output]
        if sum(np.size(self.values[n.name]) for n in chosen) > MAX_COMPARED_ENTRIES:
            return None
        gaps = {}
        for node in chosen:
            rest = [n.equation for n in self.operations if n is not node]
            env = {**self.env, node.name: self.values[node.name]}
            program = compile_equations(rest, env, self.shapes)
            step = complex_step(program, env, node.name, self.output.name, self.arriving)
            gaps[node.name] = self._gap(node.name, step)
        return _check("complex steps", gaps)

    def _gap(self, name: str, wanted: Array) -> float:
        """Returns how far an adjoint is from another witness, as a share of it or of what may have cancelled."""
        return adjoint_gap(self.adjoints[name], wanted, max(map(max_abs, self.adjoints.values())))

    def _corners(self) -> Iterator[Problem]:
        """Yields a warning for every operation that stands on a corner, where it has no slope."""
        for node in self.operations:
            found = corner(node, self.values)
            if found is not None:
                text = f"{node.equation.left} = {node.equation.right} has a corner at {found[0]}, and no slope there"
                help = "the slope of one side is taken, as the rules of the notation say; other numbers have one"
                yield Problem(text, code="corner", level="warning", help=help)


def adjoint_gap(found: Array, wanted: Array, largest: float) -> float:
    """Returns how far two adjoints are apart, as a share of the larger one's largest entry, or of a thousandth of the
    `largest` adjoint of the graph: sums of such may cancel."""
    return max_abs(np.asarray(found) - wanted) / max(max_abs(wanted), 1e-3 * largest, 1e-300)


def _check(witness: str, gaps: Mapping[str, float]) -> GraphCheck | None:
    if not gaps:
        return None
    worst = max(gaps, key=lambda name: gaps[name])
    return GraphCheck(witness, len(gaps), gaps[worst], worst)


def _local_slope(right: Expr, adjoint: str) -> Expr | None:
    """Returns what the adjoint is multiplied by; None where it is summed over."""
    if any(isinstance(n, Reduce) and any(_is(m, adjoint) for m in walk(n)) for n in walk(right)):
        return None

    def without(node: Expr) -> Expr:
        return ONE if _is(node, adjoint) else changed(node, without)

    return simplified(without(right))


def _is(node: Expr, name: str) -> bool:
    return (isinstance(node, Read) and node.array == name) or (isinstance(node, Name) and node.id == name)
