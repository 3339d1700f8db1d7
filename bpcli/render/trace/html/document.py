"""A derivation as one page that stands alone: the network to click on, and below it the seven steps."""

from collections.abc import Iterator

from bpcli.records.trace import STAGES, Derivation, Stage, StepLine, Worksheet
from bpcli.render.trace.html.lines import MAX_OPEN_LINES, Blanks, quantity_lines
from bpcli.render.trace.html.network import network
from bpcli.render.trace.html.page import code, escaped, number, page, tag
from bpcli.render.trace.html.svg import Picture
from bpcli.render.trace.html.tables import array_table, layer_table, paths, step_table
from bpcli.render.trace.outline import title

MAX_WIDTH_BESIDE_PANEL = 920  # CSS pixels that a picture may be wide to have its panel beside it
VIEWS = (
    ("f", "Forward", "What goes forward: z and a (or y) in the units, weights on the wires."),
    ("b", "Backward", "What comes back: errors ∂L/∂a and ∂L/∂z in the units, gradients ∂L/∂W on the wires."),
    ("u", "Update", "The weights after the step: W⁺ on the wires, b⁺ below the units."),
)
LEGEND = (
    "All indices count from 0. In the equations of a layer, x is its input, y its output and ∂L/∂y the error that "
    "arrives; a raised plus marks what holds after the step. Names such as dense_1.dW[0,1] are what a claims file calls"
    " the numbers."
)


def html(shown: Derivation | Worksheet) -> str:
    """Returns the page of a derivation or a worksheet. It loads nothing, and can be read without scripts."""
    if isinstance(shown, Worksheet):
        return _worksheet(shown)
    d = shown
    body = tag("header", "".join(_header(d)))
    body += tag("main", "".join(_step(d, line) for line in d.steps))
    return page(title(d), body)


def _worksheet(sheet: Worksheet) -> str:
    """Returns the seven steps with room for the results; no picture, since it would show them."""
    d = sheet.derivation
    head = tag("h1", f'{escaped(d.name)}<span class="rest">{escaped(title(sheet)[len(d.name) :])}</span>')
    head += tag("dl", "".join(tag("dt", escaped(name)) + tag("dd", escaped(text)) for name, text in d.facts))
    example = code(f"{sheet.blanks[0].name}: 0.25")
    words = f"{len(sheet.blanks)} blanks. Write each result into a file {code('answers.yaml')}, a line an answer, say"
    head += tag("p", f"{words} {example}, with the digits you have. You need not have all. Then")
    head += tag("pre", escaped(sheet.command))
    head += tag("p", "marks every answer and names the first that is wrong, with the likely cause.")
    blanks: dict[str, dict[str, int]] = {q.id: {} for q in d.quantities if q.id not in sheet.shown}
    for b in sheet.blanks:
        blanks[b.quantity][b.name] = b.number
    parts = [tag("p", escaped(LEGEND), class_="legend"), *(_stage(d, d.steps[0], stage, blanks) for stage in Stage)]
    return page(f"{d.name}: a worksheet", tag("header", head) + tag("main", "".join(parts)))


def _header(d: Derivation) -> Iterator[str]:
    yield tag("h1", f'{escaped(d.name)}<span class="rest">{escaped(title(d)[len(d.name) :])}</span>')
    if len(d.steps) == 1:
        yield tag("p", _losses(d, d.steps[0]), class_="losses")
    yield tag(
        "dl", "".join(tag("dt", escaped(name)) + tag("dd", escaped(text.replace("->", "→"))) for name, text in d.facts)
    )
    yield tag("p", _agreement(d), class_="agrees" if not d.wrong else "wrong")
    for problem in d.warnings:
        help = f" {problem.help}" if problem.help else ""
        yield tag("p", f"Warning: {escaped(problem.text)}.{escaped(help)}", class_="warning")
    tools = '<button type="button" class="scripted" data-fold="open">Open all lines</button>'
    tools += '<button type="button" class="scripted" data-fold="">Close all</button>'
    yield tag("p", tools, class_="tools") if d.detail != "overview" else ""


def _losses(d: Derivation, line: StepLine) -> str:
    before, after, change, predicted = (
        number(v, d.digits) for v in (line.loss, line.after, line.change, line.predicted)
    )
    arrow = '<span aria-hidden="true">→</span><span class="unseen">becomes</span>'
    shown = f"loss <b>{before}</b> {arrow} <b>{after}</b>"
    return f"{shown}: it changes by {change}, and to first order the gradient predicts {predicted}"


