"""One training in a run folder at a time."""

import os
from contextlib import suppress
from pathlib import Path

from bpcli.records.training import Exit, Failure, Problem
from bpcli.studies.run.atomic import open_own, try_lock, unwritable
from bpcli.studies.run.saving.own_files import LOCK_NAME, check_own_files


class Lock:
    """A lock that is held from its creation to `release`, or to the end of the process, whatever ends it.

    The file holds the process's number, for people. Where the system has no flock nothing is locked. Raises Failure
    where another process holds it, where the folder cannot be written, and where something in it leads out of it.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOCK_NAME
        try:
            check_own_files(folder)
            self._number: int | None = self._acquire()
        except OSError as error:
            raise unwritable(self.path, error) from None

    def _acquire(self) -> int:
        while True:
            number, writable = self._open()
            if try_lock(number) is False:
                holder = os.read(number, 32).decode("ascii", "replace").strip()
                os.close(number)
                raise _busy(self.path.parent, holder)
            if not writable:  # another user's, who holds it no more, or also a file elsewhere: a new one is made
                try:
                    self.path.unlink(missing_ok=True)
                finally:
                    os.close(number)
                continue
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(number), self.path.stat()):
                    break
            os.close(number)  # its last holder removed it between our opening and our locking
        os.ftruncate(number, 0)
        os.write(number, f"{os.getpid()}\n".encode())
        return number

    def _open(self) -> tuple[int, bool]:
        """Returns the file's number, and whether it may be written: that of another user may only be readable, one of
        several names is also some other file."""
        try:
            number = open_own(self.path, os.O_RDWR | os.O_CREAT)
            return number, os.fstat(number).st_nlink <= 1
        except PermissionError:
            if not self.path.exists():
                raise
            return open_own(self.path, os.O_RDONLY), False

    def release(self) -> None:
        """Releases the lock; may be called twice."""
        if self._number is not None:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)
            os.close(self._number)
            self._number = None


def _busy(folder: Path, holder: str) -> Failure:
    who = f"process {holder}" if holder.isdecimal() else "another process"
    help = f"wait for it, or stop it with `kill {holder}`" if holder.isdecimal() else "wait for it"
    return Failure(Problem(f"{who} is training in {folder}", code="busy", help=help), exit=Exit.CANNOT_CREATE)
