from typing import ClassVar, Literal

import numpy as np
from bpcli.numeric.notation import Eq
from bpcli.plan import Frame

from bpcli.family import Stepper
from bpcli.parts.activations import Relu
from bpcli.records import Failure


class Downhill(Stepper):
    """Plain descent, with the import lines of bpcli 0.1."""

    type: Literal["downhill"] = "downhill"
    scratch: ClassVar[tuple[str, ...]] = ("u",)

    def update(self, f: Frame, lr: float, t: int) -> None:
        np.multiply(f.g, lr, out=f.u)
        np.subtract(f.w, f.u, out=f.w)

    def equations(self) -> list[Eq]:
        return [Eq("w_new[j]", "w[j] - lr * g[j]", "downhill")]


UNUSED = Relu, Failure
