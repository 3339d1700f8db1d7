"""Convolutions, and a whole CNN, against PyTorch, in one process and in turn: speed as a ratio, and memory.

    pytest -m bench -s tests/bench/test_conv.py

Both of PyTorch's layouts are timed: channels first, which is what it does unless it is told otherwise, and channels
last, for which its oneDNN has a kernel of its own that copies no windows. Each is timed on one thread and on all, and
ours also with its own threads on all and BLAS on one (OPENBLAS_NUM_THREADS=1). Before the CNN is timed, all have to
reach the same losses from the same weights.

Beside each other in one process both take other times than alone (ours more, PyTorch with channels first less), so the
CNN is timed in processes of their own as well.
"""

import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import cnn
import numpy as np
import pytest
from machine import machine, on_threads
from timing import ratio, seconds_each

from bpcli.engine.network import Network
from bpcli.engine.network_plan import plan_network
from bpcli.numeric import threads
from bpcli.parts.layers.conv.conv2d import Conv2d

pytestmark = [pytest.mark.bench, pytest.mark.filterwarnings("ignore")]

ROUNDS, SLICE = 15, 0.05  # seconds
AIM = 0.7  # of PyTorch with channels first: below what was reached to find slow-downs
PROGRAMS, ALONE = 5, 0.9  # of PyTorch with channels first, each in a process of its own: 1 is the aim, less noise
FIRST, LAST = "PyTorch, channels first", "PyTorch, channels last"


class Mode(NamedTuple):
    """Our own threads and those of PyTorch, and of NumPy's BLAS (as OPENBLAS_NUM_THREADS says)."""

    own: int
    blas: int

    def __str__(self) -> str:
        return f"on {self.own}" + (f" (BLAS {self.blas})" if self.blas != self.own else "")


def modes() -> tuple[str, list[Mode]]:
    """NumPy's BLAS in words, and what is tried: all on one thread, all on every one, and BLAS alone on one."""
    blas, counts = machine()
    most = counts[-1]
    return blas, [Mode(n, n) for n in counts] + ([Mode(most, 1)] if most > 1 else [])


@contextmanager
def working(mode: Mode) -> Iterator[None]:
    """Ours and theirs on so many threads."""
    usual, threads.thread_count = threads.thread_count, lambda: mode.own  # type: ignore[assignment]
    try:
        with on_threads(mode.own), on_threads(mode.blas, blas_alone=True):
            yield
    finally:
        threads.thread_count = usual


def compared(steps: dict[str, Callable[[], Any]], modes: list[Mode]) -> dict[tuple[str, Mode], list[float]]:
    """Seconds of each, in each mode."""

    def repeated(step: Callable[[], Any], mode: Mode) -> Callable[[int], None]:
        def work(n: int) -> None:
            with working(mode):
                for _ in range(n):
                    step()

        return work

    work = {(name, mode): repeated(step, mode) for mode in modes for name, step in steps.items()}
    with np.errstate(all="ignore"):
        return seconds_each(work, ROUNDS, SLICE)


def table(times: dict[tuple[str, Mode], list[float]]) -> dict[str, float]:
    """Prints milliseconds, and how many times as fast as each of PyTorch's layouts ours is; each in its best mode.
    Returns these."""
    names = list(dict.fromkeys(name for name, _ in times))
    middle = {key: statistics.median(found) for key, found in times.items()}
    best = {name: min((key for key in middle if key[0] == name), key=middle.__getitem__) for name in names}
    for name in names:
        cells = "".join(f"{value * 1e3:>9.2f} ms {mode}" for (who, mode), value in middle.items() if who == name)
        print(f"  {name:<26}{cells}")
    ratios = {name: ratio(times[best[name]], times[best["bpcli"]]) for name in (FIRST, LAST)}
    for name, found in ratios.items():
        print(f"  {found:.2f} times as fast as {name}")
    return ratios


SHAPES: dict[str, tuple[int, tuple[int, int, int], dict[str, Any]]] = {
    "64 x 28x28x1 -> 16, 3x3": (64, (28, 28, 1), {"filters": 16, "kernel": 3, "padding": 1}),
    "64 x 14x14x16 -> 32, 3x3": (64, (14, 14, 16), {"filters": 32, "kernel": 3, "padding": 1}),
    "64 x 28x28x3 -> 32, 5x5": (64, (28, 28, 3), {"filters": 32, "kernel": 5}),
    "32 x 16x16x32 -> 64, 3x3, stride 2": (32, (16, 16, 32), {"filters": 64, "kernel": 3, "stride": 2, "padding": 1}),
    "64 x 16x16x32 -> 32, 1x1": (64, (16, 16, 32), {"filters": 32, "kernel": 1}),
    "32 x 16x16x64, depthwise 3x3": (32, (16, 16, 64), {"filters": 64, "kernel": 3, "padding": 1, "groups": 64}),
    "16 x 32x32x64 -> 64, 3x3": (16, (32, 32, 64), {"filters": 64, "kernel": 3, "padding": 1}),
}


