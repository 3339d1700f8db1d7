"""Where a batch is not what its rows give alone, in words; and calls of a layer in other orders, other types and on two
threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from bpcli.engine.network_plan import PlannedLayer, plan_network
from bpcli.family import Array, Frame, Layer, Loss
from bpcli.parts.activations import Tanh
from bpcli.parts.layers.dense import Dense
from bpcli.parts.losses import SquaredError
from bpcli.records.gradcheck import Finding, LayerLaws, TensorRow
from bpcli.studies.gradcheck.layer_laws.beside_others import SpreadEffort, check_beside_others, depends_on_place
from bpcli.studies.gradcheck.layer_laws.call_orders import ORDERS, _Calls
from bpcli.studies.gradcheck.layer_laws.check_layer import LayerCheck, check_layer
from bpcli.studies.gradcheck.layer_laws.lockstep import _in_turn, compare_threads, runs_on_threads
from bpcli.studies.gradcheck.layer_laws.loss_rows import compare_loss_floats, compare_loss_rows
from bpcli.studies.gradcheck.layer_laws.precision import compare_floats, compare_scaled, find_overflow
from bpcli.studies.gradcheck.layer_laws.row_law import RowMismatch
from bpcli.studies.gradcheck.layer_laws.row_sentences import (
    block_in_words,
    columns_in_words,
    counted_rows,
    describe_rows,
    describe_sum,
    describe_values,
    indices_in_words,
    inputs_in_words,
    relation,
)
from bpcli.studies.gradcheck.layer_laws.single_layer import LayerInputs, SingleLayer

RNG = np.random.default_rng(2)
DENSE = {"type": "dense", "units": 3}


def planned(layer: Any, x: tuple[int, ...] = (4,)) -> PlannedLayer:
    return plan_network([Layer.parse(layer)], x).layers[0]


def single(layer: Any, rows: int = 12, dtype: Any = np.float64) -> tuple[SingleLayer, LayerInputs]:
    found = SingleLayer(planned(layer), rows, dtype)
    inputs = found.inputs(rows, 0)
    found.take_weights(inputs)
    return found, inputs


def behind(monkeypatch: pytest.MonkeyPatch, part: type, method: str, edit: Callable[..., Any]) -> None:
    right = getattr(part, method)

    def wrong(self: Any, f: Frame, *train: bool) -> Any:
        value = right(self, f, *train)
        edit(f, *train)
        return value

    monkeypatch.setattr(part, method, wrong)


# ------------------------------------------------------------------------------------------------------------- in words
WORDS = [
    ("row", [0], 1, "the only row"), ("row", [0, 1, 2], 3, "all 3 rows"), ("row", [2], 5, "row 2"),
    ("row", [2, 3], 5, "rows 2 to 3"), ("column", [1, 2, 3], 9, "columns 1 to 3"),
    ("row", [1, 3], 5, "rows 1, 3"), ("row", [1, 3, 5], 7, "every second row from 1 on"),
    ("row", [1, 3, 5], 8, "every second row from 1 on, to 5"), ("row", [0, 3, 6], 9, "every third row from 0 on"),
    ("row", [0, 3, 6], 10, "every third row from 0 on, to 6"),
    ("row", [0, 5, 10], 11, "every 5th row from 0 on"), ("row", [0, 1, 3], 9, "rows 0, 1, 3"),
    ("row", [0, 1, 3, 7], 9, "rows 0, 1, 3, 7"), ("row", [0, 1, 3, 7, 8], 9, "rows 0, 1, 3, 7 and 1 more"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "wrong", "count", "words"), WORDS)
def test_rows_in_words(what: str, wrong: list[int], count: int, words: str) -> None:
    assert indices_in_words(what, wrong, count) == words


def test_columns_in_words() -> None:
    wrong = np.zeros((2, 3, 4), bool)
    wrong[:, 1:] = True
    assert columns_in_words(wrong) == ", in index 1 = 1 to 2"
    wrong[..., 0] = False
    assert columns_in_words(wrong) == ", in index 1 = 1 to 2 and channels 1 to 3"
    wrong[...] = True
    assert columns_in_words(wrong) == ""
    flat = np.array([[True, False, False, False], [True, False, True, False]])
    assert columns_in_words(flat) == ", in columns 0, 2"
    assert columns_in_words(flat[:1], "unit") == ", in unit 0"


def test_a_block_in_words() -> None:
    seen = np.ones((4, 3), bool)

    def said(index: Any, first: str = "row", some: Array = seen) -> str:
        wrong = np.zeros((4, 3), bool)
        wrong[index] = True
        return block_in_words(wrong & some, some, first)

    assert said(2) == "in row 2"
    assert said(2, "") == "in index 0 = 2"
    assert said((slice(None), 1)) == "in column 1"
    assert said((slice(1, 3), slice(0, 2))) == "in rows 1 to 2 and in columns 0 to 1"
    assert said(slice(None)) == ""
    assert said([]) == "", "nowhere"
    assert said(([0, 1], [0, 1])) == "", "no block"
    few = seen.copy()
    few[1, 0] = False
    assert said(2, some=few) == "in row 2"
    assert said(1, some=few) == "in row 1 and in columns 1 to 2", "as far as it was looked at"
    deep = np.zeros((2, 3, 4), bool)
    deep[:, 1, 3] = True
    assert block_in_words(deep, np.ones_like(deep), "row") == "in index 1 = 1 and in column 3"


def test_inputs_in_words() -> None:
    x = np.array([[0.0, 1.0], [-0.0, 2.5]])
    bad = x == 0
    assert inputs_in_words(bad, x) == " where x is 0"
    assert inputs_in_words(x == 2.5, x) == " where x is 2.5"
    assert inputs_in_words(x > 0, x) == ""
    assert inputs_in_words(bad, None) == inputs_in_words(bad[0], x) == ""


RELATIONS = [
    (2.0, "; kernel / alone = 2"), (-0.123456789, "; kernel / alone = -0.123457"), (0.0, "; they are 0 there"),
    (np.nan, "; these entries are never written"), (np.inf, "; they are not finite"),
    (6.0, "; kernel / alone = 6, the number of rows"), (1 / 6, "; kernel / alone = 1/6, a mean for a sum"),
]  # fmt: skip


@pytest.mark.parametrize(("factor", "words"), RELATIONS)
def test_how_numbers_are_related(factor: float, words: str) -> None:
    alone = RNG.normal(size=(6, 2))
    wrong = np.ones((6, 2), bool)
    wrong[0] = False
    with np.errstate(invalid="ignore"):
        batch = np.where(wrong, alone * factor, 77.0)
        assert relation(batch, alone, wrong, 6) == words
        if "number of rows" in words:
            assert relation(batch, alone, wrong) == "; kernel / alone = 6"


def test_numbers_that_are_related_in_no_way() -> None:
    alone, every = RNG.normal(size=(6, 2)), np.ones((6, 2), bool)
    assert relation(RNG.normal(size=(6, 2)), alone, every) == ""
    assert relation(np.ones((6, 2)), np.zeros((6, 2)), every) == "; alone they are 0"
    off = 2 * alone * (1 + 5e-7 * np.sign(RNG.normal(size=(6, 2))))
    assert relation(off, alone, every) == "; kernel / alone = 2"
    assert relation(2 * alone + 1e-4, alone, every) == ""
    some = np.full((6, 2), np.nan)
    some[0, 0] = 1.0
    assert relation(some, alone, every) == "; they are not finite"


def rows_mismatch(name: str, batch: Array, alone: Array) -> RowMismatch:
    return RowMismatch(name, len(batch), True, batch, alone, batch != alone)


def test_what_is_said_of_rows() -> None:
    alone = RNG.normal(size=(6, 3))
    batch = alone.copy()
    batch[4:] *= 3
    assert describe_rows("tanh_1.dx", rows_mismatch("dx", batch, alone), "alone") == Finding(
        "tanh_1.dx", "rows",
        "rows 4 to 5 of dx are not what these rows give alone; kernel / alone = 3: what a row gives must depend on "
        "that row only; look in backward for an index, a slice or a fixed number of rows",
    )  # fmt: skip
    batch = alone.copy()
    batch[4, 1] = 0
    found = describe_rows("tanh_1.y", rows_mismatch("y", batch, alone), "alone").text
    assert found.startswith("row 4 of y, in column 1 is not what these rows give alone; they are 0 there: ")
    assert "look in forward for" in found
    every = describe_rows("tanh_1.y", rows_mismatch("y", 2 * alone, alone), "declared").text
    assert every.startswith(
        "the layer declares rows_are_independent, and all 6 rows of y are others beside other rows;"
    )


def test_what_is_said_of_values() -> None:
    alone = RNG.normal(size=(6, 3))
    batch = alone.copy()
    batch[1::2, 2] = np.nan
    found = RowMismatch("dx", 6, True, batch, alone, np.isnan(batch))
    assert describe_values("tanh_1.dx", found, "threads").text.startswith(
        "every second row from 1 on of dx, in column 2 is others where two threads run the kernels"
    )
    b = RNG.normal(size=3)
    other = b * np.array([1, 1, 2])
    text = describe_values("dense_1.db", RowMismatch("db", 6, True, other, b, other != b), "scaled").text
    assert text.startswith("db, in column 2 is not so many times as large where dy is; kernel / alone = 2: ")


def sums(kept: Any, times: float = 1.0) -> str:
    """What is said where some rows are counted so many times in the gradient of a bias."""
    layer, inputs = single(DENSE, 12)
    factors = np.ones(12)
    factors[kept] = times
    alone = inputs.dy.sum(0)
    batch = factors @ inputs.dy
    found = RowMismatch("db", 12, True, batch, alone, batch != alone)
    return describe_sum("dense_1.db", found, layer, inputs).text


def test_which_rows_are_counted() -> None:
    start = "db of 12 rows is not the sum of what these rows give alone"
    assert sums(slice(5, 12), 0).startswith(
        f"{start}; only rows 0 to 4 are counted: every row of the batch counts once"
    )
    assert sums(slice(1, 12), 0).startswith(f"{start}; only rows 0 to 0 are counted")
    assert sums(slice(0, 12), 12).startswith(f"{start}; kernel / alone = 12, the number of rows: ")
    assert sums(slice(0, 12), 1 / 12).startswith(f"{start}; kernel / alone = 1/12, a mean for a sum: ")


def test_which_rows_are_counted_by_many_entries() -> None:
    layer = SingleLayer(planned({"type": "dense", "units": 30}), 12, np.float64)
    inputs = layer.inputs(12, 0)
    layer.take_weights(inputs)
    terms = np.stack([layer.run(inputs, k, k + 1, True)["db"] for k in range(12)])

    def said(rows: list[int], times: float) -> str:
        factors = np.ones(12)
        factors[rows] = times
        batch = factors @ terms
        found = RowMismatch("db", 12, True, batch, terms.sum(0), np.ones(30, bool))
        return counted_rows(found, layer, inputs)

    assert said([0], 0) == "; row 0 is not counted"
    assert said([8, 9, 10, 11], 2) == "; rows 8 to 11 are counted 2 times"
    assert said([0, 3, 4], 0) == "; rows 0, 3, 4 are not counted"
    assert said([9], 0) == "", "no group of rows that was run"
    assert said(list(range(12)), 3) == "", "all alike: a ratio says that"
    assert said([8, 9, 10, 11], 0) == "; only rows 0 to 7 are counted"
    batch = terms.sum(0) + RNG.normal(size=30)
    found = RowMismatch("db", 12, True, batch, terms.sum(0), np.ones(30, bool))
    assert counted_rows(found, layer, inputs) == ""
    batch[3] = np.nan
    assert counted_rows(RowMismatch("db", 12, True, batch, terms.sum(0), np.ones(30, bool)), layer, inputs) == ""


# ------------------------------------------------------------------------------------------------------ orders of calls
CALLS = {
    "alone": "F12 B12",
    "forward twice": "F12 F12 B12",
    "another batch": "F12 B12 f12 b12 F12 B12",
    "another size": "f11 b11 f1 b1 F12 B12",
    "another mode": "f12! F12 B12",
    "backward twice": "F12 b12 B12",
    "another layer": "F12 f12 b12 B12",
}
"""What the engine does, in order: F forward and B backward of the batch, f and b of another, on so many rows; ! in the
other mode."""


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("order", ORDERS)
def test_orders_of_calls(order: str, train: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []

    def ran(letter: str) -> Callable[..., None]:
        def edit(f: Frame, mode: bool) -> None:
            mine = f.x[0, 0] == inputs.x[0, 0] if letter == "F" else f.dy[0, 0] == inputs.dy[0, 0]
            log.append(f"{letter if mine else letter.lower()}{len(f.x)}{'' if mode is train else '!'}")

        return edit

    behind(monkeypatch, Dense, "forward", ran("F"))
    behind(monkeypatch, Dense, "backward", ran("B"))
    layer, inputs = single(DENSE)
    others = LayerInputs(inputs.x[::-1].copy(), inputs.dy[::-1].copy(), inputs.theta, inputs.states, inputs.draws)
    second, _ = single(DENSE)
    found = ORDERS[order](_Calls(layer, second, inputs, others, 12, train))
    assert " ".join(log) == CALLS[order]
    w = layer.network.parameters()["dense_1.W"]
    np.testing.assert_allclose(found["dx"], inputs.dy @ w.T)
    np.testing.assert_allclose(found["db"], inputs.dy.sum(0))
    np.testing.assert_allclose(found["y"], inputs.x @ w + layer.network.parameters()["dense_1.b"])


# -------------------------------------------------------------------------------------------------------------- threads
def test_two_threads_take_turns_line_by_line() -> None:
    log: list[str] = []

    def one() -> None:
        log.append("a")
        log.append("b")
        log.append("c")

    def two() -> None:
        log.append("A")
        log.append("B")
        log.append("C")

    _in_turn(one, two, __file__)
    assert sorted(log) == list("ABCabc")
    assert [x.lower() for x in log] == list("aabbcc"), log


def test_what_a_thread_raises_is_raised() -> None:
    def bad() -> None:
        raise RuntimeError("no")

    done: list[int] = []
    with pytest.raises(RuntimeError, match="no"):
        _in_turn(bad, lambda: done.append(1), __file__)
    assert done == [1]


def test_a_thread_that_waits_for_the_other_is_let_go() -> None:
    """Both wait at a line for what only the other brings: turns are given up after a second."""
    met: list[str] = []

    def wait_for(what: str, mine: str) -> None:
        met.append(mine)
        while what not in met:
            time.sleep(0.001)

    began = time.perf_counter()
    _in_turn(lambda: wait_for("b", "a"), lambda: wait_for("a", "b"), __file__)
    assert time.perf_counter() - began < 10
    assert sorted(met) == ["a", "b"]


@pytest.mark.parametrize(
    ("layer", "threads"), [("tanh", True), ("relu", True), ("batch_norm", False), ("flatten", False)]
)
def test_what_the_engine_runs_on_threads(layer: str, threads: bool) -> None:
    assert runs_on_threads(single(layer)[0]) is threads


def test_a_right_layer_is_the_same_on_two_threads() -> None:
    assert list(compare_threads(*single("tanh", 40), 40)) == []


def test_what_two_threads_see_both(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: dict[str, Array] = {}

    def forward(self: Any, f: Frame, train: bool) -> None:
        kept["x"] = f.x.copy()
        time.sleep(0)
        np.tanh(kept["x"] if len(kept["x"]) == len(f.x) else f.x, out=f.y)

    monkeypatch.setattr(Tanh, "forward", forward)
    monkeypatch.setattr("bpcli.studies.gradcheck.layer_laws.lockstep.WAIT_SECONDS", 0.2)
    found = list(compare_threads(*single("tanh", 40), 40))
    assert {m.name for m in found} >= {"y"}
    assert {m.rows for m in found} == {40}


# ------------------------------------------------------------------------------------------------------------ precision
def test_float32_is_float64_up_to_rounding() -> None:
    wide, inputs = single(DENSE)
    narrow, _ = single(DENSE, dtype=np.float32)
    narrow.take_weights(inputs)
    worst, mismatches = compare_floats(wide, narrow, inputs, 12, True)
    assert mismatches == []
    assert list(worst) == ["y", "dx", "dW", "db"]
    assert all(1e-10 < gap < 1e-5 for gap in worst.values())


def test_a_kernel_that_is_another_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    def off(f: Frame, train: bool) -> None:
        if f.x.dtype == np.float32:
            f.dx[3] *= 1.01

    behind(monkeypatch, Tanh, "backward", off)
    wide, inputs = single("tanh")
    narrow, _ = single("tanh", dtype=np.float32)
    worst, (mismatch,) = compare_floats(wide, narrow, inputs, 12, False)
    assert (mismatch.name, mismatch.rows, mismatch.train, mismatch.index[0]) == ("dx", 12, False, 3)
    assert mismatch.batch.dtype == np.float32
    assert mismatch.alone.dtype == np.float64
    assert worst["dx"] > 1e-4 > worst["y"]


def test_what_overflows_in_float32_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A square on the way, of inputs that are 64 times as large."""
    wide, inputs = single("tanh")
    narrow, _ = single("tanh", dtype=np.float32)
    assert find_overflow(wide, narrow, inputs, 12, True) == []

    def square(f: Frame, train: bool) -> None:
        f.y[...] = f.x * (f.x * f.x.dtype.type(1e36)) / (f.x * f.x.dtype.type(1e36))

    behind(monkeypatch, Tanh, "forward", square)
    wide, inputs = single("tanh")
    narrow, _ = single("tanh", dtype=np.float32)
    with np.errstate(all="ignore"):
        found = find_overflow(wide, narrow, inputs, 12, True)
    mismatch = next(m for m in found if m.name == "y")
    assert (mismatch.rows, mismatch.train, mismatch.batch.dtype) == (12, True, np.float64)
    np.testing.assert_array_equal(mismatch.wrong, np.square(64 * inputs.x) * 1e36 > np.finfo(np.float32).max)


