"""The guides that come with the package: Markdown files in `bpcli/guides`."""

from dataclasses import dataclass
from importlib.resources import files

from bpcli.family.part import near
from bpcli.records.training import Exit, Failure, Problem


@dataclass(frozen=True)
class Guide:
    """One guide: the name of its file, its heading, the paragraph below that, and the whole Markdown text."""

    name: str
    title: str
    summary: str
    text: str


def guides() -> tuple[Guide, ...]:
    """Returns all guides, by name."""
    found = [file for file in files("bpcli").joinpath("guides").iterdir() if file.name.endswith(".md")]
    guides = []
    for file in sorted(found, key=lambda file: file.name):
        text = file.read_text(encoding="utf-8")
        heading, summary, *_ = text.split("\n\n", 2)
        guides.append(Guide(file.name.removesuffix(".md"), heading.removeprefix("# "), " ".join(summary.split()), text))
    return tuple(guides)


def guide(name: str) -> Guide:
    """Returns the guide of that name. Raises Failure, with the nearest name, where there is none."""
    known = {g.name: g for g in guides()}
    if name in known:
        return known[name]
    guess = near(name, known)
    help = f"did you mean `{guess}`? `bpcli guide` lists all" if guess else f"the guides are {', '.join(known)}"
    raise Failure(Problem(f"there is no guide `{name}`", code="unknown-guide", help=help), exit=Exit.USAGE)
