"""What a user says of columns goes before what is found; help can be typed where there is no config yet."""

import shlex
from pathlib import Path

import numpy as np
import pytest
from cli_lab import Lab
from cli_lab import lab as lab
from init_lab import _here as _here

from bpcli.parts.data.csv.source import Csv
from bpcli.parts.data.parquet import Parquet
from bpcli.records.training import Failure, Problem
from bpcli.studies.init.init import write_config
from bpcli.studies.init.options import ColumnOptions, as_options
from bpcli.studies.run.setup import set_up

ROWS = "".join(f"{i},{i % 7},{i % 3},{i * 7 % 11},{'ab'[i % 2]}\n" for i in range(60))


def config(**options: object) -> str:
    Path("a.csv").write_text("id,n,same id,x,y\n" + ROWS)
    return write_config("a.csv", ["y"], None, Path("-"), options=ColumnOptions(**options)).text  # type: ignore[arg-type]


def test_options_go_before_what_is_found() -> None:
    assert "drop: [id]" in config()
    kept = config(number=("id", "same id"), text=("n",), drop=("x",))
    assert "drop: [x]" in kept
    assert 'text: ["n"]' in kept
    assert "    columns:\n      id: {kind: number}\n      same id: {kind: number}\n    missing:" in kept
    assert "# Made by `bpcli init a.csv --target y --text n --number id --number 'same id' --drop x`" in kept


