"""README and the guides are true: their console blocks are run and print what they show, their YAML is valid, their
lists and links are complete."""

import inspect
import json
import math
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from cli_lab import Lab
from cli_lab import lab as lab
from own_parts import own as own
from paths import ROOT

from bpcli.config.experiment import Experiment
from bpcli.config.validate import validate
from bpcli.config.yamlfile import parse
from bpcli.family import Callback
from bpcli.family.part import families
from bpcli.parts.activations import Tanh
from bpcli.records.training import EpochRow
from bpcli.render.numbers import duration
from bpcli.studies.describe.guides import guides
from bpcli.studies.run.resume import start
from bpcli.studies.run.setup import set_up
from bpcli.studies.run.state import TrainingState
from bpcli.studies.trace.open import TracedRows, open_target

README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = {"README": README} | {guide.name: guide.text for guide in guides()}
FILE = re.compile(r"# (\w+\.\w+)\n")
"""How a block begins that is the file of this name."""
REST = {
    "data": "data: {train: {type: csv, path: a.csv, target: t}}\n",
    "architecture": "architecture: [{type: dense, units: 1}]\n",
    "loss": "loss: mean_squared_error\n",
}
"""What a YAML block need not repeat to be a whole config."""


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def without_numbers(text: str) -> str:
    """Numbers differ between machines in their last digits, and times anyhow; words and layout do not."""
    text = re.sub(r"\d[\d.,:]*(e[-+]\d+)?(( h \d+ min| min \d+ s| ms| s)\b)?", "#", text)
    return re.sub(r"[ ─-]+", " ", text)


NUMBER = re.compile(r"(?:(?<![\w)\]])[-−])?\d+(?:,\d{3}(?!\d))*(?:\.\d+)?(?:e[-+]\d+)?")
BY_CHANCE = re.compile(
    r"seconds [\d.]+|[\d.]+ (?:h \d+ min|min \d+ s|ms|s)\b"
    r"|\[[\d,]+\] +\S+(?: +\S+)?  (?=(?:ok|WRONG|follows)$)|at the \w+ point, the kernel gives .*"
)
"""Times; and the entry at which a gradient differs the most, which rounding decides where all differ by one factor."""


def numbers(line: str) -> list[str]:
    """The numbers of a line that are the same on any machine, but for their last digits."""
    return [n.replace("−", "-") for n in NUMBER.findall(BY_CHANCE.sub("", line))]


def without_chance(line: str) -> str:
    """The line but for its numbers."""
    return without_numbers(BY_CHANCE.sub("", line)).rstrip()


def agree(shown: str, printed: str) -> bool:
    """Whole numbers and indices are the same; decimals to 5 % or 0.001, which another BLAS or processor may change;
    what is left by rounding (1e-15, or 0) in its magnitude."""
    if not any(c in n for n in (shown, printed) for c in ".e"):
        return shown == printed
    a, b = float(shown.replace(",", "")), float(printed.replace(",", ""))
    small = "e" in shown + printed
    if small and "." not in shown + printed and max(abs(a), abs(b)) < 1e-5:
        return max(a, b) < 1e-12 if not a * b else 1e-3 < a / b < 1e3
    return math.isclose(a, b, rel_tol=0.05, abs_tol=0 if small else 0.001)


def same_numbers(shown: str, printed: str) -> bool:
    """Whether two lines of the same words show the same numbers."""
    ours, theirs = numbers(shown), numbers(printed)
    return len(ours) == len(theirs) and all(map(agree, ours, theirs))


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("epoch 4/4  loss 0.1031  seconds 0.07", "epoch 4/4  loss 0.1826  seconds 0.15", False),
        ("epoch 4/4  loss 0.1821  seconds 0.07", "epoch 4/4  loss 0.1826  seconds 0.15", True),
        ("5 of 359 images (1.4 %)", "5 of 359 images (3.1 %)", False),
        ("best in epoch 22; 27 epochs in 0.01 s", "best in epoch 24; 27 epochs in 0.01 s", False),
        ("all 1,037 gradients, 0.80 s", "all 1,037 gradients, 1.30 s", True),
        ("[0,2] = −0.216507", "[0,2] = 0.216507", False),
        ("[0,2] = −0.216507", "[0,1] = −0.216507", False),
        ("1,1.5,200", "1,1.5,201", False),
        ("dense_1.dx  2e-14  [0,2]  0.1  0.1  ok", "dense_1.dx  9e-15  [3]  0.6  0.6  ok", True),
        ("dense_1.dx  2e-14  [0,2]  0.1  0.1  ok", "dense_1.dx  2e-08  [3]  0.6  0.6  ok", False),
        ("dense_1.dx  2e-14/1e-9  [0,2]  0.1  ok", "dense_1.dx  9e-15/1e-9  [3]  -0.6  ok", True),
        ("dense_1.dx  2e-14/1e-9  [0,2]  0.1  ok", "dense_1.dx  2e-08/1e-9  [3]  -0.6  ok", False),
        ("dense_1.dx  5e-01  [0,2]  0.1  0.2  WRONG", "dense_1.dx  5e-01  [1,2]  0.3  0.6  WRONG", True),
        ("dense_1.dx  5e-01  [0,2]  0.1  0.2  WRONG", "dense_1.dx  9e-01  [0,2]  0.1  0.2  WRONG", False),
        ("|grad| 4.4e-06", "|grad| 5.9e-06", False),
        ("float32 0e+00", "float32 2e-07", False),
        ("batch 0e+00", "batch 2e-16", True),
    ],
)
def test_numbers_are_compared(shown: str, printed: str, same: bool) -> None:
    assert same_numbers(shown, printed) is same


