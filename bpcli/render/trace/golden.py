"""What became of a comparison with a kept derivation."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from bpcli.records.trace import Golden


def golden_report(report: Golden) -> Iterator[RenderableType]:
    """Yields what a comparison with a kept derivation found."""
    if report.written:
        yield Text(f"{report.count} quantities are written to {report.file}; from now on it is compared with")
    elif report.difference is None:
        yield Text(f"all {report.count} quantities are as in {report.file}", "green")
    else:
        d = report.difference
        yield Text(f"differs from {report.file}, first at {d.name}: {d.text}", "bold red")
