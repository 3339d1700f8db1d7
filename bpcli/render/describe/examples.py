"""The examples that come with the package, listed and copied."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import RenderableType
from rich.text import Text

from bpcli.records.printable import shell_word
from bpcli.render.console import name_list
from bpcli.studies.describe.examples import Example


def example_list(known: Sequence[Example]) -> list[RenderableType]:
    """Returns all examples, a line each."""
    rows = ((e.name, e.about + " (its images do not come with bpcli)" * bool(e.absent)) for e in known)
    return name_list("example", "what it shows", rows, "copy one with its data: bpcli examples NAME")


def copied(known: Sequence[Example], configs: Sequence[Path], files: int) -> Text:
    """Returns what was copied, what is missing, and what to type next."""
    text = Text(f"{files} files are in place\n")
    for example in known:
        if example.absent:
            text.append(f"{example.name} needs {', '.join(example.absent)}, which do not come with bpcli\n")
    first = shell_word(configs[0])
    verb = "check" if known and known[0].absent else "train"
    return text.append(f"next:   bpcli {verb} {first}", "bold")
