"""Which source of data reads a file, by how its name ends."""

from pathlib import Path

import pytest

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.family import Source


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("a.csv", {"csv"}), ("a.csv.gz", {"csv"}), ("A.TSV", {"csv"}), ("a.npy", {"npy"}), ("a.npy.gz", {"npy"}),
        ("a.npz", {"npz"}), ("a.npz.gz", set()), ("t10k-images-idx3-ubyte", {"idx"}), ("a.idx.gz", {"idx"}),
        ("a.gz", set()), ("csv", set()), ("a.parquet", {"parquet"}), ("a.parquet.gz", set()),
    ],
)  # fmt: skip
def test_the_ending_says_which_source_reads_it(name: str, kinds: set[str]) -> None:
    found = {kind for kind, leaf in Source.registry.items() if leaf.reads(Path(name))}
    assert found == kinds
