"""What `bpcli graph` finds: nodes with values and adjoints, edges with local slopes, and how they were checked."""

from collections.abc import Sequence
from dataclasses import dataclass

from bpcli.notation.derive.graph import FormulaNode
from bpcli.notation.syntax import Expr
from bpcli.numeric.shapes import Array
from bpcli.records.training import Problem


@dataclass(frozen=True)
class GraphEdge:
    """What arrives at a node from one operation that reads it.

    `slope` is the local slope as an expression, None where a sum over indices is part of it; `slope_value` its number
    where both ends are numbers. `share` is an expression of what arrives at the entry with the indices `letters`,
    `arrives` its value.
    """

    source: str  # the node that is read
    reader: str  # the operation that reads it
    slope: Expr | None
    slope_value: float | None
    letters: tuple[str, ...]
    share: Expr
    arrives: Array


@dataclass(frozen=True)
class ValuedNode:
    """A node with its value and its adjoint: the derivative of the output by it, the sum of what arrives from all
    operations that read it. The adjoint is None where the output does not depend on it in any way that has a slope."""

    node: FormulaNode
    value: Array
    adjoint: Array | None
    edges: tuple[GraphEdge, ...]


@dataclass(frozen=True)
class GraphCheck:
    """What adjoints were held against, of how many nodes, and how far apart they are at most, as a share of themselves
    or of what may have cancelled."""

    witness: str
    nodes: int
    gap: float
    worst: str


@dataclass(frozen=True)
class ComputationalGraph:
    """A graph with numbers: nodes in the order of evaluation, the last of which is the output. `about` says in words
    where its numbers come from."""

    title: str
    nodes: Sequence[ValuedNode]
    about: tuple[str, ...]
    checks: tuple[GraphCheck, ...]
    warnings: tuple[Problem, ...] = ()

    @property
    def output(self) -> ValuedNode:
        """The last node."""
        return self.nodes[-1]
