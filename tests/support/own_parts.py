"""Files with parts of a user's own, right and wrong, and registries that are put back after each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bpcli.studies.custom import load as custom
from bpcli.studies.custom.source_location import SOURCES

GAIN = """\
from typing import Literal

import numpy as np

from bpcli.custom import (
    ConstantValue, Eq, Layer,
    N, Param, Plan, Slot,
)


class Gain(Layer):
    \"\"\"tanh, times a gain for each unit.\"\"\"

    type: Literal["gain"] = "gain"

    def plan(self, x):
        params = {"g": Param(x, ConstantValue(value=1.0))}
        return Plan(y=x, params=params, keep={"h": Slot((N, *x))}, scratch={"s": Slot((N, *x))})

    def forward(self, f, train):
        np.tanh(f.x, out=f.h)
        np.multiply(f.h, f.g, out=f.y)

    def backward(self, f, train):
        np.einsum("no,no->o", f.dy, f.h, out=f.dg)
        np.multiply(f.h, f.h, out=f.s)
        np.subtract(1, f.s, out=f.s)
        np.multiply(f.s, f.g, out=f.s)
        np.multiply(f.dy, f.s, out=f.dx)
"""
"""A right layer, without equations."""

SCALED = """\
from typing import Literal

import numpy as np

from bpcli.custom import Activation, Eq


class Scaled(Activation):
    \"\"\"tanh of a multiple.\"\"\"

    type: Literal["scaled"] = "scaled"
    a: float = 0.5

    def forward(self, f, train):
        np.multiply(f.x, self.a, out=f.y)
        np.tanh(f.y, out=f.y)

    def backward(self, f, train):
        np.multiply(f.y, f.y, out=f.dx)
        np.subtract(1, f.dx, out=f.dx)
        np.multiply(f.dx, self.a, out=f.dx)
        np.multiply(f.dx, f.dy, out=f.dx)

    def equations(self, train, x):
        return [Eq("y[n,...]", "tanh(a * x[n,...])"), Eq("dx[n,...]", "dy[n,...] * a * (1 - y[n,...]**2)")]
"""
"""A layer without a plan, with a setting that its equations mention."""

EQUATIONS = """\

    def equations(self, train, x):
        return [
            Eq("h[n,o]", "tanh(x[n,o])", "bent"),
            Eq("y[n,o]", "g[o] * h[n,o]", "scaled"),
            Eq("dg[o]", "sum(n, dy[n,o] * h[n,o])", "rows add"),
            Eq("dx[n,o]", "dy[n,o] * g[o] * (1 - h[n,o]**2)", "the slope of tanh"),
        ]
"""

SQUARE = """\
from typing import Literal

import numpy as np

from bpcli.custom import Loss, N, Plan, Slot


class Square(Loss):
    \"\"\"Half the squared error.\"\"\"

    type: Literal["square"] = "square"

    def plan(self, x):
        return Plan(y=x, scratch={"e": Slot((N, *x))})

    def forward(self, f):
        np.subtract(f.x, f.t, out=f.e)
        return 0.5 * float(np.vdot(f.e, f.e)) / len(f.x)

    def backward(self, f):
        np.subtract(f.x, f.t, out=f.dx)
        np.divide(f.dx, len(f.x), out=f.dx)
"""

STEP = """\
from typing import Literal

import numpy as np

from bpcli.custom import GradientOptimizer


class Downhill(GradientOptimizer):
    \"\"\"Plain descent.\"\"\"

    type: Literal["downhill"] = "downhill"

    @property
    def scratch(self):
        return ("s",)

    def update(self, f, lr, t):
        np.multiply(f.g, lr, out=f.s)
        np.subtract(f.w, f.s, out=f.w)
"""


OWN_ACTIVATION = """\
from typing import Literal
import numpy as np
from bpcli.custom import Activation, Loss, Plan

class Own(Activation):
    type: Literal["own"] = "own"

    def forward(self, f, train):
        f.y[...] = {y}

    def backward(self, f, train):
        f.dx[...] = f.dy * {slope}
"""
"""A file with an activation of one's own, to be formatted with its values and its slope."""


def changed(text: str, *changes: tuple[str, str]) -> str:
    """A text with pieces of it replaced."""
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory; what is loaded in it is forgotten."""
    monkeypatch.chdir(tmp_path)
    before, sources = custom.registry_snapshot(), dict(SOURCES)
    yield tmp_path
    custom.restore_registry(before)
    SOURCES.clear()
    SOURCES.update(sources)
