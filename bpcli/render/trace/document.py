"""A derivation as a document: what stands in it and in which order, for any page format to set."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from bpcli.notation.symbols import format_number
from bpcli.records.trace import (
    STAGES,
    Derivation,
    LayerLine,
    PathsTo,
    Quantity,
    Stage,
    StartValue,
    StepLine,
    Worksheet,
)
from bpcli.render.trace import blocks, maths, outline
from bpcli.render.trace.blocks import Code, InlineText, WorkedLine

MAX_VALUES_LISTED = 4  # numbers of an array that a cell lists

LETTER_MEANINGS = {
    "penalty": "w are the weights that it is laid on.",
    "gradient": "data is the slope of the data's loss, as worked out above, and own the slope of the penalty.",
    "clipping": "g is the gradient, and w are the weights.",
    "optimizer": "w are the OLD weights, and g is their gradient, with penalty and clipping if there are any.",
    "constraint": "w are the weights as the optimizer leaves them.",
    "change": "g is the gradient before clipping, w are the OLD weights.",
}
"""What the letters of a part stand for that works on all weights."""


def document(source: Derivation | Worksheet) -> Iterator[blocks.PageBlock]:
    """Yields a derivation, or a worksheet made of one, block by block."""
    sheet = source if isinstance(source, Worksheet) else None
    d = source.derivation if isinstance(source, Worksheet) else source
    if sheet:
        yield from _instructions(sheet)
    yield blocks.HeaderBlock(tuple((name, text.replace("->", "→")) for name, text in d.facts))
    for path, text in outline.agreement(d) if not sheet else ():
        yield blocks.Paragraph((Code(path), f"{text}."), lead=("WRONG",)) if path else blocks.Paragraph((f"{text}.",))
    if d.detail in ("layer", "neuron"):
        yield blocks.Paragraph((
            "All indices count from 0. In the equations of a layer x is its input, y its output, and the derivative of "
            "L by y is the error that arrives. A raised plus marks what holds after the step. ",
            Code("dense_1.dW[0,1]"), " is how to write the derivative of L by entry [0,1] of the weights W of dense_1.",
        ))  # fmt: skip
    stated: set[tuple[str, str, str, str]] = set()
    for block in outline.outline_blocks(d, losses=sheet is None):
        match block:
            case outline.StepStart(step):
                yield blocks.Heading(0, (f"Training step {step.step}",))
                stated = set()
            case outline.LayerOverview(step):
                yield from _overview(d, step)
            case PathsTo():
                yield from _paths(block, d.digits)
            case Stage():
                heading, text = STAGES[block]
                yield blocks.Heading(1, (heading,), block.value)
                yield blocks.Paragraph((f"{text[0].upper()}{text[1:]}.",))
            case StartValue():
                yield _start_value(block, d.digits)
            case outline.StageQuantities(shown, hidden):
                yield from _quantities(shown, d, stated, sheet)
                if hidden:
                    yield _left_out(hidden)
            case outline.StepLosses():
                rows = tuple(((name,), (_number(value, d.digits),)) for name, value in block.rows())
                yield blocks.TableBlock((("",), ("",)), rows, frozenset({1}))


def _instructions(sheet: Worksheet) -> Iterator[blocks.PageBlock]:
    words = "the network as it is" if not sheet.seed else f"variant {sheet.seed}: weights and inputs of its own"
    example = sheet.blanks[0].name if sheet.blanks else "loss"
    yield blocks.Paragraph((
        f"{len(sheet.blanks)} blanks, {words}. Write each result into a file ", Code("answers.yaml"),
        ", a line an answer, say ", Code(f"{example}: 0.25"), ", with the digits you have. You need not have all. Then",
    ))  # fmt: skip
    yield blocks.Command(sheet.command)
    yield blocks.Paragraph(("marks every answer and names the first that is wrong, with the likely cause.",))


# ----------------------------------------------------------------------------------------------------- the seven steps
def _quantities(
    shown: Sequence[Quantity], d: Derivation, stated: set[tuple[str, str, str, str]], sheet: Worksheet | None
) -> Iterator[blocks.PageBlock]:
    for (part, layer), group in groupby(shown, key=lambda q: (q.part, q.layer)):
        quantities = list(group)
        kind = f" ({quantities[0].kind})"
        yield blocks.Heading(2, (Code(layer), kind) if layer else (part + kind,))
        if part in LETTER_MEANINGS:
            yield blocks.Paragraph((LETTER_MEANINGS[part],))
        for q in quantities:
            yield from _quantity(q, d, stated, sheet)


def _start_value(start: StartValue, digits: int) -> blocks.Figures:
    formulas, more = maths.matrices(maths.symbol(start.path.rpartition(".")[2]), start.value, digits)
    return blocks.Figures(start.path, start.note, tuple(formulas), more)


def _quantity(
    q: Quantity, d: Derivation, stated: set[tuple[str, str, str, str]], sheet: Worksheet | None
) -> Iterator[blocks.PageBlock]:
    """Yields the general equation, unless it was stated for another tensor, and the numbers."""
    once = (q.part, q.layer, q.name, f"{q.equation.source.left} = {q.equation.source.right}")
    if q.tensor and once in stated:
        yield blocks.Paragraph((), lead=(Code(q.path),))
    else:
        yield blocks.Paragraph(tuple(_remarks(q)), lead=(Code(q.path),))
        yield blocks.Formula(maths.equation(q))
    stated.add(once)
    if not q.agrees and not sheet:
        yield blocks.Paragraph((f"The engine has other numbers: they are {q.gap:.1e} apart.",), lead=("WRONG",))
    if d.detail == "layer":
        formulas, more = maths.matrices(maths.left_side(q), q.value, d.digits, q.equation.letters)
        yield blocks.Figures(q.path, "", tuple(formulas), more)
        return
    yield blocks.WorkedLines(tuple(_lines(q, sheet)))
    if q.hidden:
        yield blocks.Paragraph((f"and {q.hidden:,} more {'entry' if q.hidden == 1 else 'entries'} of ", Code(q.path)))


def _remarks(q: Quantity) -> Iterator[str | Code]:
    """Yields why an equation holds, and what its letters stand for."""
    between = ""
    if q.why:
        yield q.why
        between = "; "
    for letter, source in outline.symbol_sources(q):
        yield f"{between}{letter} is "
        yield source if " " in source else Code(source)
        between = "; "
    if q.tensor and "j" in q.equation.letters:
        yield f"{between}j counts all weights, tensor after tensor"


def _lines(q: Quantity, sheet: Worksheet | None) -> Iterator[WorkedLine]:
    blanks = {(b.quantity, b.name): b.number for b in sheet.blanks} if sheet else {}
    for e in q.entries:
        left, numbers, sign, result = maths.worked(q, e)
        if sheet and q.id not in sheet.shown:
            number = blanks.get((q.id, e.name), 0)
            notes = () if number else ("for you alone: nobody checks it",)
            yield WorkedLine(e.name, left, "", sign, "", notes, number)
        else:
            yield WorkedLine(e.name, left, numbers, sign, result, tuple(dict.fromkeys((*e.worked.notes, *e.notes))))


def _left_out(hidden: Sequence[Quantity]) -> blocks.Paragraph:
    words: list[str | Code] = ["Not worked out here: "]
    for q in hidden[:8]:
        words += [Code(q.path), f" ({q.value.size:,}), "]
    count = len(hidden) - 8
    words[-1] = str(words[-1]).rstrip(", ") + (f" and {count:,} more." if count > 0 else ".")
    return blocks.Paragraph(tuple(words))


# -------------------------------------------------------------------------------------------------------------- tables
def _overview(d: Derivation, step: StepLine) -> Iterator[blocks.PageBlock]:
    rows = len(step.outputs)
    yield blocks.Heading(1, ("Layers",))
    if rows > 1:
        yield blocks.Paragraph((f"y and dL/dy are those of the first of {rows} rows.",))
    names = ("layer", "units", "y: what goes out", "dL/dy: its error", "gradient", "")
    body = tuple(_layer(line, d.digits) for line in step.layers)
    yield blocks.TableBlock(tuple((name,) for name in names), body)
    yield blocks.Heading(1, ("The step",))


def _layer(line: LayerLine, digits: int) -> tuple[InlineText, ...]:
    kind = "" if line.kind in line.layer else f" {line.kind}"
    units = "×".join(map(str, line.units)) or "1"
    lengths = ", ".join(f"|{name}| {format_number(value, 4)}" for name, value in line.gradients.items())
    y, dy = (outline.ends_of_array(a[0], digits, _number, MAX_VALUES_LISTED) for a in (line.y, line.dy))
    return (Code(line.layer), kind), (units,), (y,), (dy,), (lengths,), (line.note,)


def _number(value: float, digits: int) -> str:
    return format_number(float(value), digits).replace("-", "−").replace("inf", "∞")


# --------------------------------------------------------------------------------------------------------------- paths
def _paths(p: PathsTo, digits: int) -> Iterator[blocks.PageBlock]:
    yield blocks.Heading(1, (Code(p.name), f": {'one path' if p.count == 1 else f'{p.count:,} paths'} to the loss"))
    grouped = " Each goes as far as an error that is taken as a whole." if p.grouped else ""
    text = f" = {_number(p.value, digits)}. The derivative of the loss by it is the product of the factors along a path"
    summed = ", and the paths are summed." if p.count > 1 else "."
    dead = f" {p.idle}." if p.idle else ""
    yield blocks.Paragraph((Code(p.name), text, summed, grouped, dead))
    head: tuple[InlineText, ...] = (("factor",), ("formula",), ("local value",), ("product so far",))
    for number, hops in enumerate(p.paths):
        names: list[str | Code] = []
        for name in (*(h.lower for h in reversed(hops)), "L"):
            names += [Code(name), " → "]
        yield blocks.Paragraph(tuple(names[:-1]), lead=(f"Path {number + 1} of {p.count:,}",) if p.count > 1 else ())
        yield blocks.TableBlock(
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
        yield blocks.Formula(maths.product(p, number, digits))
    if len(p.paths) < p.count:
        yield blocks.Paragraph(
            (f"and {p.count - len(p.paths):,} more paths; all together come to {_number(p.total, digits)}",)
        )
    elif p.count > 1:
        yield blocks.Paragraph((), lead=("Paths summed",))
        yield blocks.Formula(maths.total(p, digits))
    yield blocks.TableBlock(
        ((), ()),
        (
            (("by all paths, dL/d", Code(p.name)), (_number(p.total, digits),)),
            (("by the engine",), (_number(p.gradient, digits),)),
            (
                ("nudge test: ", Code(p.name), f" up and down by {p.nudge:g}, the loss moves each way by"),
                (_number(p.measured, digits),),
            ),
            (("as predicted by the derivative",), (_number(p.predicted, digits),)),
        ),
        frozenset({1}),
    )
