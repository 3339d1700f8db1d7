"""The mistakes that people make in a derivation: what each would have given.

Nothing here is made for one layer or one loss: a mistake is a change of the equation itself, of the arrays it reads, or
of its result. Which of them was made is for `marking` to find; a number that none of them gives stays unexplained.

The sentences are those of a derivation, with its letters z and a; gradcheck has its own, of kernels, in
`gradcheck/diagnosis_sentences`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from bpcli.family import Activation, Array, Shape
from bpcli.notation import compile_equations
from bpcli.notation.evaluate import Grid
from bpcli.notation.symbols import gradient_of
from bpcli.notation.syntax import Binary, Call, Expr, Name, Read, Reduce, reads, walk
from bpcli.notation.text import Ascii
from bpcli.records.trace import Stage
from bpcli.studies.mistakes.hypotheses import Hypotheses, Hypothesis, Sentence
from bpcli.studies.mistakes.single_mistakes import Mistake
from bpcli.studies.trace.graph import LOSS_AFTER, START, GraphNode, NodeKey, NodeValues, StepGraph

CLASSIC = (
    "added", "sign", "factor-2", "factor-1/2", "no-slope", "slope-at-a", "slope-at-z", "new-weight", "transposed",
    "rows", "rows-twice", "outputs", "outputs-twice", "dropped-input", "dropped-bias", "learning-rate", "old-weight",
    "activation", "half-chain", "penalty", "rounding",
)  # fmt: skip
"""The codes of what is tried first, in this order; all other mistakes come after these."""

WORDS = {
    "no-slope": ("no-slope", "the slope of {kind} is forgotten: the error is passed on as it arrives"),
    "slope-at-y": ("slope-at-a", "the slope of {kind} is taken at its output a; it belongs at its input z"),
    "slope-at-x": ("slope-at-z", "the slope of {kind} is written by its output a, and the input z is put in"),
    "not-activated": ("activation", "{kind} is not applied: it is still z"),
    "x before": ("activation", "its input is taken before {kind}, which is not applied"),
    "dy before": ("no-slope", "the slope of {kind} is forgotten: the error is taken as it arrives there"),
    "new-weight": ("new-weight", "the updated {0} is used: the error goes back through the OLD weights"),
    "new-state": ("new-state", "the new {0} is used"),
    "old-state": ("old-state", "the old {0} is used"),
    "rounding": ("rounding", "it is computed from numbers rounded to {0}"),
    "half-chain": ("half-chain", "it is the slope of the loss by {0}, not by what {0} is computed from"),
    "dropped-input": ("dropped-input", "its input, {source}, is left out{at}, as if it were 1"),
    "learning-rate": ("learning-rate", "the learning rate is forgotten"),
    "not counted": ("{code}", "it is not divided by the number of {code}"),
    "bias-correction": ("bias-correction", "the bias correction is forgotten: the division by {0}"),
    "dropped-bias": ("dropped-bias", "the bias {0} is left out"),
    "own penalty": ("penalty", "the penalty's own slope is left out"),
    "penalty": ("penalty", "{0} is left out"),
    "added": ("added", "the gradient is added; to go downhill it is subtracted"),
    "function": ("function", "{0} is not applied, in {1}"),
    "divisor summed": ("{code}", "it is a sum, not divided by the number of {0}"),
    "averaged": ("{code}", "it is a mean where a sum is meant"),
    "transposed read": ("transposed", "{0} is read transposed: {1} in place of {2}"),
    "factor": ("left-out", "the factor {0} is left out{at}"),
    "divisor": ("left-out", "the division by {0} is left out"),
    "inverted": ("inverted", "it is multiplied by {0} and not divided"),
    "dropped-term": ("dropped-term", "the term {index} = {term} of the sum is left out"),
    "term": ("left-out", "the term {0} is left out"),
    "term number": ("left-out", "the term {0} is left out"),
    "twice": ("counted-twice", "the term {0} is counted twice"),
    "sign plus": ("plus", "a minus is taken as a plus, in {0}"),
    "sign minus": ("minus", "a sign is mistaken, in {0}"),
    "sign lost": ("minus", "a sign is mistaken, in {0}"),
    "power": ("no-power", "the power is left out, of {0}"),
    "diagonal": ("diagonal", "of the slopes only those of each output by its own input are counted"),
}
"""The code and the sentence of a mistake; what stands in {braces} is filled in."""


def likeliness(hypothesis: Hypothesis) -> int:
    """Ranks how soon a mistake comes to mind: its place among the classic ones."""
    return CLASSIC.index(hypothesis.code) if hypothesis.code in CLASSIC else len(CLASSIC)


def claim_hypotheses(
    graph: StepGraph, key: NodeKey, values: NodeValues, later: Callable[[], NodeValues]
) -> Iterator[Hypothesis]:
    """Yields all hypotheses at a node of a step; `values` are the arrays of the step as far as that node, and `later()`
    those of the whole of it."""
    own, node = values[key], graph.nodes.get(key)
    yield from _scaled(own, Stage.REPEAT if node is None else node.stage, graph.truth["loss", "", "dx"].shape)
    if key == LOSS_AFTER:
        before = values.get(("gradient", "", "E"), values["loss", "", "L"])
        yield Hypothesis("old-weight", "it is the loss before the step", before)
    if node is not None:
        source = graph.input_key(node.block.layer, "x")
        words = partial(_sentence, kind=node.block.kind, source=".".join(filter(None, source[1:])) if source else "x")
        env = graph.env(node, values)
        yield from ClaimHypotheses(node.block.program, env, key[2], words, graph, node, values, later).all()


@dataclass(eq=False)
class ClaimHypotheses(Hypotheses):
    """What a node of a step would hold, had one mistake been made in it."""

    graph: StepGraph
    node: GraphNode
    values: NodeValues
    later: Callable[[], NodeValues]
    max_entries_by_term = 4096
    terms_last = False
    in_term = " in the term {0} = {1}"

    def all(self) -> Iterator[Hypothesis]:
        """Yields what each mistake would give."""
        own, block = self.known[self.target], self.node.block
        if own.ndim == 2 and min(own.shape) > 1:
            yield Hypothesis("transposed", "rows and columns are exchanged", _turned(own))
        with np.errstate(all="ignore"):
            if block.part == "layer":
                if block.kind in Activation.registry and self.is_elementwise:
                    if self.target == "y":
                        yield Hypothesis(*self.words("not-activated"), self.known["x"])
                    if self.target == "dx":
                        yield from self.slopes()
                yield from self._other_arrays()
            yield from self._long()
            yield from self.single(self.node.grid)
            yield from self._renewed()
            yield from self._rounded()

    @property
    def searched(self) -> list[Grid]:
        """The equation of the node: what it reads has nodes of its own."""
        return [self.node.grid]

    def drawn(self, piece: Expr) -> str:
        return Ascii(self.node.block.known).draw(piece).text

    # --------------------------------------------------------------------------------------------- of the arrays read
    def _other_arrays(self) -> Iterator[Hypothesis]:
        """Yields what another array gives than was meant: the updated weights, or what stands on the wrong side of an
        activation."""
        layer, named = self.node.block.layer, reads(self.node.grid.equation)
        for param in self.graph.bound_layers[layer].plan.params:
            if param in named and self.node.stage > Stage.FORWARD:
                new = self.graph.after_step(f"{layer}.{param}").make(self.later())
                yield from self.computed(self.words("new-weight", f"{layer}.{param}"), {param: new})
        for name in ("x", "dy"):
            before = self.graph.input_key(layer, name)
            if name not in named or before not in self.graph.nodes or self.graph.nodes[before].block.layer == layer:
                continue
            other = self.graph.nodes[before]
            if other.block.kind not in Activation.registry:
                continue
            other_value = self.graph.env(other, self.values)[name]
            if np.shape(other_value) == np.shape(self.known[name]):
                yield from self.computed(_sentence(f"{name} before", kind=other.block.kind), {name: other_value})

    def _renewed(self) -> Iterator[Hypothesis]:
        """Yields results with updated instead of old values, and vice versa."""
        for name in sorted(reads(self.node.grid.equation)):
            other = name.removesuffix("_new") if name.endswith("_new") else f"{name}_new"
            value = self.known.get(other, 0.0)
            if np.ndim(value) and np.shape(value) == np.shape(self.known.get(name, 0)) and other != self.target:
                new = "new" if other.endswith("_new") else "old"
                yield from self.computed(self.words(f"{new}-state", name.removesuffix("_new")), {name: value})

    def _rounded(self) -> Iterator[Hypothesis]:
        """Yields results from rounded inputs."""
        made = {name for name, s in self.node.inputs.items() if any(k[0] != START for k in s.keys)}
        made |= {name for name in self.program.names if (*self.node.key[:2], name) in self.graph.nodes}
        names = [n for n in sorted(made & reads(self.node.grid.equation)) if n in self.known]
        for k in range(7, 0, -1) if names else ():
            for words, cut in ((f"{k} decimals", np.round), (f"{k} significant digits", _significant)):
                rounded = {n: cut(self.known[n], k) for n in names}
                yield from self.computed(self.words("rounding", words if k > 1 else words[:-1]), rounded)

    # ------------------------------------------------------------------------------------------------ of the equation
    def _long(self) -> Iterator[Hypothesis]:
        """Yields mistakes in the chain-rule form, where an equation has one, and chains that stop before their end."""
        block = self.node.block
        if self.target != "dx" or block.part not in ("loss", "layer"):
            return
        if block.part == "loss":
            equations = self.graph.target.objective.loss.equations(False)
        else:
            bound = self.graph.bound_layers[block.layer]
            equations = bound.layer.equations(True, bound.planned.x)
        if not any(eq.detail == "path" for eq in equations):
            return
        inputs, shape = {n: v for n, v in self.known.items() if n not in self.program.names}, self.known["dx"].shape
        program = compile_equations(equations, inputs, {"dx": shape}, detail="path")
        full = program.complete(inputs)
        for grid in program.grids:
            if grid.name != "dx" and gradient_of(grid.name, full) and full[grid.name].shape == shape:
                yield Hypothesis(*self.words("half-chain", grid.name[1:]), full[grid.name])
            if grid.name == "dx":
                yield from replace(self, program=program, known=full).single(grid)

    def describe(self, grid: Grid, mistake: Mistake) -> Sentence | None:
        """Returns what is said of a mistake in an equation; None where only those who write code make it."""
        piece, part, layer = mistake.pieces[0], self.node.block.part, self.node.block.layer
        array = piece.array if isinstance(piece, Read) else piece.id if isinstance(piece, Name) else ""
        counted, shown = _counted(piece), self.drawn(piece)
        match mistake.kind:
            case "edge" | "unbiased":
                return None
            case "factor" if part == "layer" and array == "x":
                return super().describe(grid, replace(mistake, kind="dropped-input"))
            case "factor" if array == "lr":
                return self.words("learning-rate")
            case "divisor" if counted is not None:
                return self.words("not counted", code=counted)
            case "divisor" if self.target.endswith("hat"):
                return self.words("bias-correction", shown)
            case "term" if part == "layer" and array in self.graph.bound_layers[layer].plan.params:
                return self.words("dropped-bias", f"{layer}.{array}")
            case "term" | "term number" if part == "gradient":
                return self.words("own penalty" if array == "own" else "penalty", shown)
            case "sign plus" if self.target == "w_new" and isinstance(grid.equation.right, Binary):
                return self.words("added")
            case "function" if isinstance(piece, Call):
                return self.words("function", piece.fn, shown)
            case "divisor summed":
                return self.words(mistake.kind, counted or "values", code=counted or "left-out")
            case "averaged":
                rows = isinstance(piece, Reduce) and set(piece.letters) == {"n"}
                return self.words("averaged", code="rows-twice" if rows else "averaged")
            case "transposed read" if isinstance(piece, Read):
                return self.words(mistake.kind, array, shown, self.drawn(Read(array, piece.index[::-1])))
        return super().describe(grid, mistake)


def _scaled(own: Array, stage: Stage, outputs: Shape) -> Iterator[Hypothesis]:
    """Yields multiples of a result; `outputs` is the shape of the network's."""
    yield Hypothesis("sign", "the sign is turned", -own)
    yield Hypothesis("factor-2", "it is 2 times too large: a factor 2 too many, or a factor 1/2 forgotten", 2 * own)
    yield Hypothesis("factor-1/2", "it is half as large: a factor 2 forgotten", own / 2)
    if stage is Stage.FORWARD:
        return
    for code, letter, count in (("rows", "N", outputs[0]), ("outputs", "K", outputs[-1])):
        if count > 1:
            yield Hypothesis(code, f"it is not divided by the {letter} = {count} {code}", own * count)
            text = f"it is divided by the {letter} = {count} {code} once too often"
            yield Hypothesis(f"{code}-twice", text, own / count)


def _sentence(key: str, /, *pieces: str, **details: Any) -> Sentence:
    """Returns the code and the sentence of a mistake, filled in."""
    code, text = WORDS[key]
    return code.format(**details), text.format(*pieces, **details)


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
