"""Claims as they are read: numbers with the digits they are written in, names by address and alias, and files that are
refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from mark_file import mark_file

from bpcli.records.trace import Mark
from bpcli.records.training import Exit, Failure
from bpcli.studies.mistakes.claims import Claim, read_claims
from bpcli.studies.trace.open import TracedRows

NET = """\
data:
  train: {type: inline, inputs: [[1, 2]], targets: [[0, 1]]}
architecture:
  - {type: dense, units: 2, activation: sigmoid, weights: [[0.1, 0.2], [0.3, -0.4]], bias: [0.5, 0.25]}
  - {type: dense, units: 2, weights: [[1.5, -0.5], [0.25, 0.75]], bias: [0.0, 0.125]}
loss: mean_squared_error
optimizer: {type: sgd, learning_rate: 0.5}
"""
WIDE = NET.replace("[[1, 2]]", "[[1, 2], [3, 4]]").replace("[[0, 1]]", "[[0, 1], [1, 0]]")


def claims(folder: Path, text: str, ending: str = "yaml") -> Path:
    file = folder / f"claims.{ending}"
    file.write_text(text, encoding="utf-8")
    return file


def one(folder: Path, text: str) -> Claim:
    (claim,) = read_claims(claims(folder, f"a: {text}\n"))
    return claim


def marked(folder: Path, text: str, net: str = NET, ending: str = "yaml") -> list[Mark]:
    (folder / "net.yaml").write_text(net, encoding="utf-8")
    rows = TracedRows(samples=(0,) if net == NET else (0, 1))
    return list(mark_file(folder / "net.yaml", rows, claims(folder, text, ending)).marks)


def refused(folder: Path, text: str, ending: str = "yaml", net: str = NET) -> Failure:
    with pytest.raises(Failure) as caught:
        marked(folder, text, net, ending)
    assert caught.value.exit is Exit.BAD_INPUT
    assert all(p.file.endswith(f"claims.{ending}") for p in caught.value.problems)
    return caught.value


# What a written number means
@pytest.mark.parametrize(
    ("text", "number", "fits"),
    [
        ("0.2689", 0.26894142137, True),
        ("0.2689", 0.26899, True),  # cut off
        ("0.2690", 0.26894142137, False),
        ("0.2689", 0.26884, False),
        ("-0.2165", -0.21650663914, True),
        ("-0.2165", 0.21650663914, False),
        ("0.27", 0.26894142137, True),
        ("0.3", 0.26894142137, True),
        ("-1", -0.7310585786, False),  # a whole number is meant
        ("1", 1.0, True),
        ("1.0", 0.97, True),
        ("123456", 123456.4, True),  # six digits of it
        ("2.7e-3", 0.00269, True),
        ("2.7e-3", 0.0028, False),
        ("2.7e-3", 0.0027999, True),
        ("0", 1e-18, True),
        ("0.0", 0.04, True),
        ("0.00", -0.012, False),
        ("0.3249624726231763", 0.3249624726231763, True),
        ("0.3249624726231763", 0.3249624727, True),  # a calculator's last digits
        ("0.3249624726231763", 0.3249624826, False),
        ("{value: 0.5, tolerance: 0.01}", 0.509, True),
        ("{value: 0.5, tolerance: 0.01}", 0.511, False),
        ("{value: 0.5, tolerance: 0}", 0.5, True),
        ("'\u22120.5'", -0.5, True),  # the minus sign that traces print
        ('"0.50"', 0.509, True),
        ("0x10", 16.0, True),
    ],
)
def test_a_number_is_meant_to_its_last_digit(text: str, number: float, fits: bool, tmp_path: Path) -> None:
    assert one(tmp_path, text).fits(number, 1e-15) is fits


def test_digits_are_those_that_say_something(tmp_path: Path) -> None:
    assert [one(tmp_path, t).digits for t in ("0.0760", "-12.5", "1e-3", "2.50e4")] == [3, 3, 1, 3]


# Names
def test_aliases_name_the_same_numbers(tmp_path: Path) -> None:
    text = """\
    dense_1.z[0,1]: -0.35
    dense_1.a[0,1]: 0.41338242108267
    dense_1.x[0,1]: 2
    dense_1.W[1,1]: -0.4
    t[0,1]: 1
    learning_rate: 0.5
    """
    found = marked(tmp_path, text)
    assert [m.verdict for m in found] == ["right"] * 6
    assert {m.address for m in found} == {
        "dense_1.y[0,1]", "dense_1.activation.y[0,1]", "x[0,1]", "dense_1.W[1,1]", "t[0,1]", "learning_rate",
    }  # fmt: skip


def test_errors_by_the_layer_they_arrive_at(tmp_path: Path) -> None:
    found = marked(tmp_path, "dense_2.delta[0]: 9.0\ndense_1.dy[0]: 9.0\ndense_1.activation.dy[0]: 9.0\n")
    assert [m.address for m in found] == ["loss.dx[0,0]", "dense_2.dx[0,0]", "dense_1.activation.dx[0,0]"]


def test_the_row_may_be_left_out_where_there_is_one(tmp_path: Path) -> None:
    assert marked(tmp_path, "dense_1.z[1]: -0.35\n")[0].verdict == "right"
    (problem,) = refused(tmp_path, "dense_1.z[1]: -0.35\n", net=WIDE).problems
    assert problem.help == "dense_1.y has entries dense_1.y[0,0] to dense_1.y[1,1], counted from 0"


def test_the_loss_and_what_becomes_of_it(tmp_path: Path) -> None:
    found = marked(tmp_path, "loss: 0.9\nchange: 9.0\nloss_after: 0.9\ndata_loss: 9.0\n", WIDE)
    assert [m.address for m in found] == ["loss", "data_loss", "change", "loss_after"]
    assert found[0].right == found[1].right != found[3].right


def test_marks_stand_in_the_order_of_the_derivation(tmp_path: Path) -> None:
    names = ["x[0,0]", "dense_1.z[0]", "dense_1.a[1]", "dense_2.y[0]", "loss", "dense_1.dx[0]", "dense_2.dW[0,0]",
             "dense_1.dW[1,0]", "dense_1.b_new[1]", "loss_after"]  # fmt: skip
    found = marked(tmp_path, "".join(f"{n}: 0.5\n" for n in reversed(names)))
    assert [m.name for m in found] == names
    assert [m.stage for m in found] == sorted(m.stage for m in found)
    assert [m.line for m in found] == list(range(10, 0, -1))


# Tables
def test_a_table_with_or_without_a_header(tmp_path: Path) -> None:
    rows = '"dense_1.z[0,1]",-0.35\n\n# by hand\ndense_1.W[1,1],\u22120.4\n'
    for head in ("", "name,value\n", "\ufeffname, value\n"):
        assert [m.verdict for m in marked(tmp_path, head + rows, ending="csv")] == ["right", "right"]


# Files that are refused
@pytest.mark.parametrize(
    ("text", "line", "said", "help"),
    [
        ("o1: 0.73\n", 1, "this names nothing in this derivation", "there are, with their shapes: dense_1.W[2,2], "),
        ("loss: 1.0\ndense_1.dw[0,0]: 2.0\n", 2, "this names nothing", "did you mean `dense_1.dW`?"),
        ("dense_1.W[2,0]: 1.0\n", 1, "there is no such entry", "dense_1.W has entries dense_1.W[0,0] to"),
        ("dense_1.W: 1.0\n", 1, "there is no such entry", "entries dense_1.W[0,0] to dense_1.W[1,1]"),
        ("loss[0]: 1.0\n", 1, "there is no such entry", "loss is one number, loss"),
        ("loss: abc\n", 1, "`abc` is not a number", "lines of `name: number`"),
        ("loss: [1, 2]\n", 1, "`[1, 2]` is not a number", "lines of `name: number`"),
        ("loss: .nan\n", 1, "`.nan` is not a number", "lines of `name: number`"),
        ("loss:\n", 1, "this is nothing, not a number", "lines of `name: number`"),
        ("loss: 1/3\n", 1, "`1/3` is not a number", "lines of `name: number`"),
        ("loss: {value: 1.0, tolerance: -1}\n", 1, "`-1` is not a number from 0", "lines of `name: number`"),
        ("loss: {value: x, tolerance: 1}\n", 1, "`x` is not a number", "lines of `name: number`"),
        ("loss: {tolerance: 1}\n", 1, "expected a number, or `{value: 0.5", "lines of `name: number`"),
        ("loss: 1.0\nloss: 2.0\n", 2, "the key `loss` stands twice; first on line 1", "remove one"),
        (
            "dense_1.z[0]: 1.0\ndense_1.y[0,0]: 2.0\n",
            2,
            "this is the same number as dense_1.z[0] on line 1",
            "remove one",
        ),
        ("{}\n", 0, "the file says nothing", "lines of `name: number`"),
        ("", 0, "the file says nothing", "lines of `name: number`"),
        ("# nothing yet\n", 0, "the file says nothing", "lines of `name: number`"),
        ("- 1\n- 2\n", 1, "expected settings, got a list", "lines of `name: number`"),
        ("loss: [1\n", 1, "", ""),
    ],
)
def test_what_cannot_be_understood(text: str, line: int, said: str, help: str, tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, text).problems
    assert said in problem.text
    assert help in problem.help
    assert problem.line == line or not said
    assert not problem.path or str(problem.path[0]) not in problem.text, "the path is printed before the text"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("name,value\nloss\n", 2, "this line has no number"),
        ('"loss,1.0\n', 1, "this line is not CSV"),
        ("loss,1.0\nloss,2.0\n", 2, "this is the same number as loss on line 1"),
        ("loss,abc\n", 1, "`abc` is not a number"),
        ("name,value\n", 0, "the file says nothing"),
    ],
)
def test_what_is_no_table(text: str, line: int, said: str, tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, text, "csv").problems
    assert said in problem.text
    assert problem.line == line


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    first, second = refused(tmp_path, "o1: 0.73\ndense_9.y: 1.0\n").problems
    assert (first.line, second.line) == (1, 2)
    assert "with their shapes" in first.help
    assert second.help == "did you mean `dense_2.y`?"  # the names are listed once


@pytest.mark.parametrize("ending", ["yaml", "csv"])
def test_a_file_that_is_not_there(ending: str, tmp_path: Path) -> None:
    with pytest.raises(Failure) as caught:
        read_claims(tmp_path / f"none.{ending}")
    assert caught.value.exit is Exit.NO_INPUT
    assert caught.value.problems[0].text == "there is no such file"


def test_a_table_in_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "claims.csv").write_bytes("löss,1.0".encode("latin-1"))
    with pytest.raises(Failure, match="not a text file in UTF-8"):
        read_claims(tmp_path / "claims.csv")


# Files that are no claims


@pytest.mark.parametrize(
    "line", ["1.5,2.5,oak", "1.5,2.5,3.5", "oak,1.5,2.5", "2.5", "1.5,2.5"]
)  # fmt: skip
def test_another_table_is_said_to_be_none_at_once(tmp_path: Path, line: str) -> None:
    (problem,) = refused(tmp_path, "width,height,kind\n" + f"{line}\n" * 40, "csv").problems
    assert (problem.code, problem.text[:46]) == ("not-claims", "this is another table, not a file of claims: 4")
    assert refused(tmp_path, f"{line}\n" * 4, "csv").problems[0].code != "not-claims"  # so few may be mistakes


@pytest.mark.parametrize("line", ["nowhere", "loss"])
def test_of_many_wrong_claims_20_are_shown_and_the_others_counted(tmp_path: Path, line: str) -> None:
    value = "x" if line == "loss" else "1.0"
    problems = refused(tmp_path, "".join(f"{line}_{k}: {value}\n" for k in range(45)), "yaml").problems
    assert len(problems) == 21
    assert (problems[-1].text, problems[-1].code) == ("and 25 more", "and-more")


def test_a_table_is_a_file_of_moderate_size(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "huge.csv").touch()
    os.truncate(tmp_path / "huge.csv", 1 << 40)
    for name, why in (("pipe", "it is a pipe or a device, not a file"), ("huge", "it is larger than 16 MiB")):
        with pytest.raises(Failure, match=f"the file cannot be read: {why}"):
            read_claims(tmp_path / f"{name}.csv")
