"""Numbers in dress: with currencies, %, units, marks between thousands, brackets or signs for what is below zero."""

import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

from bpcli.family.cell_format import DecimalMark, ThousandsMark

SPACES = " \u00a0\u2007\u2009\u202f"
"""Spaces that stand between thousands: the usual one, that of no break, and narrow ones."""

APOSTROPHES = "'’ʼ´`"
"""Marks that stand between thousands in Switzerland."""

CURRENCIES = {
    "$": "$ us$ usd", "€": "€ eur euro", "£": "£ gbp", "¥": "¥ jpy", "₹": "₹ inr rs rs.", "CHF": "chf fr. sfr. sfr",
    "CNY": "cny rmb cn¥ 元", "₩": "₩ krw", "₽": "₽ rub руб руб.", "₺": "₺ try", "₴": "₴ uah грн", "₫": "₫ vnd",
    "₪": "₪ ils nis", "zł": "zł pln zl", "Kč": "kč czk", "Ft": "huf", "lei": "lei ron", "лв": "лв bgn",
    "R$": "r$ brl", "A$": "a$ au$ aud", "C$": "c$ ca$ cad", "NZ$": "nz$ nzd", "HK$": "hk$ hkd", "S$": "s$ sgd",
    "NT$": "nt$ twd", "MX$": "mx$ mxn", "RM": "rm myr", "₱": "₱ php", "฿": "฿ thb", "₦": "₦ ngn", "₿": "₿ btc",
    "kr": "kr kr.", "SEK": "sek", "NOK": "nok", "DKK": "dkk", "ISK": "isk", "IDR": "idr rp rp.", "ZAR": "zar",
    "AED": "aed", "SAR": "sar", "QAR": "qar", "KWD": "kwd", "EGP": "egp", "KES": "kes ksh", "GHS": "ghs", "MAD": "mad",
    "ARS": "ars", "CLP": "clp", "COP": "cop", "PEN": "pen", "RSD": "rsd", "XAF": "xaf", "XOF": "xof", "¢": "¢",
}  # fmt: skip
"""Currencies by their signs, and by codes and words in small letters that mean the same."""

CURRENCY_OF = {word: sign for sign, words in CURRENCIES.items() for word in words.split()}

UNIT_WORDS = frozenset({
    "%", "‰", "g", "kg", "mg", "µg", "lb", "oz", "t", "ton", "m", "km", "cm", "mm", "µm", "nm", "mi", "mile", "ft",
    "in", "inch", "yd", "l", "ml", "cl", "dl", "gal", "s", "ms", "min", "h", "hr", "hour", "day", "d", "week",
    "month", "year", "yr", "°c", "°f", "°k", "c", "f", "k", "v", "a", "w", "kw", "mw", "kwh", "mwh", "wh", "hz",
    "khz", "mhz", "ghz", "b", "kb", "mb", "gb", "tb", "bit", "px", "pt", "ha", "ac", "m2", "km2", "m²", "km²", "m³",
    "m3", "sqft", "sqm", "mph", "km/h", "kmh", "kph", "m/s", "hp", "bhp", "ps", "kcal", "cal", "kj", "j", "n",
    "pa", "kpa", "hpa", "bar", "psi", "ppm", "ppb", "mol", "mmol", "db", "rpm", "cc", "mpg", "kmpl", "deg", "°",
})  # fmt: skip
"""Usual units, as `unit_key` writes them: where two of them stand in one column its unit changes."""

MAGNITUDES = {"k": 3, "m": 6, "mn": 6, "mio": 6, "b": 9, "bn": 9, "mrd": 9, "t": 12}
"""Powers of ten that stand behind numbers, where several of them stand in one column: 565K, 1.2M."""

