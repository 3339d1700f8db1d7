"""What belongs to one weight: the numbers that its derivation reads, and those they are read from."""

import re
from collections.abc import Sequence

from bpcli.engine.network_plan import NetworkPlan
from bpcli.family.part import near, suggestion
from bpcli.notation.entries_read import entries_read
from bpcli.numeric.shapes import EntryIndex, entry_index
from bpcli.records.training import Exit, Failure, Problem
from bpcli.studies.trace.quantities import MAX_ENTRIES, WantedEntries
from bpcli.studies.trace.step_blocks import TakenStep

EntrySets = dict[tuple[str, str], set[EntryIndex]]


def parse_weight(network_plan: NetworkPlan, text: str) -> tuple[str, EntryIndex]:
    """Returns `dense_1.W[0,1]` as a path and an index. Raises Failure with the paths there are."""
    shapes = {e.path: e.shape for e in network_plan.layout}
    match = re.fullmatch(r"\s*([\w.]+)\s*(?:\[([\d\s,]*)\])?\s*", text)
    path = match[1] if match else text
    listed = ", ".join(f"{p}[{','.join(map(str, s))}]" for p, s in list(shapes.items())[:12])
    listed += ", ..." if len(shapes) > 12 else ""
    if match is None or path not in shapes:
        lower = {p.lower(): p for p in shapes}
        guess = lower.get(near(path, lower) or "")
        help = f"did you mean `{guess}`? " if guess else ""
        text = f"there is no parameter `{path}`"
        raise Failure(Problem(text, code="unknown-parameter", help=f"{help}parameters: {listed}"), exit=Exit.USAGE)
    shape = shapes[path]
    at = entry_index(match[2] or "")
    if len(at) != len(shape) or any(i >= n for i, n in zip(at, shape, strict=True)):
        first = ",".join("0" * len(shape))
        last = ",".join(str(n - 1) for n in shape)
        where = f"{path} has entries {path}[{first}] to {path}[{last}]"
        problem = Problem(f"there is no entry {text.strip()}", code="no-entry", help=f"{where}, counted from 0")
        raise Failure(problem, exit=Exit.USAGE)
    return path, at


def check_layers(network_plan: NetworkPlan, names: Sequence[str]) -> tuple[str, ...]:
    """Returns the layers that are asked for. Raises Failure with the layers there are."""
    known = [node.path for node in network_plan.walk()]
    for name in names:
        if name not in known:
            help = f"{suggestion(name, known)}layers: {', '.join(known)}"
            raise Failure(Problem(f"there is no layer `{name}`", code="unknown-layer", help=help), exit=Exit.USAGE)
    return tuple(names)


def entries_behind(taken: TakenStep, tensor: str, at: EntryIndex) -> WantedEntries:
    """Returns the entries that the gradient of one weight is computed from, back to the loss as long as they are few,
    and those of the forward pass beside them; by (layer, left side)."""
    layer, _, param = tensor.rpartition(".")
    makers = taken.makers
    blocks = {(b.layer or b.part): b for b, _, _ in taken.blocks if b.part in ("layer", "loss")}
    wanted: EntrySets = {(tensor, "*"): {at}}
    waiting: list[tuple[str, str, set[EntryIndex]]] = [(layer, f"d{param}", {at})]
    while waiting:
        owner, name, entries = waiting.pop(0)
        new = entries - wanted.get((owner, name), set())
        if len(entries) > MAX_ENTRIES:
            continue
        wanted.setdefault((owner, name), set()).update(new)
        block = blocks.get(owner)
        grid = next((g for g in block.program.grids if g.name == name), None) if block else None
        if block is None or grid is None:
            continue
        env = block.program.complete(block.env)
        read: EntrySets = {}
        for entry in new:
            for array, indices in entries_read(grid, env, dict(zip(grid.free, entry, strict=True))).items():
                read.setdefault((owner, array), set()).update(indices)
        for (_, array), indices in read.items():
            if array in block.program.names:
                waiting.append((owner, array, indices))
            elif (maker := makers.get((owner, array))) is not None and (array != "x" or name == f"d{param}"):
                waiting.append((*maker, indices))
            if array == "dy" and len(indices) <= MAX_ENTRIES:
                waiting.append((owner, "y", indices))
    return {key: frozenset(indices) for key, indices in wanted.items()}


def network_summary(network_plan: NetworkPlan) -> str:
    """Returns the network in a line: 2 -> dense_1 (3) -> dense_1.activation tanh -> ..."""
    parts = [_units(network_plan.x)]
    for node in network_plan.layers:
        ending = f" ({_units(node.plan.y)})" if node.plan.params or node.plan.y != node.x else ""
        kind = "" if node.path.startswith(node.layer.kind) else f" {node.layer.kind}"
        parts.append(f"{node.path}{kind}{ending}")
    return " -> ".join(parts)


def _units(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "1"
