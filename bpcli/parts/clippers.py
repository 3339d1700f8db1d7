"""Clipping: limits on the gradient, penalty included, applied before the optimizer's update.

Easiest first: an entry, the whole, a tensor, a unit; then two whose bound is learned from the norms of past steps.
"""

import math
from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from bpcli.family import Array, Clipper, Frame, Sample, Shape, Slot
from bpcli.notation import Eq
from bpcli.numeric.vectors import as_columns, column_norms, l2_norm

JUST_BELOW_ONE = math.nextafter(1.0, 0.0)
"""The factor of a step of which too little was cut for its norm to show it."""
NORM = Eq("norm", "sqrt(sum(j, g[j]**2))", "the length of the gradient")


class Value(Clipper):
    """Cuts every entry of the gradient to [-limit, limit]; the direction may change.

    Shapes   g: j
    Source   Mikolov 2012, section 3.2.2; as PyTorch's clip_grad_value_
    """

    type: Literal["value"] = "value"
    limit: float = Field(gt=0, description="the largest size of an entry")

    def clip(self, f: Frame) -> float:
        if max(f.g.max(initial=0.0), -f.g.min(initial=0.0)) <= self.limit:
            return 1.0
        np.clip(f.g, -self.limit, self.limit, out=f.g)
        return float(min(l2_norm(f.g) / f.norm, JUST_BELOW_ONE))

    def equations(self, tensor: Shape = (2, 2)) -> list[Eq]:
        return [Eq("g_new[j]", "min(max(g[j], -limit), limit)", "each entry on its own")]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(limit=0.5), (11,))
        yield Sample(cls(limit=100.0), (5,), note="clips nothing")
        yield Sample({"type": "value", "limit": 0.0}, error="greater than 0")


class GlobalNorm(Clipper):
    """Shortens the whole gradient to `max_norm` where it is longer; the direction stays.

    Shapes   g: j, all parameters together
    Source   Pascanu, Mikolov & Bengio 2013, algorithm 1; no 1e-6 in the divisor (PyTorch adds one)
    """

    type: Literal["global_norm"] = "global_norm"
    max_norm: float = Field(gt=0, description="the largest length of the gradient of all parameters together")

    def clip(self, f: Frame) -> float:
        return _shorten(f, self.max_norm)

    def equations(self, tensor: Shape = (2, 2)) -> list[Eq]:
        return [
            NORM,
            Eq("factor", "where(norm > max_norm, max_norm / norm, 1)", "1 where it is short enough"),
            Eq("g_new[j]", "factor * g[j]", "the same direction"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(max_norm=0.5), (11,))
        yield Sample(cls(max_norm=100.0), (5,), note="clips nothing")
        yield Sample(cls(max_norm=1.0), (4,), inputs={"g": 0.0}, note="norm 0 is factor 1")
        yield Sample({"type": "global_norm", "max_norm": -1.0}, error="greater than 0")


class Norm(Clipper):
    """Shortens the gradient of each tensor to `max_norm` where it is longer.

    Each keeps its direction; the proportions between tensors change.

    Shapes   g: ..., one tensor
    Source   Pascanu, Mikolov & Bengio 2013, algorithm 1, on each tensor; as Keras's clipnorm
    """

    type: Literal["norm"] = "norm"
    per_tensor: ClassVar[bool] = True
    max_norm: float = Field(gt=0, description="the largest length of the gradient of one tensor")

    def clip(self, f: Frame) -> float:
        after, cut = 0.0, False
        for g, _ in f.pieces:
            norm = l2_norm(g)
            if norm > self.max_norm:
                np.multiply(g, self.max_norm / norm, out=g)
                norm, cut = self.max_norm, True
            after = math.hypot(after, norm)
        return min(after / f.norm, JUST_BELOW_ONE) if cut else 1.0

    def equations(self, tensor: Shape = (2, 2)) -> list[Eq]:
        return [
            Eq("norm", "sqrt(sum(..., g[...]**2))", "the length of the tensor's gradient"),
            Eq("factor", "where(norm > max_norm, max_norm / norm, 1)", "1 where it is short enough"),
            Eq("g_new[...]", "factor * g[...]", "the tensor's direction stays"),
        ]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(max_norm=2.0), note="some tensors")
        yield Sample(cls(max_norm=1e-3), note="all tensors")
        yield Sample(cls(max_norm=100.0), note="clips nothing")
        yield Sample(cls(max_norm=1.0), inputs={"g": 0.0}, note="norm 0 is factor 1")
        yield Sample({"type": "norm", "max_norm": 0.0}, error="greater than 0")


