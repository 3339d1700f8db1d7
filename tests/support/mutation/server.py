"""A pytest plugin whose process runs the chosen tests on one mutant after another, each in a fork of its own.

It reads jobs from the descriptor MUTATION_JOBS, a line of JSON each, and answers on MUTATION_ANSWERS.
`pytest -p mutation.server` collects every test once; in the fork the functions of the mutant get its code, and start at
once. `python -m mutation.server` imports nothing of bpcli before the fork, so that what an import runs is the
mutant's too.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest

STARTING = 60.0  # seconds that the first test may take to begin
MAX_MEMORY = 12 << 30  # bytes of address space of a fork


class ForkReporter:
    """In a fork: says what is run and what failed, and stops at the first failure."""

    def __init__(self, pipe: int, tests: Sequence[str]) -> None:
        self.pipe, self.tests = pipe, tests
        self.failed = False

    def write(self, word: str, test: str) -> None:
        os.write(self.pipe, f"{word} {self.tests.index(test)}\n".encode())

    def pytest_collection_modifyitems(self, session: Any, items: list[pytest.Item]) -> None:
        found = {item.nodeid: item for item in items}
        items[:] = [found[test] for test in self.tests if test in found]
        session.shouldfail = False

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.write("run", nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.failed:
            self.failed = True
            self.write("failed", report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and not self.failed:
            self.failed = True
            os.write(self.pipe, f"collection {report.nodeid}\n".encode())


def code_of(module: CodeType, name: str) -> list[CodeType]:
    """The code objects of the functions of that qualified name."""
    found = [module] if module.co_qualname == name else []
    for constant in module.co_consts:
        if isinstance(constant, CodeType):
            found += code_of(constant, name)
    return found


def exchange(file: Path, body: str, source: str, functions: Sequence[FunctionType]) -> bool:
    """Gives the functions `body` of `file` the code that `source` has for them; False where that cannot be done."""
    new = code_of(compile(source, str(file), "exec"), body)
    old = [f for f in functions if f.__code__.co_qualname == body and f.__code__.co_filename == str(file)]
    if len(new) != 1 or not old or len({f.__code__ for f in old}) != 1:
        return False
    if any(f.__code__.co_freevars != new[0].co_freevars for f in old):
        return False
    for function in old:
        function.__code__ = new[0]
    return True


class Server:
    """Answers jobs: {"file", "body", "source", "tests", "limits"} with {"outcome", "by", "ran"}."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.jobs, self.answers = int(os.environ["MUTATION_JOBS"]), int(os.environ["MUTATION_ANSWERS"])
        self.items: dict[str, pytest.Item] = {}
        self.functions: list[FunctionType] = []
        self.session: Any = None

    def serve(self) -> None:
        gc.collect()
        self.functions = [f for f in gc.get_objects() if isinstance(f, FunctionType)]
        self.functions = [f for f in self.functions if f.__code__.co_filename.startswith(str(self.root / "bpcli"))]
        gc.freeze()
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        sys.dont_write_bytecode = True
        os.write(self.answers, b"{}\n")
        with os.fdopen(self.jobs) as jobs:
            for line in jobs:
                answer = self.answer(json.loads(line))
                os.write(self.answers, (json.dumps(answer) + "\n").encode())

    def answer(self, job: dict[str, Any]) -> dict[str, Any]:
        """Runs one job. The mutant stands in its file meanwhile, for the processes that tests start."""
        file = self.root / job["file"] if job["file"] else None
        original = file.read_bytes() if file else b""
        reader, writer = os.pipe()
        try:
            if file:
                file.write_text(job["source"], encoding="utf-8")
            child = os.fork()
            if not child:
                os.close(reader)
                self.run_in_fork(job, file, writer)
            os.close(writer)
            return self.watch(child, reader, job)
        finally:
            os.close(reader)
            if file:
                file.write_bytes(original)

    def run_in_fork(self, job: dict[str, Any], file: Path | None, pipe: int) -> None:
        """Never returns."""
        try:
            os.setsid()
            resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
            reporter = ForkReporter(pipe, job["tests"])
            if self.session is None:
                self.collect_and_run(job, reporter)
            elif not file or exchange(file, job["body"], job["source"], self.functions):
                self.run_collected(job, reporter)
            else:
                os.write(pipe, b"unchanged\n")
            os.write(pipe, b"end\n")
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
        finally:
            os._exit(0)

    def collect_and_run(self, job: dict[str, Any], reporter: ForkReporter) -> None:
        files = sorted({test.partition("::")[0] for test in job["tests"]})
        preloaded = "ignore::pytest.PytestAssertRewriteWarning"
        code = pytest.main(["-x", "-p", "no:cacheprovider", "-W", preloaded, *BASE, *files], plugins=[reporter])
        if code in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.INTERNAL_ERROR) and not reporter.failed:
            os.write(reporter.pipe, b"collection \n")

    def run_collected(self, job: dict[str, Any], reporter: ForkReporter) -> None:
        manager = self.session.config.pluginmanager
        manager.register(reporter)
        items = [self.items[test] for test in job["tests"] if test in self.items]
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if reporter.failed:
                return

    def watch(self, child: int, reader: int, job: dict[str, Any]) -> dict[str, Any]:
        """Waits for the fork, and ends it where a test takes too long."""
        tests, limits = job["tests"], job["limits"]
        start, ran, at, text = time.monotonic(), 0, "", ""
        outcome, by = "", ""
        deadline = start + STARTING
        while not outcome:
            ready, _, _ = select.select([reader], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                outcome, by = "timeout", at
                break
            block = os.read(reader, 1 << 16).decode()
            if not block:
                outcome, by = "crashed", at
            text += block
            *lines, text = text.split("\n")
            for line in lines:
                word, _, rest = line.partition(" ")
                if word == "run":
                    at = tests[int(rest)]
                    ran += 1
                    deadline = time.monotonic() + limits[int(rest)]
                elif word == "failed":
                    outcome, by = "killed", tests[int(rest)]
                elif word == "collection":
                    outcome, by = "killed", rest
                elif word == "unchanged":
                    outcome = "unchanged"
                elif word == "end":
                    outcome = outcome or "survived"
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return {"outcome": outcome, "by": by, "ran": ran, "wall": round(time.monotonic() - start, 2)}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.session = session
        self.items = {item.nodeid: item for item in session.items}
        self.serve()
        return True


BASE = (f"--basetemp={os.environ.get('MUTATION_TEMP', Path(tempfile.gettempdir()) / 'mutation')}",)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Server(config.rootpath))


def preload() -> Iterator[str]:
    """What is imported before the fork where bpcli is not."""
    names = "numpy numpy.testing pydantic typer rich.console yaml safetensors.numpy hypothesis hypothesis.strategies"
    for name in (*names.split(), "jsonschema", "_pytest.python", "_pytest.assertion.rewrite", "PIL.Image"):
        yield name
        __import__(name)


if __name__ == "__main__":
    list(preload())
    Server(Path.cwd()).serve()
