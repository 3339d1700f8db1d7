"""What a file may be written in whose text is not UTF-8: the encodings by which its words look like words."""

import re
from collections.abc import Callable, Sequence

MAX_READINGS = 3
MARGIN = 0.18  # of a mean weight, within which another encoding may be meant as well
SHOWN = 20  # characters of a word
ZEROS_OF_UTF16, ZEROS_OF_UTF32 = 0.3, 0.6  # shares of bytes that are 0
SYMBOLS = frozenset("\xa0€£¥¢§°©®™«»„“”‘’–—…·•±²³¹µ½¼¾×¿¡№")
WORD = re.compile(r"[^\s,;|\"]*[^\x00-\x7f][^\s,;|\"]*")
MEASURE = re.compile(r".°[CF]|m[²³].", re.S)

Weigh = Callable[[str, str, str], float]
"""The weight of a character, 0 to 1, by the one before, itself and the one behind: 1 where it is what texts hold."""


def readings(lines: Sequence[bytes]) -> list[tuple[str, str]]:
    """Returns the encodings that lines, which are not UTF-8, may be written in, the likeliest first, and how each reads
    the first word that is not ASCII; none that reads it as another does."""
    found: list[tuple[float, str, str]] = []
    for name, weigh, prior in _CANDIDATES:
        try:
            texts = [line.decode(name) for line in lines]
        except UnicodeDecodeError:
            continue
        text = "\n".join(texts)
        spaced = f" {text} "
        weights = [weigh(*spaced[i : i + 3]) for i, character in enumerate(text) if character > "\x7f"]
        shown = WORD.search(text)
        if weights and shown is not None and shown[0].isprintable():
            found.append((prior * sum(weights) / len(weights), name, shown[0][:SHOWN]))
    found.sort(key=lambda each: -each[0])
    kept: dict[str, str] = {}
    for weight, name, word in found:
        if weight >= found[0][0] - MARGIN:
            kept.setdefault(word, name)
    western = "cp1252" if re.search(rb"[\x80-\x9f]", b"".join(lines)) else "latin-1"
    return [(western if name == "cp1252" else name, word) for word, name in kept.items()][:MAX_READINGS]


def unmarked_unicode(start: bytes) -> str:
    """Returns the encoding of a text of two or four bytes a character that lacks the mark in front, by the places of
    zeros; "" of any other."""
    share = start.count(0) / max(1, len(start))
    if share < ZEROS_OF_UTF16:
        return ""
    order = "be" if start[:1] == b"\0" else "le"
    return f"utf-{32 if share > ZEROS_OF_UTF32 else 16}-{order}"


def _latin(before: str, character: str, behind: str) -> float:
    beside = before + behind
    is_alone = not any(c.isalpha() for c in beside)
    if is_alone and character in SYMBOLS and any(c.isdigit() for c in beside):
        return 1.0  # £618,15
    if "\xc0" <= character <= "\u024f" and character.isalpha():
        if character.isupper() and before.islower():
            return 0.0
        if is_alone and character in "ŁĄ":
            return 0.3  # where £5 and (£) are meant
        return (1.0, 0.8, 0.2)[sum(c > "\x7f" and c.isalpha() for c in (before, behind))]
    if before.isalpha() and behind.isalpha() and character not in "’·–":
        return 0.0
    if MEASURE.fullmatch(before + character + behind):
        return 1.0
    return 0.9 if character in SYMBOLS else 0.1


def _alphabet(first: str, last: str, usual: str) -> Weigh:
    """Returns the weight of letters between two; of those that most texts are made of, more."""

    def weigh(before: str, character: str, behind: str) -> float:
        if not first <= character <= last:
            return 0.5 if character in SYMBOLS else 0.1
        if (character.isupper() and before.islower()) or any(c.isascii() and c.isalpha() for c in (before, behind)):
            return 0.2
        return 1.0 if character.lower() in usual else 0.8

    return weigh


def _characters(encoding: str, usual: range, rare: range, kana: float = 0.1) -> Weigh:
    """Returns the weight of characters of two bytes, by the first one: of Chinese ones the usual and the rare.

    Source    JIS X 0208, GB 2312 and Big5, which place the usual ones, level 1, before the rare ones
    """

    def weigh(before: str, character: str, behind: str) -> float:
        if any(c.isascii() and c.isalpha() for c in (before, behind)):
            return 0.3
        if "\u3040" <= character <= "\u30ff":
            return kana
        if "\u3000" <= character <= "\u303f" or "\uff01" <= character <= "\uff5e":
            return 0.7
        code = character.encode(encoding)
        if len(code) != 2 or (encoding != "shift_jis" and encoding != "big5" and code[1] < 0xA1):
            return 0.1
        return 1.0 if code[0] in usual else 0.3 if code[0] in rare else 0.1

    return weigh


def _hangul(before: str, character: str, behind: str) -> float:
    return 1.0 if "\uac00" <= character <= "\ud7a3" else 0.1


_CYRILLIC = _alphabet("Ѐ", "ҁ", "оеаинтсрвл")
_CANDIDATES: tuple[tuple[str, Weigh, float], ...] = (
    ("cp1252", _latin, 1.0),
    ("cp1250", _latin, 0.97),
    ("cp1254", _latin, 0.96),
    ("cp1251", _CYRILLIC, 1.0),
    ("koi8-r", _CYRILLIC, 0.97),
    ("cp866", _CYRILLIC, 0.84),
    ("cp1253", _alphabet("Ά", "ώ", "αοιετσνη"), 1.0),
    ("cp1255", _alphabet("\u05b0", "ת", "יוהלאתרמבש"), 1.0),
    ("cp1256", _alphabet("\u060c", "\u06d2", "اليمنوترب"), 0.98),
    ("cp874", _alphabet("\u0e01", "\u0e5b", "านรกอเงมยล"), 0.98),
    ("shift_jis", _characters("shift_jis", range(0x88, 0x99), range(0x99, 0xFD), 1.0), 1.0),
    ("cp932", _characters("cp932", range(0x88, 0x99), range(0x99, 0xFD), 1.0), 0.97),
    ("gbk", _characters("gbk", range(0xB0, 0xD8), range(0xD8, 0xF8)), 1.0),
    ("gb18030", _characters("gb18030", range(0xB0, 0xD8), range(0xD8, 0xF8)), 0.95),
    ("big5", _characters("big5", range(0xA4, 0xC7), range(0xC9, 0xFA)), 0.96),
    ("euc_kr", _hangul, 0.98),
    ("euc_jp", _characters("euc_jp", range(0xB0, 0xD0), range(0xD0, 0xF5), 1.0), 0.99),
    ("cp850", _latin, 0.8),
    ("mac_roman", _latin, 0.79),
)
"""Encodings, the weight of their characters, and a factor by which those that are met less often come later."""