class Adaptive(Clipper):
    """Shortens the gradient of each unit where it is longer than `clipping` times the unit's weights (AGC).

    A unit is what shares the last index of a tensor; of a vector (biases) it is the whole. Weights shorter than 1e-3
    count as 1e-3, so that zeros can grow.

    Shapes   g, w: ... o, one tensor
    Source   Brock et al. 2021, eq. 3; the last layer is clipped too (the paper leaves it out)
    """

    type: Literal["adaptive"] = "adaptive"
    per_tensor: ClassVar[bool] = True
    clipping: float = Field(0.01, gt=0, description="the largest gradient of a unit, as a share of its weights")
    least: ClassVar[float] = 1e-3

    def clip(self, f: Frame) -> float:
        after, cut = 0.0, False
        for tensor, weights in f.pieces:
            g, w = as_columns(tensor), as_columns(weights)
            lengths = column_norms(g)
            limits = self.clipping * np.maximum(column_norms(w), self.least)
            if (lengths > limits).any():
                np.multiply(g, limits / np.maximum(lengths, limits), out=g)
                lengths, cut = np.minimum(lengths, limits), True
            after = math.hypot(after, l2_norm(lengths))
        return min(after / f.norm, JUST_BELOW_ONE) if cut else 1.0

    def equations(self, tensor: Shape = (2, 2)) -> list[Eq]:
        unit, of, over = ("[...,o]", "[o]", "...") if len(tensor) > 1 else ("[...]", "", "...")
        return [
            Eq(f"norm{of}", f"sqrt(sum({over}, g{unit}**2))", "the length of a unit's gradient"),
            Eq(f"limit{of}", f"clipping * max(sqrt(sum({over}, w{unit}**2)), least)", "by the length of its weights"),
            Eq(f"factor{of}", f"where(norm{of} > limit{of}, limit{of} / norm{of}, 1)", "1 where it is short enough"),
            Eq(f"g_new{unit}", f"factor{of} * g{unit}", "the unit's direction stays"),
        ]

    def consts(self) -> Mapping[str, float]:
        return {**super().consts(), "least": self.least}

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), note="usual")
        yield Sample(cls(clipping=1.0), note="some units")
        yield Sample(cls(clipping=1e4), note="clips nothing")
        yield Sample(cls(clipping=0.5), inputs={"w": 0.0}, note="weights of 0")
        yield Sample(cls(), inputs={"g": 0.0}, note="norm 0 is factor 1")
        yield Sample({"type": "adaptive", "clipping": 0.0}, error="greater than 0")


class Percentile(Clipper):
    """Shortens the whole gradient to a percentile of the norms of the last steps, this one included (AutoClip).

    The first step is never clipped: a run that explodes at once wants `zscore` or `global_norm`.

    Shapes   g: j; h: s, a ring of the last `window` norms
    Source   Seetharaman et al. 2020, algorithm 1, with a window in place of all norms
    Numerics between two norms the percentile is interpolated linearly, as NumPy's
    """

    type: Literal["percentile"] = "percentile"
    percentile: float = Field(10.0, ge=0, le=100, description="which percentile of past norms is the bound")
    window: int = Field(10_000, ge=1, le=10_000_000, description="how many norms are remembered")

    def state(self) -> Mapping[str, Slot]:
        count, place = (Slot((), limits=(0, most), whole=True) for most in (self.window, self.window - 1))
        return {"h": Slot((self.window,)), "held": count, "place": place}

    def clip(self, f: Frame) -> float:
        place, count = int(f.place), min(int(f.held) + 1, self.window)
        f.h[place] = f.norm
        f.place[...] = (place + 1) % self.window
        f.held[...] = count
        return _shorten(f, _percentile(f.h[:count], self.percentile))

    def equations(self, tensor: Shape = (2, 2)) -> list[Eq]:
        return [
            NORM,
            Eq("h_new[s]", "where(s == place, norm, h[s])", "the last norms, in a ring"),
            Eq("place_new", "(place + 1) % window", "where the next one goes"),
            Eq("held_new", "min(held + 1, window)", "how many there are"),
            Eq("bound", "percentile(s<held+1-held//window, p, h_new[s])", "this norm is among them"),
            Eq("g_new[j]", "where(norm > bound, bound / norm, 1) * g[j]", "the same direction"),
        ]

    def consts(self) -> Mapping[str, float]:
        return {"p": self.percentile, "window": self.window}

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        norms = [3.0, 0.5, 2.5, 1.0, 0.25]
        yield Sample(cls(), (11,), note="the first step")
        state = {"h": [*norms, 0.0, 0.0, 0.0], "held": 5.0, "place": 5.0}
        yield Sample(cls(percentile=30.0, window=8), (11,), inputs=state, note="a window half full")
        state = {"h": norms, "held": 5.0, "place": 2.0}
        yield Sample(cls(percentile=50.0, window=5), (11,), inputs=state, note="a window that is full")
        state = {"h": norms, "held": 4.0, "place": 4.0}
        yield Sample(cls(percentile=75.0, window=5), (11,), inputs=state, note="the last free place")
        yield Sample(cls(percentile=0.0, window=1), (4,), inputs={"g": 0.0}, note="norm 0 is factor 1")
        yield Sample({"type": "percentile", "percentile": 101.0}, error="less than or equal to 100")
        yield Sample({"type": "percentile", "window": 0}, error="greater than or equal to 1")


