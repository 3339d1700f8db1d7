"""Reading and writing an experiment file: whatever stands in it is either read by the rules of YAML 1.2 or refused in
one clear message."""

import os
import stat
from pathlib import Path

from bpcli.config.compose import ELSEWHERE, compose
from bpcli.config.document import LINE_BREAK, Document, Position, SourceText, make_problem
from bpcli.config.scalars import describe
from bpcli.family.part import near
from bpcli.records.training import Exit, Failure, Problem

MAX_BYTES = 1 << 20  # bytes of a config file
MAPPING = "an experiment is a mapping of settings: lines of `key: value`"


def read(path: Path) -> Document:
    """Returns the document in a file. Raises Failure: exit 66 where there is no such file, 65 where it cannot be
    understood."""
    content = _content(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Failure(_not_utf8(content, error, str(path))) from None
    return parse(text, str(path))


def parse(text: str, file: str) -> Document:
    """Returns the document in a text that came from `file`. Raises Failure."""
    source = SourceText(file, text.removeprefix("\ufeff"))
    root = compose(source)
    if root is None or root.value is None:
        raise Failure(Problem("the file says nothing", "empty-file", (), file, help=MAPPING))
    if not isinstance(root.value, dict):
        text = f"expected settings, got {describe(root.plain())}"
        raise Failure(make_problem(root.position, text, code="not-settings", help=MAPPING))
    return Document(root, source)


def _content(path: Path) -> bytes:
    """Returns the bytes of a regular file of moderate size; a pipe or a device could block for ever."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise _unreadable(path, "this is a folder, not a file", "name the file in it")
        if not stat.S_ISREG(mode):
            raise _unreadable(path, "this is a pipe or a device, not a file", "write the experiment to a file first")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise _unreadable(path, "there is no such file", _suggestion(path)) from None
    except (OSError, ValueError) as error:
        reason = "its name holds a NUL" if "\0" in str(path) else str(error)
        if isinstance(error, OSError) and error.errno:
            reason = os.strerror(error.errno).lower()
        raise _unreadable(path, f"the file cannot be read: {reason}", "") from None
    if len(content) > MAX_BYTES:
        raise Failure(Problem("the file is larger than 1 MiB", "too-large", file=str(path), help=ELSEWHERE))
    return content


def _unreadable(path: Path, text: str, help: str) -> Failure:
    return Failure(Problem(text, "missing-file", file=str(path), help=help), exit=Exit.NO_INPUT)


def _suggestion(path: Path) -> str:
    """Returns the file that was probably meant."""
    if path.is_symlink():
        return f"it is a link to {os.readlink(path)}, which does not exist"
    try:
        found = {entry.stem: entry.name for entry in path.parent.iterdir() if entry.suffix in (".yaml", ".yml")}
    except (OSError, ValueError):
        return f"there is no folder {path.parent} either" if not path.parent.exists() else ""
    close = near(path.name if path.name in found else path.stem, found)
    return f"did you mean `{path.parent / found[close]}`?" if close else ""


def _not_utf8(content: bytes, error: UnicodeDecodeError, file: str) -> Problem:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return Problem("the file is UTF-16", "not-text", file=file, help="save it as UTF-8")
    if b"\0" in content:
        return Problem("this is not a text file", "not-text", file=file, help="an experiment is a YAML file in UTF-8")
    before = LINE_BREAK.split(content[: error.start].decode("utf-8-sig"))
    source = SourceText(file, content.decode("utf-8", errors="replace").removeprefix("\ufeff"))
    position = Position(source, len(before), len(before[-1]) + 1, 1)
    byte = content[error.start]
    return make_problem(position, f"the byte 0x{byte:02X} is not UTF-8", code="not-text", help="save the file as UTF-8")
