"""The derivation of a formula in the form that is asked for, to where it is asked for."""

from pathlib import Path

from bpcli.records.derived import DerivedFormula
from bpcli.render.console import show_json, show_plain
from bpcli.render.derivation.json import formula_json
from bpcli.render.derivation.page import formula_html, formula_latex, formula_markdown
from bpcli.render.derivation.text import FormulaTerminal
from bpcli.render.trace.draw import write_text
from bpcli.studies.run.atomic import atomic_text


def write_formula(d: DerivedFormula, form: str, out: Path | None, width: int | None, ascii: bool, digits: int) -> None:
    """Draws a derivation on stdout, or into a file. Raises Failure where the file cannot be written."""
    if form == "text":
        write_text(lambda columns: FormulaTerminal(d, columns, ascii, digits).draw(), out, width)
        return
    text = {"json": formula_json, "html": formula_html, "markdown": formula_markdown, "latex": formula_latex}[form](d)
    if out is not None:
        atomic_text(out, text)
    elif form == "json":
        show_json(text)
    else:
        show_plain(text)
