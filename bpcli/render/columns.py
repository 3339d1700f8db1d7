"""A column of the table of epochs."""

from __future__ import annotations

from dataclasses import dataclass

from bpcli.records.training import WATCH_PREFIX

MIN_COLUMN_WIDTH = 7  # of a column, at least; a number takes no more


@dataclass(frozen=True)
class TableColumn:
    """`key` is what it shows of an EpochRow; `split` (train, validation, a layer or nothing) stands over its header."""

    key: str
    split: str
    header: str

    @property
    def name(self) -> str:
        """The header where nothing stands over it."""
        if self.key.startswith(WATCH_PREFIX):
            return f"{self.split} {self.header}".strip()
        return f"val {self.header}" if self.split == "validation" else self.header

    @property
    def width(self) -> int:
        return max(MIN_COLUMN_WIDTH, len(self.header))
