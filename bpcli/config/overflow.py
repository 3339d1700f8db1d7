"""Numbers of an experiment that its `dtype` cannot hold: settings, and the weights that initializers draw."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from pydantic import BaseModel

from bpcli.config.compatibility import Issue
from bpcli.config.document import Location
from bpcli.config.experiment import Experiment
from bpcli.config.scalars import short_repr
from bpcli.engine.network_plan import NetworkPlan, ParamLayout
from bpcli.numeric.shapes import written
from bpcli.numeric.streams import Stream
from bpcli.numeric.vectors import all_finite

COMPUTED = ("architecture", "loss", "regularization", "constraint", "clipping", "optimizer")
"""The settings whose numbers meet arrays of the run's type."""

SAFE_SHARE = 0.01
"""What is drawn from settings below this share of the largest number is finite: nobody draws 100 deviations."""


def check_settings(experiment: Experiment) -> Iterator[Issue]:
    """Yields the settings that are larger than any number of the run's type."""
    most = float(np.finfo(experiment.dtype).max)
    for key in COMPUTED:
        for loc, value in _numbers(getattr(experiment, key), (key,)):
            if not math.isfinite(value):  # where any nesting is allowed, the field has not been checked for it
                yield Issue(loc, f"must be a finite number, got {short_repr(value)}", "out-of-range")
            elif abs(value) > most:
                text = f"{short_repr(value)} is beyond {experiment.dtype}, whose largest number is {most:.2g}"
                yield Issue(loc, text, "out-of-range", _wider(experiment, "write a smaller number"))


def check_initial_weights(experiment: Experiment, network_plan: NetworkPlan) -> Iterator[Issue]:
    """Yields the initializers that cannot fill their tensor, or draw a number that is not finite in the run's type.
    Only those are tried whose settings come near the largest number."""
    for e in network_plan.layout:
        if problem := e.init.shape_problem(e.shape):
            help = f"{e.path} is of shape {written(e.shape)}: write as many, or one for all"
            yield Issue(_place_of_init(e), problem, "init", help)
            continue
        near = any(abs(v) > SAFE_SHARE * np.finfo(experiment.dtype).max for v in e.init.consts().values())
        if near and not _draws_finite(experiment, e):
            text = f"`{e.init.kind}` draws weights beyond {experiment.dtype} for {e.path}"
            yield Issue(_place_of_init(e), text, "out-of-range", _wider(experiment, "start from smaller weights"))


def _place_of_init(e: ParamLayout) -> tuple[str | int, ...]:
    layer = e.owner.layer
    return (*e.owner.loc, next((key for key in type(layer).model_fields if getattr(layer, key) is e.init), "init"))


def _draws_finite(experiment: Experiment, e: ParamLayout) -> bool:
    start = np.zeros(e.shape)
    try:
        with np.errstate(all="ignore"):
            e.init.fill(start, e.param.fan_in, e.param.fan_out, Stream(experiment.seed, "init", e.seed_path).at())
            return all_finite(start.astype(experiment.dtype))
    except OverflowError:  # of NumPy's generator, where the interval is longer than the largest number
        return False


def _wider(experiment: Experiment, help: str) -> str:
    return f"{help}, or `dtype: float64`" if experiment.dtype == "float32" else help


def _numbers(value: Any, loc: Location) -> Iterator[tuple[tuple[str | int, ...], float]]:
    """Yields every number within a part, with its place in the file."""
    if isinstance(value, BaseModel):
        for key in type(value).model_fields:
            yield from _numbers(getattr(value, key), (*loc, key))
    elif isinstance(value, tuple):
        for i, item in enumerate(value):
            named = isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str)
            yield from _numbers(item[1], (*loc, item[0])) if named else _numbers(item, (*loc, i))
    elif isinstance(value, int | float):
        yield tuple(loc), value
