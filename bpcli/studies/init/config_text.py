"""A first experiment as a file that explains itself."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from bpcli.config.dump import flow
from bpcli.studies.init.columns import FileColumn
from bpcli.studies.init.inspect import MIN_IMBALANCE, Inspection


def schema_line(file: str) -> str:
    """Returns the first line of a config, which tells editors where its JSON Schema is."""
    return f"# yaml-language-server: $schema={file}"


SCHEMA_LINE = schema_line("./bpcli.schema.json")
MIN_ROWS_TO_VALIDATE = 500  # of fewer, none are kept from training to say when to stop
MANY_ROWS = 100_000  # from which on few epochs are enough
WATCHED = "capped_loss"  # what says when to stop: the loss, but that a mistyped cell cannot rule
MAX_COLUMNS_LISTED = 40  # columns of a table
MAX_SETTINGS_LENGTH = 100  # characters of a line of settings

ExampleTask = Literal["classify", "regress", "images"]

SIZES: Sequence[tuple[int, tuple[int, ...], int, int]] = (
    (500, (32,), 16, 100),
    (5_000, (64, 32), 32, 60),
    (100_000, (128, 64), 128, 30),
    (1 << 62, (128, 64), 512, 8),
)
"""By the greatest number of rows: hidden units, rows of a batch, epochs. More rows need fewer passes."""


def config_text(data: Inspection, name: str, command: str, seed: int | None = None, remarks: Sequence[str] = ()) -> str:
    """Returns the YAML of an experiment on inspected data, for the file `name`.yaml, made by `command`; `remarks` are
    lines of a comment below what its columns are."""
    rows = SIZES[next(i for i, size in enumerate(SIZES) if data.rows <= size[0])]
    head = [SCHEMA_LINE, *_heading(data, command)]
    head += ["#", *(f"# {_one_line(remark)}".rstrip() for remark in remarks)] if remarks else []
    head += [f"name: {flow(name)}"]
    head += [f"seed: {seed}                       # of the split, the weights and the order of rows"] if seed else []
    return "\n".join([*head, *_data(data), *_network(data, rows[1]), *_loss(data), *_learning(data, rows), ""])


def _heading(data: Inspection, command: str) -> list[str]:
    lines = [
        f"# Made by `{_one_line(command)}`",
        f"# from {data.rows:,} rows. It is a first guess: change what you know better.",
    ]
    lines += [f"# {_one_line(remark)}" for remark in data.remarks]
    shown = data.columns[:MAX_COLUMNS_LISTED]
    if shown:
        cells = [tuple(map(_one_line, (c.name, c.kind, c.holds, _treatment(c)))) for c in shown]
        cut = [[cell if len(cell) <= 32 else cell[:29] + "..." for cell in row[:3]] for row in cells]
        widths = [max(len(row[k]) for row in cut) for k in range(3)]
        lines.append("#")
        for row, full in zip(cut, cells, strict=True):
            padded = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            lines.append(f"#   {padded}  {full[3]}")
    if len(data.columns) > MAX_COLUMNS_LISTED:
        left = len(data.columns) - MAX_COLUMNS_LISTED
        lines.append(f"#   and {left} more: `bpcli check --json` shows what is done with each")
    return lines


def _one_line(text: str) -> str:
    """Returns the text on one line, as a comment needs it."""
    return "".join(c if c.isprintable() else " " for c in text)


def _treatment(column: FileColumn) -> str:
    missing = f"; {100 * column.missing:.3g} % missing" if column.missing and not column.dropped else ""
    return column.treatment + missing


def _data(data: Inspection) -> list[str]:
    lines = ["data:"]
    lines += _source(data)
    validates = data.rows >= MIN_ROWS_TO_VALIDATE
    test = 0.1 if data.rows >= 100_000 else 0.15 if validates else 0.2
    if validates:
        share = "0.05" if data.rows >= 100_000 else "0.15"
        lines.append(f"  validation: {share.ljust(15)} # of the rows: they say when to stop")
    if data.rows >= 50:
        lines.append(f"  test: {str(test).ljust(21)} # for the final judgement, `bpcli eval`")
        if not validates:
            lines.append("  # validation: 0.15          # few rows: all but the test rows are learned from")
    else:
        lines.append("  # too few rows for a test split; `bpcli train FILE --folds 5` tests on all of them in turn")
    for name in data.dates[:1]:
        lines.append(f"  # split: {flow({'time': name})}    # to be judged on the latest rows, as a forecast is")
    if data.pixels:
        lines.append("  scale: {type: standardize, per: all}    # pixels share one scale")
        lines.append("  augment: [{type: shift, pixels: 1}]     # and flip, where a mirrored image means the same")
    else:
        lines.append(
            "  scale: standardize          # numbers to mean 0 and deviation 1, learned from the training rows"
        )
    if data.task == "regress":
        lines.append("  scale_target: standardize   # metrics stay in the target's own units")
    return lines


def _source(data: Inspection) -> list[str]:
    """Returns the training source, on one line where it fits."""
    source = dict(data.source)
    if data.targets:
        target = list(data.targets) if len(data.targets) > 1 else data.targets[0]
        source = {"type": source.pop("type"), "path": source.pop("path"), "target": target, **source}
        source["target"] = target
    line = f"  train: {flow(source)}"
    if len(line) <= MAX_SETTINGS_LENGTH and not source.keys() & {"drop", "missing", "unseen", "columns"}:
        return [line]
    why = {"drop": "what says nothing about rows to come",
           "missing": "of the training rows, for gaps in later files too",
           "indicator": "an input says where a value is missing",
           "unseen": "a category that train does not have counts as none of its own"}  # fmt: skip
    lines = ["  train:"]
    for key, value in source.items():
        lines += _setting(key, value, why.get(key, ""))
    return lines


def _setting(key: str, value: Any, why: str) -> list[str]:
    line = f"    {key}: {flow(value)}"
    if isinstance(value, Mapping):
        return [f"    {key}:", *(f"      {flow({k: v})[1:-1]}" for k, v in value.items())]
    if len(line) > MAX_SETTINGS_LENGTH and isinstance(value, list):
        head = f"    {key}:" + (f"  # {why}" if why else "")
        return [head, *(f"      - {flow(item)}" for item in value)]
    return [line + (f"    # {why}" if why else "")]


def _network(data: Inspection, hidden: tuple[int, ...]) -> list[str]:
    lines = ["architecture:"]
    if len(data.shape) == 3:
        return [*lines, *_convolutions(data)]
    if len(data.shape) > 1:
        lines.append("  - flatten")
    lines += [f"  - {{type: dense, units: {units}, activation: relu}}" for units in hidden]
    what = "label" if data.several else "class" if data.task == "classify" else "target"
    return [*lines, f"  - {{type: dense, units: {data.outputs}}}    # an output for each {what}"]


def _convolutions(data: Inspection) -> list[str]:
    """Returns pairs of convolution and pooling down to a few pixels."""
    side, filters, lines = min(data.shape[:2]), 16, []
    while side >= 8 and filters <= 64:
        lines += [f"  - {{type: conv2d, filters: {filters}, kernel: 3, padding: same, bias: false}}", "  - batch_norm",
                  "  - relu", "  - {type: max_pool2d, size: 2}"]  # fmt: skip
        side, filters = side // 2, filters * 2
    lines += ["  - global_avg_pool" if side > 4 else "  - flatten", "  - {type: dropout, rate: 0.2}"]
    return [*lines, f"  - {{type: dense, units: {data.outputs}}}    # an output for each class"]


def _loss(data: Inspection) -> list[str]:
    if data.task == "regress":
        return ["loss: mean_squared_error      # huber where single rows are far off"]
    if data.several:
        return ["loss: binary_cross_entropy    # a row may have several labels"]
    if data.imbalance < MIN_IMBALANCE:
        return ["loss: softmax_cross_entropy"]
    most, least = (pick(data.classes, key=data.classes.__getitem__) for pick in (max, min))
    counts = f"{data.classes[most]:,} rows of {_one_line(most)[:24]}, "
    counts += f"{data.classes[least]:,} of {_one_line(least)[:24]}"
    return [
        f"# {counts}: judge by f1 and by the recall of each class (`bpcli eval`), not by accuracy.",
        "# Where a small class that is missed costs more than a false alarm, let its rows weigh more:",
        "# loss: {type: softmax_cross_entropy, class_weights: balanced}",
        "loss: softmax_cross_entropy",
    ]


def _learning(data: Inspection, rows: tuple[int, tuple[int, ...], int, int]) -> list[str]:
    _, _, batch, epochs = rows
    strength = min(0.05, max(1e-5, float(f"{20 / data.rows:.1g}")))
    lines = []
    if not data.pixels:
        lines.append(f"regularization: {{type: l2, strength: {flow(strength)}}}    # the fewer rows, the stronger")
    start = 0.003 if data.rows < 100_000 else 0.001
    lines.append(f"optimizer: {{type: adam, learning_rate: {{type: cosine, start: {start}}}}}")
    passes = "    # so many rows teach enough in a few passes" if data.rows > MANY_ROWS else ""
    lines += ["training:", f"  epochs: {epochs}{passes}", f"  batch_size: {batch}"]
    lines.append(f"  metrics: {flow(_metrics(data))}")
    if data.rows >= MIN_ROWS_TO_VALIDATE:
        patience = max(5, epochs // 4)
        lines.append(
            f"  early_stopping: {{metric: validation.{WATCHED}, patience: {patience}}}    # and the best epoch is kept"
        )
    return lines


def _metrics(data: Inspection) -> list[str]:
    found = ["accuracy"] if data.imbalance < 3 and not data.several else ["accuracy", "f1"]
    found = ["r2", "mae"] if data.task == "regress" else found
    return [*found, WATCHED] if data.rows >= MIN_ROWS_TO_VALIDATE else found


CURVE_OR_CLASSES = """\
{head}
# A first experiment on made-up data: {what} For data of your own, begin with
#   bpcli init FILE.csv --target COLUMN
name: {name}
data:
  train: {{type: synthetic, shape: {shape}, rows: 600, noise: {noise}}}
  # train: {{type: csv, path: FILE.csv, target: COLUMN}}    # the path is relative to this file
  validation: 0.2             # of the rows: they say when to stop
  test: 0.2                   # for the final judgement, `bpcli eval`
  scale: standardize          # numbers to mean 0 and deviation 1, learned from the training rows
{scale_target}architecture:
  - {{type: dense, units: 16, activation: {activation}}}
  - {{type: dense, units: 16, activation: {activation}}}
  - {{type: dense, units: {outputs}}}    # an output for each {output}
