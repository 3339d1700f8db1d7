"""What becomes of errors and of exits: a message and a code. And what the options of the commands are by default."""

from __future__ import annotations

import inspect
import io
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from cli_lab import Lab
from cli_lab import lab as lab
from own_parts import own as own

from bpcli.__main__ import main
from bpcli.cli import app as app_module
from bpcli.cli import interruption
from bpcli.cli.app import app, run
from bpcli.cli.gradcheck import gradcheck
from bpcli.cli.streams import GuardedStream, NullStream, OutputLostError, guarded
from bpcli.cli.traced import TraceRequest, elision, only_ascii
from bpcli.numeric.free_memory import NotEnoughMemoryError
from bpcli.records.gradcheck import PartVerdict
from bpcli.studies.custom.load import load


def ending(monkeypatch: pytest.MonkeyPatch, what: Any, *words: str) -> int:
    """The exit code of a command that returns `what`, or raises it."""

    def command(**_: Any) -> Any:
        if isinstance(what, BaseException):
            raise what
        return what

    monkeypatch.setattr(app_module, "app", command)
    monkeypatch.setattr(sys, "argv", ["bpcli", *words])
    return run()


@pytest.mark.parametrize(
    ("what", "code"),
    [
        (None, 0), (0, 0), (3, 3), ("text", 0), (SystemExit(), 0), (SystemExit(None), 0), (SystemExit(7), 7),
        (SystemExit("a word"), 1), (KeyboardInterrupt(), 130), (typer.Abort(), 130),
    ],
)  # fmt: skip
def test_the_exit_code_of_a_command(monkeypatch: pytest.MonkeyPatch, what: Any, code: int) -> None:
    assert ending(monkeypatch, what) == code


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (MemoryError(), 65, "error: there is not enough memory for this [memory]\n"
         "  help: a smaller batch_size, fewer units, or dtype: float32\n"),
        (NotEnoughMemoryError("this needs more", "less of it"), 65, "error: this needs more [memory]\n"
         "  help: less of it\n"),
        (PermissionError(13, "Permission denied", "a.csv"), 74, "error: a.csv: Permission denied [input-output]\n"),
        (OSError(28, "No space left on device"), 74, "error: No space left on device [input-output]\n"),
        (OSError("odd"), 74, "error: odd [input-output]\n"),
        (FileNotFoundError(2, "No such file or directory"), 74,
         "error: the working directory does not exist any more [input-output]\n"),
        (FileNotFoundError(2, "No such file or directory", "x"), 74,
         "error: x: No such file or directory [input-output]\n"),
        (ZeroDivisionError("by 0"), 1, "error: bpcli made a mistake of its own: ZeroDivisionError: by 0 [internal]\n"
         "  help: `bpcli --debug train 'a b.yaml'` shows where; please report it with the config\n"),
    ],
)  # fmt: skip
def test_any_error_ends_with_a_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, code: int, said: str
) -> None:
    assert ending(monkeypatch, error, "train", "a b.yaml") == code
    assert capsys.readouterr() == ("", said)


def test_a_part_of_the_package_that_is_not_declared_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = TypeError("it has no type")
    error.help = "give it one"  # type: ignore[attr-defined]
    assert ending(monkeypatch, error) == 1
    assert capsys.readouterr().err == "error: it has no type [declaration]\n  help: give it one\n"