def test_what_a_kernel_changes_of_what_it_only_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, inputs = single(DENSE)
    assert list(layer.changed(inputs, 12, True)) == []

    def edit(f: Frame, train: bool) -> None:
        f.W[0, 0] += 1
        f.x[3] *= 2

    behind(monkeypatch, Dense, "backward", edit)
    layer, inputs = single(DENSE)
    found = {name: (after, before) for name, after, before in layer.changed(inputs, 12, True)}
    assert set(found) == {"x", "W"}
    after, before = found["x"]
    np.testing.assert_array_equal(before, inputs.x)
    np.testing.assert_array_equal(np.argwhere(after != before)[:, 0], [3] * 4)
    np.testing.assert_array_equal(layer.network.theta, inputs.theta)


def test_a_layer_that_is_not_asked_for_dx() -> None:
    layer = SingleLayer(planned(DENSE), 12, np.float64, need_dx=False)
    inputs = layer.inputs(12, 0)
    layer.take_weights(inputs)
    found = layer.run(inputs, 0, 12, True)
    assert list(found) == ["y", "dW", "db"]
    np.testing.assert_allclose(found["db"], inputs.dy.sum(0))


def test_gradients_are_as_large_as_the_error() -> None:
    assert compare_scaled(*single(DENSE), 12, True) == []
    assert compare_scaled(*single("tanh"), 12, False) == []


