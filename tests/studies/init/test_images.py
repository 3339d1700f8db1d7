"""`init` of folders of images, and of images in a format of a user's own."""

from pathlib import Path

import numpy as np
import pytest
from init_lab import _here as _here
from init_lab import found, made
from own_parts import own as own

from bpcli.studies.custom import load as custom

CHANCE = np.random.default_rng(0)


def test_a_folder_of_images() -> None:
    image = pytest.importorskip("PIL.Image")
    for k, name in enumerate(("cat", "dog")):
        Path("pets", name).mkdir(parents=True)
        for i in range(6):
            pixels = CHANCE.integers(0, 256, (16, 20 + (i == 5), 3), np.uint8)
            image.fromarray(pixels if k else pixels[..., 0]).save(f"pets/{name}/{i}.png")
    f = found(data="pets")
    assert (f.shape, f.classes, f.pixels) == ((64, 64, 3), {"cat": 6, "dog": 6}, True)
    for name in ("cat", "dog"):
        Path(f"pets/{name}/5.png").unlink()
    written, setup = made(data="pets")
    assert "mode: rgb" in written.text
    assert "conv2d" in written.text
    for file in Path("pets/dog").iterdir():
        image.open(file).convert("L").save(file)
    written, setup = made(data="pets")
    assert "mode: gray" in written.text
    assert setup.network_plan.x == (16, 20, 1)


DOTS = """
from typing import ClassVar, Literal

import numpy as np

from bpcli.custom import Source, Table


class Dots(Source):
    type: Literal["dots"] = "dots"
    endings: ClassVar[tuple[str, ...]] = (".dots",)
    file_settings: ClassVar[tuple[str, ...]] = ("path",)
    pixels: ClassVar[bool] = True
    classifies: ClassVar[bool] = True
    path: str
    side: int = 4

    def infer_settings(self, root):
        source = self.model_copy(update={"side": 8})
        return {"side": 8}, source.load(root), ("all dots are 8 wide",)

    def load(self, root, *, need_target=True):
        x = np.random.default_rng(0).integers(0, 256, (60, self.side, self.side, 1), np.uint8)
        return Table(x, {}, (), (), np.arange(60) % 3 if need_target else None, (), self.path)
"""
"""Images in a format of a user's own, whose classes are numbers."""


@pytest.mark.usefixtures("own")
def test_images_of_a_users_own_are_treated_like_a_folder_of_them() -> None:
    Path("dots.py").write_text(DOTS)
    Path("a.dots").write_text("")
    custom.load([Path("dots.py")])
    f = found(data="a.dots", task="regress")
    assert (f.shape, f.task, f.outputs, f.pixels) == ((8, 8, 1), "classify", 3, True)
    assert f.source == {"type": "dots", "path": "a.dots", "side": 8}
    written, setup = made(data="a.dots")
    assert "all dots are 8 wide" in f.remarks
    assert "conv2d" in written.text
    assert "pixels share one scale" in written.text
    assert setup.network_plan.x == (8, 8, 1)


def test_images_of_a_given_size_keep_it_and_nothing_else_is_said() -> None:
    image = pytest.importorskip("PIL.Image")
    for name in ("cat", "dog"):
        Path("pets", name).mkdir(parents=True)
        for i in range(6):
            image.fromarray(CHANCE.integers(0, 256, (16, 20 + i, 3), np.uint8)).save(f"pets/{name}/{i}.png")
    f = found(data="{type: images, path: pets, size: [8, 12], skip_bad: true}")
    assert f.source == {"type": "images", "path": "pets", "skip_bad": True, "mode": "rgb", "size": [8, 12]}
    assert (f.shape, f.remarks) == ((8, 12, 3), ())
