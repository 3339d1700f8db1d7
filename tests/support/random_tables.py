"""Tables of text as strangers write them, at random, with what their cells mean: kinds of columns, dress of numbers,
orders of dates, words for gaps, delimiters, quotes, encodings; the same for a seed every time."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

EPOCH = date(1970, 1, 1)
STYLES = ((",", "."), (".", ","), (" ", ","), ("'", "."), ("", "."), ("", ","))
"""What stands between thousands, and before fractions."""
DRESS = (("$", ""), ("", " €"), ("£", ""), ("EUR ", ""), ("", " kg"), ("", "%"), ("", " %"), ("", ""), ("", " m/s"))
"""What stands before a number, and behind it."""
MINUS = (("-", ""), ("-", ""), ("(", ")"), ("", "-"))
DATES = ("%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%Y/%m/%d", "%Y-%m-%d", "%d-%m-%y", "%b %d %Y", "%d %B %Y", "%Y%m%d")
GAPS = {
    "number": ("", "NA", "?", "n/a", "nil", "-", "N.A.", "unknown", "NaN", "null", "."),
    "date": ("", "NA", "?", "unknown", "-"),
    "boolean": ("", "NA", "?", "null"),
    "text": ("", "NA", "?", "N/A"),
}
"""Words for a missing value by what a column holds."""
WORDS = ("rome", "oslo", "new york", "são paulo", "St. John's", 'the "old" one', "a, b; c|d", "two\nlines", "nil",
         "unknown", "none", "x.y", "#7", "5 or more", "up-to-date", "a\tb", "=1+1", "O'Hare", "é")  # fmt: skip
NAMES = ("width", "unit price", "größe", "a,b", 'the "x"', "no: of", "#rows", "true", "null", "Date", "is it", "p(y)",
         "-x", "[z]", "{q}", "50 %", "a;b", "it's", "y_hat", "Straße 1", "&a", "*b", "x|y", "~", "1e5",
         "2020")  # fmt: skip


@dataclass(frozen=True)
class Column:
    """A column: what each cell says, and what it means. `values` are numbers (days since 1970, hours, 1 for yes), or
    the words themselves; None is a gap. `problem` is the code of the diagnostic that its cells call for."""

    name: str
    kind: str
    cells: Sequence[str]
    values: Sequence[float | str | None]
    problem: str = ""


@dataclass(frozen=True)
class RandomTable:
    """A file, its columns, and the one to be predicted; `weight` is the name of the column of weights, if any."""

    columns: tuple[Column, ...]
    target: str
    weight: str | None
    header: bool
    delimiter: str
    encoding: str
    quoting: int
    end: str

    @property
    def rows(self) -> int:
        return len(self.columns[0].cells)

    @property
    def problem(self) -> str:
        """The code of the diagnostic that the file calls for; "" where it says what it means."""
        codes = [c.problem for c in self.columns if c.problem]
        return codes[0] if codes else "not-utf8" if self.encoding == "cp1252" else ""

    def column(self, name: str) -> Column:
        return next(c for c in self.columns if c.name == name)

    def data(self) -> bytes:
        """The file."""
        out = io.StringIO(newline="")
        writer = csv.writer(out, delimiter=self.delimiter, quoting=self.quoting, lineterminator=self.end)  # type: ignore[arg-type]
        if self.header:
            writer.writerow([c.name for c in self.columns])
        writer.writerows(zip(*(c.cells for c in self.columns), strict=True))
        return out.getvalue().encode(self.encoding)


def random_table(seed: int) -> RandomTable:
    rng = random.Random(seed)
    n = rng.choice([40, 60, 60, 90, 260])
    names = rng.sample(NAMES, rng.randint(2, 7))
    makers = rng.choices(COLUMNS, k=len(names) - 1)
    makers[0] = rng.choice(USABLE)
    columns = [make(name, rng, n) for name, make in zip(names, makers, strict=False)]
    columns = [with_gaps(c, rng) if rng.random() < 0.4 else c for c in columns]
    rng.shuffle(columns)
    target = rng.choice(TARGETS)(names[-1], rng, n)
    columns.insert(rng.randint(0, len(columns)), with_gaps(target, rng, most=0.1) if rng.random() < 0.3 else target)
    weight = None
    if rng.random() < 0.15:
        weight = "how often"
        cells = [str(rng.choice([0, 1, 1, 2, 0.5])) for _ in range(n)]
        columns.append(Column(weight, "weight", cells, [float(c) for c in cells]))
    if rng.random() < 0.1:
        columns.insert(0, Column("", "number", [str(i) for i in range(n)], [float(i) for i in range(n)]))
    table = RandomTable(
        tuple(columns), names[-1], weight, True, rng.choice(",,,;\t|"), rng.choice(ENCODINGS),
        rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL]), rng.choice(["\n", "\n", "\r\n"]),
    )  # fmt: skip
    if table.encoding == "cp1252" and table.data().isascii():
        table = replace(table, encoding="utf-8")
    return _headless(table) if rng.random() < 0.15 else table


ENCODINGS = ("utf-8",) * 8 + ("utf-8-sig", "utf-16", "cp1252")


def _headless(table: RandomTable) -> RandomTable:
    """Returns the table without its names where its first row cannot be taken for names."""
    first = [c.cells[0] for c in table.columns]
    numbers = sum(cell.replace(".", "", 1).isdigit() for cell in first)
    if 2 * numbers <= len(first) or {"0", "1"} & {*first}:
        return table
    at = {c.name: str(i) for i, c in enumerate(table.columns)}
    columns = tuple(replace(c, name=at[c.name]) for c in table.columns)
    weight = None if table.weight is None else at[table.weight]
    return replace(table, columns=columns, target=at[table.target], weight=weight, header=False)


def another_file(table: RandomTable, seed: int) -> tuple[RandomTable, list[int], list[int]]:
    """Returns some rows of a table as another program writes them: columns in another order (where they have names) and
    one more, without the target and the weight, gaps in places. Also the rows, and those of them without new gaps."""
    rng = random.Random(-seed - 1)
    chosen = sorted(rng.sample(range(table.rows), 12))
    columns = [replace(c, cells=[c.cells[i] for i in chosen]) for c in table.columns]
    whole = set(range(12))
    holed = rng.choice(columns)
    if holed.name not in (table.target, table.weight):
        at = rng.sample(range(12), 3)
        whole -= set(at)
        columns[columns.index(holed)] = replace(holed, cells=["" if i in at else c for i, c in enumerate(holed.cells)])
    if table.header:
        columns = [c for c in columns if c.name not in (table.target, table.weight)]
        columns.append(Column("one more", "text", [f"t{i}" for i in range(12)], []))
        rng.shuffle(columns)
    encoding = table.encoding if table.encoding == "cp1252" else "utf-8"  # which a config has to name
    other = replace(table, columns=tuple(columns), delimiter=rng.choice(",;"), encoding=encoding, quoting=csv.QUOTE_ALL)
    return other, chosen, sorted(whole)


# Columns


def with_gaps(column: Column, rng: random.Random, most: float = 0.4) -> Column:
    """Returns the column with gaps, one word for all of them: anywhere, or in the first rows alone."""
    word = rng.choice(GAPS[column.kind])
    if not column.values or "-999" in column.cells:
        return column
    n, share = len(column.cells), rng.uniform(0.01, most)
    gone = {i for i in range(n) if rng.random() < share}
    if most > 0.2 and rng.random() < 0.2:
        gone = set(range(210 if n > 250 else n // 3))
    return replace(
        column,
        cells=[word if i in gone else c for i, c in enumerate(column.cells)],
        values=[None if i in gone else v for i, v in enumerate(column.values)],
    )


def plain(name: str, rng: random.Random, n: int) -> Column:
    spread, write = rng.choice([1, 10, 1000]), rng.choice(["{:.2f}", "{:.3g}", "{:.0f}", "{:.4e}", "{:+.1f}"])
    cells = [write.format(rng.gauss(rng.choice([0, 2]), 1) * spread) for _ in range(n)]
    return Column(name, "number", cells, [float(c) for c in cells])


def dressed(name: str, rng: random.Random, n: int) -> Column:
    """Numbers in dress: of a range of sizes, so that what stands between thousands shows, with two decimals or none."""
    thousands, decimal = rng.choice(STYLES)
    before, behind = rng.choice(DRESS)
    minus = rng.choice(MINUS)
    digits, around = rng.choice([0, 1, 2, 2]), rng.random() < 0.5
    values = [round(rng.choice([-1, 1, 1, 1]) * 10 ** rng.uniform(0, 6.5), digits) for _ in range(n)]
    cells = []
    for value in values:
        text = f"{abs(value):,.{digits}f}".replace(",", "T").replace(".", decimal).replace("T", thousands)
        sign = minus if value < 0 else ("", "")
        inside = f"{text}{behind}{sign[1]}" if around else f"{text}{sign[1]}{behind}"
        cells.append(f"{sign[0]}{before}{inside}")
    return Column(name, "number", cells, values)


def ambiguous(name: str, rng: random.Random, n: int) -> Column:
    """Numbers that all have one mark before three digits: thousands, or a fraction."""
    values = [float(rng.randint(1000, 9999)) for _ in range(n)]
    return Column(name, "number", [f"${v:,.0f}" for v in values], values, "ambiguous-numbers")


def mistyped(name: str, rng: random.Random, n: int) -> Column:
    """Numbers, and one word among them."""
    cells = [f"{rng.gauss(0, 1):.4f}" for _ in range(n)]
    cells[rng.randrange(n)] = rng.choice(["oops", "n.b.", "1.2.3", "see below", "12:30", "1_000"])
    return Column(name, "number", cells, [], "not-a-number")


def mixed(name: str, rng: random.Random, n: int) -> Column:
    """Cells of two formats, two units or two currencies."""
    code, one, other = rng.choice((
        ("two-formats", "2020-01-{:02d}", "{:02d}.01.2020"), ("unit-change", "{} kg", "{} lb"),
        ("currency-mix", "${}", "{} €"), ("two-formats", "1,{}00.25", "1.{}00,25"), ("two-formats", "{} kg", "{}"),
    ))  # fmt: skip
    cells = [(one if rng.random() < 0.6 else other).format(rng.randint(1, 9)) for _ in range(n)]
    return Column(name, "text", cells, [], code)


def with_sentinel(name: str, rng: random.Random, n: int) -> Column:
    """Numbers, and one far apart from them that stands for no value."""
    cells = ["-999" if rng.random() < 0.1 else f"{rng.uniform(0, 100):.1f}" for _ in range(n)]
    cells[:8] = ["-999"] * 8  # some are in rows that weigh 0 or lack a target; one alone might be a value
    return Column(name, "number", cells, [None if c == "-999" else float(c) for c in cells])


def times(name: str, rng: random.Random, n: int) -> Column:
    minutes = [rng.randint(0, 1439) for _ in range(n)]
    write: Callable[[int], str] = rng.choice((
        lambda m: f"{m // 60:02d}:{m % 60:02d}", lambda m: f"{m // 60}:{m % 60:02d}:00",
        lambda m: f"{m // 60}h {m % 60}m", lambda m: f"{(m // 60 - 1) % 12 + 1}:{m % 60:02d} {'AP'[m >= 720]}M",
    ))  # fmt: skip
    return Column(name, "number", [write(m) for m in minutes], [m / 60 for m in minutes])


def dates(name: str, rng: random.Random, n: int) -> Column:
    days = [rng.randint(9000, 20000) for _ in range(n)]
    days[rng.randrange(n)] = (date(2010, 3, 25) - EPOCH).days
    hours = [rng.randrange(24) for _ in days] if rng.random() < 0.3 else [0] * n
    form = rng.choice(DATES)
    cells = [(EPOCH + timedelta(d)).strftime(form) for d in days]
    if any(hours):
        form = form if form != "%Y%m%d" else "%Y-%m-%d"
        clock = "T%02d:15:00Z" if form == "%Y-%m-%d" else " %02d:15"
        cells = [(EPOCH + timedelta(d)).strftime(form) + clock % h for d, h in zip(days, hours, strict=True)]
        return Column(name, "date", cells, [d + (h + 0.25) / 24 for d, h in zip(days, hours, strict=True)])
    return Column(name, "date", cells, [float(d) for d in days])


def ambiguous_dates(name: str, rng: random.Random, n: int) -> Column:
    """Dates of which each may be day and month, or month and day."""
    pairs = [(rng.randint(1, 12), rng.randint(1, 12)) for _ in range(n)]
    values: list[float | str | None] = [float((date(2020, m, d) - EPOCH).days) for d, m in pairs]
    return Column(name, "date", [f"{d:02d}/{m:02d}/2020" for d, m in pairs], values, "ambiguous-dates")


def booleans(name: str, rng: random.Random, n: int) -> Column:
    yes, no = rng.choice((("yes", "no"), ("True", "False"), ("T", "F"), ("Y", "N"), ("ON", "off")))
    values = [float(rng.random() < 0.5) for _ in range(n)]
    return Column(name, "boolean", [yes if v else no for v in values], values)


def words(name: str, rng: random.Random, n: int) -> Column:
    cells = rng.choices(rng.sample(WORDS, rng.randint(2, 6)), k=n)
    return Column(name, "text", cells, cells)


def many_words(name: str, rng: random.Random, n: int) -> Column:
    cells = [f"c{rng.randrange(n // 3)}" for _ in range(n)]
    return Column(name, "text", cells, cells)


def codes(name: str, rng: random.Random, n: int) -> Column:
    """Digits that are names: zip codes, numbers of articles, and numbers with a letter before some after row 200."""
    few = ["02134", "10001", "94105", "00501"]
    few = few if rng.random() < 0.5 else [f"{rng.randrange(10**18, 10**19)}" for _ in few]
    cells = rng.choices(few, k=n)
    if n > 250 and rng.random() < 0.5:
        cells = [f"{'C' * (i >= 210)}{rng.randint(500, 520)}" for i in range(n)]
    return Column(name, "text", cells, cells)


def names_of_rows(name: str, rng: random.Random, n: int) -> Column:
    cells = [f"{rng.choice(WORDS[:6])} {i}" for i in range(n)]
    return Column(name, "text", cells, cells)


def constant(name: str, rng: random.Random, n: int) -> Column:
    return Column(name, "number", ["7.5"] * n, [7.5] * n)


def counted(name: str, rng: random.Random, n: int) -> Column:
    first = rng.choice([0, 1, 1000])
    return Column(name, "number", [str(first + i) for i in range(n)], [float(first + i) for i in range(n)])


Maker = Callable[[str, random.Random, int], Column]
USABLE: tuple[Maker, ...] = (plain, dressed, dressed, dates, times, booleans)
COLUMNS: tuple[Maker, ...] = (
    *USABLE, *USABLE, words, words, many_words, codes, names_of_rows, constant, counted, ambiguous, ambiguous_dates,
    mistyped, mixed, with_sentinel,
)  # fmt: skip


# Targets


def labels(name: str, rng: random.Random, n: int) -> Column:
    """Class labels that come out as they went in: words, digits with and without a leading zero, yes and no, dates."""
    kinds = (("oak", "elm", "fir"), ("01", "1", "2"), ("1", "2"), ("0", "1"), ("yes", "no"), ("1.0", "1", "2"),
             ("é", "none", "a, b"), ("2020-01-01", "2021-01-01"), ("$5", "$10", "$20"), ("True", "False"))  # fmt: skip
    cells = rng.choices(rng.choice(kinds), k=n)
    return Column(name, "text", cells, cells)


TARGETS: tuple[Maker, ...] = (labels, labels, plain, dressed)
