"""Mistakes that people make in optimizers: each is caught by one step against the equations.

What one step cannot show (a count that is off from the second step on, a length that is set anew at every step) has the
300 steps of tests/parts/optimizers/test_optimizers.py.
"""

import math
from typing import Any

import numpy as np

from bpcli.family.plan import Frame
from bpcli.parts.optimizers import (
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Lion,
    Momentum,
    Nadam,
    Nesterov,
    Radam,
    Rmsprop,
    Rprop,
    Sgd,
)
from bpcli.parts.optimizers.adam import momenta
from wrong_kernels.catalogue import wrong

ADAM, ADAMW = Adam.update, AdamW.update


def means(s: Any, f: Frame) -> None:
    f.m[...] = s.beta1 * f.m + (1 - s.beta1) * f.g
    f.v[...] = s.beta2 * f.v + (1 - s.beta2) * f.g**2


@wrong(Sgd, method="update")
def sgd_uphill(s: Sgd, f: Frame, lr: float, t: int) -> None:
    f.w += lr * f.g


@wrong(Momentum, method="update")
def momentum_rate_inside(s: Momentum, f: Frame, lr: float, t: int) -> None:
    f.v[...] = s.mu * f.v + lr * f.g
    f.w -= f.v


@wrong(Momentum, method="update")
def momentum_dampened(s: Momentum, f: Frame, lr: float, t: int) -> None:
    f.v[...] = s.mu * f.v + (1 - s.mu) * f.g
    f.w -= lr * f.v


@wrong(Nesterov, method="update")
def nesterov_without_looking(s: Nesterov, f: Frame, lr: float, t: int) -> None:
    f.v[...] = s.mu * f.v + f.g
    f.w -= lr * f.v


@wrong(Nesterov, method="update")
def nesterov_with_the_old_velocity(s: Nesterov, f: Frame, lr: float, t: int) -> None:
    before = f.v.copy()
    f.v[...] = s.mu * f.v + f.g
    f.w -= lr * (f.g + s.mu * before)


@wrong(Adagrad, method="update")
def adagrad_eps_inside(s: Adagrad, f: Frame, lr: float, t: int) -> None:
    f.s += f.g**2
    f.w -= lr * f.g / np.sqrt(f.s + s.eps)


@wrong(Adagrad, method="update")
def adagrad_divided_before(s: Adagrad, f: Frame, lr: float, t: int) -> None:
    f.w -= lr * f.g / (np.sqrt(f.s) + s.eps)
    f.s += f.g**2


@wrong(Adagrad, method="update")
def adagrad_without_the_root(s: Adagrad, f: Frame, lr: float, t: int) -> None:
    f.s += f.g**2
    f.w -= lr * f.g / (f.s + s.eps)


@wrong(Rmsprop, method="update")
def rmsprop_eps_inside(s: Rmsprop, f: Frame, lr: float, t: int) -> None:
    f.v[...] = s.alpha * f.v + (1 - s.alpha) * f.g**2
    f.w -= lr * f.g / np.sqrt(f.v + s.eps)


@wrong(Rmsprop, method="update")
def rmsprop_never_centered(s: Rmsprop, f: Frame, lr: float, t: int) -> None:
    f.v[...] = s.alpha * f.v + (1 - s.alpha) * f.g**2
    f.w -= lr * f.g / (np.sqrt(f.v) + s.eps)


@wrong(Adadelta, method="update")
def adadelta_rate_in_its_mean(s: Adadelta, f: Frame, lr: float, t: int) -> None:
    f.v[...] = s.rho * f.v + (1 - s.rho) * f.g**2
    step = lr * np.sqrt(f.r + s.eps) / np.sqrt(f.v + s.eps) * f.g
    f.r[...] = s.rho * f.r + (1 - s.rho) * step**2
    f.w -= step


