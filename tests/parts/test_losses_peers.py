"""Losses beside those of torch and scikit-learn."""

import math
from typing import Any

import numpy as np
import pytest
from loss_by_hand import worked

from bpcli.family.plan import Array
from bpcli.parts.losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    Hinge,
    Huber,
    KLDivergence,
    MeanAbsoluteError,
    MulticlassHinge,
    Poisson,
    SoftmaxCrossEntropy,
)


def close(ours: Any, theirs: Any) -> None:
    assert np.allclose(ours, theirs, rtol=1e-12, atol=1e-12 * min(1.0, float(np.abs(theirs).max())))


@pytest.mark.peers
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
@pytest.mark.parametrize("classes", [2, 3, 10])
def test_softmax_cross_entropy_as_torch(classes: int, smoothing: float, seed: int) -> None:
    """CrossEntropyLoss(weight, label_smoothing) itself, on class ids, with its own reduction; classes that do not occur
    among them."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng([classes, seed])
    ids, c = rng.integers(0, classes, 17), np.exp(rng.normal(size=classes) * 2)
    if seed:
        ids[ids == 0] = 1
    x = rng.normal(size=(17, classes)) * 10.0 ** rng.uniform(-2, 2)
    z = torch.tensor(x, requires_grad=True)
    peer = torch.nn.CrossEntropyLoss(weight=torch.tensor(c), label_smoothing=smoothing)(z, torch.tensor(ids))
    peer.backward()
    named = tuple((str(k), float(w)) for k, w in enumerate(c))
    ours = worked(SoftmaxCrossEntropy(class_weights=named, label_smoothing=smoothing), x, np.eye(classes)[ids])
    close(ours[0], peer.item())
    close(ours[1], z.grad.numpy())


@pytest.mark.peers
def test_reductions_of_torch() -> None:
    """The means that torch's own classes take, where they are ours."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    x, t = rng.normal(size=(11, 4)) * 2, rng.normal(size=(11, 4)) * 2
    counts, p = rng.poisson(2, (11, 4)).astype(float), rng.dirichlet(np.ones(4) / 3, 11)
    p[0] = [0, 1, 0, 0]
    nn, log = torch.nn, torch.log_softmax
    peers = [
        (MeanAbsoluteError(), t, lambda z, u: nn.L1Loss()(z, u)),
        (Huber(delta=0.7), t, lambda z, u: nn.HuberLoss(delta=0.7)(z, u)),
        (Poisson(), counts, lambda z, u: nn.PoissonNLLLoss(log_input=True, full=False)(z, u)),
        (KLDivergence(), p, lambda z, u: nn.KLDivLoss(reduction="batchmean")(log(z, 1), u)),
        (BinaryCrossEntropy(), p, lambda z, u: nn.BCEWithLogitsLoss()(z, u)),
    ]
    for part, targets, peer in peers:
        z = torch.tensor(x, requires_grad=True)
        value = peer(z, torch.tensor(targets))
        value.backward()
        loss, dx = worked(part, x, targets)
        close(loss, value.item())
        close(dx, z.grad.numpy())


@pytest.mark.peers
@pytest.mark.parametrize("weight", [None, np.array([1.0, 2, 0.5, 3, 1, 1, 4])])
def test_values_of_scikit_learn(weight: Array | None) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(2)
    ids = np.array([0, 1, 2, 0, 2, 1, 1])
    one_hot = np.eye(3)[ids]
    scores, p = rng.normal(size=(7, 3)) * 2, rng.dirichlet(np.ones(3), 7)
    w: dict[str, Any] = {"sample_weight": weight}
    assert math.isclose(worked(MulticlassHinge(), scores, one_hot, weight)[0],
                        metrics.hinge_loss(ids, scores, **w), rel_tol=1e-12)  # fmt: skip
    assert math.isclose(worked(CrossEntropy(), p, one_hot, weight)[0], metrics.log_loss(ids, p, **w), rel_tol=1e-12)
    sign = (ids == 1).astype(float)
    assert math.isclose(worked(Hinge(), scores[:, :1], sign[:, None], weight)[0],
                        metrics.hinge_loss(2 * sign - 1, scores[:, 0], **w), rel_tol=1e-12)  # fmt: skip
    t = rng.normal(size=(7, 3))
    assert math.isclose(worked(MeanAbsoluteError(), scores, t, weight)[0],
                        metrics.mean_absolute_error(t, scores, **w), rel_tol=1e-12)  # fmt: skip
    counts = np.array([1.0, 3, 2, 5, 1, 4, 2])
    deviance = metrics.mean_poisson_deviance(counts, np.exp(scores[:, 0]), **w)
    least = np.average(counts * np.log(counts) - counts, weights=weight)
    assert math.isclose(2 * (worked(Poisson(), scores[:, :1], counts[:, None], weight)[0] + least), deviance,
                        rel_tol=1e-12)  # fmt: skip


@pytest.mark.peers
def test_balanced_as_scikit_learn() -> None:
    compute = pytest.importorskip("sklearn.utils.class_weight").compute_class_weight
    ids = np.repeat([0, 1, 2], [3, 17, 5])
    fitted: Any = SoftmaxCrossEntropy(class_weights="balanced").with_classes(("a", "b", "c"), (3, 17, 5))
    assert [w for _, w in fitted.class_weights] == pytest.approx(compute("balanced", classes=np.arange(3), y=ids))
