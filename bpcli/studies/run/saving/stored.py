"""What the records of a run have to say to be read again. Those of earlier versions may say less, later ones more."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from bpcli.config.validate import error_line
from bpcli.records.plain import MAX_DEPTH, is_deeper
from bpcli.records.training import EpochRow, Exit, Failure, Problem
from bpcli.studies.run.saving.regular_file import read_regular

MAX_RECORD_BYTES = 16 << 20  # bytes; a thousand folds of a hundred figures are 3 MB
LARGEST = 2**53  # up to which floats hold every whole number

Count = Annotated[int, Field(ge=0, le=LARGEST)]
"""A whole number of things."""

Figure = Annotated[float, BeforeValidator(lambda value: math.nan if value is None else value)]
"""A number; JSON has no word for nan, and says null."""


def _text(value: str) -> str:
    """Returns a text that can be a path, whose bytes may be no UTF-8. Raises ValueError."""
    if b"\0" in os.fsencode(value):
        raise ValueError("it holds a null")
    return value


StoredText = Annotated[str, AfterValidator(_text)]


class StoredRecord(BaseModel):
    """A record in a file of JSON: types are as they stand there, and what else it says is kept."""

    model_config = ConfigDict(strict=True, extra="allow")


class UsedFile(StoredRecord):
    """A file that a run was trained with, as it was then."""

    file: StoredText
    sha256: StoredText
    bytes: Count = 0


class RunRecord(StoredRecord):
    """run.json."""

    root: StoredText
    data: list[UsedFile]
    sets: list[StoredText]
    config: StoredText = ""
    status: StoredText = ""
    reason: StoredText = ""
    steps: Count = 0
    kept: Count = 0
    rows: dict[str, Count] = {}


class FoldsRecord(StoredRecord):
    """folds.json."""

    root: StoredText
    sets: list[StoredText]
    config: StoredText
    folds: Annotated[int, Field(ge=2, le=1000)]


Record = TypeVar("Record", bound=StoredRecord)


def read_record(file: Path, kind: type[Record], what: str, help: str) -> tuple[Record, dict[str, Any]]:
    """Returns a record, checked and as it stands in its file. Raises FileNotFoundError and NotADirectoryError where
    there is none, Failure where it cannot be read and where it is damaged: it does not say `what`."""
    why = ""
    try:
        found = json.loads(read_regular(file, MAX_RECORD_BYTES).decode("utf-8"))
        if is_deeper([found], MAX_DEPTH):
            raise ValueError("nested too deep")
        return kind.model_validate(found), found
    except ValidationError as error:
        why = f" ({error_line(error)})"
    except (ValueError, RecursionError):
        pass
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise unreadable(file, error) from None
    raise Failure(Problem(f"{file} is damaged: it does not say {what}{why}", code="bad-run", help=help))


def unreadable(file: Path, error: OSError) -> Failure:
    """Returns what to say of a file of a run that cannot be read."""
    problem = Problem(f"{file} cannot be read: {error.strerror or error}", code="bad-run")
    return Failure(problem, exit=Exit.NO_INPUT)


_EPOCH = TypeAdapter(EpochRow)


def epoch_row(figures: Mapping[str, Any]) -> EpochRow:
    """Returns the line of an epoch from its fields. Raises ValueError where they are not those of one."""
    row = _EPOCH.validate_python(dict(figures))
    if not (0 < row.epoch <= LARGEST and 0 <= row.steps <= LARGEST):
        raise ValueError("no such epoch")
    return row
