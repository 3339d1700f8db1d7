"""From files to arrays: what is learned from which rows, how rows are divided, and how they are encoded."""

from collections import Counter
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from data_cases import Wants, csv, inline, problem_of, ready, same
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from paths import DATASETS

from bpcli.config.data import Data
from bpcli.family import Source, Table
from bpcli.family.plan import Array
from bpcli.parts.data.csv.source import Csv
from bpcli.parts.data.targets import labels
from bpcli.parts.scalers import NoScaling, Standardize
from bpcli.records.training import ColumnRow, Failure, SplitRow
from bpcli.studies.dataset.fit import fit_preprocessor, labels_of
from bpcli.studies.dataset.prepare import prepare
from bpcli.studies.dataset.split import apportion, stratified_split


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


# Nothing is learned from rows that judge


def rows_of(values: Array) -> str:
    return "a,b,y\n" + "".join(",".join(map(repr, row)) + "\n" for row in values.tolist())


@pytest.mark.parametrize("scale", ["standardize", "minmax", {"type": "standardize", "per": "all"}])
def test_validation_and_test_rows_never_reach_a_scaler(scale: Any) -> None:
    values = np.random.default_rng(0).normal(size=(60, 3))
    settings: dict[str, Any] = {"validation": 0.2, "test": 0.2, "scale": scale, "scale_target": scale}
    clean = ready(csv(rows_of(values)), "values", **settings)
    judged = np.concatenate([clean.splits[n].rows for n in ("validation", "test")])
    assert len(judged) == 24
    values[judged] = 1e30
    poisoned = ready(csv(rows_of(values)), "values", **settings)
    assert same(poisoned.preprocessor, clean.preprocessor)
    assert np.array_equal(poisoned.splits["train"].x, clean.splits["train"].x)
    assert np.array_equal(poisoned.splits["train"].t, clean.splits["train"].t)
    assert poisoned.splits["test"].x.min() > 1e28
    values[clean.splits["train"].rows[0]] = 5
    assert not same(ready(csv(rows_of(values)), "values", **settings).preprocessor, clean.preprocessor)


def test_separate_sources_never_reach_a_scaler() -> None:
    train, other = csv("a,y\n1,2\n3,4\n"), csv("a,y\n1e9,1e9\n", name="b.csv")
    alone = ready(train, "values", scale="standardize", scale_target="standardize")
    beside = ready(train, "values", scale="standardize", scale_target="standardize", validation=other, test=other)
    assert same(alone.preprocessor, beside.preprocessor)
    assert beside.splits["test"].x.item() == (1e9 - 2) / 1


def test_categories_and_classes_come_from_train_alone() -> None:
    table = Table(
        np.zeros((4, 0)),
        {"c": labels(["red", "blue", "poison", "red"])},
        (),
        ("c",),
        labels(["n", "y", "poison", "n"]),
        ("t",),
        "here",
    )
    preprocessor = fit_preprocessor(table, np.array([0, 1, 3]), "text", NoScaling(), NoScaling())
    assert preprocessor.columns[0].categories == ("blue", "red")
    assert preprocessor.classes == ("n", "y")


def judged_rows(text: str, **settings: Any) -> list[int]:
    return [int(i) for i in ready(csv(text), validation=0.25, **settings).splits["validation"].rows]


def test_a_class_or_category_only_validation_has_is_an_error() -> None:
    lines = [f"{i},c{i % 2},k{i % 2}" for i in range(20)]
    text = "a,c,y\n" + "\n".join(lines)
    row = judged_rows(text, stratify=False)[0]
    lines[row] = f"{row},c9,k0"
    found = problem_of(csv("a,c,y\n" + "\n".join(lines)), validation=0.25, stratify=False)
    assert found.text == "column `c`: `c9` does not occur in the training rows"
    assert (found.file, found.line, found.column) == ("a.csv", row + 2, len(str(row)) + 2)
    assert found.help.endswith("it knows c0, c1; to count it as none of them, train with `unseen: ignore`")
    lines[row] = f"{row},c0,k9"
    found = problem_of(csv("a,c,y\n" + "\n".join(lines)), validation=0.25, stratify=False)
    assert (found.text, found.line) == ("class `k9` does not occur in the training rows", row + 2)
    assert found.help.endswith("the classes are k0, k1")


# Dividing


