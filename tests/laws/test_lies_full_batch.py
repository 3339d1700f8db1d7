"""Mistakes that people make in L-BFGS and in Levenberg-Marquardt: each must be caught by one iteration against the
equations, which know neither the two loops nor the solver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bpcli.family import ObjectiveView
from bpcli.family.plan import Frame
from bpcli.parts.optimizers import Lbfgs, LevenbergMarquardt
from bpcli.parts.optimizers.lbfgs import LinePoint
from bpcli.studies.witness.step_cases import FullBatchCase

direct, look, remember, go = Lbfgs._descent_direction, Lbfgs._evaluate, Lbfgs._store_pair, Lbfgs._line_search
solve, search = LevenbergMarquardt._solve, LevenbergMarquardt.search


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


def lbfgs_loops_in_the_wrong_order(s: Lbfgs, f: Frame) -> None:
    loops(s, f, up=True)


def lbfgs_without_gamma(s: Lbfgs, f: Frame) -> None:
    loops(s, f, gamma=False)


def lbfgs_gamma_of_the_oldest(s: Lbfgs, f: Frame) -> None:
    loops(s, f, alone=True)


def lbfgs_first_loop_only(s: Lbfgs, f: Frame) -> None:
    loops(s, f, second=False)


def lbfgs_down_the_gradient(s: Lbfgs, f: Frame) -> None:
    np.negative(f.slope, out=f.d)


def lbfgs_any_lower_point_will_do(s: Lbfgs, f: Frame, surface: ObjectiveView) -> bool:
    at = 1e-3
    while s._evaluate(f, surface, at).value >= f.value:
        at /= 2
    return s._accept(f, LinePoint(at, 0.0, 0.0))


def lbfgs_as_far_as_it_likes(s: Lbfgs, f: Frame, surface: ObjectiveView) -> bool:
    return s._accept(f, s._evaluate(f, surface, 40.0))


def lbfgs_change_of_the_gradient_backwards(s: Lbfgs, f: Frame) -> None:
    y = f.slope - f.g
    remember(s, f)
    f.Y[-1] = y


def lbfgs_direction_remembered_for_the_step(s: Lbfgs, f: Frame) -> None:
    remember(s, f)
    f.S[-1] = f.d


def lbfgs_oldest_pair_overwritten_by_the_newest(s: Lbfgs, f: Frame) -> None:
    s_, y = f.w - f.start, f.g - f.slope
    f.S[0], f.Y[0] = s_, y
    f.kept[...] = min(int(f.kept) + 1, s.pairs)


def lbfgs_forgets_to_count(s: Lbfgs, f: Frame) -> None:
    kept = int(f.kept)
    remember(s, f)
    f.kept[...] = kept


def levenberg_damping_forgotten(s: LevenbergMarquardt, f: Frame, mu: float) -> bool:
    return solve(s, f, 1e-12)


def levenberg_scaled_as_marquardt(s: LevenbergMarquardt, f: Frame, mu: float) -> bool:
    f.d[...] = np.linalg.solve(f.A + mu * np.diag(np.diag(f.A)), f.b)
    return True


def levenberg_right_side_without_its_penalty(s: LevenbergMarquardt, f: Frame, mu: float) -> bool:
    f.b -= f.bend * f.start
    return solve(s, f, mu)


def levenberg_penalty_bends_nothing(s: LevenbergMarquardt, f: Frame, mu: float) -> bool:
    f.A -= np.diag(f.bend)
    return solve(s, f, mu)


def levenberg_gradient_in_its_own_units(s: LevenbergMarquardt, f: Frame, mu: float) -> bool:
    f.b *= 0.5
    return solve(s, f, mu)


def levenberg_half_a_step(s: LevenbergMarquardt, f: Frame, mu: float) -> bool:
    found = solve(s, f, mu)
    f.d *= 0.5
    return found


def levenberg_never_trusts_more(s: LevenbergMarquardt, f: Frame, surface: ObjectiveView, t: int) -> str:
    found = search(s, f, surface, t)
    f.mu /= s.down
    return found


def levenberg_one_row_of_the_jacobian_lost(s: LevenbergMarquardt, f: Frame, surface: ObjectiveView, t: int) -> str:
    class Short:
        value, quadratic = surface.value, surface.quadratic

        def jacobian(self, block: Any) -> Any:
            for found in surface.jacobian(block):
                yield found[:-1]

    return search(s, f, Short(), t)


LIES: list[tuple[type, str, Callable[..., Any]]] = [
    (Lbfgs, "_descent_direction", lbfgs_loops_in_the_wrong_order), (Lbfgs, "_descent_direction", lbfgs_without_gamma),
    (Lbfgs, "_descent_direction", lbfgs_gamma_of_the_oldest), (Lbfgs, "_descent_direction", lbfgs_first_loop_only),
    (Lbfgs, "_descent_direction", lbfgs_down_the_gradient), (Lbfgs, "_line_search", lbfgs_any_lower_point_will_do),
    (Lbfgs, "_line_search", lbfgs_as_far_as_it_likes), (Lbfgs, "_store_pair", lbfgs_change_of_the_gradient_backwards),
    (Lbfgs, "_store_pair", lbfgs_direction_remembered_for_the_step),
    (Lbfgs, "_store_pair", lbfgs_oldest_pair_overwritten_by_the_newest), (Lbfgs, "_store_pair", lbfgs_forgets_to_count),
    (LevenbergMarquardt, "_solve", levenberg_damping_forgotten),
    (LevenbergMarquardt, "_solve", levenberg_scaled_as_marquardt),
    (LevenbergMarquardt, "_solve", levenberg_right_side_without_its_penalty),
    (LevenbergMarquardt, "_solve", levenberg_penalty_bends_nothing),
    (LevenbergMarquardt, "_solve", levenberg_gradient_in_its_own_units),
    (LevenbergMarquardt, "_solve", levenberg_half_a_step),
    (LevenbergMarquardt, "search", levenberg_never_trusts_more),
    (LevenbergMarquardt, "search", levenberg_one_row_of_the_jacobian_lost),
]  # fmt: skip


@pytest.mark.parametrize(("part", "method", "lie"), LIES, ids=[lie.__name__ for *_, lie in LIES])
def test_mistakes_are_caught(part: Any, method: str, lie: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [FullBatchCase(s) for s in part.samples() if not s.error]
    assert all(g.verdict == "ok" for case in found for g in case.gaps(case.kernel()))
    monkeypatch.setattr(part, method, lie)
    assert any(g.verdict == "WRONG" for case in found for g in case.gaps(case.kernel()))


def test_the_two_loops_above_are_honest_where_nothing_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lbfgs, "_descent_direction", loops)
    found = [FullBatchCase(s) for s in Lbfgs.samples() if not s.error]
    assert all(g.verdict == "ok" for case in found for g in case.gaps(case.kernel()))
