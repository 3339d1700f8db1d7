"""Changes that make hostile files of valid ones: of bytes, of text, and of trees of plain data (JSON, YAML).

Each takes a `random.Random` and what it changes, and returns something new; the same seed gives the same file.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

EDGES = (
    0,
    1,
    2,
    7,
    127,
    128,
    255,
    256,
    32767,
    32768,
    65535,
    65536,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63 - 1,
    2**63,
    2**64 - 1,
)
NUMBERS = (
    "0",
    "-1",
    "1e400",
    "-1e308",
    "1e-320",
    "nan",
    ".nan",
    "-.inf",
    "inf",
    "2147483648",
    "-9223372036854775809",
    "18446744073709551616",
    "1" * 400,
    "1" * 5000,
    "0x",
    "0x7fffffffffffffff",
    "0o17",
    "1_0",
    "--1",
    "1.2.3",
    "1e",
    "\u0661",
)
WORDS = (
    "null",
    "~",
    "true",
    "[]",
    "{}",
    "''",
    '"',
    "\\ud800",
    "\\u0000",
    "&a",
    "*a",
    "<<",
    "!!int",
    "!!python/object",
    "- ",
    ": ",
    "? ",
    "|",
    ">",
    "%YAML 9.9",
    "---",
    "...",
    "\t",
    "\r",
    "\x85",
    "\u2028",
    "\ufeff",
    "\u202e",
    "\x1b[31m",
    "\0",
    ",",
    ";",
    "#",
    "../../etc/passwd",
    "/dev/zero",
    "x" * 300,
    "\U0001f600" * 50,
    "e\u0301",
    "[" * 70,
    "{" * 500,
)
ODD_BYTES = (
    b"\xed\xa0\x80",
    b"\xff",
    b"\xfe\xff",
    b"\xff\xfe\0\0",
    b"\xc0\x80",
    b"\xf4\x90\x80\x80",
    b"\0" * 8,
    b"\x80",
)

Change = Callable[[Random, bytes], bytes]


# -------------------------------------------------------------------------------------------------------------- bytes
def flip(rng: Random, data: bytes) -> bytes:
    """Flips one to eight bits."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        found[rng.randrange(len(found))] ^= 1 << rng.randrange(8)
    return bytes(found)


def truncate(rng: Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data))]


def splice(rng: Random, data: bytes) -> bytes:
    """Puts a piece of the file in another place of it."""
    a, b, to = (*sorted((rng.randrange(len(data)), rng.randrange(len(data)))), rng.randrange(len(data)))
    piece = data[a : min(b, a + 4096)]
    return data[:to] + piece + data[to + rng.choice((0, len(piece))) :]


def remove(rng: Random, data: bytes) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + data[at + rng.choice((1, 1, 2, 4, 8, 64)) :]


def edge(rng: Random, data: bytes) -> bytes:
    """Writes an integer from the edge of its range over one to eight bytes."""
    width = rng.choice((1, 2, 4, 8))
    number = (rng.choice(EDGES) % (1 << 8 * width)).to_bytes(width, rng.choice(("little", "big")))
    at = rng.randrange(len(data))
    return data[:at] + number + data[at + width :]


def odd(rng: Random, data: bytes) -> bytes:
    """Puts bytes that are no UTF-8 into the file."""
    at = rng.randrange(len(data))
    return data[:at] + rng.choice(ODD_BYTES) + data[at:]


BINARY: tuple[Change, ...] = (flip, flip, flip, truncate, splice, remove, edge, edge, odd)


def number(rng: Random, data: bytes) -> bytes:
    """Puts an odd number in the place of one that stands there."""
    spans = [m.span() for m in re.finditer(rb"\d[\d.e-]*", data)]
    if not spans:
        return odd(rng, data)
    start, end = rng.choice(spans)
    return data[:start] + rng.choice(NUMBERS).encode() + data[end:]


def word(rng: Random, data: bytes) -> bytes:
    """Puts a word that means something in some format before, or in the place of, another."""
    spans = [m.span() for m in re.finditer(rb"\w+|[^\w\s]", data)] or [(0, 0)]
    start, end = rng.choice(spans)
    return data[:start] + rng.choice(WORDS).encode("utf-8", "surrogatepass") + data[rng.choice((start, end)) :]


