"""Gradients of a file beside ours: what is compared, how far off it may be, and what is said of a mistake."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trace_nets import dense, experiment, trace_target

from bpcli.family import Array
from bpcli.records.gradcheck import GradcheckReport
from bpcli.records.training import Exit, Failure
from bpcli.studies.gradcheck.external import ReferencePass, check_external
from bpcli.studies.trace.open import TraceTarget

RNG = np.random.default_rng(5)
X, T = RNG.normal(size=(5, 3)), RNG.normal(size=(5, 2))
LAYERS = [dense(4, "tanh"), dense(2)]
NAMES = ("dense_1.dW", "dense_2.dW", "dense_1.db", "dense_2.db")
PENALTY = {"regularization": {"type": "l2", "strength": 0.1}}


def target_of(layers: Any = LAYERS, loss: str = "squared_error", t: Any = T, **more: Any) -> TraceTarget:
    return trace_target(experiment(layers, loss, X, t, **more))


def pass_of(target: TraceTarget, train: bool = True) -> ReferencePass:
    batch = target.objective.batch(len(target.x))
    batch.load(target.x, target.t, np.arange(len(target.x)))
    return ReferencePass(target.objective, batch, train)


def ours(target: TraceTarget, penalty: bool = True) -> dict[str, Array]:
    found = pass_of(target)
    gradients = found.gradients if penalty else found.own
    return {re.sub(r"\.(\w+)$", r".d\1", path): g for path, g in gradients.items()}


def check(target: TraceTarget, folder: Path, arrays: Mapping[str, Any]) -> GradcheckReport:
    np.savez(folder / "theirs.npz", **arrays)
    return check_external(target, folder / "theirs.npz")


def verdicts(report: GradcheckReport) -> dict[str, str]:
    return {row.tensor: row.verdict for row in report.tensors}


def texts(report: GradcheckReport) -> dict[str, str]:
    return {finding.tensor: finding.text for finding in report.findings}


# ----------------------------------------------------------------------------------------------------- what is compared
def test_the_same_gradients_are_right(tmp_path: Path) -> None:
    target = target_of()
    report = check(target, tmp_path, ours(target))
    assert tuple(verdicts(report)) == NAMES
    assert set(verdicts(report).values()) == {"ok"}
    assert report.passed
    assert (report.weights, report.rows, report.batch, report.parameters) == (target.weights, target.rows, 5, 26)
    assert (report.notes, report.findings, report.laws, report.points) == ((), (), (), ())
    assert (report.evaluations, report.seed) == (0, 0)
    first = report.tensors[0]
    assert (first.scope, first.entries, first.of, first.witness, first.point) == (
        "external",
        12,
        12,
        "bpcli",
        "as given",
    )
    assert first.gaps == {"bpcli": first.worst}
    assert report.seconds > 0


def test_what_is_missing_is_not_compared_and_said(tmp_path: Path) -> None:
    target = target_of()
    report = check(target, tmp_path, {"dense_1.dW": ours(target)["dense_1.dW"]})
    assert tuple(verdicts(report)) == ("dense_1.dW",)
    assert report.notes == ("not in the file, so not compared: dense_2.dW, dense_1.db, dense_2.db",)


def test_weights_of_the_file_take_the_place_of_ours(tmp_path: Path) -> None:
    other, target = target_of(seed=7), target_of()
    weights = {path: w.copy() for path, w in other.objective.network.parameters().items()}
    report = check(target, tmp_path, ours(other) | weights)
    assert report.passed
    assert (report.weights, report.rows) == ("of the file", target.rows)
    assert not check(target_of(), tmp_path, ours(other)).passed


def test_rows_of_the_file_take_the_place_of_ours(tmp_path: Path) -> None:
    rows, targets = RNG.normal(size=(7, 3)), RNG.normal(size=(7, 2))
    other = trace_target(experiment(LAYERS, "squared_error", rows, targets))
    target = target_of()
    report = check(target, tmp_path, ours(other) | {"x": other.x.astype(np.float32), "t": other.t})
    assert (report.weights, report.rows, report.batch) == (target.weights, "of the file", 7)
    assert set(verdicts(report).values()) == {"WRONG"}, "float32 rows are other rows"
    assert check(target, tmp_path, ours(other) | {"x": other.x, "t": other.t}).passed


@pytest.mark.parametrize("shape", [(5,), (5, 1)])
def test_classes_may_stand_in_a_column(shape: tuple[int, ...], tmp_path: Path) -> None:
    target = target_of([dense(4, "tanh"), dense(3)], "softmax_cross_entropy", [0, 1, 2, 2, 1])
    assert target.t.ndim == 1
    ids = target.t.reshape(shape).astype(np.int64)
    assert check(target, tmp_path, ours(target) | {"x": target.x, "t": ids}).passed
    assert not check(target, tmp_path, ours(target) | {"x": target.x, "t": ids[::-1]}).passed


def test_values_in_a_column_stay_a_column(tmp_path: Path) -> None:
    target = target_of([dense(1)], t=T[:, :1])
    assert check(target, tmp_path, ours(target) | {"x": target.x, "t": target.t}).passed


def test_chance_is_left_out_and_said(tmp_path: Path) -> None:
    target = target_of([dense(4, "tanh"), {"type": "dropout", "rate": 0.5}, dense(2)])
    plain = {re.sub(r"\.(\w+)$", r".d\1", path): g for path, g in pass_of(target, train=False).gradients.items()}
    report = check(target, tmp_path, plain)
    assert report.passed
    assert report.notes == (
        "chance cannot be the same elsewhere: compared as at evaluation, without dropout and noise",
    )
    assert not check(target, tmp_path, ours(target)).passed


# ------------------------------------------------------------------------------------------------ how far off it may be
@pytest.mark.parametrize(
    ("dtype", "off", "verdict"),
    [
        (np.float64, 5e-10, "ok"), (np.float64, 2e-9, "WRONG"), (np.float32, 5e-5, "ok"), (np.float32, 2e-4, "WRONG"),
    ],
)  # fmt: skip
def test_how_far_off_a_tensor_may_be(dtype: Any, off: float, verdict: str, tmp_path: Path) -> None:
    target = target_of()
    arrays = ours(target)
    arrays["dense_1.dW"] = (arrays["dense_1.dW"] * (1 + off)).astype(dtype)
    row = check(target, tmp_path, arrays).tensors[0]
    assert row.verdict == verdict
    assert row.worst == pytest.approx(off, rel=0.01)
    assert row.bars["bpcli"] == pytest.approx(1e-9 if dtype is np.float64 else 1e-4, rel=1e-3)
    assert (row.worst > row.bars["bpcli"]) == (verdict == "WRONG")


def test_numbers_of_half_precision_are_compared_as_float32(tmp_path: Path) -> None:
    target = target_of([dense(2)])
    arrays = {name: np.zeros(g.shape, np.float16) for name, g in ours(target).items()}
    row = check(target, tmp_path, arrays).tensors[0]
    assert row.bars["bpcli"] == pytest.approx(1e-4, rel=1e-3)


def test_the_entry_that_is_farthest_off_is_shown(tmp_path: Path) -> None:
    target = target_of()
    arrays = ours(target)
    right = arrays["dense_1.dW"][2, 3]
    arrays["dense_1.dW"][2, 3] += 0.5
    arrays["dense_1.dW"][0, 1] += 0.25
    row = check(target, tmp_path, arrays).tensors[0]
    assert (row.verdict, row.index, row.kernel, row.numeric) == ("WRONG", (2, 3), right + 0.5, right)
    assert row.worst == pytest.approx(0.5 / max(abs(right), abs(right + 0.5)))


def test_a_number_that_is_none_is_wrong(tmp_path: Path) -> None:
    target = target_of()
    arrays = ours(target)
    arrays["dense_2.db"][1] = np.nan
    report = check(target, tmp_path, arrays)
    assert verdicts(report) == dict.fromkeys(NAMES, "ok") | {"dense_2.db": "WRONG"}
    assert report.tensors[-1].index == (1,)
    assert list(texts(report)) == ["dense_2.db"]
    assert "not finite" in texts(report)["dense_2.db"]


def test_tensors_of_nothing_are_dead_and_small_ones_have_the_bar_of_the_others(tmp_path: Path) -> None:
    target = target_of([dense(4, "relu"), dense(2)])
    for path, w in target.objective.network.parameters().items():
        if path == "dense_1.b":
            w[...] = -100
    arrays = ours(target)
    report = check(target, tmp_path, arrays)
    assert verdicts(report) == {**dict.fromkeys(NAMES[:3], "dead"), "dense_2.db": "ok"}
    largest = np.abs(arrays["dense_2.db"]).max()
    small = {name: np.where(g == 0, 1e-13 * largest, g) for name, g in arrays.items()}
    zero = target_of([dense(4, "relu"), dense(2)])
    np.copyto(zero.objective.theta, target.objective.theta)
    assert verdicts(check(zero, tmp_path, small))["dense_1.dW"] == "ok", "there is something to compare"
    arrays["dense_1.dW"][0, 0] = 0.9e-12 * largest
    assert verdicts(check(target, tmp_path, arrays))["dense_1.dW"] == "ok"
    arrays["dense_1.dW"][0, 0] = 1.1e-12 * largest
    assert verdicts(check(target, tmp_path, arrays))["dense_1.dW"] == "WRONG"


@pytest.mark.parametrize(("off", "verdict"), [(0.0, "ok"), (5e-5, "ok"), (2e-4, "WRONG")])
def test_the_loss_of_the_file(off: float, verdict: str, tmp_path: Path) -> None:
    target = target_of(**PENALTY)
    loss = pass_of(target).loss
    assert loss > target.objective.penalty() > 0
    report = check(target, tmp_path, ours(target) | {"loss": loss * (1 + off)})
    row = report.tensors[0]
    assert (row.tensor, row.verdict, row.entries, row.of, row.index) == ("loss", verdict, 1, 1, ())
    assert (row.kernel, row.numeric, row.bars) == (loss * (1 + off), loss, {"bpcli": 1e-4})
    assert row.worst == pytest.approx(off, rel=1e-3, abs=1e-12)
    said = {"loss": f"theirs is {loss * (1 + off):.6g}, ours with its penalties {loss:.6g}"}
    assert texts(report) == (said if verdict == "WRONG" else {})


# ------------------------------------------------------------------------------------------------------ what went wrong
def test_one_factor_of_all_gradients(tmp_path: Path) -> None:
    target = target_of()
    report = check(target, tmp_path, {name: 5 * g for name, g in ours(target).items()})
    assert texts(report) == {"every gradient": "kernel / expected = N (N = 5): it is not divided by the rows"}
    assert report.findings[0].code == "ratio"
    (row, *_) = report.tensors
    assert row.note == ""
    rounded = {name: 5 * g * (1 + 3e-6) for name, g in ours(target).items()} | {"loss": pass_of(target).loss}
    assert texts(check(target, tmp_path, rounded)) == texts(report)


def test_a_penalty_that_is_left_out_everywhere(tmp_path: Path) -> None:
    target = target_of(**PENALTY)
    bare = ours(target, penalty=False)
    report = check(target, tmp_path, bare)
    assert (report.findings[0].tensor, report.findings[0].code) == ("every gradient", "penalty")
    assert texts(report) == {"every gradient": "the penalty's own slope is left out"}
    both = check(target, tmp_path, {name: g / 5 for name, g in bare.items()})
    assert texts(both) == {
        "every gradient": (
            "kernel / expected = 1/N (N = 5): it is divided by the rows once too often; the penalty's own slope is "
            "left out"
        )
    }


def test_of_a_single_tensor_no_factor_is_common(tmp_path: Path) -> None:
    target = target_of()
    report = check(target, tmp_path, {"dense_1.db": 5 * ours(target)["dense_1.db"]})
    (text,) = texts(report).values()
    assert text.startswith("kernel / expected = N (N = 5): it is not divided by the rows; central differences give ")


def by_hand(target: TraceTarget, dy: Array) -> dict[str, Array]:
    """The gradients that an error dy at the outputs gives."""
    w = target.objective.network.parameters()
    a = np.tanh(target.x @ w["dense_1.W"] + w["dense_1.b"])
    dz = dy @ w["dense_2.W"].T * (1 - a * a)
    return {"dense_1.dW": target.x.T @ dz, "dense_1.db": dz.sum(0), "dense_2.dW": a.T @ dy, "dense_2.db": dy.sum(0)}


def outputs(target: TraceTarget) -> Array:
    return np.array(pass_of(target).batch.chain.y)


def test_an_error_of_the_loss_is_found_where_it_begins(tmp_path: Path) -> None:
    target = target_of()
    y = outputs(target)
    right = by_hand(target, 2 * (y - target.t) / 5)
    np.testing.assert_allclose(right["dense_1.dW"], ours(target)["dense_1.dW"], rtol=1e-12)
    report = check(target, tmp_path, by_hand(target, 2 * (y + target.t) / 5))
    assert set(verdicts(report).values()) == {"WRONG"}
    (finding,) = report.findings
    assert finding.tensor == "dense_2.dW, dense_2.db"
    assert finding.text.startswith("the error of the loss, dL/dy, is another: ")
    assert "sign" in finding.text
    notes = [row.note for row in report.tensors]
    assert notes == ["may follow from the error that dense_2 hands back", ""] * 2


def test_an_error_of_the_loss_beside_a_penalty(tmp_path: Path) -> None:
    target = target_of(**PENALTY)
    y = outputs(target)
    wrong = by_hand(target, 2 * (y + target.t) / 5)
    whole, bare = ours(target), ours(target, penalty=False)
    report = check(target, tmp_path, wrong)
    assert texts(report)["dense_2.dW, dense_2.db"].endswith("; and the penalty's own slope is left out")
    added = {name: g + whole[name] - bare[name] for name, g in wrong.items()}
    report = check(target, tmp_path, added)
    assert "penalty" not in texts(report)["dense_2.dW, dense_2.db"]


def test_a_mistake_in_a_layer_is_found_in_that_layer(tmp_path: Path) -> None:
    target = target_of()
    arrays = ours(target)
    right = arrays["dense_1.db"].copy()
    arrays["dense_1.db"] /= 5
    report = check(target, tmp_path, arrays)
    assert verdicts(report) == dict.fromkeys(NAMES, "ok") | {"dense_1.db": "WRONG"}
    (finding,) = report.findings
    at = report.tensors[2].index
    assert finding.tensor == "dense_1.db"
    assert finding.text.startswith("kernel / expected = 1/N (N = 5)")
    assert finding.text.endswith(f"in db; central differences give {right[at]:.6g} at {list(at)}")


def test_a_mistake_on_rows_of_the_file_is_found_by_the_equations_too(tmp_path: Path) -> None:
    target = target_of()
    arrays = ours(target) | {"x": target.x, "t": target.t}
    arrays["dense_1.db"] = arrays["dense_1.db"] / 5
    (text,) = texts(check(target, tmp_path, arrays)).values()
    assert ": a mean is taken where a sum is meant, in db; central" in text


def test_each_wrong_tensor_of_the_last_wrong_layer_is_explained(tmp_path: Path) -> None:
    target = target_of()
    arrays = ours(target)
    arrays["dense_1.dW"] *= 3
    arrays["dense_2.dW"] *= 2
    arrays["dense_2.db"] *= -1
    report = check(target, tmp_path, arrays)
    assert list(texts(report)) == ["dense_2.dW", "dense_2.db"]
    assert texts(report)["dense_2.dW"].startswith("kernel / expected = 2 everywhere")
    assert texts(report)["dense_2.db"].startswith("the sign is turned")
    assert [row.note for row in report.tensors] == ["may follow from the error that dense_2 hands back", "", "", ""]


def test_a_penalty_that_is_left_out_of_one_tensor(tmp_path: Path) -> None:
    target = target_of(**PENALTY)
    whole, bare = ours(target), ours(target, penalty=False)
    report = check(target, tmp_path, whole | {"dense_1.dW": bare["dense_1.dW"]})
    assert texts(report)["dense_1.dW"].startswith("the penalty's own slope is left out; central differences give ")
    both = check(target, tmp_path, whole | {"dense_1.dW": 5 * bare["dense_1.dW"]})
    assert texts(both)["dense_1.dW"].startswith(
        "kernel / expected = N (N = 5): it is not divided by the rows; and the penalty's own slope is left out; central"
    )
    own = check(target, tmp_path, whole | {"dense_1.dW": 5 * whole["dense_1.dW"]})
    assert "penalty" not in texts(own)["dense_1.dW"]


def test_weights_are_among_what_a_difference_may_be_of(tmp_path: Path) -> None:
    target = target_of()
    arrays = ours(target)
    arrays["dense_1.dW"] += 0.25 * target.objective.network.parameters()["dense_1.W"]
    report = check(target, tmp_path, arrays)
    assert texts(report)["dense_1.dW"].startswith(
        "kernel - expected = 0.25 times the weights dense_1.W: is a penalty on it added or left out?"
    )


# ----------------------------------------------------------------------------------------------------------- a bad file
ONES = {"dense_1.dW": np.ones((3, 4))}
BAD: Mapping[str, tuple[Mapping[str, Any], str, str]] = {
    "words": (
        {"dense_1.dW": np.array(["a", "b"])}, "{file}: dense_1.dW holds <U1, not numbers", "",
    ),
    "a name that is near": (
        {"dense_1.dw": np.ones((3, 4))}, "{file}: nothing here is called dense_1.dw", "did you mean dense_1.dW?",
    ),
    "a name that is far": (
        {"anything": np.ones(3)}, "{file}: nothing here is called anything",
        "known: dense_1.dW, dense_2.dW, dense_1.db, dense_2.db, dense_1.W, dense_2.W, dense_1.b, dense_2.b, x, t, loss",
    ),
    "a shape": (
        {"dense_1.dW": np.ones((3, 5))}, "{file}: dense_1.dW has the shape (3, 5), and must have (3, 4)",
        "rows are inputs, columns are units",
    ),
    "a weight that is transposed": (
        ONES | {"dense_1.W": np.ones((4, 3))}, "{file}: dense_1.W has the shape (4, 3), and must have (3, 4)",
        "PyTorch's Linear stores (out, in): write .T",
    ),
    "no gradient": (
        {"dense_1.W": np.ones((3, 4))}, "{file} holds no gradient",
        "save them by these names: dense_1.dW, dense_2.dW, dense_1.db, dense_2.db",
    ),
    "targets without rows": (ONES | {"t": T}, "{file}: x and t go together", "save both, or neither"),
    "targets of another width": (
        ONES | {"x": X, "t": np.ones((5, 3))}, "{file}: t has the shape (5, 3), and must have (rows, 2)",
        "as the network sees it: scaled, categories as 0 and 1; class ids for t",
    ),
    "no rows": (
        ONES | {"x": X[:0], "t": T[:0]}, "{file}: x has the shape (0, 3), and must have (rows, 3)",
        "as the network sees it: scaled, categories as 0 and 1; class ids for t",
    ),
    "rows that do not fit the targets": (
        ONES | {"x": X, "t": T[:4]}, "{file}: x has 5 rows and t has 4", "a target for each row",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused(name: str, tmp_path: Path) -> None:
    arrays, text, help = BAD[name]
    with pytest.raises(Failure) as raised:
        check(target_of(), tmp_path, arrays)
    (problem,) = raised.value.problems
    assert (problem.text, problem.help) == (text.format(file=tmp_path / "theirs.npz"), help)


@pytest.mark.parametrize(("ids", "shown"), [([0, 1, 3, 0, 1], 3), ([0, 1, -2, 0, 5], -2)])
def test_classes_that_there_are_not(ids: list[int], shown: int, tmp_path: Path) -> None:
    target = target_of([dense(3)], "softmax_cross_entropy", [0, 1, 2, 2, 1])
    with pytest.raises(Failure) as raised:
        check(target, tmp_path, ours(target) | {"x": X, "t": np.array(ids)})
    (problem,) = raised.value.problems
    assert problem.text == f"{tmp_path / 'theirs.npz'}: t holds the class {shown}"
    assert problem.help == "classes are counted from 0 to 2"


def test_class_ids_of_more_axes_are_refused(tmp_path: Path) -> None:
    target = target_of([dense(3)], "softmax_cross_entropy", [0, 1, 2, 2, 1])
    with pytest.raises(Failure, match=r"t has the shape \(5, 3\), and must have \(rows, no more axes\)"):
        check(target, tmp_path, ours(target) | {"x": X, "t": np.eye(3)[[0, 1, 2, 2, 1]]})


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    missing = tmp_path / "none.npz"
    with pytest.raises(Failure) as raised:
        check_external(target_of(), missing)
    assert raised.value.exit == Exit.NO_INPUT
    assert raised.value.problems[0].text == f"there is no file {missing}"
    np.save(tmp_path / "one.npy", X)
    np.savez(tmp_path / "objects.npz", x=np.array([{}], dtype=object))
    (tmp_path / "text.npz").write_text("hello")
    for name in ("one.npy", "objects.npz", "text.npz"):
        with pytest.raises(Failure) as raised:
            check_external(target_of(), tmp_path / name)
        (problem,) = raised.value.problems
        assert problem.text == f"{tmp_path / name} is not an .npz file of numbers"
        assert problem.help == "write one with numpy.savez(FILE, **{'dense_1.dW': ...})"
