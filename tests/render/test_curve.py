"""Small plots: in dots and in plain characters, and which parts have one."""

import io

import pytest
from rich.console import Console

from bpcli.records import Curve
from bpcli.render import curve as module
from bpcli.render.curve import HEIGHT, LABELS, WIDTH, curves, plot
from bpcli.studies.catalog import catalog, named

X = tuple(float(i) for i in range(-4, 5))
LINE = Curve("y", "x", X, X)


def test_a_straight_line_in_plain_characters() -> None:
    assert [line.rstrip() for line in plot(LINE, fine=False)] == [
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
    lines = plot(LINE, fine=True)
    assert lines[1].startswith("       4 │ ")
    assert lines[1].rstrip()[-1] in "⡠⠊⠔⠉⠁"
    assert lines[HEIGHT].startswith("      -4 │")


@pytest.mark.parametrize("fine", [True, False])
@pytest.mark.parametrize("y", [(0.0,) * 4 + (1.0,) * 5, X, tuple(v * v for v in X), (1e-9, 5e4, -3.0), (1.0, 1.0)])
def test_every_curve_is_whole(y: tuple[float, ...], fine: bool) -> None:
    """No column is empty, no line is longer than its place, and the ends are told."""
    lines = plot(Curve("y", "x", tuple(map(float, range(len(y)))), y), fine)
    assert len(lines) == HEIGHT + 4
    assert max(map(len, lines)) <= LABELS + 2 + WIDTH
    canvas = [line[LABELS + 2 :].ljust(WIDTH) for line in lines[1 : HEIGHT + 1]]
    for column in zip(*canvas, strict=True):
        assert set(column) - set(" ┈.")
    assert lines[1].split()[0] == f"{max(y):.3g}"


def test_steep_ends_are_joined() -> None:
    jump = plot(Curve("y", "x", X, (0.0,) * 4 + (1.0,) * 5), fine=False)
    assert all("*" in line for line in jump[1 : HEIGHT + 1])


def test_two_fit_into_eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    for fine in (True, False):
        monkeypatch.setattr(module, "unicode", lambda stream, fine=fine: fine)
        out = io.StringIO()
        Console(file=out, width=80).print(curves([LINE, LINE]))
        lines = out.getvalue().splitlines()
        assert len(lines) == HEIGHT + 4
        assert max(map(len, lines)) <= 80
        assert out.getvalue().isascii() == (not fine)


def test_who_has_a_curve() -> None:
    """Activations with their slope, schedules; not what is flat."""
    assert [c.name for c in named("relu")[0].curves] == ["y", "slope dy/dx"]
    y, slope = named("relu")[0].curves
    assert (y.x[0], y.x[-1], y.y[0], y.y[-1]) == (-4, 4, 0, 4)
    assert set(slope.y) == {0, 1}
    (course,) = named("cosine")[0].curves
    assert (course.x[0], course.x[-1], course.y[0], course.y[-1]) == (0, 100, 0.1, 0)
    for flat in ("constant", "softmax", "dense", "adam", "accuracy"):
        assert named(flat)[0].curves == ()
    assert not any(row.curves for row in catalog())
