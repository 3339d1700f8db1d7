"""The derivation of a formula's, or a registered part's, backward equations, as `bpcli derive` tells it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import bpcli.parts  # noqa: F401  (declares every part)
from bpcli.family import Layer, Loss, Part, Regularizer, near
from bpcli.family.part import families
from bpcli.notation import Eq, NotationError, Program, compile_equations
from bpcli.notation.derive.backward import derive_backward, derive_jacobian, spelled
from bpcli.notation.derive.reverse import BackwardEquations
from bpcli.notation.syntax import Equation, parse, reads
from bpcli.numeric.shapes import Array, Shape
from bpcli.parts.formula.program import DERIVED
from bpcli.records.derived import DerivedArray, DerivedFormula
from bpcli.records.training import Exit, Failure, Problem
from bpcli.studies.describe.small_arrays import require_few_terms, small_arrays
from bpcli.studies.describe.typed import EXAMPLE, check_indices, formula, typed_help
from bpcli.studies.gradcheck.check_parts import first_sample
from bpcli.studies.witness.cases import LayerCase, LossCase, PenaltyCase, equation_env, layer_program, states_equations
from bpcli.studies.witness.witness import complex_step, max_abs

UPSTREAM = "what arrives at the output"


def derive_formula(
    texts: Sequence[str],
    by: Sequence[str],
    *,
    order: int = 1,
    entries: bool = False,
    numbers: bool = False,
    seed: int = 0,
) -> DerivedFormula:
    """Returns the derivation of formulas as they are typed, the last of which is the output. `order` 2 derives the
    result once more; with `entries` every entry of the output has derivatives of its own (a Jacobian); with `numbers`
    it is computed with small random arrays.

    Raises Failure where a formula cannot be read, or has no derivative.
    """
    try:
        forward = [formula(text) for text in texts]
        return _derived(forward, by, order, entries, numbers, seed)
    except NotationError as error:
        raise Failure(Problem(str(error), code="formula", help=typed_help(error)), exit=Exit.USAGE) from None


def _derived(
    forward: list[Eq], by: Sequence[str], order: int, entries: bool, numbers: bool, seed: int
) -> DerivedFormula:
    wanted = tuple(by) or None
    check_indices(spelled(forward))
    _check_names(forward, by)
    output = parse(forward[-1])
    of = "L" if output.free else output.name
    first = derive_backward(forward, wanted)
    if not first.by:
        raise NotationError("no array or number is read, by which there could be a derivative", f"such as {EXAMPLE}")
    env = small_arrays(spelled(forward), seed) if numbers else None
    if env is not None:
        require_few_terms(compile_equations(forward, env))
    if order == 1 and not (entries and output.free):
        return DerivedFormula(_title(forward), first, _checked(first, forward, env), of, numbers=env or {})
    top, differentiated = (forward, output) if order == 1 else ([*forward, *first.equations], first.backward[-1])
    if order == 2 and len(first.by) > 1:
        raise NotationError(
            f"a second derivative needs one array to differentiate by twice: {', '.join(first.by)} are read",
            f"add --by {first.by[0]}",
        )
    second = derive_jacobian(top, first.by)
    if env is not None and output.free and order == 2:
        shape = compile_equations(forward, env).grids[-1].shape
        env |= {f"d{output.name}": np.round(np.random.default_rng(seed + 1).normal(size=shape), 1)}
    arrays = _checked_entries(second, top, differentiated, env)
    return DerivedFormula(_title(forward), second, arrays, of, differentiated, env or {})


def _check_names(forward: Sequence[Eq], by: Sequence[str]) -> None:
    read = {n for e in spelled(forward) for n in _names(e)}
    for name in by:
        if name not in read:
            guess = near(name, read)
            raise NotationError(f"no equation reads {name}", f"did you mean `{guess}`?" if guess else "")


def _names(equation: Equation) -> set[str]:
    return reads(equation) - set(equation.letters)


def _title(forward: Sequence[Eq]) -> str:
    return f"{forward[-1].left} = {forward[-1].right}"


def _checked(found: BackwardEquations, forward: Sequence[Eq], env: dict[str, Any] | None) -> tuple[DerivedArray, ...]:
    """Returns the results, computed and held against complex steps where there are numbers."""
    last = {e.name: e for e in found.backward}
    if env is None:
        return tuple(DerivedArray(name, last[f"d{name}"]) for name in found.by)
    program = compile_equations(forward, env)
    output = found.forward[-1].name
    shape = next(g.shape for g in program.grids if g.name == output)
    upstream: Any = 1.0
    if shape:
        upstream = env[f"d{output}"] = np.round(np.random.default_rng(len(env)).normal(size=shape), 1)
    values = evaluated(found, forward, env)
    out = []
    for name in found.by:
        step = complex_step(
            program, {k: v for k, v in env.items() if k != f"d{output}"}, name, output, np.asarray(upstream)
        )
        value = values[f"d{name}"]
        out.append(DerivedArray(name, last[f"d{name}"], steps_gap=_gap(value, step), value=value))
    return tuple(out)


def _checked_entries(
    found: BackwardEquations, forward: Sequence[Eq], differentiated: Equation, env: Mapping[str, Any] | None
) -> tuple[DerivedArray, ...]:
    """Returns Jacobians, computed and held against complex steps, an entry of the output at a time."""
    last = {e.name.removeprefix(f"d{differentiated.name}_"): e for e in found.backward}
    if env is None:
        return tuple(DerivedArray(name, last[f"d{name}"]) for name in found.by)
    program = compile_equations(forward, env)
    shape = next(g.shape for g in program.grids if g.name == differentiated.name)
    values = evaluated(found, forward, env, f"d{differentiated.name}_d", shape)
    out = []
    for name in found.by:
        value = values[f"d{differentiated.name}_d{name}"]
        steps = np.zeros(np.shape(value))
        for at in np.ndindex(*shape):
            upstream = np.zeros(shape)
            upstream[at] = 1
            steps[(..., *at)] = complex_step(program, env, name, differentiated.name, upstream)
        out.append(DerivedArray(name, last[f"d{name}"], steps_gap=_gap(value, steps), value=value))
    return tuple(out)


def evaluated(
    found: BackwardEquations, forward: Sequence[Eq], env: Mapping[str, Any], prefix: str = "d", behind: Shape = ()
) -> dict[str, Array]:
    """Returns the values of forward and derived equations. Results are called by `prefix` and an array's name; `behind`
    is the shape of the output, which Jacobians have after an array's own."""
    shapes = {f"{prefix}{name}": (*np.shape(env[name]), *behind) for name in found.by}
    return compile_equations([*forward, *found.equations], env, shapes).run(env)


