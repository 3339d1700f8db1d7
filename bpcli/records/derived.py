"""What `bpcli derive` finds: forward equations, the backward ones that follow from them, and how they were checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bpcli.notation.derive.reverse import BackwardEquations
from bpcli.notation.syntax import Equation
from bpcli.numeric.shapes import Array


@dataclass(frozen=True)
class DerivedArray:
    """The derivative by one array or number: as derived, as the part's author stated it (None where nobody did), and
    how far apart the two are, and derived and complex steps, of the largest entry (None where that was not computed).
    """

    name: str
    equation: Equation
    stated: Equation | None = None
    stated_gap: float | None = None
    steps_gap: float | None = None
    value: Array | None = None


@dataclass(frozen=True)
class DerivedFormula:
    """A derivation told. `of` is the number that gradients are derivatives of; with `entries_of`, the result is a
    Jacobian of that left side: its arrays have the indices of both. `numbers` are the arrays and numbers put in."""

    title: str
    backward: BackwardEquations
    arrays: tuple[DerivedArray, ...]
    of: str = "L"
    entries_of: Equation | None = None
    numbers: Mapping[str, Array | float] = field(default_factory=dict)

    @property
    def known(self) -> set[str]:
        """Names of arrays and left sides, by which `dW` is no name like `decay`."""
        computed = {e.name for e in (*self.backward.forward, *self.backward.backward)}
        return computed | set(self.backward.by) | {name[1:] for name in computed if name.startswith("d")}
