"""What follows from claimed numbers, and how sure a mistake has to be to be named."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from mark_file import mark_file

from bpcli.records.trace import Stage
from bpcli.studies.mistakes import marking as module
from bpcli.studies.mistakes.marking import _Marker, _Scenario
from bpcli.studies.trace.graph import START
from bpcli.studies.trace.open import TracedRows

INPUTS, DOUBLE, SUM = (START, "", "x"), ("layer", "a", "y"), ("layer", "b", "y")


class Doubled:
    """A graph of three nodes: x, its double, and the double with x added."""

    def __init__(self) -> None:
        self.truth = {INPUTS: np.array([1.0, 2.0]), DOUBLE: np.array([2.0, 4.0]), SUM: np.array([3.0, 6.0])}

    def reads(self, key: Any) -> set[Any]:
        return {DOUBLE: {INPUTS}, SUM: {INPUTS, DOUBLE}}[key]

    def value(self, key: Any, values: Any) -> Any:
        return 2 * values[INPUTS] if key == DOUBLE else values[INPUTS] + values[DOUBLE]


def scenario() -> _Scenario:
    return _Scenario(Doubled())  # type: ignore[arg-type]


def test_what_follows_from_a_changed_array_is_worked_out_anew() -> None:
    found = scenario()
    found.set_array(INPUTS, np.array([1.0, 5.0]))
    assert found.changed == {INPUTS}
    found.recompute([DOUBLE, SUM])
    assert found.values[SUM].tolist() == [3.0, 15.0]
    assert found.changed == {INPUTS, DOUBLE, SUM}


def test_nothing_is_worked_out_where_nothing_has_changed() -> None:
    found = scenario()
    found.set_array(DOUBLE, np.array([2.0, 4.0]))
    assert found.changed == set()
    assert found.recomputed(SUM) is found.values[SUM]


def test_pinned_numbers_stay_whatever_comes_before_them() -> None:
    found = scenario()
    found.pins[DOUBLE] = {1: 7.0}
    found.set_array(INPUTS, np.array([10.0, 20.0]))
    found.recompute([DOUBLE, SUM])
    assert found.values[DOUBLE].tolist() == [20.0, 7.0]
    assert found.values[SUM].tolist() == [30.0, 27.0]


def test_a_pinned_fraction_stays_one_among_whole_numbers() -> None:
    found = scenario()
    found.pins[DOUBLE] = {1: 0.5}
    found.set_array(DOUBLE, np.array([1, 2]))
    assert found.values[DOUBLE].tolist() == [1.0, 0.5]


def test_a_copy_has_the_pins_and_is_changed_on_its_own() -> None:
    found = scenario()
    found.pins[DOUBLE] = {1: 7.0}
    found.set_array(INPUTS, np.array([10.0, 20.0]))
    other = found.copy()
    other.recompute([DOUBLE])
    assert other.values[DOUBLE].tolist() == [20.0, 7.0]
    assert found.values[DOUBLE].tolist() == [2.0, 4.0]
    other.pins[DOUBLE][0] = 9.0
    other.pins[SUM] = {0: 1.0}
    assert found.pins == {DOUBLE: {1: 7.0}}
    assert found.changed == {INPUTS}


NET: dict[str, Any] = {
    "data": {"train": {"type": "inline", "inputs": [[1.0, 2.0]], "targets": [[0.0]]}},
    "architecture": [{"type": "dense", "units": 1, "weights": [[0.75], [1.25]], "bias": [0.5]}],
    "loss": "mean_squared_error",
    "training": {"epochs": 1, "batch_size": "full"},
}  # fmt: skip


def causes(folder: Path, text: str) -> list[str]:
    (folder / "net.yaml").write_text(json.dumps(NET))
    (folder / "claims.yaml").write_text(text)
    (mark,) = mark_file(folder / "net.yaml", TracedRows(), folder / "claims.yaml").marks
    return [cause.code for cause in mark.causes]


def marks(folder: Path, text: str) -> dict[str, Any]:
    (folder / "net.yaml").write_text(json.dumps(NET))
    (folder / "claims.yaml").write_text(text)
    return {m.name: m for m in mark_file(folder / "net.yaml", TracedRows(), folder / "claims.yaml").marks}


def test_a_mark_says_at_which_step_of_the_algorithm_a_number_stands(tmp_path: Path) -> None:
    found = marks(tmp_path, "x[0]: 1\ndense_1.y: 3.75\nloss_after: 5\n")
    assert [found[name].stage for name in ("x[0]", "dense_1.y", "loss_after")] == [
        Stage.INITIALIZE, Stage.FORWARD, Stage.REPEAT,
    ]  # fmt: skip
    assert found["x[0]"].verdict == found["dense_1.y"].verdict == "right"


@pytest.mark.parametrize(("number", "more"), [("9.87", True), ("9.876", False)])
def test_more_digits_are_asked_for_where_a_wrong_number_has_fewer_than_four(
    number: str, more: bool, tmp_path: Path
) -> None:
    found = marks(tmp_path, f"dense_1.y: {number}\n")["dense_1.y"]
    assert (found.verdict, found.causes) == ("wrong", ())
    assert found.note.startswith(f"it is {float(number) / 3.75:.4g} times the right number")
    assert found.note.endswith("; more digits would show more") is more


def test_what_is_given_is_to_be_copied(tmp_path: Path) -> None:
    assert marks(tmp_path, "x[0]: 7\n")["x[0]"].note == "it is given, not worked out: copy it from the network"


def test_a_forgotten_bias_is_found(tmp_path: Path) -> None:
    assert causes(tmp_path, "dense_1.y: 3.2500\n")[0] == "dropped-bias"


@pytest.mark.parametrize(("chance", "named"), [(0.0499, True), (0.05, False), (0.0501, False)])
def test_a_mistake_is_named_that_fits_by_accident_in_less_than_one_case_of_twenty(
    chance: float, named: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Marker, "_chance", lambda *_: chance)
    assert bool(causes(tmp_path, "dense_1.y: 3.2500\n")) is named


@pytest.mark.parametrize(("most", "searched"), [(1, True), (0, False)])
def test_in_arrays_that_are_too_large_no_mistake_is_looked_for(
    most: int, searched: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one entry each."""
    monkeypatch.setattr(module, "MAX_SEARCHED_ENTRIES", most)
    assert bool(causes(tmp_path, "dense_1.y: 3.2500\n")) is searched