def test_debug_shows_where_a_mistake_of_its_own_was_made(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ending(monkeypatch, ZeroDivisionError("by 0"), "--debug", "train") == 1
    err = capsys.readouterr().err
    assert err.startswith("Traceback (most recent call last):")
    assert err.endswith("ZeroDivisionError: by 0\n")
    assert "mistake of its own" not in err


def test_with_json_problems_are_json_on_stdout_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ending(monkeypatch, MemoryError(), "train", "--json") == 65
    out, err = capsys.readouterr()
    (problem,) = json.loads(out)["problems"]
    assert (problem["code"], problem["level"]) == ("memory", "error")
    assert "not enough memory" in err


OWN = """\
from typing import Literal
from bpcli.custom import Activation

class Mine(Activation):
    type: Literal["same"] = "same"

    def forward(self, f, train):
        f.y[...] = f.x

    def backward(self, f, train):
        f.dx[...] = f.dy

    @staticmethod
    def fails():
        1 / 0
"""


@pytest.mark.usefixtures("own")
def test_an_error_out_of_code_of_ones_own_is_shown_at_its_line_and_with_debug_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(OWN)
    (leaf,) = load([file])
    with pytest.raises(ZeroDivisionError) as caught:
        leaf.fails()  # type: ignore[attr-defined]
    for words, shown in ((("train",), False), (("--debug", "train"), True)):
        assert ending(monkeypatch, caught.value, *words) == 65
        err = capsys.readouterr().err
        assert ("Traceback" in err) == shown
        assert "mine.py:15" in err


def test_the_first_line_of_help_is_shown_where_nothing_is_typed(lab: Lab) -> None:
    found = lab.run()
    assert found.code == 2
    assert "Usage: bpcli" in found.out + found.err


def test_a_command_line_that_cannot_be_understood_names_the_help_that_explains_it(lab: Lab) -> None:
    found = lab.run("check")
    assert (found.code, found.out) == (2, "")
    assert found.err == (
        "error: missing argument 'CONFIG' [usage]\n  help: `bpcli check --help` shows what can be given\n"
    )


# ------------------------------------------------------------------------------------------------------------- options
def test_no_flag_is_set_and_nothing_is_chosen_until_it_is_typed() -> None:
    chosen = {"steps": 1, "digits": 6, "elide": "auto", "format_": "text", "seed": 0, "order": 1}
    commands = {command.name: command.callback for command in app.registered_commands}
    assert len(commands) >= 14
    for callback in commands.values():
        assert callback is not None
        for name, parameter in inspect.signature(callback).parameters.items():
            default = parameter.default
            if default is inspect.Parameter.empty or default is None or default is False:
                continue
            wanted = chosen[name]
            assert default == wanted


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("gradcheck --external a.npz --parts", "--external needs the network"),
        ("gradcheck", "say what to check"),
        ("gradcheck trees.yaml --parts", "say what to check"),
        ("gradcheck trees.yaml --seed=-1", "greater than or equal to 0"),
        ("trace trees.yaml --digits 1", "greater than or equal to 2"),
        ("trace trees.yaml --digits 18", "less than or equal to 17"),
        ("trace trees.yaml --steps 0", "greater than or equal to 1"),
        ("trace trees.yaml --steps 101", "less than or equal to 100"),
        ("trace trees.yaml --width 39", "greater than or equal to 40"),
        ("trace trees.yaml --width 401", "less than or equal to 400"),
        ("trace trees.yaml --seed=-1", "greater than or equal to 0"),
        ("train trees.yaml --folds 1", "greater than or equal to 2"),
        ("train trees.yaml --folds 1001", "less than or equal to 1000"),
        ("train trees.yaml --resume r", "has its CONFIG in its folder"),
        ("train --resume r --out o", "stays in its folder"),
        ("train", "name a file"),
        ("eval r --split test --data d", "not both"),
        ("eval r --split best", "a split is train, validation or test"),
        ("parts --format html", "the formats are text and markdown"),
        ("examples --to d", "name what to copy"),
        ("init", "name a data file"),
        ("init --target t --task classify", "no file to look for it in"),
        ("init d --task images", "says so itself"),
        ("trace trees.yaml --worksheet --format json", "a worksheet is markdown, latex or html"),
        ("trace trees.yaml --elide 1", "a number from 2"),
        ("mark c.yaml", "say what to mark the claims against"),
        ("mark c.yaml trees.yaml --example article", "say what to mark the claims against"),
        ("mark c.yaml trees.yaml --x 1,2", "go together"),
        ("mark c.yaml trees.yaml --t 1", "go together"),
        ("mark c.yaml trees.yaml --batch --sample 1", "not several"),
        ("mark c.yaml trees.yaml --batch --x 1 --t 1", "not several"),
    ],
)
def test_what_cannot_go_together_is_said_before_anything_is_read(lab: Lab, words: str, said: str) -> None:
    found = lab.run(*words.split())
    assert found.code == 2, found.err
    assert said in found.err


