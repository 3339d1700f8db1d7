"""Whether gradients reach every layer: the loss at the start, gradients from layer to layer, dead and saturated units,
and the size of the first step."""

import math

from bpcli.family import Activation
from bpcli.records.diagnose import LayerStats, Remedy, Symptom
from bpcli.studies.diagnose import remedies
from bpcli.studies.diagnose.diagnosis_context import DiagnosisContext
from bpcli.studies.diagnose.short_runs import loss_at_zero, peak_rate
from bpcli.studies.diagnose.weights import off_scale

CLASSES_START_RATIO = (2.0, 4.0)
"""The first loss over that of a network that knows nothing, for classes, from which on it is a notice, a warning.
he_normal before a softmax starts at 1.6."""

VALUES_START_RATIO = (6.0, 20.0)
"""The same for values, where random outputs add their own variance, more of it where inputs are correlated."""

MIN_LAYER_FACTOR = 0.5
"""The factor of the gradient per layer that is still good: a sigmoid's slope is at most 1/4, and at a half ten layers
lose a factor of a thousand."""

GRADIENT_RATIO = (10.0, 100.0)
"""The last over the first gradient where it vanishes, the first over the last where it explodes, from which on it is a
notice, a warning: at a hundred, what the last layer learns in one epoch takes the first a hundred."""

DEAD_SHARE = (0.2, 0.4)
SATURATED_SHARE = (0.25, 0.5)
"""The shares of units and of outputs from which on it is a notice, a warning. Random relu layers have fewer than one
dead unit in ten."""

STEP_RATIO = (1.0, 10.0)
"""The length of the first step over that of the weights, from which on it is a notice, a warning. About 1e-3 is right
for large networks; small ones learn well with 1e-1, and layers that start near 0 have to grow at first."""

MIN_STEP_RATIO = 1e-6
"""The same ratio, below which a thousand steps change the weights by a thousandth."""


LEAKY = "leaky_relu passes a hundredth of what relu closes off"


def severity(value: float, notice: float, warning: float) -> str:
    """Returns the level of a value that is better the smaller it is: ok, notice or warning."""
    return "warning" if not value < warning else "notice" if not value < notice else "ok"


def start_loss(context: DiagnosisContext) -> list[Symptom]:
    """Compares the first loss with that of a network that knows nothing."""
    loss, constant = context.loss, context.constant
    if context.trained:
        return []
    classifies, k = context.experiment.loss.classifies, context.network_plan.y[0]
    zero = loss_at_zero(context)
    bounded = isinstance(context.network_plan.layers[-1].layer, Activation)
    guess = max(constant, zero) if classifies or bounded else constant
    ratio = loss / guess if guess > 0 else 1.0
    level = severity(ratio, *(CLASSES_START_RATIO if classifies else VALUES_START_RATIO))
    if not math.isfinite(loss):
        figure = f"the loss is {loss} before the first step"
    elif classifies:
        words = f", ln {k}" if math.isclose(zero, math.log(k)) else ""
        figure = f"the loss starts at {loss:.4g}; with all outputs 0 it would be {zero:.6g}{words}"
    else:
        figure = f"the loss starts at {loss:.4g}; the best constant prediction has {constant:.4g}"
    why = (
        "at the start a network should know nothing, not be sure of something wrong: the first steps only unlearn that"
    )
    measured = "loss at the start, in times of knowing nothing"
    found: list[Remedy] = []
    if level != "ok":
        targets = [] if classifies else remedies.scale_targets(context)
        found = _scale_inputs(context) + targets + _initializers(context) + remedies.small_last_layer(context)
    return [Symptom("start", "", figure, level, why, tuple(found), ratio, measured)]


def _scale_inputs(context: DiagnosisContext) -> list[Remedy]:
    """Returns the remedy of scaled inputs, where they are large or small."""
    x = context.train.x[context.probe_rows].astype(float)
    return [] if 0.1 < math.sqrt(float((x * x).mean())) < 5 else remedies.scale_inputs(context)


def _initializers(context: DiagnosisContext) -> list[Remedy]:
    """Returns the remedy of default initializers, for layers whose weights have another size."""
    return remedies.default_initializers(context, off_scale(context))


def learning_layers(context: DiagnosisContext) -> list[LayerStats]:
    """Returns the layers with weights, which a gradient has to reach, in order; those of residual branches too."""
    weighty = {e.owner.path for e in context.network_plan.layout if e.param.decays}
    return [row for row in context.layer_stats if row.layer in weighty]


