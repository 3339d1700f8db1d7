"""Files of text that a test writes, and what a source of type csv reads in them or says of them."""

from pathlib import Path
from typing import Any

import pytest

from bpcli.family import Table
from bpcli.parts.data.csv.source import Csv
from bpcli.records.training import Failure, Problem


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def source(path: str, **settings: Any) -> Csv:
    return Csv.model_validate({"type": "csv", "path": path, "target": "y", **settings})


def load(content: str | bytes, name: str = "a.csv", **settings: Any) -> Table:
    Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return source(name, **settings).load(Path("."))


def problem(content: str | bytes | None, name: str = "a.csv", **settings: Any) -> tuple[Problem, int]:
    if content is not None:
        Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(Failure) as caught:
        source(name, **settings).load(Path("."))
    (found,) = caught.value.problems
    return found, int(caught.value.exit)
