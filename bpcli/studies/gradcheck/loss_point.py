"""The loss on the network's outputs alone, and each penalty on weights alone."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np

from bpcli.engine.objective import Batch, Objective
from bpcli.family import Array, Regularizer
from bpcli.family.part import equations_of
from bpcli.notation import compile_equations
from bpcli.notation.derive.backward import derived_gradients, most_cells
from bpcli.numeric.streams import Stream
from bpcli.numeric.vectors import EPS
from bpcli.studies.gradcheck.forward_equations import loss_program
from bpcli.studies.gradcheck.layer_point import TIES, ForwardMismatch, mismatch
from bpcli.studies.witness.evidence import CheckedGradient
from bpcli.studies.witness.program_rounding import COARSE_EPS, TO_FLOAT64, RoundingScale, rounding_scale
from bpcli.studies.witness.witness import SUM_RTOL, max_abs

WEIGHTED, WHOLE_TARGETS, LARGE_TARGETS = "weighted", "whole targets", "large targets"
OVERFLOWING_LOSS = 1e150  # loss from which on its gradients may overflow
MAX_WEIGHTS = 200  # weights of a slice that a penalty is tried on


class LossPoint:
    """The loss on outputs and targets as they stand in the batch; `tied` puts targets where the outputs are, or outputs
    on whole numbers, `weighted` gives the rows weights, the first of them 0; others have targets of 0 and 1, or far
    from the outputs."""

    def __init__(self, objective: Objective, batch: Batch, name: str, seed: int) -> None:
        self.objective, self.batch, self.name = objective, batch, name
        self.loss, self.frame = objective.loss, batch.frame
        self.rng = rng = Stream(seed, "gradcheck", f"loss {name}").at()
        f = self.frame
        if name == TIES:
            if self.loss.targets == "values":
                np.copyto(f.t, f.x, where=rng.random(f.t.shape) < 0.5)
            else:
                np.rint(f.x, out=f.x)
        if name == WEIGHTED:
            batch.w[...] = rng.uniform(0.5, 1.5, batch.w.shape)
            batch.w[:1] *= len(batch.w) == 1 or not np.isfinite(self.loss.forward(f))
            batch.w /= batch.w.sum()
            f.w = batch.w
        if name in (WHOLE_TARGETS, LARGE_TARGETS):
            f.t[...] = rng.integers(0, 2, f.t.shape) if name == WHOLE_TARGETS else 8 * rng.normal(size=f.t.shape)
        value = self.loss.forward(f)
        self.loss.backward(f)
        self.kernel = {"L": np.asarray(value), "dx": f.dx.copy()}
        self.equations: dict[str, Array] = {}
        self.env: dict[str, Any] = {}
        self.rounding: RoundingScale = {}
        if self.loss.equations(f.w is not None):
            self.env, self.program = loss_program(objective, batch)
            self.long_program = loss_program(objective, batch, "path")[1]
            self.rounding = rounding_scale(self.program, self.env, rng)
            self.equations = self.program.run(self.env)

    @property
    def overflows(self) -> bool:
        """Whether the loss is infinite, or so large that a sum in another order is."""
        values = [float(v) for v in (self.kernel["L"], self.equations.get("L", self.kernel["L"]))]
        return all(abs(v) > OVERFLOWING_LOSS for v in values)

    @property
    def meaningless(self) -> bool:
        """Whether the loss is not meant for these targets, which are none of the data."""
        odd = self.name in (WHOLE_TARGETS, LARGE_TARGETS)
        return odd and (bool(self.loss.check(self.frame.t)) or not np.isfinite(self.kernel["L"]))

    @staticmethod
    def points(objective: Objective) -> tuple[str, ...]:
        """Returns the points at which a loss is checked besides the network's own outputs: ties where outputs need not
        be probabilities, and targets of which data has only some."""
        loss = objective.loss
        ties = (TIES,) if loss.link in ("identity", "exp", "margin") else ()
        whole = (WHOLE_TARGETS,) if loss.targets == "values" else ()
        return (WEIGHTED, *ties, *whole, *((LARGE_TARGETS,) if whole and loss.link == "identity" else ()))

    def gradient_for(self, x: Array) -> Array:
        """Returns the gradient that the kernels give for other outputs."""
        before = self.frame.x.copy()
        np.copyto(self.frame.x, x)
        self.loss.forward(self.frame)
        self.loss.backward(self.frame)
        np.copyto(self.frame.x, before)
        return np.array(self.frame.dx)

    @contextmanager
    def _moved(self, share: float) -> Iterator[Array]:
        """Moves the outputs by chance, and puts them back; yields the kernel's gradient there."""
        x = self.frame.x
        before = x.copy()
        x += share * np.maximum(1, np.abs(x)) * self.rng.normal(size=x.shape)
        yield self.gradient_for(x)
        np.copyto(x, before)

    def value(self) -> tuple[float, float]:
        value = float(self.loss.forward(self.frame))
        return value, abs(value) + max_abs(self.frame.x) + self.rounding.get("L", 0.0) / COARSE_EPS

    def forward_mismatch(self) -> ForwardMismatch | None:
        """Returns where the kernel's loss is not that of the equations."""
        if "L" not in self.equations or self.overflows:
            return None
        allowed = SUM_RTOL * abs(float(self.equations["L"])) + TO_FLOAT64 * self.rounding["L"]
        return mismatch("L", self.kernel, self.equations, allowed + 64 * EPS * max(max_abs(self.frame.x), 1.0))

    def gradient(self) -> CheckedGradient:
        f, dx = self.frame, self.kernel["dx"]
        share = 1 / len(f.x) if f.w is None else max_abs(f.w)
        complex_value = (lambda z: self.program.run({**self.env, "x": z}, {"L"})["L"]) if self.equations else None
        return CheckedGradient(
            "loss", "loss.dx", self.name, f.x, dx, self.value, self.equations.get("dx"), complex_value,
            max(max_abs(dx), share), self._moved,
            TO_FLOAT64 * self.rounding.get("dx", 0.0), differences=self.name != TIES or not self.equations,
            derived=self.derived.get("dx"),
        )  # fmt: skip

    @cached_property
    def derived(self) -> Mapping[str, Array]:
        """Returns the gradient by equations derived from those of the loss; nothing where none are stated."""
        if not self.equations:
            return {}
        return derived_gradients(self.program, self.env, "L", {"x": self.frame.x.shape}, most_cells(self.program))


