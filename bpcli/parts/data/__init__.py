"""Data sources: csv, inline, idx, npz. Importing the package registers them."""

from bpcli.parts.data.csv import Csv
from bpcli.parts.data.idx import Idx
from bpcli.parts.data.inline import Inline
from bpcli.parts.data.npz import Npz

__all__ = ["Csv", "Idx", "Inline", "Npz"]
