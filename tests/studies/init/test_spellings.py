"""Numbers that are written in two ways: sections 1.1 and 1.10 are names, prices 2.5 and 2.50 are not."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from bpcli.studies.init.inspect import Inspection, inspect_data
from bpcli.studies.init.options import ColumnOptions

RNG = np.random.default_rng(0)
SECTIONS = [f"{a}.{b}" for a in (1, 2) for b in (1, 2, 10, 20)]
NUMBERED = [f"{a}.{b}" for a in (1, 2) for b in range(1, 12)]
NOISE = RNG.normal(0, 0.2, 240)


def inspected(folder: Path, cells: Sequence[str], y: Sequence[object], number: tuple[str, ...] = ()) -> Inspection:
    rows = "".join(f'"{cell}",{i % 7},{value}\n' for i, (cell, value) in enumerate(zip(cells, y, strict=True)))
    (folder / "a.csv").write_text(f"x,q,y\n{rows}")
    return inspect_data("a.csv", ["y"], None, folder, folder, ColumnOptions(number=number))


@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.parametrize("decimal", [".", ","])
def test_sections_are_names(labels: bool, decimal: str, tmp_path: Path) -> None:
    codes = RNG.integers(0, len(SECTIONS), 240)
    cells = [SECTIONS[k].replace(".", decimal) for k in codes]
    y = ["ab"[int(k % 4 > 1)] for k in codes] if labels else list(5 * (codes % 4 > 1) + NOISE)
    found = inspected(tmp_path, cells, y)
    kinds = {c.name: c.kind for c in found.columns}
    assert kinds["x"] == "text"
    (remark,) = [r for r in found.remarks if r.startswith("`x`: `")]
    assert f"`1{decimal}1` and `1{decimal}10` are written, which are one number, and the target differs" in remark
    assert "`--number x`" in remark
    assert {c.kind for c in inspected(tmp_path, cells, y, ("x",)).columns} == {"number"}


def test_fractions_that_count_to_ten_are_remarked_on(tmp_path: Path) -> None:
    codes = RNG.integers(0, len(NUMBERED), 240)
    found = inspected(tmp_path, [NUMBERED[k] for k in codes], list(NOISE))
    assert {c.name: c.kind for c in found.columns}["x"] == "number"
    remark = "`x`: `1.1` and `1.10` are written, which are one number: if they are names, `--text x`"
    assert remark in found.remarks


@pytest.mark.parametrize("shift", [0.0, 3.0])
def test_prices_of_two_writers_are_amounts(shift: float, tmp_path: Path) -> None:
    """Also where the two ask different prices (by `shift`): 1.05 is no section's."""
    prices, two = RNG.choice([0.55, 1.05, 1.5, 1.99, 2.5, 2.75], 240), RNG.random(240) < 0.5
    cells = [f"{v:.2f}" if t else f"{v:g}" for v, t in zip(prices, two, strict=True)]
    found = inspected(tmp_path, cells, list(2 * prices + shift * two + NOISE))
    assert {c.name: c.kind for c in found.columns}["x"] == "number"
    assert not [r for r in found.remarks if "one number" in r]
