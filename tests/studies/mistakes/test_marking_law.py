"""Derivations with one mistake in each: the marker names the first wrong number, and the mistake that was made.

The figures are printed: `pytest tests/studies/mistakes/test_marking_law.py -m 'slow or not slow' -s`.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from student import MISTAKES, Student, random_net

from bpcli.records.trace import Marks
from bpcli.studies.mistakes.claims import read_claims
from bpcli.studies.mistakes.marking import mark
from bpcli.studies.trace.open import TracedRows, open_target

VARIANTS = {
    "factor 2": ("factor 2", "factor 1/2"), "rows": ("rows", "rows again"), "slope at a": ("slope at a", "slope at z"),
    "input dropped": ("input dropped", "term dropped"),
}  # fmt: skip
CODES = {
    "sign": "sign", "factor 2": "factor-2", "factor 1/2": "factor-1/2", "rows": "rows", "rows again": "rows-twice",
    "transposed": "transposed", "slope forgotten": "no-slope", "slope at a": "slope-at-a", "slope at z": "slope-at-z",
    "new weight": "new-weight", "input dropped": "dropped-input", "term dropped": "dropped-term",
}  # fmt: skip
"""How the marker calls them."""
ADDRESS = re.compile(r"(?<=\.)[za]$")


def one_mistake(rng: np.random.Generator) -> tuple[Student, str]:
    """A student with a random network, who is about to make a random mistake; which kind it is."""
    while True:
        net, kind = random_net(rng), str(rng.choice(MISTAKES))
        sober = Student(net)
        sober.work()
        mistake = str(rng.choice(VARIANTS.get(kind, (kind,))))
        places = [(name, shows) for name, m, shows in sober.could if m == mistake]
        if places:
            name, shows = places[rng.integers(len(places))]
            entry = tuple(rng.choice(np.argwhere(shows))) if shows.ndim and rng.random() < 0.3 else None
            student = Student(net, name, mistake, entry)
            if all(np.isfinite(value).all() for value in student.work().values()):
                return student, kind


def marked(student: Student, digits: int, folder: Path) -> Marks:
    """The student's numbers, written down to so many digits in a file, marked."""
    lines = [f"{name}{list(at) if at else ''},{float(value[at]):#.{digits}g}"
             for name, value in student.work().items() for at in np.ndindex(value.shape)]  # fmt: skip
    config, claims = folder / "net.yaml", folder / "claims.csv"
    config.write_text(json.dumps(student.net.config), encoding="utf-8")
    claims.write_text("\n".join(lines), encoding="utf-8")
    return mark(open_target(config, TracedRows(samples=tuple(range(len(student.net.x))))), read_claims(claims))


def hold(count: int, folder: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    tally: Counter[str] = Counter()
    missed: list[str] = []
    for i in range(count):
        student, kind = one_mistake(rng)
        digits = int(rng.integers(5, 13))
        marks = marked(student, digits, folder)
        code, first = CODES[student.mistake], marks.first
        quantity = ADDRESS.sub(lambda m: {"z": "y", "a": "activation.y"}[m[0]], student.at)
        tally["all"] += 1
        tally[f"all, {kind}"] += 1
        tally[f"made, {student.mistake}"] += 1
        if first is None or first.address.partition("[")[0] != quantity:
            missed.append(f"{i}: {student.at} {student.mistake}: first {first and first.address}")
            continue
        tally["first"] += 1
        same = [m for m in marks.marks if m.verdict == "wrong" and m.address.partition("[")[0] == quantity]
        codes = [[c.code for c in m.causes] for m in same]
        if codes[0][:1] == [code]:
            tally["cause"] += 1
        elif code in codes[0] and all(codes[0][0] in c for c in codes):
            tally["one of several that give the same numbers"] += 1
            tally[f"  {code}, {codes[0][0]} named first"] += 1
        else:
            missed.append(f"{i}: {student.at} {student.mistake} {student.entry} {digits}: {codes}")
            tally[f"missed, {student.mistake}"] += 1
        later = [m for m in marks.marks if m.verdict == "wrong" and m not in same]
        tally["nothing else is wrong"] += not later
    sys.stdout.write(
        "\n" + "\n".join(missed[:60]) + "\n" + "\n".join(f"{k}: {n}" for k, n in sorted(tally.items())) + "\n"
    )
    assert tally["first"] >= 0.99 * count
    assert tally["cause"] + tally["one of several that give the same numbers"] >= 0.95 * count
    assert tally["nothing else is wrong"] >= 0.95 * count
    for mistake in CODES:
        assert tally[f"missed, {mistake}"] <= 0.1 * tally[f"made, {mistake}"], mistake


def test_the_mistake_is_found(tmp_path: Path) -> None:
    hold(150, tmp_path, seed=1)


@pytest.mark.slow
def test_the_mistake_is_found_in_ten_thousand(tmp_path: Path) -> None:
    hold(10_000, tmp_path, seed=2)
