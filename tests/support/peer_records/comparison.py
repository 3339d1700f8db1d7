"""Our numbers beside recorded ones."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from peer_records import figures, initializers, layers, limits, losses, optimizers, schedules
from peer_records.files import Record

MODULES: dict[str, ModuleType] = {
    module.__name__.rpartition(".")[2]: module
    for module in (layers, losses, optimizers, limits, schedules, figures, initializers)
}
TOLERANCE = 1e-11, 1e-13
"""Of an entry, and beside it: both sides are computed in float64, in another order, and a file holds 13 digits."""


def gaps(family: str, record: Record) -> list[str]:
    """Compares what we make of a record with what the peer did. Returns a sentence for each array that differs."""
    return differences(family, record, MODULES[family].ours(record), differently(family, record)[1])


def differently(family: str, record: Record) -> tuple[str, Any]:
    """Returns how we differ from the peer on purpose, "" where we do not, and what it found with that difference."""
    module = MODULES[family]
    return module.differently(record) if hasattr(module, "differently") else ("", record["found"])


def differences(family: str, record: Record, ours: Any, theirs: Any) -> list[str]:
    """Returns a sentence for each name or array in which two sets of results for a record differ."""
    if ours.keys() != theirs.keys():
        return [f"one has {sorted(ours)}, the other {sorted(theirs)}"]
    found, tolerance = [], getattr(MODULES[family], "tolerance", None)
    for name, value in theirs.items():
        a, b = np.asarray(ours[name], dtype=float), np.asarray(value, dtype=float)
        rtol, atol = tolerance(record, name) if tolerance is not None else TOLERANCE
        if a.shape != b.shape:
            found.append(f"{name} is {a.shape} here and {b.shape} there")
        elif not np.allclose(a, b, rtol=rtol, atol=atol):
            worst = np.unravel_index(np.argmax(np.abs(a - b) - rtol * np.abs(b)), a.shape)
            found.append(f"{name}{[int(i) for i in worst]} is {a[worst]:.15g} here and {b[worst]:.15g} there")
    return found
