"""What `--data` means: a file of the kind the model was trained on, standard input, or a source spelled out."""

from pathlib import Path
from typing import Annotated

from bpcli.config.validate import validate
from bpcli.config.yamlfile import parse
from bpcli.family import OneOf, Settings, Shape, Source
from bpcli.records.training import Failure, Problem
from bpcli.studies.dataset.standard_input import STANDARD_INPUT


class _DataOption(Settings):
    data: Annotated[Source, OneOf()]


def source_of(text: str, train: Source | None, need_target: bool, row: Shape = (), root: Path | None = None) -> Source:
    """Returns the source that `--data` names: a path, or `{type: ..., ...}` as in a config.

    `-` is standard input, as CSV (see `standard_input`). A path, and `-`, take over how the training file was written
    (target, header, delimiter), where it is of the same type; the ending says which type it is, and a folder (relative
    to `root`) holds images. `row` is what the model takes: an image of one channel is read gray. Raises Failure where
    the type is unknown.
    """
    if text.lstrip().startswith("{"):
        return validate(_DataOption, parse(f"data: {text}", "--data")).data
    root = root or Path()
    if text == STANDARD_INPUT:
        return Source.registry["csv"].of_file(text, train, need_target=need_target, row=row, root=root)
    kinds = Source.registry.values()
    for kind in kinds:
        if kind.reads(root / text):
            return kind.of_file(text, train, need_target=need_target, row=row, root=root)
    zipped, plain = (", ".join(e for kind in kinds if kind.gzipped is gz for e in kind.endings) for gz in (True, False))
    help = f"known endings: {zipped} (each also with .gz), {plain}; or --data '{{type: csv, path: ...}}'"
    raise Failure(Problem(f"{Path(text).name}: the ending does not say what it holds", code="ending", help=help))
