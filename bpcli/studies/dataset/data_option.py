"""What `--data` means: a file of the kind the model was trained on, or a source spelled out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from bpcli.config.validate import validate
from bpcli.config.yamlfile import parse
from bpcli.family import Source
from bpcli.family.part import OneOf, Settings
from bpcli.family.plan import Shape
from bpcli.parts.data.columns import Columns
from bpcli.parts.data.csv.source import Csv
from bpcli.parts.data.idx import Idx
from bpcli.parts.data.imagefile import ENDINGS
from bpcli.parts.data.images import Images
from bpcli.parts.data.npy import Npy
from bpcli.parts.data.npz import Npz
from bpcli.parts.data.parquet import Parquet
from bpcli.records.training import Exit, Failure, Problem


class _Given(Settings):
    data: Annotated[Source, OneOf()]


def source_of(text: str, train: Source, need_target: bool, row: Shape = (), root: Path | None = None) -> Source:
    """The source that `--data` names: a path, or `{type: ..., ...}` as in a config.

    A path takes over how the training file was written (target, header, delimiter), where it is of the same type; the
    ending says which type it is, and a folder (relative to `root`) holds images. `row` is what the model takes: an
    image of one channel is read gray. Raises Failure where the type cannot be told.
    """
    if text.lstrip().startswith("{"):
        return validate(_Given, parse(f"data: {text}", "--data")).data
    name = text.lower().removesuffix(".gz")
    if name.endswith((".csv", ".tsv", ".txt")):
        return train.model_copy(update={"path": text}) if isinstance(train, Csv) else Csv(path=text, **_columns(train))
    if name.endswith(".parquet"):
        same = isinstance(train, Parquet)
        return train.model_copy(update={"path": text}) if same else Parquet(path=text, **_columns(train))
    if name.endswith(".npy"):
        return _npy(text, train, need_target, row, root or Path())
    if name.endswith(".npz"):
        return train.model_copy(update={"path": text}) if isinstance(train, Npz) else Npz(path=text)
    if name.endswith(("ubyte", ".idx")):
        if need_target:
            help = "--data '{type: idx, inputs: IMAGES, targets: LABELS}'"
            raise Failure(Problem(f"{text} holds images and no labels", code="no-target", help=help), exit=Exit.USAGE)
        return Idx(inputs=text)
    if (root or Path()).joinpath(text).is_dir() or Path(name).suffix in ENDINGS:
        if isinstance(train, Images):
            return train.model_copy(update={"path": text})
        return Images(path=text, mode="rgb" if row[2:] == (3,) else "gray")
    help = "known endings: .csv, .tsv, .txt, .npy, .npz, -ubyte, .idx (each also with .gz), .parquet; "
    help += "or --data '{type: csv, path: ...}'"
    raise Failure(Problem(f"{Path(text).name}: the ending does not say what it holds", code="ending", help=help))


def _columns(train: Source) -> dict[str, Any]:
    """What is said of columns by name, where the training source has such."""
    return {name: getattr(train, name) for name in Columns.model_fields} if isinstance(train, Columns) else {}


def _npy(text: str, train: Source, need_target: bool, row: Shape, root: Path) -> Source:
    if isinstance(train, Npy) and train.target:
        given = train.model_copy(update={"path": text})
        return given if need_target or len(row) != 1 else given.without_target(root, row[0])
    if need_target:
        help = "--data '{type: npy, path: INPUTS, targets: TARGETS}'"
        raise Failure(Problem(f"{text} holds inputs and no targets", code="no-target", help=help), exit=Exit.USAGE)
    return Npy(path=text)
