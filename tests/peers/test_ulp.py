"""Every activation, loss and metric against mpmath over its whole range, in float32 and float64, and the equations in
float64. With `-s` it prints the worst figures of each, in units of the last place of the right result; in parentheses
over the condition number, where that is above 1."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ulp_cases import Place, label

from bpcli.parts.activations.smooth import SELU_ALPHA, SELU_SCALE

pytest.importorskip("mpmath")

import ulp_reference as reference
from ulp_sweep import ALL, sweep

pytestmark = [pytest.mark.peers, pytest.mark.slow]


@pytest.mark.parametrize(("family", "spelled"), ALL, ids=[label(spelled) for _, spelled in ALL])
def test_it_is_within_its_units_of_the_last_place(family: str, spelled: Any) -> None:
    worst: dict[tuple[str, str], list[Place]] = {}
    with np.errstate(all="ignore"):  # as the engine has it: what is too large is infinite
        for place in sweep(family, spelled):
            assert place.holds, place
            if not place.underflows and not place.textbook:
                two = worst.setdefault((place.by, place.output), [place, place])
                two[0] = max(two[0], place, key=lambda p: p.units)
                two[1] = max(two[1], place, key=lambda p: p.conditioned)
    shown = [f"{by} {name} {a.units:.2g} ({b.conditioned:.2g})" for (by, name), (a, b) in worst.items()]
    print(f"\n{label(spelled):34}", *shown, sep="  ", end="")  # noqa: T201


def test_constants_are_the_nearest_numbers() -> None:
    assert tuple(map(float, reference.selu_constants())) == (SELU_SCALE, SELU_ALPHA)
