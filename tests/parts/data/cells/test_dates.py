"""Dates in all orders and spellings; the order is decided from all cells of a column."""

import random
from datetime import UTC, datetime, timedelta, timezone

import pytest

from bpcli.family import Treatment
from bpcli.parts.data.cells import CellRules, ColumnFormat, FormatProblem, cell_values, days_of, find_format
from bpcli.parts.data.columns.formats import later_format

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAYOUTS = [
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d %m %Y",
    "%d-%b-%Y", "%d %B %Y", "%b %d %Y", "%B %d, %Y", "%b. %d, %Y", "%d/%b/%Y", "%Y-%b-%d", "%Y %B %d", "%d%b%Y",
    "%A, %B %d, %Y", "%a, %d %b %Y", "%d.%m.%y", "%m/%d/%y", "%d-%b-%y", "%Y%m%d", "%d. %m. %Y",
]  # fmt: skip
CLOCKS = ["", " %H:%M", "T%H:%M:%S", " %I:%M %p", " %H:%M:%S.%f", " %I:%M:%S%p", " %H:%M:%S %z", "T%H:%M:%SZ"]


def column(cells: list[str], **rules: object) -> ColumnFormat | FormatProblem:
    return find_format(cells, [1] * len(cells), CellRules(**rules))  # type: ignore[arg-type]


def days(moment: datetime) -> float:
    return (moment - EPOCH).total_seconds() / 86400


