"""What cannot be read as YAML."""

from __future__ import annotations

from cli_lab import CONFIG, Case

CASES = [
    Case(
        "a duplicate key",
        """\
error: the key `seed` stands twice; first on line 2 [duplicate-key]
--> trees.yaml:3:1
  |
2 | seed: 1
3 | seed: 2
  | ^^^^ help: remove one
""",
        changes=[("seed: 1", "seed: 1\nseed: 2")],
    ),
    Case(
        "an open brace",
        """\
error: expected `,` or `}` here [not-yaml]
--> trees.yaml:8:5
  |
7 |   - {type: dense, units: 4, activation: tanh
8 |   - {type: dense, units: 2}
  |     ^ help: the `{` on line 7 is still open
""",
        changes=[("units: 4, activation: tanh}", "units: 4, activation: tanh")],
    ),
    Case(
        "a tab",
        """\
error: a tab where YAML wants spaces [not-yaml]
--> trees.yaml:5:1
  |
4 |   train: {type: csv, path: trees.csv, target: kind}
5 |     scale: standardize
  | ^^^^ help: replace the tab by spaces
""",
        changes=[("  scale", "\tscale")],
    ),
    Case(
        "an empty file",
        """\
error: the file says nothing [empty-file]
--> e.yaml
  = help: an experiment is a mapping of settings: lines of `key: value`
""",
        words="check e.yaml",
        files={"e.yaml": ""},
    ),
    Case(
        "a list at the top",
        """\
error: expected settings, got a list [not-settings]
--> e.yaml:1:3
  |
1 | - a
  |   ^ help: an experiment is a mapping of settings: lines of `key: value`
""",
        words="check e.yaml",
        files={"e.yaml": "- a\n- b\n"},
    ),
    Case(
        "a word at the top",
        """\
error: expected settings, got the text 'hello' [not-settings]
--> e.yaml:1:1
  |
1 | hello
  | ^^^^^ help: an experiment is a mapping of settings: lines of `key: value`
""",
        words="check e.yaml",
        files={"e.yaml": "hello\n"},
    ),
    Case(
        "a binary file",
        """\
error: this is not a text file [not-text]
--> e.yaml
  = help: an experiment is a YAML file in UTF-8
""",
        words="check e.yaml",
        files={"e.yaml": b"\x00\x01\x02\xff"},
    ),
    Case(
        "UTF-16",
        """\
error: the file is UTF-16 [not-text]
--> e.yaml
  = help: save it as UTF-8
""",
        words="check e.yaml",
        files={"e.yaml": CONFIG.encode("utf-16")},
    ),
    Case(
        "Latin-1",
        """\
error: the byte 0xE9 is not UTF-8 [not-text]
--> e.yaml:1:6
  |
1 | # caf�
  |      ^ help: save the file as UTF-8
""",
        words="check e.yaml",
        files={"e.yaml": ("# café\n" + CONFIG).encode("latin-1")},
    ),
    Case(
        "an alias bomb",
        """\
error: this makes more than 100,000 keys, values or lines [too-large]
--> e.yaml:6:8
  |
5 | e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]
6 | f: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]
  |        ^^
  = help: keep data in a file of its own (csv, npz, idx) and name it under `data`
""",
        words="check e.yaml",
        files={
            "e.yaml": "a: &a [1,1,1,1,1,1,1,1,1]\n"
            + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9))
        },
    ),
    Case(
        "100,000 open brackets",
        """\
error: nested more than 64 levels deep [too-deep]
--> e.yaml:1:68
  |
1 | a: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[...
  |                                                                    ^
""",
        words="check e.yaml",
        files={"e.yaml": "a: " + "[" * 100000},
    ),
    Case(
        "100,000 brackets",
        """\
error: nested more than 64 levels deep [too-deep]
--> e.yaml:1:68
  |
1 | a: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[...
  |                                                                    ^
""",
        words="check e.yaml",
        files={"e.yaml": "a: " + "[" * 100000 + "]" * 100000},
    ),
    Case(
        "100,000 open braces",
        """\
error: nested more than 64 levels deep [too-deep]
--> e.yaml:1:260
  |
1 | ... {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: ...
  |                             ^
""",
        words="check e.yaml",
        files={"e.yaml": "a: " + "{a: " * 100000},
    ),
    Case(
        "100,000 dashes",
        """\
error: nested more than 64 levels deep [too-deep]
--> e.yaml:2:130
  |
1 |
2 | ... - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - ...
  |                             ^
""",
        words="check e.yaml",
        files={"e.yaml": "a:\n " + "- " * 100000},
    ),
    Case(
        "a tag that would run code",
        """\
error: the tag `!!python/object/apply:os.system` does not belong here [unknown-tag]
--> e.yaml:1:4
  |
1 | a: !!python/object/apply:os.system ['touch pwned']
  |    ^ help: remove it
""",
        words="check e.yaml",
        files={"e.yaml": "a: !!python/object/apply:os.system ['touch pwned']\n"},
    ),
    Case(
        "an alias inside its own value",
        """\
error: `*a` stands inside the value it refers to [endless-alias]
--> e.yaml:1:8
  |
1 | a: &a [*a]
  |        ^^ help: write the value out
""",
        words="check e.yaml",
        files={"e.yaml": "a: &a [*a]\n"},
    ),
    Case(
        "a number of 5,000 digits",
        """\
error: a number of 5000 digits is too long [number-too-large]
--> trees.yaml:7:26
  |
6 | architecture:
7 |   - {type: dense, units: 99999999999999999999999999999999999999999999999...
  |                          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  = help: at most 1000 characters are read
""",
        changes=[("units: 4", "units: " + "9" * 5000)],
    ),
    Case(
        "a config that is not there",
        """\
error: there is no such file [missing-file]
--> tree.yaml
  = help: did you mean `trees.yaml`?
""",
        code=66,
        words="check tree.yaml",
    ),
    Case(
        "a folder as the config",
        """\
error: this is a folder, not a file [missing-file]
--> .
  = help: name the file in it
""",
        code=66,
        words="check .",
    ),
]
