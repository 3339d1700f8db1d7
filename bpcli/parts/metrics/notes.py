"""What a reader has to know of a figure that is undefined, or defined by a convention alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from bpcli.family import Array, join_names

MAX_LISTED = 5  # classes that a note names


class HasNote(ABC):
    """A metric of classifications that is undefined, or a convention, on some rows."""

    @abstractmethod
    def note(self, counts: Array, names: Sequence[str], rows: int, several: bool) -> str:
        """Returns what is to be said of its figure, or nothing, from counts (3, K) over `rows` rows of weight 1."""


def list_classes(chosen: Array, names: Sequence[str], several: bool) -> str:
    """Returns the classes (labels, where a row may have several) that a mask (K,) chooses: `classes b, d and 4
    more`."""
    found = [names[int(k)] for k in chosen.nonzero()[0]]
    noun, nouns = ("label", "labels") if several else ("class", "classes")
    return f"{noun if len(found) == 1 else nouns} {join_names(found, MAX_LISTED)}"
