"""What is made of a piece of code, and what is left alone."""

import pytest
from mutation.operators import mutants


def made(source: str, kind: str = "") -> set[str]:
    """The lines that mutants of one function's body have in place of its line."""
    found = mutants("m.py", f"def f(a, b, k=None):\n    {source}\n")
    return {m.new_line.strip() for m in found if m.line > 1 and (not kind or m.kind == kind)}


@pytest.mark.parametrize(
    ("source", "kind", "lines"),
    [
        ("a = a + b", "arithmetic", {"a = (a - b)"}),
        ("a = a // b", "arithmetic", {"a = (a / b)"}),
        ("a = a < b", "comparison", {"a = (a <= b)", "a = (a >= b)"}),
        ("a = a is None", "comparison", {"a = (a is not None)"}),
        ("a = a and b", "boolean", {"a = (a or b)", "a = (a)", "a = (b)"}),
        ("a = not b", "not", {"a = (b)"}),
        ("a = -b", "sign", {"a = (b)"}),
        ("a = 3", "constant", {"a = 4", "a = 2"}),
        ("a = 0", "constant", {"a = 1"}),
        ("a = 0.5", "constant", {"a = 1.5", "a = 0.505"}),
        ("a = True", "constant", {"a = False"}),
        ("a = b[1:k]", "slice", {"a = b[:k]", "a = b[1:]", "a = b[1:k + 1]"}),
        ("a = b if k else 1", "branch", {"a = (b)", "a = (1)"}),
        ("a = [i for i in b if i]", "filter", {"a = [i for i in b if True]"}),
        ("a += b", "assignment", {"a = b"}),
        ("a += b", "arithmetic", {"a -= b"}),
        ("a.x = b", "statement", {"pass"}),
        ("a(b)", "statement", {"pass"}),
        ("return a", "return", {"return None"}),
        ("np.exp(a, out=b)", "function", {"np.expm1(a, out=b)"}),
        ("np.exp(a, out=b)", "keyword", {"np.exp(a)"}),
        ("np.subtract(a, b)", "arguments", {"np.subtract(b, a)"}),
        ("np.add(a, b)", "arguments", set()),
        ("if a: b()", "branch", {"if (not (a)): b()"}),
        ("Eq('y[i]', 'W[i,o] + 2')", "equation", {
            "Eq('y[0]', 'W[i,o] + 2')", "Eq('y[i]', 'W[o,i] + 2')", "Eq('y[i]', 'W[i,o] - 2')",
            "Eq('y[i]', 'W[i,o] + 3')",
        }),
    ],
)  # fmt: skip
def test_what_is_made_of_a_line(source: str, kind: str, lines: set[str]) -> None:
    assert made(source, kind) == lines


@pytest.mark.parametrize(
    "source",
    [
        '"""Says what 1 + 1 is."""',
        "a: int | None",
        "assert a < b + 1",
        'k = f"{a + 1} rows"',
        'k = "rows" + " of 7"',
        'k += f" of {a + 1}"',
        "from a import b",
        "ValueError(f'{a}', 1 + 2)",
    ],
)
def test_what_is_left_alone(source: str) -> None:
    assert {line for line in made(source) if line not in ("pass", "return None")} == set()


def test_loops_and_defaults() -> None:
    source = "def f(a=1):\n    while a:\n        break\n    for i in a:\n        continue\n"
    found = {(m.kind, m.new_line.strip(), m.body) for m in mutants("m.py", source)}
    assert ("constant", "def f(a=2):", "") in found  # an import runs it
    assert {("loop", "continue", "f"), ("loop", "break", "f"), ("loop", "while (a) and False:", "f")} <= found


def test_samples_are_tests_and_messages_are_words() -> None:
    assert mutants("m.py", "class A:\n    def samples(cls) -> Iterator[Sample]:\n        yield 1 + 1\n") == []
    assert mutants("m.py", "TIES = [1.0, -0.5]\nHUGE = 1 + 1\n__all__ = ['a' + 'b']\n") == []
    assert len(mutants("m.py", "MOST = 2\n")) == 2
    assert {m.new_line.strip() for m in mutants("m.py", 'def f(a):\n    raise E(f"{a}", 1)\n')} == {"pass"}


def test_all_but_one_place_stays_as_it_was_written() -> None:
    source = "def f(x):  # Größe\n    y = 'ä' and (x  +  1)  # a sum\n    return y\n"
    sums = [m for m in mutants("m.py", source) if m.kind == "arithmetic"]
    assert [m.apply(source) for m in sums] == [source.replace("x  +  1", "(x - 1)")]


def test_a_mutant_knows_the_lines_of_its_statement_and_its_function() -> None:
    source = "class A:\n    B = 1\n    def f(self):\n        if (1 or\n                2):\n            return 3\n"
    by_line = {(m.line, m.kind): m for m in mutants("m.py", source)}
    assert (by_line[2, "constant"].first, by_line[2, "constant"].last, by_line[2, "constant"].body) == (1, 6, "")
    assert (by_line[5, "constant"].first, by_line[5, "constant"].last) == (4, 5)
    assert (by_line[6, "constant"].first, by_line[6, "constant"].last) == (6, 6)
    assert by_line[6, "constant"].body == by_line[6, "constant"].function == "A.f"
