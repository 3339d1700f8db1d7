"""Layers of a user's own with one mistake each, of every kind in `faulty_layers`: gradcheck finds all of them, by
`--parts --with` and in a network, where the layer has equations and where it has none; and no right one is blamed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from faulty_layers import CONFIG, FAULTS, LAYERS, Fault, right
from own_parts import own as own

from bpcli.records.gradcheck import GradcheckReport
from bpcli.records.training import Failure
from bpcli.studies.custom.load import load
from bpcli.studies.gradcheck.check import check_gradients
from bpcli.studies.gradcheck.check_parts import check_own
from bpcli.studies.trace.open import TracedRows, open_target

UNSEEN_WITHOUT_EQUATIONS = {
    "f.dx[...] = f.dx.astype(np.float32)": "6e-8 of an entry: differences know it to 1e-7",
}
"""Mistakes that differences cannot show, and why."""

EVERY = 25
"""One case in so many is tried whenever the tests are run; all of them with `-m slow`."""


def cases(in_config: bool) -> list[object]:
    found = []
    for i, fault in enumerate(f for f in FAULTS if f.in_config or not in_config):
        for equations in (True, False):
            if equations or fault.code not in UNSEEN_WITHOUT_EQUATIONS:
                marks = () if (2 * i + equations) % EVERY == 0 else (pytest.mark.slow,)
                name = f"{fault}{'' if equations else ', no equations'}"
                found.append(pytest.param(fault, equations, id=name, marks=marks))
    return found


def of_part(folder: Path, source: str) -> GradcheckReport:
    """What `gradcheck --parts --with` reports."""
    (folder / "layer.py").write_text(source)
    (leaf,) = load((folder / "layer.py",))
    return check_own(leaf)


def of_network(folder: Path, layer: str, source: str) -> GradcheckReport:
    """What `gradcheck CONFIG --with` reports."""
    (folder / "layer.py").write_text(source)
    (folder / "net.yaml").write_text(CONFIG.format(layer=layer))
    rng = np.random.default_rng(0)
    np.savez(folder / "rows.npz", x=rng.normal(size=(64, 20)), y=rng.normal(size=(64, 2)))
    load((folder / "layer.py",))
    return check_gradients(open_target(folder / "net.yaml", TracedRows(batch=True)))


def is_explained(check: Callable[[], GradcheckReport]) -> bool:
    """Whether something is said to be wrong, and a sentence says what; or a rule of its family is broken."""
    try:
        report = check()
    except Failure as failure:
        return all(problem.text for problem in failure.problems)
    return bool(report.wrong) and any(finding.text for finding in report.findings)


@pytest.mark.parametrize(("fault", "equations"), cases(in_config=False))
def test_it_is_found_in_the_part(fault: Fault, equations: bool, own: Path) -> None:
    assert is_explained(lambda: of_part(own, fault.source(equations)))


@pytest.mark.parametrize(("fault", "equations"), cases(in_config=True))
def test_it_is_found_in_a_network(fault: Fault, equations: bool, own: Path) -> None:
    assert is_explained(lambda: of_network(own, fault.layer, fault.source(equations)))


@pytest.mark.parametrize("equations", [True, False])
@pytest.mark.parametrize("layer", LAYERS)
def test_a_right_layer_is_right(layer: str, equations: bool, own: Path) -> None:
    for report in (of_part(own, right(layer, equations)), of_network(own, layer, right(layer, equations))):
        assert report.passed, report.wrong
