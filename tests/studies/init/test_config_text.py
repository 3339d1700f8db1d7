"""The text of a first config for what was found in the data: each line, on both sides of every bound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from bpcli.config.yamlfile import parse
from bpcli.studies.init.columns import FileColumn
from bpcli.studies.init.config_text import config_text
from bpcli.studies.init.inspect import Inspection


def inspected(rows: int = 600, **more: Any) -> Inspection:
    usual: dict[str, Any] = {
        "source": {"type": "csv", "path": "a.csv"}, "origin": "a.csv", "rows": rows, "columns": (),
        "targets": ("kind",), "task": "classify", "shape": (4,), "outputs": 2, "classes": {"a": 6, "b": 6},
    }  # fmt: skip
    return Inspection(**(usual | more))


def text_of(**more: Any) -> str:
    return config_text(inspected(**more), "net", "bpcli init a.csv")


def parsed(**more: Any) -> Any:
    return parse(text_of(**more), "net.yaml").data


def line_of(start: str, **more: Any) -> str:
    """The one line that begins so."""
    (line,) = [line.strip() for line in text_of(**more).splitlines() if line.strip().startswith(start)]
    return line


# -------------------------------------------------------------------------------------------------------------- heading
def test_the_head_says_where_it_comes_from() -> None:
    lines = text_of(rows=1234, remarks=("two\nlines", "another")).splitlines()
    assert lines[:5] == [
        "# yaml-language-server: $schema=./bpcli.schema.json",
        "# Made by `bpcli init a.csv`",
        "# from 1,234 rows. It is a first guess: change what you know better.",
        "# two lines",
        "# another",
    ]
    assert lines[5] == "name: net"
    assert "#" not in lines


def column(name: str, **more: Any) -> FileColumn:
    return FileColumn(name, **({"kind": "number", "holds": "1 to 2", "treatment": "standardized"} | more))


def test_columns_stand_under_each_other() -> None:
    long = "x" * 33
    columns = (
        column("a", missing=0.123),
        column("ab\n", kind="text", holds="3 categories", treatment="one-hot, 3 inputs", missing=1.0),
        column(long, dropped=True, treatment="left out: it numbers the rows", missing=0.5),
        column(long[:32]),
    )
    lines = text_of(columns=columns).splitlines()
    assert lines[3:8] == [
        "#",
        f"#   {'a'.ljust(32)}  number  1 to 2        standardized; 12.3 % missing",
        f"#   {'ab '.ljust(32)}  text    3 categories  one-hot, 3 inputs; 100 % missing",
        f"#   {'x' * 29 + '...'}  number  1 to 2        left out: it numbers the rows",
        f"#   {'x' * 32}  number  1 to 2        standardized",
    ]


@pytest.mark.parametrize(("count", "more"), [(40, []), (41, ["1"]), (55, ["15"])])
def test_forty_columns_are_listed(count: int, more: list[str]) -> None:
    text = text_of(columns=tuple(column(f"c{k}") for k in range(count)))
    assert "#   c39 " in text
    assert "#   c40 " not in text
    words = [f"#   and {n} more: `bpcli check --json` shows what is done with each" for n in more]
    assert [line for line in text.splitlines() if line.startswith("#   and")] == words


# ----------------------------------------------------------------------------------------------------------------- data
@pytest.mark.parametrize(
    ("rows", "validation", "test"),
    [
        (49, None, None),
        (50, None, 0.2),
        (499, None, 0.2),
        (500, 0.15, 0.15),
        (99_999, 0.15, 0.15),
        (100_000, 0.05, 0.1),
    ],
)
def test_how_many_rows_are_kept(rows: int, validation: float | None, test: float | None) -> None:
    data = parsed(rows=rows)["data"]
    assert (data.get("validation"), data.get("test")) == (validation, test)
    text = text_of(rows=rows)
    assert ("# too few rows for a test split" in text) is (test is None)
    assert ("# validation: 0.15          # few rows" in text) is (test == 0.2)
    assert ("early_stopping" in text) is (validation is not None)


def test_comments_of_shares_stand_under_each_other() -> None:
    text = text_of()
    assert "  validation: 0.15            # of the rows: they say when to stop\n" in text
    assert "  test: 0.15                  # for the final judgement, `bpcli eval`\n" in text
    assert "  scale: standardize          # numbers to mean 0" in text


def test_the_first_date_may_split_the_rows() -> None:
    dates = (
        column("x"),
        column("when", kind="date", dropped=True),
        column("born", kind="date"),
        column("d", kind="date"),
    )
    text = text_of(columns=dates)
    assert "  # split: {time: born}    # to be judged on the latest rows, as a forecast is\n" in text
    assert text.count("# split:") == 1
    assert "# split:" not in text_of()


def test_values_are_scaled_and_classes_are_not() -> None:
    assert "scale_target" not in text_of()
    assert parsed(task="regress", classes={}, outputs=1)["data"]["scale_target"] == "standardize"


def test_pixels_share_a_scale_and_are_moved() -> None:
    data = parsed(pixels=True, shape=(8, 8, 1))["data"]
    assert data["scale"] == {"type": "standardize", "per": "all"}
    assert data["augment"] == [{"type": "shift", "pixels": 1}]
    assert parsed(shape=(8, 8, 1))["data"]["scale"] == "standardize"


def test_a_source_stands_on_one_line_where_nothing_is_to_be_said_and_it_fits() -> None:
    """`  train: {type: csv, path: ...` with a path so long that the line has 100 or 101 characters."""
    fixed = len("  train: {type: csv, path: , target: kind}")
    assert line_of("train:", source={"type": "csv", "path": "p" * (100 - fixed)}).endswith("p, target: kind}")
    assert line_of("train:", source={"type": "csv", "path": "p" * (101 - fixed)}) == "train:"
    for key in ("drop", "missing", "unseen", "columns"):
        value: Any = {"x": {"missing": "drop"}} if key == "columns" else ["x"] if key == "drop" else "mean"
        assert line_of("train:", source={"type": "csv", "path": "a.csv", key: value}) == "train:"
    assert line_of("train:", source={"type": "csv", "path": "a.csv", "header": False}).startswith("train: {type: csv")


def test_what_is_set_for_a_source_is_explained() -> None:
    source = {"type": "csv", "path": "a.csv", "drop": ["x"], "columns": {"d": {"parts": ["days"]}},
              "missing": "median", "indicator": True, "unseen": "ignore", "header": False}  # fmt: skip
    source["columns"]["e"] = {"missing": "drop"}  # type: ignore[index]
    lines = text_of(source=source).splitlines()
    start = lines.index("  train:")
    assert lines[start + 1 : start + 12] == [
        "    type: csv",
        "    path: a.csv",
        "    target: kind",
        "    drop: [x]    # what says nothing about rows to come",
        "    columns:",
        "      d: {parts: [days]}",
        "      e: {missing: drop}",
        "    missing: median    # of the training rows, for gaps in later files too",
        "    indicator: true    # an input says where a value is missing",
        "    unseen: ignore    # a category that train does not have counts as none of its own",
        "    header: false",
    ]


def test_a_target_stands_behind_the_path_and_several_in_a_list() -> None:
    source: Mapping[str, Any] = {"type": "csv", "path": "a.csv", "target": ["old"], "header": False}
    assert line_of("train:", source=source) == "train: {type: csv, path: a.csv, target: kind, header: false}"
    assert line_of("train:", source=source, targets=("p", "q")).endswith("target: [p, q], header: false}")
    assert line_of("train:", source={"type": "npz", "path": "a.npz"}, targets=()) == "train: {type: npz, path: a.npz}"


def test_a_long_list_has_a_line_for_each() -> None:
    def shown(count: int) -> list[str]:
        return text_of(source={"type": "csv", "path": "a.csv", "drop": ["x" * count, "z"]}).splitlines()

    fits = "    drop: [, z]"
    assert f"    drop: [{'x' * (100 - len(fits))}, z]    # what says nothing about rows to come" in shown(
        100 - len(fits)
    )
    lines = shown(101 - len(fits))
    start = lines.index("    drop:  # what says nothing about rows to come")
    assert lines[start + 1 : start + 3] == [f"      - {'x' * (101 - len(fits))}", "      - z"]
    lines = text_of(source={"type": "csv", "path": "a.csv", "drop": ["x"], "names": ["n" * 60, "m" * 60]}).splitlines()
    assert "    names:" in lines


# -------------------------------------------------------------------------------------------------------------- network
@pytest.mark.parametrize(
    ("rows", "units", "batch", "epochs"),
    [(500, [32], 16, 100), (501, [64, 32], 32, 60), (5_000, [64, 32], 32, 60), (5_001, [128, 64], 128, 30),
     (100_000, [128, 64], 128, 30), (100_001, [128, 64], 512, 8), (10**9, [128, 64], 512, 8)],
)  # fmt: skip
def test_the_size_follows_the_rows(rows: int, units: list[int], batch: int, epochs: int) -> None:
    found = parsed(rows=rows)
    *hidden, last = found["architecture"]
    assert [layer["units"] for layer in hidden] == units
    assert all(layer["activation"] == "relu" for layer in hidden)
    assert last == {"type": "dense", "units": 2}
    assert (found["training"]["batch_size"], found["training"]["epochs"]) == (batch, epochs)
    words = "    # so many rows teach enough in a few passes"
    assert line_of("epochs:", rows=rows) == f"epochs: {epochs}" + (words if rows > 100_000 else "")


@pytest.mark.parametrize(("rows", "patience"), [(500, 25), (501, 15), (5_001, 7), (100_001, 5)])
def test_patience_is_a_quarter_of_the_epochs(rows: int, patience: int) -> None:
    stopping = parsed(rows=rows)["training"]["early_stopping"]
    assert stopping == {"metric": "validation.capped_loss", "patience": patience}


def test_what_says_when_to_stop_is_a_metric_that_no_row_rules() -> None:
    """It is measured where there are rows to measure it on."""
    assert "capped_loss" in parsed(rows=500)["training"]["metrics"]
    assert "capped_loss" not in parsed(rows=499)["training"]["metrics"]


@pytest.mark.parametrize(
    ("rows", "strength"), [(10, 0.05), (400, 0.05), (500, 0.04), (1_000, 0.02), (30_000, 0.0007), (10**7, 1e-5)]
)
def test_a_penalty_is_the_stronger_the_fewer_the_rows(rows: int, strength: float) -> None:
    assert float(parsed(rows=rows)["regularization"]["strength"]) == strength
    assert parsed(rows=rows)["regularization"]["type"] == "l2"
    assert "regularization" not in parsed(rows=rows, pixels=True, shape=(8, 8, 1))


@pytest.mark.parametrize(("rows", "start"), [(99_999, 0.003), (100_000, 0.001)])
def test_the_rate_falls_from_a_start(rows: int, start: float) -> None:
    assert parsed(rows=rows)["optimizer"] == {"type": "adam", "learning_rate": {"type": "cosine", "start": start}}


def test_an_output_for_each() -> None:
    last = "- {type: dense, units: 2}    # an output for each "
    assert line_of("- {type: dense, units: 2}") == f"{last}class"
    assert line_of("- {type: dense, units: 2}", several=True, classes={}) == f"{last}label"
    assert line_of("- {type: dense, units: 2}", task="regress", classes={}) == f"{last}target"


def test_rows_of_two_axes_are_flattened() -> None:
    assert parsed(shape=(5, 3))["architecture"][0] == "flatten"
    assert "flatten" not in text_of(shape=(15,))


@pytest.mark.parametrize(
    ("shape", "filters", "end"),
    [((7, 9, 1), [], "global_avg_pool"), ((4, 9, 1), [], "flatten"), ((5, 9, 1), [], "global_avg_pool"),
     ((8, 8, 3), [16], "flatten"), ((16, 20, 3), [16, 32], "flatten"), ((64, 16, 3), [16, 32], "flatten"),
     ((15, 15, 1), [16], "global_avg_pool"), ((64, 64, 3), [16, 32, 64], "global_avg_pool"),
     ((32, 32, 3), [16, 32, 64], "flatten"), ((999, 999, 3), [16, 32, 64], "global_avg_pool")],
)  # fmt: skip
def test_images_are_convolved_down_to_a_few_pixels(shape: tuple[int, ...], filters: list[int], end: str) -> None:
    layers = parsed(shape=shape, pixels=True)["architecture"]
    for k, count in enumerate(filters):
        conv = {"type": "conv2d", "filters": count, "kernel": 3, "padding": "same", "bias": False}
        assert layers[4 * k : 4 * k + 4] == [conv, "batch_norm", "relu", {"type": "max_pool2d", "size": 2}]
    assert layers[4 * len(filters) :] == [end, {"type": "dropout", "rate": 0.2}, {"type": "dense", "units": 2}]


# ---------------------------------------------------------------------------------------------------- loss and metrics
@pytest.mark.parametrize(
    ("more", "loss", "metrics"),
    [
        ({"classes": {"a": 29, "b": 10}}, "softmax_cross_entropy", ["accuracy", "capped_loss"]),
        ({"classes": {"a": 30, "b": 10}}, "softmax_cross_entropy", ["accuracy", "f1", "capped_loss"]),
        ({"classes": {"a": 300, "b": 10}}, "softmax_cross_entropy", ["accuracy", "f1", "capped_loss"]),
        ({"classes": {}, "several": True}, "binary_cross_entropy", ["accuracy", "f1", "capped_loss"]),
        ({"classes": {}, "task": "regress"}, "mean_squared_error", ["r2", "mae", "capped_loss"]),
    ],
)
def test_the_loss_and_what_is_measured_suit_the_task(more: Any, loss: str, metrics: list[str]) -> None:
    found = parsed(**more)
    assert (found["loss"], found["training"]["metrics"]) == (loss, metrics)


def test_from_ten_times_as_many_rows_on_of_a_class_accuracy_says_little() -> None:
    assert "judge by f1" not in text_of(classes={"a": 99, "b": 10})
    text = text_of(classes={"long name of a class that goes on": 1000, "c": 500, "b\n": 100})
    assert "# 1,000 rows of long name of a class tha, 100 of b : judge by f1 and by the recall of each class" in text
    assert "# loss: {type: softmax_cross_entropy, class_weights: balanced}\nloss: softmax_cross_entropy\n" in text
