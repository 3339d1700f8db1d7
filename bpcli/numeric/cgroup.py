"""Floor 0: the control groups of this process, by which a container or a job is held to a part of the machine.

A group holds what is below it to its limits too, so every group from the process's own up to the root counts. Linux
mounts one tree for all controllers (version 2), or one for each (version 1), or both; elsewhere there are none.
Source: Linux, Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

MOUNTS = Path("/proc/self/mountinfo")
GROUPS = Path("/proc/self/cgroup")


def group_folders(controller: str) -> list[Path]:
    """Returns the folders of the groups that hold this process by `controller` (memory, cpu), its own first, then those
    around it; empty where the system has none."""
    own = dict(_own_groups())
    found: list[Path] = []
    for kind, root, mount in _mounts(controller):
        path = own.get(controller if kind == "cgroup" else "")
        if path is not None:
            inner = _below(path, root)
            found += [mount.joinpath(*inner[:depth]) for depth in range(len(inner), -1, -1)]
    return found


def read_number(file: Path) -> int | None:
    """Returns the first number of a file; None where there is none, as where it says `max`, or no file."""
    try:
        return int(file.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return None


def read_table(file: Path) -> dict[str, int]:
    """Returns a file of lines that each hold a name and a number; empty where it cannot be read."""
    try:
        lines = [line.split() for line in file.read_text(encoding="ascii").splitlines()]
        return {words[0].rstrip(":"): int(words[1]) for words in lines if len(words) > 1}
    except (OSError, ValueError):
        return {}


def _own_groups() -> Iterator[tuple[str, str]]:
    """Yields the controllers, "" for version 2, with the path of this process's group in their tree."""
    for line in _lines(GROUPS):
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        yield from ((name, path) for name in controllers.split(","))


def _mounts(controller: str) -> Iterator[tuple[str, str, Path]]:
    """Yields the trees in which `controller` may have groups: `cgroup` or `cgroup2`, the group that the mount begins
    at, and where it is mounted."""
    for line in _lines(MOUNTS):
        place, _, system = line.partition(" - ")
        fields, kind = place.split(), system.split()
        if len(fields) < 5 or len(kind) < 3:
            continue
        if kind[0] == "cgroup2" or (kind[0] == "cgroup" and controller in kind[2].split(",")):
            yield kind[0], _plain(fields[3]), Path(_plain(fields[4]))


def _plain(path: str) -> str:
    """Returns a path of mountinfo, in which a space is written \\040."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), path)


def _below(path: str, root: str) -> tuple[str, ...]:
    """Returns the steps from the group that a tree is mounted at down to this process's; none where that lies outside,
    as in a container that sees the paths of its host."""
    group, top = PurePosixPath(path), PurePosixPath(root)
    return group.relative_to(top).parts if group.is_relative_to(top) and ".." not in group.parts else ()


def _lines(file: Path) -> list[str]:
    try:
        return os.fsdecode(file.read_bytes()).splitlines()
    except OSError:
        return []