def test_the_more_digits_fit_the_smaller_the_chance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a unit of the last digit, over the size of the number: 0.75 * 0.00005 / 3.75 for the first mistake tried."""
    chances: list[float] = []
    usual = _Marker._chance

    def noted(self: Any, tried: int, found: Any, wrong: Any, floor: float) -> float:
        chances.append(usual(self, tried, found, wrong, floor) / tried)
        return 0.0

    monkeypatch.setattr(_Marker, "_chance", noted)
    causes(tmp_path, "dense_1.y: 3.2500\n")
    assert chances == pytest.approx([0.75 * 0.00005 / 3.75] * len(chances))
    assert chances
    chances.clear()
    causes(tmp_path, "dense_1.y: 3.2\n")
    assert chances == pytest.approx([0.75 * 0.05 / 3.75] * len(chances))


def test_three_causes_are_named_at_most_and_each_kind_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Marker, "_chance", lambda *_: 0.0)
    found = causes(tmp_path, "dense_1.y: 3\n")
    assert len(found) == len(set(found)) <= 3
    assert module.MAX_CAUSES == 3


def test_an_error_that_no_claim_shows_is_looked_for_twelve_nodes_back() -> None:
    """In a chain of fifteen nodes; what is claimed in full, is given or is the rate is passed over."""
    chain = [("layer", str(k), "y") for k in range(15)]
    order = {key: k for k, key in enumerate(chain)}
    graph = SimpleNamespace(reads=lambda key: set(chain[max(0, order[key] - 1) : order[key]]), order=order)
    marker: Any = SimpleNamespace(
        graph=graph, scenario=SimpleNamespace(values=dict.fromkeys(chain, np.zeros(2))), claimed={}
    )
    found = _Marker._unclaimed_sources(marker, chain[14])
    assert found == [(chain[14 - k], k) for k in range(1, 13)]
    marker.claimed = {chain[12]: [None, None], chain[13]: [None]}
    assert _Marker._unclaimed_sources(marker, chain[14]) == [(chain[13], 1)]
    marker.claimed = {}
    large = module.MAX_SEARCHED_ENTRIES
    for size, searched in ((large, True), (large + 1, False)):
        marker.scenario.values[chain[13]] = np.zeros(size)
        assert bool(_Marker._unclaimed_sources(marker, chain[14])) is searched
    for part in (START, "schedule"):
        graph.reads = lambda key, part=part: {(part, "", "x")}
        graph.order[part, "", "x"] = -1
        marker.scenario.values[part, "", "x"] = np.zeros(2)
        assert _Marker._unclaimed_sources(marker, chain[14]) == []
