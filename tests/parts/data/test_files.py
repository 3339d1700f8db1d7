"""What is refused before or while a file is read, and lines cut into cells."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from bpcli.family import Source
from bpcli.numeric import free_memory
from bpcli.parts.data import arrays, images
from bpcli.parts.data.csv.file import _split_line
from bpcli.parts.data.files import _path_advice, open_binary
from bpcli.parts.data.imagefile import read
from bpcli.parts.data.images import Images
from bpcli.parts.data.npy import Npy
from bpcli.parts.data.npz import Npz
from bpcli.records.training import Exit, Failure, Problem


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def failure(call: Any, *arguments: Any) -> tuple[Problem, int]:
    with pytest.raises(Failure) as caught:
        call(*arguments)
    (problem,) = caught.value.problems
    return problem, int(caught.value.exit)


@pytest.mark.parametrize("kind", ["csv", "images", "npz", "npy", "idx", "parquet"])
def test_a_file_is_named_by_at_least_a_character(kind: str) -> None:
    """The empty path would be the folder itself."""
    for name in Source.registry[kind].file_settings:
        paths = dict.fromkeys(Source.registry[kind].file_settings, "a")
        assert Source.parse({"type": kind, **paths, "target": "y"} if kind in ("csv", "parquet") else
                            {"type": kind, **paths})  # fmt: skip
        with pytest.raises(ValidationError, match="at least 1 character"):
            Source.parse({"type": kind, **paths, name: ""})


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_a_file_that_cannot_be_read_says_why(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(name).write_bytes(gzip.compress(b"1") if name.endswith("gz") else b"1")
    with open_binary(Path(name)) as file:
        assert file.read() == b"1"

    def refuse(*_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    problem, exit = failure(open_binary, Path(name))
    assert (problem.text, problem.code, exit) == ("cannot be read: Permission denied", "unreadable", Exit.NO_INPUT)


def test_what_to_do_about_a_path_that_leads_nowhere(tmp_path: Path) -> None:
    root = tmp_path / "configs"
    (root / "data").mkdir(parents=True)
    (root / "data" / "iris.csv").write_text("")
    (tmp_path / "here.csv").write_text("")
    (root / "link").symlink_to("gone")

    def advice(name: str) -> str:
        return _path_advice(root, root / name, name)

    relative = "a path is relative to the file that names it"
    assert advice("https://x/iris.csv") == "only files are read: fetch it, and name the copy"
    assert advice("link") == "it is a link to gone, which does not exist"
    assert advice("here.csv") == f"{relative}: from there it is ../here.csv"
    assert advice("~/iris.csv") == "`~` stands for nothing here: write the whole path"
    assert advice("dta/iris.csv") == f"there is no directory configs/dta; {relative}"
    assert advice("data/irsi.csv") == "did you mean `iris.csv`?"
    assert advice("data/xyz.parquet") == relative


@pytest.mark.parametrize(
    ("line", "cells"),
    [
        ("a,b,c", ["a", "b", "c"]), ("", [""]), (",", ["", ""]), ('"a,b",c', ['"a,b"', "c"]),
        ('a, "b,c" ,d', ["a", ' "b,c" ', "d"]), ('a"b,c"', ['a"b', 'c"']), ('"a""b,c",d', ['"a""b,c"', "d"]),
        ('"open,d', ['"open,d']), ('"a"",b",c', ['"a"",b"', "c"]), ('a"",b', ['a""', "b"]),
    ],
)  # fmt: skip
def test_a_line_is_cut_outside_quotes(line: str, cells: list[str]) -> None:
    assert _split_line(line, ",") == cells
    assert _split_line(line.replace(",", ";"), ";") == [cell.replace(",", ";") for cell in cells]


# ------------------------------------------------------------------------------------------------------------- images
def test_pixels_that_are_no_bytes_are_refused_in_words() -> None:
    Image.fromarray(np.full((2, 2), 0.5, np.float32)).save("f.tif")
    Image.fromarray(np.full((2, 2), 70_000, np.int32)).save("i.tif")
    assert read(Path("f.tif"), "gray", None) == "its pixels are floating-point numbers"
    assert read(Path("i.tif"), "gray", None) == "its pixels have more than 16 bits"
    Image.fromarray(np.array([[0, 65535], [257, 128]], np.uint16)).save("s.png")
    pixels = read(Path("s.png"), "gray", None)
    assert np.array_equal(pixels, np.array([[[0], [255]], [[1], [0]]], np.uint8))


def test_a_folder_that_cannot_be_read_and_images_beyond_memory_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> Any:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "iterdir", refuse)
        problem, _ = failure(lambda: list(images._entries(Path("f"))))
        assert (problem.text, problem.code) == ("the folder cannot be read: Permission denied", "unreadable")

    monkeypatch.setattr(free_memory, "available_bytes", lambda: 10**9)
    images._require((9, 640, 480, 3), Path("f"))
    problem, _ = failure(images._require, (9000, 640, 480, 3), Path("f"))
    assert problem.text == "8.3 GB of memory are needed for 9000 images of 640 x 480 pixels, and 1.0 GB are free"
    assert problem.code == "memory"


def picture(name: str, shape: tuple[int, ...]) -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)).save(name)


def test_settings_that_suit_a_folder_of_images() -> None:
    """Gray where all are, rgb where one is not; one size where they differ."""
    for name in ("g/a/1.png", "g/b/1.png"):
        picture(name, (4, 4))
    settings, table, remarks = Images(path="g").infer_settings(Path("."))
    assert (settings, remarks) == ({"mode": "gray", "size": None}, ())
    assert table.numbers.shape == (2, 4, 4, 1)
    picture("g/b/2.png", (4, 4, 3))
    settings, table, _ = Images(path="g").infer_settings(Path("."))
    assert settings == {"mode": "rgb", "size": None}
    assert table.numbers.shape == (3, 4, 4, 3)
    picture("g/b/3.png", (6, 4))
    settings, table, (remark,) = Images(path="g").infer_settings(Path("."))
    height, width = images.INFERRED_SIZE
    assert settings == {"mode": "rgb", "size": [height, width]}
    assert remark == f"the images differ in size: all are brought to {height} x {width}"
    assert table.numbers.shape == (4, height, width, 3)
    assert failure(Images(path="none").infer_settings, Path("."))[0].code != "image-size"


# ------------------------------------------------------------------------------------------------------------- arrays
X = np.arange(24.0).reshape(6, 4)


def test_a_compressed_array_has_as_many_bytes_as_its_header_says() -> None:
    np.save("a.npy", X)
    whole = Path("a.npy").read_bytes()
    y = np.zeros(6, np.int64)
    np.save("y.npy", y)
    Path("a.npy.gz").write_bytes(gzip.compress(whole))
    assert np.array_equal(Npy(path="a.npy.gz", targets="y.npy").load(Path(".")).numbers, X)
    for bad, found in ((whole[:-1], 191), (whole + b"1", 193)):
        for name, data in (("a.npy.gz", gzip.compress(bad)), ("b.npy", bad)):
            Path(name).write_bytes(data)
            problem, _ = failure(Npy(path=name, targets="y.npy").load, Path("."))
            assert problem.text == f"the header promises 6 x 4 values of float64 (192 bytes), the file has {found}"
            assert problem.code == "truncated"


def archive(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """An archive whose arrays stay in the file."""
    monkeypatch.setattr(arrays, "MAPPED", 8)
    np.savez("a.npz", x=X, y=np.zeros(6, np.int64))
    return Path("a.npz").read_bytes()


def test_an_array_that_stays_in_its_archive_is_checked_before_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = archive(monkeypatch)
    table = Npz(path="a.npz").load(Path("."))
    assert np.array_equal(np.asarray(table.numbers[np.arange(6)]), X)
    start = whole.index(X.tobytes())
    Path("a.npz").write_bytes(whole[: start + 8] + b"\1" + whole[start + 9 :])
    problem, _ = failure(Npz(path="a.npz").load, Path("."))
    assert "Bad CRC-32 for file 'x.npy'" in problem.text
    assert problem.code == "not-npz"


def test_an_entry_that_is_longer_or_shorter_than_its_header_says_is_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    archive(monkeypatch)
    with zipfile.ZipFile("a.npz") as old:
        entries = {name: old.read(name) for name in old.namelist()}
    for change, found in ((b"12345678", 200), (b"", 184)):
        data = entries["x.npy"] + change if change else entries["x.npy"][:-8]
        with zipfile.ZipFile("b.npz", "w") as new:
            new.writestr("x.npy", data)
            new.writestr("y.npy", entries["y.npy"])
        problem, _ = failure(Npz(path="b.npz").load, Path("."))
        assert f"`x` has {found} bytes where 192 are expected" in problem.text


def test_an_archive_that_ends_inside_an_array_is_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut off after its directory was read."""
    archive(monkeypatch)
    with zipfile.ZipFile("a.npz") as opened:
        entry = opened.getinfo("x.npy")
    cut = Path("cut.npz")
    cut.write_bytes(Path("a.npz").read_bytes()[: entry.header_offset + 100])
    from bpcli.parts.data.npz import _map_entry

    with pytest.raises(ValueError, match="the archive ends inside an array"):
        _map_entry(cut, entry, 128, (6, 4), False, np.dtype(float))