def _agreement(d: Derivation) -> str:
    if not d.wrong:
        worst = f"to {d.worst:.1e}" if d.worst else "to the last digit"
        twice = "each was computed twice, by these equations and by it"
        return f"<b>✓</b> {d.compared:,} numbers agree with the engine {worst}: {twice}."
    listed = ", ".join(code(q.path) for q in d.wrong[:8]) + (", ..." if len(d.wrong) > 8 else "")
    return f"<b>WRONG</b> What these equations give is not what the engine computed: {listed}"


def _step(d: Derivation, line: StepLine) -> str:
    several = len(d.steps) > 1
    parts = [tag("h2", f"Training step {line.step}"), tag("p", _losses(d, line), class_="losses")] if several else []
    after = f"after-{line.step}"
    parts += [
        tag("a", "Skip the picture", class_="skip", href=f"#{after}"),
        _picture(d, line),
        tag("div", "", id=after),
    ]
    if d.detail == "overview":
        parts += [tag("h2", "Layers"), layer_table(d, line), tag("h2", "The step"), step_table(d, line)]
        return tag("section", "".join(parts), class_="training")
    if d.paths:
        each = len(d.paths) // len(d.steps)
        parts += [tag("h2", "Chain rule, path by path"), *paths(d, d.paths[(line.step - 1) * each : line.step * each])]
    parts.append(tag("p", escaped(LEGEND), class_="legend"))
    parts += [_stage(d, line, stage) for stage in Stage]
    return tag("section", "".join(parts), class_="training")


def _stage(d: Derivation, line: StepLine, stage: Stage, blanks: Blanks | None = None) -> str:
    heading, text = STAGES[stage]
    parts = [
        tag("h2", f'<span class="step">{stage.value}</span> {escaped(heading)}'),
        tag("p", escaped(text), class_="lead"),
    ]
    if stage is Stage.INITIALIZE:
        arrays = "".join(array_table(g.value, g.path, d.digits, g.note) for g in d.start_values if g.step == line.step)
        parts.append(tag("div", arrays, class_="arrays"))
    count = sum(len(q.entries) for q in d.quantities)
    shown = [(i, q) for i, q in enumerate(d.quantities) if q.step == line.step and q.stage is stage]
    unfolded = d.detail == "layer" or count <= MAX_OPEN_LINES or blanks is not None
    parts += quantity_lines(d, shown, unfolded, blanks or {})
    if stage is Stage.REPEAT and blanks is None:
        parts.append(step_table(d, line))
    elif len(parts) == 2:
        parts.append(tag("p", "Nothing of this step is worked out here.", class_="more"))
    return tag("section", "".join(parts), class_=f"stage s{stage.value}", data_stage=f"{stage.value} {heading}")


def _picture(d: Derivation, line: StepLine) -> str:
    """Returns the network with its panel."""
    found = network(d, line)
    picture = Picture(d, found)
    name = f"view-{line.step}"
    views = "".join(
        f'<input type="radio" name="{name}" id="{name}-{key}" class="view {key}"{" checked" if key == "f" else ""}>'
        f'<label for="{name}-{key}" title="{escaped(text)}">{view}</label>'
        for key, view, text in VIEWS
    )
    captions = "".join(tag("p", escaped(text), class_=f"caption {key}") for key, _, text in VIEWS)
    drawn = tag("div", picture.draw(f"The network, training step {line.step}"), class_="canvas")
    rows = len(line.outputs)
    words = [_key()]
    if rows > 1:
        words.append(f"Units show the first of {rows} rows; gradients and the loss are of all rows.")
    if any(c.vector and len(c.shown) < c.units[0] for c in found.columns):
        words.append("Of large layers a few units are drawn.")
    caption = tag("figcaption", " ".join(words))
    hint = "Choose a unit, a weight, a bias or the loss: its derivation is shown here."
    keys = "With the keyboard: Tab, then Enter."
    panel = tag(
        "aside", tag("p", f"{hint} {keys}", class_="hint"), class_="panel scripted", tabindex="0", aria_live="polite",
        aria_label="Derivation of what is chosen",
    )  # fmt: skip
    below = "" if picture.layout.width <= MAX_WIDTH_BESIDE_PANEL else " below"
    return tag("div", tag("figure", views + captions + drawn + caption) + panel, class_=f"network{below}")


def _key() -> str:
    plus, minus = (
        '<svg width="36" height="8" aria-hidden="true">'
        f'<path class="wire {sign}" style="--f:3px" d="M0 4H36"></path></svg>'
        for sign in ("fp", "fn")
    )
    return f"{plus} positive, {minus} negative; the thicker, the larger."
