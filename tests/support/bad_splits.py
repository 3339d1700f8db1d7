"""Splits that cannot be made, and later files that do not fit the training rows."""

# ruff: noqa: E501  (messages as they are printed)

from __future__ import annotations

from cli_lab import Case

CASES = [
    Case(
        "a row that names no split",
        """\
error: column `fold`: `third` names no split [split-name]
--> trees.csv:3:3
  |
3 | 2,third,elm
  |   ^^^^^
  = help: write train, validation or test; rows of a group are kept together by `split: {group: COLUMN}`
""",
        changes=[("  scale: standardize", "  scale: standardize\n  split: {column: fold}")],
        files={"trees.csv": "width,fold,kind\n1,train,oak\n2,third,elm\n3,train,elm\n"},
    ),
    Case(
        "a column of splits that is not there",
        """\
error: split: the file has no column `fold` [missing-column]
--> trees.csv
  = help: the columns are width, height, kind
""",
        changes=[("  scale: standardize", "  scale: standardize\n  split: {column: fold}")],
    ),
    Case(
        "groups without a fraction",
        """\
error: data: split by group wants to know how many rows: write `test: 0.2`, `validation: 0.2` or both [division]
--> trees.yaml:3:1
  |
2 | seed: 1
3 | data:
  | ^^^^
""",
        changes=[("  scale: standardize", "  scale: standardize\n  split: {group: width}")],
    ),
    Case(
        "fewer groups than splits",
        """\
error: data.test: 2 groups cannot be divided into 3 splits [too-few-rows]
--> trees.yaml:7:9
  |
6 |   validation: 0.2
7 |   test: 0.2
  |         ^^^
  = help: give more groups, a source of its own for validation and test, or leave one of them out
""",
        changes=[
            ("  scale: standardize", "  scale: standardize\n  validation: 0.2\n  test: 0.2\n  split: {group: who}")
        ],
        files={"trees.csv": "width,who,kind\n1,p,oak\n2,q,elm\n3,p,elm\n4,p,oak\n5,q,oak\n"},
    ),
    Case(
        "a time that is none",
        """\
error: column `day`: `later` is not a date [not-a-date]
--> trees.csv:5:3
  |
5 | 4,later,oak
  |   ^^^^^
  = help: dates are written as 2024-01-31 or 2024-01-31T12:30; if it stands for no value, leave the cell empty, or write `missing_values: [later]`; if the column holds text, write `text: [day]`; to leave the column out, write `drop: [day]`
""",
        changes=[("  scale: standardize", "  scale: standardize\n  test: 0.2\n  split: {time: day}")],
        files={"trees.csv": "width,day,kind\n1,2024-01-01,oak\n2,2024-01-02,elm\n3,2024-01-03,elm\n4,later,oak\n"},
    ),
    Case(
        "two ways to split",
        """\
error: data.split: write one of {column: NAME}, {group: NAME} and {time: NAME} [division]
--> trees.yaml:6:10
  |
5 |   scale: standardize
6 |   split: {time: day, group: who}
  |          ^^^^^^^^^^^^^^^^^^^^^^^
""",
        changes=[("  scale: standardize", "  scale: standardize\n  split: {time: day, group: who}")],
    ),
    Case(
        "a category that train does not have",
        """\
error: column `colour`: `gren` does not occur in the training rows [unknown-category]
--> more.csv:3:1
  |
3 | gren,elm,2
  | ^^^^
  = help: it knows blue, red; to count it as none of them, train with `unseen: ignore`
""",
        changes=[
            ("  scale: standardize", "  scale: standardize\n  validation: {type: csv, path: more.csv, target: kind}")
        ],
        files={
            "trees.csv": "width,colour,kind\n1,red,oak\n2,blue,elm\n",
            "more.csv": "colour,kind,width\nred,oak,1\ngren,elm,2\n",
        },
    ),
    Case(
        "a class that train does not have",
        """\
error: class `alm` does not occur in the training rows [unknown-class]
--> more.csv:3:1
  |
3 | alm,3,4
  | ^^^ help: did you mean `elm`? the classes are elm, oak
""",
        changes=[
            ("  scale: standardize", "  scale: standardize\n  validation: {type: csv, path: more.csv, target: kind}")
        ],
        files={"more.csv": "kind,height,width\noak,1,2\nalm,3,4\n"},
    ),
    Case(
        "a gap that train's rule does not know",
        """\
error: column `height` has no value here (an empty cell) [missing-value]
--> more.csv:3:5
  |
3 | elm,,4
  |     ^
  = help: the rules are those of training, and none is there: fill the cell in, or train with `missing: median`
""",
        changes=[
            (
                "  scale: standardize",
                "  scale: standardize\n  test: {type: csv, path: more.csv, target: kind, missing: mean}",
            )
        ],
        files={"more.csv": "kind,height,width\noak,1,2\nelm,,4\n"},
    ),
    Case(
        "a later file of other columns",
        """\
error: more.csv has no column `height`, which the model was trained on [missing-column]
--> more.csv
  = help: did you mean `hight`? it has width, kind, hight
""",
        changes=[("  scale: standardize", "  scale: standardize\n  test: {type: csv, path: more.csv, target: kind}")],
        files={"more.csv": "kind,hight,width\noak,1,2\n"},
    ),
]
