"""Two sets of tensors beside each other, bit for bit: which is the first, in the order of computation, that differs."""

from collections.abc import Iterable, Mapping

import numpy as np

from bpcli.engine.network_plan import NetworkPlan
from bpcli.family.plan import Array
from bpcli.records.verify_resume import TensorDifference

GROUPS = ("", "slot", "clip", "schedule", "tally", "good", "best", "model")
"""Prefixes of what a training remembers, as a step comes to it: weights and running statistics (which have none of
these), the optimizer's slots, the clipper, the schedule, what is added up, the weights of the last and the best epoch;
and the model that is kept."""
STATE = "state."


def named_tensors(tensors: Mapping[str, Array], network_plan: NetworkPlan) -> dict[str, Array]:
    """Returns the tensors of a checkpoint, in which each flat vector of all weights (the weights themselves, the slots
    of an optimizer) is replaced by its tensors, `dense_1.W` and `slot.m.dense_1.W`."""
    found: dict[str, Array] = {}
    for name, a in tensors.items():
        group, _, rest = name.partition(".")
        flat = name.removesuffix("theta") if rest in ("", "theta") and name.endswith("theta") else f"{name}."
        if a.ndim and a.shape[-1] == network_plan.size and (name.endswith("theta") or group == "slot"):
            layout = {e.path: (e.where, (*a.shape[:-1], *e.shape)) for e in network_plan.layout}
            found |= {f"{flat}{path}": a[..., where].reshape(shape) for path, (where, shape) in layout.items()}
        else:
            found[name] = a
    return found


def computation_order(names: Iterable[str], network_plan: NetworkPlan) -> list[str]:
    """Returns names of tensors, each group of them (see GROUPS) by layers from the inputs on; of a layer its weights
    stand before its running statistics."""
    layers = {planned.path: i for i, planned in enumerate(network_plan.walk())}
    weights = {e.path: i for i, e in enumerate(network_plan.layout)}

    def place(name: str) -> tuple[int, int, bool, int, str]:
        group = name.partition(".")[0]
        known = GROUPS.index(group) if group in GROUPS and name not in weights else 0
        path = next((p for p in weights if name.endswith(p) and name[: -len(p)][-1:] in ("", ".")), "")
        layer = path.rpartition(".")[0] or name.rpartition(STATE)[2].rpartition(".")[0]
        return known, layers.get(layer, len(layers)), STATE in name, weights.get(path, 0), name

    return sorted(names, key=place)


def first_difference(
    first: Mapping[str, Array], second: Mapping[str, Array], order: Iterable[str]
) -> TensorDifference | None:
    """Returns where the first tensor of this order differs whose bits are not the same in both; None where all are."""
    for name in order:
        if name not in first or name not in second:
            return TensorDifference(name, note=f"only the {'first' if name in first else 'second'} has it")
        found = tensor_difference(name, first[name], second[name])
        if found is not None:
            return found
    return None


def tensor_difference(name: str, first: Array, second: Array) -> TensorDifference | None:
    """Returns where two arrays differ in their bits (so that a nan is itself, and 0 is not -0); None where they do
    not."""
    if first.shape != second.shape or first.dtype != second.dtype:
        note = f"{first.dtype} of shape {first.shape} and {second.dtype} of shape {second.shape}"
        return TensorDifference(name, note=note)
    a, b = (np.ascontiguousarray(x).reshape(-1) for x in (first, second))
    bits = np.dtype(f"u{a.dtype.itemsize}")
    differs = a.view(bits) != b.view(bits)
    count = int(differs.sum())
    if not count:
        return None
    at = int(differs.argmax())
    index = tuple(int(i) for i in np.unravel_index(at, first.shape)) if first.shape else ()
    with np.errstate(all="ignore"):
        largest = float(np.abs(a[differs].astype(np.float64) - b[differs].astype(np.float64)).max())
    return TensorDifference(name, index, float(a[at]), float(b[at]), count, a.size, largest)
