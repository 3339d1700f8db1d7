"""`bpcli derive`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bpcli.cli import traced
from bpcli.cli.endings import page_format, say_ending
from bpcli.cli.options import Json, With


class DerivationFormat(StrEnum):
    text = "text"
    markdown = "markdown"
    latex = "latex"
    html = "html"
    json = "json"


def derive(
    formulas: Annotated[
        list[str],
        typer.Argument(
            metavar="EQUATION...|NAME", help="Forward equations, the output last; or a part.", show_default=False
        ),
    ],
    by: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only by this array or number; repeatable; default every array."),
    ] = None,
    order: Annotated[int, typer.Option(min=1, max=2, help="2: derive the result once more (Hessian).")] = 1,
    jacobian: Annotated[
        bool, typer.Option("--jacobian", help="The derivative of every entry of the output, with its numbers.")
    ] = False,
    numbers: Annotated[
        bool, typer.Option("--numbers", help="Compute it with small random arrays, checked by complex steps.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="The random numbers.")] = 0,
    digits: traced.Digits = 6,
    format: Annotated[
        DerivationFormat | None, typer.Option(help="What to write; default what the ending of --out means, else text.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write there.")] = None,
    width: traced.Width = None,
    ascii: traced.OnlyAscii = False,
    json: Json = False,
    with_: With = None,
) -> int:
    """Derive the backward equations of a formula, step by step.

    Every rule that is applied is shown, and the result for every array that is read. With the NAME of a part, its own
    forward equations are derived, beside the backward ones that its author states.
    """
    from bpcli.records.training import Exit
    from bpcli.render.derivation.draw import write_formula
    from bpcli.studies.custom.load import load
    from bpcli.studies.describe.derivation import derive_formula, derive_part

    said = DerivationFormat.json if json else format
    form = page_format(out, said and said.value, DerivationFormat.text.value, list(DerivationFormat))
    load(with_ or ())
    single = len(formulas) == 1 and "=" not in formulas[0]
    if single and order > 1:
        raise typer.BadParameter("--order 2 takes equations, not a part", param_hint="EQUATION")
    if single:
        found = derive_part(formulas[0], by or (), entries=jacobian, numbers=numbers or jacobian)
    else:
        found = derive_formula(
            formulas, by or (), order=order, entries=jacobian, numbers=numbers or jacobian, seed=seed
        )
    write_formula(found, form, out, width, traced.only_ascii(ascii, out), digits)
    say_ending(out, form)
    return int(Exit.OK)
