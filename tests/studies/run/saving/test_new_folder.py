"""New run folders: their names, what is refused, and what a beginning that was cut short leaves."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from bpcli.records.training import Exit, Failure
from bpcli.studies.run.runfolder import RunFolder
from bpcli.studies.run.saving import new_folder
from bpcli.studies.run.saving.new_folder import claim_folder, create_run


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "run.json").write_text(json.dumps({}))
    return RunFolder(tmp_path / "run")


def test_a_new_run_has_its_files_and_its_lock_and_leaves_nothing_where_it_fails(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "run"
    with create_run("x", out, {"config.yaml": b"a", "run.json": b"{}"}) as (folder, lock):
        assert (out / "config.yaml").read_bytes() == b"a"
        assert folder.checkpoints.is_dir()
        assert lock.path.exists()
    lock.release()
    assert {p.name for p in out.iterdir()} == {"config.yaml", "run.json", "checkpoints"}
    for there in (False, True):
        other = tmp_path / f"other {there}"
        if there:
            other.mkdir()
        with pytest.raises(ZeroDivisionError), create_run("x", other, {"run.json": b"{}"}):
            raise ZeroDivisionError
        assert other.exists() == there
        assert not there or not list(other.iterdir())


def test_a_folder_is_named_by_the_time_and_numbered_within_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    class Noon(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Noon:
            return cls(2026, 1, 2, 12, 0, 5, tzinfo=tz)

    monkeypatch.setattr(new_folder, "datetime", Noon)
    names = [claim_folder("iris", None).as_posix() for _ in range(3)]
    assert names == [f"runs/iris-20260102-120005{end}" for end in ("", "-2", "-3")]
    assert all(Path(name).is_dir() for name in names)


def test_a_run_never_overwrites_anything(folder: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a").write_text("")
    (tmp_path / "folds").mkdir()
    (tmp_path / "folds" / "folds.json").write_text("")
    for name, what, on in (("file", "is not a folder", False), ("other", "is not empty", False),
                           ("run", "is not empty", True), ("folds", "is not empty", True)):  # fmt: skip
        with pytest.raises(Failure) as caught:
            claim_folder("x", tmp_path / name)
        (problem,) = caught.value.problems
        assert (problem.code, int(caught.value.exit)) == ("taken", Exit.CANNOT_CREATE)
        assert problem.text.startswith(f"{tmp_path / name} {what}")
        assert problem.help.startswith("choose another --out")
        assert (f"go on with `bpcli train --resume {tmp_path / name}`" in problem.help) == on


def test_an_empty_folder_or_one_that_only_holds_a_lock_may_be_taken(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    assert claim_folder("x", tmp_path / "a") == tmp_path / "a"
    (tmp_path / "a" / "train.lock").write_text("")
    assert claim_folder("x", tmp_path / "a") == tmp_path / "a"


# ------------------------------------------------------------------------------------- a beginning that was cut short
LEFT = ("train.lock", "config.yaml", ".bpcli-0123456789abcdef.tmp", "config.resolved.yaml", "checkpoints")


def left(folder: Path, names: tuple[str, ...]) -> Path:
    """A folder with what a beginning leaves."""
    folder.mkdir()
    for name in names:
        if name == "checkpoints":
            (folder / name).mkdir()
            (folder / name / ".bpcli-0123456789abcdef.tmp").write_text("half")
        else:
            (folder / name).write_text("old")
    return folder


@pytest.mark.parametrize("count", range(len(LEFT) + 1))
def test_what_a_beginning_left_is_begun_anew(count: int, tmp_path: Path) -> None:
    out = left(tmp_path / "run", LEFT[:count])
    with create_run("x", out, {"config.yaml": b"new", "run.json": b"{}"}) as (folder, lock):
        lock.release()
    assert {p.name for p in folder.path.rglob("*")} == {"config.yaml", "run.json", "checkpoints"}
    assert folder.config.read_text() == "new"


@pytest.mark.parametrize(
    "names",
    [
        ("config.yaml",), ("checkpoints",), ("train.lock", "notes.txt"), ("train.lock", "run.json"),
        ("train.lock", "folds.json"), ("train.lock", "metrics.jsonl"), ("train.lock", "fold-1"),
    ],
)  # fmt: skip
def test_what_is_not_sure_to_be_ours_is_not_touched(names: tuple[str, ...], tmp_path: Path) -> None:
    """A config of the user's own stands in a folder without a lock."""
    out = left(tmp_path / "run", names)
    with pytest.raises(Failure, match="never overwrites"):
        claim_folder("x", out)
    assert {p.name for p in out.iterdir()} == set(names)


def test_nor_is_a_checkpoint(tmp_path: Path) -> None:
    out = left(tmp_path / "run", LEFT)
    (out / "checkpoints" / "step-00000003.safetensors").write_text("hours of work")
    with pytest.raises(Failure, match="never overwrites"):
        claim_folder("x", out)


def test_what_had_not_begun_says_how_it_begins_again(tmp_path: Path) -> None:
    out = left(tmp_path / "a run", LEFT)
    with pytest.raises(Failure) as caught:
        RunFolder(out).record()
    (problem,) = caught.value.problems
    assert (problem.code, int(caught.value.exit)) == ("not-a-run", Exit.NO_INPUT)
    assert problem.text == f"the run in {out} was cut short before it had begun: nothing was trained"
    assert problem.help == f"begin it again: bpcli train CONFIG --out '{out}'"


def test_a_folder_that_cannot_be_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(Failure) as caught:
        claim_folder("x", tmp_path)
    assert int(caught.value.exit) == Exit.CANNOT_CREATE
    assert caught.value.problems[0].text == f"cannot look into {tmp_path}: Permission denied"


def test_a_name_that_is_too_long_says_so(tmp_path: Path) -> None:
    with pytest.raises(Failure) as caught, create_run("x", tmp_path / ("x" * 300), {}):
        pass
    assert caught.value.exit == Exit.CANNOT_CREATE
    assert caught.value.problems[0].text.endswith(": File name too long")
