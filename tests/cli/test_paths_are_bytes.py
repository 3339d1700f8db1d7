"""Names of files are bytes: one that is not UTF-8, or that moves a terminal, works in every command and every locale,
is shown by escapes, and stands in JSON so that it can be read back."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cli_lab import DATA, Lab, lab, surroundings

from bpcli.parts.data.csv.source import Csv
from bpcli.parts.data.idx import Idx
from bpcli.parts.data.images import Images
from bpcli.parts.data.npy import Npy
from bpcli.parts.data.npz import Npz
from bpcli.parts.data.parquet import Parquet
from bpcli.records.printable import printable, shell_command, shell_word, utf8_name

__all__ = ["lab"]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs names that are not UTF-8")

FOLDER = b"caf\xe9 \x1b[31m\nx"
TABLE = b"trees\xff\x1b]0;x\x07.csv"
COMMANDS = [
    [b"init", TABLE, b"--target", b"kind", b"--out", b"conf\xe9.yaml"],
    [b"train", b"conf\xe9.yaml", b"--out", b"r\xe9", b"--set", b"training.epochs=2"],
    [b"train", b"--resume", b"r\xe9", b"--set", b"training.epochs=3"],
    [b"predict", b"r\xe9", b"--data", TABLE, b"--out", b"p\xe9.csv"],
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
    here.mkdir(exist_ok=True)
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


PART = """
from typing import Literal
import numpy as np
from bpcli.custom import Activation, Eq, Frame, Plan
class Twice(Activation):
    \"\"\"Twice.\"\"\"
    type: Literal["twice"] = "twice"
    def forward(self, f: Frame, train: bool) -> None:
        np.multiply(f.x, 2, out=f.y)
    def backward(self, f: Frame, train: bool) -> None:
        np.multiply(f.dy, 2, out=f.dx)
"""
MORE = [
    [b"check", b"conf\xe9.yaml"],
    [b"eval", b"r\xe9", b"--data", TABLE],
    [b"worksheet", b"conf\xe9.yaml", b"--out", b"w\xe9.md"],
    [b"check", b"conf\xe9.yaml", b"--json"],
    [b"train", b"conf\xe9.yaml", b"--folds", b"2", b"--out", b"folds\xe9", b"--set", b"training.epochs=2"],
    [b"train", b"--resume", b"folds\xe9"],
    [b"train", b"conf\xe9.yaml", b"--set", b"training.epochs=1"],
    [b"eval", b"r\xe9", b"--json"],
    [b"eval", b"r\xe9/model.safetensors", b"--data", TABLE],
    [b"predict", b"r\xe9", b"--data", TABLE, b"--json"],
    [b"predict", b"r\xe9", b"--data", TABLE, b"--append", b"--warn"],
    [b"trace", b"conf\xe9.yaml", b"--out", b"t\xe9.html"],
    [b"trace", b"r\xe9", b"--out", b"t\xe9.tex", b"--detail", b"layer"],
    [b"trace", b"conf\xe9.yaml", b"--golden", b"g\xe9"],
    [b"trace", b"conf\xe9.yaml", b"--golden", b"g\xe9"],
    [b"mark", b"w\xe9.answers.yaml", b"conf\xe9.yaml"],
    [b"gradcheck", b"conf\xe9.yaml"],
    [b"diagnose", b"r\xe9"],
    [b"init", b"conf\xff.csv.csv", b"--target", b"kind", b"--out", b"i\xe9.yaml", b"--tune", b"--budget", b"2s"],
    [b"check", b"i\xe9.yaml"],
    [b"train", b"twice.yaml", b"--with", b"part\xe9.py", b"--out", b"own\xe9", b"--set", b"training.epochs=1"],
    [b"train", b"--resume", b"own\xe9", b"--with", b"part\xe9.py", b"--set", b"training.epochs=2"],
    [b"verify-resume", b"conf\xe9.yaml", b"--set", b"training.epochs=2"],
    [b"examples", b"iris", b"--to", b"ex\xe9"],
    [b"train", b"ex\xe9/configs/iris.yaml", b"--set", b"training.epochs=1", b"--out", b"ex\xe9/run"],
    [b"schema", b"--out", b"s\xe9.json"],
    [b"train", b"npy.yaml", b"--out", b"npy\xe9"],
    [b"eval", b"npy\xe9"],
    [b"train", b"npz.yaml", b"--out", b"npz\xe9"],
]  # fmt: skip


def latin_1(root: Path) -> dict[str, str]:
    """An environment whose locale is ISO-8859-1."""
    made = ["localedef", "-i", "en_US", "-f", "ISO-8859-1", str(root / "en_US.ISO-8859-1")]
    if shutil.which("localedef") is None or subprocess.run(made, capture_output=True).returncode:
        pytest.skip("no such locale can be made")
    return {"LC_ALL": "en_US.ISO-8859-1", "LOCPATH": str(root), "PYTHONUTF8": "0"}


@pytest.mark.slow
@pytest.mark.parametrize("locale", ["C", "ISO-8859-1", "UTF-8"])
def test_all_commands_in_every_locale(locale: str, tmp_path: Path) -> None:
    environment = {"LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"} if locale == "C" else {}
    environment = latin_1(tmp_path) if locale == "ISO-8859-1" else environment
    here = tmp_path / os.fsdecode(FOLDER)
    files(here)
    _, out, err = walk(tmp_path, [*COMMANDS, *MORE], **environment)
    assert b"\x1b" not in out + err
    assert b"Traceback" not in err


def files(here: Path) -> None:
    """Data of every kind, under names that are not UTF-8."""
    here.mkdir()
    inputs, targets = np.arange(60.0).reshape(20, 3), np.arange(20) % 2
    for name, value in ((b"x\xe9.npy", inputs), (b"t\xe9.npy", targets)):
        np.save(here / os.fsdecode(name), value)
    np.savez(here / os.fsdecode(b"z\xe9.npz"), x=inputs, y=targets)
    (here / os.fsdecode(b"part\xe9.py")).write_text(PART)
    (here / os.fsdecode(b"conf\xff.csv.csv")).write_text(DATA)
    rest = "loss: softmax_cross_entropy\ntraining: {epochs: 2}\n"
    for name, source, layers in (
        ("npy", '{type: npy, path: "x\\udce9.npy", targets: "t\\udce9.npy"}', ""),
        ("npz", '{type: npz, path: "z\\udce9.npz"}', ""),
        ("twice", "{type: csv, path: café.csv, target: kind}", "twice, "),
    ):
        text = f"data: {{train: {source}}}\narchitecture: [{layers}{{type: dense, units: 2}}]\n{rest}"
        (here / f"{name}.yaml").write_text(text, encoding="utf-8")


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
    for kind in (Csv, Npy, Npz, Idx, Images, Parquet):
        found = kind.model_validate(dict.fromkeys(kind.file_settings, "a\udce9"))
        assert found.model_dump(mode="json")[kind.file_settings[0]] == "a\udce9"
    (lab.path / os.fsdecode(b"t\xe9.csv")).write_text(DATA)
    lab.config(("path: trees.csv", 'path: "t\\udce9.csv"'))
    lab.good("check", "trees.yaml")
    lab.good("check", "trees.yaml", "--set", "data.train.path=t\udce9.csv")
    for setting in ("name", "loss", "data.train.target", "data.train.delimiter", "optimizer", "training.metrics"):
        found = lab.run("check", "trees.yaml", "--set", f'{setting}="a\\udce9"')
        assert found.code == 65, setting
        assert "Unicode" not in found.err
    assert lab.run("check", "trees.yaml", "--set", "a\udce9=1").code == 65
