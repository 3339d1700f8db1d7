"""Rows that are in memory: which split each belongs to, and what the splits become."""

from typing import Any, cast

import numpy as np

from bpcli.config.data import Data
from bpcli.family import Array, Table
from bpcli.records.training import Problem
from bpcli.studies.dataset.fit import fit_preprocessor
from bpcli.studies.dataset.preprocessor import Labels, Preprocessor
from bpcli.studies.dataset.split import divide, split_by_column, split_by_time, split_fractions, strata


class InMemoryRows:
    """The rows of a training source, all in memory."""

    def __init__(self, table: Table, labels: Labels) -> None:
        self.table, self.labels = table, labels

    def divide(self, data: Data, seed: int) -> tuple[dict[str, Array], tuple[Problem, ...]]:
        """Returns the rows of each split that is part of this source, and what to warn of."""
        table = self.table
        if data.split is not None:
            key, name = data.split.by
            if key == "group":
                return divide(table.aside[name], data, seed, grouped=True), ()
            by = split_by_column(table, name) if key == "column" else split_by_time(table, name, split_fractions(data))
            return by, ()
        codes, warnings = strata(data, self.labels, table.rows, lambda: cast(Array, table.target))
        return divide(codes, data, seed), warnings

    def fit(self, data: Data, rows: Array) -> tuple[Preprocessor, tuple[Problem, ...]]:
        """Returns what these rows teach, and what to warn of."""
        return fit_preprocessor(self.table, rows, self.labels, data.scale, data.scale_target), ()

    def encode(
        self, preprocessor: Preprocessor, rows: Array, dtype: Any, *, inputs: bool = True, last: bool = False
    ) -> tuple[Array, Array, tuple[Problem, ...]]:
        """Inputs (without `inputs`, their shape alone) and targets of these rows, and what to warn of. The `last` ones
        asked for may be written over the table's numbers."""
        t = preprocessor.encode_target(self.table, dtype, rows)
        if not inputs:
            return np.broadcast_to(np.zeros((), dtype), (len(rows), *preprocessor.shape)), t, ()
        warnings = preprocessor.unseen(self.table, rows)
        x = preprocessor.encode_inputs(self.table, dtype, rows, reuse=self.table.pivot is not None and last)
        return x, t, warnings
