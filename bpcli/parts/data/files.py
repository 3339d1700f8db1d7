"""Opening the files that data comes from: regular files only, and no archive that expands without end."""

import gzip
import io
import itertools
import json
import os
import re
import stat
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from lzma import LZMAError
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any
from zipfile import BadZipFile, LargeZipFile

from bpcli.family.part import near
from bpcli.numeric.free_memory import NotEnoughMemoryError, require_memory
from bpcli.records.training import Exit, Failure, Problem

MAX_EXCERPT_LENGTH = 200  # characters of a line that is shown
MAX_REASON_LENGTH = 200  # characters of what a library says of a file

PARSER_ERRORS = (
    ArithmeticError, AssertionError, AttributeError, BufferError, EOFError, LookupError, NameError, OSError,
    RuntimeError, SyntaxError, TypeError, ValueError, BadZipFile, LargeZipFile, LZMAError, TokenError, struct.error,
    zlib.error,
)  # fmt: skip
"""What the parsers of zip, npy and images, which are written in Python, raise over a hostile file. A memory that is too
small is none of them, nor is a Failure."""


def reason(error: Exception) -> str:
    """Returns, on a line, what a library says of a file that it cannot read."""
    said = visible(next(iter(re.sub(" at 0x[0-9a-fA-F]+", "", str(error)).splitlines()), ""))
    return said[:MAX_REASON_LENGTH] or type(error).__name__


def expansion_limit(size: int) -> int:
    """Returns the bytes that a compressed file of `size` bytes may expand to: 16 MiB, or 100 times its size.

    Tables of numbers shrink 3 to 20 times; deflate can pack 1,032 to one, which only a bomb (or a file of zeros) does.
    """
    return max(16 << 20, 100 * size)


_shown_names: dict[Path, str] = {}


@contextmanager
def shown_as(path: Path, name: str) -> Iterator[None]:
    """Makes messages call the file by this name, for a while: a copy of what has no path."""
    _shown_names[path.absolute()] = name
    try:
        yield
    finally:
        del _shown_names[path.absolute()]


def display_path(path: Path) -> str:
    """Returns the path as a user would write it: from the working directory where it lies inside, else absolute."""
    full = Path(os.path.normpath(path.absolute()))
    if full in _shown_names:
        return _shown_names[full]
    return str(full.relative_to(Path.cwd())) if full.is_relative_to(Path.cwd()) else str(full)


def data_error(
    text: str, path: Path, *, code: str, help: str = "", line: int = 0, exit: Exit = Exit.BAD_INPUT
) -> Failure:
    """Returns a Failure about a data file, to be raised."""
    return Failure(Problem(text, code=code, file=display_path(path), line=line, help=help), exit=exit)


def require_for_data(needed: int, what: str, path: Path, help: str) -> None:
    """Raises Failure about a data file where more bytes of memory are needed than are free (see `require_memory`)."""
    try:
        require_memory(needed, what, help)
    except NotEnoughMemoryError as error:
        raise data_error(str(error), path, code="memory", help=help) from None


def locate(root: Path, name: str) -> Path:
    """Returns the regular file `name`, relative to `root`. Raises Failure: missing (66), a directory, a pipe or
    device."""
    path, mode = _path_and_mode(root, name, "file")
    if stat.S_ISDIR(mode):
        help = "name a file inside it"
        raise data_error(f"{display_path(path)} is a directory, not a file", path, code="not-a-file", help=help)
    if not stat.S_ISREG(mode):
        raise data_error(f"{display_path(path)} is a pipe or a device, not a regular file", path, code="not-a-file")
    return path


def locate_folder(root: Path, name: str) -> Path:
    """Returns the folder `name`, relative to `root`. Raises Failure where it is missing (66) or none."""
    path, mode = _path_and_mode(root, name, "folder")
    if not stat.S_ISDIR(mode):
        help = "name the folder it lies in"
        raise data_error(f"{display_path(path)} is not a folder", path, code="not-a-folder", help=help)
    return path


def _path_and_mode(root: Path, name: str, what: str) -> tuple[Path, int]:
    path = root / name
    try:
        return path, path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        help = _path_advice(root, path, name)
        text = f"no such {what}: {display_path(path)}"
        raise data_error(text, path, code="missing-file", help=help, exit=Exit.NO_INPUT) from None
    except (OSError, ValueError) as error:  # a name with a NUL or too long, or no right to look there
        text = f"cannot be opened: {getattr(error, 'strerror', None) or error}"
        raise Failure(Problem(text, code="missing-file", file=visible(name)), exit=Exit.NO_INPUT) from None


