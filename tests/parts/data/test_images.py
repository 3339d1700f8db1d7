"""A folder of images: what is read, in which order, and what is said of folders that are not as they should be."""

import builtins
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from picture_folder import picture
from PIL import Image

from bpcli.family import Table
from bpcli.parts.data.images import Images, image_files
from bpcli.records.training import Failure, Problem

GRAY = np.arange(12).reshape(3, 4) * 20
COLOUR = np.arange(36).reshape(3, 4, 3) * 7


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(path: str = "pets", need_target: bool = True, **settings: Any) -> Table:
    return Images.model_validate({"type": "images", "path": path, **settings}).load(Path("."), need_target=need_target)


def refused(exit: int = 65, **settings: Any) -> Problem:
    with pytest.raises(Failure) as caught:
        load(**settings)
    assert int(caught.value.exit) == exit
    (problem,) = caught.value.problems
    return problem


def test_bytes_classes_and_order() -> None:
    for name in ("dog/b.png", "dog/C.png", "dog/a.png", "Cat/z.png", "dog/a10.png", "dog/a2.png", "Élan/x.png"):
        picture(f"pets/{name}", GRAY + len(name))
    table = load(mode="gray")
    dogs = ("dog/C.png", "dog/a.png", "dog/a10.png", "dog/a2.png", "dog/b.png")
    assert table.row_names == ("Cat/z.png", *dogs, "Élan/x.png")
    assert table.target is not None
    assert table.target.tolist() == ["Cat", *["dog"] * 5, "Élan"]
    assert table.numbers.shape == (7, 3, 4, 1)
    assert table.numbers.dtype == np.uint8
    assert (table.numbers[3, ..., 0] == GRAY + len("dog/a10.png")).all()
    assert table.warnings == ()


def test_one_form_of_unicode() -> None:
    """E and an accent apart, as some file systems write it."""
    picture("pets/E\u0301lan/x.png", GRAY)
    picture("pets/F/x.png", GRAY)
    table = load()
    assert table.target is not None
    assert table.target.tolist() == ["F", "\u00c9lan"]


def test_gray_and_rgb() -> None:
    picture("pets/a/gray.png", GRAY)
    picture("pets/b/colour.png", COLOUR)
    rgb, gray = load().numbers, load(mode="gray").numbers
    assert (rgb[0] == GRAY[..., None]).all()
    assert (rgb[1] == COLOUR).all()
    luma = COLOUR @ [0.299, 0.587, 0.114]
    assert np.abs(gray[1, ..., 0] - luma).max() <= 1


@pytest.mark.parametrize("ending", ["bmp", "gif", "webp", "tif", "ppm", "PNG", "jpeg"])
def test_formats(ending: str) -> None:
    flat = np.full((8, 8, 3), 96)
    picture(f"pets/a/x.{ending}", flat)
    picture("pets/b/x.png", flat)
    assert np.abs(load().numbers[0].astype(int) - flat).max() <= 2


def test_sixteen_bits_transparency_and_photographs_that_were_held_upright() -> None:
    Path("pets/a").mkdir(parents=True)
    Image.fromarray((GRAY * 257).astype(np.uint16)).save("pets/a/deep.png")
    clear = np.dstack([np.zeros((3, 4, 3)), np.where(np.arange(12).reshape(3, 4) % 2, 255, 0)])
    picture("pets/b/clear.png", clear)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn it by 90 degrees
    picture("pets/c/held.png", np.rot90(GRAY), exif=exif)
    table = load(mode="gray")
    assert (table.numbers[0, ..., 0] == GRAY).all()
    assert (table.numbers[1, ..., 0] == np.where(np.arange(12).reshape(3, 4) % 2, 0, 255)).all()
    assert (table.numbers[2, ..., 0] == GRAY).all()


def test_size() -> None:
    picture("pets/a/x.png", np.full((10, 20), 50))
    picture("pets/b/y.png", np.full((7, 3), 90))
    problem = refused()
    assert problem.text == "this image has 7 x 3 pixels (height x width), and pets/a/x.png has 10 x 20"
    assert problem.file == "pets/b/y.png"
    assert problem.help == "bring all images to one size: `size: [10, 20]`"
    found = load(size=[4, 5], mode="gray").numbers
    assert found.shape == (2, 4, 5, 1)
    assert (found[0] == 50).all()
    assert (found[1] == 90).all()


