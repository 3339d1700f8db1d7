"""Derivations of textbooks and papers come out as they are printed there, and are right."""

import numpy as np
import pytest
from textbook_derivations import TEXTBOOK, Textbook, textbook_numbers

from bpcli.notation import Eq, compile_equations
from bpcli.notation.derive.backward import derive_backward
from bpcli.notation.derive.reverse import BackwardEquations
from bpcli.notation.derive.source import typed_equation
from bpcli.notation.latex import Latex
from bpcli.notation.mathml import MathML
from bpcli.notation.syntax import parse
from bpcli.notation.text import Ascii, Text
from bpcli.studies.describe.typed import formula
from bpcli.studies.witness.witness import complex_step, max_abs

ALL = pytest.mark.parametrize("book", TEXTBOOK, ids=lambda book: book.name)


def derived(book: Textbook) -> tuple[list[Eq], BackwardEquations]:
    forward = [formula(text) for text in book.forward]
    return forward, derive_backward(forward, book.by or None)


@ALL
def test_it_is_what_the_book_prints(book: Textbook) -> None:
    _, found = derived(book)
    assert tuple(f"{e.left} = {e.right}" for e in found.equations) == book.results
    assert len(TEXTBOOK) >= 20


@ALL
def test_it_agrees_with_complex_steps(book: Textbook) -> None:
    """At several points, at one of which every derivative is not 0."""
    forward, found = derived(book)
    output = parse(forward[-1]).name
    largest = dict.fromkeys(found.by, 0.0)
    for seed in range(4):
        env, arriving = textbook_numbers(book, seed)
        known = {**env, f"d{output}": arriving} if arriving.ndim else env
        shapes = {f"d{name}": np.shape(env[name]) for name in found.by}
        values = compile_equations([*forward, *found.equations], known, shapes).run(known)
        program = compile_equations(forward, env)
        for name in found.by:
            wanted = complex_step(program, env, name, output, arriving)
            largest[name] = max(largest[name], max_abs(wanted))
            assert max_abs(values[f"d{name}"] - wanted) <= 1e-13 * max(max_abs(wanted), 1e-3), name
    assert min(largest.values()) > 0


@ALL
def test_every_reader_draws_it_and_what_is_typed_reads_back(book: Textbook) -> None:
    _, found = derived(book)
    for equation in found.backward:
        assert typed_equation(parse(equation.source)) == equation.source
        for reader in (Text, Ascii, Latex, MathML):
            assert len(reader({"x", *found.by}).draw(equation.right).text) > 2
