"""Gaussian noise: inputs that are never twice the same."""

from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from bpcli.family import Frame, Layer, N, Plan, Sample, Shape, Slot
from bpcli.notation import Eq


class GaussianNoise(Layer):
    """Adds normal noise of mean 0 to each entry while training, and nothing at evaluation.

    Shapes   x, z, y: n ...; z is standard normal
    Source   Sietsma & Dow 1991; Bishop 1995, section 2
    Numerics the noise is drawn in float32 whatever the run, so that float32 and float64 see the same
    """

    rows_are_independent: ClassVar[bool] = True
    type: Literal["gaussian_noise"] = "gaussian_noise"
    stddev: float = Field(0.1, ge=0, description="standard deviation of the noise, in units of the input")

    def plan(self, x: Shape) -> Plan:
        draws = {"u": Slot((N, *x), "float32"), "z": Slot((N, *x))}
        return Plan(y=x, draws=draws, consts={"stddev": self.stddev})

    def draw(self, f: Frame, rng: np.random.Generator) -> None:
        rng.standard_normal(out=f.u, dtype=np.float32)
        np.copyto(f.z, f.u)

    def forward(self, f: Frame, train: bool) -> None:
        if train:
            np.multiply(f.z, self.stddev, out=f.y)
            np.add(f.y, f.x, out=f.y)
        else:
            np.copyto(f.y, f.x)

    def backward(self, f: Frame, train: bool) -> None:
        np.copyto(f.dx, f.dy)

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        if not train:
            return [Eq("y[n,...]", "x[n,...]", "no noise at evaluation"), Eq("dx[n,...]", "dy[n,...]")]
        return [
            Eq("y[n,...]", "x[n,...] + stddev * z[n,...]", "z is drawn anew at every step"),
            Eq("dx[n,...]", "dy[n,...]", "the noise does not lean on the input"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(stddev=0.5), (7,), batch=5)
        yield Sample(cls(), (2, 3, 5))
        yield Sample(cls(stddev=0.0), (3,), batch=1, note="adds nothing")
        yield Sample({"type": "gaussian_noise", "stddev": -0.1}, error="greater than or equal to 0")
