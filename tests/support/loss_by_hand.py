"""The loss of outputs and targets that are given as rows, with its gradient."""

import math
from typing import Any

import numpy as np

from bpcli.family import Loss
from bpcli.family.plan import Array, Frame, Sample
from bpcli.studies.witness.cases import LossCase

LN2, LN3 = math.log(2), math.log(3)


def worked(part: Loss, x: Any, t: Any, w: Any = None, dtype: type = np.float64) -> tuple[float, Array]:
    """The loss of outputs x and targets t (rows), and its gradient."""
    inputs = {"x": x, "t": t} | ({} if w is None else {"w": np.asarray(w) / np.sum(w)})
    found = LossCase(Sample(part, (len(x[0]),), batch=len(x), inputs=inputs), dtype).kernel()
    return float(found["L"]), found["dx"]


def frame(part: Loss, x: Any, t: Any) -> Frame:
    case = LossCase(Sample(part, (len(x[0]),), batch=len(x), inputs={"x": x, "t": t}))
    part.forward(case.frame)
    return case.frame
