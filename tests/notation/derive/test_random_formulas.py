"""Derived gradients of random formulas are those of complex steps."""

from typing import Any

import numpy as np
import pytest
from random_formulas import RandomFormulas

from bpcli.notation import Eq, NotationError, compile_equations
from bpcli.notation.derive.backward import derive_backward, derive_jacobian
from bpcli.notation.derive.source import typed_equation
from bpcli.notation.syntax import parse
from bpcli.studies.witness.witness import complex_step, max_abs

MAX_VALUE = 1e6  # larger results say little of rounding


def drawn(seed: int, deepest: int) -> tuple[list[Eq], dict[str, Any], Any]:
    """Returns a formula, its numbers, and its value; a smaller one in place of one with huge values."""
    for attempt in range(20):
        formulas = RandomFormulas(1000 * seed + attempt)
        eqs = formulas.equations(int(formulas.rng.integers(1, deepest + 1)))
        env = formulas.env()
        y = compile_equations(eqs, env).run(env)["y"]
        if np.isfinite(y).all() and max_abs(y) <= MAX_VALUE:
            return eqs, env, y
    raise AssertionError("no formula of a usual size")


def check_gradients(seed: int) -> bool:
    """Compares the gradients of a formula; returns whether there was anything to compare: not where the derivation is
    refused for its length, or where the formula has no slope (the length of a vector of zeros)."""
    eqs, env, y = drawn(seed, deepest=6)
    try:
        found = derive_backward(eqs, env=env)
    except NotationError as error:
        if "more than 20,000 terms" not in str(error):
            raise
        return False
    upstream = np.random.default_rng(seed).normal(size=y.shape) if y.ndim else np.asarray(1.0)
    program = compile_equations(eqs, env)
    with np.errstate(all="ignore"):
        wanted = {name: complex_step(program, env, name, "y", upstream) for name in found.by}
    if not all(np.isfinite(steps).all() for steps in wanted.values()):
        return False
    known = {**env, "dy": upstream} if y.ndim else env
    shapes = {f"d{name}": np.shape(env[name]) for name in found.by}
    with np.errstate(all="ignore"):
        values = compile_equations([*eqs, *found.equations], known, shapes).run(known)
    if any("norm" in e.right and np.isnan(values[f"d{name}"]).any() for e in eqs for name in wanted):
        return False
    for name, steps in wanted.items():
        assert max_abs(values[f"d{name}"] - steps) <= 1e-10 * max(max_abs(steps), 1), (eqs, name)
    for e in found.backward:
        assert typed_equation(parse(e.source)) == e.source  # what is printed reads back
    return True


def check_entries(seed: int) -> None:
    """Jacobians, and the second derivative along the first array."""
    eqs, env, y = drawn(seed, deepest=3)
    program = compile_equations(eqs, env)
    for name in derive_backward(eqs, env=env).by:
        found = derive_jacobian(eqs, [name], env)
        shape = {f"dy_d{name}": (*np.shape(env[name]), *y.shape)}
        values = compile_equations([*eqs, *found.equations], env, shape).run(env)[f"dy_d{name}"]
        for at in np.ndindex(*y.shape):
            one = np.zeros(y.shape)
            one[at] = 1
            wanted = complex_step(program, env, name, "y", one)
            assert max_abs(values[(..., *at)] - wanted) <= 1e-10 * max(max_abs(wanted), 1), (eqs, name)


@pytest.mark.parametrize("seed", range(25))
def test_gradients(seed: int) -> None:
    assert check_gradients(seed)


@pytest.mark.parametrize("seed", range(6))
def test_jacobians(seed: int) -> None:
    check_entries(seed)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(20))
def test_two_thousand_gradients(block: int) -> None:
    compared = [check_gradients(seed) for seed in range(100 * block, 100 * (block + 1))]
    assert sum(compared) >= 97


@pytest.mark.slow
@pytest.mark.parametrize("block", range(10))
def test_two_hundred_jacobians(block: int) -> None:
    for seed in range(20 * block, 20 * (block + 1)):
        check_entries(seed)
