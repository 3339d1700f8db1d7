"""A layer whose rows see each other, held against its equations at entries of every row and column."""

from __future__ import annotations

import numpy as np
import pytest
from single_layers import behind, planned, single

from bpcli.parts.activations import Tanh
from bpcli.studies.gradcheck.layer_laws.beside_others import SpreadEffort, check_beside_others, depends_on_place


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
