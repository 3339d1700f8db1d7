"""Layers of a user's own that are wrong in one place, which gradcheck has to find: where the mistake depends on the
row, the column, the channel, the rank, the size, the magnitude, the type of numbers, the mode, the order of calls, an
earlier batch or the thread.

Each is a right layer of `LAYERS` with a few lines of Python behind its forward or its backward pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import indent

HEAD = """\
import threading
from typing import ClassVar, Literal

import numpy as np

from bpcli.custom import Activation, ConstantValue, Eq, Layer, N, Param, Plan, Slot


def elsewhere():
    return threading.current_thread() is not threading.main_thread()


STATE = {"calls": 0, "x": None, "y": None, "sum": 0.0, "size": 0}


"""

BENT = '''\
class Bent(Activation):
    """tanh, by hand."""

    type: Literal["bent"] = "bent"
    rows_are_independent: ClassVar[bool] = True

    def plan(self, x):
        return Plan(y=x, scratch={"s": Slot((N, *x))})

    def forward(self, f, train):
        np.tanh(f.x, out=f.y)
#forward

    def backward(self, f, train):
        np.multiply(f.y, f.y, out=f.s)
        np.subtract(1, f.s, out=f.s)
        np.multiply(f.s, f.dy, out=f.dx)
#backward
#equations
    def equations(self, train, x):
        return [
            Eq("y[n,...]", "tanh(x[n,...])", "definition"),
            Eq("dx[n,...]", "dy[n,...] * (1 - y[n,...]**2)", "the slope of tanh"),
        ]
'''

SCALED = '''\
class Scaled(Layer):
    """A gain and a shift for each channel."""

    type: Literal["scaled"] = "scaled"

    def plan(self, x):
        c = x[-1:]
        return Plan(y=x, params={"g": Param(c, ConstantValue(value=1.5)), "b": Param(c, ConstantValue(value=0.5))})

    def forward(self, f, train):
        np.multiply(f.x, f.g, out=f.y)
        np.add(f.y, f.b, out=f.y)
#forward

    def backward(self, f, train):
        c = f.x.shape[-1]
        x, dy = f.x.reshape(-1, c), f.dy.reshape(-1, c)
        np.multiply(f.dy, f.g, out=f.dx)
        np.einsum("nc,nc->c", dy, x, out=f.dg)
        np.sum(dy, axis=0, out=f.db)
#backward
#equations
    def equations(self, train, x):
        return [
            Eq("y[n,...,c]", "g[c] * x[n,...,c] + b[c]", "definition"),
            Eq("dx[n,...,c]", "g[c] * dy[n,...,c]", "through the gain"),
            Eq("dg[c]", "sum(n,..., dy[n,...,c] * x[n,...,c])", "rows and places add"),
            Eq("db[c]", "sum(n,..., dy[n,...,c])", "rows and places add"),
        ]
'''

MIXED = '''\
class Mixed(Layer):
    """A product with a square matrix."""

    type: Literal["mixed"] = "mixed"

    def plan(self, x):
        (i,) = x
        return Plan(y=x, params={"W": Param((i, i), ConstantValue(value=0.25))})

    def forward(self, f, train):
        np.matmul(f.x, f.W, out=f.y)
#forward

    def backward(self, f, train):
        np.matmul(f.x.T, f.dy, out=f.dW)
        np.matmul(f.dy, f.W.T, out=f.dx)
#backward
#equations
    def equations(self, train, x):
        return [
            Eq("y[n,o]", "sum(i, x[n,i] * W[i,o])", "definition"),
            Eq("dW[i,o]", "sum(n, x[n,i] * dy[n,o])", "rows add"),
            Eq("dx[n,i]", "sum(o, dy[n,o] * W[i,o])", "back through every weight"),
        ]
'''

LAYERS = {"bent": BENT, "scaled": SCALED, "mixed": MIXED}


@dataclass(frozen=True)
class Fault:
    """One mistake. `in_config`: whether it shows in a network of 32 rows of 20 columns (see `CONFIG`) too."""

    kind: str
    layer: str
    place: str  # forward or backward
    code: str
    in_config: bool = True

    def __str__(self) -> str:
        return f"{self.kind}, {self.layer}: {self.code.splitlines()[-1].strip()}"

    def source(self, equations: bool) -> str:
        """Returns the file, with the layer's equations or without."""
        text = LAYERS[self.layer]
        if not equations:
            text = text.partition("#equations")[0]
        lines = {
            f"#{p}\n": indent(self.code, 8 * " ") + "\n" if p == self.place else "" for p in ("forward", "backward")
        }
        for mark, code in lines.items():
            text = text.replace(mark, code)
        return HEAD + text.replace("#equations", "")


