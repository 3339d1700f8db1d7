"""`bpcli worksheet`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bpcli.cli.options import Sets, With
from bpcli.cli.traced import (
    Batch,
    Digits,
    Elide,
    Example,
    Inputs,
    Layers,
    OnlyAscii,
    Params,
    Sample,
    Seed,
    Targets,
    Traced,
    asked,
    elision,
    only_ascii,
)


class Page(StrEnum):
    markdown = "markdown"
    latex = "latex"
    html = "html"


def worksheet(
    traced: Traced = None,
    seed: Seed = 0,
    sample: Sample = None,
    batch: Batch = False,
    x: Inputs = None,
    t: Targets = None,
    example: Example = None,
    layer: Layers = None,
    param: Params = None,
    digits: Digits = 6,
    elide: Elide = "auto",
    format: Annotated[Page, typer.Option(help="What to write.")] = Page.markdown,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write there, and the answers beside it: FILE.answers.yaml.")
    ] = None,
    ascii: OnlyAscii = False,
    set_: Sets = None,
    own: With = None,
) -> int:
    """Write a derivation with blanks, and the answers that mark it.

    Another --seed is another variant, with weights and inputs that are easy to compute with. `bpcli mark` marks what is
    filled in, by the command that the sheet shows.
    """
    choice = asked("make a worksheet of", traced, example, sample, batch, x, t, set_, own)

    from bpcli.records.training import Exit
    from bpcli.render.trace.draw import sheet
    from bpcli.studies.trace.derive_step import View
    from bpcli.studies.trace.worksheet import worksheet as make

    entries, terms = elision(elide)
    plain = only_ascii(ascii, out)
    view = View("neuron", tuple(layer or ()), tuple(param or ()), 1, digits, entries, terms, plain)
    target, _ = choice.open()
    sheet(make(target, seed, view, choice.command("mark", "answers.yaml", seed=seed)), format.value, out)
    return int(Exit.OK)
