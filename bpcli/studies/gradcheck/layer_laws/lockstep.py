"""Two threads in the kernels of one layer at once, line by line in turn: as bad as the engine's threads can meet.

The engine runs a layer whose rows are independent on several blocks of rows at once. What a kernel keeps where both
threads see it is then mixed up, and here it is at every run.
"""

import inspect
import sys
from collections.abc import Callable, Iterator
from contextvars import copy_context
from functools import partial
from threading import Condition, Thread
from types import FrameType
from typing import Any

import numpy as np

from bpcli.engine.fusion import BoundKernel, splits_rows
from bpcli.engine.network import Chain
from bpcli.numeric.threads import CHUNKS, Chunk, can_start_thread
from bpcli.studies.gradcheck.layer_laws.row_law import RowMismatch
from bpcli.studies.gradcheck.layer_laws.single_layer import LayerInputs, SingleLayer

MAX_TURNS = 400  # lines of a kernel at which the threads take turns; then they run freely
WAIT_SECONDS = 1.0  # seconds of waiting for the other thread, which may wait for something else


def runs_on_threads(layer: SingleLayer) -> bool:
    """Whether the engine may run the layer's kernels on several threads, if it can start any."""
    layer_, plan = layer.planned.layer, layer.planned.plan
    in_chunks = any(hasattr(k, "chunked") for k in (layer_.forward, layer_.backward))
    return (splits_rows(layer_, plan) or in_chunks) and can_start_thread()


def compare_threads(layer: SingleLayer, inputs: LayerInputs, n: int) -> Iterator[RowMismatch]:
    """Yields what is another where two threads work on n rows than where one does, to the last bit."""
    for train in (True, False):
        chain = layer.load(inputs, 0, n)
        results = []
        for run in (_one_after_the_other, _in_turn):
            _chunks(layer, chain, "forward", train, run)
            y = chain.y.copy()
            np.copyto(chain.dy, inputs.dy[:n])
            _chunks(layer, chain, "backward", train, run)
            results.append({"y": y} | layer.gradients(chain))
        for name, value in results[1].items():
            wrong = ~((value == results[0][name]) | (np.isnan(value) & np.isnan(results[0][name])))
            if wrong.any():
                yield RowMismatch(name, n, train, value, results[0][name], wrong)


def _chunks(layer: SingleLayer, chain: Chain, method: str, train: bool, run: Callable[..., None]) -> None:
    """Runs a method in the chunks that the engine makes of it, two at a time."""
    bound = chain.layers[0]
    kernel = getattr(bound.layer, method)
    in_chunks = BoundKernel(kernel, bound.layer, bound.plan, bound.frame)
    if not in_chunks.macs:  # the engine runs it in one piece
        kernel(bound.frame, train)
        return
    work = in_chunks.by_chunks()(train)
    file = inspect.unwrap(getattr(type(bound.layer), method)).__code__.co_filename
    work.prepare()
    for first in range(0, CHUNKS, 2):
        run(partial(work.run, Chunk(first, 0)), partial(work.run, Chunk(first + 1, 1)), file)
    work.finish()


def _one_after_the_other(one: Callable[[], None], two: Callable[[], None], file: str) -> None:
    one()
    two()


def _in_turn(one: Callable[[], None], two: Callable[[], None], file: str) -> None:
    """Runs both at once; at every line of the file they take turns. Raises what one of them raises."""
    turns = _Turns()
    errors: list[BaseException] = []

    def serve(me: int, work: Callable[[], None]) -> None:
        def trace(frame: FrameType, event: str, arg: Any) -> Any:
            if frame.f_code.co_filename != file:
                return None
            if event == "line":
                turns.hand_over(me)
            return trace

        old = sys.gettrace()
        sys.settrace(trace)
        try:
            work()
        except BaseException as error:
            errors.append(error)
        finally:
            sys.settrace(old)
            turns.leave(me)

    threads = [
        Thread(target=copy_context().run, args=(serve, me, work), daemon=True) for me, work in enumerate((one, two))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


class _Turns:
    """Whose turn it is, of two threads."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._turn, self._left, self._count = 0, set[int](), 0

    def hand_over(self, me: int) -> None:
        """Lets the other thread go on, and waits until it is at its next line, or done."""
        with self._changed:
            self._count += 1
            if self._count > MAX_TURNS:
                return
            self._turn = 1 - me
            self._changed.notify_all()
            if not self._changed.wait_for(lambda: self._turn == me or 1 - me in self._left, WAIT_SECONDS):
                self._count = MAX_TURNS

    def leave(self, me: int) -> None:
        """Takes no more turns: the other thread waits no more."""
        with self._changed:
            self._left.add(me)
            self._changed.notify_all()