@pytest.mark.parametrize(
    "options", [{"text": ("n",), "number": ("n",)}, {"drop": ("n",), "text": ("n",)}, {"text": ("y",)}]
)
def test_two_options_about_a_column_are_refused(options: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(Failure, match="contradict"):
        config(**options)


def test_marks_are_for_text_files() -> None:
    marks = ColumnOptions(decimal=",")
    assert marks.applied(Csv(path="a.csv")).decimal == ","  # type: ignore[attr-defined]
    with pytest.raises(Failure, match="there is no text for --decimal"):
        marks.applied(Parquet(path="a.parquet"))


def test_options_need_columns() -> None:
    import numpy as np

    np.savez("b.npz", x=np.zeros((60, 3)), t=np.arange(60) % 2)
    with pytest.raises(Failure, match="no columns with names"):
        write_config(
            "{type: npz, path: b.npz, inputs: x, targets: t}", [], None, None, options=ColumnOptions(drop=("x",))
        )


@pytest.mark.parametrize(
    ("help", "typed"),
    [
        ("write `drop: [a b]`", "write `--drop 'a b'`"),
        ("write `text: [zip, id]`", "write `--text zip --text id`"),
        ('add `decimal: ","`', 'add `--decimal ","`'),
        ("add `date_order: dmy`", "add `--date-order dmy`"),
        ("add `encoding: latin-1`", "add `bpcli init '{type: csv, path: a.csv, encoding: latin-1}' --target y`"),
        ('write `text: ["a,b", "-x", c d]`', "write `--text a,b --text=-x --text 'c d'`"),
        ("write `text: [y]`", "write `--task classify`"),
        ("add `target: <column>`; the columns are a", "add `--target <column>`; the columns are a"),
        ("the columns are `a` and `b`", "the columns are `a` and `b`"),
    ],
)
def test_settings_become_options(help: str, typed: str) -> None:
    failure = as_options(Failure(Problem("text", "code", help=help)), "a.csv", " --target y", ("y",))
    assert failure.problems[0].help == typed


def test_a_setting_is_one_of_a_source_of_the_kind_that_reads_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    failure = Failure(Problem("text", "code", help="write `skip_bad: true`"))
    for data, kind in (("photos", "images"), ("a.npy", "npy"), ("a.parquet", "parquet"), ("a.txt", "csv")):
        said = as_options(failure, data, "").problems[0].help
        assert said == f"write `bpcli init '{{type: {kind}, path: {data}, skip_bad: true}}'`"


def test_a_setting_is_added_to_a_source_that_is_spelled_out() -> None:
    failure = Failure(Problem("text", "code", help="add `encoding: latin-1`"))
    said = as_options(failure, "{type: csv, path: a.csv}", " --target y").problems[0].help
    assert said == "add `bpcli init '{type: csv, path: a.csv, encoding: latin-1}' --target y`"


@pytest.mark.parametrize(
    ("more", "setting", "said"),
    [
        ("missing_values: [oops]", "missing_values: [n.b.]", "missing_values: [oops, n.b.]"),
        ("missing_values: []", "missing_values: [no]", "missing_values: [no]"),
        ("columns: {x: {missing_values: [3]}}", "missing_values: [no]", None),
        ("columns: {x: {unit: m}}", "columns: {x: {kind: text}}", "columns: {x: {unit: m, kind: text}}"),
        ("columns: {x: {unit: kg}}", "columns: {y: {unit: m}}", "columns: {x: {unit: kg}, y: {unit: m}}"),
        ("encoding: ascii", "encoding: latin-1", "encoding: latin-1"),
    ],
)  # fmt: skip
def test_a_setting_that_is_there_already_is_merged(more: str, setting: str, said: str | None) -> None:
    failure = as_options(Failure(Problem("text", "code", help=f"add `{setting}`")), f"{{path: a.csv, {more}}}", "")
    expected = f"{more}, {setting}" if said is None else said
    assert failure.problems[0].help == f"add `bpcli init '{{path: a.csv, {expected}}}'`"


def test_the_schema_is_written_beside_and_never_over_another() -> None:
    config()
    assert not Path("bpcli.schema.json").exists()
    first = write_config("a.csv", ["y"], None, None)
    schema = Path("bpcli.schema.json")
    assert first.text.startswith(f"# yaml-language-server: $schema=./{schema}\n")
    assert '"$defs"' in schema.read_text()
    schema.write_text("mine")
    write_config("a.csv", ["y"], None, None, force=True)
    assert schema.read_text() == "mine"


def test_a_printed_config_names_a_schema_that_exists() -> None:
    line = config().splitlines()[0]
    assert Path(line.rpartition("=")[2]).is_file()


def test_whole_numbers_taken_for_classes_are_said() -> None:
    Path("c.csv").write_text("x,y\n" + "".join(f"{i * i % 97},{i % 4}\n" for i in range(200)))
    said = "# the whole numbers of `y`, 0 to 3, are taken for 4 classes; `--task regress` predicts them as numbers"
    assert said in write_config("c.csv", ["y"], None, Path("-")).text
    assert "are taken for" not in write_config("c.csv", ["y"], "classify", Path("-")).text


def test_a_word_among_the_numbers_of_a_target_is_settled_by_what_the_help_says() -> None:
    Path("w.csv").write_text("x,y\n" + "".join(f"{i * i % 97},{'big' if i == 3 else i % 4}\n" for i in range(200)))
    with pytest.raises(Failure) as caught:
        write_config("w.csv", ["y"], None, Path("-"))
    help = caught.value.problems[0].help
    assert help.endswith("if the column holds text, write `--task classify`")
    assert "missing_values: [big]" in help
    assert "units: 5}" in write_config("w.csv", ["y"], "classify", Path("-")).text
    assert "units: 4}" in write_config("{type: csv, path: w.csv, missing_values: [big]}", ["y"], None, Path("-")).text


def test_years_are_names_where_the_target_is_one_of_them() -> None:
    rows = "".join(f"{i},{i * i % 97},{i % 7 + 0.5}\n" for i in range(60))
    Path("h.csv").write_text("2019,2020,2021\n" + rows)
    assert "header: true" in write_config("h.csv", ["2021"], None, Path("-")).text
    assert "header: false" in write_config("h.csv", ["2"], None, Path("-")).text
    with pytest.raises(Failure, match="target: the file has no column `2022`") as caught:
        write_config("h.csv", ["2022"], None, Path("-"))
    assert "the columns are 0, 1, 2" in caught.value.problems[0].help


@pytest.mark.parametrize("gap", ["N.A.", "nil", "-", "?"])
def test_gaps_among_numbers_that_name_classes_are_no_class(gap: str) -> None:
    rows = "".join(f"{i * i % 97},{gap if i % 9 == 4 else ('01', '1', '2')[i % 3]}\n" for i in range(200))
    Path("g.csv").write_text("x,y\n" + rows)
    text = write_config("g.csv", ["y"], None, None).text
    assert "units: 3}" in text
    found = set_up(Path("g.yaml")).prepared.preprocessor.classes
    assert found == ("01", "1", "2")


def test_numbers_found_to_be_gaps_join_those_that_are_said() -> None:
    Path("d.csv").write_text("x,y\n" + "".join(f"{-999 if i % 9 == 0 else i % 7},{i * 7 % 50}\n" for i in range(200)))
    data = "{type: csv, path: d.csv, columns: {x: {missing_values: [3], unseen: ignore}}}"
    written = write_config(data, ["y"], None, Path("d.yaml"))
    assert 'x: {missing_values: ["3", -999], unseen: ignore}' in written.text
    assert set_up(Path("d.yaml")).prepared.columns[0].low == 0


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (("01", "1", "02"), ["the labels `01` and `1` of `y` are equal as numbers, and stay 2 classes"]),
        (
            ("1", "1.0", "2"),
            [
                "the whole numbers of `y`, 1 to 2, are taken for 3 classes, each as it is written; `--task regress`",
                "the labels `1` and `1.0` of `y` are equal as numbers, and stay 2 classes",
            ],
        ),
        (("Yes", "yes", "no"), ["the labels `Yes` and `yes` of `y` differ by capitals or spaces alone"]),
        (("Yes", "no", "some"), []),
    ],
)
def test_labels_that_are_alike_are_said_and_what_is_said_can_be_typed(labels: tuple[str, ...], said: list[str]) -> None:
    Path("e.csv").write_text("x,y\n" + "".join(f"{i * i % 97},{labels[i % 3]}\n" for i in range(150)))
    written = write_config("e.csv", ["y"], None, Path("-"))
    remarks = [line.removeprefix("# ") for line in written.text.splitlines()[3:] if line.startswith("# the ")]
    assert [remark[: len(start)] for remark, start in zip(remarks, said, strict=True)] == said
    if "--task regress" in written.text:
        write_config("e.csv", ["y"], "regress", Path("-"))


