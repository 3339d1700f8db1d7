"""What records say by default and of themselves."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from bpcli.records import gradcheck, training
from bpcli.records.gradcheck import VERDICTS, GradcheckReport, LawRow, TensorRow
from bpcli.records.training import Exit, Failure, Problem


def test_exit_codes_are_those_of_the_manual() -> None:
    """Scripts rely on them: 0 to 3, those of sysexits.h, and 128 with the number of a signal."""
    assert {code.name: int(code) for code in Exit} == {
        "OK": 0, "INTERNAL": 1, "USAGE": 2, "BAD_RESULT": 3, "BAD_INPUT": 65, "NO_INPUT": 66, "CANNOT_CREATE": 73,
        "IO_ERROR": 74, "INTERRUPTED": 128 + 2,
    }  # fmt: skip
    assert Failure(Problem("t")).exit == 65


def test_a_failure_is_of_its_problems_and_of_bad_input_unless_it_says_so() -> None:
    one, two = Problem("first"), Problem("second")
    failure = Failure(one, two)
    assert (str(failure), failure.problems, failure.exit) == ("first; second", (one, two), Exit.BAD_INPUT)
    assert Failure(one, exit=Exit.USAGE).exit == Exit.USAGE


def test_a_problem_is_an_error_at_no_place_until_it_says_more() -> None:
    assert Failure(Problem("t")).problems == (Problem("t"),)
    assert dataclasses.asdict(Problem("t")) == {
        "text": "t", "code": "", "path": (), "file": "", "line": 0, "column": 0, "span": 1, "excerpt": (), "help": "",
        "level": "error",
    }  # fmt: skip


def test_what_a_report_does_not_say_is_empty() -> None:
    """No default of a record claims anything: no warning, no note, no figure."""
    meant = {("Problem", "span"): 1, ("Problem", "level"): "error"}
    assert Failure(exit=Exit.USAGE).problems == ()
    assert report(ROW).passed
    for module in (training, gradcheck):
        for name, kind in vars(module).items():
            if dataclasses.is_dataclass(kind):
                for field in dataclasses.fields(kind):
                    made: Any = field.default_factory
                    default = made() if made is not dataclasses.MISSING else field.default
                    assert default is dataclasses.MISSING or not default or (name, field.name) in meant
                    assert meant.get((name, field.name), default) == default


ROW = TensorRow("layer", "a.dW", 1, 1, 0.0, (), 0.0, 0.0, "equations", "random", "ok")


def report(*rows: TensorRow, laws: tuple[LawRow, ...] = ()) -> GradcheckReport:
    return GradcheckReport("n", "w", "r", 3, 9, (), 0, rows, laws, (), (), 0, 0.0)


@pytest.mark.parametrize("verdict", [*VERDICTS, "follows"])
def test_what_a_verdict_means_for_the_whole(verdict: str) -> None:
    found = report(ROW, dataclasses.replace(ROW, tensor="b.dW", verdict=verdict))
    assert found.passed == (verdict not in ("WRONG", "not covered"))
    assert found.weak == (verdict in ("dead", "noise", "jump"))
    assert found.wrong == (("b.dW",) if verdict == "WRONG" else ())
    assert found.compared


def test_a_broken_law_is_wrong_once_and_one_that_was_not_asked_is_not() -> None:
    wrong = dataclasses.replace(ROW, verdict="WRONG")
    laws = (LawRow("batch", False, 1.0), LawRow("linear", None, 0.0), LawRow("float32", True, 0.0))
    found = report(wrong, dataclasses.replace(wrong, point="trained"), laws=laws)
    assert found.wrong == ("a.dW", "batch")
    assert not found.passed
    assert not report().compared