def gradient_flow(context: DiagnosisContext) -> list[Symptom]:
    """Measures how the gradient grows or shrinks from the last layer that learns to the first."""
    rows = learning_layers(context)
    norms = [row.gradient or 0.0 for row in rows]
    if len(rows) < 3 or not all(0 < norm < math.inf for norm in (norms[0], norms[-1])):
        return _gradient_reach(context, rows, norms)
    first, last = norms[0], norms[-1]
    reach = first / last
    rate = reach ** (1 / (len(rows) - 1))
    spread = _error_norm(context, rows[0]) / _error_norm(context, rows[-1])
    error = spread ** (1 / (len(rows) - 1))
    place = f"{rows[0].layer} to {rows[-1].layer}"
    figure = f"from {rows[-1].layer} back to {rows[0].layer} the gradient goes from {last:.3g} to {first:.3g}"
    figure += f", a factor of {rate:.3g} a layer"
    vanished = severity(1 / reach, *GRADIENT_RATIO) if rate < MIN_LAYER_FACTOR else "ok"
    grows = max(rate, error) > 1 / MIN_LAYER_FACTOR
    exploded = severity(max(reach, spread), *GRADIENT_RATIO) if grows else "ok"
    level, why, found = "ok", "", list[Remedy]()
    if vanished != "ok":
        level = vanished
        why = "the chain rule multiplies a factor for each layer, and here all of them are small: the gradient "
        why += "vanishes, and the first layers hardly learn"
        slopes = "relu has slope 1 where it is open; a sigmoid has at most 1/4, tanh 1"
        found = remedies.replace_activations(context, "relu", slopes) + remedies.add_norms(context)
        found += remedies.add_residuals(context) + _initializers(context) + remedies.use_adam(context)
        evened = _evened_out(rows)
        if level == "warning" and evened:
            level = "notice"
            why += f"; {context.experiment.optimizer.kind} evens it out, as its steps say ({evened})"
    elif exploded != "ok":
        level = exploded
        if error > rate:
            rate = error
            figure = f"from {rows[-1].layer} back to {rows[0].layer} dL/dy grows by a factor of {error:.3g} a layer"
        why = "the chain rule multiplies a factor for each layer, and here all of them are large: the gradient "
        why += "explodes, and a step throws the first layers about"
        found = _initializers(context) + remedies.add_norms(context) + remedies.clip_gradient(context)
    if context.trained and level == "warning" and context.loss < 0.5 * context.constant:
        level = "notice"  # it has learned all the same
    measured = "factor of the gradient a layer"
    return [Symptom("gradients", place, figure, level, why, tuple(found), rate, measured)]


def _error_norm(context: DiagnosisContext, row: LayerStats) -> float:
    """Returns the norm of dL/dy of a row of the batch, which does not depend on the width of the layer. It shows more
    than the gradients of weights: with relu these may all be alike, where large inputs meet small errors."""
    width = next(math.prod(node.plan.y) for node in context.network_plan.walk() if node.path == row.layer)
    return row.error * math.sqrt(width)


def _gradient_reach(context: DiagnosisContext, rows: list[LayerStats], norms: list[float]) -> list[Symptom]:
    """Whether the gradient reaches each layer at all: of two layers, or where it is 0 or not finite."""
    bad = [row for row, norm in zip(rows, norms, strict=True) if not math.isfinite(norm)]
    if bad:
        figure = f"the gradient is not finite in {', '.join(row.layer for row in bad)}"
        why = "numbers have grown beyond what the machine can write: no step can be taken"
        found = _initializers(context) + remedies.scale_inputs(context)
        return [Symptom("gradients", bad[0].layer, figure, "warning", why, tuple(found))]
    none = [row for row, norm in zip(rows, norms, strict=True) if norm == 0]
    if none and (len(none) < len(rows) or not context.loss < 0.5 * context.constant):
        names = ", ".join(row.layer for row in none) if len(none) < len(rows) else "any layer"
        figure = f"no gradient at all reaches {names}"
        why = "where every factor of the chain rule is 0 nothing can be learned"
        found = remedies.replace_activations(context, "leaky_relu", LEAKY) + _initializers(context)
        return [Symptom("gradients", none[0].layer, figure, "warning", why, tuple(found))]
    low, high = min(norms, default=0.0), max(norms, default=0.0)
    figure = f"gradients of {low:.3g} to {high:.3g}" if len(rows) > 1 else f"a gradient of {high:.3g}"
    return [Symptom("gradients", "", figure, "ok")]


def _evened_out(rows: list[LayerStats]) -> str:
    """Says by how much a step moves the first and the last layer, in words, where that is about the same; else
    empty."""
    first, last = rows[0].update, rows[-1].update
    alike = first and last and first >= max(MIN_STEP_RATIO, 0.1 * last)
    return f"{first:.1g} and {last:.1g} of the weights" if alike else ""


