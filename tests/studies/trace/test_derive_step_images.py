"""The trace of what image networks are made of: who won, three paths through a norm, both ways of a branch, rows that
are looked up; every number as the engine has it, and paths that sum to the gradient."""

import re
from typing import Any

import numpy as np
import pytest
from closing_lines import closing
from trace_nets import experiment, trace_target

from bpcli.records.trace import Derivation
from bpcli.studies.trace.derive_step import View, derive

DENSE: list[Any] = ["flatten", {"type": "dense", "units": 2}]
NORM = {"type": "group_norm", "groups": 1}
POOL = {"type": "max_pool2d", "size": 2, "stride": 1, "padding": 1}
IMAGES: dict[str, tuple[list[Any], str]] = {
    "pool": ([NORM, "tanh", POOL, *DENSE], "group_norm_1.gamma[1]"),
    "global": ([NORM, "tanh", "global_max_pool", DENSE[1]], "group_norm_1.beta[0]"),
    "mean": ([NORM, "avg_pool2d", *DENSE], "group_norm_1.gamma[0]"),
    "moved": ([NORM, {"type": "zero_pad", "padding": 1}, "upsample", "global_avg_pool", DENSE[1]],
              "group_norm_1.beta[1]"),
    "ways": ([{"type": "residual", "layers": [NORM, "tanh"], "projection": [{"type": "group_norm", "groups": 2}]},
              "max_pool2d", *DENSE], "residual_1.projection.group_norm_1.gamma[0]"),
    "channels": ([NORM, {"type": "spatial_dropout", "rate": 0.5}, *DENSE], "group_norm_1.gamma[0]"),
}  # fmt: skip
WORDS = [{"type": "embedding", "tokens": 4, "units": 2}, "tanh", *DENSE]


def made(layers: list[Any], detail: Any, *params: str) -> Derivation:
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(2, 18)).round(2)
    net = experiment([{"type": "reshape", "shape": [3, 3, 2]}, *layers], "mean_squared_error", inputs,
                     rng.normal(size=(2, 2)))  # fmt: skip
    return derive(trace_target(net), View(detail=detail, params=params))


def words(detail: Any, *params: str) -> Derivation:
    net = experiment(WORDS, "mean_squared_error", [[1.0, 3.0, 1.0], [0.0, 1.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]])
    return derive(trace_target(net), View(detail=detail, params=params))


@pytest.mark.parametrize(("layers", "param"), IMAGES.values(), ids=IMAGES)
def test_numbers_agree_and_paths_sum(layers: list[Any], param: str) -> None:
    d = made(layers, "neuron")
    assert d.wrong == ()
    assert closing(d) > 50
    (found,) = made(layers, "path", param).paths
    assert found.count > 0
    assert found.total == pytest.approx(found.gradient, rel=1e-10, abs=1e-14)
    assert found.measured == pytest.approx(found.predicted, rel=1e-4, abs=1e-9)


@pytest.mark.parametrize("detail", ["overview", "layer", "neuron", "path"])
def test_what_is_looked_up(detail: str) -> None:
    d = words(detail, *(["embedding_1.W[1,0]"] if detail == "path" else []))
    assert d.wrong == ()
    for found in d.paths:  # four of six numbers are 1, each with two ways to the loss
        assert found.count == 8
        assert found.total == pytest.approx(found.gradient, rel=1e-10)
    if detail == "neuron":
        q = next(q for q in d.quantities if q.path == "embedding_1.dW")
        assert q.engine is not None
        assert np.abs(q.value[2]).max() == 0, "a number that does not occur"
        assert np.abs(q.value[1]).max() > 0


def test_who_won_is_told_and_compared() -> None:
    d = made(IMAGES["pool"][0], "neuron")
    win = next(q for q in d.quantities if q.path == "max_pool2d_1.win")
    assert win.engine is not None, "the kernel's own winners"
    assert win.gap == 0
    notes = [n for q in d.quantities if q.path == "max_pool2d_1.y" for e in q.entries for n in e.worked.notes]
    assert any(re.search("largest at u = [01], v = [01]", note) for note in notes)


def test_three_paths_of_a_norm_are_told() -> None:
    for kind in ("batch_norm", NORM, "layer_norm"):
        d = made([kind, *DENSE], "layer")
        by_name = {q.path.rpartition(".")[2]: q for q in d.quantities if "norm_1" in q.path}
        assert {"mu", "var", "xhat", "dxhat", "dvar", "dmu", "dx"} <= set(by_name)
        assert by_name["dx"].why.startswith("3 paths, summed")
        assert by_name["dvar"].why == "the path through the variance"


CONV = {"type": "conv2d", "filters": 2, "kernel": 3, "stride": 2, "padding": "same"}


def entries(d: Derivation, path: str) -> dict[tuple[int, ...], tuple[str, ...]]:
    """All notes of a quantity's entries."""
    return {e.at: (*e.worked.notes, *e.notes) for q in d.quantities if q.path == path for e in q.entries}


def test_a_convolution_tells_its_window_and_what_is_padding() -> None:
    d = made([CONV, *DENSE], "neuron")
    found = entries(d, "conv2d_1.y")[0, 0, 1, 0]
    assert found == ("10 of 18 terms are 0, all of them in the padding", "sees x[0, −1 to 1, 1 to 3, 0 to 1]")
    (seen,) = [n for n in entries(d, "conv2d_1.dW")[0, 0, 0, 0] if "terms" in n]
    assert seen == "6 of 8 terms are 0, all of them in the padding"


def test_paths_are_outputs_that_saw_the_pixel() -> None:
    d = made([CONV, *DENSE], "neuron")
    notes = entries(d, "conv2d_1.dx")
    assert "2 paths, summed" in notes[0, 0, 0, 0], "one window, two filters"
    assert "4 paths, summed" in notes[0, 0, 1, 0], "two windows"


def test_every_factor_of_a_path_through_windows_has_its_formula() -> None:
    for layers in ([CONV, "max_pool2d", *DENSE], [CONV, "avg_pool2d", *DENSE], [CONV, "upsample", *DENSE]):
        (found,) = made(layers, "path", "conv2d_1.W[2,1,0,1]").paths
        assert found.dead == sum(hops[-1].product == 0 for hops in found.paths)
        for hops in found.paths:
            assert all(hop.formula for hop in hops)
            assert not any(re.search(r"\b[sauvUV]\b", hop.formula) for hop in hops), "numbers, not letters"


def test_what_did_not_win_passes_no_error() -> None:
    notes = entries(made([NORM, {"type": "max_pool2d", "size": 3}, *DENSE], "neuron"), "max_pool2d_1.dx")
    assert sum("did not win: no error passes" in n for n in notes.values()) == len(notes) - 2, (
        "a winner for each channel"
    )
    assert len(notes) >= 6


def test_the_row_of_an_embedding_is_named() -> None:
    notes = entries(words("neuron"), "embedding_1.y")
    assert notes[0, 1, 0] == ("which is W[3,0]",)


def test_the_errors_of_both_branches_come_from_their_container() -> None:
    branch = {"type": "residual", "layers": [NORM], "projection": [{"type": "group_norm", "groups": 2}]}
    d = made([branch, *DENSE], "layer")
    sources = {q.path: q.sources.get("dy") for q in d.quantities}
    assert sources["residual_1.group_norm_1.dxhat"] == "residual_1.branch_dy"
    assert sources["residual_1.projection.group_norm_1.dxhat"] == "residual_1.projection_dy"
