"""The files that records are kept in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from paths import ROOT

FOLDER = ROOT / "tests" / "peers" / "records"
LIBRARIES = ("torch", "jax", "optax", "scikit-learn", "scipy", "numpy")
DIGITS = 13  # of a number in a file

Record = dict[str, Any]


def rounded(value: Any) -> Any:
    """Returns arrays as nested lists, every number with so many digits; infinities and NaN as their names."""
    if isinstance(value, Mapping):
        return {key: rounded(v) for key, v in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [rounded(v) for v in value]
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if np.isfinite(value) else str(value)
    return value.item() if isinstance(value, np.generic) else value


def numbers(rng: np.random.Generator, shape: Sequence[int], scale: float = 1.0) -> Any:
    """Returns normal random numbers with two decimals, which a file holds as they are."""
    return np.round(rng.normal(size=tuple(shape)) * scale, 2)


def write(family: str, records: Sequence[Record]) -> None:
    """Writes the records of a family, one a line; inputs that an earlier one has are not written again."""
    head = {"family": family, "made by": {name: version(name) for name in LIBRARIES}}
    lines, before = [], []
    for record in map(rounded, records):
        inputs = record["inputs"]
        same = before.index(inputs) if inputs in before else None
        lines.append(json.dumps(record | ({} if same is None else {"inputs": {"as": same}}), ensure_ascii=False))
        before.append(inputs)
    text = json.dumps(head, ensure_ascii=False)[:-1] + ', "records": [\n' + ",\n".join(lines) + "\n]}\n"
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{family}.json").write_text(text, encoding="utf-8")


def read(family: str) -> list[Record]:
    """Returns the records of a family."""
    records: list[Record] = json.loads((FOLDER / f"{family}.json").read_text(encoding="utf-8"))["records"]
    for record in records:
        if "as" in record["inputs"]:
            record["inputs"] = records[record["inputs"]["as"]]["inputs"]
    return records


def families() -> list[str]:
    """Returns the families that have a file."""
    return sorted(file.stem for file in FOLDER.glob("*.json"))
