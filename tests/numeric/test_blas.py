"""How many threads BLAS uses: one for small products, its own number for large ones."""

from collections.abc import Callable, Iterator

import pytest
from machine import openblas

from bpcli.numeric import blas
from bpcli.numeric.blas import _openblas, fit_threads
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
    every = _openblas()
    assert every is not None
    fit_threads(MIN_PARALLEL_MACS - 1)
    assert threads() == 1
    fit_threads(MIN_PARALLEL_MACS)
    assert threads() == every.first


@pytest.mark.parametrize(("first", "set_to"), [(4, [1, 4]), (1, [])])
def test_large_products_have_as_many_threads_as_blas_began_with(
    first: int, set_to: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever this machine has: one that began with a single thread is not asked for more."""
    found: list[int] = []
    monkeypatch.setattr(blas, "_openblas", lambda: blas._OpenBlas(found.append, first, ""))
    fit_threads(MIN_PARALLEL_MACS - 1)
    fit_threads(MIN_PARALLEL_MACS)
    assert found == set_to


def test_another_blas_is_left_alone(threads: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> None:
    before = threads()
    monkeypatch.setattr(blas, "_openblas", lambda: None)
    fit_threads(0)
    fit_threads(MIN_PARALLEL_MACS)
    assert threads() == before
