"""What may spoil a judgement is said, with the line to write; and nothing of tables that chance has made."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_lab import Lab
from cli_lab import lab as lab

from bpcli.family import Table
from bpcli.records.training import Failure
from bpcli.studies.dataset.judgement import hazards
from bpcli.studies.dataset.repetitions import chance_of_a_twin
from bpcli.studies.describe.check import report
from bpcli.studies.init.init import write_config
from bpcli.studies.run.setup import set_up

NOTHING_TO_LEARN = {"one-class", "no-classes", "no-inputs", "too-few-rows"}
N = 240
CODES = {
    "groups", "split-column", "copy", "gaps", "time-order", "twice", "far-off", "nearly-constant", "sentinel",
}  # fmt: skip
SOME = np.random.default_rng(11).normal(size=N).round(3)
COIN = np.random.default_rng(12).choice(["a", "b"], N)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(13)


def table(target: Any, dates: tuple[str, ...] = (), **columns: Any) -> Table:
    """A table of these columns: arrays of numbers, and of text."""
    arrays = {name: np.asarray(column) for name, column in columns.items()}
    numbers = {name: a for name, a in arrays.items() if a.dtype.kind in "if"}
    texts: Any = {name: a for name, a in arrays.items() if name not in numbers}
    target = np.asarray(target)
    target = target.astype(object) if target.dtype.kind == "U" else target.reshape(-1, 1)
    x = np.column_stack([a.astype(float) for a in numbers.values()]) if numbers else np.empty((len(target), 0))
    kinds: Any = dict.fromkeys(dates, "date")
    return Table(x, texts, tuple(numbers), tuple(columns), target, ("y",), "t.csv", kinds=kinds)


def codes(found: Table) -> list[str]:
    return [hazard.code for hazard in hazards(found)]


PERSON = np.repeat(np.arange(24), 10)
HEIGHT = (150 + 1.7 * PERSON * 7 % 40).round(1)
SICK = np.array(["yes", "no"])[PERSON * 7 % 5 % 2]


@pytest.mark.parametrize("name", ["patient_id", "Patient", "userId", "CUSTOMER ID", "session", "device-id"])
def test_names_of_what_rows_are_of(name: str) -> None:
    (found,) = hazards(table(SICK, **{name: 8000 + 37 * PERSON, "height": HEIGHT, "pulse": SOME}))
    assert (found.code, found.remedy) == ("groups", f"`split: {{group: {name}}}`")
    assert codes(table(SICK, **{name: np.arange(N), "pulse": SOME})) == []  # one row each
    assert codes(table(COIN, **{name: PERSON % 4, "pulse": SOME})) == []  # a category


@pytest.mark.parametrize("name", ["paid", "humid", "IDEA", "acid", "rooms", "grid size", "valid_from", "monkey"])
def test_names_of_what_rows_have(name: str) -> None:
    assert codes(table(COIN, **{name: PERSON, "pulse": SOME})) == []


def test_what_rows_of_a_large_table_are_of() -> None:
    """Though relations are looked for in some of the rows, which hold each name once at most."""
    n = 240_000
    owner, label = np.repeat(np.arange(n // 2), 2), np.resize(["a", "b"], n)
    assert codes(table(label, owner_id=owner, size=np.random.default_rng(1).normal(size=n))) == ["groups"]


def test_what_rows_are_of_shows_without_a_name() -> None:
    """All that is so of one row is so of the others, the target too: not by chance, and not by a rule of one number."""
    assert codes(table(SICK, code=[f"k{p}" for p in PERSON], height=HEIGHT, pulse=SOME)) == ["groups"]
    assert "groups" not in codes(table(COIN, code=[f"k{p}" for p in PERSON], height=HEIGHT, pulse=SOME))
    assert "groups" not in codes(table(PERSON * 3.5, dose=PERSON, pulse=SOME))


def test_small_groups_of_one_class_are_no_chance(rng: np.random.Generator) -> None:
    """Visits of cows, which stay well or ill; nothing else is the same in all of them."""
    cow = np.arange(N) // 5
    state = np.array(["ill", "well"])[rng.integers(0, 2, N // 5 + 1)][cow]
    name = np.array([f"c{k}" for k in cow])
    (found,) = hazards(table(state, cow=name, pulse=SOME))
    assert (found.code, found.remedy) == ("groups", "`split: {group: cow}`")
    assert codes(table(state, cow=cow * 37.0, pulse=SOME)) == ["groups"]
    assert codes(table(rng.permutation(state), cow=name, pulse=SOME)) == []
    assert codes(table(np.where(cow > N // 10, "ill", "well"), cow=cow * 37.0, pulse=SOME)) != ["groups"]  # by size


def test_a_column_that_says_train_or_test(rng: np.random.Generator) -> None:
    said = np.where(rng.random(N) < 0.8, "Train", "Test")
    (found,) = hazards(table(COIN, part=said, pulse=SOME))
    assert (found.code, found.remedy) == ("split-column", "`split: {column: part}`")
    (odd,) = hazards(table(COIN, **{"a: b": said, "pulse": SOME}))
    assert odd.remedy == '`split: {column: "a: b"}`'
    assert codes(table(COIN, part=np.where(said == "Train", "Train", "north"), pulse=SOME)) == []
    flag = (said == "Train").astype(float)
    (yes,) = hazards(table(COIN, is_train=flag, pulse=SOME))
    assert (yes.code, yes.remedy) == ("split-column", "`drop: [is_train]`")
    short = np.where(said == "Train", "trn", "tst")
    assert [h.split for h in hazards(table(COIN, part=short, is_train=flag, pulse=SOME))] == [("column", "part")]
    assert codes(table(COIN, train=flag, pulse=SOME)) == []  # by train, not by car


@pytest.mark.parametrize("words", [("Training", "PublicTest", "PrivateTest"), ("Train set", "test-set", "dev_split")])
def test_other_names_of_splits(words: tuple[str, ...]) -> None:
    said = np.array(words)[np.arange(N) % 3]
    (found,) = hazards(table(COIN, part=said, pulse=SOME))
    assert found.remedy == "`split: {column: part}`"


@pytest.mark.parametrize("name", ["fold", "kfold", "cv_fold", "Fold ID", "split"])
def test_a_column_that_numbers_folds(rng: np.random.Generator, name: str) -> None:
    fold = rng.permutation(np.arange(N) % 5)
    (found,) = hazards(table(COIN, **{name: fold + 1.0, "pulse": SOME}))
    assert (found.code, found.drop) == ("split-column", name)
    assert codes(table(COIN, **{name: np.array([f"f{k}" for k in fold]), "pulse": SOME})) == ["split-column"]
    assert codes(table(COIN, **{name: fold * 2.5, "pulse": SOME})) == []
    assert codes(table(COIN, **{name: rng.poisson(1.0, N), "pulse": SOME})) == []  # by no means evenly
    assert codes(table(COIN, **{f"un{name}": fold, "pulse": SOME})) == []


@pytest.mark.parametrize("of", [lambda y: 10 * y, lambda y: -5 * y, lambda y: 3000 * np.log(y)])
def test_a_date_made_of_the_target(rng: np.random.Generator, of: Callable[[Any], Any]) -> None:
    """And dates with which the target changes, however surely, since it may do so with time."""
    y = np.exp(rng.normal(3, 0.6, N))
    (found,) = hazards(table(y, ("paid",), paid=np.floor(18_000 + of(y)), pulse=SOME))
    assert (found.code, found.drop) == ("copy", "paid")
    days = rng.integers(0, 3000, N)
    for trend in (0.01 * days + 0.2 * SOME, np.sin(days / 58), np.cumsum(rng.normal(size=3000))[days]):
        assert codes(table(trend, ("when",), when=days + 0.0, pulse=SOME)) == []


def test_what_grows_with_time_as_the_target_does_is_no_copy_of_it(rng: np.random.Generator) -> None:
    days = 18000.0 + np.arange(N)
    y = np.exp(0.01 * np.arange(N)) + rng.normal(0, 0.01, N).cumsum()
    other = 3 * np.exp(0.012 * np.arange(N)) + rng.normal(0, 0.02, N).cumsum()
    columns = {"day": days, "rate": rng.normal(size=N), "prices": other, "people": 900.0 + np.arange(N)}
    assert codes(table(y, ("day",), **columns)) == ["time-order"]
    assert codes(table(y, **{**columns, "day": rng.permutation(days)})) == ["copy", "copy"]  # of no time, it says all
    for copied in (2 * y + 1, np.log(y - y.min() + 0.1), -y):
        found = hazards(table(y, ("day",), **columns, code=copied))
        assert [(h.code, h.drop) for h in found] == [("time-order", ""), ("copy", "code")]


def test_what_the_target_goes_by_is_no_copy_of_it(rng: np.random.Generator) -> None:
    """Shops with prices of their own, in a table of days; bins and rounded values of the target are made of it."""
    shop, day = np.arange(N) % 8, np.arange(N) // 8
    prices = np.array([50.0, 8, 31, 12, 77, 20, 3, 40])[shop] * (1 + 0.0005 * day) + 0.02 * SOME
    assert codes(table(prices, shop=np.array([f"s{k}" for k in shop]), pulse=SOME)) == []
    assert codes(table(prices, shop=shop, pulse=SOME)) == []
    assert codes(table(10.0 * shop + 0.1 * SOME, shop=shop, pulse=SOME)) == []
    y = rng.uniform(0, 18, N)
    assert codes(table(y, rounded=np.round(y), pulse=SOME)) == ["copy"]
    assert codes(table(y, bin=np.array([f"b{k}" for k in y // 0.7]), pulse=SOME)) == ["copy"]
    many = np.round(y * 2) * 2.5
    assert codes(table(many, code=np.array([f"c{k:g}" for k in many]), pulse=SOME)) == ["copy"]


@pytest.mark.parametrize(
    "of", [np.exp, np.negative, np.arctan, lambda y: 0.9 * y + 3], ids=["exp", "-", "arctan", "fees"]
)
def test_an_input_made_of_the_target(rng: np.random.Generator, of: Callable[[Any], Any]) -> None:
    y = rng.lognormal(size=N) if of is np.arctan else rng.normal(size=N) * 2
    (found,) = hazards(table(y, copy=of(y).round(6), pulse=SOME))
    assert (found.code, found.remedy) == ("copy", "`drop: [copy]`")
    assert codes(table(y, copy=of(y) + rng.normal(size=N) * of(y).std(), pulse=SOME)) == []
    assert codes(table(y, copy=of(y))) == []  # the only input: what else could be learned


def test_a_name_of_the_only_row_far_off_gives_nothing_away(rng: np.random.Generator) -> None:
    """A line with the total below a table."""
    y, region = rng.normal(100, 10, N), rng.choice(["north", "south", "east"], N).astype(object)
    y[-1], region[-1] = y[:-1].sum(), "total"
    assert codes(table(y, region=region, pulse=SOME)) == []


def test_an_input_that_names_the_class(rng: np.random.Generator) -> None:
    other = np.where(COIN == "a", "7", "9")
    assert codes(table(COIN, code=other, pulse=SOME)) == ["copy"]
    assert codes(table(COIN, code=np.where(rng.random(N) < 0.9, other, "7"), pulse=SOME)) == []
    score = np.where(COIN == "a", 1, -1) * rng.uniform(1, 2, N)
    assert codes(table(COIN, score=score, pulse=SOME)) == ["copy"]
    assert codes(table(COIN, score=np.where(rng.random(N) < 0.9, score, -score), pulse=SOME)) == []


def test_a_column_that_is_filled_for_one_class_alone(rng: np.random.Generator) -> None:
    filled = np.where(COIN == "a", SOME, np.nan)
    (found,) = hazards(table(COIN, cause=filled, pulse=SOME))
    assert (found.code, found.remedy) == ("gaps", "`drop: [cause]`")
    assert "filled for one of them alone" in found.advice("--drop cause")
    assert codes(table(COIN, cause=np.where(COIN == "a", "x", ""), pulse=SOME)) == ["gaps"]
    assert codes(table(COIN, cause=np.where(rng.random(N) < 0.5, SOME, np.nan), pulse=SOME)) == []


def test_rows_in_the_order_of_time(rng: np.random.Generator) -> None:
    days = np.sort(rng.integers(18_000, 18_400, N)).astype(float)
    (found,) = hazards(table(COIN, ("when",), when=days, pulse=SOME))
    assert (found.code, found.remedy) == ("time-order", "`split: {time: when}`")
    assert codes(table(COIN, ("when",), when=days[::-1], pulse=SOME)) == ["time-order"]
    assert codes(table(COIN, timestamp=days, pulse=SOME)) == ["time-order"]
    assert codes(table(COIN, ("when",), when=rng.permutation(days), pulse=SOME)) == []
    assert codes(table(COIN, size=days, pulse=SOME)) == []
    moments, other = np.arange(N) / 3 + 18_000, np.where(COIN == "a", "7", "9")
    assert codes(table(COIN, ("when",), when=moments, code=other, pulse=SOME)) == ["time-order", "copy"]


# Rows that stand there twice


def twins(found: Table, train: int) -> float:
    """The share of the other rows that stand among the first `train`, target and all, as counted."""
    assert found.target is not None
    columns = [*found.numbers.T.tolist(), *(t.tolist() for t in found.texts.values()), found.target.ravel().tolist()]
    rows = list(zip(*columns, strict=True))
    return sum(row in set(rows[:train]) for row in rows[train:]) / (len(rows) - train)


def test_the_chance_of_a_twin_is_what_is_counted() -> None:
    """Of independent answers, of answers that go by the class, of numbers that are rounded, of fine numbers, of a
    column that is made of another, and of two that go together."""
    n, rng = 2000, np.random.default_rng(5)
    label = rng.choice(["u", "v"], n)
    answer = [np.where(rng.random(n) < 0.8, label, rng.choice(["u", "v", "w"], n)) for _ in range(4)]
    zips, rooms, way = rng.integers(0, 8, n), rng.integers(1, 5, n), rng.integers(100, 900, n)
    for found, near in (
        (table(rng.choice(["u", "v"], n), **{f"q{k}": rng.choice(["1", "2", "3"], n) for k in range(5)}), 1.1),
        (table(label, **{f"q{k}": a for k, a in enumerate(answer)}), 1.2),
        (table(np.round(100 * zips + 30 * rooms + rng.normal(0, 8, n)), zip=zips, rooms=rooms), 1.6),
        (table(rng.normal(size=n).round(1), a=rng.normal(size=n), b=rng.normal(size=n)), 1.0),
        (table(np.round(way / 30 + rng.normal(0, 3, n)), way=way, time=np.round(way / 7)), 1.3),
        (table(2.0 * way + rng.integers(-1, 2, n), way=way), 1.6),
    ):
        counted, expected = twins(found, 1400), chance_of_a_twin(found, 1400)
        assert counted / near <= expected + 1e-9
        assert expected <= counted * near + 1e-9
    assert not math.isnan(chance_of_a_twin(table(label, q=label), 1400))


def survey(copies: int) -> str:
    rng = np.random.default_rng(2)
    rows = [",".join(rng.choice(list("ABC"), 3)) + f",{a}" for a in rng.choice(["yes", "no"], 400)]
    fine = [f"{v:.6f},{w:.2f},{rng.choice(['yes', 'no'])}" for v, w in rng.normal(size=(400, 2))]
    return "p,q,r,left\n" + "".join(f"{row}\n" for row in rows) if copies < 0 else (
        "v,w,left\n" + "".join(f"{row}\n" for row in (*fine, *fine[:copies])))  # fmt: skip


def test_tables_of_few_possible_rows_repeat_by_nature_and_copies_do_not(lab: Lab) -> None:
    for copies, warned in ((-1, False), (0, False), (20, True)):
        Path("t.csv").write_text(survey(copies))
        lab.good("init", "t.csv", "--target", "left", "--force")
        assert ("rows stand in train too" in lab.good("check", "t.yaml").err) == warned


def test_init_and_check_say_it_and_the_line_that_they_give_ends_it(lab: Lab) -> None:
    rows = [f"{8000 + 37 * p},{h},{s},{w:.3f}" for p, h, s, w in zip(PERSON, HEIGHT, SOME, SICK == "yes", strict=True)]
    Path("t.csv").write_text("\n".join(["patient_id,height,pulse,ill", *rows, ""]))
    written = lab.good("init", "t.csv", "--target", "ill", "--out", "-").out
    assert "# column `patient_id` has 24 different values in 240 rows. If it says who or what" in written
    Path("t.yaml").write_text(written)
    said = lab.good("check", "t.yaml").err
    assert "warning: column `patient_id` has 24 different values in 240 rows [groups]" in said
    assert "write `split: {group: patient_id}` under `data`" in said
    Path("t.yaml").write_text(written.replace("\n  scale:", "\n  split: {group: patient_id}\n  scale:"))
    assert "[groups]" not in lab.good("check", "t.yaml").err


# False alarms


def random_column(rng: np.random.Generator, n: int) -> list[str]:
    kind = rng.integers(0, 14)
    if kind < 6:
        values = (rng.uniform(0, 10, n), rng.normal(70, 12, n), rng.lognormal(2, 1, n), rng.exponential(5, n),
                  rng.standard_t(3, n), rng.gamma(0.7, 2, n))[kind]  # fmt: skip
        return [f"{v:.3g}" for v in values] if rng.random() < 0.5 else [f"{v:.2f}" for v in values]
    if kind < 9:
        return [str(v) for v in (rng.poisson(8, n), rng.poisson(0.1, n), rng.integers(1, 6, n))[kind - 6]]
    if kind == 9:
        return [f"c{v}" for v in rng.integers(0, rng.integers(2, 30), n)]
    if kind == 10:
        return [("yes", "no")[v] for v in rng.integers(0, 2, n)]
    if kind == 11:
        return [str(np.datetime64("2020-01-01") + np.timedelta64(int(v), "D")) for v in rng.integers(0, 900, n)]
    if kind == 12:
        return [str(v) for v in rng.integers(0, 100, n)]  # 99 among them stands for itself
    return ["" if rng.random() < 0.2 else f"{v:.1f}" for v in rng.normal(0, 1, n)]


def number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return float(sum(map(ord, cell)) % 7)


def random_table(seed: int) -> str:
    """Columns of all kinds, and a target that goes by them, with noise: a number, or one of up to three classes."""
    rng = np.random.default_rng(seed)
    n, width = int(rng.choice([60, 150, 400, 1000])), int(rng.integers(2, 9))
    columns = [random_column(rng, n) for _ in range(width)]
    y = rng.normal(0, rng.choice([1, 3]), n)
    for column in columns:
        v = np.array([number(cell) for cell in column])
        y += rng.normal() * (v - v.mean()) / (v.std() + 1e-9)
    target = [f"{v:.2f}" for v in y] if rng.random() < 0.5 else [("a", "b", "c")[int(v > 0) + int(v > 1)] for v in y]
    head = ",".join([*(f"x{j}" for j in range(width)), "y"])
    return "\n".join([head, *(",".join(row) for row in zip(*columns, target, strict=True)), ""])


def alarms(folder: Path, data: bytes, target: str) -> list[str]:
    """What `check` warns of that concerns the data, with the config that `init` writes; and numbers that `init` itself
    takes for no value, of which `check` then says nothing."""
    (folder / "t.csv").write_bytes(data)
    try:
        written = write_config(str(folder / "t.csv"), (target,), None, folder / "t.yaml", force=True)
        found = report(set_up(folder / "t.yaml", keep=True)).warnings
    except Failure as failure:
        return [p.code for p in failure.problems if p.code not in NOTHING_TO_LEARN]
    return [w.code for w in found if w.code in CODES] + ["sentinel"] * ("missing_values:" in written.text)


def false_alarms(folder: Path, seeds: range) -> Counter[str]:
    return Counter(code for s in seeds for code in set(alarms(folder, random_table(s).encode(), "y")))


def test_random_tables_raise_no_alarm(tmp_path: Path) -> None:
    assert not false_alarms(tmp_path, range(6))


@pytest.mark.slow
def test_the_rate_of_false_alarms(tmp_path: Path) -> None:
    """At most 2 % of 400 random tables."""
    found = false_alarms(tmp_path, range(400))
    assert sum(found.values()) <= 8, found


@pytest.mark.slow
def test_the_shipped_tables_raise_no_alarm(tmp_path: Path) -> None:
    datasets = Path(__file__).parents[3] / "datasets"
    for name, target in (("iris", "species"), ("wine", "cultivar"), ("breast_cancer", "diagnosis"), ("spirals", "arm"),
                         ("diabetes", "progression"), ("digits", "digit")):  # fmt: skip
        assert not alarms(tmp_path, (datasets / name / f"{name}.csv").read_bytes(), target), name
