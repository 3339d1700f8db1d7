"""`bpcli trace`."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bpcli.cli import traced
from bpcli.cli.mark import mark
from bpcli.cli.options import Json, Sets, With
from bpcli.cli.worksheet import Page, worksheet


class DetailOption(StrEnum):
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


def trace(
    path: traced.TargetPath = None,
    detail: Annotated[
        DetailOption | None,
        typer.Option(help="How much is shown; default overview, with --param path, with --layer neuron."),
    ] = None,
    sample: traced.SampleRows = None,
    batch: traced.FirstBatch = False,
    x: traced.Inputs = None,
    t: traced.Targets = None,
    layer: traced.Layers = None,
    param: traced.Params = None,
    steps: Annotated[int, typer.Option(min=1, max=100, help="How many training steps.")] = 1,
    digits: traced.Digits = 6,
    elide: traced.Elide = "auto",
    format: Annotated[Format, typer.Option(help="What to write.")] = Format.text,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write there, not to stdout.")] = None,
    ascii: traced.OnlyAscii = False,
    width: traced.Width = None,
    set_: Sets = None,
    with_: With = None,
    json: Json = False,
    golden: Annotated[
        Path | None,
        typer.Option(metavar="FILE.json", help="Write all numbers there; where it exists, compare with it."),
    ] = None,
    seed: traced.Seed = 0,
    example: traced.ExampleName = None,
    list_examples: Annotated[bool, typer.Option("--list-examples", help="Show the built-in examples.")] = False,
    check: Annotated[Path | None, typer.Option(hidden=True)] = None,
    blanks: Annotated[bool, typer.Option("--worksheet", hidden=True)] = False,
) -> int:
    """Work out a step of back-propagation, number by number.

    Prints every equation with the numbers put in, and holds each result against what the engine computed.
    """
    if list_examples:
        return _examples()
    request = traced.TraceRequest("trace", path, example, sample, batch, x, t, set_, with_)
    entries, terms = traced.elision(elide)
    traced_only = {"--detail": detail, "--steps": steps != 1, "--golden": golden}
    if blanks:
        if format is Format.json:
            raise typer.BadParameter("a worksheet is markdown, latex or html", param_hint="--format")
        page = Page.markdown if format is Format.text else Page(format.value)
        more = {"format": page.value if page is not Page.markdown else "", "digits": digits if digits != 6 else 0}
        more |= {"layer": layer, "param": param, "elide": elide if elide != "auto" else "", "ascii": ascii, "out": out}
        command = request.command("worksheet", seed=seed, **more)
        _say_moved("--worksheet", command, traced_only | {"--width": width, "--json": json, "--check": check})
        return worksheet(
            path, seed, sample, batch, x, t, example, layer, param, digits, elide, page, out, ascii, set_, with_
        )
    if check is not None:
        pages = format not in (Format.text, Format.json)
        json = json or format is Format.json
        command = request.command("mark", check, seed=seed, ascii=ascii, width=width, json=json)
        shown_only = {"--layer": layer, "--param": param, "--digits": digits != 6, "--elide": elide != "auto"}
        _say_moved("--check", command, traced_only | shown_only | {"--format": pages, "--out": out})
        return mark(check, path, sample, batch, x, t, example, seed, ascii, width, set_, with_, json)

    from bpcli.records.training import Exit
    from bpcli.render.console import show, show_problems, waiting
    from bpcli.render.trace.draw import golden_report, write_derivation
    from bpcli.studies.trace.derive_step import View, derive
    from bpcli.studies.trace.golden import compare_golden
    from bpcli.studies.trace.worksheet import draw_variant

    plain = traced.only_ascii(ascii, out) if format is Format.text else ascii
    shown = detail or DetailOption("path" if param else "neuron" if layer or example else "overview")
    view = View(shown.value, tuple(layer or ()), tuple(param or ()), steps, digits, entries, terms, plain)
    target, notes = request.open()
    draw_variant(target, seed)
    with waiting("working it out"):
        found = derive(target, view, notes)
    show_problems(found.warnings)
    if golden is not None:
        report = compare_golden(found, golden)
        show(*golden_report(report))
        return int(Exit.BAD_RESULT if report.difference or found.wrong else Exit.OK)
    write_derivation(found, Format.json.value if json else format.value, out, width, plain)
    return int(Exit.BAD_RESULT if found.wrong else Exit.OK)


def _say_moved(option: str, command: str, others: Mapping[str, object]) -> None:
    """Says which command does what an option of an earlier version did, and which others it goes on without."""
    from bpcli.render.console import say

    unused = ", ".join(name for name, value in others.items() if value)
    say(f"`trace {option}` has moved: {command}" + f" (it has no use for {unused})" * bool(unused))


def _examples() -> int:
    from bpcli.render.console import name_list, show
    from bpcli.studies.trace.examples import trace_examples

    rows = ((e.name, e.title) for e in trace_examples().values())
    show(*name_list("example", "what it works out", rows, "bpcli trace --example NAME"))
    return 0
