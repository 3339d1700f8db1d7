"""A column of text with each different cell kept once: what it says is what the list of its texts says."""

import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings

from bpcli.family import CodedText, Table

texts = st.lists(st.sampled_from(["", "a", "b", "B", " b"]), max_size=12)


@settings(max_examples=60, deadline=None)
@given(texts, st.data())
def test_it_says_what_the_list_of_its_texts_says(cells: list[str], data: st.DataObject) -> None:
    column = CodedText.of(cells)
    assert (column.tolist(), len(column), column.codes.dtype) == (cells, len(cells), np.int32)
    assert list(column.categories) == list(dict.fromkeys(cells))
    assert column.array().tolist() == cells
    assert column.gaps.tolist() == [c == "" for c in cells]
    assert column.found == {c: cells.count(c) for c in dict.fromkeys(cells) if c}
    assert column.renamed(str.lower).tolist() == [c.lower() for c in cells]
    assert len(column.renamed(str.lower).categories) == len({c.lower() for c in cells})
    rows = np.array(data.draw(st.lists(st.integers(0, len(cells) - 1))) if cells else [], np.intp)
    some = column[rows]
    assert some.tolist() == [cells[i] for i in rows]
    assert sum(some.found.values()) == sum(cells[i] != "" for i in rows)
    assert [column[int(i)] for i in rows] == some.tolist()


def test_codes_of_equal_names_are_one_category() -> None:
    column = CodedText.of_codes(np.array([0, 2, 1, 2], np.int32), ["x", "y", "x"])
    assert (column.categories, column.codes.tolist()) == (("x", "y"), [0, 0, 1, 0])


def test_a_table_codes_arrays_of_strings() -> None:
    """As sources of other people give them."""
    table = Table(np.empty((2, 0)), {"a": np.array(["u", "v"], object)}, (), ("a",), None, (), "it")  # type: ignore[dict-item]
    assert table.texts["a"].categories == ("u", "v")
