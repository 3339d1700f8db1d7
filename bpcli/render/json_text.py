"""Records as JSON: what a program reads. Numbers that JSON cannot say (nan, infinities) are null."""

import json
from typing import Any

from bpcli.records.plain import plain
from bpcli.records.training import EvalReport


def dumps(record: Any) -> str:
    """Returns a record as indented JSON."""
    return json.dumps(plain(record), indent=2, ensure_ascii=False)


EVALUATION = ("model", "split", "rows", "loss", "metrics", "classes", "per_class", "averages", "confusion", "notes")
"""What of an evaluation is shown, in this order."""


def evaluation_record(report: EvalReport) -> dict[str, Any]:
    """Returns an evaluation: split, rows, loss, metrics by name, per_class by class name, averages, confusion."""
    found = plain(report)
    for name in ("per_class", "averages"):
        found[name] = {row.pop("name"): row for row in found[name]}
    return {name: found[name] for name in EVALUATION}
