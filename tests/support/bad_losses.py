"""Losses that do not fit their targets, their classes, or what the network ends in."""

# ruff: noqa: E501  (messages as they are printed)

from __future__ import annotations

from cli_lab import Case

SOFTMAX = "loss: softmax_cross_entropy"
INLINE = "train: {type: csv, path: trees.csv, target: kind}"


def inline(*targets: str) -> tuple[str, str]:
    """Two targets a row, as written."""
    inputs = ", ".join(f"[{i}]" for i in range(len(targets)))
    return INLINE, f"train: {{type: inline, inputs: [{inputs}], targets: [{', '.join(targets)}]}}"


BATCH = ("batch_size: 4", "batch_size: 2")

CASES = [
    Case(
        "label smoothing of 1",
        """\
error: loss.label_smoothing: must be less than 1, got 1 [out-of-range]
--> trees.yaml:9:54
  |
8 |   - {type: dense, units: 2}
9 | loss: {type: softmax_cross_entropy, label_smoothing: 1}
  |                                                      ^
""",
        changes=[(SOFTMAX, "loss: {type: softmax_cross_entropy, label_smoothing: 1}")],
    ),
    Case(
        "a weight for an unknown class",
        """\
error: loss.class_weights: there is no class `oka` to weigh [class-weights]
--> trees.yaml:9:52
  |
8 |   - {type: dense, units: 2}
9 | loss: {type: softmax_cross_entropy, class_weights: {oka: 2.0}}
  |                                                    ^^^^^^^^^^
  = help: did you mean `oak`? the classes are elm, oak
""",
        changes=[(SOFTMAX, "loss: {type: softmax_cross_entropy, class_weights: {oka: 2.0}}")],
    ),
    Case(
        "an alpha for an unknown class",
        """\
error: loss.alpha: there is no class `7` to weigh [class-weights]
--> trees.yaml:9:28
  |
8 |   - {type: dense, units: 2}
9 | loss: {type: focal, alpha: {7: 2.0}}
  |                            ^^^^^^^^ help: the classes are elm, oak
""",
        changes=[(SOFTMAX, "loss: {type: focal, alpha: {7: 2.0}}")],
    ),
    Case(
        "a class weight of 0",
        """\
error: loss.class_weights: the weight of class `oak` must be a number greater than 0, got 0 [class-weights]
--> trees.yaml:9:52
  |
8 |   - {type: dense, units: 2}
9 | loss: {type: softmax_cross_entropy, class_weights: {oak: 0}}
  |                                                    ^^^^^^^^
""",
        changes=[(SOFTMAX, "loss: {type: softmax_cross_entropy, class_weights: {oak: 0}}")],
    ),
    Case(
        "class weights as a list",
        """\
error: loss.class_weights: write a weight for each class, such as {oak: 2.0, elm: 1.0}, or balanced [class-weights]
--> trees.yaml:9:52
  |
8 |   - {type: dense, units: 2}
9 | loss: {type: softmax_cross_entropy, class_weights: [1, 2]}
  |                                                    ^^^^^^
""",
        changes=[(SOFTMAX, "loss: {type: softmax_cross_entropy, class_weights: [1, 2]}")],
    ),
    Case(
        "gamma below 0",
        """\
error: loss.gamma: must be at least 0, got -1 [out-of-range]
--> trees.yaml:9:28
  |
8 |   - {type: dense, units: 2}
9 | loss: {type: focal, gamma: -1}
  |                            ^^
""",
        changes=[(SOFTMAX, "loss: {type: focal, gamma: -1}")],
    ),
    Case(
        "cross_entropy without softmax",
        """\
error: loss: cross_entropy compares probabilities, and the network does not end in a softmax [pairing]
--> trees.yaml:9:7
  |
8 |   - {type: dense, units: 2}
9 | loss: cross_entropy
  |       ^^^^^^^^^^^^^
  = help: write `softmax_cross_entropy`, which holds the softmax, or end the architecture with `softmax`
""",
        changes=[(SOFTMAX, "loss: cross_entropy")],
    ),
    Case(
        "binary targets outside 0 and 1",
        """\
error: loss: binary_cross_entropy takes targets between 0 and 1, and these run from -0.5 to 1 [targets]
--> trees.yaml:9:7
  |
8 |   - {type: dense, units: 2}
9 | loss: binary_cross_entropy
  |       ^^^^^^^^^^^^^^^^^^^^
""",
        changes=[(SOFTMAX, "loss: binary_cross_entropy"), inline("[0, 1]", "[1, -0.5]"), BATCH],
    ),
    Case(
        "hinge targets of -1 and 1",
        """\
error: loss: hinge takes targets 0 and 1, and these hold -1: write 0 in its place [targets]
--> trees.yaml:9:7
  |
8 |   - {type: dense, units: 2}
9 | loss: hinge
  |       ^^^^^
""",
        changes=[(SOFTMAX, "loss: hinge"), inline("[-1, 1]", "[1, -1]"), BATCH],
    ),
    Case(
        "hinge targets between 0 and 1",
        """\
error: loss: squared_hinge takes targets 0 and 1, and these hold 0.5 [targets]
--> trees.yaml:9:7
  |
8 |   - {type: dense, units: 2}
9 | loss: squared_hinge
  |       ^^^^^^^^^^^^^
""",
        changes=[(SOFTMAX, "loss: squared_hinge"), inline("[0, 1]", "[1, 0.5]"), BATCH],
    ),
    Case(
        "Poisson targets below 0",
        """\
error: loss: poisson takes counts, at least 0, and the lowest of these targets is -3 [targets]
--> trees.yaml:9:7
  |
8 |   - {type: dense, units: 2}
9 | loss: poisson
  |       ^^^^^^^
""",
        changes=[(SOFTMAX, "loss: poisson"), inline("[0, 4]", "[2, -3]"), BATCH],
    ),
    Case(
        "Poisson of classes",
        """\
error: loss: poisson wants counts, and the targets are class labels [targets]
--> trees.yaml:9:7
  |
8 |   - {type: dense, units: 2}
9 | loss: poisson
  |       ^^^^^^^ help: for classes there is `softmax_cross_entropy`
""",
        changes=[(SOFTMAX, "loss: poisson")],
    ),
    Case(
        "KL targets that do not sum to 1",
        """\
error: loss: kl_divergence takes distributions, and the targets [0.3, 0.4] sum to 0.7: divide each row by its sum [targets]
--> trees.yaml:9:7
  |
8 |   - {type: dense, units: 2}
9 | loss: kl_divergence
  |       ^^^^^^^^^^^^^
""",
        changes=[(SOFTMAX, "loss: kl_divergence"), inline("[0.5, 0.5]", "[0.3, 0.4]"), BATCH],
    ),
    Case(
        "KL targets below 0",
        """\
error: loss: kl_divergence takes probabilities, and the lowest of these targets is -0.5 [targets]
--> trees.yaml:9:7
  |
8 |   - {type: dense, units: 2}
9 | loss: kl_divergence
  |       ^^^^^^^^^^^^^
""",
        changes=[(SOFTMAX, "loss: kl_divergence"), inline("[0.5, 0.5]", "[1.5, -0.5]"), BATCH],
    ),
    Case(
        "a loss of classes on fractions",
        """\
error: loss: the inline data, row 0 (counted from 0): the targets [0.5, 0.5] are not one 1 among 1 zeros [not-one-hot]
--> trees.yaml:9:7
  |
8 |   - {type: dense, units: 2}
9 | loss: multiclass_hinge
  |       ^^^^^^^^^^^^^^^^
  = help: this loss compares classes: name one target column
""",
        changes=[(SOFTMAX, "loss: multiclass_hinge"), inline("[0.5, 0.5]", "[0.3, 0.7]"), BATCH],
    ),
    Case(
        "a hinge asked for probabilities",
        """\
error: training.metrics.0: log_loss needs probabilities: a loss such as softmax_cross_entropy or binary_cross_entropy gives them [metric]
 --> trees.yaml:10:48
   |
 9 | loss: multiclass_hinge
10 | training: {epochs: 3, batch_size: 4, metrics: [log_loss]}
   |                                                ^^^^^^^^
""",
        changes=[(SOFTMAX, "loss: multiclass_hinge"), ("batch_size: 4", "batch_size: 4, metrics: [log_loss]")],
    ),
]

