"""Writing a first config, for a data file or as an example, and beside it the schema by which editors complete it;
never over a file that is there."""

import errno
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bpcli.config.experiment import Experiment
from bpcli.config.validate import validate
from bpcli.config.yamlfile import parse
from bpcli.records.printable import shell_word
from bpcli.records.search import Comparison
from bpcli.records.training import Exit, Failure, Problem
from bpcli.studies.describe import examples
from bpcli.studies.init.config_text import SCHEMA_LINE, ExampleTask, config_text, example_text, schema_line
from bpcli.studies.init.inspect import Inspection, inspect_data
from bpcli.studies.init.options import USUAL, ColumnOptions, as_options, option
from bpcli.studies.init.targets import TableTask
from bpcli.studies.init.tune import Tuning, tune, tuned_text, tuning_remarks
from bpcli.studies.run.atomic import atomic_bytes, atomic_text, unwritable
from bpcli.studies.run.runfolder import remove

STDOUT = Path("-")
SUFFIX = re.compile(r"(?<=.)\.[a-z][\w-]*(?:\.(?:gz|bz2|xz|zip))?$", re.I)
"""What the name of a file ends in; `2019` of `sales.2019.csv` is part of its name."""


@dataclass(frozen=True)
class FirstConfig:
    """A first config, and the file that it is in (None: it is to be printed)."""

    text: str
    file: Path | None
    comparison: Comparison | None = None  # of settings, where they were tuned
    inspection: Inspection | None = None  # of the data, where it is for some
    again: str = ""  # the command that writes it anew


def write_config(
    data: str,
    targets: Sequence[str],
    task: TableTask | None,
    out: Path | None,
    *,
    force: bool = False,
    seed: int | None = None,
    tuning: Tuning | None = None,
    budget: str | None = None,
    options: ColumnOptions = USUAL,
) -> FirstConfig:
    """Writes a config for the data, to `out` or <data>.yaml; with the `seed` that decides which rows are test, with
    settings that are compared as `tuning` says (its time is `budget`, as it was typed), and columns as `options` has
    them. Raises Failure as reading the data and comparing do, and where the file is there already or cannot be."""
    stem = _experiment_name(data)
    file = out or Path(f"{stem}.yaml")
    _refuse_overwriting(file, force)
    base = Path() if file == STDOUT else file.parent
    words = [option("--target", t) for t in targets]
    words += [f"--task {task}"] if task else []
    words += options.words()
    words += ["--tune"] if tuning is not None else []
    words += [f"--budget {budget}"] if budget else []
    words += [f"--seed {seed}"] if seed is not None else []
    try:
        found = inspect_data(data, targets, task, Path(), base, options)
    except Failure as failure:
        raise as_options(failure, data, "".join(f" {word}" for word in words), targets) from None
    command = " ".join(["bpcli init", shell_word(data), *words])
    name = stem if file == STDOUT else _experiment_name(file.name)
    text, comparison = config_text(found, name, command, seed), None
    if tuning is not None:
        _refuse_folder_without_place(file)
        comparison = tune(text, str(file), base, found.rows, tuning)
        remarks = tuning_remarks(comparison, parse(text, str(file)).data["training"]["metrics"][0])
        text = tuned_text(config_text(found, name, command, seed, remarks), str(file), comparison)
    again = f"{command}{'' if out is None else f' --out {shell_word(out)}'} --force"
    return replace(_write(text, file), comparison=comparison, inspection=found, again=again)


def write_example(task: ExampleTask, out: Path | None, *, force: bool = False) -> FirstConfig:
    """Writes a config that trains as it is, to `out` or <task>.yaml. Raises Failure where the file is there already."""
    file = out or Path(f"{task}.yaml")
    _refuse_overwriting(file, force)
    text = example_text(task, task if file == STDOUT else _experiment_name(file.name))
    if task == "images" and file != STDOUT:
        examples.copy_dataset("digits", file.parent)
    return _write(text, file)


def _write(text: str, file: Path) -> FirstConfig:
    validate(Experiment, parse(text, str(file)))  # what is written here can always be read
    if file == STDOUT:
        return FirstConfig(text.replace(SCHEMA_LINE, schema_line(str(examples.schema_file()))), None)
    schema = file.parent / examples.SCHEMA
    if not schema.exists() and not schema.is_symlink():
        atomic_bytes(schema, examples.schema_file().read_bytes())
    is_new = not file.exists()
    try:
        atomic_text(file, text)
    except Failure:
        if is_new:  # it may stand there, but was not brought to the disk: the next attempt is not to be refused for it
            remove(file)
        raise
    return FirstConfig(text, file)


def _refuse_overwriting(file: Path, force: bool) -> None:
    if file != STDOUT and (file.exists() or file.is_symlink()) and not force:
        text = f"{file} is there already"
        help = "choose another place with --out, or overwrite it with --force"
        raise Failure(Problem(text, code="taken", help=help), exit=Exit.CANNOT_CREATE)


def _refuse_folder_without_place(file: Path) -> None:
    """Raises Failure where the file could not be written once all is done."""
    if file != STDOUT and not os.access(file.parent, os.W_OK):
        missing = errno.ENOENT if not file.parent.exists() else errno.EACCES
        raise unwritable(file, OSError(missing, os.strerror(missing)))


def _experiment_name(data: str) -> str:
    """Returns a name for an experiment, from that of its file."""
    stem = "data" if data.lstrip().startswith("{") else SUFFIX.sub("", Path(data).name)
    stem = "".join(c if (c.isascii() and c.isalnum()) or c in "_-" else "-" for c in stem).strip("-_")
    return stem[:60] or "experiment"
