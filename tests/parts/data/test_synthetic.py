"""Synthetic problems: shapes, counts, the seed, and scikit-learn's generators."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bpcli.family import Source, Table
from bpcli.parts.data.synthetic import DEFAULT_CLASSES, DEFAULT_NOISE, Synthetic, blob_centers

FORMS = tuple(DEFAULT_NOISE)


def made(shape: str, need_target: bool = True, **settings: Any) -> Table:
    source = Source.parse({"type": "synthetic", "shape": shape, **settings})
    return source.load(Path("."), need_target=need_target)


def targets(table: Table) -> Any:
    assert table.target is not None
    return table.target


@pytest.mark.parametrize("shape", FORMS)
@pytest.mark.parametrize("rows", [7, 8, 101])
def test_rows_classes_and_names(shape: str, rows: int) -> None:
    table = made(shape, rows=rows)
    assert table.numbers.shape == (rows, {"sine": 1, "parity": 4}.get(shape, 2))
    assert len(table.names) == table.numbers.shape[1]
    if shape == "sine":
        assert targets(table).shape == (rows, 1)
        return
    counts = np.bincount(targets(table))
    assert targets(table).dtype == np.int64
    assert len(counts) == DEFAULT_CLASSES.get(shape, 2)  # type: ignore[call-overload]
    if shape != "parity":
        assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("shape", FORMS)
def test_the_seed_and_nothing_else_decides(shape: str) -> None:
    first, again, other = made(shape, seed=1), made(shape, seed=1), made(shape, seed=2)
    assert np.array_equal(first.numbers, again.numbers)
    assert np.array_equal(targets(first), targets(again))
    assert not np.array_equal(first.numbers, other.numbers)


@pytest.mark.parametrize(
    ("shape", "x", "t"),
    [
        ("xor", [0.21676, 0.05179, 0.02301, -0.12026], [0, 0]),
        ("moons", [1.53548, -0.33174, -1.04989, -0.04049], [1, 0]),
        ("circles", [-0.97791, 0.06729, 0.28718, 0.47478], [0, 1]),
        ("spirals", [0.01524, 0.68856, 0.10875, -0.00679], [1, 0]),
        ("blobs", [-4.56305, 6.27813, -2.6514, 4.75919], [1, 1]),
        ("sine", [0.70939, 0.30403], [0.50704, 0.29988]),
        ("parity", [0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0], [0, 0]),
    ],
)
def test_the_data_of_a_seed_stay_what_they_were(shape: str, x: list[float], t: list[float]) -> None:
    """The first two rows, as the first version made them: a config with a seed says which data it was."""
    table = made(shape, rows=32, seed=5)
    np.testing.assert_allclose(table.numbers[:2].ravel(), x, atol=1e-5)
    np.testing.assert_allclose(np.ravel(targets(table)[:2]), t, atol=1e-5)


@pytest.mark.parametrize("shape", FORMS)
def test_a_model_file_says_the_same(shape: str) -> None:
    """With every default filled in."""
    source = Source.parse({"type": "synthetic", "shape": shape})
    assert Source.parse(source.model_dump(mode="json")) == source


def test_the_order_is_by_chance() -> None:
    ids = targets(made("moons", rows=200))
    assert 40 < (ids[1:] != ids[:-1]).sum() < 160
    assert not np.array_equal(ids, np.sort(ids))


@pytest.mark.parametrize("shape", FORMS)
def test_without_targets(shape: str) -> None:
    assert made(shape, need_target=False).target is None


def test_noise_is_the_deviation() -> None:
    for shape in ("xor", "moons", "circles", "spirals", "blobs", "parity"):
        clean, noisy = (made(shape, rows=40_000, noise=n).numbers for n in (0.0, 0.25))
        off = noisy - clean
        assert abs(off.std() - 0.25) < 0.003, shape
        assert abs(off.mean()) < 0.003, shape
    table = made("sine", rows=40_000, noise=0.25)
    off = targets(table) - np.sin(table.numbers)
    assert abs(off.std() - 0.25) < 0.004


def test_xor_and_parity_say_what_they_are() -> None:
    x = made("xor", rows=100, noise=0.0)
    assert np.array_equal(targets(x), x.numbers.sum(axis=1) == 1)
    assert len(np.unique(x.numbers, axis=0)) == 4
    for bits, rows in ((3, 8), (3, 20), (6, 40), (2, 4)):
        p = made("parity", bits=bits, rows=rows)
        assert np.array_equal(targets(p), p.numbers.sum(axis=1) % 2)
        assert len(np.unique(p.numbers, axis=0)) == min(rows, 2**bits)


def test_a_blob_lies_about_its_middle() -> None:
    table = made("blobs", rows=40_000, classes=4, noise=2.0)
    for k, middle in enumerate(blob_centers(4)):
        cloud = table.numbers[targets(table) == k]
        assert np.abs(cloud.mean(axis=0) - middle).max() < 0.08
        assert np.abs(cloud.std(axis=0) - 2).max() < 0.06


def test_arms_do_not_touch_without_noise() -> None:
    table = made("spirals", rows=600, noise=0.0, classes=3)
    own, ids = table.numbers, targets(table)
    apart = np.hypot(*(own[:, None] - own[None]).transpose(2, 0, 1))
    assert apart[ids[:, None] != ids].min() > 0.1


@pytest.mark.peers
@pytest.mark.parametrize("rows", [10, 401])
def test_as_scikit_learn_draws_them(rows: int) -> None:
    """Without noise the very points."""
    from sklearn.datasets import make_circles, make_moons

    halves = (rows // 2, rows - rows // 2)
    theirs = {"moons": make_moons(halves, shuffle=False), "circles": make_circles(halves, shuffle=False, factor=0.5)}
    for shape, (x, t) in theirs.items():
        ours = made(shape, rows=rows, noise=0.0)
        assert np.bincount(t).tolist() == np.bincount(targets(ours)).tolist()
        for k in (0, 1):
            distance = np.hypot(*(ours.numbers[targets(ours) == k][:, None] - x[t == k][None]).transpose(2, 0, 1))
            assert distance.min(axis=1).max() < 1e-12
            assert distance.min(axis=0).max() < 1e-12


@pytest.mark.peers
def test_with_the_statistics_of_scikit_learn() -> None:
    """With noise: means, deviations and quantiles of each class."""
    from sklearn.datasets import make_blobs, make_circles, make_moons

    n = 60_000
    cases = {
        "moons": make_moons(n, noise=0.2, random_state=1),
        "circles": make_circles(n, noise=0.2, factor=0.5, random_state=1),
        "blobs": make_blobs(n, centers=blob_centers(3), cluster_std=0.2, random_state=1),
    }
    for shape, (x, t) in cases.items():
        ours = made(shape, rows=n, noise=0.2)
        for k in range(t.max() + 1):
            mine, theirs = ours.numbers[targets(ours) == k], x[t == k]
            assert np.abs(mine.mean(0) - theirs.mean(0)).max() < 0.02, shape
            assert np.abs(np.cov(mine.T) - np.cov(theirs.T)).max() < 0.02, shape
            mine, theirs = (np.quantile(p, [0.05, 0.25, 0.5, 0.75, 0.95], axis=0) for p in (mine, theirs))
            assert np.abs(mine - theirs).max() < 0.04, shape


def test_usual_settings_are_those_of_the_docstring() -> None:
    doc = Synthetic.__doc__ or ""
    words = " ".join(doc.split())
    assert "xor, moons, circles and sine 0.1, spirals 0.03, blobs 1, parity 0" in words
    assert {s: n for s, n in DEFAULT_NOISE.items() if n != 0.1} == {"spirals": 0.03, "blobs": 1.0, "parity": 0.0}


def test_one_input_is_x_and_several_are_numbered() -> None:
    assert Synthetic(shape="sine").load(Path(".")).names == ("x",)
    assert Synthetic(shape="moons").load(Path(".")).names == ("x1", "x2")
