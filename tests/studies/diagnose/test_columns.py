"""From which sizes on inputs and targets are large, and which columns are constant or copies of others."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hand_diagnosis import CLASSES, ROWS, X, context_of, dense, only, sets_of, values_of, with_rows

from bpcli.numeric.streams import Stream
from bpcli.records.diagnose import Symptom
from bpcli.studies.diagnose.columns import input_sizes, target_range, useless_columns
from bpcli.studies.diagnose.diagnosis_context import DiagnosisContext

SIGNS = np.where(np.arange(ROWS) % 2 == 0, 1.0, -1.0)[:, None]  # mean 0, deviation 1


def of_sizes(*sizes: float, **more: Any) -> Symptom:
    return only(input_sizes(context_of(x=SIGNS * sizes, **more)))


# -------------------------------------------------------------------------------------------------------------- inputs
@pytest.mark.parametrize(
    ("size", "level"), [(9.99, "ok"), (10.0, "notice"), (19.99, "notice"), (20.0, "warning"), (1e9, "warning")]
)
def test_large_inputs(size: float, level: str) -> None:
    found = of_sizes(size / 2, size, size / 2)
    assert (found.level, found.measured) == (level, "size of the largest input")
    assert found.value == pytest.approx(size)
    if level == "ok":
        assert (found.figure, found.place) == (f"inputs are about {size:.3g} in size", "")
        assert (found.why, found.cures) == ("", ())
    else:
        assert found.figure == f"input 1 is about {size:.3g} in size, and nothing scales it"
        assert found.place == "input 1"
        assert sets_of(found) == ["data.scale=standardize"]


def test_the_size_of_an_input_is_its_root_mean_square() -> None:
    found = only(input_sizes(context_of(x=np.hstack([SIGNS + 30, SIGNS]))))
    assert found.value == pytest.approx(math.sqrt(901))
    assert (found.level, found.place) == ("warning", "input 0")


@pytest.mark.parametrize(
    ("widest", "level"), [(3.74, "ok"), (3.75, "notice"), (9.99, "notice"), (12.49, "notice"), (12.5, "warning")]
)
def test_a_column_that_dwarfs_the_others(widest: float, level: str) -> None:
    """Thirty and a hundred times the median of the deviations, an eighth."""
    found = of_sizes(0.125, widest, 0.125, 0.125)
    assert found.level == level
    if level == "ok":
        assert found.figure == "inputs are about 3.74 in size"
    elif widest != 12.49:  # a notice by its size too
        assert found.place == "input 1"
        assert found.figure == f"the deviation of input 1 is {8 * widest:.3g} times the usual one"
        assert found.value == pytest.approx(8 * widest)
        assert found.measured == "largest over usual deviation"


def test_deviations_are_uneven_only_where_the_widest_is_above_1() -> None:
    assert of_sizes(0.001, 1.0, 0.001).level == "ok"
    assert of_sizes(0.001, 1.001, 0.001).level == "warning"


def test_the_worse_of_size_and_unevenness_is_shown() -> None:
    assert "deviation" in of_sizes(0.1, 15.0, 0.1).figure  # notice by its size, warning by its deviation
    assert "in size" in of_sizes(0.8, 25.0, 0.8).figure  # warning by its size, notice by its deviation
    assert "in size" in of_sizes(0.1, 25.0, 0.1).figure  # both


def test_a_wide_column_is_not_the_largest() -> None:
    """The largest has a mean of 9 and hardly varies; the widest is named where deviations are uneven."""
    x = np.hstack([0.01 * SIGNS + 9, 0.01 * SIGNS, 2 * SIGNS])
    assert only(input_sizes(context_of(x=x))).place == "input 2"
    x = np.hstack([0.5 * SIGNS + 19, 0.5 * SIGNS, 2 * SIGNS])
    assert only(input_sizes(context_of(x=x))).place == "input 0"
    x = np.hstack([0.1 * SIGNS + 30, 0.1 * SIGNS, 12 * SIGNS])  # warnings both
    assert only(input_sizes(context_of(x=x))).place == "input 0"


def test_what_never_changes_has_no_size_to_scale() -> None:
    x = np.hstack([0 * SIGNS + 1000, SIGNS])
    assert only(input_sizes(context_of(x=x))).value == 1.0
    assert input_sizes(context_of(x=0 * X + 7)) == []


def test_scaled_inputs_are_not_uneven() -> None:
    """Pixels share one scale, and those at a border hardly vary."""
    context = context_of(x=SIGNS * [0.001, 0.001, 0.001, 5.0], sets=["data.scale={type: standardize, per: all}"])
    assert context.train.x.std(axis=0)[3] == pytest.approx(2, rel=1e-3)
    found = only(input_sizes(context))
    assert (found.level, found.measured) == ("ok", "size of the largest input")


def test_categories_are_no_sizes() -> None:
    """The median is that of the numbers: with the four inputs of a category it would be five times as large."""
    lines = [
        "a,b,c,d,kind",
        *(f"{0.125 * s},{0.125 * s},{4 * s},{'pqrs'[i % 4]},k{i % 3}" for i, s in enumerate(SIGNS[:, 0])),
    ]
    Path("rows.csv").write_text("\n".join(lines))
    data = {"train": {"type": "csv", "path": str(Path("rows.csv").resolve()), "target": "kind"}}
    context = context_of(data=data)
    assert context.network_plan.x == (7,)
    found = only(input_sizes(context))
    assert (found.place, found.level) == ("c", "notice")
    assert found.value == pytest.approx(32)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_norm_counts_where_it_stands_before_the_first_weights() -> None:
    x = 60 * X
    flat = ["identity", "batch_norm", dense(3)]
    assert only(input_sizes(context_of(flat, x=x))).level == "ok"
    assert only(input_sizes(context_of([{"type": "batch_norm", "affine": False}, dense(3)], x=x))).level == "ok"
    assert only(input_sizes(context_of([dense(4), "batch_norm", dense(3)], x=x))).level == "warning"


def spread(rows: int) -> DiagnosisContext:
    """Rows of which every second one, the first among them, has other inputs than the rest."""
    k = np.arange(rows)
    x = np.stack([np.where(k % 2 == 0, 5.0, 6.0), np.where(k % 2 == 0, (k // 2) % 2 * 2 - 1, 99), k % 7, k % 5], axis=1)
    return with_rows(context_of(), x.astype(np.float32), k % 3)


def test_of_many_rows_at_most_5000_are_looked_at_spread_evenly() -> None:
    all_rows, half = spread(5000), spread(5001)
    assert only(input_sizes(all_rows)).value == pytest.approx(math.sqrt((1 + 99**2) / 2))
    assert only(input_sizes(half)).value == pytest.approx(math.sqrt(13), rel=1e-3)  # of 0 to 6


def test_a_column_is_constant_where_it_is_so_in_every_row() -> None:
    assert only(useless_columns(spread(5001))).level == "ok"
    context = spread(5001)
    context.train.x[:, 0] = 5
    assert only(useless_columns(context)).place == "constant"


# ------------------------------------------------------------------------------------------------------------- targets
@pytest.mark.parametrize(("size", "level"), [(4.999, "ok"), (5.001, "notice"), (19.99, "notice"), (20.01, "warning")])
def test_targets_far_from_where_outputs_start(size: float, level: str) -> None:
    found = only(target_range(values_of(t=size * SIGNS)))
    assert (found.level, found.measured) == (level, "size of the targets")
    assert found.value == pytest.approx(size)
    assert found.figure == f"targets are about {size:.4g} in size"
    assert sets_of(found) == ([] if level == "ok" else ["data.scale_target=standardize"])


def test_the_size_of_targets_is_their_root_mean_square() -> None:
    assert only(target_range(values_of(t=SIGNS + 3))).value == pytest.approx(math.sqrt(10))


@pytest.mark.parametrize(
    ("activation", "low", "high", "said", "sets"),
    [
        ("sigmoid", 0.0, 1.0, "", None),
        ("sigmoid", -0.001, 1.0, "from 0 to 1", ["architecture.1.activation=null", "data.scale_target=minmax"]),
        ("sigmoid", 0.0, 1.001, "from 0 to 1", ["architecture.1.activation=null", "data.scale_target=minmax"]),
        ("tanh", -1.0, 1.0, "", None),
        ("tanh", -1.001, 1.0, "from -1 to 1", ["architecture.1.activation=null", "data.scale_target=minmax"]),
        ("relu", 0.0, 9e5, "", None),
        ("relu", -1.0, 5.0, "from 0 to 1e+06", ["architecture.1.activation=null", "data.scale_target=minmax"]),
        ("identity", -99.0, 99.0, "", None),
    ],
)
def test_targets_that_the_last_activation_cannot_reach(
    activation: Any, low: float, high: float, said: str, sets: Any
) -> None:
    t = np.where(SIGNS > 0, high, low)
    layers = [dense(5, "tanh"), {"type": "dense", "units": 1, "activation": activation}]
    found = target_range(values_of(layers, t=t))
    assert bool(found) is bool(said)
    if said:
        assert (found[0].level, found[0].place, found[0].value) == ("warning", "dense_2.activation", high)
        words = f"targets run from {low:.4g} to {high:.4g}, and dense_2.activation {said}"
        assert found[0].figure == words
        assert sets_of(found[0]) == sets


def test_an_activation_that_is_a_layer_of_its_own_stays() -> None:
    found = only(target_range(values_of([dense(1), "sigmoid"], t=3 * SIGNS)))
    assert (found.place, sets_of(found)) == ("sigmoid_1", ["data.scale_target=minmax"])


def test_scaled_targets_are_not_scaled_again() -> None:
    context = values_of([dense(5, "tanh"), dense(1, "sigmoid")], t=3 * SIGNS, sets=["data.scale_target=standardize"])
    assert sets_of(only(target_range(context))) == ["architecture.1.activation=null"]


def test_a_target_at_the_end_of_the_range_is_reached_in_float32() -> None:
    """-0.1 in float32 is less than -0.1."""
    end = {"type": "dense", "units": 1, "activation": {"type": "elu", "alpha": 0.1}}
    assert target_range(values_of([end], t=np.where(SIGNS > 0, 1.0, -0.1), dtype="float32")) == []
    assert len(target_range(values_of([end], t=np.where(SIGNS > 0, 1.0, -0.100001), dtype="float32"))) == 1


def test_classes_and_counts_have_no_range() -> None:
    assert target_range(context_of()) == []
    assert target_range(context_of(t=[f"k{k}" for k in CLASSES], loss="mean_squared_error")) == []
    assert target_range(context_of([dense(3)], t=np.eye(3)[CLASSES], loss="binary_cross_entropy")) == []
    assert target_range(values_of(t=SIGNS + 900, loss="poisson")) == []


def test_three_names_of_targets_are_shown(tmp_path: Path) -> None:
    lines = ["x,p,q,r,s", *(f"{i},{9 * s},{9 * s},{9 * s},{9 * s}" for i, s in enumerate(SIGNS[:, 0]))]
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    data = {"train": {"type": "csv", "path": str(tmp_path / "rows.csv"), "target": ["p", "q", "r", "s"]}}
    assert only(target_range(values_of([dense(4)], data=data))).place == "p, q, r"


# ------------------------------------------------------------------------------------------------------------- columns
def copies(*columns: Any, **more: Any) -> list[Symptom]:
    return useless_columns(context_of(x=np.stack(columns, axis=1), **more))


A, B, C, D = X.T


def test_columns_that_differ_are_no_copies() -> None:
    found = only(copies(A, B, C, D))
    assert (found.level, found.figure) == ("ok", "no constant or duplicate among 4 inputs")


@pytest.mark.parametrize("copy", [A, 2 * A, -A, A + 3, 5 - 0.001 * A, 1e6 * A])
def test_a_column_that_equals_another_up_to_scale(copy: Any) -> None:
    found = only(copies(A, B, copy))
    assert (found.level, found.place, found.value) == ("notice", "duplicate", 1.0)
    assert found.measured == "such columns"
    assert found.figure == "1 of 3 inputs rise and fall exactly with another: input 2 with input 0"


def test_a_column_that_nearly_equals_another_is_none() -> None:
    nearly = A + 1e-3 * B
    assert abs(np.corrcoef(A, nearly)[0, 1]) > 1 - 1e-5
    assert only(copies(A, B, nearly)).level == "ok"


def test_columns_that_fall_on_one_point_of_a_projection_are_compared_themselves() -> None:
    """The direction is that of the search; what is added to A is perpendicular to it."""
    direction = Stream(0, "duplicates").at().normal(size=ROWS)
    a = A - A.mean()
    basis, _ = np.linalg.qr(np.stack([np.ones(ROWS), direction, a, B], axis=1))
    other = a + 1e-3 * np.linalg.norm(a) * basis[:, 3]
    assert np.corrcoef(a, other)[0, 1] == pytest.approx(1 - 5e-7, abs=1e-8)
    assert only(copies(a, C, other)).level == "ok"


def test_each_copy_counts_once() -> None:
    found = only(copies(A, B, 2 * A, 3 * A, -B, A + 1))
    assert found.value == 4
    assert found.figure.startswith("4 of 6 inputs rise and fall exactly with another: ")
    assert found.figure.count(" with ") == 4  # three pairs, after "with another"


def test_constant_columns() -> None:
    found = only(copies(A, 0 * A + 7, B, 0 * A))
    assert (found.level, found.place, found.value) == ("notice", "constant", 2.0)
    assert found.figure == "2 of 4 inputs are the same in every training row: input 1, input 3"


def test_two_rows_are_no_copies_of_each_other() -> None:
    context = context_of()
    assert only(useless_columns(with_rows(context, X[:2], CLASSES[:2]))).level == "ok"
    collinear = np.stack([X[:3, 0], 2 * X[:3, 0], X[:3, 1], X[:3, 2]], axis=1)
    assert only(useless_columns(with_rows(context, collinear, CLASSES[:3]))).value == 1


def table(folder: Path, header: str, *columns: Any) -> dict[str, Any]:
    lines = [
        f"{header},kind",
        *(",".join(map(str, row)) + f",k{i % 3}" for i, row in enumerate(zip(*columns, strict=True))),
    ]
    (folder / "rows.csv").write_text("\n".join(lines))
    return {"train": {"type": "csv", "path": str(folder / "rows.csv"), "target": "kind"}}


def test_columns_of_a_file_can_be_left_out(tmp_path: Path) -> None:
    data = table(tmp_path, "a,b,c,d", A, B, 2 * A, C)
    data["train"]["drop"] = ["d"]
    context = context_of(data=data)
    found = only(useless_columns(context))
    assert sets_of(found) == ["data.train.drop=[d, c]"]
    assert found.figure.endswith(": c with a")
    context.with_settings = None
    assert sets_of(only(useless_columns(context))) == []


def test_a_category_cannot_be_left_out_as_a_column(tmp_path: Path) -> None:
    """Of two columns of categories that say the same, the inputs are copies and no columns of the file."""
    letters = ["pqr"[i % 3] for i in range(ROWS)]
    found = only(useless_columns(context_of(data=table(tmp_path, "a,u,v", A, letters, [c.upper() for c in letters]))))
    assert found.value == 3
    assert found.place == "duplicate"
    assert sets_of(found) == []


def test_a_column_is_called_a_copy_of_one_other_at_most() -> None:
    """Three alike are two copies, of whatever order their projections are."""
    for scale in (1.0, -2.0, 0.5):
        found = only(copies(scale * A, B, A, 3 * A, C, -A))
        assert found.value == 3
        listed = found.figure.partition(": ")[2]
        assert len({pair.partition(" with ")[0] for pair in listed.split(", ")}) == 3


def test_the_categories_of_one_column_are_no_copies_of_each_other(tmp_path: Path) -> None:
    letters = ["pq"[i % 2] for i in range(ROWS)]
    assert only(useless_columns(context_of(data=table(tmp_path, "a,u", A, letters)))).level == "ok"
    (tmp_path / "other").mkdir()
    found = only(useless_columns(context_of(data=table(tmp_path / "other", "a,u,v", A, letters, SIGNS[:, 0]))))
    assert found.figure == "1 of 4 inputs rise and fall exactly with another: v with u=p"


def test_rows_that_name_no_columns_lose_none() -> None:
    assert sets_of(only(copies(A, B, A))) == []


def test_the_range_of_an_activation_is_that_at_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    def forward(self: Any, f: Any, train: bool) -> None:
        f.y[...] = f.x if train else np.clip(f.x, -1, 1)

    context = values_of([dense(5, "tanh"), dense(1, "hard_tanh")], t=3 * SIGNS)
    monkeypatch.setattr(type(context.network_plan.layers[-1].layer), "forward", forward)
    assert "from -1 to 1" in only(target_range(context)).figure
