"""`bpcli trace`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bpcli.cli.options import Json, Sets, With

NO_NOTES: tuple[tuple[str, str], ...] = ()


class Detail(StrEnum):
    overview = "overview"
    layer = "layer"
    neuron = "neuron"
    path = "path"


class Format(StrEnum):
    text = "text"
    markdown = "markdown"
    latex = "latex"
    html = "html"
    json = "json"


Subject = Annotated[Path | None, typer.Argument(metavar="CONFIG|RUN|MODEL", help="What to trace.", show_default=False)]


def trace(
    subject: Subject = None,
    detail: Annotated[
        Detail | None, typer.Option(help="How much is told; default overview, with --param path, with --layer neuron.")
    ] = None,
    sample: Annotated[
        list[int] | None,
        typer.Option(metavar="ROW", help="A row of the training source in file order, from 0; repeatable; default 0."),
    ] = None,
    batch: Annotated[bool, typer.Option("--batch", help="The first batch of the next epoch.")] = False,
    x: Annotated[
        list[str] | None, typer.Option("--x", metavar="VALUES", help="Inputs by value: --x 1,0.5; repeatable.")
    ] = None,
    t: Annotated[list[str] | None, typer.Option("--t", metavar="VALUES", help="Their targets: --t 1.")] = None,
    layer: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only this layer; repeatable.")] = None,
    param: Annotated[
        list[str] | None, typer.Option(metavar="NAME[i,j]", help="Follow one weight: dense_1.W[0,1]; repeatable.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, max=100, help="How many training steps.")] = 1,
    digits: Annotated[int, typer.Option(min=2, max=17, help="Significant digits of the numbers.")] = 6,
    elide: Annotated[
        str, typer.Option(metavar="auto|K|none", help="How many entries of an array and terms of a sum are shown.")
    ] = "auto",
    format: Annotated[Format, typer.Option(help="What to write.")] = Format.text,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write there, not to stdout.")] = None,
    ascii: Annotated[bool, typer.Option("--ascii", help="Nothing but ASCII.")] = False,
    width: Annotated[int | None, typer.Option(min=40, max=400, help="Columns; default the terminal's, or 80.")] = None,
    set_: Sets = None,
    with_: With = None,
    json: Json = False,
    golden: Annotated[
        Path | None,
        typer.Option(metavar="FILE.json", help="Write all numbers there; where it exists, compare with it."),
    ] = None,
    check: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Mark the numbers of a derivation made by hand: YAML or CSV.")
    ] = None,
    worksheet: Annotated[
        bool, typer.Option("--worksheet", help="The derivation with blanks; with --out its answers too.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of a worksheet: another variant; 0: the network as it is.")] = 0,
    example: Annotated[str | None, typer.Option(metavar="NAME", help="Trace a built-in example.")] = None,
    list_examples: Annotated[bool, typer.Option("--list-examples", help="Show the built-in examples.")] = False,
) -> int:
    """Work out a step of back-propagation, number by number.

    Prints every equation with the numbers put in, and holds each result against what the engine computed.
    """
    if list_examples:
        return _examples()
    if (subject is None) == (example is None):
        raise typer.BadParameter(
            "say what to trace: a config, a run folder, a model file, or an --example", param_hint="CONFIG"
        )
    if bool(x) != bool(t):
        raise typer.BadParameter("--x and --t go together", param_hint="--x")
    if sum(map(bool, (sample, batch, x))) > 1:
        raise typer.BadParameter("give --sample, --batch or --x, not several", param_hint="--sample")

    import sys

    from bpcli.records.training import Exit
    from bpcli.render.console import columns, show, show_json, show_problems, unicode, waiting
    from bpcli.render.trace.draw import sheet, write
    from bpcli.render.trace.listing import kept
    from bpcli.render.trace.marks import marks, marks_json
    from bpcli.studies.custom.load import load
    from bpcli.studies.mistakes.claims import read
    from bpcli.studies.mistakes.marking import mark
    from bpcli.studies.trace import examples
    from bpcli.studies.trace.derive_step import View, derive
    from bpcli.studies.trace.golden import golden as compare
    from bpcli.studies.trace.open import TracedRows, open_target
    from bpcli.studies.trace.worksheet import grading, vary
    from bpcli.studies.trace.worksheet import worksheet as make

    plain = ascii or (format is Format.text and out is None and not unicode(sys.stdout))
    entries, terms = elision(elide)
    told = detail or (Detail.path if param else Detail.neuron if layer or example else Detail.overview)
    view = View(told.value, tuple(layer or ()), tuple(param or ()), steps, digits, entries, terms, plain)
    rows = TracedRows(tuple(sample or ()), batch, tuple(x or ()), tuple(t or ()))
    load(with_ or ())
    with waiting("working it out"):
        if subject is not None:
            opened, notes = open_target(subject, rows, set_ or ()), NO_NOTES
        else:
            built_in = examples.named(str(example))
            opened, notes = examples.open_example(built_in, rows), built_in.notes
    if worksheet:
        if format not in (Format.text, Format.markdown, Format.latex, Format.html):
            raise typer.BadParameter("a worksheet is markdown, latex or html", param_hint="--format")
        form = Format.markdown if format is Format.text else format
        source = [str(subject)] if subject is not None else ["--example", str(example)]
        source += [word for file in with_ or () for word in ("--with", str(file))]
        sheet(make(opened, seed, view, grading(source, rows, seed, set_ or ())), form.value, out)
        return int(Exit.OK)
    vary(opened, seed)
    if check is not None:
        marked = mark(opened, read(check), str(check), ascii=plain)
        show_problems(marked.warnings)
        if json or format is Format.json:
            show_json(marks_json(marked))
        else:
            show(*marks(marked, width or columns(), plain))
        return int(Exit.OK if marked.right else Exit.BAD_RESULT)
    with waiting("working it out"):
        found = derive(opened, view, notes)
    show_problems(found.warnings)
    if golden is not None:
        report = compare(found, golden)
        show(*kept(report))
        return int(Exit.BAD_RESULT if report.difference or found.wrong else Exit.OK)
    write(found, Format.json.value if json else format.value, out, width, plain)
    return int(Exit.BAD_RESULT if found.wrong else Exit.OK)


def _examples() -> int:
    from bpcli.render.console import show
    from bpcli.render.trace.listing import listing
    from bpcli.studies.trace.examples import examples

    show(*listing([(e.name, e.title) for e in examples().values()]))
    return 0


def elision(text: str) -> tuple[int | None, int]:
    """Entries of an array (None: as many as suit its size) and terms of a sum."""
    if text == "auto":
        return None, 6
    if text == "none":
        return 1 << 30, 1 << 30
    if text.isdecimal() and int(text) >= 2:
        return int(text), int(text)
    raise typer.BadParameter("auto, none, or a number from 2", param_hint="--elide")
