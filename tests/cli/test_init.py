"""`init` and `examples` as they are typed."""

import json
import stat
from pathlib import Path

from cli_lab import Lab, lab

__all__ = ["lab"]


def trees(lab: Lab) -> None:
    lab.path.joinpath("trees.yaml").unlink()
    rows = "".join(f"{i * 7 % 30 / 10},{i * i % 50},{'oak' if i * 7 % 30 > 14 else 'elm'}\n" for i in range(120))
    lab.write("trees.csv", "width,height,kind\n" + rows)


def test_from_a_file_to_a_judged_network(lab: Lab) -> None:
    trees(lab)
    done = lab.good("init", "trees.csv", "--target", "kind")
    assert done.err == "trees.yaml is written: look at it, it explains itself\nnext:   bpcli check trees.yaml\n"
    assert done.out == ""
    lab.good("check", "trees.yaml")
    lab.good("train", "trees.yaml", "--out", "run")
    assert "accuracy" in lab.good("eval", "run").out
    again = lab.run("init", "trees.csv", "--target", "kind")
    assert again.code == 73
    assert "overwrite it with --force" in again.err
    lab.good("init", "trees.csv", "--target", "kind", "--force")
    assert stat.S_IMODE(Path("trees.yaml").stat().st_mode) & 0o600 == 0o600


def test_on_stdout(lab: Lab) -> None:
    trees(lab)
    out = lab.good("init", "trees.csv", "--target", "kind", "--out", "-").out
    assert out.startswith("# yaml-language-server")
    assert "# Made by `bpcli init trees.csv --target kind`" in out
    assert not Path("trees.yaml").exists()


def test_examples(lab: Lab) -> None:
    for task in ("classify", "regress", "images"):
        lab.good("init", "--task", task)
        lab.good("check", f"{task}.yaml")
    assert Path("datasets/digits/README.md").exists()
    lab.good("init", "--task", "regress", "--out", "other.yaml")
    assert "name: other" in Path("other.yaml").read_text()


def test_words_that_do_not_go_together(lab: Lab) -> None:
    for words, text in (
        ((), "name a data file, or say what to do"),
        (("--task", "classify", "--target", "y"), "there is no file to look for it in"),
        (("pets", "--task", "images"), "a folder of images says so itself"),
        (("--task", "sing"), "is not one of"),
    ):
        done = lab.run("init", *words)
        assert done.code == 2
        assert text in done.err
    assert lab.run("init", "trees.csv", "--out", "new.yaml").code == 65
    assert lab.run("init", "gone.csv", "--target", "y").code == 66


def test_the_list_and_a_copy(lab: Lab) -> None:
    out = lab.good("examples").out
    assert "classics/xor" in out
    assert "Exclusive or: no single layer can learn it" in out
    names = [e["name"] for e in json.loads(lab.good("examples", "--json").out)]
    assert "iris" in names
    done = lab.good("examples", "iris", "gradients/vanishing", "--to", "mine")
    assert done.err.endswith("next:   bpcli train mine/configs/iris.yaml\n")
    lab.good("check", "mine/configs/gradients/vanishing.yaml")
    assert lab.run("examples", "irsi").code == 65
    assert lab.run("examples", "--to", "x").code == 2
    files = json.loads(lab.good("examples", "wine", "--json").out)
    assert files[0] == "configs/wine.yaml"
    lab.good("examples", "--all", "--to", "everything")
    assert len(list(Path("everything/configs").rglob("*.yaml"))) > 20
