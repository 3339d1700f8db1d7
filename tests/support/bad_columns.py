"""Columns that do not hold what is asked of them: dates, gaps, weights, categories and their settings."""

# ruff: noqa: E501  (messages as they are printed)

from __future__ import annotations

from cli_lab import DATA, Case

CASES = [
    Case(
        "a word among booleans",
        """\
error: column `height`: `perhaps` is neither yes nor no [not-a-boolean]
--> trees.csv:4:5
  |
4 | 3.0,perhaps,oak
  |     ^^^^^^^
  = help: write yes or no, true or false, 1 or 0; if the column holds text, write `text: [height]`; to leave the column out, write `drop: [height]`
""",
        changes=[
            (
                "{type: csv, path: trees.csv, target: kind}",
                "{type: csv, path: trees.csv, target: kind, columns: {height: boolean}}",
            )
        ],
        files={
            "trees.csv": DATA.replace("2.0,oak", "yes,oak")
            .replace("1.5,elm", "no,elm")
            .replace("5.0,oak", "perhaps,oak")
        },
    ),
    Case(
        "a date of another form",
        """\
error: column `day`: dates are written in two formats here: `2024-01-30` (line 2) and `31.01.2024` [two-formats]
--> trees.csv:3:1
  |
3 | 31.01.2024,elm
  | ^^^^^^^^^^
  = help: write all dates of the column in one way; to read the column as text, write `text: [day]`
""",
        files={"trees.csv": "day,kind\n2024-01-30,oak\n31.01.2024,elm\n2024-02-01,oak\n"},
    ),
    Case(
        "a day that is not in the calendar",
        """\
error: column `day`: `2024-02-30` is not a date [not-a-date]
--> trees.csv:3:1
  |
3 | 2024-02-30,elm
  | ^^^^^^^^^^
  = help: dates are written as 2024-01-31 or 2024-01-31T12:30; if it stands for no value, leave the cell empty, or write `missing_values: ["2024-02-30"]`; if the column holds text, write `text: [day]`; to leave the column out, write `drop: [day]`
""",
        files={"trees.csv": "day,kind\n2024-01-30,oak\n2024-02-30,elm\n"},
    ),
    Case(
        "a missing label",
        """\
error: column `kind` has no value here (an empty cell) [missing-value]
--> trees.csv:6:9
  |
6 | 5.0,9.0,
  |         ^ help: `missing: drop` leaves such rows out
""",
        changes=[
            (
                "{type: csv, path: trees.csv, target: kind}",
                "{type: csv, path: trees.csv, target: kind, missing: median}",
            )
        ],
        files={"trees.csv": DATA.replace("9.0,oak", "9.0,")},
    ),
    Case(
        "nothing but rows with gaps",
        """\
error: no row has a value in every column: they are missing in `width`, `height` [no-rows]
--> trees.csv
  = help: fill them in by `missing: median`, or leave the columns out by `drop`
""",
        changes=[
            ("{type: csv, path: trees.csv, target: kind}", "{type: csv, path: trees.csv, target: kind, missing: drop}")
        ],
        files={"trees.csv": "width,height,kind\n1,,oak\n,2,elm\n"},
    ),
    Case(
        "a column without a value",
        """\
error: column `height` has no value in any training row [no-values]
--> trees.csv
  = help: leave it out with `drop: [height]`
""",
        changes=[
            ("{type: csv, path: trees.csv, target: kind}", "{type: csv, path: trees.csv, target: kind, missing: mean}")
        ],
        files={"trees.csv": "width,height,kind\n1,,oak\n2,,elm\n"},
    ),
    Case(
        "an indicator without a rule",
        """\
error: data.train: an indicator needs a rule, such as `missing: median` [indicator]
--> trees.yaml:4:10
  |
3 | data:
4 |   train: {type: csv, path: trees.csv, target: kind, indicator: true}
  |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
""",
        changes=[
            (
                "{type: csv, path: trees.csv, target: kind}",
                "{type: csv, path: trees.csv, target: kind, indicator: true}",
            )
        ],
    ),
    Case(
        "a rule that is none",
        """\
error: data.train.missing: expected error, drop, mean, median or mode, got the text 'means' [unknown-value]
--> trees.yaml:4:62
  |
3 | data:
4 |   train: {type: csv, path: trees.csv, target: kind, missing: means}
  |                                                              ^^^^^
  = help: did you mean `mean`?
""",
        changes=[
            ("{type: csv, path: trees.csv, target: kind}", "{type: csv, path: trees.csv, target: kind, missing: means}")
        ],
    ),
    Case(
        "a setting of a column that is none",
        """\
error: data.train.columns.height.scael: unknown key [unknown-key]
--> trees.yaml:4:72
  |
3 |
4 | ...kind, columns: {height: {scael: minmax}}}
  |                             ^^^^^ help: did you mean `scale`?
""",
        changes=[
            (
                "{type: csv, path: trees.csv, target: kind}",
                "{type: csv, path: trees.csv, target: kind, columns: {height: {scael: minmax}}}",
            )
        ],
    ),
    Case(
        "a column to treat that is not there",
        """\
error: columns: the file has no column `heigth` [missing-column]
--> trees.csv
  = help: did you mean `height`? The columns are width, height, kind
""",
        changes=[
            (
                "{type: csv, path: trees.csv, target: kind}",
                "{type: csv, path: trees.csv, target: kind, columns: {heigth: {scale: minmax}}}",
            )
        ],
    ),
    Case(
        "a scale for text",
        """\
error: data.train.columns.colour.scale: column `colour` holds text: it becomes one-hot inputs of 0 and 1, which are not scaled [treatment]
--> trees.yaml:4:79
  |
3 |
4 | ...olumns: {colour: {scale: minmax}}}
  |                             ^^^^^^ help: leave `scale` out
""",
        changes=[
            (
                "{type: csv, path: trees.csv, target: kind}",
                "{type: csv, path: trees.csv, target: kind, columns: {colour: {scale: minmax}}}",
            )
        ],
        files={"trees.csv": "width,colour,kind\n1,red,oak\n2,blue,elm\n"},
    ),
    Case(
        "a weight below 0",
        """\
error: column `w`: a weight is 0 or more, and here is -2 [weight]
--> trees.csv:3:3
  |
3 | 2,-2,elm
  |   ^^ help: a row that shall not count has the weight 0
""",
        changes=[
            ("{type: csv, path: trees.csv, target: kind}", "{type: csv, path: trees.csv, target: kind, weight: w}")
        ],
        files={"trees.csv": "width,w,kind\n1,1,oak\n2,-2,elm\n"},
    ),
    Case(
        "a column of weights that is not there",
        """\
error: weight: the file has no column `wieght` [missing-column]
--> trees.csv
  = help: did you mean `weight`? The columns are width, weight, kind
""",
        changes=[
            ("{type: csv, path: trees.csv, target: kind}", "{type: csv, path: trees.csv, target: kind, weight: wieght}")
        ],
        files={"trees.csv": "width,weight,kind\n1,1,oak\n2,0,elm\n"},
    ),
    Case(
        "the target as weight",
        """\
error: data.train: column `kind` is both the weight and in target [names]
--> trees.yaml:4:10
  |
3 | data:
4 |   train: {type: csv, path: trees.csv, target: kind, weight: kind}
  |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
""",
        changes=[
            ("{type: csv, path: trees.csv, target: kind}", "{type: csv, path: trees.csv, target: kind, weight: kind}")
        ],
    ),
    Case(
        "a column of names",
        """\
error: column `name` holds 1001 different texts: each would become an input of its own [categories]
--> trees.csv
  = help: leave it out with `drop: [name]`, or write `columns: {name: {encoding: frequency, max_categories: 1000}}` in the train source
""",
        files={"trees.csv": "name,kind\n" + "".join(f"tree {i},{('oak', 'elm')[i % 2]}\n" for i in range(1001))},
    ),
    Case(
        "text as the target of a regression",
        """\
error: target column `kind` holds text; several targets have to be numbers [text-target]
--> trees.csv
  = help: name one target column, or encode it as numbers
""",
        changes=[
            ("loss: softmax_cross_entropy", "loss: huber"),
            ("units: 2}", "units: 1}"),
            ("target: kind", "target: [height, kind]"),
        ],
    ),
    Case(
        "a scale that is none",
        """\
error: data.scale: unknown scaling `standard` [unknown-type]
--> trees.yaml:5:10
  |
4 |   train: {type: csv, path: trees.csv, target: kind}
5 |   scale: standard
  |          ^^^^^^^^
  = help: did you mean `standardize`? (a part of your own: --with FILE.py)
""",
        changes=[("scale: standardize", "scale: standard")],
    ),
]
