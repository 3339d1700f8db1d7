"""`bpcli trace`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bpcli.cli import traced
from bpcli.cli.endings import page_format, say_ending
from bpcli.cli.mark import mark
from bpcli.cli.options import Json, Sets, With
from bpcli.cli.worksheet import Page, worksheet

if TYPE_CHECKING:
    from bpcli.records.trace import Derivation
    from bpcli.studies.trace.derive_step import View


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


DetailLevel = Annotated[
    DetailOption | None,
    typer.Option(help="How much is shown; default overview, with --param path, with --layer neuron."),
]
StepCount = Annotated[int, typer.Option(min=1, max=100, help="How many training steps.")]
PageFormat = Annotated[
    Format | None, typer.Option(help="What to write; default what the ending of --out means, else text.")
]
OutFile = Annotated[Path | None, typer.Option(metavar="FILE", help="Write there, not to stdout.")]
GoldenFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE.json", help="Write all numbers there; where it exists, compare with it."),
]
ListExamples = Annotated[bool, typer.Option("--list-examples", help="Show the built-in examples.")]
CheckedFile = Annotated[Path | None, typer.Option(hidden=True)]
WithBlanks = Annotated[bool, typer.Option("--worksheet", hidden=True)]


def trace(
    path: traced.TargetPath = None,
    detail: DetailLevel = None,
    sample: traced.SampleRows = None,
    batch: traced.FirstBatch = False,
    x: traced.Inputs = None,
    t: traced.Targets = None,
    layer: traced.Layers = None,
    param: traced.Params = None,
    steps: StepCount = 1,
    digits: traced.Digits = 6,
    elide: traced.Elide = "auto",
    format: PageFormat = None,
    out: OutFile = None,
    ascii: traced.OnlyAscii = False,
    width: traced.Width = None,
    set_: Sets = None,
    with_: With = None,
    json: Json = False,
    golden: GoldenFile = None,
    seed: traced.Seed = 0,
    example: traced.ExampleName = None,
    list_examples: ListExamples = False,
    check: CheckedFile = None,
    blanks: WithBlanks = False,
) -> int:
    """Work out a step of back-propagation, number by number.

    Prints every equation with the numbers put in, and holds each result against what the engine computed.
    """
    if list_examples:
        return _examples()
    request = traced.TraceRequest("trace", path, example, sample, batch, x, t, set_, with_)
    entries, terms = traced.elision(elide)
    unused: dict[str, object] = {"--detail": detail, "--steps": steps != 1, "--golden": golden}
    if blanks:
        unused |= {"--width": width, "--json": json, "--check": check}
        return _as_worksheet(request, unused, seed, layer, param, digits, elide, format, out, ascii)
    if check is not None:
        unused |= {"--layer": layer, "--param": param, "--digits": digits != 6, "--elide": elide != "auto"}
        unused |= {"--format": format not in (None, Format.text, Format.json), "--out": out}
        return _as_mark(request, unused, check, seed, ascii, width, json or format is Format.json)

    from bpcli.render.trace.draw import write_derivation
    from bpcli.studies.trace.derive_step import View

    said = Format.json if json else format
    form = page_format(out, said and said.value, Format.text.value, list(Format))
    plain = traced.only_ascii(ascii, out) if form == Format.text else ascii
    shown = detail or DetailOption("path" if param else "neuron" if layer or example else "overview")
    view = View(shown.value, tuple(layer or ()), tuple(param or ()), steps, digits, entries, terms, plain)
    found = _derived(request, view, seed, whole=golden is not None or form == Format.json)
    if golden is not None:
        return _compare(found, golden)
    write_derivation(found, form, out, width, plain)
    say_ending(out, form)
    return _exit_code(found.wrong)


def _derived(request: traced.TraceRequest, view: View, seed: int, *, whole: bool) -> Derivation:
    """Returns the step worked out, of the variant with this seed; shows its warnings. With `whole` all its numbers are
    to be written. Raises Failure where they are too many."""
    from bpcli.render.console import show_problems, waiting
    from bpcli.studies.trace.derive_step import derive
    from bpcli.studies.trace.open import check_numbers, long_work
    from bpcli.studies.trace.worksheet import draw_variant

    target, notes = request.open()
    if whole:
        check_numbers(target, view.steps)
    show_problems(long_work(target))
    draw_variant(target, seed)
    with waiting("working it out"):
        found = derive(target, view, notes)
    show_problems(found.warnings)
    return found


def _compare(found: Derivation, golden: Path) -> int:
    """Writes the numbers of a derivation, or compares them with the file. Returns the exit code."""
    from bpcli.render.console import show
    from bpcli.render.trace.draw import golden_report
    from bpcli.studies.trace.golden import compare_golden

    report = compare_golden(found, golden)
    show(*golden_report(report))
    return _exit_code(report.difference or found.wrong)


def _exit_code(is_bad: object) -> int:
    from bpcli.records.training import Exit

    return int(Exit.BAD_RESULT if is_bad else Exit.OK)


def _as_worksheet(
    request: traced.TraceRequest, unused: Mapping[str, object], seed: int, layer: list[str] | None,
    param: list[str] | None, digits: int, elide: str, format: Format | None, out: Path | None, ascii: bool,
) -> int:  # fmt: skip
    """Does what `trace --worksheet` did in an earlier version, by the command that does it now."""
    if format is Format.json:
        raise typer.BadParameter("a worksheet is markdown, latex or html", param_hint="--format")
    page = None if format is None or format is Format.text else Page(format.value)
    form = "" if page is None or page is Page.markdown else page.value
    options = {"format": form, "digits": digits if digits != 6 else 0}
    options |= {"layer": layer, "param": param, "elide": elide if elide != "auto" else "", "ascii": ascii, "out": out}
    _say_moved("--worksheet", request.command("worksheet", seed=seed, **options), unused)
    r = request
    return worksheet(
        r.path, seed, r.sample, r.batch, r.x, r.t, r.example, layer, param, digits, elide, page, out, ascii,
        r.sets, r.with_,
    )  # fmt: skip


def _as_mark(
    request: traced.TraceRequest, unused: Mapping[str, object], claims: Path, seed: int, ascii: bool,
    width: int | None, json: bool,
) -> int:  # fmt: skip
    """Does what `trace --check` did in an earlier version, by the command that does it now."""
    command = request.command("mark", claims, seed=seed, ascii=ascii, width=width, json=json)
    _say_moved("--check", command, unused)
    r = request
    return mark(claims, r.path, r.sample, r.batch, r.x, r.t, r.example, seed, ascii, width, r.sets, r.with_, json)


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
