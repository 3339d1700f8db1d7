"""`bpcli graph`."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bpcli.cli import traced
from bpcli.cli.endings import page_format, say_ending
from bpcli.cli.options import Json, Sets, With

if TYPE_CHECKING:
    from bpcli.records.graph import ComputationalGraph
    from bpcli.studies.trace.open import TraceTarget


class GraphFormat(StrEnum):
    text = "text"
    html = "html"
    svg = "svg"
    json = "json"


def graph(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="EQUATION...|CONFIG|RUN|MODEL|EXAMPLE",
            help="Forward equations, the output last; or a network; or sum_times or sigmoid_neuron.",
            show_default=False,
        ),
    ],
    at: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A number of the equations: --at x=-2,y=5; repeatable."),
    ] = None,
    sample: traced.SampleRows = None,
    batch: traced.FirstBatch = False,
    x: traced.Inputs = None,
    t: traced.Targets = None,
    set_: Sets = None,
    with_: With = None,
    seed: Annotated[int, typer.Option(min=0, help="The random numbers of equations without --at.")] = 0,
    digits: traced.Digits = 6,
    format: Annotated[
        GraphFormat | None, typer.Option(help="What to write; default what the ending of --out means, else text.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write there.")] = None,
    width: traced.Width = None,
    ascii: traced.OnlyAscii = False,
    json: Json = False,
) -> int:
    """Draw the computational graph of a formula or a network: values forward, derivatives backward.

    Each operation is a node with its value and the derivative of the output by it; on each edge stands the local slope,
    which the chain rule multiplies. All derivatives are held against complex steps.
    """
    from bpcli.records.training import Exit
    from bpcli.render.graph.draw import write_graph
    from bpcli.render.graph.text import MAX_GAP

    said = GraphFormat.json if json else format
    form = page_format(out, said and said.value, GraphFormat.text.value, list(GraphFormat))
    network: dict[str, Any] = {"--sample": sample, "--batch": batch, "--x": x, "--t": t, "--set": set_}
    found = _found(what, at, seed, network, with_)
    write_graph(found, form, out, width, traced.only_ascii(ascii, out) if form == "text" else ascii, digits)
    say_ending(out, form)
    return int(Exit.OK if all(check.gap <= MAX_GAP for check in found.checks) else Exit.BAD_RESULT)


def _opened(request: traced.TraceRequest, word: str) -> TraceTarget:
    """Returns the network of a path. Raises Failure where there is none, with what else could stand there."""
    from bpcli.family import suggestion
    from bpcli.records.training import Failure
    from bpcli.studies.describe.graph_inputs import GRAPH_EXAMPLES

    try:
        return request.open()[0]
    except Failure as failure:
        missing = failure.problems[0]
        if missing.code != "missing-file" or missing.help:
            raise
        help = f"{suggestion(word, GRAPH_EXAMPLES)}an equation has an equals sign, 'f = (x + y) * z'; examples: "
        problem = replace(missing, help=help + ", ".join(GRAPH_EXAMPLES))
        raise Failure(problem, exit=failure.exit) from None


def _found(
    what: list[str], at: list[str] | None, seed: int, network: dict[str, Any], with_: list[Path] | None
) -> ComputationalGraph:
    """Returns the graph that a command line asks for. Raises BadParameter where its options do not go together."""
    from bpcli.studies.describe.graph_inputs import GRAPH_EXAMPLES, example_graph, formula_graph, network_graph

    single = len(what) == 1 and ("=" not in what[0] or what[0].endswith((".yaml", ".yml", ".safetensors")))
    about_rows = next((name for name, value in network.items() if value), None)
    if single and what[0] not in GRAPH_EXAMPLES:
        if at:
            raise typer.BadParameter("--at is for equations; a network has its rows: --sample, --x", param_hint="--at")
        sample, batch, x, t, sets = network.values()
        request = traced.TraceRequest("draw", Path(what[0]), None, sample, bool(batch), x, t, sets, with_)
        return network_graph(_opened(request, what[0]))
    if about_rows:
        raise typer.BadParameter("equations have no rows: give their numbers by --at x=-2", param_hint=about_rows)
    if not single:
        return formula_graph(what, at or (), seed)
    if at:
        raise typer.BadParameter(
            "an example has its own numbers; give its equations to choose others", param_hint="--at"
        )
    return example_graph(what[0])
