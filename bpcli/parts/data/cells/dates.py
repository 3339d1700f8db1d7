"""Dates in all usual orders, separators and spellings, as days since 1970-01-01."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from bpcli.family.cell_format import DateOrder

DATE_ORDERS: tuple[DateOrder, ...] = ("dmy", "mdy", "ymd")

PIVOT = 69
"""Years of two digits from here on are of the 20th century, those below of the 21st (as POSIX has it)."""

SHORT_MONTH = "Jan -20"
"""The layout of a month's name and two digits, which are those of a year: Jan-15."""

COMPACT_YEARS = range(1800, 2201)
"""Years for which six or eight digits, or a month and four, are taken for a date; 9999 stands for none beside them."""

ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?", re.ASCII)
ISO_DAYS = re.compile(r"(?:\d{4}-\d\d-\d\d\n)*", re.ASCII)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_DAY = date(1970, 1, 1).toordinal()

_MONTHS = """
jan january januar jänner janvier janv enero ene gennaio gen januari janeiro stycznia styczeń sty января январь янв ocak
feb february februari februar février févr fevrier fevr febrero febbraio fevereiro fev lutego luty lut февраля фев şubat
mar march märz mär maerz mrz mars marzo maart mrt março marco marts marca marzec марта март мар mart
apr april avril avr abril abr aprile kwietnia kwiecień kwi апреля апрель апр nisan
may mai mayo maggio mag mei maio maj maja мая май mayıs
jun june juni juin junio giugno giu junho czerwca czerwiec cze июня июнь июн haziran
jul july juli juillet juil julio luglio lug julho lipca lipiec lip июля июль июл temmuz
aug august août aout agosto ago augustus augusti sierpnia sierpień sie августа август авг ağustos
sep sept september septembre septiembre settembre set setembro września wrzesień wrz сентября сентябрь сен сент eylül
oct october oktober okt octobre octubre ottobre ott outubro out października październik paź октября октябрь окт ekim
nov november novembre noviembre novembro listopada listopad lis ноября ноябрь ноя нояб kasım
dec december dezember dez décembre déc decembre diciembre dic dicembre dezembro desember des grudnia grudzień gru
"""
MONTHS = {name: i for i, line in enumerate(_MONTHS.strip().splitlines(), start=1) for name in line.split()}
MONTHS |= {"февраль": 2, "декабря": 12, "декабрь": 12, "дек": 12, "aralık": 12}
"""Names of months (English, German, French, Spanish, Italian, Portuguese, Dutch, Scandinavian, Polish, Russian and
Turkish) and their short forms, in small letters."""

ZONES = {"z": 0, "utc": 0, "gmt": 0, "ut": 0, "wet": 0, "bst": 60, "cet": 60, "west": 60, "cest": 120, "eet": 120,
         "eest": 180, "msk": 180, "jst": 540, "est": -300, "edt": -240, "cst": -360, "cdt": -300, "mst": -420,
         "mdt": -360, "pst": -480, "pdt": -420}  # fmt: skip
"""Minutes by which the time of a zone is ahead of UTC (those of RFC 2822, and usual ones of Europe and Japan)."""

_WEEKDAYS = """
(?:mon|tue|tues|wed|wednes|thu|thur|thurs|fri|sat|satur|sun)(?:day)? mo|di|mi|do|fr|sa|so
(?:mon|diens|donners|frei|sams|sonn)tag|mittwoch|sonnabend (?:lun|mar|mercre|jeu|vendre|same)di|dimanche|lun|mer|jeu|ven
lunes|martes|mi[ée]rcoles|jueves|viernes|s[áa]bado|domingo|(?:luned|marted|mercoled|gioved|venerd)[ìi]|domenica
(?:maan|dins|woens|donder|vrij|zater|zon)dag (?:segunda|terça|quarta|quinta|sexta)(?:-feira)?
"""
_WEEKDAY = rf"(?:(?:{'|'.join(_WEEKDAYS.split())})\.?,?\s+)?"
_NAME = r"([^\W\d_]{3,12})\.?"
_NTH = r"(?:st|nd|rd|th|er|[.ºª°])?"
_ZONE = r"([a-z]{1,4}|(?:utc|gmt)?[+-]\d\d?(?::?\d\d)?)"
_SECOND = r"(?:(?<=:\d\d):|(?<=\.\d\d)\.)(\d\d)(?:[.,](\d{1,9}))?"
_CLOCK = rf"(\d\d?)[:.h](\d\d)(?:{_SECOND})?(?:\s?([ap])\.?\s?m\.?)?(?:\s*{_ZONE})?"
_TIME = rf"(?:[t\s,:]\s*(?:at\s+)?{_CLOCK})?"


def _pattern(day: str) -> re.Pattern[str]:
    return re.compile(_WEEKDAY + day + r"\.?" + _TIME, re.I)


