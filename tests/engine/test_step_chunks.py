"""An update goes over the flat vectors in chunks; where they are cut changes no bit."""

import numpy as np
import pytest
from registry import good

from bpcli.engine import step as step_module
from bpcli.engine.network_plan import plan_network
from bpcli.engine.objective import Objective
from bpcli.engine.step import FirstOrderStep
from bpcli.family import GradientOptimizer, Loss
from bpcli.family.plan import Array
from bpcli.parts.layers.dense import Dense

OPTIMIZERS = {name: sample.part for name, sample in good() if isinstance(sample.part, GradientOptimizer)}


def trained(optimizer: GradientOptimizer, monkeypatch: pytest.MonkeyPatch, chunk: int) -> dict[str, Array]:
    """The weights and what the optimizer remembers after 5 steps, the last of which sweeps for subnormal numbers."""
    monkeypatch.setattr(step_module, "CHUNK_BYTES", chunk)
    objective = Objective(
        plan_network([Dense(units=7), Dense(units=3)], (5,)), Loss.parse("mean_squared_error"), 4, "f4", 1
    )
    d = FirstOrderStep(objective, optimizer, None, 1000)
    rng = np.random.default_rng(2)
    x, t = rng.normal(size=(4, 5)).astype("f4"), rng.normal(size=(4, 3)).astype("f4")
    batch = objective.batch(4)
    batch.load(x, t, np.arange(4))
    for k in range(123, 128):
        d.step(batch, k)
    return {"theta": d.theta, **d.slots}


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("chunk", [4, 64, 260])  # of 66 numbers: one at a time; a short end; an end of one number
def test_cuts_change_no_bit(optimizer: GradientOptimizer, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    whole = trained(optimizer, monkeypatch, 1 << 18)
    cut = trained(optimizer, monkeypatch, chunk)
    assert whole.keys() == cut.keys()
    assert all(np.array_equal(whole[name], cut[name]) for name in whole)
