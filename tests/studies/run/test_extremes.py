"""At numerical extremes a training ends with numbers, or with exit 3 and the first array that holds none; and no file
of its folder holds one that is not finite."""

from __future__ import annotations

import random
import re
from typing import Any

import numpy as np
import pytest
from cli_lab import CONFIG, Lab
from cli_lab import lab as lab
from extremes import Extreme, extremes, unwritable_numbers
from plain_training import NotFiniteError, PlainTraining

from bpcli.numeric.order import row_order
from bpcli.numeric.streams import Stream
from bpcli.studies.run.resume import start
from bpcli.studies.run.setup import set_up

DIVERGED = re.compile(r"error: training diverged in epoch \d, batch \d of \d: (\S+) \(([\w .]+)\) is not finite")
ALL = extremes()
FEW = random.Random(15).sample(ALL, 4)


def ends_with_numbers(lab: Lab, extreme: Extreme) -> str:
    """Trains; returns what the divergence names, "" where it ends with numbers."""
    extreme.write(lab.path)
    found = lab.run(*extreme.arguments("run"))
    assert found.code in (0, 3), f"{extreme}: {found.err}"
    assert unwritable_numbers(lab.path / "run") == [], str(extreme)
    named = DIVERGED.search(found.err.replace("\n", " "))
    assert (named is not None) == (found.code == 3), f"{extreme}: {found.err}"
    return named.group(1) if named else ""


@pytest.mark.parametrize("extreme", FEW, ids=str)
def test_a_few_extremes(lab: Lab, extreme: Extreme) -> None:
    ends_with_numbers(lab, extreme)


@pytest.mark.slow
@pytest.mark.parametrize("extreme", ALL, ids=str)
def test_all_extremes(lab: Lab, extreme: Extreme) -> None:
    ends_with_numbers(lab, extreme)


def test_there_are_enough_of_them() -> None:
    assert len(ALL) >= 200


BN = (
    "architecture=[{type: dense, units: 4}, {type: batch_norm}, {type: relu}, {type: dense, units: 2}]",
)  # fmt: skip
MSE = (
    "data.train={type: csv, path: trees.csv, target: height, drop: [kind]}", "architecture.1.units=1",
    "loss=mean_squared_error",
)  # fmt: skip
RELU = {"activation": "relu"}
SQUARES = {"loss": "mean_squared_error"}


def case(kind: str, rate: float, times: float = 1.0, init: float = 0.0, dtype: str = "float32", **more: Any) -> Any:
    """A training as both are told of it: settings of the file, and of the one in plain NumPy."""
    sets = [f"dtype={dtype}", f"optimizer={{type: {kind}, learning_rate: {rate!r}}}", "data.scale=none"]
    sets += BN if more.get("batch_norm") else ()
    sets += MSE if more.get("loss") else ()
    sets += ["architecture.0.activation=relu"] if more.get("activation") and not more.get("batch_norm") else []
    sets += [f"architecture.0.init={{type: constant, value: {init!r}}}"] if init else []
    sets += [f"regularization={{type: l2, strength: {more['l2']!r}}}"] if "l2" in more else []
    sets += [f"clipping={{type: value, limit: {more['value']!r}}}"] if "value" in more else []
    sets += [f"clipping={{type: global_norm, max_norm: {more['norm']!r}}}"] if "norm" in more else []
    sets += [f"constraint={{type: max_norm, limit: {more['limit']!r}}}"] if "limit" in more else []
    return Extreme(tuple(sets), times), {"type": kind, "learning_rate": rate}, more


