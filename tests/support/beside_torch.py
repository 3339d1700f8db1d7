"""The same training twice: ours, and PyTorch's from the same weights on the same batches."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from torch_twin import PENALTIES, Twin, loss_of, torch_module

from bpcli.engine.network_plan import plan_network
from bpcli.engine.objective import Objective
from bpcli.engine.step import FirstOrderStep
from bpcli.family import Layer, Loss, Optimizer, Regularizer

TRAINERS: dict[str, Callable[[Any, Any], Any]] = {
    "sgd": lambda torch, w: torch.optim.SGD(w, lr=0.05),
    "momentum": lambda torch, w: torch.optim.SGD(w, lr=0.05, momentum=0.9),
    "nesterov": lambda torch, w: torch.optim.SGD(w, lr=0.05, momentum=0.9, nesterov=True),
    "adagrad": lambda torch, w: torch.optim.Adagrad(w, lr=0.05),
    "adadelta": lambda torch, w: torch.optim.Adadelta(w, lr=0.05),
    "rmsprop": lambda torch, w: torch.optim.RMSprop(w, lr=0.05),
    "adam": lambda torch, w: torch.optim.Adam(w, lr=0.05),
    "adamw": lambda torch, w: torch.optim.AdamW(
        [{"params": [p for p in w if p.ndim > 1]}, {"params": [p for p in w if p.ndim == 1], "weight_decay": 0}],
        lr=0.05,
    ),
    "nadam": lambda torch, w: torch.optim.NAdam(w, lr=0.05),
    "adamax": lambda torch, w: torch.optim.Adamax(w, lr=0.05),
    "radam": lambda torch, w: torch.optim.RAdam(w, lr=0.05),
}


@pytest.fixture(autouse=True)
def _double() -> Iterator[None]:
    """torch's NAdam keeps the product of its momenta in the default type."""
    torch = torch_module()
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(usual)


class Race:
    """The same training twice: ours, and torch's from the same weights on the same batches."""

    def __init__(
        self, layers: list[Any], loss: str, optimizer: str, penalty: Any = None, shape: tuple[int, ...] = (5,)
    ) -> None:
        self.torch = torch_module()
        self.part = Loss.parse(loss)
        under = None if penalty is None else Regularizer.parse(penalty)
        network_plan = plan_network([Layer.parse(layer) for layer in layers], shape, under)
        self.objective = Objective(network_plan, self.part, 16, np.float64, 3)
        trainer = Optimizer.parse({"type": optimizer, "learning_rate": 0.05})
        self.train_step = FirstOrderStep(self.objective, trainer, None, 100)
        self.twin = Twin(self.objective.network)
        self.optimizer = TRAINERS[optimizer](self.torch, list(self.twin.parameters.values()))
        rng = np.random.default_rng(8)
        self.x = rng.normal(size=(40, *shape))
        (k,) = network_plan.y
        flat = self.x.reshape(40, -1)
        ids = (flat[:, :k].argmax(1) if k > 1 else (flat[:, 0] > 0)).astype(np.int64)
        if network_plan.tokens:
            self.x = rng.integers(0, network_plan.tokens, self.x.shape).astype(np.float64)
        self.t = ids if self.part.targets == "classes" or k == 1 else rng.uniform(size=(40, k))
        self.total_gap = math.nan  # between the losses, penalty included, of the last step
        self._rng = rng

    def step(self, k: int, short: int = 5) -> None:
        """One step of each, on the same rows; every tenth batch is short."""
        rows = self._rng.permutation(40)[: 16 if k % 10 else short]
        batch = self.objective.batch(len(rows))
        batch.load(self.x, self.t, rows)
        self.train_step.step(batch, k)
        self.optimizer.zero_grad()
        _, y = self.twin.forward(batch.chain, True)
        loss = loss_of(self.part, y, batch.t)
        entries = self.objective.network.network_plan.layout
        penalty = sum(
            PENALTIES[e.penalty.kind](e.penalty, self.twin.parameters[e.path]) for e in entries if e.penalty is not None
        )
        total = loss + penalty
        total.backward()
        self.total_gap = abs(self.train_step.loss + self.train_step.penalty - total.item())
        self.optimizer.step()

    def gap(self) -> float:
        """How far the weights are apart, at most."""
        pairs = [(w, self.twin.parameters[p].detach().numpy()) for p, w in self.objective.network.parameters().items()]
        return max(float(np.abs(a - b).max()) for a, b in pairs)
