"""The folder of a run: what it was made from, how it went, and where to go on from.

config.yaml            the user's bytes        metrics.jsonl     one object for each epoch
config.resolved.yaml   defaults and --set in   checkpoints/      step-<k>.safetensors, the newest two
run.json               versions, data, status  model.safetensors the model, self-contained
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bpcli.config.yamlfile import MAX_BYTES
from bpcli.family.plan import Array
from bpcli.records.plain import plain
from bpcli.records.printable import shell_word
from bpcli.records.training import EpochRow, Exit, Failure, Problem
from bpcli.studies.run import modelfile
from bpcli.studies.run.atomic import TEMPORARY, atomic_text, make_folder, open_own, sync_folder, unwritable
from bpcli.studies.run.fingerprints import sha256_of
from bpcli.studies.run.saving.environment import environment
from bpcli.studies.run.saving.epoch_lines import EpochLog, put_aside, read_lines, to_line
from bpcli.studies.run.saving.non_finite import MAY_BE_NON_FINITE, with_non_finite, without_non_finite
from bpcli.studies.run.saving.own_files import CHECKPOINT, CHECKPOINTS, CONFIGS, LOCK_NAME, METRICS, MODEL
from bpcli.studies.run.saving.stored import RunRecord, read_record, unreadable


class RunFolder:
    """A run folder by its path."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.model, self.config = path / MODEL, path / "config.yaml"
        self.metrics, self.checkpoints = path / METRICS, path / CHECKPOINTS
        self._lines, self._bytes = 0, 0  # of metrics.jsonl, as far as this process has written it; -1: unknown

    def record(self) -> dict[str, Any]:
        """Returns what run.json says. Raises Failure where this is not a run folder."""
        file = self.path / "run.json"
        help = f"`bpcli eval {shell_word(self.model)} --data FILE` needs the model alone; else start a new run"
        try:
            return read_record(file, RunRecord, "how the run began", help)[1]
        except (FileNotFoundError, NotADirectoryError):
            text = f"{self.path} is not a run folder: it has no run.json"
            if not self.path.is_dir():
                text = f"there is no folder {self.path}"
            if self.path.is_file():
                text = f"{self.path} is a file, not a run folder"
            help = "give the folder that `bpcli train` named at its end"
            if self.path.is_dir() and (self.path / LOCK_NAME).exists() and is_unbegun(self.path):
                text = f"the run in {self.path} was cut short before it had begun: nothing was trained"
                help = f"begin it again: bpcli train CONFIG --out {shell_word(self.path)}"
            raise Failure(Problem(text, code="not-a-run", help=help), exit=Exit.NO_INPUT) from None

    def write_record(self, record: Mapping[str, Any]) -> None:
        """Writes run.json. Raises Failure where it cannot be written."""
        atomic_text(self.path / "run.json", record_text(record), follow=False)

    def epochs(self) -> list[EpochRow]:
        """Returns the epochs that metrics.jsonl describes. Raises Failure where it cannot be read."""
        return list(self.lines().rows)

    def lines(self) -> EpochLog:
        """Returns what metrics.jsonl says, and which lines are damaged. Raises Failure where it cannot be read."""
        try:
            return read_lines(self.metrics)
        except OSError as error:
            raise unreadable(self.metrics, error) from None

    def replace_epochs(self, lines: EpochLog, rows: Sequence[EpochRow]) -> Path | None:
        """Writes metrics.jsonl anew, with these rows of `lines`. Where some were damaged the file as it was is kept;
        returns its new name. Raises Failure where it cannot be written."""
        kept = put_aside(self.metrics) if lines.damaged else None
        self.write_epochs(rows)
        return kept

    def write_epochs(self, rows: Sequence[EpochRow]) -> None:
        """Writes metrics.jsonl anew, with these rows alone. Raises Failure where it cannot be written."""
        text = "".join(to_line(r) for r in rows)
        atomic_text(self.metrics, text, follow=False)
        self._lines, self._bytes = len(rows), len(text)

    def log_epochs(self, rows: Sequence[EpochRow]) -> None:
        """Writes into metrics.jsonl what it lacks of these rows: appends it, or writes all anew where an earlier
        attempt failed, or somebody else changed the file. Raises Failure where it cannot be written."""
        if self._lines == len(rows):
            return
        known, self._bytes = self._bytes, -1
        new = "".join(to_line(rows[i]) for i in range(self._lines, len(rows))).encode()
        try:
            with open(self.metrics, "ab", opener=open_own) as file:
                as_left = file.tell() == known
                if as_left:
                    file.write(new)
            if known == 0:
                sync_folder(self.path)
        except OSError as error:
            raise unwritable(self.metrics, error) from None
        if as_left:
            self._lines, self._bytes = len(rows), known + len(new)
        else:
            self.write_epochs(rows)

    def save_checkpoint(self, step: int, tensors: Mapping[str, Array], meta: Mapping[str, Any], keep: int = 2) -> Path:
        """Writes the checkpoint of a step, after the lines of metrics.jsonl that belong to it, and removes all but the
        newest `keep` (those of later steps too: they are of a past that was given up). Returns its file."""
        _sync(self.metrics)
        written = self.checkpoints / f"step-{step:08d}.safetensors"
        modelfile.write(written, without_non_finite(tensors), meta)
        with suppress(OSError):  # of one too many the next one takes care
            saved = self._saved()
            kept = [file for file in saved if _step_of(file) <= step][:keep]
            for file in saved:
                if file not in kept:
                    remove(file)
        return written

    def newest_checkpoint(self) -> tuple[dict[str, Array], dict[str, Any], tuple[Problem, ...]]:
        """Returns the newest checkpoint that is whole, or nothing, and warnings about those passed over."""
        passed: list[Problem] = []
        for file in self._saved():
            try:
                tensors, meta = modelfile.read(file)
                return _checked(file, tensors, meta), meta, tuple(passed)
            except Failure as failure:
                passed += [Problem(f"passed over: {p.text}", p.code, level="warning") for p in failure.problems]
        return {}, {}, tuple(passed)

    def tidy(self) -> None:
        """Takes away what a crash left half written, and makes the folder of checkpoints where it is missing. Raises
        Failure where it cannot be made."""
        make_folder(self.checkpoints, "choose another place, or change the permissions")
        self.remove_temporaries()

    def remove_temporaries(self) -> None:
        """Takes away what a crash left half written."""
        for folder in (self.path, self.checkpoints):
            for file in folder.glob(TEMPORARY):
                remove(file)

    def _saved(self) -> list[Path]:
        if not self.checkpoints.is_dir():
            return []
        names = [p for p in self.checkpoints.iterdir() if CHECKPOINT.fullmatch(p.name)]
        return sorted(names, key=_step_of, reverse=True)


