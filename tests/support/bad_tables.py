"""Tables as they should not be: headers, cells, encodings, packed files and paths."""

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
  = help: numbers go up to 1.8e308: correct the cell or remove the row; if it stands for no value, leave the cell empty, or write `missing_values: [inf]`; to leave the column out, write `drop: [height]`
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
error: column `height`: numbers are written in two formats here: `2.0` (line 2) and `9,0` [two-formats]
--> trees.csv:6:5
  |
6 | 5.0,"9,0",oak
  |     ^^^^^
  = help: write all numbers of the column in one way; to read the column as text, write `text: [height]`
""",
        files={"trees.csv": DATA.replace("9.0", '"9,0"')},
    ),
    Case(
        "a point among decimal commas",
        """\
error: column `height`: numbers are written in two formats here: `2,0` (line 2) and `9.0` [two-formats]
--> trees.csv:6:5
  |
6 | 5,0;9.0;oak
  |     ^^^
  = help: write all numbers of the column in one way; to read the column as text, write `text: [height]`
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
  = help: write numbers as 1234.5: nothing between thousands; to leave the column out, write `drop: [height]`
""",
        files={"trees.csv": DATA.replace("9.0", "9_000")},
    ),
    Case(
        "latin-1",
        """\
error: the text is not UTF-8 [not-utf8]
--> trees.csv:3
  = help: save it as UTF-8 (a spreadsheet calls that `CSV UTF-8`), or say what it is: `encoding: latin-1` where line 3 holds `ébène`, or `encoding: cp1250` where line 3 holds `ébčne`
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
]
