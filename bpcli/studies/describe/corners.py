"""Where a formula has no slope: on the corner of an operation, and where it is not finite."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bpcli.engine.network_plan import network_bytes
from bpcli.engine.objective import Objective
from bpcli.family.plan import Array
from bpcli.notation import Eq, NotationError, Program, compile_equations
from bpcli.notation.derive.algebra import ZERO
from bpcli.notation.derive.graph import FormulaNode, graph_nodes
from bpcli.notation.derive.source import typed
from bpcli.notation.derive.trees import names, replaced
from bpcli.notation.syntax import Binary, Call, Compare, Expr, Name, Read, Reduce, changed, walk
from bpcli.records.training import Problem
from bpcli.studies.gradcheck.forward_equations import loss_program
from bpcli.studies.run.setup import Setup
from bpcli.studies.witness.cases import equation_env, layer_program

MAX_ROWS = 64  # rows of the data that formulas are looked at on
MAX_BYTES = 1 << 28  # that these rows may take in the network; two rows in any case
MAX_ROWS_NAMED = 3


def corner(node: FormulaNode, values: Mapping[str, Any]) -> tuple[str, Array] | None:
    """Returns in words where an operation has a corner, and which of its entries stand there; None where none does."""
    for part in walk(node.right) if node.right is not None else ():
        meets: list[tuple[str, Expr, Expr]]
        match part:
            case Call(fn="abs" | "relu" | "sign" | "sqrt", args=(argument,)):
                meets = [(f"{typed(argument)} = 0", argument, ZERO)]
            case Call(fn="max" | "min", args=(left, right)) | Compare(left=left, right=right):
                meets = [(f"{typed(left)} = {typed(right)}", left, right)]
            case Call(fn="clip", args=(value, *bounds)):
                meets = [(f"{typed(value)} = {typed(b)}", value, b) for b in bounds]
            case _:
                continue
        for words, left, right in meets:
            mask = _equal(node, left, right, values)
            if mask is not None and mask.any():
                return words, mask
    return None


def _equal(node: FormulaNode, left: Expr, right: Expr, values: Mapping[str, Any]) -> Array | None:
    """Returns at which entries of a node two expressions are equal; None where an index of theirs is one of a
    reduction."""
    gap = Binary("-", left, right)
    used = names(gap)
    sizes = {k: n for k, n in zip(node.letters, node.shape, strict=True) if k in used}
    name = f"entries[{','.join(sizes)}]" if sizes else "entries"
    try:
        program = compile_equations([Eq(name, typed(gap))], values, {"entries": tuple(sizes.values())})
        found = program.run(values)["entries"] == 0
    except NotationError:
        return None
    return np.asarray(found.reshape([n if k in sizes else 1 for k, n in zip(node.letters, node.shape, strict=True)]))


# the data


def spot_warnings(setup: Setup) -> tuple[Problem, ...]:
    """Returns a warning for each formula of an experiment that has no slope, or no finite value, at some of its first
    rows, before anything is learned."""
    nodes = [n for n in setup.network_plan.walk() if n.layer.stated_in_file]
    loss = setup.experiment.loss
    if not nodes and not loss.stated_in_file:
        return ()
    split = setup.prepared.splits["train"]
    fitting = MAX_BYTES // max(1, network_bytes(setup.network_plan, 1, 8, need_dx=True, retain=True))
    n = min(MAX_ROWS, len(split.x), max(2, fitting))
    x, t, dtype = np.asarray(split.x[:n]), np.asarray(split.t[:n]), setup.experiment.dtype
    objective = Objective(setup.network_plan, loss, n, dtype, setup.experiment.seed, retain=True, need_dx=True)
    batch = objective.batch(n)
    batch.load(x, t, np.arange(n))
    objective.network.draw(batch.chain, 0)
    with np.errstate(all="ignore"):
        batch.forward(True)
        found = []
        for bound in batch.chain.walk():
            if bound.layer.stated_in_file:
                words = _spot(layer_program(bound, True), equation_env(bound), "y", n)
                found += [setup.document.problem(bound.planned.loc, f"{bound.path}: {w}", **_HELP) for w in words]
                if not np.isfinite(bound.frame.y).all():
                    return tuple(found)  # what follows is not finite for this
        if loss.stated_in_file:
            env, program = loss_program(objective, batch)
            words = _spot(program, env, "L", n)
            found += [setup.document.problem(("loss",), f"loss: {w}", **_HELP) for w in words]
    return tuple(found)


_HELP: Mapping[str, Any] = {
    "code": "corner", "level": "warning",
    "help": "there one side's slope is taken, and a number that is not finite spreads; where(...) states such cases",
}  # fmt: skip


def _spot(program: Program, env: Mapping[str, Any], output: str, rows: int) -> list[str]:
    """Returns in words the first operation that is not finite, else the first that stands on a corner."""
    needed = program.needed({output})
    grids = [g for g in program.grids if g.name in needed]
    nodes = graph_nodes(grids, {name: np.shape(value) for name, value in env.items()})
    operations = [n for n in nodes if n.right is not None]
    shapes = {n.name: n.shape for n in operations}
    values = compile_equations([n.equation for n in operations], env, shapes).complete(env)
    inner = {n.name: n for n in operations if not n.own}
    for node in operations:
        bad = ~np.isfinite(values[node.name])
        if bad.any():
            return [f"{_stated(node, inner)} is not finite at {_rows(node, bad, rows)}"]
    for node in operations:
        found = corner(node, values)
        if found is not None:
            return [f"{_stated(node, inner)} has a corner at {_rows(node, found[1], rows)}, and no slope there"]
    return []


def _stated(node: FormulaNode, inner: Mapping[str, FormulaNode]) -> str:
    """Returns an operation as the file states it: what stands inside it in place of names on the way."""

    def whole(part: Expr) -> Expr:
        match part:
            case Read(array=array, index=index) if array in inner:
                own = inner[array]
                right = replaced(own.right or ZERO, dict(zip(own.letters, index, strict=True)))
                return whole(right)
            case Name(id=name) if name in inner:
                return whole(inner[name].right or ZERO)
            case Reduce(fn=fn, over=over, body=body, extra=extra):
                return Reduce(fn, over, whole(body), extra)
        return changed(part, whole)

    return typed(whole(node.right or ZERO))


def _rows(node: FormulaNode, mask: Array, rows: int) -> str:
    """Returns which rows a mask of a node's entries stands in."""
    if "n" not in node.letters:
        return "every row"
    axis = node.letters.index("n")
    hit: Sequence[int] = np.flatnonzero(np.moveaxis(mask, axis, 0).reshape(mask.shape[axis], -1).any(axis=1)).tolist()
    if mask.shape[axis] == 1 or len(hit) == rows:
        return "every row"
    listed = ", ".join(map(str, hit[:MAX_ROWS_NAMED])) + (", ..." if len(hit) > MAX_ROWS_NAMED else "")
    return f"row{'s' * (len(hit) > 1)} {listed} of the first {rows} of train"
