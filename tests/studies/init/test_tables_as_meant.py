"""One small table for each way in which a table once was read otherwise than its owner meant it, from `init` to `eval`.

What `init` and `check` say of it is held by default; the figure that the network reaches behind the marker `slow`.
"""

import json
import math
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
from cli_lab import Lab, lab

__all__ = ["lab"]

ZIPS = ("02134", "10001", "94105", "00501", "60601", "73301", "33101", "98101")


def table(head: str, rows: Iterable[str]) -> str:
    return "\n".join([head, *rows, ""])


def trips(chance: random.Random) -> str:
    """Some flights never flew: neither their time nor their delay is known."""
    miles = [chance.randint(100, 900) for _ in range(300)]
    delays = [f"{d / 7:.0f},{d / 30 + chance.gauss(0, 3):.0f}" for d in miles]
    return table("distance,air_time,delay", (f"{d},{',' if i % 50 == 7 else delays[i]}" for i, d in enumerate(miles)))


def rates(chance: random.Random) -> str:
    rows = [(chance.randint(50, 250), chance.randint(18, 80)) for _ in range(900)]
    return table("rate,age,late", (f"{r / 10:.1f}%,{a},{'yes' if r + chance.gauss(0, 20) > 150 else 'no'}"
                                   for r, a in rows))  # fmt: skip


def days(chance: random.Random) -> str:
    rows = [(chance.randint(1, 12), chance.randint(1, 28)) for _ in range(400)]
    return table("when,z,y", (f"2020/{m:02d}/{d:02d},{chance.randint(0, 6)},{10 * m + d}" for m, d in rows))


def hours(chance: random.Random) -> str:
    times = [f"2020-{1 + i // 672 % 12:02d}-{1 + i // 24 % 28:02d}T{i % 24:02d}:00" for i in range(3000)]
    heat = [10 * math.sin(i % 24 / 3.8) + chance.gauss(0, 0.5) for i in range(3000)]
    return table("when,y", (f"{time},{y:.2f}" for time, y in zip(times, heat, strict=True)))


def zips(chance: random.Random, *, zeros: bool = True) -> str:
    rows = [(chance.choice(ZIPS), chance.randint(1, 5)) for _ in range(600)]
    return table("zip,rooms,rent", (f"{z if zeros else z.lstrip('0')},{r},"
                                    f"{400 * (ZIPS.index(z) * 5 % 8) + 150 * r + chance.gauss(0, 20):.1f}"
                                    for z, r in rows))  # fmt: skip


def late(chance: random.Random) -> str:
    bought = [f"{chance.randint(100, 190)},{chance.randint(1, 9)},ok" for _ in range(230)]
    back = [f"C{chance.randint(100, 190)},{-chance.randint(1, 9)},back" for _ in range(120)]
    return table("invoice,qty,y", bought + back)


def nil(chance: random.Random) -> str:
    cells = [f"{chance.random():.2f}" for _ in range(120)]
    cells[30] = cells[60] = "nil"
    return table("x,z,y", (f"{cell},{chance.random():.2f},{'ab'[i % 2]}" for i, cell in enumerate(cells)))


def label(chance: random.Random) -> str:
    kinds = ["nan" if i % 10 == 0 else chance.choice(["cat", "dog"]) for i in range(200)]
    return table("a,kind", (f"{chance.gauss(0, 1):.3f},{kind}" for kind in kinds))


def visits(chance: random.Random) -> str:
    """Eight visits of each of 30 patients, who stay ill or well; what is measured says who it is and nothing else."""
    rows = []
    for patient in range(30):
        ill, height = chance.choice(["yes", "no"]), chance.randint(150, 195)
        weight, pulse = chance.uniform(50, 100), chance.uniform(55, 90)
        rows += [f"{8000 + 37 * patient},{height},{weight + chance.gauss(0, 0.5):.1f},{pulse + chance.gauss(0, 2):.0f},"
                 f"{ill}" for _ in range(8)]  # fmt: skip
    return table("patient_id,height,weight,pulse,ill", rows)


