"""Data sources, one file or folder each. Importing the package registers them."""

from bpcli.parts.data.csv.source import Csv
from bpcli.parts.data.idx import Idx
from bpcli.parts.data.images import Images
from bpcli.parts.data.inline import Inline
from bpcli.parts.data.npy import Npy
from bpcli.parts.data.npz import Npz
from bpcli.parts.data.parquet import Parquet
from bpcli.parts.data.synthetic import Synthetic

__all__ = ["Csv", "Idx", "Images", "Inline", "Npy", "Npz", "Parquet", "Synthetic"]
