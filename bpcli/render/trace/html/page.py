"""A page that stands alone: its style and its script are in it, and it asks nobody for anything."""

from html import escape
from importlib.resources import files

from bpcli.notation.text import Text
from bpcli.records.printable import printable


def page(title: str, body: str) -> str:
    """Returns the whole document. `body` is HTML, `title` plain text."""
    style, script = (files(__package__).joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{escaped(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n{body}\n"
        f"<script>\n{script}</script>\n</body>\n</html>\n"
    )


def escaped(text: str) -> str:
    """Returns plain text as HTML; what does not print, as an escape."""
    return escape(printable(text))


def code(name: str) -> str:
    """Returns a name or a command, as it is typed."""
    return f"<code>{escaped(name)}</code>"


def tag(element: str, inside: str, **attributes: str | float) -> str:
    """Returns an element. `inside` is HTML, attributes are plain text; `class_` stands for class, and `_` for a
    hyphen."""
    attributes_text = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escaped(value) if isinstance(value, str) else f"{value:.4g}"}"'
        for name, value in attributes.items()
        if value != ""
    )
    return f"<{element}{attributes_text}>{inside}</{element}>"


def number(value: float, digits: int) -> str:
    """Returns a number in that many significant digits."""
    return Text(digits=min(digits, 17)).number(value if isinstance(value, int) else float(value)).text
