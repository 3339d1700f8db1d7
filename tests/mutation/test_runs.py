"""Mutants of a small package are run: those that a test sees are killed, one that none can see survives."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mutation.lines import LineMap, in_two, ordered
from mutation.mutant import Mutant
from mutation.operators import mutants
from mutation.report import table
from mutation.runner import Connection, Copy, Runner
from paths import ROOT

SOURCE = """\
HALF = 0.5


def half(a):
    return a * HALF


def larger(a, b):
    return a if a > b else b


def countdown(n):
    while n > 0:
        n -= 1
    return n
"""
TESTS = """\
import subprocess, sys
from bpcli.small import HALF, countdown, half, larger

def test_half(): assert half(4) == 2
def test_larger(): assert larger(1, 2) == larger(2, 1) == larger(2, 2) == 2
def test_countdown(): assert countdown(3) == 0
def test_apart():
    program = "from bpcli.small import half; print(half(4))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "2.0\\n"
"""
CALLED = ["test_half", "test_larger", "test_countdown"]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    copy = Copy(ROOT, tmp_path_factory.mktemp("mutation"))
    for name, text in {
        "bpcli/__init__.py": "", "bpcli/small.py": SOURCE, "tests/test_small.py": TESTS,
        "pyproject.toml": '[tool.pytest.ini_options]\nfilterwarnings = ["error"]\n',
    }.items():  # fmt: skip
        (copy.root / name).parent.mkdir(parents=True, exist_ok=True)
        (copy.root / name).write_text(text)
    support = copy.root / "tests" / "support"
    support.mkdir()
    (support / "mutation").symlink_to(ROOT / "tests" / "support" / "mutation")
    return copy


@pytest.fixture(scope="module", params=["collected", "fresh"])
def server(request: pytest.FixtureRequest, copy: Copy) -> Iterator[Connection]:
    collected = ("pytest", "-p", "mutation.server", "-p", "no:cacheprovider")
    server = Connection(copy, *(collected if request.param == "collected" else ("mutation.server",)))
    yield server
    server.close()


def outcome(server: Connection, new_line: str, *names: str, limit: float = 15.0) -> tuple[str, str]:
    [mutant] = [m for m in mutants("bpcli/small.py", SOURCE) if m.new_line.strip() == new_line]
    tests = [f"tests/test_small.py::{name}" for name in names]
    found = server.ask(mutant, mutant.apply(SOURCE), tests, [limit] * len(tests))
    assert found["outcome"] != "survived" or found["ran"] == len(tests)
    return found["outcome"], found["by"].rpartition(":")[2]


def test_a_mutant_that_a_test_sees_is_killed_by_it(server: Connection) -> None:
    assert outcome(server, "return (a / HALF)", *CALLED) == ("killed", "test_half")
    assert outcome(server, "return a if (a <= b) else b", *CALLED) == ("killed", "test_larger")


def test_an_equivalent_survives(server: Connection) -> None:
    assert outcome(server, "return a if (a >= b) else b", *CALLED) == ("survived", "")


def test_a_process_that_a_test_starts_runs_the_mutant(server: Connection, copy: Copy) -> None:
    assert outcome(server, "return (a / HALF)", "test_larger", "test_apart") == ("killed", "test_apart")
    assert (copy.root / "bpcli" / "small.py").read_text() == SOURCE


def test_a_loop_without_end_is_stopped(server: Connection) -> None:
    assert outcome(server, "n = 1", *CALLED, limit=0.5) == ("timeout", "test_countdown")


def test_what_an_import_runs_needs_a_fresh_one(server: Connection, request: pytest.FixtureRequest) -> None:
    collected = "collected" in request.node.name
    found = outcome(server, "HALF = 1.5", *CALLED)
    assert found == (("unchanged", "") if collected else ("killed", "test_half"))


class Answering:
    """A server that has one answer to everything."""

    def __init__(self, outcome: str) -> None:
        self.outcome = outcome

    def ask(self, mutant: Mutant | None, source: str, tests: list[str], limits: list[float]) -> dict[str, Any]:
        outcome = self.outcome if mutant else "survived"
        return {"outcome": outcome, "by": tests[0] if outcome == "killed" else "", "ran": len(tests)}


@pytest.mark.parametrize(("fresh", "status"), [("killed", "killed"), ("survived", "survived")])
def test_what_could_not_be_exchanged_is_run_fresh_whatever_the_budget(
    fresh: str, status: str, copy: Copy, tmp_path: Path
) -> None:
    (tmp_path / "tests+test_small.py.json").write_text(
        '{"tests": {"tests/test_small.py::test_half": 0.1}, "lines": {"bpcli/small.py": {"1": [5]}}}'
    )
    runner = Runner(copy, {"bpcli/small.py": SOURCE}, tmp_path / "results.jsonl", budget=9.0)
    runner.map = LineMap(tmp_path)
    runner.collected, runner.fresh = Answering("unchanged"), Answering(fresh)  # type: ignore[assignment]
    [mutant] = [m for m in mutants("bpcli/small.py", SOURCE) if m.new_line.strip() == "return (a / HALF)"]
    assert runner.judge(mutant)["status"] == status


def test_what_an_import_runs_is_tried_on_all_tests_of_its_file(tmp_path: Path) -> None:
    """A test whose process imports the file runs the class's own lines, and one that calls a method does not."""
    (tmp_path / "tests+test_small.py.json").write_text(
        '{"tests": {"apart": 0.1, "called": 0.1, "elsewhere": 0.1},'
        ' "lines": {"bpcli/a.py": {"1": [1, 2], "3": [3]}, "bpcli/b.py": {"4": [1]}}}'
    )
    source = "class A:\n    most = 3\n    def f(self): return self.most + 1\n"
    by_line = {m.new_line.strip(): m for m in mutants("bpcli/a.py", source)}
    lines = LineMap(tmp_path)
    assert lines.of(by_line["most = 4"]) == ({"apart", "called"}, False)
    assert lines.of(by_line["def f(self): return (self.most - 1)"]) == ({"apart", "called"}, True)