@pytest.mark.parametrize("layout", LAYOUTS)
def test_dates_come_back_from_every_layout(layout: str) -> None:
    rng = random.Random(layout)
    first, last = (1971, 2060) if "%y" in layout else (1801, 2199)
    for clock in CLOCKS:
        if layout == "%Y%m%d" and clock:
            continue
        zone = timezone(timedelta(minutes=rng.choice([-300, 0, 330]))) if "%z" in clock else UTC
        moments = [
            datetime(rng.randint(first, last), rng.randint(1, 12), rng.randint(1, 28), rng.randint(0, 23),
                     rng.randint(0, 59), rng.randint(0, 59), rng.randint(0, 999_999), tzinfo=zone)
            for _ in range(60)
        ]  # fmt: skip
        cells = [moment.strftime(layout + clock) for moment in moments]
        wanted = [days(datetime.strptime(c, layout + clock).replace(tzinfo=zone)) for c in cells]
        form = column(cells)
        assert isinstance(form, ColumnFormat), form
        found = cell_values(cells, form)
        assert form.kind == "date"
        assert found.values.tolist() == wanted, (layout, clock)


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        ([f"{y}{m:02}" for y in (2015, 2016) for m in (1, 4, 12)], "date"),
        ([f"{y}{m:02}" for y in (2015, 2016) for m in (1, 4)], "number"),  # too few to tell
        ([f"2015{m:02}" for m in range(1, 13)], "number"),  # of one year
        ([f"{y}{m:02}" for y in (2015, 2016) for m in range(1, 14)], "number"),
        ([f"{y}{m:02}" for y in (3015, 3016) for m in range(1, 13)], "number"),
        ([*(f"{y}{m:02}" for y in (2015, 2016) for m in range(1, 13)), "-201501"], "number"),
    ],
)
def test_six_digits_are_months_where_all_are(cells: list[str], kind: str) -> None:
    form = column(cells)
    assert isinstance(form, ColumnFormat)
    assert form.kind == kind
    if kind == "date":
        assert cell_values(cells, form).values[0] == days(datetime(2015, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("cell", "order", "iso"),
    [
        ("1/2/2020", "dmy", "2020-02-01"), ("1/2/2020", "mdy", "2020-01-02"), ("3rd of May 2020", "", "2020-05-03"),
        ("May 3rd, 2020", "", "2020-05-03"), ("3. März 2020", "", "2020-03-03"), ("1er mars 2020", "", "2020-03-01"),
        ("15 août 2020", "", "2020-08-15"), ("Tue Feb 24 11:35:52 -0800 2015", "", "2015-02-24T19:35:52"),
        ("Thu Jan  1 00:00:00 1970", "", "1970-01-01"), ("29/Jan/2020:13:22:11 +0000", "", "2020-01-29T13:22:11"),
        ("2020-01-31T10:00:00.123456789Z", "", "2020-01-31T10:00:00.123456"), ("01/01/69", "dmy", "1969-01-01"),
        ("01/01/68", "dmy", "2068-01-01"), ("20200131T1430", "", "2020-01-31T14:30"), ("Jan 2000", "", "2000-01-01"),
        ("2000-03", "", "2000-03-01"), ("2020-01-31 10:00 CET", "", "2020-01-31T09:00"), ("2020-02-30", "", None),
        ("31/04/2020", "dmy", None), ("13/13/2020", "mdy", None), ("1/31/2020 13:00 PM", "mdy", None),
        ("2020-01-01 25:00", "", None), ("1-Foo-2020", "", None), ("17990101", "", None), ("1/2/2020", "", None),
        ("1974Q1", "", "1974-01-01"), ("2020-q4", "", "2020-10-01"), ("Q2 1999", "", "1999-04-01"),
        ("2020Q5", "", None),
        ("20150101 00:30", "", "2015-01-01T00:30"), ("20150101T003015Z", "", "2015-01-01T00:30:15"),
        ("20150101 9:30", "", "2015-01-01T09:30"), ("20151301 00:30", "", None), ("Jan-15", "", "2015-01-01"),
        ("Mar '99", "", "1999-03-01"), ("Jan 15", "", None), ("1/2000", "", "2000-01-01"),
        ("03-2018", "", "2018-03-01"), ("13/2018", "", None), ("1/4000", "", None), ("2018-W52", "", "2018-12-24"),
        ("2018W527", "", "2018-12-30"), ("2018-W53", "", None), ("26.11.2017 00.04", "dmy", "2017-11-26T00:04"),
        ("26.11.2017 00.04.05", "dmy", "2017-11-26T00:04:05"), ("26.11.2017 00h04", "dmy", "2017-11-26T00:04"),
        ("Nov 26, 2017 at 12:07 PM", "", "2017-11-26T12:07"), ("26.11.2017 00:04.05", "dmy", None),
        ("2 de marzo de 2020", "", "2020-03-02"), ("5 maart 2019", "", "2019-03-05"), ("2 maio 2020", "", "2020-05-02"),
        ("12 października 2019", "", "2019-10-12"), ("3 декабря 2020", "", "2020-12-03"),
        ("1 okt. 2020", "", "2020-10-01"),
        ("9 Aralık 2020", "", "2020-12-09"), ("Freitag, 3. Januar 2020", "", "2020-01-03"),
        ("Mo 03.02.2020", "dmy", "2020-02-03"), ("lundi 3 février 2020", "", "2020-02-03"), ("de 12 2020", "", None),
        ("2018年1月2日", "", "2018-01-02"), ("2018年1月2日 13:05", "", "2018-01-02T13:05"),
        ("2018年12月", "", "2018-12-01"),
        ("2018년 1월 2일", "", "2018-01-02"), ("2018年13月1日", "", None), ("3 de la 2020", "", None),
        ("2020-01-31 10:00 XYZ", "", None), ("1/2-2020", "dmy", None), ("٠١/٠٢/٢٠٢٠", "dmy", None),
    ],
)  # fmt: skip
def test_single_dates(cell: str, order: str, iso: str | None) -> None:
    assert days_of(cell, order) == (iso and days(datetime.fromisoformat(iso).replace(tzinfo=UTC)))


@pytest.mark.parametrize(
    ("cell", "hours"),
    [
        ("17:53:09+01:00", 17 + 53 / 60 + 9 / 3600), ("17:53+0100", 17 + 53 / 60), ("17:53 UTC", 17 + 53 / 60),
        ("12:30:00-05:00", 12.5), ("5:30-6:30", None), ("09:00-17:00", None), ("01h19", 1 + 19 / 60), ("14h30", 14.5),
        ("1h75", None),
    ],
)  # fmt: skip
def test_times_with_zones_or_an_h(cell: str, hours: float | None) -> None:
    form = column([cell, "08" + cell.lstrip("0123456789")])
    assert form.kind == ("text" if hours is None else "number")
    if hours is not None:
        assert isinstance(form, ColumnFormat)
        assert form.form == "hours"
        assert cell_values([cell], form).values[0] == pytest.approx(hours, abs=1e-12)


@pytest.mark.parametrize(
    ("cells", "form", "minutes"),
    [
        (["58:53", "1:18:35", "45:00"], "minutes", [58 + 53 / 60, 78 + 35 / 60, 45]),
        (["1:23.5", "2:01.25"], "minutes", [1 + 23.5 / 60, 2 + 1.25 / 60]),
        (["1:06", "1:23.5"], "minutes", [1.1, 1 + 23.5 / 60]),
        (["14:30", "14:30:15"], "hours", [870, 870.25]),
        (["36:15", "40:00"], "durations", [2175, 2400]),
        (["36:15:00", "0:30:00"], "durations", [2175, 30]),
        (["75:30", "1:18:35"], "", []),
        (["36:15:00", "1:30"], "", []),
    ],
)
def test_minutes_beside_hours(cells: list[str], form: str, minutes: list[float]) -> None:
    found = column(cells)
    if not form:
        assert isinstance(found, FormatProblem)
        assert (found.code, set(found.cells)) == ("two-formats", set(cells))
        return
    assert isinstance(found, ColumnFormat)
    assert found.form == form
    assert (cell_values(cells, found).values * 60).tolist() == pytest.approx(minutes, rel=1e-14)


def test_a_later_file_keeps_the_places_of_its_times() -> None:
    def later(known: ColumnFormat, *cells: str) -> ColumnFormat | FormatProblem:
        return later_format(cells, [1] * len(cells), known, Treatment(), ".", False)

    minutes, hours = ColumnFormat("number", "minutes"), ColumnFormat("number", "durations")
    assert later(minutes, "75:30", "1:18:35") == minutes
    assert later(hours, "75:30", "36:15") == hours
    found = later(hours, "58:53", "1:18:35")
    assert isinstance(found, FormatProblem)
    assert found.code == "two-formats"


def test_the_order_is_decided_by_all_cells() -> None:
    early = [f"{d:02d}/{m:02d}/2020" for d in range(1, 10) for m in range(1, 10)]
    found = column(early)
    assert isinstance(found, FormatProblem)
    assert (found.code, found.cells) == ("ambiguous-dates", ("01/02/2020",))
    assert "2020-02-01 (day, month, year) or 2020-01-02 (month, day, year)" in found.text
    assert dict.fromkeys(value for _, value in found.settings) == {"dmy": None, "mdy": None}
    for last, order in (("13/01/2020", "dmy"), ("01/13/2020", "mdy")):
        form = column([*early, last])
        assert isinstance(form, ColumnFormat)
        assert form.date_order == order
        assert column(early, date_order=order) == form
    late = column(["13/01/2020", "14/02/2020"], date_order="mdy", for_all=True)
    assert late == ColumnFormat("date", date_order="dmy")  # only what is open is decided for all
    assert column(early, date_order="mdy", for_all=True) == ColumnFormat("date", date_order="mdy")
    assert column(["05/05/2020", "06/06/2020"]) == ColumnFormat("date", date_order="dmy")  # both say the same
    assert column(["31-12-20", "30-12-20"]) == ColumnFormat("date", date_order="dmy")
    year_first = column(["20-01-31", "20-02-28", "20-03-01", "20-03-02"])
    assert isinstance(year_first, FormatProblem)
    assert ("date_order", "ymd") in year_first.settings
    assert column(["99-01-31", "98-02-28"]) == ColumnFormat("date", date_order="ymd")


@pytest.mark.parametrize("cells", [("31.01.2020", "2020-01-31"), ("13/01/2020", "01/13/2020"),
                                   ("1 Jan 2000", "Jan 2 2000"), ("2020-01-31", "2020-02-01", "20200131")])  # fmt: skip
def test_two_formats(cells: tuple[str, ...]) -> None:
    found = column([*cells])
    assert isinstance(found, FormatProblem)
    assert found.code == "two-formats"
    assert set(found.cells) == {cells[0], cells[-1]}
    assert all(f"`{cell}`" in found.text for cell in found.cells)


def test_what_is_no_date() -> None:
    months = ("Jan", "Feb", "Dec")
    assert column([f"{month}-{day:02d}" for month in months for day in range(1, 29)]).kind == "text"  # of no year
    assert column([f"{month}-{year:02d}" for month in months for year in range(10, 20)]).kind == "date"
    assert column(["1/500", "1/1000", "1/2000", "1/60"]).kind == "text"
    assert column(["20200131", "20209901"]) == ColumnFormat()
    assert column(["20200131", "20200131"][:1]) == ColumnFormat()  # one value that never varies
    one_wrong = ["31.01.2020", *(f"{d:02d}.03.2020" for d in range(1, 31)), "31.02.2020"]
    form = column(one_wrong)
    assert isinstance(form, ColumnFormat)
    assert cell_values(one_wrong, form).wrong.tolist() == [31]
