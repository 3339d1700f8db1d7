"""No right gradient is called wrong: random networks in awkward conditions, and every part at many points."""

from typing import Any

import numpy as np
import pytest
from random_nets import MOODS, random_net
from registry import good
from trace_nets import dense, experiment, trace_target

from bpcli.family import Layer, Loss, Regularizer
from bpcli.family.plan import Sample
from bpcli.records.gradcheck import GradcheckReport
from bpcli.studies.gradcheck.check import check_gradients
from bpcli.studies.witness.cases import cases

CHUNK = 50
GOOD = dict(good())


def alarms(report: GradcheckReport) -> list[Any]:
    """What is called wrong; and what nobody could judge, unless the loss is infinite there, as it says."""
    infinite = any("is infinite on these rows" in note for note in report.notes)
    bad = ("WRONG", "follows") if infinite else ("WRONG", "follows", "not covered")
    return [r for r in report.tensors if r.verdict in bad] + [law for law in report.laws if law.holds is False]


@pytest.mark.parametrize(
    "seed", range(12), ids=lambda seed: f"{list(MOODS)[seed % len(MOODS)].replace(' ', '_')}-{seed}"
)
def test_a_random_network_is_right(seed: int) -> None:
    net, _ = random_net(seed, small=True)
    report = check_gradients(net, seed)
    assert not alarms(report)
    assert not report.findings


@pytest.mark.parametrize("seed", [350, 632, 811])
def test_probabilities_that_no_complex_step_is_smaller_than_are_right(seed: int) -> None:
    net, _ = random_net(seed)
    assert not alarms(check_gradients(net, seed))


def test_a_loss_near_the_largest_number_of_float32_is_right() -> None:
    """Its sum over the rows is beyond it, its mean is not."""
    net, _ = random_net(51)
    assert not alarms(check_gradients(net, 51))


@pytest.mark.parametrize("seed", [pytest.param(118, marks=pytest.mark.slow), 252])
def test_a_network_that_is_too_steep_for_differences_is_right(seed: int) -> None:
    """In 118 rounding decides on the sides of kinks, in 252 slopes change by a tenth within the steps: exact slopes of
    points that nearly coincide show it."""
    net, _ = random_net(seed)
    report = check_gradients(net, seed)
    assert not alarms(report)
    assert not report.findings


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(20))
def test_a_thousand_random_networks_are_right(chunk: int) -> None:
    for seed in range(CHUNK * chunk, CHUNK * (chunk + 1)):
        net, mood = random_net(seed)
        report = check_gradients(net, seed)
        assert not alarms(report), (seed, mood)
        assert not report.findings


RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 3))
CLASSES = np.eye(3)[X.argmin(1)]  # those that are least likely where weights are large
FAR = {**dense(3), "weights": (400 * np.eye(3)).tolist()}
AWKWARD: dict[str, dict[str, Any]] = {
    "probabilities of 1e-60": experiment(
        [{**dense(3), "weights": (60 * np.eye(3)).tolist()}, "softmax"], "cross_entropy", X, CLASSES
    ),
    "probabilities of 0": experiment([FAR, "softmax"], "cross_entropy", X, CLASSES),
    "logits so far apart that all but one vanish": experiment([FAR], "softmax_cross_entropy", X, CLASSES),
    "rates beyond the largest number": experiment([FAR], "poisson", X, np.abs(X).round()),
    "groups of a single value": experiment(
        [dense(4), {"type": "group_norm", "groups": 4}, dense(2)], "mean_squared_error", X, X[:, :2]
    ),
    "a loss of 1e-12 out of terms of 1": experiment([dense(3, "tanh")], "log_cosh", 1e-6 * X, 1e-6 * X),
    "rows alike up to 1e-6": experiment(
        [dense(4), "softplus", "layer_norm", dense(2)], "mean_squared_error", 1e-6 * X, X[:, :2]
    ),
    "the same inside a branch": experiment(
        [{"type": "residual", "layers": ["sigmoid", "layer_norm"]}, dense(2)], "huber", 1e-6 * X, X[:, :2]
    ),
    "kinks that cancel": experiment(
        [{**dense(2), "weights": [[1.0, -1.0]] * 3}, "relu", {**dense(1), "weights": [[1.0], [-1.0]]}],
        "mean_squared_error", np.array([[0.0, 0.0, 0.0], [1.0, -1.0, 0.0]]), [[1.0], [2.0]],
    ),
    "columns that do not vary": experiment(
        ["batch_norm", dense(4, "relu"), "batch_norm", dense(2)], "mean_squared_error", np.ones((4, 3)), X[:, :2]
    ),
    "numbers from 1e-8 to 1e6": experiment([dense(4, "tanh"), dense(2)], "huber", X * [1e-8, 1, 1e6], X[:, :2]),
}  # fmt: skip


@pytest.mark.parametrize("net", AWKWARD)
def test_an_awkward_network_is_right(net: str) -> None:
    report = check_gradients(trace_target(AWKWARD[net]))
    assert not alarms(report)


def hold(sample: Sample, seed: int) -> None:
    for case in cases(sample, seed=seed):
        wrong = [gap for gap in case.gaps(case.kernel()) if gap.verdict == "WRONG"]
        assert not wrong, (seed, wrong)


@pytest.mark.parametrize("family", [Layer, Loss, Regularizer])
def test_every_part_keeps_the_laws_at_another_point(family: Any) -> None:
    """At the first point they are tried on, and the steps of optimizers too, in the laws of the registry."""
    for sample in GOOD.values():
        if isinstance(sample.part, family):
            hold(sample, 1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(50))
def test_every_part_keeps_the_laws_at_fifty_points(seed: int) -> None:
    with np.errstate(all="ignore"):
        for sample in GOOD.values():
            hold(sample, seed)
