"""A run folder of somebody else: nothing is written, cut off or removed outside of it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from cli_lab import Lab
from cli_lab import lab as lab

from bpcli.records.training import Exit, Failure
from bpcli.studies.run.atomic import atomic_bytes
from bpcli.studies.run.lock import Lock
from bpcli.studies.run.runfolder import RunFolder

NAMES = ("train.lock", "run.json", "metrics.jsonl", "model.safetensors", "checkpoints/step-00000006.safetensors")


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A file that no run may touch, in a folder of its own, which stays as it is."""
    (tmp_path / "elsewhere").mkdir()
    file = tmp_path / "elsewhere" / "step-00000099.safetensors"
    file.write_text("PRECIOUS")
    return file


def refused(folder: Path, name: str) -> str:
    """What is said of a name in a folder that no training begins or goes on in."""
    with pytest.raises(Failure) as caught:
        Lock(folder)
    (problem,) = caught.value.problems
    assert (caught.value.exit, problem.file) == (Exit.CANNOT_CREATE, str(folder / name))
    return problem.text


@pytest.mark.parametrize("name", [*NAMES, "folds.json", "checkpoints", "fold-2"])
@pytest.mark.parametrize("there", [True, False])
def test_a_link_is_never_followed(name: str, there: bool, victim: Path, tmp_path: Path) -> None:
    folder, target = tmp_path / "run", victim if there else tmp_path / "elsewhere" / "new"
    target = target.parent if there and name in ("checkpoints", "fold-2") else target
    (folder / name).parent.mkdir(parents=True)
    (folder / name).symlink_to(target)
    assert (
        refused(folder, name) == f"{folder / name} is a link, to {target}: nothing is written outside of a run folder"
    )
    assert os.listdir(victim.parent) == [victim.name]
    assert victim.read_text() == "PRECIOUS"


def test_what_is_no_file_is_no_file_of_a_run(tmp_path: Path) -> None:
    for name in (*NAMES, "fold-1", "checkpoints"):
        folder = tmp_path / name.replace("/", "-")
        (folder / name).parent.mkdir(parents=True)
        os.mkfifo(folder / name)
        kind = "a file" if "." in name else "a folder"
        assert refused(folder, name) == f"{folder / name} is a pipe, and a run has {kind} under this name"
    (tmp_path / "f" / "train.lock").mkdir(parents=True)
    assert "is a folder, and a run has a file" in refused(tmp_path / "f", "train.lock")


def test_a_lock_that_is_another_file_too_is_replaced(victim: Path, tmp_path: Path) -> None:
    """As `cp -al` leaves it of a run that was killed."""
    os.link(victim, tmp_path / "train.lock")
    lock = Lock(tmp_path)
    assert lock.path.read_text() == f"{os.getpid()}\n"
    lock.release()
    assert victim.read_text() == "PRECIOUS"


def test_a_link_that_comes_later_is_not_followed_either(victim: Path, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.checkpoints.mkdir(parents=True)
    folder.metrics.symlink_to(victim)
    (folder.path / "run.json").symlink_to(victim)
    (folder.checkpoints / "step-00000001.safetensors").symlink_to(victim)
    for write in (
        lambda: folder.write_epochs([]),
        lambda: folder.write_record({}),
        lambda: folder.save_checkpoint(1, {}, {}),
    ):
        with pytest.raises(Failure) as caught:
            write()
        assert caught.value.exit == Exit.CANNOT_CREATE
    assert victim.read_text() == "PRECIOUS"
    atomic_bytes(folder.path / "run.json", b"named by the user")
    assert victim.read_text() == "named by the user"


def test_the_commands_say_so_and_leave_other_links_alone(lab: Lab, victim: Path) -> None:
    lab.good("train", "trees.yaml", "--out", "run", "-q")
    for name in (NAMES[0], NAMES[2]):
        shutil.copytree("run", "copy")
        (lab.path / "copy" / name).unlink(missing_ok=True)
        (lab.path / "copy" / name).symlink_to(lab.path / "run" / name if "json" in name else victim)
        found = lab.run("train", "--resume", "copy", "-q", "--set", "training.epochs=4")
        assert (found.code, f"copy/{name} is a link, to " in found.err) == (Exit.CANNOT_CREATE, True), found.err
        shutil.rmtree("copy")
    assert victim.read_text() == "PRECIOUS"
    (lab.path / "run/notes.txt").symlink_to(victim)
    (lab.path / "run/config.yaml").rename("c.yaml")
    (lab.path / "run/config.yaml").symlink_to(lab.path / "c.yaml")
    (lab.path / "link").symlink_to(lab.path / "run")
    lab.good("train", "--resume", "link", "-q", "--set", "training.epochs=4")
    assert lab.good("eval", "link").out


def test_a_name_that_init_and_examples_choose_is_not_followed_out_of_the_folder(lab: Lab, victim: Path) -> None:
    new = victim.with_name("new")
    for name in ("trees.yaml", "bpcli.schema.json", "xor.yaml", "configs/xor.yaml"):
        (lab.path / name).parent.mkdir(exist_ok=True)
        (lab.path / name).unlink(missing_ok=True)
        (lab.path / name).symlink_to(new)
    assert lab.run("init", "trees.csv", "--target", "kind").code == Exit.CANNOT_CREATE
    lab.good("init", "trees.csv", "--target", "kind", "--out", "other.yaml")
    assert lab.run("examples", "xor", "--to", ".").code == Exit.CANNOT_CREATE
    assert not new.exists()