@wrong(Adadelta, method="update")
def adadelta_eps_outside(s: Adadelta, f: Frame, lr: float, t: int) -> None:
    f.v[...] = s.rho * f.v + (1 - s.rho) * f.g**2
    step = (np.sqrt(f.r) + s.eps) / (np.sqrt(f.v) + s.eps) * f.g
    f.r[...] = s.rho * f.r + (1 - s.rho) * step**2
    f.w -= lr * step


@wrong(Adam, method="update")
def adam_uncorrected(s: Adam, f: Frame, lr: float, t: int) -> None:
    means(s, f)
    f.w -= lr * f.m / (np.sqrt(f.v) + s.eps)


@wrong(Adam, method="update")
def adam_t_from_0(s: Adam, f: Frame, lr: float, t: int) -> None:
    ADAM(s, f, lr, t - 1)


@wrong(Adam, method="update")
def adam_eps_inside(s: Adam, f: Frame, lr: float, t: int) -> None:
    means(s, f)
    f.w -= lr * f.m / (1 - s.beta1**t) / np.sqrt(f.v / (1 - s.beta2**t) + s.eps)


@wrong(Adam, method="update")
def adam_eps_before_the_correction(s: Adam, f: Frame, lr: float, t: int) -> None:
    means(s, f)
    root = math.sqrt(1 - s.beta2**t)
    f.w -= lr * root / (1 - s.beta1**t) * f.m / (np.sqrt(f.v) + s.eps)


@wrong(Adam, method="update")
def adam_amsgrad_of_the_corrected(s: Adam, f: Frame, lr: float, t: int) -> None:
    if not s.amsgrad:
        return ADAM(s, f, lr, t)
    means(s, f)
    np.maximum(f.vmax, f.v / (1 - s.beta2**t), out=f.vmax)
    f.w -= lr * f.m / (1 - s.beta1**t) / (np.sqrt(f.vmax) + s.eps)


@wrong(Adam, method="update")
def adam_amsgrad_forgotten(s: Adam, f: Frame, lr: float, t: int) -> None:
    means(s, f)
    f.w -= lr * f.m / (1 - s.beta1**t) / (np.sqrt(f.v / (1 - s.beta2**t)) + s.eps)


@wrong(AdamW, method="update")
def adamw_decays_biases(s: AdamW, f: Frame, lr: float, t: int) -> None:
    f.D = len(f.w)
    ADAMW(s, f, lr, t)


@wrong(AdamW, method="update")
def adamw_decays_nothing(s: AdamW, f: Frame, lr: float, t: int) -> None:
    f.D = 0
    ADAMW(s, f, lr, t)


@wrong(AdamW, method="update")
def adamw_decay_in_the_gradient(s: AdamW, f: Frame, lr: float, t: int) -> None:
    f.g[: f.D] += s.decay * f.w[: f.D]
    f.D = 0
    ADAMW(s, f, lr, t)


@wrong(AdamW, method="update")
def adamw_decay_without_the_rate(s: AdamW, f: Frame, lr: float, t: int) -> None:
    f.w[: f.D] *= 1 - s.decay
    f.D = 0
    ADAMW(s, f, lr, t)


@wrong(AdamW, method="update")
def adamw_decay_after_the_step(s: AdamW, f: Frame, lr: float, t: int) -> None:
    decaying, f.D = f.D, 0
    ADAMW(s, f, lr, t)
    f.w[:decaying] *= 1 - lr * s.decay


def _nadam(s: Nadam, f: Frame, lr: float, t: int, mu: float, ahead: float, product: float) -> None:
    means(s, f)
    root = np.sqrt(f.v / (1 - s.beta2**t)) + s.eps
    f.w -= lr * ((1 - mu) / (1 - product) * f.g + ahead / (1 - product * ahead) * f.m) / root


@wrong(Nadam, method="update")
def nadam_without_a_schedule(s: Nadam, f: Frame, lr: float, t: int) -> None:
    _nadam(s, f, lr, t, s.beta1, s.beta1, s.beta1**t)


