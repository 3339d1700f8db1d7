"""What `trace`, `mark` and `worksheet` share: which network, which rows, and how they are opened."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bpcli.records.printable import shell_command

if TYPE_CHECKING:
    from bpcli.studies.trace.open import TraceTarget

TargetPath = Annotated[
    Path | None, typer.Argument(metavar="CONFIG|RUN|MODEL", help="The network and its rows.", show_default=False)
]
SampleRows = Annotated[
    list[int] | None,
    typer.Option(metavar="ROW", help="A row of the training source in file order, from 0; repeatable; default 0."),
]
FirstBatch = Annotated[bool, typer.Option("--batch", help="The first batch of the next epoch.")]
Inputs = Annotated[
    list[str] | None, typer.Option("--x", metavar="VALUES", help="Inputs by value: --x 1,0.5; repeatable.")
]
Targets = Annotated[list[str] | None, typer.Option("--t", metavar="VALUES", help="Their targets: --t 1.")]
ExampleName = Annotated[
    str | None, typer.Option(metavar="NAME", help="A built-in example; `bpcli trace --list-examples` shows them.")
]
Seed = Annotated[
    int, typer.Option(min=0, help="The variant that `bpcli worksheet --seed` draws; 0: the network as it is.")
]
Layers = Annotated[list[str] | None, typer.Option("--layer", metavar="NAME", help="Only this layer; repeatable.")]
Params = Annotated[
    list[str] | None,
    typer.Option("--param", metavar="NAME[i,j]", help="Follow one weight: dense_1.W[0,1]; repeatable."),
]
Digits = Annotated[int, typer.Option(min=2, max=17, help="Significant digits of the numbers.")]
Elide = Annotated[
    str, typer.Option(metavar="auto|K|none", help="How many entries of an array and terms of a sum are shown.")
]
OnlyAscii = Annotated[bool, typer.Option("--ascii", help="Nothing but ASCII.")]
Width = Annotated[int | None, typer.Option(min=40, max=400, help="Columns; default the terminal's, or 80.")]


@dataclass(frozen=True)
class TraceRequest:
    """The network that a command line names, by its path or as a built-in example, and the rows. `purpose` says in
    words what for. Raises BadParameter where the options contradict each other."""

    purpose: str
    path: Path | None
    example: str | None
    sample: list[int] | None
    batch: bool
    x: list[str] | None
    t: list[str] | None
    sets: list[str] | None
    with_: list[Path] | None

    def __post_init__(self) -> None:
        if (self.path is None) == (self.example is None):
            text = f"say what to {self.purpose}: a config, a run folder, a model file, or an --example"
            raise typer.BadParameter(text, param_hint="CONFIG")
        if bool(self.x) != bool(self.t):
            raise typer.BadParameter("--x and --t go together", param_hint="--x")
        if sum(map(bool, (self.sample, self.batch, self.x))) > 1:
            raise typer.BadParameter("give --sample, --batch or --x, not several", param_hint="--sample")

    def open(self) -> tuple[TraceTarget, tuple[tuple[str, str], ...]]:
        """Returns the network ready for its next step, and the notes of an example. Raises Failure where there is
        none."""
        from bpcli.render.console import waiting
        from bpcli.studies.custom.load import load
        from bpcli.studies.trace.examples import example_named, open_example
        from bpcli.studies.trace.open import TracedRows, open_target

        rows = TracedRows(tuple(self.sample or ()), self.batch, tuple(self.x or ()), tuple(self.t or ()))
        load(self.with_ or ())
        with waiting("working it out"):
            if self.path is not None:
                return open_target(self.path, rows, self.sets or ()), ()
            example = example_named(str(self.example))
            return open_example(example, rows), example.notes

    def command(self, *words: object, **options: object) -> str:
        """Returns a command about the same network and rows, as it is typed; options that are None, False or 0 stay
        out."""
        typed = ["bpcli", *words, *([self.path] if self.path is not None else ["--example", self.example])]
        rows = {"sample": self.sample, "x": self.x, "t": self.t, "batch": self.batch}
        for name, value in {"with": self.with_, **rows, "set": self.sets, **options}.items():
            for one in value if isinstance(value, list) else [value] if value else []:
                dashed = str(one).startswith("-")  # what would be taken for an option
                typed += [f"--{name}"] if one is True else [f"--{name}={one}"] if dashed else [f"--{name}", one]
        return shell_command(typed)


def only_ascii(wanted: bool, out: Path | None = None) -> bool:
    """Whether to print in ASCII alone: where that is asked for, and where stdout can nothing else."""
    from bpcli.render.console import unicode

    return wanted or (out is None and not unicode(sys.stdout))


def elision(text: str) -> tuple[int | None, int]:
    """Returns entries of an array (None: as many as suit its size) and terms of a sum. Raises BadParameter."""
    if text == "auto":
        return None, 6
    if text == "none":
        return 1 << 30, 1 << 30
    if text.isdecimal() and len(text) < 10 and int(text) >= 2:
        return int(text), int(text)
    raise typer.BadParameter("auto, none, or a number from 2", param_hint="--elide")
