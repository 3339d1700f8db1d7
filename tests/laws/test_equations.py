"""Every part of this package says what it computes: equations may be left out only in a part of a user's own."""

from typing import Any

import numpy as np
import pytest
from registry import good

from bpcli.family import Clipper, Constraint, FullBatchOptimizer, Layer, Loss, Optimizer, Regularizer, Schedule
from bpcli.family.plan import Sample
from bpcli.notation.syntax import parse

STATED = (Layer, Loss, Regularizer, Optimizer, Clipper, Constraint, Schedule)
GOOD = {name: s for name, s in good() if isinstance(s.part, STATED)}


def left(sample: Sample, train: bool) -> set[str]:
    """The left sides of a part."""
    part: Any = sample.part
    if isinstance(part, Layer):
        found = part.equations(train, sample.x)
    elif isinstance(part, Loss):
        found = part.equations(not train)
    else:
        found = part.equations()
    return {parse(eq).name for eq in found}


def wanted(sample: Sample, train: bool) -> set[str]:
    """What has to be on a left side."""
    part: Any = sample.part
    if isinstance(part, Layer):
        plan = part.plan(sample.x)
        after = {f"{name}_new" for name in plan.state} if train else set()
        return {"y", "dx", *(f"d{name}" for name in plan.params)} | after
    if isinstance(part, Loss):
        return {"L", "dx"}
    if isinstance(part, Regularizer):
        return {"penalty", "dw"}
    if isinstance(part, Clipper):
        return {"g_new", *(f"{name}_new" for name in part.state())}
    if isinstance(part, Schedule):
        return {"lr", *(f"{name}_new" for name in part.state())}
    if isinstance(part, Optimizer):
        own = part.state(3) if not isinstance(part, FullBatchOptimizer) else {}
        return {"w_new", *(f"{name}_new" for name in own)}
    return {"w_new"}


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("sample", GOOD.values(), ids=GOOD)
def test_every_part_states_what_it_computes(sample: Sample, train: bool) -> None:
    assert wanted(sample, train) <= left(sample, train)


def test_the_law_would_see_a_part_without(monkeypatch: pytest.MonkeyPatch) -> None:
    sample = next(s for s in GOOD.values() if isinstance(s.part, Layer))
    monkeypatch.setattr(type(sample.part), "equations", Layer.equations)
    assert left(sample, True) == set()
    assert np.size(wanted(sample, True))
