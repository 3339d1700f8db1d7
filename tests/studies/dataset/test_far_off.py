"""How far numbers run, which lie far off, and columns that are all but constant."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cli_lab import Lab
from cli_lab import lab as lab

from bpcli.family import Scaler, Table
from bpcli.studies.dataset.far_off import far_cells, limits_of, nearly_constant
from bpcli.studies.dataset.fit import fit_preprocessor
from bpcli.studies.evaluation.predict import predict
from bpcli.studies.run import model, modelfile

TAILS = {
    "uniform": lambda rng, n: rng.uniform(3, 9, n).round(2),
    "normal": lambda rng, n: rng.normal(75, 12, n).round(1),
    "lognormal": lambda rng, n: rng.lognormal(0, 2, n),
    "power law": lambda rng, n: rng.pareto(1.5, n),
    "cauchy": lambda rng, n: rng.standard_cauchy(n),
    "rare": lambda rng, n: rng.poisson(0.05, n).astype(float),
    "counts": lambda rng, n: rng.poisson(10, n).astype(float),
    "mostly 0": lambda rng, n: rng.exponential(size=n) * (rng.random(n) < 0.05),
    "ratings": lambda rng, n: rng.integers(1, 6, n).astype(float),
}


def outside(limits: tuple[float, ...], values: object) -> int:
    return int(((values < limits[0]) | (values > limits[3])).sum())  # type: ignore[operator]


@pytest.mark.parametrize("tail", TAILS)
def test_rows_to_come_are_seldom_far_off(tail: str) -> None:
    """Of 60 columns of 300 rows, at most 3 have a number far off among the 90 rows that are held out."""
    rng = np.random.default_rng(len(tail))
    columns = [TAILS[tail](rng, 300) for _ in range(60)]
    assert sum(outside(limits_of(c[:210]), c) > 0 for c in columns) <= 3


@pytest.mark.parametrize("tail", ["uniform", "normal"])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_cell_with_a_digit_too_many_is_far_off_wherever_it_stands(tail: str, sign: int) -> None:
    """Among the rows that teach the limits it does not widen them; several do not hide each other."""
    rng = np.random.default_rng(5)
    for many in (1, 3):
        clean = TAILS[tail](rng, 500)
        mistyped = sign * clean
        mistyped[:many] *= 10
        limits = limits_of(mistyped)
        assert outside(limits, mistyped) == many
        assert limits[1:3] == ((clean[many:].min(), clean[many:].max()) if sign > 0 else
                               (-clean[many:].max(), -clean[many:].min()))  # fmt: skip


def test_limits_are_ordered_and_finite_or_not_there() -> None:
    assert limits_of(np.array([])) == limits_of(np.array([np.nan])) == ()
    assert limits_of(np.array([1e308, -1e308])) == ()
    for values in ([3.0], [3.0] * 100, [0.0] * 99 + [1.0], list(range(50)), [np.nan, 1.0, 2.0]):
        limits = limits_of(np.array(values, float))
        assert list(limits) == sorted(limits)
        assert limits[1:3] == (np.nanmin(values), np.nanmax(values))
    rng = np.random.default_rng(2)
    many = rng.normal(size=450_000)
    assert limits_of(many)[0] < many.min() < many.max() < limits_of(many)[3]


def table(x: object, y: object) -> Table:
    numbers = np.asarray(x, float).reshape(-1, 1)
    return Table(numbers, {}, ("x",), ("x",), np.asarray(y, float).reshape(-1, 1), ("y",), "table")


def test_only_training_rows_teach_the_limits() -> None:
    rng = np.random.default_rng(1)
    x = rng.uniform(3, 9, 200)
    none = Scaler.parse("none")
    found = []
    for odd in (5.0, 5e6):
        x[150] = odd
        found.append(fit_preprocessor(table(x, x), np.arange(150), "none", none, none).columns)
    assert found[0] == found[1]
    assert [c.row for c in far_cells(found[0], table(x, x))] == [150]
    assert not far_cells(found[0], table(x, x), np.arange(150))


@pytest.mark.parametrize("scaler", ["standardize", "minmax", "robust"])
def test_a_column_that_is_all_but_constant_is_not_blown_up(scaler: str) -> None:
    rng, none = np.random.default_rng(1), Scaler.parse("none")
    for spread, tamed in ((1e-9, True), (1e-7, True), (1e-4, False)):
        x = 5 + spread * rng.uniform(size=100)
        got = fit_preprocessor(table(x, x * 3 + 1), np.arange(100), "none", Scaler.parse(scaler), none)
        encoded = got.encode_inputs(table([5.5] * 2, [1, 2]), np.float64)
        assert (np.abs(encoded) <= 1).all() == tamed
    assert nearly_constant(1e-9, -3.0)
    assert not nearly_constant(0.0, 3.0)
    assert not nearly_constant(1e-9, 0.0)


def rows(lab: Lab, n: int = 400, typo: int | None = None) -> None:
    rng = np.random.default_rng(3)
    lines = [f"{a:.2f},{5 + b * 1e-9:.12f},{'uv'[i % 2]},{3 * a + b:.3f}"
             for i, (a, b) in enumerate(rng.uniform(3, 9, (n, 2)))]  # fmt: skip
    if typo is not None:
        lines[typo] = "65.30" + lines[typo][4:]
    Path("t.csv").write_text("\n".join(["a,b,c,y", *lines, ""]))


def test_check_names_the_cell_predict_marks_the_row_and_eval_the_row_that_rules(lab: Lab) -> None:
    rows(lab, typo=7)
    written = lab.good("init", "t.csv", "--target", "y", "--out", "-").out
    assert "left out: all but the same in every row, within 1e-09" in written
    assert "drop: [b]" in written
    text = """data: {{train: {{type: csv, path: t.csv, target: y{}}}, test: 0.2, scale: standardize,
       scale_target: standardize}}
