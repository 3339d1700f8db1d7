"""Small image files, made with Pillow."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def picture(path: str | Path, pixels: Any, **settings: Any) -> Path:
    """Writes pixels (h, w) or (h, w, c) as the file's name says."""
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(file, **settings)
    return file


def shapes(folder: str | Path, each: int = 12, side: int = 6, seed: int = 0) -> Path:
    """A folder of two classes: bars that stand and bars that lie, each at a place of its own, with noise."""
    rng = np.random.default_rng(seed)
    for k in range(each):
        for name in ("lying", "standing"):
            pixels = rng.integers(0, 60, (side, side))
            place = int(rng.integers(0, side))
            if name == "lying":
                pixels[place] = 220
            else:
                pixels[:, place] = 220
            picture(Path(folder) / name / f"{k:03}.png", pixels)
    return Path(folder)
