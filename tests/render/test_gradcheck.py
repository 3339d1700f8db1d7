"""What a gradient check looks like: tensors with their gaps and bars, the algebra, batches, what is wrong, verdicts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bpcli.records.gradcheck import Finding, GradcheckReport, LawRow, LayerLaws, PartVerdict, TensorRow
from bpcli.render.console import show
from bpcli.render.gradcheck import gradcheck_report, part_table

ROW = TensorRow(
    "layer", "dense_1.dW", 12, 12, 3e-16, (1, 2), 0.123456789, 0.123456788, "equations", "random", "ok",
    {"equations": 3e-16, "derived": 1e-16, "complex step": 2e-16, "differences": 1e-9}, "",
    {"equations": 1e-12, "derived": 1e-12, "complex step": 1e-11, "differences": 1e-7},
)  # fmt: skip
LOSS = replace(ROW, scope="loss", tensor="loss.dx", gaps={"equations": 0.0}, bars={"equations": 1e-12}, index=())
LAWS = LayerLaws("dense_1", (1, 7, 32), {"training": 2e-16, "evaluation": 0.0}, {}, 3e-8, True, True, None)
REPORT = GradcheckReport(
    "iris", "random", "iris.csv", 3, 1234, ("random", "trained"), 7, (ROW, LOSS),
    (LawRow("batch", True, 0.0), LawRow("float32", True, 3e-7), LawRow("linear", None, 0.0)), (), (), 5678, 0.91,
)  # fmt: skip


def shown(report: GradcheckReport, capsys: pytest.CaptureFixture[str]) -> list[str]:
    show(*gradcheck_report(report))
    return capsys.readouterr().out.splitlines()


def test_a_row_a_tensor_under_what_was_checked(capsys: pytest.CaptureFixture[str]) -> None:
    """In eighty columns the worse of the exact witnesses has one column, with the loosest bar of the two."""
    assert shown(REPORT, capsys) == [
        "iris: 1,234 parameters, weights random",
        "3 rows, of iris.csv; float64; seed 7",
        "points: random, trained",
        "gap/bar: exact, to equations, stated and derived, and complex steps; diffs, to differences",
        "",
        "tensor                    exact      diffs  at     kernel  verdict",
        "──────────────────────────────────────────────────────────────────",
        "- each layer alone",
        "dense_1.dW          3e-16/1e-11  1e-9/1e-7  [1,2]  0.1235  ok",
        "- the loss",
        "loss.dx                 0/1e-12          -         0.1235  ok",
        "",
        "algebra  batch = mean of rows ✓   float32 3e-07 ✓   linear -",
        "",
        "all 2 gradients are right; 5,678 evaluations, 0.91 s",
    ]


def test_a_wide_table_has_a_column_for_each_witness(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bpcli.render.gradcheck.console_width", lambda: 118)
    some = replace(ROW, entries=36, of=12_000, tensor="a_layer_with_a_very_long_name_1.dW")
    few = replace(ROW, entries=4, of=20_000, note="along a direction")
    lines = shown(replace(REPORT, tensors=(ROW, some, few)), capsys)
    words = "of the kernel to the equations as stated and as derived, to complex steps through them, and to differences"
    assert lines[3] == f"gap/bar: {words}"
    table = [line.split() for line in lines[5:11]]
    assert table[0] == ["tensor", "seen", "equations", "derived", "complex", "step", "differences", "at", "kernel",
                        "witness", "verdict"]  # fmt: skip
    gaps = ["3e-16/1e-12", "1e-16/1e-12", "2e-16/1e-11", "1e-9/1e-7"]
    assert table[3] == ["dense_1.dW", "12", *gaps, "[1,2]", "0.123457", "0.123457", "ok"]
    assert table[4][:2] == ["a_layer_with_a_very_l...", "0.003"]
    assert table[5] == ["dense_1.dW", "0.0002", *gaps, "0.123457", "0.123457", "ok"], "a direction has no index"
    assert "1%" in shown(replace(REPORT, tensors=(replace(ROW, entries=12, of=1200),)), capsys)[8]


def test_gradients_from_elsewhere_stand_beside_ours(capsys: pytest.CaptureFixture[str]) -> None:
    row = replace(ROW, scope="external", tensor="loss", gaps={"bpcli": 2e-7}, bars={}, kernel=1.5, numeric=1.25,
                  entries=5, of=5)  # fmt: skip
    lines = shown(replace(REPORT, tensors=(row,), laws=(), evaluations=0), capsys)
    assert lines == [
        "iris: 1,234 parameters, weights random",
        "3 rows: iris.csv; float64",
        "",
        "tensor  seen  gap/bar  at     theirs  ours  verdict",
        "───────────────────────────────────────────────────",
        "loss       5     2e-7  [1,2]     1.5  1.25  ok",
        "",
        "all 1 gradients are right",
    ]


def test_what_each_layer_obeys_in_batches(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    seeing = replace(LAWS, layer="batch_norm_1", alone={"training": None, "evaluation": None}, rows=(2, 7),
                     beside={"training": ("equations", 1e-15), "evaluation": ("differences", 0.0)}, float32=0.0,
                     calls=False, note="not at 33 rows")  # fmt: skip
    lines = shown(replace(REPORT, layers=(LAWS, seeing), laws=()), capsys)
    start = lines.index("- each layer alone, in batches of 1, 2, 7, 32 rows")
    assert lines[start + 1].startswith("training, evaluation: gap of a batch to its rows alone")
    assert lines[start + 6 : start + 11] == [
        "layer          training  evaluation  float32  dy  calls  threads",
        "────────────────────────────────────────────────────────────────",
        "dense_1           2e-16           0    3e-08  ✓   ✓      -",
        "batch_norm_1  eqs 1e-15     diffs 0        0  ✓   ✗      -",
        "note: batch_norm_1: not at 33 rows",
    ]
    long = replace(LAWS, layer="x" * 50)
    for columns, width in ((110, 40), (109, 24)):
        monkeypatch.setattr("bpcli.render.gradcheck.console_width", lambda columns=columns: columns)
        assert any(
            line.startswith("x" * (width - 3) + "...") for line in shown(replace(REPORT, layers=(long,)), capsys)
        )


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({}, "at the random point, the kernel gives 0.123457 at [1,2], the equations 0.123457"),
        ({"point": "data"}, "with weights as they are, the kernel gives 0.123457 at [1,2], the equations 0.123457"),
        ({"shape": (4, 2)}, "at the random point on rows of shape (4, 2), the kernel gives"),
        ({"point": "33 rows"}, "with 33 rows, the kernel gives"),
        ({"point": "33 rows", "shape": (4,)}, "with 33 rows, rows of shape (4,), the kernel gives"),
        ({"index": ()}, "at the random point, the kernel gives 0.123457, the equations"),
        ({"witness": "differences"}, "the central differences 0.123457"),
        ({"witness": "rows alone"}, "the row alone 0.123457"),
        ({"witness": "complex step"}, "the complex step 0.123457"),
    ],
)
def test_a_finding_says_where_and_by_which_numbers(
    changed: dict[str, Any], where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    row = replace(ROW, verdict="WRONG", **changed)
    lines = shown(replace(REPORT, tensors=(row,), findings=(Finding(row.tensor, "twice", "it is twice"),)), capsys)
    at = next(i for i, line in enumerate(lines) if where in line)
    assert lines[at].startswith("dense_1.dW  ")
    assert lines[at + 1] == "  it is twice"
    assert lines[-1] == "WRONG: dense_1.dW; 5,678 evaluations, 0.91 s"


def test_a_finding_about_no_tensor_of_the_table_is_said_without_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    outside = replace(ROW, scope="external", verdict="WRONG")
    for rows in ((ROW,), (outside,)):
        lines = shown(replace(REPORT, tensors=rows, findings=(Finding("dense_1.dW", "x", "it is odd"),)), capsys)
        assert "dense_1.dW  it is odd" in lines


def test_verdicts(capsys: pytest.CaptureFixture[str]) -> None:
    def last(**changed: Any) -> str:
        return shown(replace(REPORT, **changed), capsys)[-1]

    assert last(tensors=()) == "nothing was compared"
    assert last(tensors=(replace(ROW, verdict="kink"), LOSS)).startswith("no gradient is wrong, of 2; ")
    assert last(tensors=(replace(ROW, verdict="follows"), LOSS)).startswith("all 2 gradients are right; ")
    assert last(tensors=(ROW, replace(ROW, point="trained"))).startswith("all 1 gradients are right; ")
    unproven = last(tensors=(replace(ROW, verdict="not covered"),))
    assert unproven.startswith("NOT PROVEN: some gradients could not be judged; ")
    assert last(laws=(LawRow("batch", False, 1.0),)).startswith("WRONG: batch; ")
    notes = shown(replace(REPORT, notes=("one", "two")), capsys)
    assert notes[-4:-1] == ["note: one", "note: two", ""]


def test_parts_stand_by_family_with_the_worst_of_their_gaps(capsys: pytest.CaptureFixture[str]) -> None:
    row = PartVerdict(family="loss", type="mse", source="", samples=3, comparisons=1200, worst=0.0625, tensor="dx",
                      witness="equations", verdict="ok")  # fmt: skip
    others = [replace(row, type=t, family=f) for t, f in (("adam", "optimizer"), ("relu", "activation"),
              ("l2", "penalty"), ("conv", "layer"), ("a_dense", "layer"), ("sgd", "clipper"))]  # fmt: skip
    show(*part_table([row, *others]))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["part", "family", "cases", "compared", "worst", "tensor", "against", "verdict"]
    assert [line.split()[0] for line in lines[2:9]] == ["a_dense", "conv", "relu", "mse", "l2", "sgd", "adam"]
    assert lines[5].split() == ["mse", "loss", "3", "1200", "0.06", "dx", "equations", "ok"]
    assert lines[-1] == "all 7 parts are right, in 8,400 comparisons"
    show(*part_table([row, replace(row, type="a", verdict="not covered", notes=("only 3 rows",))]))
    assert capsys.readouterr().out.splitlines()[-2:] == ["note: only 3 rows", "NOT PROVEN: a"]
    show(*part_table([row, replace(row, type="a", verdict="WRONG"), replace(row, type="b", verdict="not covered")]))
    assert capsys.readouterr().out.splitlines()[-1] == "WRONG: a"
