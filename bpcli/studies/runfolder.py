"""The folder of a run: what it was made from, how it went, and where to go on from.

config.yaml            the user's bytes        metrics.jsonl     one object for each epoch
config.resolved.yaml   defaults and --set in   checkpoints/      step-<k>.safetensors, the newest two
run.json               versions, data, status  model.safetensors the model, self-contained
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import bpcli
from bpcli.plan import Array
from bpcli.records import EpochRow, Exit, Failure, Problem
from bpcli.studies import modelfile
from bpcli.studies.atomic import atomic_bytes, atomic_text, unwritable

KEEP = 2  # checkpoints


@dataclass(frozen=True)
class RunFolder:
    """A run folder by its path."""

    path: Path

    @property
    def model(self) -> Path:
        return self.path / "model.safetensors"

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    def record(self) -> dict[str, Any]:
        """What run.json says. Raises Failure where this is not a run folder."""
        file = self.path / "run.json"
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            text = f"{self.path} is not a run folder: it has no run.json"
            help = "give the folder that `bpcli train` named at its end"
            raise Failure(Problem(text, code="not-a-run", help=help), exit=Exit.NO_INPUT) from None
        except (OSError, ValueError) as error:
            raise Failure(Problem(f"{file} cannot be read: {error}", code="bad-run")) from None
        if not isinstance(found, dict):
            raise Failure(Problem(f"{file} cannot be read: it is not an object", code="bad-run"))
        return found

    def write_record(self, record: Mapping[str, Any]) -> None:
        atomic_text(self.path / "run.json", json.dumps(record, indent=2, ensure_ascii=False) + "\n")

    def epochs(self) -> list[EpochRow]:
        """The lines of metrics.jsonl; a last line that was cut off is left out."""
        try:
            lines = self.metrics.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        found = []
        for line in lines:
            try:
                found.append(_row(json.loads(line)))
            except (ValueError, TypeError):
                break
        return found

    def write_epochs(self, rows: Sequence[EpochRow]) -> None:
        """All of metrics.jsonl anew (after a resume)."""
        atomic_text(self.metrics, "".join(_line(r) for r in rows))

    def append_epoch(self, row: EpochRow) -> None:
        """One more line of metrics.jsonl. Raises Failure where it cannot be written."""
        try:
            with open(self.metrics, "a", encoding="utf-8") as file:
                file.write(_line(row))
        except OSError as error:
            raise unwritable(self.metrics, error) from None

    def save_checkpoint(self, step: int, tensors: Mapping[str, Array], meta: Mapping[str, Any]) -> None:
        """Writes the checkpoint of a step and removes all but the newest."""
        modelfile.write(self.checkpoints / f"step-{step:08d}.safetensors", tensors, meta)
        for old in self._saved()[KEEP:]:
            old.unlink(missing_ok=True)

    def newest_checkpoint(self) -> tuple[dict[str, Array], dict[str, Any], tuple[Problem, ...]]:
        """The newest checkpoint that is whole, and warnings about those passed over. Raises Failure where none is."""
        passed: list[Problem] = []
        for file in self._saved():
            try:
                tensors, meta = modelfile.read(file)
            except Failure as failure:
                passed += [Problem(p.text, p.code, level="warning", help=p.help) for p in failure.problems]
            else:
                return tensors, meta, tuple(passed)
        text = f"{self.path} has no checkpoint to go on from"
        raise Failure(Problem(text, code="no-checkpoint", help="train anew: bpcli train CONFIG"), *passed)

    def _saved(self) -> list[Path]:
        if not self.checkpoints.is_dir():
            return []
        names = [p for p in self.checkpoints.iterdir() if re.fullmatch(r"step-\d{8,}\.safetensors", p.name)]
        return sorted(names, key=lambda p: int(p.name[5:].split(".")[0]), reverse=True)


def _line(row: EpochRow) -> str:
    """A line of metrics.jsonl; JSON has no word for nan and infinities, they are null."""
    data = dict(vars(row))
    flat = {"epoch": data.pop("epoch"), **data.pop("metrics"), **data}
    finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in flat.items()}
    return json.dumps(finite) + "\n"


def _row(line: Mapping[str, Any]) -> EpochRow:
    """The epoch that a line of metrics.jsonl tells of."""
    own = {k: v for k, v in line.items() if "." not in k}
    return EpochRow(**own, metrics={k: math.nan if v is None else v for k, v in line.items() if "." in k})


def create(name: str, out: Path | None, config: bytes, resolved: str) -> RunFolder:
    """A new run folder: `out`, or runs/<name>-<time>. Raises Failure where it cannot be made or is taken."""
    folder = out or _free(Path("runs") / f"{name}-{datetime.now(UTC):%Y%m%d-%H%M%S}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        what = "is not a folder" if not folder.is_dir() else "is not empty, and a run never overwrites another"
        help = f"choose another --out, or go on with `bpcli train --resume {folder}`"
        raise Failure(Problem(f"{folder} {what}", code="taken", help=help), exit=Exit.CANNOT_CREATE)
    try:
        (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        text = f"cannot create the folder {folder}: {error.strerror}"
        raise Failure(
            Problem(text, code="cannot-create", help="choose another --out"), exit=Exit.CANNOT_CREATE
        ) from None
    run = RunFolder(folder)
    atomic_bytes(run.config, config)
    atomic_text(folder / "config.resolved.yaml", resolved)
    return run


def _free(path: Path) -> Path:
    found, count = path, 1
    while found.exists():
        count += 1
        found = path.with_name(f"{path.name}-{count}")
    return found


def environment() -> dict[str, Any]:
    """What else the bits of a result depend on: versions, BLAS, threads, processor."""
    config: Any = np.show_config(mode="dicts")
    blas = config.get("Build Dependencies", {}).get("blas", {})
    threads = {
        n: os.environ[n] for n in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS") if n in os.environ
    }
    return {
        "bpcli": bpcli.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": {"name": blas.get("name", "?"), "version": blas.get("version", "?")},
        "processors": os.cpu_count(),
        "threads": threads,
        "machine": f"{platform.system()} {platform.machine()}",
    }


def started(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """The first lines of run.json."""
    return {
        "status": "running",
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": list(sys.argv if argv is None else argv),
        "environment": environment(),
    }


def fingerprint(files: Sequence[Path]) -> list[dict[str, Any]]:
    """The data files with their sizes and sha256, so that a later reader can tell whether they changed."""
    found = []
    for file in files:
        digest = hashlib.sha256()
        with open(file, "rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
        found.append({"file": str(file.resolve()), "bytes": file.stat().st_size, "sha256": digest.hexdigest()})
    return found
