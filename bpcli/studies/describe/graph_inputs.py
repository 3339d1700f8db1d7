"""What a computational graph is drawn of: formulas with numbers, built-in examples, and the network of a config."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import yaml

from bpcli.engine.network import BoundLayer, Chain
from bpcli.family.plan import Array
from bpcli.notation import Eq, NotationError, Program, compile_equations
from bpcli.notation.derive.backward import inputs, spelled
from bpcli.notation.derive.source import typed_equation
from bpcli.notation.syntax import Bind, Equation, Expr, Name, Read, Reduce, changed, walk
from bpcli.records.graph import ComputationalGraph, GraphCheck
from bpcli.records.training import Exit, Failure, Problem
from bpcli.studies.describe.graph import adjoint_gap, valued_graph
from bpcli.studies.describe.small_arrays import require_few_terms, small_arrays
from bpcli.studies.describe.typed import formula, typed_help
from bpcli.studies.gradcheck.forward_equations import loss_program
from bpcli.studies.trace.open import TraceTarget
from bpcli.studies.witness.cases import equation_env, layer_program
from bpcli.studies.witness.witness import max_abs


@dataclass(frozen=True)
class GraphExample:
    """A graph that courses draw, with its numbers and its source."""

    title: str
    formulas: tuple[str, ...]
    at: Mapping[str, float]
    source: str


GRAPH_EXAMPLES: Mapping[str, GraphExample] = {
    "sum_times": GraphExample(
        "(x + y) z", ("q = x + y", "f = q * z"), {"x": -2.0, "y": 5.0, "z": -4.0},
        "Stanford CS231n, notes on back-propagation, intuitions",
    ),
    "sigmoid_neuron": GraphExample(
        "a neuron with two inputs and a sigmoid", ("f = 1 / (1 + exp(-(w0 * x0 + w1 * x1 + w2)))",),
        {"w0": 2.0, "x0": -1.0, "w1": -3.0, "x1": -2.0, "w2": -3.0},
        "Stanford CS231n, notes on back-propagation, intuitions",
    ),
}  # fmt: skip


def example_graph(name: str) -> ComputationalGraph:
    """Returns the graph of a built-in example."""
    example = GRAPH_EXAMPLES[name]
    return _formula_graph(example.formulas, example.at, 0, example.title, (f"source: {example.source}",))


def formula_graph(texts: Sequence[str], at: Sequence[str], seed: int) -> ComputationalGraph:
    """Returns the graph of formulas as they are typed, the last of which is the output, at typed values, `x=-2`; where
    there are none, with small random numbers.

    Raises Failure where a formula or a value cannot be read, a value is missing, or something has no derivative.
    """
    return _formula_graph(texts, typed_values(at), seed, "", ())


def typed_values(texts: Sequence[str]) -> dict[str, Any]:
    """Returns numbers and arrays by name, as `x=-2`, `x=-2,y=5` or `x=[[1, 2], [3, 4]]` type them."""
    found: dict[str, Any] = {}
    for text in (part for typed_text in texts for part in _apart(typed_text)):
        name, sign, value = (part.strip() for part in text.partition("="))
        try:
            array = np.asarray(yaml.safe_load(value), dtype=np.float64)
        except (yaml.YAMLError, TypeError, ValueError, RecursionError):
            array = np.asarray(np.nan)
        if not (sign and name.isidentifier()) or not np.isfinite(array).all() or not array.size:
            text = f"--at {text!r} gives no value: write a name with a number, or with a list for an array"
            help = "--at x=-2 --at 'W=[[1, 2], [3, 4]]'"
            raise Failure(Problem(text, code="value", help=help), exit=Exit.USAGE)
        found[name] = array if array.ndim else float(array)
    return found


def _apart(text: str) -> Iterator[str]:
    """Yields what stands between commas, but for those in brackets."""
    start = depth = 0
    for place, c in enumerate(text):
        depth += (c == "[") - (c == "]")
        if c == "," and not depth:
            yield text[start:place]
            start = place + 1
    yield text[start:]


def _formula_graph(
    texts: Sequence[str], at: Mapping[str, Any], seed: int, title: str, about: tuple[str, ...]
) -> ComputationalGraph:
    try:
        forward = [formula(text) for text in texts]
        read = inputs(spelled(forward))
        unknown = [name for name in at if name not in _read_names(forward)]
        if unknown:
            known = ", ".join(dict.fromkeys([*read, *_read_names(forward)]))
            raise NotationError(f"no equation reads {unknown[0]}", f"they read {known}")
        env = {**small_arrays(spelled(forward), seed), **at}
        missing = [name for name in env if name not in at and np.ndim(env[name]) == 0]
        if at and missing:
            raise NotationError(f"{missing[0]} has no value", f"add --at {missing[0]}=1")
        program = compile_equations(forward, env)
        require_few_terms(program)
        rng = np.random.default_rng(seed + 1)
        shape = program.grids[-1].shape
        arriving = np.round(rng.normal(size=shape), 1) if shape else None
        output = program.grids[-1].name
        if not at:
            about = (*about, "with small random numbers; --at name=value gives others")
        if shape:
            about = (*about, f"what arrives at {output} is random, too")
        first = f"{forward[-1].left} = {forward[-1].right}"
        return valued_graph(title or first, program, env, (), about, arriving)
    except NotationError as error:
        raise Failure(Problem(str(error), code="formula", help=typed_help(error)), exit=Exit.USAGE) from None


def _read_names(forward: Sequence[Eq]) -> set[str]:
    equations = spelled(forward)
    computed = {e.name for e in equations}
    return set(small_arrays(equations)) - computed


# networks


def network_graph(target: TraceTarget) -> ComputationalGraph:
    """Returns the graph of a network on rows: the forward equations of its layers and of its loss, one after the
    other. Raises Failure where a layer states no equations."""
    objective = target.objective
    batch = objective.batch(len(target.x))
    batch.load(target.x, target.t, np.arange(len(target.x)))
    objective.network.draw(batch.chain, 0)
    batch.forward(True)
    batch.backward(True)
    network = _Network()
    last = network.add_chain(batch.chain, "x", batch.chain.x)
    env, program = loss_program(objective, batch)
    network.add_loss(program, env, last)
    whole = compile_equations(network.equations, network.env, network.shapes)
    about: tuple[str, ...] = (f"rows: {target.rows}", f"weights: {target.weights}")
    about += ("the penalty on the weights is left out",) if target.network_plan.penalties else ()
    constants = ", ".join(f"{name} = {float(network.env[name]):.6g}" for name in sorted(network.constants))
    about += (f"constants: {constants}",) if constants else ()
    try:
        found = valued_graph(target.name, whole, network.env, network.constants, about)
    except NotationError as error:
        raise Failure(Problem(str(error), code="formula", help=typed_help(error)), exit=Exit.USAGE) from None
    engine = {name.replace(".", "_"): g for name, g in objective.network.gradients().items()}
    nodes = {n.node.name: n for n in found.nodes}
    largest = max(max_abs(n.adjoint) for n in found.nodes if n.adjoint is not None)
    gaps = {
        name: adjoint_gap(adjoint, g, largest)
        for name, g in engine.items()
        if name in nodes and (adjoint := nodes[name].adjoint) is not None
    }
    if not gaps:
        return found
    worst = max(gaps, key=lambda name: gaps[name])
    check = GraphCheck("the gradients of the engine", len(gaps), gaps[worst], worst)
    return ComputationalGraph(found.title, found.nodes, found.about, (*found.checks, check), found.warnings)


class _Network:
    """The forward equations of a network, each array by a name of its own."""

    def __init__(self) -> None:
        self.equations: list[Eq] = []
        self.env: dict[str, Any] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.constants: set[str] = set()

    def add_chain(self, chain: Chain, x: str, value: Array) -> str:
        """Adds the layers of a chain that reads the array called `x`; returns what its output is called."""
        self.env.setdefault(x, np.array(value))
        for bound in chain.layers:
            x = self._add_layer(bound, x)
        return x

    def _add_layer(self, bound: BoundLayer, x: str) -> str:
        if not bound.layer.equations(True, bound.planned.x):
            text = f"{bound.path} states no equations, and a graph is drawn of these"
            help = "let its `equations` state the forward pass"
            raise Failure(Problem(text, code="no-equations", help=help), exit=Exit.USAGE)
        own = bound.path.replace(".", "_")
        names = {"x": x}
        for name, chain in bound.inside.items():
            names[f"{name}_y"] = self.add_chain(chain, x, chain.x)
        program, env = layer_program(bound, True), equation_env(bound)
        self._add(program, env, "y", names, own, set(bound.plan.params))
        return f"{own}_y"

    def add_loss(self, program: Program, env: Mapping[str, Any], last: str) -> None:
        """Adds the loss of what the last layer gives."""
        self._add(program, env, "L", {"x": last, "t": "t", "L": "L"}, "loss", set())

    def _add(
        self, program: Program, env: Mapping[str, Any], output: str, names: dict[str, str], own: str, learned: set[str]
    ) -> None:
        needed = program.needed({output})
        grids = [g for g in program.grids if g.name in needed]
        read = {n for g in grids for n in _reads(g.equation.right)}
        for name in sorted(read & env.keys()):
            new = names.setdefault(name, f"{own}_{name}")
            if new not in self.env and new not in self.shapes:
                self.env[new] = env[name]
                self.constants |= {new} if np.ndim(env[name]) == 0 and name not in learned else set()
        for grid in grids:
            new = names.setdefault(grid.name, f"{own}_{grid.name}")
            free = tuple(Bind(k) for k in grid.free)
            right = _renamed(grid.equation.right, names, frozenset(grid.size))
            self.equations.append(typed_equation(Equation(new, free, right, Eq("", ""))))
            self.shapes[new] = grid.shape


def _reads(node: Expr) -> set[str]:
    return {n.array if isinstance(n, Read) else n.id for n in walk(node) if isinstance(n, Read | Name)}


def _renamed(node: Expr, names: Mapping[str, str], letters: frozenset[str]) -> Expr:
    """Returns an expression in which arrays and numbers are called otherwise; indices stay."""

    def go(inside: Expr) -> Expr:
        return _renamed(inside, names, letters)

    match node:
        case Name(id=name):
            return node if name in letters else Name(names.get(name, name))
        case Read(array=array, index=index):
            return Read(names.get(array, array), tuple(map(go, index)))
        case Reduce(fn=fn, over=over, body=body, extra=extra):
            ranges = tuple(Bind(b.letter, b.size and go(b.size)) if isinstance(b, Bind) else b for b in over)
            return Reduce(fn, ranges, go(body), tuple(map(go, extra)))
    return changed(node, go)
