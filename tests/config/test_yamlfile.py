"""Reading a file: what YAML 1.2 says of it, what is refused, and that every refusal is one clear message, soon."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from count_calls import Work
from hypothesis import given, settings
from hypothesis import strategies as st
from small_model import Study
from yaml.error import Mark, MarkedYAMLError

from bpcli.config import compose
from bpcli.config.compose import TOO_MANY
from bpcli.config.document import SourceText
from bpcli.config.overrides import apply_sets
from bpcli.config.syntax import explain
from bpcli.config.validate import validate
from bpcli.config.yamlfile import MAX_BYTES, parse, read
from bpcli.records.training import Exit, Failure, Problem
from bpcli.render.problems import draw

MESSAGES = Path(__file__).with_name("messages.txt")


def cases() -> list[Any]:
    """messages.txt: a title, a file with its overrides, and the message it must give."""
    found = []
    for case in MESSAGES.read_text(encoding="utf-8").removeprefix("=== ").split("\n=== "):
        title, _, rest = case.partition("\n")
        source, _, message = rest.partition("\n>>>\n")
        lines = source.split("\n")
        sets = [line.removeprefix("--set ") for line in lines if line.startswith("--set ")]
        text = "\n".join(line for line in lines if not line.startswith("--set "))
        found.append(pytest.param(text, sets, message.rstrip("\n"), id=title))
    return found


def problems(text: str, *sets: str) -> list[Problem]:
    with pytest.raises(Failure) as caught:
        validate(Study, apply_sets(parse(text, "exp.yaml"), sets, Study))
    return list(caught.value.problems)


def only(text: str, *sets: str) -> Problem:
    (problem,) = problems(text, *sets)
    return problem


@pytest.mark.parametrize(("text", "sets", "message"), cases())
def test_message(text: str, sets: list[str], message: str) -> None:
    assert "\n\n".join(map(draw, problems(text, *sets))) == message


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e-4", 1e-4), ("1e3", 1000.0), ("1E+3", 1000.0), (".5", 0.5), ("1.", 1.0), ("-0.5e-2", -0.005), ("1e", "1e"),
        ("017", 17), ("0o17", 15), ("0x1F", 31), ("-0x1F", "-0x1F"), ("0b11", "0b11"), ("1_000", "1_000"), ("+12", 12),
        (".inf", math.inf), ("-.INF", -math.inf), ("inf", "inf"), ("+", "+"), (".", "."), ("=", "="),
        ("no", "no"), ("yes", "yes"), ("off", "off"), ("On", "On"), ("y", "y"), ("none", "none"), ("tRUE", "tRUE"),
        ("true", True), ("TRUE", True), ("False", False), ("~", None), ("null", None), ("", None), ("NULL", None),
        ("12:30", "12:30"), ("190:20:30", "190:20:30"), ("2020-01-01", "2020-01-01"), ("'5'", "5"), ('"1e-4"', "1e-4"),
        ("!!str 5", "5"), ("!!float 5", 5.0), ("!!int 5", 5), ("!!bool true", True), ("!!null ~", None), ("! 5", "5"),
        ("[1, no, [x]]", [1, "no", ["x"]]), ("{no: on, 1: 2, null: 3}", {"no": "on", "1": 2, "null": 3}),
        ('"\\x41\\u00e9\\U0001F600"', "A\u00e9\U0001f600"), ("|\n  a\n  b\n", "a\nb\n"), ("a\n  b", "a b"),
    ],
)  # fmt: skip
def test_the_rules_of_yaml_1_2(written: str, value: Any) -> None:
    found = parse(f"key: {written}", "exp.yaml").data["key"]
    assert found == value
    assert type(found) is type(value)


def test_not_a_number_is_read() -> None:
    assert math.isnan(parse("key: .NaN", "exp.yaml").data["key"])


def test_anchors_repeat_a_value_and_each_copy_is_its_own() -> None:
    document = parse("a: &a {x: [1, 2]}\nb: *a\nc: [*a]\n", "exp.yaml")
    assert document.data == {"a": {"x": [1, 2]}, "b": {"x": [1, 2]}, "c": [{"x": [1, 2]}]}
    assert document.data["a"]["x"] is not document.data["b"]["x"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_every_system_count_alike(end: str) -> None:
    problem = only(end.join(["architecture: [relu]", "loss: squared", "# é", "seed: x", ""]))
    assert (problem.line, problem.column, problem.excerpt) == (4, 7, ((3, "# é"), (4, "seed: x")))


def test_a_byte_order_mark_is_not_a_column(tmp_path: Path) -> None:
    file = tmp_path / "exp.yaml"
    file.write_bytes(b"\xef\xbb\xbfa: 1\nb: &x 1\n")
    assert read(file).data == {"a": 1, "b": 1}
    file.write_bytes(b"\xef\xbb\xbfa: @\n")
    with pytest.raises(Failure) as caught:
        read(file)
    assert caught.value.problems[0].column == 4


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("a: 1\nb:\tc", 2, 3, "a tab where YAML wants spaces"),
        ("a:\n\tb: 1", 2, 1, "a tab where YAML wants spaces"),
        ("a: 1\nb: \x00", 2, 4, "the character U+0000 does not belong in a text file"),
        ("a: \x1b[31m", 1, 4, "the character U+001B does not belong in a text file"),
        ("a: 1" + "0" * 308, 1, 4, "a whole number of 309 digits is too large"),
        ("a: 0x" + "f" * 400, 1, 4, "a whole number of 400 digits is too large"),
        ("a: " + "7" * 5000, 1, 4, "a number of 5000 digits is too long"),
        ("a: " + "7" * 900_000, 1, 4, "a number of 900000 digits is too long"),
        ("a: " + "7" * 5000 + ".5", 1, 4, "a number of 5002 characters is too long"),
        ("%YAML " + "1" * 5000 + ".1\n---\na: 1", 1, 7, "this is not valid YAML"),
    ],
)
def test_texts_that_a_table_cannot_hold(text: str, line: int, column: int, message: str) -> None:
    problem = only(text)
    assert (problem.line, problem.column, problem.text) == (line, column, message)
    assert problem.span >= 1  # something is underlined


def test_a_refusal_in_words_that_are_not_known_yet_is_shown_at_its_character_in_the_words_of_the_parser() -> None:
    """No text is known that PyYAML refuses so; another version of it may have other words."""
    mark = Mark("exp.yaml", 7, 1, 3, None, None)
    error = MarkedYAMLError(None, None, "found no end of the knot", mark)
    assert explain(error, ["a: 1", "b: (c"])[:3] == (mark, 1, "this is not valid YAML: found no end of the knot")


def test_duplicate_keys_are_listed_twenty_at_a_time() -> None:
    found = problems("a: 1\n" * 50)
    assert [p.line for p in found] == [*range(2, 22), 0]
    assert found[-1].text == "there may be more"


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9)
)
CHAIN = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 100))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("[" * 100_000, "nested more than 64 levels deep", id="brackets"),
        pytest.param("a: " + "[" * 100_000 + "]" * 100_000, "nested more than 64 levels deep", id="closed brackets"),
        pytest.param("{" * 100_000, "nested more than 64 levels deep", id="braces"),
        pytest.param("[{a: " * 50_000, "nested more than 64 levels deep", id="brackets and braces"),
        pytest.param("- " * 100_000, "nested more than 64 levels deep", id="dashes"),
        pytest.param("a:\n" + "- - - - " * 1000, "nested more than 64 levels deep", id="dashes below a key"),
        pytest.param("".join(" " * i + "a:\n" for i in range(999)), "nested more than 64 levels deep", id="indents"),
        pytest.param(CHAIN, "nested more than 64 levels deep", id="a chain of aliases"),
        pytest.param("? " * 100_000, "a key must be a word, not a list or a mapping", id="question marks"),
        pytest.param(BOMB, TOO_MANY, id="alias bomb"),
        pytest.param("a: [" + "1," * 400_000, TOO_MANY, id="a long list"),
        pytest.param("a:\n" + "- 1\n" * 200_000, TOO_MANY, id="many lines"),
        pytest.param("".join(f"k{i}: 1\n" for i in range(80_000)), TOO_MANY, id="many keys"),
        pytest.param("a: &b 1\nc: [" + "*b," * 200_000, TOO_MANY, id="many aliases"),
        pytest.param("a: [" + '"' * 900_000, None, id="quotes"),
        pytest.param("!" * 900_000, None, id="exclamation marks"),
        pytest.param("&" + "a" * 900_000, None, id="an anchor of 900 kB"),
        pytest.param("a: \"" + "x\n" * 400_000, TOO_MANY, id="a quote over all lines"),
        pytest.param("#\n" * 400_000, "the file says nothing", id="comments"),
        pytest.param("a: *" + "a" * 900_000, None, id="an alias of 900 kB"),
        pytest.param("a:1" + "a" * 900_000 + "\nb: 1", None, id="a word of 900 kB"),
        pytest.param("é" * 500_000 + ": 1", None, id="a key of a megabyte"),
        pytest.param("a: {" + "\u0301" * 500_000, None, id="half a million accents"),
    ],
)  # fmt: skip
def test_what_is_built_to_hurt_is_refused_soon_in_one_message(text: str, message: str | None) -> None:
    """Comments make seven calls a character, words one to three; what is refused for its size, hardly any."""
    with Work() as done:
        with pytest.raises(Failure) as caught:
            parse(text, "exp.yaml")
        drawn = draw(caught.value.problems[0])
    assert done.calls < 10 * len(text) + 40_000
    assert len(caught.value.problems) == 1
    assert len(drawn) < 2000
    if message is not None:
        assert caught.value.problems[0].text == message


def test_brackets_are_refused_before_they_are_scanned() -> None:
    text = "[" * 1000
    events = compose._LimitedComposer(SourceText("exp.yaml", text), text)
    with pytest.raises(compose._TooDeepError):
        list(iter(events.get_event, None))
    assert events.flow_level == compose.MAX_DEPTH


def test_sixty_four_levels_are_read() -> None:
    text = "a: " + "[" * 63 + "1" + "]" * 63
    assert str(parse(text, "exp.yaml").data["a"]) == "[" * 63 + "1" + "]" * 63


@pytest.mark.parametrize(
    ("row", "values"),
    [("  - [1, 2, 3, 4]\n", 5), ("  - {a: 1, b: [2]}\n", 6), ("  - *x\n", 3), ("  - c: 1\n    d: {}\n", 5)],
)
def test_keys_and_values_up_to_the_limit_are_read(monkeypatch: pytest.MonkeyPatch, row: str, values: int) -> None:
    rows = 40
    text = "x: &x [1, 2]\na:\n" + row * rows
    monkeypatch.setattr(
        compose, "MAX_VALUES", 1 + 1 + 3 + 1 + 1 + values * rows
    )  # the mapping, x, its value, a, the list
    assert len(parse(text, "exp.yaml").data["a"]) == rows
    with pytest.raises(Failure) as caught:
        parse(text + "b: 1\n", "exp.yaml")
    assert caught.value.problems[0].line == text.count("\n") + 1


@pytest.mark.parametrize("ending", ["", ".yml"])
def test_a_missing_file_names_its_neighbour(tmp_path: Path, ending: str) -> None:
    (tmp_path / f"iris{ending or '.yaml'}").write_text("a: 1")
    with pytest.raises(Failure) as caught:
        read(tmp_path / f"irs{ending}")
    (problem,) = caught.value.problems
    assert caught.value.exit == Exit.NO_INPUT
    assert draw(problem, 400) == (
        f"error: there is no such file [missing-file]\n--> {tmp_path}/irs{ending}\n"
        f"  = help: did you mean `{tmp_path}/iris{ending or '.yaml'}`?"
    )


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(Failure) as caught:
        read(tmp_path / "configz" / "iris.yaml")
    assert caught.value.exit == Exit.NO_INPUT
    assert caught.value.problems[0].help == f"there is no folder {tmp_path}/configz either"


@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "below a file", "zero in the name", "long name"])
def test_what_is_not_a_regular_file(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "exp.yaml"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "below a file":
        path.write_text("a: 1")
    path = {
        "folder": tmp_path,
        "device": Path("/dev/zero"),
        "below a file": path / "x.yaml",
        "zero in the name": Path("a\0b"),
        "long name": Path("a" * 5000),
    }.get(kind, path)
    message = {
        "folder": "this is a folder, not a file",
        "below a file": "there is no such file",
        "zero in the name": "the file cannot be read: its name holds a NUL",
        "long name": "the file cannot be read: file name too long",
    }.get(kind, "this is a pipe or a device, not a file")
    with pytest.raises(Failure) as caught:
        read(path)
    assert (caught.value.exit, caught.value.problems[0].text) == (Exit.NO_INPUT, message)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    file = tmp_path / "exp.yaml"
    file.write_text("a: 1")
    file.chmod(0)
    with pytest.raises(Failure) as caught:
        read(file)
    assert caught.value.problems[0].text == "the file cannot be read: permission denied"


@pytest.mark.parametrize(
    ("content", "text", "line", "column"),
    [
        (b"a: 1\nb\xe9: 2", "the byte 0xE9 is not UTF-8", 2, 2),
        ("a: 1".encode("utf-16"), "the file is UTF-16", 0, 0),
        (b"\x89PNG\x00\xff", "this is not a text file", 0, 0),
        (b"a: 1\n" * (MAX_BYTES // 5 + 1), "the file is larger than 1 MiB", 0, 0),
        (b"\x00" * (10 << 20), "the file is larger than 1 MiB", 0, 0),
        (b"", "the file says nothing", 0, 0),
        (b"---\n", "the file says nothing", 0, 0),
    ],
)
def test_bytes_that_are_no_experiment(tmp_path: Path, content: bytes, text: str, line: int, column: int) -> None:
    file = tmp_path / "exp.yaml"
    file.write_bytes(content)
    with pytest.raises(Failure) as caught:
        read(file)
    (problem,) = caught.value.problems
    assert (problem.text, problem.line, problem.column) == (text, line, column)
    assert caught.value.exit == Exit.BAD_INPUT
    draw(problem)


YAMLISH = st.text(st.sampled_from(list("ab1:-,[]{}&*!|>'\"%@#?~<=\n\n   \t\\\u00e9")), max_size=60)


@settings(max_examples=300, deadline=None)
@given(st.one_of(YAMLISH, st.text(max_size=60)))
def test_any_text_is_read_or_refused(text: str) -> None:
    found: Sequence[Problem] = ()
    try:
        parse(text, "exp.yaml")
    except Failure as failure:
        found = failure.problems
    for problem in found:
        drawn = draw(problem)
        assert problem.text
        assert drawn.replace("\n", "").isprintable()
        assert problem.line == 0 or problem.line == problem.excerpt[-1][0]