def _checked(file: Path, tensors: Mapping[str, Array], meta: Mapping[str, Any]) -> dict[str, Array]:
    """Returns the arrays of a checkpoint, those back again that no file holds as they are. Raises Failure where this is
    no checkpoint, or where an array that steps go on from is not finite (an earlier version wrote such files)."""
    if meta.get("kind") != "checkpoint":
        raise Failure(Problem(f"{file} is not a checkpoint", "not-a-checkpoint"))
    needed = {name: a for name, a in tensors.items() if not name.startswith(MAY_BE_NON_FINITE)}
    if (name := modelfile.first_non_finite_tensor(needed)) is not None:
        raise Failure(Problem(f"{file} holds a number that is not finite, in {name}", "not-finite"))
    try:
        return with_non_finite(tensors)
    except ValueError as error:
        raise modelfile.damaged_file(file, str(error)) from None


def _step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("step-").removesuffix(".safetensors"))


def is_unbegun(folder: Path) -> bool:
    """Whether nothing stands in a folder but what a beginning leaves that was cut short: files of ours without a
    record, beside the lock that was made before them."""
    names = {p.name for p in folder.iterdir() if not p.match(TEMPORARY)}
    if CHECKPOINTS in names:
        inside = folder / CHECKPOINTS
        if not inside.is_dir() or not all(p.match(TEMPORARY) for p in inside.iterdir()):
            return False
    return names <= {LOCK_NAME, CHECKPOINTS, *CONFIGS} and (LOCK_NAME in names or not names)


def remove(file: Path) -> None:
    """Removes a file, if it can be."""
    with suppress(OSError):  # what cannot be removed does no harm
        file.unlink()


def _sync(file: Path) -> None:
    """Flushes what was appended to a file to the disk. Raises Failure where it cannot be."""
    try:
        if not file.exists():
            return
        with open(file, "rb+", opener=open_own) as stream:
            os.fsync(stream.fileno())
    except OSError as error:
        raise unwritable(file, error) from None


def record_text(record: Mapping[str, Any]) -> str:
    """Returns the record of a run as it is written."""
    return json.dumps(plain(record), indent=2, ensure_ascii=False) + "\n"


def new_record() -> dict[str, Any]:
    """Returns the first lines of run.json."""
    return {
        "status": "running",
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": list(sys.argv),
        "environment": environment(),
    }


def check_unchanged(record: Mapping[str, Any], folder: RunFolder) -> None:
    """Compares the config and the data of a run with what they were when it began. Raises Failure: 66 where a file is
    gone, 65 where one is not what it was."""
    known = [(folder.config, str(record.get("config", "")), MAX_BYTES)]
    for d in record.get("data", []):
        if isinstance(d, dict):
            known.append((Path(str(d.get("file"))), str(d.get("sha256")), d.get("bytes", 0)))
    for file, sha256, size in known:
        if sha256 and sha256_of(file, size) != sha256:
            text = f"{file} has changed since the run began"
            help = "restore the file, or start a new run"
            raise Failure(Problem(text, code="changed", help=help))
