"""A small valid file of each kind that bpcli reads, and the folder of runs that were trained with them."""

from __future__ import annotations

import gzip
import io
import struct
from collections.abc import Collection
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from cli_lab import DATA

from bpcli.family import Callback
from bpcli.studies.run.resume import start
from bpcli.studies.run.setup import set_up
from hostile import formats
from hostile.judge import Folder, inside, judge

EPOCH = ("--quiet", "--set", "training.epochs=1")
MESSY = '''\
when,size,price,colour,ok,note,y
2025-01-31,"1,234.5",\u20ac5.25,red,yes,a,0.5
2025-02-01,"2,000",\u20ac7.50,blue,no,"b, c",1
2025-02-03,NA,\u20ac1,,yes,"d ""e""",2
2025-02-04,4,\u20ac9,red,no,f,3
2025-03-05,5,\u20ac2,blue,yes,g,4.5
2025-03-06,6,\u20ac3,red,no,h,5
'''
NET = "architecture:\n  - {type: dense, units: 3, activation: tanh}\n  - {type: dense, units: %s}\n"
CONFIG = "name: trees\nseed: 1\ndata:\n  train: {type: csv, path: trees.csv, target: kind}\n  scale: standardize\n"
CONFIG += NET % 2 + "loss: softmax_cross_entropy\ntraining: {epochs: 2, batch_size: 4}\n"
RICH = """\
name: rich
seed: 3
dtype: float64
data:
  train: {type: inline, inputs: [[[0, 1, 2, 3], [4, 5, 6, 7], [1, 0, 1, 0], [2, 2, 1, 1]], [[3, 1, 2, 3], [0, 5, 6, 7], [1, 9, 1, 0], [2, 2, 8, 1]]], targets: [cat, dog]}
architecture:
  - {type: reshape, shape: [4, 4, 1]}
  - {type: zero_pad, padding: 1}
  - {type: conv2d, filters: 2, kernel: 3, activation: {type: leaky_relu, slope: 0.1}}
  - batch_norm
  - {type: max_pool2d, size: 2}
  - {type: residual, layers: [{type: conv2d, filters: 2, kernel: 1, init: {type: normal, std: 0.1}}]}
  - {type: dropout, rate: 0.2}
  - flatten
  - {type: dense, units: 2}
loss: {type: softmax_cross_entropy, label_smoothing: 0.1}
regularization: {type: l2, strength: 0.001}
clipping: {type: norm, max_norm: 1.0}
optimizer: {type: adamw, learning_rate: {type: cosine, start: 0.01}, decay: 0.01}
training: {epochs: 1, batch_size: 1, metrics: [accuracy], early_stopping: {metric: train.loss, patience: 3}}
"""  # noqa: E501
STOPPED = """\
name: stopped
data:
  train: {type: csv, path: trees.csv, target: kind}
architecture:
  - {type: dense, units: 3}
  - batch_norm
  - {type: dense, units: 2}
loss: {type: softmax_cross_entropy, class_weights: balanced}
clipping: {type: percentile, percentile: 50, window: 4}
optimizer: {type: adam, learning_rate: {type: plateau, start: 0.01, metric: train.accuracy, patience: 1}}
training:
  epochs: 3
  batch_size: 2
  watch: true
  metrics: [accuracy, f1, roc_auc]
  early_stopping: {metric: train.loss}
"""
CLAIMS = (
    'dense_1.z[0,0]: 0.5\ndense_1.dW[0,0]: {value: -0.2165, tolerance: 0.01}\nloss: 0.6931\n"dense_2.dW[1,1]": 1.0e-3\n'
)
CLAIMS_TABLE = 'name,value\n"dense_1.dW[0,0]",-0.2165\nloss,0.6931\n# a remark\ndense_1.z[0,1],1e-3\n'
PART = '''\
from typing import Literal
from bpcli.family import Activation
from bpcli.notation import Eq
import numpy as np


class Cube(Activation):
    """y = x^3.

    Source   none
    """

    type: Literal["cube"] = "cube"

    def forward(self, f, train):
        np.power(f.x, 3, out=f.y)

    def backward(self, f, train):
        np.multiply(f.dy, 3 * f.x**2, out=f.dx)

    def equations(self, train, x):
        return [Eq("y[n,...]", %r), Eq("dx[n,...]", "dy[n,...] * 3 * x[n,...] ** 2")]
'''
EQUATION = "x[n,...] ** 3 + where(x[n,...] > 0, 0, 0) - 0 * max(exp(1e-3), 2)"


PICTURES = {"png": "PNG", "jpg": "JPEG", "gif": "GIF", "bmp": "BMP", "webp": "WEBP", "tif": "TIFF", "ppm": "PPM"}


def config_of(
    source: str, loss: str = "softmax_cross_entropy", units: int = 2, flat: bool = False, more: str = ""
) -> str:
    """A small experiment with this source."""
    net = NET % units if not flat else "architecture:\n  - flatten\n  - {type: dense, units: 2}\n"
    return f"name: t\ndata:\n  train: {source}\n{more}{net}loss: {loss}\ntraining: {{epochs: 2, batch_size: 4}}\n"


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def idx(array: Any) -> bytes:
    a = np.asarray(array, np.uint8)
    return bytes((0, 0, 8, a.ndim)) + struct.pack(f">{a.ndim}I", *a.shape) + a.tobytes()


