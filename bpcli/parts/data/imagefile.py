"""The pixels of one image file, read with Pillow (the extra `images`)."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from bpcli.family.plan import Array
from bpcli.parts.data.files import PARSER_ERRORS, reason
from bpcli.parts.extras import not_installed

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm", ".pnm")
TRANSPARENT = frozenset({"RGBA", "LA", "PA", "RGBa", "La"})
RUN_LENGTHS = (1, 2)  # of a BMP file: its compression by runs of bytes and of half bytes
PIXELS_OF_A_RUN = 255  # pixels
SIXTEEN_BITS = 65535  # the value of white in an image of 16 bits


def read(file: Path, mode: Literal["gray", "rgb"], size: tuple[int, int] | None) -> Array | str:
    """Returns the pixels (h, w, c) of a file as bytes, brought to a size (height, width), or why it cannot be read: a
    file, whatever is in it, raises nothing. Raises Failure where Pillow is not installed."""
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError
    except ImportError:
        raise not_installed("Pillow", "images", "reading images") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # oddities that do not keep it from being read
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=FORMATS) as opened:
                if opened.info.get("compression") in RUN_LENGTHS and _is_too_small(opened, file):
                    return "it says that it has more pixels than its bytes can hold"
                opened.load()
                image = _on_white(ImageOps.exif_transpose(_bytes(opened)))  # turned as the camera was held
            image = image.convert("L" if mode == "gray" else "RGB")
            if size is not None and image.size != (size[1], size[0]):
                image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
            pixels = np.asarray(image)
    except UnidentifiedImageError:
        return f"it is no {', '.join(FORMATS[:-1])} or {FORMATS[-1]} file, or a broken one"
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        return f"it has more than {Image.MAX_IMAGE_PIXELS or 0:,} pixels"
    except PARSER_ERRORS as error:
        return getattr(error, "strerror", None) or reason(error)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _is_too_small(image: Image, file: Path) -> bool:
    """Whether a file in which a run of up to 255 pixels takes two bytes has less than it needs: Pillow fills in what is
    left of a line pixel by pixel, which takes seconds for long lines."""
    return image.width * image.height > PIXELS_OF_A_RUN * file.stat().st_size


def _bytes(image: Image) -> Image:
    """Returns the image, where it has 16 bits a pixel with 8."""
    from PIL import Image as images

    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers")
    if not image.mode.startswith("I"):
        return image
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > SIXTEEN_BITS:
        raise ValueError("its pixels have more than 16 bits")
    return images.fromarray(((values + 128) // 257).astype(np.uint8))


def _on_white(image: Image) -> Image:
    """Returns the image on a white ground, where a part of it is transparent."""
    from PIL import Image as images

    if image.mode not in TRANSPARENT and "transparency" not in image.info:
        return image
    return images.alpha_composite(images.new("RGBA", image.size, "white"), image.convert("RGBA"))
