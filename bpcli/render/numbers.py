"""How numbers are written in tables."""

from __future__ import annotations

import math


def short(value: float) -> str:
    """About four digits: 0.1234, 12.35, 1.2e-05."""
    if not math.isfinite(value):
        return str(value)
    if value == 0:
        return "0"
    size = abs(value)
    if 1e-3 <= size < 1e5:
        digits = max(0, min(4, 4 - math.floor(math.log10(size)) - 1)) if size >= 1 else 4
        return f"{value:.{digits}f}"
    return f"{value:.2e}"


def seconds(value: float) -> str:
    """A time: 12 ms, 3.4 s, 2 min 05 s."""
    if value < 1:
        return f"{value * 1e3:.0f} ms" if value >= 1e-3 else f"{value * 1e3:.1f} ms"
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
