"""The files of a run folder, by the names that bpcli chose, and what may stand there: a run folder can come from
anybody, and nothing is written outside of it."""

import os
import re
import stat
from pathlib import Path

from bpcli.studies.run.atomic import cannot_create, file_kind

LOCK_NAME = "train.lock"
CHECKPOINTS = "checkpoints"
CONFIGS = ("config.yaml", "config.resolved.yaml")
RECORDS = ("run.json", "folds.json")
"""Files, of a run and of a cross-validation, that say how it began: where one stands, the folder is whole."""
METRICS, MODEL = "metrics.jsonl", "model.safetensors"
FOLD = re.compile(r"fold-\d+")
CHECKPOINT = re.compile(r"step-\d{8,}\.safetensors")


def check_own_files(folder: Path) -> None:
    """Raises Failure where one of the names that a training writes to is a link, which could lead out of the folder, or
    another thing than a run has under it; OSError where the folder cannot be looked into."""
    for name in os.listdir(folder):
        if name == CHECKPOINTS or FOLD.fullmatch(name):
            _check(folder / name, is_folder=True)
            for inner in os.listdir(folder / name) if name == CHECKPOINTS else ():
                if CHECKPOINT.fullmatch(inner):
                    _check(folder / name / inner)
        elif name in (LOCK_NAME, METRICS, MODEL, *RECORDS):
            _check(folder / name)


def _check(path: Path, *, is_folder: bool = False) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:  # another process is at work, which the lock will say
        return
    if stat.S_ISDIR(mode) if is_folder else stat.S_ISREG(mode):
        return
    if stat.S_ISLNK(mode):
        text = f"{path} is a link, to {os.readlink(path)}: nothing is written outside of a run folder"
        raise cannot_create(path, text, "put what it points to in its place, or choose another folder")
    kind = "a file" if stat.S_ISREG(mode) else file_kind(mode)
    text = f"{path} is {kind}, and a run has {'a folder' if is_folder else 'a file'} under this name"
    raise cannot_create(path, text, "move it away, or choose another folder")
