"""Augmentation: what each part does to known images, that chance is a function of the step alone, and that nothing
grows with the batch."""

import tracemalloc

import numpy as np
import pytest
from count_calls import calls
from registry import good

from bpcli.engine.augment import Augmenter, augmenting_bytes
from bpcli.family import Augmentation
from bpcli.family.plan import Array, Frame, Sample, Shape, ShapeError, empty
from bpcli.numeric.streams import Stream
from bpcli.parts.augment import Cutout, Flip, Rotate, Shift

PARTS = {k: s for k, s in good() if isinstance(s.part, Augmentation)}


def images(n: int, shape: Shape, dtype: object = np.float64) -> Array:
    return np.random.default_rng(3).uniform(0.5, 1, (n, *shape)).astype(dtype)  # type: ignore[arg-type]


def changed(part: Augmentation, x: Array, *, seed: int = 0, zero: float = 0.0, unit: float = 1.0) -> Array:
    x = x.copy()
    slots = {name: empty(slot, len(x), x.dtype) for name, slot in part.work(x.shape[1:]).items()}
    for array in slots.values():
        array.view(np.uint8)[...] = 0x55  # what an earlier batch left there
    part.apply(Frame(x=x, y=x, dx=None, dy=x, zero=zero, unit=unit, **slots), Stream(seed, "test").at(0))
    return x


def test_flip_mirrors_some_images_and_leaves_the_others() -> None:
    x = images(200, (3, 5, 2))
    y = changed(Flip(), x)
    mirrored = (y == x[:, :, ::-1]).all((1, 2, 3))
    assert (mirrored | (y == x).all((1, 2, 3))).all()
    assert 70 < mirrored.sum() < 130
    assert (changed(Flip(probability=1, axis="vertical"), x) == x[:, ::-1]).all()


@pytest.mark.parametrize("fill", [0.25, "edge"])
def test_shift_moves_whole_pixels_every_way(fill: float | str) -> None:
    part = Shift(pixels=2, fill=fill)  # type: ignore[arg-type]
    x = images(400, (5, 4, 3))
    y = changed(part, x, zero=-1, unit=2)
    filled = {"mode": "edge"} if fill == "edge" else {"constant_values": -1 + 2 * 0.25}
    found = set()
    for old, new in zip(x, y, strict=True):
        padded = np.pad(old, ((2, 2), (2, 2), (0, 0)), **filled)  # type: ignore[call-overload]
        fits = [(a, b) for a in range(5) for b in range(5) if (padded[a : a + 5, b : b + 4] == new).all()]
        assert len(fits) == 1
        found.add(fits[0])
    assert len(found) == 25


def slow_rotation(x: Array, angle: float, border: float | None) -> Array:
    """Pixel by pixel: where it comes from, and the mean of the four pixels about that place."""
    h, w, _ = x.shape
    out = np.empty_like(x)
    for i in range(h):
        for j in range(w):
            down, right = i - (h - 1) / 2, j - (w - 1) / 2
            a = np.cos(angle) * down - np.sin(angle) * right + (h - 1) / 2
            b = np.sin(angle) * down + np.cos(angle) * right + (w - 1) / 2
            a, b = min(max(a, -1), h), min(max(b, -1), w)
            total = 0
            for p in (int(np.floor(a)), int(np.floor(a)) + 1):
                for q in (int(np.floor(b)), int(np.floor(b)) + 1):
                    inside = 0 <= p < h and 0 <= q < w
                    pixel = x[min(max(p, 0), h - 1), min(max(q, 0), w - 1)] if inside or border is None else border
                    total = total + max(0, 1 - abs(a - p)) * max(0, 1 - abs(b - q)) * pixel
            out[i, j] = total
    return out


@pytest.mark.parametrize(("fill", "border"), [(0.25, 0.5), ("edge", None)])
@pytest.mark.parametrize("shape", [(5, 7, 2), (4, 4, 1), (1, 3, 1)])
def test_rotation_is_bilinear_interpolation(fill: float | str, border: float | None, shape: Shape) -> None:
    x = images(20, shape)
    y = changed(Rotate(degrees=90.0, fill=fill), x, zero=0, unit=2)  # type: ignore[arg-type]
    angles = np.radians(90) * (2 * Stream(0, "test").at(0).random(20) - 1)
    for old, new, angle in zip(x, y, angles, strict=True):
        assert np.abs(new - slow_rotation(old, angle, border)).max() < 1e-12
    assert np.abs(changed(Rotate(degrees=90.0, fill=fill), x.astype(np.float32), unit=2) - y).max() < 1e-5  # type: ignore[arg-type]


def test_the_angles_are_those_asked_for() -> None:
    """Of a bright dot to the right of the centre: it moves along a circle, both ways, no farther than that."""
    x = np.zeros((300, 41, 41, 1))
    x[:, 18:23, 35:40] = 1
    y = changed(Rotate(degrees=30.0), x)
    down, right = (np.average(np.arange(41) - 20, axis=0, weights=y.sum((0, 3 - a, 3))) for a in (1, 2))
    each = [np.average(np.arange(41) - 20, weights=image.sum((1, 2))) for image in y]
    angles = np.degrees(np.arcsin(np.array(each) / 17))
    assert abs(down) < 1
    assert right > 14
    assert -31 < angles.min() < -27
    assert 27 < angles.max() < 31


