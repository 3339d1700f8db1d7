"""The ending of a file that is written says what is in it, and so what other programs make of it."""

from collections.abc import Sequence
from pathlib import Path

import typer

PAGES = {
    ".md": "markdown", ".markdown": "markdown", ".tex": "latex", ".latex": "latex", ".html": "html", ".htm": "html",
    ".json": "json", ".svg": "svg", ".txt": "text", ".text": "text",
}  # fmt: skip
"""Formats of a page by the endings that a file of it may have."""
OBEYED = (".html", ".htm", ".xhtml", ".xht", ".shtml", ".mhtml", ".svg", ".xml")
"""Endings of files whose tags and scripts a browser obeys."""


def page_format(out: Path | None, said: str | None, usual: str, formats: Sequence[str]) -> str:
    """Returns in which of the `formats` a page is written: as is said, else as the ending of its file means, else in
    the usual one. Raises BadParameter where the ending means none of them, and where what is not HTML would go into a
    file that a browser opens as HTML: names in it could be obeyed."""
    ending = out.suffix.lower() if out is not None else ""
    meant = PAGES.get(ending, "")
    if said is None:
        check_ending(out, "--out", [e for e, form in PAGES.items() if form in formats], "add --format for any other")
        return meant or usual
    if ending in OBEYED and said not in ("html", meant):
        text = f"a browser would take the {said} in it for HTML: end it otherwise, or write --format html"
        raise typer.BadParameter(text, param_hint="--out")
    return said


def say_ending(out: Path | None, form: str) -> None:
    """Says so where the ending of the file written means another format than it holds."""
    meant = PAGES.get(out.suffix.lower(), form) if out is not None else form
    if meant != form:
        from bpcli.render.console import say

        say(f"{out} holds {form}: `--format {meant}` writes what its ending means")


def check_ending(out: Path | None, option: str, endings: Sequence[str], help: str = "") -> None:
    """Raises BadParameter where a file is to be written whose name has an ending that is none of these."""
    ending = out.suffix.lower() if out is not None else ""
    if ending and ending not in endings:
        *rest, last = endings
        known = f"{', '.join(rest)} or {last}" if rest else last
        text = f"a file ending in {ending} holds something else: end it in {known}" + f"; {help}" * bool(help)
        raise typer.BadParameter(text, param_hint=option)
