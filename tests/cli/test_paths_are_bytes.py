"""Names of files are bytes: one that is not UTF-8, or that moves a terminal, works in every command and every locale,
is shown by escapes, and stands in JSON so that it can be read back."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli_lab import DATA, Lab, lab, surroundings

from bpcli.parts.data.csv.source import Csv
from bpcli.records.printable import printable, shell_command, shell_word, utf8_name

__all__ = ["lab"]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs names that are not UTF-8")

FOLDER = b"caf\xe9 \x1b[31m\nx"
TABLE = b"trees\xff\x1b]0;x\x07.csv"
COMMANDS = [
    [b"init", TABLE, b"--target", b"kind", b"--out", b"conf\xe9.yaml"],
    [b"check", b"conf\xe9.yaml"],
    [b"train", b"conf\xe9.yaml", b"--out", b"r\xe9", b"--set", b"training.epochs=2"],
    [b"train", b"--resume", b"r\xe9", b"--set", b"training.epochs=3"],
    [b"eval", b"r\xe9", b"--data", TABLE],
    [b"predict", b"r\xe9", b"--data", TABLE, b"--out", b"p\xe9.csv"],
    [b"worksheet", b"conf\xe9.yaml", b"--out", b"w\xe9.md"],
    [b"train", b"caf\xc3\xa9.yaml", b"-q", b"--out", b"caf\xc3\xa9"],
]
WALK = """
from bpcli.__main__ import name_files_in_utf8
name_files_in_utf8()
import os, sys
from bpcli.cli.app import run
for words in {}:
    sys.argv = ["bpcli", *map(os.fsdecode, words)]
    assert run() == 0, words
"""


def walk(root: Path, commands: list[list[bytes]], **environment: str) -> tuple[Path, bytes, bytes]:
    """The folder that these commands were run in, in one process, and what they said."""
    here = root / os.fsdecode(FOLDER)
    here.mkdir()
    table = "".join(DATA.splitlines(keepends=True)[1:]) * 8
    for name in (TABLE, "café.csv".encode()):
        (here / os.fsdecode(name)).write_text("width,height,kind\n" + table)
    config = "data:\n  train: {type: csv, path: café.csv, target: kind}\narchitecture: [{type: dense, units: 2}]\n"
    (here / "café.yaml").write_text(config + "loss: softmax_cross_entropy\ntraining: {epochs: 1}\n")
    found = subprocess.run(
        [sys.executable, "-c", WALK.format(commands)], cwd=here, capture_output=True, env=surroundings(environment)
    )
    assert found.returncode == 0, found.stderr
    return here, found.stdout, found.stderr


def test_from_data_to_predictions_in_the_c_locale(tmp_path: Path) -> None:
    here, out, err = walk(tmp_path, COMMANDS, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    record = json.loads((here / os.fsdecode(b"r\xe9/run.json")).read_text(encoding="utf-8"))
    assert Path(record["root"]) == here.resolve()
    assert Path(record["data"][0]["file"]).is_file()
    assert rb"next:   bpcli eval $'r\xe9'" in err
    assert b"r\xe9\n" in out  # a path that a program reads is itself
    assert b"caf\xc3\xa9\n" in out
    assert b"\x1b" not in out + err
    assert b"\xe9" not in err


@pytest.mark.parametrize(
    ("text", "shown", "typed"),
    [
        ("runs/a b", "runs/a b", "'runs/a b'"),
        ("caf\udce9", "caf\\xe9", "$'caf\\xe9'"),
        ("it's\x1b[31m\n", "it's\\x1b[31m\\n", "$'it\\'s\\x1b[31m\\n'"),
        ("a\\\x9b\u202ex", "a\\\\x9b\\u202ex", "$'a\\\\\\xc2\\x9b\\xe2\\x80\\xaex'"),
        ("ünï\u200b", "ünï\\u200b", "$'ünï\\xe2\\x80\\x8b'"),
    ],
)
def test_a_word_is_shown_and_can_be_typed(text: str, shown: str, typed: str) -> None:
    assert printable(text) == shown
    assert shell_word(text) == typed
    assert utf8_name("\udce9\x1b") == "\\xe9\x1b"


def test_what_is_to_be_typed_is_read_by_a_shell_as_the_same_bytes() -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("needs bash")
    words = [bytes([i]) + b"a1'\"\\$`\xff" for i in range(1, 256)]
    command = "printf '%s\\0' " + shell_command(map(os.fsdecode, words))
    found = subprocess.run([bash, "-c", command], capture_output=True, env={"LC_ALL": "C"}).stdout
    assert found.split(b"\0")[:-1] == words


def test_only_a_path_may_have_bytes_that_are_not_utf_8(lab: Lab) -> None:
    """In a config as Python writes them, in an option as they are."""
    assert Csv(path="a\udce9").model_dump(mode="json")["path"] == "a\udce9"
    (lab.path / os.fsdecode(b"t\xe9.csv")).write_text(DATA)
    lab.config(("path: trees.csv", 'path: "t\\udce9.csv"'))
    lab.good("check", "trees.yaml")
    lab.good("check", "trees.yaml", "--set", "data.train.path=t\udce9.csv")
    for setting in ("name", "loss", "data.train.target", "data.train.delimiter", "optimizer", "training.metrics"):
        found = lab.run("check", "trees.yaml", "--set", f'{setting}="a\\udce9"')
        assert found.code == 65, setting
        assert "Unicode" not in found.err
    assert lab.run("check", "trees.yaml", "--set", "a\udce9=1").code == 65
