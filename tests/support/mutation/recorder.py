"""A pytest plugin that records which lines of bpcli each test runs, and how much of the
processor's time it takes.

`pytest -p mutation.recorder` writes a file for each file of tests into the folder that MUTATION_LINES names:
{"tests": {test: seconds}, "lines": {file of bpcli: {mask of tests: [line, ...]}}}. Lines that a fixture of a whole
module runs count for every test of the module. Lines that a process of the test's own runs are added by
`sitecustomize.py`, which the copy of the tree holds (`runner.COUNTED`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import coverage
import pytest

MODULE = "*"
"""The name under which the lines of a whole module's fixtures stand."""


def seconds_of_processor() -> float:
    """What this process and those that it has waited for have taken so far: a busy machine does not make it more."""
    return sum(os.times()[:4])


class Recorder:
    """Records the tests of one module after another."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root, self.folder = root, folder
        self.processes = folder / "processes"
        self.processes.mkdir(parents=True, exist_ok=True)
        self.module = ""
        self.seconds: dict[str, float] = {}
        self.counter: Any = None

    def enter(self, test: str) -> None:
        """Says that what runs from here on is run by `test`."""
        module = test.partition("::")[0]
        if module != self.module:
            self.write()
            self.module, self.seconds = module, {}
            self.counter = coverage.Coverage(
                data_file=None, config_file=False, source=[str(self.root / "bpcli")], messages=False
            )
            self.counter.start()
        self.counter.switch_context(test)

    def write(self) -> None:
        """Writes the lines of the module that is at its end."""
        if self.counter is None:
            return
        self.counter.stop()
        data = self.counter.get_data()
        ran: dict[str, dict[int, set[str]]] = {}
        for file in data.measured_files():
            name = os.path.relpath(file, self.root)
            ran[name] = {line: {t for t in tests if t} for line, tests in data.contexts_by_lineno(file).items()}
        for part in self.processes.glob("*.json"):
            test, files = json.loads(part.read_text())
            part.unlink()
            for file, numbers in files.items():
                for line in numbers:
                    ran.setdefault(file, {}).setdefault(line, set()).add(test)
        found = {"tests": self.seconds, "lines": {file: self.masks(lines) for file, lines in ran.items()}}
        (self.folder / (self.module.replace("/", "+") + ".json")).write_text(json.dumps(found))
        self.counter = None

    def masks(self, lines: dict[int, set[str]]) -> dict[str, list[int]]:
        """Lines by the tests that run them: bit k of the number (in hexadecimal) stands for test k of the module."""
        bit = {test: 1 << k for k, test in enumerate(self.seconds)}
        every = (1 << len(bit)) - 1
        found: dict[str, list[int]] = {}
        for line, tests in lines.items():
            mask = every if f"{self.module}::{MODULE}" in tests else sum(bit[t] for t in tests)
            if mask:
                found.setdefault(f"{mask:x}", []).append(line)
        return found

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        os.environ["MUTATION_TEST"] = item.nodeid
        self.enter(item.nodeid)
        start = seconds_of_processor()
        result = yield
        self.seconds[item.nodeid] = round(seconds_of_processor() - start, 4)
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Iterator[None]:
        if fixturedef.scope == "function":
            return (yield)
        test = os.environ["MUTATION_TEST"]
        self.enter(f"{self.module}::{MODULE}")
        try:
            return (yield)
        finally:
            self.enter(test)

    def pytest_sessionfinish(self) -> None:
        self.write()


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Recorder(config.rootpath, Path(os.environ["MUTATION_LINES"])))
