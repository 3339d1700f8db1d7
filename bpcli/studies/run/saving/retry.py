"""Work that may fail for a while, of the disk or for want of memory: said once, and tried again after pauses that
grow."""

import time
from collections.abc import Callable
from pathlib import Path

from bpcli.records.training import Exit, Failure, Problem
from bpcli.studies.run.atomic import unwritable

FIRST_PAUSE_SECONDS = 1.0
"""How long after a failure it is tried again; each further pause is twice as long."""
MAX_PAUSE_SECONDS = 300.0
DISK_FAILURES = (Exit.CANNOT_CREATE, Exit.IO_ERROR)
"""What a failure of the disk ends a command with, and nothing else does."""

SAVING_ERRORS = (Failure, OSError, MemoryError)
"""What writing raises where the disk fails, in whatever call, or memory is wanting."""


def saving_failure(error: Failure | OSError | MemoryError) -> Failure:
    """Returns what to say of one of SAVING_ERRORS, with an exit code of DISK_FAILURES. Raises it where it is a failure
    of something else."""
    if isinstance(error, MemoryError):
        text = str(error) or "there is not enough memory to write a file"
        return Failure(Problem(text, code="memory", help=getattr(error, "help", "")), exit=Exit.IO_ERROR)
    if isinstance(error, OSError):
        return unwritable(Path(error.filename or "a file"), error)
    if error.exit not in DISK_FAILURES:
        raise error
    return error


class Retry:
    """Does work that writes `what` (what writes nothing would pass for a disk that is well again). It warns when that
    begins to fail, fails for another reason, and goes well again; between two failures it rests."""

    def __init__(self, what: str, warn: Callable[[Problem], None]) -> None:
        self.what, self.warn = what, warn
        self.reason = ""  # why it failed the last time, "" where it did not
        self._pause = 0.0
        self._again_at = 0.0

    @property
    def resting(self) -> bool:
        """Whether it failed a moment ago."""
        return bool(self.reason) and time.monotonic() < self._again_at

    def do(self, work: Callable[[], Path | None]) -> Path | None:
        """Returns what the work returns; None where it fails, or rests. Raises Failure where that is neither the disk's
        nor for want of memory."""
        if self.resting:
            return None
        try:
            found = work()
        except SAVING_ERRORS as error:
            problem = saving_failure(error).problems[0]
            self._failed(problem, "memory" if problem.code == "memory" else problem.text.rpartition(": ")[2])
            return None
        if self.reason:
            self.reason, self._pause = "", 0.0  # before anybody is told, who may come back here
            self.warn(Problem(f"{self.what} can be written again", code="saved-again", level="warning"))
        return found

    def _failed(self, problem: Problem, reason: str) -> None:
        """Warns of a problem, unless it failed for this reason the last time too; begins a pause."""
        self._pause = min(max(FIRST_PAUSE_SECONDS, 2 * self._pause), MAX_PAUSE_SECONDS)
        self._again_at = time.monotonic() + self._pause
        known, self.reason = self.reason, reason
        if reason != known:
            help = f"{self.what} are tried again after {self._pause:g} s, then ever more seldom, and at the end"
            help += f"; {problem.help}" if problem.help else ""
            self.warn(Problem(f"{problem.text}; training goes on", code="not-saved", help=help, level="warning"))
