"""Parts of a user's own that are loaded and examined, and the line that a problem points at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bpcli.family import Layer
from bpcli.family.part import Part
from bpcli.records.training import Problem
from bpcli.studies.custom import load as custom
from bpcli.studies.custom.contract import examine

WRITE = "write into the array that is there: np.multiply(..., out=f.{0}), or f.{0}[...] = ..."
APART = "compute in an array of its own: scratch={...} in plan; "


def load(text: str, file: str = "mine.py") -> type[Part]:
    Path(file).write_text(text)
    (part,) = custom.load([Path(file)])
    return part


def look(text: str, x: tuple[int, ...] = (4,), dtype: Any = np.float32, **more: Any) -> tuple[Problem, ...]:
    part: Any = load(text)
    return examine(Layer.parse("gain") if text.count("(Layer)") else part(**more), x, dtype=dtype)


def shown(problem: Problem) -> str:
    """The line that a problem points at, from its column on."""
    if not problem.line:
        return ""
    line = dict(problem.excerpt)[problem.line]
    return line[problem.column - 1 : problem.column - 1 + problem.span]
