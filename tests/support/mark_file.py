"""A file of claims marked as `bpcli mark` marks it."""

from __future__ import annotations

from pathlib import Path

from bpcli.records.trace import Marks
from bpcli.studies.mistakes.claims import read_claims
from bpcli.studies.mistakes.marking import mark
from bpcli.studies.trace.open import TracedRows, open_target


def mark_file(path: Path, rows: TracedRows, claims: Path, *, ascii: bool = False) -> Marks:
    """Marks the claims in a file against the next training step of a config."""
    return mark(open_target(path, rows), read_claims(claims), str(claims), ascii=ascii)