@wrong(Nadam, method="update")
def nadam_product_a_step_short(s: Nadam, f: Frame, lr: float, t: int) -> None:
    mu, ahead, product = momenta(s.beta1, s.psi, t)
    _nadam(s, f, lr, t, mu, ahead, product / mu)


@wrong(Nadam, method="update")
def nadam_without_looking(s: Nadam, f: Frame, lr: float, t: int) -> None:
    mu, _, product = momenta(s.beta1, s.psi, t)
    _nadam(s, f, lr, t, mu, mu, product)


@wrong(Adamax, method="update")
def adamax_eps_in_the_division(s: Adamax, f: Frame, lr: float, t: int) -> None:
    f.m[...] = s.beta1 * f.m + (1 - s.beta1) * f.g
    f.r[...] = np.maximum(s.beta2 * f.r, np.abs(f.g))
    f.w -= lr / (1 - s.beta1**t) * f.m / (f.r + s.eps)


@wrong(Adamax, method="update")
def adamax_both_corrected(s: Adamax, f: Frame, lr: float, t: int) -> None:
    f.m[...] = s.beta1 * f.m + (1 - s.beta1) * f.g
    f.r[...] = np.maximum(s.beta2 * f.r, np.abs(f.g) + s.eps)
    f.w -= lr / (1 - s.beta1**t) * f.m / (f.r / (1 - s.beta2**t))


@wrong(Radam, method="update")
def radam_always_rectified(s: Radam, f: Frame, lr: float, t: int) -> None:
    means(s, f)
    f.w -= lr / (1 - s.beta1**t) * math.sqrt(1 - s.beta2**t) * f.m / (np.sqrt(f.v) + s.eps)


@wrong(Radam, method="update")
def radam_never_rectified(s: Radam, f: Frame, lr: float, t: int) -> None:
    means(s, f)
    f.w -= lr / (1 - s.beta1**t) * f.m


@wrong(Lion, method="update")
def lion_remembers_the_mix(s: Lion, f: Frame, lr: float, t: int) -> None:
    f.m[...] = s.beta1 * f.m + (1 - s.beta1) * f.g
    f.w -= lr * np.sign(f.m)


@wrong(Lion, method="update")
def lion_betas_swapped(s: Lion, f: Frame, lr: float, t: int) -> None:
    f.w -= lr * np.sign(s.beta2 * f.m + (1 - s.beta2) * f.g)
    f.m[...] = s.beta1 * f.m + (1 - s.beta1) * f.g


@wrong(Lion, method="update")
def lion_momentum_first(s: Lion, f: Frame, lr: float, t: int) -> None:
    f.m[...] = s.beta2 * f.m + (1 - s.beta2) * f.g
    f.w -= lr * np.sign(s.beta1 * f.m + (1 - s.beta1) * f.g)


def _rprop(s: Rprop, f: Frame, zero: bool, clip: bool) -> None:
    kept = f.p * np.sign(f.g)
    f.s *= np.where(kept > 0, s.grow, np.where(kept < 0, s.shrink, 1))
    if clip:
        np.clip(f.s, s.min_step, s.max_step, out=f.s)
    f.p[...] = np.where((kept < 0) & zero, 0, np.sign(f.g))
    f.w -= f.s * f.p


@wrong(Rprop, method="update")
def rprop_steps_after_a_change(s: Rprop, f: Frame, lr: float, t: int) -> None:
    _rprop(s, f, False, True)


@wrong(Rprop, method="update")
def rprop_without_ends(s: Rprop, f: Frame, lr: float, t: int) -> None:
    _rprop(s, f, True, False)


@wrong(Rprop, method="update")
def rprop_begins_anew(s: Rprop, f: Frame, lr: float, t: int) -> None:
    f.s.fill(lr)
    _rprop(s, f, True, True)
