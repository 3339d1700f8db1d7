"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[Path, typer.Argument(metavar="CONFIG", help="The YAML file of the experiment.", show_default=False)]
Run = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, or its model.safetensors.", show_default=False)]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a setting: optimizer.learning_rate=0.01; repeatable."),
]
With = Annotated[
    list[Path] | None,
    typer.Option("--with", metavar="FILE.py", help="Load parts of your own: runs this Python file; repeatable."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
DataFile = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="FILE",
        help="Rows to use: a file like the training file, a folder of images, `-` (CSV on stdin), '{type: csv, ...}'.",
    ),
]
