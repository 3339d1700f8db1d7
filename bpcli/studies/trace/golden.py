"""A derivation kept as a fixture: written the first time, compared with ever after."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from bpcli.numeric.shapes import entry_name
from bpcli.records.trace import Derivation, Difference, Golden
from bpcli.records.training import Exit, Failure, Problem
from bpcli.studies.run.atomic import atomic_text
from bpcli.studies.run.saving.regular_file import read_regular

FORMAT = "bpcli derivation 1"
MAX_GOLDEN_BYTES = 256 << 20  # bytes of a file of ten million numbers
GOLDEN_RTOL = 1e-9
"""Relative to a quantity's largest number: far above what another BLAS does to it, far below any mistake."""


def compare_golden(d: Derivation, file: Path) -> Golden:
    """Writes the derivation's numbers where there is no such file, else compares them with it.

    Raises Failure where the file cannot be read or written, or is something else.
    """
    found = [(q.id, q.path, np.asarray(q.value, np.float64)) for q in d.quantities]
    for line in d.steps:
        found.append((f"{line.step}.loss_after", "loss_after", np.asarray(line.after)))
    try:
        text = read_regular(file, MAX_GOLDEN_BYTES).decode("utf-8")
    except FileNotFoundError:
        rows = [{"id": id, "path": path, "value": _written(value.tolist())} for id, path, value in found]
        atomic_text(file, json.dumps({"format": FORMAT, "name": d.name, "quantities": rows}, indent=1) + "\n")
        return Golden(str(file), True, len(found))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise Failure(Problem(f"{file} cannot be read: {reason}", code="golden"), exit=Exit.NO_INPUT) from None
    return Golden(str(file), False, len(found), _compare(_read_golden(file, text), found))


def _written(value: Any) -> Any:
    """Returns the numbers of an array, those as texts that JSON has no word for: `nan`, `inf`."""
    if isinstance(value, list):
        return [_written(v) for v in value]
    return value if math.isfinite(value) else str(value)


def _read_golden(file: Path, text: str) -> list[tuple[str, str, Any]]:
    """Returns what the file holds."""
    try:
        data = json.loads(text)
        if data["format"] != FORMAT:
            raise ValueError
        return [(str(row["id"]), str(row["path"]), np.asarray(row["value"], np.float64)) for row in data["quantities"]]
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        help = "choose another name: a new file is written, one that is there is compared with"
        text = f"{file} is not a derivation that `bpcli trace --golden` wrote"
        raise Failure(Problem(text, code="golden", help=help)) from None


def _compare(kept: list[tuple[str, str, Any]], found: list[tuple[str, str, Any]]) -> Difference | None:
    """Returns the first quantity in which the two differ."""
    for (id, path, before), (now_id, now_path, now) in zip(kept, found, strict=False):
        if id != now_id or before.shape != now.shape:
            was, is_ = (f"{p} {' x '.join(map(str, a.shape))}".strip() for p, a in ((path, before), (now_path, now)))
            return Difference(now_id, now_path, f"it was {was} and is {is_}: the network or the rows are others")
        largest = float(np.max(np.abs(before[np.isfinite(before)]), initial=0.0))
        with np.errstate(invalid="ignore"):  # inf - inf, where it is the same
            gap = np.where(before == now, 0.0, np.abs(before - now))
        gap = np.where(np.isnan(gap), math.inf, gap)
        if gap.size and gap.max() > GOLDEN_RTOL * max(largest, 1e-300):
            at = tuple(int(i) for i in np.unravel_index(int(gap.argmax()), gap.shape))
            return Difference(id, entry_name(path, at), f"it was {before[at]:.12g} and is {now[at]:.12g}")
    if len(kept) != len(found):
        id, path, _ = max(kept, found, key=len)[min(len(kept), len(found))]
        side = "is new" if len(found) > len(kept) else "is gone"
        return Difference(id, path, f"it {side}: {len(kept)} quantities were kept, {len(found)} are found")
    return None
