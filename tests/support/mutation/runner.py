"""Runs mutants in a copy of the checkout and writes down what became of each."""

from __future__ import annotations

import compileall
import hashlib
import json
import os
import py_compile
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

from mutation.lines import LineMap, function_of, in_two, ordered
from mutation.mutant import Mutant

PEERS = ("torch", "sklearn", "scipy", "jax", "optax", "mpmath", "sympy", "pyarrow", "onnxruntime", "numba")
"""Libraries that README's test command does not install; in the copy they cannot be imported."""

SITE = f"""\
import sys
sys.modules.update(dict.fromkeys({PEERS!r}))
"""
COUNTED = """\
import atexit, json, os, sys
if os.environ.get("MUTATION_TEST") and not hasattr(sys, "_mutation"):
    sys._mutation = True
    import coverage, pathlib, uuid
    root = pathlib.Path(__file__).resolve().parent
    counter = coverage.Coverage(data_file=None, config_file=False, source=[str(root / "bpcli")], messages=False)
    counter.start()

    def write(test=os.environ["MUTATION_TEST"], folder=os.environ["MUTATION_LINES"]):
        counter.stop()
        data = counter.get_data()
        lines = {os.path.relpath(f, root): sorted(data.lines(f) or ()) for f in data.measured_files()}
        pathlib.Path(folder, "processes", uuid.uuid4().hex + ".json").write_text(json.dumps([test, lines]))

    atexit.register(write)
"""
"""`sitecustomize.py` of the copy: peers are missing, and where lines are recorded a process that a test starts records
its own."""


GRACE, PATIENCE = 30.0, 12.0
"""A test may take this many seconds and this many times as long as it did; then the mutant is said to hang."""


class Copy:
    """A copy of the checkout in which tests are run."""

    def __init__(self, root: Path, work: Path) -> None:
        self.original, self.work, self.root = root, work, work / "tree"
        self.lines = work / "lines"

    def make(self) -> None:
        """Copies what git knows or would add, and compiles it so that a changed file is seen by its text."""
        shutil.rmtree(self.root, ignore_errors=True)
        listed = ["git", "-C", str(self.original), "ls-files", "-co", "--exclude-standard", "-z"]
        for name in subprocess.run(listed, capture_output=True, check=True, text=True).stdout.split("\0"):
            if name and (self.original / name).is_file():
                (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(self.original / name, self.root / name)
        (self.root / "sitecustomize.py").write_text(SITE + COUNTED)
        mode = py_compile.PycInvalidationMode.CHECKED_HASH
        compileall.compile_dir(self.root / "bpcli", quiet=2, invalidation_mode=mode)

    def environment(self, **added: str) -> dict[str, str]:
        path = f"{self.root}{os.pathsep}{self.root / 'tests' / 'support'}"
        threads = os.environ.get("OPENBLAS_NUM_THREADS", "1")
        fixed = {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "OPENBLAS_NUM_THREADS": threads}
        return {**os.environ, **fixed, "MUTATION_TEMP": str(self.work / "temp"), **added}

    def pytest(self, *words: str, environment: dict[str, str]) -> int:
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words]
        quiet = subprocess.DEVNULL
        return subprocess.run(command, cwd=self.root, env=self.environment(**environment), stdout=quiet).returncode

    def record(self) -> None:
        """Records the lines that tests run, of those files of tests whose record is not of the code as it is now."""
        stamps = self.lines / "stamps"
        stamps.mkdir(parents=True, exist_ok=True)
        for file in sorted((self.root / "tests").rglob("test_*.py")):
            name = file.relative_to(self.root).as_posix()
            stamp = stamps / name.replace("/", "+")
            if stamp.is_file() and stamp.read_text(encoding="utf-8") == self.stamp_of(name):
                continue
            sys.stderr.write(f"recording {name}\n")
            self.record_of(name).write_text('{"tests": {}, "lines": {}}')
            self.pytest("-p", "mutation.recorder", name, environment={"MUTATION_LINES": str(self.lines)})
            stamp.write_text(self.stamp_of(name), encoding="utf-8")

    def record_of(self, tests: str) -> Path:
        return self.lines / (tests.replace("/", "+") + ".json")

    def stamp_of(self, tests: str) -> str:
        """A digest of a file of tests and of the files of bpcli that it ran: what its record is a record of."""
        record = self.record_of(tests)
        ran = json.loads(record.read_text(encoding="utf-8"))["lines"] if record.is_file() else {}
        digest = hashlib.sha256((self.root / tests).read_bytes())
        for file in sorted(ran):
            source = self.root / file
            digest.update(source.read_bytes() if source.is_file() else b"gone")
        return digest.hexdigest()