def _path_advice(root: Path, path: Path, name: str) -> str:
    if "://" in name:
        return "only files are read: fetch it, and name the copy"
    if path.is_symlink():
        return f"it is a link to {visible(os.readlink(path))}, which does not exist"
    if Path(name).exists():
        return f"a path is relative to the file that names it: from there it is {os.path.relpath(name, root)}"
    if name.startswith("~"):
        return "`~` stands for nothing here: write the whole path"
    if not path.parent.is_dir():
        return f"there is no directory {display_path(path.parent)}; a path is relative to the file that names it"
    found = near(path.name, sorted(p.name for p in path.parent.iterdir()))
    return f"did you mean `{found}`?" if found else "a path is relative to the file that names it"


class Gunzip(io.RawIOBase):
    """Reads a gzip file. Raises Failure where it is damaged, or larger than `expansion_limit`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._limit = expansion_limit(path.stat().st_size)
        self._seen = 0
        self._file = gzip.GzipFile(path)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            count = self._file.readinto(buffer)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            self._file.close()
            with open(self._path, "rb") as file:
                packed = file.read(2) == b"\x1f\x8b"
            if not packed:
                help = "a file that is not compressed must not be called .gz"
                raise data_error("this is not a gzip file", self._path, code="not-gzip", help=help) from None
            text = "the gzip file is truncated or damaged"
            if "Not a gzipped file" in str(error):
                text = "something else follows the end of the gzip file"
            raise data_error(text, self._path, code="damaged-gzip", help="fetch it again; `gzip -t` tests it") from None
        self._seen += count
        if self._seen > self._limit:
            self._file.close()
            text = f"the file expands to more than {self._limit >> 20} MiB, over 100 times its size"
            help = "if that is meant, unpack it with gunzip and name the result"
            raise data_error(text, self._path, code="bomb", help=help)
        return count

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def _refuse_bomb(path: Path) -> None:
    """Reads a gzip file that declares (in its last four bytes, modulo 2^32) to be too large, before anything parses it.

    What declares less and still is too large fails while it is read; what is only truncated says so here.
    """
    with open(path, "rb") as file:
        file.seek(-min(4, path.stat().st_size), os.SEEK_END)
        if int.from_bytes(file.read(4), "little") <= expansion_limit(path.stat().st_size):
            return
    block = bytearray(1 << 20)
    with Gunzip(path) as stream:
        while stream.readinto(block):
            pass


def open_binary(path: Path) -> IO[bytes]:
    """Returns the bytes of a file, gunzipped where its name ends in .gz. Raises Failure where it cannot be read."""
    try:
        if path.suffix != ".gz":
            return open(path, "rb")
        _refuse_bomb(path)
        return io.BufferedReader(Gunzip(path), 1 << 20)
    except OSError as error:
        raise data_error(f"cannot be read: {error.strerror}", path, code="unreadable", exit=Exit.NO_INPUT) from None


def encoding_of(path: Path) -> str:
    """Returns how the text of a file is written, by its byte order mark: UTF-32, UTF-16, or UTF-8 with or without
    one."""
    with open_binary(path) as file:
        start = file.read(4)
    if start in (b"\xff\xfe\0\0", b"\0\0\xfe\xff"):
        return "utf-32"
    return "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"


def open_text(path: Path, errors: str = "strict", encoding: str | None = None) -> io.TextIOWrapper:
    """Returns the text of a file, line ends as they are; left out, the encoding is found. Raises Failure where it
    cannot be read."""
    return io.TextIOWrapper(open_binary(path), encoding or encoding_of(path), errors, newline="")


def visible(text: str) -> str:
    """Returns the text, as long, with nothing in it that would move or colour a terminal."""
    return "".join(c if c.isprintable() else " " if c == "\t" else "?" for c in text)


_PLAIN_NAME = re.compile(r"[^\W\d_](?:[\w ./-]*\w)?")
_YAML_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off"})


def yaml_name(name: str) -> str:
    """Returns the name of a column as it stands inside brackets in a config: in quotes where YAML needs them."""
    if _PLAIN_NAME.fullmatch(name) and name.lower() not in _YAML_WORDS:
        return name
    return json.dumps(name, ensure_ascii=not name.isprintable())


def excerpt(path: Path, line: int, encoding: str | None = None) -> tuple[tuple[int, str], ...]:
    """Returns the text of one line for a diagnostic; nothing where it is too long to show."""
    with open_text(path, "replace", encoding) as file:
        text = next(itertools.islice(file, line - 1, None), "").rstrip("\r\n")
    return ((line, visible(text)),) if 0 < len(text) <= MAX_EXCERPT_LENGTH else ()
