"""What figures depend on: the kernel of BLAS, and how many threads there are."""

import ctypes
import functools
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bpcli.parts  # noqa: F401  (declares them)


@contextmanager
def on_threads(threads: int, blas_alone: bool = False) -> Iterator[None]:
    """PyTorch, unless BLAS alone is meant, and, where threadpoolctl is installed, NumPy's BLAS on so many threads."""
    import torch

    if not blas_alone and torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        yield
    else:
        with threadpool_limits(threads, "blas"):
            yield


@functools.cache  # as the process began: a network sets how many threads BLAS has
def machine() -> tuple[str, tuple[int, ...]]:
    """NumPy's BLAS in words, and the numbers of threads to try."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]  # type: ignore[call-overload,index]
    text = f"NumPy {np.__version__}, {blas['name']} {blas['version']}"
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return f"{text}, its own number of threads", (pytest.importorskip("torch").get_num_threads(),)
    (pool,) = [p for p in threadpool_info() if p["user_api"] == "blas" and "numpy" in p["filepath"]]
    return f"{text}, kernel {pool['architecture']}", tuple(sorted({1, pool["num_threads"]}))


def openblas() -> ctypes.CDLL | None:
    """The OpenBLAS that came with NumPy; None where it has another BLAS."""
    found = list(Path(np.__file__).parents[1].glob("numpy.libs/libscipy_openblas64_*"))
    return ctypes.CDLL(str(found[0])) if found else None


def processor_kind() -> dict[str, object]:
    """What the last bits of sums and of exp depend on: NumPy, its BLAS with the kernel it chose, what the processor
    can do."""
    found: Any = np.show_config(mode="dicts")
    blas = found["Build Dependencies"]["blas"]
    kernel = ""
    if (library := openblas()) is not None:
        name = library.scipy_openblas_get_corename64_
        name.restype = ctypes.c_char_p
        kernel = name().decode()
    return {
        "numpy": np.__version__,
        "blas": f"{blas['name']} {blas['version']}",
        "kernel": kernel,
        "machine": f"{platform.system()} {platform.machine()}",
        "instructions": found["SIMD Extensions"].get("found", []),
    }
