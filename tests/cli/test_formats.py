"""Files in dress from `init` to `predict`: found out, said by `check`, kept by the model; and what is refused."""

import json
import math
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_lab import Lab, lab

__all__ = ["lab"]


def rates() -> str:
    draw = random.Random(1)
    rows = ((draw.randint(50, 250), draw.randint(18, 80)) for _ in range(900))
    return "rate,age,y\n" + "".join(
        f"{r / 10:.1f}%,{a},{'yes' if r + draw.gauss(0, 20) > 150 else 'no'}\n" for r, a in rows
    )


def days() -> str:
    draw = random.Random(1)
    rows = ((draw.randint(1, 12), draw.randint(1, 28)) for _ in range(400))
    return "when,z,y\n" + "".join(f"2020/{m:02d}/{d:02d},{draw.randint(0, 6)},{10 * m + d}\n" for m, d in rows)


def hours() -> str:
    draw = random.Random(1)
    return "when,y\n" + "".join(
        f"2020-{1 + i // 672 % 12:02d}-{1 + i // 24 % 28:02d}T{i % 24:02d}:00,"
        f"{10 * math.sin(i % 24 / 3.8) + draw.gauss(0, 0.5):.2f}\n"
        for i in range(3000)
    )


def prices() -> str:
    draw = random.Random(1)
    rows = ((draw.uniform(100, 9000), draw.randint(0, 50)) for _ in range(500))
    return "price;off;y\n" + "".join(
        f"{p:,.2f} €;{d} %;{p * (1 - d / 100):.2f}\n".translate(str.maketrans(",.", ".,")) for p, d in rows
    )