@pytest.mark.parametrize(("rows", "x", "settings"), SHAPES.values(), ids=SHAPES)
def test_a_convolution_forward_and_backward(rows: int, x: tuple[int, int, int], settings: dict[str, Any]) -> None:
    """Outputs and all gradients of one layer. Nothing is asked but that the two agree: the aim is the whole CNN's."""
    torch = pytest.importorskip("torch")
    net = Network(plan_network([Conv2d(**settings)], x), rows, np.float32, 0, need_dx=True)
    chain, rng = net.chain(rows), np.random.default_rng(0)
    chain.x[...], chain.dy[...] = rng.normal(size=chain.x.shape), rng.normal(size=chain.dy.shape)
    W, b = (torch.tensor(net.parameters()[f"conv2d_1.{name}"]) for name in "Wb")
    more = [
        settings.get(name, usual) for name, usual in (("stride", 1), ("padding", 0), ("dilation", 1), ("groups", 1))
    ]

    def ours() -> Any:
        chain.forward(True)
        chain.backward(True)
        return chain.dx

    def theirs(layout: Any) -> Callable[[], Any]:
        image, slope = (torch.tensor(a).movedim(-1, 1).contiguous(memory_format=layout) for a in (chain.x, chain.dy))
        filters = W.permute(3, 2, 0, 1).contiguous(memory_format=layout).requires_grad_()
        bias = b.clone().requires_grad_()
        image.requires_grad_()

        def step() -> Any:
            image.grad = filters.grad = bias.grad = None
            torch.nn.functional.conv2d(image, filters, bias, *more).backward(slope)
            return image.grad

        return step

    steps = {"bpcli": ours, FIRST: theirs(torch.contiguous_format), LAST: theirs(torch.channels_last)}
    for step in (steps[FIRST], steps[LAST]):
        np.testing.assert_allclose(ours(), step().movedim(1, -1).numpy(), rtol=1e-3, atol=1e-3)
    blas, ways = modes()
    print(f"\n{rows} images {x}, {settings}, float32; {blas}; PyTorch {torch.__version__}")
    table(compared(steps, ways))
    need = sum(np.prod(slot.shape) for slot in net.network_plan.layers[0].plan.scratch.values()) * 4
    print(f"  scratch {need / 1e6:.1f} MB; the windows of the whole batch would take "
          f"{rows * np.prod(chain.y.shape[1:3]) * W[..., 0].numel() * more[3] * 4 / 1e6:.1f} MB")  # fmt: skip


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_a_cnn(padding: str) -> None:
    """conv 3x3x16, pool, conv 3x3x32, pool, dense 128, dense 10 on 28x28, batch 64, Adam, float32."""
    torch = pytest.importorskip("torch")
    x, y, batches = cnn.data()
    with np.errstate(all="ignore"):
        step, weights = cnn.ours(padding, x, y)
        losses = [step(rows) for rows in batches[:20]]
    tensors = [torch.from_numpy(rows) for rows in batches]
    steps = {"bpcli": in_turn(step, batches)}
    for name, last in ((FIRST, False), (LAST, True)):
        other = cnn.theirs(padding, *cnn.as_tensors(x, y, last), last, weights)
        np.testing.assert_allclose([float(other(rows)) for rows in tensors[:20]], losses, rtol=1e-3, err_msg=name)
        steps[name] = in_turn(other, tensors)
    blas, ways = modes()
    print(f"\nCNN, padding {padding}, batch {cnn.BATCH}, float32; {blas}; PyTorch {torch.__version__}")
    assert table(compared(steps, ways))[FIRST] >= AIM


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_a_cnn_in_a_process_of_its_own(padding: str) -> None:
    """As a user runs it: each in a program that does nothing else, in turn, with the threads it takes by itself."""
    pytest.importorskip("torch")
    times: dict[str, list[float]] = {name: [] for name in ("bpcli", FIRST, LAST)}
    for _ in range(PROGRAMS):
        for name, found in times.items():
            done = subprocess.run(
                [sys.executable, cnn.__file__, name, padding], capture_output=True, text=True, check=True
            )
            found.append(float(done.stdout))
    print(f"\nCNN, padding {padding}, batch {cnn.BATCH}, float32, each in a process of its own; {machine()[0]}")
    for name, found in times.items():
        spread = f"{min(found) * 1e3:.2f} to {max(found) * 1e3:.2f}"
        many = "" if name == "bpcli" else f"; bpcli is {ratio(found, times['bpcli']):.2f} times as fast"
        print(f"  {name:<26}{statistics.median(found) * 1e3:>9.2f} ms ({spread}){many}")
    assert ratio(times[FIRST], times["bpcli"]) >= ALONE


def in_turn(step: Callable[[Any], Any], batches: list[Any]) -> Callable[[], Any]:
    """The step on one batch after another."""
    at = 0

    def one() -> Any:
        nonlocal at
        at += 1
        return step(batches[at % len(batches)])

    return one


def test_memory_of_a_cnn() -> None:
    """What the process grows by when the net is built and 30 steps are taken, at its highest."""
    pytest.importorskip("torch")
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("only Linux says how much memory a process had at its highest")
    found = {}
    print()
    for name in ("bpcli", FIRST, LAST):
        done = subprocess.run([sys.executable, cnn.__file__, name], capture_output=True, text=True, check=True)
        found[name] = int(done.stdout)
        print(f"  {name:<26}{found[name] / 1e6:8.1f} MB")
    assert found["bpcli"] < min(found[FIRST], found[LAST])