class PenaltyPoint:
    """A penalty on some weights, one of them exactly 0."""

    name = "random"

    def __init__(self, part: Regularizer, size_: int, tensor: str, seed: int) -> None:
        rng = Stream(seed, "gradcheck", f"penalty {tensor}").at()
        self.part, self.tensor = part, tensor
        self.w = rng.normal(size=min(max(size_, 2), MAX_WEIGHTS))
        self.w[0] = 0.0
        self.scratch = np.empty_like(self.w)
        before = rng.normal(size=self.w.shape)
        g = before.copy()
        part.add_grad(self.w, g, self.scratch)
        self.before, self.kernel = before, {"penalty": np.asarray(self.value()[0]), "dw": g - before}
        self.equations: dict[str, Array] = {}
        self.env: dict[str, Any] = {"w": self.w.copy(), **part.consts()}
        if part.equations():
            with equations_of(part.kind):
                self.program = compile_equations(part.equations(), self.env, {"dw": self.w.shape})
            self.equations = self.program.run(self.env)

    def value(self) -> tuple[float, float]:
        value = float(self.part.value(self.w, self.scratch))
        return value, abs(value)

    def forward_mismatch(self) -> ForwardMismatch | None:
        """Returns where the kernel's penalty is not that of the equations."""
        allowed = SUM_RTOL * abs(float(self.equations.get("penalty", 0.0)))
        return mismatch("penalty", self.kernel, self.equations, allowed)

    def gradient(self) -> CheckedGradient:
        dw, env, stated = self.kernel["dw"], self.env, bool(self.equations)
        complex_value = (lambda z: self.program.run({**env, "w": z}, {"penalty"})["penalty"]) if stated else None
        reach = max(max_abs(self.before), max_abs(dw))
        derived = derived_gradients(self.program, env, "penalty", {"w": self.w.shape}) if stated else {}
        return CheckedGradient(
            "penalty", self.tensor, self.name, self.w, dw, self.value, self.equations.get("dw"), complex_value, reach,
            derived=derived.get("dw"),
        )  # fmt: skip


def penalties(objective: Objective, seed: int) -> Iterator[PenaltyPoint]:
    """Yields each penalty of the network; where there are several, with the first tensor that it lies on."""
    network_plan = objective.network.network_plan
    for part, where in network_plan.penalties:
        under = [e.path for e in network_plan.layout if where.start <= e.start < where.stop]
        several = f" on {under[0]}" if len(network_plan.penalties) > 1 else ""
        yield PenaltyPoint(part, where.stop - where.start, f"{part.kind}.dw{several}", seed)
