"""The derivation of a formula as JSON."""

from typing import Any

from bpcli.notation.derive.source import typed
from bpcli.notation.syntax import Equation
from bpcli.records.derived import DerivedFormula
from bpcli.render.json_text import dumps
from bpcli.render.trace.json import lists


def formula_json(d: DerivedFormula) -> str:
    """Returns a derivation as JSON: every expression as it is typed."""
    return dumps({
        "title": d.title,
        "of": d.of,
        "by": list(d.backward.by),
        "entries_of": d.entries_of.name if d.entries_of is not None else None,
        "forward": [_equation(e) for e in d.backward.forward],
        "steps": [
            {
                "of": s.of, "rule": s.rule, "why": list(s.why), "at": typed(s.at), "before": typed(s.before),
                "after": [{"at": typed(inside), "arrives": typed(arrives)} for inside, arrives in s.after],
            }
            for s in d.backward.steps
        ],
        "backward": [_equation(e) for e in d.backward.backward],
        "arrays": [
            {
                "name": a.name,
                "stated": None if a.stated is None else _equation(a.stated),
                "stated_gap": a.stated_gap, "complex_step_gap": a.steps_gap,
                "value": lists(a.value) if a.value is not None else None,
            }
            for a in d.arrays
        ],
        "numbers": {name: lists(value) for name, value in d.numbers.items()},
    })  # fmt: skip


def _equation(e: Equation) -> dict[str, Any]:
    return {"left": e.source.left, "right": e.source.right, "why": e.source.why}