loss: {loss}
optimizer: {{type: adam, learning_rate: 0.01}}
training:
  epochs: {epochs}
  batch_size: 32
  metrics: {metrics}
  early_stopping: {{metric: validation.loss, patience: {patience}}}    # and the best epoch is kept
"""

EXAMPLES: Mapping[str, Mapping[str, object]] = {
    "classify": {
        "what": "on which of two half moons does a point lie?", "shape": "moons", "noise": 0.2, "scale_target": "",
        "activation": "relu", "outputs": 2, "output": "class", "loss": "softmax_cross_entropy", "epochs": 60,
        "metrics": "[accuracy]", "patience": 15,
    },
    "regress": {
        "what": "a period of the sine, with noise.", "shape": "sine", "noise": 0.1,
        "scale_target": "  scale_target: standardize   # metrics stay in the target's own units\n",
        "activation": "tanh", "outputs": 1, "output": "target", "loss": "mean_squared_error", "epochs": 100,
        "metrics": "[r2, mae]", "patience": 20,
    },
}  # fmt: skip
"""What the two tasks put into the same text."""

IMAGES = """\
{head}
# A first experiment on images: the 8 x 8 digits that come with bpcli (`bpcli examples digits` puts them here). For
# images of your own, in a folder with a folder of each class inside it, begin with
#   bpcli init FOLDER
name: {name}
data:
  train: {{type: csv, path: datasets/digits/digits.csv, target: digit}}
  # train: {{type: images, path: FOLDER, mode: rgb, size: [64, 64]}}    # then without the reshape below
  validation: 0.1             # of the rows: they say how it goes
  test: 0.2                   # for the final judgement, `bpcli eval`
  scale: {{type: standardize, per: all}}    # pixels share one scale
  augment: [{{type: rotate, degrees: 15}}]  # and flip, where a mirrored image means the same
architecture:
  - {{type: reshape, shape: [8, 8, 1]}}     # height, width, channels
  - {{type: conv2d, filters: 16, kernel: 3, padding: same, bias: false}}    # batch_norm shifts: a bias would be lost
  - batch_norm
  - relu
  - {{type: max_pool2d, size: 2}}
  - {{type: conv2d, filters: 32, kernel: 3, padding: same, bias: false}}
  - batch_norm
  - relu
  - flatten
  - {{type: dropout, rate: 0.2}}
  - {{type: dense, units: 10}}    # an output for each class
loss: softmax_cross_entropy
optimizer: {{type: adam, learning_rate: {{type: one_cycle, peak: 0.01}}}}
training:
  epochs: 15
  batch_size: 64
  metrics: [accuracy]
"""


def example_text(task: ExampleTask, name: str) -> str:
    """Returns an example of a task on made-up or bundled data, for the file `name`.yaml."""
    template, differing = (IMAGES, {}) if task == "images" else (CURVE_OR_CLASSES, EXAMPLES[task])
    return template.format(head=SCHEMA_LINE, name=flow(name), **differing)
