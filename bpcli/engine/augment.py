"""Augmentation in its place: between the rows of a batch and the network, in training steps only."""

from collections.abc import Sequence
from typing import Any

from bpcli.engine.network_plan import NetworkPlan, slot_bytes
from bpcli.family import Array, Augmentation, Frame, Shape, empty
from bpcli.numeric.streams import Stream


def image_shape(network_plan: NetworkPlan) -> Shape | None:
    """Returns the height, width and channels of a row: as the data has it, or as layers at the front that only lay its
    numbers out anew (`reshape`) make of it; None where it is no image."""
    shape = network_plan.x
    for planned in network_plan.layers:
        if len(shape) == 3 or not planned.layer.relabels:
            break
        shape = planned.plan.y
    return shape if len(shape) == 3 else None


def augmenting_bytes(parts: Sequence[Augmentation], shape: Shape, rows: int, width: int) -> int:
    """Returns bytes of the memory that changing images of this shape takes, where a float takes `width`."""
    return sum(slot_bytes(slot, rows, width) for part in parts for slot in part.work(shape).values())


class Augmenter:
    """Changes the images of training batches, by one part after another, in memory of its own for up to `rows` rows.

    What happens in a step is a function of the seed and the step alone. `zero` and `unit` say what scaling has made of
    a 0 in the file, and of a step of 1. Raises ShapeError where a part cannot change images of this shape.
    """

    def __init__(
        self, parts: Sequence[Augmentation], shape: Shape, rows: int, dtype: Any, seed: int, zero: float, unit: float
    ) -> None:
        self.shape = shape
        self._parts = [
            (part, {name: empty(slot, rows, dtype) for name, slot in part.work(shape).items()},
             Stream(seed, "augment", i, part.kind))
            for i, part in enumerate(parts)
        ]  # fmt: skip
        self._zero, self._unit = zero, unit

    def apply(self, x: Array, step: int) -> None:
        """Changes the rows x (n, ...) in place, by the chance of the step after `step` completed ones."""
        images = x.reshape(len(x), *self.shape)
        for part, work, stream in self._parts:
            slots = {name: array[: len(x)] for name, array in work.items()}
            frame = Frame(x=images, zero=self._zero, unit=self._unit, **slots)
            part.apply(frame, stream.at(step))
