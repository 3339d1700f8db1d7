"""What an experiment cannot say, in its file or by --set."""

from __future__ import annotations

from cli_lab import Case

CASES = [
    Case(
        "an unknown key",
        """\
error: architecture.0.colour: unknown key [unknown-key]
--> trees.yaml:7:29
  |
6 | architecture:
7 |   - {type: dense, units: 4, colour: 3, activation: tanh}
  |                             ^^^^^^
  = help: known here: name, type, units, activation, init, weights, bias, regularization, constraint
""",
        changes=[("units: 4", "units: 4, colour: 3")],
    ),
    Case(
        "a misspelled setting",
        """\
error: architecture.0.unit: unknown key [unknown-key]
--> trees.yaml:7:19
  |
6 | architecture:
7 |   - {type: dense, unit: 4, activation: tanh}
  |                   ^^^^ help: did you mean `units`?
""",
        changes=[("units: 4", "unit: 4")],
    ),
    Case(
        "names of layers that are taken or begin with a digit",
        """\
error: architecture.0.name: a layer's name is letters, digits and `_`, begins with a letter, and is none of data, loss, penalty, state [layer-name]
--> trees.yaml:7:53
  |
6 | architecture:
7 |   - {type: dense, units: 4, activation: tanh, name: penalty}
  |                                                     ^^^^^^^

error: architecture.1.name: a layer's name is letters, digits and `_`, begins with a letter, and is none of data, loss, penalty, state [layer-name]
--> trees.yaml:8:35
  |
7 |   - {type: dense, units: 4, activation: tanh, name: penalty}
8 |   - {type: dense, units: 2, name: 2nd}
  |                                   ^^^
""",  # noqa: E501
        changes=[("activation: tanh", "activation: tanh, name: penalty"), ("units: 2", "units: 2, name: 2nd")],
    ),
    Case(
        "a mistake in the only layer",
        """\
error: architecture.0: unknown layer `rleu` [unknown-type]
--> trees.yaml:7:5
  |
6 | architecture:
7 |   - rleu
  |     ^^^^ help: did you mean `relu`? (a part of your own: --with FILE.py)
""",
        changes=[("  - {type: dense, units: 4, activation: tanh}\n", ""), ("{type: dense, units: 2}", "rleu")],
    ),
    Case(
        "a misspelled section",
        """\
error: architekture: unknown key [unknown-key]
--> trees.yaml:6:1
  |
5 |   scale: standardize
6 | architekture:
  | ^^^^^^^^^^^^ help: did you mean `architecture`?
""",
        changes=[("architecture:", "architekture:")],
    ),
    Case(
        "a missing key",
        """\
error: loss: this key is required [missing-key]
--> trees.yaml
  = help: add `loss`: what training lowers
""",
        changes=[("loss: softmax_cross_entropy\n", "")],
    ),
    Case(
        "a missing setting of a part",
        """\
error: architecture.1.units: this key is required [missing-key]
--> trees.yaml:8:5
  |
7 |   - {type: dense, units: 4, activation: tanh}
8 |   - dense
  |     ^^^^^ help: add `units`: how many outputs
""",
        changes=[("{type: dense, units: 2}", "dense")],
    ),
    Case(
        "text for a number",
        """\
error: architecture.0.units: expected a whole number, got the text 'four' [wrong-type]
--> trees.yaml:7:26
  |
6 | architecture:
7 |   - {type: dense, units: four, activation: tanh}
  |                          ^^^^
""",
        changes=[("units: 4", "units: four")],
    ),
    Case(
        "a fraction for a whole number",
        """\
error: training.epochs: expected a whole number, got the number 3.5 [wrong-type]
 --> trees.yaml:10:20
   |
 9 | loss: softmax_cross_entropy
10 | training: {epochs: 3.5, batch_size: 4}
   |                    ^^^
""",
        changes=[("epochs: 3", "epochs: 3.5")],
    ),
    Case(
        "true for a number",
        """\
error: training.epochs: expected a whole number, got true [wrong-type]
 --> trees.yaml:10:20
   |
 9 | loss: softmax_cross_entropy
10 | training: {epochs: true, batch_size: 4}
   |                    ^^^^
""",
        changes=[("epochs: 3", "epochs: true")],
    ),
    Case(
        "an unknown activation",
        """\
error: architecture.0.activation: unknown activation `tahn` [unknown-type]
--> trees.yaml:7:41
  |
6 | architecture:
7 |   - {type: dense, units: 4, activation: tahn}
  |                                         ^^^^
  = help: did you mean `tanh`? (a part of your own: --with FILE.py)
""",
        changes=[("tanh", "tahn")],
    ),
    Case(
        "an unknown loss",
        """\
error: loss: unknown loss `softmax_cros_entropy` [unknown-type]
--> trees.yaml:9:7
  |
8 |   - {type: dense, units: 2}
9 | loss: softmax_cros_entropy
  |       ^^^^^^^^^^^^^^^^^^^^
  = help: did you mean `softmax_cross_entropy`? (a part of your own: --with FILE.py)
""",
        changes=[("softmax_cross_entropy", "softmax_cros_entropy")],
    ),
    Case(
        "an infinite seed",
        """\
error: seed: expected a whole number, got the number inf [wrong-type]
--> trees.yaml:2:7
  |
1 | name: trees
2 | seed: .inf
  |       ^^^^
""",
        changes=[("seed: 1", "seed: .inf")],
    ),
    Case(
        "--set with a value out of range",
        """\
error: optimizer.learning_rate: must be greater than 0, got -1 [out-of-range]
--> --set optimizer.learning_rate=-1
  |
1 | optimizer.learning_rate=-1
  |                         ^^
""",
        words="check trees.yaml --set optimizer.learning_rate=-1",
    ),
    Case(
        "--set with a fraction above 1",
        """\
error: data.validation: a fraction of the training rows lies between 0 and 1, and 1.5 does not [share]
--> --set data.validation=1.5
  |
1 | data.validation=1.5
  |                 ^^^
""",
        words="check trees.yaml --set data.validation=1.5",
    ),
    Case(
        "two goals",
        """\
error: training.stop_when: give one goal: `at_least` or `at_most` [goal]
 --> trees.yaml:10:49
   |
 9 | ...opy
10 | ...tch_size: 4, stop_when: {metric: train.accuracy, at_least: 1, at_mos...
   |                            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
""",
        changes=[("batch_size: 4", "batch_size: 4, stop_when: {metric: train.accuracy, at_least: 1, at_most: 2}")],
    ),
    Case(
        "no units",
        """\
error: architecture.0.units: must be greater than 0, got 0 [out-of-range]
--> trees.yaml:7:26
  |
6 | architecture:
7 |   - {type: dense, units: 0, activation: tanh}
  |                          ^
""",
        changes=[("units: 4", "units: 0")],
    ),
    Case(
        "--set without a value",
        """\
error: this is not `key=value` [bad-override]
--> --set foo
  |
1 | foo
  | ^^^
  = help: write `--set key=value`, with dots between keys: `--set optimizer.learning_rate=0.01`
""",
        code=2,
        words="check trees.yaml --set foo",
    ),
    Case(
        "--set of an unknown key",
        """\
error: optimizer.lr: unknown key [unknown-key]
--> --set optimizer.lr=0.1
  |
1 | optimizer.lr=0.1
  |           ^^ help: did you mean `learning_rate`?
""",
        words="check trees.yaml --set optimizer.lr=0.1",
    ),
    Case(
        "--set beyond a list",
        """\
error: architecture.7: `architecture` is a list of 2 items, numbers 0 to 1; got `7` [no-such-item]
--> --set architecture.7.units=3
  |
1 | architecture.7.units=3
  |              ^
""",
        words="check trees.yaml --set architecture.7.units=3",
    ),
    Case(
        "--set inside a number",
        """\
error: seed.x: `seed` is the number 1: it has no settings [no-such-key]
--> --set seed.x=3
  |
1 | seed.x=3
  |      ^
""",
        words="check trees.yaml --set seed.x=3",
    ),
    Case(
        "--set of what is not YAML",
        """\
error: this `[` is never closed [not-yaml]
--> --set seed=[1
  |
1 | seed=[1
  |      ^ help: add `]` where it ends
""",
        words="check trees.yaml --set 'seed=[1'",
    ),
    Case(
        "three mistakes at once",
        """\
error: architecture.0.unit: unknown key [unknown-key]
--> trees.yaml:7:19
  |
6 | architecture:
7 |   - {type: dense, unit: 4, activation: tahn}
  |                   ^^^^ help: did you mean `units`?

error: architecture.0.activation: unknown activation `tahn` [unknown-type]
--> trees.yaml:7:40
  |
6 | architecture:
7 |   - {type: dense, unit: 4, activation: tahn}
  |                                        ^^^^
  = help: did you mean `tanh`? (a part of your own: --with FILE.py)

error: training.epochs: expected a whole number, got the text 'three' [wrong-type]
 --> trees.yaml:10:20
   |
 9 | loss: softmax_cross_entropy
10 | training: {epochs: three, batch_size: 4}
   |                    ^^^^^
""",
        changes=[("units: 4", "unit: 4"), ("epochs: 3", "epochs: three"), ("tanh", "tahn")],
    ),
]