@pytest.mark.parametrize("seconds", [0.004, 0.5, 1.234, 59.9, 59.97, 83, 3599, 3600, 7384])
def test_every_duration_is_a_number(seconds: float) -> None:
    assert without_numbers(f"in {duration(seconds)}.") == "in #."


def save_gradients(file: Path) -> None:
    """The file that the guide to gradcheck has PyTorch write: gradients of a sum over 8 rows, not of their mean."""
    target = open_target(ROOT / "configs" / "iris.yaml", TracedRows(tuple(range(8))), ["regularization=null"])
    network, batch = target.objective.network, target.objective.batch(8)
    batch.load(target.x, target.t, np.arange(8))
    batch.forward(True)
    batch.backward(True)
    gradients = {"{}.d{}".format(*path.rsplit(".", 1)): 8 * g for path, g in network.gradients().items()}
    np.savez(file, x=target.x, t=target.t, **network.parameters(), **gradients)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_console_blocks_print_what_they_show(document: str, own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in ("configs", "datasets"):
        (own / folder).symlink_to(ROOT / folder)
    save_gradients(own / "theirs.npz")
    for text in blocks(DOCUMENTS[document], r"\w+"):
        if named := FILE.match(text):
            (own / named[1]).write_text(text)
    lab = Lab(own, capsys)
    for block in blocks(DOCUMENTS[document], "console"):
        for command, shown in re.findall(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
            program, *words = shlex.split(command)
            assert program == "bpcli"
            done = lab.run(*words)
            assert done.code in (0, 3, 65), done.err
            printed: dict[str, list[str]] = {}
            for line in (done.err + done.out).splitlines():
                printed.setdefault(without_chance(line), []).append(line)
            for line in shown.splitlines():
                found = printed.get(without_chance(line), [])
                assert line.strip() in ("", "...") or any(same_numbers(line, p) for p in found), (command, line, found)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_yaml_blocks_are_valid(document: str) -> None:
    for text in blocks(DOCUMENTS[document], "yaml"):
        if not FILE.match(text):  # files are read by the commands that follow
            missing = [part for key, part in REST.items() if not re.search(rf"^{key}:", text, re.MULTILINE)]
            validate(Experiment, parse(text + "".join(missing), f"{document}.md"))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_python_blocks_fit_a_terminal_unfolded(document: str) -> None:
    assert [
        line for text in blocks(DOCUMENTS[document], "python") for line in text.splitlines() if len(line) > 78
    ] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_parts_in_tables_are_parts(document: str) -> None:
    known: dict[str, set[str]] = {}
    for part in families():
        known.setdefault(part.family.removeprefix("data "), set()).update(part.registry)
    for family, rows in re.findall(r"^\| (\w+) \|.*\n\| -.*\n((?:\|.*\n)+)", DOCUMENTS[document], re.MULTILINE):
        if family in known:
            named = {name for row in rows.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])}
            assert named <= known[family]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    here = ROOT if document == "README" else ROOT / "bpcli" / "guides"
    for target in re.findall(r"\]\(([^)#]+)", DOCUMENTS[document]):
        assert target.startswith("https://") or (here / target).exists(), target


def test_readme_lists_commands_that_exist_and_every_guide() -> None:
    from bpcli.cli.app import app

    listed = re.findall(r"^\| `([\w-]+)", README.partition("| command |")[2].partition("\n\n")[0], re.M)
    assert listed
    assert set(listed) <= {command.name for command in app.registered_commands}
    for guide in guides():
        assert f"(bpcli/guides/{guide.name}.md)" in README


def test_the_test_command_is_what_ci_runs() -> None:
    (command,) = re.findall(r"python3 -m venv .*pytest", README)
    assert command.split("&&")[-1].strip() in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def shown(class_: str) -> str:
    """The Python block of the guide to development that shows this class."""
    (found,) = [b for b in blocks(DOCUMENTS["development"], "python") if b.startswith(f"class {class_}(")]
    return found


def test_the_part_that_is_shown_is_the_part() -> None:
    source = "".join(inspect.getsource(Tanh).split())
    assert [line for line in shown("Tanh").splitlines() if "".join(line.split()).rstrip(",") not in source] == []


def test_the_callback_that_is_shown_follows_a_training(lab: Lab) -> None:
    lab.config(("  scale:", "  validation: 0.25\n  scale:"))
    names = {"Callback": Callback, "TrainingState": TrainingState, "EpochRow": EpochRow}
    exec(shown("EpochLog"), names)
    start(set_up(Path("trees.yaml")), Path("run"), [names["EpochLog"]()]).run()
    assert [line.split()[0] for line in Path("run/epochs.txt").read_text().splitlines()] == ["1", "2", "3"]


def test_the_callback_file_that_is_shown_follows_a_training(lab: Lab, own: Path) -> None:
    (text,) = [b for b in blocks(DOCUMENTS["custom_parts"], "python") if b.startswith("# epoch_log.py")]
    lab.write("epoch_log.py", text)
    lab.good("train", "trees.yaml", "--with", "epoch_log.py", "--out", "run", "-q")
    rows = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    assert Path("run/epochs.txt").read_text().splitlines() == [f"{r['epoch']} {r['train.loss']:.4f}" for r in rows]
