"""Names of classes: they stay as the training file writes them, and a later file may write numbers in another way."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_cases import csv, problem_of, ready

from bpcli.parts.data.csv.source import Csv
from bpcli.records.training import Failure
from bpcli.studies.dataset import preprocessor as preparing
from bpcli.studies.dataset.class_labels import match_labels
from bpcli.studies.dataset.prepare import prepare_for


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("cells", "classes"),
    [
        (("2", "10", "-1"), ("-1", "2", "10")),  # as Python writes whole numbers: in their order
        (("01", "1"), ("01", "1")),
        (("1.0", "2.0"), ("1.0", "2.0")),
        (("1", "1.0"), ("1", "1.0")),
        (("+1", "2"), ("+1", "2")),
        (("1e2", "7"), ("1e2", "7")),
        (("02134", "00501"), ("00501", "02134")),
        (("9007199254740993", "9007199254740992"), ("9007199254740992", "9007199254740993")),
        (("10%", "20%"), ("10%", "20%")),
        (("yes", "no"), ("no", "yes")),
        (("2020-01-01", "2021-01-01"), ("2020-01-01", "2021-01-01")),
        (("1,234", "5,678"), ("1,234", "5,678")),
        (("NA", "b"), ("NA", "b")),
    ],
)
def test_names_of_classes_stay_as_they_are_written(cells: tuple[str, ...], classes: tuple[str, ...]) -> None:
    text = "x,y\n" + "".join(f'{i},"{cell}"\n' for i, cell in enumerate(cells * 20))
    found = ready(csv(text))
    assert found.preprocessor.classes == classes
    names = [found.preprocessor.classes[k] for k in found.splits["train"].t.tolist()]
    assert names == list(cells * 20)


def test_values_stay_numbers_however_they_are_written() -> None:
    found = ready(csv("x,y\n1,01\n2,1.0\n3,2\n"), targets="values")
    assert found.splits["train"].t.tolist() == [[1.0], [1.0], [2.0]]


@pytest.mark.parametrize(
    ("first", "later", "ids"),
    [("1,0", "1.0,0.0,1", [1, 0, 1]), ("1.0,2.0", "1,2.00", [0, 1]), ("TRUE,FALSE", "True,false,TRUE", [1, 0, 1]),
     ("yes,no", "Yes,NO", [1, 0]), ("T,F", "t,f", [1, 0])],
)  # fmt: skip
def test_a_later_file_may_write_classes_in_another_way(first: str, later: str, ids: list[int]) -> None:
    """As a program does that has seen gaps in the column; with a warning."""
    cells = first.split(",")
    found = ready(csv("x,y\n" + "".join(f"{i},{cells[i % 2]}\n" for i in range(8)))).preprocessor
    rows = "".join(f"{i},{cell}\n" for i, cell in enumerate(later.split(",")))
    again = Csv.parse(csv(f"x,y\n{rows}", name="later.csv"))
    _, target, table = prepare_for(found, again, Path("."), np.float32, True)
    assert target is not None
    assert target.tolist() == ids
    (warning,) = table.warnings
    assert warning.code == "renamed-class"
    assert f"`{later.split(',')[0]}` as `{found.classes[ids[0]]}`" in warning.text
    same = Csv.parse(csv("x,y\n1," + cells[0] + "\n", name="same.csv"))
    assert prepare_for(found, same, Path("."), np.float32, True)[2].warnings == ()


def test_a_label_that_equals_two_classes_as_a_number_is_none_of_them() -> None:
    labels = ["1", "1.0", "01", "1.00", "2", "2.0", "x"]
    assert match_labels(labels, ["01", "1", "2"]).tolist() == [1, -1, 0, -1, 2, 2, -1]


def test_a_word_for_yes_is_the_only_class_of_that_word() -> None:
    labels = ["True", "TRUE", "false", "1", "yes", "Oak", "OAK"]
    assert match_labels(labels, ["TRUE", "FALSE", "oak"]).tolist() == [0, 0, 1, -1, -1, -1, -1]
    assert match_labels(["TrUe", "True"], ["TRUE", "True"]).tolist() == [-1, 1]


@pytest.mark.parametrize(
    ("later", "said"),
    [("2020-01-03", True), ("2020-01-03 07:00", False), ("", False), ("2020-01-03\n2020-01-04 07:00", False)],
)
@pytest.mark.parametrize("parts", [["hour"], ["days", "hour_cycle"], ["days"]])
def test_dates_that_have_lost_their_time(later: str, said: bool, parts: list[str]) -> None:
    text = "when,y\n" + "".join(f"2020-01-{1 + i % 28:02} 12:30,{i % 2}\n" for i in range(40))
    found = ready(csv(text, columns={"when": {"parts": parts, "missing": "median"}})).preprocessor
    new = Csv.parse(csv("when,y\n" + "".join(f"{cell},1\n" for cell in later.split("\n")), name="later.csv"))
    warnings = prepare_for(found, new, Path("."), np.float32, True)[2].warnings
    assert ("no-times" in [w.code for w in warnings]) is (said and parts != ["days"])


def test_a_missing_label_is_no_class() -> None:
    text = "a,kind\n1,cat\n2,nan\n3,dog\n4,\n5,NaN\n"
    found = problem_of(csv(text, "kind"))
    assert (found.line, found.code) == (3, "missing-value")
    assert "`missing: drop`" in found.help
    assert ready(csv(text, "kind", columns={"kind": {"missing": "drop"}})).preprocessor.classes == ("cat", "dog")


def test_memory_of_encoded_rows_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the last block on; what is wrong is named by its first row all the same."""
    text = "x,c,y\n" + "".join(f"{i / 7},{'abc'[i % 3]},{i % 2}\n" for i in range(100))
    whole = ready(csv(text), dtype="float32", validation=0.2)
    monkeypatch.setattr("bpcli.parts.data.csv.read.FLOAT32_FILE_BYTES", 0)
    monkeypatch.setattr(preparing, "NUMBERS_PER_BLOCK", 40)
    parts = ready(csv(text), dtype="float32", validation=0.2)
    for name in ("train", "validation"):
        assert np.allclose(whole.splits[name].x, parts.splits[name].x, atol=1e-6)
    odd: dict[int, Any] = {20: "v", 95: "w"}
    rows = "".join(f"{i},{odd.get(i, 'a')},1\n" for i in range(100))
    later = Csv.parse(csv(f"x,c,y\n{rows}", name="later.csv"))
    with pytest.raises(Failure) as caught:
        prepare_for(parts.preprocessor, later, Path("."), np.float32, True)
    assert "`v` does not occur" in caught.value.problems[0].text
    assert caught.value.problems[0].line == 22
