"""What a part is described by: its curves, against their formulas, and its settings in words of YAML."""

from __future__ import annotations

import numpy as np
import pytest

from bpcli.records.training import Curve, Failure
from bpcli.studies.describe.parts import find_parts, list_parts

X = np.linspace(-4, 4, 161)


def curves(name: str) -> tuple[Curve, ...]:
    (row,) = [row for row in find_parts(name) if row.curves]
    return row.curves


def test_the_curve_of_an_activation_and_its_slope() -> None:
    y, slope = curves("tanh")
    assert (y.name, slope.name, y.axis, y.x) == ("y", "slope dy/dx", "x", tuple(X.tolist()))
    assert np.array(y.y) == pytest.approx(np.tanh(X))
    assert np.array(slope.y) == pytest.approx(1 - np.tanh(X) ** 2)


def test_the_curve_of_a_softmax_is_that_of_two_numbers() -> None:
    """Of one alone it is always 1."""
    y, slope = curves("softmax")
    p = 1 / (1 + np.exp(-X))
    assert np.array(y.y) == pytest.approx(p)
    assert np.array(slope.y) == pytest.approx(p * (1 - p))
    assert y.axis == slope.axis == "x[0], and x[1] = 0"


def test_the_curve_of_a_schedule() -> None:
    (rates,) = curves("cosine")
    assert rates.x == tuple(map(float, range(101)))
    assert np.array(rates.y) == pytest.approx(
        rates.y[0] * (1 + np.cos(np.pi * np.arange(101) / 100)) / 2, rel=1e-9, abs=1e-12
    )
    assert rates.axis == "k steps done, of T = 100"


def test_the_curve_of_a_schedule_that_waits_for_an_improvement() -> None:
    (rates,) = curves("plateau")
    assert rates.axis == "epochs without improvement"
    assert len(set(rates.y)) > 1
    assert list(rates.y) == sorted(rates.y, reverse=True)


def test_other_parts_and_lists_have_no_curves() -> None:
    assert all(row.curves == () for row in find_parts("adam"))
    assert all(row.curves == () for row in list_parts())


@pytest.mark.parametrize(
    ("part", "name", "type", "default", "range"),
    [
        ("adam", "learning_rate", "schedule", "0.001", ""),
        ("adam", "beta1", "number", "0.9", ">= 0, < 1"),
        ("adam", "eps", "number", "1e-08", "> 0"),
        ("adam", "amsgrad", "true or false", "false", ""),
        ("dense", "units", "whole number", "", "> 0"),
        ("dense", "activation", "activation", "none", ""),
        ("dense", "weights", "rows of numbers", "none", ""),
        ("dense", "bias", "true or false or list of numbers", "true", ""),
        ("softmax_cross_entropy", "class_weights", "a number for each name or balanced", "none", ""),
        ("step", "per", "step or epoch", "step", ""),
        ("multi_step", "milestones", "list of whole numbers", "", ""),
        ("csv", "target", "list of text", "none", ""),
        (
            "csv",
            "columns",
            "{kind, scale, missing, indicator, unseen, parts, encoding, min_rows, max_categories, "
            "missing_values, unit, decimal, "
            "thousands, date_order} for each name",
            "none",
            "",
        ),
        ("percentile", "percentile", "number", "10.0", ">= 0, <= 100"),
    ],
)
def test_settings_are_described_as_yaml_writes_them(part: str, name: str, type: str, default: str, range: str) -> None:
    found = {f.name: f for f in find_parts(part)[0].fields}
    assert "type" not in found
    assert (found[name].type, found[name].default, found[name].range) == (type, default, range)
    assert found[name].description


def test_a_family_is_all_of_its_parts_and_an_unknown_name_is_none() -> None:
    assert {"relu", "tanh"} <= {row.type for row in find_parts("activation")}
    assert {row.family for row in find_parts("activation")} == {"activation"}
    with pytest.raises(Failure) as failure:
        find_parts("tanhh")
    assert failure.value.problems[0].help == "did you mean `tanh`?"
    with pytest.raises(Failure) as failure:
        find_parts("qqqqqqqqqq")
    assert failure.value.problems[0].help == "`bpcli parts` lists them all"


def test_parts_stand_in_the_order_of_their_families() -> None:
    order = [row.family for row in list_parts()]
    assert order == sorted(order, key=order.index)
