"""Mistakes people make in clippers, penalties, constraints and schedules: each is seen by a sample of its part."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from bpcli.family import Schedule
from bpcli.family.plan import Array, Frame
from bpcli.parts.clippers import Adaptive, GlobalNorm, Norm, Percentile, Value, ZScore
from bpcli.parts.constraints import MaxNorm
from bpcli.parts.regularizers import L1, L2, ElasticNet
from bpcli.parts.schedules import (
    Cosine,
    Exponential,
    InverseTime,
    MultiStep,
    OneCycle,
    Plateau,
    Polynomial,
    Step,
    Warmup,
)
from wrong_kernels.catalogue import BOTH_EQUATIONS, wrong


def scaled(f: Frame, bound: float) -> float:
    factor = min(1.0, bound / f.norm) if f.norm else 1.0
    f.g *= factor
    return factor


# ----------------------------------------------------------------------------------------------------------- clippers
@wrong(GlobalNorm, method="clip")
def norm_of_each_entry(self: GlobalNorm, f: Frame) -> float:
    f.g[...] = np.clip(f.g, -self.max_norm, self.max_norm)
    return 1.0


@wrong(Value, method="clip")
def value_from_below_only(self: Value, f: Frame) -> float:
    f.g[...] = np.minimum(f.g, self.limit)
    return 1.0


@wrong(Norm, method="clip")
def norm_of_all(self: Norm, f: Frame) -> float:
    return scaled(f, self.max_norm)


@wrong(Norm, method="clip")
def first_tensor_only(self: Norm, f: Frame) -> float:
    g, _ = f.pieces[0]
    g *= min(1.0, self.max_norm / max(np.linalg.norm(g), 1e-300))
    return 1.0


@wrong(Adaptive, method="clip")
def adaptive_of_tensors(self: Adaptive, f: Frame) -> float:
    for g, w in f.pieces:
        limit = self.clipping * max(np.linalg.norm(w), 1e-3)
        g *= min(1.0, limit / max(np.linalg.norm(g), 1e-300))
    return 1.0


def adaptive_by(f: Frame, share: float, axis: Any, least: float) -> float:
    for g, w in f.pieces:
        axes = tuple(range(g.ndim)[axis]) if g.ndim > 1 else None
        sizes, weights = (np.sqrt((a**2).sum(axes, keepdims=True)) for a in (g, w))
        g *= np.minimum(1, share * np.maximum(weights, least) / np.maximum(sizes, 1e-300))
    return 1.0


@wrong(Adaptive, method="clip")
def adaptive_by_input(self: Adaptive, f: Frame) -> float:
    return adaptive_by(f, self.clipping, slice(1, None), 1e-3)


@wrong(Adaptive, method="clip")
def adaptive_without_floor(self: Adaptive, f: Frame) -> float:
    return adaptive_by(f, self.clipping, slice(0, -1), 0.0)


@wrong(Adaptive, method="clip")
def adaptive_added_floor(self: Adaptive, f: Frame) -> float:
    for g, w in f.pieces:
        axes = tuple(range(g.ndim - 1)) if g.ndim > 1 else None
        sizes, weights = (np.sqrt((a**2).sum(axes, keepdims=True)) for a in (g, w))
        g *= np.minimum(1, self.clipping * (weights + 1e-3) / np.maximum(sizes, 1e-300))
    return 1.0


def remembered(self: Percentile, f: Frame) -> int:
    """Puts the norm into the ring; how many are held."""
    place, count = int(f.place), min(int(f.held) + 1, self.window)
    f.h[place], f.place[...], f.held[...] = f.norm, (place + 1) % self.window, count
    return count


@wrong(Percentile, method="clip")
def percentile_of_earlier_norms(self: Percentile, f: Frame) -> float:
    before = f.h[: int(f.held)].copy() if f.held else np.array([math.inf])
    remembered(self, f)
    return scaled(f, np.percentile(before, self.percentile))


@wrong(Percentile, method="clip")
def percentile_of_empty_places(self: Percentile, f: Frame) -> float:
    remembered(self, f)
    return scaled(f, np.percentile(f.h, self.percentile))


@wrong(Percentile, method="clip")
def percentile_of_what_is_left(self: Percentile, f: Frame) -> float:
    place, count = int(f.place), remembered(self, f)
    factor = scaled(f, np.percentile(f.h[:count], self.percentile))
    f.h[place] = f.norm * factor
    return factor


@wrong(Percentile, method="clip")
def percentile_keeps_its_first(self: Percentile, f: Frame) -> float:
    if f.held < self.window:
        remembered(self, f)
    return scaled(f, np.percentile(f.h[: int(f.held)], self.percentile))


@wrong(Percentile, method="clip")
def percentile_nearest(self: Percentile, f: Frame) -> float:
    return scaled(f, np.percentile(f.h[: remembered(self, f)], self.percentile, method="nearest"))


def zscore_with(self: ZScore, f: Frame, what: str) -> float:
    """The published step with one thing changed."""
    n = f.norm
    if f.held < self.warmup:
        f.h[int(f.held)] = n
        f.held[...] += 1
        if f.held == self.warmup:
            f.mu[...], f.var[...] = f.h.mean(), f.h.var(ddof=int(what == "variance of a sample"))
        return 1.0 if what == "no bound at first" else scaled(f, self.max_norm)
    mu, var = float(f.mu), float(f.var)
    deviation = math.sqrt(var)
    z = (n - mu) / (deviation if what == "no eps" else deviation + self.eps)
    top = mu + self.z_thr * deviation if what == "cut to the threshold" else mu + self.z_thr**2 * deviation / z
    x = top if z > self.z_thr else n
    bound = x if what == "max_norm forgotten" else min(x, self.max_norm)
    kept = {"the raw norm remembered": n, "the cut norm remembered": bound}.get(what, x)
    f.mu[...] = self.a * mu + (1 - self.a) * kept
    f.var[...] = self.a * var + (1 - self.a) * (kept - (mu if what == "spread about the old mean" else f.mu)) ** 2
    return scaled(f, bound)


for what in (
    "",
    "variance of a sample", "no bound at first", "no eps", "cut to the threshold", "max_norm forgotten",
    "the raw norm remembered", "the cut norm remembered", "spread about the old mean",
):  # fmt: skip
    wrong(ZScore, method="clip", name=what or "as it is", right=not what)(
        lambda self, f, what=what: zscore_with(self, f, what)
    )


# -------------------------------------------------------------------------------------------- penalties, constraints
@wrong(L2, "l2", "l2.dw", "factor 2 too many", method="add_grad")
def penalty_doubled(self: L2, w: Array, g: Array, scratch: Array) -> None:
    g += 2 * self.strength * w


@wrong(L2, "l2", "l2.dw", "all 0", method="add_grad")
def penalty_missing(self: L2, w: Array, g: Array, scratch: Array) -> None:
    pass


@wrong(L2, "l2", "l2.dw", "1/N", method="add_grad")
def penalty_divided_by_rows(self: L2, w: Array, g: Array, scratch: Array) -> None:
    g += self.strength * w / 3  # rows of the batch


@wrong(L2, method="add_grad")
def penalty_divided_by_weights(self: L2, w: Array, g: Array, scratch: Array) -> None:
    g += self.strength * w / len(w)


@wrong(L1, "l1", "l1.dw", r"sign\(w\[j\]\) lacks its function", method="add_grad")
def penalty_by_size(self: L1, w: Array, g: Array, scratch: Array) -> None:
    g += self.strength * w


@wrong(L2, "l2", "l2.dw", "overwritten", method="add_grad")
def penalty_overwrites(self: L2, w: Array, g: Array, scratch: Array) -> None:
    g[...] = self.strength * w


@wrong(L1, method="add_grad")
def l1_of_size(self: L1, w: Array, g: Array, scratch: Array) -> None:
    g += self.strength * np.abs(w)


@wrong(L1, method="add_grad", seen_by=BOTH_EQUATIONS)
def l1_up_at_zero(self: L1, w: Array, g: Array, scratch: Array) -> None:
    g += self.strength * np.where(w >= 0, 1, -1)


@wrong(L1, method="add_grad")
def l1_mean(self: L1, w: Array, g: Array, scratch: Array) -> None:
    g += self.strength * np.sign(w) / len(w)


@wrong(ElasticNet, method="add_grad")
def elastic_swapped(self: ElasticNet, w: Array, g: Array, scratch: Array) -> None:
    g += self.strength * ((1 - self.l1_ratio) * np.sign(w) + self.l1_ratio * w)


@wrong(ElasticNet, method="add_grad")
def elastic_squared_twice(self: ElasticNet, w: Array, g: Array, scratch: Array) -> None:
    g += self.strength * (self.l1_ratio * np.sign(w) + 2 * (1 - self.l1_ratio) * w)


@wrong(MaxNorm, method="apply")
def max_norm_of_inputs(self: MaxNorm, w: Array) -> None:
    axes = tuple(range(1, w.ndim))
    w *= np.minimum(1, self.limit / np.maximum(np.sqrt((w**2).sum(axes, keepdims=True)), 1e-300))


@wrong(MaxNorm, method="apply")
def max_norm_of_tensor(self: MaxNorm, w: Array) -> None:
    w *= min(1, self.limit / max(float(np.linalg.norm(w)), 1e-300))


@wrong(MaxNorm, method="apply")
def max_norm_of_entries(self: MaxNorm, w: Array) -> None:
    np.clip(w, -self.limit, self.limit, out=w)


@wrong(MaxNorm, method="apply")
def max_norm_always(self: MaxNorm, w: Array) -> None:
    w *= self.limit / np.maximum(np.sqrt((w**2).sum(tuple(range(w.ndim - 1)))), 1e-300)


# ---------------------------------------------------------------------------------------------------------- schedules
COSINE, ONE_CYCLE = Cosine.at, OneCycle.at


def a_step_late(honest: Any) -> Any:
    return lambda self, k, total, state: honest(self, max(k - 1, 0), total, state)


for kind, schedule in Schedule.registry.items():
    if kind not in ("constant", "plateau"):  # they have no clock
        wrong(schedule, method="at", name="a step late")(a_step_late(schedule.at))


@wrong(Cosine, method="at")
def cosine_ends_early(self: Cosine, k: int, total: int, state: Mapping[str, Array]) -> float:
    return float(COSINE(self, k, total - 1, state))


@wrong(Step, method="at")
def step_early(self: Step, k: int, total: int, state: Mapping[str, Array]) -> float:
    return float(self.start * self.factor ** ((k + 1) // self.every))


@wrong(MultiStep, method="at")
def milestone_late(self: MultiStep, k: int, total: int, state: Mapping[str, Array]) -> float:
    return float(self.start * self.factor ** sum(k > m for m in self.milestones))


@wrong(Exponential, method="at")
def exponential_late(self: Exponential, k: int, total: int, state: Mapping[str, Array]) -> float:
    return float(self.start * self.factor ** max(k - 1, 0))


@wrong(InverseTime, method="at")
def inverse_root(self: InverseTime, k: int, total: int, state: Mapping[str, Array]) -> float:
    return float(self.start / math.sqrt(1 + self.decay * k))


@wrong(Polynomial, method="at")
def polynomial_of_all(self: Polynomial, k: int, total: int, state: Mapping[str, Array]) -> float:
    return float(self.end + self.start * (1 - k / total) ** self.power)


@wrong(OneCycle, method="at")
def one_cycle_a_step_longer(self: OneCycle, k: int, total: int, state: Mapping[str, Array]) -> float:
    return float(ONE_CYCLE(self, k, total + 1, state))


@wrong(OneCycle, method="at")
def one_cycle_a_line(self: OneCycle, k: int, total: int, state: Mapping[str, Array]) -> float:
    first = self.peak / self.div_factor
    k, up = min(k, total - 1), self.pct_start * total - 1
    if k < up:
        return first + (self.peak - first) * k / up
    return self.peak + (first / self.final_div_factor - self.peak) * (k - up) / (total - 1 - up)


@wrong(Warmup, method="at")
def warmup_from_nothing(self: Warmup, k: int, total: int, state: Mapping[str, Array]) -> float:
    return min(k / self.steps, 1.0) * self.then.at(k, total, state)


@wrong(Warmup, method="at")
def warmup_puts_off(self: Warmup, k: int, total: int, state: Mapping[str, Array]) -> float:
    return min((k + 1) / self.steps, 1.0) * self.then.at(max(k - self.steps, 0), total, state)


def plateau_with(self: Plateau, state: Mapping[str, Array], value: float, lower: bool, what: str) -> None:
    """The right thing with one thing changed."""
    sense = {"min": 1, "max": -1}[self.mode] if self.mode else 1 if lower else -1
    if what == "always down":
        sense = 1
    share = self.threshold if what != "no threshold" else 0.0
    near = float(state["best"]) * (1 - (1 if what == "threshold of a maximum" else sense) * share)
    if what == "absolute threshold":
        near = float(state["best"]) - share
    if sense * value < near:
        state["best"][...], state["bad"][...] = sense * value, 0
    else:
        state["bad"][...] += 1
    if state["bad"] > self.patience if what == "one epoch later" else state["bad"] >= self.patience:
        state["bad"][...] = self.patience if what == "not counted anew" else 0
        least = 0.0 if what == "no least rate" else self.min_rate
        state["rate"][...] = max(float(state["rate"]) * self.factor, least)


for what in (
    "",
    "always down", "no threshold", "threshold of a maximum", "absolute threshold", "one epoch later",
    "not counted anew", "no least rate",
):  # fmt: skip
    wrong(Plateau, method="observe", name=what or "as it is", right=not what)(
        lambda self, state, value, lower, what=what: plateau_with(self, state, value, lower, what)
    )
