"""What every test runs under: floating-point accidents are errors, as warnings are."""

import gc
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import settings


@pytest.fixture(autouse=True)
def _strict_arithmetic() -> Iterator[None]:
    with np.errstate(all="raise", under="ignore"):
        yield


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Keeps Python's collector of cycles from what stays until the end, the tests themselves and the trees of all
    modules: it would go through these millions of objects again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


settings.register_profile("steady", derandomize=True, deadline=None)
settings.register_profile("search", print_blob=True, deadline=None)
settings.load_profile("steady")
"""Property tests try the same cases every time, so that a change is judged and not the dice; new ones are looked for by
`pytest --hypothesis-profile=search`, and what it finds becomes a test of its own."""
