"""What a file or a setting says of its size is held to the memory that is free before any of it is asked for."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bpcli.family import Source
from bpcli.numeric import free_memory
from bpcli.numeric.free_memory import NotEnoughMemoryError, require_memory
from bpcli.records.training import Exit, Failure

X, Y = np.zeros((40, 30)), np.arange(40) % 2


def gzipped_npy(folder: Path) -> dict[str, Any]:
    for name, a in (("x", X), ("y", Y)):
        np.save(folder / f"{name}.npy", a)
        (folder / f"{name}.npy.gz").write_bytes(gzip.compress((folder / f"{name}.npy").read_bytes()))
    return {"type": "npy", "path": "x.npy.gz", "targets": "y.npy.gz"}


def compressed_npz(folder: Path) -> dict[str, Any]:
    np.savez_compressed(folder / "a.npz", x=X, y=Y)
    return {"type": "npz", "path": "a.npz"}


def gzipped_idx(folder: Path) -> dict[str, Any]:
    header = bytes([0, 0, 8, 3, 0, 0, 0, 40, 0, 0, 0, 30, 0, 0, 0, 30])
    (folder / "x.gz").write_bytes(gzip.compress(header + bytes(40 * 30 * 30)))
    return {"type": "idx", "inputs": "x.gz", "targets": "y.gz"}


def pictures(folder: Path) -> dict[str, Any]:
    Image = pytest.importorskip("PIL.Image")
    for name in ("a", "b"):
        (folder / "p" / name).mkdir(parents=True)
        Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save(folder / "p" / name / "1.png")
    return {"type": "images", "path": "p", "size": [1000, 100_000]}


def parquet(folder: Path) -> dict[str, Any]:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.table({"x": np.zeros(5000), "y": np.zeros(5000)}), folder / "a.parquet")
    assert (folder / "a.parquet").stat().st_size < 3000
    return {"type": "parquet", "path": "a.parquet", "target": "y"}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (gzipped_npy, "9.6 KB of memory are needed for 40 x 30 values"),
        (compressed_npz, "9.6 KB of memory are needed for `x`"),
        (gzipped_idx, "36.0 KB of memory are needed for 40 x 30 x 30 values"),
        (pictures, "600 MB of memory are needed for 2 images of 1000 x 100000 pixels"),
        (parquet, "160 KB of memory are needed for 5,000 rows of 2 columns"),
    ],
)
def test_a_file_that_says_it_holds_more_than_fits_is_refused(
    make: Callable[[Path], dict[str, Any]], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Source.parse(make(tmp_path))
    monkeypatch.setattr(free_memory, "SMALL_BYTES", 0)
    monkeypatch.setattr(free_memory, "available_bytes", lambda: 5000)
    with pytest.raises(Failure) as caught:
        source.load(tmp_path)
    (problem,) = caught.value.problems
    assert problem.text == f"{said}, and 5.0 KB are free"
    assert (problem.code, caught.value.exit) == ("memory", Exit.BAD_INPUT)
    assert problem.help


def test_made_up_rows_are_held_to_the_memory_too(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source.parse({"type": "synthetic", "shape": "parity", "rows": 10_000_000, "bits": 20})
    monkeypatch.setattr(free_memory, "available_bytes", lambda: 10**9)
    with pytest.raises(NotEnoughMemoryError, match=r"6\.6 GB of memory are needed to make up 10,000,000 rows"):
        source.load(Path())


def test_what_is_small_is_not_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(free_memory, "available_bytes", lambda: 0)
    require_memory(free_memory.SMALL_BYTES - 1, "for little", "nothing")
    with pytest.raises(NotEnoughMemoryError, match=r"67\.1 MB of memory are needed for more, and 0 B"):
        require_memory(free_memory.SMALL_BYTES, "for more", "nothing")
    monkeypatch.setattr(free_memory, "available_bytes", lambda: None)  # a system that does not say
    require_memory(10**30, "for anything", "nothing")
