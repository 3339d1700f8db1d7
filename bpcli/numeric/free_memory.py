"""Floor 0: how much memory there is for this process: what every plan is held to before it asks for any."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from bpcli.numeric.cgroup import group_folders, read_number, read_table
from bpcli.numeric.shapes import in_bytes

try:
    import resource
except ImportError:  # a system that is not Unix
    resource = None  # type: ignore[assignment]

MEMINFO = Path("/proc/meminfo")
OWN_PAGES = Path("/proc/self/statm")
GROUP_USE = ("memory.current", "memory.usage_in_bytes")  # in version 2 and 1
GROUP_LIMITS = ("memory.max", "memory.high", "memory.limit_in_bytes")

SMALL_BYTES = 1 << 26
"""Bytes below which nobody asks whether they are free."""


class NotEnoughMemoryError(MemoryError):
    """More memory is needed than is free; `help` says what takes less."""

    def __init__(self, text: str, help: str) -> None:
        super().__init__(text)
        self.help = help


def require_memory(needed: int, what: str, help: str) -> None:
    """Raises NotEnoughMemoryError where more bytes are needed than are free, before any of them is asked for; `what`
    goes on "... of memory are needed": for or to do what."""
    if needed < SMALL_BYTES:
        return
    free = available_bytes()
    if free is not None and needed > free:
        text = f"{in_bytes(needed)} of memory are needed {what}, and {in_bytes(free)} are free"
        raise NotEnoughMemoryError(text, help)


def available_bytes() -> int | None:
    """Returns how many bytes this process may still take without swapping: the least of what the machine has, what its
    control groups leave and what its own limits (`ulimit -v`, `-d`) leave; None where the system does not say."""
    found = [*_of_machine(), *_of_groups(), *_of_limits()]
    return max(0, min(found)) if found else None


def _of_machine() -> Iterator[int]:
    free = read_table(MEMINFO).get("MemAvailable")
    if free is not None:
        yield free * 1024
    elif hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        with suppress(OSError, ValueError):
            yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _of_groups() -> Iterator[int]:
    """Yields what the limits of each group leave. Pages of files that were read count as used, and are given back when
    they are needed: they are counted as free here."""
    for folder in group_folders("memory"):
        used = next((n for n in (read_number(folder / name) for name in GROUP_USE) if n is not None), 0)
        pages = read_table(folder / "memory.stat")
        cached = sum(pages.get(f"total_{name}", pages.get(name, 0)) for name in ("active_file", "inactive_file"))
        limits = (read_number(folder / name) for name in GROUP_LIMITS)
        yield from (limit - max(0, used - cached) for limit in limits if limit is not None)


def _of_limits() -> Iterator[int]:
    """Yields what the limits on this process's address space and on its data leave."""
    if resource is None:
        return
    pages = _own_pages()
    for name, place in (("RLIMIT_AS", 0), ("RLIMIT_DATA", 5)):
        limit = resource.getrlimit(getattr(resource, name))[0]
        if limit != resource.RLIM_INFINITY:
            yield limit - (pages[place] if len(pages) > place else 0)


def _own_pages() -> list[int]:
    """Returns the sizes of this process in bytes, as statm lists them: the address space first, its data sixth."""
    try:
        return [int(word) * os.sysconf("SC_PAGE_SIZE") for word in OWN_PAGES.read_text(encoding="ascii").split()]
    except (OSError, ValueError):
        return []