def test_the_narrowest_and_the_widest_of_each_range_are_taken(lab: Lab) -> None:
    for words in ("--digits 2 --width 40", "--digits 17 --width 400 --seed 0 --steps 1"):
        assert lab.run("trace", "trees.yaml", *words.split()).code == 0


@pytest.mark.parametrize(
    ("text", "found"),
    [("auto", (None, 6)), ("none", (1 << 30, 1 << 30)), ("2", (2, 2)), ("17", (17, 17))],
)
def test_how_much_is_elided(text: str, found: tuple[int | None, int]) -> None:
    assert elision(text) == found
    for bad in ("1", "0", "-2", "2.5", ""):
        with pytest.raises(typer.BadParameter):
            elision(bad)


def test_ascii_is_printed_where_it_is_wanted_or_stdout_can_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for encoding, plain in (("utf-8", False), ("ascii", True)):
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
        assert only_ascii(True) is only_ascii(True, Path("f")) is True
        assert only_ascii(False) is plain
        assert only_ascii(False, Path("f")) is False, "a file takes every character"


def request(**changed: Any) -> TraceRequest:
    options: dict[str, Any] = dict.fromkeys(("path", "example", "sample", "x", "t", "sets", "with_"))
    return TraceRequest("trace", **options | {"path": Path("a b.yaml"), "batch": False} | changed)


def test_the_command_about_the_same_rows_as_it_is_typed() -> None:
    full = request(sample=[2, 0], sets=["a=1", "b=-1"], with_=[Path("m.py")])
    assert full.command("mark", "answers.yaml", seed=3, ascii=True, width=None, json=False, out=0) == (
        "bpcli mark answers.yaml 'a b.yaml' --with m.py --sample 2 --sample 0 --set a=1 --set b=-1 --seed 3 --ascii"
    )
    assert request(x=["-1,2"], t=["1"]).command("trace") == "bpcli trace 'a b.yaml' --x=-1,2 --t 1"
    assert request(batch=True).command("trace") == "bpcli trace 'a b.yaml' --batch"
    assert request(path=None, example="article").command("trace") == "bpcli trace --example article"


