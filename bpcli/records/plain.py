"""Records as plain data for JSON, which has no words for nan and infinities: they are null."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

MAX_DEPTH = 100
"""Levels of tables and lists in each other, up to which a file of JSON is read; a config has 64."""


def plain(value: Any) -> Any:
    """Returns records as mappings, all the way down; nan and infinities as None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [plain(v) for v in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def is_deeper(tree: Any, levels: int) -> bool:
    """Whether there are more than so many levels of tables and lists in each other."""
    level = [tree]
    for _ in range(levels):
        inner = (child for node in level for child in (node.values() if isinstance(node, dict) else node))
        level = [child for child in inner if isinstance(child, dict | list)]
    return bool(level)
