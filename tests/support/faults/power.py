"""What a power cut leaves: the logged calls done again up to some place, without what nothing has brought to the disk.

A file is on the disk as it was when fsync was last called on it, a folder's list of names likewise. What came after may
be there or not: that depends on the file system and on chance.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from faults.disk import Event

POLICIES = ("nothing", "names", "chance")
"""What is left of what was not brought to the disk: nothing; names of files, but not what is in them; some of it."""


@dataclass
class Node:
    """A file or a folder, as programs see it and as it is on the disk."""

    folder: bool
    data: bytes = b""
    saved: bytes = b""
    names: dict[str, Node] = field(default_factory=dict)
    saved_names: dict[str, Node] = field(default_factory=dict)

    def sync(self) -> None:
        self.saved, self.saved_names = self.data, dict(self.names)


def replayed(events: Sequence[Event], start: str) -> Node:
    """The tree below `start`, which was an empty folder, after these calls."""
    root = Node(True)

    def parts(path: str) -> list[str]:
        return [p for p in os.path.relpath(path, start).split(os.sep) if p != "."]

    def at(names: Sequence[str]) -> Node:
        node = root
        for name in names:
            node = node.names[name]
        return node

    for event in events:
        *above, name = parts(event.path) or [""]
        if event.name in ("create", "mkdir"):
            at(above).names[name] = Node(event.name == "mkdir")
        elif event.name in ("unlink", "rmdir"):
            del at(above).names[name]
        elif event.name in ("replace", "rename"):
            *to, new = parts(event.more[0])
            at(to).names[new] = at(above).names.pop(name)
        elif event.name == "fsync":
            at(parts(event.path)).sync()
        elif event.name == "truncate":
            at([*above, name]).data = b""
        elif event.name == "ftruncate":
            node = at([*above, name])
            node.data = node.data[: event.more[0]]
        elif event.name == "write":
            node, place = at([*above, name]), event.more[0] if len(event.more) == 2 else 0
            data = event.more[-1]
            node.data = node.data[:place] + data + node.data[place + len(data) :]
    return root


def restore(node: Node, path: Path, policy: str, chance: Random) -> None:
    """Writes what is left of a tree after the power was cut."""
    path.mkdir()
    lucky = policy == "names" or (policy == "chance" and chance.random() < 0.5)
    for name, inner in (node.names if lucky else node.saved_names).items():
        if inner.folder:
            restore(inner, path / name, policy, chance)
        else:
            kept = inner.saved
            if policy == "chance" and inner.data.startswith(kept):
                kept = inner.data[: chance.randint(len(kept), len(inner.data))]
            (path / name).write_bytes(kept)
