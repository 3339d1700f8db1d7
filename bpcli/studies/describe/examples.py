"""The configs and data sets that come with the package."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import bpcli
from bpcli.config.yamlfile import read
from bpcli.family.part import suggestion
from bpcli.records.training import Exit, Failure, Problem
from bpcli.studies.run.atomic import atomic_bytes, make_folder

CLAIMS_SUFFIX = "_claims"  # end of the file name of a derivation that is to be marked
SCHEMA = "bpcli.schema.json"


@dataclass(frozen=True)
class Example:
    """One config: its name, its first comment, and the files that it needs, relative to the folder of examples;
    `absent` are data files that do not come with the package."""

    name: str
    about: str
    files: tuple[str, ...]
    absent: tuple[str, ...] = ()


def examples_folder() -> Path:
    """Returns the folder of `configs` and `datasets`: in the installed package, or in the checkout that it runs from.
    Raises Failure where there is neither."""
    package = Path(bpcli.__file__).parent
    for folder in (package / "examples", package.parent):
        if (folder / "configs").is_dir() and (folder / "datasets").is_dir():
            return folder
    text = f"the examples are missing beside {package}"
    raise Failure(Problem(text, code="no-examples", help="install the package again"), exit=Exit.NO_INPUT)


def schema_file() -> Path:
    """Returns the JSON Schema of a config that comes with the package. Raises Failure where it is missing."""
    return examples_folder() / "configs" / SCHEMA


def examples() -> tuple[Example, ...]:
    """Returns all examples: those of the first level first, then by folder and name."""
    folder = examples_folder()
    return tuple(_example(folder, name, file) for name, file in _configs(folder).items())


def copy_example(name: str, to: Path) -> tuple[Path, ...]:
    """Copies an example into `to`, under the same names, so that its paths hold: the config in `configs`, its data in
    `datasets`. Returns the files, the config first.

    A file that is there already is left alone where it is the same. Raises Failure where there is no such example (with
    the nearest), and where another file is in the way.
    """
    folder = examples_folder()
    known = _configs(folder)
    if name not in known:
        help = f"{suggestion(name, known)}`bpcli examples` lists all"
        raise Failure(Problem(f"there is no example `{name}`", code="no-example", help=help))
    return copy_files(_example(folder, name, known[name]).files, to)


def copy_dataset(name: str, to: Path) -> tuple[Path, ...]:
    """Copies a data set into `to`/datasets. Raises Failure as `copy_example` does."""
    folder = examples_folder()
    return copy_files(tuple(_folder_files(folder, folder / "datasets" / name)), to)


def copy_files(files: tuple[str, ...], to: Path) -> tuple[Path, ...]:
    """Copies files of the examples to their places in `to`: all, or none where another file is in the way."""
    folder = examples_folder()
    content = {to / file: (folder / file).read_bytes() for file in files}
    for target, data in content.items():
        if os.path.lexists(target) and not (target.is_file() and target.read_bytes() == data):
            text = f"{target} is there already, and it is not the example's"
            help = "choose another folder with --to, or move the file away"
            raise Failure(Problem(text, code="taken", help=help), exit=Exit.CANNOT_CREATE)
    for target, data in content.items():
        if not target.exists():
            make_folder(target.parent, "choose another place with --to")
            atomic_bytes(target, data)
    return tuple(content)


def _configs(folder: Path) -> dict[str, Path]:
    """Returns the configs by name, those of the first level first."""
    configs = folder / "configs"
    files = [f for f in configs.rglob("*.yaml") if not f.stem.endswith(CLAIMS_SUFFIX)]
    files.sort(key=lambda f: (len(f.relative_to(folder).parts), f.as_posix()))
    return {f.relative_to(configs).with_suffix("").as_posix(): f for f in files}


def _example(folder: Path, name: str, file: Path) -> Example:
    claims = file.with_name(f"{file.stem}{CLAIMS_SUFFIX}.yaml")
    files = [file, folder / "configs" / SCHEMA, *([claims] if claims.exists() else [])]
    found, absent = [f.relative_to(folder).as_posix() for f in files], []
    for source in _sources(read(file).data.get("data", {})):
        target = file.parent / source
        if folder.resolve() in target.resolve().parents:
            found += _folder_files(folder, target.resolve().parent)
        else:
            absent.append(source)
    return Example(name, _about(file), tuple(dict.fromkeys(found)), tuple(absent))


def _folder_files(folder: Path, target: Path) -> Iterator[str]:
    """Yields every file in the folder of a data set: its licence stands in the README beside it."""
    yield from (f.relative_to(folder.resolve()).as_posix() for f in sorted(target.resolve().iterdir()) if f.is_file())


def _sources(data: object) -> Iterator[str]:
    """Yields the files that the sources of a `data` section name, whatever their settings are called."""
    for source in data.values() if isinstance(data, Mapping) else ():
        if isinstance(source, Mapping):
            yield from (value for value in source.values() if isinstance(value, str) and "/" in value)


def _about(file: Path) -> str:
    """Returns the first sentence of the comment at the top."""
    lines = []
    for line in file.read_text(encoding="utf-8").splitlines()[1:]:
        if not line.startswith("# "):
            break
        lines.append(line[2:].strip())
    text = " ".join(lines)
    stops = [i for end in (". ", "; ") if (i := text.find(end)) > 0]
    return text[: min(stops)] if stops else text.rstrip(".")
