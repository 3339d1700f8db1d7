"""The kinds of hostile files: what is changed and how, and which commands read it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random

from hostile import formats, mutations
from hostile.judge import Folder
from hostile.valid import EPOCH, EQUATION, PART


@dataclass(frozen=True)
class Kind:
    """A kind of file. `commands` read it, one of them for a case, after `check` where that is among them."""

    name: str
    file: str  # empty: the text is a word of the command line, where `{}` stands
    change: Callable[[Random, bytes], bytes]
    commands: tuple[tuple[str, ...], ...]
    content: bytes = b""  # empty: that of the file
    share: float = 1.0  # how many of all cases are of this kind, beside the others


def data_kind(
    name: str, file: str, config: str, change: Callable[[Random, bytes], bytes], init: str = "", share: float = 1.0
) -> Kind:
    """A kind of data file that a config names; `run-<name>` was trained with it."""
    read = init or file
    commands = (
        ("check", config),
        ("train", config, "--out", "new", *EPOCH),
        ("predict", f"run-{config[:-5]}", "--data", read),
        ("eval", f"run-{config[:-5]}", "--data", read),
        ("init", read, "--out", "first.yaml"),
        ("eval", f"run-{config[:-5]}"),
    )
    return Kind(name, file, change, commands if init != "-" else commands[:2] + commands[-1:], share=share)


RUN, NEW = "run-trees", ("--out", "new", *EPOCH)
RESUME = ("train", "--resume", RUN, "--quiet", "--set", "training.epochs=3")
KINDS = (
    Kind(
        "config", "trees.yaml", formats.yaml_changed, (("check", "trees.yaml"), ("train", "trees.yaml", *NEW)), share=2
    ),
    Kind(
        "config, many parts",
        "rich.yaml",
        formats.yaml_changed,
        (("check", "rich.yaml"), ("train", "rich.yaml", *NEW)),
        share=2,
    ),
    Kind(
        "option --set",
        "",
        formats.argument_changed,
        (("check", "trees.yaml", "--set", "{}"), ("train", "trees.yaml", "--set", "{}", *NEW)),
        b"optimizer.learning_rate={type: cosine, start: 0.1}",
    ),
    Kind(
        "option --data",
        "",
        formats.argument_changed,
        (("predict", RUN, "--data", "{}"), ("eval", RUN, "--data", "{}"), ("init", "{}", "--out", "first.yaml")),
        b"{type: csv, path: trees.csv, target: kind, drop: [height], delimiter: ','}",
    ),
    Kind(
        "other options",
        "",
        formats.argument_changed,
        (
            ("trace", "trees.yaml", "--x", "{}", "--t", "oak"),
            ("trace", "trees.yaml", "--x", "1,2", "--t", "{}"),
            ("trace", "trees.yaml", "--param", "{}"),
            ("trace", "trees.yaml", "--layer", "{}"),
            ("predict", RUN, "--data", "trees.csv", "--keep", "{}"),
            ("init", "trees.csv", "--target", "{}", "--out", "-"),
            ("init", "messy.csv", "--text", "{}", "--drop", "{}", "--out", "-"),
        ),
        b"dense_1.W[0,1]",
    ),
    Kind("claims, YAML", "claims.yaml", formats.yaml_changed, (("mark", "claims.yaml", "trees.yaml"),)),
    Kind("claims, CSV", "claims.csv", formats.table_changed, (("mark", "claims.csv", "trees.yaml"),)),
    Kind(
        "model",
        f"{RUN}/model.safetensors",
        formats.model_changed,
        (
            ("predict", RUN, "--data", "trees.csv"),
            ("eval", f"{RUN}/model.safetensors", "--data", "trees.csv"),
            ("trace", f"{RUN}/model.safetensors", "--x", "1,2", "--t", "0"),
        ),
        share=3,
    ),
    Kind("model, many parts", "run-rich/model.safetensors", formats.model_changed, (("eval", "run-rich"),), share=2),
    Kind(
        "model, messy table",
        "run-messy/model.safetensors",
        formats.model_changed,
        (("predict", "run-messy", "--data", "messy.csv"),),
        share=2,
    ),
    Kind(
        "checkpoint",
        f"{RUN}/checkpoints/step-00000004.safetensors",
        formats.model_changed,
        (RESUME, ("trace", RUN)),
        share=2,
    ),
    Kind(
        "checkpoint, mid-epoch",
        "run-stopped/checkpoints/step-00000006.safetensors",
        formats.model_changed,
        (("train", "--resume", "run-stopped", "--quiet"), ("trace", "run-stopped", "--batch")),
        share=2,
    ),
    Kind(
        "run.json",
        f"{RUN}/run.json",
        formats.json_changed,
        (
            RESUME,
            ("eval", RUN),
            ("predict", RUN, "--data", "trees.csv"),
            ("eval", RUN, "--data", "trees.csv"),
            ("trace", RUN),
            ("diagnose", RUN),
        ),
    ),
    Kind(
        "folds.json", "folds/folds.json", formats.json_changed, (("train", "--resume", "folds", "--quiet"),), share=0.3
    ),
    Kind("metrics.jsonl", f"{RUN}/metrics.jsonl", formats.json_lines_changed, (RESUME, ("diagnose", RUN))),
    Kind(
        "golden", "golden.json", formats.json_changed, (("trace", "trees.yaml", "--golden", "golden.json"),), share=0.5
    ),
    Kind(
        "gradients, npz",
        "gradients.npz",
        formats.zip_changed,
        (("gradcheck", "trees.yaml", "--external", "gradients.npz"),),
        share=0.5,
    ),
    Kind(
        "equation",
        "",
        lambda rng, data: mutations.text_changed(rng, data),
        (("gradcheck", "--with", "cube.py"),),
        EQUATION.encode(),
        share=0.3,
    ),
    data_kind("csv", "trees.csv", "trees.yaml", formats.table_changed, share=1.5),
    data_kind("csv, messy", "messy.csv", "messy.yaml", formats.table_changed, share=1.5),
    data_kind("csv, UTF-16", "wide.csv", "wide.yaml", formats.table_changed, share=0.4),
    data_kind("csv.gz", "packed.csv.gz", "packed.yaml", formats.gzip_changed),
    data_kind("npy", "x.npy", "npy.yaml", formats.npy_changed, share=1.5),
    data_kind("npy, targets", "y.npy", "npy.yaml", formats.npy_changed, "-", share=0.5),
    data_kind("npz", "all.npz", "npz.yaml", formats.zip_changed, share=2),
    data_kind("npz, deflated", "deflated.npz", "deflated.yaml", formats.zip_changed),
    data_kind("idx", "images-ubyte", "idx.yaml", formats.idx_changed),
    data_kind("idx.gz", "images-ubyte.gz", "idxgz.yaml", formats.gzip_changed, "-"),
    data_kind("parquet", "table.parquet", "parquet.yaml", lambda rng, data: mutations.changed(rng, data), share=1.5),
    *(
        data_kind(e, f"{e}/a/0.{e}", f"{e}.yaml", change, e)
        for e, change in (
            ("png", formats.png_changed),
            ("jpg", mutations.changed),
            ("gif", mutations.changed),
            ("bmp", mutations.changed),
            ("webp", mutations.changed),
            ("tif", mutations.changed),
            ("ppm", mutations.changed),
        )
    ),
)


def case(kind: Kind, seed: int, number: int, folder: Folder) -> tuple[bytes, list[tuple[str, ...]]]:
    """Returns the hostile content of a case, and the commands that read it."""
    rng = Random(f"{seed} {kind.name} {number}")
    original = kind.content or folder.kept[folder.path / kind.file]
    with deep_stack():
        data = kind.change(rng, original)
    first = [c for c in kind.commands[:1] if c[0] == "check"]
    last = rng.choice(kind.commands[len(first) :])
    as_json = last[0] not in ("init", "trace") and rng.random() < 0.15
    return data, [*first, (*last, "--json") if as_json else last]


@contextmanager
def deep_stack() -> Iterator[None]:
    """Lets deep trees be written; what reads them has the usual stack."""
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    try:
        yield
    finally:
        sys.setrecursionlimit(usual)


def put(kind: Kind, data: bytes, words: tuple[str, ...], folder: Folder) -> list[str]:
    """Writes the content where the kind has it. Returns the words of the command."""
    if kind.file:
        (folder.path / kind.file).write_bytes(data)
        return list(words)
    text = data.decode("utf-8", "surrogateescape")
    if kind.name == "equation":
        (folder.path / "cube.py").write_text(PART % text.encode("utf-8", "replace").decode("utf-8"), encoding="utf-8")
    return [text if w == "{}" else w for w in words]