WARNINGS = [
    Case(
        "softmax twice",
        """\
warning: architecture.2: softmax_cross_entropy holds a softmax of its own: behind this one no class can reach a probability above 0.73 [pairing]
--> trees.yaml:9:5
  |
8 |   - {type: dense, units: 2}
9 |   - softmax
  |     ^^^^^^^ help: leave this softmax out, or write `loss: cross_entropy`
""",
        changes=[("loss:", "  - softmax\nloss:")],
    ),
    Case(
        "softmax before focal",
        """\
warning: architecture.1.activation: focal holds a softmax of its own: behind this one no class can reach a probability above 0.73 [pairing]
--> trees.yaml:8:41
  |
7 |   - {type: dense, units: 4, activation: tanh}
8 |   - {type: dense, units: 2, activation: softmax}
  |                                         ^^^^^^^
  = help: leave this softmax out
""",
        changes=[("units: 2}", "units: 2, activation: softmax}"), (SOFTMAX, "loss: focal")],
    ),
    Case(
        "sigmoid twice",
        """\
warning: architecture.1.activation: binary_cross_entropy holds a sigmoid of its own: behind this one every probability lies between 0.5 and 0.73 [pairing]
--> trees.yaml:8:41
  |
7 |   - {type: dense, units: 4, activation: tanh}
8 |   - {type: dense, units: 1, activation: sigmoid}
  |                                         ^^^^^^^
  = help: leave this sigmoid out
""",
        changes=[("units: 2}", "units: 1, activation: sigmoid}"), (SOFTMAX, "loss: binary_cross_entropy")],
    ),
]
