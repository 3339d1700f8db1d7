"""Where the images and their lines stand on a contact sheet, pixel by pixel."""

from __future__ import annotations

import builtins
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from bpcli.family.plan import Array
from bpcli.records.training import Failure
from bpcli.render.evaluation.contact_sheet import (
    BACKGROUND,
    GAP_PIXELS,
    HEADING_SIZE,
    IMAGE_PIXELS,
    LINE_PIXELS,
    MARGIN_PIXELS,
    TEXT_SIZE,
    png,
)
from bpcli.studies.evaluation.contact_sheet import Sheet, Tile

ABOVE = MARGIN_PIXELS + HEADING_SIZE + 8 + TEXT_SIZE + 18  # pixels from the top to the first image


def pixels(sheet: Sheet) -> Array:
    return np.asarray(Image.open(io.BytesIO(png(sheet))).convert("RGB"))


def flat(value: int, *lines: Any, shape: tuple[int, int, int] = (2, 2, 1)) -> Tile:
    return Tile(np.full(shape, value, np.uint8), lines)


def test_images_stand_in_rows_with_their_lines_under_them() -> None:
    """Three images in two columns; each is enlarged by a whole factor, and its pixels are still seen."""
    step = IMAGE_PIXELS + 6 + 2 * LINE_PIXELS + GAP_PIXELS
    sheet = Sheet("t", "n", 2, [flat(k, ("", "plain"), ("", "plain")) for k in (10, 20, 30)])
    page = pixels(sheet)
    assert page.shape == (
        ABOVE + 2 * step + MARGIN_PIXELS - GAP_PIXELS,
        2 * MARGIN_PIXELS + 2 * IMAGE_PIXELS + GAP_PIXELS,
        3,
    )
    for value, row, column in ((10, 0, 0), (20, 0, 1), (30, 1, 0)):
        y, x = ABOVE + row * step, MARGIN_PIXELS + column * (IMAGE_PIXELS + GAP_PIXELS)
        assert (page[y : y + IMAGE_PIXELS, x : x + IMAGE_PIXELS] == value).all()
        assert (page == value).all(axis=2).sum() == IMAGE_PIXELS**2
        frame = page[y - 1, x - 1 : x + IMAGE_PIXELS + 1]
        assert (frame == frame[0]).all()
        assert frame[0].tolist() == [0xD0, 0xD7, 0xDE]


def test_a_small_image_keeps_its_pixels_and_stands_in_the_middle_of_its_place() -> None:
    """8 by 20 pixels are enlarged five times; the place beside it is as large as the largest image."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 200, (8, 20, 3), dtype=np.uint8)
    page = pixels(Sheet("t", "n", 2, [Tile(image), flat(10, shape=(7, 7, 1))]))
    factor = IMAGE_PIXELS // 20
    height, width = 8 * factor, 20 * factor
    top, left = ABOVE + (IMAGE_PIXELS - height) // 2, MARGIN_PIXELS + (IMAGE_PIXELS - width) // 2
    assert np.array_equal(page[top : top + height, left : left + width], image.repeat(factor, 0).repeat(factor, 1))


@pytest.mark.parametrize(("shape", "seen"), [((300, 100, 1), (112, 37)), ((112, 56, 1), (112, 56))])
def test_a_large_image_is_shrunk_until_it_fits(shape: tuple[int, int, int], seen: tuple[int, int]) -> None:
    page = pixels(Sheet("t", "n", 1, [flat(10, shape=shape)]))
    where = np.argwhere((page == 10).all(axis=2))
    assert tuple(where.max(0) - where.min(0) + 1) == seen


def test_lines_are_in_the_colour_of_what_they_say_one_below_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[tuple[int, int], str, str]] = []
    monkeypatch.setattr(ImageDraw.ImageDraw, "text", lambda self, at, text, ink, font: said.append((at, text, ink)))
    tile = flat(0, ("cat", "wrong"), ("is dog", "right"), ("x" * 60, "dim"), ("y" * 60, "plain"))
    png(Sheet("title", "note", 1, [tile]))
    (title, note, *lines) = said
    assert title == ((MARGIN_PIXELS, MARGIN_PIXELS), "title", "#1f2328")
    assert note == ((MARGIN_PIXELS, MARGIN_PIXELS + HEADING_SIZE + 8), "note", "#8c959f")
    top = ABOVE + IMAGE_PIXELS + 6
    assert [at for at, _, _ in lines] == [(MARGIN_PIXELS, top + k * LINE_PIXELS) for k in range(4)]
    assert [ink for _, _, ink in lines] == ["#c02026", "#1a7f37", "#8c959f", "#1f2328"]
    texts = [text for _, text, _ in lines]
    assert texts[:2] == ["cat", "is dog"]
    assert texts[2].startswith("...x"), "a file's name differs from others at its end"
    assert texts[3].endswith("y...")


def test_a_sheet_without_images_and_one_with_a_long_title() -> None:
    empty = pixels(Sheet("t", "n", 3, []))
    assert empty.shape == (ABOVE + MARGIN_PIXELS - GAP_PIXELS, 2 * MARGIN_PIXELS + 3 * IMAGE_PIXELS + 2 * GAP_PIXELS, 3)
    assert BACKGROUND == "#ffffff"
    assert (empty[-MARGIN_PIXELS + GAP_PIXELS :] == 255).all()
    long = pixels(Sheet("title " * 30, "n", 1, []))
    ink = np.argwhere((long != 255).any(axis=2))
    assert ink[:, 1].max() < long.shape[1] - MARGIN_PIXELS + 2, "the whole title is seen"
    assert ink[:, 1].max() > long.shape[1] - MARGIN_PIXELS - 12


def test_without_pillow_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = builtins.__import__

    def absent(name: str, *more: Any) -> Any:
        if name == "PIL":
            raise ImportError
        return honest(name, *more)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(Failure) as caught:
        png(Sheet("t", "n", 1, []))
    problem = caught.value.problems[0]
    assert "Pillow" in problem.text + problem.help
    assert "images" in problem.text + problem.help
