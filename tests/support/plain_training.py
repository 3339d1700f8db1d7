"""A training of a small network in plain NumPy, entry by entry what a textbook says, in which every array is looked at
when it is made. Where a loss, a gradient or what lives on is not finite, the first array of the step that was not is
what a divergence has to name (an output that a tanh makes finite again ends nothing). It shares no code with the engine
but the order of rows and the first weights, which it is given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


class NotFiniteError(Exception):
    """The first array that is not finite."""


class PlainTraining:
    """Two dense layers with an activation between them, and a batch norm in front of it where one is asked for. `loss`
    is softmax_cross_entropy or mean_squared_error, `update` the optimizer's settings, `l2` the strength of the
    penalty, `norm` and `value` are bounds of clipping, `limit` that of max_norm."""

    def __init__(self, weights: dict[str, Array], update: dict[str, Any], **more: Any) -> None:
        self.w = {name: a.copy() for name, a in weights.items()}
        self.type: Any = self.w["dense_1.W"].dtype.type
        self.update, self.more = update, more
        self.memory: dict[str, dict[str, Array]] = {}
        self.statistics = {"rmean": np.zeros(4, self.type), "rvar": np.ones(4, self.type)}
        self.steps = 0
        self.seen: list[str] = []  # arrays of this step that are not finite

    def look(self, name: str, a: Any) -> Any:
        """Returns the array; notes where it is not finite."""
        if not np.isfinite(np.asarray(a, np.float64)).all():
            self.seen.append(name)
        return a

    def must_be(self, name: str, a: Any) -> Any:
        """Returns the array. Raises NotFiniteError where it is not finite."""
        if not np.isfinite(np.asarray(self.look(name, a), np.float64)).all():
            raise NotFiniteError(self.seen[0])
        return a

    def step(self, x: Array, t: Array) -> None:
        """Takes one step. Raises NotFiniteError."""
        w, more, self.seen = self.w, self.more, []
        self.look("x", x)
        y1 = self.look("dense_1.y", x @ w["dense_1.W"] + w["dense_1.b"])
        between, back, batch = self._norm(y1) if more.get("batch_norm") else (y1, None, None)
        relu = more.get("activation", "tanh") == "relu"
        path = "relu_1" if more.get("batch_norm") else "dense_1.activation"
        a = self.look(f"{path}.y", np.maximum(between, 0) if relu else np.tanh(between))
        y2 = self.look("dense_2.y", a @ w["dense_2.W"] + w["dense_2.b"])
        loss, dy2 = self._loss(y2, t)
        self.total = self.look("loss", loss)
        if strength := more.get("l2", 0.0):
            self.total += self.look(
                "penalty", strength / 2 * sum((w[n].astype(np.float64) ** 2).sum() for n in w if n.endswith("W"))
            )
        self.look("loss.dx", dy2)
        g: dict[str, Array] = {}
        g["dense_2.W"] = self.look("dense_2.dW", a.T @ dy2)
        g["dense_2.b"] = self.look("dense_2.db", dy2.sum(0))
        da = self.look("dense_2.dx", dy2 @ w["dense_2.W"].T)
        dy1 = self.look(f"{path}.dx", da * (between > 0) if relu else da * (1 - a * a))
        if back is not None:
            dy1 = self._back_through_norm(dy1, back, g)
        g["dense_1.W"] = self.look("dense_1.dW", x.T @ dy1)
        g["dense_1.b"] = self.look("dense_1.db", dy1.sum(0))
        if strength:
            for name in ("dense_1", "dense_2"):
                g[f"{name}.W"] = self.look(f"{name}.dW", g[f"{name}.W"] + w[f"{name}.W"] * self.type(strength))
        self._clip(g)
        self.steps += 1
        self._update(g)
        for name in w:
            if more.get("limit") and name.endswith("W"):
                lengths = np.sqrt((w[name].astype(np.float64) ** 2).sum(0))
                w[name] = (w[name] * np.minimum(1, more["limit"] / np.maximum(lengths, 1e-300))).astype(self.type)
            self.must_be(name, w[name])
        if batch is not None:
            for name, new in batch.items():
                self.statistics[name] = self.type(0.9) * self.statistics[name] + self.type(0.1) * new
                self.must_be(f"batch_norm_1.{name}", self.statistics[name])

    def evaluate(self, x: Array, t: Array) -> None:
        """Looks at the outputs of these rows, with running statistics. Raises NotFiniteError."""
        w, s, self.seen = self.w, self.statistics, []
        y = self.look("dense_1.y", x @ w["dense_1.W"] + w["dense_1.b"])
        path = "dense_1.activation"
        if self.more.get("batch_norm"):
            y = (y - s["rmean"]) / np.sqrt(s["rvar"] + self.type(1e-5))
            y = self.look("batch_norm_1.y", y * w["batch_norm_1.gamma"] + w["batch_norm_1.beta"])
            path = "relu_1"
        relu = self.more.get("activation", "tanh") == "relu"
        y = self.look(f"{path}.y", np.maximum(y, 0) if relu else np.tanh(y))
        y = self.look("dense_2.y", y @ w["dense_2.W"] + w["dense_2.b"])
        self.must_be("loss", self._loss(y, t)[0])

    def _loss(self, y: Array, t: Array) -> tuple[float, Array]:
        if self.more.get("loss") == "mean_squared_error":
            e = y.astype(np.float64) - t
            return float((e * e).mean()), (2 * (y - t) / self.type(y.size)).astype(self.type)
        shifted = y - y.max(1, keepdims=True)
        p = np.exp(shifted) / np.exp(shifted).sum(1, keepdims=True)
        rows = np.log(np.exp(shifted.astype(np.float64)).sum(1)) - (shifted.astype(np.float64) * t).sum(1)
        return float(rows.mean()), ((p - t) / self.type(len(y))).astype(self.type)

    def _norm(self, y: Array) -> tuple[Array, Any, dict[str, Array]]:
        mean = y.mean(0)
        centred = y - mean
        var = (centred * centred).mean(0)
        scale = 1 / np.sqrt(var + self.type(1e-5))
        hat = centred * scale
        out = self.look("batch_norm_1.y", hat * self.w["batch_norm_1.gamma"] + self.w["batch_norm_1.beta"])
        return out, (hat, scale), {"rmean": mean, "rvar": var * self.type(len(y) / (len(y) - 1))}

    def _back_through_norm(self, dy: Array, back: Any, g: dict[str, Array]) -> Array:
        hat, scale = back
        g["batch_norm_1.gamma"] = self.look("batch_norm_1.dgamma", (dy * hat).sum(0))
        g["batch_norm_1.beta"] = self.look("batch_norm_1.dbeta", dy.sum(0))
        d = dy * self.w["batch_norm_1.gamma"]
        return self.look("batch_norm_1.dx", scale * (d - d.mean(0) - hat * (d * hat).mean(0)))

    def _clip(self, g: dict[str, Array]) -> None:
        norm = np.sqrt(sum((a.astype(np.longdouble) ** 2).sum() for a in g.values()))
        self.must_be("gradient", float(norm))
        self.must_be("loss", self.total)
        if bound := self.more.get("value"):
            for name, a in g.items():
                g[name] = np.clip(a, -bound, bound).astype(self.type)
        if (bound := self.more.get("norm")) and norm > bound:
            for name, a in g.items():
                g[name] = (a * self.type(bound / norm)).astype(self.type)

    def _update(self, g: dict[str, Array]) -> None:
        kind, rate = self.update["type"], self.type(self.update["learning_rate"])
        for slot, name, new in self._memories(kind, g):
            self.memory.setdefault(slot, {})[name] = self.must_be(f"optimizer.{slot}", new)
        for name, a in g.items():
            if kind == "adam":
                m = self.memory["m"][name] / self.type(1 - 0.9**self.steps)
                v = self.memory["v"][name] / self.type(1 - 0.999**self.steps)
                self.w[name] = self.w[name] - rate * m / (np.sqrt(v) + self.type(1e-8))
            elif kind == "momentum":
                self.w[name] = self.w[name] - rate * self.memory["v"][name]
            elif kind == "adagrad":
                self.w[name] = self.w[name] - rate * a / (np.sqrt(self.memory["s"][name]) + self.type(1e-10))
            else:
                self.w[name] = self.w[name] - rate * a

    def _memories(self, kind: str, g: dict[str, Array]) -> Iterator[tuple[str, str, Array]]:
        """Yields what the optimizer remembers now, one kind after the other."""

        def old(slot: str, name: str) -> Any:
            return self.memory.get(slot, {}).get(name, np.zeros_like(g[name]))

        keep, square = self.type(0.9), self.type(0.999)
        rules = {
            "adam": (("m", lambda n, a: keep * old("m", n) + (1 - keep) * a),
                     ("v", lambda n, a: square * old("v", n) + (1 - square) * a * a)),
            "momentum": (("v", lambda n, a: keep * old("v", n) + a),),
            "adagrad": (("s", lambda n, a: old("s", n) + a * a),),
        }  # fmt: skip
        for slot, rule in rules.get(kind, ()):
            for name, a in g.items():
                yield slot, name, rule(name, a).astype(self.type)
