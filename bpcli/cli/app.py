"""The commands put together, and what becomes of failures: a message and an exit code, never a traceback."""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING, Annotated, Any

import typer

import bpcli
from bpcli.cli.check import check
from bpcli.cli.derive import derive
from bpcli.cli.diagnose import diagnose
from bpcli.cli.eval import evaluate
from bpcli.cli.examples import examples
from bpcli.cli.gradcheck import gradcheck
from bpcli.cli.graph import graph
from bpcli.cli.guide import guide
from bpcli.cli.init import init
from bpcli.cli.interruption import was_interrupted
from bpcli.cli.mark import mark
from bpcli.cli.parts import parts
from bpcli.cli.predict import predict
from bpcli.cli.schema import schema
from bpcli.cli.streams import OutputLostError, guarded
from bpcli.cli.trace import trace
from bpcli.cli.train import train
from bpcli.cli.verify_resume import verify_resume
from bpcli.cli.worksheet import worksheet
from bpcli.records.printable import shell_command

if TYPE_CHECKING:
    from bpcli.records.training import Failure

app = typer.Typer(
    name="bpcli",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: half the time, and readable on any terminal
    context_settings={"help_option_names": ["-h", "--help"]},
    help="A workbench for back-propagation: a YAML file declares a network, bpcli trains and evaluates it.",
)
for command in (
    init, train, evaluate, predict, check, trace, derive, graph, mark, worksheet, diagnose, gradcheck, verify_resume,
    parts, schema, examples, guide,
):  # fmt: skip
    # a file for each command, of its name
    app.command(command.__module__.rpartition(".")[2].replace("_", "-"))(command)

UsageError: Any = typer.BadParameter.__base__


def _version(value: bool) -> None:
    if value:
        typer.echo(f"bpcli {bpcli.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an internal error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Options that stand before the command."""


def run() -> int:
    """Runs the command that sys.argv asks for. Returns its exit code."""
    from bpcli.records.training import Exit, Failure, Problem

    with guarded():
        try:
            code = _command()
            sys.stdout.flush()
        except OutputLostError as error:
            problem = Problem(f"cannot write the output: {error}", code="output")
            code = _report_failure(Failure(problem, exit=Exit.IO_ERROR), json=False)
        return code


def _command() -> int:
    from bpcli.records.training import Exit

    try:
        code = app(prog_name="bpcli", standalone_mode=False)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except (KeyboardInterrupt, typer.Abort):
        return int(Exit.INTERRUPTED)
    except OutputLostError:
        raise
    except Exception as error:
        return int(Exit.INTERRUPTED) if was_interrupted() else _error(error)
    return code if isinstance(code, int) else int(Exit.OK)


def _error(error: Exception) -> int:
    """Reports an error of the command line, of the user's files or code, or any other. Returns the exit code."""
    from bpcli.records.training import Failure

    if isinstance(error, Failure):
        return _report_failure(error)
    if isinstance(error, UsageError):
        return _usage_error(error)
    own = _custom_code_failure(error)
    return _report_failure(own) if own is not None else _other_error(error)


def _custom_code_failure(error: Exception) -> Failure | None:
    """Returns the failure where an error came out of a file that was loaded by --with."""
    if "bpcli.studies.custom.load" not in sys.modules:
        return None
    from bpcli.studies.custom.source_location import own_code_failure

    failure = own_code_failure(error)
    if failure is not None and "--debug" in sys.argv:
        _show_traceback()
    return failure


def _show_traceback() -> None:
    from bpcli.render.console import write_to

    write_to(sys.stderr, traceback.format_exc().rstrip("\n"))


def _other_error(error: Exception) -> int:
    """Reports any other error: of memory, of the system, or of bpcli itself. Returns the exit code."""
    from bpcli.records.training import Exit, Failure, Problem

    if isinstance(error, MemoryError):
        help = getattr(error, "help", "")  # of a plan; else an array was refused in the midst of the work
        text = str(error) if help else "there is not enough memory for this"
        help = help or "a smaller batch_size, fewer units, or dtype: float32"
        return _report_failure(Failure(Problem(text, code="memory", help=help)))
    if isinstance(error, OSError):
        return _report_failure(Failure(Problem(_os_error_text(error), code="input-output"), exit=Exit.IO_ERROR))
    if isinstance(error, RuntimeError) and "start new thread" in str(error):
        text, help = (
            "no other thread can be started here",
            "raise the limit on processes or memory (ulimit -u, ulimit -v)",
        )
        return _report_failure(Failure(Problem(text, code="memory", help=help)))
    return _internal_error(error)


def _report_failure(failure: Failure, *, json: bool = True) -> int:
    from bpcli.render.console import show_json, show_problems

    show_problems(failure.problems)
    if json and "--json" in sys.argv:
        from bpcli.render.json_text import dumps

        show_json(dumps({"problems": list(failure.problems)}))
    return int(failure.exit)


def _usage_error(error: Any) -> int:
    """Reports a command line that cannot be understood; shows help where it is empty. Returns the exit code."""
    from bpcli.records.training import Exit, Failure, Problem

    if not sys.argv[1:]:
        error.show()
        return int(Exit.USAGE)
    text = str(error.format_message()).rstrip(".").replace("Value error, ", "")  # which pydantic writes before it
    command = error.ctx.command_path if error.ctx is not None else f"bpcli {sys.argv[1]}"
    problem = Problem(text[:1].lower() + text[1:], code="usage", help=f"`{command} --help` shows what can be given")
    return _report_failure(Failure(problem, exit=Exit.USAGE))


def _internal_error(error: Exception) -> int:
    from bpcli.records.training import Exit, Failure, Problem

    if "--debug" in sys.argv:
        _show_traceback()
        return int(Exit.INTERNAL)
    if help := getattr(error, "help", ""):  # a part of this package whose class is not declared as parts are
        return _report_failure(Failure(Problem(str(error), code="declaration", help=help), exit=Exit.INTERNAL))
    text = f"bpcli made a mistake of its own: {type(error).__name__}: {error}"
    help = f"`bpcli --debug {shell_command(sys.argv[1:])}` shows where; please report it with the config"
    return _report_failure(Failure(Problem(text, code="internal", help=help), exit=Exit.INTERNAL))


def _os_error_text(error: OSError) -> str:
    if error.filename is not None:
        return f"{error.filename}: {error.strerror or error}"
    gone = isinstance(error, FileNotFoundError)  # what os.getcwd raises
    return "the working directory does not exist any more" if gone else str(error.strerror or error)
