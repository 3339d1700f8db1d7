"""What a diagnosis looks like: the table of layers, symptoms with what to type, what passed, the verdict."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from bpcli.records.diagnose import DiagnoseReport, LayerStats, Remedy, Symptom
from bpcli.render.console import show
from bpcli.render.diagnose import brief, diagnosis

LAYERS = (
    LayerStats("dense_1", "dense", 0.5, 2.0, 1e-4, 0.01, 0.125, 1.0, None, None),
    LayerStats("relu_1", "relu", None, None, None, 0.02, 0.5, 0.25, 0.125, None),
    LayerStats("flatten_1", "flatten", None, None, None, 0.03, 0.0, 1.0, None, None),
)
REMEDY = Remedy(("training.epochs=9", "optimizer={type: adam}"), "train longer")
TRIED = replace(REMEDY, figure="dead units", before=0.5, after=0.25, judged="loss on train", loss_before=2.0,
                loss_after=1.0, helps=True)  # fmt: skip
BAD = Symptom("dead", "relu_1", "12% of the units are dead", "warning", "no row opens them", (REMEDY,))
FINE = Symptom("start", "", "the loss starts at ln 3", "ok")


def report(**changed: object) -> DiagnoseReport:
    plain = DiagnoseReport("iris", "as the seed draws them", "32 rows of train", 1.25, 1.0986123, LAYERS, (), 0.1, (),
                           (), 0.5)  # fmt: skip
    return replace(plain, **changed)  # type: ignore[arg-type]


def shown(capsys: pytest.CaptureFixture[str], columns: int = 80, **changed: object) -> list[str]:
    """The lines of the page."""
    show(*diagnosis(report(**changed), columns))
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, ""), (0.0, "0"), (math.inf, "inf"), (math.nan, "nan"), (0.0123456, "0.0123"), (0.01, "0.01"),
        (0.00999, "1.0e-2"), (22.49, "22.5"), (-0.5, "-0.5"), (999.4, "999"), (999.6, "1.0e3"), (1.4e-7, "1.4e-7"),
        (-29_000.0, "-2.9e4"), (3e100, "3.0e100"),
    ],
)  # fmt: skip
def test_figures_are_three_digits_in_seven_characters(value: float | None, written: str) -> None:
    assert brief(value) == written


def test_a_page_names_what_was_looked_at_and_shows_layers_that_can_be_ill(capsys: pytest.CaptureFixture[str]) -> None:
    """A layer without weights and without units that can be dead has no row; it is counted below the table."""
    assert shown(capsys) == [
        "iris: weights as the seed draws them, measured on 32 rows of train",
        "loss 1.25; the best prediction that is the same for every row has 1.09861",
        "",
        "layer    |grad|  |W|    step  error   mean   dev  dead  at ends",
        "───────────────────────────────────────────────────────────────",
        "dense_1     0.5    2  1.0e-4   0.01  0.125     1",
        "relu_1                         0.02    0.5  0.25   12%",
        "step: the first, over |W|; error: root mean square of dL/dy; mean, dev: of",
        "outputs; dead: units that no row opens; at ends: outputs where the slope is",
        "nearly 0",
        "and 1 layer without weights or a flat end (all: --json)",
        "",
        "nothing found, in 0.50 s",
    ]
    two = shown(capsys, layers=(*LAYERS, replace(LAYERS[2], layer="flatten_2")))
    assert "and 2 layers without weights or a flat end (all: --json)" in two
    none = "\n".join(shown(capsys, layers=LAYERS[1:2]))
    assert "flat end" not in none
    assert "step: the first" not in none, "no layer of the table takes a step"


def test_symptoms_come_with_what_to_type_and_after_them_what_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    notice = replace(BAD, level="notice", check="rate", place="", why="", cures=())
    lines = shown(capsys, symptoms=(BAD, notice, FINE), notes=("how it ends: no run", "a note"), tried="9 steps each")
    assert lines[lines.index("warning  dead, relu_1") :] == [
        "warning  dead, relu_1",
        "  12% of the units are dead",
        "  no row opens them",
        "    --set training.epochs=9 \\",
        "    --set 'optimizer={type: adam}'",
        "      train longer",
        "",
        "notice  rate",
        "  12% of the units are dead",
        "",
        "ok  start  the loss starts at ln 3",
        "",
        "tried: 9 steps each",
        "not looked at: how it ends: no run",
        "a note",
        "1 warning and 1 notice, in 0.50 s",
    ]
    assert shown(capsys, symptoms=(BAD, BAD))[-1] == "2 warnings, in 0.50 s"
    assert shown(capsys, symptoms=(notice, notice))[-1] == "2 notices, in 0.50 s"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "tried: dead units: 0.5 -> 0.25; loss on train: 2 -> 1; it helps"),
        ({"helps": False}, "tried: dead units: 0.5 -> 0.25; loss on train: 2 -> 1; it does not help"),
        ({"loss_after": 1.95}, "tried: dead units: 0.5 -> 0.25; loss on train: 2 -> 1.95; it remedies this, and does "
                               "not lower the loss by itself"),
        ({"loss_after": 1.89}, "tried: dead units: 0.5 -> 0.25; loss on train: 2 -> 1.89; it helps"),
        ({"before": None}, "tried: loss on train: 2 -> 1; it helps"),
        ({"after": None}, "tried: loss on train: 2 -> 1; it helps"),
        ({"loss_before": math.nan}, "tried: dead units: 0.5 -> 0.25; loss on train: diverges -> 1; it helps"),
        ({"note": "it needs --data"}, "it needs --data"),
    ],
)  # fmt: skip
def test_what_a_remedy_did_is_said_below_it(
    changed: dict[str, object], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    remedy = replace(TRIED, **changed)  # type: ignore[arg-type]
    lines = shown(capsys, 100, symptoms=(replace(BAD, cures=(remedy,)),))
    start = lines.index("      train longer") + 1
    assert " ".join(line.strip() for line in lines[start : lines.index("", start)]) == said
    assert all(line.startswith("      ") for line in lines[start : lines.index("", start)])


def test_a_remedy_that_was_not_tried_says_nothing_of_an_effect(capsys: pytest.CaptureFixture[str]) -> None:
    assert not any("tried" in line for line in shown(capsys, symptoms=(BAD,)))


def test_text_is_wrapped_at_the_width_and_never_beyond_a_hundred(capsys: pytest.CaptureFixture[str]) -> None:
    long = replace(BAD, figure="word " * 80)
    for columns, width in ((60, 60), (80, 80), (200, 100)):
        lines = [line for line in shown(capsys, columns, symptoms=(long,)) if "word" in line]
        assert max(map(len, lines)) <= width < max(map(len, lines)) + len(" word")
        assert all(line.startswith("  word") for line in lines)


def test_the_two_plots_show_the_range_test_and_the_batch_by_heart(capsys: pytest.CaptureFixture[str]) -> None:
    """A loss that explodes is drawn no higher than twice the first."""
    lines = shown(capsys, rates=((1e-3, 1.0), (1e-2, 0.5), (0.1, math.inf)), overfit=(3.0, 100.0, 1.0))
    text = "\n".join(lines)
    assert "loss, as the rate grows" in text
    assert "log10 of the learning rate" in text
    assert "loss of one batch, by heart" in text
    top = lines[next(i for i, line in enumerate(lines) if "as the rate grows" in line) + 1]
    assert top.split()[0] == "2"
    assert "6" in top.split(), "twice the first loss of the batch"
    ticks = next(line for line in lines if "└" in line)
    below = lines[lines.index(ticks) + 1].split()
    assert below == ["-3", "-2", "-1", "0", "1", "2"]
    assert not any("by heart" in line for line in shown(capsys, rates=((1e-3, 1.0),), overfit=(1.0,)))
