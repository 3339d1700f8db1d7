"""How numbers are written in tables."""

import math
from datetime import UTC, datetime, timedelta


def short(value: float) -> str:
    """Returns a number in at least four digits and, where it is not negative, at most seven characters: 0.1234, 1.2346,
    12.346, 1.2e-05."""
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    if size == 0 or 1e-3 <= size < 1e5:
        return f"{value:.{max(0, min(4, 4 - math.floor(math.log10(size or 1))))}f}"
    return f"{value:.1e}"


def seconds(value: float) -> str:
    """Returns seconds for a column: 0.0012, 12.346, 123.5."""
    return f"{value:.{4 if value < 10 else 3 if value < 100 else 1}f}"


def duration(value: float) -> str:
    """Returns a time in a sentence: 0.12 s, 3.4 s, 2 min 05 s."""
    if value < 1:
        return f"{value:.2f} s"
    if value < 59.95:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def percent(share: float | None) -> str:
    """Returns a share in whole percent: 12%; nothing where there is none."""
    return "" if share is None else f"{share:.0%}"


def date(days: float) -> str:
    """Returns a day (and the time, where there is one) that is given as days since 1970: 2024-01-31, 2024-01-31
    12:30; one that no calendar of Python reaches as a number of days."""
    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=round(days * 86400))
    except (OverflowError, ValueError):
        return f"1970 {days:+.4g} days"
    return f"{moment:%Y-%m-%d %H:%M}" if moment.hour or moment.minute else f"{moment:%Y-%m-%d}"
