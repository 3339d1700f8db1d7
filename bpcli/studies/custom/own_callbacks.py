"""Callbacks of a user's own: classes of a loaded file that follow every training, by the hooks of Callback."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

from bpcli.family import HOOKS, Callback, suggestion
from bpcli.records.training import Problem
from bpcli.studies.custom.class_check import accepts, signature_text
from bpcli.studies.custom.source_location import method_position, problem_at


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
            help = suggestion(name, HOOKS) or f"hooks: {', '.join(HOOKS)}"
            yield problem_at(method_position(leaf, name), text, code="declaration", help=help)
        elif not accepts(getattr(leaf, name), getattr(Callback, name), name):
            text = f"{leaf.__name__}.{name} cannot be called as the trainer calls it"
            help = f"write `{signature_text(getattr(Callback, name))}`"
            yield problem_at(method_position(leaf, name), text, code="declaration", help=help)
    if not accepts(leaf, Callback, "__init__"):
        text = f"{leaf.__name__} cannot be made without arguments, as the trainer makes it"
        position = method_position(leaf, "__init__")
        yield problem_at(position, text, code="declaration", help="give the arguments of `__init__` default values")
