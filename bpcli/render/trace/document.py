"""A derivation as a document: what stands in it and in which order, for any page format to set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

import numpy as np

from bpcli.notation.symbols import figure
from bpcli.records.trace import (
    STAGES,
    Array,
    Derivation,
    Given,
    LayerLine,
    PathsTo,
    Quantity,
    Stage,
    StepLine,
    Worksheet,
)
from bpcli.render.trace import maths
from bpcli.render.trace.blocks import (
    Block,
    Code,
    Command,
    FactsBlock,
    Figures,
    Formula,
    Heading,
    Paragraph,
    TableBlock,
    Words,
    WorkedLine,
    WorkedLines,
)  # fmt: skip

FEW = 4  # numbers of a row in a table

LETTERS = {
    "penalty": "w are the weights that it is laid on.",
    "gradient": "data is the slope of the data's loss, as worked out above, and own the slope of the penalty.",
    "clipping": "g is the gradient, and w are the weights.",
    "optimizer": "w are the OLD weights, and g is their gradient, with penalty and clipping if there are any.",
    "constraint": "w are the weights as the optimizer leaves them.",
    "change": "g is the gradient before clipping, w are the OLD weights.",
}
"""What the letters of a part stand for that works on all weights."""


def document(told: Derivation | Worksheet) -> Iterator[Block]:
    """A derivation, or a worksheet made of one, block by block."""
    sheet = told if isinstance(told, Worksheet) else None
    d = sheet.derivation if sheet else told
    assert isinstance(d, Derivation)
    if sheet:
        yield from _instructions(sheet)
    yield FactsBlock(tuple((name, _arrows(text)) for name, text in d.facts))
    if not sheet:
        yield from _agreement(d)
    if d.detail in ("layer", "neuron") or sheet:
        yield Paragraph((
            "All indices count from 0. In the equations of a layer x is its input, y its output, and the derivative of "
            "L by y is the error that arrives. A raised plus marks what holds after the step. ",
            Code("dense_1.dW[0,1]"), " is how to write the derivative of L by entry [0,1] of the weights W of dense_1.",
        ))  # fmt: skip
    for step in d.steps:
        if len(d.steps) > 1:
            yield Heading(0, (f"Training step {step.step}",))
        if sheet or d.detail in ("layer", "neuron"):
            yield from _sections(d, step, sheet)
        elif d.detail == "overview":
            yield from _overview(d, step)
        else:
            each = len(d.paths) // len(d.steps)
            for paths in d.paths[(step.step - 1) * each : step.step * each]:
                yield from _paths(paths, d.digits)


def title(told: Derivation | Worksheet) -> str:
    """What the document is called."""
    if isinstance(told, Worksheet):
        return f"{told.derivation.name}: a worksheet" + (f", variant {told.seed}" if told.seed else "")
    steps = "one step" if len(told.steps) == 1 else f"{len(told.steps)} steps"
    return f"{told.name}: {steps} of back-propagation, worked out"


def _instructions(sheet: Worksheet) -> Iterator[Block]:
    words = "the network as it is" if not sheet.seed else f"variant {sheet.seed}: weights and inputs of its own"
    example = sheet.blanks[0].name if sheet.blanks else "loss"
    yield Paragraph((
        f"{len(sheet.blanks)} blanks, {words}. Write each result into a file ", Code("answers.yaml"),
        ", a line an answer, say ", Code(f"{example}: 0.25"), ", with the digits you have. You need not have all. Then",
    ))  # fmt: skip
    yield Command(sheet.command)
    yield Paragraph(("marks every answer and names the first that is wrong, with the likely cause.",))


def _agreement(d: Derivation) -> Iterator[Block]:
    for q in d.wrong:
        text = f": the equation does not give what the engine computed; they are {q.gap:.1e} apart"
        yield Paragraph((Code(q.path), f"{text}, and rounding explains {q.allowed:.1e}."), lead=("WRONG",))
    if not d.wrong:
        worst = f"to {d.worst:.0e}" if d.worst else "to the last digit"
        text = (
            f"{d.compared:,} numbers were computed twice, from these equations and by the engine: they agree {worst}."
        )
        yield Paragraph((text,))


def _arrows(text: str) -> str:
    return text.replace("->", "→")


# ----------------------------------------------------------------------------------------------------- the seven steps
def _sections(d: Derivation, step: StepLine, sheet: Worksheet | None) -> Iterator[Block]:
    blanks = {(b.quantity, b.name): b.number for b in sheet.blanks} if sheet else {}
    own = [q for q in d.quantities if q.step == step.step]
    told: set[tuple[str, str, str, str]] = set()
    for stage in Stage:
        heading, text = STAGES[stage]
        yield Heading(1, (heading,), stage.value)
        yield Paragraph((f"{text[0].upper()}{text[1:]}.",))
        if stage is Stage.INITIALIZE:
            for given in d.given:
                if given.step == step.step:
                    yield _given(given, d.digits)
        here = [q for q in own if q.stage is stage]
        shown = [q for q in here if q.entries or (d.detail == "layer" and not sheet)]
        for (part, layer), group in groupby(shown, key=lambda q: (q.part, q.layer)):
            quantities = list(group)
            yield Heading(
                2, (Code(layer), f" ({quantities[0].kind})") if layer else (f"{part} ({quantities[0].kind})",)
            )
            if part in LETTERS:
                yield Paragraph((LETTERS[part],))
            for q in quantities:
                yield from _quantity(q, d, told, sheet, blanks)
        hidden = [q for q in here if q not in shown] if d.detail != "layer" else []
        if hidden:
            yield _left_out(hidden)
        if stage is Stage.REPEAT and not sheet:
            yield _losses(step, d.digits)


def _given(given: Given, digits: int) -> Figures:
    formulas, more = maths.matrices(maths.symbol(given.path.rpartition(".")[2]), given.value, digits)
    return Figures(given.path, given.note, tuple(formulas), more)


def _quantity(
    q: Quantity,
    d: Derivation,
    told: set[tuple[str, str, str, str]],
    sheet: Worksheet | None,
    blanks: Mapping[tuple[str, str], int],
) -> Iterator[Block]:
    """The general equation, unless it was stated for another tensor, and the numbers."""
    once = (q.part, q.layer, q.name, f"{q.equation.source.left} = {q.equation.source.right}")
    if q.tensor and once in told:
        yield Paragraph((), lead=(Code(q.path),))
    else:
        yield Paragraph(tuple(_remarks(q)), lead=(Code(q.path),))
        yield Formula(maths.equation(q))
    told.add(once)
    if not q.agrees and not sheet:
        yield Paragraph((f"The engine has other numbers: they are {q.gap:.1e} apart.",), lead=("WRONG",))
    if d.detail == "layer" and not sheet:
        formulas, more = maths.matrices(maths.left_side(q), q.value, d.digits, q.equation.free)
        yield Figures(q.path, "", tuple(formulas), more)
        return
    yield WorkedLines(tuple(_lines(q, sheet, blanks)))
    if q.hidden:
        yield Paragraph((f"and {q.hidden:,} more {'entry' if q.hidden == 1 else 'entries'} of ", Code(q.path)))


def _remarks(q: Quantity) -> Iterator[str | Code]:
    """Why it is so, and what its letters stand for."""
    between = ""
    if q.why:
        yield q.why
        between = "; "
    for name, source in q.sources.items():
        yield f"{between}{'∂L/∂y' if name == 'dy' else name} is "
        yield source if " " in source else Code(source)
        between = "; "
    if q.tensor and any(getattr(b, "letter", "") == "j" for b in q.equation.free):
        yield f"{between}j counts all weights, tensor after tensor"


def _lines(q: Quantity, sheet: Worksheet | None, blanks: Mapping[tuple[str, str], int]) -> Iterator[WorkedLine]:
    for e in q.entries:
        left, numbers, sign, result = maths.worked(q, e)
        if sheet and q.id not in sheet.shown:
            number = blanks.get((q.id, e.name), 0)
            notes = () if number else ("for you alone: nobody checks it",)
            yield WorkedLine(e.name, left, "", sign, "", notes, number)
        else:
            yield WorkedLine(e.name, left, numbers, sign, result, tuple(dict.fromkeys((*e.worked.notes, *e.notes))))


def _left_out(hidden: Sequence[Quantity]) -> Paragraph:
    words: list[str | Code] = ["Not worked out here: "]
    for q in hidden[:8]:
        words += [Code(q.path), f" ({q.value.size:,}), "]
    count = len(hidden) - 8
    words[-1] = str(words[-1]).rstrip(", ") + (f" and {count:,} more." if count > 0 else ".")
    return Paragraph(tuple(words))


# -------------------------------------------------------------------------------------------------------------- tables
def _overview(d: Derivation, step: StepLine) -> Iterator[Block]:
    rows = len(step.outputs)
    yield Heading(1, ("Layers",))
    if rows > 1:
        yield Paragraph((f"y and dL/dy are those of the first of {rows} rows.",))
    names = ("layer", "units", "y: what goes out", "dL/dy: its error", "gradient", "")
    body = tuple(_layer(line, d.digits) for line in step.layers)
    yield TableBlock(tuple((name,) for name in names), body)
    yield Heading(1, ("The step",))
    yield _losses(step, d.digits)


def _layer(line: LayerLine, digits: int) -> tuple[Words, ...]:
    kind = "" if line.kind in line.layer else f" {line.kind}"
    units = "×".join(map(str, line.units)) or "1"
    lengths = ", ".join(f"|{name}| {figure(value, 4)}" for name, value in line.gradients.items())
    y, dy = (_few(a[0], digits) for a in (line.y, line.dy))
    return (Code(line.layer), kind), (units,), (y,), (dy,), (lengths,), (line.note,)


def _few(values: Array, digits: int) -> str:
    """A short array, or the ends of what a long one holds."""
    flat = np.asarray(values, np.float64).ravel()
    if len(flat) <= FEW:
        return "[" + ", ".join(_number(v, digits) for v in flat) + "]"
    return f"{_number(flat.min(), FEW)} to {_number(flat.max(), FEW)}"


def _number(value: float, digits: int) -> str:
    return figure(float(value), digits).replace("-", "−").replace("inf", "∞")


def _losses(step: StepLine, digits: int) -> TableBlock:
    rows = [("the loss before the step", step.loss)]
    if step.penalty:
        rows += [("of which the data's", step.data_loss), ("and the penalty's", step.penalty)]
    rows += [("the length of the gradient", step.norm)]
    if step.clipped != 1:
        rows += [("what clipping leaves of it, as a factor", step.clipped)]
    rows += [
        ("the learning rate", step.rate), ("how far the weights move", step.moved),
        ("the loss of the same rows after it", step.after), ("the change of the loss", step.change),
        ("as foretold by the gradient, to first order", step.predicted),
    ]  # fmt: skip
    return TableBlock(
        (("",), ("",)), tuple(((name,), (_number(value, digits),)) for name, value in rows), frozenset({1})
    )


# --------------------------------------------------------------------------------------------------------------- paths
def _paths(p: PathsTo, digits: int) -> Iterator[Block]:
    yield Heading(1, (Code(p.name), f": {'one path' if p.count == 1 else f'{p.count:,} paths'} to the loss"))
    grouped = " Each goes as far as an error that is taken as a whole." if p.grouped else ""
    text = f" = {_number(p.value, digits)}. The derivative of the loss by it is the product of the factors along a path"
    summed = ", and the paths are summed." if p.count > 1 else "."
    dead = f" {p.idle}." if p.idle else ""
    yield Paragraph((Code(p.name), text, summed, grouped, dead))
    head: tuple[Words, ...] = (("factor",), ("formula",), ("local value",), ("product so far",))
    for number, hops in enumerate(p.paths):
        names: list[str | Code] = []
        for name in (*(h.lower for h in reversed(hops)), "L"):
            names += [Code(name), " → "]
        yield Paragraph(tuple(names[:-1]), lead=(f"Path {number + 1} of {p.count:,}",) if p.count > 1 else ())
        yield TableBlock(
            head,
            tuple(
                (
                    ("∂ ", Code(h.upper), " / ∂ ", Code(h.lower)),
                    ("; ".join(filter(None, (h.formula, h.note))),),
                    (_number(h.value, digits),),
                    (_number(h.product, digits),),
                )
                for h in hops
            ),
            frozenset({2, 3}),
        )
        yield Formula(maths.product(p, number, digits))
    if len(p.paths) < p.count:
        yield Paragraph(
            (f"and {p.count - len(p.paths):,} more paths; all together come to {_number(p.total, digits)}",)
        )
    elif p.count > 1:
        yield Paragraph((), lead=("Paths summed",))
        yield Formula(maths.total(p, digits))
    yield TableBlock(
        ((), ()),
        (
            (("by all paths, dL/d", Code(p.name)), (_number(p.total, digits),)),
            (("by the engine",), (_number(p.gradient, digits),)),
            (
                ("nudge test: ", Code(p.name), f" up and down by {p.nudge:g}, the loss moves each way by"),
                (_number(p.measured, digits),),
            ),
            (("as foretold by the derivative",), (_number(p.predicted, digits),)),
        ),
        frozenset({1}),
    )
