"""Mistakes people make in convolutions, each put into the part and held against the witnesses.

The lies are told by a slow backward that goes from window to window, which first has to tell the truth.
"""

from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest

from bpcli.family import Layer
from bpcli.family.plan import Array, Frame
from bpcli.parts.layers.conv.conv1d import Conv1d
from bpcli.parts.layers.conv.conv2d import Conv2d
from bpcli.parts.layers.conv.passes import Passes
from bpcli.parts.layers.conv.transpose import ConvTranspose2d
from bpcli.studies.witness.cases import LayerCase

ALL = {"equations", "complex step", "differences"}
Patch = Callable[[pytest.MonkeyPatch], None]


@cache
def honest(part: type[Layer]) -> list[LayerCase]:
    """The samples as they are; their derivatives are computed once."""
    return [LayerCase(sample, True) for sample in part.samples() if not sample.error]


def caught(part: type[Layer], patch: Patch) -> set[str]:
    """The witnesses that see a change to a part, over its samples."""
    seen: set[str] = set()
    for case in honest(part):
        with pytest.MonkeyPatch.context() as patched:
            patch(patched)
            told = LayerCase(case.sample, True).kernel()
        seen |= {g.right for g in case.gaps(told) if g.verdict == "WRONG"}
    return seen


class Slow:
    """All gradients of a conv2d, window by window; each method is one line of it that can be got wrong."""

    def __init__(self, part: Conv2d, f: Frame) -> None:
        self.f, self.axes, self.groups = f, part.axes(f.x.shape[1:]), part.groups
        self.biased = part.bias is not False

    def pixel(self, axis: int, p: int, u: int) -> int:
        a = self.axes[axis]
        return p * a.stride + u * a.dilation - a.before

    def weight(self, u: int, v: int) -> tuple[int, int]:
        """The weight that dx is sent back through."""
        return u, v

    def channels(self, g: int) -> slice:
        each = self.f.x.shape[3] // self.groups
        return slice(g * each, (g + 1) * each)

    def laid(self, there: Array, slope: Array) -> None:
        there += slope

    def bias(self) -> Array:
        return np.asarray(self.f.dy.sum((0, 1, 2)))

    def windows(self) -> Iterator[tuple[int, int, int, int, int, int]]:
        """p, q, u, v and the pixel there, where there is one."""
        f = self.f
        for p, q, u, v in product(*(range(n) for n in (*f.y.shape[1:3], *f.W.shape[:2]))):
            h, w = self.pixel(0, p, u), self.pixel(1, q, v)
            if 0 <= h < f.x.shape[1] and 0 <= w < f.x.shape[2]:
                yield p, q, u, v, h, w

    def run(self) -> None:
        f, filters = self.f, self.f.W.shape[3] // self.groups
        f.dx[...] = 0
        f.dW[...] = 0
        for p, q, u, v, h, w in self.windows():
            for g in range(self.groups):
                of, c = slice(g * filters, (g + 1) * filters), self.channels(g)
                f.dW[u, v, :, of] += f.x[:, h, w, c].T @ f.dy[:, p, q, of]
                self.laid(f.dx[:, h, w, c], f.dy[:, p, q, of] @ f.W[(*self.weight(u, v), slice(None), of)].T)
        if self.biased:
            f.db[...] = self.bias()


class NoStride(Slow):
    def pixel(self, axis: int, p: int, u: int) -> int:
        a = self.axes[axis]
        return p + u * a.dilation - a.before


class NoDilation(Slow):
    def pixel(self, axis: int, p: int, u: int) -> int:
        a = self.axes[axis]
        return p * a.stride + u - a.before


class CroppedOneOff(Slow):
    def pixel(self, axis: int, p: int, u: int) -> int:
        a = self.axes[axis]
        return p * a.stride + u * a.dilation - (a.before + 1 if a.before else 0)


class CroppedAtTheEnd(Slow):
    """The odd zero of `same` taken off at the wrong side."""

    def pixel(self, axis: int, p: int, u: int) -> int:
        a = self.axes[axis]
        return p * a.stride + u * a.dilation - a.after


class Overwritten(Slow):
    def laid(self, there: Array, slope: Array) -> None:
        there[...] = slope


class Flipped(Slow):
    def weight(self, u: int, v: int) -> tuple[int, int]:
        return self.f.W.shape[0] - 1 - u, self.f.W.shape[1] - 1 - v


class OffsetsSwapped(Slow):
    def weight(self, u: int, v: int) -> tuple[int, int]:
        rows, columns = self.f.W.shape[:2]
        return min(v, rows - 1), min(u, columns - 1)


class GroupsMixed(Slow):
    """Groups taken from the end."""

    def channels(self, g: int) -> slice:
        return super().channels(self.groups - 1 - g)


class ChannelsInterleaved(Slow):
    """Every groups-th channel for a group's, where they stand side by side."""

    def channels(self, g: int) -> slice:
        return slice(g, None, self.groups)


class BiasOverRows(Slow):
    """Summed over the batch, and of that one pixel."""

    def bias(self) -> Array:
        return np.asarray(self.f.dy.sum(0)[0, 0])


class BiasMean(Slow):
    def bias(self) -> Array:
        return np.asarray(self.f.dy.mean((1, 2)).sum(0))


class BiasOverAll(Slow):
    def bias(self) -> Array:
        return np.full(self.f.dy.shape[3], self.f.dy.sum())


