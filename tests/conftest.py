"""What every test runs under: floating-point accidents are errors, as warnings are."""

from collections.abc import Iterator

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def _strict_arithmetic() -> Iterator[None]:
    with np.errstate(all="raise", under="ignore"):
        yield
