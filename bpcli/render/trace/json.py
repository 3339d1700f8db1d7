"""A derivation as JSON, for programs; the guide `derivations` documents it."""

from typing import Any

import numpy as np

from bpcli.records.trace import Derivation, Quantity, StepLine
from bpcli.render.json_text import dumps

PASSES = {1: "given", 2: "forward", 3: "loss", 4: "backward", 5: "backward", 6: "update", 7: "repeat"}


def json(d: Derivation) -> str:
    """Returns `loss`, `gradients`, `updated` and so on of the first training step at the top, all quantities in
    `steps`."""
    first, *more = [_line(line) for line in d.steps]
    record = {
        "name": d.name,
        "detail": d.detail,
        "facts": dict(d.facts),
        **first,
        "compared": d.compared,
        "worst_gap": d.worst,
        "agrees": not d.wrong,
        "given": [{"step": g.step, "path": g.path, "value": lists(g.value), "note": g.note} for g in d.start_values],
        "steps": [_quantity(q) for q in d.quantities],
        "paths": list(d.paths),
        "later_steps": more,
    }
    return dumps(record)


def _line(line: StepLine) -> dict[str, Any]:
    return {
        "loss": line.loss,
        "data_loss": line.data_loss,
        "penalty": line.penalty,
        "loss_after": line.after,
        "predicted_change": line.predicted,
        "gradient_norm": line.norm,
        "clip_factor": line.clipped,
        "learning_rate": line.rate,
        "outputs": lists(line.outputs),
        "gradients": {path: lists(a) for path, a in line.gradients.items()},
        "clipped": {path: lists(a) for path, a in line.after_clipping.items()},
        "updated": {path: lists(a) for path, a in line.updated.items()},
    }


def _quantity(q: Quantity) -> dict[str, Any]:
    return {
        "id": q.id,
        "step": q.step,
        "pass": PASSES[int(q.stage)],
        "layer": q.layer or q.tensor.rpartition(".")[0],
        "part": q.part,
        "kind": q.kind,
        "name": q.name,
        "path": q.path,
        "equation": f"{q.equation.source.left} = {q.equation.source.right}",
        "value": lists(q.value),
        "engine": None if q.engine is None else lists(q.engine),
        "gap": q.gap,
        "why": q.why,
        "worked": {e.name: e.worked.line for e in q.entries},
    }


def lists(value: Any) -> Any:
    """Returns an array as nested lists."""
    return np.asarray(value).tolist()
