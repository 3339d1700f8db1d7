"""Mistakes of groups 15 to 24 of the fault tests that the other tables have not: settings beyond their limits, files
that are not what their name says, and paths."""

# ruff: noqa: E501  (messages as they are printed)

from __future__ import annotations

import gzip

from cli_lab import CONFIG, DATA, Case

CASES = [
    Case(
        "several documents",
        """\
error: a second document begins here [several-documents]
 --> trees.yaml:11:1
   |
10 | training: {epochs: 3, batch_size: 4}
11 | ---
   | ^^^ help: keep the first one; put the others into files of their own
""",
        files={"trees.yaml": CONFIG + "---\n" + CONFIG},
    ),
    Case(
        "a merge key",
        """\
error: merge keys are not part of YAML 1.2 [merge-key]
--> trees.yaml:2:1
  |
1 | base: &b {seed: 1}
2 | <<: *b
  | ^^
  = help: repeat the settings, or use an anchor for a whole value: `a: &x 1`, `b: *x`
""",
        files={"trees.yaml": "base: &b {seed: 1}\n<<: *b\n" + CONFIG},
    ),
    Case(
        "a config of 2 MB",
        """\
error: the file is larger than 1 MiB [too-large]
--> trees.yaml
  = help: keep data in a file of its own (csv, npz, idx) and name it under `data`
""",
        files={"trees.yaml": CONFIG + "# x\n" * 500_000},
    ),
    Case(
        "1e400 as a setting",
        """\
error: `1e400` is too large: it would be read as infinity [number-too-large]
--> trees.yaml:7:26
  |
6 | architecture:
7 |   - {type: dense, units: 1e400, activation: tanh}
  |                          ^^^^^ help: the largest number is about 1.8e308
""",
        changes=[("units: 4", "units: 1e400")],
    ),
    Case(
        "an infinite rate",
        """\
error: optimizer.learning_rate: must be a finite number, got inf [out-of-range]
 --> trees.yaml:10:39
   |
 9 | loss: softmax_cross_entropy
10 | optimizer: {type: sgd, learning_rate: .inf}
   |                                       ^^^^
""",
        changes=[
            ("loss: softmax_cross_entropy", "loss: softmax_cross_entropy\noptimizer: {type: sgd, learning_rate: .inf}")
        ],
    ),
    Case(
        "a thousand and one layers",
        """\
error: architecture: must hold at most 1000 items, holds 1002 [out-of-range]
--> trees.yaml:6:1
  |
5 |   scale: standardize
6 | architecture:
  | ^^^^^^^^^^^^
""",
        files={
            "trees.yaml": CONFIG.replace(
                "  - {type: dense, units: 2}\n", "  - relu\n" * 1000 + "  - {type: dense, units: 2}\n"
            )
        },
    ),
    Case(
        "five thousand layers",
        """\
error: architecture: must hold at most 1000 items, holds 5001 [out-of-range]
--> trees.yaml:6:1
  |
5 |   scale: standardize
6 | architecture:
  | ^^^^^^^^^^^^
""",
        files={"trees.yaml": CONFIG.replace("  - {type: dense, units: 2}\n", "  - relu\n" * 5000)},
    ),
    Case(
        "a batch of nothing",
        """\
error: training.batch_size: must be at least 1, got 0 [out-of-range]
 --> trees.yaml:10:35
   |
 9 | loss: softmax_cross_entropy
10 | training: {epochs: 3, batch_size: 0}
   |                                   ^
""",
        changes=[("batch_size: 4", "batch_size: 0")],
    ),
    Case(
        "spaces between cells",
        """\
error: target: the file has no column `kind` [missing-column]
--> trees.csv
  = help: the columns are width height kind; if cells are apart by another character, say which: `delimiter: " "`
""",
        files={"trees.csv": DATA.replace(",", " ")},
    ),
    Case(
        "a delimiter that is not in the file",
        """\
error: target: the file has no column `kind` [missing-column]
--> trees.csv
  = help: the columns are width,height,kind; if cells are apart by another character, say which: `delimiter: ","`
""",
        changes=[("target: kind", "target: kind, delimiter: ';'")],
    ),
    Case(
        "UTF-16 of the other order without a mark",
        """\
error: the first line holds a NUL character [nul]
--> trees.csv:1
  = help: the file is binary or damaged; if it is written in UTF-16, add `encoding: utf-16-be`
""",
        files={"trees.csv": DATA.encode("utf-16-be")},
    ),
    Case(
        "a gzip file that goes on",
        """\
error: something else follows the end of the gzip file [damaged-gzip]
--> trees.csv.gz
  = help: fetch it again; `gzip -t` tests it
""",
        changes=[("trees.csv", "trees.csv.gz")],
        files={"trees.csv.gz": gzip.compress(DATA.encode(), mtime=0) + b"more"},
    ),
    Case(
        "a gzip file called .csv",
        """\
error: the text is not UTF-8 [not-utf8]
--> trees.csv:1
  = help: it is compressed with gzip: its name must end in .gz
""",
        files={"trees.csv": gzip.compress(DATA.encode(), mtime=0)},
    ),
    Case(
        "a Parquet file called .csv",
        """\
error: the text is not UTF-8 [not-utf8]
--> trees.csv:1
  = help: it is a Parquet file: write `type: parquet`
""",
        files={"trees.csv": b"PAR1\xff\xfe" + bytes(100)},
    ),
    Case(
        "a spreadsheet called .csv",
        """\
error: the text is not UTF-8 [not-utf8]
--> trees.csv:1
  = help: it is a zip archive or a spreadsheet: export the sheet as CSV
""",
        files={"trees.csv": b"PK\x03\x04\xff" + bytes(100)},
    ),
    Case(
        "a dash among numbers",
        """\
error: column `height` has no value here (`-`) [missing-value]
--> trees.csv:6:5
  |
6 | 5.0,-,oak
  |     ^
  = help: `missing: drop` leaves such rows out, `missing: median` (mean, mode) fills them in; to leave the column out, write `drop: [height]`
""",
        files={"trees.csv": DATA.replace("9.0", "-")},
    ),
    Case(
        "a space between hundreds",
        """\
error: column `height`: `9 00` is not a number [not-a-number]
--> trees.csv:6:5
  |
6 | 5.0,9 00,oak
  |     ^^^^
  = help: if the column holds text, write `text: [height]`; to leave the column out, write `drop: [height]`
""",
        files={"trees.csv": DATA.replace("9.0", "9 00")},
    ),
    Case(
        "a unit behind a number",
        """\
error: column `height`: numbers with `%` and without: `2.0` (line 2) and `9 %` [two-formats]
--> trees.csv:6:5
  |
6 | 5.0,9 %,oak
  |     ^^^
  = help: write all in one way; where they mean the same, write `columns: {height: {unit: "%"}}`; to read the column as text, write `text: [height]`
""",
        files={"trees.csv": DATA.replace("9.0", "9 %")},
    ),
    Case(
        "text behind a cell in quotes",
        """\
error: column `height`: `foo` is not a number [not-a-number]
--> trees.csv:6:7
  |
6 | "5.0",foo,oak
  |       ^^^
  = help: if it stands for no value, leave the cell empty, or write `missing_values: [foo]`; if the column holds text, write `text: [height]`; to leave the column out, write `drop: [height]`
""",
        files={"trees.csv": DATA.replace("5.0,9.0", '"5.0",foo')},
    ),
    Case(
        "a class weight of a class that is not there",
        """\
error: loss.class_weights: there is no class `oka` to weigh [class-weights]
--> trees.yaml:9:52
  |
8 |   - {type: dense, units: 2}
9 | loss: {type: softmax_cross_entropy, class_weights: {oka: 2}}
  |                                                    ^^^^^^^^
  = help: did you mean `oak`? the classes are elm, oak
""",
        changes=[("loss: softmax_cross_entropy", "loss: {type: softmax_cross_entropy, class_weights: {oka: 2}}")],
    ),
    Case(
        "balanced weights of an empty class",
        """\
error: loss.class_weights: the classes cannot be balanced: no training row is of class `fir` [class-weights]
--> trees.yaml:9:52
  |
8 |   - {type: dense, units: 3}
9 | loss: {type: softmax_cross_entropy, class_weights: balanced}
  |                                                    ^^^^^^^^
  = help: give weights by name, or rows of that class
""",
        changes=[
            ("target: kind", "target: [oak, elm, fir]"),
            ("units: 2", "units: 3"),
            ("loss: softmax_cross_entropy", "loss: {type: softmax_cross_entropy, class_weights: balanced}"),
        ],
        files={"trees.csv": "width,oak,elm,fir\n1,1,0,0\n2,0,1,0\n"},
    ),
    Case(
        "a path that is near to none",
        """\
error: no such file: q [missing-file]
--> q
  = help: a path is relative to the file that names it
""",
        code=66,
        changes=[("path: trees.csv", "path: q")],
    ),
    Case(
        "a path that is near to one",
        """\
error: no such file: tree.csv [missing-file]
--> tree.csv
  = help: did you mean `trees.csv`?
""",
        code=66,
        changes=[("path: trees.csv", "path: tree.csv")],
    ),
    Case(
        "a path from the wrong place",
        """\
error: no such file: there/trees.csv [missing-file]
--> there/trees.csv
  = help: a path is relative to the file that names it: from there it is ../trees.csv
""",
        code=66,
        words="check there/trees.yaml",
        files={"there/trees.yaml": CONFIG},
    ),
]