def right(layer: str, equations: bool) -> str:
    """Returns the file of the layer without a mistake."""
    return Fault("right", layer, "nowhere", "", True).source(equations)


CONFIG = """\
name: faulty
dtype: float64
data: {{train: {{type: npz, path: rows.npz}}}}
architecture:
  - {{type: dense, units: 20}}
  - {{type: {layer}}}
  - {{type: dense, units: 2}}
loss: squared_error
training: {{batch_size: 32, epochs: 1}}
"""
"""Of `rows.npz` with 64 rows x of 20 columns, and targets y of 2."""


def _of(kind: str, layer: str, *codes: str, place: str = "backward", in_config: bool = True) -> list[Fault]:
    return [Fault(kind, layer, place, code, in_config) for code in codes]


FAULTS: tuple[Fault, ...] = (
    *_of("row", "bent",
         "f.dx[8:] *= 2", "f.dx[7:] = 0", "f.dx[7] += 0.01", "f.dx[31:] = 0", "f.dx[9::9] *= 1.5",
         "f.dx[16:24] = f.dx[15]", "f.dx[8:] *= 1.00009", "if len(f.x) > 8: f.dx[0] *= 1.5", "f.dx[20:] = f.dy[20:]",
         "f.dx[10:12] = f.dx[11:9:-1]"),
    *_of("row", "bent",
         "f.dx[32:] = 0", "f.dx[64:] *= 2", "f.dx[128:] = 0", "f.dx[33] *= 1.5",
         in_config=False),
    *_of("row", "bent",
         "f.y[8:] *= 2", "f.y[20:] = f.x[20:]",
         place="forward"),
    *_of("row", "scaled",
         "f.dx[8:] *= 2", "f.dg[...] = np.einsum('nc,nc->c', dy[:16], x[:16])", "f.db -= dy[-1] * (len(dy) > 16)",
         "f.db[...] = dy[: len(dy) // 8 * 8].sum(0)", "f.dg += 0.001 * dy[16:].sum(0)", "f.db += dy[17:18].sum(0)"),
    *_of("row", "scaled",
         "f.db[...] = dy[:32].sum(0)", "f.dg -= (dy[64:] * x[64:]).sum(0)",
         in_config=False),
    *_of("row", "mixed",
         "f.dW[...] = f.x[:16].T @ f.dy[:16]", "f.dW -= np.outer(f.x[-1], f.dy[-1]) * (len(f.x) > 8)",
         "f.dx[24:] = f.dy[24:] @ f.W", "f.dW /= 1 + (len(f.x) > 8)"),
    *_of("size of the batch", "bent",
         "if len(f.x) > 7: f.dx *= 2", "if len(f.x) >= 32: f.dx *= 1.0005", "if len(f.x) % 4 == 0: f.dx *= 1.1",
         "f.dx *= min(1, 16 / len(f.x))"),
    *_of("size of the batch", "bent",
         "if len(f.x) > 128: f.dx *= 2", "if len(f.x) % 11 == 0: f.dx[-1] = 0", "if len(f.x) == 1: f.dx *= 2",
         in_config=False),
    *_of("size of the batch", "scaled",
         "f.dg /= max(1, len(f.x) / 16)", "if len(f.x) == 32: f.db *= 1.01"),
    *_of("column", "bent",
         "f.dx[..., 16:] *= 2", "f.dx[..., 10] = 0", "f.dx[..., 8:] *= 1.001", "f.dx[:, 12:] = f.dy[:, 12:]",
         "if f.x.shape[1] > 8: f.dx[:, -1] *= 2", "f.dx[..., 9] += 1e-4"),
    *_of("column", "bent",
         "f.dx[..., 64:] = 0", "f.dx[..., 33:] *= 2", "f.dx[..., 50] *= 1.5",
         in_config=False),
    *_of("column", "mixed",
         "f.dW[:, 16:] = 0", "f.dW[17:] *= 1.01", "f.dx[:, 8:] *= 2", "np.fill_diagonal(f.dW, 0)"),
    *_of("channel", "scaled",
         "f.dg[8:] = 0", "f.db[16:] *= 2", "f.dg[-1] *= 1.5 if len(f.g) > 3 else 1", "f.db[1::16] *= 1.1",
         "if len(f.g) % 2 == 0: f.dg *= 1.01"),
    *_of("channel", "scaled",
         "f.dg[64:] = 0", "f.db[32:] *= 2", "if len(f.g) == 3: f.db *= 2", "if len(f.g) % 2: f.dg *= 1.01",
         "if len(f.g) < 3: f.dx *= 2", "if len(f.g) == 17: f.db[0] = 0",
         in_config=False),
    *_of("rank", "bent",
         "if f.x.ndim == 3: f.dx *= 2", "if f.x.ndim == 4: f.dx *= 2", "if f.x.ndim > 2: f.dx[:, -1] = 0",
         "if f.x.ndim == 4: f.dx[..., 0] *= 1.01",
         in_config=False),
    *_of("rank", "scaled",
         "if f.x.ndim == 3: f.dg /= f.x.shape[1]", "if f.x.ndim == 4: f.db[...] = f.dy[:, 0, 0].sum(0)",
         "if f.x.ndim == 4: f.dg[...] = (f.dy * f.x).sum((0, 1))[0]", "if f.x.ndim == 3: f.db -= f.dy[0, -1]",
         "if f.x.ndim == 4: f.dx[:, :, -1] *= 2",
         in_config=False),
    *_of("rank", "bent",
         "if f.x.ndim == 2: f.dx *= 1.5"),
    *_of("size", "bent",
         "if f.x.size > 300: f.dx *= 2", "if f.x[0].size > 10: f.dx *= 1.1", "f.dx.reshape(-1)[256:] *= 2",
         "f.dx.reshape(-1)[511] = 0"),
    *_of("size", "bent",
         "if f.x.size > 2000: f.dx *= 1.5", "f.dx.reshape(-1)[1024:] = 0",
         "if f.x.ndim > 2 and f.x.shape[1] > 4: f.dx[:, 4:] *= 2",
         in_config=False),
    *_of("size", "scaled",
         "f.dg[...] = np.einsum('nc,nc->c', dy[:30], x[:30])", "if x.size > 256: f.db *= 1.01"),
    *_of("magnitude of x", "bent",
         "f.dx[np.abs(f.x) > 3] *= 1.5", "f.dx[f.x < -2] = 0", "f.dx[np.abs(f.x) > 6] += 1e-3",
         "f.dx[np.abs(f.x) < 0.01] *= 2", "f.dx[np.abs(f.x) < 1e-4] = 0",
         in_config=False),
    *_of("magnitude of x", "bent",
         "f.dx[f.x > 1] *= 1.1", "f.dx[f.x < 0] *= 1.0002"),
    *_of("magnitude of x", "scaled",
         "f.dg -= (dy * x * (np.abs(x) > 3)).sum(0)", "f.dx[np.abs(f.x) > 10] = 0", "f.dx[np.abs(f.x) < 1e-3] *= 2",
         in_config=False),
    *_of("magnitude of dy", "bent",
         "f.dx[np.abs(f.dy) > 2] *= 1.1", "f.dx[np.abs(f.dy) < 1e-5] = 0", "np.clip(f.dx, -1, 1, out=f.dx)",
         "f.dx[np.abs(f.dy) > 20] = 0", "f.dx += 1e-9",
         in_config=False),
    *_of("magnitude of dy", "scaled",
         "f.db[...] = np.clip(dy, -3, 3).sum(0)", "f.dg *= np.minimum(1, 5 / np.abs(f.dg))",
         in_config=False),
    *_of("type", "bent",
         "if f.x.dtype == np.float32: f.dx *= 1.01", "if f.x.dtype == np.float32: f.dx[0] = 0",
         "f.dx[...] = f.dx.astype(np.float16)", "if f.x.dtype == np.float32: f.dx[...] = f.dx.astype(np.float16)",
         "if f.dx.dtype == np.float32: f.dx[np.abs(f.dx) < 1e-2] = 0"),
    *_of("type", "bent",
         "if f.x.dtype == np.float32: f.y *= 1.01",
         place="forward"),
    *_of("type", "scaled",
         "if f.x.dtype == np.float32: f.dg *= 1.01", "if f.x.dtype == np.float32: f.db[-1] = 0",
         "if f.x.dtype == np.float32: f.dx *= 0.99"),
    *_of("type", "mixed",
         "if f.x.dtype == np.float32: f.dW *= 1.001"),
    *_of("mode", "bent",
         "if not train: f.dx *= 0.5", "if not train: f.dx[...] = f.dy", "if not train: f.dx[3:] = 0",
         "if not train: f.dx *= 1.0001"),
    *_of("mode", "bent",
         "if not train: f.y[...] = f.x", "if not train: f.y *= 0.5",
         place="forward"),
    *_of("mode", "scaled",
         "if not train: f.dg[...] = 0", "if not train: f.db *= 2", "if not train: f.dx[8:] *= 2"),
    *_of("order of calls", "bent",
         "STATE['calls'] += 1\n"
         "if STATE['calls'] % 2 == 0: f.dx *= 2",
         "STATE['calls'] += 1\n"
         "if STATE['calls'] % 5 == 0: f.dx *= 2",
         "STATE['calls'] += 1\n"
         "if STATE['calls'] == 1: f.dx *= 2",
         "f.y *= 2", "f.dy *= 0.5", "f.x += 0.001"),
    *_of("order of calls", "scaled",
         "if np.shape(STATE['x']) == f.g.shape: f.dg += STATE['x']\n"
         "STATE['x'] = f.dg.copy()",
         "f.g *= 0.999", "f.dy[-1] = 0"),
    *_of("order of calls", "bent",
         "STATE['y'] = f.y\n"
         "f.y *= 1 + 1e-3 * (STATE['calls'] % 2)\n"
         "STATE['calls'] += 1",
         place="forward"),
    *_of("earlier batch", "bent",
         "if np.shape(STATE['x']) == f.x.shape: f.dx *= 1 - STATE['x']**2 * 1e-2\n"
         "STATE['x'] = f.x.copy()",
         "if STATE['size'] not in (0, len(f.x)): f.dx *= 2\n"
         "STATE['size'] = len(f.x)",
         "STATE['sum'] = 0.9 * STATE['sum'] + 0.1 * float(np.abs(f.x).mean())\n"
         "f.dx *= STATE['sum']"),
    *_of("earlier batch", "bent",
         "STATE['sum'] = 0.9 * STATE['sum'] + 0.1 * float(np.abs(f.x).mean())\n"
         "f.y += 0.01 * STATE['sum']",
         place="forward"),
    *_of("earlier batch", "scaled",
         "STATE['size'] = max(STATE['size'], len(f.x))\n"
         "f.dg *= len(f.x) / STATE['size']",
         "if STATE['x'] is None: STATE['x'] = f.x.copy()\n"
         "if STATE['x'].shape == f.x.shape: f.dg[...] = (dy * STATE['x'].reshape(-1, c)).sum(0)"),
    *_of("thread", "bent",
         "if elsewhere(): f.dx *= 2", "if elsewhere(): f.dx[0] = 0",
         in_config=False),
    *_of("thread", "bent",
         "if elsewhere(): f.y *= 2",
         place="forward", in_config=False),
    *_of("precision", "bent",
         "f.dx *= 1.00009", "f.dx *= 1.000001", "f.dx *= 0.9999", "f.dx[0] *= 1.00005",
         "f.dx[...] = f.dx.astype(np.float32)", "f.dx[:, 0] += 1e-5"),
    *_of("precision", "scaled",
         "f.dg *= 1.00009", "f.db *= 1.000002", "f.dx *= 0.99995"),
    *_of("precision", "mixed",
         "f.dW *= 1.00009", "f.dW[0, 0] *= 1.00005", "f.dx *= 1.00002"),
    *_of("what it reads", "bent",
         "if len(f.x) > 8: f.x *= 1.001", "if len(f.x) > 8: f.dy *= 2", "if f.x.dtype == np.float32: f.dy *= 2",
         "if not train and len(f.x) > 9: f.x[0] = 0"),
    *_of("what it reads", "bent",
         "if f.x.ndim == 3: f.x *= 1.5", "if f.x.ndim == 4: f.dy *= 0.5",
         in_config=False),
    *_of("what it reads", "scaled",
         "if len(f.x) > 8: f.g *= 1.001", "if f.x.dtype == np.float32: f.b += 1"),
    *_of("order of calls", "bent",
         "STATE['calls'] += 1\n"
         "if STATE['calls'] > 50: f.dx *= 1.01"),
    *_of("order of calls", "bent",
         "STATE['calls'] += 1\n"
         "if STATE['calls'] > 300: f.dx[0] *= 1.01",
         in_config=False),
    *_of("magnitude of x", "bent",
         "f.dx[f.x == 0] = 0.5", "f.dx[f.x == 1] *= 2", "f.dx[f.x > 100] = 1", "f.dx[np.abs(f.x) > 40] += 1"),
    *_of("magnitude of x", "bent",
         "f.dx[(f.x == 0).all(-1)] = np.nan"),
    *_of("size of the batch", "scaled",
         "if len(f.x) > 31: f.dg *= 31 / len(f.x)", "f.db -= dy[-1] * (len(dy) % 2)",
         "f.db[...] = dy[: max(5, len(dy) // 4 * 4)].sum(0)"),
)  # fmt: skip
