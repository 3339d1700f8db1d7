"""The derivation: true to the engine and to its own digits, whatever the network."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from closing_lines import closing
from trace_nets import dense, derived, experiment, random_experiment, trace_target, with_each_part

from bpcli.parts.activations import Sigmoid
from bpcli.records.trace import Derivation, Stage
from bpcli.studies.trace.derive_step import View, derive
from bpcli.studies.trace.examples import open_example, trace_examples


def values(d: Derivation) -> dict[str, float]:
    """Every number of a derivation by its address."""
    found = {"loss": d.steps[0].loss, "loss_after": d.steps[0].after}
    for q in d.quantities:
        for at in np.ndindex(*q.value.shape):
            found[q.path + (f"[{','.join(map(str, at))}]" if at else "")] = float(q.value[at])
    return found


@pytest.mark.parametrize("name", list(trace_examples()))
def test_examples_are_what_others_computed(name: str) -> None:
    example = trace_examples()[name]
    d = derive(open_example(example), View(detail="neuron"))
    found = values(d)
    for address, value in example.verified.items():
        assert found[address] == pytest.approx(value, rel=1e-12, abs=1e-15), address
    assert d.wrong == ()
    assert d.quantities


@pytest.mark.parametrize(("name", "net"), list(with_each_part()), ids=lambda v: v if isinstance(v, str) else "")
def test_every_part_is_told_and_agrees(name: str, net: dict[str, Any]) -> None:
    """Two steps, so that what a part remembers is derived too."""
    d = derived(net, steps=2)
    assert d.wrong == ()
    kind = name.partition("/")[2]
    assert kind in {q.kind for q in d.quantities}
    assert {q.stage for q in d.quantities} >= {Stage.FORWARD, Stage.LOSS, Stage.WEIGHTS, Stage.UPDATE}
    assert d.steps[1].loss == pytest.approx(d.steps[0].after, rel=1e-12) or "dropout" in name or "noise" in name
    closing(d)


@pytest.mark.parametrize("seed", range(50))
def test_printed_digits_are_true(seed: int) -> None:
    assert closing(derived(random_experiment(seed))) > 10


@pytest.mark.slow
def test_printed_digits_are_true_of_a_thousand_networks() -> None:
    lines = 0
    for seed in range(1000, 2000):
        lines += closing(derived(random_experiment(seed)))
    sys.stdout.write(f"\n{lines:,} printed lines re-evaluated\n")
    assert lines > 50_000


def test_the_article() -> None:
    found = values(derive(open_example(trace_examples()["article"]), View()))
    for address, value in {
        "dense_1.activation.y[0,0]": 0.731058578630005,
        "dense_2.y[0,0]": -0.731058578630005,
        "dense_2.activation.y[0,0]": 0.324962472623176,
        "loss": 0.455675663367016,
        "loss.dx[0,0]": -1.350075054753647,
        "dense_2.db[0]": -0.296154980563903,
        "dense_2.dW[0,0]": -0.216506639145244,
        "dense_1.dW[0,0]": 0.058227603267763,
        "dense_1.W_new[0,0]": 0.941772396732237,
        "dense_1.b_new[0]": -0.058227603267763,
        "dense_2.W_new[0,0]": -0.783493360854756,
        "dense_2.b_new[0]": 0.296154980563903,
        "loss_after": 0.318317552644259,
    }.items():
        assert found[address] == pytest.approx(value, abs=5e-13)


def test_a_wrong_kernel_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(self: Sigmoid, f: Any, train: bool) -> None:
        np.multiply(f.dy, f.y, out=f.dx)  # without 1 - y

    monkeypatch.setattr(Sigmoid, "backward", wrong)
    d = derive(open_example(trace_examples()["article"]), View())
    assert [q.path for q in d.wrong] == ["dense_2.activation.dx", "dense_1.activation.dx"]


NETS: list[list[Any]] = [
    [dense(3, "sigmoid"), dense(2, "tanh"), dense(2)],
    [dense(3, "relu"), {"type": "dropout", "rate": 0.5}, dense(2)],
    [dense(2, "tanh"), {"type": "residual", "layers": [dense(2, "tanh"), dense(2)]}, dense(2)],
    [dense(2), "batch_norm", "relu", dense(2)],
    [dense(3, "softmax"), dense(2)],
]


@pytest.mark.parametrize("layers", NETS, ids=["deep", "dropout", "residual", "batch norm", "softmax"])
def test_paths_sum_to_the_gradient(layers: list[Any]) -> None:
    rng = np.random.default_rng(3)
    net = experiment(layers, "mean_squared_error", rng.normal(size=(3, 2)), rng.normal(size=(3, 2)))
    made = trace_target(net)
    d = derive(made, View(detail="path", params=("dense_1.W[1,0]", "dense_1.b[1]", "dense_2.W[0,1]")))
    for weight_paths in d.paths:
        assert weight_paths.total == pytest.approx(weight_paths.gradient, rel=1e-10, abs=1e-14)
        assert weight_paths.measured == pytest.approx(weight_paths.predicted, rel=1e-4, abs=1e-9)
        for hops in weight_paths.paths:
            assert hops[-1].lower == weight_paths.name
            assert np.prod([h.value for h in hops]) == pytest.approx(hops[-1].product, rel=1e-12, abs=1e-300)


def test_paths_of_a_wide_network_are_grouped() -> None:
    rng = np.random.default_rng(3)
    layers = [dense(2, "tanh"), dense(20, "tanh"), dense(10, "tanh"), dense(2)]
    net = experiment(layers, "mean_squared_error", rng.normal(size=(1, 2)), rng.normal(size=(1, 2)))
    d = derive(trace_target(net), View(detail="path", params=("dense_1.W[1,0]",)))
    assert d.paths[0].grouped
    assert d.paths[0].count == 20
    assert d.paths[0].total == pytest.approx(d.paths[0].gradient, rel=1e-10)


def test_a_closed_path_is_told_and_is_zero() -> None:
    net = experiment([dense(1, "relu"), dense(1)], "mean_squared_error", [[0.0]], [[1.0]])
    d = derive(trace_target(net), View(detail="path", params=("dense_1.W[0,0]",)))
    assert d.paths[0].count == 1
    assert d.paths[0].total == 0


def test_steps_go_on_from_each_other() -> None:
    net = random_experiment(7)
    d = derived(net, detail="overview", steps=3)
    for before, after in zip(d.steps, d.steps[1:], strict=False):
        assert after.loss == pytest.approx(before.after, rel=1e-12)
    weights = {g.path: g.value for g in d.start_values if g.step == 2}
    for path, value in d.steps[0].updated.items():
        np.testing.assert_array_equal(weights[path], value)


def test_old_weights_are_given() -> None:
    d = derive(open_example(trace_examples()["article"]), View())
    assert {g.path: float(g.value.ravel()[0]) for g in d.start_values}["dense_2.W"] == -1.0


@pytest.mark.parametrize(("rows", "more"), [(8, ""), (9, ", ...")])
def test_the_classes_of_eight_rows_are_named(rows: int, more: str) -> None:
    names = [f"k{i % 2}" for i in range(rows)]
    net = experiment([dense(2)], "softmax_cross_entropy", [[float(i)] for i in range(rows)], names)
    values_at_start = {g.path: g.note for g in derived(net).start_values}
    assert values_at_start["t"] == f"the targets: {', '.join(names[:8])}{more}"


def test_six_digits_are_worked_out_unless_others_are_asked_for() -> None:
    third = {"type": "dense", "units": 1, "weights": [[1 / 3]], "bias": False}
    for more, printed in (({}, "0.333333"), ({"digits": 3}, "0.333")):
        d = derived(experiment([third], "mean_squared_error", [[1.0]], [[0.0]]), **more)  # type: ignore[arg-type]
        (entry,) = next(q for q in d.quantities if q.path == "dense_1.y").entries
        assert entry.worked.result == printed