def copied(chance: random.Random) -> str:
    """A price, and its logarithm."""
    rows = [(r, 1e5 * r * math.exp(chance.gauss(0, 0.5))) for r in (chance.randint(1, 6) for _ in range(600))]
    return table("rooms,log_price,price", (f"{r},{math.log(p):.6f},{p:.2f}" for r, p in rows))


def survey(chance: random.Random) -> str:
    """Few rows are possible: they repeat by nature."""
    rows = []
    for _ in range(600):
        plan = chance.choice("ABC")
        left = "yes" if chance.random() < (0.8 if plan == "A" else 0.2) else "no"
        rows.append(f"{chance.choice(['yes', 'no'])},{plan},{chance.choice('ns')},{left}")
    return table("member,plan,region,left", rows)


def weights(chance: random.Random) -> str:
    return table("x,w,y", (f"{x:.2f},{chance.randint(0, 2)},{'ab'[x > 0.5]}" for x in
                           (chance.random() for _ in range(200))))  # fmt: skip


@dataclass(frozen=True)
class Meant:
    """How a table is meant: what `init` writes and `check` says of it (`unsaid`: does not), and from what a figure goes
    (to `most`), on rows that training has not seen."""

    text: Callable[[random.Random], str]
    target: str
    said: tuple[str, ...]
    unsaid: tuple[str, ...] = ()
    metric: str = ""
    least: float = -math.inf
    most: float = math.inf
    options: tuple[str, ...] = ()


TABLES = {
    "trips": Meant(trips, "delay", ("294 rows", "6 rows are left out"), metric="r2", least=0.6),
    "rates": Meant(rates, "late", ("with %; standardize",), metric="accuracy", least=0.85),
    "days": Meant(days, "y", ("days and month and weekday",), metric="r2", least=0.9),
    "hours": Meant(hours, "y", ("days and month and weekday and hour",), metric="r2", least=0.97),
    "zip": Meant(zips, "rent", ("zip     text    8 categories  one-hot",), metric="r2", least=0.99),
    "zip without zeros": Meant(lambda c: zips(c, zeros=False), "rent", ("zip: {kind: text}",), metric="r2", least=0.99),
    "late": Meant(late, "y", ("invoice  text",), metric="accuracy", least=0.99),
    "nil": Meant(nil, "y", ("no value: nil; standardized", "0 to 0.99",), metric="accuracy"),
    "label": Meant(label, "kind", ("180 rows", "20 rows are left out"), metric="accuracy"),
    "visits": Meant(visits, "ill", ("split: {group: patient_id}",), metric="accuracy", most=0.75,
                    options=("--set", "data.split={group: patient_id}")),
    "copied": Meant(copied, "price", ("log_price",), metric="r2"),
    "survey": Meant(survey, "left", (), ("stand in train too",), metric="accuracy", least=0.7),
    "weights": Meant(weights, "y", (), metric="accuracy", least=0.8,
                     options=("--set", "data.train.weight=w")),
}  # fmt: skip


def begun(lab: Lab, name: str) -> tuple[str, Meant]:
    """What `init` and `check` say, and the config, of a table."""
    meant = TABLES[name]
    lab.write("a.csv", meant.text(random.Random(1)))
    written = lab.good("init", "a.csv", "--target", meant.target)
    checked = lab.good("check", "a.yaml", *meant.options)
    return "\n".join([written.out, written.err, Path("a.yaml").read_text(), checked.out, checked.err]), meant


@pytest.mark.parametrize("name", TABLES)
def test_what_is_said(name: str, lab: Lab) -> None:
    text, meant = begun(lab, name)
    for words in meant.said:
        assert words in text, text
    for words in meant.unsaid:
        assert words not in text, text


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n, meant in TABLES.items() if meant.least > -math.inf or meant.most < math.inf])
def test_what_is_reached(name: str, lab: Lab) -> None:
    _, meant = begun(lab, name)
    lab.good("train", "a.yaml", "--out", "run", *meant.options)
    reached = json.loads(lab.good("eval", "run", "--json").out)["metrics"][meant.metric]
    assert meant.least < reached < meant.most
