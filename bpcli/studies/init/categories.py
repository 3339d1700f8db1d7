"""What becomes of text columns of many categories."""

from dataclasses import dataclass, field
from typing import Any

from bpcli.family import CodedText, Table
from bpcli.studies.dataset.fit import MAX_CATEGORIES, MAX_COUNTED
from bpcli.studies.dataset.judgement import hazards

MAX_ONE_HOT_NUMBERS = 1 << 27  # zeros and ones of all text columns and rows together
FEW_CATEGORIES = 50  # of a text column, which have inputs of their own however many rows there are
MIN_ROWS_PER_MEMBER = 20  # on average, where the categories of a column seem to be who or what rows are of


@dataclass(frozen=True)
class Encoding:
    """What the categories of a text column become: in words, how many inputs, and settings of the column; `left_out`
    says why it is no input."""

    words: str
    width: int
    settings: dict[str, Any] = field(default_factory=dict)
    left_out: str = ""


def one_hot_limits(table: Table) -> dict[str, int]:
    """Returns how many one-hot inputs each text column of the table may become, so that those of all columns and rows
    together fit into memory; 0 where its categories seem to say who or what a row is of, each in a few rows: rows of
    others will come, and what is learned of these helps with none of them."""
    wide = {name for name, column in table.texts.items() if len(column.found) > FEW_CATEGORIES}
    limit = min(MAX_CATEGORIES, max(FEW_CATEGORIES, MAX_ONE_HOT_NUMBERS // max(1, table.rows * len(wide))))
    groups = {
        hazard.split[1]
        for hazard in (hazards(table) if wide else ())
        if hazard.split[0] == "group" and not hazard.by_class
    }
    few = {name for name in wide & groups if table.rows < MIN_ROWS_PER_MEMBER * len(table.texts[name].found)}
    return {name: 0 if name in few else limit for name in table.texts}


def choose_encoding(cells: CodedText, limit: int) -> Encoding:
    """Returns one-hot inputs of all categories where they are within the limit (see `one_hot_limits`); else of the most
    frequent ones, beside an input that says how often each occurs.

    What inputs of their own gain where each category has an effect, and lose where none has, is printed by
    `pytest -m slow -s tests/studies/init/test_categories.py`.
    """
    counts = sorted(cells.found.values(), reverse=True)
    if not limit:
        return Encoding("", 1, left_out="who or what a row is of")
    if len(counts) <= limit:
        return Encoding(f"one-hot, {len(counts)} input{'s' * (len(counts) > 1)}", len(counts))
    if len(counts) > MAX_COUNTED:
        return Encoding("", 1, left_out="too many to tell apart")
    settings = {"encoding": "frequency", "max_categories": limit}
    if counts[limit] > 1:
        return Encoding(f"one-hot of the {limit:,} most frequent, and frequency", limit + 1, settings)
    own = sum(n > 1 for n in counts)  # what stands in one row says nothing of others
    if not own:
        return Encoding("frequency, 1 input", 1, {"encoding": "frequency"})
    return Encoding("one-hot from 2 rows on, and frequency", own + 1, {**settings, "min_rows": 2})
