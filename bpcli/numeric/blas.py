"""Floor 0: how many threads NumPy's BLAS uses, and which of its kernels.

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

NAMES = ("scipy_openblas_{}64_", "openblas_{}64_", "openblas_{}")
"""What the functions of OpenBLAS are called, by who built it."""


class _OpenBlas(NamedTuple):
    """OpenBLAS's own setting, the number of threads that it began with, and the kernel that it chose for this
    processor."""

    put: Callable[[int], object]
    first: int
    kernel: str


@cache
def _openblas() -> _OpenBlas | None:
    """Returns the setting of the OpenBLAS that NumPy computes with; None where it is another BLAS."""
    extension = next((module for name, module in sys.modules.items() if name.endswith("._multiarray_umath")), None)
    with suppress(OSError, TypeError):
        library = ctypes.CDLL(str(getattr(extension, "__file__", None)))  # what it links to is found with it
        for name in NAMES:
            with suppress(AttributeError):
                kernel = library[name.format("get_corename")]
                kernel.restype = ctypes.c_char_p
                put, first = library[name.format("set_num_threads")], library[name.format("get_num_threads")]
                return _OpenBlas(put, int(first()), (kernel() or b"").decode("ascii", "replace"))
    return None


def fit_threads(macs: int) -> None:
    """Leaves products to one thread where the largest of them has fewer than MIN_PARALLEL_MACS multiply-adds, else to
    as many as BLAS began with. It holds for the whole process until the next call; where BLAS is not OpenBLAS it does
    nothing."""
    blas = _openblas()
    if blas is not None and blas.first > 1:
        blas.put(1 if macs < MIN_PARALLEL_MACS else blas.first)


def blas_kernel() -> str:
    """Returns the name of the kernel that BLAS chose for this processor, such as Haswell; "" where it does not say."""
    blas = _openblas()
    return "" if blas is None else blas.kernel


def blas_threads() -> int:
    """Returns the number of threads that BLAS began with; 0 where it does not say."""
    blas = _openblas()
    return 0 if blas is None else blas.first
