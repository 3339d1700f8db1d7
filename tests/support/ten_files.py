"""Ten CSV files as they come in life, made up, the same every time; and scikit-learn's usual pipeline for each."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

GAPS = ("", "NA", "?")


@dataclass(frozen=True)
class Case:
    """A file, and what somebody who knows it would tell scikit-learn: which column is what."""

    name: str
    target: str
    numbers: Sequence[str] = ()
    texts: Sequence[str] = ()
    dates: Sequence[str] = ()
    regression: bool = False
    sep: str = ","
    seeds: int = 3  # each another split, other weights, another order
    iterations: int = 500
    make: Callable[[np.random.Generator], bytes] | None = None  # None: a data set that is shipped

    def figures(self) -> tuple[str, ...]:
        return ("r2",) if self.regression else ("accuracy", "f1") if self.name == "imbalance" else ("accuracy",)


def written(columns: dict[str, Sequence[Any]], sep: str = ",", end: str = "\n", quote: bool = False) -> bytes:
    """A table as bytes of UTF-8."""
    mark = '"' if quote else ""
    lines = [sep.join(f"{mark}{name}{mark}" for name in columns)]
    lines += [sep.join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    return (end.join(lines) + end).encode()


def picked(rng: np.random.Generator, words: Sequence[str], n: int, shares: Sequence[float] | None = None) -> Any:
    return np.array(words, object)[rng.choice(len(words), n, p=shares)]


def chance(rng: np.random.Generator, logit: Any) -> Any:
    """True by the chance that the logits say."""
    return rng.random(len(logit)) < 1 / (1 + np.exp(-logit))


def effect(values: Any, of: dict[str, float]) -> Any:
    return np.array([of[v] for v in values])


def standing(values: Any) -> Any:
    return (values - values.mean()) / values.std()


# ---------------------------------------------------------------------------------------------------------- the ten
def mixed(rng: np.random.Generator) -> bytes:
    """Applications for a loan: numbers, a skewed sum of money, categories, yes and no, ids, a column that never
    changes."""
    n = 4000
    age, income = rng.integers(18, 80, n), rng.lognormal(10.3, 0.6, n).round(2)
    amount, months = rng.integers(5, 400, n) * 100, rng.choice([12, 24, 36, 48, 60], n)
    purpose = picked(rng, ["car", "kitchen", "holiday", "debts", "studies"], n, [0.35, 0.2, 0.15, 0.2, 0.1])
    job = picked(rng, ["employed", "self-employed", "retired", "student", "none"], n, [0.6, 0.15, 0.1, 0.1, 0.05])
    owner = picked(rng, ["yes", "no"], n)
    burden = np.log(amount / months / income * 1000)
    of = {"employed": -0.6, "self-employed": 0.3, "retired": -0.2, "student": 0.6, "none": 1.5}
    logit = standing(burden) * 1.8 + effect(job, of) + (purpose == "debts") * 1.2 - (owner == "yes") * standing(age) - 1
    return written({
        "application_id": rng.permutation(n) + 100_000, "age": age, "income": income, "amount": amount,
        "months": months, "purpose": purpose, "job": job, "home_owner": owner, "currency": ["EUR"] * n,
        "defaulted": np.where(chance(rng, logit), "yes", "no"),
    })  # fmt: skip


def dates(rng: np.random.Generator) -> bytes:
    """Bicycles hired a day at stations of a town, over three years: season, week and growth."""
    n = 4000
    days = np.sort(rng.integers(0, 1096, n))
    date = np.datetime64("2021-01-01") + days.astype("timedelta64[D]")
    temperature = (11 - 11 * np.cos(2 * np.pi * (days - 20) / 365.25) + rng.normal(0, 4, n)).round(1)
    weather = picked(rng, ["sunny", "cloudy", "rain", "snow"], n, [0.4, 0.35, 0.2, 0.05])
    station = picked(rng, ["harbour", "university", "market", "station", "park"], n)
    weekend = (days + 4) % 7 >= 5
    base = effect(station, {"harbour": 90, "university": 180, "market": 130, "station": 220, "park": 60})
    free = effect(station, {"harbour": 1.7, "university": 0.4, "market": 1.1, "station": 0.7, "park": 2.2})
    hired = base * (1 + days / 2000) * np.where(weekend, free, 1.0) * (0.5 + np.clip(temperature, 0, 28) / 28)
    hired *= effect(weather, {"sunny": 1.1, "cloudy": 1.0, "rain": 0.6, "snow": 0.3}) * rng.lognormal(0, 0.15, n)
    return written({"date": date.astype(str), "station": station, "weather": weather, "temperature": temperature,
                    "hired": hired.round().astype(int)})  # fmt: skip


def wide(rng: np.random.Generator) -> bytes:
    """Two hundred channels of a spectrum, of which most say little, and neighbours nearly the same; three materials."""
    n, channels = 1500, np.arange(200)
    kind = rng.integers(0, 3, n)
    peak = np.exp(-((channels - np.array([60, 80, 140])[:, None]) ** 2) / 200)
    share = rng.dirichlet([1.0, 1.0, 1.0], n) * 0.8
    share[np.arange(n), kind] += 0.35
    signal = share @ peak + np.cumsum(rng.normal(0, 0.03, (n, 200)), axis=1) + rng.normal(0, 0.15, (n, 200))
    columns: dict[str, Any] = {f"nm{400 + 5 * c}": signal[:, c].round(4) for c in channels}
    return written({**columns, "material": np.array(["PET", "PE", "PP"], object)[kind]})


def imbalance(rng: np.random.Generator) -> bytes:
    """Payments by card, of which one in a hundred is fraud."""
    n = 20_000
    fraud = np.zeros(n, int)
    fraud[rng.choice(n, n // 101, replace=False)] = 1
    hour = np.where(fraud & (rng.random(n) < 0.4), rng.integers(0, 6, n), rng.integers(0, 24, n))
    amount = np.where(fraud, rng.lognormal(4.8, 0.8, n), rng.lognormal(3.4, 1.0, n)).round(2)
    distance = np.where(fraud, rng.gamma(2, 200, n), rng.gamma(1.2, 40, n)).round(1)
    tries = 1 + rng.poisson(np.where(fraud, 0.9, 0.1), n)
    age = rng.integers(1, 4000, n)
    kind = np.where(fraud, picked(rng, ["web", "shop", "cash"], n, [0.7, 0.2, 0.1]),
                    picked(rng, ["web", "shop", "cash"], n, [0.35, 0.5, 0.15]))  # fmt: skip
    return written({"hour": hour, "amount": amount, "km_from_home": distance, "tries": tries, "card_age_days": age,
                    "kind": kind, "fraud": fraud})  # fmt: skip


def labels(rng: np.random.Generator) -> bytes:
    """Wines judged in words, with commas, accents and quotes, and words of other scripts among the inputs."""
    n = 2500
    region = picked(rng, ["Côtes du Rhône", "Mosel, Saar & Ruwer", "Rioja “Alta”", "山梨", "Kakheti"], n)
    grape = picked(rng, ["Grüner Veltliner", "Syrah", "Riesling", "Tempranillo"], n)
    sugar, acid, alcohol = rng.gamma(2, 3, n).round(2), rng.normal(6, 1.2, n).round(2), rng.normal(12.5, 1, n).round(1)
    of = {"Côtes du Rhône": 0.8, "Mosel, Saar & Ruwer": 0.3, "Rioja “Alta”": 0.0, "山梨": -0.3, "Kakheti": -0.8}
    score = (
        standing(alcohol) - 0.8 * np.abs(standing(acid)) + effect(region, of) + (grape == "Riesling") * standing(sugar)
    )
    score += rng.normal(0, 0.35, n)
    words = np.array(["poor", "fair, but thin", "good", "très bon", 'the "best"'], object)
    label = words[np.searchsorted(np.quantile(score, [0.15, 0.4, 0.7, 0.9]), score)]
    quoted = ['"' + text.replace('"', '""') + '"' for text in label]
    return written({"region": [f'"{r}"' for r in region], "grape": grape, "sugar": sugar, "acid": acid,
                    "alcohol": alcohol, "verdict": quoted})  # fmt: skip


def semicolons(rng: np.random.Generator) -> bytes:
    """Rents of flats as a German spreadsheet writes them: semicolons, decimal commas, umlauts."""
    n = 3000
    area, rooms = rng.gamma(8, 9, n).round(1) + 18, rng.integers(1, 6, n)
    year, floor = rng.integers(1890, 2024, n), rng.integers(0, 9, n)
    part = picked(rng, ["Süd", "Mitte", "Köpenick", "Nord", "Weißensee"], n)
    lift = picked(rng, ["ja", "nein"], n)
    price = 9 + effect(part, {"Süd": 3, "Mitte": 7, "Köpenick": 0, "Nord": 1, "Weißensee": 2}) + (year > 2000) * 3
    rent = area * price * (1 + 60 / (area + 60)) + (floor * np.where(lift == "ja", 12, -9)) + 20 * rooms
    rent *= rng.lognormal(0, 0.08, n)

    def comma(values: Any, digits: int) -> list[str]:
        return [f"{v:.{digits}f}".replace(".", ",") for v in values]

    return written({"Wohnfläche": comma(area, 1), "Zimmer": rooms, "Baujahr": year, "Stockwerk": floor, "Lage": part,
                    "Aufzug": lift, "Miete": comma(rent, 2)}, sep=";")  # fmt: skip


def missing(rng: np.random.Generator) -> bytes:
    """Patients of a clinic: a fifth of the values are missing, written in three ways, the sicker the more."""
    n = 3000
    age, pressure = rng.integers(20, 90, n).astype(float), rng.normal(130, 18, n).round()
    sugar, weight = rng.lognormal(4.6, 0.25, n).round(), rng.normal(27, 5, n).round(1)
    smoker, group = (
        picked(rng, ["never", "former", "current"], n, [0.5, 0.3, 0.2]),
        picked(rng, ["A", "B", "AB", "0"], n),
    )
    logit = standing(age) + 0.8 * standing(pressure) + 1.2 * standing(sugar) + 0.7 * (weight - 25) ** 2 / 40 - 1.5
    logit += effect(smoker, {"never": -0.5, "former": 0.2, "current": 1.0})
    ill = chance(rng, 1.5 * logit)

    def gaps(values: Any, share: Any) -> list[str]:
        gone, how = rng.random(n) < share, picked(rng, GAPS, n)
        return [str(how[i]) if gone[i] else f"{v:g}" if isinstance(v, float) else str(v) for i, v in enumerate(values)]

    return written({
        "age": age.astype(int), "pressure": gaps(pressure.tolist(), 0.15),
        "sugar": gaps(sugar.tolist(), 0.4 - 0.25 * ill), "bmi": gaps(weight.tolist(), 0.3),
        "smoker": gaps(smoker, 0.1), "blood": gaps(group, 0.2),
        "ill": np.where(ill, "yes", "no"),
    })  # fmt: skip


def bom(rng: np.random.Generator) -> bytes:
    """Customers as Excel saves them: a mark at the start, CRLF, quoted headings, the first column a number."""
    n = 2000
    months, fee = rng.integers(1, 72, n), rng.gamma(5, 12, n).round(2)
    calls, contract = rng.poisson(2, n), picked(rng, ["monthly", "a year", "two years"], n, [0.5, 0.3, 0.2])
    paperless = picked(rng, ["TRUE", "FALSE"], n)
    logit = 0.8 * calls - 0.06 * months + 0.02 * fee * (contract == "monthly") - 1.2 * (contract == "two years") - 0.9
    return b"\xef\xbb\xbf" + written({
        "Months": months, "Monthly fee": fee, "Calls": calls, "Contract": contract, "Paperless": paperless,
        "Left": np.where(chance(rng, 1.3 * logit), "TRUE", "FALSE"),
    }, end="\r\n", quote=True)  # fmt: skip


def million(rng: np.random.Generator) -> bytes:
    """A million flights and how late they were, in minutes."""
    n = 1_000_000
    month, weekday, hour = rng.integers(1, 13, n), rng.integers(1, 8, n), rng.integers(5, 24, n)
    distance, seats = rng.gamma(3, 400, n).round(), rng.choice([76, 120, 160, 180, 300], n)
    wind, rain = rng.gamma(2, 4, n).round(1), np.maximum(0, rng.normal(-2, 3, n)).round(1)
    before = np.maximum(-10, rng.normal(3, 15, n)).round()
    carrier = picked(rng, ["AA", "BX", "CD", "EZ", "FR", "KL", "LH", "XQ"], n)
    airport = picked(rng, ["AMS", "BCN", "CDG", "FRA", "LHR", "MAD", "MUC", "OSL", "VIE", "ZRH"], n)
    peak = ((hour > 6) & (hour < 10)) | ((hour > 15) & (hour < 20))
    codes = dict(zip(["AA", "BX", "CD", "EZ", "FR", "KL", "LH", "XQ"], [0, 4, -2, 6, 9, -3, 1, 3], strict=True))
    late = 0.7 * np.maximum(0, before - 5) + 6 * peak * (weekday < 6) + effect(carrier, codes) + wind * rain * 0.5
    late += 5 * ((airport == "LHR") | (airport == "AMS")) + np.abs(month - 6.5) - distance / 400
    late += rng.normal(0, 6, n)
    return written({
        "month": month, "weekday": weekday, "hour": hour, "distance": distance.astype(int), "seats": seats,
        "wind": wind, "rain": rain, "late_before": before.astype(int), "carrier": carrier, "airport": airport,
        "charter": np.where(rng.random(n) < 0.04, "yes", "no"), "minutes_late": late.round(1),
    })  # fmt: skip


def lone(rng: np.random.Generator) -> bytes:
    """One row of each class: somebody wants to predict the name of a person."""
    n = 150
    names = [f"{a} {b}" for a in ("Ada", "Ben", "Cem", "Dora", "Eli", "Fay", "Gus", "Hana", "Ivo", "June")
             for b in ("Abel", "Bode", "Cruz", "Diaz", "Egli", "Falk", "Gray", "Hahn", "Iten", "Jost", "Kern", "Lutz",
                       "Moor", "Nagy", "Ober")]  # fmt: skip
    return written({"height": rng.normal(172, 9, n).round(1), "weight": rng.normal(71, 11, n).round(1),
                    "name": names})  # fmt: skip


LONE = Case("lone", "name", make=lone)
TEN = (
    Case("mixed", "defaulted", ("age", "income", "amount", "months"), ("purpose", "job", "home_owner"), make=mixed),
    Case("dates", "hired", ("temperature",), ("station", "weather"), ("date",), regression=True, make=dates),
    Case("wide", "material", tuple(f"nm{400 + 5 * c}" for c in range(200)), make=wide),
    Case("imbalance", "fraud", ("hour", "amount", "km_from_home", "tries", "card_age_days"), ("kind",), seeds=5,
         make=imbalance),
    Case("labels", "verdict", ("sugar", "acid", "alcohol"), ("region", "grape"), make=labels),
    Case("semicolons", "Miete", ("Wohnfläche", "Zimmer", "Baujahr", "Stockwerk"), ("Lage", "Aufzug"), regression=True,
         sep=";", make=semicolons),
    Case("missing", "ill", ("age", "pressure", "sugar", "bmi"), ("smoker", "blood"), make=missing),
    Case("bom", "Left", ("Months", "Monthly fee", "Calls"), ("Contract", "Paperless"), make=bom),
    Case("million", "minutes_late", ("month", "weekday", "hour", "distance", "seats", "wind", "rain", "late_before"),
         ("carrier", "airport", "charter"), regression=True, seeds=1, iterations=15, make=million),
    LONE,
)  # fmt: skip

SHIPPED = tuple(
    Case(name, target, regression=name == "diabetes", seeds=seeds)
    for name, target, seeds in (
        ("iris", "species", 20), ("wine", "cultivar", 20), ("breast_cancer", "diagnosis", 10),
        ("diabetes", "progression", 10),
    )
)  # fmt: skip


# ------------------------------------------------------------------------------------------------- scikit-learn's side
def read(case: Case, file: Path) -> tuple[Any, Any, Any, Any]:
    """Numbers (N, .), texts (N, .), what dates become (N, 3 each), and targets (N,)."""
    with open(file, encoding="utf-8-sig", newline="") as lines:
        head, *rows = csv.reader(lines, delimiter=case.sep)
    numbers = case.numbers or [name for name in head if name != case.target and case.make is None]

    def column(name: str) -> list[str]:
        k = head.index(name)
        return [row[k] for row in rows]

    def number(name: str) -> Any:
        return np.array([np.nan if c in GAPS else float(c.replace(",", ".")) for c in column(name)])

    def block(columns: list[Any], kind: Any) -> Any:
        return np.array(columns, kind).T if columns else np.empty((len(rows), 0), kind)

    parts: list[Any] = []
    for name in case.dates:
        day = np.array(column(name), "datetime64[D]")
        parts += [day.astype(float), day.astype("datetime64[M]").astype(int) % 12, (day.astype(int) + 3) % 7]
    texts = [["missing" if c in GAPS else c for c in column(name)] for name in case.texts]
    target = number(case.target) if case.regression else np.array(column(case.target), object)
    return block([number(n) for n in numbers], float), block(texts, object), block(parts, object), target


def usual(case: Case, file: Path, test: Any, kept: Any, seed: int) -> dict[str, float]:
    """Figures on the rows `test` of scikit-learn's MLP after its usual pipeline, taught by the rows `kept`."""
    import warnings

    from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
    from sklearn.impute import SimpleImputer
    from sklearn.metrics import accuracy_score, f1_score, r2_score
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers, texts, parts, target = read(case, file)
    x = np.concatenate([numbers.astype(object), parts, texts], axis=1)
    wide, dated = numbers.shape[1], parts.shape[1]
    counted = [*range(wide), *range(wide, wide + dated, 3)]
    others = [k for k in range(x.shape[1]) if k not in counted]
    columns = ColumnTransformer([
        ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), counted),
        ("texts", OneHotEncoder(handle_unknown="ignore", sparse_output=False), others),
    ])  # fmt: skip
    network = (MLPRegressor if case.regression else MLPClassifier)(random_state=seed, max_iter=case.iterations)
    model: Any = make_pipeline(columns, network)
    if case.regression:  # as ours: what is to be predicted is scaled too
        model = TransformedTargetRegressor(model, transformer=StandardScaler())
    else:
        target = target.astype(str)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        model.fit(x[kept], target[kept])
        said = model.predict(x[test])
    if case.regression:
        return {"r2": float(r2_score(target[test], said))}
    right = target[test]
    return {"accuracy": float(accuracy_score(right, said)), "f1": float(f1_score(right, said, average="macro"))}
