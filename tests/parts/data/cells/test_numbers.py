"""Numbers in dress: what each cell means, how a column is found to be written, and what is refused."""

import random
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from bpcli.parts.data.cells import (
    CellRules,
    ColumnFormat,
    FormatProblem,
    cell_values,
    find_format,
    has_decimal_commas,
)  # fmt: skip
from bpcli.parts.data.cells.codes import are_names
from bpcli.parts.data.cells.missing import is_missing, value_and_gap


def read(
    cells: Sequence[str], counts: Sequence[int] | None = None, **rules: object
) -> tuple[ColumnFormat, list[float]]:
    """The format of a column, and what its cells mean; none of them is wrong."""
    form = find_format(cells, counts or [1] * len(cells), CellRules(**rules))  # type: ignore[arg-type]
    assert isinstance(form, ColumnFormat), form
    found = cell_values(cells, form)
    assert not len(found.wrong), [cells[i] for i in found.wrong]
    return form, found.values.tolist()


def test_latitudes_of_earlier_models_mean_what_they_meant() -> None:
    form = ColumnFormat("number", "dressed", unit="°S")
    assert cell_values(["12.5°S"], form).values.tolist() == [12.5]
    for cells in (["181° N", "2°N"], ["48°61'N", "4°N"], ["-12.5°S", "3°S"]):
        assert problem(cells).code == "unit-change"
    assert find_format(["N 45° E", "S 10° W"], [5, 5]) == ColumnFormat("text")


def problem(cells: Sequence[str], **rules: object) -> FormatProblem:
    found = find_format(cells, [1] * len(cells), CellRules(**rules))  # type: ignore[arg-type]
    assert isinstance(found, FormatProblem), found
    return found


MEANT = [
    ("48.137° N|12.5°S|0,25º E", [48.137, -12.5, 0.25]),
    ("48°07'30\"N|N 48° 7.5'|12°30′0″ W", [48.125, 48.125, -12.5]),
    ("$1,234.50 ($5) $-3 -$4 0 $.5", [1234.5, -5, -3, -4, 0, 0.5]),
    ("1.234,50€|3,20 €|€ 7", [1234.5, 3.2, 7]),
    ("USD 5|$6|US$ 7|8 usd", [5, 6, 7, 8]),
    ("CHF 1'234.50|5’000 CHF|CHF 12.-", [1234.5, 5000, 12]),
    ("Rs. 12,34,567|₹1,00,000|Rs 5", [1234567, 100000, 5]),
    ("zł 5|6,5 zł|7 PLN", [5, 6.5, 7]),
    ("12.5% 3% 0 -4% (5%)", [12.5, 3, 0, -4, -5]),
    ("12 percent|13 %", [12, 13]),
    ("(1,234.50) €|(5.00 €)|6.25 €", [-1234.5, -5, 6.25]),
    ("5,00- EUR|12,5 EUR|6,25 EUR-", [-5, 12.5, -6.25]),
    ("3-%|(4)%|(5%)|6%", [-3, -4, -5, 6]),
    ("1,234.5 2 -7,000,000", [1234.5, 2, -7e6]),
    ("1.234,5 2 7.000.000", [1234.5, 2, 7e6]),
    ("1 234|5 678 901|2", [1234, 5678901, 2]),
    ("1\u00a0234,5|5\u202f678|1\u2009000", [1234.5, 5678, 1000]),
    ("1'234 1’234.5", [1234, 1234.5]),
    ("1,234 999 12", [1234, 999, 12]),
    ("1,234 2,5 ,5 1,5e3", [1.234, 2.5, 0.5, 1500]),
    ("0,123 1,234", [0.123, 1.234]),
    ("1,234 1234,5", [1.234, 1234.5]),
    ("−5 +6 7- 3.5 –2 (8)", [-5, 6, -7, 3.5, -2, -8]),
    ("12 kg|3kg|4.5 KG", [12, 3, 4.5]),
    ("36 months|1 month", [36, 1]),
    ("70 km/h|81.5 km/h", [70, 81.5]),
    ("5 m²|6 m²", [5, 6]),
    ("1st 2nd 3rd 14th", [1, 2, 3, 14]),
    ("€1.5M €565K €0 €2K", [1.5e6, 565e3, 0, 2000]),
    ("1.2k 950 3M", [1200, 950, 3e6]),
    ("$5/h|$6.5/h", [5, 6.5]),
    ("1 2.5 nil . N.A. - -- unknown #DIV/0! (blank) 3", [1, 2.5, *[np.nan] * 8, 3]),
    ("14:30|14:30:36|2:30 PM|12:00 am|12:15 p.m.|36:15:00|-0:30", [14.5, 14.51, 14.5, 0, 12.25, 36.25, -0.5]),
    ("2 PM|11 AM|12 PM", [14, 11, 12]),
    ("1 days 02:03:36|0 days 00:00:00|-1 days +23:00:00|1 day, 1:00:00|-1 day, 1:00:00", [26.06, 0, -1, 25, -23]),
    ("PT1H30M PT36S P1DT2H P1W", [1.5, 0.01, 26, 168]),
    ("1h 30m|45m|2h|1d 2h|36s", [1.5, 0.75, 2, 26, 0.01]),
    ("90 min|30 min|5 mins", [90, 30, 5]),
    ("90 min|1 h|1.5 hours", [1.5, 1, 1.5]),
]  # fmt: skip


