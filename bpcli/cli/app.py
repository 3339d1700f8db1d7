"""The commands put together, and what becomes of failures: a message and an exit code, never a traceback."""

from __future__ import annotations

import os
import sys
import traceback
from typing import TYPE_CHECKING, Annotated

import typer

import bpcli
from bpcli.cli.check import check
from bpcli.cli.eval import evaluate
from bpcli.cli.parts import parts
from bpcli.cli.predict import predict
from bpcli.cli.schema import schema
from bpcli.cli.train import train

if TYPE_CHECKING:
    from bpcli.records import Failure

app = typer.Typer(
    name="bpcli",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="A workbench for back-propagation: a YAML file declares a network, bpcli trains and evaluates it.",
)
app.command("train")(train)
app.command("eval")(evaluate)
app.command("predict")(predict)
app.command("check")(check)
app.command("parts")(parts)
app.command("schema")(schema)


def _version(wanted: bool) -> None:
    if wanted:
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
    """Runs the command that sys.argv asks for; its exit code."""
    from bpcli.records import Exit, Failure, Problem

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without Unicode shows ? and does not end the program
    try:
        code = _command()
        sys.stdout.flush()
    except BrokenPipeError:
        _leave_stdout()
        return int(Exit.OK)
    except OSError as error:
        _leave_stdout()
        return _failed(
            Failure(Problem(f"cannot write the output: {error.strerror}", code="output"), exit=Exit.IO_ERROR)
        )
    return code


def _command() -> int:
    from bpcli.records import Exit, Failure, Problem

    try:
        app()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Failure as failure:
        return _failed(failure)
    except KeyboardInterrupt:
        return int(Exit.INTERRUPTED)
    except (BrokenPipeError, OSError):
        raise
    except MemoryError:
        text = "there is not enough memory for this"
        help = "a smaller batch_size, fewer units, or dtype: float32"
        return _failed(Failure(Problem(text, code="memory", help=help)))
    except Exception as error:
        return _internal(error)
    return int(Exit.OK)


def _failed(failure: Failure) -> int:
    from bpcli.render.console import show_plain, show_problems

    show_problems(failure.problems)
    if "--json" in sys.argv:
        from bpcli.render.jsons import dumps

        show_plain(dumps({"problems": list(failure.problems)}))
    return int(failure.exit)


def _internal(error: Exception) -> int:
    from bpcli.records import Exit, Failure, Problem

    if "--debug" in sys.argv:
        traceback.print_exc()
        return int(Exit.INTERNAL)
    text = f"bpcli made a mistake of its own: {type(error).__name__}: {error}"
    help = f"`bpcli --debug {' '.join(sys.argv[1:])}` shows where; please report it with the config"
    return _failed(Failure(Problem(text, code="internal", help=help), exit=Exit.INTERNAL))


def _leave_stdout() -> None:
    """Python flushes stdout once more at its end; there nobody could catch the error."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
