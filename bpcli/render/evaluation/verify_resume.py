"""Whether a training that was killed and resumed is the same, on the terminal."""

from collections.abc import Mapping
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from bpcli.numeric.shapes import entry_name
from bpcli.records.plain import plain
from bpcli.records.verify_resume import ResumeVerdict, TensorDifference
from bpcli.render.console import text_line
from bpcli.render.numbers import duration


def verdict_page(found: ResumeVerdict) -> list[RenderableType]:
    """Returns what `verify-resume` prints."""
    trained = f"{found.name}: {found.steps:,} steps in {found.epochs:,} epoch{'s' * (found.epochs > 1)}, trained twice"
    killed = f"the second time saved after step {found.saved_after:,}, killed after the next, and resumed"
    lines = [text_line(f"{trained};"), text_line(killed), text_line(f"on {_where(found.environment)}"), Text()]
    if found.identical:
        lines_of = f"{found.lines:,} line{'s' * (found.lines != 1)} of metrics"
        counts = f"{found.tensors:,} tensors with {found.numbers:,} numbers, {lines_of}, progress"
        return [*lines, text_line(f"identical, bit for bit: {counts}; in {duration(found.seconds)}", "green")]
    if found.tensor is not None:
        lines.append(text_line(f"DIFFERENT: {tensor_text(found.tensor)}", "bold red"))
    for name, text in (("progress", found.progress), ("metrics, epoch", found.metrics)):
        if text:
            lines.append(text_line(f"DIFFERENT: {name} {text}", "bold red"))
    return list(lines)


def tensor_text(found: TensorDifference) -> str:
    """Returns where two tensors differ, and by how much."""
    if found.note:
        return f"{found.tensor}: {found.note}"
    count = f"{found.differing:,} of its {found.of:,} numbers differ, by {found.largest:.3g} at most"
    entry = f"{entry_name(found.tensor, found.index)} is {found.first!r} and {found.second!r}"
    return f"{entry}; {count}; all tensors before it, in the order of computation, are the same"


def verdict_record(found: ResumeVerdict) -> dict[str, Any]:
    """Returns a verdict as JSON has it."""
    return {"identical": found.identical, **plain(found)}


def _where(environment: Mapping[str, Any]) -> str:
    blas = environment["blas"]
    kernel = f" ({blas['kernel']}, {blas['threads']} thread{'s' * (blas['threads'] != 1)})" if blas["kernel"] else ""
    cores = f"{environment['cores']} core{'s' * (environment['cores'] != 1)}"
    versions = f"Python {environment['python']}, NumPy {environment['numpy']}, {blas['name']} {blas['version']}"
    return f"{versions}{kernel}, {cores}"