_SIGN = "[-+−–]?"
_BEFORE = "|".join(sorted(map(re.escape, {*CURRENCY_OF, "%"} - {"元"}), key=len, reverse=True))
_DIGITS = rf"[.,]?[0-9]+(?:[.,{APOSTROPHES}{SPACES}][0-9]+)*[.,]?(?:[eE][-+]?[0-9]+)?"
_AFTER = r"[^\W\d_%]|[%‰°$€£¥₹₩₽₺₴₫₪₱฿₦₿¢\"']|/(?!\d)"
_UNIT = rf"(?:{_AFTER})(?:[^\s()]*[^\s()\-−–])?(?:\s[^\W\d][^\s()]*){{0,2}}"
_CELL = re.compile(
    rf"(\()?\s*({_SIGN})\s*((?:{_BEFORE})(?:\s*(?:{_BEFORE}))?)?\s*(?:(\()\s*)?({_SIGN})\s*({_DIGITS})"
    rf"(?:((?:[-−–](?=\s|[%‰$€£¥]))?)(\)?)\s*({_UNIT})|\s*({_UNIT})?\s*([-−–]?)\s*(\))?)",
    re.I,
)
_ZERO = re.compile(rf"({_BEFORE})\s*[-–—]\s*|[-–—]\s*({_BEFORE})", re.I)
_DEGREES = re.compile(
    r"(?:([NSEW])\s*)?([0-9]{1,3}(?:[.,][0-9]+)?)\s*[°º]\s*(?:([0-9]{1,2}(?:[.,][0-9]+)?)\s*['’′]\s*)?"
    r"(?:([0-9]{1,2}(?:[.,][0-9]+)?)\s*(?:[\"”″]|''|’’)\s*)?([NSEW])?",
    re.I,
)
"""Latitudes and longitudes: 48.137° N, 48°08'14"N, N 48° 8.23'."""

LONGEST_CELL = 48
"""Characters: what is longer is text."""


@dataclass(frozen=True)
class NumberStyle:
    """What stands between the thousands of a number, and before its fraction."""

    thousands: ThousandsMark | Literal[""]
    decimal: DecimalMark

    @property
    def pattern(self) -> re.Pattern[str]:
        mark, point = re.escape(self.thousands), re.escape(self.decimal)
        groups = rf"[1-9]\d{{0,2}}(?:{mark}\d{{3}})+" if mark else r"\d+"
        if self.thousands == ",":
            groups += r"|[1-9]\d?(?:,\d\d)+,\d{3}"  # 12,34,567: lakhs and crores
        return re.compile(rf"(?:{groups}|\d+)?(?:{point}\d*)?(?:e[-+]?\d+)?", re.ASCII | re.I)

    def plain(self, digits: str) -> str:
        """Returns a number of this style as `float` takes it."""
        return digits.replace(self.thousands, "").replace(self.decimal, ".")


STYLES = (
    NumberStyle(",", "."), NumberStyle(".", ","), NumberStyle(" ", "."), NumberStyle(" ", ","), NumberStyle("'", "."),
    NumberStyle("'", ","),
)  # fmt: skip
_PATTERNS = tuple(style.pattern for style in STYLES)
ALL_STYLES = (1 << len(STYLES)) - 1


class DressedNumber(NamedTuple):
    """A number as it stands in a cell: whether it is below zero, its digits (spaces and apostrophes made equal), what
    stands before and behind it, and in which of STYLES it may be written (a bit for each)."""

    minus: bool
    digits: str
    currency: str
    unit: str
    styles: int


