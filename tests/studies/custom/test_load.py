"""Files with parts of one's own: which are loaded, what a run remembers of them, and what is missing later."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from own_parts import GAIN, SQUARE, changed
from own_parts import own as own

from bpcli.family import Layer, Loss
from bpcli.records.training import Exit, Failure, Problem
from bpcli.studies.custom.load import (
    changed_files,
    files_record,
    files_record_by_name,
    load,
    loaded_callbacks,
    loaded_classes,
    loaded_files,
    missing_callbacks,
    name_needed_files,
    registry_snapshot,
    restore_registry,
    with_options,
)
from bpcli.studies.custom.source_location import SOURCES

LOG = "from bpcli.custom import Callback\n\n\nclass Log(Callback):\n    pass\n"


def write(name: str, text: str) -> Path:
    Path(name).write_text(text)
    return Path(name)


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def failure_of(*files: Path) -> Failure:
    with pytest.raises(Failure) as raised:
        load(files)
    return raised.value


# -------------------------------------------------------------------------------------------------------------- loading
def test_parts_are_registered_in_the_order_of_their_files(own: Path) -> None:
    square, gain = write("square.py", SQUARE), write("gain.py", GAIN)
    parts = load([square, gain])
    assert [leaf.__name__ for leaf in parts] == ["Square", "Gain"]
    assert loaded_classes() == frozenset(parts)
    assert Layer.registry["gain"] is parts[1]
    assert Loss.registry["square"] is parts[0]
    assert [f.file for f in loaded_files()] == [square, gain]
    first = loaded_files()[0]
    assert (first.absolute, first.sha256, first.parts) == (own / "square.py", sha256(square), parts[:1])
    assert loaded_callbacks() == ()
    assert parts[0].__module__ == f"with_square_{sha256(square)[:8]}"
    assert sys.modules[parts[0].__module__].__file__ == "square.py"
    assert SOURCES["square.py"].text == SQUARE


def test_a_file_is_run_once_as_long_as_it_is_the_same(own: Path) -> None:
    gain = write("gain.py", GAIN)
    (first,) = load([gain])
    assert load([Path("./gain.py")]) == (first,)
    write("gain.py", GAIN + "\n")
    (second,) = load([gain])
    assert second is not first
    assert Layer.registry["gain"] is second
    assert len(loaded_files()) == 1
    write("gain.py", changed(GAIN, ('"gain"] = "gain"', '"other"] = "other"')))
    load([gain])
    assert "gain" not in Layer.registry
    assert "other" in Layer.registry


def test_a_name_of_a_file_becomes_one_of_a_module(own: Path) -> None:
    file = write("my gain-1.py", GAIN)
    (leaf,) = load([file])
    assert leaf.__module__ == f"with_my_gain_1_{sha256(file)[:8]}"


def test_callbacks_alone_are_enough(own: Path) -> None:
    log = write("log.py", LOG)
    assert load([log]) == ()
    assert [c.__name__ for c in loaded_callbacks()] == ["Log"]
    assert files_record() == {"with": [{"file": str(own / "log.py"), "sha256": sha256(log), "callbacks": ["Log"]}]}


def test_everything_is_as_it_was_where_one_file_is_bad(own: Path) -> None:
    before = registry_snapshot()
    gain, bad = write("gain.py", GAIN), write("bad.py", "1 / 0\n")
    failure = failure_of(gain, bad)
    assert failure.problems[0].text == "loading stops here: ZeroDivisionError: division by zero"
    assert registry_snapshot() == before
    assert loaded_files() == ()
    load([gain])
    restore_registry(before)
    assert "gain" not in Layer.registry
    assert loaded_files() == ()


def test_a_file_that_cannot_be_read(own: Path) -> None:
    missing = failure_of(Path("none.py"))
    assert (missing.exit, missing.problems[0].text) == (Exit.NO_INPUT, "no such file: none.py")
    Path("folder.py").mkdir()
    folder = failure_of(Path("folder.py"))
    assert (folder.exit, folder.problems[0].code) == (Exit.NO_INPUT, "unreadable-file")
    assert folder.problems[0].text == "cannot read folder.py: Is a directory"
    other = failure_of(write("gain.txt", GAIN))
    assert other.exit == Exit.BAD_INPUT
    assert other.problems[0].text == "gain.txt is not a Python file: its name does not end in .py"


def test_where_python_stops_reading(own: Path) -> None:
    (problem,) = failure_of(write("bad.py", "x = 1\n  y = (2\n")).problems
    assert problem.code == "not-python"
    assert problem.line == 2
    (problem,) = failure_of(write("bad.py", "x = 1\nprint 'a'\n")).problems
    assert (problem.line, problem.column, problem.span) == (2, 1, len("print 'a'"))
    (problem,) = failure_of(write("bad.py", "x = (1,\n")).problems
    assert (problem.line, problem.column, problem.span) == (1, 5, 1)


def test_problems_of_parts_and_callbacks_are_all_said(own: Path) -> None:
    text = GAIN[: GAIN.index("    def backward")] + "\n\nfrom bpcli.custom import Callback\n\n\nclass Log(Callback):\n"
    failure = failure_of(write("bad.py", text + "    def on_lunch(self):\n        pass\n"))
    assert [p.text for p in failure.problems] == [
        "Gain has no `backward`", "Log.on_lunch is no hook of a Callback, and nobody calls it",
    ]  # fmt: skip


def test_the_file_that_an_import_fails_in(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(own))
    write("helper_of_mine.py", "from bpcli.part import Part\n")
    (problem,) = failure_of(write("mine.py", "import helper_of_mine\n")).problems
    assert (problem.file, problem.line) == (str(own / "helper_of_mine.py"), 1)
    sys.modules.pop("helper_of_mine", None)
    (problem,) = failure_of(write("mine.py", "from bpcli.part import Part\nimport helper_of_mine\n")).problems
    assert (problem.file, problem.line) == ("mine.py", 1)


# ------------------------------------------------------------------------------------------------- what a run remembers
def record(*entries: Any) -> dict[str, Any]:
    return {"with": list(entries)}


def test_without_files_nothing_is_remembered(own: Path) -> None:
    assert files_record() == {} == files_record_by_name()
    assert with_options() == ""


def test_a_model_that_travels_names_no_folder(own: Path) -> None:
    gain, log = write("gain.py", GAIN), write("log.py", LOG)
    load([gain, log])
    assert with_options() == "--with gain.py --with log.py"
    assert files_record() == record(
        {"file": str(own / "gain.py"), "sha256": sha256(gain)},
        {"file": str(own / "log.py"), "sha256": sha256(log), "callbacks": ["Log"]},
    )
    assert files_record_by_name() == record(
        {"file": "gain.py", "sha256": sha256(gain)}, {"file": "log.py", "sha256": sha256(log), "callbacks": ["Log"]}
    )


def test_a_file_that_changed_or_is_another(own: Path) -> None:
    gain = write("gain.py", GAIN)
    load([gain])
    same = {"file": str(own / "gain.py"), "sha256": sha256(gain)}
    assert changed_files(record(same)) == ()
    assert changed_files({}) == ()
    (problem,) = changed_files(record({**same, "sha256": "abc"}))
    assert (problem.text, problem.code, problem.level) == (
        "gain.py has changed since the run began", "changed", "warning",
    )  # fmt: skip
    assert problem.help == "its numbers may not be those of the training"
    (problem,) = changed_files(record({"file": "away/other.py", "sha256": "abc"}))
    assert problem.text == "the run was trained with away/other.py, not with gain.py"
    assert changed_files(record(same, {"file": "other.py", "sha256": "abc"})) == (), "a file that is not used"
    assert changed_files(record(3, "x", {"file": 4}, {"sha256": "abc"})) == ()
    assert changed_files({"with": "nothing"}) == ()


def test_callbacks_that_a_run_goes_on_without(own: Path) -> None:
    log = write("log.py", LOG)
    entry = {"file": str(own / "log.py"), "sha256": sha256(log), "callbacks": ["Log", "Other"]}
    (problem,) = missing_callbacks(record(entry))
    assert problem.text == f"Log, Other of {own / 'log.py'} followed the run until now, and is not loaded"
    assert (problem.code, problem.help, problem.level) == ("callbacks", "add --with log.py", "warning")
    (away,) = missing_callbacks(record({**entry, "file": "/away/log.py"}))
    assert away.help == "add --with /away/log.py"
    assert missing_callbacks(record({**entry, "callbacks": []}, 3)) == ()
    assert missing_callbacks({}) == missing_callbacks({"with": 3}) == ()
    load([log])
    assert missing_callbacks(record(entry)) == ()
    assert missing_callbacks(record({**entry, "sha256": "changed"})) == (), "the same file"
    assert missing_callbacks(record({**entry, "file": "/away/log.py"})) == (), "the same bytes"
    assert len(missing_callbacks(record({**entry, "file": "/away/log.py", "sha256": "other"}))) == 1


def test_an_unknown_type_says_which_files_are_needed(own: Path) -> None:
    gain = write("gain.py", GAIN)
    entry = {"file": str(own / "gain.py"), "sha256": sha256(gain)}
    failure = Failure(
        Problem("unknown layer `gain`", "unknown-type", help="old"), Problem("other", "other", help="stays"),
        exit=Exit.NO_INPUT,
    )  # fmt: skip
    found = name_needed_files(failure, record(entry))
    assert [p.help for p in found.problems] == [
        "the run was trained with a part of its own: add --with gain.py", "stays",
    ]  # fmt: skip
    assert found.exit == Exit.NO_INPUT
    both = name_needed_files(failure, record(entry, {"file": "/away/b.py", "sha256": "abc"}))
    assert both.problems[0].help == ("the run was trained with parts of its own: add --with gain.py --with /away/b.py")
    assert name_needed_files(failure, {}) is failure
    load([gain])
    assert name_needed_files(failure, record(entry)) is failure


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "huge.py").touch()
    os.truncate(tmp_path / "huge.py", 1 << 40)
    for name, why in (("pipe.py", "it is a pipe or a device, not a file"), ("huge.py", "it is larger than 16 MiB")):
        with pytest.raises(Failure, match=f"cannot read .*{name}: {why}"):
            load([tmp_path / name])
