"""How many threads BLAS uses: one for small products, its own number for large ones."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from machine import openblas

from bpcli.numeric.blas import fit_threads
from bpcli.numeric.threads import MIN_PARALLEL_MACS


@pytest.fixture
def threads() -> Iterator[Callable[[], int]]:
    library = openblas()
    if library is None:
        pytest.skip("NumPy's BLAS is not OpenBLAS")
    get, put = library.scipy_openblas_get_num_threads64_, library.scipy_openblas_set_num_threads64_
    before = get()
    yield get
    put(before)


def test_small_products_have_one_thread_and_large_ones_all(threads: Callable[[], int]) -> None:
    fit_threads(MIN_PARALLEL_MACS)
    every = threads()
    fit_threads(MIN_PARALLEL_MACS - 1)
    assert threads() == 1
    fit_threads(MIN_PARALLEL_MACS)
    assert threads() == every


def test_another_blas_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bpcli.numeric.blas._openblas", lambda: None)
    fit_threads(0)
    assert np.ones((2, 2)).sum() == 4
