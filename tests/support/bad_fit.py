"""Data that cannot be read, and experiments that do not fit their data or themselves."""

# ruff: noqa: E501  (messages as they are printed)

from __future__ import annotations

from cli_lab import DATA, Case

CASES = [
    Case(
        "a data file that is not there",
        """\
error: no such file: tree.csv [missing-file]
--> tree.csv
  = help: did you mean `trees.csv`?
""",
        code=66,
        changes=[("trees.csv", "tree.csv")],
    ),
    Case(
        "a folder as the data",
        """\
error: . is a directory, not a file [not-a-file]
--> .
  = help: name a file inside it
""",
        changes=[("path: trees.csv", "path: .")],
    ),
    Case(
        "a column that is not there",
        """\
error: target: the file has no column `kin` [missing-column]
--> trees.csv
  = help: did you mean `kind`? The columns are width, height, kind
""",
        changes=[("target: kind", "target: kin")],
    ),
    Case(
        "text in a numeric column",
        """\
error: column `height`: `tall` is not a number [not-a-number]
--> trees.csv:7:5
  |
7 | 6.0,tall,elm
  |     ^^^^
  = help: if it stands for no value, leave the cell empty, or write `missing_values: [tall]`; if the column holds text, write `text: [height]`; to leave the column out, write `drop: [height]`
""",
        files={"trees.csv": DATA.replace("6.0,2.5", "6.0,tall")},
    ),
    Case(
        "an empty cell",
        """\
error: column `height` has no value here (an empty cell) [missing-value]
--> trees.csv:7:5
  |
7 | 6.0,,elm
  |     ^
  = help: `missing: drop` leaves such rows out, `missing: median` (mean, mode) fills them in; to leave the column out, write `drop: [height]`
""",
        files={"trees.csv": DATA.replace("6.0,2.5", "6.0,")},
    ),
    Case(
        "nan in the data",
        """\
error: column `height`: `nan` is not a finite number [not-finite]
--> trees.csv:7:5
  |
7 | 6.0,nan,elm
  |     ^^^
  = help: `missing: drop` leaves such rows out, `missing: median` (mean, mode) fills them in; to leave the column out, write `drop: [height]`
""",
        files={"trees.csv": DATA.replace("6.0,2.5", "6.0,nan")},
    ),
    Case(
        "a row that is too long",
        """\
error: this row has 4 cells, 3 expected [ragged-row]
--> trees.csv:7
  |
7 | 6.0,2.5,3.5,elm
  | ^ help: a cell that contains the delimiter must stand in quotes
""",
        files={"trees.csv": DATA.replace("6.0,2.5", "6.0,2.5,3.5")},
    ),
    Case(
        "a row that is too short",
        """\
error: this row has 2 cells, 3 expected [ragged-row]
--> trees.csv:7
  |
7 | 6.0,elm
  | ^
  = help: write all cells of the row, empty ones too: a delimiter between each two; or remove the row
""",
        files={"trees.csv": DATA.replace("6.0,2.5,elm", "6.0,elm")},
    ),
    Case(
        "an empty data file",
        """\
error: the file is empty [empty-file]
--> trees.csv
  = help: it needs a header line and rows of data
""",
        files={"trees.csv": ""},
    ),
    Case(
        "a header without rows",
        """\
error: the file has a header but no rows [no-rows]
--> trees.csv
  = help: add rows of data below the header
""",
        files={"trees.csv": "width,height,kind\n"},
    ),
    Case(
        "a single row",
        """\
error: the training rows hold a single class, `a` [one-class]
--> trees.csv
  = help: add rows of another class, or write one-hot targets
""",
        files={"trees.csv": "width,height,kind\n1,2,a\n"},
    ),
    Case(
        "no header",
        """\
error: the first line looks like data, not like a header: 1.0, 2.0, oak [no-header]
--> trees.csv:1
  = help: if the file has no header, add a line with the names of its columns, or `header: false`; if these are column names, add `header: true`
""",
        files={"trees.csv": DATA.split("\n", 1)[1]},
    ),
    Case(
        "binary data",
        """\
error: the text is not UTF-8 [not-utf8]
--> trees.csv:2
  = help: save it as UTF-8 (a spreadsheet calls that `CSV UTF-8`), or say what it is by `encoding`, if it is text at all
""",
        files={"trees.csv": bytes(range(256))},
    ),
    Case(
        "a .gz that is none",
        """\
error: this is not a gzip file [not-gzip]
--> trees.csv.gz
  = help: a file that is not compressed must not be called .gz
""",
        changes=[("trees.csv", "trees.csv.gz")],
        files={"trees.csv.gz": DATA},
    ),
    Case(
        "a fraction that leaves nothing to learn from",
        """\
error: data.validation: 8 rows cannot be divided: 8 for validation leaves none to learn from [too-few-rows]
--> --set data.validation=0.95
  |
1 | data.validation=0.95
  |                 ^^^^
  = help: give more rows, a source of its own for validation and test, or leave one of them out
""",
        words="check trees.yaml --set data.validation=0.95",
    ),
    Case(
        "a branch that changes the shape",
        """\
error: architecture.1: residual_1: the branch turns rows of shape (4,) into (7,), and they are added [shape]
--> trees.yaml:8:5
  |
7 |   - {type: dense, units: 4, activation: tanh}
8 |   - {type: residual, layers: [{type: dense, units: 7}]}
  |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  = help: a residual branch must keep the shape: change the units of its last layer, or add a `projection`
""",
        changes=[
            (
                "  - {type: dense, units: 2}",
                "  - {type: residual, layers: [{type: dense, units: 7}]}\n  - {type: dense, units: 2}",
            )
        ],
    ),
    Case(
        "weights by value of another shape",
        """\
error: architecture.1: dense_2: the weights are given as 2 x 2 and must be 4 x 2 [shape]
--> trees.yaml:8:5
  |
7 |   - {type: dense, units: 4, activation: tanh}
8 |   - {type: dense, units: 2, weights: [[1, 2], [3, 4]]}
  |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  = help: one row for each input, one column for each unit
""",
        changes=[("units: 2}", "units: 2, weights: [[1, 2], [3, 4]]}")],
    ),
    Case(
        "an output too many",
        """\
error: architecture.1.units: the network has 3 outputs and the data has 2 classes [outputs]
--> trees.yaml:8:26
  |
7 |   - {type: dense, units: 4, activation: tanh}
8 |   - {type: dense, units: 3}
  |                          ^
  = help: the last layer needs `units: 2`, one for each of elm, oak
""",
        changes=[("units: 2}", "units: 3}")],
    ),
    Case(
        "a hidden layer at the end",
        """\
error: architecture.0.units: the network has 4 outputs and the data has 2 classes [outputs]
--> trees.yaml:7:26
  |
6 | architecture:
7 |   - {type: dense, units: 4, activation: tanh}
  |                          ^
  = help: the last layer needs `units: 2`, one for each of elm, oak
""",
        changes=[("  - {type: dense, units: 2}\n", "")],
    ),
    Case(
        "fractions as classes",
        """\
error: loss: trees.csv, row 0 (counted from 0): target column `width` holds 1.5; this loss compares classes [not-classes]
--> trees.yaml:9:7
  |
8 |   - {type: dense, units: 2}
9 | loss: softmax_cross_entropy
  |       ^^^^^^^^^^^^^^^^^^^^^
  = help: class labels are text or whole numbers; for numeric targets use a loss such as mean_squared_error
""",
        changes=[("target: kind", "target: width, drop: kind")],
        files={"trees.csv": DATA.replace("1.0,", "1.5,")},
    ),
    Case(
        "three outputs for two classes",
        """\
error: architecture.1.units: the network has 3 outputs and the data has 2 classes [outputs]
--> trees.yaml:8:26
  |
7 |   - {type: dense, units: 4, activation: tanh}
8 |   - {type: dense, units: 3}
  |                          ^
  = help: the last layer needs `units: 2`, one for each of elm, oak
""",
        changes=[("softmax_cross_entropy", "binary_cross_entropy"), ("units: 2", "units: 3")],
    ),
    Case(
        "text for a regression",
        """\
error: architecture.1.units: the network has 1 output and the data has 3 classes [outputs]
--> trees.yaml:8:26
  |
7 |   - {type: dense, units: 4, activation: tanh}
8 |   - {type: dense, units: 1}
  |                          ^
  = help: the last layer needs `units: 3`, one for each of ash, elm, oak
""",
        changes=[("softmax_cross_entropy", "mean_squared_error"), ("units: 2", "units: 1")],
        files={"trees.csv": DATA.replace("8.0,4.5,elm", "8.0,4.5,ash")},
    ),
    Case(
        "targets that are no probabilities",
        """\
error: loss: binary_cross_entropy takes targets between 0 and 1, and these run from 1 to 8 [targets]
--> trees.yaml:9:7
  |
8 |   - {type: dense, units: 1}
9 | loss: binary_cross_entropy
  |       ^^^^^^^^^^^^^^^^^^^^
""",
        changes=[
            ("softmax_cross_entropy", "binary_cross_entropy"),
            ("units: 2", "units: 1"),
            ("target: kind", "target: width, drop: kind"),
        ],
    ),
    Case(
        "an output too many for a regression",
        """\
error: architecture.1.units: the network has 2 outputs and the data has 1 target [outputs]
--> trees.yaml:8:26
  |
7 |   - {type: dense, units: 4, activation: tanh}
8 |   - {type: dense, units: 2}
  |                          ^ help: the last layer needs `units: 1`
""",
        changes=[("softmax_cross_entropy", "mean_squared_error"), ("target: kind", "target: width, drop: kind")],
    ),
    Case(
        "a figure of regressions",
        """\
error: training.metrics.0: r2 is a figure of regressions, and this is a classification [metric]
 --> trees.yaml:10:48
   |
 9 | loss: softmax_cross_entropy
10 | training: {epochs: 3, batch_size: 4, metrics: [r2]}
   |                                                ^^
""",
        changes=[("batch_size: 4", "batch_size: 4, metrics: [r2]")],
    ),
    Case(
        "a figure of classifications",
        """\
error: training.metrics.0: accuracy is a figure of classifications, and this is a regression [metric]
 --> trees.yaml:10:48
   |
 9 | loss: mean_squared_error
10 | training: {epochs: 3, batch_size: 4, metrics: [accuracy]}
   |                                                ^^^^^^^^
""",
        changes=[
            ("softmax_cross_entropy", "mean_squared_error"),
            ("target: kind", "target: width, drop: kind"),
            ("units: 2", "units: 1"),
            ("batch_size: 4", "batch_size: 4, metrics: [accuracy]"),
        ],
    ),
    Case(
        "log_loss without probabilities",
        """\
error: training.metrics.0: log_loss needs probabilities: a loss such as softmax_cross_entropy or binary_cross_entropy gives them [metric]
 --> trees.yaml:10:48
   |
 9 | loss: mean_squared_error
10 | training: {epochs: 3, batch_size: 4, metrics: [log_loss]}
   |                                                ^^^^^^^^
""",
        changes=[
            ("softmax_cross_entropy", "mean_squared_error"),
            ("batch_size: 4", "batch_size: 4, metrics: [log_loss]"),
        ],
    ),
    Case(
        "validation watched where there is none",
        """\
error: training.early_stopping.metric: validation.loss is watched, and the data has no validation split [metric]
 --> trees.yaml:10:54
   |
 9 | loss: softmax_cross_entropy
10 | training: {epochs: 3, batch_size: 4, early_stopping: {patience: 2}}
   |                                                      ^^^^^^^^^^^^^
   = help: add `validation: 0.15` to the data, or watch train.loss
""",
        changes=[("batch_size: 4", "batch_size: 4, early_stopping: {patience: 2}")],
    ),
    Case(
        "a goal that is not measured",
        """\
error: training.stop_when.metric: train.acuracy is not measured in this training [metric]
 --> trees.yaml:10:58
   |
 9 | loss: softmax_cross_entropy
10 | training: {epochs: 3, batch_size: 4, stop_when: {metric: train.acuracy,...
   |                                                          ^^^^^^^^^^^^^
   = help: known: train.loss, train.accuracy; other figures have to be in training.metrics
""",
        changes=[("batch_size: 4", "batch_size: 4, stop_when: {metric: train.acuracy, at_least: 1}")],
    ),
    Case(
        "a network larger than memory",
        """\
error: architecture.0.units: training this network needs 344 TB of memory and <FREE> are free; it has 5,000,000,000,002 parameters, 2,000,000,000,000 of them in dense_1.W [memory]
--> trees.yaml:7:26
  |
6 | architecture:
7 |   - {type: dense, units: 1000000000000, activation: tanh}
  |                          ^^^^^^^^^^^^^
  = help: fewer units, or a smaller batch_size
""",
        changes=[("units: 4", "units: 1000000000000")],
    ),
    Case(
        "--set of a network larger than memory",
        """\
error: architecture.0.units: training this network needs 344 TB of memory and <FREE> are free; it has 5,000,000,000,002 parameters, 2,000,000,000,000 of them in dense_1.W [memory]
--> --set architecture.0.units=1000000000000
  |
1 | architecture.0.units=1000000000000
  |                      ^^^^^^^^^^^^^
  = help: fewer units, or a smaller batch_size
""",
        words="check trees.yaml --set architecture.0.units=1000000000000",
    ),
]
