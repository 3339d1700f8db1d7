"""Whether the class of a user's own part or callback is what its family asks for, as far as that shows without running
it."""

import functools
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import ModuleType
from typing import Any

from bpcli.family import (
    HOOKS,
    WIDTHS,
    Callback,
    Initializer,
    Layer,
    Loss,
    N,
    Param,
    Part,
    Plan,
    Regularizer,
    Shape,
    Slot,
    suggestion,
)
from bpcli.records.training import Failure, Problem
from bpcli.studies.custom.imports import missing_name
from bpcli.studies.custom.source_location import (
    class_position,
    families_of,
    family_rule,
    first_line,
    method_position,
    problem_at,
)

FRAME_NAMES = {"x": "the input", "y": "the output", "dx": "the gradient by the input", "dy": "the upstream gradient"}
LOSS_FRAME_NAMES = {"t": "the targets", "w": "the weights of the rows"}
"""Names that a frame, and that of a loss, has before a part asks for any; with what messages call them."""

RENAMED_MEMBERS = {"settle": "with_classes", "told": "reported"}
"""What families of an earlier version let parts override, and what it is called now."""


def class_problems(leaf: type[Part]) -> Iterator[Problem]:
    """Yields what is wrong with the class of a part."""
    if not leaf.__pydantic_complete__:
        try:
            leaf.model_rebuild()
        except Exception as error:  # whatever stands in an annotation
            text = f"the settings of {leaf.__name__} cannot be read: {first_line(error)}"
            help = missing_name(error) or "import what its annotations name"
            yield problem_at(class_position(leaf), text, code="declaration", help=help)
            return
    for old, new in RENAMED_MEMBERS.items():
        if old in vars(leaf) and any(new in vars(family) for family in families_of(leaf)):
            text = f"{leaf.__name__}.{old} is called `{new}` now, and nobody calls it under its old name"
            yield problem_at(method_position(leaf, old), text, code="declaration", help=f"rename it to `{new}`")
    missing = sorted(leaf.__abstractmethods__)
    for name in missing:
        text = f"{leaf.__name__} has no `{name}`"
        help = f"add `{_signature(leaf, name)}`; {family_rule(leaf, name)}"
        if issubclass(leaf, Layer | Loss | Regularizer):
            help += "; or state the forward pass in `equations`: what is missing is derived from it"
        yield problem_at(class_position(leaf), text, code="declaration", help=help)
    declared = (method for family in families_of(leaf) for method in vars(family).items())
    for name, base in declared:
        if name.startswith("_") or not inspect.isfunction(base):
            continue
        own = getattr(leaf, name)
        if own is not base and name not in missing and not accepts(own, base, name):
            text = f"{leaf.__name__}.{name} cannot be called as the engine calls it"
            help = f"write `{_signature(leaf, name)}`"
            yield problem_at(method_position(leaf, name), text, code="declaration", help=help)


def accepts(own: Any, base: Any, name: str) -> bool:
    """Whether a method takes the arguments of the one of its family; optional ones of `equations` may be left out."""
    parameters = inspect.signature(base).parameters.values()
    asked = [p for p in parameters if p.default is p.empty or name != "equations"]
    named = {p.name: None for p in asked if p.kind is p.KEYWORD_ONLY}
    try:
        inspect.signature(own).bind(*[None] * (len(asked) - len(named)), **named)
    except (TypeError, ValueError):
        return False
    return True


def _signature(leaf: type[Part], name: str) -> str:
    """Returns a method as its family writes it."""
    return signature_text(next(vars(family)[name] for family in families_of(leaf) if name in vars(family)))


def signature_text(method: Any) -> str:
    """Returns the `def` of a method, without its quotes."""
    return f"def {method.__name__}{inspect.signature(method)}:".replace("'", "")


# ------------------------------------------------------------------------------------------------------------ callbacks
def callbacks_of(module: ModuleType) -> tuple[type[Callback], ...]:
    """Returns the callbacks that a file declares, in order: not those that others of it extend, nor any whose name
    begins with an underscore."""
    own = [c for c in vars(module).values() if isinstance(c, type) and issubclass(c, Callback)]
    own = [c for c in dict.fromkeys(own) if c.__module__ == module.__name__]
    bases = {base for c in own for base in c.__mro__[1:]}
    return tuple(c for c in own if c not in bases and not c.__name__.startswith("_"))


def callback_problems(leaf: type[Callback]) -> Iterator[Problem]:
    """Yields what is wrong with the class of a callback."""
    for name in (n for n in dir(leaf) if n.startswith("on_")):
        if name not in HOOKS:
            text = f"{leaf.__name__}.{name} is no hook of a Callback, and nobody calls it"
            help = suggestion(name, HOOKS).strip() or f"hooks: {', '.join(HOOKS)}"
            yield problem_at(method_position(leaf, name), text, code="declaration", help=help)
        elif not accepts(getattr(leaf, name), getattr(Callback, name), name):
            text = f"{leaf.__name__}.{name} cannot be called as the trainer calls it"
            help = f"write `{signature_text(getattr(Callback, name))}`"
            yield problem_at(method_position(leaf, name), text, code="declaration", help=help)
    if not accepts(leaf, Callback, "__init__"):
        text = f"{leaf.__name__} cannot be made without arguments, as the trainer makes it"
        position = method_position(leaf, "__init__")
        yield problem_at(position, text, code="declaration", help="give the arguments of `__init__` default values")


