"""Mistakes that people make in L-BFGS and in Levenberg-Marquardt: each must be caught by one iteration against the
equations, which know neither the two loops nor the solver."""

from __future__ import annotations

from typing import Any

import numpy as np

from bpcli.family import ObjectiveView
from bpcli.family.plan import Frame
from bpcli.parts.optimizers import Lbfgs, LevenbergMarquardt
from bpcli.parts.optimizers.lbfgs import LinePoint
from wrong_kernels.catalogue import wrong

STORE_PAIR = Lbfgs._store_pair
SOLVE, SEARCH = LevenbergMarquardt._solve, LevenbergMarquardt.search


@wrong(Lbfgs, method="_descent_direction", right=True)
def loops(
    s: Lbfgs, f: Frame, *, up: bool = False, gamma: bool = True, second: bool = True, alone: bool = False
) -> None:
    """The two loops, with what can go wrong in them."""
    d, pairs = -f.slope, [(f.S[i], f.Y[i]) for i in range(s.pairs - int(f.kept), s.pairs)]
    shares = []
    for S, Y in pairs if up else reversed(pairs):
        shares.append((S @ d) / (S @ Y))
        d = d - shares[-1] * Y
    if pairs and gamma:
        S, Y = pairs[0 if alone else -1]
        d = d * (S @ Y) / (Y @ Y)
    if second:
        for (S, Y), share in zip(reversed(pairs) if up else pairs, reversed(shares), strict=True):
            d = d + (share - (Y @ d) / (S @ Y)) * S
    f.d[...] = d


@wrong(Lbfgs, method="_descent_direction")
def lbfgs_loops_in_the_wrong_order(s: Lbfgs, f: Frame) -> None:
    loops(s, f, up=True)


@wrong(Lbfgs, method="_descent_direction")
def lbfgs_without_gamma(s: Lbfgs, f: Frame) -> None:
    loops(s, f, gamma=False)


@wrong(Lbfgs, method="_descent_direction")
def lbfgs_gamma_of_the_oldest(s: Lbfgs, f: Frame) -> None:
    loops(s, f, alone=True)


@wrong(Lbfgs, method="_descent_direction")
def lbfgs_first_loop_only(s: Lbfgs, f: Frame) -> None:
    loops(s, f, second=False)


@wrong(Lbfgs, method="_descent_direction")
def lbfgs_down_the_gradient(s: Lbfgs, f: Frame) -> None:
    np.negative(f.slope, out=f.d)


@wrong(Lbfgs, method="_line_search")
def lbfgs_any_lower_point_will_do(s: Lbfgs, f: Frame, surface: ObjectiveView) -> bool:
    at = 1e-3
    while s._evaluate(f, surface, at).value >= f.value:
        at /= 2
    return s._accept(f, LinePoint(at, 0.0, 0.0))


@wrong(Lbfgs, method="_line_search")
def lbfgs_as_far_as_it_likes(s: Lbfgs, f: Frame, surface: ObjectiveView) -> bool:
    return s._accept(f, s._evaluate(f, surface, 40.0))


@wrong(Lbfgs, method="_store_pair")
def lbfgs_change_of_the_gradient_backwards(s: Lbfgs, f: Frame) -> None:
    y = f.slope - f.g
    STORE_PAIR(s, f)
    f.Y[-1] = y


@wrong(Lbfgs, method="_store_pair")
def lbfgs_direction_remembered_for_the_step(s: Lbfgs, f: Frame) -> None:
    STORE_PAIR(s, f)
    f.S[-1] = f.d


@wrong(Lbfgs, method="_store_pair")
def lbfgs_oldest_pair_overwritten_by_the_newest(s: Lbfgs, f: Frame) -> None:
    s_, y = f.w - f.start, f.g - f.slope
    f.S[0], f.Y[0] = s_, y
    f.kept[...] = min(int(f.kept) + 1, s.pairs)


@wrong(Lbfgs, method="_store_pair")
def lbfgs_forgets_to_count(s: Lbfgs, f: Frame) -> None:
    kept = int(f.kept)
    STORE_PAIR(s, f)
    f.kept[...] = kept


@wrong(LevenbergMarquardt, method="_solve")
def levenberg_damping_forgotten(s: LevenbergMarquardt, f: Frame, mu: float) -> bool:
    return SOLVE(s, f, 1e-12)


@wrong(LevenbergMarquardt, method="_solve")
def levenberg_scaled_as_marquardt(s: LevenbergMarquardt, f: Frame, mu: float) -> bool:
    f.d[...] = np.linalg.solve(f.A + mu * np.diag(np.diag(f.A)), f.b)
    return True


@wrong(LevenbergMarquardt, method="_solve")
def levenberg_right_side_without_its_penalty(s: LevenbergMarquardt, f: Frame, mu: float) -> bool:
    f.b -= f.bend * f.start
    return SOLVE(s, f, mu)


@wrong(LevenbergMarquardt, method="_solve")
def levenberg_penalty_bends_nothing(s: LevenbergMarquardt, f: Frame, mu: float) -> bool:
    f.A -= np.diag(f.bend)
    return SOLVE(s, f, mu)


@wrong(LevenbergMarquardt, method="_solve")
def levenberg_gradient_in_its_own_units(s: LevenbergMarquardt, f: Frame, mu: float) -> bool:
    f.b *= 0.5
    return SOLVE(s, f, mu)


@wrong(LevenbergMarquardt, method="_solve")
def levenberg_half_a_step(s: LevenbergMarquardt, f: Frame, mu: float) -> bool:
    found = SOLVE(s, f, mu)
    f.d *= 0.5
    return found


@wrong(LevenbergMarquardt, method="search")
def levenberg_never_trusts_more(s: LevenbergMarquardt, f: Frame, surface: ObjectiveView, t: int) -> str:
    found = SEARCH(s, f, surface, t)
    f.mu /= s.down
    return found


@wrong(LevenbergMarquardt, method="search")
def levenberg_one_row_of_the_jacobian_lost(s: LevenbergMarquardt, f: Frame, surface: ObjectiveView, t: int) -> str:
    class Short:
        value, quadratic = surface.value, surface.quadratic

        def jacobian(self, block: Any) -> Any:
            for found in surface.jacobian(block):
                yield found[:-1]

    return SEARCH(s, f, Short(), t)
