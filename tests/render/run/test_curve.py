"""Small plots: in dots and in plain characters, and which parts have one."""

import io

import numpy as np
import pytest
from rich.console import Console

from bpcli.family import Activation, Schedule
from bpcli.records.training import Curve
from bpcli.render.run import curve as module
from bpcli.render.run.curve import HEIGHT, LABEL_WIDTH, WIDTH, curves, plot
from bpcli.studies.describe.parts import find_parts, list_parts

X = tuple(float(i) for i in range(-4, 5))
OURS = {(leaf.family, kind) for family in (Activation, Schedule) for kind, leaf in family.registry.items()
        if leaf.__module__.startswith("bpcli.")}  # fmt: skip
"""Not what other tests declare."""
LINE = Curve("y", "x", X, X)


def test_a_straight_line_in_plain_characters() -> None:
    assert [line.rstrip() for line in plot(LINE, braille=False)] == [
        "         y",
        "       4 |                          **",
        "         |                      ****",
        "         |                  ****",
        "         |              ****",
        "       0 |..........****..............",
        "         |      ****",
        "         |  ****",
        "      -4 |**",
        "         +----------------------------",
        "          -4            0            4",
        "                       x",
    ]


def test_a_straight_line_in_dots() -> None:
    lines = plot(LINE, braille=True)
    assert lines[1].startswith("       4 │ ")
    assert lines[1].rstrip()[-1] in "⡠⠊⠔⠉⠁"
    assert lines[HEIGHT].startswith("      -4 │")


@pytest.mark.parametrize("braille", [True, False])
@pytest.mark.parametrize("y", [(0.0,) * 4 + (1.0,) * 5, X, tuple(v * v for v in X), (1e-9, 5e4, -3.0), (1.0, 1.0)])
def test_every_curve_is_whole(y: tuple[float, ...], braille: bool) -> None:
    """No column is empty, no line is longer than its place, and the ends are told."""
    lines = plot(Curve("y", "x", tuple(map(float, range(len(y)))), y), braille)
    assert len(lines) == HEIGHT + 4
    assert max(map(len, lines)) <= LABEL_WIDTH + 2 + WIDTH
    canvas = [line[LABEL_WIDTH + 2 :].ljust(WIDTH) for line in lines[1 : HEIGHT + 1]]
    for column in zip(*canvas, strict=True):
        assert set(column) - set(" ┈.")
    assert lines[1].split()[0] == f"{max(y):.3g}"


def test_steep_ends_are_joined() -> None:
    jump = plot(Curve("y", "x", X, (0.0,) * 4 + (1.0,) * 5), braille=False)
    assert all("*" in line for line in jump[1 : HEIGHT + 1])


def test_two_fit_into_eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    for braille in (True, False):
        monkeypatch.setattr(module, "unicode", lambda stream, braille=braille: braille)
        out = io.StringIO()
        Console(file=out, width=80).print(curves([LINE, LINE], 80))
        lines = out.getvalue().splitlines()
        assert len(lines) == HEIGHT + 4
        assert max(map(len, lines)) <= 80
        assert out.getvalue().isascii() == (not braille)


@pytest.mark.parametrize(("columns", "width"), [(79, 38), (77, 38), (50, 38), (38, 38), (37, 37), (30, 30), (12, 20)])
def test_narrow_terminals_have_them_one_below_the_other(columns: int, width: int) -> None:
    """Whole to the last character, as long as there is room for a number and ten more."""
    out = io.StringIO()
    Console(file=out, width=max(columns, width)).print(curves([LINE, LINE], columns))
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    beside = columns == 79
    assert len(lines) == (HEIGHT + 4 if beside else 2 * (HEIGHT + 4) + 1)
    assert max(map(len, lines)) == (79 if beside else width)
    assert [line[-1] for line in lines if line.strip().startswith("-4   ")] == ["4"] * (1 if beside else 2)


def test_a_shallow_dip_leaves_0_a_row_of_its_own() -> None:
    """gelu and its kin: the line of 0 is drawn, and the curve below it."""
    lines = plot(Curve("y", "x", X, (-0.1, -0.3, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)), braille=True)
    assert lines[HEIGHT - 1].startswith("       0 │")
    assert lines[HEIGHT].startswith("         │")
    assert lines[HEIGHT].strip(" │┈")


def test_a_flat_line_stands_above_0() -> None:
    lines = plot(Curve("lr", "k", X, (0.1,) * 9), braille=False)
    assert lines[1] == "     0.1 |" + "*" * WIDTH
    assert lines[HEIGHT] == "       0 |" + "." * WIDTH


def test_who_has_a_curve() -> None:
    """Activations with their slope, and schedules."""
    assert [c.name for c in find_parts("relu")[0].curves] == ["y", "slope dy/dx"]
    y, slope = find_parts("relu")[0].curves
    assert (y.x[0], y.x[-1], y.y[0], y.y[-1]) == (-4, 4, 0, 4)
    assert set(slope.y) == {0, 1}
    (course,) = find_parts("cosine")[0].curves
    assert (course.x[0], course.x[-1], course.y[0], course.y[-1]) == (0, 100, 0.1, 0)
    for without in ("dense", "adam", "accuracy"):
        assert find_parts(without)[0].curves == ()
    assert not any(row.curves for row in list_parts())  # a list is not the place
    for family, kind in OURS:
        found = next(r.curves for r in find_parts(kind) if r.family == family)
        assert len(found) == (2 if family == "activation" else 1)


def test_what_the_curves_show() -> None:
    """Slopes are those of the curves, of softmax beside another number; plateau falls where nothing gets better."""
    for kind in ("gelu", "tanh", "softmax"):
        y, slope = find_parts(kind)[0].curves
        assert np.allclose(np.gradient(y.y, y.x)[1:-1], slope.y[1:-1], atol=3e-3)
    y, slope = find_parts("softmax")[0].curves
    assert (y.name, slope.name, y.axis) == ("y[0]", "slope dy[0]/dx[0]", "x[0], and x[1] = 0")
    assert np.allclose(y.y, 1 / (1 + np.exp(-np.array(y.x))))
    (course,) = find_parts("plateau")[0].curves
    assert course.axis == "epochs without improvement"
    assert (course.y[20], course.y[21], course.y[41]) == (0.1, 0.05, 0.025)
