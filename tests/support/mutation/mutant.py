"""One place of the package made wrong."""

from __future__ import annotations

import ast
from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """One place of a file made wrong. `start` and `end` count characters of the file.

    `body` is the outermost function whose body holds it, "" where it is run by an import; `first` and `last` are the
    lines of its statement, or of the class or module around it.
    """

    file: str
    function: str
    body: str
    kind: str
    first: int
    last: int
    line: int
    start: int
    end: int
    new: str
    old_line: str
    new_line: str

    @property
    def key(self) -> str:
        """What stays the same while lines move: no number of a line is in it."""
        return "\t".join((self.file, self.function, self.old_line.strip(), self.new_line.strip()))

    def apply(self, source: str) -> str:
        return source[: self.start] + self.new + source[self.end :]

    def differs(self, source: str) -> bool:
        """Whether it can be compiled, and says something else than the source."""
        text = self.apply(source)
        try:
            compile(text, self.file, "exec")
        except SyntaxError:
            return False
        return ast.dump(ast.parse(text)) != ast.dump(ast.parse(source))