@pytest.mark.parametrize(("cells", "meant"), MEANT, ids=[cells for cells, _ in MEANT])
def test_cells_and_values(cells: str, meant: list[float]) -> None:
    column = cells.split("|" if "|" in cells else None)
    form, values = read(column)
    assert form.kind == "number"
    assert np.array_equal(values, meant, equal_nan=True), values
    assert ColumnFormat(**{k: tuple(v) if isinstance(v, list) else v for k, v in form.to_meta().items()}) == form


TEXT = [
    "555-1234 555-2345", "10-20 20-30", "192.168.0.1 10.0.0.1", "1.2.3 1.3.4", "5'10\" 6'1\"", "R1 R2",
    "rs10907175 rs3813199", "100 207b 208b", "12A 13B 14C", "1/2 3/4", "02134 10001", "007 012 1234",
    "12345678901234567890 12345678901234567891", "<5 >10", "A B 1", "2013-14 2014-15", "unknown unknown",
    "12_000 13_000", "١٢ ١٣",
]  # fmt: skip


@pytest.mark.parametrize("cells", TEXT)
def test_text(cells: str) -> None:
    column = cells.split()
    found = find_format(column, [50] * len(column))
    assert isinstance(found, ColumnFormat), found
    assert found.kind == "text"


PROBLEMS = [
    ("1,234|5,678", "ambiguous-numbers", "`1,234` may be 1234 or 1.234", ("1,234",)),
    ("$1,234|$0", "ambiguous-numbers", "`1,234` may be 1234 or 1.234", ("$1,234",)),
    ("1.5|1,5|2.5", "two-formats", "`1.5` and `1,5`", ("1,5", "1.5")),
    ("1,234.5|1.234,5", "two-formats", "`1,234.5` and `1.234,5`", ("1.234,5", "1,234.5")),
    ("$5|€6|$7", "currency-mix", "`$5` and `€6`", ("€6", "$5")),
    ("5 USD|6 EUR|7 USD", "currency-mix", "`5 USD` and `6 EUR`", ("6 EUR", "5 USD")),
    ("12 kg|13 lb|1 kg", "unit-change", "`12 kg` and `13 lb`", ("13 lb", "12 kg")),
    ("12%|0.5|3%", "two-formats", "numbers with `%` and without: `12%` and `0.5`", ("0.5", "12%")),
]


@pytest.mark.parametrize(("cells", "code", "text", "shown"), PROBLEMS, ids=[each[0] for each in PROBLEMS])
def test_what_does_not_fit_together(cells: str, code: str, text: str, shown: tuple[str, ...]) -> None:
    found = problem(cells.split("|"))
    assert (found.code, found.cells) == (code, shown)
    assert text in found.text
    for key, value in found.settings:  # each of them settles it
        form, _ = read(cells.split("|"), **{key: value})
        assert form.kind == "number"


def test_settings_decide() -> None:
    assert read(["1,234", "5,678"], thousands=",")[1] == [1234, 5678]
    assert read(["1,234", "5,678"], decimal=",")[1] == [1.234, 5.678]
    assert read(["1,234", "5,678"], decimal=".")[1] == [1234, 5678]
    assert read(["1.234", "5.678"], thousands=".")[1] == [1234, 5678]
    assert read(["1.234", "5.678"], decimal=",")[1] == [1234, 5678]
    assert read(["1,234", "5,678"], file_decimal=",")[1] == [1.234, 5.678]
    assert problem(["1.234", "5.678"], file_decimal=",").code == "ambiguous-numbers"
    assert read(["1.234", "5.678"], decimal=",", for_all=True)[1] == [1234, 5678]
    assert read(["1.234", "5.5"], decimal=",", for_all=True)[1] == [1.234, 5.5]  # only what is open is decided for all
    assert problem(["1,5", "5.5"], decimal=",", for_all=True).code == "two-formats"
    assert read(["#5", "#7", "8"], unit="#")[1] == [5, 7, 8]
    assert read(["02134", "10001"], kind="number")[1] == [2134, 10001]
    assert np.isnan(read(["1", "2", "-999.0", "x"], missing_values=("-999", "x"))[1]).tolist() == [0, 0, 1, 1]
    wrong = cell_values(["1,5", "2.5"], ColumnFormat(form="dressed", decimal=","))
    assert wrong.wrong.tolist() == [1]