def dressed_number(cell: str, unit: str = "", *, glued: bool = False) -> DressedNumber | None:
    """Returns the parts of a number in dress, None where a cell is none. `unit` is one that is known to be such,
    wherever it stands; a currency may be `glued` to whole numbers (kr500) where others of the column say that it is
    one. In accounts `$ -` is zero."""
    if zero := _ZERO.fullmatch(cell):
        return DressedNumber(False, "0", _unit_of(zero[1] or zero[2]), "", ALL_STYLES)
    if unit in ("", "°") and ("°" in cell or "º" in cell) and (found := _place(cell)):
        return found
    found_cell = _CELL.fullmatch(cell) if len(cell) <= LONGEST_CELL else None
    if found_cell is None:
        rest = cell.replace(unit, " ", 1).strip() if unit else cell
        found = dressed_number(rest) if rest != cell else None
        return None if found is None or found.unit or found.currency else found._replace(unit=unit)
    first, sign, before, second, inner_sign, digits, *behind = found_cell.groups()
    trailing, closed, after = behind[:3] if behind[2] else (behind[4], behind[5], behind[3])  # 5- € or 5 €-
    if trailing and digits[-1] in ".,":  # 5,- is a price without pence
        digits, trailing = digits[:-1], ""
    signs = [mark for mark in (sign, inner_sign, trailing) if mark]
    opened = bool(first or second)
    if opened != bool(closed) or (first and second) or len(signs) + opened > 1:
        return None
    is_word = before and before.islower() and before.isascii() and before + digits in cell
    if is_word and digits.isdigit() and not glued:  # rs10907175 is no amount of rupees
        return None
    digits = _even(digits)
    styles = styles_of(digits)
    if not styles:
        return None
    currency, rest = _unit_of(before), after or ""
    if currency == "%":
        currency, rest = "", f"%{rest}"
    word, _, more = rest.partition("/")
    if not currency and (known := CURRENCY_OF.get(word.strip().lower())):
        currency, rest = known, f"/{more}" if more else ""
    elif currency and CURRENCY_OF.get(rest.lower()) == currency:
        rest = ""
    return DressedNumber(opened or ("+" not in signs and bool(signs)), digits, currency, rest, styles)


def _place(cell: str) -> DressedNumber | None:
    """Returns a latitude or a longitude in degrees, below zero in the south and the west; None for any other cell."""
    found = _DEGREES.fullmatch(cell)
    if found is None or bool(found[1]) == bool(found[5]):
        return None
    degrees, minutes, seconds = (float((part or "0").replace(",", ".")) for part in found.groups()[1:4])
    whole = degrees + minutes / 60 + seconds / 3600
    if minutes >= 60 or seconds >= 60 or whole > 180:
        return None
    points = sum(1 << i for i, style in enumerate(STYLES) if style.decimal == ".")
    return DressedNumber((found[1] or found[5]) in "SWsw", f"{whole:.9f}", "", "°", points)


def _unit_of(before: str | None) -> str:
    """Returns the currency that words before a number name; of two that mean the same, one."""
    if not before:
        return ""
    known = CURRENCY_OF.get(before.lower())
    if known:
        return known
    first = re.match(_BEFORE, before, re.I)
    assert first is not None
    rest = before[first.end() :].strip()
    return CURRENCY_OF.get(rest.lower() or first[0].lower(), rest or first[0])


def _even(digits: str) -> str:
    if digits.isascii() and "`" not in digits:
        return digits
    for mark in SPACES:
        digits = digits.replace(mark, " ")
    for mark in APOSTROPHES:
        digits = digits.replace(mark, "'")
    return digits


def styles_of(digits: str) -> int:
    """Returns in which of STYLES a number may be written, a bit for each."""
    if digits.isdigit():
        return ALL_STYLES
    return sum(1 << i for i, pattern in enumerate(_PATTERNS) if pattern.fullmatch(digits))


def unit_key(unit: str) -> str:
    """Returns a unit in the form in which equal ones are equal: `Years` and `year`, `KG` and `kg`, `1st` and `2nd`."""
    key = unit.strip().casefold().rstrip(".")
    if key in ("st", "nd", "rd", "th"):
        return "th"
    if key in ("percent", "pct", "per cent"):
        return "%"
    return key[:-1] if len(key) > 2 and key.endswith("s") and key[-2].isalpha() else key


def unit_text(number: DressedNumber) -> str:
    """Returns what stands beside a number: its currency, its unit, or both."""
    return f"{number.currency} {number.unit}".strip() if number.unit else number.currency


def is_usual_unit(text: str) -> bool:
    """Whether a text beside numbers is a usual unit or a currency, and not a word that happens to follow them."""
    if len(text) == 1 and text.isalpha() and text.isupper():  # 85123A
        return False
    return text in CURRENCIES or unit_key(text) in UNIT_WORDS


def number_text(number: DressedNumber, style: NumberStyle, magnitudes: bool) -> str:
    """Returns a number as `float` takes it; with `magnitudes` 1.2M is 1.2e6."""
    text = style.plain(number.digits)
    if magnitudes and number.unit:
        text += f"e{MAGNITUDES[number.unit.casefold()]}"
    return f"-{text}" if number.minus else text
