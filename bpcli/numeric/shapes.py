"""Floor 0: arrays, shapes and sizes, and how they are written for a reader."""

from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
Shape = tuple[int, ...]
EntryIndex = tuple[int, ...]
"""Where an entry stands in its array: an index for each axis."""
INDEX_DIGITS = 15  # of an index; more do not stand in any array


def written(shape: Shape) -> str:
    """Writes a shape as people say it: 28 x 28; a row without axes is 1."""
    return " x ".join(map(str, shape)) or "1"


def entry_name(path: str, at: EntryIndex) -> str:
    """Returns an entry of an array as claims call it: `dense_1.W[0,1]`."""
    return f"{path}[{','.join(map(str, at))}]" if at else path


def entry_index(text: str) -> EntryIndex:
    """Returns the index that `0, 1` writes; of numbers too long for any array the last that is not."""
    numbers = "".join(text.split()).split(",")
    return tuple(int(i) if len(i) <= INDEX_DIGITS else 10**INDEX_DIGITS for i in numbers if i)


def in_bytes(n: float) -> str:
    """Writes a number of bytes with its unit: 640 B, 1.2 MB."""
    if n >= 10**21:  # which may be too large a number to divide
        return "over 1,000,000 PB"
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if n < 1000:
            return f"{n:.0f} {unit}" if unit == "B" or n >= 100 else f"{n:.1f} {unit}"
        n /= 1000
    return f"{n:,.0f} PB"
