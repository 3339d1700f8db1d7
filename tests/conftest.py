"""What every test runs under: floating-point accidents are errors, as warnings are."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import settings


@pytest.fixture(autouse=True)
def _strict_arithmetic() -> Iterator[None]:
    with np.errstate(all="raise", under="ignore"):
        yield


settings.register_profile("steady", derandomize=True, deadline=None)
settings.register_profile("search", print_blob=True, deadline=None)
settings.load_profile("steady")
"""Property tests try the same cases every time, so that a change is judged and not the dice; new ones are looked for by
`pytest --hypothesis-profile=search`, and what it finds becomes a test of its own."""
