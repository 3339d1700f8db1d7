"""Reverse mode over the notation's tree: backward equations from forward ones, and the steps by which they are found.

From the last equation to the first, what arrives at a left side is handed down its right side, rule by rule
(`slopes`), to the arrays that are read there (`places`). What comes from several places adds up. A quantity that the
forward equations compute on the way has an adjoint of its own, `dz`, unless that is used only once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bpcli.notation.derive.algebra import ONE, ZERO, add, multiply
from bpcli.notation.derive.indices import Indices
from bpcli.notation.derive.letters import Letters, bound_in
from bpcli.notation.derive.named import Naming
from bpcli.notation.derive.places import Gathering, Guard
from bpcli.notation.derive.shorter import shorter
from bpcli.notation.derive.simplify import simplified
from bpcli.notation.derive.slopes import local_slopes
from bpcli.notation.derive.trees import replaced, size_of
from bpcli.notation.syntax import (
    Call,
    Compare,
    Eq,
    Equation,
    Expr,
    Name,
    Negate,
    NotationError,
    Number,
    Read,
    Reduce,
    changed,
    reads,
    walk,
)  # fmt: skip
from bpcli.numeric.shapes import Shape

_AXES = {3: "t", 4: "hw"}  # letters for axes of rows of signals and of images, where no read tells any
MAX_NODES = 20_000
"""Nodes of all expressions of a derivation, above which it is refused."""
MAX_WRITTEN = 2 * MAX_NODES
"""Nodes of all that the steps of a derivation write out, above which it is refused."""
MAX_SHORTENED = 300
"""Nodes of an expression up to which its brackets are multiplied out where that is shorter."""


@dataclass(frozen=True)
class RuleApplied:
    """One step of a derivation: by a rule, what arrives at the expression `at` (`before`) arrives at what is inside it.

    `after` has for each expression inside what arrives there; of the step that collects for an array, the read and what
    arrives at the array's entries. `of` is the left side whose equation it is.
    """

    of: str
    rule: str
    why: tuple[str, ...]
    at: Expr
    before: Expr
    after: tuple[tuple[Expr, Expr], ...]


@dataclass(frozen=True)
class BackwardEquations:
    """Forward equations, the backward ones that follow from them in the order of evaluation, and the steps."""

    forward: tuple[Equation, ...]
    backward: tuple[Equation, ...]
    steps: tuple[RuleApplied, ...]
    by: tuple[str, ...]

    @property
    def equations(self) -> list[Eq]:
        """The backward equations as they are typed."""
        return [e.source for e in self.backward]


@dataclass
class _Adjoint:
    """A backward equation in the making."""

    name: str
    free: tuple[str, ...]
    right: Expr
    like: Equation | None


class Reverse:
    """The derivation of backward equations from forward ones, each after those that it reads."""

    def __init__(
        self,
        forward: Sequence[Equation],
        seeds: Mapping[str, Expr | None],
        by: Mapping[str, int],
        numbers: Mapping[str, int] | None = None,
        sizes: Sequence[Mapping[str, int]] = (),
        shapes: Mapping[str, Shape] | None = None,
    ) -> None:
        self.forward, self.by = tuple(forward), dict(by)
        self.letters = Letters(forward)
        self.opened = [self.letters.opened(e) for e in forward]
        self.indices = Indices(self.letters, numbers or {})
        self.letters.sizes |= self._sizes(sizes)
        self.naming = Naming(self.opened, self.letters)
        self.seeds, self.prefix = dict(seeds), "d"
        self.extra: tuple[str, ...] = ()  # indices of the output, where every entry of it is differentiated
        self.targets = {name: self._targets(name, rank) for name, rank in by.items()}
        for name, shape in (shapes or {}).items():
            self.letters.sizes |= dict(zip(self.targets.get(name, ()), shape, strict=False))
        self.targets |= {e.name: e.letters for e in self.opened}
        self.arriving: dict[str, list[Expr]] = {}
        self.steps: list[RuleApplied] = []
        self.nodes = self.written = 0
        self.moving = self._moving()

    def derive(self) -> BackwardEquations:
        """Returns the derivation. Raises NotationError where a formula has no derivative, or one that is too long."""
        found: list[_Adjoint] = []
        for equation in reversed(self.opened):
            seed = self._seed(equation, found)
            if seed is not None and equation.name in self.moving:
                self._descend(equation.name, equation.right, seed, list(equation.letters), [])
        for name in self.by:
            found.append(_Adjoint(self.prefix + name, (*self.targets[name], *self.extra), self._total(name), None))
        self._inline(found)
        self._inline_where_shorter(found)
        backward = tuple(
            self.letters.finished(a.name, a.free, self._short(a.right), on_the_way=a.like is not None) for a in found
        )
        return BackwardEquations(self.forward, backward, tuple(self.steps), tuple(self.by))

    def _sizes(self, sizes: Sequence[Mapping[str, int]]) -> dict[str, int]:
        """Returns how many values the indices of the forward equations have, by their own names."""
        return {k: s[self.letters[k].base] for e, s in zip(self.opened, sizes, strict=False) for k in bound_in(e)}

    def jacobian(self) -> BackwardEquations:
        """Returns the derivatives of every entry of the output, whose indices come last: those of one entry are what
        arrives from an error of 1 there and 0 elsewhere. Raises NotationError as `derive` does."""
        output = self.opened[-1]
        self.prefix = f"d{output.name}_d"
        spare = self.letters.spare()
        self.extra = tuple(self.letters.new(next(spare), like=k) for k in output.letters)
        same = (Compare("==", Name(k), Name(m)) for k, m in zip(output.letters, self.extra, strict=True))
        self.seeds = {output.name: multiply(ONE, *same)}
        return self.derive()

    def _targets(self, name: str, rank: int) -> tuple[str, ...]:
        """Returns indices for an array: the letters at which it is read, where they are letters: first those of a left
        side."""
        found = [(e, n.index) for e in self.forward for n in walk(e.right) if isinstance(n, Read) and n.array == name]
        found.sort(key=lambda read: not all(isinstance(i, Name) and i.id in read[0].letters for i in read[1]))
        bases = [i.id if isinstance(i, Name) and len(i.id) == 1 else "" for _, index in found[:1] for i in index]
        bases = bases or [""] * rank
        spare = (k for k in (_AXES.get(rank, "ijklm") + "dvs") if k not in bases and k not in self.letters.written)
        return tuple(self.letters.new(b if b and b not in bases[:a] else next(spare)) for a, b in enumerate(bases))

    def _moving(self) -> set[str]:
        """Returns what depends on anything that is differentiated by."""
        moving = set(self.by)
        for equation in self.forward:
            if reads(equation) & moving:
                moving.add(equation.name)
        return moving

    def _moves(self, node: Expr) -> bool:
        return any(
            (isinstance(n, Read) and n.array in self.moving)
            or (isinstance(n, Name) and n.id in self.moving and n.id not in self.letters)
            for n in walk(node)
        )

    def _tidy(self, node: Expr) -> Expr:
        tidy = self._short(node)
        self.nodes += size_of(tidy)
        self._bound(self.nodes, MAX_NODES)
        return tidy

    def _bound(self, nodes: int, most: int) -> None:
        if nodes > most:
            raise NotationError(
                f"the derivation of {', '.join(self.seeds)} takes more than {most:,} terms and factors",
                "give names to quantities on the way: an equation of its own for each",
            )

    def _short(self, node: Expr) -> Expr:
        tidy = simplified(self.naming.name(simplified(node)))
        return shorter(tidy) if size_of(tidy) <= MAX_SHORTENED else tidy

    def _total(self, name: str) -> Expr:
        return self._tidy(add(*self.arriving.get(name, [ZERO])))

    def _seed(self, equation: Equation, found: list[_Adjoint]) -> Expr | None:
        """Returns what arrives at a left side: its own adjoint, by name where it has an equation."""
        name, free = equation.name, equation.letters
        start = self.seeds.get(name, ZERO)
        index = tuple(map(Name, (*free, *self.extra)))
        adjoint = self.prefix + name
        here = Read(adjoint, index) if index else Name(adjoint)
        if name not in self.arriving:
            return here if start is None else start if start != ZERO else None
        if name in self.seeds:
            return add(here if start is None else start, self._total(name))
        right = self._total(name)
        if right == ZERO:
            return None
        found.append(_Adjoint(self.prefix + name, (*free, *self.extra), right, equation))
        return here

    def _descend(self, of: str, node: Expr, adjoint: Expr, scope: list[str], guards: list[Guard]) -> None:
        """Moves what arrives at an expression down to what it reads."""
        if adjoint == ZERO or not self._moves(node):
            return
        match node:
            case Read(array=array, index=index) if array in self.moving:
                self._collect(of, node, array, index, adjoint, scope, guards)
                return
            case Name(id=name) if name in self.moving:
                self._collect(of, node, name, (), adjoint, scope, guards)
                return
        found = [s for s in local_slopes(node, self._is_constant, self.letters.again) if self._moves(s.inside)]
        inner = [[*guards, s.guard] if s.guard is not None else guards for s in found]
        after = [self._tidy(multiply(adjoint, s.factor)) for s in found]
        wider = [*scope, *(b.letter for s in found for b in s.over)]
        shown = [(s.inside, under_guards(a, g)) for s, a, g in zip(found, after, inner, strict=True)]
        if found:
            self._record(
                of, found[0].rule, [s.why for s in found], node, under_guards(adjoint, guards), shown, scope, wider
            )
        for slope, arrives, conditions in zip(found, after, inner, strict=True):
            self._descend(of, slope.inside, arrives, wider, list(conditions))

    def _is_constant(self, node: Expr) -> bool:
        return not self._moves(node)

    def _collect(
        self,
        of: str,
        read: Expr,
        name: str,
        index: Sequence[Expr],
        adjoint: Expr,
        scope: list[str],
        guards: list[Guard],
    ) -> None:
        """Adds what arrives at a read to what arrives at the array's entries."""
        targets = self.targets[name]
        gathering = Gathering(self.indices, scope, targets)
        share = self.letters.again(self._tidy(gathering.gather(index, adjoint, guards)))
        if share != ZERO:
            self.arriving.setdefault(name, []).append(share)
        elif not self.naming.said:  # what cancels for a reason is told
            return
        entry = Read(name, tuple(map(Name, targets))) if targets else Name(name)
        summed = [self.letters[k].base for k in gathering.left]
        why = [f"{name} is used at every {', '.join(summed)}: what arrives there adds up"] if summed else []
        self._record(of, "entry", why, read, under_guards(adjoint, guards), [(entry, share)], scope, targets)

    def _record(
        self,
        of: str,
        rule: str,
        why: Sequence[str],
        at: Expr,
        before: Expr,
        after: Sequence[tuple[Expr, Expr]],
        scope: Sequence[str],
        inner: Sequence[str],
    ) -> None:
        """Records a step, in single letters; `scope` are the indices of what arrives, `inner` those of what is handed
        down."""
        said = tuple(dict.fromkeys(filter(None, (*why, *self.naming.said))))
        self.naming.said.clear()
        self.written += size_of(at) + size_of(before)
        self._bound(self.written, MAX_WRITTEN)
        above = self.letters.together([at, before], [*scope, *self.extra])
        below = self.letters.together([e for pair in after for e in pair], [*inner, *self.extra])
        shown = tuple(zip(below[::2], below[1::2], strict=True))
        self.steps.append(RuleApplied(of, rule, said, above[0], above[1], shown))

    # adjoints that need no equation of their own

    def _inline(self, found: list[_Adjoint]) -> None:
        """Puts adjoints that are another's name, or are used once and are no sums of their own, where they are used."""
        for adjoint in list(found):
            if adjoint.like is None:
                continue
            used = [n for a in found for n in walk(a.right) if _reads(n, adjoint.name)]
            simple = all(isinstance(n, Read | Name | Negate | Number) for n in walk(adjoint.right))
            sums = any(isinstance(n, Reduce) and n.fn != "count" for n in walk(adjoint.right))
            if (len(used) > 1 and not simple) or sums or any(_padded(a.right, adjoint.name) for a in found):
                continue
            for other in found:
                other.right = self._put(other.right, adjoint)
            found.remove(adjoint)

    def _inline_where_shorter(self, found: list[_Adjoint]) -> None:
        """Puts adjoints where they are used several times if all is shorter then, since something cancels: what arrives
        at the scores of softmax and cross-entropy."""
        for adjoint in [a for a in found if a.like is not None]:
            users = [a for a in found if any(_reads(n, adjoint.name) for n in walk(a.right))]
            sums = any(isinstance(n, Reduce) and n.fn != "count" for n in walk(adjoint.right))
            if sums or any(_padded(a.right, adjoint.name) for a in users):
                continue
            before = [self._short(a.right) for a in (adjoint, *users)]
            after = [self._short(self._put(a.right, adjoint)) for a in users]
            if sum(map(size_of, after)) < sum(map(size_of, before)):
                for user, right in zip(users, after, strict=True):
                    user.right = right
                found.remove(adjoint)

    def _put(self, node: Expr, adjoint: _Adjoint) -> Expr:
        match node:
            case Read(array=array, index=index) if array == adjoint.name:
                return self.letters.again(replaced(adjoint.right, dict(zip(adjoint.free, index, strict=True))))
            case Name(id=name) if name == adjoint.name:
                return self.letters.again(adjoint.right)
            case Read():
                return node
            case Reduce(fn=fn, over=over, body=body, extra=extra):
                return Reduce(fn, over, self._put(body, adjoint), extra)
        return changed(node, lambda inside: self._put(inside, adjoint))


def _reads(node: Expr, name: str) -> bool:
    return (isinstance(node, Read) and node.array == name) or (isinstance(node, Name) and node.id == name)


def _padded(node: Expr, name: str) -> bool:
    """Whether an array is read at an index that may lie outside, or that is computed."""
    return any(
        (isinstance(n, Call) and n.fn == "pad" and any(_reads(i, name) for i in walk(n)))
        or (isinstance(n, Read) and n.array == name and not all(isinstance(i, Name) for i in n.index))
        for n in walk(node)
    )


def under_guards(node: Expr, guards: Iterable[Guard]) -> Expr:
    """Returns an expression that is 0 where a condition does not hold."""
    for condition, holds in reversed(list(guards)):
        node = Call("where", (condition, node, ZERO) if holds else (condition, ZERO, node))
    return node