def test_each_split_gets_its_share_of_each_class() -> None:
    target = ["a"] * 60 + ["b"] * 30 + ["c"] * 10
    found = ready(inline([[i] for i in range(100)], target), validation=0.2, test=0.1)
    assert found.split_rows == (
        SplitRow("train", 70, {"a": 42, "b": 21, "c": 7}),
        SplitRow("validation", 20, {"a": 12, "b": 6, "c": 2}),
        SplitRow("test", 10, {"a": 6, "b": 3, "c": 1}),
    )
    everything = np.concatenate([s.rows for s in found.splits.values()])
    assert sorted(everything.tolist()) == list(range(100))
    for split in found.splits.values():
        assert split.x[:, 0].tolist() == split.rows.tolist()  # rows are where they stand in the file
        assert (np.diff(split.rows) > 0).all()


@hypothesis_settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(0, 4), min_size=4, max_size=80),
    st.floats(0.01, 0.6),
    st.floats(0.01, 0.39),
    st.booleans(),
)
def test_divisions_hold_together(classes: list[int], validation: float, test: float, both: bool) -> None:
    codes = np.array(classes)
    fractions = {"test": test, "validation": validation} if both else {"validation": validation}
    try:
        found = stratified_split(codes, fractions, 3)
    except Failure:  # too few rows: other tests say when
        assert len(classes) < 40
        return
    assert sorted(np.concatenate(list(found.values())).tolist()) == list(range(len(codes)))
    assert set(codes[found["train"]]) == set(classes), "every class keeps a row in train"
    count = Counter(classes)
    for name, share in fractions.items():
        assert len(found[name]) <= max(1, np.floor(len(codes) * share + 0.5)) + 1
        for k, size in count.items():
            if size >= 5:
                assert abs((codes[found[name]] == k).sum() - share * size) < 2.5


def test_largest_remainders() -> None:
    assert apportion(10, np.array([1, 1, 1])).tolist() == [4, 3, 3]
    assert apportion(3, np.array([5, 3, 2])).tolist() == [1, 1, 1]  # remainders of 0.5, 0.9 and 0.6
    assert apportion(0, np.array([0, 0])).tolist() == [0, 0]


def test_a_split_depends_on_the_seed_and_nothing_else() -> None:
    train = inline([[i] for i in range(50)], [i % 3 for i in range(50)])
    first = ready(train, validation=0.2).splits["validation"].rows
    assert np.array_equal(ready(train, validation=0.2, dtype="float32").splits["validation"].rows, first)
    assert np.array_equal(ready(train, validation=0.2, scale="minmax").splits["validation"].rows, first)
    assert not np.array_equal(ready(train, validation=0.2, seed=8).splits["validation"].rows, first)
    assert first.tolist() == [3, 4, 8, 18, 19, 20, 34, 42, 44, 48]  # whatever NumPy's version


def test_stratify() -> None:
    train = inline([[i] for i in range(100)], ["a"] * 90 + ["b"] * 10)
    seeds = range(20)
    shares = {
        on: {ready(train, validation=0.2, stratify=on, seed=s).split_rows[1].classes["b"] for s in seeds}
        for on in (True, False)
    }
    assert shares[True] == {2}
    assert len(shares[False]) > 2
    values = inline([[i] for i in range(10)], [[i / 2] for i in range(10)])
    assert len(ready(values, "values", validation=0.2).splits["validation"].x) == 2
    found = problem_of(values, "values", validation=0.2, stratify=True)
    assert found.text == "stratify keeps the share of each class, and the targets are numbers"
    assert found.path == ("data", "stratify")


def test_a_class_of_one_row_stays_in_train_and_is_named() -> None:
    train = inline([[i] for i in range(20)], ["a"] * 10 + ["b"] * 8 + ["rare", "odd"])
    found = ready(train, validation=0.3, test=0.3)
    assert {"rare", "odd"} <= {found.preprocessor.classes[i] for i in found.splits["train"].t}
    (warning,) = found.warnings
    assert warning.text == "the classes `odd`, `rare` have a single row each"
    assert warning.level == "warning"
    assert ready(train).warnings == ()


def test_too_few_rows() -> None:
    found = problem_of(inline([[1], [2]], ["a", "b"]), validation=0.4, test=0.4)
    assert found.text == "2 rows cannot be divided: 1 for test and 1 for validation leaves none to learn from"
    found = problem_of(inline([[1], [2], [3]], ["a", "b", "c"]), validation=0.4)
    assert found.text == "no rows are left for validation: every class keeps a row in train, and classes are that small"


# Encoding