def test_what_is_left_out() -> None:
    for name in ("a/x.png", "b/y.jpg"):
        picture(f"pets/{name}", GRAY)
    for name in ("pets/readme.txt", "pets/a/.DS_Store", "pets/a/._x.png", "pets/.git/x.png", "pets/a/notes.csv",
                 "pets/a/deep/z.png", "pets/__MACOSX/q.png", "pets/loose.png"):  # fmt: skip
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("nothing")
    assert load().row_names == ("a/x.png", "b/y.jpg")
    assert [str(p) for p in image_files(Path("pets"))] == ["pets/loose.png", "pets/a/x.png", "pets/b/y.jpg"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_pipe_does_not_hang() -> None:
    picture("pets/a/x.png", GRAY)
    os.mkfifo("pets/a/y.png")
    assert load().rows == 1


BROKEN = {"empty.png": b"", "text.jpg": b"hello", "header.png": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00"}


def broken() -> None:
    for name in ("a/1.png", "a/9.png", "b/x.png"):
        picture(f"pets/{name}", GRAY)
    whole = picture("pets/b/cut.png", np.random.default_rng(0).integers(0, 256, (30, 40))).read_bytes()
    Path("pets/b/cut.png").write_bytes(whole[: len(whole) // 2])
    for name, data in BROKEN.items():
        Path(f"pets/a/{name}").write_bytes(data)


def test_a_corrupt_image_is_named() -> None:
    broken()
    problem = refused()
    assert problem.file == "pets/a/empty.png"
    formats = "PNG, JPEG, BMP, GIF, WEBP, TIFF or PPM"
    assert problem.text == f"this image cannot be read: it is no {formats} file, or a broken one"
    assert "skip_bad: true" in problem.help
    for name in BROKEN:
        Path(f"pets/a/{name}").unlink()
    problem = refused()
    assert problem.file == "pets/b/cut.png"
    assert "truncated" in problem.text


def test_skip_bad_goes_on_and_counts() -> None:
    broken()
    table = load(skip_bad=True)
    assert table.row_names == ("a/1.png", "a/9.png", "b/x.png")
    assert table.numbers.shape == (3, 3, 4, 3)
    (warning,) = table.warnings
    assert warning.level == "warning"
    assert warning.text.startswith("4 of 7 images cannot be read and are left out: a/empty.png (it is no PNG,")
    assert warning.text.endswith("and 1 more")


def test_nothing_that_is_in_a_file_raises() -> None:
    """Bytes of a good file changed, at every place."""
    good = picture("pets/a/x.png", COLOUR).read_bytes()
    picture("pets/a/whole.png", COLOUR)
    for i in range(len(good)):
        Path("pets/a/x.png").write_bytes(good[:i] + bytes([good[i] ^ 0x5A]) + good[i + 1 :])
        try:
            assert load(skip_bad=True).rows in (1, 2)
        except Failure as failure:
            assert failure.problems[0].code == "image-size"  # noqa: PT017


def test_too_many_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    picture("pets/a/x.png", GRAY)
    assert refused().text == "this image cannot be read: it has more than 10 pixels"


def test_a_class_all_of_whose_images_are_bad() -> None:
    broken()
    for name in ("1.png", "9.png"):
        Path(f"pets/a/{name}").unlink()
    assert refused(skip_bad=True).text == "no image of class `a` can be read"
    for name in ("b/x.png",):
        Path(f"pets/{name}").unlink()
    assert refused(skip_bad=True).text == "none of the 4 images can be read"


def test_a_class_folder_with_no_image() -> None:
    picture("pets/a/x.png", GRAY)
    Path("pets/b").mkdir()
    Path("pets/b/notes.txt").write_text("to do")
    problem = refused()
    assert problem.text == "class `b` has no image"
    assert problem.file == "pets"
    picture("pets/b/c/x.png", GRAY)
    assert "should it end in `/b`?" in refused().help


def test_a_folder_without_classes() -> None:
    picture("pets/x.png", GRAY)
    picture("pets/y.png", GRAY)
    assert "one for each class is expected, not 2 images without one" in refused().text
    assert load(need_target=False).row_names == ("x.png", "y.png")
    assert load(need_target=False).target is None
    Path("none").mkdir()
    assert "one for each class is expected" in refused(path="none").text
    assert "one for each class is expected" in refused(path="none", need_target=False).text


def test_one_image_to_predict() -> None:
    picture("x.png", GRAY)
    table = load("x.png", need_target=False)
    assert table.row_names == ("x.png",)
    assert refused(path="x.png").text == "x.png is not a folder"


def test_a_folder_that_is_not_there() -> None:
    Path("pest").mkdir()
    problem = refused(66)
    assert problem.text == "no such folder: pets"
    assert problem.help == "did you mean `pest`?"


@pytest.mark.skipif(sys.platform != "linux", reason="needs names that are no text")
def test_a_name_that_is_no_text() -> None:
    picture("pets/a/x.png", GRAY)
    os.mkdir(b"pets/\xff\xfe")
    picture(os.fsdecode(b"pets/\xff\xfe/x.png"), GRAY)
    table = load()
    assert table.target is not None
    assert table.target.tolist() == ["\\xff\\xfe", "a"]


def test_the_extra_is_named_where_pillow_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    picture("pets/a/x.png", GRAY)
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == "PIL":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    problem = refused()
    assert problem.text == "reading images needs Pillow, which is not installed"
    assert problem.help == "install it: pip install 'bpcli[images]'"
