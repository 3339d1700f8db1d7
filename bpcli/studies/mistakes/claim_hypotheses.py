"""The mistakes that people make in a derivation: what each would have given.

Nothing here is made for one layer or one loss: a mistake is a change of the equation itself, of the arrays it reads, or
of its result. Which of them was made is for `marking` to find; a number that none of them gives stays unexplained.

The sentences are those of a derivation, with its letters z and a; gradcheck has its own, of kernels, in
`gradcheck/diagnosis_sentences`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from bpcli.family import Activation, Array
from bpcli.notation import NotationError, compile_equations
from bpcli.notation.evaluate import Grid
from bpcli.notation.symbols import gradient_of
from bpcli.notation.syntax import Binary, Call, Expr, Name, Read, Reduce, reads, walk
from bpcli.notation.text import Ascii
from bpcli.records.trace import Stage
from bpcli.studies.mistakes.hypotheses import Hypothesis
from bpcli.studies.mistakes.single_mistakes import Mistake, first_bound_index, single_mistakes
from bpcli.studies.trace.graph import LOSS_AFTER, START, GraphNode, Key, NodeValues, StepGraph

CLASSIC = (
    "added", "sign", "factor-2", "factor-1/2", "no-slope", "slope-at-a", "slope-at-z", "new-weight", "transposed",
    "rows", "rows-twice", "outputs", "outputs-twice", "dropped-input", "dropped-bias", "learning-rate", "old-weight",
    "activation", "half-chain", "penalty", "rounding",
)  # fmt: skip
"""The codes of what is tried first, in this order; all other mistakes come after these."""

OF_PROGRAMS = ("edge", "unbiased")
"""Mistakes of those who write code, not of those who derive by hand."""

WORDS = {
    "factor": ("left-out", "the factor {shown} is left out{at}"),
    "divisor": ("left-out", "the division by {shown} is left out"),
    "inverted": ("inverted", "it is multiplied by {shown} and not divided"),
    "dropped-term": ("dropped-term", "{term} of the sum is left out"),
    "term": ("left-out", "the term {shown} is left out"),
    "term number": ("left-out", "the term {shown} is left out"),
    "twice": ("counted-twice", "the term {shown} is counted twice"),
    "sign plus": ("plus", "a minus is taken as a plus, in {shown}"),
    "sign minus": ("minus", "a sign is mistaken, in {shown}"),
    "sign lost": ("minus", "a sign is mistaken, in {shown}"),
    "power": ("no-power", "the power is left out, of {shown}"),
    "diagonal": ("diagonal", "of the slopes only those of each output by its own input are counted"),
}
"""The code and the sentence of a mistake in an equation, by its kind, wherever it is made."""

MAX_CLAIMED_ENTRIES_BY_TERM = 4096  # in larger arrays sums are not tried term by term


def likeliness(hypothesis: Hypothesis) -> int:
    """Ranks how soon a mistake comes to mind: its place among the classic ones."""
    return CLASSIC.index(hypothesis.code) if hypothesis.code in CLASSIC else len(CLASSIC)


class ClaimHypotheses:
    """What a node would hold, had one mistake been made in it."""

    def __init__(self, graph: StepGraph) -> None:
        self.graph = graph
        self.links = {link.path: link for link in graph.chain.walk()}
        loss = graph.truth["loss", "", "dx"]
        self.rows, self.outputs = len(loss), loss.shape[-1]

    def of(self, key: Key, values: NodeValues, later: Callable[[], NodeValues]) -> Iterator[Hypothesis]:
        """Yields all hypotheses at a node; `values` are the arrays of the step as far as that node, and `later()` those
        of the whole of it."""
        own = values[key]
        stage = self.graph.nodes[key].stage if key in self.graph.nodes else Stage.REPEAT
        yield from self._scaled(own, stage)
        if key == LOSS_AFTER:
            before = values.get(("gradient", "", "E"), values["loss", "", "L"])
            yield Hypothesis("old-weight", "it is the loss before the step", before)
        if key not in self.graph.nodes:
            return
        node = self.graph.nodes[key]
        if own.ndim == 2 and min(own.shape) > 1:
            yield Hypothesis("transposed", "rows and columns are exchanged", _turned(own))
        env = self.graph.env(node, values)
        with np.errstate(all="ignore"):
            if node.block.part == "layer":
                yield from self._slopes(node, env)
                yield from self._other_arrays(node, env, values, later)
            yield from self._long(node, env)
            yield from self._single_mistakes(node, node.grid, env)
            yield from self._renewed(node, env)
            yield from self._rounded(node, env)

    # -------------------------------------------------------------------------------------------------- of the result
    def _scaled(self, own: Array, stage: Stage) -> Iterator[Hypothesis]:
        yield Hypothesis("sign", "the sign is turned", -own)
        yield Hypothesis("factor-2", "it is 2 times too large: a factor 2 too many, or a factor 1/2 forgotten", 2 * own)
        yield Hypothesis("factor-1/2", "it is half as large: a factor 2 forgotten", own / 2)
        if stage is Stage.FORWARD:
            return
        for code, letter, count in (("rows", "N", self.rows), ("outputs", "K", self.outputs)):
            if count > 1:
                yield Hypothesis(code, f"it is not divided by the {letter} = {count} {code}", own * count)
                text = f"it is divided by the {letter} = {count} {code} once too often"
                yield Hypothesis(f"{code}-twice", text, own / count)

    # ------------------------------------------------------------------------------------------------- of activations
    def _slopes(self, node: GraphNode, env: Mapping[str, Any]) -> Iterator[Hypothesis]:
        """Yields results with slopes that are forgotten, or taken at the wrong place."""
        kind, name = node.block.kind, node.key[2]
        if kind not in Activation.registry or env["x"].shape != env["y"].shape:
            return
        if name == "y":
            yield Hypothesis("activation", f"{kind} is not applied: it is still z", env["x"])
        if name != "dx":
            return
        text = f"the slope of {kind} is forgotten: the error is passed on as it arrives"
        yield Hypothesis("no-slope", text, env["dy"])
        at_a = node.block.program.run({**env, "x": env["y"]}, ["dx"])["dx"]
        yield Hypothesis("slope-at-a", f"the slope of {kind} is taken at its output a; it belongs at its input z", at_a)
        if "y" in reads(node.grid.equation):
            text = f"the slope of {kind} is written by its output a, and the input z is put in"
            yield Hypothesis("slope-at-z", text, node.grid.value({**env, "y": env["x"]}))

    # --------------------------------------------------------------------------------------------- of the arrays read
    def _other_arrays(
        self, node: GraphNode, env: Mapping[str, Any], values: NodeValues, later: Callable[[], NodeValues]
    ) -> Iterator[Hypothesis]:
        """Another array is read than was meant: the updated weights, or what stands on the wrong side of an
        activation."""
        layer, named = node.block.layer, reads(node.grid.equation)
        for param in self.links[layer].plan.params:
            if param in named and node.stage > Stage.FORWARD:
                new = self.graph.after_step(f"{layer}.{param}").make(later())
                text = f"the updated {layer}.{param} is used: the error goes back through the OLD weights"
                yield Hypothesis("new-weight", text, node.grid.value({**env, param: new}))
        for name in ("x", "dy"):
            before = self.graph.input_key(layer, name)
            if name not in named or before not in self.graph.nodes or self.graph.nodes[before].block.layer == layer:
                continue
            other = self.graph.nodes[before]
            if other.block.kind not in Activation.registry:
                continue
            other_value = self.graph.env(other, values)[name]
            if np.shape(other_value) == np.shape(env[name]):
                kind = other.block.kind
                code, text = ("activation", f"its input is taken before {kind}, which is not applied")
                if name == "dy":
                    code, text = "no-slope", f"the slope of {kind} is forgotten: the error is taken as it arrives there"
                yield Hypothesis(code, text, node.grid.value({**env, name: other_value}))

    def _renewed(self, node: GraphNode, env: Mapping[str, Any]) -> Iterator[Hypothesis]:
        """Yields results with updated instead of old values, and vice versa."""
        for name in sorted(reads(node.grid.equation)):
            other = name.removesuffix("_new") if name.endswith("_new") else f"{name}_new"
            alike = other in env and np.ndim(env[other]) and np.shape(env[other]) == np.shape(env.get(name, 0))
            if alike and other != node.key[2]:
                new = "new" if other.endswith("_new") else "old"
                text = f"the {new} {name.removesuffix('_new')} is used"
                yield Hypothesis(f"{new}-state", text, node.grid.value({**env, name: env[other]}))

    def _rounded(self, node: GraphNode, env: Mapping[str, Any]) -> Iterator[Hypothesis]:
        """Yields results from rounded inputs."""
        made = {name for name, s in node.inputs.items() if any(k[0] != START for k in s.keys)}
        made |= {name for name in node.block.program.names if (*node.key[:2], name) in self.graph.nodes}
        names = [n for n in sorted(made & reads(node.grid.equation)) if n in env]
        if not names:
            return
        for k in range(7, 0, -1):
            for words, cut in ((f"{k} decimals", np.round), (f"{k} significant digits", _significant)):
                text = f"it is computed from numbers rounded to {words if k > 1 else words[:-1]}"
                yield Hypothesis("rounding", text, node.grid.value({**env, **{n: cut(env[n], k) for n in names}}))

    # ------------------------------------------------------------------------------------------------ of the equation
    def _long(self, node: GraphNode, env: Mapping[str, Any]) -> Iterator[Hypothesis]:
        """Yields mistakes in the chain-rule form, where an equation has one, and chains that stop before their end."""
        block = node.block
        if node.key[2] != "dx" or block.part not in ("loss", "layer"):
            return
        if block.part == "loss":
            equations = self.graph.target.objective.loss.equations(False)
        else:
            link = self.links[block.layer]
            equations = link.layer.equations(True, link.planned.x)
        if not any(eq.detail == "path" for eq in equations):
            return
        inputs = {n: v for n, v in env.items() if n not in block.program.names}
        program = compile_equations(equations, inputs, {"dx": np.shape(env["dx"])}, detail="path")
        full = program.complete(inputs)
        for grid in program.grids:
            if grid.name != "dx" and gradient_of(grid.name, full) and full[grid.name].shape == env["dx"].shape:
                text = f"it is the slope of the loss by {grid.name[1:]}, not by what {grid.name[1:]} is computed from"
                yield Hypothesis("half-chain", text, full[grid.name])
            if grid.name == "dx":
                yield from self._single_mistakes(node, grid, full)

    def _single_mistakes(self, node: GraphNode, grid: Grid, env: Mapping[str, Any]) -> Iterator[Hypothesis]:
        """Yields one mistake in the equation itself."""
        for mistake in single_mistakes(grid, env, MAX_CLAIMED_ENTRIES_BY_TERM):
            if mistake.kind in OF_PROGRAMS:
                continue
            try:
                value = mistake.put_in(grid).value(env)
            except NotationError:  # a read outside its array: nobody could have computed that
                continue
            yield Hypothesis(*self._words(node, grid, mistake), value)

    def _words(self, node: GraphNode, grid: Grid, mistake: Mistake) -> tuple[str, str]:
        """Returns the code of a mistake, and what to say of it."""
        piece, layer = mistake.pieces[0], node.block.layer
        shown = self._shown(node, piece)
        source = self.graph.input_key(layer, "x") if node.block.part == "layer" else None
        array = piece.array if isinstance(piece, Read) else piece.id if isinstance(piece, Name) else ""
        part = node.block.part
        term = f"the term {first_bound_index(grid.equation.right)} = {mistake.term}"
        at = "" if mistake.term is None else f" in {term}"
        match mistake.kind:
            case "factor" if part == "layer" and array == "x":
                return "dropped-input", f"its input, {_named(source)}, is left out{at}, as if it were 1"
            case "factor" if array == "lr":
                return "learning-rate", "the learning rate is forgotten"
            case "divisor" if (counted := _counted(piece)) is not None:
                return counted, f"it is not divided by the number of {counted}"
            case "divisor" if node.key[2].endswith("hat"):
                return "bias-correction", f"the bias correction is forgotten: the division by {shown}"
            case "term" if part == "layer" and array in self.links[layer].plan.params:
                return "dropped-bias", f"the bias {layer}.{array} is left out"
            case "term" | "term number" if part == "gradient":
                return "penalty", "the penalty's own slope is left out" if array == "own" else f"{shown} is left out"
            case "sign plus" if node.key[2] == "w_new" and isinstance(grid.equation.right, Binary):
                return "added", "the gradient is added; to go downhill it is subtracted"
            case "function" if isinstance(piece, Call):
                return "function", f"{piece.fn} is not applied, in {shown}"
            case "divisor summed":
                counted = _counted(piece)
                return counted or "left-out", f"it is a sum, not divided by the number of {counted or 'values'}"
            case "averaged":
                code = "rows-twice" if isinstance(piece, Reduce) and set(piece.letters) == {"n"} else "averaged"
                return code, "it is a mean where a sum is meant"
            case "transposed read" if isinstance(piece, Read):
                turned = self._shown(node, Read(array, piece.index[::-1]))
                return "transposed", f"{array} is read transposed: {shown} in place of {turned}"
        code, text = WORDS[mistake.kind]
        return code, text.format(shown=shown, term=term, at=at)

    def _shown(self, node: GraphNode, piece: Expr) -> str:
        return Ascii(node.block.known).draw(piece).text


def _named(key: Key | None) -> str:
    """Returns how claims call what a layer reads."""
    return ".".join(filter(None, key[1:])) if key else "x"


def _counted(piece: Expr) -> str | None:
    """Returns what a count or a mean counts: rows or outputs."""
    counts = [n for n in walk(piece) if isinstance(n, Reduce) and n.fn in ("count", "mean")]
    return {"n": "rows", "k": "outputs"}.get("".join(counts[0].letters)) if counts else None


def _turned(own: Array) -> Array:
    """Returns the entry [j,i] at [i,j]; NaN where there is none."""
    found = np.full(own.shape, np.nan)
    n = min(own.shape)
    found[:n, :n] = own[:n, :n].T
    return found


def _significant(a: Any, k: int) -> Array:
    a = np.asarray(a, np.float64)
    power = 10.0 ** (k - 1 - np.floor(np.log10(np.where(a == 0, 1, np.abs(a)))))
    return np.asarray(np.round(a * power) / power)