_NUMBERS = _pattern(r"(\d{1,4})(\s?[-/.]\s?|\s)(\d\d?)\2(\d{4}|\d\d?)(?!\d)")
_DAY_FIRST = _pattern(rf"(\d\d?){_NTH}[-\s/.]*(?:(?:of|de)\s)?{_NAME}[-\s/.,']*(?:del?\s)?(\d{{4}}|\d\d)(?!\d)")
_NAME_FIRST = _pattern(rf"{_NAME}[-\s/.]*(\d\d?){_NTH}(?:,\s*|[-\s/.]+)(\d{{4}}|\d\d)(?![\d:])")
_YEAR_NAME = _pattern(rf"(\d{{4}})[-\s/.]*{_NAME}[-\s/.]*(\d\d?)(?!\d)")
_C_TIME = re.compile(_WEEKDAY + rf"{_NAME}\s+(\d\d?)\s+(\d\d?):(\d\d):(\d\d)(?:\s+{_ZONE})?\s+(\d{{4}})", re.I)
_MONTH_OF_YEAR = re.compile(r"(\d{4})[-/.](\d\d)", re.ASCII)
_YEAR_OF_MONTH = re.compile(r"(\d\d?)[-/](\d{4})", re.ASCII)
_WEEK = re.compile(r"(\d{4})-?w(\d\d)(?:-?([1-7]))?", re.I | re.ASCII)
_QUARTER = re.compile(r"(\d{4})[-\s]?q([1-4])|q([1-4])[-\s/]?(\d{4})", re.I | re.ASCII)
_NAMED_MONTH = re.compile(rf"{_NAME}[-\s/.,]*(\d{{4}})", re.I)
_SHORT_MONTH = re.compile(rf"{_NAME}(?:[-/]|\s?['’])(\d\d)", re.I)
_EAST = re.compile(rf"(\d{{4}})[年년]\s?(\d\d?)[月월](?:\s?(\d\d?)[日일](?:\s*{_CLOCK})?)?")
_OTHER_DIGITS = re.compile(r"[^\D0-9]")
_COMPACT = re.compile(
    rf"(\d{{4}})(\d\d)(\d\d)(?:[t ]?(\d\d|\d(?=:)):?(\d\d)(?::?(\d\d)(?:[.,](\d{{1,9}}))?)?(?:\s*{_ZONE})?)?",
    re.I | re.A,
)


class WrittenDate(NamedTuple):
    """The parts of a date as they stand in a cell.

    `layout` is how it is written: by numbers (`2020-`, `-2020` or `-20`, with what stands between), with a month's name
    (`1 Jan 2000`, `Jan 1 2000`, `2000 Jan 1`, `Jan 2000`, `Jan -20`), `2000-01`, `01/2000`, `2000Q1`, `2000-W01`,
    `2000年1月1日`, `200001` or `20000131`. `first`, `second` and
    `third` are its numbers in their order (a month's name is a number); `order` is theirs where the layout says it, ""
    where it may be any. `micros` are the microseconds since midnight less the zone's.
    """

    layout: str
    first: int
    second: int
    third: int
    order: str
    micros: int

    def days(self, order: str) -> float | None:
        """Returns the days since 1970-01-01 where numbers stand in an order; None where there is no such day."""
        order = self.order or order
        if order == "dmy":
            day, month, year = self.first, self.second, self.third
        elif order == "mdy":
            month, day, year = self.first, self.second, self.third
        elif order == "ymd":
            year, month, day = self.first, self.second, self.third
        else:
            return None
        if self.layout.endswith("-20"):  # two digits
            if year > 99:
                return None
            year += 1900 if year >= PIVOT else 2000
        if not (0 < month < 13 and 0 < day < 32):
            return None
        try:
            whole = date(year, month, day).toordinal() - EPOCH_DAY
        except ValueError:
            return None
        return timedelta(whole, 0, self.micros).total_seconds() / 86400 if self.micros else float(whole)


def written_date(cell: str) -> WrittenDate | None:
    """Returns the parts of a cell that is written like a date, None for any other; there may be no such day."""
    if not cell.isascii() and _OTHER_DIGITS.search(cell):
        return None
    if found := _NUMBERS.fullmatch(cell):
        a, mark, b, c, *time = found.groups()
        return _with_time(*_by_numbers(a, mark.strip() or " ", b, c), time)
    if found := _DAY_FIRST.fullmatch(cell):
        a, name, c, *time = found.groups()
        return _with_time("1 Jan -20" if len(c) == 2 else "1 Jan 2000", a, _month(name), c, "dmy", time)
    if found := _NAME_FIRST.fullmatch(cell):
        name, b, c, *time = found.groups()
        return _with_time("Jan 1 -20" if len(c) == 2 else "Jan 1 2000", _month(name), b, c, "mdy", time)
    if found := _YEAR_NAME.fullmatch(cell):
        a, name, c, *time = found.groups()
        return _with_time("2000 Jan 1", a, _month(name), c, "ymd", time)
    if found := _C_TIME.fullmatch(cell):
        name, day, hour, minute, second, zone, year = found.groups()
        return _with_time("Jan 1 2000", _month(name), day, year, "mdy", [hour, minute, second, None, None, zone])
    if found := _MONTH_OF_YEAR.fullmatch(cell):
        return WrittenDate("2000-01", int(found[1]), int(found[2]), 1, "ymd", 0)
    if (found := _YEAR_OF_MONTH.fullmatch(cell)) and int(found[2]) in COMPACT_YEARS:  # 1/4000 is a fraction
        return WrittenDate("01/2000", int(found[2]), int(found[1]), 1, "ymd", 0)
    if found := _QUARTER.fullmatch(cell):
        year, quarter = (found[1], found[2]) if found[1] else (found[4], found[3])
        return WrittenDate("2000Q1", int(year), 3 * int(quarter) - 2, 1, "ymd", 0)
    if found := _EAST.fullmatch(cell):
        year, month, day, *time = found.groups()
        return _with_time("2000年1月1日" if day else "2000年1月", year, month, day or 1, "ymd", time)
    if found := _NAMED_MONTH.fullmatch(cell):
        return _with_time("Jan 2000", _month(found[1]), 1, found[2], "mdy", [])
    if found := _SHORT_MONTH.fullmatch(cell):
        return _with_time(SHORT_MONTH, _month(found[1]), 1, found[2], "mdy", [])
    return _week(cell) if "w" in cell.lower() else _compact(cell)