FILES: dict[str, tuple[Callable[[], str], str, str, float]] = {
    "rates": (rates, "with %; standardize", "accuracy", 0.85),
    "days": (days, "days and month and weekday", "r2", 0.9),
    "hours": (hours, "days and month and weekday and hour", "r2", 0.95),
    "prices": (prices, "with €, thousands ., decimal ,; standardize", "r2", 0.97),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_what_is_reached(name: str, lab: Lab) -> None:
    text, said, metric, least = FILES[name]
    lab.write("a.csv", text())
    lab.good("init", "a.csv", "--target", "y")
    assert said in lab.good("check", "a.yaml").out
    lab.good("train", "a.yaml", "--out", "run")
    assert json.loads(lab.good("eval", "run", "--json").out)["metrics"][metric] > least


def test_from_a_file_in_dress_to_answers(lab: Lab) -> None:
    lab.write("a.csv", prices())
    lab.good("init", "a.csv", "--target", "y")
    (row,) = (c for c in json.loads(lab.good("check", "a.yaml", "--json").out)["columns"] if c["name"] == "price")
    assert row["format"] == "with €, thousands ., decimal ,"
    assert row["high"] > 1000
    lab.good("train", "a.yaml", "--out", "run", "--set", "training.epochs=2")
    lab.write("b.csv", 'off,price\n10 %,"1.234 €"\n')  # a file of another form, read as the first one
    later = lab.good("predict", "run", "--data", "b.csv").out
    lab.write("b.csv", "price;off\n1.234,00 €;10%\n")
    assert lab.good("predict", "run", "--data", "b.csv").out == later
    lab.write("b.csv", "price;off\n1234;10 %\n")
    assert "`1234` is not a number as the others of the column" in lab.run("predict", "run", "--data", "b.csv").err


def test_numbers_that_stand_for_no_value(lab: Lab) -> None:
    lab.write("a.csv", "x,y\n" + "".join(f"{-999 if i % 9 == 0 else i % 7},{'ab'[i % 2]}\n" for i in range(100)))
    lab.good("init", "a.csv", "--target", "y")
    text = Path("a.yaml").read_text()
    assert "x: {missing_values: [-999]}" in text
    assert "# `x`: -999 stands far apart from all other values, in 12 of 100 rows" in text
    assert "sentinel" not in lab.good("check", "a.yaml").err
    Path("a.yaml").write_text(text.replace("      x: {missing_values: [-999]}\n", "      x: {missing: mean}\n"))
    done = lab.good("check", "a.yaml").err
    assert "column `x`: -999 stands far apart from all other values" in done
    assert "write `columns: {x: {missing_values: [-999]}}`" in done


def test_from_a_date_that_is_none_to_answers(lab: Lab) -> None:
    odd, iso = "31.12.9999", "9999-12-31"
    rows = [f"{odd if i % 11 == 0 else f'{1 + i % 28:02d}.{1 + i % 12:02d}.2020'},{i % 12}" for i in range(120)]
    lab.write("a.csv", "when,y\n" + "".join(f"{row}\n" for row in rows))
    said = lab.good("init", "a.csv", "--target", "y", "--task", "regress")
    assert f"`when`: {iso} stands far apart from all other values, in 11 of 120 rows" in " ".join(said.out.split())
    text = Path("a.yaml").read_text()
    assert f'missing_values: ["{iso}"]' in text
    assert "[sentinel]" not in lab.good("check", "a.yaml").err
    lab.good("train", "a.yaml", "--out", "run", "--set", "training.epochs=1")
    lab.write("b.csv", f"when\n{odd}\nnil\n")
    first, second = lab.good("predict", "run", "--data", "b.csv").out.split()[1:3]
    assert first == second
    Path("a.yaml").write_text(text.replace(f', missing_values: ["{iso}"]', ""))
    assert f"write `columns: {{when: {{missing_values: [{iso}]}}}}`" in lab.good("check", "a.yaml").err.replace('"', "")


def test_numbers_that_are_names_are_text_unless_the_command_says_otherwise(lab: Lab) -> None:
    zips = [12134, 10001, 94105, 60601, 73301]
    lab.write("a.csv", "zip,y\n" + "".join(f"{zips[i % 5]},{i % 5 * 7 % 5 + i / 1000}\n" for i in range(200)))
    lab.good("init", "a.csv", "--target", "y")
    text = Path("a.yaml").read_text()
    assert "zip: {kind: text}" in text
    assert "# `zip`: 5 different numbers of 5 digits that come back look like names, and are read as text" in text
    (column,) = json.loads(lab.good("check", "a.yaml", "--json").out)["columns"]
    assert (column["kind"], column["categories"]) == ("text", 5)
    lab.good("init", "a.csv", "--target", "y", "--number", "zip", "--force")
    (column,) = json.loads(lab.good("check", "a.yaml", "--json").out)["columns"]
    assert column["kind"] == "number"


def test_dates_that_are_open_are_settled_by_what_the_error_says(lab: Lab) -> None:
    lab.write("a.csv", "when,y\n" + "".join(f"{1 + i % 12:02d}/{1 + i % 9:02d}/2020,{i}\n" for i in range(60)))
    refused = lab.run("init", "a.csv", "--target", "y")
    assert refused.code == 65
    assert "`02/02/2020`" not in refused.err
    assert (
        "write `--date-order dmy` or `--date-order mdy`; to read the column as text, write `--text when`" in refused.err
    )
    lab.good("init", "a.csv", "--target", "y", "--date-order", "dmy")
    assert "date_order: dmy" in Path("a.yaml").read_text()
    assert "as day, month, year" in lab.good("check", "a.yaml").out


def test_rows_are_divided_by_dates_of_any_order(lab: Lab) -> None:
    lab.write(
        "a.csv", "when,x,y\n" + "".join(f"{28 - i % 28:02d}.{12 - i // 28:02d}.2020,{i},{i}\n" for i in range(84))
    )
    lab.write("a.yaml", "data:\n  train: {type: csv, path: a.csv, target: y}\n  test: 0.25\n  split: {time: when}\n"
                        "architecture: [{type: dense, units: 1}]\nloss: mean_squared_error\n")  # fmt: skip
    columns = json.loads(lab.good("check", "a.yaml", "--json").out)["columns"]
    assert [c["low"] for c in columns if c["name"] == "x"] == [21]  # the latest stand first
