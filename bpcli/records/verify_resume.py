"""What came of comparing a training that was killed and resumed with one that was not."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TensorDifference:
    """Where two tensors of one name differ: the first of the `differing` entries, of `of`, by its index, both numbers
    there, and the largest distance of any; or in `note` why no entries could be compared."""

    tensor: str
    index: tuple[int, ...] = ()
    first: float = 0.0
    second: float = 0.0
    differing: int = 0
    of: int = 0
    largest: float = 0.0
    note: str = ""


@dataclass(frozen=True)
class ResumeVerdict:
    """A training of `steps` steps beside the same one that saved a checkpoint after `saved_after` steps, was killed
    after one more, and resumed. So many `tensors`, `numbers` and `lines` of metrics were compared; `tensor` is the
    first in the order of computation that differs, `progress` and `metrics` say what else does."""

    name: str
    epochs: int
    steps: int
    saved_after: int
    tensors: int
    numbers: int
    lines: int
    tensor: TensorDifference | None
    progress: str
    metrics: str
    environment: Mapping[str, Any]
    seconds: float

    @property
    def identical(self) -> bool:
        return self.tensor is None and not self.progress and not self.metrics
