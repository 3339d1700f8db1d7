"""A contact sheet as a PNG file, drawn with Pillow (the extra `images`)."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from bpcli.parts.extras import not_installed
from bpcli.studies.evaluation.contact_sheet import Sheet, Tile, TileTone

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGE_PIXELS = 112  # pixels of an image on the sheet: small ones are enlarged by a whole factor, large ones shrunk
GAP_PIXELS = 14  # between two images
MARGIN_PIXELS = 22  # around the sheet
TEXT_SIZE, HEADING_SIZE = 13, 19  # pixels: sizes of type
LINE_PIXELS = 17  # from line to line
BACKGROUND = "#ffffff"
INK: dict[TileTone, str] = {"plain": "#1f2328", "right": "#1a7f37", "wrong": "#c02026", "dim": "#8c959f"}
FRAME = "#d0d7de"


def png(sheet: Sheet) -> bytes:
    """Returns the sheet as a PNG file. Raises Failure where Pillow is not installed."""
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError:
        raise not_installed("Pillow", "images", "drawing a sheet") from None
    font, heading = ImageFont.load_default(TEXT_SIZE), ImageFont.load_default(HEADING_SIZE)
    side = max((_scaled(tile).size[k] for tile in sheet.tiles for k in (0, 1)), default=IMAGE_PIXELS)
    lines = max((len(tile.lines) for tile in sheet.tiles), default=0)
    rows = -(-len(sheet.tiles) // sheet.columns)
    above = MARGIN_PIXELS + HEADING_SIZE + 8 + TEXT_SIZE + 18
    step = side + 6 + LINE_PIXELS * lines + GAP_PIXELS
    width = max(
        2 * MARGIN_PIXELS + sheet.columns * (side + GAP_PIXELS) - GAP_PIXELS,
        2 * MARGIN_PIXELS + int(max(heading.getlength(sheet.title), font.getlength(sheet.note))) + 1,
    )
    canvas = Image.new("RGB", (width, above + rows * step + MARGIN_PIXELS - GAP_PIXELS), BACKGROUND)
    draw = ImageDraw.Draw(canvas)
    draw.text((MARGIN_PIXELS, MARGIN_PIXELS), sheet.title, INK["plain"], heading)
    draw.text((MARGIN_PIXELS, MARGIN_PIXELS + HEADING_SIZE + 8), sheet.note, INK["dim"], font)
    for i, tile in enumerate(sheet.tiles):
        row, column = divmod(i, sheet.columns)
        x, y = MARGIN_PIXELS + column * (side + GAP_PIXELS), above + row * step
        image = _scaled(tile)
        left, top = x + (side - image.width) // 2, y + (side - image.height) // 2
        canvas.paste(image, (left, top))
        draw.rectangle((left - 1, top - 1, left + image.width, top + image.height), outline=FRAME)
        for k, (text, tone) in enumerate(tile.lines):
            shown = (_last_part if tone == "dim" else _clipped)(text, side + GAP_PIXELS - 4, font)
            draw.text((x, y + side + 6 + k * LINE_PIXELS), shown, INK[tone], font)
    out = io.BytesIO()
    canvas.save(out, "PNG", optimize=True)
    return out.getvalue()


def _scaled(tile: Tile) -> Image:
    """Returns the image as large as it is drawn: its pixels enlarged and still seen, or smoothly shrunk."""
    from PIL import Image

    pixels = tile.pixels[..., 0] if tile.pixels.shape[2] == 1 else tile.pixels
    image = Image.fromarray(pixels).convert("RGB")
    longest = max(image.size)
    if longest > IMAGE_PIXELS:
        image.thumbnail((IMAGE_PIXELS, IMAGE_PIXELS))
        return image
    factor = IMAGE_PIXELS // longest
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def _last_part(text: str, width: int, font: Any) -> str:
    """Returns the text, or the end of it that fits: a file's name differs from others at its end."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength("..." + text) > width:
        text = text[1:]
    return "..." + text


def _clipped(text: str, width: int, font: Any) -> str:
    """Returns the text, or the beginning of it that fits; a share at its end stays."""
    if font.getlength(text) <= width:
        return text
    name, colon, share = text.rpartition(": ")
    end = f"...{colon}{share}" if colon else "..."
    name = name or text
    while name and font.getlength(name + end) > width:
        name = name[:-1]
    return name.rstrip() + end
