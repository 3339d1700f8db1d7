"""Every path from a weight to the loss: how many there are, their factors, and how many are shown one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from trace_nets import dense, experiment, trace_target

from bpcli.records.trace import PathsTo
from bpcli.studies.trace.paths import PathFinder


def paths(tensor: str, at: tuple[int, ...], *layers: Any, rows: int = 1, loss: str = "mean_squared_error",
          ascii: bool = True, outputs: int | None = None, first: float | None = None) -> PathsTo:  # fmt: skip
    rng = np.random.default_rng(0)
    k = outputs or layers[-1]["units"]
    x = rng.normal(size=(rows, 2)).round(3)
    if first is not None:
        x[:, 0] = first
    net = experiment(list(layers), loss, x, rng.normal(size=(rows, k)).round(3))
    target = trace_target(net | {"optimizer": "sgd"})
    batch = target.objective.batch(rows)
    batch.load(target.x, target.t, np.arange(rows))
    target.objective.network.draw(batch.chain, 0)
    batch.forward(True)
    batch.backward(True)
    return PathFinder(target, ascii).paths(tensor, at)


def test_there_is_a_path_for_each_way_through_the_units() -> None:
    """Of a weight of the first of two hidden layers of 3: through 3 units to 2 outputs, for each of 2 rows."""
    found = paths("dense_1.W", (1, 2), dense(3, "tanh"), dense(3, "tanh"), dense(2), rows=2)
    assert (found.count, len(found.paths), found.grouped) == (12, 12, False)
    assert found.name == "dense_1.W[1,2]"
    assert found.total == pytest.approx(found.gradient, rel=1e-12)
    assert found.measured == pytest.approx(found.predicted, rel=1e-4)
    assert (found.nudge, found.predicted) == (1e-3, found.gradient * 1e-3)
    for hops in found.paths:
        assert [hop.upper.partition("[")[0] for hop in hops] == [
            "L", "dense_3.y", "dense_2.activation.y", "dense_2.y", "dense_1.activation.y", "dense_1.y",
        ]  # fmt: skip
        assert hops[0].formula
        assert hops[0].note == ""
        assert hops[-1].lower == "dense_1.W[1,2]"
        assert hops[-1].product == pytest.approx(float(np.prod([hop.value for hop in hops])))


@pytest.mark.parametrize(("units", "grouped"), [(32, False), (33, True)])
def test_sixty_four_paths_are_shown_one_by_one(units: int, grouped: bool) -> None:
    """Through all hidden units to two outputs; where there are more they are shown as far as one layer less."""
    found = paths("dense_1.W", (0, 1), dense(2, "tanh"), dense(units), dense(2))
    assert found.grouped is grouped
    assert (found.count, len(found.paths)) == ((units, units) if grouped else (64, 64))
    assert found.total == pytest.approx(found.gradient, rel=1e-9)
    assert (found.paths[0][0].note == "all its paths together") is grouped
    assert (found.paths[0][0].formula == "") is grouped


@pytest.mark.parametrize(("rows", "grouped"), [(64, False), (65, True)])
def test_a_weight_may_have_too_many_paths_at_once(rows: int, grouped: bool) -> None:
    """One for each row."""
    found = paths("dense_1.W", (0, 0), dense(1), rows=rows)
    assert (found.grouped, found.count, len(found.paths)) == (grouped, rows, 64)
    assert found.total == pytest.approx(found.gradient, rel=1e-9)


def test_paths_through_a_closed_unit_are_dead() -> None:
    weights = [[-9.0, 1.0], [-9.0, 1.0]]
    first = {"type": "dense", "units": 2, "activation": "relu", "weights": weights, "bias": [-50.0, 50.0]}
    found = paths("dense_1.W", (0, 0), first, dense(2))
    assert (found.count, found.dead, found.gradient) == (2, 2, 0.0)
    assert paths("dense_1.W", (0, 1), first, dense(2)).dead == 0
    found = paths("dense_1.W", (0, 1), dense(2, "tanh"), dense(2), first=0.0)
    assert (found.count, found.dead, found.gradient) == (2, 2, 0.0), "an input of 0 ends every path"


def test_a_branch_is_a_path_and_so_is_what_goes_past_it() -> None:
    residual = {"type": "residual", "layers": [dense(2, "tanh")]}
    found = paths("dense_1.W", (0, 1), dense(2), residual, dense(1))
    assert found.count == 3  # past it, and through both of its units
    for hops in found.paths:
        assert [hop.upper.partition("[")[0] for hop in hops[:3]] == ["L", "dense_2.y", "residual_1.y"]
        assert hops[0].formula
    assert found.total == pytest.approx(found.gradient, rel=1e-12)
    inside = paths("residual_1.dense_1.W", (0, 1), dense(2), residual, dense(1))
    assert inside.count == 1
    assert inside.total == pytest.approx(inside.gradient, rel=1e-12)


def test_a_bias_has_paths_too() -> None:
    found = paths("dense_1.b", (1,), dense(2, "tanh"), dense(2))
    assert (found.name, found.count) == ("dense_1.b[1]", 2)
    assert found.total == pytest.approx(found.gradient, rel=1e-12)
