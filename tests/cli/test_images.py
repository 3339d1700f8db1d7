"""Images from a folder through every command, augmentation in training and nowhere else, and contact sheets."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from cli_lab import Lab
from cli_lab import lab as lab
from picture_folder import picture, shapes
from PIL import Image

from bpcli.engine.augment import Augmenter
from bpcli.studies.run import resume as runs
from bpcli.studies.run.model import load
from bpcli.studies.run.runfolder import RunFolder
from bpcli.studies.run.saving.checkpointer import Checkpointer
from bpcli.studies.run.setup import set_up

CONFIG = """\
name: shapes
seed: 3
data:
  train: {type: images, path: shapes, mode: gray}
  validation: 0.25
  scale: {type: standardize, per: all}
  augment: [flip, {type: shift, pixels: 1}, rotate, {type: cutout, size: 2}]
architecture:
  - flatten
  - {type: dense, units: 8, activation: relu}
  - {type: dense, units: 2}
loss: softmax_cross_entropy
training: {epochs: 3, batch_size: 5}
"""
PLAIN = ("  augment: [flip, {type: shift, pixels: 1}, rotate, {type: cutout, size: 2}]\n", "")


@pytest.fixture
def pictures(lab: Lab) -> Lab:
    shapes(lab.path / "shapes")
    lab.write("shapes.yaml", CONFIG)
    return lab


def theta(run: Path) -> np.ndarray:
    return load(run).objective.theta


def test_the_whole_way(pictures: Lab) -> None:
    page = pictures.good("check", "shapes.yaml").out
    assert "training images, and no others, are changed by chance in every step" in page
    assert "shift         pixels: 1, fill: 0.0" in page
    assert "lying/000.png  6 x 6 x 1 uint8" in page
    pictures.good("train", "shapes.yaml", "-q", "--out", "run", "--set", "training.epochs=60")
    scores = json.loads(pictures.good("eval", "run", "--data", "shapes", "--json").out)
    assert scores["rows"] == 24
    assert scores["metrics"]["accuracy"] > 0.8
    lines = pictures.good("predict", "run", "--data", "shapes").out.splitlines()
    assert lines[0] == "file,class,p(lying),p(standing)"
    assert lines[1].startswith("lying/000.png,")
    assert len(lines) == 25
    one = pictures.good("predict", "run", "--data", "shapes/standing/003.png").out.splitlines()
    assert one[1].startswith("003.png,")
    _, predicted, first, _ = next(line.split(",") for line in lines if line.startswith("standing/003.png"))
    assert one[1].split(",")[1] == predicted
    assert float(one[1].split(",")[2]) == pytest.approx(float(first), abs=1e-6)
    assert pictures.good("trace", "run", "--sample", "3", "--detail", "overview").code == 0


def test_a_run_that_goes_on_draws_what_it_would_have_drawn(pictures: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = runs.start(set_up(pictures.path / "shapes.yaml"), pictures.path / "whole")
    whole.run()

    class Stop(Exception):
        pass

    def stopped(step: int) -> None:
        name = f"stopped-{step}"
        training = runs.start(set_up(pictures.path / "shapes.yaml"), pictures.path / name)
        honest = training._step

        def limited(rows: np.ndarray) -> None:
            if training.state.progress.step == step:
                Checkpointer(training.state).save()
                raise Stop
            honest(rows)

        monkeypatch.setattr(training, "_step", limited)
        with pytest.raises(Stop):
            training.run()
        runs.resume(pictures.path / name).run()
        assert theta(pictures.path / name).tobytes() == theta(pictures.path / "whole").tobytes()

    for step in (1, 4, 6):
        stopped(step)


def test_only_steps_see_changed_images(pictures: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    honest = Augmenter.apply

    def counted(self: Augmenter, x: np.ndarray, step: int) -> None:
        seen.append(step)
        honest(self, x, step)

    monkeypatch.setattr(Augmenter, "apply", counted)
    pictures.good("train", "shapes.yaml", "-q", "--out", "run")
    steps = 3 * -(-18 // 5)
    assert seen == list(range(steps))
    for words in (("eval", "run", "--split", "train"), ("eval", "run"), ("trace", "run", "--batch"),
                  ("predict", "run", "--data", "shapes"), ("trace", "shapes.yaml")):  # fmt: skip
        pictures.good(*words)
    assert len(seen) == steps


def test_training_sees_other_images_than_those_of_the_file(pictures: Lab) -> None:
    pictures.good("train", "shapes.yaml", "-q", "--out", "run")
    pictures.config(PLAIN, name="plain.yaml", text=CONFIG)
    pictures.good("train", "plain.yaml", "-q", "--out", "plain")
    assert not np.array_equal(theta(pictures.path / "run"), theta(pictures.path / "plain"))
    pictures.good("train", "shapes.yaml", "-q", "--out", "again")
    assert np.array_equal(theta(pictures.path / "run"), theta(pictures.path / "again"))


def test_images_that_changed_since_the_run_began(pictures: Lab) -> None:
    pictures.good("train", "shapes.yaml", "-q", "--out", "run")
    record = RunFolder(pictures.path / "run").record()["data"]
    assert [Path(d["file"]).name for d in record] == ["shapes"]
    pictures.write("shapes/notes.txt", "no image")
    assert pictures.run("eval", "run").code == 0
    extra = picture(pictures.path / "shapes/lying/new.png", np.zeros((6, 6)))
    found = pictures.run("eval", "run")
    assert found.code == 65
    assert "has changed since the run began" in found.err
    extra.unlink()
    assert pictures.run("eval", "run").code == 0


def test_bad_images_are_counted_wherever_they_are(pictures: Lab) -> None:
    pictures.write("shapes/lying/bad.png", b"no image")
    found = pictures.run("train", "shapes.yaml", "-q", "--out", "run")
    assert found.code == 65
    assert "this image cannot be read" in found.err
    assert "shapes/lying/bad.png" in found.err
    pictures.config(("mode: gray", "mode: gray, skip_bad: true"), name="shapes.yaml", text=CONFIG)
    warned = "warning: 1 of 25 images cannot be read and are left out: lying/bad.png"
    assert warned in pictures.good("check", "shapes.yaml").err
    pictures.good("train", "shapes.yaml", "-q", "--out", "run")
    for command in ("eval", "predict"):
        assert warned in pictures.good(command, "run", "--data", "shapes").err


CASES = {
    "flat rows": (("per: all}\n  aug", "per: all}\n  aug"), "{type: csv, path: trees.csv, target: kind}",
                  "augmentation changes images, and a row has the shape (2,)", "shape: [height, width, 1]"),
    "a scale a pixel": (("per: all", "per: column"), "", "here each has a scale of its own", "per: all"),
    "too far": (("pixels: 1", "pixels: 6"), "", "shift: a shift by 6 pixels can move a whole", "`pixels: 5`"),
    "too large": (("size: 2", "size: 7"), "", "cutout: a square of 7 x 7 pixels does not fit", "at most `size: 6`"),
    "unknown": (("flip", "flop"), "", "unknown augmentation `flop`", "did you mean `flip`?"),
    "searching": (("batch_size: 5}", "batch_size: full}\noptimizer: lbfgs"), "",
                  "lbfgs compares the loss of one step with that of the next", "leave `augment` out"),
    "dense first": (("  - flatten\n", ""), "", "a dense layer takes rows of numbers", "put a `flatten` before it"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_bad_settings(pictures: Lab, name: str) -> None:
    change, source, text, help = CASES[name]
    if source:
        change = ("{type: images, path: shapes, mode: gray}", source)
    pictures.config(change, name="bad.yaml", text=CONFIG)
    found = pictures.run("check", "bad.yaml")
    assert found.code == 65
    assert text in found.err
    assert help in found.err


def test_images_of_another_form(pictures: Lab) -> None:
    pictures.good("train", "shapes.yaml", "-q", "--out", "run")
    picture(pictures.path / "odd.png", np.zeros((4, 9)))
    found = pictures.run("predict", "run", "--data", "odd.png")
    assert found.code == 65
    assert "odd.png has rows of 4 x 9 x 1 values, the model takes 6 x 6 x 1 values" in found.err
    assert "mode: gray, size: [6, 6]" in found.err
    words = "{type: images, path: odd.png, mode: gray, size: [6, 6]}"
    assert len(pictures.good("predict", "run", "--data", words).out.splitlines()) == 2


def test_an_idx_model_reads_gray_pictures(pictures: Lab) -> None:
    rng = np.random.default_rng(0)
    x, t = rng.integers(0, 256, (12, 6, 6)).astype(np.uint8), np.arange(12, dtype=np.uint8) % 2
    pictures.write("x.idx", bytes([0, 0, 8, 3]) + np.array(x.shape, ">u4").tobytes() + x.tobytes())
    pictures.write("t.idx", bytes([0, 0, 8, 1]) + np.array(t.shape, ">u4").tobytes() + t.tobytes())
    pictures.config(
        ("{type: images, path: shapes, mode: gray}", "{type: idx, inputs: x.idx, targets: t.idx}"),
        name="idx.yaml", text=CONFIG,
    )  # fmt: skip
    pictures.good("train", "idx.yaml", "-q", "--out", "run")
    assert len(pictures.good("predict", "run", "--data", "shapes/lying").out.splitlines()) == 13


# Contact sheets


def size_of(file: Path) -> tuple[int, int]:
    image = Image.open(io.BytesIO(file.read_bytes()))
    assert image.format == "PNG"
    return image.size


def test_a_sheet_of_mistakes(pictures: Lab) -> None:
    pictures.good("train", "shapes.yaml", "-q", "--out", "run", "--set", "training.epochs=1")
    found = pictures.good("eval", "run", "--data", "shapes", "--sheet", "mistakes.png")
    scores = json.loads(pictures.good("eval", "run", "--data", "shapes", "--json").out)["metrics"]
    wrong = 24 - round(24 * scores["accuracy"])
    assert 0 < wrong < 24
    assert f"{wrong} of 24 images taken for another class" in found.err
    width, height = size_of(pictures.path / "mistakes.png")
    assert width > 900
    assert height > 150 * -(-wrong // 8)


def test_a_sheet_of_training_images(pictures: Lab) -> None:
    pictures.good("check", "shapes.yaml", "--sheet", "training.png")
    width, height = size_of(pictures.path / "training.png")
    assert width > 900
    assert 250 < height < 450, "a row for each of two classes"
    pictures.config(PLAIN, name="plain.yaml", text=CONFIG)
    pictures.good("check", "plain.yaml", "--sheet", "plain.png")
    assert size_of(pictures.path / "plain.png")[1] < height


def test_no_sheet_of_what_is_no_image_and_none_that_cannot_be_written(pictures: Lab) -> None:
    pictures.good("train", "trees.yaml", "-q", "--out", "trees")
    found = pictures.run("eval", "trees", "--sheet", "m.png")
    assert found.code == 2
    assert "a sheet shows images, and a row of this model has the shape (2,)" in found.err
    found = pictures.run("check", "shapes.yaml", "--sheet", "nowhere/m.png")
    assert found.code == 73
    assert not (pictures.path / "m.png").exists()
