"""Metrics and scalers as scikit-learn has them."""

from __future__ import annotations

from typing import Any

import numpy as np

from bpcli.family import Metric, Scaler, Scored
from peer_records.files import Record, numbers

Part = dict[str, Any]
ROWS, CLASSES = 12, 3
AVERAGES = ("macro", "micro", "weighted")


def record() -> list[Record]:
    """What scikit-learn makes of every case: of three classes, of two, of several labels a row, of classes that no row
    has or that are never guessed, of values; rows alike and weighted."""
    rng = np.random.default_rng(12)
    labels = np.array([0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2])
    output = np.round(rng.dirichlet(np.full(CLASSES, 0.8), ROWS), 2)
    output[:, 2] = np.round(1 - output[:, 0] - output[:, 1], 2)
    several = {"labels": labels, "output": output}
    two = {"labels": rng.integers(0, 2, ROWS), "output": np.round(rng.uniform(size=(ROWS, 1)), 1)}
    values = {"target": numbers(rng, (ROWS, 2)), "output": numbers(rng, (ROWS, 2))}
    w = np.round(rng.uniform(0.2, 3, ROWS), 2)
    found: list[Record] = []
    for weights in ({}, {"w": w}):
        found += [_score(part, {**several, **weights}) for part in _of_classes(AVERAGES)]
        found += [_score(part, {**two, **weights}) for part in _of_classes((*AVERAGES, "binary"))]
        found += [_error(part, {**values, **weights}) for part in ("mse", "rmse", "mae", "r2", "explained_variance")]
    tags = {"labels": rng.integers(0, 2, (ROWS, CLASSES)), "output": np.round(rng.uniform(size=(ROWS, CLASSES)), 2)}
    counts = [{"type": kind, "average": average} for kind in ("precision", "recall", "f1") for average in AVERAGES]
    found += [_score(part, tags) for part in counts]
    empty = {"labels": np.where(labels == 1, 2, labels), "output": output[:, [2, 1, 0]] * [1, 1, 0]}
    rest: list[Part] = [{"type": kind} for kind in ("accuracy", "balanced_accuracy", "matthews")]
    return [*found, *(_score(part, empty) for part in (*counts, *rest)), *_scalers()]


def _of_classes(averages: tuple[str, ...]) -> list[Part]:
    found: list[Part] = [{"type": kind} for kind in ("accuracy", "precision", "recall", "f1", "balanced_accuracy",
                                                     "matthews", "log_loss", "brier", "roc_auc")]  # fmt: skip
    found += [{"type": kind, "average": average} for kind in ("precision", "recall", "f1") for average in averages]
    if "binary" in averages:
        return [*found, {"type": "average_precision"}]
    ranks: list[Part] = [{"type": kind, "average": "weighted"} for kind in ("roc_auc", "average_precision")]
    return [*found, *ranks, {"type": "average_precision"}, {"type": "top_k"}, {"type": "top_k", "k": 1}]


def _predicted(output: Any) -> Any:
    return (output[:, 0] >= 0.5).astype(int) if output.shape[1] == 1 else output.argmax(1)


def _score(part: Part, inputs: dict[str, Any]) -> Record:
    import sklearn.metrics as peer

    labels, output, w = inputs["labels"], inputs["output"], {"sample_weight": inputs.get("w")}
    kind, tags = part["type"], labels.ndim == 2
    predicted = (output >= 0.5).astype(int) if tags else _predicted(output)
    one = output.shape[1] == 1
    p, average = output[:, 0] if one else output, part.get("average", "macro")
    every = {"labels": list(range(2 if one else CLASSES))}
    match kind:
        case "accuracy":
            value, name = peer.accuracy_score(labels, predicted, **w), "accuracy_score"
        case "precision" | "recall" | "f1":
            average = part.get("average", "binary" if one else "macro")
            name = f"{kind}_score"
            value = getattr(peer, name)(labels, predicted, average=average, zero_division=0, **w)
        case "balanced_accuracy" | "matthews":
            name = {"matthews": "matthews_corrcoef"}.get(kind, "balanced_accuracy_score")
            value = getattr(peer, name)(labels, predicted, **w)
        case "log_loss" | "brier":
            name = {"brier": "brier_score_loss"}.get(kind, kind)
            value = getattr(peer, name)(labels, p, **w, **every)
        case "roc_auc" if one:
            value, name = peer.roc_auc_score(labels, p, **w), "roc_auc_score"
        case "roc_auc":
            name = "roc_auc_score(multi_class='ovr')"
            value = peer.roc_auc_score(labels, p, multi_class="ovr", average=average, **w, **every)
        case "average_precision":
            name = "average_precision_score"
            truth = labels if one else np.eye(CLASSES)[labels]
            value = peer.average_precision_score(truth, p, average=average, **w)
        case _:
            name, k = "top_k_accuracy_score", part.get("k", 2)
            value = peer.top_k_accuracy_score(labels, p, k=k, **w, **every)
    return {"part": part, "peer": f"sklearn.metrics.{name}", "inputs": inputs, "found": {"value": float(value)}}


def _error(kind: str, inputs: dict[str, Any]) -> Record:
    import sklearn.metrics as peer

    name = {
        "mse": "mean_squared_error", "rmse": "root_mean_squared_error", "mae": "mean_absolute_error", "r2": "r2_score",
        "explained_variance": "explained_variance_score",
    }[kind]  # fmt: skip
    value = getattr(peer, name)(inputs["target"], inputs["output"], sample_weight=inputs.get("w"))
    return {
        "part": {"type": kind},
        "peer": f"sklearn.metrics.{name}",
        "inputs": inputs,
        "found": {"value": float(value)},
    }


def _scalers() -> list[Record]:
    from sklearn import preprocessing

    x, found = numbers(np.random.default_rng(13), (7, 3)) * [1.0, 10.0, 0.0] + [0.0, 5.0, 2.0], []
    x = np.round(x, 2)
    for kind, name in (("standardize", "StandardScaler"), ("minmax", "MinMaxScaler"), ("robust", "RobustScaler")):
        for per in ("column", "all"):
            scaler = getattr(preprocessing, name)()
            scaled = scaler.fit_transform(x if per == "column" else x.reshape(-1, 1)).reshape(x.shape)
            part = {"type": kind} if per == "column" else {"type": kind, "per": per}
            found.append({"part": part, "peer": f"sklearn.preprocessing.{name}", "inputs": {"x": x},
                          "found": {"scaled": scaled}})  # fmt: skip
    return found


def ours(record: Record) -> dict[str, Any]:
    """What our metrics and scalers make of a record."""
    inputs = {key: np.array(value) for key, value in record["inputs"].items()}
    if record["part"]["type"] in Scaler.registry:
        shift, scale = Scaler.parse(record["part"]).fit(inputs["x"])
        return {"scaled": (inputs["x"] - shift) / scale}
    output, w = inputs["output"] * 1.0, inputs.get("w", np.ones(ROWS))
    if "target" in inputs:
        batch = Scored(output, inputs["target"], None, None, w, 0)
    else:
        labels, one = inputs["labels"], output.shape[1] == 1
        tags = labels.ndim == 2
        target = labels * 1.0 if tags else labels[:, None] * 1.0 if one else np.eye(CLASSES)[labels]
        predicted = (output >= 0.5).astype(np.int64) if tags else _predicted(output)
        batch = Scored(output, target, labels, predicted, w, 2 if one else CLASSES, tags)
    metric = Metric.parse(record["part"])
    totals = metric.totals(batch.classes, output.shape[1])
    metric.add(totals, batch)
    return {"value": metric.result(totals)}