# ---------------------------------------------------------------------------------------------------------------- plans
def check_plans(leaf: type[Part]) -> None:
    """Wraps `plan` of a layer or a loss, so that it raises Failure where what it returns is no valid Plan, and settings
    that are numbers are constants of the equations by themselves."""
    own = getattr(leaf, "plan", None)
    if not issubclass(leaf, Layer | Loss) or own is None:
        return

    @functools.wraps(own)
    def plan(self: Any, x: Shape) -> Plan:
        found: Plan = own(self, x)
        wrong = plan_fault(found, loss=isinstance(self, Loss))
        if wrong:
            text = f"{leaf.__name__}.plan {wrong[0]} (for rows of shape {x})"
            raise Failure(problem_at(method_position(leaf, "plan", r"\breturn\b"), text, code="plan", help=wrong[1]))
        arrays = {*found.params, *found.keep, *found.scratch, *found.draws, *found.state}
        taken = arrays | {*FRAME_NAMES, *LOSS_FRAME_NAMES}
        settings = {name: value for name, value in self.consts().items() if name not in taken}
        return replace(found, consts={**settings, **found.consts})

    setattr(leaf, "plan", plan)  # noqa: B010


def plan_fault(plan: Any, *, loss: bool = False) -> tuple[str, str] | None:
    """Returns what is wrong with a plan and what to write, or None."""
    if not isinstance(plan, Plan):
        return (
            f"returns {_type_text(plan)}, not a Plan",
            "write `return Plan(y=...)`: y is the shape of a row of outputs",
        )
    if not _is_shape(plan.y, least=1):
        return f"gives y as {plan.y!r}", "y is a tuple of whole numbers, the shape of a row of outputs: (units,)"
    taken: dict[str, str] = FRAME_NAMES | (LOSS_FRAME_NAMES if loss else {})
    for group in ("params", "keep", "scratch", "draws", "state", "inside"):
        asked = getattr(plan, group)
        if not isinstance(asked, Mapping):
            return f"gives {group} as {_type_text(asked)}", f'write {group}={{"name": ...}}'
        for name, wanted in asked.items():
            names = (name, f"d{name}") if group == "params" else (name,)
            for own in names:
                if own in taken:
                    return f"asks for `{name}` in {group}, and f.{own} is {taken[own]}", "choose another name"
                taken[own] = f"in {group} already" if own == name else f"the gradient by {name}"
            wrong = _wrong_entry(group, name, wanted)
            if wrong:
                return wrong
    bad = next((n for n, v in dict(plan.consts).items() if isinstance(v, bool) or not isinstance(v, int | float)), None)
    if bad is not None:
        return f"gives the constant `{bad}` as {plan.consts[bad]!r}", "constants are numbers that the equations mention"
    return None


def _wrong_entry(group: str, name: Any, wanted: Any) -> tuple[str, str] | None:
    if not isinstance(name, str) or not name.isidentifier() or name.startswith("_"):
        return f"asks for {name!r} in {group}", "a name is letters, digits and `_`, and begins with a letter"
    if group == "inside":
        good = isinstance(wanted, list | tuple) and all(isinstance(layer, Layer) for layer in wanted)
        return None if good else (f"gives the chain `{name}` as {_type_text(wanted)}", "a chain is a tuple of layers")
    if group == "params":
        if not isinstance(wanted, Param) or not _is_shape(wanted.shape, least=1):
            return f"gives the parameter `{name}` as {wanted!r}", f'write params={{"{name}": Param((rows, columns))}}'
        if wanted.init is not None and not isinstance(wanted.init, Initializer):
            help = "write ConstantValue(value=1.0) or HeNormal(), from bpcli.custom"
            return f"lets `{name}` start from {wanted.init!r}, which is no initializer", help
        return None
    if not isinstance(wanted, Slot) or not _is_shape(wanted.shape, least=0):
        return f"gives `{name}` in {group} as {wanted!r}", f'write {group}={{"{name}": Slot((N, *x))}}; N is the batch'
    if wanted.dtype not in ("float", *WIDTHS):
        return f"gives `{name}` the type {wanted.dtype!r}", f"types are float, {', '.join(WIDTHS)}"
    if group == "state" and N in wanted.shape:
        return f"keeps `{name}` for each row in its state", "state is what outlives a batch: leave N out of its shape"
    return None


def _is_shape(shape: Any, *, least: int) -> bool:
    """Whether this is a tuple of whole numbers of at least `least`; N too where that is 0, as in slots."""
    if not isinstance(shape, tuple):
        return False
    return all(isinstance(n, int) and not isinstance(n, bool) and (n >= least or (n == N and not least)) for n in shape)


def _type_text(value: Any) -> str:
    name = type(value).__name__
    return "nothing" if value is None else f"{'an' if name[:1] in 'aeiou' else 'a'} {name}"
