"""Changes of the experiment that help, as `--set` writes them; none where the experiment has them already."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bpcli.config.dump import flow
from bpcli.engine.network_plan import PlannedLayer
from bpcli.family import Activation, GradientOptimizer, Layer, Schedule
from bpcli.records.diagnose import Remedy
from bpcli.studies.diagnose.diagnosis_context import DiagnosisContext
from bpcli.studies.run.layer_stats import slope_and_ends

PEAK_SETTINGS = ("peak", "start", "value")
"""The settings in which schedules hold their greatest rate."""

MIN_BATCH_NORM_ROWS = 8  # of a batch: statistics over fewer say little


def rounded(value: float) -> float:
    """Returns the number nearest by ratio that is 1, 2 or 5 times a power of ten."""
    if not 0 < value < math.inf:
        return value
    scale = 10.0 ** math.floor(math.log10(value))
    nearest = min((1.0, 2.0, 5.0, 10.0), key=lambda m: abs(math.log(value / scale / m)))
    return float(f"{nearest * scale:.1g}")


def setting_path(loc: Sequence[str | int], *more: str) -> str:
    """Returns the path of a setting, with dots."""
    return ".".join(map(str, (*loc, *more)))


def set_rate(context: DiagnosisContext, value: float, text: str) -> list[Remedy]:
    """Returns another learning rate, in the setting that holds the greatest rate of the schedule."""
    if context.gradient_optimizer is None:
        return []
    path, schedule = "optimizer.learning_rate", context.gradient_optimizer.learning_rate
    while hasattr(schedule, "then"):
        path, schedule = f"{path}.then", schedule.then
    name = next((n for n in PEAK_SETTINGS if hasattr(schedule, n)), "value")
    alone = type(schedule) is type(Schedule.parse(1.0))  # what a number by itself stands for
    path = path if alone else f"{path}.{name}"
    return [Remedy((f"{path}={flow(rounded(value))}",), text)]


def clip_gradient(context: DiagnosisContext) -> list[Remedy]:
    """Returns a bound on the gradient."""
    if context.experiment.clipping is not None or context.gradient_optimizer is None:
        return []
    return [Remedy(("clipping={type: global_norm, max_norm: 1.0}",), "clip the gradient: no step can be huge")]


def use_adam(context: DiagnosisContext) -> list[Remedy]:
    """Returns an optimizer that gives every weight a rate of its own, in place of one with a single rate."""
    optimizer = context.experiment.optimizer
    if not isinstance(optimizer, GradientOptimizer) or not optimizer.one_rate:
        return []
    return [Remedy(("optimizer={type: adam, learning_rate: 0.001}",), "adam gives every weight a step of its own size")]


def scale_inputs(context: DiagnosisContext) -> list[Remedy]:
    """Returns the remedy that shifts and scales inputs."""
    if context.preprocessor.scaling is not None:
        return []
    images = len(context.network_plan.x) > 1 or math.prod(context.network_plan.x) >= 64
    kind = "{type: standardize, per: all}" if images and not context.preprocessor.columns else "standardize"
    return [Remedy((f"data.scale={kind}",), "every input to mean 0 and deviation 1, learned from the training rows")]


def scale_targets(context: DiagnosisContext) -> list[Remedy]:
    """Returns the remedy that shifts and scales targets."""
    if context.preprocessor.target_scaling is not None:
        return []
    text = "train on targets of deviation 1; metrics stay in their own units"
    return [Remedy(("data.scale_target=standardize",), text)]


def default_initializers(context: DiagnosisContext, nodes: Sequence[PlannedLayer]) -> list[Remedy]:
    """Returns the default initializers, for layers with others in the file."""
    sets = []
    for node in nodes:
        for name in ("init", "weights"):
            if getattr(node.layer, name, None) is not None:
                sets.append(f"{setting_path(node.loc, name)}=null")
    text = "leave `init` out: weights then start as suits the activation behind them"
    return [Remedy(tuple(sets), text)] if sets else []


def small_last_layer(context: DiagnosisContext) -> list[Remedy]:
    """Returns a last layer that starts small."""
    last = [n for n in context.network_plan.layers if n.trainable][-1]
    if not _takes(last.layer, "init"):
        return []
    text = "let the last layer start small: the network then begins by knowing nothing"
    return [Remedy((f"{setting_path(last.loc, 'init')}={{type: normal, std: 0.01}}",), text)]


def _takes(layer: Layer, setting: str) -> bool:
    """Whether a layer is fully connected and takes this setting; none where its weights are given by value."""
    return layer.fully_connected and hasattr(layer, setting) and getattr(layer, "weights", None) is None


def hidden_activations(context: DiagnosisContext) -> Iterator[PlannedLayer]:
    """Yields the activations before the last layer that learns."""
    for node in _hidden_layers(context):
        yield from (n for n in node.walk() if isinstance(n.layer, Activation))


def _hidden_layers(context: DiagnosisContext) -> Sequence[PlannedLayer]:
    layers = context.network_plan.layers
    return layers[: max(i for i, node in enumerate(layers) if node.trainable)]


def replace_activations(context: DiagnosisContext, kind: str, text: str) -> list[Remedy]:
    """Returns relu in place of all hidden activations with two flat ends, or leaky_relu in place of those with one."""
    flat = {"relu": ("both",), "leaky_relu": ("one",)}[kind]
    sets = []
    for node in hidden_activations(context):
        assert isinstance(node.layer, Activation)
        if slope_and_ends(node.layer)[1] in flat:
            sets.append(f"{setting_path(node.loc)}{'.activation' if node.path.endswith('.activation') else ''}={kind}")
    return [Remedy(tuple(sets), text)] if sets else []


def add_norms(context: DiagnosisContext) -> list[Remedy]:
    """Returns a norm between every hidden layer and its activation: over the rows of a batch, which makes each unit
    differ from row to row, or over the units where a batch is too small for that."""
    nodes = list(context.network_plan.walk())
    if any(node.layer.normalizes or node.inside for node in nodes):
        return []
    size = context.data.get("training", {}).get("batch_size", 32)
    norm = "batch_norm" if size == "full" or size >= MIN_BATCH_NORM_ROWS else "layer_norm"
    text = "normalize what enters each activation, so that signals keep their size at any depth"

    def rebuilt(layer: Mapping[str, Any]) -> list[Any]:
        return [{k: v for k, v in layer.items() if k != "activation"}, norm, layer["activation"]]

    return _rebuild_layers(context, rebuilt, text)


def add_residuals(context: DiagnosisContext) -> list[Remedy]:
    """Returns a residual connection around every hidden layer that keeps the shape."""
    if any(node.inside for node in context.network_plan.layers):
        return []
    keeps = {n.loc[1] for n in context.network_plan.layers if n.plan.params and n.x == n.plan.y}
    text = "let the gradient past each layer: of y = x + F(x) the slope is 1 and more"
    return _rebuild_layers(context, lambda layer: [{"type": "residual", "layers": [layer]}], text, keeps)


def add_dropout(context: DiagnosisContext) -> list[Remedy]:
    """Returns dropout after every hidden layer."""
    if any(node.plan.draws for node in context.network_plan.walk()) or context.gradient_optimizer is None:
        return []
    text = "dropout: no unit can rely on another one being there"
    return _rebuild_layers(context, lambda layer: [layer, {"type": "dropout", "rate": 0.3}], text)


def _rebuild_layers(
    context: DiagnosisContext, rebuild: Callable[[Mapping[str, Any]], list[Any]], text: str, indices: Any = None
) -> list[Remedy]:
    """Returns the architecture as its file has it, with other layers in place of each that has an activation and stands
    at one of `indices` (all but the last); no remedy where there is none."""
    written = list(context.data["architecture"])
    indices = range(len(written) - 1) if indices is None else indices
    layers: list[Any] = []
    for i, item in enumerate(written):
        hidden = isinstance(item, Mapping) and item.get("activation") is not None and i in indices
        layers += rebuild(item) if hidden else [item]
    return [Remedy((f"architecture={flow(layers)}",), text)] if layers != written else []


def widen(context: DiagnosisContext) -> list[Remedy]:
    """Returns twice the units in every hidden layer."""
    inner = [n for n in _hidden_layers(context) if _takes(n.layer, "units")]
    sets = tuple(f"{setting_path(n.loc, 'units')}={2 * n.plan.y[0]}" for n in inner)
    return [Remedy(sets, "twice the units in every hidden layer")] if sets else []
