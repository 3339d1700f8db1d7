"""Files that `init` is given, what it finds in them, and the config that it makes of them."""

from pathlib import Path
from typing import Any

import pytest

from bpcli.studies.init.init import FirstConfig, write_config
from bpcli.studies.init.inspect import Inspection, inspect_data
from bpcli.studies.run.setup import Setup, set_up


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def found(*targets: str, data: str = "a.csv", task: Any = None) -> Inspection:
    return inspect_data(data, targets, task, Path(), Path())


def made(*targets: str, data: str = "a.csv", **more: Any) -> tuple[FirstConfig, Setup]:
    """The file and what `check` makes of it, without a warning."""
    written = write_config(data, targets, more.pop("task", None), None, force=True, **more)
    assert written.file is not None
    setup = set_up(written.file)
    return written, setup
