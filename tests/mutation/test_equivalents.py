"""The list of mutants that no test can tell from the code."""

from mutation.equivalents import read_equivalents, stale
from mutation.rooms import COUNTS, FOLDERS, by_room, draw, sources
from paths import ROOT


def test_every_entry_is_a_mutant_of_the_code_and_has_a_reason() -> None:
    known = read_equivalents()
    assert stale(known, sources(ROOT)) == []
    assert [key for key, reason in known.items() if len(reason.split()) < 4] == []


def test_an_entry_whose_line_has_changed_is_stale() -> None:
    texts = {"m.py": "def f(a):\n    return a + 1\n"}
    known = {"m.py\tf\treturn a + 1\treturn (a - 1)": "why", "m.py\tf\treturn a + 2\treturn (a - 2)": "why"}
    assert stale(known, texts) == ["m.py\tf\treturn a + 2\treturn (a - 2)"]
    assert stale({"gone.py\tf\ta\tb": "why"}, texts) == ["gone.py\tf\ta\tb"]


def test_a_draw_takes_other_lines_each_time_and_is_the_same_for_a_seed() -> None:
    texts = {f"bpcli/engine/m{i}.py": f"def f(a):\n    a = a + {i}\n    return a * {i}\n" for i in range(9)}
    rooms = by_room(texts)
    assert set(rooms) == set(COUNTS) >= set(FOLDERS.values())
    first, again, other = (draw("engine", rooms["engine"], texts, seed, 10) for seed in (1, 1, 2))
    assert first == again != other
    assert len({(m.file, m.line) for m in first}) == 10
    assert len(draw("engine", rooms["engine"], texts, 1, 99)) == 18  # a line has one
    texts["bpcli/engine/m0.py"] = "def g(a):\n    return -a\n"
    after = draw("engine", by_room(texts)["engine"], texts, 1, 10)
    assert len({m.key for m in first} & {m.key for m in after}) >= 8  # a change elsewhere leaves it as it was
