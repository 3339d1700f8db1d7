"""Methods that are wrong the way people get them wrong, each to be put in place of the real one.

The laws hold them against the witnesses on the samples of their part; those that name a network are put into it, too,
and `gradcheck` must find and name them. They are the mistakes of a survey of published NumPy networks, wrong gradients
that were published, and what else a person gets wrong in a formula. Those of layers that do not exist here (tied
weights) are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from bpcli.family import Layer, Loss, Regularizer
from bpcli.family.part import Part
from bpcli.family.plan import Frame

Method = Callable[..., Any]
WITNESSES = frozenset({"equations", "derived", "complex step", "differences"})
EQUATIONS = frozenset({"equations"})
"""The only witness of what a derivative does not show: a forward pass that is wrong alike, a step."""
BOTH_EQUATIONS = frozenset({"equations", "derived"})
"""The witnesses of which slope a kink has."""
NO_DIFFERENCES = frozenset({"equations", "derived", "complex step"})
NOBODY: frozenset[str] = frozenset()
"""Of what one pass does not show: the laws of the algebra must see it."""


@dataclass(frozen=True)
class WrongKernel:
    """Methods that are wrong: owner, name, and what is put in place. On the samples of `of` they must be `seen_by`.

    Where `net` names a network, gradcheck must find it wrong in `tensors` and in no other, and in these `laws` of the
    algebra; `cause` is a pattern that the diagnosis of each tensor must match, or of the law where no tensor is wrong.
    `part` is the part as it is set up, where the mistake is one of its settings.
    """

    name: str
    of: type
    patches: tuple[tuple[type, str, Method], ...]
    seen_by: frozenset[str]
    net: str = ""
    tensors: frozenset[str] = NOBODY
    cause: str = ""
    laws: frozenset[str] = NOBODY
    part: Part | None = None

    def put_in(self, patch: pytest.MonkeyPatch) -> None:
        for owner, method, wrong in self.patches:
            patch.setattr(owner, method, wrong)


CATALOGUE: list[WrongKernel] = []
RIGHT: list[WrongKernel] = []
"""Methods written as the wrong ones are, and right: so that it is the mistake that is caught."""


def wrong(
    of: type | Part, net: str = "", tensors: str = "", cause: str = "", laws: str = "", *, method: str = "backward",
    seen_by: frozenset[str] | None = None, name: str = "", right: bool = False, inside: type | None = None,
) -> Callable[[Method], Method]:  # fmt: skip
    """Puts a method of a part, or of what works `inside` it, into the catalogue, under its own name or another."""
    owner, part = (of, None) if isinstance(of, type) else (type(of), of)
    if seen_by is None:
        seen_by = WITNESSES if issubclass(owner, Layer | Loss | Regularizer) else EQUATIONS

    def register(function: Method) -> Method:
        full = f"{owner.__name__} {name}" if name else function.__name__
        spoiled = frozenset(tensors.split(", ")) - {""}
        patches = ((inside or owner, method, function),)
        (RIGHT if right else CATALOGUE).append(
            WrongKernel(full, owner, patches, seen_by, net, spoiled, cause, frozenset(laws.split()), part)
        )
        return function

    return register


def dx(mistake: Callable[[Any, Frame], Any]) -> Method:
    """A backward pass that writes `mistake` of the part and its frame as dx."""

    def backward(self: Any, f: Frame, train: bool = True) -> None:
        f.dx[...] = mistake(self, f)

    return backward


def then(owner: Any, change: Callable[[Any, Frame], Any], method: str = "backward") -> Method:
    """A part's own method, and a change of what it wrote."""
    honest = getattr(owner, method)

    def both(self: Any, f: Frame, *train: bool) -> None:
        honest(self, f, *train)
        change(self, f)

    return both


def written(owner: Any, name: str, mistake: Callable[[Any, Frame], Any]) -> Method:
    """A part's own backward with one of its gradients replaced, where the part has it."""

    def change(self: Any, f: Frame) -> None:
        gradient = getattr(f, name, None)
        if gradient is not None:
            gradient[...] = np.reshape(mistake(self, f), gradient.shape)

    return then(owner, change)