def test_a_record_is_of_the_tests_and_of_the_code_that_they_ran(tmp_path: Path) -> None:
    copy = Copy(ROOT, tmp_path)
    for name in ("bpcli/ran.py", "bpcli/other.py", "tests/test_a.py"):
        (copy.root / name).parent.mkdir(parents=True, exist_ok=True)
        (copy.root / name).write_text("pass\n")
    copy.lines.mkdir()
    copy.record_of("tests/test_a.py").write_text('{"tests": {}, "lines": {"bpcli/ran.py": {"1": [1]}}}')
    stamp = copy.stamp_of("tests/test_a.py")
    (copy.root / "bpcli/other.py").write_text("1\n")
    assert copy.stamp_of("tests/test_a.py") == stamp
    for name in ("bpcli/ran.py", "tests/test_a.py"):
        (copy.root / name).write_text("1\n")
        assert copy.stamp_of("tests/test_a.py") != stamp
        (copy.root / name).write_text("pass\n")


def test_tests_are_ordered_by_what_they_noticed_then_nearness_then_speed() -> None:
    seconds = {
        "tests/cli/test_a.py::far[1]": 0.1, "tests/cli/test_a.py::far[2]": 0.2, "tests/engine/test_step.py::near": 5.0,
        "tests/engine/test_step.py::slow": 9.0, "tests/laws/test_b.py::knows": 7.0,
    }  # fmt: skip
    kills = Counter({"bpcli/engine/step.py tests/laws/test_b.py::knows": 1})
    order = ordered(seconds, "bpcli/engine/step.py", seconds, kills)
    assert [test.rpartition(":")[2] for test in order] == ["knows", "near", "slow", "far[1]", "far[2]"]
    first, rest = in_two(order, seconds)
    assert [*first, *rest] == order
    assert len(first) == 1  # it takes nearly all of the seconds


def test_the_table_counts_what_became_of_each() -> None:
    lines = list(table({"engine": {"a": "killed", "b": "timeout", "c": "survived", "d": "equivalent", "e": "to run"}}))
    assert lines[-2:] == ["| engine | 5 | 1 | 1 | 1 | 0 | 1 | 1 | 66.7 |", "| all | 5 | 1 | 1 | 1 | 0 | 1 | 1 | 66.7 |"]
