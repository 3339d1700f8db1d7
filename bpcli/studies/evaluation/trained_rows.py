"""Whether rows that a model is to be judged by are those that it was trained on."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from bpcli.family import Array, Source
from bpcli.records.printable import shell_word
from bpcli.records.training import Failure, Problem
from bpcli.studies.dataset.preview import row_hashes
from bpcli.studies.run.fingerprints import sha256_of
from bpcli.studies.run.resume import reopen
from bpcli.studies.run.runfolder import RunFolder

MAX_TRAINING_BYTES = 64 << 20
"""Bytes of the training files up to which they are read again, to compare rows; larger ones are compared as files."""


def trained_rows_warning(
    run: Path, train: Source, source: Source, root: Path, origin: str, x: Array, t: Array
) -> tuple[Problem, ...]:
    """Returns a warning where a run was trained on the rows of a source, as far as the run folder can tell: because a
    file of it is one of those of `train`, byte for byte, or because more rows stand in train, inputs and target alike,
    than chance explains. `x` (N, ...) and `t` are the rows as the model takes them, `origin` is what messages call
    the source."""
    folder = RunFolder(run if run.is_dir() else run.parent)
    try:
        record = folder.record()
        same = _is_training_file(record, train, source, root)
        shared, chance = _rows_in_train(folder, record, x, t)
    except (Failure, KeyError, TypeError):  # no run folder; or one whose record is damaged
        return ()
    if not same and shared <= chance:
        return ()
    text = f"{origin} is a file that the model was trained on"
    if shared:
        count = f"all {shared:,} rows" if shared == len(x) else f"{shared:,} of {len(x):,} rows"
        text = f"{origin}: the model was trained on {count}"
    help = "they show what it remembers, not how well it predicts"
    if kept := [name for name in ("test", "validation") if record["rows"].get(name)]:
        help += f"; `bpcli eval {shell_word(folder.path)}` judges it by its {kept[0]} rows"
    return (Problem(text, code="trained-on", help=help, level="warning"),)


def _is_training_file(record: dict[str, Any], train: Source, source: Source, root: Path) -> bool:
    """Whether a file of the source is, byte for byte, one of the training source."""
    files = {str(file.resolve()) for file in train.files(Path(record["root"]))}
    known = {file["sha256"] for file in record["data"] if file["file"] in files}
    return any(sha256_of(file) in known for file in source.files(root))


def _rows_in_train(folder: RunFolder, record: dict[str, Any], x: Array, t: Array) -> tuple[int, float]:
    """Returns how many of the rows stand in train, and how many may do so by chance: as large a share as that of
    train's rows which stand there twice, and three standard deviations more. 0 where train cannot be read, or is too
    large."""
    if sum(file["bytes"] for file in record["data"]) > MAX_TRAINING_BYTES:
        return 0, 0.0
    try:
        rows = reopen(folder, record).prepared.splits["train"]
    except Failure:
        return 0, 0.0
    if not all(isinstance(a, np.ndarray) for a in (x, t, rows.x, rows.t)):
        return 0, 0.0
    known, counts = np.unique(row_hashes(rows.x, rows.t), return_counts=True)
    shared = int(np.isin(row_hashes(x, t), known).sum())
    repeated = (int(counts[counts > 1].sum()) + 1) / (len(rows.x) + 1)
    return shared, len(x) * repeated + 3 * math.sqrt(len(x) * repeated * (1 - repeated))
