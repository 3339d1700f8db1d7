"""Whether the lines of a derivation give what they say."""

from __future__ import annotations

import re

import numpy as np

from bpcli.notation.calculator import reevaluate
from bpcli.records.trace import Derivation

DIGITS = 6  # that are asked for; a number with fewer is printed as it is, so it has to be true to as many all the same


def closing(d: Derivation) -> int:
    """Every worked line, computed from its printed digits, gives its printed result."""
    count = 0
    for q in d.quantities:
        for e in q.entries:
            worked = e.worked
            count += 1
            assert worked.closes, worked.line
            found, printed = reevaluate(worked.substituted), reevaluate(worked.result)
            if "rounding" in worked.notes:
                assert printed == 0, worked.line
                continue
            lost = [re.match(r"cancellation leaves (\d+) digits", note) for note in worked.notes]
            digits = next((int(m[1]) for m in lost if m), DIGITS)
            unit = 10.0 ** (np.floor(np.log10(abs(printed))) - digits + 1) if printed else 0.0
            assert abs(found - printed) <= 0.5000001 * unit, worked.line
    return count
