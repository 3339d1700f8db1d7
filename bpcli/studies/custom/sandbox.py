"""A user's own part in a sandbox: its methods are called as the engine calls them, and the arrays that they may not
change are compared with what they held before."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bpcli.family import Array, Frame, Part
from bpcli.records.training import Problem
from bpcli.studies.custom.source_location import code_of, family_rule, method_position, own_code_failure, problem_at

FILL_VALUES = 37.5, -91.25  # what stands in memory before a call; no result is both
READ_ONLY = {
    "x": "is what the layer before it put out",
    "y": "is what the layer behind it works on",
    "dy": "is the error that comes in",
    "t": "are the targets",
}
"""What the arrays that a method only reads are to others, as messages say it."""


class BrokenRuleError(Exception):
    """A method broke a rule of its family; `problem` says which, and where."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.text)
        self.problem = problem


class Sandbox:
    """A part with its frame, and the arrays that its methods added to the frame."""

    def __init__(self, part: Part, frame: Frame) -> None:
        self.part, self.frame = part, frame
        self.added: dict[str, str] = {}  # arrays that methods put into the frame, by the method

    def call(self, method: str, run: Callable[[], Any], reads: Sequence[str]) -> Any:
        """Returns what `run` returns. Raises BrokenRuleError where `run` raises, binds an array of the frame anew, or
        changes one of the arrays that it only reads."""
        f = self.frame
        bound = {name: a for name, a in vars(f).items() if name not in self.added}
        before = {name: np.array(bound[name]) for name in reads}
        try:
            value = run()
        except Exception as error:
            failure = own_code_failure(error)
            if failure is None:
                text = f"{self.name(method)} raises {type(error).__name__}: {error}"
                raise self.broken_rule(method, text, family_rule(type(self.part), method)) from None
            raise BrokenRuleError(failure.problems[0]) from None
        for name, array in bound.items():
            if vars(f).get(name) is not array:
                raise self._rebound(method, name, array)
        for name in vars(f).keys() - bound.keys():
            self.added.setdefault(name, method)
        for name, array in before.items():
            if not np.array_equal(array, bound[name], equal_nan=array.dtype.kind == "f"):
                raise self._changed(method, name)
        return value

    def _changed(self, method: str, name: str) -> BrokenRuleError:
        f = frame_name(self.part, method)
        text = f"{self.name(method)} changes f.{name}, which {READ_ONLY.get(name, 'it may only read')}"
        help = f"compute in an array of its own: scratch={{...}} in plan; {family_rule(type(self.part), method)}"
        pattern = rf"\b{f}\.{name}(\[[^\]]*\])?\s*"
        return self.broken_rule(method, text, help, pattern + r"([-+*/@%&|^]|//|\*\*)?=[^=]", rf"out={f}\.{name}\b")

    def _rebound(self, method: str, name: str, array: Any) -> BrokenRuleError:
        new: Any = vars(self.frame).get(name)
        text = f"{self.name(method)} binds f.{name} to an object of its own, and the engine's array stays as it was"
        if np.shape(new) != np.shape(array):
            text += f" (the new one is {np.shape(new)}, the engine's {np.shape(array)})"
        help = f"write into the array that is there: np.multiply(..., out=f.{name}), or f.{name}[...] = ..."
        return self.broken_rule(method, text, help, rf"\b{frame_name(self.part, method)}\.{name}\s*=[^=]")

    def broken_rule(self, method: str, text: str, help: str, *patterns: str) -> BrokenRuleError:
        """Returns the error that a method breaks a rule, at its first line that matches one of the patterns."""
        position = method_position(type(self.part), method, *patterns)
        return BrokenRuleError(problem_at(position, text, code="contract", help=help))

    def name(self, method: str) -> str:
        return f"{type(self.part).__name__}.{method}"

    def fill(self, names: Sequence[str], fill_value: float) -> None:
        """Fills these arrays with a number (true or false where they hold bools): what stood in memory before."""
        for name in names:
            a = getattr(self.frame, name)
            a[...] = fill_value if a.dtype.kind == "f" else fill_value > 0

    def check_written(self, method: str, name: str, results: tuple[Array, Array], returned: Any = None) -> None:
        """Raises BrokenRuleError unless a method, run twice in memory that held other numbers, wrote all entries of an
        array, the same both times, and finite."""
        one, two = results
        if one.dtype.kind != "f":
            return
        left = (one == np.asarray(FILL_VALUES[0], one.dtype)) & (two == np.asarray(FILL_VALUES[1], two.dtype))
        if left.all():
            help = "what a method returns is not looked at; " if returned is not None else ""
            help += f"write into the array that is there: np.multiply(..., out=f.{name}), or f.{name}[...] = ..."
            raise self.broken_rule(method, f"{self.name(method)} does not write f.{name}", help, r"\breturn\b.")
        if left.any():
            at = ",".join(map(str, np.argwhere(left)[0]))
            text = f"{self.name(method)} leaves {left.sum()} of {left.size} entries of f.{name} as they were"
            help = f"every entry is written, every time; f.{name}[{at}] is the first that is not"
            raise self.broken_rule(method, text, help)
        if not np.allclose(one, two, rtol=1e-4, atol=1e-6, equal_nan=True):
            f = frame_name(self.part, method)
            text = f"f.{name} depends on what stood in memory before {self.name(method)}"
            help = f"f.{name} is written and never added to; scratch and keep are written before they are read"
            raise self.broken_rule(method, text, help, rf"\b{f}\.{name}(\[.*\])?\s*[-+*/]=", rf"\b{f}\.{name}\b")
        if not np.isfinite(one).all():
            at = ",".join(map(str, np.argwhere(~np.isfinite(one))[0]))
            text = f"f.{name} is not finite after {self.name(method)}"
            value = one[tuple(np.argwhere(~np.isfinite(one))[0])]
            raise self.broken_rule(method, text, f"f.{name}[{at}] is {value:g}, though all that it reads is finite")

    def extra_warnings(self) -> list[Problem]:
        """Warns of arrays that methods added to the frame: they allocate memory of their own."""
        found = []
        for name, method in self.added.items():
            text = f"{self.name(method)} puts f.{name} into the frame by itself, anew in every step"
            help = f'ask for it in plan, keep={{"{name}": Slot((N, *x))}}, and write into it: out=f.{name}'
            position = method_position(type(self.part), method, rf"\b{frame_name(self.part, method)}\.{name}\s*=[^=]")
            found.append(problem_at(position, text, code="allocates", help=help, level="warning"))
        return found


def frame_name(part: Part, method: str) -> str:
    """Returns the name that a method gives its frame."""
    code = code_of(getattr(type(part), method, None))
    names = code.co_varnames[: code.co_argcount] if code is not None else ()
    return names[1] if len(names) > 1 else "f"
