"""Files of a run folder, each written all at once or not at all."""

import contextlib
import errno
import os
import secrets
import stat
from pathlib import Path

from bpcli.records.training import Exit, Failure, Problem

NOWHERE_TO_WRITE = {"EACCES", "EPERM", "EROFS", "ENOENT", "ENOTDIR", "EISDIR", "ENAMETOOLONG", "ELOOP"}
NO_FOLDER_SYNC = {"EACCES", "EPERM", "EINVAL", "ENOTSUP", "EBADF"}  # the system has none; the renaming was whole anyway


def atomic_text(path: Path, text: str) -> None:
    """Writes a text in UTF-8 as `atomic_bytes` does. A byte in it that is not UTF-8, of a path, becomes an escape as
    JSON has it, `\\udce9`, which is read back as that byte."""
    atomic_bytes(path, text.encode("utf-8", "backslashreplace"))


def atomic_bytes(path: Path, data: bytes) -> None:
    """Writes a file so that a crash at any moment leaves the old content or the new one, whole, under its name.

    A new file gets the mode that the umask asks for, a replaced one keeps its own. A symbolic link is followed: the
    file it points to is replaced and the link stays. Raises Failure: 73 where there is no place to write (missing
    folder, no permission, a folder or device under that name), 74 where writing fails (disk full).
    """
    target = Path(os.path.realpath(path))
    # open() with mode x, not mkstemp: it honours the umask, which can be read only by changing it for all threads
    temporary = target.with_name(f".bpcli-{secrets.token_hex(8)}.tmp")
    try:
        old = mode_of(target)
        if old is not None and not stat.S_ISREG(old):
            raise cannot_create(path, f"{path} is {file_kind(old)}, not a file that could be replaced")
        try:
            with open(temporary, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if old is not None:
                os.chmod(temporary, stat.S_IMODE(old))
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        sync_folder(target.parent)
    except OSError as e:
        raise unwritable(path, e) from e


def mode_of(path: Path) -> int | None:
    """Returns the kind and permissions of what stands at `path`, or None."""
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None


def sync_folder(folder: Path) -> None:
    """Makes a renaming in the folder survive a power cut, where the system can."""
    try:
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
    except OSError as e:
        if name_of(e) not in NO_FOLDER_SYNC:
            raise


def make_folder(folder: Path, help: str, *, exist_ok: bool = True) -> None:
    """Makes a folder and those above it, so that they survive a power cut. Raises Failure with this help where it
    cannot be made, FileExistsError where it is there and must not be."""
    missing: list[Path] = []
    try:
        missing = [f for f in (folder, *folder.parents) if not f.exists()]
        folder.mkdir(parents=True, exist_ok=exist_ok)
        for made in reversed(missing):
            sync_folder(made.parent)
    except OSError as error:
        if isinstance(error, FileExistsError) and not exist_ok:
            raise
        for made in missing:
            with contextlib.suppress(OSError):
                made.rmdir()
        text = f"cannot create the folder {folder}: {error.strerror or error}"
        exit = Exit.CANNOT_CREATE if name_of(error) in NOWHERE_TO_WRITE | {"EEXIST"} else Exit.IO_ERROR
        raise Failure(Problem(text, code="cannot-create", help=help), exit=exit) from None


def unwritable(path: Path, e: OSError) -> Failure:
    """Returns what to say of a file that cannot be written."""
    if e.errno == errno.ENOENT:
        text = f"cannot write {path}: the folder {path.parent} does not exist"
        return cannot_create(path, text, "create the folder first, or choose another place")
    text = f"cannot write {path}: {e.strerror or e}"
    if name_of(e) in NOWHERE_TO_WRITE:
        return cannot_create(path, text + _owned_by_another(path.parent, e))
    help = "free some space, or write to another disk" if e.errno in (errno.ENOSPC, errno.EDQUOT) else ""
    return Failure(Problem(text, code="write-failed", file=str(path), help=help), exit=Exit.IO_ERROR)


def _owned_by_another(folder: Path, e: OSError) -> str:
    """Returns whose the folder is, where permission is missing and it is another user's."""
    try:
        if isinstance(e, PermissionError) and folder.stat().st_uid != os.geteuid():
            return f"; {folder} belongs to the user {folder.owner()}"
    except (OSError, KeyError, AttributeError, NotImplementedError):  # nobody knows
        pass
    return ""


def cannot_create(path: Path, text: str, help: str = "choose another place, or change the permissions") -> Failure:
    """Returns the failure where there is no place to write."""
    return Failure(Problem(text, code="cannot-create", file=str(path), help=help), exit=Exit.CANNOT_CREATE)


def name_of(e: OSError) -> str:
    """Returns the name of an error number: EACCES and so on."""
    return errno.errorcode.get(e.errno or 0, "")


def file_kind(mode: int) -> str:
    """Returns what a thing that is not a regular file is called."""
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")
