"""All laws of one layer: what is looked at, what is left out, and what is kept of a law that does not hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from single_layers import DENSE, behind, planned

from bpcli.family import Frame
from bpcli.parts.layers.dense import Dense
from bpcli.records.gradcheck import Finding, LayerLaws, TensorRow
from bpcli.studies.gradcheck.layer_laws.check_layer import LayerCheck, check_layer


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
