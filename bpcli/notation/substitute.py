"""Numbers in place of names: the tree of an expression at one place, short enough to print.

The trees are the notation's, with calls that only occur here: `rest(count, value, size)` is what stands for the terms
that are not shown, `at(place, value)` an argument of argmax, and sum, argmax and percentile take values as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial, reduce
from typing import Any

import numpy as np

from bpcli.notation.entries_read import padded_reads, reads_numbers, window_spans, zero_by_index
from bpcli.notation.evaluate import CONSTANTS, Grid
from bpcli.notation.functions import EXP_LIMIT, real
from bpcli.notation.rounding import value_and_scale
from bpcli.notation.symbols import gradient_of
from bpcli.notation.syntax import Binary, Call, Compare, Expr, Name, Number, Read, Reduce, changed, walk
from bpcli.notation.text import Text
from bpcli.numeric.shapes import Array

_OPPOSITE = {">": "<=", "<": ">=", ">=": "<", "<=": ">", "==": "!=", "!=": "=="}


class Substitution:
    """The trees of one equation with numbers in place of what is read; at most `terms` terms of a reduction are kept.

    `notes` gather what the trees do not say: terms that are 0, the branch taken, the winner. `reader` words them.
    """

    def __init__(self, grid: Grid, env: Mapping[str, Any], terms: int, reader: Text) -> None:
        self.grid, self.env, self.terms, self.reader = grid, env, terms, reader
        self.notes: list[str] = []
        self.depth = 0  # reductions around the expression at hand

    def substitute(self, node: Expr, index: Mapping[str, int]) -> Expr:
        """Returns the expression with its numbers."""
        match node:
            case Name(id=name) if name in CONSTANTS and name not in self.env:
                return node
            case Name() | Read() | Call(fn="pad") | Reduce(fn="count"):
                self._note_row(node, index)
                return self._number(node, index)
            case Call(fn="where", args=(condition, then, other)):
                holds = self._value(condition, index) != 0
                if not self.depth:
                    shown = self.substitute(condition, index)
                    if isinstance(shown, Compare) and not holds:
                        shown = Compare(_OPPOSITE[shown.op], shown.left, shown.right)
                    self.notes.append(f"since {self.reader.condition(shown)}")
                return self.substitute(then if holds else other, index)
            case Call(fn="exp", args=(z,)) if self._value(z, index) > EXP_LIMIT:
                self.notes.append(f"e^ saturates at {EXP_LIMIT:g}")
                return Call("exp", (Number(EXP_LIMIT),))
            case Call(fn="xlogy", args=(a, _)) if self._value(a, index) == 0:
                return Number(0)
            case Reduce():
                return self._reduce(node, index)
        return changed(node, lambda inside: self.substitute(inside, index))

    def _value(self, node: Expr, index: Mapping[str, int]) -> float:
        return float(real(self.grid.at(self.env, node, index)))

    def _number(self, node: Expr, index: Mapping[str, int]) -> Number:
        value = real(self.grid.at(self.env, node, index))
        return Number(int(value) if value.dtype.kind in "iub" else float(value))

    def _note_row(self, node: Expr, index: Mapping[str, int]) -> None:
        """Records which entry it is, where numbers say so and not the letters: W[x[n,t],o]."""
        if isinstance(node, Read) and any(map(reads_numbers, node.index)):
            self.notes.append(f"which is {node.array}[{','.join(str(int(self._value(i, index))) for i in node.index)}]")

    def _reduce(self, node: Reduce, index: Mapping[str, int]) -> Expr:
        letters = node.letters
        values = np.asarray(real(self.grid.over(self.env, node.body, index, letters)), np.float64)

        def index_at(i: int) -> dict[str, int]:
            return dict(zip(letters, map(int, np.unravel_index(i, values.shape)), strict=True))

        self.depth += 1
        bodies = _Terms(values.ravel(), lambda i: self.substitute(node.body, {**index, **index_at(i)}), self.terms)
        match node.fn:
            case "sum":
                out = self._sum(bodies, self._off(node.body, index, letters))
            case "mean":
                out = Binary("/", self._sum(bodies, self._off(node.body, index, letters)), Number(values.size))
            case "prod":
                out = bodies.product()
            case "logsumexp":
                out = Call("log", (bodies.exponentials(),))
            case "norm":
                squares = Reduce("sum", node.over, Binary("**", node.body, Number(2)))
                self.depth -= 1
                return Call("sqrt", (self.substitute(squares, index),))
            case "percentile":
                out = self._percentile(bodies, self.substitute(node.extra[0], index))
            case _:
                out = bodies.choice(node.fn)
        self.depth -= 1
        if not self.depth:
            if node.fn in ("max", "min", "argmax"):
                winner = values.argmin() if node.fn == "min" else values.argmax()
                self._note_winner(node.fn, node.body, index, index_at(int(winner)))
            elif gradient_of(self.grid.name, self.env) is None:
                for array, spans in window_spans(self.grid, self.env, node, index):
                    bounds = ((self.reader.number(a).text, self.reader.number(b).text) for a, b in spans)
                    self.notes.append(f"sees {array}[{', '.join(a if a == b else f'{a} to {b}' for a, b in bounds)}]")
        return out

    def _note_winner(self, fn: str, body: Expr, index: Mapping[str, int], winner: Mapping[str, int]) -> None:
        text = ("smallest" if fn == "min" else "largest") + " at " + ", ".join(f"{k} = {i}" for k, i in winner.items())
        match body:
            case Read(array=array, index=where) | Call(fn="pad", args=(Read(array=array, index=where), *_)) if any(
                isinstance(i, Binary) for i in where
            ):
                text += f": {array}[{','.join(str(int(self._value(i, {**index, **winner}))) for i in where)}]"
        self.notes.append(text)

    def _off(self, body: Expr, index: Mapping[str, int], letters: Sequence[str]) -> tuple[int, str]:
        """Returns how many terms have nothing to read, and what is there in place of it."""
        count = int(zero_by_index(self.grid, self.env, body, index, letters).sum())
        errors = any(isinstance(n, Read) and gradient_of(n.array, self.env) for n in padded_reads(body))
        gaps = any(isinstance(n, Call) and n.fn == "where" for n in walk(body))
        return count, "off the grid" if errors or gaps else "in the padding"

    def _sum(self, bodies: _Terms, off: tuple[int, str]) -> Expr:
        live = np.flatnonzero(bodies.values)
        zeros, count = len(bodies.values) - len(live), len(bodies.values)
        if zeros:
            inner = " of an inner sum" if self.depth > 1 else ""
            among = f"{zeros} of {count} terms{inner} {'is' if zeros == 1 else 'are'} 0"
            every = f"every term{inner} is 0" if count > 1 else f"the only term{inner} is 0"
            nowhere = off[0] if off[0] < zeros else "all"
            edge = f", {nowhere} of them {off[1]}" if zeros > 1 else f", {off[1]}"
            self.notes.append((among if len(live) else every) + edge * bool(off[0]))
        return bodies.sum(live)

    def _percentile(self, bodies: _Terms, rank: Expr) -> Expr:
        values, n = np.sort(bodies.values), len(bodies.values)
        if n <= self.terms:
            return Call("percentile", (rank, *map(bodies.body, range(n))))
        position = value_and_scale(rank)[0] * (n - 1) / 100
        low = int(position)
        high = min(low + 1, n - 1)
        self.notes.append(f"between places {low} and {high} of {n} sorted values, counted from 0")
        step = Binary("-", Number(float(values[high])), Number(float(values[low])))
        return Binary("+", Number(float(values[low])), Binary("*", Number(position - low), step))


class _Terms:
    """The values a reduction runs over, and for each of them its expression; `terms` of them may be shown."""

    def __init__(self, values: Array, body: Callable[[int], Expr], terms: int) -> None:
        self.values, self.body, self.terms = values, body, terms

    def split(self, among: Sequence[int] | Array, weight: Array) -> tuple[list[int], list[int]]:
        """Returns the heaviest of these, in their order, and the rest: none, or at least two."""
        if len(among) <= self.terms:
            return [int(i) for i in among], []
        order = sorted((int(i) for i in among), key=lambda i: -weight[i])
        return sorted(order[: self.terms - 1]), sorted(order[self.terms - 1 :])

    def rest(self, among: list[int], value: float) -> Call:
        """Returns the value that stands for those not shown; the third number is what it is made of, for
        `value_and_scale`."""
        size = math.fsum(abs(self.values[i]) for i in among)
        return Call("rest", (Number(len(among)), Number(float(value)), Number(size)))

    def sum(self, among: Array) -> Expr:
        """Returns the terms of a sum."""
        shown, hidden = self.split(among, np.abs(self.values))
        parts = [self.body(i) for i in shown]
        if hidden:
            parts.append(self.rest(hidden, math.fsum(self.values[hidden])))
        return _sum(parts)

    def product(self) -> Expr:
        """Returns the factors of a product."""
        shown, hidden = self.split(range(len(self.values)), np.abs(self.values))
        parts = [self.body(i) for i in shown]
        if hidden:
            parts.append(self.rest(hidden, self.values[hidden].prod()))
        return reduce(partial(Binary, "*"), parts)

    def exponentials(self) -> Expr:
        """Returns the terms of a logsumexp; those not shown as one more exponential."""
        shown, hidden = self.split(np.flatnonzero(self.values > -np.inf), self.values)
        parts = [self.body(i) for i in shown]
        if hidden:
            top = self.values[hidden].max()
            parts.append(self.rest(hidden, top + np.log(np.exp(self.values[hidden] - top).sum())))
        return _sum([Call("exp", (p,)) for p in parts])

    def choice(self, fn: str) -> Expr:
        """Returns the values that a maximum or a minimum is taken of; for argmax each with its place."""
        shown, hidden = self.split(range(len(self.values)), -self.values if fn == "min" else self.values)
        parts = [Call("at", (Number(i), self.body(i))) if fn == "argmax" else self.body(i) for i in shown]
        if hidden:
            parts.append(self.rest(hidden, self.values[hidden].min() if fn == "min" else self.values[hidden].max()))
        return Call(fn, tuple(parts))


def _sum(parts: list[Expr]) -> Expr:
    if len(parts) < 2:
        return parts[0] if parts else Number(0)
    return Call("sum", tuple(parts))
