"""Records the worst places of the sweep against mpmath, for tests/parts/test_ulp.py, which needs no mpmath.

python tests/support/record_ulp.py       (rewrites tests/parts/ulp.json)
"""

from __future__ import annotations

import heapq
import json
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
from ulp_cases import Place
from ulp_sweep import ALL, sweep

TARGET = Path(__file__).parents[1] / "parts" / "ulp.json"
PLACES = 2  # of each result: so many by units, so many over the condition number, so many drawn from all


def recorded(family: str, spelled: Any) -> list[dict[str, Any]]:
    found: dict[tuple[str, str], list[Place]] = {}
    for place in sweep(family, spelled):
        found.setdefault((place.by, place.output), []).append(place)
    kept: dict[str, dict[str, Any]] = {}
    for (by, output), places in found.items():
        rng = np.random.default_rng(len(places))
        chosen = heapq.nlargest(PLACES, places, key=lambda p: p.units)
        chosen += heapq.nlargest(PLACES, places, key=lambda p: p.conditioned)
        chosen += [places[int(i)] for i in rng.integers(0, len(places), PLACES)]
        for p in chosen:
            one = {"by": by, "output": output, "case": p.case, "index": p.index, "right": p.right,
                   "sensitivity": p.sensitivity}  # fmt: skip
            kept[json.dumps(one)] = one
    return list(kept.values())


def main() -> None:
    with np.errstate(all="ignore"):
        parts = [{"family": f, "part": spelled, "places": recorded(f, spelled)} for f, spelled in ALL]
    lines = ",\n".join(json.dumps(part) for part in parts)
    versions = json.dumps({"mpmath": mpmath.__version__, "numpy": np.__version__, "digits": 30})
    TARGET.write_text(f'{{"versions": {versions},\n"parts": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
