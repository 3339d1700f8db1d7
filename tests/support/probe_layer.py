"""A layer that uses every kind of memory the engine gives, and says what is asked of it.

No registered part keeps state yet, or has both parameters and scratch; this one has all of it. It is taken out of the
registry at once: it is no part of the package.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np

from bpcli.family import Layer
from bpcli.family.plan import Frame, N, Param, Plan, Shape, Slot
from bpcli.notation import Eq
from bpcli.parts.initializers import ConstantValue

calls: list[str] = []


class Probe(Layer):
    """y = gain x + u, with u drawn; remembers how often it was committed and the last mean of its inputs."""

    type: Literal["probe"] = "probe"

    def plan(self, x: Shape) -> Plan:
        return Plan(
            y=x,
            params={"gain": Param(x, ConstantValue(value=2.0))},
            keep={"kept": Slot((N, *x))},
            scratch={"s": Slot((N, *x)), "flags": Slot((N, *x), "bool"), "wide": Slot((N, *x, 3), "int")},
            draws={"u": Slot((N, *x), "float32")},
            state={"mean": Slot(x), "count": Slot((), "int")},
        )

    def draw(self, f: Frame, rng: np.random.Generator) -> None:
        calls.append("draw")
        rng.random(out=f.u, dtype=np.float32)

    def forward(self, f: Frame, train: bool) -> None:
        calls.append("forward")
        f.s.fill(np.nan)  # scratch is anybody's
        f.wide.fill(-1)
        np.copyto(f.kept, f.x)
        np.multiply(f.x, f.gain, out=f.y)
        if train:
            np.add(f.y, f.u, out=f.y)

    def backward(self, f: Frame, train: bool) -> None:
        calls.append("backward")
        np.multiply(f.dy, f.kept, out=f.s)
        np.add.reduce(f.s, 0, out=f.dgain)
        np.multiply(f.dy, f.gain, out=f.dx)
        f.s.fill(np.nan)
        f.wide.fill(-1)

    def commit(self, f: Frame) -> None:
        calls.append("commit")
        np.mean(f.x, 0, out=f.mean)
        f.count += 1

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        return []


Layer.registry.pop("probe")


@contextmanager
def listening(monkeypatch: Any, *methods: tuple[type, str, str]) -> Iterator[list[str]]:
    """The calls of these methods (class, method, what to write down) and of every Probe, in their order."""
    calls.clear()
    with monkeypatch.context() as patch:
        for cls, method, word in methods:
            patch.setattr(cls, method, _telling(getattr(cls, method), word))
        yield calls


def _telling(honest: Any, word: str) -> Any:
    def recorded(*args: Any, **kwargs: Any) -> Any:
        calls.append(word)
        return honest(*args, **kwargs)

    return recorded
