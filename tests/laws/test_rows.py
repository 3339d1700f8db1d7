"""What a layer gives for a batch is what its rows give alone; it depends on no earlier call and on no thread."""

from typing import Any

import numpy as np
import pytest
from registry import good

from bpcli.engine.network_plan import PlannedLayer, plan_network
from bpcli.family import Layer
from bpcli.family.plan import Array, Sample
from bpcli.studies.gradcheck.layer_laws.call_orders import compare_orders
from bpcli.studies.gradcheck.layer_laws.check_layer import LAW_SIZES, check_layer
from bpcli.studies.gradcheck.layer_laws.lockstep import compare_threads, runs_on_threads
from bpcli.studies.gradcheck.layer_laws.row_law import RowComparison, compare_rows
from bpcli.studies.gradcheck.layer_laws.single_layer import SingleLayer

GOOD = dict(good())
LAYERS = {k: s for k, s in GOOD.items() if isinstance(s.part, Layer)}
INDEPENDENT = {k: s for k, s in LAYERS.items() if s.part.rows_are_independent}
FIRST = {s.part.kind: s for s in reversed(LAYERS.values())}
"""The first sample of each layer."""


def planned(sample: Sample) -> PlannedLayer:
    return plan_network([sample.part], sample.x).layers[0]


def rows_of(sample: Sample) -> Array | None:
    x = sample.inputs.get("x")
    return None if x is None else np.asarray(x, np.float64)


def compare(sample: Sample, train: bool, dtype: Any, seed: int = 0) -> RowComparison:
    layer = SingleLayer(planned(sample), max(LAW_SIZES), dtype)
    inputs = layer.inputs(max(LAW_SIZES), seed, rows_of(sample))
    layer.take_weights(inputs)
    return compare_rows(layer, inputs, LAW_SIZES, train)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("sample", INDEPENDENT.values(), ids=INDEPENDENT)
def test_a_batch_is_its_rows(sample: Sample, train: bool, dtype: Any) -> None:
    """Of 33 and of 130 rows: y and dx of single rows and small groups, one below the other, and the sum of dW."""
    assert compare(sample, train, dtype).mismatches == []


def test_rows_see_each_other_where_a_layer_does_not_deny_it_and_only_in_training() -> None:
    """What a layer declares is what is measured."""
    assert "batch_norm" in {s.part.kind for s in LAYERS.values()} - {s.part.kind for s in INDEPENDENT.values()}
    for sample in LAYERS.values():
        if not sample.part.rows_are_independent:
            assert not compare(sample, True, np.float64).independent
            assert compare(sample, False, np.float64).mismatches == []


@pytest.mark.parametrize("sample", FIRST.values(), ids=FIRST)
def test_nothing_depends_on_an_earlier_call_or_on_a_thread(sample: Sample) -> None:
    layer = SingleLayer(planned(sample), 33, np.float64)
    inputs = layer.inputs(33, 0, rows_of(sample))

    def make() -> SingleLayer:
        again = SingleLayer(layer.planned, 33, np.float64)
        again.take_weights(inputs)
        return again

    assert list(compare_orders(make, inputs, 16)) == []
    if runs_on_threads(layer):
        assert list(compare_threads(layer, inputs, 33)) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(50))
def test_every_layer_keeps_all_laws_at_fifty_points(seed: int) -> None:
    sizes = (3, 16, *LAW_SIZES, 256)
    for name, sample in LAYERS.items():
        check = check_layer(planned(sample), {True: sizes, False: sizes}, 1e-7, seed, rows_of(sample))
        assert (check.rows, check.findings) == ([], []), (seed, name)
