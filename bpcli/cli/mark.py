"""`bpcli mark`."""

from pathlib import Path
from typing import Annotated

import typer

from bpcli.cli import traced
from bpcli.cli.options import Json, Sets, With

Claims = Annotated[
    Path,
    typer.Argument(
        metavar="CLAIMS", help="Your numbers, a line each: `dense_1.dW[0,0]: -0.2165`, or CSV.", show_default=False
    ),
]


def mark(
    claims: Claims,
    path: traced.TargetPath = None,
    sample: traced.SampleRows = None,
    batch: traced.FirstBatch = False,
    x: traced.Inputs = None,
    t: traced.Targets = None,
    example: traced.ExampleName = None,
    seed: traced.Seed = 0,
    ascii: traced.OnlyAscii = False,
    width: traced.Width = None,
    set_: Sets = None,
    with_: With = None,
    json: Json = False,
) -> int:
    """Mark a derivation made by hand, number by number.

    Says which numbers are right, which is the first wrong one, what follows from it, and the likely cause. Names are
    those that `bpcli trace --detail neuron` prints. Ends with 3 where a number is wrong.
    """
    request = traced.TraceRequest("mark the claims against", path, example, sample, batch, x, t, set_, with_)

    from bpcli.records.training import Exit
    from bpcli.render.console import console_width, show_problems, show_result
    from bpcli.render.trace.marks import marks, marks_record
    from bpcli.studies.mistakes.claims import read_claims
    from bpcli.studies.mistakes.marking import mark
    from bpcli.studies.trace.worksheet import draw_variant

    plain = traced.only_ascii(ascii)
    written = read_claims(claims)
    target, _ = request.open()
    draw_variant(target, seed)
    marked = mark(target, written, str(claims), ascii=plain)
    show_problems(marked.warnings)
    show_result(marks_record(marked), json, lambda: marks(marked, width or console_width(), plain))
    return int(Exit.OK if marked.right else Exit.BAD_RESULT)