def test_cutout_covers_a_square_and_nothing_else() -> None:
    x = images(500, (7, 9, 2))
    y = changed(Cutout(size=3, fill=0.1), x, zero=3, unit=10)
    covered = y != x
    assert (y[covered] == 4).all()
    assert (covered[..., 0] == covered[..., 1]).all()
    for image in covered[..., 0]:
        rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
        assert image.sum() == len(rows) * len(columns)
        assert 2 <= len(rows) <= 3
        assert 2 <= len(columns) <= 3
        assert len(rows) == 3 or rows[0] == 0 or rows[-1] == 6
    centres = covered[..., 0].mean(0)
    assert centres.min() > 0.03, "every pixel is covered now and then"
    some = (changed(Cutout(size=3, probability=0.2), x) != x).any((1, 2, 3)).mean()
    assert 0.14 < some < 0.27


@pytest.mark.parametrize("sample", PARTS.values(), ids=PARTS)
def test_float32_sees_what_float64_sees(sample: Sample) -> None:
    x = images(30, sample.x)
    assert np.abs(changed(sample.part, x) - changed(sample.part, x.astype(np.float32))).max() < 1e-5


@pytest.mark.parametrize("sample", PARTS.values(), ids=PARTS)
def test_scaling_before_and_after_are_the_same(sample: Sample) -> None:
    x = images(30, sample.x)
    after = 2 * changed(sample.part, x) - 3
    assert np.abs(changed(sample.part, 2 * x - 3, zero=-3, unit=2) - after).max() < 1e-13


@pytest.mark.parametrize("sample", PARTS.values(), ids=PARTS)
def test_chance_is_a_function_of_seed_and_step(sample: Sample) -> None:
    x = images(8, sample.x)
    shape = sample.x

    def at(step: int, seed: int = 7, warm: int = 0, rows: int = 8) -> Array:
        augmenter = Augmenter([sample.part], shape, rows, np.float64, seed, 0.0, 1.0)
        for k in range(warm):
            augmenter.apply(x[: 3 + k].copy(), k)
        found = x.copy()
        augmenter.apply(found, step)
        return found

    assert (at(5) == at(5, warm=4, rows=11)).all(), "neither what came before nor the memory for more rows matters"
    if sample.part.kind == "flip" and sample.part.probability == 1:
        return
    assert not (at(5) == at(6)).all()
    assert not (at(5) == at(5, seed=8)).all()


def test_parts_of_one_kind_draw_apart_and_rows_may_be_flat() -> None:
    x = images(64, (6, 6, 1))
    once, twice = x.reshape(64, 36).copy(), x.copy()
    Augmenter([Flip(), Flip()], (6, 6, 1), 64, np.float64, 1, 0.0, 1.0).apply(once, 3)
    Augmenter([Flip()], (6, 6, 1), 64, np.float64, 1, 0.0, 1.0).apply(twice, 3)
    assert not (once.reshape(x.shape) == x).all()
    assert not (once.reshape(x.shape) == twice).all()


@pytest.mark.parametrize("sample", [s for s in PARTS.values() if s.part.kind != "flip"], ids=lambda s: s.part.kind)
def test_it_says_what_memory_it_takes(sample: Sample) -> None:
    part, shape = sample.part, sample.x
    slots = part.work(shape).values()
    assert augmenting_bytes([part, part], shape, 5, 8) == 2 * sum(empty(s, 5, np.float64).nbytes for s in slots)


@pytest.mark.parametrize("kind", list(Augmentation.registry))
def test_little_is_allocated(kind: str) -> None:
    """At most one more copy of the batch, for a moment, and a few numbers for each row."""
    x = images(64, (28, 28, 1), np.float32)
    augmenter = Augmenter([Augmentation.parse(kind)], (28, 28, 1), 64, np.float32, 0, 0.0, 1.0)
    augmenter.apply(x, 0)
    tracemalloc.start()
    augmenter.apply(x, 1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < x.nbytes + 100_000


@pytest.mark.parametrize("kind", list(Augmentation.registry))
def test_no_image_is_changed_on_its_own(kind: str) -> None:
    """As many calls for 64 images as for 4."""
    augmenter = Augmenter([Augmentation.parse(kind)], (28, 28, 1), 64, np.float32, 0, 0.0, 1.0)
    x = images(64, (28, 28, 1), np.float32)
    augmenter.apply(x, 0)
    assert calls(lambda: augmenter.apply(x, 1)) == calls(lambda: augmenter.apply(x[:4], 1))


def test_what_cannot_be_changed_is_refused() -> None:
    for part, shape, text in (
        (Shift(pixels=3), (3, 5, 1), "out of sight"),
        (Cutout(size=8), (7, 9, 1), "does not fit into an image of 7 x 9"),
    ):
        with pytest.raises(ShapeError, match=text):
            part.work(shape)


def test_every_pixel_may_be_the_centre_of_a_cutout_and_none_is_likelier() -> None:
    """Of squares of one pixel each pixel is covered in its share of the images, the borders too."""
    x = images(4000, (4, 5, 1))
    covered = (changed(Cutout(size=1), x) == 0)[..., 0]
    assert (covered.sum((1, 2)) == 1).all()
    counts = covered.sum(0)
    assert counts.min() > 140
    assert counts.max() < 260
