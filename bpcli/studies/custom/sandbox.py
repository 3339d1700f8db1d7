"""A user's own part under watch: its methods are called as the engine calls them, and what they may not touch is held
against what it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bpcli.family.part import Part
from bpcli.family.plan import Array, Frame
from bpcli.records.training import Problem
from bpcli.studies.custom.source_location import code_of, method_spot, own_code_failure, problem_at, rule

POISON = 37.5, -91.25  # what stands in memory before a call; no result is both
PROMISED = {
    "x": "is what the layer before it put out",
    "y": "is what the layer behind it works on",
    "dy": "is the error that comes in",
    "t": "are the targets",
}
"""What an array that is only to be read is to others."""


class BrokenRuleError(Exception):
    """A rule is broken."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.text)
        self.problem = problem


class Sandbox:
    """A part on its frame: its methods are called as the engine calls them, and what they may not touch is watched."""

    def __init__(self, part: Part, frame: Frame) -> None:
        self.part, self.frame = part, frame
        self.extra: dict[str, str] = {}  # arrays that methods put into the frame, by the method

    def call(self, method: str, run: Callable[[], Any], reads: Sequence[str]) -> Any:
        """What `run` returns. Raises BrokenError where it raises, binds or changes what it only may read."""
        f = self.frame
        bound = {name: a for name, a in vars(f).items() if name not in self.extra}
        before = {name: np.array(bound[name]) for name in reads}
        try:
            value = run()
        except Exception as error:
            failure = own_code_failure(error)
            if failure is None:
                text = f"{self.name(method)} raises {type(error).__name__}: {error}"
                raise self.broken(method, text, rule(type(self.part), method)) from None
            raise BrokenRuleError(failure.problems[0]) from None
        for name, array in bound.items():
            if vars(f).get(name) is not array:
                raise self._rebound(method, name, array)
        for name in vars(f).keys() - bound.keys():
            self.extra.setdefault(name, method)
        for name, array in before.items():
            if not np.array_equal(array, bound[name], equal_nan=array.dtype.kind == "f"):
                raise self._changed(method, name)
        return value

    def _changed(self, method: str, name: str) -> BrokenRuleError:
        f = frame_of(self.part, method)
        text = f"{self.name(method)} changes f.{name}, which {PROMISED.get(name, 'it may only read')}"
        help = f"compute in an array of its own: scratch={{...}} in plan; {rule(type(self.part), method)}"
        place = rf"\b{f}\.{name}(\[[^\]]*\])?\s*"
        return self.broken(method, text, help, place + r"([-+*/@%&|^]|//|\*\*)?=[^=]", rf"out={f}\.{name}\b")

    def _rebound(self, method: str, name: str, array: Any) -> BrokenRuleError:
        new: Any = vars(self.frame).get(name)
        text = f"{self.name(method)} binds f.{name} to an object of its own, and the engine's array stays as it was"
        if np.shape(new) != np.shape(array):
            text += f" (the new one is {np.shape(new)}, the engine's {np.shape(array)})"
        help = f"write into the array that is there: np.multiply(..., out=f.{name}), or f.{name}[...] = ..."
        return self.broken(method, text, help, rf"\b{frame_of(self.part, method)}\.{name}\s*=[^=]")

    def broken(self, method: str, text: str, help: str, *patterns: str) -> BrokenRuleError:
        """The error that a rule is broken in a method, at the line that one of the patterns finds."""
        position = method_spot(type(self.part), method, *patterns)
        return BrokenRuleError(problem_at(position, text, code="contract", help=help))

    def warning(self, method: str, text: str, help: str, *patterns: str) -> Problem:
        """A warning that a method asks for memory by itself."""
        position = method_spot(type(self.part), method, *patterns)
        return problem_at(position, text, code="allocates", help=help, level="warning")

    def name(self, method: str) -> str:
        return f"{type(self.part).__name__}.{method}"

    def spoil(self, names: Sequence[str], poison: float) -> None:
        """What stood in memory before."""
        for name in names:
            a = getattr(self.frame, name)
            a[...] = poison if a.dtype.kind == "f" else poison > 0

    def written(self, method: str, name: str, results: tuple[Array, Array], returned: Any = None) -> None:
        """Holds what a method made of an array, in two kinds of memory, to be all written, the same, and finite."""
        one, two = results
        if one.dtype.kind != "f":
            return
        left = (one == np.asarray(POISON[0], one.dtype)) & (two == np.asarray(POISON[1], two.dtype))
        if left.all():
            help = "what a method returns is not looked at; " if returned is not None else ""
            help += f"write into the array that is there: np.multiply(..., out=f.{name}), or f.{name}[...] = ..."
            raise self.broken(method, f"{self.name(method)} does not write f.{name}", help, r"\breturn\b.")
        if left.any():
            at = ",".join(map(str, np.argwhere(left)[0]))
            text = f"{self.name(method)} leaves {left.sum()} of {left.size} entries of f.{name} as they were"
            help = f"every entry is written, every time; f.{name}[{at}] is the first that is not"
            raise self.broken(method, text, help)
        if not np.allclose(one, two, rtol=1e-4, atol=1e-6, equal_nan=True):
            f = frame_of(self.part, method)
            text = f"f.{name} depends on what stood in memory before {self.name(method)}"
            help = f"f.{name} is written and never added to; scratch and keep are written before they are read"
            raise self.broken(method, text, help, rf"\b{f}\.{name}(\[.*\])?\s*[-+*/]=", rf"\b{f}\.{name}\b")
        if not np.isfinite(one).all():
            at = ",".join(map(str, np.argwhere(~np.isfinite(one))[0]))
            text = f"f.{name} is not finite after {self.name(method)}"
            value = one[tuple(np.argwhere(~np.isfinite(one))[0])]
            raise self.broken(method, text, f"f.{name}[{at}] is {value:g}, though all that it reads is finite")

    def extras(self) -> list[Problem]:
        """Warnings of arrays that methods put into the frame by themselves."""
        return [
            self.warning(method, f"{self.name(method)} puts f.{name} into the frame by itself, anew in every step",
                         f"ask for it in plan, keep={{\"{name}\": Slot((N, *x))}}, and write into it: out=f.{name}",
                         rf"\b{frame_of(self.part, method)}\.{name}\s*=[^=]")
            for name, method in self.extra.items()
        ]  # fmt: skip


def frame_of(part: Part, method: str) -> str:
    """What a method calls its frame."""
    code = code_of(getattr(type(part), method, None))
    names = code.co_varnames[: code.co_argcount] if code is not None else ()
    return names[1] if len(names) > 1 else "f"
