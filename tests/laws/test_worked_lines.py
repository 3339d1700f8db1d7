"""Every equation of every part can be drawn, and every worked line of it closes."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from registry import good

from bpcli.family.plan import Sample
from bpcli.notation import Program
from bpcli.notation.latex import Latex
from bpcli.notation.mathml import MathML
from bpcli.notation.text import Ascii
from bpcli.notation.worked import work_out_entry
from bpcli.studies.witness.cases import cases

MOST = 12  # entries of one array


@pytest.mark.parametrize("sample", [pytest.param(s, id=name) for name, s in good()])
def test_equations_can_be_drawn_and_worked(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[tuple[Program, Mapping[str, Any]]] = []
    run = Program.run

    def watched(self: Program, env: Mapping[str, Any], *args: Any) -> dict[str, Any]:
        found = run(self, env, *args)
        runs.append((self, {**env, **found}))
        return found

    monkeypatch.setattr(Program, "run", watched)
    for case in cases(sample):
        assert case.equations
    for program, env in runs:
        known = {*program.names, *(name for name, value in env.items() if np.ndim(value))}
        for grid in program.grids:
            assert Ascii(known).equation(grid.equation).isascii()
            assert Latex(known).equation(grid.equation)
            ET.fromstring(f"<math>{MathML(known).equation(grid.equation)}</math>")
            for at in itertools.islice(itertools.product(*map(range, grid.shape)), MOST):
                line = work_out_entry(grid, env, at)
                assert line.closes, line.line
                assert line.value == pytest.approx(float(env[grid.name][at]), rel=1e-12, abs=1e-12)
