"""`--with FILE.py`: parts of one's own through every command, and what is said where the file is missing or another."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from cli_lab import Lab
from cli_lab import lab as lab
from own_layer_lab import PARTS
from own_layer_lab import mine as mine
from own_layer_lab import run as run
from own_parts import EQUATIONS, GAIN, SQUARE, changed
from own_parts import own as own

pytestmark = pytest.mark.usefixtures("own")

UNKNOWN = "error: architecture.1.type: unknown layer `gain` [unknown-type]\n"


class TestAGoodFile:
    def test_trains(self, mine: Lab, run: Path) -> None:
        record = json.loads((run / "run.json").read_text())
        (entry,) = record["with"]
        assert entry["file"] == str(mine.path / "gain.py")
        assert re.fullmatch(r"[0-9a-f]{64}", entry["sha256"])
        assert record["status"] == "epochs"
        assert not list(mine.path.glob("__pycache__"))

    def test_a_run_without_has_no_such_record(self, lab: Lab) -> None:
        lab.good("train", "trees.yaml", "--out", "plain", "-q")
        assert "with" not in json.loads((lab.path / "plain/run.json").read_text())

    def test_evaluates_and_predicts(self, mine: Lab, run: Path) -> None:
        for path in ("run", "run/model.safetensors"):
            assert '"accuracy"' in mine.good("eval", path, "--data", "trees.csv", "--with", "gain.py", "--json").out
            found = mine.good("predict", path, "--data", "trees.csv", "--with", "gain.py")
            assert (found.err, len(found.out.splitlines())) == ("", 9)

    def test_goes_on_as_if_it_had_never_stopped(self, mine: Lab, run: Path) -> None:
        mine.good("train", "--resume", "run", "--set", "training.epochs=6", "--with", "gain.py", "-q")
        assert len((run / "metrics.jsonl").read_text().splitlines()) == 6
        mine.config(("epochs: 3", "epochs: 6"), name="longer.yaml", text=PARTS)
        mine.good("train", "longer.yaml", "--with", "gain.py", "--out", "whole", "-q")
        last_losses = [json.loads(line)["train.loss"] for folder in (run, mine.path / "whole")
                for line in (folder / "metrics.jsonl").read_text().splitlines()[-1:]]  # fmt: skip
        assert last_losses[0] == last_losses[1]

    def test_is_checked_and_shown(self, mine: Lab) -> None:
        assert "gain_1               4    4       4" in mine.good("check", "gain.yaml", "--with", "gain.py").out
        page = mine.good("parts", "gain", "--with", "gain.py").out
        assert page.startswith("gain  (layer)\ntanh, times a gain for each unit.\n")
        assert "\n  gain " in mine.good("parts", "layer", "--with", "gain.py").out.replace("\ngain ", "\n  gain ")

    def test_parts_shows_equations_of_a_layer_without_samples(self, mine: Lab) -> None:
        mine.write("gain.py", GAIN + EQUATIONS)
        assert "y[n,o] = g[o] * h[n,o]" in mine.good("parts", "gain", "--with", "gain.py").out.replace("·", "*")

    def test_several_files_and_twice_the_same(self, mine: Lab) -> None:
        mine.write("square.py", SQUARE)
        mine.config(
            ("target: kind", "target: width"), ("  scale: standardize\n", ""), name="both.yaml",
            text=PARTS.replace("softmax_cross_entropy", "square").replace("units: 2", "units: 1"),
        )  # fmt: skip
        files = ("--with", "gain.py", "--with", "square.py", "--with", "./gain.py")
        found = mine.good("train", "both.yaml", *files, "--out", "both", "-q")
        assert found.err == ""
        assert len(json.loads((mine.path / "both/run.json").read_text())["with"]) == 2

    def test_what_it_prints_is_no_result(self, mine: Lab) -> None:
        mine.write("gain.py", "print('hello')\n" + GAIN)
        found = mine.good("parts", "gain", "--with", "gain.py", "--json")
        assert json.loads(found.out)[0]["type"] == "gain"
        assert found.err == "hello\n"

    def test_is_read_again_where_it_changed(self, mine: Lab) -> None:
        mine.good("check", "gain.yaml", "--with", "gain.py")
        mine.write("gain.py", changed(GAIN, ("tanh, times", "Something else, times")))
        assert "Something else" in mine.good("parts", "gain", "--with", "gain.py").out

    def test_nobody_else_waits_for_the_examination(self, lab: Lab) -> None:
        program = "import atexit, sys; atexit.register(lambda: print('bpcli.studies.custom.contract' in sys.modules))"
        assert lab.apart("train", "trees.yaml", "--out", "run", "-q", program=program).out == "run\nFalse\n"


class TestWithoutTheFile:
    def test_an_unknown_type_says_how_it_is_loaded(self, mine: Lab) -> None:
        found = mine.run("train", "gain.yaml")
        assert found.code == 65
        assert found.err.startswith(UNKNOWN)
        assert found.err.endswith("; a part of your own: --with FILE.py\n")

    def test_a_type_like_a_known_one(self, lab: Lab) -> None:
        lab.config(("tanh}", "tanhh}"))
        assert "did you mean `tanh`? (a part of your own: --with FILE.py)" in lab.run("check", "trees.yaml").err

    @pytest.mark.parametrize("words", [("eval", "run"), ("predict", "run", "--data", "trees.csv")])
    def test_a_run_says_which_file(self, mine: Lab, run: Path, words: tuple[str, ...]) -> None:
        found = mine.run(*words)
        assert (found.code, found.out, found.err) == (
            65,
            "",
            "error: run/model.safetensors holds a layer `gain`, which is no part of this package [unknown-type]\n"
            "  help: the run was trained with a part of its own: add --with gain.py\n",
        )

    @pytest.mark.parametrize("words", [("train", "--resume", "run"), ("trace", "run")])
    def test_going_on_says_which_file(self, mine: Lab, run: Path, words: tuple[str, ...]) -> None:
        found = mine.run(*words)
        assert (found.code, found.out) == (65, "")
        assert found.err.startswith(UNKNOWN)
        assert found.err.endswith("help: the run was trained with a part of its own: add --with gain.py\n")

    def test_a_model_that_travelled(self, mine: Lab, run: Path) -> None:
        (run / "model.safetensors").rename(mine.path / "away.safetensors")
        found = mine.run("predict", "away.safetensors", "--data", "trees.csv")
        assert found.code == 65
        assert found.err.endswith("the run was trained with a part of its own: add --with gain.py\n")
        assert str(mine.path) not in found.err

    @pytest.mark.parametrize(
        "words",
        [
            ("eval", "run"),
            ("predict", "run", "--data", "trees.csv"),
            ("predict", "run/model.safetensors", "--data", "trees.csv"),
            ("trace", "run"),
            ("train", "--resume", "run", "--set", "training.epochs=4"),
        ],
    )
    def test_a_file_that_changed(self, mine: Lab, run: Path, words: tuple[str, ...]) -> None:
        mine.write("gain.py", GAIN + "\n# something else\n")
        found = mine.good(*words, "--with", "gain.py")
        assert (
            "warning: gain.py has changed since the run began [changed]\n"
            "  help: its numbers may not be those of the training\n"
        ) in found.err

    def test_another_file_with_such_a_part(self, mine: Lab, run: Path) -> None:
        mine.write("other.py", GAIN + "\n# something else\n")
        found = mine.good("eval", "run", "--with", "other.py")
        assert found.err.startswith(f"warning: the run was trained with {mine.path / 'gain.py'}, not with other.py")

    def test_a_damaged_record_is_no_record(self, mine: Lab, run: Path) -> None:
        record = json.loads((run / "run.json").read_text())
        (run / "run.json").write_text(json.dumps(record | {"with": [3, {"file": 4}, "x"]}))
        assert mine.good("eval", "run", "--with", "gain.py").err == ""