def _gap(found: Array, wanted: Array) -> float:
    """Returns the largest difference, of the largest entry."""
    return max_abs(found - wanted) / max(max_abs(wanted), 1e-300) if np.size(wanted) else 0.0


# registered parts


def derive_part(name: str, by: Sequence[str], *, entries: bool = False, numbers: bool = False) -> DerivedFormula:
    """Returns the derivation of a registered part's equations, beside those that its author states; with `entries` a
    Jacobian, with `numbers` the arrays of the part's first sample, which it is computed with.

    Raises Failure where no part has that name, or one of a family that has no gradient.
    """
    part = next((f.registry[name] for f in families() if name in f.registry), None)
    if part is None:
        known = {k for f in families() for k in f.registry}
        guess = near(name, known)
        help = f"did you mean `{guess}`?" if guess else "an equation has an equals sign; `bpcli parts` lists parts"
        raise Failure(Problem(f"no part is called `{name}`", code="unknown-part", help=help), exit=Exit.USAGE)
    program, env, output, tensors, stated = _case(part, name)
    needed = program.needed({output})
    forward = [g.equation.source for g in program.grids if g.name in needed]
    results = {g.name: g.shape for g in program.grids if g.name in needed}
    wanted = [n for n in tensors if not by or n in by]
    for other in by:
        if other not in tensors:
            help = f"its arrays are {', '.join(tensors)}"
            raise Failure(Problem(f"`{name}` has no array {other}", code="unknown-array", help=help), exit=Exit.USAGE)
    shown = {n: env[n] for n in (*tensors, "" if entries else f"d{output}") if n in env}
    try:
        if entries and results[output]:
            found = derive_jacobian(forward, wanted, env, results)
            equation = next(g.equation for g in program.grids if g.name == output)
            entries_by = _checked_entries(found, forward, equation, env)
            return DerivedFormula(name, found, entries_by, entries_of=equation, numbers=shown)
        found = derive_backward(forward, wanted, env, results)
    except NotationError as error:
        raise Failure(Problem(str(error), code="no-derivative", help=error.help)) from None
    shapes = {f"d{n}": np.shape(tensors[n]) for n in wanted} | results
    values = compile_equations([*forward, *found.equations], env, shapes).run(env)
    equations = {g.name: g.equation for g in program.grids if not g.equation.source.why.startswith(DERIVED)}
    last = {e.name: e for e in found.backward}
    upstream = np.asarray(env.get(f"d{output}", 1.0))
    arrays = []
    for n in (n for n in wanted if f"d{n}" in stated):
        value, by_author = values[f"d{n}"], equations.get(f"d{n}")
        steps = complex_step(program, env, n, output, upstream) if numbers or by_author is None else None
        arrays.append(
            DerivedArray(
                n, last[f"d{n}"], by_author, None if by_author is None else _gap(value, stated[f"d{n}"]),
                None if steps is None else _gap(value, steps), value,
            )
        )  # fmt: skip
    return DerivedFormula(name, found, tuple(arrays), numbers=shown if numbers else {})


def _case(part: type[Part], name: str) -> tuple[Program, dict[str, Any], str, Mapping[str, Array], Mapping[str, Array]]:
    """Returns a part's equations for its first sample: program, arrays, output, what is differentiated by, and the
    stated gradients' values. Raises Failure where it has none that a derivation can begin with."""
    if not issubclass(part, Layer | Loss | Regularizer):
        raise _no_derivative(f"`{name}` is no layer, loss or penalty: its equations are no forward pass to derive from")
    sample = first_sample(part)
    if not states_equations(sample):
        raise _no_derivative(f"`{name}` states no equations, and only they can be derived")
    if issubclass(part, Layer):
        layer = LayerCase(sample, train=True)
        if layer.bound.inside:
            raise _no_derivative(f"`{name}` holds layers, which have derivations of their own")
        stated = layer.equations
        return layer_program(layer.bound, True), equation_env(layer.bound), "y", layer.tensors, stated
    if issubclass(part, Loss):
        loss = LossCase(sample)
        return loss.program(), loss.env, "L", {"x": loss.frame.x}, loss.equations
    penalty = PenaltyCase(sample)
    return penalty.program(), penalty.env, "penalty", {"w": penalty.w}, penalty.equations


def _no_derivative(text: str) -> Failure:
    help = "`bpcli derive` takes equations, too: bpcli derive 'y[n,k] = tanh(x[n,k])'"
    return Failure(Problem(text, code="no-derivative", help=help), exit=Exit.USAGE)