def line(rng: Random, data: bytes) -> bytes:
    """Takes out, doubles or moves a line, or indents it otherwise."""
    lines = data.split(b"\n")
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    way = rng.randrange(5)
    if way == 0:
        del lines[i]
    elif way == 1:
        lines.insert(j, lines[i])
    elif way == 2:
        lines[i], lines[j] = lines[j], lines[i]
    elif way == 3:
        lines[i] = b" " * rng.choice((1, 2, 100)) + lines[i]
    else:
        lines[i] = lines[i] + lines[j] * rng.choice((1, 1, 300))
    return b"\n".join(lines)


TEXT: tuple[Change, ...] = (number, number, word, word, line, line, *BINARY[2:])


def changed(rng: Random, data: bytes, changes: tuple[Change, ...] = BINARY) -> bytes:
    """Returns the bytes changed once to three times."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        data = rng.choice(changes)(rng, data or b"\n")
    return data


def text_changed(rng: Random, data: bytes) -> bytes:
    return changed(rng, data, TEXT)


# -------------------------------------------------------------------------------------------------------------- trees
def nested(depth: int, inner: Any = 1, key: str = "") -> Any:
    """A list in a list in a list, or mappings under a key."""
    for _ in range(depth):
        inner = {key: inner} if key else [inner]
    return inner


def odd_value(rng: Random) -> Any:
    """A value of another type or size than most readers expect."""
    return rng.choice(
        (
            None,
            True,
            False,
            -1,
            0,
            1,
            2,
            3.5,
            1e308,
            -1e308,
            1e-320,
            math.nan,
            math.inf,
            -math.inf,
            2**31,
            2**53 + 1,
            -(2**63),
            2**63,
            2**64,
            10**30,
            10**400,
            "",
            " ",
            "a",
            "1",
            "0.5",
            "nan",
            "\ud800",
            "a\udcffb",
            "\0",
            "\n",
            "\x1b[2J",
            "\u202ex",
            "x" * 10_000,
            "../..",
            "/dev/zero",
            [],
            [[]],
            {},
            [None],
            ["a"],
            [1, 2],
            [1, "a"],
            {"a": 1},
            {"type": "dense"},
            {"type": "residual", "layers": []},
            [[1], [1, 2]],
            "relu",
            "dense",
            "adam",
            "mse",
            nested(70),
            nested(100, key="a"),
            nested(400),
        )
    )


def places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """All (container, key or index) of a tree."""
    todo = [tree]
    while todo:
        here = todo.pop()
        keys = here.keys() if isinstance(here, dict) else range(len(here)) if isinstance(here, list) else ()
        for key in keys:
            yield here, key
            todo.append(here[key])


def _nudged(rng: Random, value: Any) -> Any:
    """A value of the same type, if a number or a text or a list."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int) and abs(value) > 2**64:
        return rng.choice((-value, value + 1, value // 2))
    if isinstance(value, int | float):
        return rng.choice((-value, value + 1, value * 2, value / 2, float(value), str(value), -1, 0))
    if isinstance(value, str):
        return rng.choice((value[:-1], value + "x", value.upper(), value + "\ud83d", "", value * 50))
    if isinstance(value, list):
        return rng.choice((value * 2, value[:-1], value[::-1], value + value[:1], tuple(value)[1:]))
    return value


def branched(layers: list[Any], depth: int) -> list[Any]:
    """The layers inside residuals, so deep."""
    for _ in range(depth):
        layers = [{"type": "residual", "layers": layers}]
    return layers


def tree_changed(rng: Random, tree: Any) -> Any:
    """Returns a copy of the tree with one to three of its values changed, moved, added or taken out."""
    tree = copy.deepcopy(tree)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        found = list(places(tree))
        if not found:
            return odd_value(rng)
        here, key = rng.choice(found)
        there, other = rng.choice(found)
        way = rng.randrange(12)
        if way < 4:
            here[key] = odd_value(rng)
        elif way < 6:
            here[key] = _nudged(rng, here[key])
        elif way == 6:
            del here[key]
        elif way == 7:
            here[key] = copy.deepcopy(there[other])
        elif way == 8:
            here[key], there[other] = copy.deepcopy(there[other]), copy.deepcopy(here[key])
        elif way == 9 and isinstance(here, dict):
            here[rng.choice((str(key) + "x", "type", "", "\ud800", "a" * 300, "__class__"))] = here.pop(key)
        elif way == 10:
            here[key] = nested(rng.choice((1, 2, 60, 400)), here[key], rng.choice(("", str(key), "layers")))
        elif isinstance(here[key], list):
            here[key] = branched(here[key], rng.choice((1, 2, 30, 400)))
    return tree
