"""A small valid model file, and the one problem that reading a file gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from bpcli.records.training import Exit, Failure
from bpcli.studies.run.modelfile import read, write

fuzz = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A small valid file."""
    path = tmp_path / "model.safetensors"
    tensors = {"dense_1.W": np.array([[1.5, -2.0], [0.0, 3.0]], np.float32), "seen": np.array([True, False])}
    write(path, tensors, {"classes": ["a", "ö"], "step": 10, "rate": 1e-07})
    return path


def failure(path: Path, exit: Exit = Exit.BAD_INPUT) -> str:
    """The code and the text of the one problem that reading the file gives."""
    with pytest.raises(Failure) as caught:
        read(path)
    assert caught.value.exit == exit
    (problem,) = caught.value.problems
    assert problem.file == str(path)
    assert str(path) in problem.text
    return f"{problem.code}: {problem.text}"
