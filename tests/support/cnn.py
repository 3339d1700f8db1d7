"""The CNN of the benchmarks, ours and PyTorch's, on the same data from the same weights; and, run as a program, the
memory that one of them takes, `python tests/support/cnn.py NAME` prints bytes, or the time of a step,
`python tests/support/cnn.py NAME PADDING` prints seconds."""

import gc
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.engine.network_plan import plan_network
from bpcli.engine.objective import Objective
from bpcli.engine.step import FirstOrderStep
from bpcli.family import Layer, Loss, Optimizer

BATCH, ROWS = 64, 4096
PADDING = {"same": 1, "valid": 0}


def data() -> tuple[Any, Any, list[Any]]:
    """Images, classes, and row numbers batch by batch."""
    rng = np.random.default_rng(0)
    x = rng.random((ROWS, 28, 28, 1), dtype=np.float32)
    return x, rng.integers(0, 10, ROWS), [rng.permutation(ROWS)[:BATCH] for _ in range(100)]


def layers(padding: str) -> list[Any]:
    """conv 3x3x16, pool, conv 3x3x32, pool, dense 128, dense 10."""
    conv = {"type": "conv2d", "kernel": 3, "padding": padding, "activation": "relu"}
    return [{**conv, "filters": 16}, "max_pool2d", {**conv, "filters": 32}, "max_pool2d", "flatten",
            {"type": "dense", "units": 128, "activation": "relu"}, {"type": "dense", "units": 10}]  # fmt: skip


def ours(padding: str, x: Any, y: Any) -> tuple[Callable[[Any], float], dict[str, Any]]:
    """A step on row numbers that returns the loss, and the weights it starts from."""
    network_plan = plan_network([Layer.parse(layer) for layer in layers(padding)], (28, 28, 1))
    objective = Objective(network_plan, Loss.parse("softmax_cross_entropy"), BATCH, np.float32, 7)
    train_step = FirstOrderStep(objective, Optimizer.parse("adam"), None, 1_000_000)
    done = 0

    def step(rows: Any) -> float:
        nonlocal done
        batch = objective.batch(len(rows))
        batch.load(x, y, rows)
        train_step.step(batch, done)
        done += 1
        return train_step.loss

    return step, {path: w.copy() for path, w in objective.network.parameters().items()}


def as_tensors(x: Any, y: Any, channels_last: bool) -> tuple[Any, Any]:
    """Images with channels first or last in memory, and classes."""
    import torch

    layout = torch.channels_last if channels_last else torch.contiguous_format
    return torch.from_numpy(x.transpose(0, 3, 1, 2).copy()).to(memory_format=layout), torch.from_numpy(y)


def theirs(
    padding: str, images: Any, classes: Any, channels_last: bool, weights: dict[str, Any]
) -> Callable[[Any], Any]:
    """PyTorch's step as in every tutorial, but with the fused Adam."""
    import torch

    nn = torch.nn
    zeros, wide = PADDING[padding], 1568 if padding == "same" else 800
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=zeros), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=zeros), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(wide, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip
    if weights:
        side = int((wide / 32) ** 0.5)
        first = (
            weights["dense_1.W"].reshape(side, side, 32, 128).transpose(3, 2, 0, 1).reshape(128, wide)
        )  # of (c, h, w)
        values = {"0.weight": weights["conv2d_1.W"].transpose(3, 2, 0, 1), "0.bias": weights["conv2d_1.b"],
                  "3.weight": weights["conv2d_2.W"].transpose(3, 2, 0, 1), "3.bias": weights["conv2d_2.b"],
                  "7.weight": first, "7.bias": weights["dense_1.b"],
                  "9.weight": weights["dense_2.W"].T, "9.bias": weights["dense_2.b"]}  # fmt: skip
        model.load_state_dict({name: torch.tensor(w.copy()) for name, w in values.items()})
    model = model.to(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)

    def step(rows: Any) -> Any:
        loss = nn.functional.cross_entropy(model(images.index_select(0, rows)), classes.index_select(0, rows))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss

    return step


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) * 1024


def main(name: str) -> None:
    """The growth of the process by building the net and taking 30 steps, at its highest: data and libraries were there
    before, and both BLAS have multiplied once."""
    x, y, batches = data()
    a = np.ones((512, 512), np.float32)
    np.matmul(a, a)
    last = name.endswith("last")
    if name != "bpcli":
        import torch

        torch.from_numpy(a) @ torch.from_numpy(a)
        batches = [torch.from_numpy(rows) for rows in batches]
        x, y = as_tensors(x, y, last)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    step: Callable[[Any], Any] = ours("same", x, y)[0] if name == "bpcli" else theirs("same", x, y, last, {})
    for rows in batches[:30]:
        step(rows)
    print(_status("VmHWM") - before)


def timed(name: str, padding: str) -> None:
    """The median time of a step, of 40 times 5 steps after 30 others."""
    x, y, batches = data()
    if name == "bpcli":
        step: Callable[[Any], Any] = ours(padding, x, y)[0]
    else:
        import torch

        last = name.endswith("last")
        batches = [torch.from_numpy(rows) for rows in batches]
        step = theirs(padding, *as_tensors(x, y, last), last, {})
    for rows in batches[:30]:
        step(rows)
    times = []
    for i in range(40):
        start = time.perf_counter()
        for k in range(5):
            step(batches[(5 * i + k) % len(batches)])
        times.append((time.perf_counter() - start) / 5)
    print(statistics.median(times))


if __name__ == "__main__":
    with np.errstate(all="ignore"):
        timed(*sys.argv[1:]) if sys.argv[2:] else main(sys.argv[1])
