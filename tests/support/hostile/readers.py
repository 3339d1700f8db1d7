"""What reads each kind of file, as functions of its bytes: a Failure is how one that cannot be used should end."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from bpcli.config.experiment import Experiment
from bpcli.config.overrides import apply_sets
from bpcli.config.validate import validate
from bpcli.config.yamlfile import parse
from bpcli.family import Source
from bpcli.notation import Eq, NotationError
from bpcli.notation.syntax import parse as parse_equation
from bpcli.parts.data.imagefile import read as read_image
from bpcli.records.training import Failure
from bpcli.studies.dataset.data_option import source_of
from bpcli.studies.evaluation import cross_validate
from bpcli.studies.mistakes.claims import read_claims
from bpcli.studies.run import model, modelfile
from bpcli.studies.run.resume import resume
from bpcli.studies.trace.golden import _read_golden
from hostile import formats, mutations, valid


@dataclass(frozen=True)
class Reader:
    """`read` reads a file, of which `seed` returns a valid content; `change` makes it hostile."""

    name: str
    file: str
    seed: Callable[[Path], bytes]
    read: Callable[[Path], object]
    change: Callable[[Random, bytes], bytes]

    def run(self, folder: Path, data: bytes) -> bool:
        """Whether the content was taken; False where it was refused. Raises what no reader should."""
        file = folder / self.file
        file.write_bytes(data)
        try:
            self.read(file)
        except (Failure, NotationError):
            return False
        return True


def text_of(file: Path) -> str:
    return file.read_bytes().decode("utf-8", "surrogateescape")


def _table(**settings: Any) -> Callable[[Path], object]:
    """Loads a file as a source with these settings."""
    return lambda file: Source.parse({"path": file.name, **settings}).load(file.parent)


def _of(name: str) -> Callable[[Path], bytes]:
    return lambda folder: valid.files()[name]


@cache
def _trained() -> bytes:
    """The model of a short training."""
    with TemporaryDirectory() as folder:
        made = valid.make_folder(Path(folder), ("trees.yaml",))
        return made.kept[made.path / "run-trees/model.safetensors"]


def read_meta(file: Path) -> object:
    """Loads a model whose meta data are this JSON, with the tensors of the valid one."""
    _, tensors = formats.opened(_trained())
    try:
        meta = json.loads(file.read_bytes())
    except (ValueError, RecursionError):
        return None
    sealed = file.with_name("sealed.safetensors")
    try:
        sealed.write_bytes(formats.sealed(meta, tensors))
    except RecursionError:
        return None
    return model.load(sealed)


def _meta(folder: Path) -> bytes:
    return json.dumps(formats.opened(_trained())[0]).encode()


def read_config(file: Path) -> object:
    return validate(Experiment, parse(text_of(file), file.name))


def read_set(file: Path) -> object:
    return validate(Experiment, apply_sets(parse(valid.CONFIG, "trees.yaml"), [text_of(file)], Experiment))


RUN, FOLDS = "run-stopped", "folds"


def _of_a_run(name: str) -> Callable[[Path], bytes]:
    """Leaves a run that stopped within an epoch in the folder, and returns a file of it."""

    def seed(folder: Path) -> bytes:
        for file in ("trees.csv", "stopped.yaml"):
            (folder / file).write_bytes(valid.files()[file])
        valid.stop_in_an_epoch(folder)
        return (folder / RUN / name).read_bytes()

    return seed


def _of_folds(folder: Path) -> bytes:
    """Leaves a cross-validation in the folder, and returns its record."""
    for file in ("trees.csv", "trees.yaml"):
        (folder / file).write_bytes(valid.files()[file])
    cross_validate.start(folder / "trees.yaml", ("training.epochs=1",), 2, folder / FOLDS).run()
    return (folder / FOLDS / "folds.json").read_bytes()


def go_on(file: Path) -> object:
    """Resumes the run that a file belongs to, without a step."""
    run = next(f for f in file.parents if f.name == RUN)
    trainer = resume(run)
    assert trainer.lock is not None
    trainer.lock.release()
    return trainer


def _named(name: str, file: str, change: Callable[[Random, bytes], bytes]) -> Reader:
    return Reader(name, f"{RUN}/{file}", _of_a_run(file), go_on, change)


SUM = b"sum(u<U, v<V, where((h - u) % s == 0, pad(dy[n, (h - u) // s, ...], -1) ** 2, 0)) - max(k<K, x[n,k])"

READERS = (
    Reader("config", "a.yaml", _of("rich.yaml"), read_config, formats.yaml_changed),
    Reader(
        "set",
        "set.txt",
        lambda _: b"optimizer.learning_rate={type: cosine, start: 0.1}",
        read_set,
        formats.argument_changed,
    ),
    Reader(
        "data",
        "data.txt",
        lambda _: b"{type: csv, path: trees.csv, target: kind}",
        lambda file: source_of(text_of(file), None, False, root=file.parent),
        formats.argument_changed,
    ),
    Reader(
        "notation",
        "eq.txt",
        lambda _: SUM,
        lambda file: parse_equation(Eq("y[n,...]", text_of(file))),
        mutations.text_changed,
    ),
    Reader("claims", "claims.yaml", _of("claims.yaml"), read_claims, formats.yaml_changed),
    Reader("claims-csv", "claims.csv", _of("claims.csv"), read_claims, formats.table_changed),
    Reader("modelfile", "a.safetensors", lambda _: _trained(), modelfile.read, formats.model_changed),
    Reader("model", "meta.json", _meta, read_meta, formats.json_changed),
    _named("checkpoint", "checkpoints/step-00000006.safetensors", formats.model_changed),
    _named("run-record", "run.json", formats.json_changed),
    _named("metrics", "metrics.jsonl", formats.json_lines_changed),
    Reader(
        "folds-record",
        f"{FOLDS}/folds.json",
        _of_folds,
        lambda file: cross_validate.resume(file.parent),
        formats.json_changed,
    ),
    Reader(
        "golden",
        "golden.json",
        lambda _: (
            b'{"format": "bpcli derivation 1", "name": "a", "quantities": [{"id": "a", "path": "b", "value": [1, 2]}]}'
        ),
        lambda file: _read_golden(file, file.read_text("utf-8", "replace")),
        formats.json_changed,
    ),
    Reader(
        "npy",
        "x.npy",
        _of("x.npy"),
        lambda file: Source.parse({"type": "npy", "path": file.name}).load(file.parent, need_target=False),
        formats.npy_changed,
    ),
    Reader("npz", "a.npz", _of("all.npz"), _table(type="npz"), formats.zip_changed),
    Reader(
        "idx",
        "a-ubyte",
        _of("images-ubyte"),
        lambda file: Source.parse({"type": "idx", "inputs": file.name}).load(file.parent, need_target=False),
        formats.idx_changed,
    ),
    Reader("csv", "a.csv", _of("trees.csv"), _table(type="csv", target="kind"), formats.table_changed),
    Reader(
        "csv-messy", "a.csv", _of("messy.csv"), _table(type="csv", target="y", missing="median"), formats.table_changed
    ),
    Reader(
        "parquet",
        "a.parquet",
        _of("table.parquet"),
        _table(type="parquet", target="kind", missing="median"),
        mutations.changed,
    ),
    *(
        Reader(e, f"a.{e}", _of(f"{e}/a/0.{e}"), lambda file: read_image(file, "rgb", (6, 6)), change)
        for e, change in (
            ("png", formats.png_changed),
            ("jpg", mutations.changed),
            ("gif", mutations.changed),
            ("bmp", mutations.changed),
        )
    ),
)
