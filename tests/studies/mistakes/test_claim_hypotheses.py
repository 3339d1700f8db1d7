"""The mistakes that people make in a derivation: what each gives, and in which order they come to mind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from trace_nets import dense, experiment, trace_target

from bpcli.notation.syntax import Eq, parse
from bpcli.records.trace import Stage
from bpcli.studies.mistakes.claim_hypotheses import (
    CLASSIC,
    _counted,
    _scaled,
    _significant,
    _turned,
    claim_hypotheses,
    likeliness,
)
from bpcli.studies.mistakes.hypotheses import Hypothesis, same
from bpcli.studies.trace.graph import LOSS_AFTER, NodeKey, StepGraph
from bpcli.studies.trace.step_blocks import take_step

OWN = np.array([[1.0, -2.0], [3.0, 4.0]])


def scaled(stage: Stage, outputs: tuple[int, ...]) -> dict[str, float]:
    return {h.code: float(h.value[0, 0]) for h in _scaled(OWN, stage, outputs)}


def test_results_may_be_multiples_of_what_they_should_be() -> None:
    usual = {"sign": -1.0, "factor-2": 2.0, "factor-1/2": 0.5}
    assert scaled(Stage.FORWARD, (4, 3)) == usual
    by_rows = {"rows": 4.0, "rows-twice": 0.25}
    by_outputs = {"outputs": 3.0, "outputs-twice": pytest.approx(1 / 3)}
    assert scaled(Stage.WEIGHTS, (4, 3)) == usual | by_rows | by_outputs
    assert scaled(Stage.WEIGHTS, (1, 3)) == usual | by_outputs
    assert scaled(Stage.REPEAT, (4, 1)) == usual | by_rows
    assert scaled(Stage.WEIGHTS, (1, 1)) == usual


def test_classic_mistakes_come_to_mind_first() -> None:
    assert [likeliness(Hypothesis(code, "", OWN)) for code in ("added", "sign", "rounding", "left-out", "minus")] == [
        0, 1, len(CLASSIC) - 1, len(CLASSIC), len(CLASSIC),
    ]  # fmt: skip


def test_rows_and_columns_exchanged() -> None:
    assert _turned(OWN).tolist() == OWN.T.tolist()
    wide = np.arange(6.0).reshape(2, 3)
    assert np.array_equal(_turned(wide), [[0, 3, np.nan], [1, 4, np.nan]], equal_nan=True)


def test_numbers_rounded_to_significant_digits() -> None:
    assert _significant([1234.0, 0.0012345, 0.0, -98.76], 2) == pytest.approx([1200.0, 0.0012, 0.0, -99.0])
    assert _significant(9.96, 1) == 10.0
    assert _significant(0.5, 3) == 0.5


@pytest.mark.parametrize(
    ("text", "counted"),
    [("mean(n, x[n])", "rows"), ("mean(k, x[k])", "outputs"), ("x / count(n<N)", "rows"), ("mean(i, x[i])", None),
     ("sum(n, x[n])", None), ("x + 1", None)],
)  # fmt: skip
def test_what_a_mean_counts(text: str, counted: str | None) -> None:
    assert _counted(parse(Eq("y", text, "")).right) == counted


NET = experiment(
    [dense(3, "tanh"), dense(2)], "mean_squared_error", [[0.5, -1.0], [1.0, 0.25]], [[1, 0], [0, 1]],
    optimizer={"type": "sgd", "learning_rate": 0.5},
)  # fmt: skip


def found(key: NodeKey, net: Any = NET) -> tuple[StepGraph, dict[str, list[Any]]]:
    """Every hypothesis at a node of the step, by its code."""
    target = trace_target(net)
    graph = StepGraph(target, take_step(target))
    by_code: dict[str, list[Any]] = {}
    for h in claim_hypotheses(graph, key, graph.truth, lambda: graph.truth):
        by_code.setdefault(h.code, []).append(h.value)
    return graph, by_code


def holds(values: list[Any], expected: Any) -> bool:
    return any(same(np.asarray(v), np.asarray(expected)) for v in values)


def test_mistakes_in_an_output() -> None:
    graph, codes = found(("layer", "dense_1", "y"))
    x, w, b = (graph.truth["given", "", name] for name in ("x", "dense_1.W", "dense_1.b"))
    assert holds(codes["dropped-bias"], x @ w)
    assert holds(codes["dropped-input"], np.repeat(w.sum(0)[None], 2, 0) + b)
    assert holds(codes["dropped-term"], x[:, 1:] @ w[1:] + b)
    assert "rounding" not in codes, "what is given is not rounded"
    assert "new-weight" not in codes, "there are no new weights on the way forward"


def test_mistakes_behind_an_activation() -> None:
    graph, codes = found(("layer", "dense_1.activation", "y"))
    z = graph.truth["layer", "dense_1", "y"]
    assert holds(codes["activation"], z)
    graph, codes = found(("layer", "dense_1.activation", "dx"))
    z, a, dy = (graph.truth["layer", *at] for at in (("dense_1", "y"), ("dense_1.activation", "y"), ("dense_2", "dx")))
    assert holds(codes["no-slope"], dy)
    assert holds(codes["slope-at-a"], (1 - np.tanh(a) ** 2) * dy)
    _, codes = found(("layer", "dense_2", "y"))
    w, b = (graph.truth["given", "", name] for name in ("dense_2.W", "dense_2.b"))
    assert holds(codes["activation"], z @ w + b)
    assert holds(codes["rounding"], np.round(a, 1) @ w + b)
    assert holds(codes["rounding"], _significant(a, 3) @ w + b)


def test_mistakes_in_gradients() -> None:
    graph, codes = found(("layer", "dense_2", "dx"))
    dy, new = graph.truth["loss", "", "dx"], graph.after_step("dense_2.W").make(graph.truth)
    assert holds(codes["new-weight"], dy @ new.T)
    assert holds(codes["rows"], 2 * graph.truth["layer", "dense_2", "dx"])
    assert holds(codes["outputs-twice"], graph.truth["layer", "dense_2", "dx"] / 2)
    graph, codes = found(("layer", "dense_1", "dW"))
    x, dy = graph.truth["given", "", "x"], graph.truth["layer", "dense_2", "dx"]
    assert holds(codes["no-slope"], x.T @ dy)
    assert holds(
        codes["averaged"] if "averaged" in codes else codes["rows-twice"], graph.truth["layer", "dense_1", "dW"] / 2
    )


def test_mistakes_in_a_step() -> None:
    graph, codes = found(("optimizer", "", "w_new"))
    old, new = graph.taken.theta, graph.truth["optimizer", "", "w_new"]
    assert holds(codes["added"], 2 * old - new)
    assert holds(codes["learning-rate"], old + (new - old) / 0.5)
    graph, codes = found(LOSS_AFTER)
    assert holds(codes["old-weight"], graph.taken.loss)


def test_a_chain_may_stop_at_the_probabilities() -> None:
    """The slope of the loss by p, -t / (p N), and not by what p is computed from."""
    net = experiment(
        [dense(3)], "softmax_cross_entropy", [[0.5, -1.0], [1.0, 0.25]], [[1, 0, 0], [0, 0, 1]], optimizer="sgd"
    )
    graph, codes = found(("loss", "", "dx"), net)
    p, t = graph.truth["loss", "", "p"], graph.truth["given", "", "t"]
    assert holds(codes["half-chain"], -t / p / 2)
    assert "diagonal" in codes


def test_a_bias_correction_may_be_forgotten() -> None:
    net = {**NET, "optimizer": {"type": "adam", "learning_rate": 0.5}}
    graph, codes = found(("optimizer", "", "mhat"), net)
    assert holds(codes["bias-correction"], graph.truth["optimizer", "", "m_new"])


def test_a_penalty_may_be_forgotten() -> None:
    net = {**NET, "regularization": {"type": "l2", "strength": 0.5}}
    graph, codes = found(("gradient", "", "g"), net)
    assert holds(codes["penalty"], graph.taken.data)
    graph, codes = found(("gradient", "", "E"), net)
    assert holds(codes["penalty"], graph.truth["loss", "", "L"])
