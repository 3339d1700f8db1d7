"""Activations, losses and metrics in mpmath: the right results, and how sensitive they are, at 60 digits.

Nothing here is taken from the kernels: each function is the textbook's, written so that 60 digits suffice (what
cancels is summed without what cancels). A sensitivity is the sum of |v df/dv| over all inputs v of a result f: what a
relative change of 1 in each of them would do to f, by differences in 60 digits. Over |f| it is the condition number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mpmath import mp, mpf

from bpcli.family import Activation, Loss

mp.dps = 60
NUDGE = mpf(10) ** -24  # relative, of an input


def exact(numbers: Any) -> list[Any]:
    """Returns an array's numbers as they are, as (nested) lists of mpf."""
    return [exact(v) for v in numbers] if getattr(numbers, "ndim", 0) else mpf(float(numbers))


def sensitivities(f: Callable[..., Sequence[Any]], inputs: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Returns the results of f at the inputs, and the sensitivity of each."""
    at = list(f(inputs))
    total = [mpf(0)] * len(at)
    for i, v in enumerate(inputs):
        if v:
            moved = f([*inputs[:i], v * (1 + NUDGE), *inputs[i + 1 :]])
            total = [s + abs(a - b) / NUDGE for s, a, b in zip(total, moved, at, strict=True)]
    return at, total


# --------------------------------------------------------------------------------------------------------- activations
def sigmoid(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x)) if x > 0 else mp.exp(x) / (1 + mp.exp(x))


def log1pexp(x: Any) -> Any:
    return max(x, mpf(0)) + mp.log1p(mp.exp(-abs(x)))


def density(x: Any) -> Any:
    """The normal density."""
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def normal(x: Any) -> Any:
    """The normal distribution function."""
    return mp.erfc(-x / mp.sqrt(2)) / 2 if abs(x) < 1000 else mpf(x > 0)


def sech2(x: Any) -> Any:
    e = mp.exp(-2 * abs(x))
    return 4 * e / (1 + e) ** 2


def softplus_tanh(x: Any) -> tuple[Any, Any]:
    """tanh(log(1 + e^x)) and its slope."""
    e = mp.exp(min(x, mpf(10) ** 5))
    w = e * (e + 2)
    return w / (w + 2), 4 * (w + 1) / (w + 2) ** 2 * e / (1 + e)


def elu(x: Any, scale: Any, alpha: Any) -> tuple[Any, Any]:
    return (scale * x, scale) if x > 0 else (scale * alpha * mp.expm1(x), scale * alpha * mp.exp(x))


def selu_constants() -> tuple[Any, Any]:
    """Klambauer et al. 2017, eq. 14: scale and alpha of the fixed point of mean 0 and variance 1."""
    root = mp.erfc(1 / mp.sqrt(2))
    alpha = -mp.sqrt(2 / mp.pi) / (root * mp.exp(mpf(1) / 2) - 1)
    inside = mp.sqrt(2 * mp.pi) * (
        2 * mp.erfc(mp.sqrt(2)) * mp.e**2 + mp.pi * root**2 * mp.e - 2 * (2 + mp.pi) * root * mp.sqrt(mp.e) + mp.pi + 2
    )
    scale = (1 - root * mp.sqrt(mp.e)) * mp.sqrt(2 * mp.pi) / mp.sqrt(inside / mp.sqrt(2 * mp.pi))
    return scale, alpha


def gelu_tanh(x: Any) -> tuple[Any, Any]:
    u = 2 * mp.sqrt(2 / mp.pi) * (x + mpf(0.044715) * x**3)
    slope = 2 * mp.sqrt(2 / mp.pi) * (1 + 3 * mpf(0.044715) * x * x)
    cdf = sigmoid(u)
    return x * cdf, cdf + x * cdf * sigmoid(-u) * slope


def kinked(x: Any, low: Any, high: Any) -> tuple[Any, Any]:
    return min(max(x, mpf(low)), mpf(high)), mpf(low < x < high)


def activation(part: Activation) -> Callable[[Any], tuple[Any, Any]]:
    """Returns the function from x to y and its slope."""
    p: Any = part
    scale, alpha = selu_constants()
    if part.kind == "gelu":
        return gelu_tanh if p.approximate == "tanh" else lambda x: (x * normal(x), normal(x) + x * density(x))
    table: dict[str, Callable[[Any], tuple[Any, Any]]] = {
        "identity": lambda x: (x, mpf(1)),
        "relu": lambda x: (max(x, mpf(0)), mpf(x > 0)),
        "leaky_relu": lambda x: (x, mpf(1)) if x > 0 else (x * mpf(p.slope), mpf(p.slope)),
        "hard_tanh": lambda x: kinked(x, -1, 1),
        "hard_sigmoid": lambda x: (kinked(x + 3, 0, 6)[0] / 6, kinked(x, -3, 3)[1] / 6),
        "tanh": lambda x: (mp.tanh(x) if abs(x) < 200 else mp.sign(x), sech2(x)),
        "sigmoid": lambda x: (sigmoid(x), sigmoid(x) * sigmoid(-x)),
        "softsign": lambda x: (x / (1 + abs(x)), 1 / (1 + abs(x)) ** 2),
        "softplus": lambda x: (log1pexp(mpf(p.beta) * x) / mpf(p.beta), sigmoid(mpf(p.beta) * x)),
        "elu": lambda x: elu(x, mpf(1), mpf(p.alpha)),
        "selu": lambda x: elu(x, scale, alpha),
        "silu": lambda x: (x * sigmoid(x), sigmoid(x) * (1 + x * sigmoid(-x))),
        "mish": lambda x: (x * softplus_tanh(x)[0], softplus_tanh(x)[0] + x * softplus_tanh(x)[1]),
    }
    return table[part.kind]


def softmax(x: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Returns the probabilities, and of each what the others sum to."""
    top = max(x)
    e = [mp.exp(v - top) for v in x]
    others = [sum((v for j, v in enumerate(e) if j != k), mpf(0)) for k in range(len(e))]
    return [v / sum(e) for v in e], [v / sum(e) for v in others]


def softmax_row(row: Sequence[Any]) -> list[Any]:
    """Returns y and dx of one row of softmax, from x and then dy."""
    k = len(row) // 2
    (y, _), dy = softmax(row[:k]), row[k:]
    return [*y, *(y[i] * sum(y[j] * (dy[i] - dy[j]) for j in range(k)) for i in range(k))]


# -------------------------------------------------------------------------------------------------------------- losses
def entropy_row(p: Any, x: Sequence[Any], t: Sequence[Any]) -> tuple[Any, list[Any]]:
    """Returns sum_k t_k (logsumexp(x) - x_k) and its slopes."""
    top, (q, others) = max(x), softmax(x)
    first = list(x).index(top)
    lse = mp.log1p(sum((mp.exp(v - top) for j, v in enumerate(x) if j != first), mpf(0)))
    rest = [sum((v for j, v in enumerate(t) if j != k), mpf(0)) for k in range(len(t))]
    return (
        sum(a * (lse + (top - b)) for a, b in zip(t, x, strict=True)),
        [q[k] * rest[k] - t[k] * others[k] for k in range(len(t))],
    )


def smoothed(p: Any, t: Sequence[Any], weights: Sequence[Any] | None) -> list[Any]:
    s = mpf(p.label_smoothing)
    found = [(1 - s) * v + s / len(t) for v in t] if s else list(t)
    return found if weights is None else [c * v for c, v in zip(weights, found, strict=True)]


def kl_row(p: Any, x: Sequence[Any], t: Sequence[Any]) -> tuple[Any, list[Any]]:
    value, slopes = entropy_row(p, x, t)
    return value + sum(v * mp.log(v) for v in t if v), slopes


def focal_row(p: Any, x: Sequence[Any], t: Sequence[Any]) -> tuple[Any, list[Any]]:
    """Lin et al. 2017, eq. 5, and by the chain rule its slopes."""
    y = list(t).index(max(t))
    alpha = mpf(p.alpha) if isinstance(p.alpha, float) else mpf(p.alpha[y][1])
    gamma, (q, others) = mpf(p.gamma), softmax(x)
    rest = others[y]
    minus_log = entropy_row(p, x, t)[0]
    if not rest:
        return mpf(0), [mpf(0)] * len(x)
    by_log = alpha * (-(rest**gamma) - gamma * rest ** (gamma - 1) * q[y] * minus_log)
    return alpha * rest**gamma * minus_log, [by_log * (rest if k == y else -q[k]) for k in range(len(x))]


def margin_row(p: Any, x: Sequence[Any], t: Sequence[Any]) -> tuple[Any, list[Any]]:
    y = list(t).index(max(t))
    rivals = [k for k in range(len(x)) if k != y]
    rival = max(rivals, key=lambda k: (x[k], -k))
    xi = max(mpf(0), 1 + x[rival] - x[y])
    return xi, [mpf(xi > 0) * (int(k == rival) - int(k == y)) for k in range(len(x))]


def cross_entropy_row(p: Any, x: Sequence[Any], t: Sequence[Any]) -> tuple[Any, list[Any]]:
    return (
        -sum(a * mp.log(b) for a, b in zip(t, x, strict=True) if a),
        [-a / b if a else mpf(0) for a, b in zip(t, x, strict=True)],
    )


def sided(t: Any) -> Any:
    return 2 * t - 1


def huber(e: Any, delta: Any) -> tuple[Any, Any]:
    return (e * e / 2, e) if abs(e) <= delta else (delta * (abs(e) - delta / 2), delta * mp.sign(e))


def log_cosh(e: Any) -> Any:
    """By what cosh exceeds 1, and far out less ln 2."""
    a = abs(e)
    return mp.log1p(2 * mp.sinh(a / 2) ** 2) if a < 1000 else a - mp.log(2)


def hinge(x: Any, t: Any) -> Any:
    return max(mpf(0), 1 - sided(t) * x)


ENTRY: dict[str, Callable[[Any, Any, Any], tuple[Any, Any]]] = {
    "mean_squared_error": lambda p, x, t: ((x - t) ** 2, 2 * (x - t)),
    "squared_error": lambda p, x, t: (mpf(p.factor) * (x - t) ** 2, 2 * mpf(p.factor) * (x - t)),
    "mean_absolute_error": lambda p, x, t: (abs(x - t), mp.sign(x - t)),
    "huber": lambda p, x, t: huber(x - t, mpf(p.delta)),
    "log_cosh": lambda p, x, t: (log_cosh(x - t), mp.tanh(x - t) if abs(x - t) < 200 else mp.sign(x - t)),
    "poisson": lambda p, x, t: (mp.exp(x) - t * x, mp.exp(x) - t),
    "binary_cross_entropy": lambda p, x, t: (
        t * log1pexp(-x) + (1 - t) * log1pexp(x),
        (1 - t) * sigmoid(x) - t * sigmoid(-x),
    ),
    "hinge": lambda p, x, t: (hinge(x, t), -sided(t) * mpf(hinge(x, t) > 0)),
    "squared_hinge": lambda p, x, t: (hinge(x, t) ** 2, -2 * sided(t) * hinge(x, t)),
}
"""What one output costs and its slope; the mean over outputs, but for squared_error, which sums."""
ROW: dict[str, Callable[[Any, Sequence[Any], Sequence[Any]], tuple[Any, list[Any]]]] = {
    "softmax_cross_entropy": entropy_row,
    "kl_divergence": kl_row,
    "focal": focal_row,
    "multiclass_hinge": margin_row,
    "cross_entropy": cross_entropy_row,
}
"""What one row costs and its slopes."""


def loss(part: Loss, n: int, k: int, weighted: bool) -> Callable[[Sequence[Any]], list[Any]]:
    """Returns the function from the numbers of x (n k), t (n k) and, where weighted, w (n) to L and then dx."""
    p: Any = part
    classes = getattr(part, "class_weights", None)
    class_weights = None if classes is None else [mpf(c) for _, c in classes]

    def function(inputs: Sequence[Any]) -> list[Any]:
        rows = [inputs[i * k : (i + 1) * k] for i in range(2 * n)]
        w = list(inputs[2 * n * k :]) if weighted else [mpf(1) / n] * n
        total, slopes, norm = mpf(0), [], mpf(0)
        for x, t, share in zip(rows[:n], rows[n:], w, strict=True):
            if part.kind in ENTRY:
                entries = [ENTRY[part.kind](p, a, b) for a, b in zip(x, t, strict=True)]
                over = 1 if part.kind == "squared_error" else k
                value, slope = sum(v for v, _ in entries) / over, [s / over for _, s in entries]
            else:
                spread = smoothed(p, t, class_weights) if part.kind == "softmax_cross_entropy" else t
                value, slope = ROW[part.kind](p, x, spread)
            norm += share * (1 if class_weights is None else sum(a * b for a, b in zip(class_weights, t, strict=True)))
            total += share * value
            slopes += [share * s for s in slope]
        return [total / norm if class_weights else total, *(s / norm if class_weights else s for s in slopes)]

    return function


# ------------------------------------------------------------------------------------------------------------- metrics
EPS = mpf(2) ** -52  # to which log_loss clips


def mean(values: Sequence[Any], w: Sequence[Any]) -> Any:
    return sum(a * b for a, b in zip(values, w, strict=True)) / sum(w)


def spread(values: Sequence[Any], w: Sequence[Any]) -> Any:
    center = mean(values, w)
    return mean([(v - center) ** 2 for v in values], w)


def of_output(kind: str, y: Sequence[Any], t: Sequence[Any], w: Sequence[Any]) -> Any:
    """Returns the figure of one output of a regression."""
    errors = [a - b for a, b in zip(y, t, strict=True)]
    squares = mean([e * e for e in errors], w)
    match kind:
        case "mae":
            return mean([abs(e) for e in errors], w)
        case "mse":
            return squares
        case "rmse":
            return mp.sqrt(squares)
        case "r2":
            return 1 - squares / spread(t, w)
        case _:
            return 1 - spread(errors, w) / spread(t, w)


def counts(labels: Sequence[int], p: Sequence[Sequence[Any]], w: Sequence[Any]) -> list[list[Any]]:
    """Returns hits, predicted and support of each class."""
    k = len(p[0])
    predictions = [max(range(k), key=lambda j: (row[j], -j)) for row in p]
    rows = list(zip(labels, predictions, w, strict=True))
    return [
        [sum((c for a, b, c in rows if a == b == j), mpf(0)) for j in range(k)],
        [sum((c for _, b, c in rows if b == j), mpf(0)) for j in range(k)],
        [sum((c for a, _, c in rows if a == j), mpf(0)) for j in range(k)],
    ]


def auc(score: Sequence[Any], truth: Sequence[bool], w: Sequence[Any]) -> Any:
    """How likely a row of the class ranks above one that is not."""
    pairs = [(a, c) for a, b, c in zip(score, truth, w, strict=True) if b]
    others = [(a, c) for a, b, c in zip(score, truth, w, strict=True) if not b]
    above = sum(c * d * (mpf(a > b) + mpf(a == b) / 2) for a, c in pairs for b, d in others)
    return above / (sum(c for _, c in pairs) * sum(c for _, c in others))


def average_precision(score: Sequence[Any], truth: Sequence[bool], w: Sequence[Any]) -> Any:
    rows = list(zip(score, truth, w, strict=True))
    total = mpf(0)
    for level in set(score):
        added = sum(c for a, b, c in rows if a == level and b)
        total += added * sum(c for a, b, c in rows if a >= level and b) / sum(c for a, _, c in rows if a >= level)
    return total / sum(c for _, b, c in rows if b)


def of_classes(kind: str, labels: Sequence[int], p: Sequence[Sequence[Any]], w: Sequence[Any]) -> Any:
    """Returns the figure of a classification, one label a row, of three classes or more (macro)."""
    k = len(p[0])
    hits, predicted, support = counts(labels, p, w)
    classes = [j for j in range(k) if predicted[j] + support[j]]
    present = [j for j in range(k) if support[j]]
    match kind:
        case "accuracy":
            return sum(hits) / sum(w)
        case "top_k":
            best = [sorted(range(k), key=lambda j: (-row[j], -j))[:2] for row in p]
            return mean([mpf(a in b) for a, b in zip(labels, best, strict=True)], w)
        case "precision":
            return sum(hits[j] / predicted[j] if predicted[j] else mpf(0) for j in classes) / len(classes)
        case "recall":
            return sum(hits[j] / support[j] if support[j] else mpf(0) for j in classes) / len(classes)
        case "f1":
            return sum(2 * hits[j] / (predicted[j] + support[j]) for j in classes) / len(classes)
        case "balanced_accuracy":
            return sum(hits[j] / support[j] for j in present) / len(present)
        case "matthews":
            n = sum(w)
            both = [sum(a * (n - a) for a in side) for side in (predicted, support)]
            return sum(hits[j] * n - predicted[j] * support[j] for j in range(k)) / mp.sqrt(both[0] * both[1])
        case "log_loss":
            return mean([-mp.log(min(max(row[a], EPS), 1 - EPS)) for a, row in zip(labels, p, strict=True)], w)
        case "brier":
            return mean(
                [sum((v - mpf(j == a)) ** 2 for j, v in enumerate(row)) for a, row in zip(labels, p, strict=True)], w
            )
        case _:
            score = auc if kind == "roc_auc" else average_precision
            return sum(score([row[j] for row in p], [a == j for a in labels], w) for j in range(k)) / k


def of_two(kind: str, labels: Sequence[int], p: Sequence[Any], w: Sequence[Any]) -> Any:
    """Returns log loss or Brier's score from the probability of the second of two classes."""
    if kind == "brier":
        return mean([(v - a) ** 2 for a, v in zip(labels, p, strict=True)], w)
    clipped = [min(max(v, EPS), 1 - EPS) for v in p]
    return mean([-mp.log(v) if a else -mp.log1p(-v) for a, v in zip(labels, clipped, strict=True)], w)


def metric(kind: str, n: int, k: int, labels: Sequence[int] | None) -> Callable[[Sequence[Any]], list[Any]]:
    """Returns the function from the numbers of the output (n k), of a regression's target (n k), and the weights (n) to
    the figure."""

    def function(inputs: Sequence[Any]) -> list[Any]:
        rows, w = [inputs[i * k : (i + 1) * k] for i in range((len(inputs) - n) // k)], inputs[-n:]
        if labels is None:
            columns = [([r[j] for r in rows[:n]], [r[j] for r in rows[n:]]) for j in range(k)]
            return [sum(of_output(kind, y, t, w) for y, t in columns) / k]
        return [of_two(kind, labels, [r[0] for r in rows], w) if k == 1 else of_classes(kind, labels, rows, w)]

    return function
