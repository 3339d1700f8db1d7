"""No right gradient is called wrong: random networks in awkward conditions, and every part at many points."""

from typing import Any

import numpy as np
import pytest
from random_nets import MOODS, random_net
from registry import good

from bpcli.family import Layer, Loss, Regularizer
from bpcli.plan import Sample
from bpcli.studies.gradcheck.study import check_gradients
from bpcli.studies.proof import cases
from bpcli.verdicts import GradcheckReport

CHUNK = 50
GOOD = dict(good())


def alarms(report: GradcheckReport) -> list[Any]:
    return [r for r in report.tensors if r.verdict in ("WRONG", "not covered", "follows")] + [
        law for law in report.laws if law.holds is False
    ]


@pytest.mark.parametrize(
    "seed", range(50), ids=lambda seed: f"{list(MOODS)[seed % len(MOODS)].replace(' ', '_')}-{seed}"
)
def test_a_random_network_is_right(seed: int) -> None:
    net, _ = random_net(seed, small=True)
    report = check_gradients(net, seed)
    assert report.passed, alarms(report)
    assert not report.findings


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(20))
def test_a_thousand_random_networks_are_right(chunk: int) -> None:
    for seed in range(CHUNK * chunk, CHUNK * (chunk + 1)):
        net, mood = random_net(seed)
        report = check_gradients(net, seed)
        assert report.passed, (seed, mood, alarms(report))
        assert not report.findings


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
