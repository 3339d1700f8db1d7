"""A derivation in order, for any format to set: forward equations, the steps, the result, and how it was checked."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bpcli.notation.derive.reverse import RuleApplied
from bpcli.notation.syntax import Equation, Expr, Name, Read
from bpcli.records.derived import DerivedArray, DerivedFormula


@dataclass(frozen=True)
class Section:
    """A heading, and what is said under it."""

    heading: str
    text: str = ""


@dataclass(frozen=True)
class FormulaLine:
    """A formula: `left` (an expression, a left side, or nothing) = `right`, and a word or two beside it."""

    left: Expr | None
    right: Expr
    note: str = ""


@dataclass(frozen=True)
class Lines:
    """Formulas one below the other; `entries_of` is the left side whose entries a Jacobian's line differentiates."""

    lines: tuple[FormulaLine, ...]
    entries_of: Equation | None = None


@dataclass(frozen=True)
class StepLines:
    """A rule applied: what arrives before at an expression, and after it at what is inside. A title about an array
    begins with its `name`."""

    number: int
    title: str
    before: FormulaLine
    after: tuple[FormulaLine, ...]
    name: str = ""

    def titled(self, symbol: Callable[[str], str]) -> str:
        """Returns the title with the array's symbol in place of its name."""
        begins = self.name and self.title.startswith(f"{self.name} ")
        return symbol(self.name) + self.title.removeprefix(self.name) if begins else self.title


@dataclass(frozen=True)
class Checked:
    """What a result was held against, and how far apart they are."""

    words: str
    agrees: bool


Block = Section | Lines | StepLines | Checked
SAME = "as its author states it, too"
MAX_GAP = 1e-10
"""Of the largest entry: more is a disagreement."""


def derivation_blocks(d: DerivedFormula) -> Iterator[Block]:
    """Yields a derivation block by block."""
    yield Section("forward")
    yield Lines(tuple(FormulaLine(side_of(e), e.right, e.source.why) for e in d.backward.forward))
    yield Section("step by step", _opening(d))
    for number, step in enumerate(d.backward.steps, 1):
        yield _step(number, step, d.entries_of is None)
    yield Section("result", _closing(d))
    for equation in d.backward.backward:
        stated = next((a for a in d.arrays if a.equation == equation), None)
        other = stated.stated if stated is not None else None
        same = other is not None and (other.letters, other.right) == (equation.letters, equation.right)
        yield Lines((FormulaLine(side_of(equation), equation.right, SAME if same else ""),), d.entries_of)
        if stated is not None and stated.stated is not None and not same:
            yield Lines((FormulaLine(side_of(stated.stated), stated.stated.right, "as its author states it"),))
    yield from _checks(d)


def side_of(equation: Equation) -> Expr:
    """Returns a left side as an expression."""
    index = tuple(map(Name, equation.letters))
    return Read(equation.name, index) if index else Name(equation.name)


def _opening(d: DerivedFormula) -> str:
    if d.entries_of is not None:
        return (
            f"An error of 1 at one entry of {d.entries_of.name} and 0 at all others is handed down, rule by rule: what "
            "arrives at an entry below is the derivative of the one by the other."
        )
    if d.backward.forward[-1].free:
        name = d.backward.forward[-1].name
        return f"What arrives at {name} from behind is handed down its right side, rule by rule, to what is read there."
    return (
        f"{d.of} leans on itself with slope 1. That is handed down its right side, rule by rule, to what is read there."
    )


def _step(number: int, step: RuleApplied, of_one: bool) -> StepLines:
    name = ""
    if step.rule == "entry":
        (entry, _), *_ = step.after
        name = entry.array if isinstance(entry, Read) else entry.id if isinstance(entry, Name) else ""
        title = "; ".join(step.why) or f"{name} is read here: that is its share"
    else:
        title = f"{step.rule}: {'; '.join(step.why)}" if step.why else step.rule
    after = tuple(
        FormulaLine(_gradient(inside) if of_one and step.rule == "entry" else inside, arrives)
        for inside, arrives in step.after
    )
    return StepLines(number, title, FormulaLine(step.at, step.before), after, name)


def _gradient(entry: Expr) -> Expr:
    """Returns the derivative by an entry of an array, or by a number."""
    match entry:
        case Read(array=array, index=index):
            return Read(f"d{array}", index)
        case Name(id=name):
            return Name(f"d{name}")
    return entry


def _closing(d: DerivedFormula) -> str:
    several = [n for n in d.backward.by if sum(_goes_to(s, n) for s in d.backward.steps) > 1]
    return f"What arrives at {' and at '.join(several)} from several places is added up." if several else ""


def _goes_to(step: RuleApplied, name: str) -> bool:
    return step.rule == "entry" and any(
        (isinstance(e, Read) and e.array == name) or (isinstance(e, Name) and e.id == name) for e, _ in step.after
    )


def _checks(d: DerivedFormula) -> Iterator[Checked]:
    for what, gaps in (
        ("the equations that the author states", [(a.name, a.stated_gap) for a in d.arrays]),
        ("complex steps through the forward equations", [(a.name, a.steps_gap) for a in d.arrays]),
    ):
        known = [(name, gap) for name, gap in gaps if gap is not None]
        if known:
            name, worst = max(known, key=lambda pair: pair[1])
            agrees = worst <= MAX_GAP
            sign = "agrees with" if agrees else "DISAGREES with"
            apart = f"at most {worst:.1e} of the largest entry apart, of {name}" if worst else "equal to the last bit"
            yield Checked(f"{sign} {what}: {apart}", agrees)


def shown_arrays(d: DerivedFormula) -> list[DerivedArray]:
    """Returns results that were computed."""
    return [a for a in d.arrays if a.value is not None and d.numbers]
