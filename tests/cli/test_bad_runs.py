"""Model files, run folders and places to write that are not what they should be: one diagnostic, nothing touched."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from cli_lab import CONFIG, DATA, Lab
from cli_lab import lab as lab
from safetensors.numpy import save


@pytest.fixture
def run(lab: Lab) -> Path:
    """A finished run."""
    lab.good("train", "trees.yaml", "--out", "run", "-q")
    return lab.path / "run"


def broken(kind: str, model: bytes, checkpoint: bytes) -> bytes:
    """A file that is no model."""
    return {
        "truncated": model[:-7],
        "cut in its header": model[:300],
        "flipped in a weight": model[:-5] + bytes([model[-5] ^ 1]) + model[-4:],
        "flipped in its header": model[:200] + bytes([model[200] ^ 1]) + model[201:],
        "longer": model + b"\0",
        "empty": b"",
        "a zip archive": b"PK\x03\x04" + bytes(100),
        "a pickle": b"\x80\x04" + bytes(100),
        "a text": b"weights: [1, 2]\n",
        "another program's": save({"w": np.zeros((3, 4), np.float32)}),
        "a checkpoint": checkpoint,
    }[kind]


TRAIN = "  = help: `bpcli train CONFIG` writes model.safetensors into its run folder\n"
AGAIN = "  = help: copy the file again, or use another checkpoint of the run\n"
MODELS = {
    "truncated": "bad is truncated: it has <N> bytes of <N> [truncated-model]\n--> bad\n" + AGAIN,
    "cut in its header": "bad is truncated: it has <N> bytes, its header alone needs <N> [truncated-model]\n--> bad\n"
    + AGAIN,
    "flipped in a weight": "bad is damaged: its checksum does not hold: some of its bytes were changed "
    "[damaged-model]\n--> bad\n" + AGAIN,
    "flipped in its header": "",
    "longer": "bad is damaged: <N> bytes follow its end [damaged-model]\n--> bad\n" + AGAIN,
    "empty": "bad is truncated: it is empty [truncated-model]\n--> bad\n" + AGAIN,
    "a zip archive": "bad is not a model file; it looks like a zip archive (.npz, .keras and PyTorch's files are zip "
    "archives) [foreign-model]\n--> bad\n" + TRAIN,
    "a pickle": "bad is not a model file; it looks like a pickle, which may run code when it is opened; bpcli never "
    "opens one [foreign-model]\n--> bad\n" + TRAIN,
    "a text": "bad is not a model file; it looks like a text file [foreign-model]\n--> bad\n" + TRAIN,
    "another program's": "bad is a safetensors file of another program: it holds weights, but no network to put them "
    "in [foreign-model]\n--> bad\n" + TRAIN,
    "a checkpoint": "bad is a checkpoint, not a model [not-a-model]\n"
    "  help: give a run folder or its model.safetensors\n",
}


@pytest.mark.parametrize("kind", MODELS)
def test_a_file_that_is_no_model(lab: Lab, run: Path, kind: str) -> None:
    checkpoint = next((run / "checkpoints").iterdir()).read_bytes()
    lab.write("bad", broken(kind, (run / "model.safetensors").read_bytes(), checkpoint))
    for command in ("eval", "predict"):
        found = lab.soon(command, "bad", "--data", "trees.csv")
        assert (found.code, found.out) == (65, "")
        assert found.err.count("error:") == 1
        if MODELS[kind]:
            assert re.sub(r"\d+", "<N>", found.err) == f"error: {MODELS[kind]}"


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ("eval nosuch", 66, f"error: no such file: nosuch [missing-file]\n--> nosuch\n{TRAIN}"),
        (
            "eval .",
            66,
            "error: . is not a run folder: it has no run.json [not-a-run]\n"
            "  help: give the folder that `bpcli train` named at its end\n",
        ),
        (
            "train --resume nosuch",
            66,
            "error: there is no folder nosuch [not-a-run]\n"
            "  help: give the folder that `bpcli train` named at its end\n",
        ),
        (
            "train --resume trees.csv",
            66,
            "error: trees.csv is a file, not a run folder [not-a-run]\n"
            "  help: give the folder that `bpcli train` named at its end\n",
        ),
        (
            "train --resume run --set optimizer.learning_rate=1",
            65,
            "error: --set optimizer.learning_rate=1 would change the experiment [resume]\n"
            "  help: of a run that goes on only training.epochs may change; for anything else start a new run\n",
        ),
        (
            "eval run/model.safetensors",
            2,
            "error: run/model.safetensors holds a model and no data [no-data]\n"
            "  help: bpcli eval run/model.safetensors --data FILE, or give the run folder\n",
        ),
        ("eval run --split test", 2, "error: the run has no test split [no-split]\n  help: it has: train\n"),
        (
            "eval run --data {type: csv, pth: trees.csv}",
            65,
            "error: data.pth: unknown key [unknown-key]\n"
            "--> --data\n"
            "  |\n"
            "1 | data: {type: csv, pth: trees.csv}\n"
            "  |                   ^^^ help: did you mean `path`?\n",
        ),
        (
            "predict run --data trees.bin",
            65,
            "error: trees.bin: the ending does not say what it holds [ending]\n"
            "  help: known endings: .csv, .tsv, .txt, ubyte, .idx, .npy (each also with .gz), .png, .jpg, .jpeg, .bmp, "
            ".gif, .webp, .tif, .tiff, .pgm, .ppm, .pnm, .npz, .parquet; or --data '{type: csv, path: trees.bin}'\n",
        ),
        (
            "train trees.yaml --out run",
            73,
            "error: run is not empty, and a run never overwrites anything [taken]\n"
            "  help: choose another --out, or go on with `bpcli train --resume run`\n",
        ),
        (
            "train trees.yaml --out .",
            73,
            "error: . is not empty, and a run never overwrites anything [taken]\n  help: choose another --out\n",
        ),
        (
            "train trees.yaml --out trees.csv",
            73,
            "error: trees.csv is not a folder [taken]\n  help: choose another --out\n",
        ),
        (
            "train trees.yaml --out trees.csv/run",
            73,
            "error: cannot create the folder trees.csv/run: Not a directory [cannot-create]\n"
            "  help: choose another place with --out\n",
        ),
        (
            "predict run --data trees.csv --out run",
            73,
            "error: run is a folder, not a file that could be replaced [cannot-create]\n"
            "--> run\n"
            "  = help: choose another place, or change the permissions\n",
        ),
        (
            "predict run --data trees.csv --out no/such/place.csv",
            73,
            "error: cannot write no/such/place.csv: the folder no/such does not exist [cannot-create]\n"
            "--> no/such/place.csv\n"
            "  = help: create the folder first, or choose another place\n",
        ),
        (
            "schema --out no/schema.json",
            73,
            "error: cannot write no/schema.json: the folder no does not exist [cannot-create]\n"
            "--> no/schema.json\n"
            "  = help: create the folder first, or choose another place\n",
        ),
    ],
)
def test_runs_and_places(lab: Lab, run: Path, words: str, code: int, text: str) -> None:
    before = lab.files()
    found = lab.soon(*(re.findall(r"\{.*\}|\S+", words)))
    assert (found.code, found.err, found.out) == (code, text, "")
    assert lab.files() == before


@pytest.mark.parametrize(
    ("content", "command", "code", "text"),
    [
        (
            "kind,height,width\noak,1,2\nash,1,2\n",
            "eval",
            65,
            "error: class `ash` does not occur in the training rows [unknown-class]\n"
            "--> new.csv:3:1\n  |\n3 | ash,1,2\n  | ^^^ help: the classes are elm, oak\n",
        ),
        (
            "kind,height\noak,1\n",
            "predict",
            65,
            "error: new.csv has no column `width`, which the model was trained on [missing-column]\n--> new.csv\n"
            "  = help: it has height, kind\n",
        ),
        (
            "height,width\n1,2\n",
            "eval",
            65,
            "error: target: the file has no column `kind` [missing-column]\n"
            "--> new.csv\n"
            "  = help: the columns are height, width\n",
        ),
        (
            "height,width\n1,2\n3,wide\n",
            "predict",
            65,
            "error: column `width`: `wide` is not a number [not-a-number]\n"
            "--> new.csv:3:3\n"
            "  |\n"
            "3 | 3,wide\n"
            "  |   ^^^^ help: correct the cell\n",
        ),
    ],
)
def test_rows_that_do_not_fit_the_model(lab: Lab, run: Path, content: str, command: str, code: int, text: str) -> None:
    lab.write("new.csv", content)
    found = lab.run(command, "run", "--data", "new.csv")
    assert (found.code, found.err, found.out) == (code, text, "")


@pytest.mark.parametrize("command", [("eval", "run"), ("train", "--resume", "run", "--set", "training.epochs=9")])
class TestARunWhoseFilesAreNoLongerWhatTheyWere:
    def test_data_gone(self, lab: Lab, run: Path, command: tuple[str, ...]) -> None:
        (lab.path / "trees.csv").unlink()
        self.check(lab, command, 66, "trees.csv, which the run began with, is gone [missing-file]", "put it back")

    def test_data_changed(self, lab: Lab, run: Path, command: tuple[str, ...]) -> None:
        lab.write("trees.csv", DATA + "1,1,oak\n")
        self.check(lab, command, 65, "trees.csv has changed since the run began [changed]", "restore the file")

    def test_config_changed(self, lab: Lab, run: Path, command: tuple[str, ...]) -> None:
        lab.write("run/config.yaml", CONFIG.replace("units: 4", "units: 5"))
        self.check(lab, command, 65, "config.yaml has changed since the run began [changed]", "restore the file")

    @pytest.mark.parametrize("record", ["", "[]", "[[", "{}", '{"root": 3, "sets": [], "data": []}', "[" * 100_000])
    def test_record_damaged(self, lab: Lab, run: Path, command: tuple[str, ...], record: str) -> None:
        lab.write("run/run.json", record)
        self.check(lab, command, 65, "run.json is damaged: it does not say how the run began", "`bpcli eval")

    def check(self, lab: Lab, command: tuple[str, ...], code: int, text: str, help: str) -> None:
        before = {p: p.read_bytes() for p in lab.path.rglob("*") if p.is_file()}
        found = lab.run(*command)
        assert (found.code, found.out) == (code, "")
        first, second = found.err.splitlines()
        assert first.startswith("error: ")
        assert text in first
        assert second.startswith(f"  help: {help}")
        assert {p: p.read_bytes() for p in lab.path.rglob("*") if p.is_file()} == before


def test_no_model_yet(lab: Lab, run: Path) -> None:
    (run / "model.safetensors").unlink()
    found = lab.run("eval", "run")
    assert (found.code, found.err) == (
        66,
        "error: run has no model yet [no-model]\n  help: finish its training: bpcli train --resume run\n",
    )


@pytest.mark.skipif(sys.platform == "win32" or os.getuid() == 0, reason="root may write anywhere")
def test_a_working_directory_that_cannot_be_written(lab: Lab) -> None:
    lab.path.chmod(0o555)
    try:
        found = lab.run("train", "trees.yaml")
    finally:
        lab.path.chmod(0o755)
    assert found.code == 73
    assert re.match(
        r"error: cannot create the folder runs/trees-[\d-]+: Permission denied \[cannot-create\]", found.err
    )


def test_a_failure_on_the_way_leaves_no_folder(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    before = lab.files()
    found = lab.run("train", "trees.yaml", "--out", "run")
    assert found.code == 74
    assert found.err == (
        "error: cannot create the folder run: No space left on device [cannot-create]\n"
        "  help: choose another place with --out\n"
    )
    assert lab.files() == before
