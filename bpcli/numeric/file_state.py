"""Floor 0: whether a file is what it was: by its size, the time of its last change, and which file has the name."""

import errno
import stat
from pathlib import Path

FileState = tuple[int, int, int, int]
"""Device and number of the file, bytes, and when it was last written to (nanoseconds)."""


def file_state(path: Path) -> FileState | None:
    """Returns the state of a regular file; None where it is another kind of file, as a pipe, or cannot be found."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def difference(before: FileState | None, now: FileState | None) -> str:
    """Returns in words what became of a file; "" where it is what it was, as far as its state shows."""
    if before == now:
        return ""
    if now is None:
        return "it is gone"
    if before is None:
        return "it is new"
    if before[2] != now[2]:
        return f"it had {before[2]:,} bytes and has {now[2]:,}"
    return "another file has its name" if before[:2] != now[:2] else "it was written to"


def stale(path: str, before: FileState | None) -> OSError | None:
    """Returns the error to raise where a file that is left open and read now and then has changed; None where not."""
    change = difference(before, file_state(Path(path)))
    if not change:
        return None
    return OSError(errno.ESTALE, f"the file has changed while it was read ({change}): start again", path)