@cache
def files() -> dict[str, bytes]:
    """Every file by its name, but for those that a training writes. Parquet only where pyarrow is there."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 2)).astype("<f4"), np.arange(8) % 2
    pixels = rng.integers(0, 255, (8, 4, 4))
    found = {
        "trees.csv": DATA,
        "messy.csv": MESSY,
        "trees.yaml": CONFIG,
        "rich.yaml": RICH,
        "stopped.yaml": STOPPED,
        "claims.yaml": CLAIMS,
        "claims.csv": CLAIMS_TABLE,
        "messy.yaml": config_of(
            "{type: csv, path: messy.csv, target: y, missing: median, unseen: ignore}",
            "mean_squared_error",
            1,
            more="  scale: standardize\n",
        ),
        "wide.yaml": config_of("{type: csv, path: wide.csv, target: kind}"),
        "packed.yaml": config_of("{type: csv, path: packed.csv.gz, target: kind}"),
        "npy.yaml": config_of("{type: npy, path: x.npy, targets: y.npy}"),
        "npz.yaml": config_of("{type: npz, path: all.npz}"),
        "deflated.yaml": config_of("{type: npz, path: deflated.npz}"),
        "idx.yaml": config_of("{type: idx, inputs: images-ubyte, targets: labels-ubyte}", flat=True),
        "idxgz.yaml": config_of("{type: idx, inputs: images-ubyte.gz, targets: labels-ubyte}", flat=True),
        "parquet.yaml": config_of("{type: parquet, path: table.parquet, target: kind, missing: median}"),
        **{f"{e}.yaml": config_of(f"{{type: images, path: {e}}}", flat=True) for e in PICTURES},
    }
    binary = {
        "wide.csv": DATA.encode("utf-16"),
        "packed.csv.gz": gzip.compress(DATA.encode(), mtime=0),
        "x.npy": npy(x),
        "y.npy": npy(y),
        "all.npz": formats.zip_of({"x.npy": npy(x), "y.npy": npy(y)}),
        "deflated.npz": formats.zip_of({"x.npy": npy(x), "y.npy": npy(y)}, 8),
        "images-ubyte": idx(pixels),
        "labels-ubyte": idx(y),
        "images-ubyte.gz": gzip.compress(idx(pixels), mtime=0),
        "gradients.npz": formats.zip_of({"dense_1.dW.npy": npy(np.ones((2, 3))), "loss.npy": npy(np.float64(0.7))}),
        **pictures(),
        **table(),
    }
    return {name: text.encode() for name, text in found.items()} | binary


def pictures() -> dict[str, bytes]:
    """Folders of images of two classes, each of another format."""
    from PIL import Image

    rng, found = np.random.default_rng(0), {}
    for ending, name in PICTURES.items():
        for label in "ab":
            for i in range(3):
                file = io.BytesIO()
                Image.fromarray(rng.integers(0, 255, (6, 6, 3)).astype(np.uint8)).save(file, name)
                found[f"{ending}/{label}/{i}.{ending}"] = file.getvalue()
    return found


def table() -> dict[str, bytes]:
    """A Parquet file of columns of every type that is read."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        return {}
    from datetime import date

    columns = {
        "size": [1.5, None, 3, 4, 5, 6],
        "count": [1, 2, 3, 4, 5, 6],
        "kind": list("abaabb"),
        "good": [True, False, None, True, True, False],
        "born": [date(2000, 1, i) for i in range(1, 7)],
        "colour": ["red", "blue", "red", "red", "blue", "red"],
    }
    file = io.BytesIO()
    parquet.write_table(pa.table(columns), file)
    return {"table.parquet": file.getvalue()}


def make_folder(path: Path, configs: Collection[str] | None = None) -> Folder:
    """Returns a folder with every valid file, and the runs that were trained with them, or with these configs alone."""
    content = files()
    for name, data in content.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    trained = configs or [n for n in content if n != "stopped.yaml" and n.endswith(".yaml") and trainable(n, content)]
    commands = [("train", config, "--quiet", "--out", f"run-{config[:-5]}") for config in trained]
    if configs is None:
        commands.append(("trace", "trees.yaml", "--golden", "golden.json"))
        commands.append(("train", "trees.yaml", "--folds", "2", "--out", "folds", *EPOCH))
    with inside(path):
        for words in commands:
            made = judge(words, 60)
            assert made.code == 0, made
        if configs is None:
            stop_in_an_epoch(path)
    return Folder(path)


def stop_in_an_epoch(path: Path) -> None:
    """Leaves a run whose checkpoint holds all that one can: best weights, sums of an epoch, metrics, memories."""
    trainer = start(set_up(path / "stopped.yaml"), path / "run-stopped", (Stop(),))
    with suppress(StopIteration):
        trainer.run()


class Stop(Callback):
    """Raises in the second batch of the second epoch, which leaves a checkpoint."""

    def on_batch_end(self, state: Any, loss: float) -> None:
        if state.progress.step == 6:
            raise StopIteration


def trainable(config: str, content: dict[str, bytes]) -> bool:
    """Whether a file is a config, and what reads its data is installed."""
    source = yaml.safe_load(content[config]).get("data", {}).get("train")
    return source is not None and (source["type"] != "parquet" or source["path"] in content)