def dead_units(context: DiagnosisContext) -> list[Symptom]:
    """Measures the share of units that no row opens."""
    hidden = {n.path for n in remedies.hidden_activations(context)}
    shares = [(row, row.dead) for row in context.layer_stats if row.dead is not None and row.layer in hidden]
    if not shares:
        return []
    row, dead = max(shares, key=lambda each: each[1])
    level = severity(dead, *DEAD_SHARE)
    figure = f"{dead:.0%} of its units are closed for all {len(context.probe_rows)} rows"
    others = [other.layer for other, share in shares if other is not row and share >= DEAD_SHARE[0]]
    figure += _other_layers(others, DEAD_SHARE[0])
    if level == "ok":
        figure = f"at most {dead:.0%} of a layer's units are closed for all {len(context.probe_rows)} rows"
    why = "a closed unit puts out the same whatever comes in, and its slope is 0: it has no part in anything and, "
    why += "as no gradient reaches it, may stay so"
    found = _scale_inputs(context) + remedies.replace_activations(context, "leaky_relu", LEAKY)
    found += _initializers(context) + remedies.add_norms(context)
    return [symptom("dead", row.layer, figure, level, why, found, dead, "share of dead units")]


def saturated_units(context: DiagnosisContext) -> list[Symptom]:
    """Measures the share of outputs near the ends of a range, where the slope is nearly 0. Those of the last layer are
    meant to be there once it has learned."""
    inner = {n.path for n in remedies.hidden_activations(context)}
    looked_at = [row for row in context.layer_stats if row.layer in inner or not context.trained]
    shares = [(row, row.saturated) for row in looked_at if row.saturated is not None]
    if not shares:
        return []
    row, saturated = max(shares, key=lambda each: each[1])
    level = severity(saturated, *SATURATED_SHARE)
    if context.trained and level == "warning":
        level = "notice"  # what has learned is sure of itself
    figure = f"{saturated:.0%} of its outputs are at the ends of {row.kind}"
    if level == "ok":
        figure = f"at most {saturated:.0%} of a layer's outputs are at the ends of its range"
    others = [other.layer for other, share in shares if other is not row and share >= SATURATED_SHARE[0]]
    figure += _other_layers(others, SATURATED_SHARE[0])
    why = "there the slope is under a twentieth of the steepest: little of the error passes, and learning is slow"
    found = _scale_inputs(context) + _initializers(context) + remedies.add_norms(context)
    found += remedies.replace_activations(context, "relu", "relu has one flat end, not two")
    return [symptom("saturated", row.layer, figure, level, why, found, saturated, "saturated share")]


def _other_layers(layers: list[str], share: float) -> str:
    """Returns which other layers are above a share, in words."""
    if not layers:
        return ""
    named = layers[0] if len(layers) == 1 else f"{len(layers)} more layers"
    return f"; over {share:.0%} in {named} too"


def symptom(
    check: str, place: str, figure: str, level: str, why: str, found: list[Remedy], value: float, measured: str
) -> Symptom:
    """Returns the symptom; without reason and remedies where all is well."""
    ill = level != "ok"
    return Symptom(check, place, figure, level, why if ill else "", tuple(found) if ill else (), value, measured)


def first_step_size(context: DiagnosisContext) -> list[Symptom]:
    """Measures how far the first step moves each layer, relative to the size of its weights."""
    steps = [(row, row.update) for row in learning_layers(context) if row.update is not None]
    if not steps:
        return []
    longest, high = max(steps, key=lambda each: each[1])
    shortest, low = min(steps, key=lambda each: each[1])
    measured, rate = "first step over weights", peak_rate(context)
    level = severity(high, *STEP_RATIO)
    if level != "ok":
        figure = f"the first step moves its weights by {high:.2g} of their size"
        why = "such a step leaves nothing of how the weights started: the rate is too high, or the gradient too large"
        found = remedies.set_rate(context, rate * 0.05 / high, "a step of a twentieth") if rate else []
        found += remedies.clip_gradient(context)
        return [Symptom("steps", longest.layer, figure, level, why, tuple(found), high, measured)]
    if low < MIN_STEP_RATIO:
        figure = f"the first step moves its weights by {low:.2g} of their size, and about 0.001 is usual"
        why = "at this pace a thousand steps change nothing that can be seen: the rate is too low, or no gradient comes"
        found = list[Remedy]()
        if rate and MIN_STEP_RATIO / 1000 < high < MIN_STEP_RATIO * 10:
            found = remedies.set_rate(context, rate * 1e-3 / high, "a step of a thousandth of the weights")
        found += remedies.use_adam(context)
        return [Symptom("steps", shortest.layer, figure, "warning", why, tuple(found), low, measured)]
    span = f"{high:.2g}" if low == high else f"{low:.2g} to {high:.2g}"
    figure = f"the first step moves weights by {span} of their size"
    return [Symptom("steps", longest.layer, figure, "ok", value=high, measured=measured)]
