"""What a layer may lean on: what it keeps, and not what it only works in; nor what stood in its arrays before."""

from typing import Any

import numpy as np
import pytest
from registry import good

from bpcli.engine.network import Chain
from bpcli.family import Layer, Loss
from bpcli.family.plan import Array, Sample
from bpcli.studies.witness.cases import LayerCase, LossCase, engine_arrays

GOOD = dict(good())
LAYERS = {k: s for k, s in GOOD.items() if isinstance(s.part, Layer)}
LOSSES = {k: s for k, s in GOOD.items() if isinstance(s.part, Loss)}


def spoil(a: Array) -> None:
    """What another layer may have left there."""
    a[...] = np.nan if a.dtype.kind == "f" else 1


def spoil_scratch(chain: Chain) -> None:
    for bound in chain.walk():
        for name in bound.plan.scratch:
            spoil(getattr(bound.frame, name))


@pytest.mark.parametrize("sample", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("train", [True, False])
def test_scratch_is_dead_on_return(sample: Sample, train: bool) -> None:
    """Scratch is shared by all layers: what stands in it before forward, before backward and before commit is theirs.
    What a layer writes is all written, whatever stood there."""
    case = LayerCase(sample, train)
    expected = case.kernel()
    f, plan = case.bound.frame, case.bound.plan
    for name in ("y", "dx", *plan.keep, *(f"d{p}" for p in plan.params)):
        spoil(getattr(f, name))
    spoil_scratch(case.chain)
    case.forward()
    spoil_scratch(case.chain)
    case.chain.dy[...] = case.upstream
    case.chain.backward(train)
    found = engine_arrays(case.bound)
    spoil_scratch(case.chain)
    if train and plan.state:
        case.layer.commit(f)
        found |= {f"{name}_new": np.array(getattr(f, name)) for name in plan.state}
    for name, value in found.items():
        if name not in plan.keep:  # some of it may be of no use at evaluation
            assert np.array_equal(value, expected[name]), name


@pytest.mark.parametrize("sample", LOSSES.values(), ids=LOSSES)
def test_scratch_of_losses_is_dead_on_return(sample: Sample) -> None:
    expected: Any = LossCase(sample).kernel()
    case = LossCase(sample)
    f, plan = case.frame, sample.part.plan(sample.x)
    for name in ("dx", *plan.keep, *plan.scratch):
        spoil(getattr(f, name))
    assert sample.part.forward(f) == expected["L"]
    for name in plan.scratch:
        spoil(getattr(f, name))
    sample.part.backward(f)
    assert np.array_equal(f.dx, expected["dx"])
