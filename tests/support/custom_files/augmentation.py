from typing import Literal

import numpy as np

from bpcli.custom import Augmentation, Field, Frame


class Dimmed(Augmentation):
    """Images are made darker, each by chance."""

    type: Literal["dimmed"] = "dimmed"
    least: float = Field(0.5, gt=0, lt=1, description="what is left of the light, at least")

    def apply(self, f: Frame, chance: np.random.Generator) -> None:
        share = chance.uniform(self.least, 1, len(f.x)).astype(f.x.dtype)
        np.multiply(f.x, share[:, None, None, None], out=f.x)