class ZScore(Clipper):
    """Shortens the whole gradient where its norm stands out of the running mean and deviation of past norms (ZClip).

    The first 25 steps only keep `max_norm` and are where mean and variance begin. A norm that stands out by z > z_thr
    deviations is cut to mean + z_thr^2 / z deviations, so that the wilder it is the more is taken away.

    Shapes   g: j; h: s, the norms of the first 25 steps
    Source   Kumar et al. 2025, algorithm 1 with reciprocal clipping; no 1e-6 in the divisor of the last line
    """

    type: Literal["zscore"] = "zscore"
    z_thr: float = Field(2.5, gt=0, description="how many deviations above the mean a norm may be")
    max_norm: float = Field(1.0, gt=0, description="the largest norm in any case")
    a: float = Field(0.97, ge=0, lt=1, description="how much of mean and variance stays from step to step")
    warmup: ClassVar[int] = 25
    eps: ClassVar[float] = 1e-6

    def state(self) -> Mapping[str, Slot]:
        count, var = Slot((), limits=(0, self.warmup), whole=True), Slot((), limits=(0, math.inf))
        return {"h": Slot((self.warmup,)), "held": count, "mu": Slot(()), "var": var}

    def clip(self, f: Frame) -> float:
        if f.held < self.warmup:
            f.h[int(f.held)] = f.norm
            f.held[...] += 1
            if f.held == self.warmup:
                f.mu[...] = f.h.mean()
                f.var[...] = f.h.var()
            return _shorten(f, self.max_norm)
        mu, var = float(f.mu), float(f.var)
        z = (f.norm - mu) / (math.sqrt(var) + self.eps)
        usual = mu + self.z_thr**2 * math.sqrt(var) / z if z > self.z_thr else f.norm
        f.mu[...] = self.a * mu + (1 - self.a) * usual
        f.var[...] = self.a * var + (1 - self.a) * (usual - float(f.mu)) ** 2
        return _shorten(f, min(usual, self.max_norm))

    def equations(self, tensor: Shape = (2, 2)) -> list[Eq]:
        mean, spread = "mean(s, h_new[s])", "mean(s, (h_new[s] - mu_new)**2)"
        return [
            NORM,
            Eq("h_new[s]", "where(s == held, norm, h[s])", "the first norms"),
            Eq("held_new", "min(held + 1, warmup)", "how many there are"),
            Eq("z", "(norm - mu) / (sqrt(var) + eps)", "deviations above the mean"),
            Eq("usual", "where(z > z_thr, mu + z_thr**2 * sqrt(var) / z, norm)", "a norm that stands out is reined in"),
            Eq("bound", "where(held < warmup, max_norm, min(usual, max_norm))", "at first max_norm alone"),
            Eq("g_new[j]", "where(norm > bound, bound / norm, 1) * g[j]", "the same direction"),
            Eq(
                "mu_new",
                f"where(held < warmup, where(held == warmup - 1, {mean}, mu), a * mu + (1 - a) * usual)",
                "the mean of the first norms, then a running one",
            ),
            Eq(
                "var_new",
                f"where(held < warmup, where(held == warmup - 1, {spread}, var), "
                "a * var + (1 - a) * (usual - mu_new)**2)",
                "and their variance",
            ),
        ]

    def consts(self) -> Mapping[str, float]:
        return {**super().consts(), "warmup": self.warmup, "eps": self.eps}

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        first = [1 + 0.5 * math.sin(s) for s in range(cls.warmup)]
        yield Sample(cls(), (11,), note="the first step")
        last = {"h": [*first[:-1], 0.0], "held": 24.0}
        yield Sample(cls(max_norm=100.0), (11,), inputs=last, note="where mean and variance begin")
        known = {"h": first, "held": 25.0}
        yield Sample(cls(max_norm=100.0), (11,), inputs={**known, "mu": 2.0, "var": 4.0}, note="an ordinary norm")
        yield Sample(cls(), (11,), inputs={**known, "mu": 4.0, "var": 4.0}, note="an ordinary norm over max_norm")
        outlier = {**known, "mu": 0.3, "var": 0.02}
        yield Sample(cls(), (11,), inputs=outlier, note="a norm that stands out")
        yield Sample(cls(z_thr=1.0, a=0.5, max_norm=0.2), (11,), inputs=outlier, note="one that is still too long")
        yield Sample(cls(), (4,), inputs={"g": 0.0}, note="norm 0 is factor 1")
        yield Sample({"type": "zscore", "z_thr": 0.0}, error="greater than 0")
        yield Sample({"type": "zscore", "max_norm": 0.0}, error="greater than 0")
        yield Sample({"type": "zscore", "a": 1.0}, error="less than 1")


def _shorten(f: Frame, bound: float) -> float:
    """Scales the gradient to the length `bound` where it is longer. Returns the factor."""
    if f.norm <= bound:
        return 1.0
    factor = float(bound / f.norm)
    np.multiply(f.g, factor, out=f.g)
    return factor


def _percentile(values: Array, rank: float) -> float:
    """Returns the percentile of a vector, in half the time of np.percentile."""
    at = rank / 100 * (len(values) - 1)
    below = min(int(at), max(len(values) - 2, 0))
    above = min(below + 1, len(values) - 1)
    low, high = np.partition(values, (below, above))[[below, above]]
    return float(low + (at - below) * (high - low))
