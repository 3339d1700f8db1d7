"""`bpcli worksheet`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bpcli.cli import traced
from bpcli.cli.endings import page_format, say_ending
from bpcli.cli.options import Sets, With


class Page(StrEnum):
    markdown = "markdown"
    latex = "latex"
    html = "html"


def worksheet(
    path: traced.TargetPath = None,
    seed: traced.Seed = 0,
    sample: traced.SampleRows = None,
    batch: traced.FirstBatch = False,
    x: traced.Inputs = None,
    t: traced.Targets = None,
    example: traced.ExampleName = None,
    layer: traced.Layers = None,
    param: traced.Params = None,
    digits: traced.Digits = 6,
    elide: traced.Elide = "auto",
    format: Annotated[
        Page | None, typer.Option(help="What to write; default what the ending of --out means, else markdown.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write there, and the answers beside it: NAME.answers.yaml for NAME.md."),
    ] = None,
    ascii: traced.OnlyAscii = False,
    set_: Sets = None,
    with_: With = None,
) -> int:
    """Write a derivation with blanks, and the answers that mark it.

    Another --seed is another variant, with weights and inputs that are easy to compute with. `bpcli mark` marks what is
    filled in, by the command that the sheet shows.
    """
    request = traced.TraceRequest("make a worksheet of", path, example, sample, batch, x, t, set_, with_)

    from bpcli.records.training import Exit
    from bpcli.render.trace.draw import write_worksheet
    from bpcli.studies.trace.derive_step import View
    from bpcli.studies.trace.worksheet import worksheet as make

    form = page_format(out, format and format.value, Page.markdown.value, list(Page))
    entries, terms = traced.elision(elide)
    plain = traced.only_ascii(ascii, out)
    view = View("neuron", tuple(layer or ()), tuple(param or ()), 1, digits, entries, terms, plain)
    target, _ = request.open()
    write_worksheet(make(target, seed, view, request.command("mark", "answers.yaml", seed=seed)), form, out)
    say_ending(out, form)
    return int(Exit.OK)
