"""The built-in examples, and what became of a comparison."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.text import Text

from bpcli.records.trace import Golden
from bpcli.render.console import table


def listing(examples: Sequence[tuple[str, str]]) -> Iterator[RenderableType]:
    """A table of examples by name and title."""
    found = table("example", "what it works out")
    for name, title in examples:
        found.add_row(name, title)
    yield found
    yield Text()
    yield Text("bpcli trace --example NAME")


def golden_report(report: Golden) -> Iterator[RenderableType]:
    """What a comparison with a kept derivation found."""
    if report.written:
        yield Text(f"{report.count} quantities are written to {report.file}; from now on it is compared with")
    elif report.difference is None:
        yield Text(f"all {report.count} quantities are as in {report.file}", "green")
    else:
        d = report.difference
        yield Text(f"differs from {report.file}, first at {d.name}: {d.text}", "bold red")
