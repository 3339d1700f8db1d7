"""The list of mutants that no test can tell from the code: each with the reason, matched by what the line says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mutation.operators import mutants

LIST = Path(__file__).with_name("equivalents.json")


def read_equivalents(file: Path = LIST) -> dict[str, str]:
    """The reason of each by the mutant's key. An entry has `file`, `function`, `line`, `mutants` and `reason`."""
    entries: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    return {
        "\t".join((entry["file"], entry["function"], entry["line"], mutant)): entry["reason"]
        for entry in entries
        for mutant in entry["mutants"]
    }


def stale(equivalents: Mapping[str, str], texts: Mapping[str, str]) -> list[str]:
    """The keys that are no mutant of the code any more."""
    files = {key.partition("\t")[0] for key in equivalents}
    known = {mutant.key for file in files if file in texts for mutant in mutants(file, texts[file])}
    return sorted(set(equivalents) - known)
