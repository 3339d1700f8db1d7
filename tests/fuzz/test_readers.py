"""Hostile files of every kind are refused or read: no reader raises anything but a Failure. What was found stands as a
case of its own."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import yaml
from hostile import formats, mutations
from hostile.judge import Folder, inside, judge
from hostile.kinds import RESUME
from hostile.readers import READERS, Reader
from hostile.valid import PART, files, make_folder, npy, stop_in_an_epoch
from paths import ROOT

from bpcli.family import Source
from bpcli.notation import Eq, NotationError
from bpcli.notation.syntax import parse
from bpcli.parts.data.arrays import read_npy
from bpcli.parts.data.imagefile import read
from bpcli.records.training import Failure
from bpcli.render.numbers import date
from bpcli.studies.custom.load import registry_snapshot, restore_registry
from bpcli.studies.evaluation.cross_validate import resume
from bpcli.studies.run.runfolder import RunFolder
from bpcli.studies.trace.golden import FORMAT

CASES = 10  # of each reader in the quick version


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return make_folder(tmp_path_factory.mktemp("hostile"), ("trees.yaml",))


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """A run that stopped within an epoch."""
    path = tmp_path_factory.mktemp("stopped")
    for file in ("trees.csv", "stopped.yaml"):
        (path / file).write_bytes(files()[file])
    stop_in_an_epoch(path)
    return Folder(path)


@pytest.mark.parametrize("reader", READERS, ids=lambda r: r.name)
def test_mutated_files_end_as_diagnostics(reader: Reader, tmp_path: Path) -> None:
    if reader.name == "parquet":
        pytest.importorskip("pyarrow")
    seed = reader.seed(tmp_path)
    assert reader.run(tmp_path, seed)
    for number in range(CASES):
        reader.run(tmp_path, reader.change(Random(f"1 {reader.name} {number}"), seed))


@pytest.mark.slow
def test_twenty_thousand_hostile_files() -> None:
    """The real commands, in 1.5 GB and 10 s each."""
    command = [sys.executable, "-m", "hostile", "--count", "20000"]
    paths = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests/support'}"}
    found = subprocess.run(command, capture_output=True, text=True, env=paths)
    assert found.stdout.splitlines()[-1:] == ["0 failures"], found.stdout + found.stderr


# ----------------------------------------------------------------------------------------------------- what was found
def changed(key: str, value: Any) -> Callable[[Any], None]:
    """Puts a value into the meta data, under keys apart by points."""

    def change(meta: Any) -> None:
        *path, last = key.split(".")
        for step in path:
            meta = meta[step]
        meta[last] = value

    return change


def inside_residuals(meta: Any) -> None:
    meta["experiment"]["architecture"] = mutations.branched(meta["experiment"]["architecture"], 400)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (changed("rules.classes", ["elm"]), "the network has 2 outputs and the data has 1 class"),
        (changed("rules.classes", ["elm", "oak", "ash"]), "the network has 2 outputs and the data has 3 classes"),
        (changed("rules.classes", ["elm", "elm"]), "two of its classes have one name"),
        (changed("experiment.loss.class_weights", "balanced"), "nothing says how to balance the classes"),
        (changed("experiment.training.metrics", ["r2"]), "r2 is a figure of regressions"),
        (changed("experiment.loss", "poisson"), "poisson wants counts"),
        (changed("experiment.\ud800", 1), "unable to parse raw data as a unicode string"),
        (changed("rules.\udcff", 1), "unable to parse raw data as a unicode string"),
        (inside_residuals, "nested more than 100 levels deep"),
        (lambda meta: meta.pop("rules"), "it has no `rules`"),
        (changed("experiment.seed", 10**400), "its header cannot be read"),
    ],
)
def test_a_model_that_says_what_none_does(folder: Folder, change: Callable[[Any], None], text: str) -> None:
    file = folder.path / "run-trees/model.safetensors"
    meta, tensors = formats.opened(folder.kept[file])
    change(meta)
    file.write_bytes(formats.sealed(meta, tensors))
    with inside(folder.path):
        found = judge(("predict", "run-trees", "--data", "trees.csv"))
    assert (found.code, found.fault) == (65, ""), found
    assert text in found.said
    assert "run-trees/model.safetensors" in found.said
    folder.restore()


HEADER = "{'descr': %s, 'fortran_order': False, 'shape': %s}"


@pytest.mark.parametrize(
    "header",
    [
        HEADER[:60],
        HEADER % ("()", "(8, 2)"),
        HEADER % ("'<U0'", "(8, 2)"),
        HEADER % ("[('a',)]", "(8, 2)"),
        HEADER % ("'<f4'", "(-8, -2)"),
        HEADER % ("'<f4'", "(True, 2)"),
        HEADER % ("'<f4'", "(" + "1, " * 65 + ")"),
        HEADER % ("'<f4'", "(1" + "0" * 5000 + ",)"),
        "[" * 150,
        "(" * 5000,
        "'''",
        "\\",
    ],
    ids=lambda text: text[:40],
)
def test_a_header_that_describes_no_array(tmp_path: Path, header: str) -> None:
    text = header.encode()
    data = files()["x.npy"][:8] + len(text).to_bytes(2, "little") + text + files()["x.npy"][128:]
    (tmp_path / "x.npy").write_bytes(data)
    (tmp_path / "x.npz").write_bytes(formats.zip_of({"x.npy": data}))
    for kind in ("npy", "npz"):
        with pytest.raises(Failure) as caught:
            Source.parse({"type": kind, "path": f"x.{kind}"}).load(tmp_path, need_target=False)
        problem = caught.value.problems[0]
        assert problem.code == f"not-{kind}"
        assert problem.file.endswith(f"x.{kind}")


def test_an_array_of_records(tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(npy(np.zeros(3, [("a", "f4"), ("b", "i4")])))
    with pytest.raises(Failure, match="records of several values"):
        read_npy(tmp_path, "x.npy")


@pytest.mark.parametrize(("field", "value"), [(6, 1), (6, 0x40), (8, 97), (4, 99), (26, 9999)])
def test_fields_of_a_zip_archive(folder: Folder, field: int, value: int) -> None:
    """Encrypted, of another method, of a later version, with a long name: where data and where gradients stand."""
    data = bytearray(folder.kept[folder.path / "gradients.npz"])
    again = data.index(b"PK\1\2") + field + 2  # in the archive's own directory
    for at in (field, again):
        data[at : at + 2] = value.to_bytes(2, "little")
    (folder.path / "gradients.npz").write_bytes(data)
    (folder.path / "all.npz").write_bytes(data)
    with inside(folder.path):
        for words in (("gradcheck", "trees.yaml", "--external", "gradients.npz"), ("check", "npz.yaml")):
            found = judge(words)
            assert (found.code, found.fault) == (65, ""), found
    folder.restore()


def test_data_without_a_name(folder: Folder) -> None:
    with inside(folder.path):
        for words in (("predict", "run-trees", "--data", ""), ("eval", "run-trees", "--data", "")):
            found = judge(words)
            assert (found.code, "names no file" in found.said) == (2, True)


@pytest.mark.parametrize(
    "text",
    ["x[n] + \ud800", "percentile(5)", "(" * 400, "-" * 5000 + "1", "x[n]\0", "1 +" * 3000 + "1", "1" * 400],
    ids=repr,
)
def test_an_equation_that_says_nothing(text: str) -> None:
    with pytest.raises(NotationError):
        parse(Eq("y[n]", text))
    with pytest.raises(NotationError):
        parse(Eq(text, "x[n]"))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (changed("progress", []), "does not fit this experiment"),
        (changed("progress.epoch", "two"), "epoch: Input should be a valid integer"),
        (changed("progress.step", [4]), "step: Input should be a valid integer"),
        (changed("progress.best", {}), "best: Input should be a valid number"),
        (changed("progress.seconds", "x"), "seconds: Input should be a valid number"),
        (changed("progress.batch", 10**30), "batch: "),
        (changed("progress.batch", 7), "7 batches of an epoch of"),
        (changed("progress.sums", 0), "sums: "),
        (changed("progress.sums.watch", [1]), "sums.watch: "),
        (lambda meta: meta.pop("progress"), "does not fit this experiment"),
    ],
)
def test_a_checkpoint_that_says_what_no_training_does(folder: Folder, change: Callable[[Any], None], text: str) -> None:
    file = folder.path / "run-trees/checkpoints/step-00000004.safetensors"
    meta, tensors = formats.opened(folder.kept[file])
    change(meta)
    refused(folder, file, formats.sealed(meta, tensors), text)


@pytest.mark.parametrize("name", ["theta", "slot.m", "slot.v"])
def test_a_checkpoint_without_a_tensor(folder: Folder, name: str) -> None:
    file = folder.path / "run-trees/checkpoints/step-00000004.safetensors"
    meta, tensors = formats.opened(folder.kept[file])
    short = tensors | {name: tensors[name][:-1]}
    del tensors[name]
    refused(folder, file, formats.sealed(meta, tensors), f"it holds no {name}", traced=True)
    refused(folder, file, formats.sealed(meta, short), "does not fit this experiment")


def test_best_weights_of_another_network(folder: Folder) -> None:
    file = folder.path / "run-trees/checkpoints/step-00000004.safetensors"
    meta, tensors = formats.opened(folder.kept[file])
    for more in ({"best.theta": np.zeros(3, "f4")}, {"good.theta": np.zeros(3, "f4")}, {"best.other": np.zeros(3)}):
        refused(folder, file, formats.sealed(meta, tensors | more), "does not fit this experiment")


def refused(folder: Folder, file: Path, data: bytes, text: str, *, traced: bool = False, code: int = 65) -> None:
    file.write_bytes(data)
    with inside(folder.path):
        for words in (RESUME, ("trace", "run-trees"))[: 1 + traced]:
            found = judge(words)
            assert (found.code, found.fault) == (code, ""), found
            assert text in found.said
            assert "run-trees" in found.said or code == 66
    folder.restore()


@pytest.mark.parametrize(
    "line",
    [b"[" * 5000, b"\xff\xed\xa0\x80", b'{"epoch": "x"}', b'{"epoch": 2, "train.loss": [1]}', b'{"a.b": "c"}', b"null"],
)  # fmt: skip
def test_a_line_that_describes_no_epoch(folder: Folder, line: bytes) -> None:
    """Lines before it count."""
    file = folder.path / "run-trees/metrics.jsonl"
    file.write_bytes(folder.kept[file].splitlines(keepends=True)[0] + line + b"\n")
    assert [row.epoch for row in RunFolder(folder.path / "run-trees").epochs()] == [1]
    folder.restore()


@pytest.mark.parametrize(
    "change",
    [
        {"rows": 3},
        {"data": [3]},
        {"data": [{"file": 1, "sha256": ""}]},
        {"kept": -1},
        {"steps": 10**400},
        {"root": "a\0"},
        {"root": "\ud83d"},
        {"sets": ["\ud800"]},
        {"environment": mutations.nested(400)},
    ],
)
def test_a_run_that_says_what_none_does(folder: Folder, change: Any) -> None:
    file = folder.path / "run-trees/run.json"
    record = json.loads(folder.kept[file])
    refused(folder, file, json.dumps(record | change).encode(), "it does not say how the run began")


@pytest.mark.parametrize("change", [{"folds": "2"}, {"folds": 1}, {"folds": 10**9}, {"sets": [1]}, {"root": None},
                                    {"more": mutations.nested(400)}])  # fmt: skip
def test_folds_that_say_what_none_do(tmp_path: Path, change: Any) -> None:
    record = {"folds": 2, "root": ".", "sets": [], "config": "0"} | change
    (tmp_path / "folds.json").write_text(json.dumps(record))
    with pytest.raises(Failure, match="it does not say how the folds began"):
        resume(tmp_path)


def test_a_source_that_cannot_be_read_in_parts(folder: Folder) -> None:
    """What `init` would advise to type holds an alias, or a path that is no text."""
    with inside(folder.path):
        Path(os.fsdecode(b"a\xff.csv")).write_text("a,b,y\n1,2,0\n,1,1\n3,4,0\n5,6,1\n")
        Path("gaps.csv").write_text("a,b,y\n1,2,0\n,1,1\n3,4,0\n5,6,1\n")
        for source in ("{type: csv, path: gaps.csv, missing: &x error, columns: {b: {missing: *x}}}",
                       "{type: csv, missing: error, path: a\udcff.csv}"):  # fmt: skip
            found = judge(("init", source, "--out", "first.yaml"))
            assert (found.code, found.fault) == (65, ""), found
            assert "a" in found.said
    folder.restore()


@pytest.mark.parametrize("index", ["1" * 5000 + ",0", "\n", "0,\t0", ",,,"])
def test_an_entry_that_no_array_has(folder: Folder, index: str) -> None:
    claims = folder.path / "claims.csv"
    claims.write_text(f'"dense_1.dW[{index}]",1\n"dense_1.W[{index}]",1\n', encoding="utf-8")
    with inside(folder.path):
        for words in (("mark", "claims.csv", "trees.yaml"), ("trace", "trees.yaml", "--param", f"dense_1.W[{index}]")):
            found = judge(words)
            assert (found.code in (0, 2, 3, 65), found.fault) == (True, ""), found
    folder.restore()


@pytest.mark.parametrize("target", ["inf", "nan", "1e999", "0.5", "1e30", "1" * 5000])
def test_a_class_id_that_is_none(folder: Folder, target: str) -> None:
    file = folder.path / "run-trees/model.safetensors"
    meta, tensors = formats.opened(folder.kept[file])
    meta["rules"] |= {"labels": "ids", "classes": ["0", "1"]}
    file.write_bytes(formats.sealed(meta, tensors))
    with inside(folder.path):
        found = judge(("trace", "run-trees/model.safetensors", "--x", "1,2", "--t", target))
        assert (found.code, found.fault) == (2, ""), found
        assert "no class id" in found.said
    folder.restore()


@pytest.mark.parametrize(("x", "t"), [("1,2", ""), ("", "oak"), ("1\r2", "oak"), ("1,2", "\n\r"), ('"1,2', "oak")])
def test_rows_by_value_that_are_none(folder: Folder, x: str, t: str) -> None:
    with inside(folder.path):
        found = judge(("trace", "trees.yaml", "--x", x, "--t", t))
        assert (found.code, found.fault) == (2, ""), found


def test_digits_of_any_length_and_any_script(tmp_path: Path) -> None:
    """In cells, in the places of columns and in options."""
    for cells in ("1" * 5000, "\u00b2\u00b2\u00b2\u00b20101", "\u0661" * 8):
        rows = "".join(f"{cells[:-1]}{i},{i % 2}\n" for i in range(6))
        (tmp_path / "a.csv").write_text(f"a,y\n{rows}", encoding="utf-8")
        with inside(tmp_path):
            found = judge(("init", "a.csv", "--out", "-"))
            assert (found.code in (0, 65), found.fault) == (True, ""), found
            long = "{type: csv, path: a.csv, header: false, target: '-" + "1" * 5000 + "'}"
            found = judge(("init", long, "--out", "-"))
            assert (found.code, found.fault) == (65, ""), found
            assert judge(("trace", "--example", "article", "--elide", "1" * 5000)).code == 2


def test_a_derivation_of_numbers_that_are_none(tmp_path: Path) -> None:
    file = tmp_path / "golden.json"
    for value in ([10**400], "x", [[1], [1, 2]], {"a": 1}, None):
        quantity = {"id": "a", "path": "b", "value": value}
        file.write_text(json.dumps({"format": FORMAT, "name": "a", "quantities": [quantity]}))
        found = judge(("trace", "--example", "article", "--golden", str(file)))
        assert (found.code in (3, 65), found.fault) == (True, ""), found


@pytest.mark.parametrize("equation", ["x[o,...] ** 3", "x[n,...] + exp(10 ** 400)", "x[99,...]"])
def test_an_equation_that_cannot_be_worked_out(tmp_path: Path, equation: str) -> None:
    (tmp_path / "cube.py").write_text(PART % equation)
    before = registry_snapshot()
    try:
        with inside(tmp_path):
            found = judge(("gradcheck", "--with", "cube.py"))
            assert (found.code in (3, 65), found.fault) == (True, ""), found
            assert "cube" in found.said
    finally:
        restore_registry(before)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("clip.held", 1e30),
        ("clip.held", -1),
        ("clip.held", 0.5),
        ("clip.place", 4),
        ("tally.roc_auc.rows", 255),
        ("tally.roc_auc.rows", -1),
    ],
)
def test_counts_that_point_beside_what_they_count(stopped: Folder, name: str, value: float) -> None:
    checkpoint = stopped.path / "run-stopped/checkpoints/step-00000006.safetensors"
    meta, tensors = formats.opened(stopped.kept[checkpoint])
    assert name in tensors
    tensors[name] = np.full_like(tensors[name], value)
    checkpoint.write_bytes(formats.sealed(meta, tensors))
    with inside(stopped.path):
        found = judge(("train", "--resume", "run-stopped", "--quiet"))
    assert (found.code, found.fault) == (65, ""), found
    assert "does not fit this experiment" in found.said
    stopped.restore()


def test_branches_as_deep_as_a_config_can_hold(folder: Folder) -> None:
    """Their tensors have names of some hundred characters; the model is written, and read again."""
    config = yaml.safe_load(folder.kept[folder.path / "trees.yaml"])
    first, last = config["architecture"]
    config["architecture"] = [first, *mutations.branched([{"type": "dense", "units": first["units"]}], 28), last]
    with inside(folder.path):
        Path("deep.yaml").write_text(json.dumps(config))
        for words in (("train", "deep.yaml", "--out", "deep", "-q"), ("predict", "deep", "--data", "trees.csv")):
            assert judge(words).code == 0
    folder.restore()


@pytest.mark.parametrize("days", [1e12, -1e9, 1e300, 3e6])
def test_a_day_that_no_calendar_has(days: float) -> None:
    assert date(days) == f"1970 {days:+.4g} days"


def test_a_run_whose_files_have_names_that_are_too_long(folder: Folder) -> None:
    """Found in run.json, where the folder of the data stands; a config may say the same."""
    file = folder.path / "run-trees/run.json"
    record = json.loads(folder.kept[file])
    refused(folder, file, json.dumps(record | {"root": f"/{'1' * 300}", "data": []}).encode(), "name too long", code=66)
    with inside(folder.path):
        found = judge(("check", "trees.yaml", "--set", f"data.train.path={'1' * 300}.csv"))
        assert (found.code, found.fault, "cannot be opened: File name too long" in found.said) == (66, "", True), found


def test_a_name_that_is_too_long_for_one(folder: Folder) -> None:
    with inside(folder.path):
        for words in (("predict", "run-trees", "--data", "x" * 5000), ("init", "x/" * 3000)):
            found = judge(words)
            assert (found.code in (2, 65, 66), found.fault) == (True, ""), found


def test_a_picture_of_more_pixels_than_its_runs_can_hold(tmp_path: Path) -> None:
    """A line of eight million pixels, in 70 bytes."""
    head = b"BM" + struct.pack("<IHHI", 70, 0, 0, 54)
    head += struct.pack("<IiiHHIIiiII", 40, 1 << 23, 6, 1, 8, 1, 16, 2835, 2835, 0, 0)
    (tmp_path / "a.bmp").write_bytes(head + bytes(16))
    assert "more pixels than its bytes" in str(read(tmp_path / "a.bmp", "rgb", (6, 6)))
