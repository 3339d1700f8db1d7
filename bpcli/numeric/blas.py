"""Floor 0: how many threads NumPy's BLAS uses.

OpenBLAS gives every product of 2 * 2^18 multiply-adds and more to all its threads, which then go on asking for the next
one. A second thread gains next to nothing below MIN_PARALLEL_MACS; on a machine that is busy with other work it costs
ten times the processor and several times the time, because each product waits for a thread that is not running.
"""

import ctypes
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import NamedTuple

from bpcli.numeric.threads import MIN_PARALLEL_MACS

NAMES = ("scipy_openblas_{}_num_threads64_", "openblas_{}_num_threads64_", "openblas_{}_num_threads")
"""What the two functions of OpenBLAS are called, by who built it."""


class _Threads(NamedTuple):
    """OpenBLAS's own setting, and the number of threads that it began with."""

    put: Callable[[int], object]
    first: int


@cache
def _openblas() -> _Threads | None:
    """Returns the setting of the OpenBLAS that NumPy computes with; None where it is another BLAS."""
    extension = next((module for name, module in sys.modules.items() if name.endswith("._multiarray_umath")), None)
    with suppress(OSError, TypeError):
        library = ctypes.CDLL(str(getattr(extension, "__file__", None)))  # what it links to is found with it
        for name in NAMES:
            with suppress(AttributeError):
                return _Threads(library[name.format("set")], int(library[name.format("get")]()))
    return None


def fit_threads(macs: int) -> None:
    """Leaves products to one thread where the largest of them has fewer than MIN_PARALLEL_MACS multiply-adds, else to
    as many as BLAS began with. It holds for the whole process until the next call; where BLAS is not OpenBLAS it does
    nothing."""
    blas = _openblas()
    if blas is not None and blas.first > 1:
        blas.put(1 if macs < MIN_PARALLEL_MACS else blas.first)