class Connection:
    """A server and the two pipes to it."""

    def __init__(self, copy: Copy, *words: str) -> None:
        job_end, self._jobs = os.pipe()
        self._answers, answer_end = os.pipe()
        quiet = subprocess.DEVNULL
        variables = copy.environment(MUTATION_JOBS=str(job_end), MUTATION_ANSWERS=str(answer_end))
        del variables["PYTHONDONTWRITEBYTECODE"]  # until it answers: what it collects stays compiled
        self.process = subprocess.Popen(
            [sys.executable, "-m", *words], cwd=copy.root, env=variables, pass_fds=(job_end, answer_end),
            stdin=quiet, stdout=quiet, stderr=quiet,
        )  # fmt: skip
        os.close(job_end)
        os.close(answer_end)
        self._reader = os.fdopen(self._answers)
        if not self._reader.readline():
            raise RuntimeError(f"{' '.join(words)} did not start")

    def ask(self, mutant: Mutant | None, source: str, tests: list[str], limits: list[float]) -> dict[str, Any]:
        """Runs tests on a mutant (None: on the code as it is) up to the first that fails or takes too long."""
        job = {
            "file": mutant.file if mutant else "", "body": mutant.body if mutant else "", "source": source,
            "tests": tests, "limits": limits,
        }  # fmt: skip
        self._send(json.dumps(job) + "\n")
        found: dict[str, Any] = json.loads(self._reader.readline())
        return found

    def _send(self, text: str) -> None:
        data = memoryview(text.encode())
        while data:
            data = data[os.write(self._jobs, data) :]

    def close(self) -> None:
        os.close(self._jobs)
        self.process.wait(timeout=60)
        self._reader.close()


class Runner:
    """Runs mutants one after another; `budget` is the most seconds that the tests of one may take (0: all are run)."""

    def __init__(self, copy: Copy, texts: dict[str, str], results: Path, budget: float) -> None:
        self.copy, self.texts, self.results, self.budget = copy, texts, results, budget
        self.map = LineMap(copy.lines)
        self.kills: Counter[str] = Counter()
        self.reliable: set[str] = set()
        self.excluded: set[str] = set()
        self.rows = read_results(results)
        for row in self.rows.values():
            self.noted(row)

    def __enter__(self) -> Self:
        self.collected = Connection(self.copy, "pytest", "-p", "mutation.server", "-p", "no:cacheprovider", "-qq",
                                    f"--basetemp={self.copy.work / 'temp'}")  # fmt: skip
        self.fresh = Connection(self.copy, "mutation.server")
        return self

    def __exit__(self, *_: object) -> None:
        self.collected.close()
        self.fresh.close()

    def noted(self, row: dict[str, Any]) -> None:
        if row["status"] == "killed":
            self.kills[f"{row['file']} {function_of(row['by'])}"] += 1

    def run(self, room: str, mutant: Mutant) -> dict[str, Any]:
        """Runs one mutant and writes its row."""
        start = time.monotonic()
        found = self.judge(mutant)
        row = {
            "key": mutant.key, "room": room, "kind": mutant.kind, "file": mutant.file, "line": mutant.line, **found,
            "wall": round(time.monotonic() - start, 1),
        }  # fmt: skip
        self.rows[mutant.key] = row
        self.noted(row)
        with self.results.open("a", encoding="utf-8") as out:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
        return row

    def judge(self, mutant: Mutant) -> dict[str, Any]:
        found, called = self.map.of(mutant)
        tests = found - self.excluded
        if not tests:
            return {"status": "survived", "by": "", "tests": 0}
        first, rest = in_two(ordered(tests, mutant.file, self.map.seconds, self.kills), self.map.seconds)
        steps = [(self.collected, first)] if called else []
        if not called or not self.budget:  # an import may have kept what the function gave
            steps.append((self.fresh, first))
        cut = False
        if rest:
            part = self.within(rest)
            cut = len(part) < len(rest)
            steps += [(self.collected if called else self.fresh, part)]
        ran = 0
        for server, chosen in steps:
            answer = self.asked(server, mutant, chosen)
            if answer["outcome"] == "unchanged":  # its module is not imported yet, or another function has its name
                answer = self.asked(self.fresh, mutant, chosen)
            ran = max(ran, answer["ran"])
            if answer["outcome"] in ("killed", "timeout", "crashed"):
                status = "killed" if answer["outcome"] == "crashed" else answer["outcome"]
                return {"status": status, "by": answer["by"], "tests": len(tests)}
        return {"status": "open" if cut else "survived", "by": "", "tests": len(tests), "ran": ran}

    def within(self, tests: list[str]) -> list[str]:
        """As many of them as the budget allows."""
        left, chosen = self.budget or float("inf"), []
        for test in tests:
            left -= self.map.seconds[test]
            if left >= 0:
                chosen.append(test)
        return chosen

    def asked(self, server: Connection, mutant: Mutant, tests: list[str]) -> dict[str, Any]:
        """The answer of a server, where the test that failed passes on the code as it is; else without that test."""
        source = mutant.apply(self.texts[mutant.file])
        while True:
            tests = [t for t in tests if t not in self.excluded]
            if not tests:
                return {"outcome": "survived", "by": "", "ran": 0}
            limits = [GRACE + PATIENCE * self.map.seconds[t] for t in tests]
            answer = server.ask(mutant, source, tests, limits)
            by = answer["by"]
            if answer["outcome"] not in ("killed", "crashed") or by in self.reliable:
                return answer
            before = tests[: tests.index(by) + 1] if by in tests else tests
            baseline = server.ask(None, "", before, limits)
            if (baseline["outcome"], baseline["ran"]) == ("survived", len(before)):
                self.reliable |= {by} - {""}
                return answer
            if by not in tests:
                raise RuntimeError(f"without a mutant these fail too, {by or 'before any is run'}: {before}")
            self.excluded.add(by)
            sys.stderr.write(f"left out, for it fails without a mutant: {by}\n")


def read_results(file: Path) -> dict[str, dict[str, Any]]:
    """The last row of each mutant."""
    if not file.is_file():
        return {}
    rows: Iterable[dict[str, Any]] = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    return {row["key"]: row for row in rows}