CASES = [
    case("sgd", 1e30, **RELU), case("sgd", 1e38), case("sgd", 1e38, **RELU), case("sgd", 1e30, **RELU, **SQUARES),
    case("sgd", 1e10, **SQUARES), case("sgd", 1e20, **SQUARES), case("sgd", 1e300, dtype="float64", **RELU),
    case("sgd", 1e300, dtype="float64", **SQUARES), case("sgd", 0.1, 3e37), case("sgd", 0.1, 1e25, **RELU),
    case("sgd", 0.1, 1e20, **SQUARES), case("sgd", 0.1, 1e16, **RELU, **SQUARES), case("sgd", 0.1, init=3e38, **RELU),
    case("sgd", 0.1, 1e250, dtype="float64", **RELU, **SQUARES), case("sgd", 0.1, init=1e200, dtype="float64", **RELU),
    case("sgd", 0.1, init=1e200, dtype="float64", **RELU, **SQUARES), case("sgd", 0.1, init=1e30, **RELU, l2=1e10),
    case("sgd", 1.0, **RELU, l2=1e38), case("momentum", 1e38, **RELU), case("momentum", 1.0, 1e18, **RELU, **SQUARES),
    case("momentum", 1e30, **RELU, **SQUARES), case("adam", 1e38), case("adam", 1e30, **RELU),
    case("adam", 0.1, 1e12, **RELU, **SQUARES), case("adam", 0.1, 1e22), case("adam", 0.1, **RELU, l2=1e25),
    case("adagrad", 0.1, 1e12, **RELU, **SQUARES), case("adagrad", 1e38, **RELU), case("adagrad", 1.0, **RELU, l2=1e30),
    case("sgd", 1e38, **RELU, value=1e30), case("sgd", 1e38, value=1e-3, **RELU), case("sgd", 1e30, norm=1e10, **RELU),
    case("sgd", 1e38, norm=1.0, **RELU, **SQUARES), case("sgd", 1e38, **RELU, limit=1e38), case("sgd", 0.1, 1e18,
    **RELU, batch_norm=True), case("sgd", 1e30, **RELU, batch_norm=True), case("sgd", 0.1, 3e37, **RELU,
    batch_norm=True), case("adam", 1e20, **RELU, batch_norm=True), case("adam", 0.1, 1e160, dtype="float64", **RELU,
    batch_norm=True), case("momentum", 1e300, dtype="float64", **RELU, **SQUARES, l2=1e-3),
]  # fmt: skip


@np.errstate(all="ignore")
def first_by_hand(lab: Lab, extreme: Extreme, update: dict[str, Any], more: dict[str, Any]) -> str:
    """The same training in plain NumPy; returns the first array that is not finite, "" for none."""
    setup = set_up(lab.path / "trees.yaml", extreme.sets)
    trainer = start(setup, lab.path / "by-hand")
    state = trainer.state
    plain = PlainTraining(state.objective.network.parameters(), update, **more)
    targets = state.train.t if state.train.t.ndim == 2 else np.eye(2, dtype=plain.type)[state.train.t]
    try:
        for epoch in range(3):
            order = row_order(Stream(1, "order"), state.train.x, epoch + 1)
            for rows in (order[:4], order[4:]):
                plain.step(state.train.x[rows], targets[rows])
            plain.evaluate(state.train.x[:4], targets[:4])
    except NotFiniteError as error:
        return str(error)
    finally:
        assert trainer.lock is not None
        trainer.lock.release()
    return ""


def names_the_first(lab: Lab, one: Any) -> str:
    extreme, update, more = one
    named = ends_with_numbers(lab, extreme)
    assert named == first_by_hand(lab, extreme, update, more), str(extreme)
    return named


@pytest.mark.parametrize("one", CASES[3::10], ids=lambda one: str(one[0]))
def test_a_divergence_names_what_a_walk_by_hand_finds_first(lab: Lab, one: Any) -> None:
    names_the_first(lab, one)


@pytest.mark.slow
def test_every_divergence_names_what_a_walk_by_hand_finds_first(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    named = []
    for number, one in enumerate(CASES):
        inner = Lab(lab.path / str(number), lab.capture)
        inner.write("trees.yaml", CONFIG)
        monkeypatch.chdir(inner.path)
        named.append(names_the_first(inner, one))
    assert sum(map(bool, named)) >= 25
    assert len({*named}) >= 10
