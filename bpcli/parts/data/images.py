"""A folder of images, one folder inside it for each class."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from bpcli.family import Array, Sample, Shape, Source, Table, join_names
from bpcli.parts.data.files import data_error, display_path, locate, locate_folder, require_for_data
from bpcli.parts.data.imagefile import ENDINGS, read
from bpcli.parts.data.targets import labels
from bpcli.records.printable import utf8_name
from bpcli.records.training import Failure, Problem

MAX_FILES_NAMED = 3  # files that a warning lists
INFERRED_SIZE = (64, 64)  # pixels, of images that differ in size


def _size(value: Any) -> Any:
    """Returns a height and a width, both at least 1."""
    if not isinstance(value, list | tuple) or len(value) != 2 or not all(type(v) is int and v > 0 for v in value):
        raise PydanticCustomError("size", "write a height and a width in pixels: [28, 28]")
    return tuple(value)


SIDE: dict[str, Any] = {"type": "integer", "minimum": 1}
SIZE: dict[str, Any] = {"type": "array", "items": SIDE, "minItems": 2, "maxItems": 2}
ImageSize = Annotated[tuple[int, int], BeforeValidator(_size), WithJsonSchema(SIZE)]


class Images(Source):
    """Images in a folder, each in the folder of its class: `path/class/name.png`.

    Inputs    (N, h, w, c) bytes, 0 black to 255 white; c is 1 (gray) or 3 (rgb). A photograph is turned as its camera
              says, of an animation the first image counts, what is transparent is white
    Targets   (N,) text: the names of the folders
    Order     by class, then by file, both by the code points of their names: the same on every system
    Left out  hidden files and folders, files that do not end as images do, folders inside a class
    Errors    Failure: a corrupt image (named; `skip_bad` goes on), sizes that differ where `size` is not given, a class
              without an image, the extra `images` (Pillow) not installed
    Source    the layout of torchvision's ImageFolder; gray as in ITU-R BT.601
    """

    type: Literal["images"] = "images"
    endings: ClassVar[tuple[str, ...]] = ENDINGS
    file_settings: ClassVar[tuple[str, ...]] = ("path",)
    pixels: ClassVar[bool] = True
    classifies: ClassVar[bool] = True
    path: str = Field(min_length=1, description="the folder, relative to the file that names it")
    mode: Literal["gray", "rgb"] = Field("rgb", description="one channel or three, whatever the files have")
    size: ImageSize | None = Field(
        None, description="[height, width] that every image is brought to; left out: they have to agree"
    )
    skip_bad: bool = Field(False, description="whether images that cannot be read are left out, with a warning")

    def load(self, root: Path, *, need_target: bool = True) -> Table:
        path = root / self.path
        if not need_target and path.is_file():
            found = [("", locate(root, self.path))]
        else:
            found = _images(locate_folder(root, self.path), need_target)
        x, kept, skipped = self._pixels([file for _, file in found], path)
        classes = [found[i][0] for i in kept]
        if unread := sorted({name for name, _ in found} - set(classes)):
            raise data_error(f"no image of class `{unread[0]}` can be read", path / unread[0], code="no-images")
        return Table(
            numbers=x,
            texts={},
            names=(),
            order=(),
            target=labels(classes) if need_target else None,
            target_names=(),
            origin=display_path(path),
            row_names=tuple(_display_name(found[i][1], path) for i in kept),
            warnings=_skipped_warning(skipped, len(found), path),
        )

    def infer_settings(self, root: Path) -> tuple[Mapping[str, Any], Table, tuple[str, ...]]:
        """Returns gray where all images are, and one size where they differ."""
        source = self.model_copy(update={"mode": "rgb"})
        remarks: tuple[str, ...] = ()
        try:
            table = source.load(root)
        except Failure as failure:
            if failure.problems[0].code != "image-size":
                raise
            source = source.model_copy(update={"size": INFERRED_SIZE})
            remarks = (f"the images differ in size: all are brought to {' x '.join(map(str, INFERRED_SIZE))}",)
            table = source.load(root)
        x = table.numbers
        blocks = (x[i : i + 256] for i in range(0, len(x), 256))
        gray = all((block[..., :1] == block[..., 1:]).all() for block in blocks)
        settings = {"mode": "gray" if gray else "rgb", "size": list(source.size) if source.size else None}
        return settings, replace(table, numbers=x[..., :1] if gray else x), remarks

    @classmethod
    def reads(cls, path: Path) -> bool:
        """Whether the path is an image or a folder, whatever its name."""
        try:
            return super().reads(path) or path.is_dir()
        except OSError:  # a name that is too long for one
            return False

    @classmethod
    def of_file(cls, path: str, like: Source | None, *, need_target: bool, row: Shape, root: Path) -> Images:
        """Returns a source that reads colors where the model takes three channels, and else grays."""
        if isinstance(like, Images):
            return like.model_copy(update={"path": path})
        return Images(path=path, mode="rgb" if row[2:] == (3,) else "gray")

    def _pixels(self, files: Sequence[Path], folder: Path) -> tuple[Array, list[int], list[tuple[str, str]]]:
        """Returns the images (N, h, w, c), which of the files they are, and which cannot be read, with the reason."""
        out: Array | None = None
        kept: list[int] = []
        if self.size is not None:  # before a single one is brought to it
            _require((len(files), *self.size, 1 if self.mode == "gray" else 3), folder)
        skipped: list[tuple[str, str]] = []
        for i, file in enumerate(files):
            pixels = read(file, self.mode, self.size)
            if isinstance(pixels, str):
                if not self.skip_bad:
                    help = "replace or remove it, or leave such images out with `skip_bad: true`"
                    raise data_error(f"this image cannot be read: {pixels}", file, code="bad-image", help=help)
                skipped.append((_display_name(file, folder), pixels))
                continue
            if out is None:
                _require((len(files), *pixels.shape), folder)
                out = np.empty((len(files), *pixels.shape), np.uint8)
            if pixels.shape != out.shape[1:]:
                raise _size_mismatch(file, pixels, files[kept[0]], out)
            out[len(kept)] = pixels
            kept.append(i)
        if out is None:
            raise data_error(f"none of the {len(files)} images can be read", folder, code="no-images")
        return out[: len(kept)], kept, skipped

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(path="flowers", size=(64, 64)))
        yield Sample({"type": "images", "path": "digits", "mode": "gray", "size": [28, 28], "skip_bad": True})
        yield Sample({"type": "images"}, error="Field required")
        yield Sample({"type": "images", "path": "a", "mode": "cmyk"}, error="Input should be 'gray' or 'rgb'")
        yield Sample({"type": "images", "path": "a", "size": [28, 0]}, error="write a height and a width")
        yield Sample({"type": "images", "path": "a", "size": [28]}, error="write a height and a width")


def image_files(folder: Path) -> list[Path]:
    """Returns the images in a folder and in the folders inside it, in order: what a source of this path can read."""
    return [file for subfolder in (folder, *_folders(folder)) for file in _image_files(subfolder)]


def _images(folder: Path, need_target: bool) -> list[tuple[str, Path]]:
    """Returns each image with its class; without targets, images of no class where the folder has no others. Raises
    Failure."""
    found: list[tuple[str, Path]] = []
    empty: list[Path] = []
    for subfolder in _folders(folder):
        pictures = _image_files(subfolder)
        found += [(_name(subfolder), file) for file in pictures]
        if not pictures:
            empty.append(subfolder)
    alone = [("", file) for file in _image_files(folder)]
    if not need_target and (found or alone):
        return found or alone
    if not found and not empty:
        text = "the folder has no folder inside it: one for each class is expected"
        text += f", not {len(alone)} images without one" if alone else ""
        help = "put the images of each class into a folder named after it"
        raise data_error(text, folder, code="no-images", help=help)
    if empty:
        raise _without_image(empty[0], folder)
    return found


def _without_image(subfolder: Path, folder: Path) -> Failure:
    inner = _folders(subfolder)
    if any(_image_files(p) for p in inner):
        help = f"images are looked for in <class>/<file> under `path`: should it end in `/{subfolder.name}`?"
    else:
        help = f"remove the folder, or put images into it; they end in {', '.join(sorted(ENDINGS))}"
    return data_error(f"class `{subfolder.name}` has no image", folder, code="no-images", help=help)


def _folders(folder: Path) -> list[Path]:
    return sorted((p for p in _entries(folder) if p.is_dir()), key=_name)


def _image_files(folder: Path) -> list[Path]:
    return sorted((p for p in _entries(folder) if p.suffix.lower() in ENDINGS and p.is_file()), key=_name)


def _entries(folder: Path) -> Iterator[Path]:
    """Yields what lies in a folder and is not hidden. Raises Failure where it cannot be read."""
    try:
        yield from (p for p in folder.iterdir() if not p.name.startswith((".", "__MACOSX")))
    except OSError as error:
        raise data_error(f"the folder cannot be read: {error.strerror}", folder, code="unreadable") from None


def _name(path: Path) -> str:
    """Returns a name in one form of Unicode, whatever the file system's; a byte that is not UTF-8 as `\\xe9`."""
    return unicodedata.normalize("NFC", utf8_name(path.name))