architecture: [{{type: dense, units: 4, activation: relu}}, {{type: dense, units: 1}}]
loss: mean_squared_error
training: {{epochs: 2}}
"""
    Path("t.yaml").write_text(text.format(""))
    said = lab.good("check", "t.yaml").err
    assert "warning: column `a`: a " in said
    assert "row has 65.3, " in said
    assert "--> t.csv:9:1" in said
    assert "column `b` is all but the same in every row: 5.000000003" in said
    Path("t.yaml").write_text(text.format(", drop: [b]"))
    lab.good("train", "t.yaml", "--out", "run")
    split = "test" if "a test row" in said else "train"
    assert "note: row 7 of its file (counted from 0) makes" in lab.good("eval", "run", "--split", split).out
    marked = lab.good("predict", "run", "--data", "t.csv", "--warn")
    assert "rows far outside of what training saw: 1 of 400" in marked.err
    lines = marked.out.splitlines()
    assert lines[0] == "y,warning"
    assert [i for i, line in enumerate(lines[1:]) if not line.endswith(",")] == [7]
    assert ",a 65.3 (3.01 to 9)" in lines[8]
    assert "warning" not in lab.good("predict", "run", "--data", "t.csv").out


def test_targets_are_looked_at_too_and_what_stands_for_no_value_is_said_once(lab: Lab) -> None:
    rng = np.random.default_rng(4)
    lines = [f"{a:.2f},{3 * a + b:.3f}" for a, b in rng.uniform(3, 9, (400, 2))]
    lines[20:23] = [f"-999,{line.split(',')[1]}" for line in lines[20:23]]
    lines[11] = lines[11].split(",")[0] + ",3000.0"
    Path("t.csv").write_text("\n".join(["a,y", *lines, ""]))
    Path("t.yaml").write_text("""data: {train: {type: csv, path: t.csv, target: y}, test: 0.2}
architecture: [{type: dense, units: 1}]
loss: mean_squared_error
""")
    said = lab.good("check", "t.yaml").err
    assert said.count("[far-off]") == 1
    assert "column `y`: a " in said
    assert "row has 3000, " in said
    assert "--> t.csv:13:" in said
    assert said.count("[sentinel]") == 1


def test_a_model_without_limits_says_so(lab: Lab) -> None:
    rows(lab)
    Path("t.yaml").write_text("""data: {train: {type: csv, path: t.csv, target: y}}
architecture: [{type: dense, units: 1}]
loss: mean_squared_error
training: {epochs: 1}
""")
    lab.good("train", "t.yaml", "--out", "run")
    tensors, meta = modelfile.read(Path("run/model.safetensors"))
    for column in meta["rules"]["columns"]:
        column.pop("limits", None)
    modelfile.write(Path("old.safetensors"), tensors, meta)
    assert all(not c.limits for c in model.load(Path("old.safetensors")).preprocessor.columns)
    found = predict(Path("old.safetensors"), "t.csv", Path(), warn=True)
    assert [w.code for w in found.warnings] == ["no-limits"]
    meta["rules"]["columns"][0]["limits"] = [3.0, 2.0, 1.0, 0.0]
    modelfile.write(Path("odd.safetensors"), tensors, meta)
    assert (
        "the settings of column `a` do not fit together" in lab.run("predict", "odd.safetensors", "--data", "t.csv").err
    )


def test_a_model_without_numbers_needs_no_limits(lab: Lab) -> None:
    lab.write("t.csv", "x,y\n" + "a,1\nb,2\na,1.5\nc,3\n" * 9)
    Path("t.yaml").write_text("""data: {train: {type: csv, path: t.csv, target: y}}
architecture: [{type: dense, units: 1}]
loss: mean_squared_error
training: {epochs: 1}
""")
    lab.good("train", "t.yaml", "--out", "run")
    said = lab.good("predict", "run", "--data", "t.csv", "--warn").err
    assert said == "note: rows far outside of what training saw: 0 of 36 [far-off]\n"


def test_a_constant_target_is_refused_once(lab: Lab) -> None:
    Path("t.csv").write_text("a,y\n" + "".join(f"{i / 7:.3f},14.62\n" for i in range(30)))
    Path("t.yaml").write_text("""data: {train: {type: csv, path: t.csv, target: y}, test: 0.2}
architecture: [{type: dense, units: 1}]
loss: mean_squared_error
""")
    for command in ("train", "check"):
        done = lab.run(command, "t.yaml")
        assert done.code == 65
        assert done.err.count("error") == 1
        assert "`y` is 14.62 in every one of the 24 training rows: there is nothing to learn" in done.err
    assert "the target `y` is 14.62 in every row" in lab.run("init", "t.csv", "--target", "y", "--force").err
