"""Plans of a user's own, wrong in each way that there is, and what to write in their place; and what its classes must
be able to do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from own_parts import GAIN, SCALED, SQUARE, changed
from own_parts import own as own

from bpcli.family import WIDTHS, Callback, Layer, N, Param, Plan, Slot
from bpcli.parts.initializers import ConstantValue
from bpcli.records.training import Failure, Problem
from bpcli.studies.custom import load as custom
from bpcli.studies.custom.class_check import (
    accepts,
    callback_problems,
    callbacks_of,
    class_problems,
    plan_fault,
    signature_text,
)

X = Slot((N, 4))
W = Param((4, 2))
NAME = "a name is letters, digits and `_`, and begins with a letter"
NUMBERS = "constants are numbers that the equations mention"
SHAPE = "y is a tuple of whole numbers, the shape of a row of outputs: (units,)"
RETURN = "write `return Plan(y=...)`: y is the shape of a row of outputs"
OTHER = "choose another name"


def plan(**more: Any) -> Plan:
    return Plan(**({"y": (4,)} | more))


GOOD: Mapping[str, Plan] = {
    "nothing but a shape": plan(),
    "everything": plan(
        params={"W": W, "b": Param((2,), ConstantValue(value=0.0))}, keep={"h": X, "ids": Slot((N,), "int")},
        scratch={"s": Slot((N, 0))}, draws={"u": X}, state={"mean": Slot((4,))}, consts={"rate": 0.5, "n": 3},
        inside={"branch": (Layer.parse("tanh"),), "none": ()},
    ),
    "an image": plan(y=(1, 2, 3)),
    "a number of each row": plan(keep={"h": Slot((N,))}, state={"count": Slot(())}),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_a_good_plan(name: str) -> None:
    assert plan_fault(GOOD[name]) is None


BAD: Mapping[str, tuple[Any, str, str]] = {
    "nothing": (None, "returns nothing, not a Plan", RETURN),
    "a tuple": ((4,), "returns a tuple, not a Plan", RETURN),
    "a whole number": (4, "returns an int, not a Plan", RETURN),
    "no shape": (plan(y=4), "gives y as 4", SHAPE),
    "a list": (plan(y=[4]), "gives y as [4]", SHAPE),
    "a shape of 0": (plan(y=(0,)), "gives y as (0,)", SHAPE),
    "a shape with rows": (plan(y=(N, 4)), "gives y as (-1, 4)", SHAPE),
    "a shape of truth": (plan(y=(True,)), "gives y as (True,)", SHAPE),
    "a shape of floats": (plan(y=(4.0,)), "gives y as (4.0,)", SHAPE),
    "a group that is none": (plan(keep=("h",)), "gives keep as a tuple", 'write keep={"name": ...}'),
    "a parameter named x": (plan(params={"x": W}), "asks for `x` in params, and f.x is the input", OTHER),
    "an array named y": (plan(keep={"y": X}), "asks for `y` in keep, and f.y is the output", OTHER),
    "an array named dx": (
        plan(scratch={"dx": X}), "asks for `dx` in scratch, and f.dx is the gradient by the input", OTHER,
    ),
    "an array named dy": (plan(draws={"dy": X}), "asks for `dy` in draws, and f.dy is the upstream gradient", OTHER),
    "a parameter named y": (plan(params={"y": W}), "asks for `y` in params, and f.y is the output", OTHER),
    "the same name twice": (
        plan(keep={"h": X}, scratch={"h": X}), "asks for `h` in scratch, and f.h is in keep already", OTHER,
    ),
    "the name of a gradient": (
        plan(params={"W": W}, keep={"dW": X}), "asks for `dW` in keep, and f.dW is the gradient by W", OTHER,
    ),
    "a parameter whose gradient is another": (
        plan(params={"dW": W, "W": W}), "asks for `W` in params, and f.dW is in params already", OTHER,
    ),
    "a name with a blank": (plan(keep={"my h": X}), "asks for 'my h' in keep", NAME),
    "a name that begins with _": (plan(params={"_W": W}), "asks for '_W' in params", NAME),
    "a name that is a number": (plan(state={3: X}), "asks for 3 in state", NAME),
    "a parameter that is a shape": (
        plan(params={"W": (4, 2)}), "gives the parameter `W` as (4, 2)", 'write params={"W": Param((rows, columns))}',
    ),
    "a parameter with rows": (
        plan(params={"W": Param((N, 2))}), f"gives the parameter `W` as {Param((N, 2))!r}",
        'write params={"W": Param((rows, columns))}',
    ),
    "a parameter of nothing": (
        plan(params={"W": Param((0,))}), f"gives the parameter `W` as {Param((0,))!r}",
        'write params={"W": Param((rows, columns))}',
    ),
    "a start that is a number": (
        plan(params={"W": Param((2,), 1.0)}),
        "lets `W` start from 1.0, which is no initializer",
        "write ConstantValue(value=1.0) or HeNormal(), from bpcli.custom",
    ),
    "a slot that is a shape": (
        plan(scratch={"s": (N, 4)}), "gives `s` in scratch as (-1, 4)",
        'write scratch={"s": Slot((N, *x))}; N is the batch',
    ),
    "a slot below 0": (
        plan(draws={"u": Slot((N, -2))}), f"gives `u` in draws as {Slot((N, -2))!r}",
        'write draws={"u": Slot((N, *x))}; N is the batch',
    ),
    "a slot of another type": (plan(keep={"h": Slot((N,), "complex")}), "gives `h` the type 'complex'", ""),
    "rows in a state": (
        plan(state={"mean": X}), "keeps `mean` for each row in its state",
        "state is what outlives a batch: leave N out of its shape",
    ),
    "a chain that is a name": (
        plan(inside={"branch": "tanh"}), "gives the chain `branch` as a str", "a chain is a tuple of layers",
    ),
    "a chain of names": (
        plan(inside={"branch": ("tanh",)}), "gives the chain `branch` as a tuple", "a chain is a tuple of layers",
    ),
    "a constant that is a text": (plan(consts={"rate": "1"}), "gives the constant `rate` as '1'", NUMBERS),
    "a constant that is true": (plan(consts={"n": 3, "flag": True}), "gives the constant `flag` as True", NUMBERS),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_plan(name: str) -> None:
    value, text, help = BAD[name]
    found = plan_fault(value)
    assert found is not None
    assert found[0] == text
    assert found[1] == help or not help


def test_types_of_arrays() -> None:
    for kind in ("float", *WIDTHS):
        assert plan_fault(plan(keep={"h": Slot((N,), kind)})) is None
    assert plan_fault(plan(keep={"h": Slot((N,), "complex")})) == (
        "gives `h` the type 'complex'", f"types are float, {', '.join(WIDTHS)}",
    )  # fmt: skip


@pytest.mark.parametrize(("name", "what"), [("t", "the targets"), ("w", "the weights of the rows")])
def test_names_that_only_a_loss_has_already(name: str, what: str) -> None:
    assert plan_fault(plan(scratch={name: X})) is None
    assert plan_fault(plan(scratch={name: X}), loss=True) == (
        f"asks for `{name}` in scratch, and f.{name} is {what}", OTHER,
    )  # fmt: skip


# ----------------------------------------------------------------------------------------------------- of a loaded file
def load(own: Path, text: str) -> tuple[Any, ...]:
    (own / "mine.py").write_text(text)
    return custom.load([own / "mine.py"])


def test_a_plan_is_examined_wherever_it_is_made(own: Path) -> None:
    (leaf,) = load(own, changed(GAIN, ("return Plan(y=x,", "return Plan(y=x[0] if len(x) > 1 else x,")))
    assert leaf().plan((4,)).y == (4,)
    assert leaf.plan.__name__ == "plan"
    with pytest.raises(Failure) as raised:
        leaf().plan((2, 3))
    (problem,) = raised.value.problems
    assert problem.text == "Gain.plan gives y as 2 (for rows of shape (2, 3))"
    assert (problem.line, problem.code, problem.help) == (18, "plan", SHAPE)


def test_settings_are_constants_of_the_equations(own: Path) -> None:
    """Numbers alone, and none that is called as an array is; what the plan says counts."""
    settings = (
        "    a: float = 0.5\n    s: float = 2.0\n    many: bool = True\n    count: int = 3\n\n    def plan(self, x):"
    )
    (leaf,) = load(
        own,
        changed(
            GAIN, ("    def plan(self, x):", settings), ("return Plan(y=x,", "return Plan(y=x, consts={'count': 4.0},")
        ),
    )
    assert leaf().plan((4,)).consts == {"a": 0.5, "count": 4.0}
    (leaf,) = load(own, SCALED)
    assert leaf().plan((4,)).consts == {"a": 0.5}


def test_a_plan_of_a_loss_has_names_of_its_own(own: Path) -> None:
    (leaf,) = load(own, SQUARE.replace('"e"', '"t"'))
    with pytest.raises(Failure, match=r"asks for `t` in scratch, and f\.t is the targets"):
        leaf().plan((4,))


def problems_of(own: Path, text: str) -> list[Problem]:
    with pytest.raises(Failure) as raised:
        load(own, text)
    return list(raised.value.problems)


def test_every_method_that_is_missing_or_wrong_is_named(own: Path) -> None:
    text = GAIN[: GAIN.index("    def forward")]
    found = problems_of(own, text.replace("def plan(self, x)", "def plan(self)"))
    assert [p.text for p in found] == [
        "Gain has no `backward`", "Gain has no `forward`", "Gain.plan cannot be called as the engine calls it",
    ]  # fmt: skip
    assert found[0].help.startswith(
        "add `def backward(self, f: Frame, train: bool) -> None:`; the rule of backward: reads dy and keep; writes dx"
    )
    assert found[2].help == "write `def plan(self, x: Shape) -> Plan:`"
    assert [p.line for p in found] == [11, 11, 16]


def test_equations_may_leave_out_what_they_do_not_need(own: Path) -> None:
    ours = "\n    def equations(self, train, x):\n        return []\n"
    (leaf,) = load(own, GAIN + ours)
    assert list(class_problems(leaf)) == []
    found = problems_of(own, GAIN.replace('"gain"', '"other"') + ours.replace("train, x", "one, two, three"))
    assert [p.text for p in found] == ["Gain.equations cannot be called as the engine calls it"]


def test_what_one_method_accepts_of_another() -> None:
    def base(self: Any, f: Any, train: bool = True, *, rate: float = 0.5) -> None: ...

    def other(self: Any, g: Any, mode: bool, *, rate: float) -> None: ...

    def few(self: Any, f: Any) -> None: ...

    def anything(*args: Any, **more: Any) -> None: ...

    def unnamed(self: Any, f: Any, train: bool, rate: float) -> None: ...

    assert accepts(other, base, "forward")
    assert accepts(anything, base, "forward")
    assert not accepts(few, base, "forward")
    assert accepts(few, base, "equations"), "what has a default may be left out there"
    assert accepts(unnamed, base, "forward")
    assert not accepts(len, base, "forward")


def test_a_method_as_text() -> None:
    assert signature_text(Layer.forward) == "def forward(self, f: Frame, train: bool) -> None:"


# ------------------------------------------------------------------------------------------------------------ callbacks
def module_of(source: str) -> ModuleType:
    module = ModuleType("mine")
    exec("from bpcli.family import Callback\n" + source, vars(module))
    return module


def test_callbacks_of_a_file() -> None:
    """Those that it declares, each once, and no base of another."""
    module = module_of(
        "class Base(Callback): pass\nclass _Hidden(Callback): pass\nclass One(Base): pass\nclass Two(Callback): pass\n"
        "Again = One\nclass Nothing: pass\nnumber = 3\n"
    )
    assert [c.__name__ for c in callbacks_of(module)] == ["One", "Two"]
    assert all(issubclass(c, Callback) for c in callbacks_of(module))


def callback(source: str) -> type[Callback]:
    (leaf,) = callbacks_of(module_of(source))
    return leaf


def test_a_good_callback_has_no_problem() -> None:
    good = (
        "class Log(Callback):\n    def __init__(self, file='log'): pass\n    def on_epoch_end(self, state, row): pass\n"
        "    def on_train_end(self, *args): pass\n    def other(self): pass\n"
    )
    assert list(callback_problems(callback(good))) == []


def test_hooks_that_nobody_calls_as_they_are() -> None:
    bad = (
        "class Log(Callback):\n    def __init__(self, file): pass\n    def on_epoch_ends(self, state, row): pass\n"
        "    def on_train_begin(self): pass\n    def on_lunch(self): pass\n"
    )
    found = {p.text: p.help for p in callback_problems(callback(bad))}
    assert list(found) == [
        "Log.on_epoch_ends is no hook of a Callback, and nobody calls it",
        "Log.on_lunch is no hook of a Callback, and nobody calls it",
        "Log.on_train_begin cannot be called as the trainer calls it",
        "Log cannot be made without arguments, as the trainer makes it",
    ]
    near, far, unlike, made = found.values()
    assert near == "did you mean `on_epoch_end`?"
    assert far.startswith("hooks: on_")
    assert unlike == f"write `{signature_text(Callback.on_train_begin)}`"
    assert made == "give the arguments of `__init__` default values"