@pytest.mark.parametrize(
    ("data", "options", "said"),
    [
        ("a.csv", ColumnOptions(drop=("y",)), "column `y` is both in target and in drop"),
        ("a.csv", ColumnOptions(thousands=",", decimal=","), "`,` cannot stand both"),
        ("{type: csv, path: a.csv, weight: x}", ColumnOptions(drop=("x",)), "`x` is both the weight and in drop"),
        ("{type: csv, path: a.csv, text: [n]}", ColumnOptions(number=("n",)), "`n` is in text, and its kind is number"),
        ("{type: csv, path: a.csv, drop: [n]}", ColumnOptions(text=("n",)), "`n` is said to be two things"),
    ],
)
def test_options_that_contradict_the_data_are_refused_where_they_were_typed(
    data: str, options: ColumnOptions, said: str
) -> None:
    """Not in a config that does not exist yet."""
    config()
    with pytest.raises(Failure) as refused:
        write_config(data, ["y"], None, None, options=options)
    (problem,) = refused.value.problems
    assert said in problem.text
    assert (problem.code, problem.file, problem.path) == ("options", "", ())
    assert problem.help


def test_what_else_is_said_of_a_column_of_numbers_stays() -> None:
    config()
    data = "{type: csv, path: a.csv, columns: {x: {missing_values: [3]}}}"
    written = write_config(data, ["y"], None, Path("-"), options=ColumnOptions(number=("x",)))
    assert 'x: {kind: number, missing_values: ["3"]}' in written.text


@pytest.mark.parametrize("option", ["text", "number", "drop"])
def test_a_column_that_is_not_there_is_named_with_its_option(option: str) -> None:
    with pytest.raises(Failure, match=f"--{option}: the file has no column `nope`"):
        config(**{option: ("nope",)})


def test_a_number_of_a_target_that_stands_for_no_value_is_a_gap(lab: Lab) -> None:
    rows = "".join(f"{x},{-999 if i % 12 == 0 else 2 * x + 0.5}\n" for i, x in enumerate(np.sin(np.arange(120.0))))
    lab.write("a.csv", f"x,y\n{rows}")
    said = lab.good("init", "a.csv", "--target", "y")
    assert "`y`: -999 stands far apart from all other values, in 10 of 120 rows" in said.out + said.err
    checked = lab.good("check", "a.yaml")
    assert "10 rows are left out" in checked.err
    assert "[sentinel]" not in checked.err
    Path("b.yaml").write_text("data: {train: {type: csv, path: a.csv, target: y}}\n"
                              "architecture: [{type: dense, units: 1}]\nloss: mean_squared_error\n")  # fmt: skip
    line = "columns: {y: {missing_values: [-999], missing: drop}}"
    assert f"write `{line}` in the train source" in lab.good("check", "b.yaml").err
    assert (
        "10 rows are left out" in lab.good("check", "b.yaml", "--set", f"data.train.{line.replace(': ', '=', 1)}").err
    )


def test_a_label_that_looks_like_no_value_is_said_with_what_to_type(lab: Lab) -> None:
    lab.write("a.csv", "x,y\n" + "".join(f"{i * 7 % 11},{('cat', 'dog', '-')[i % 3]}\n" for i in range(90)))
    done = lab.good("init", "a.csv", "--target", "y")
    (said,) = (line for line in done.err.splitlines() + done.out.splitlines() if "if it stands for no value" in line)
    assert said.startswith("the label `-` of `y` is a class: ")
    words = shlex.split(said.split("`")[-2])
    assert "`y` as 2 classes" in "".join(lab.good(*words[1:], "--force").out)


def test_a_mistyped_whole_number_of_a_target_is_said_by_init_and_check(lab: Lab) -> None:
    prices = [100 + i * 37 % 90 for i in range(200)]
    prices[50] *= 100
    lab.write("a.csv", "x,y\n" + "".join(f"{p + i % 3},{p}\n" for i, p in enumerate(prices)))
    done = lab.good("init", "a.csv", "--target", "y")
    far = f"`y`: {prices[50]} lies far off from all others"
    assert far in done.out + done.err
    assert f"column `y`: a train row has {prices[50]}" in lab.good("check", "a.yaml").err
    classes = "x,y\n" + "".join(f"{i % 7},{9000 if i % 100 == 0 else i % 3}\n" for i in range(400))
    lab.write("b.csv", classes)
    assert "far off" not in lab.good("init", "b.csv", "--target", "y", "--task", "classify").out
    assert "column `y`" not in lab.good("check", "b.yaml").err