def _display_name(file: Path, folder: Path) -> str:
    return utf8_name(file.name if file == folder else file.relative_to(folder).as_posix())


def _require(shape: tuple[int, ...], folder: Path) -> None:
    """Raises Failure where images (N, h, w, c) do not fit into memory."""
    text, help = f"for {shape[0]} images of {shape[1]} x {shape[2]} pixels", "a smaller size: `size: [64, 64]`"
    require_for_data(math.prod(shape), text, folder, help)


def _size_mismatch(file: Path, pixels: Array, first: Path, out: Array) -> Failure:
    (h, w, _), (height, width) = pixels.shape, out.shape[1:3]
    text = f"this image has {h} x {w} pixels (height x width), and {display_path(first)} has {height} x {width}"
    help = f"bring all images to one size: `size: [{height}, {width}]`"
    return data_error(text, file, code="image-size", help=help)


def _skipped_warning(skipped: Sequence[tuple[str, str]], count: int, folder: Path) -> tuple[Problem, ...]:
    if not skipped:
        return ()
    named = join_names([f"{file} ({why})" for file, why in skipped], MAX_FILES_NAMED)
    text = f"{len(skipped)} of {count} images cannot be read and are left out: {named}"
    return (Problem(text, code="bad-image", file=display_path(folder), level="warning"),)
