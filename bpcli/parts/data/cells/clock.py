"""Times of day and durations, as hours: 14:30, 2:30 PM, 36:15:00, 1 days 02:03:04, PT1H30M, 1h 30m."""

import re

CLOCK = re.compile(
    r"([-+−]?)(\d{1,6}):([0-5]\d)(?::([0-5]\d)(?:[.,](\d{1,9}))?)?(?:\s?([ap])\.?\s?m\.?)?"
    r"(?:\s?(?:z|(?:utc|gmt)(?:[-+]\d\d?(?::?\d\d)?)?|(?(4)[-+]|\+)\d\d(?::?\d\d)?))?",  # 5:30-6:30 is a span
    re.I | re.A,
)
MINUTES_AND_FRACTION = re.compile(r"([-+−]?)(\d{1,6}):([0-5]\d)[.,](\d{1,9})", re.A)
HOURS_AND_MINUTES = re.compile(r"(\d{1,4})\s?h\s?([0-5]\d)", re.I | re.A)
HOUR_ALONE = re.compile(r"(\d{1,2})\s?([ap])\.?\s?m\.?", re.I | re.A)
DAYS_AND_CLOCK = re.compile(
    r"([-+]?)(\d{1,7}) days?,? ([-+]?)(\d{1,2}):([0-5]\d):([0-5]\d)(?:\.(\d{1,9}))?", re.I | re.A
)
NUMBER = r"(\d{1,9}(?:[.,]\d{1,9})?)"
ISO_DURATION = re.compile(
    rf"([-+]?)P(?=\d|T\d)(?:{NUMBER}W)?(?:{NUMBER}D)?(?:T(?=\d)(?:{NUMBER}H)?(?:{NUMBER}M)?(?:{NUMBER}S)?)?", re.A
)
SPELLED = re.compile(
    rf"([-+]?)(?=\d)(?:{NUMBER}\s?(?:w|wks?|weeks?)(?![a-z]),?\s?)?(?:{NUMBER}\s?(?:d|days?)(?![a-z]),?\s?)?"
    rf"(?:{NUMBER}\s?(?:h|hrs?|hours?)(?![a-z]),?\s?)?(?:{NUMBER}\s?(?:m|mins?|minutes?)(?![a-z]),?\s?)?"
    rf"(?:{NUMBER}\s?(?:s|secs?|seconds?))?",
    re.I | re.A,
)
UNIT_SECONDS = (604800, 86400, 3600, 60, 1)
"""Seconds of a week, a day, an hour, a minute and a second: the units of ISO_DURATION and SPELLED in their order."""


def hours_of(cell: str, minutes_first: bool = False) -> float | None:
    """Returns the hours of a time of day (since midnight, in the time of its own zone) or of a duration; None where the
    cell is neither. With `minutes_first` 58:53 are minutes and seconds, as 58:53.4 is always."""
    if found := MINUTES_AND_FRACTION.fullmatch(cell):
        return _hours(found[1], int(found[2]) * 60 + int(found[3]), found[4])
    if found := CLOCK.fullmatch(cell):
        sign, hours, minutes, seconds, fraction, half = found.groups()
        if minutes_first and not (seconds or half):
            return _hours(sign, int(hours) * 60 + int(minutes), None)
        hour = _of_24(int(hours), half)
        if hour is None or (half and sign):
            return None
        return _hours(sign, hour * 3600 + int(minutes) * 60 + int(seconds or 0), fraction)
    if found := HOURS_AND_MINUTES.fullmatch(cell):
        return int(found[1]) + int(found[2]) / 60
    if found := HOUR_ALONE.fullmatch(cell):
        hour = _of_24(int(found[1]), found[2])
        return None if hour is None else float(hour)
    if found := DAYS_AND_CLOCK.fullmatch(cell):
        minus, days, clock_sign, hours, minutes, seconds, fraction = found.groups()
        clock = int(hours) * 3600 + int(minutes) * 60 + int(seconds) + float(f"0.{fraction or 0}")
        whole = int(days) * 86400 * (-1 if minus == "-" else 1)
        return (whole + (-clock if clock_sign == "-" else clock)) / 3600  # an hour ago is -1 days +23:00:00
    found = ISO_DURATION.fullmatch(cell) or SPELLED.fullmatch(cell)
    if not found:
        return None
    sign, *amounts = found.groups()
    numbers = (float(amount.replace(",", ".")) if amount else 0.0 for amount in amounts)
    total = sum(number * unit for number, unit in zip(numbers, UNIT_SECONDS, strict=True))
    return -total / 3600 if sign == "-" else total / 3600


def is_spelled(cell: str) -> bool:
    """Whether a time is one with its units: 1h 30m, 1h30, PT1H30M."""
    return bool(ISO_DURATION.fullmatch(cell) or SPELLED.fullmatch(cell) or HOURS_AND_MINUTES.fullmatch(cell))


def is_time_of_day(cell: str) -> bool:
    """Whether a time may be one of a day."""
    if found := HOURS_AND_MINUTES.fullmatch(cell):
        return int(found[1]) < 24
    found = CLOCK.fullmatch(cell)
    return bool(not found[1] and int(found[2]) < 24 if found else HOUR_ALONE.fullmatch(cell))


def places_of(cell: str) -> tuple[int, int]:
    """Returns how many numbers between colons a time has, and the first of them; (0, 0) of one without, or of half a
    day."""
    found = CLOCK.fullmatch(cell)
    return (3 if found[4] else 2, int(found[2])) if found and not found[6] else (0, 0)


def _of_24(hour: int, half: str | None) -> int | None:
    """Returns the hour of 24 that an hour before or after noon is; None for one that is not on the clock."""
    if not half:
        return hour
    return hour % 12 + (12 if half in "pP" else 0) if 1 <= hour <= 12 else None


def _hours(sign: str, seconds: int, fraction: str | None) -> float:
    total = (seconds + float(f"0.{fraction}") if fraction else seconds) / 3600
    return -total if sign in ("-", "−") else total
