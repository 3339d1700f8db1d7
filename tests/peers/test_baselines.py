"""The table of accuracies in the guide to performance: what logistic regression (ridge regression of diabetes) and
gradient boosting of scikit-learn reach on the very rows that bpcli's shipped configs are trained and tested on.

    pytest -m peers -s tests/peers/test_baselines.py
"""

import re
import statistics
import sys
from typing import Any

import numpy as np
import pytest
from paths import ROOT

from bpcli.studies.run.setup import set_up

sklearn = pytest.importorskip("sklearn")
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor  # noqa: E402
from sklearn.linear_model import LogisticRegression, RidgeCV  # noqa: E402

pytestmark = pytest.mark.peers

GUIDE = ROOT / "bpcli" / "guides" / "performance.md"
SEEDS = range(5)  # those of our own figures: each changes the split


def models(name: str, seed: int) -> tuple[Any, Any]:
    """Returns a linear model and gradient boosting, with scikit-learn's settings."""
    if name == "diabetes":
        return RidgeCV(alphas=np.logspace(-2, 3, 16)), GradientBoostingRegressor(random_state=seed)
    return LogisticRegression(max_iter=5000), GradientBoostingClassifier(random_state=seed)


def reached(name: str) -> list[float]:
    """Returns the mean test accuracy (R2) of both, trained on the rows of train and validation, which they do not
    need apart."""
    found: list[list[float]] = [[], []]
    for seed in SEEDS:
        setup = set_up(ROOT / "configs" / f"{name}.yaml", [f"seed={seed}"])
        splits = setup.prepared.splits
        learned = [splits[s] for s in ("train", "validation") if s in splits]
        x, t = (np.concatenate([np.asarray(getattr(split, part)) for split in learned]) for part in "xt")
        for model, scores in zip(models(name, seed), found, strict=True):
            model.fit(x.reshape(len(x), -1), t.ravel())
            test = splits["test"]
            scores.append(model.score(np.asarray(test.x).reshape(len(test.x), -1), np.asarray(test.t).ravel()))
    return [statistics.mean(scores) for scores in found]


@pytest.mark.parametrize("name", ["iris", "digits", "diabetes", "wine", "breast_cancer", "spirals"])
def test_the_guide_shows_what_they_reach(name: str) -> None:
    linear, boosted = reached(name)
    version = sklearn.__version__
    sys.stdout.write(f"\n{name}: linear {linear:.4f}, gradient boosting {boosted:.4f} (scikit-learn {version})\n")
    row = re.search(rf"`configs/{name}\.yaml` \| [\d.]+ \| ([\d.]+) \| ([\d.]+) \|", GUIDE.read_text(encoding="utf-8"))
    assert row, name
    assert [float(shown) for shown in row.groups()] == pytest.approx([linear, boosted], abs=0.006)