def test_few_strangers_are_errors_and_many_are_words() -> None:
    numbers = [str(i / 8) for i in range(100)]

    def kind(strangers: Sequence[str], rows: int = 1, numbers: Sequence[str] = numbers, each: int = 1) -> str:
        found = find_format([*numbers, *strangers], [*[each] * len(numbers), *[rows] * len(strangers)])
        assert isinstance(found, ColumnFormat)
        return found.kind

    assert kind(["oops"]) == kind(["a", "b", "c"]) == kind(["over"], 40) == "number"
    assert kind([f"C{i}" for i in range(12)]) == "text"  # codes among numbers: invoices that were taken back
    assert kind([f"C{i}" for i in range(3)]) == kind(["1O", "l5", "7,,5", "2e", "e4"]) == "number"
    assert kind(["a", "b"], 10) == "text"
    assert kind(["5more"], 25, ["2", "3", "4"], 25) == "text"
    form = find_format(["1", "2.5", "x"], [1, 1, 1])
    assert isinstance(form, ColumnFormat)
    assert cell_values(["1", "2.5", "x"], form).wrong.tolist() == [2]


def test_plain_numbers_stay_the_same_to_the_bit() -> None:
    rng = random.Random(0)
    cells = [repr(rng.uniform(-1, 1) * 10.0 ** rng.randint(-300, 300)) for _ in range(500)]
    cells += ["1e5", "+1", ".5", "5.", "-0.0", "1E-7"]
    form, values = read(cells)
    assert form == ColumnFormat()
    assert np.array(values).tobytes() == np.array(list(map(float, cells))).tobytes()
    assert np.array(read([*cells, "nil"])[1][:-1]).tobytes() == np.array(values).tobytes()


DRESSES: dict[str, Callable[[str], str]] = {
    "english": lambda text: text,
    "german": lambda text: text.translate(str.maketrans(",.", ".,")),
    "space": lambda text: text.replace(",", " ").replace(".", ","),
    "narrow": lambda text: text.replace(",", "\u202f"),
    "swiss": lambda text: text.replace(",", "’"),
    "dollar": lambda text: f"${text}" if text[0] != "-" else f"-${text[1:]}",
    "brackets": lambda text: text if text[0] != "-" else f"(€{text[1:]})",
    "behind": lambda text: text if text[0] != "-" else f"{text[1:]}-",
    "percent": lambda text: f"{text} %",
    "unit": lambda text: f"{text.replace('-', '−')} kg",
}


@pytest.mark.parametrize("dress", DRESSES)
def test_numbers_come_back_from_every_dress(dress: str) -> None:
    rng = random.Random(1)
    wanted = [round(rng.uniform(-1, 1) * 10 ** rng.randint(0, 8), rng.choice([0, 1, 2, 3, 4])) for _ in range(300)]
    plain = [f"{x:,}" for x in wanted]
    cells = list(map(DRESSES[dress], plain))
    if dress == "brackets":
        cells = [c if c[0] == "(" else f"€{c}" for c in cells]
    form, values = read(cells)
    assert np.array(values).tobytes() == np.array(wanted).tobytes()
    assert form.form == "dressed"


def test_where_the_empty_cell_is_named_no_other_word_stands_for_no_value() -> None:
    for kind in ("text", "number", "date", "boolean"):
        assert is_missing("NA", kind, ("x",))
        assert not is_missing("NA", kind, ("",))
        assert is_missing(" ", kind, ("",))
        assert is_missing("x", kind, ("", "x"))


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [
        (["$ (1,234.50)", "$ 1,200.00", "$ -", "$(5)"], [-1234.5, 1200, 0, -5]),
        (["(1.234,50) €", "- €", "12,00 €"], [-1234.5, 0, 12]),
        (["kr54,653.55", "kr500", "kr1,200"], [54653.55, 500, 1200]),
    ],
)
def test_amounts_of_accounts(cells: list[str], wanted: list[float]) -> None:
    assert read(cells)[1] == wanted


