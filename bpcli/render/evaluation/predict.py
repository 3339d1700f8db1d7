"""Predictions as CSV or JSON."""

import csv
import io
import json

from bpcli.records.training import Predictions
from bpcli.render.json_text import plain


def as_csv(predictions: Predictions) -> str:
    """Returns a header and a line for each row; numbers in full, so that they read back exactly."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(predictions.columns)
    writer.writerows([repr(v) if isinstance(v, float) else v for v in row] for row in predictions.rows)
    return out.getvalue()


def as_json(predictions: Predictions) -> str:
    """Returns a list with one object for each row."""
    rows = [dict(zip(predictions.columns, plain(row), strict=True)) for row in predictions.rows]
    lines = ",\n  ".join(json.dumps(r, ensure_ascii=False) for r in rows)
    return f"[\n  {lines}\n]\n" if rows else "[]\n"
