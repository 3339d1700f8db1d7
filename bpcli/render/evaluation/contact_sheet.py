"""A contact sheet as a PNG file, drawn with Pillow (the extra `images`)."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from bpcli.parts.extras import not_installed
from bpcli.studies.evaluation.contact_sheet import Sheet, Tile, Tone

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 112  # pixels of an image on the sheet: small ones are enlarged by a whole factor, large ones shrunk
GAP = 14
MARGIN = 22
TEXT, HEADING = 13, 19  # sizes of type
LINE = 17
GROUND = "#ffffff"
INK: dict[Tone, str] = {"plain": "#1f2328", "right": "#1a7f37", "wrong": "#c02026", "dim": "#8c959f"}
FRAME = "#d0d7de"


def png(sheet: Sheet) -> bytes:
    """The sheet as a PNG file. Raises Failure where Pillow is not installed."""
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError:
        raise not_installed("Pillow", "images", "drawing a sheet") from None
    font, heading = ImageFont.load_default(TEXT), ImageFont.load_default(HEADING)
    side = max((_fitted(tile).size[k] for tile in sheet.tiles for k in (0, 1)), default=SIDE)
    lines = max((len(tile.lines) for tile in sheet.tiles), default=0)
    rows = -(-len(sheet.tiles) // sheet.columns)
    above = MARGIN + HEADING + 8 + TEXT + 18
    step = side + 6 + LINE * lines + GAP
    width = max(
        2 * MARGIN + sheet.columns * (side + GAP) - GAP,
        2 * MARGIN + int(max(heading.getlength(sheet.title), font.getlength(sheet.note))) + 1,
    )
    canvas = Image.new("RGB", (width, above + rows * step + MARGIN - GAP), GROUND)
    draw = ImageDraw.Draw(canvas)
    draw.text((MARGIN, MARGIN), sheet.title, INK["plain"], heading)
    draw.text((MARGIN, MARGIN + HEADING + 8), sheet.note, INK["dim"], font)
    for i, tile in enumerate(sheet.tiles):
        row, column = divmod(i, sheet.columns)
        x, y = MARGIN + column * (side + GAP), above + row * step
        image = _fitted(tile)
        left, top = x + (side - image.width) // 2, y + (side - image.height) // 2
        canvas.paste(image, (left, top))
        draw.rectangle((left - 1, top - 1, left + image.width, top + image.height), outline=FRAME)
        for k, (text, tone) in enumerate(tile.lines):
            shown = (_ending if tone == "dim" else _clipped)(text, side + GAP - 4, font)
            draw.text((x, y + side + 6 + k * LINE), shown, INK[tone], font)
    out = io.BytesIO()
    canvas.save(out, "PNG", optimize=True)
    return out.getvalue()


def _fitted(tile: Tile) -> Image:
    """The image as large as it is drawn: its pixels enlarged and still seen, or smoothly shrunk."""
    from PIL import Image

    pixels = tile.pixels[..., 0] if tile.pixels.shape[2] == 1 else tile.pixels
    image = Image.fromarray(pixels).convert("RGB")
    longest = max(image.size)
    if longest > SIDE:
        image.thumbnail((SIDE, SIDE))
        return image
    factor = SIDE // longest
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def _ending(text: str, width: int, font: Any) -> str:
    """The text, or the end of it that fits: of a file's name what tells it from others."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength("..." + text) > width:
        text = text[1:]
    return "..." + text


def _clipped(text: str, width: int, font: Any) -> str:
    """The text, or the beginning of it that fits; a share at its end stays."""
    if font.getlength(text) <= width:
        return text
    name, colon, share = text.rpartition(": ")
    end = f"...{colon}{share}" if colon else "..."
    name = name or text
    while name and font.getlength(name + end) > width:
        name = name[:-1]
    return name.rstrip() + end
