"""A check is trusted after it was seen to fail: every backward pass is made wrong, and every witness must see it.

A sample's numerical derivatives look at the forward pass only; they are computed once and every wrong kernel is held
against them. At ties, where a difference proves nothing, the equations must catch it.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from registry import good, named_alone
from wrong_kernels import CATALOGUE, RIGHT, WrongKernel
from wrong_kernels.catalogue import WITNESSES

from bpcli.engine.network_plan import plan_network
from bpcli.engine.objective import Objective
from bpcli.family import Clipper, Constraint, Frame, Layer, Loss, Optimizer, Regularizer, Schedule
from bpcli.family.part import Part
from bpcli.family.plan import Sample
from bpcli.studies.witness.cases import Case, LayerCase, LossCase, PenaltyCase, cases
from bpcli.studies.witness.witness import central_differences, max_abs

Array = np.ndarray
GOOD = dict(good())
DIFFERENTIABLE = {k: s for k, s in GOOD.items() if isinstance(s.part, Layer | Loss | Regularizer)}
STEPPING = {k: s for k, s in GOOD.items() if isinstance(s.part, Optimizer | Clipper | Constraint | Schedule)}


def _zeroed(a: Array) -> Array:
    a = a.copy()
    a[np.unravel_index(np.abs(a).argmax(), a.shape)] = 0
    return a


def _off_by_a_percent(a: Array) -> Array:
    a = a.copy()
    a[np.unravel_index(np.abs(a).argmax(), a.shape)] *= 1.01
    return a


GENERIC: dict[str, Callable[[Array], Array]] = {
    "x 1.001": lambda a: a * 1.001,
    "sign": lambda a: -a,
    "missing": lambda a: a * 0,
    "one entry dropped": _zeroed,
    "one entry off by 1 %": _off_by_a_percent,
    "last row skipped": lambda a: np.concatenate([a[:-1], a[-1:] * 0]) if a.ndim else a * 0,
    "transposed": lambda a: a.T if a.ndim == 2 and a.shape[0] == a.shape[1] else a,
    "rows in the wrong order": lambda a: a[::-1] if a.ndim else a,
    "summed over everything": lambda a: np.full_like(a, a.sum()),
    "averaged twice": lambda a: a / 3,
}


@pytest.mark.parametrize("sample", DIFFERENTIABLE.values(), ids=DIFFERENTIABLE)
def test_generic_mistakes_are_caught(sample: Sample) -> None:
    """Each gradient of each part made wrong in ten ways: caught by the equations, the complex step, the differences."""
    for case in cases(sample):
        assert isinstance(case, LayerCase | LossCase | PenaltyCase)
        honest = case.kernel()
        for name in [n for n in honest if n.startswith("d") and "." not in n]:
            for mistake, change in GENERIC.items():
                wrong = change(honest[name])
                if max_abs(wrong - honest[name]) <= 1e-7 * max(max_abs(honest[name]), 1e-6):
                    continue  # says the same here: a row of one, a gradient that is all rounding
                gaps = case.gaps({**honest, name: wrong})
                blind = {g.right for g in gaps if g.tensor == name and g.verdict != "WRONG"}
                if sample.kinks or sample.note.startswith("huge") or max_abs(honest[name]) < 1e-3:
                    blind -= {"differences", "complex step"}  # at ties and where all is rounding, the equations judge
                assert not blind, f"{mistake} in {name} is not seen by {blind}"


@pytest.mark.parametrize("sample", STEPPING.values(), ids=STEPPING)
def test_wrong_steps_are_caught(sample: Sample) -> None:
    (case,) = cases(sample)
    honest = case.kernel()
    for name, value in honest.items():
        if max_abs(value):
            assert any(g.verdict == "WRONG" for g in case.gaps({**honest, name: value * 1.001}))


# ---------------------------------------------------------------------------------- mistakes people make, in their part
@cache
def points(of: type[Part], part: Part | None) -> list[tuple[Sample, list[Case]]]:
    """The good samples of a part (or of it as it is set up) with its cases, whose numerical derivatives are computed
    once; of a loss without those where all is rounding, and with one that is far from every kink."""
    samples = [s for s in of.samples() if not s.error and (part is None or s.part == part)]
    if issubclass(of, Loss):
        loss: Any = part or of()
        rng = np.random.default_rng(1)
        t = {"classes": np.eye(3)[[0, 1, 2, 1, 0]], "values": rng.integers(0, 2, (5, 3)).astype(float)}[loss.targets]
        x = rng.uniform(0.05, 0.9, (5, 3)) if loss.link == "probabilities" else rng.normal(size=(5, 3)) * 1.5
        if loss.kind == "kl_divergence":
            t = rng.dirichlet(np.ones(3), 5)
        wide = Sample(loss, (3,), batch=5, inputs={"x": x, "t": t})
        samples = [wide, *(s for s in samples if not s.note.startswith("huge"))]
    return [(sample, cases(sample)) for sample in samples]


def seen(wrong: WrongKernel) -> set[str]:
    """The witnesses that see it on the samples of its part; samples that it does not fit are passed over: a frame that
    lacks an array, a shape. What else it names has to exist."""
    found: set[str] = set()
    for sample, honest in points(wrong.of, wrong.part):
        for k, right in enumerate(honest):
            with pytest.MonkeyPatch.context() as patch, np.errstate(all="ignore"):
                wrong.put_in(patch)
                case = cases(sample)[k]
                try:
                    kernel = case.kernel()
                except AttributeError as error:
                    if not isinstance(error.obj, Frame):
                        raise
                    continue
                except (IndexError, TypeError, ValueError):
                    continue
            witness = right if isinstance(right, LayerCase | LossCase | PenaltyCase) else case
            found |= {g.right for g in witness.gaps(kernel) if g.verdict == "WRONG"}
        if found >= (WITNESSES if issubclass(wrong.of, Loss) else wrong.seen_by or WITNESSES):
            break
    return found


IN_PARTS = {k.name: k for k in CATALOGUE if k.seen_by and issubclass(k.of, Part)}


@pytest.mark.parametrize("wrong", IN_PARTS.values(), ids=IN_PARTS)
def test_a_wrong_kernel_is_seen(wrong: WrongKernel) -> None:
    found = seen(wrong)
    assert found >= wrong.seen_by
    if issubclass(wrong.of, Loss):  # what is wrong at a tie alone is right elsewhere
        assert found == wrong.seen_by


@pytest.mark.parametrize("right", RIGHT, ids=[k.name for k in RIGHT])
def test_what_is_written_like_them_and_right_is_not_seen(right: WrongKernel) -> None:
    assert not seen(right)


def test_a_value_that_is_not_the_one_differentiated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The equations contradict the value, and the differences of the value the gradient."""
    wrong = IN_PARTS["value_that_is_not_differentiated"]
    wrong.put_in(monkeypatch)
    case = LossCase(points(wrong.of, None)[0][0])
    found = {(g.tensor, g.right) for g in case.gaps(case.kernel()) if g.verdict == "WRONG"}
    assert found == {("L", "equations"), ("dx", "differences")}


