"""No test outside tests/bench asserts that something takes less than some time, which the machine decides.

A test counts work (calls, cells, turns) where it means that something is quick, and a bench measures beside a peer.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
from paths import ROOT

CLOCKS = {"perf_counter", "perf_counter_ns", "process_time", "process_time_ns", "monotonic", "monotonic_ns",
          "thread_time", "time", "seconds", "busy", "elapsed"}  # fmt: skip
"""Functions that read a clock, and attributes and names that hold what was read."""


def reads_clock(node: ast.AST, times: set[str]) -> bool:
    """Whether an expression holds a clock, or a name that was given a time."""
    for inner in ast.walk(node):
        match inner:
            case ast.Attribute(attr=name) if name in CLOCKS:
                return True
            case ast.Name(id=name) if name in CLOCKS - {"time"} or name in times:
                return True
    return False


def time_limits(tree: ast.Module) -> Iterator[int]:
    """Yields the lines that assert an upper bound of a time."""
    times: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AugAssign) and reads_clock(node.value, times):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            times |= {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    for node in ast.walk(tree):
        for compare in ast.walk(node.test) if isinstance(node, ast.Assert) else ():
            if isinstance(compare, ast.Compare):
                sides = [compare.left, *compare.comparators]
                for left, op, right in zip(sides, compare.ops, sides[1:], strict=False):
                    small = (
                        left
                        if isinstance(op, ast.Lt | ast.LtE)
                        else right
                        if isinstance(op, ast.Gt | ast.GtE)
                        else None
                    )
                    if small is not None and reads_clock(small, times):
                        yield compare.lineno


def test_no_test_asserts_that_something_is_quick() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{line}"
        for file in sorted((ROOT / "tests").rglob("*.py"))
        if "bench" not in file.parts
        for line in time_limits(ast.parse(file.read_text(encoding="utf-8")))
    ]
    assert found == [], "count what is done, or measure in tests/bench"


@pytest.mark.parametrize(
    ("text", "is_limit"),
    [
        ("assert time.perf_counter() - began < 10", True),
        ("assert 0 < report.seconds < 60", True),
        ("assert 60 >= report.seconds", True),
        ("took = process_time() - began\nassert took <= 2 and True", True),
        ("assert report.seconds >= 1.0", False),
        ("assert report.seconds == 6.0", False),
        ("while monotonic() < 3: ...", False),
    ],
)
def test_what_is_a_limit(text: str, is_limit: bool) -> None:
    assert bool(list(time_limits(ast.parse(text)))) is is_limit
