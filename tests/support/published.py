"""Wrong gradients that were shipped by packages or printed in books, rebuilt from their descriptions as parts of one's
own: the loss or layer as it was, the line that is wrong, and how it is right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from trace_nets import dense, experiment

HEAD = """\
from typing import Literal

import numpy as np

from bpcli.family import Layer, Loss
from bpcli.notation import Eq
from bpcli.family.plan import N, Plan, Slot


"""


@dataclass(frozen=True)
class Published:
    """`wrong` is the line of `source` that is; `tensor` what it spoils, `cause` a pattern of the diagnosis."""

    name: str
    body: str
    wrong: str
    right: str
    tensor: str
    cause: str
    family: str = "loss"

    @property
    def source(self) -> str:
        assert self.body.count(self.wrong) == 1
        return HEAD + self.body

    @property
    def righted(self) -> str:
        return HEAD + self.body.replace(self.wrong, self.right)

    def experiment(self) -> dict[str, Any]:
        rng = np.random.default_rng(2)
        x, t = rng.normal(size=(5, 2)), rng.normal(size=(5, 5))
        if self.family == "loss":
            return experiment([dense(4, "tanh"), dense(5)], self.name, x, t)
        return experiment([dense(4), self.name, dense(5)], "mean_squared_error", x, t)


HALF_SQUARES = Published(
    "half_squares",
    '''class HalfSquares(Loss):
    """scikit-learn's MLPRegressor with several outputs: half the mean square over rows and outputs."""

    type: Literal["half_squares"] = "half_squares"

    def forward(self, f):
        return 0.5 * float(np.mean((f.x - f.t) ** 2))

    def backward(self, f):
        f.dx[...] = (f.x - f.t) / len(f.x)
''',
    "(f.x - f.t) / len(f.x)",
    "(f.x - f.t) / f.x.size",
    "loss.dx",
    r"K \(K = 5\): it is not divided by the outputs",
)

ABSOLUTE = Published(
    "absolute",
    '''class Absolute(Loss):
    """The mean absolute error of a book on networks in plain Python."""

    type: Literal["absolute"] = "absolute"

    def forward(self, f):
        return float(np.mean(np.abs(f.x - f.t)))

    def backward(self, f):
        f.dx[...] = np.sign(f.t - f.x) / f.x.shape[1]
        f.dx[...] = f.dx / len(f.x)
''',
    "np.sign(f.t - f.x)",
    "np.sign(f.x - f.t)",
    "loss.dx",
    "the sign is turned",
)

DROPPED = Published(
    "dropped",
    '''class Dropped(Layer):
    """A wrapper of a package of NumPy layers: backward rescales and forgets the mask."""

    type: Literal["dropped"] = "dropped"

    def plan(self, x):
        return Plan(y=x, draws={"u": Slot((N, *x), "float32")})

    def draw(self, f, rng):
        rng.random(out=f.u, dtype=np.float32)

    def forward(self, f, train):
        f.y[...] = f.x * (f.u >= 0.4) / 0.6 if train else f.x

    def backward(self, f, train):
        f.dx[...] = f.dy / 0.6 if train else f.dy
''',
    "f.dy / 0.6 if train",
    "f.dy * (f.u >= 0.4) / 0.6 if train",
    "dropped_1.dx",
    "a mask or a gate is missing",
    "layer",
)

BATCH_STATISTICS = Published(
    "batch_statistics",
    '''class BatchStatistics(Layer):
    """Batch norm of a C framework on the CPU: forward divides by n - 1, backward by n, and eps stands elsewhere."""

    type: Literal["batch_statistics"] = "batch_statistics"

    def plan(self, x):
        return Plan(y=x, consts={"eps": 1e-5})

    def forward(self, f, train):
        centred = f.x - f.x.mean(0)
        f.y[...] = centred / np.sqrt((centred**2).sum(0) / (len(f.x) - 1) + 1e-5)

    def backward(self, f, train):
        n, centred = len(f.x), f.x - f.x.mean(0)
        var = (centred**2).sum(0) / (n - 1)
        dmu = -f.dy.sum(0) / np.sqrt(var + 1e-5)
        dvar = -0.5 * (f.dy * centred).sum(0) * (var + 1e-5) ** -1.5
        f.dx[...] = f.dy / (np.sqrt(var) + 1e-5) + dvar * 2 * centred / n + dmu / n

    def equations(self, train, x):
        return [
            Eq("mu[c]", "mean(n, x[n,c])"),
            Eq("var[c]", "sum(n, (x[n,c] - mu[c])**2) / (count(n) - 1)"),
            Eq("y[n,c]", "(x[n,c] - mu[c]) / sqrt(var[c] + eps)"),
            Eq("dvar[c]", "-1/2 * sum(n, dy[n,c] * (x[n,c] - mu[c])) * (var[c] + eps)**(-3/2)"),
            Eq("dmu[c]", "-sum(n, dy[n,c]) / sqrt(var[c] + eps)"),
            Eq(
                "dx[n,c]",
                "dy[n,c] / sqrt(var[c] + eps) + 2 * dvar[c] * (x[n,c] - mu[c]) / (count(n) - 1) + dmu[c] / count(n)",
            ),
        ]
''',
    "f.dy / (np.sqrt(var) + 1e-5) + dvar * 2 * centred / n + dmu / n",
    "f.dy / np.sqrt(var + 1e-5) + dvar * 2 * centred / (n - 1) + dmu / n",
    "batch_statistics_1.dx",
    "nearly: N is taken where N - 1 is meant",
    "layer",
)

PUBLISHED = (HALF_SQUARES, ABSOLUTE, DROPPED, BATCH_STATISTICS)
