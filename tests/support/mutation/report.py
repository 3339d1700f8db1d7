"""What a run found: a table by room, and the mutants that are left one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

COLUMNS = ("drawn", "killed", "timeout", "survived", "open", "equivalent", "to run")


def score(counts: Mapping[str, int]) -> str:
    """The share that was noticed of those that are no equivalents, as far as they were run."""
    noticed = counts["killed"] + counts["timeout"]
    total = noticed + counts["survived"] + counts["open"]
    return f"{100 * noticed / total:.1f}" if total else "-"


def table(statuses: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """The lines of a Markdown table; `statuses` has the status of each drawn mutant by room and key."""
    yield "| room | " + " | ".join(COLUMNS) + " | score, % |"
    yield "|---" * (len(COLUMNS) + 2) + "|"
    total: Counter[str] = Counter()
    for room, found in statuses.items():
        counts = Counter(found.values())
        counts["drawn"] = len(found)
        total += counts
        yield _row(room, counts)
    yield _row("all", total)


def _row(name: str, counts: Mapping[str, int]) -> str:
    return f"| {name} | " + " | ".join(str(counts[c]) for c in COLUMNS) + f" | {score(counts)} |"


def survivor(row: Mapping[str, Any], line: int) -> Iterator[str]:
    """The lines about one mutant that is left."""
    file, function, old, new = row["key"].split("\t")
    yield f"{file}:{line} {function} [{row['kind']}, {row['status']}; {row['tests']} tests run the line]"
    yield from (f"  - {text}" for text in old.splitlines())
    yield from (f"  + {text}" for text in new.splitlines())