@pytest.mark.parametrize("cells", [["rs10907175", "rs123456"], ["$ (-5)", "$ (-6)"], ["$ (5", "$ (6"], ["$--", "$---"]])
def test_what_is_no_amount(cells: list[str]) -> None:
    assert find_format(cells, [1] * len(cells)) == ColumnFormat("text")


def test_a_missing_value_that_is_also_a_value() -> None:
    values = np.array([0.0, 5, 10, np.nan, 99])
    assert value_and_gap(values, ("5",)) == 5
    assert value_and_gap(values, ("nil", "0", "99")) is None
    assert value_and_gap(values, ("7",)) is None


@pytest.mark.parametrize(
    ("numbers", "each", "name", "names"),
    [
        ([10001, 94105, 60601, 73301], 30, "where", True),
        ([10001, 94105, 60601, 73301], 10, "where", False),  # they hardly come back
        ([101, 907, 455], 30, "store_code", True),
        ([101, 907, 455], 30, "length", False),
        ([20000, 25500, 90000], 30, "salary", False),  # a common step
        ([*range(10000, 10020)], 30, "when", False),  # no gaps
        ([9000.5, 10001, 94105], 30, "x", False),
        ([999, 94105, 60601], 30, "where", False),  # not equally wide
        ([501, 94105, 60601], 30, "zip", True),  # where another program has dropped zeros
        ([1, 45, 99], 30, "store", False),  # too short
        ([*range(10007, 90000, 997)], 30, "x", True),
        ([*range(100007, 900000, 707)], 30, "x", False),  # too many
        ([*range(98101, 98120)], 5, "ZipCode", True),  # no gaps, few rows: what is called so is nothing else
        ([*range(98101, 98120)], 30, "zip_sales", False),
        ([101, 907, 455], 30, "StoreNbr", True),
        ([101, 907, 455], 30, "store_sales", False),
    ],
)
def test_numbers_that_are_names(numbers: list[float], each: int, name: str, names: bool) -> None:
    values = np.array([*numbers, np.nan])
    assert are_names(values, np.full(len(values), each), name) is names


@pytest.mark.parametrize("cells", [("5-kg", "6-kg"), ("2-door", "4-door"), ("12-A4", "3-A4")])
def test_a_dash_between_a_number_and_a_word_is_no_minus(cells: tuple[str, ...]) -> None:
    found = find_format(cells, [1] * len(cells))
    assert isinstance(found, ColumnFormat)
    assert found.kind == "text"


@pytest.mark.parametrize("rules", [{"thousands": ","}, {"decimal": ","}, {"file_decimal": ","}, {}])
def test_marks_of_numbers_say_nothing_of_dates_and_codes_of_digits_alone(rules: dict[str, str]) -> None:
    for cells, kind in ((("20200131", "20210228"), "date"), (("02134", "10001"), "text"), (("12", "130"), "number")):
        found = find_format(cells, [1] * len(cells), CellRules(**rules))  # type: ignore[arg-type]
        assert isinstance(found, ColumnFormat)
        assert found.kind == kind


def test_a_single_number_before_words_is_no_unit() -> None:
    for cells, kind in (
        (("5 or more", "none"), "text"), (("1st", "nil"), "text"), (("5 kg", "?"), "number"),
        (("1st", "2nd"), "number"),
    ):  # fmt: skip
        found = find_format(cells, [20, 30])
        assert isinstance(found, ColumnFormat)
        assert found.kind == kind


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (("00259A", "12345A", "00777X", "55511A"), "text"),  # zeros in front, a letter behind
        (("0000546531", "000054653X", "123456789X"), "text"),
        (("259A", "12A", "777A"), "number"),  # amperes
        (("05m", "12m", "20m"), "number"),
    ],
)
def test_a_letter_behind_digits_with_zeros_in_front_is_of_a_code(cells: tuple[str, ...], kind: str) -> None:
    form = find_format(cells, [20] * len(cells))
    assert isinstance(form, ColumnFormat)
    assert form.kind == kind


@pytest.mark.parametrize(
    ("cells", "commas"),
    [
        (("1,5", "1,234"), True),
        (("1,234", "2,345"), False),  # may be thousands
        (("1,5", "2.5"), False),
        (("1,5", "1,234.5%"), False),  # another column writes a point, in dress too
        (("1,5", "$2.50"), False),
    ],
)
def test_what_stands_before_fractions_in_a_file(cells: tuple[str, ...], commas: bool) -> None:
    assert has_decimal_commas(cells) is commas