def test_columns_keep_their_order_and_text_becomes_one_hot() -> None:
    found = ready(csv("a,colour,b,y\n1,red,10,no\n3,blue,30,yes\n5,red,20,no\n"), scale="minmax", dtype="float32")
    assert found.preprocessor.shape == (4,)
    assert found.preprocessor.classes == ("no", "yes")
    x, t = found.splits["train"].x, found.splits["train"].t
    assert x.tolist() == [[0, 0, 1, 0], [0.5, 1, 0, 1], [1, 0, 1, 0.5]]
    assert (x.dtype, t.dtype, t.tolist()) == (np.float32, np.int64, [0, 1, 0])
    assert x.flags.c_contiguous
    assert found.columns == (
        ColumnRow("a", "number", 1, 5, 0, "minmax"),
        ColumnRow("colour", "text", None, None, 2, "one-hot, 2 inputs"),
        ColumnRow("b", "number", 10, 30, 0, "minmax"),
    )
    assert found.first_header == ("a", "colour", "b", "y")
    assert found.first_rows[0] == ("1", "red", "10", "no")
    assert found.files == (Path("a.csv"),)


def test_whole_number_classes_are_in_numeric_order() -> None:
    found = ready(inline([[0], [1], [2]], [10, 9, -1]))
    assert found.preprocessor.classes == ("-1", "9", "10")
    assert found.splits["train"].t.tolist() == [2, 1, 0]


def test_one_hot_targets_are_classes() -> None:
    assert ready(inline([[0]], [[0, 1, 0]])).preprocessor.classes == ("0", "1", "2")
    found = ready(csv("a,cat,dog\n1,0,1\n2,1,0\n", ["cat", "dog"]))
    assert found.preprocessor.classes == ("cat", "dog")
    assert found.splits["train"].t.tolist() == [1, 0]
    assert found.first_header == ("a", "cat", "dog")
    text = problem_of(inline([[0], [1]], [[0, 1, 0], [1, 1, 0]])).text
    assert text == "the inline data, row 1 (counted from 0): the targets [1, 1, 0] are not one 1 among 2 zeros"


def test_values() -> None:
    found = ready(inline([[0], [1]], [1, 3]), "values", dtype="float32", scale_target="standardize")
    split = found.splits["train"]
    assert (split.t.dtype, split.t.tolist()) == (np.float32, [[-1], [1]])
    assert found.preprocessor.decode_values(split.t).tolist() == [[1], [3]]
    assert found.preprocessor.outputs == 1
    assert found.preprocessor.classes == ()
    assert found.split_rows == (SplitRow("train", 2, {}),)


def test_text_labels_are_classes_even_for_a_loss_on_values() -> None:
    found = ready(inline([[0], [1]], ["b", "a"]), "values")
    assert found.splits["train"].t.tolist() == [1, 0]
    assert found.preprocessor.classes == ("a", "b")


def test_images_stay_bytes_until_encoded() -> None:
    x = np.random.default_rng(0).integers(0, 256, (30, 4, 3), np.uint8)
    np.savez("a.npz", x=x, y=np.arange(30) % 2)
    scale = {"type": "standardize", "per": "all"}
    found = ready({"type": "npz", "path": "a.npz"}, scale=scale, dtype="float32")
    split = found.splits["train"].x
    assert (split.shape, split.dtype) == ((30, 4, 3), np.float32)
    assert np.allclose(split, (x - x.mean()) / x.std(), atol=1e-6)
    assert found.columns == (ColumnRow("4 x 3", "uint8", float(x.min()), float(x.max()), 0, "standardize"),)
    assert found.first_rows[0][0].startswith("4 x 3 uint8, ")


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a,c,y\n" + "".join(f"{i},k{i % 3},{i % 2}\n" for i in range(40))
    whole = ready(csv(text), scale="standardize").splits["train"].x
    monkeypatch.setattr("bpcli.studies.dataset.preprocessor.NUMBERS_PER_BLOCK", 20)
    assert np.array_equal(ready(csv(text), scale="standardize").splits["train"].x, whole)


def test_float32_cannot_hold_everything() -> None:
    train = csv("a,b,y\n1,1,0\n2,1e39,1\n")
    assert np.isfinite(ready(train).splits["train"].x).all()
    found = problem_of(train, dtype="float32")
    assert (found.text, found.file, found.line) == ("column `b` is too large for float32", "a.csv", 3)
    assert "`dtype: float64`" in found.help
    found = problem_of(inline([[1], [2]], [0.5, 1e39]), "values", dtype="float32")
    assert found.text == "the inline data, row 1 (counted from 0): the target is too large for float32"
    found = problem_of(csv("a,y\n1e308,1\n-1e308,0\n"), scale="standardize")
    assert found.text == "column `a` holds numbers too large to compute its standardize scaling"


