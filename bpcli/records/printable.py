"""Texts that come from outside as people see them: no terminal obeys what is in a name, and a path can be typed again.

Paths are bytes. Inside the program they are Python's texts of them, in which a byte that is not UTF-8 is a lone
surrogate (PEP 383); shown, it is an escape, as `\\xe9`.
"""

import shlex
from collections.abc import Iterable

FIRST_BYTE, LAST_BYTE = "\udc80", "\udcff"
"""What stands in a path for a byte that is not UTF-8, from 0x80 to 0xFF."""


def printable(text: str) -> str:
    """Returns a text that cannot disturb a terminal: what does not print (controls, marks that turn the direction of
    writing or take no room, bytes that are not UTF-8) as an escape of Python's."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def _escape(character: str) -> str:
    if FIRST_BYTE <= character <= LAST_BYTE:
        return f"\\x{ord(character) & 0xFF:02x}"
    return character.encode("unicode_escape").decode()


def utf8_name(name: str) -> str:
    """Returns the name of a file as a text that can be stored: a byte of it that is not UTF-8 as an escape."""
    return "".join(_escape(c) if FIRST_BYTE <= c <= LAST_BYTE else c for c in name)


def shell_word(word: object) -> str:
    """Returns a word as it is typed in a shell; in the form `$'caf\\xe9'` (of bash, zsh and POSIX 2024) where not all
    of it prints."""
    text = str(word)
    if text.isprintable():
        return shlex.quote(text)
    signs = {"'": "\\'", "\\": "\\\\", "\n": "\\n", "\t": "\\t"}
    return "$'" + "".join(signs.get(c) or (c if c.isprintable() else _bytes(c)) for c in text) + "'"


def _bytes(character: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))


def shell_command(words: Iterable[object]) -> str:
    """Returns a command as it is typed."""
    return " ".join(map(shell_word, words))