@pytest.mark.parametrize(("verdict", "code"), [("ok", 0), ("kink", 0), ("WRONG", 3), ("not covered", 3)])
def test_parts_that_are_wrong_or_unproven_are_a_bad_result(
    verdict: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = (PartVerdict("layer", "dense", "", 1, 2, 0.5, "y", "equations", "ok"),
            PartVerdict("layer", "mine", "", 1, 2, 0.5, "y", "equations", verdict))  # fmt: skip
    monkeypatch.setattr("bpcli.studies.gradcheck.check_parts.check_registry", lambda: rows)
    assert gradcheck(parts=True) == code
    assert capsys.readouterr().out.splitlines()[0].startswith("part")
    assert gradcheck(parts=True, json=True) == code
    found = json.loads(capsys.readouterr().out)
    assert [part["type"] for part in found["parts"]] == ["dense", "mine"]


# ------------------------------------------------------------------------------------------------------------- streams
class Broken(io.StringIO):
    """A stream that cannot be written."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        raise self.error

    def fileno(self) -> int:
        raise OSError


def test_where_the_reader_of_a_pipe_is_gone_the_rest_is_dropped() -> None:
    stream = GuardedStream(Broken(BrokenPipeError()), result=True)
    assert stream.write("text") == 4
    stream.flush()


def test_a_result_that_cannot_be_written_is_an_error_and_a_remark_is_not() -> None:
    for error, said in ((OSError(28, "No space left on device"), "No space left on device"), (OSError("odd"), "odd")):
        assert GuardedStream(Broken(error), result=False).write("text") == 4
        stream = GuardedStream(Broken(error), result=True)
        with pytest.raises(OutputLostError, match=said):
            stream.write("text")
        with pytest.raises(OutputLostError, match=said):
            stream.flush()


def test_a_lost_result_is_reported_once_and_ends_with_a_code_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ending(monkeypatch, OutputLostError("No space left on device"), "parts", "--json") == 74
    assert capsys.readouterr() == ("", "error: cannot write the output: No space left on device [output]\n")


def test_streams_are_guarded_while_a_command_runs_and_then_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the encoding lacks is an escape; a closed stream takes all."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict") for _ in range(2))
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    with guarded():
        sys.stdout.write("é")
        sys.stderr.write("é")
        assert sys.stdout.encoding == "ascii"
    assert (sys.stdout, sys.stderr) == (out, err)
    out.flush()
    err.flush()
    assert out.buffer.getvalue() == b"\\xe9"  # type: ignore[attr-defined]
    assert err.buffer.getvalue() == b"\\xe9"  # type: ignore[attr-defined]
    monkeypatch.setattr(sys, "stdout", None)
    with guarded():
        assert isinstance(sys.stdout, NullStream)
        assert sys.stdout.write("text") == 4
    assert sys.stdout is None


def test_a_lost_stream_is_put_on_the_null_device_so_that_python_can_end(tmp_path: Path) -> None:
    file = (tmp_path / "f").open("w")

    class Failing(Broken):
        def fileno(self) -> int:
            return file.fileno()

    GuardedStream(Failing(BrokenPipeError()), result=True).write("text")
    os.write(file.fileno(), b"more")
    assert (tmp_path / "f").read_text() == ""
    file.close()


# ---------------------------------------------------------------------------------------------------------------- main
@pytest.mark.parametrize(("interrupted", "code"), [(False, None), (True, 130)])
def test_what_cannot_even_be_loaded_is_raised_unless_an_interrupt_cut_it_short(
    interrupted: bool, code: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> int:
        raise RuntimeError("cut short")

    monkeypatch.setattr(app_module, "run", broken)
    monkeypatch.setattr(interruption, "was_interrupted", lambda: interrupted)
    monkeypatch.setattr(interruption, "watch_interrupts", lambda: None)
    monkeypatch.setattr(interruption, "ignore_interrupts", lambda: None)
    with pytest.raises(RuntimeError if code is None else SystemExit) as caught:
        main()
    assert code is None or caught.value.code == code  # type: ignore[attr-defined]


@pytest.mark.parametrize("code", [0, 3, 65])
def test_the_program_ends_with_the_code_of_its_command(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []
    monkeypatch.setattr(app_module, "run", lambda: code)
    monkeypatch.setattr(interruption, "watch_interrupts", lambda: ended.append("watched"))
    monkeypatch.setattr(interruption, "ignore_interrupts", lambda: ended.append("ignored"))
    with pytest.raises(SystemExit) as caught:
        main()
    assert (caught.value.code, ended) == (code, ["watched", "ignored"])


def test_interrupts_are_remembered_and_at_the_end_ignored_unless_they_are_anothers() -> None:
    before = signal.getsignal(signal.SIGINT)
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        interruption.watch_interrupts()
        assert not interruption.was_interrupted()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        assert interruption.was_interrupted()
        interruption.ignore_interrupts()
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
        interruption.watch_interrupts()
        assert not interruption.was_interrupted()
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN, "what is ignored stays so"
        own = signal.Handlers.SIG_DFL
        signal.signal(signal.SIGINT, own)
        interruption.ignore_interrupts()
        assert signal.getsignal(signal.SIGINT) == own
    finally:
        signal.signal(signal.SIGINT, before)