def test_none_has_gone() -> None:
    names = [k.name for k in CATALOGUE]
    assert len(names) == len(set(names)) >= 391


# ----------------------------------------------------------------------- the penalty, in a whole objective of each loss
def penalised(kind: str) -> Objective:
    layers = [
        Layer.parse({"type": "dense", "units": 3}),
        *([Layer.parse("softmax")] if kind == "cross_entropy" else []),
    ]
    penalty = Regularizer.parse({"type": "l2", "strength": 0.3})
    o = Objective(plan_network(layers, (4,), penalty), Loss.parse(kind), 5, np.float64, 1)
    rng = np.random.default_rng(2)
    o.theta[...] = rng.normal(size=o.theta.shape)
    t = rng.dirichlet(np.ones(3), 5)
    if o.loss.targets == "classes" or "hinge" in kind:
        t = np.eye(3)[t.argmax(1)]
    o.batch(5).load(rng.normal(size=(5, 4)), t, np.arange(5))
    return o


WRONG_PENALTIES: dict[str, Callable[[Objective], None]] = {
    "factor 2": lambda o: np.add(o.grad[:12], 0.6 * o.theta[:12], out=o.grad[:12]),
    "missing": lambda o: None,
    "divided by N": lambda o: np.add(o.grad[:12], 0.3 / 5 * o.theta[:12], out=o.grad[:12]),
    "on biases in the gradient only": lambda o: np.add(o.grad, 0.3 * o.theta, out=o.grad),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG_PENALTIES.values(), ids=WRONG_PENALTIES)
@pytest.mark.parametrize("kind", named_alone(Loss))
def test_a_wrong_penalty_is_seen_behind_every_loss(kind: str, wrong: Callable[[Objective], None]) -> None:
    o = penalised(kind)
    batch = o.batch(5)

    def value() -> tuple[float, float]:
        found = batch.forward(True) + o.penalty()
        return found, abs(found) + 1

    d = central_differences(value, o.theta)
    for add, right in ((Objective.add_penalty_gradient, True), (wrong, False)):
        batch.forward(True)
        batch.backward(True)
        add(o)
        allowed = 1e-6 * np.abs(o.grad) + d.noise + 1e-9 * max_abs(o.grad)
        assert bool((np.abs(o.grad - d.value) <= allowed).all()) == right
