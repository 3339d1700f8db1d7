"""Files that are written all at once or not at all."""

import errno
import os
import secrets
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from fnmatch import fnmatchcase
from io import BufferedWriter
from pathlib import Path
from typing import Self

from bpcli.records.training import Exit, Failure, Problem

NOWHERE_TO_WRITE = {"EACCES", "EPERM", "EROFS", "ENOENT", "ENOTDIR", "EISDIR", "ENAMETOOLONG", "ELOOP"}
TEMPORARY = ".bpcli-*.tmp"
"""What a file is called until it takes its place."""
NO_FOLDER_SYNC = {"EACCES", "EPERM", "EINVAL", "ENOTSUP", "EBADF"}  # the system has none; the renaming was whole anyway


def atomic_text(path: Path, text: str, *, follow: bool = True) -> None:
    """Writes a text in UTF-8 as `atomic_bytes` does. A byte in it that is not UTF-8, of a path, becomes an escape as
    JSON has it, `\\udce9`, which is read back as that byte."""
    atomic_bytes(path, encoded(text), follow=follow)


def encoded(text: str) -> bytes:
    """Returns a text as `atomic_text` writes it."""
    return text.encode("utf-8", "backslashreplace")


def atomic_bytes(path: Path, data: bytes, *, follow: bool = True) -> None:
    """Writes a file so that a crash at any moment leaves the old content or the new one, whole, under its name. Raises
    Failure as `NewFile` does."""
    atomic_files({path: data}, follow=follow)


def atomic_files(content: Mapping[Path, bytes], *, follow: bool = True) -> None:
    """Writes files that belong together, each as `atomic_bytes` does: none takes its place before all are on the
    disk."""
    with ExitStack() as stack:
        files = [stack.enter_context(NewFile(path, follow=follow)) for path in content]
        for file, data in zip(files, content.values(), strict=True):
            file.write(data)
            file.sync()


class NewFile:
    """A file that takes its place, whole, at the end of a `with` block; where the block fails, what stood there stays.

    Until then it stands beside that place, under a name that no data has, and is locked: what a killed process left is
    not, and goes when the next file is written into the folder. A new file gets the mode that the umask asks for, a
    replaced one keeps its own. A symbolic link is followed: the file it points to is replaced and the link stays; it is
    refused unless `follow`. Raises Failure: 73 where there is no place to write (missing folder, no permission, a
    folder or device under that name), 74 where writing fails (disk full).
    """

    def __init__(self, path: Path, *, follow: bool = True) -> None:
        self.path, self._target = path, Path(os.path.realpath(path)) if follow else path
        with self._explained():
            self._old = mode_of(path, follow=follow)  # of the path: /dev/stdout leads to what has none
            if self._old is not None and not stat.S_ISREG(self._old):
                raise cannot_create(path, f"{path} is {file_kind(self._old)}, not a file that could be replaced")
            remove_abandoned(self._target.parent)
            self._beside, self._file = _open_beside(self._target)
        self._is_on_disk = False

    def write(self, data: bytes) -> None:
        """Writes on."""
        with self._explained():
            self._file.write(data)
        self._is_on_disk = False

    def sync(self) -> None:
        """Writes all that is buffered to the disk."""
        if self._is_on_disk:
            return
        with self._explained():
            self._file.flush()
            os.fsync(self._file.fileno())
        self._is_on_disk = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._take_place()
        except BaseException:
            _close_and_remove(self._file, self._beside)
            raise
        if kind is not None:
            _close_and_remove(self._file, self._beside)

    def _take_place(self) -> None:
        self.sync()
        with self._explained():
            if self._old is not None:
                os.chmod(self._beside, stat.S_IMODE(self._old))
            if sys.platform == "win32":  # which renames no open file, and has no locks to keep
                self._file.close()
            os.replace(self._beside, self._target)
            self._file.close()
            sync_folder(self._target.parent)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as e:
            raise unwritable(self.path, e) from e


def _open_beside(target: Path) -> tuple[Path, BufferedWriter]:
    """Returns a new file in the folder of `target`, locked, and its path."""
    while True:
        # open() with mode x, not mkstemp: it honours the umask, which can be read only by changing it for all threads
        path = target.with_name(f".bpcli-{secrets.token_hex(8)}.tmp")
        file = open(path, "xb")  # noqa: SIM115  (closed by NewFile)
        try:
            if try_lock(file.fileno()) is not False and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return path, file
        except FileNotFoundError:  # another process took it for abandoned before it was locked
            pass
        except BaseException:
            _close_and_remove(file, path)
            raise
        file.close()


def _close_and_remove(file: BufferedWriter, path: Path) -> None:
    """Gives up a file that is not wanted any more."""
    for done in (file.close, path.unlink):
        with suppress(OSError):
            done()


def remove_abandoned(folder: Path) -> None:
    """Removes what was half written into a folder by processes that are no more."""
    with suppress(OSError):
        for name in os.listdir(folder):
            if fnmatchcase(name, TEMPORARY):
                _remove_unlocked(folder / name)


def _remove_unlocked(file: Path) -> None:
    """Removes a file that no process has locked, if it can be."""
    with suppress(OSError):
        if sys.platform == "win32":  # which removes no open file
            file.unlink()
            return
        number = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            if try_lock(number):
                file.unlink()
        finally:
            os.close(number)


def try_lock(number: int) -> bool | None:
    """Returns whether an open file is locked from here on, until it is closed or the process ends: False where another
    process has locked it, None where there are no locks (Windows, some network file systems)."""
    if sys.platform == "win32":
        return None
    import fcntl

    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def open_own(path: Path | str, flags: int) -> int:
    """Opens a file as `os.open` does, but follows no link and waits for no pipe; an `opener` for `open`."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o666)


def mode_of(path: Path, *, follow: bool = True) -> int | None:
    """Returns the kind and permissions of what stands at `path`, or None."""
    try:
        return path.stat(follow_symlinks=follow).st_mode
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
            with suppress(OSError):
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
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFLNK: "a link"}
    return kinds.get(stat.S_IFMT(mode), "a device")
