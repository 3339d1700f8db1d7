from pathlib import Path
from typing import Literal

import numpy as np

from bpcli.custom import Failure, Field, Problem, Source, Table


class Spaced(Source):
    """A file of numbers with blanks between them; the last of a row is its class."""

    type: Literal["spaced"] = "spaced"
    path: str = Field(min_length=1, description="the file, relative to the one that names it")

    def files(self, root: Path) -> tuple[Path, ...]:
        return (root / self.path,)

    def load(self, root: Path, *, need_target: bool = True) -> Table:
        try:
            values = np.loadtxt(root / self.path, ndmin=2)
        except (OSError, ValueError) as error:
            raise Failure(Problem(f"{self.path} cannot be read: {error}", code="not-numbers")) from None
        return Table(values[:, :-1], {}, (), (), values[:, -1].astype(np.int64), (), self.path)
