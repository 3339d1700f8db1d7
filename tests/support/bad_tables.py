"""Tables as they should not be, and settings that do not fit them."""

# ruff: noqa: E501  (messages as they are printed)

from __future__ import annotations

import gzip

from cli_lab import DATA, Case

CASES = [
    Case(
        "two columns of one name",
        """\
error: the header names `width` twice: columns 0 and 1 (counted from 0) [duplicate-column]
--> trees.csv:1
  = help: rename one of them, or drop both with `drop: [width]`
""",
        files={"trees.csv": DATA.replace("width,height", "width,width")},
    ),
    Case(
        "a column without a name",
        """\
error: column 0 (counted from 0) has no name in the header [no-name]
--> trees.csv:1
  = help: name it, or drop it with `drop: [""]`
""",
        files={"trees.csv": DATA.replace("width,", ",")},
    ),
    Case(
        "a single column",
        """\
error: no input column is left [no-inputs]
--> trees.csv
  = help: the file needs a column beside the target
""",
        files={"trees.csv": "kind\noak\nelm\n"},
    ),
    Case(
        "a comma at the end of every row",
        """\
error: this row has 4 cells, 3 expected [ragged-row]
--> trees.csv:2
  |
2 | 1.0,2.0,oak,
  | ^
  = help: it ends in a delimiter, and the header does not: remove it, or name one more column
""",
        files={"trees.csv": DATA.replace("oak\n", "oak,\n").replace("elm\n", "elm,\n")},
    ),
    Case(
        "1e400",
        """\
error: column `height`: `1e400` is not a finite number [not-finite]
--> trees.csv:6:5
  |
6 | 5.0,1e400,oak
  |     ^^^^^
  = help: numbers go up to 1.8e308: correct the cell or remove the row; to leave the column out, write `drop: [height]`
""",
        files={"trees.csv": DATA.replace("9.0", "1e400")},
    ),
    Case(
        "infinity",
        """\
error: column `height`: `inf` is not a finite number [not-finite]
--> trees.csv:6:5
  |
6 | 5.0,inf,oak
  |     ^^^
  = help: numbers go up to 1.8e308: correct the cell or remove the row; to leave the column out, write `drop: [height]`
""",
        files={"trees.csv": DATA.replace("9.0", "inf")},
    ),
    Case(
        "NA",
        """\
error: column `height` has no value here (`NA`) [missing-value]
--> trees.csv:6:5
  |
6 | 5.0,NA,oak
  |     ^^
  = help: `missing: drop` leaves such rows out, `missing: median` (mean, mode) fills them in; to leave the column out, write `drop: [height]`
""",
        files={"trees.csv": DATA.replace("9.0", "NA")},
    ),
    Case(
        "a question mark",
        """\
error: column `height` has no value here (`?`) [missing-value]
--> trees.csv:6:5
  |
6 | 5.0,?,oak
  |     ^
  = help: `missing: drop` leaves such rows out, `missing: median` (mean, mode) fills them in; to leave the column out, write `drop: [height]`
""",
        files={"trees.csv": DATA.replace("9.0", "?")},
    ),
    Case(
        "a decimal comma in quotes",
        """\
error: column `height`: `9,0` is not a number [not-a-number]
--> trees.csv:6:5
  |
6 | 5.0,"9,0",oak
  |     ^^^^^
  = help: write numbers as 1234.5: nothing between thousands; if the file writes 1,5 for one and a half, add `decimal: ","`
""",
        files={"trees.csv": DATA.replace("9.0", '"9,0"')},
    ),
    Case(
        "a point among decimal commas",
        """\
error: column `width`: `1,0` is not a number [not-a-number]
--> trees.csv:2:1
  |
2 | 1,0;2,0;oak
  | ^^^
  = help: write numbers as 1234.5: nothing between thousands; if the file writes 1,5 for one and a half, add `decimal: ","`
""",
        files={"trees.csv": DATA.replace(",", ";").replace(".", ",").replace("9,0", "9.0")},
    ),
    Case(
        "a hexadecimal number",
        """\
error: column `height`: `0x9` is not a number [not-a-number]
--> trees.csv:6:5
  |
6 | 5.0,0x9,oak
  |     ^^^
  = help: if the column holds text, write `text: [height]`; to leave the column out, write `drop: [height]`
""",
        files={"trees.csv": DATA.replace("9.0", "0x9")},
    ),
    Case(
        "an underscore in a number",
        """\
error: column `height`: `9_000` is not a number [not-a-number]
--> trees.csv:6:5
  |
6 | 5.0,9_000,oak
  |     ^^^^^
  = help: write numbers as 1234.5: nothing between thousands; if the file writes 1,5 for one and a half, add `decimal: ","`
""",
        files={"trees.csv": DATA.replace("9.0", "9_000")},
    ),
    Case(
        "class ids that no float64 counts",
        """\
error: loss: trees.csv, row 4 (counted from 0): target column `height` holds 9.00719925474099e+15; this loss compares classes [not-classes]
--> trees.yaml:9:7
  |
8 |   - {type: dense, units: 2}
9 | loss: softmax_cross_entropy
  |       ^^^^^^^^^^^^^^^^^^^^^
  = help: whole numbers this large are not exact: read the column as text
""",
        changes=[("target: kind", "target: height, drop: [kind]")],
        files={"trees.csv": DATA.replace(".5", "").replace(".0", "").replace("9,", "9007199254740993,")},
    ),
    Case(
        "latin-1",
        """\
error: the text is not UTF-8 [not-utf8]
--> trees.csv:3
  = help: save it as UTF-8 (a spreadsheet calls that `CSV UTF-8`), or say what it is: `encoding: latin-1`
""",
        files={"trees.csv": DATA.replace("elm", "ébène").encode("latin-1")},
    ),
    Case(
        "UTF-16 without a mark",
        """\
error: the first line holds a NUL character [nul]
--> trees.csv:1
  = help: the file is binary or damaged; if it is written in UTF-16, add `encoding: utf-16-le`
""",
        files={"trees.csv": DATA.encode("utf-16-le")},
    ),
    Case(
        "another encoding than is said",
        """\
error: the text is not ASCII [not-text]
--> trees.csv
  = help: leave `encoding` out, or name the one it was saved in
""",
        changes=[
            (
                "{type: csv, path: trees.csv, target: kind}",
                "{type: csv, path: trees.csv, target: kind, encoding: ascii}",
            )
        ],
        files={"trees.csv": DATA.replace("elm", "ébène")},
    ),
    Case(
        "an unknown encoding",
        """\
error: data.train.encoding: unknown encoding `latin-99`: usual ones are utf-8, latin-1, cp1252, utf-16-le [encoding]
--> trees.yaml:4:63
  |
3 | data:
4 |   train: {type: csv, path: trees.csv, target: kind, encoding: latin-99}
  |                                                               ^^^^^^^^
""",
        changes=[
            (
                "{type: csv, path: trees.csv, target: kind}",
                "{type: csv, path: trees.csv, target: kind, encoding: latin-99}",
            )
        ],
    ),
    Case(
        "NUL in a cell",
        """\
error: column `height` holds a NUL character [nul]
--> trees.csv:6:5
  |
6 | 5.0,9?,oak
  |     ^^
  = help: the file is damaged, or written in UTF-16: save it as UTF-8 text
""",
        files={"trees.csv": DATA.replace("9.0", "9\0")},
    ),
    Case(
        "a quote that is not closed",
        """\
error: a quoted cell that starts here is not closed, or text follows its closing quote [bad-quotes]
--> trees.csv:6
  = help: inside quotes a quote is written twice: ""
""",
        files={"trees.csv": DATA.replace("5.0,9.0", '5.0,"9.0')},
    ),
    Case(
        "comments that are not declared",
        """\
error: this row has 3 cells, 1 expected [ragged-row]
--> trees.csv:2
  |
2 | width,height,kind
  | ^ help: if lines that start with # are comments, add `comment: "#"`
""",
        files={"trees.csv": "# of 2024\n" + DATA},
    ),
    Case(
        "a truncated .gz",
        """\
error: the gzip file is truncated or damaged [damaged-gzip]
--> trees.csv.gz
  = help: fetch it again; `gzip -t` tests it
""",
        changes=[("trees.csv", "trees.csv.gz")],
        files={"trees.csv.gz": gzip.compress(DATA.encode(), mtime=0)[:-9]},
    ),
    Case(
        "a gzip bomb",
        """\
error: the file expands to more than 16 MiB, over 100 times its size [bomb]
--> trees.csv.gz
  = help: if that is meant, unpack it with gunzip and name the result
""",
        changes=[("trees.csv", "trees.csv.gz")],
        files={"trees.csv.gz": gzip.compress(b"0" * (17 << 20), 9, mtime=0)},
    ),
    Case(
        "a URL",
        """\
error: no such file: https:/example.org/trees.csv [missing-file]
--> https:/example.org/trees.csv
  = help: only files are read: fetch it, and name the copy
""",
        code=66,
        changes=[("trees.csv", "https://example.org/trees.csv")],
    ),
    Case(
        "a home directory",
        """\
error: no such file: ~/trees.csv [missing-file]
--> ~/trees.csv
  = help: `~` stands for nothing here: write the whole path
""",
        code=66,
        changes=[("trees.csv", "~/trees.csv")],
    ),
    Case(
        "a device",
        """\
error: /dev/zero is a pipe or a device, not a regular file [not-a-file]
--> /dev/zero
""",
        changes=[("path: trees.csv", "path: /dev/zero")],
    ),
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
error: column `day`: `31.01.2024` is not a date [not-a-date]
--> trees.csv:3:1
  |
3 | 31.01.2024,elm
  | ^^^^^^^^^^
  = help: dates are written as 2024-01-31 or 2024-01-31T12:30; if the column holds text, write `text: [day]`; to leave the column out, write `drop: [day]`
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
  = help: dates are written as 2024-01-31 or 2024-01-31T12:30; if the column holds text, write `text: [day]`; to leave the column out, write `drop: [day]`
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
        "a row that names no split",
        """\
error: column `fold`: `third` names no split [split-name]
--> trees.csv:3:3
  |
3 | 2,third,elm
  |   ^^^^^
  = help: write train, validation or test; rows of a group are kept together by `split: {group: ...}`
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
  = help: give more rows, a source of its own for validation and test, or leave one of them out
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
  = help: dates are written as 2024-01-31 or 2024-01-31T12:30; if the column holds text, write `text: [day]`; to leave the column out, write `drop: [day]`
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
    Case(
        "a column of names",
        """\
error: column `name` holds 1001 different texts: each would become an input of its own [categories]
--> trees.csv
  = help: leave it out with `drop: [name]`
""",
        files={"trees.csv": "name,kind\n" + "".join(f"tree {i},{('oak', 'elm')[i % 2]}\n" for i in range(1001))},
    ),
    Case(
        "dates that are not understood",
        """\
error: column `day` holds 1200 different texts: each would become an input of its own [categories]
--> trees.csv
  = help: dates are understood where they are written as 2024-01-31; or leave it out with `drop: [day]`
""",
        files={
            "trees.csv": "day,kind\n"
            + "".join(
                f"{1 + i % 28}.{1 + i // 28 % 12}.{1900 + i // 336},{('oak', 'elm')[i % 2]}\n" for i in range(1200)
            )
        },
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
