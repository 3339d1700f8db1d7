"""Which tests run a mutated line, the likeliest to notice first."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from mutation.mutant import Mutant

FIRST_TESTS, FIRST_SECONDS = 200, 4.0
"""How many tests are run at first, and how long they took together when their lines were recorded."""

SCHEMA = "bpcli/config/schema.py"


class LineMap:
    """What `recorder` wrote: the tests that run a line, and the seconds that each test takes."""

    def __init__(self, folder: Path) -> None:
        self.seconds: dict[str, float] = {}
        self._modules: dict[str, list[str]] = {}
        self._masks: dict[str, dict[str, dict[int, int]]] = defaultdict(dict)
        for file in sorted(folder.glob("*.json")):
            found = json.loads(file.read_text())
            module = file.stem.replace("+", "/")
            self.seconds |= found["tests"]
            self._modules[module] = list(found["tests"])
            for source, masks in found["lines"].items():
                self._masks[source][module] = {n: int(mask, 16) for mask, lines in masks.items() for n in lines}

    def tests(self, file: str, lines: Iterable[int]) -> set[str]:
        """The tests that run one of these lines of a file."""
        wanted = list(lines)
        found: set[str] = set()
        for module, masks in self._masks.get(file, {}).items():
            mask = 0
            for line in wanted:
                mask |= masks.get(line, 0)
            names = self._modules[module]
            while mask:
                low = mask & -mask
                found.add(names[low.bit_length() - 1])
                mask ^= low
        return found

    def of(self, mutant: Mutant) -> tuple[set[str], bool]:
        """The tests that run the mutant's statement, and True. Where none does (an import runs it, or a thread that was
        there before), those that run anything of its file, or else of a file beside it, and those of the schema, which
        is made of all declarations; and False. (Not only those of its class: what a process imports runs all of it.)"""
        if mutant.body and (found := self.tests(mutant.file, range(mutant.first, mutant.last + 1))):
            return found, True
        folder = mutant.file.rpartition("/")[0]
        found = self.running([mutant.file]) or self.running(f for f in self._masks if f.startswith(f"{folder}/"))
        return found | self.running([SCHEMA]), False

    def running(self, files: Iterable[str]) -> set[str]:
        """The tests that run any line of these files."""
        lines = {f: {n for masks in self._masks.get(f, {}).values() for n in masks} for f in files}
        return {test for file, numbers in lines.items() for test in self.tests(file, numbers)}


def function_of(test: str) -> str:
    return test.partition("[")[0]


def ordered(tests: Iterable[str], file: str, seconds: Mapping[str, float], kills: Counter[str]) -> list[str]:
    """Tests by how likely and how soon they notice a mutant of `file`: first those of functions that noticed others of
    this file and those of the mirrored folder, then all others; of both, one of each function, then the next ones."""
    folder = file.removeprefix("bpcli/").rpartition("/")[0]
    stem = file.rpartition("/")[2].removesuffix(".py")
    groups: dict[str, list[str]] = defaultdict(list)
    for test in tests:
        groups[function_of(test)].append(test)
    for group in groups.values():
        group.sort(key=lambda t: (stem.replace("_", "") not in t.replace("_", ""), seconds[t], t))

    def rank(function: str) -> tuple[int, int, float]:
        near = function.startswith(f"tests/{folder}/") + function.startswith(f"tests/{folder}/test_{stem}.py")
        return -kills[f"{file} {function}"], -near, seconds[groups[function][0]]

    order = sorted(groups, key=rank)
    near = [f for f in order if rank(f)[:2] != (0, 0)]
    far = [f for f in order if rank(f)[:2] == (0, 0)]
    return [test for part in (near, far) for test in _in_turns([groups[f] for f in part])]


def _in_turns(groups: list[list[str]]) -> Iterator[str]:
    """The first of each group, the second of each, then twice as many each time."""
    taken, more = 0, 1
    while any(taken < len(group) for group in groups):
        for group in groups:
            yield from group[taken : taken + more]
        taken, more = taken + more, more * 2


def in_two(tests: list[str], seconds: Mapping[str, float]) -> tuple[list[str], list[str]]:
    """The beginning that is run at first, and the rest, module by module."""
    first: list[str] = []
    left = FIRST_SECONDS
    for test in tests[:FIRST_TESTS]:
        if not first or seconds[test] <= left:
            left -= seconds[test]
            first.append(test)
    modules: dict[str, list[str]] = defaultdict(list)
    for test in tests:
        modules[test.partition("::")[0]].append(test)
    taken = set(first)
    return first, [test for module in modules.values() for test in module if test not in taken]