class LastRowForgotten(Slow):
    def windows(self) -> Iterator[tuple[int, int, int, int, int, int]]:
        for window in super().windows():
            if window[0] < max(self.f.y.shape[1] - 1, 1):
                yield window


class LeftoverSeen(Slow):
    """Windows laid against the end of the image, where rows are left over, as if they began there."""

    def pixel(self, axis: int, p: int, u: int) -> int:
        a = self.axes[axis]
        left_over = (a.size + a.before + a.after - a.span) % a.stride
        return super().pixel(axis, p, u) + left_over


LIES = [NoStride, NoDilation, CroppedOneOff, CroppedAtTheEnd, Overwritten, Flipped, OffsetsSwapped, GroupsMixed,
        ChannelsInterleaved, BiasOverRows, BiasMean, BiasOverAll, LastRowForgotten, LeftoverSeen]  # fmt: skip


def told(slow: type[Slow]) -> Patch:
    return lambda patched: patched.setattr(Conv2d, "backward", lambda self, f, train: slow(self, f).run())


@pytest.mark.parametrize("part", [Conv1d, Conv2d, ConvTranspose2d])
def test_the_truth_is_not_caught(part: type[Layer]) -> None:
    assert caught(part, lambda patched: None) == set()


def test_the_slow_backward_tells_the_truth() -> None:
    assert caught(Conv2d, told(Slow)) == set()


@pytest.mark.parametrize("slow", LIES)
def test_wrong_backwards_are_caught(slow: type[Slow]) -> None:
    assert caught(Conv2d, told(slow)) == ALL


def then(method: str, lie: Callable[[Any, Frame], None]) -> Callable[[Any], Patch]:
    """A part's own method, and something behind it."""

    def patch(part: Any) -> Patch:
        own = getattr(part, method)

        def wrong(self: Any, f: Frame, train: bool) -> None:
            own(self, f, train)
            lie(self, f)

        return lambda patched: patched.setattr(part, method, wrong)

    return patch


def scaled(name: str, factor: float) -> Callable[[Any, Frame], None]:
    def lie(self: Any, f: Frame) -> None:
        if getattr(f, name, None) is not None:
            getattr(f, name)[...] *= factor

    return lie


def one_entry(self: Any, f: Frame) -> None:
    f.dW.reshape(-1)[-1] *= 1.01


def weights_reversed(self: Any, f: Frame) -> None:
    f.dW[...] = np.ascontiguousarray(f.dW[::-1])


BEHIND = [scaled("dx", 1.001), scaled("dx", -1), scaled("dW", 1.001), scaled("dW", 0.5), scaled("db", 2), one_entry,
          weights_reversed]  # fmt: skip


@pytest.mark.parametrize("lie", BEHIND, ids=range(len(BEHIND)))
@pytest.mark.parametrize("part", [Conv1d, Conv2d, ConvTranspose2d])
def test_changed_gradients_are_caught(part: type[Layer], lie: Callable[[Any, Frame], None]) -> None:
    assert caught(part, then("backward", lie)(part)) == ALL


# ------------------------------------------------------------------------------------------------ within our own kernel
def not_turned(patched: pytest.MonkeyPatch) -> None:
    """The filters of the way back are not turned round."""
    own = Passes._set_back

    def wrong(self: Passes, f: Frame, W: Array, b: Array | None) -> None:
        own(self, f, np.ascontiguousarray(W[::-1, ::-1]), b)

    patched.setattr(Passes, "_set_back", wrong)


def channels_for_filters(patched: pytest.MonkeyPatch) -> None:
    """W itself for its transpose, where it is square."""
    own = Passes._set_back

    def wrong(self: Passes, f: Frame, W: Array, b: Array | None) -> None:
        own(self, f, W.swapaxes(2, 3) if W.shape[2] == W.shape[3] and self.groups == 1 else W, b)

    patched.setattr(Passes, "_set_back", wrong)


@pytest.mark.parametrize("part", [Conv1d, Conv2d])
@pytest.mark.parametrize("lie", [not_turned, channels_for_filters])
def test_a_wrong_way_back_is_caught(part: type[Layer], lie: Patch) -> None:
    assert caught(part, lie) == ALL


# ------------------------------------------------------------- forward and backward wrong alike: no slope shows it
def signal_processing(patched: pytest.MonkeyPatch) -> None:
    """The filters turned round on both ways, and so their gradient: another layer, right in itself."""
    there, back, gradient = Passes._set_there, Passes._set_back, Passes._gradient

    def turned(W: Array) -> Array:
        return np.ascontiguousarray(W[::-1, ::-1])

    def gradient_turned(self: Passes, f: Frame, dW: Array, db: Array | None) -> None:
        gradient(self, f, dW, db)
        dW[...] = turned(dW)

    patched.setattr(Passes, "_set_there", lambda self, f, W, b: there(self, f, turned(W), b))
    patched.setattr(Passes, "_set_back", lambda self, f, W, b: back(self, f, turned(W), b))
    patched.setattr(Passes, "_gradient", gradient_turned)


@pytest.mark.parametrize("part", [Conv1d, Conv2d, ConvTranspose2d])
def test_another_layer_is_caught_by_the_equations(part: type[Layer]) -> None:
    seen = caught(part, signal_processing)
    assert "equations" in seen
