"""Whether weights start well: their scale, units that are all equal, and biases."""

import math
from collections.abc import Iterator

import numpy as np

from bpcli.engine.network_plan import ParamLayout, PlannedLayer, default_initializer, with_following
from bpcli.records.diagnose import Remedy, Symptom
from bpcli.studies.diagnose import remedies
from bpcli.studies.diagnose.diagnosis_context import DiagnosisContext

OFF_SCALE = 3.0
"""The factor, up or down, from the deviation that keeps signals at their size: over three layers it is 27."""

BIAS_RATIO = 3.0
"""A bias over the deviation of its unit's input: a bias as large as that decides alone."""


def weight_scales(context: DiagnosisContext) -> Iterator[tuple[ParamLayout, float]]:
    """Yields the weight tensors of hidden layers with their root mean square over the deviation that keeps signals at
    their size through the activation after them (He et al. 2015, Glorot & Bengio 2010, LeCun et al. 1998)."""
    behind = {node.path: following for node, following in with_following(context.network_plan.layers)}
    matrices = [e for e in context.network_plan.layout if e.param.decays]
    last = max(matrices, key=lambda e: _layer_index(context, e), default=None)
    for e in matrices:
        following = behind.get(e.owner.path)
        variance = default_initializer(following).variance(e.param.fan_in, e.param.fan_out) or 1 / e.param.fan_in
        rms = math.sqrt(float(np.mean(np.square(context.theta[e.where]))))
        if e is not last or len(matrices) == 1:
            yield e, rms / math.sqrt(variance)


def _layer_index(context: DiagnosisContext, entry: ParamLayout) -> int:
    return [node.path for node in context.network_plan.walk()].index(entry.owner.path)


def off_scale(context: DiagnosisContext) -> list[PlannedLayer]:
    """Returns the layers whose weights are too large or too small."""
    return [e.owner for e, ratio in weight_scales(context) if not 1 / OFF_SCALE < ratio < OFF_SCALE]


def initial_weights(context: DiagnosisContext) -> list[Symptom]:
    """Looks for weights that start too large, too small or all equal, and for biases that outweigh them."""
    if context.trained:
        return []
    found = [*_equal_units(context), *_biases(context), *_scale(context)]
    if found:
        return found
    ratios = [ratio for _, ratio in weight_scales(context)]
    if not ratios:
        return []
    span = f"{min(ratios):.2g}" if len(ratios) == 1 else f"{min(ratios):.2g} to {max(ratios):.2g}"
    figure = f"weights start at {span} times the size that keeps signals at theirs"
    return [Symptom("weights", "", figure, "ok")]


def _scale(context: DiagnosisContext) -> Iterator[Symptom]:
    """Looks for the tensor that is farthest from its right size."""
    wrong = [(e, ratio) for e, ratio in weight_scales(context) if ratio > 0 and not 1 / OFF_SCALE < ratio < OFF_SCALE]
    if not wrong:
        return
    e, ratio = max(wrong, key=lambda each: abs(math.log(each[1])))
    figure = f"{e.path} starts {ratio:.3g} times as large as keeps signals at their size ({e.init.kind})"
    more = len(wrong) - 1
    figure += f", and {more} more {'is' if more == 1 else 'are'} off" if more else ""
    fading, growing = "signals die away from layer to layer", "signals grow from layer to layer, and units saturate"
    why = fading if ratio < 1 else growing
    found = tuple(remedies.default_initializers(context, [each.owner for each, _ in wrong]))
    yield Symptom("weights", e.path, figure, "warning", why, found, ratio, "size of the weights, over the right one")


def _equal_units(context: DiagnosisContext) -> Iterator[Symptom]:
    """Looks for hidden layers whose units all start with the same weights."""
    matrices = [(_layer_index(context, e), e) for e in context.network_plan.layout if e.param.decays]
    found: list[ParamLayout] = []
    for index, e in matrices:
        units = context.theta[e.where].reshape(math.prod(e.shape[:-1]), e.shape[-1])
        hidden = any(other > index for other, _ in matrices)
        if hidden and e.shape[-1] > 1 and (units == units[:, :1]).all():
            found.append(e)
    if not found:
        return
    first, more = found[0], len(found) - 1
    figure = f"all {first.shape[-1]} units of {first.owner.path} start with the same weights ({first.init.kind})"
    figure += f", and so do those of {more} more layer{'s' * (more != 1)}" if more else ""
    why = "equal units get equal gradients and stay equal: the layer never has more than one unit"
    options = tuple(remedies.default_initializers(context, [e.owner for e in found]))
    value = float(len(found))
    yield Symptom("weights", first.path, figure, "warning", why, options, value, "layers whose units start alike")


def _biases(context: DiagnosisContext) -> Iterator[Symptom]:
    """Looks for biases that outweigh what rows make of a unit's input."""
    assert context.layer_stats, "the probe has looked"
    outputs = {bound.path: bound.frame.y for bound in context.probe.batch.chain.walk()}
    plan = context.network_plan
    inner = [n.path for n in plan.walk() if any(e.owner is n and e.param.decays for e in plan.layout)]
    for e in plan.layout:
        if e.param.decays or e.owner.path not in inner[:-1]:
            continue
        size = math.sqrt(float(np.mean(np.square(context.theta[e.where]))))
        with np.errstate(all="ignore"):
            moved = math.sqrt(float(outputs[e.owner.path].var(axis=0).mean()))
        if size > 0 and size > BIAS_RATIO * moved:
            figure = f"{e.path} starts at {size:.3g}, and rows move these units by {moved:.2g}"
            why = "the bias decides alone whether a unit is open: all rows look the same to it"
            bias = getattr(e.owner.layer, "bias", None)
            found = (Remedy((f"{remedies.setting_path(e.owner.loc, 'bias')}=true",), "let biases start at 0"),)
            sure = isinstance(bias, tuple)
            yield Symptom("weights", e.path, figure, "warning", why, found if sure else (), size, "size of the biases")
