"""Reading whole files that anybody may have made: a pipe or a device could be waited for, or read, without
end; a file that is far too large would fill the memory."""

import errno
import os
import stat
from pathlib import Path


def regular_size(path: Path) -> int:
    """Returns the bytes of a file. Raises OSError where there is none, or a pipe, a device or a folder in its place."""
    found = path.stat()
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is a pipe or a device, not a file", str(path))
    return found.st_size


def read_regular(path: Path, limit: int) -> bytes:
    """Returns the content of a file of at most `limit` bytes. Raises OSError where it is none, or larger."""
    if regular_size(path) <= limit:
        return path.read_bytes()
    raise OSError(errno.EFBIG, f"it is larger than {limit >> 20} MiB", str(path))
