"""metrics.jsonl, damaged: what it still says is kept, what is not understood is put aside, and both are said."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from cli_lab import Lab
from cli_lab import lab as lab

from bpcli.records.training import EpochRow, Exit
from bpcli.studies.run.saving.epoch_lines import MAX_LINE_BYTES, put_aside, read_lines, to_line
from bpcli.studies.run.saving.stored import MAX_RECORD_BYTES

LINES = [to_line(EpochRow(k, {"train.loss": 1 / k}, 0.0, 0.0, 0.0, 1.0, 0.1, 2, 0.0)) for k in range(1, 8)]


def said(tmp_path: Path, *lines: str | bytes) -> tuple[list[int], list[int]]:
    """The epochs that a file describes, and its damaged lines."""
    file = tmp_path / "metrics.jsonl"
    file.write_bytes(b"".join(line if isinstance(line, bytes) else line.encode() for line in lines))
    found = read_lines(file)
    return [row.epoch for row in found.rows], list(found.damaged)


@pytest.mark.parametrize(
    "bad",
    ["{\n", "3\n", '{"epoch": 3}\n', b"\xff\xfe\n", b"\0" * 5000 + b"\n", "[" * 100_000 + "\n",
     LINES[2].replace("epoch", "epxch"),
     LINES[2].replace('"epoch": 3', '"epoch": 33'), LINES[2].replace('"epoch": 3', '"epoch": 1'),
     LINES[2].replace("0.1", "9" * 400), LINES[2].replace(" 2", " 2" + "0" * 400)],
)  # fmt: skip
def test_a_damaged_line_costs_no_other(bad: str | bytes, tmp_path: Path) -> None:
    assert said(tmp_path, *LINES[:2], bad, *LINES[3:]) == ([1, 2, 4, 5, 6, 7], [3])


def test_what_is_no_damage(tmp_path: Path) -> None:
    assert said(tmp_path, *LINES, LINES[0][:20]) == ([1, 2, 3, 4, 5, 6, 7], []), "cut off"
    assert said(tmp_path, *LINES[:6], LINES[6].strip()) == ([1, 2, 3, 4, 5, 6, 7], []), "but for its end"
    assert said(tmp_path, LINES[0], "\n", LINES[4].replace("\n", "\r\n"), "\n") == ([1, 5], []), "blank, and a gap"
    assert said(tmp_path) == ([], [])
    assert read_lines(tmp_path / "none").warnings(0) == ()
    assert said(tmp_path, LINES[0], *LINES) == ([1, 2, 3, 4, 5, 6, 7], [1]), "twice"


def test_a_line_without_end_is_the_last(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    file.write_text(LINES[0])
    os.truncate(file, 1 << 40)  # of zeros, on no disk
    found = read_lines(file)
    assert ([row.epoch for row in found.rows], found.damaged) == ([1], [2])
    assert said(tmp_path, LINES[0], "x" * MAX_LINE_BYTES + "\n", LINES[1]) == ([1], [2])


def test_the_file_as_it_was_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, first = tmp_path / "metrics.jsonl", tmp_path / "metrics.damaged.jsonl"
    file.write_text("one")
    assert put_aside(file) == put_aside(file) == first  # the second time where the first attempt ended there
    file.unlink()
    file.write_text("two")
    assert put_aside(file).name == "metrics.damaged-2.jsonl"
    file.unlink()
    file.write_text("three")
    (tmp_path / "metrics.damaged-3.jsonl").symlink_to(file)

    def refuse(old: Any, new: Any) -> None:
        raise FileExistsError if os.path.lexists(new) else PermissionError

    monkeypatch.setattr(os, "link", refuse)
    assert put_aside(file).name == "metrics.damaged-4.jsonl"
    assert [(tmp_path / f"metrics.damaged{k}.jsonl").read_text() for k in ("", "-2", "-4")] == ["one", "two", "three"]


def test_a_run_that_goes_on_says_what_its_log_lacks(lab: Lab) -> None:
    lab.good("train", "trees.yaml", "--out", "whole", "-q", "--set", "training.epochs=5")
    file, more = lab.path / "run/metrics.jsonl", ("train", "--resume", "run", "-q", "--set", "training.epochs=6")
    lines = (lab.path / "whole/metrics.jsonl").read_text().splitlines(keepends=True)
    for content, epochs, warning in (
        ("".join([*lines[:2], "{\n", *lines[3:]]), [1, 2, 4, 5, 6], "line 3 is damaged; of 5 epochs 1 is missing"),
        ("".join([*lines[:2], "{\n", *lines[2:], "odd\n"]), [1, 2, 3, 4, 5, 6], "line 3 is damaged, and 1 more"),
        ("".join(lines[3:]), [4, 5, 6], "of 5 epochs 3 are missing"),
        ("".join(lines) + lines[0][:9], [1, 2, 3, 4, 5, 6], ""),
    ):
        shutil.copytree("whole", "run")
        file.write_text(content)
        finished, diagnosed = lab.good("train", "--resume", "run").err, lab.good("diagnose", "run").err
        assert file.read_text() == content
        words = " ".join(lab.good(*more).err.split())
        assert (f"warning: run/metrics.jsonl: {warning} [damaged-log]" in words) == bool(warning)
        assert ("[damaged-log]" in finished) == ("[damaged-log]" in diagnosed) == bool(warning)
        assert [json.loads(line)["epoch"] for line in file.read_text().splitlines()] == epochs
        aside = lab.path / "run/metrics.damaged.jsonl"
        assert ("the file as it was is kept, as run/metrics.damaged.jsonl" in words) == aside.exists()
        assert not aside.exists() or aside.read_text() == content
        shutil.rmtree("run")


# ------------------------------------------------------------------------------------ what could be read without end
@pytest.mark.parametrize(
    ("name", "commands"),
    [("run.json", ("train", "eval", "diagnose")), ("config.yaml", ("train", "diagnose")),
     ("metrics.jsonl", ("train", "diagnose")), ("model.safetensors", ("eval",))],
)  # fmt: skip
def test_no_pipe_is_waited_for_and_no_file_without_end_is_read(name: str, commands: tuple[str, ...], lab: Lab) -> None:
    lab.good("train", "trees.yaml", "--out", "run", "-q")
    file = lab.path / "run" / name
    content = file.read_bytes()
    for kind in ("pipe", "device", "huge"):
        file.unlink()
        if kind == "pipe":
            os.mkfifo(file)
        elif kind == "device":
            file.symlink_to("/dev/zero")
        else:
            file.write_bytes(content)
            os.truncate(file, 1 << 40)
        for command in commands if (name, kind) != ("metrics.jsonl", "huge") else ():  # a line of it is damaged
            found = lab.soon(*(("train", "--resume", "run") if command == "train" else (command, "run")))
            assert found.code in (Exit.NO_INPUT, Exit.BAD_INPUT, Exit.CANNOT_CREATE), (command, kind, found.err)
            assert f"run/{name}" in found.err
            assert "memory" not in found.err


def test_a_record_of_folds_is_of_moderate_size(lab: Lab) -> None:
    (lab.path / "folds").mkdir()
    (lab.path / "folds/folds.json").touch()
    os.truncate(lab.path / "folds/folds.json", MAX_RECORD_BYTES + 1)
    assert "folds/folds.json cannot be read: it is larger than 16 MiB" in lab.run("train", "--resume", "folds").err


def test_data_that_grew_or_became_a_pipe_are_not_read(lab: Lab) -> None:
    lab.good("train", "trees.yaml", "--out", "run", "-q")
    data = lab.path / "trees.csv"
    size = data.stat().st_size
    os.truncate(data, 1 << 40)
    assert "trees.csv has changed since the run began" in lab.soon("train", "--resume", "run").err
    os.truncate(data, size)
    assert "finished before" in lab.good("train", "--resume", "run").err
    data.unlink()
    os.mkfifo(data)
    assert "it is a pipe or a device, not a file" in lab.soon("train", "--resume", "run").err
