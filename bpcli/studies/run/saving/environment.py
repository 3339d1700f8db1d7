"""What the bits of a result depend on besides the experiment: versions, BLAS and its kernel, threads, the machine."""

import os
import platform
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

import bpcli
from bpcli.numeric.blas import blas_kernel, blas_threads
from bpcli.numeric.threads import usable_cores
from bpcli.records.training import Problem

THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
VERSIONS = "another version may compute in another order"
KERNEL = "another kernel of BLAS adds the terms of a product in another order"
THREADS = "other threads cut a large product into other pieces"
SPEED = "only the speed changes with the cores: the bits are the same on one and on many"
COMPARED: Mapping[tuple[str, ...], tuple[str, str]] = {
    ("bpcli",): ("bpcli", VERSIONS),
    ("python",): ("Python", VERSIONS),
    ("numpy",): ("NumPy", VERSIONS),
    ("blas", "name"): ("BLAS", KERNEL),
    ("blas", "version"): ("BLAS's version", VERSIONS),
    ("blas", "kernel"): ("BLAS's kernel", KERNEL),
    ("blas", "threads"): ("BLAS's threads", THREADS),
    ("machine",): ("the machine", KERNEL),
    ("cores",): ("the cores", SPEED),
    ("processors",): ("the machine's cores", SPEED),
    **{("threads", name): (name, THREADS) for name in THREAD_VARIABLES},
}
"""Entries of an environment: what each is called, and why it matters."""


def environment() -> dict[str, Any]:
    """Returns what else the bits of a result depend on: versions, BLAS with the kernel that it chose for this processor
    and the threads that it began with, the cores this process may use, the machine."""
    config: Any = np.show_config(mode="dicts")
    blas = config.get("Build Dependencies", {}).get("blas", {})
    return {
        "bpcli": bpcli.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": {
            "name": blas.get("name", "?"),
            "version": blas.get("version", "?"),
            "kernel": blas_kernel(),
            "threads": blas_threads(),
        },
        "processors": os.cpu_count(),
        "cores": usable_cores(),
        "threads": {name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ},
        "machine": f"{platform.system()} {platform.machine()}",
    }


def other_environment(record: Mapping[str, Any]) -> tuple[Problem, ...]:
    """Returns a warning where a run goes on in another environment than its record began in: what differs, from what to
    what, and why that may matter. What an earlier version did not write down is not compared."""
    before = record.get("environment")
    changes = list(_changes(before, environment())) if isinstance(before, dict) else []
    if not changes:
        return ()
    reasons = dict.fromkeys(why for _, why in changes if why != SPEED)
    text = f"this run began elsewhere: {'; '.join(what for what, _ in changes)}"
    if not reasons:
        return (Problem(f"{text}: {SPEED}", "environment", level="warning"),)
    text += f": its weights may differ in their last bits from those of a run that stayed there ({'; '.join(reasons)})"
    help = "`bpcli verify-resume CONFIG` shows whether a run that is interrupted here goes on bit for bit"
    return (Problem(text, "environment", help=help, level="warning"),)


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields what differs, and why it matters."""
    blas = before.get("blas")
    said = isinstance(blas, dict) and "threads" in blas  # and so the variable has had its effect
    for path, (name, why) in COMPARED.items():
        old, new = before, now
        for key in path[:-1]:
            inner = old.get(key)
            old, new = inner if isinstance(inner, dict) else {}, new.get(key, {})
        key = path[-1]
        known = key in old or (path[0] == "threads" and isinstance(before.get("threads"), dict))
        if (said and name == "OPENBLAS_NUM_THREADS") or (path == ("processors",) and "cores" in before):
            continue
        if known and old.get(key) != new.get(key):
            yield f"{name} {_shown(old.get(key))} then, {_shown(new.get(key))} now", why


def _shown(value: object) -> str:
    return "unset" if value is None else str(value) or "unknown"
