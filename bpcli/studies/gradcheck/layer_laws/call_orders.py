"""The orders in which the engine calls a layer: what a batch gives depends on no batch before it.

The engine runs forward and backward of one batch, then of the next, which may have fewer rows and stands in the same
memory; it runs forward alone, in training (a search of a full batch) and at evaluation (between two training passes,
never within one); it runs backward several times after one forward pass (a Jacobian, error by error); and between the
two passes of a layer stand those of the layers behind it, which may be of the same class.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from bpcli.engine.network import Chain
from bpcli.family import N
from bpcli.studies.gradcheck.layer_laws.row_law import ROUNDINGS, RowMismatch, entry_gaps, row_scales
from bpcli.studies.gradcheck.layer_laws.single_layer import LayerInputs, Results, SingleLayer

LayerFactory = Callable[[], SingleLayer]


@dataclass(frozen=True, eq=False)
class OrderMismatch:
    """A result that is another in this order of calls than at first, alone in fresh memory."""

    order: str  # the key of its sentence
    found: RowMismatch


@dataclass(frozen=True, eq=False)
class _Calls:
    """What is called: a layer, one of the same class behind it, and two batches of n rows."""

    layer: SingleLayer
    behind: SingleLayer
    inputs: LayerInputs
    others: LayerInputs
    n: int
    train: bool


def compare_orders(
    make: LayerFactory, inputs: LayerInputs, n: int, first: SingleLayer | None = None
) -> Iterator[OrderMismatch]:
    """Yields what depends on earlier calls, on n rows in training and at evaluation; or on whether dx is asked for.
    `make` makes the layer in memory of its own; `first` is it without dx, where it can do without."""
    others = replace(inputs, x=inputs.x[::-1].copy(), dy=inputs.dy[::-1].copy())
    for train in (True, False):
        expected = make().run(inputs, 0, n, train)
        calls = _Calls(make(), make(), inputs, others, n, train)
        for order, run in ORDERS.items():
            if wrong := list(_differences(run(calls), expected, calls)):
                yield from (OrderMismatch(order, mismatch) for mismatch in wrong)
                break
        if first is not None:
            wrong = list(_differences(_pass(first, inputs, n, train), expected, calls))
            yield from (OrderMismatch("without dx", mismatch) for mismatch in wrong)


def _set_rows(layer: SingleLayer, inputs: LayerInputs, n: int) -> Chain:
    chain = layer.network.chain(n)
    for bound in chain.walk():
        for name, slot in bound.plan.draws.items():
            drawn = inputs.draws[bound.path, name]
            np.copyto(getattr(bound.frame, name), drawn[:n] if slot.shape[:1] == (N,) else drawn)
    np.copyto(chain.x, inputs.x[:n])
    return chain


def _backward(layer: SingleLayer, chain: Chain, inputs: LayerInputs, n: int, train: bool) -> Results:
    y = chain.y.copy()
    np.copyto(chain.dy, inputs.dy[:n])
    chain.backward(train)
    return {"y": y} | layer.gradients(chain)


def _forward(layer: SingleLayer, inputs: LayerInputs, n: int, train: bool) -> Chain:
    chain = _set_rows(layer, inputs, n)
    chain.forward(train)
    return chain


def _pass(layer: SingleLayer, inputs: LayerInputs, n: int, train: bool) -> Results:
    return _backward(layer, _forward(layer, inputs, n, train), inputs, n, train)


def _alone(c: _Calls) -> Results:
    return _pass(c.layer, c.inputs, c.n, c.train)


def _forward_twice(c: _Calls) -> Results:
    chain = _forward(c.layer, c.inputs, c.n, c.train)
    chain.forward(c.train)
    return _backward(c.layer, chain, c.inputs, c.n, c.train)


def _after_another_batch(c: _Calls) -> Results:
    _pass(c.layer, c.inputs, c.n, c.train)
    _pass(c.layer, c.others, c.n, c.train)
    return _pass(c.layer, c.inputs, c.n, c.train)


def _after_another_size(c: _Calls) -> Results:
    _pass(c.layer, c.others, max(1, c.n - 1), c.train)
    _pass(c.layer, c.others, 1, c.train)
    return _pass(c.layer, c.inputs, c.n, c.train)


def _after_another_mode(c: _Calls) -> Results:
    _forward(c.layer, c.others, c.n, not c.train)
    return _pass(c.layer, c.inputs, c.n, c.train)


def _backward_twice(c: _Calls) -> Results:
    chain = _forward(c.layer, c.inputs, c.n, c.train)
    np.copyto(chain.dy, c.others.dy[: c.n])
    chain.backward(c.train)
    return _backward(c.layer, chain, c.inputs, c.n, c.train)


def _around_another_layer(c: _Calls) -> Results:
    """Runs as where a layer of the same class stands behind: its two passes come between the two of the first."""
    chain = _forward(c.layer, c.inputs, c.n, c.train)
    _pass(c.behind, c.others, c.n, c.train)
    return _backward(c.layer, chain, c.inputs, c.n, c.train)


ORDERS: Mapping[str, Callable[[_Calls], Results]] = {
    "alone": _alone,
    "forward twice": _forward_twice,
    "another batch": _after_another_batch,
    "another size": _after_another_size,
    "another mode": _after_another_mode,
    "backward twice": _backward_twice,
    "another layer": _around_another_layer,
}


def _differences(found: Results, expected: Results, calls: _Calls) -> Iterator[RowMismatch]:
    scales = row_scales(calls.layer, calls.inputs, expected)
    for name, value in found.items():
        wanted = expected[name]
        if np.array_equal(value, wanted, equal_nan=True):
            continue
        scale = scales.get(name, np.abs(wanted).max(initial=0.0))
        wrong = ~(entry_gaps(value, wanted) <= ROUNDINGS * np.finfo(value.dtype).eps * scale)
        if wrong.any():
            yield RowMismatch(name, calls.n, calls.train, value, wanted, wrong)
