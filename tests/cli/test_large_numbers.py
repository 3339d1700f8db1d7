"""Every setting that is a whole number, at 10**k for k up to 18: `check` says at once whether it is good.

Each runs in a process of its own, which may take 1.5 GB of memory and two seconds of a processor.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

if not hasattr(os, "fork"):
    pytest.skip("no fork on this system", allow_module_level=True)

from enlarged_experiments import Enlarged, of_layers, of_other_parts, of_trainings, walk


@pytest.mark.parametrize("experiments", [of_layers, of_other_parts, of_trainings])
@pytest.mark.slow
def test_no_number_makes_check_hang_or_fail(experiments: Callable[[], Iterator[Enlarged]], tmp_path: Path) -> None:
    table, bad = walk(experiments(), tmp_path)
    assert not bad, "\n".join(bad)
    assert table[0] > 10  # some are as they should be, or what is refused is not what is large
