"""What the categories of a text column become: an input of each, of those with many rows, or how often each occurs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_cases import csv, problem_of, ready, same

from bpcli.parts.data.csv.source import Csv
from bpcli.records.training import Failure
from bpcli.studies.dataset.columns import ColumnEncoder, InputLayout
from bpcli.studies.dataset.prepare import Prepared, prepare_for
from bpcli.studies.dataset.preprocessor import Preprocessor

TOWNS = ["a"] * 6 + ["b"] * 3 + ["c"]
TEXT = "town,y\n" + "".join(f"{town},{i % 2}\n" for i, town in enumerate(TOWNS))


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def by(text: str = TEXT, **treatment: Any) -> Prepared:
    return ready(csv(text, columns={"town": treatment}))


def frequencies(counts: dict[str, int]) -> dict[str, float]:
    """By hand: log(1 + rows), less the mean over rows, over their deviation or 1."""
    logs = {town: np.log(1 + n) for town, n in counts.items()}
    rows = np.array([logs[town] for town, n in counts.items() for _ in range(n)])
    return {town: (log - rows.mean()) / max(1.0, rows.std()) for town, log in {**logs, "": 0.0}.items()}


@pytest.mark.parametrize("counts", [{"a": 6, "b": 3, "c": 1}, {"a": 400, "b": 20, "c": 1}, {"a": 5, "b": 5}])
def test_a_frequency_is_one_input(counts: dict[str, int]) -> None:
    towns = [town for town, n in counts.items() for _ in range(n)]
    found = by("town,y\n" + "".join(f"{town},{i % 2}\n" for i, town in enumerate(towns)), encoding="frequency")
    expected = frequencies(counts)
    x = found.splits["train"].x
    assert np.allclose(x[:, 0], [expected[town] for town in towns], rtol=1e-12, atol=1e-12)
    assert x.shape == (len(towns), 1)
    assert abs(x.mean()) < 1e-12
    assert x.std() < 1 + 1e-12
    assert found.columns[0].treatment == "frequency, 1 input"
    assert found.preprocessor.columns[0].inputs == ("town frequency",)


def test_categories_with_rows_enough_have_inputs_of_their_own_beside_the_frequency() -> None:
    found = by(encoding="frequency", min_rows=3)
    how_often = frequencies({"a": 6, "b": 3, "c": 1})
    own = {"a": [1.0, 0], "b": [0, 1], "c": [0, 0]}
    assert np.allclose(found.splits["train"].x, [[*own[town], how_often[town]] for town in TOWNS], atol=1e-12)
    assert found.columns[0].treatment == "one-hot from 3 rows on, 2 inputs, frequency, 1 input"
    assert found.preprocessor.columns[0].inputs == ("town=a", "town=b", "town frequency")


@pytest.mark.parametrize(("least", "own"), [(1, "abc"), (2, "ab"), (3, "ab"), (4, "a"), (6, "a")])
def test_rare_categories_have_no_input_of_their_own(least: int, own: str) -> None:
    x = by(encoding="one_hot", min_rows=least).splits["train"].x
    assert x.tolist() == [[float(town == other) for other in own] for town in TOWNS]


@pytest.mark.parametrize(
    ("settings", "own"),
    [({"max_categories": 2}, "ab"), ({"max_categories": 3}, "abc"), ({"max_categories": 9}, "abcd"),
     ({"max_categories": 3, "min_rows": 3}, "ab"), ({"max_categories": 1, "min_rows": 3}, "a")],
)  # fmt: skip
@pytest.mark.parametrize("encoding", ["one_hot", "frequency"])
def test_the_most_frequent_categories_have_inputs_of_their_own(settings: Any, own: str, encoding: str) -> None:
    """Of equally frequent ones (c and d) the first by name."""
    towns = ["d", *TOWNS]
    found = by("town,y\n" + "".join(f"{town},{i % 2}\n" for i, town in enumerate(towns)), encoding=encoding, **settings)
    x = found.splits["train"].x[:, : len(own)]
    assert x.tolist() == [[float(town == other) for other in own] for town in towns]
    (column,) = found.preprocessor.columns
    assert column.width == len(own) + (encoding == "frequency")
    assert column.is_consistent
    assert (" of the most frequent" in found.columns[0].treatment) is (len(own) < 4 and settings != {"min_rows": 3})


def test_an_unseen_category_occurs_0_times() -> None:
    preprocessor = by(encoding="frequency", min_rows=3, unseen="ignore").preprocessor
    source = Csv.model_validate(csv("town\nc\nz\na\n", name="later.csv"))
    x, _, table = prepare_for(preprocessor, source, Path("."), np.float64, False)
    expected = frequencies({"a": 6, "b": 3, "c": 1})
    assert np.allclose(x, [[0, 0, expected["c"]], [0, 0, expected[""]], [1, 0, expected["a"]]], atol=1e-12)
    assert [w.code for w in table.warnings] == ["unseen-category"]


def test_it_is_learned_of_the_training_rows_alone() -> None:
    """Rows of other splits may change in whatever way."""
    text = "town,x,y,part\n" + "".join(f"{town},{i},{i % 2},train\n" for i, town in enumerate(TOWNS))
    found = []
    for more in ("a", "d"):
        rows = "".join(f"{more},{i},{i % 2},{('test', 'validation')[i % 2]}\n" for i in range(30))
        columns = {"town": {"encoding": "frequency", "min_rows": 2, "unseen": "ignore"}}
        found.append(ready(csv(text + rows, columns=columns), split={"column": "part"}))
    assert same(found[0].preprocessor, found[1].preprocessor)
    assert np.array_equal(found[0].splits["train"].x, found[1].splits["train"].x)


def test_gaps_and_indicators_stand_behind() -> None:
    text = "x,town,z,y\n" + "".join(f"{i},{town},{i * 2},{i % 2}\n" for i, town in enumerate([*TOWNS, ""]))
    treatment = {"encoding": "frequency", "min_rows": 4, "missing": "mode", "indicator": True}
    found = ready(csv(text, columns={"town": treatment}))
    how_often = frequencies({"a": 6, "b": 3, "c": 1})
    expected = [[i, town in ("a", ""), how_often[town or "a"], not town, 2 * i] for i, town in enumerate([*TOWNS, ""])]
    assert np.allclose(found.splits["train"].x, np.array(expected, float), atol=1e-12)
    assert found.preprocessor.columns[1].inputs == ("town=a", "town frequency", "town missing")
    layout = InputLayout.of(found.preprocessor.columns)
    assert (layout.values.tolist(), layout.texts, layout.indicators) == ([0, 4], {"town": 1}, {"town": 3})


# Saved with the model


def test_it_survives_the_model_file_and_older_ones_load() -> None:
    preprocessor = by(encoding="frequency", min_rows=3).preprocessor
    back = Preprocessor.from_meta(json.loads(json.dumps(preprocessor.to_meta())), preprocessor.tensors())
    assert back.columns == preprocessor.columns
    plain = by().preprocessor.to_meta()
    assert plain["columns"][0].keys() == {"name", "kind", "categories"}  # as ever


@pytest.mark.parametrize(
    "change",
    [{"counts": [6, 3]}, {"counts": [6, 3, 0]}, {"counts": []}, {"counts": [9, 9, 9]}, {"min_rows": 0},
     {"encoding": "one_hot"}, {"encoding": "hash"}, {"counts": ["many", 1, 1]}],
)  # fmt: skip
def test_a_damaged_encoding(change: dict[str, Any]) -> None:
    preprocessor = by(encoding="frequency", min_rows=3).preprocessor
    meta = preprocessor.to_meta()
    meta["columns"][0] |= change
    with pytest.raises(Failure, match="the model file's description of its data is damaged"):
        Preprocessor.from_meta(meta, preprocessor.tensors())


def test_settings_that_do_not_fit_together() -> None:
    assert not ColumnEncoder("a", "text", ("u",), encoding="frequency").is_consistent
    assert not ColumnEncoder("a", "text", ("u",), min_rows=2).is_consistent
    assert not ColumnEncoder("a", "text", ("u",), max_categories=2).is_consistent
    assert not ColumnEncoder("a", "text", ("u",), counts=(1,), max_categories=-1).is_consistent
    assert not ColumnEncoder("a", "text", ("u",), counts=(1,), min_rows=2).is_consistent  # no input at all
    assert ColumnEncoder("a", "text", ("u",), counts=(1,), min_rows=1).is_consistent


# Bad input


@pytest.mark.parametrize("key", ["encoding", "min_rows", "max_categories"])
def test_numbers_have_no_categories(key: str) -> None:
    found = problem_of(csv("n,y\n1,0\n2,1\n", columns={"n": {key: "frequency" if key == "encoding" else 2}}))
    assert found.text == f"column `n` holds numbers, and `{key}` is about the categories of a text"
    assert found.help == "leave it out, or write `kind: text` beside it"


def test_no_category_has_rows_enough() -> None:
    found = problem_of(csv(TEXT, columns={"town": {"min_rows": 7}}))
    assert found.text == "column `town`: no category has 7 training rows, the most frequent has 6"


def test_a_column_of_many_texts() -> None:
    text = "name,y\n" + "".join(f"n{i // 2},{i % 2}\n" for i in range(2002))
    assert problem_of(csv(text)).help == (
        "leave it out with `drop: [name]`, or write `columns: {name: {encoding: frequency, max_categories: 1000}}` in "
        "the train source"
    )
    assert ready(csv(text, columns={"name": {"encoding": "frequency"}})).splits["train"].x.shape == (2002, 1)
    found = problem_of(csv(text, columns={"name": {"encoding": "frequency", "min_rows": 2}}))
    assert found.text == "column `name` holds 1001 different texts: 1001 of them would become an input of its own"
    assert "max_categories: 1000" in found.help
    typed = {"name": {"encoding": "frequency", "max_categories": 1000}}
    assert ready(csv(text, columns=typed)).splits["train"].x.shape == (2002, 1001)
    said = {"name": {"max_categories": 1001}}
    assert ready(csv(text, columns=said)).splits["train"].x.shape == (2002, 1001)