@pytest.mark.parametrize(("bound", "factor"), [(np.clip, 2.0**40), (None, 2.0**-40)])
def test_a_bound_on_the_error_is_seen(bound: Any, factor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(f: Frame, train: bool) -> None:
        if bound is None:
            f.db[np.abs(f.db) < 1e-6] = 0
        else:
            np.clip(f.db, -1e6, 1e6, out=f.db)

    behind(monkeypatch, Dense, "backward", cut)
    (mismatch,) = compare_scaled(*single(DENSE), 12, True)
    assert (mismatch.name, mismatch.rows, mismatch.train) == ("db", 12, True)
    assert np.abs(mismatch.batch) == pytest.approx(1e6 / factor if bound else 0)


# ------------------------------------------------------------------------------------------------- rows that see others
def test_entries_that_are_spread_over_every_row_and_column() -> None:
    effort, rng = SpreadEffort(0, 20, 20, 1), np.random.default_rng(0)
    assert effort.indices((4, 5), 20, rng) == tuple(np.ndindex((4, 5)))
    found = effort.indices((17, 9), 20, rng)
    assert found == tuple(sorted(set(found)))
    assert len(found) <= 22
    assert {i for i, _ in found} == set(range(17))
    assert {j for _, j in found} == set(range(9))
    assert {(0, 0), (16, 8)} <= set(found)
    assert effort.indices((), 5, rng) == ((),)


def test_whether_a_row_depends_on_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not depends_on_place(*single("batch_norm"), 12, True)
    assert depends_on_place(*single("tanh"), 12, True)
    behind(monkeypatch, Tanh, "forward", lambda f, train: f.y.__iadd__(np.arange(len(f.y))[:, None]))
    assert depends_on_place(*single("tanh"), 12, True), "and on no other row"
    behind(monkeypatch, Tanh, "forward", lambda f, train: f.y.__iadd__(1e-9 * f.x.mean(0)))
    assert not depends_on_place(*single("tanh"), 12, True)


def test_a_layer_beside_others_is_held_against_its_equations(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, inputs = single("batch_norm")
    found = check_beside_others(planned("batch_norm"), layer, inputs, 12, True, 30, "12 rows in training")
    assert (found.rows, found.findings, found.witness) == ((), (), "equations")
    assert found.worst < 1e-9
    part = type(layer.planned.layer)
    behind(monkeypatch, part, "backward", lambda f, train: f.dx[9:].__imul__(1.001))
    behind(monkeypatch, part, "forward", lambda f, train: f.y[2, 1:2].__iadd__(1.0))
    layer, inputs = single("batch_norm")
    found = check_beside_others(planned("batch_norm"), layer, inputs, 12, True, 30, "12 rows in training")
    rows = {row.tensor: row for row in found.rows}
    assert set(rows) >= {"batch_norm_1.y", "batch_norm_1.dx"}
    y = rows["batch_norm_1.y"]
    assert (y.index, y.point, y.witness, y.verdict, y.note) == (
        (2, 1), "12 rows in training", "equations", "WRONG", "the forward pass",
    )  # fmt: skip
    assert rows["batch_norm_1.dx"].index[0] >= 9
    texts = {f.tensor: f.text for f in found.findings}
    assert texts["batch_norm_1.y"].startswith("the forward pass computes ")
    assert " at [2,1]: " in texts["batch_norm_1.y"]
    assert found.worst >= 1e-4


# ------------------------------------------------------------------------------------------------------ the whole of it
def checked(layer: Any, sizes: tuple[int, ...] = (3, 10), seconds: float = 1e-7, **more: Any) -> LayerCheck:
    with np.errstate(all="ignore"):
        return check_layer(planned(layer), {True: sizes, False: sizes}, seconds, 0, **more)


def test_a_right_layer_obeys_all_laws() -> None:
    for layer, threads in ((DENSE, None), ("tanh", True)):
        found = checked(layer)
        assert (found.rows, found.findings) == ([], [])
        laws = found.laws
        assert (laws.layer, laws.rows, laws.beside, laws.note) == (planned(layer).path, (3, 10), {}, "")
        assert list(laws.alone) == ["training", "evaluation"]
        assert (laws.scaled, laws.calls, laws.threads) == (True, True, threads)
        assert laws.float32 is not None
        assert 1e-9 < laws.float32 < 1e-5
    assert checked("tanh", (3, 7)).laws.threads is None, "too few rows for two threads"


def test_rows_that_see_each_other_are_held_against_equations() -> None:
    laws = checked("batch_norm").laws
    assert laws.alone["training"] is None
    assert laws.alone["evaluation"] is not None
    assert laws.beside["training"][0] == "equations"
    assert laws.beside.keys() == {"training"}


def test_sizes_that_take_too_long_are_left_out_and_said() -> None:
    laws = checked(DENSE, (3, 10, 40), seconds=2.0 / (24 * 10.5)).laws
    assert laws.rows == (3, 10)
    assert laws.note == "not looked at with 40 rows, which take too much time or memory"
    assert checked(DENSE, (3, 10), seconds=9.0).laws.rows == (3,), "the smallest in any case"


def test_what_a_law_shows_is_kept_with_its_point(monkeypatch: pytest.MonkeyPatch) -> None:
    def twice(f: Frame, train: bool) -> None:
        if f.dx is not None and not train:
            f.dx[8:] *= 2

    behind(monkeypatch, Dense, "backward", twice)
    found = checked(DENSE)
    (row,) = found.rows
    assert (row.scope, row.tensor, row.witness, row.point, row.verdict) == (
        "layer", "dense_1.dx", "rows alone", "10 rows at evaluation", "WRONG",
    )  # fmt: skip
    assert (row.entries, row.of, row.index[0]) == (40, 40, 8)
    assert row.kernel == pytest.approx(2 * row.numeric)
    assert row.worst == pytest.approx(0.5)
    assert row.gaps == {"rows alone": row.worst}
    (finding,) = found.findings
    assert finding.text.startswith("rows 8 to 9 of dx are not what these rows give alone; kernel / alone = 2: ")


def test_the_same_of_another_layer() -> None:
    laws = LayerLaws("dense_1", (3,), {}, {}, None, None, None, None)
    row = TensorRow("layer", "dense_1.dW", 1, 1, 0.0, (), 0.0, 0.0, "", "", "WRONG")
    found = LayerCheck(laws, [row], [Finding("dense_1.dW", "rows", "text"), Finding("dense_1.a.db", "rows", "other")])
    other = found.renamed("residual_2.dense_3")
    assert other.laws.layer == "residual_2.dense_3"
    assert [r.tensor for r in other.rows] == ["residual_2.dense_3.dW"]
    assert [(f.tensor, f.text) for f in other.findings] == [
        ("residual_2.dense_3.dW", "text"), ("residual_2.dense_3.a.db", "other"),
    ]  # fmt: skip
    assert found.rows[0].tensor == "dense_1.dW"


# --------------------------------------------------------------------------------------------------------------- a loss
X, T = RNG.normal(size=(6, 3)), RNG.normal(size=(6, 3))


def loss_mismatches(loss: str = "squared_error", sizes: tuple[int, ...] = (3, 20)) -> Iterator[RowMismatch]:
    with np.errstate(all="ignore"):
        yield from compare_loss_rows(Loss.parse(loss), X, T, sizes, 0).mismatches


@pytest.mark.parametrize("loss", ["squared_error", "huber", "log_cosh", "mean_absolute_error"])
def test_a_right_loss_is_the_mean_of_its_rows(loss: str) -> None:
    assert list(loss_mismatches(loss)) == []


def test_a_loss_that_is_no_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    right = SquaredError.forward
    monkeypatch.setattr(SquaredError, "forward", lambda self, f: right(self, f) + 1e-6 * (len(f.x) > 9))
    found = list(loss_mismatches())
    assert {(m.name, m.rows) for m in found} == {("L", 20)}
    assert len(found) == 2, "without weights, and with them"
    assert float(found[0].batch[0] - found[0].alone[0]) == pytest.approx(1e-6, rel=1e-3)


def test_a_gradient_of_a_loss_that_leaves_a_row_out(monkeypatch: pytest.MonkeyPatch) -> None:
    behind(monkeypatch, SquaredError, "backward", lambda f: f.dx[15:].fill(0))
    found = list(loss_mismatches())
    assert {(m.name, m.rows, m.index[0]) for m in found} == {("dx", 20, 15)}


def test_a_loss_is_the_same_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    loss = Loss.parse("squared_error")
    worst, mismatches = compare_loss_floats(loss, X, T)
    assert mismatches == []
    assert 1e-9 < worst < 1e-5

    def off(f: Frame) -> None:
        if f.x.dtype == np.float32:
            f.dx[2] *= 1.001

    behind(monkeypatch, SquaredError, "backward", off)
    worst, (mismatch,) = compare_loss_floats(loss, X, T)
    assert (mismatch.name, mismatch.rows, mismatch.index[0]) == ("dx", 6, 2)
    assert 1e-5 < worst < 1e-2
    right = SquaredError.forward
    monkeypatch.undo()
    monkeypatch.setattr(
        SquaredError, "forward", lambda self, f: right(self, f) * (1.001 if f.x.dtype == np.float32 else 1)
    )
    _, (mismatch,) = compare_loss_floats(loss, X, T)
    assert (mismatch.name, float(mismatch.batch[0] / mismatch.alone[0])) == ("L", pytest.approx(1.001, rel=1e-5))


def test_a_loss_that_reads_no_weights_is_compared_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SquaredError, "forward", lambda self, f: float(np.square(f.x - f.t).sum()) / len(f.x))
    monkeypatch.setattr(
        SquaredError, "backward", lambda self, f: np.divide(2 * (f.x - f.t), len(f.x) + (len(f.x) > 9), out=f.dx)
    )
    assert [(m.name, m.rows) for m in loss_mismatches()] == [("dx", 20)]