def _week(cell: str) -> WrittenDate | None:
    """Returns the day of a week of the year, its Monday where it names none."""
    found = _WEEK.fullmatch(cell)
    try:
        day = date.fromisocalendar(int(found[1]), int(found[2]), int(found[3] or 1)) if found else None
    except ValueError:
        return None
    return None if day is None else WrittenDate("2000-W01", day.year, day.month, day.day, "ymd", 0)


def _by_numbers(a: str, mark: str, b: str, c: str) -> tuple[str, str, str, str, str]:
    """Returns the layout of a date of three numbers, the numbers, and their order where a year of four digits says
    it (as 2020-01-31; 31-01-2020 may be the other way round)."""
    if len(a) == 4:
        return f"2020{mark}", a, b, c if len(c) < 3 else "0", "ymd"
    if len(a) > 2 or len(c) == 1:
        return "", a, b, c, ""
    return (f"{mark}2020" if len(c) == 4 else f"{mark}-20"), a, b, c, ""


def _with_time(
    layout: str, first: int | str, second: int | str, third: int | str, order: str, time: list[str | None]
) -> WrittenDate | None:
    hour, minute, second_of_minute, fraction, half, zone = time or [None] * 6
    micros = _micros(hour, minute, second_of_minute, fraction, half, zone) if hour else 0
    if not layout or micros is None or not (first and second):
        return None
    return WrittenDate(layout, int(first), int(second), int(third), order, micros)


def _month(name: str) -> int:
    """Returns the number of a month's name, 0 for any other word."""
    return MONTHS.get(name.lower(), 0)


def _micros(
    hour: str, minute: str | None, second: str | None, fraction: str | None, half: str | None, zone: str | None
) -> int | None:
    """Returns the microseconds since midnight in UTC; None for what no clock shows. Digits of a fraction beyond the
    sixth are cut off, as `datetime` does."""
    h, m, s = int(hour), int(minute or 0), int(second or 0)
    if half:
        if not 1 <= h <= 12:
            return None
        h = h % 12 + (12 if half in "pP" else 0)
    ahead = _minutes_ahead(zone) if zone else 0
    if h > 23 or m > 59 or s > 59 or ahead is None:
        return None
    return ((h * 60 + m - ahead) * 60 + s) * 1_000_000 + int((fraction or "")[:6].ljust(6, "0"))


def _minutes_ahead(zone: str) -> int | None:
    zone = zone.lower()
    if zone in ZONES:
        return ZONES[zone]
    found = re.fullmatch(r"(?:utc|gmt)?([+-])(\d\d?):?(\d\d)?", zone)
    if not found or int(found[2]) > 23 or int(found[3] or 0) > 59:
        return None
    minutes = int(found[2]) * 60 + int(found[3] or 0)
    return -minutes if found[1] == "-" else minutes


def _compact(cell: str) -> WrittenDate | None:
    """Returns the date of eight digits, with or without a time of four or six; of six, the first day of a month."""
    if len(cell) == 6 and cell.isascii() and cell.isdigit() and int(cell[:4]) in COMPACT_YEARS:
        return WrittenDate("200001", int(cell[:4]), int(cell[4:]), 1, "ymd", 0)
    found = _COMPACT.fullmatch(cell)
    if not found or (int(found[1]) not in COMPACT_YEARS and found[1] != "9999"):
        return None
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    return _with_time("20200131", year, month, day, "ymd", [hour, minute, second, fraction, None, zone])


def days_of(cell: str, order: str = "") -> float | None:
    """Returns the days since 1970-01-01 of a date, with or without a time (UTC where it names no zone). `order` is that
    of day and month where numbers alone do not say it; without one only such dates are read that need none."""
    cell = cell.strip()
    if ISO_DATE.fullmatch(cell):
        try:
            found = datetime.fromisoformat(cell)
        except ValueError:
            return None
        return ((found if found.tzinfo else found.replace(tzinfo=UTC)) - EPOCH).total_seconds() / 86400
    written = written_date(cell)
    return None if written is None else written.days(order)