@pytest.mark.parametrize(
    ("train", "wants", "rest", "text"),
    [
        (
            inline([[0], [1]], [1, 0.5]),
            "classes",
            {},
            "the inline data, row 1 (counted from 0): the target holds 0.5; this loss compares classes",
        ),
        (inline([[0], [1]], ["a", "a"]), "classes", {}, "the training rows hold a single class, `a`"),
        (
            inline([[0], [1]], ["a", "b"]),
            "values",
            {"scale_target": "minmax"},
            "scale_target scales numbers, and the targets are classes",
        ),
    ],
)
def test_targets_that_do_not_fit_the_loss(train: Any, wants: Wants, rest: dict[str, Any], text: str) -> None:
    assert problem_of(train, wants, **rest).text == text


def test_numbers_are_not_classes_says_the_column() -> None:
    found = problem_of(csv("a,price\n1,2\n2,0.5\n", "price"))
    assert found.text == "a.csv, row 1 (counted from 0): target column `price` holds 0.5; this loss compares classes"
    assert "mean_squared_error" in found.help
    for settings in ({}, {"text": ["y"]}):
        big = ready(csv("a,y\n1,9007199254740993\n2,9007199254740992\n", **settings))
        assert big.preprocessor.classes == ("9007199254740992", "9007199254740993")


def test_a_text_column_of_names_is_refused() -> None:
    text = "name,y\n" + "".join(f"n{i},{i % 2}\n" for i in range(1001))
    found = problem_of(csv(text))
    assert found.text == "column `name` holds 1001 different texts: each would become an input of its own"
    assert "`drop: [name]`" in found.help


def test_the_bundled_datasets() -> None:
    root = DATASETS
    shapes: dict[str, tuple[str, Wants, tuple[int, int], int]] = {
        "article": ("y", "values", (3, 1), 0),
        "iris": ("species", "classes", (150, 4), 3),
        "digits": ("digit", "classes", (1797, 64), 10),
        "diabetes": ("progression", "values", (442, 10), 0),
    }
    for name, (target, wants, shape, classes) in shapes.items():
        source = {"type": "csv", "path": f"{name}/{name}.csv", "target": target}
        found = prepare(
            Data.model_validate({"train": source, "scale": "standardize"}),
            targets=wants,
            seed=0,
            dtype=np.float32,
            root=root,
        )
        assert found.splits["train"].x.shape == shape
        assert len(found.preprocessor.classes) == classes
        assert (root / name / "README.md").read_text().count("Licence")


@pytest.mark.peers
def test_the_bundled_datasets_are_scikit_learns() -> None:
    from sklearn import datasets

    root = DATASETS
    for name, target, theirs in (
        ("iris", "species", datasets.load_iris()),
        ("digits", "digit", datasets.load_digits()),
        ("diabetes", "progression", datasets.load_diabetes(scaled=False)),
    ):
        table = Csv(path=f"{name}/{name}.csv", target=(target,)).load(root)
        assert np.array_equal(table.numbers, theirs.data)
        expected = theirs.target_names[theirs.target] if name == "iris" else theirs.target
        assert table.target is not None
        assert np.array_equal(table.target, expected)


def test_scaling_is_exact_in_float64() -> None:
    found = ready(inline([[0.1], [0.2], [0.4]], [0, 1, 0]), scale=Standardize())
    x = np.array([0.1, 0.2, 0.4])
    assert np.allclose(found.splits["train"].x[:, 0], (x - x.mean()) / x.std(), rtol=1e-15)


def test_a_table_without_a_target_names_no_classes() -> None:
    table = Source.parse({"type": "synthetic", "shape": "moons"}).load(Path("."), need_target=False)
    with pytest.raises(Failure) as caught:
        labels_of(table, "classes")
    assert [(p.text, p.code) for p in caught.value.problems] == [("the synthetic moons has no target", "no-target")]


def test_rows_laid_end_to_end_are_taken_and_turned_ones_are_not() -> None:
    x = np.arange(24.0).reshape(4, 2, 3)
    known = ready(_npz(x)).preprocessor
    flat = Source.parse(_npz(x.reshape(4, 6))).load(Path("."))
    assert np.array_equal(known.encode_inputs(flat, np.float64, np.arange(4)).reshape(x.shape), x)
    turned = Source.parse(_npz(x.transpose(0, 2, 1))).load(Path("."))
    with pytest.raises(Failure, match=r"has rows of 3 x 2 values, the model takes 2 x 3 values"):
        known.encode_inputs(turned, np.float64, np.arange(4))


def _npz(x: Array) -> dict[str, Any]:
    np.savez("a.npz", x=x, y=np.array([0, 1, 0, 1]))
    return {"type": "npz", "path": "a.npz"}
