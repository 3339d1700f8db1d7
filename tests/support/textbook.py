"""Layers as a textbook states them, slowly and without blocks, for large sizes: NumPy in float64, on whole batches.

Each takes a layer of ours for its settings, its inputs and its parameters by name; it returns the outputs, and a
function from their gradient to that of the inputs and those of the parameters. On small whole numbers all sums are
exact, in float32 too, so that ours have to come to the same numbers, to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Back = Callable[[Array], tuple[Array, dict[str, Array]]]
Params = Mapping[str, Array]


def _pair(value: Any) -> tuple[Any, Any]:
    return tuple(value) if isinstance(value, tuple | list) else (value, value)  # type: ignore[return-value]


def _zeros_before(padding: Any, size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """Zeros before the pixels of an axis, and how many outputs it has."""
    span = dilation * (kernel - 1) + 1
    if padding == "same":
        out = math.ceil(size / stride)
        return max((out - 1) * stride + span - size, 0) // 2, out
    zeros = 0 if padding == "valid" else padding
    return zeros, (size + 2 * zeros - span) // stride + 1


def _taps(kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int], out: Sequence[int]) -> Any:
    """For each weight of a filter: its place, and which padded pixels the outputs see at it."""
    for u in range(kernel[0]):
        for v in range(kernel[1]):
            starts = (dilation[0] * u, dilation[1] * v)
            yield (u, v), (slice(None), *(slice(a, a + s * (n - 1) + 1, s)
                                          for a, s, n in zip(starts, stride, out, strict=True)))  # fmt: skip


def _grouped(a: Array, groups: int) -> Array:
    """n p q (g c) as g (n p q) c."""
    return a.reshape(-1, groups, a.shape[-1] // groups).transpose(1, 0, 2)


def _joined(a: Array, shape: tuple[int, ...]) -> Array:
    """g (n p q) c as n p q (g c)."""
    return a.transpose(1, 0, 2).reshape(shape)


def _filters_of_groups(W: Array, groups: int) -> Array:
    """c (g f) as g c f."""
    return W.reshape(len(W), groups, -1).transpose(1, 0, 2)


def conv2d(layer: Any, x: Array, params: Params) -> tuple[Array, Back]:
    """y[n,p,q,f] = b[f] + sum over u, v, c of W[u,v,c,f] x[n, s p + r u - a, s q + r v - a, c]."""
    W, groups = params["W"], layer.groups
    kernel, stride, dilation = W.shape[:2], _pair(layer.stride), _pair(layer.dilation)
    padding = ("same",) * 2 if layer.padding == "same" else ("valid",) * 2
    padding = padding if isinstance(layer.padding, str) else _pair(layer.padding)
    axes = [
        _zeros_before(p, d, k, s, r)
        for p, d, k, s, r in zip(padding, x.shape[1:3], kernel, stride, dilation, strict=True)
    ]
    out = tuple(n for _, n in axes)
    high, wide = (max(d + a, s * (n - 1) + r * (k - 1) + 1)
                  for d, (a, n), s, r, k in zip(x.shape[1:3], axes, stride, dilation, kernel, strict=True))  # fmt: skip
    (top, _), (left, _) = axes
    inner = (slice(None), slice(top, top + x.shape[1]), slice(left, left + x.shape[2]))
    padded = np.zeros((len(x), high, wide, x.shape[3]))
    padded[inner] = x
    shape = (len(x), *out, W.shape[3])
    y = np.zeros(shape) + params.get("b", 0.0)
    for (u, v), seen in _taps(kernel, stride, dilation, out):
        y += _joined(_grouped(padded[seen], groups) @ _filters_of_groups(W[u, v], groups), shape)

    def back(dy: Array) -> tuple[Array, dict[str, Array]]:
        dpadded, dW, slopes = np.zeros(padded.shape), np.zeros(W.shape), _grouped(dy, groups)
        for (u, v), seen in _taps(kernel, stride, dilation, out):
            own, pixels = _filters_of_groups(W[u, v], groups), padded[seen]
            dpadded[seen] += _joined(slopes @ own.swapaxes(1, 2), pixels.shape)
            dW[u, v] = (_grouped(pixels, groups).swapaxes(1, 2) @ slopes).transpose(1, 0, 2).reshape(dW[u, v].shape)
        return dpadded[inner], {"dW": dW, "db": dy.sum((0, 1, 2))}

    return y, back


def conv1d(layer: Any, x: Array, params: Params) -> tuple[Array, Back]:
    """That of an image one pixel wide."""
    wide = {**params, "W": params["W"][:, None]}
    settings = {"stride": (layer.stride, 1), "dilation": (layer.dilation, 1), "groups": layer.groups}
    padding = layer.padding if isinstance(layer.padding, str) else (layer.padding, 0)
    y, back_of_images = conv2d(_Settings(padding=padding, **settings), x[:, :, None], wide)

    def back(dy: Array) -> tuple[Array, dict[str, Array]]:
        dx, found = back_of_images(dy[:, :, None])
        return dx[:, :, 0], {**found, "dW": found["dW"][:, 0]}

    return y[:, :, 0], back


class _Settings:
    def __init__(self, **settings: Any) -> None:
        vars(self).update(settings)


def conv_transpose2d(layer: Any, x: Array, params: Params) -> tuple[Array, Back]:
    """Every pixel is laid down as a whole filter, stride pixels from the next one, and what overlaps is added."""
    W = params["W"]
    kernel, stride, dilation = W.shape[:2], _pair(layer.stride), _pair(layer.dilation)
    padding = ("same",) * 2 if layer.padding == "same" else (0, 0) if layer.padding == "valid" else _pair(layer.padding)
    off, size, whole = [], [], []
    for p, d, k, s, r in zip(padding, x.shape[1:3], kernel, stride, dilation, strict=True):
        full = (d - 1) * s + r * (k - 1) + 1
        off.append(max(full - d * s, 0) // 2 if p == "same" else p)
        size.append(d * s if p == "same" else full + layer.output_padding - 2 * p)
        whole.append(max(full, off[-1] + size[-1]))
    laid = np.zeros((len(x), *whole, W.shape[3]))
    inner = (slice(None), slice(off[0], off[0] + size[0]), slice(off[1], off[1] + size[1]))
    for (u, v), where in _taps(kernel, stride, dilation, x.shape[1:3]):
        laid[where] += x @ W[u, v]

    def back(dy: Array) -> tuple[Array, dict[str, Array]]:
        slopes, dx, dW = np.zeros(laid.shape), np.zeros(x.shape), np.zeros(W.shape)
        slopes[inner] = dy
        for (u, v), where in _taps(kernel, stride, dilation, x.shape[1:3]):
            seen = slopes[where]
            dx += seen @ W[u, v].T
            dW[u, v] = x.reshape(-1, x.shape[3]).T @ seen.reshape(-1, W.shape[3])
        return dx, {"dW": dW, "db": dy.sum((0, 1, 2))}

    return laid[inner] + params.get("b", 0.0), back


def dense(layer: Any, x: Array, params: Params) -> tuple[Array, Back]:
    W = params["W"]
    return x @ W + params.get("b", 0.0), lambda dy: (dy @ W.T, {"dW": x.T @ dy, "db": dy.sum(0)})


def relu(layer: Any, x: Array, params: Params) -> tuple[Array, Back]:
    return np.where(x > 0, x, 0.0), lambda dy: (np.where(x > 0, dy, 0.0), {})


def flatten(layer: Any, x: Array, params: Params) -> tuple[Array, Back]:
    return x.reshape(len(x), -1), lambda dy: (dy.reshape(x.shape), {})


def embedding(layer: Any, x: Array, params: Params) -> tuple[Array, Back]:
    ids, tokens = x.astype(int), len(params["W"])

    def back(dy: Array) -> tuple[Array, dict[str, Array]]:
        one_hot = (ids.reshape(-1, 1) == np.arange(tokens)).astype(float)
        return np.zeros(x.shape), {"dW": one_hot.T @ dy.reshape(-1, dy.shape[-1])}

    return params["W"][ids], back


def _pool(layer: Any, x: Array, outside: float) -> tuple[Array, Array, tuple[int, ...]]:
    """What each window sees, n p q c (u v); the place of each of these in the padded images, p q (u v); their shape."""
    size, stride = _pair(layer.size), _pair(layer.size if layer.stride is None else layer.stride)
    padding = ("same",) * 2 if layer.padding == "same" else (0, 0) if layer.padding == "valid" else _pair(layer.padding)
    (top, p), (left, q) = (
        _zeros_before(a, d, k, s, 1) for a, d, k, s in zip(padding, x.shape[1:3], size, stride, strict=True)
    )
    high, wide = (max(a + d, (n - 1) * s + k)
                  for a, d, n, s, k in zip((top, left), x.shape[1:3], (p, q), stride, size, strict=True))  # fmt: skip
    padded = np.full((len(x), high, wide, x.shape[3]), outside)
    padded[:, top : top + x.shape[1], left : left + x.shape[2]] = x
    seen = np.lib.stride_tricks.sliding_window_view(padded, size, (1, 2))[:, :: stride[0], :: stride[1]][:, :p, :q]
    places = np.arange(high * wide).reshape(high, wide)
    places = np.lib.stride_tricks.sliding_window_view(places, size)[:: stride[0], :: stride[1]][:p, :q]
    return seen.reshape(*seen.shape[:4], -1), places.reshape(p, q, -1), (top, left, high, wide)


def max_pool2d(layer: Any, x: Array, params: Params) -> tuple[Array, Back]:
    """The first of equals wins, row by row."""
    seen, places, (top, left, high, wide) = _pool(layer, x, -np.inf)
    best = seen.argmax(-1)  # n p q c
    n, p, q, c = np.indices(best.shape, sparse=True)

    def back(dy: Array) -> tuple[Array, dict[str, Array]]:
        dx = np.zeros((len(x), high * wide, x.shape[3]))
        np.add.at(dx, (n, places[p, q, best], c), dy)
        return dx.reshape(len(x), high, wide, -1)[:, top : top + x.shape[1], left : left + x.shape[2]], {}

    return np.take_along_axis(seen, best[..., None], -1)[..., 0], back


def avg_pool2d(layer: Any, x: Array, params: Params) -> tuple[Array, Back]:
    seen, places, (top, left, high, wide) = _pool(layer, x, 0.0)
    count = places.shape[-1]

    def back(dy: Array) -> tuple[Array, dict[str, Array]]:
        dx = np.zeros((len(x), high * wide, x.shape[3]))
        for k in range(count):
            np.add.at(dx, (slice(None), places[:, :, k]), dy / count)
        return dx.reshape(len(x), high, wide, -1)[:, top : top + x.shape[1], left : left + x.shape[2]], {}

    return seen.sum(-1) / count, back


def global_max_pool(layer: Any, x: Array, params: Params) -> tuple[Array, Back]:
    flat = x.reshape(len(x), -1, x.shape[-1])
    first = (np.arange(flat.shape[1])[:, None] == flat.argmax(1)[:, None]).astype(float)
    return flat.max(1), lambda dy: ((dy[:, None] * first).reshape(x.shape), {})


def global_avg_pool(layer: Any, x: Array, params: Params) -> tuple[Array, Back]:
    count = math.prod(x.shape[1:-1])
    back = lambda dy: (np.broadcast_to((dy / count).reshape(len(x), *(1,) * (x.ndim - 2), -1), x.shape), {})  # noqa: E731
    return x.reshape(len(x), count, -1).sum(1) / count, back


LAYERS: dict[str, Callable[[Any, Array, Params], tuple[Array, Back]]] = {
    f.__name__: f
    for f in (
        conv2d, conv1d, conv_transpose2d, dense, relu, flatten, embedding, max_pool2d, avg_pool2d, global_max_pool,
        global_avg_pool,
    )
}  # fmt: skip
"""By the type of the layer."""
