"""Small sources in the working directory, prepared in one call."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from bpcli.config.data import Data, Fold
from bpcli.records.training import Failure, Problem
from bpcli.studies.dataset.prepare import Prepared, prepare
from bpcli.studies.dataset.preprocessor import Preprocessor

Wants = Literal["classes", "values"]


def ready(
    train: dict[str, Any],
    targets: Wants = "classes",
    seed: int = 7,
    dtype: Any = "float64",
    within: Fold | None = None,
    **rest: Any,
) -> Prepared:
    data = Data.model_validate({"train": train, **rest})
    return prepare(data, targets=targets, seed=seed, dtype=np.dtype(dtype), root=Path("."), within=within)


def csv(content: str, target: Any = "y", name: str = "a.csv", **settings: Any) -> dict[str, Any]:
    Path(name).write_text(content)
    return {"type": "csv", "path": name, "target": target, **settings}


def inline(inputs: list[Any], targets: list[Any]) -> dict[str, Any]:
    return {"type": "inline", "inputs": inputs, "targets": targets}


def problem_of(*args: Any, **kwargs: Any) -> Problem:
    with pytest.raises(Failure) as caught:
        ready(*args, **kwargs)
    (problem,) = caught.value.problems
    assert int(caught.value.exit) == 65
    return problem


def same(a: Preprocessor, b: Preprocessor) -> bool:
    left, right = a.tensors(), b.tensors()
    equal = all(np.array_equal(left[k], right[k]) for k in left)
    return a.to_meta() == b.to_meta() and left.keys() == right.keys() and equal
