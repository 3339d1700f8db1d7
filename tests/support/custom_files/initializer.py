from typing import Literal

import numpy as np

from bpcli.custom import Array, Initializer


class Signs(Initializer):
    """Weights of one size, 1 / sqrt(fan_in), and random signs."""

    type: Literal["signs"] = "signs"

    def fill(self, out: Array, fan_in: int, fan_out: int, rng: np.random.Generator) -> None:
        out[...] = rng.choice([-1.0, 1.0], out.shape) / np.sqrt(fan_in)
