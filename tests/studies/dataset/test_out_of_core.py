"""Data that stays in its file: the same rules, splits and weights as in memory, in little memory."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bpcli.config.data import Data
from bpcli.family.plan import Array
from bpcli.numeric import lazy_rows, order
from bpcli.numeric.lazy_rows import ComputedRows, MappedRows, RowBlocks
from bpcli.numeric.streams import Stream
from bpcli.parts.data import arrays
from bpcli.records.training import Failure, Problem
from bpcli.studies.dataset import out_of_core
from bpcli.studies.dataset.prepare import Prepared, prepare
from bpcli.studies.evaluation.evaluate import evaluate
from bpcli.studies.run.modelfile import read
from bpcli.studies.run.resume import start
from bpcli.studies.run.setup import set_up


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if hundreds of bytes were more than memory holds."""
    for module in (arrays, out_of_core):
        monkeypatch.setattr(module, "MAPPED", 100)
    monkeypatch.setattr(out_of_core, "MAX_BYTES_IN_MEMORY", 100)
    monkeypatch.setattr(lazy_rows, "BYTES_PER_READ", 512)


def saved(rows: int = 300, width: int = 4, seed: int = 3) -> tuple[Array, Array]:
    chance = np.random.default_rng(seed)
    x = (chance.normal(size=(rows, width)) * [1, 10, 0.1, 3] + 5).astype(np.float32)
    ids = (x[:, 0] > 5).astype(np.int64) + (x[:, 1] > 9)
    np.save("x.npy", x)
    np.save("ids.npy", ids)
    np.save("names.npy", np.array(["elm", "fir", "oak"])[ids])
    np.save("values.npy", x[:, 2] * 100)
    np.save("hot.npy", np.eye(3)[ids])
    np.save("all.npy", np.column_stack([x, ids]).astype(np.float32))
    np.savez("both.npz", x=x, y=ids)
    return x, ids


def ready(train: dict[str, Any], targets: Any = "classes", big: bool = True, **rest: Any) -> Prepared:
    data = Data.model_validate({"train": train, "scale": "standardize", **rest})
    with pytest.MonkeyPatch.context() as patch:
        if not big:
            patch.setattr(out_of_core, "MAX_BYTES_IN_MEMORY", 1 << 30)
        return prepare(data, targets=targets, seed=7, dtype=np.dtype("float32"), root=Path("."))


NPY = {"type": "npy", "path": "x.npy", "targets": "ids.npy"}


@pytest.mark.parametrize(
    ("train", "targets"),
    [
        (NPY, "classes"),
        ({**NPY, "targets": "names.npy"}, "classes"),
        ({**NPY, "targets": "hot.npy"}, "classes"),
        ({**NPY, "targets": "values.npy"}, "values"),
        ({"type": "npy", "path": "all.npy", "target": -1}, "classes"),
        ({"type": "npy", "path": "all.npy", "target": [1, 3]}, "values"),
        ({"type": "npz", "path": "both.npz"}, "classes"),
    ],
    ids=["ids", "text", "one-hot", "values", "a column", "two columns", "npz"],
)
@pytest.mark.parametrize("rest", [{}, {"validation": 0.2, "test": 0.1}], ids=["whole", "divided"])
@pytest.mark.parametrize("scale", ["standardize", "minmax", "robust", {"type": "standardize", "per": "all"}, "none"])
def test_the_same_as_in_memory(small: None, train: Any, targets: Any, rest: Any, scale: Any) -> None:
    saved()
    rest = {**rest, "scale": scale, **({"scale_target": scale} if targets == "values" else {})}
    ours, known = (ready(train, targets, big, **rest) for big in (True, False))
    assert isinstance(known.splits["train"].x, np.ndarray)
    assert ours.preprocessor.to_meta() == known.preprocessor.to_meta()
    for name, tensor in known.preprocessor.tensors().items():
        assert np.array_equal(ours.preprocessor.tensors()[name], tensor), name
    assert list(ours.splits) == list(known.splits)
    for name, split in known.splits.items():
        mine = ours.splits[name]
        assert isinstance(mine.x, ComputedRows)
        assert np.array_equal(mine.rows[np.arange(len(split.rows))], split.rows)
        assert np.array_equal(np.asarray(mine.x), split.x)
        assert mine.x.dtype == split.x.dtype
        assert np.array_equal(np.asarray(mine.t), split.t)
        assert mine.t.dtype == split.t.dtype
        out = np.empty((5, *split.x.shape[1:]), np.float32)
        mine.x.take(np.array([4, 0, 9, 9, 2]), 0, out=out, mode="clip")
        assert np.array_equal(out, split.x[[4, 0, 9, 9, 2]])
    assert ours.split_rows == known.split_rows
    shown = [(c.name, c.kind, c.low, c.high, c.treatment) for c in ours.columns]
    assert shown == [(c.name, c.kind, c.low, c.high, c.treatment) for c in known.columns]
    assert (ours.first_header, ours.first_rows) == (known.first_header, known.first_rows)
    assert ours.files == known.files


@pytest.mark.parametrize(
    "targets", [np.zeros((300, 2, 2)), np.zeros(300, complex), np.array(["a"] * 300).reshape(300, 1)]
)
def test_what_can_be_no_target_is_refused_as_in_memory(small: None, targets: Array) -> None:
    saved()
    np.save("odd.npy", targets)
    texts = []
    for big in (True, False):
        with pytest.raises(Failure) as caught:
            ready({**NPY, "targets": "odd.npy"}, big=big)
        texts.append([(p.text, p.help, p.code) for p in caught.value.problems])
    assert texts[0] == texts[1]
    assert texts[0][0][1] == "targets are (N,) text or whole numbers for classes, or (N, K) numbers"


def test_limits_are_those_of_the_rows_and_columns_that_were_chosen() -> None:
    """They are remembered for all that have one base, each choice for itself."""
    base = np.arange(40.0).reshape(10, 4)
    whole = MappedRows(base)
    first, last = whole.select(np.arange(3)), whole.select(np.arange(7, 10))
    some = MappedRows(base, np.arange(3), np.array([1, 3]), whole.seen)
    for _ in range(2):
        for rows, low, high in ((whole, 0, 39), (first, 0, 11), (last, 28, 39), (some, 1, 11)):
            assert (rows.min(), rows.max()) == (low, high)
            assert rows.limits()[0].shape == rows.shape[1:]
    assert len(whole.seen) == 4
    assert whole.select(np.arange(10)) is whole


def test_columns_side_by_side_are_one_run_of_the_file() -> None:
    base = np.arange(40.0).reshape(10, 4)
    for places, run in (([1, 2], True), ([3], True), ([0, 1, 2, 3], True), ([2, 1], False), ([0, 2], False)):
        found = arrays.columns_of(MappedRows(base), places)
        assert isinstance(found, MappedRows)
        assert np.array_equal(np.asarray(found), base[:, places])
        assert (found.columns is None and np.shares_memory(found.base, base)) == run


CONFIG = """\
data:
  train: {type: npy, path: x.npy, targets: ids.npy}
  validation: 0.2
  test: 0.2
  scale: standardize
architecture: [{type: dense, units: 5, activation: tanh}, {type: dense, units: 3}]
loss: softmax_cross_entropy
training: {epochs: 3, batch_size: 16}
"""


def trained(run: str) -> dict[str, Array]:
    start(set_up(Path("a.yaml")), Path(run)).run()
    return read(Path(run) / "model.safetensors")[0]


def test_the_same_weights_and_figures(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    saved()
    Path("a.yaml").write_text(CONFIG)
    from_file = trained("file")
    figures = evaluate(Path("file")).metrics
    new_rows = {"data": "{type: npy, path: x.npy, targets: ids.npy}", "root": Path(".")}
    outside = evaluate(Path("file"), **new_rows).metrics
    monkeypatch.setattr(arrays, "MAPPED", 1 << 20)
    monkeypatch.setattr(out_of_core, "MAPPED", 1 << 20)
    in_memory = trained("memory")
    assert from_file.keys() == in_memory.keys()
    assert all(np.array_equal(from_file[k], in_memory[k]) for k in in_memory)
    assert evaluate(Path("memory")).metrics == figures
    assert evaluate(Path("memory"), **new_rows).metrics == outside


def problem_of(train: Any, targets: Any = "classes", **rest: Any) -> Problem:
    with pytest.raises(Failure) as caught:
        ready(train, targets, **rest)
    (problem,) = caught.value.problems
    return problem


def test_what_cannot_be_learned_is_said(small: None) -> None:
    x, _ = saved()
    np.save("half.npy", x[:, 0])
    assert "the target holds" in problem_of({**NPY, "targets": "half.npy"}).text
    np.save("two.npy", np.ones((300, 2)))
    assert "row 0 (counted from 0): the targets [1, 1] are not one 1" in problem_of({**NPY, "targets": "two.npy"}).text
    np.save("one.npy", np.zeros(300, int))
    assert problem_of({**NPY, "targets": "one.npy"}).code == "one-class"
    assert problem_of({**NPY, "targets": "values.npy"}, "values", stratify=True).code == "stratify"
    assert problem_of(NPY, scale_target="standardize").code == "scale-target"
    assert problem_of(NPY, split={"column": "fold"}).text == "split goes by a column, and npy has no named columns"
    x[250, 2] = np.nan
    np.save("x.npy", x)
    assert problem_of(NPY).text == "entry [250, 2] is nan, not a finite number"


def test_a_class_of_another_file_is_named(small: None) -> None:
    _, ids = saved()
    ids[77] = 9
    np.save("other.npy", ids)
    problem = problem_of(NPY, validation={**NPY, "targets": "other.npy"})
    assert "row 77 (counted from 0): class `9` does not occur in the training rows" in problem.text
    assert problem.help == "the classes are 0, 1, 2"


def test_a_large_file_beside_a_small_one_stays_there(small: None) -> None:
    """Training rows in memory, validation rows in a file larger than that."""
    x, ids = saved()
    Path("a.csv").write_text(
        "a,b,c,d,y\n"
        + "".join(f"{','.join(map(str, row))},{t}\n" for row, t in zip(x[:90].tolist(), ids[:90], strict=True))
    )
    small_one = {"type": "csv", "path": "a.csv", "target": "y"}
    ours, known = (ready(small_one, big=big, validation=NPY) for big in (True, False))
    mine, split = ours.splits["validation"], known.splits["validation"]
    assert isinstance(mine.x, ComputedRows)
    assert not isinstance(mine.rows, np.ndarray)
    assert np.array_equal(np.asarray(mine.x), split.x)
    assert np.array_equal(np.asarray(mine.t), split.t)
    assert ours.split_rows == known.split_rows
    Path("a.yaml").write_text(
        CONFIG.replace(
            "{type: npy, path: x.npy, targets: ids.npy}\n  validation: 0.2\n  test: 0.2",
            "{type: csv, path: a.csv, target: y}\n  validation: {type: npy, path: x.npy, targets: ids.npy}",
        )
    )
    trained("run")
    assert evaluate(Path("run")).rows == 300


def test_quartiles_of_some_rows(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    saved()
    whole = ready(NPY, scale="robust")
    assert whole.warnings == ()
    assert np.array_equal(
        whole.preprocessor.tensors()["data.inputs.shift"], np.median(np.load("x.npy").astype(float), axis=0)
    )
    monkeypatch.setattr(out_of_core, "NUMBERS_SORTED", 400)
    some = ready(NPY, scale="robust")
    assert [w.text for w in some.warnings] == [
        "scale: the quartiles are those of 1 in 3 training rows: the file is too large to sort"
    ]
    shifts = (p.preprocessor.tensors()["data.inputs.shift"] for p in (whole, some))
    assert np.allclose(*shifts, rtol=0.1)
    for scale in ("standardize", "minmax"):  # which nothing has to be sorted for: they see every row
        every, known = ready(NPY, scale=scale), ready(NPY, big=False, scale=scale)
        assert every.warnings == ()
        for name, tensor in known.preprocessor.tensors().items():
            assert np.array_equal(every.preprocessor.tensors()[name], tensor), name


def test_stretches_are_rows_that_follow_each_other() -> None:
    found = RowBlocks(np.array([1, 4]), 3, 14)  # the last of five holds two rows
    assert len(found) == 5
    assert found[:].tolist() == [3, 4, 5, 12, 13]
    assert found[np.array([4, 0])].tolist() == [13, 3]
    assert RowBlocks(np.array([0, 1]), 3, 14)[:].tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("count", [1, 7, 100, 101, 1003])
def test_a_mixed_order_has_each_row_once(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "MAX_BLOCKS", 40)
    monkeypatch.setattr(order, "ROWS_PER_WINDOW", 64)
    mixed = order.ShuffledOrder(Stream(1, "order"), count, 1)
    whole = mixed[0:count]
    assert sorted(whole.tolist()) == list(range(count))
    batches = [mixed[i : i + 7] for i in range(0, count, 7)]
    assert np.concatenate(batches).tolist() == whole.tolist()
    assert (
        order.ShuffledOrder(Stream(1, "order"), count, 1)[count // 2 : count].tolist() == whole[count // 2 :].tolist()
    )
    if count > 50:
        assert order.ShuffledOrder(Stream(1, "order"), count, 2)[0:count].tolist() != whole.tolist()
        assert np.abs(np.diff(whole)).max() > count // 3


def test_many_rows_train_in_stretches(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """No array with a number for each row; each row once an epoch; the splits have their shares."""
    saved(3001)
    monkeypatch.setattr(order, "MAX_BLOCKS", 256)
    monkeypatch.setattr(order, "ROWS_PER_WINDOW", 200)
    monkeypatch.setattr(order, "MAX_ROWS_NUMBERED", 1000)
    Path("a.yaml").write_text(CONFIG)
    setup = set_up(Path("a.yaml"))
    seen: list[int] = []
    for name, share in (("train", 0.6), ("validation", 0.2), ("test", 0.2)):
        rows = setup.prepared.splits[name].rows
        assert not isinstance(rows, np.ndarray)
        assert abs(len(rows) - share * 3001) < 30
        seen += np.asarray(rows[:]).tolist()
    assert sorted(seen) == list(range(3001))
    train = setup.prepared.splits["train"].x
    found = order.row_order(Stream(1, "order"), train, 1)
    assert isinstance(found, order.ShuffledOrder)
    assert isinstance(order.row_order(None, train, 1), order.SequentialOrder)
    assert order.row_order(None, train, 1)[3:6].tolist() == [3, 4, 5]
    first = trained("one")
    second = trained("two")
    assert all(np.array_equal(a, second[k]) for k, a in first.items())
    assert evaluate(Path("one")).metrics["accuracy"] > 0.5
    assert problem_of(NPY, validation=0.2, stratify=True).code == "stratify"


def test_an_order_by_chance_is_the_known_one_where_rows_are_few() -> None:
    x = np.zeros((10, 1))
    assert order.row_order(Stream(1, "order"), x, 3).tolist() == Stream(1, "order").permutation(10, 3).tolist()
    assert order.row_order(None, x, 3).tolist() == list(range(10))


def test_what_is_asked_of_an_array() -> None:
    base = np.arange(60.0).reshape(15, 4)
    rows, columns = np.array([9, 1, 2, 3, 14]), np.array([2, 0])
    x = MappedRows(base, rows, columns)
    known = base[rows][:, columns]
    assert (x.shape, x.ndim, x.size, len(x), x.dtype) == ((5, 2), 2, 10, 5, known.dtype)
    picked = np.array([True, False, True, False, False])
    whole = slice(None)
    for key in (
        2,
        slice(1, 4),
        slice(None, None, 2),
        np.array([0, 0, 4]),
        (1, 1),
        (slice(1, 3), 0),
        (whole, 1),
        picked,
    ):
        assert np.array_equal(x[key], known[key]), key
    assert np.array_equal(np.asarray(x), known)
    assert np.array_equal(x.min(axis=0), known.min(axis=0))
    assert np.array_equal(x.max(axis=0), known.max(axis=0))
    assert (x.min(), x.max()) == (known.min(), known.max())
    assert np.array_equal(x.reshape(10), known.reshape(10))
    assert x.astype(np.float32).dtype == np.float32
    assert np.array_equal(x.take(np.array([4, 1])), known[[4, 1]])


def test_limits_are_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    base = np.arange(60.0).reshape(15, 4)
    x, calls = MappedRows(base), []
    known = MappedRows.blocks
    monkeypatch.setattr(MappedRows, "blocks", lambda self: calls.append(1) or known(self))
    for _ in range(3):
        x.min(axis=0), x.max(), x.limits()
    assert len(calls) == 1


HUGE = """
import sys, threading, time
from pathlib import Path
from bpcli.studies.run.setup import set_up
from bpcli.studies.run.resume import start
from bpcli.studies.describe.check import report
most = 0
def anonymous():
    for line in open("/proc/self/status"):
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1024
def watch():
    global most
    while True:
        most = max(most, anonymous())
        time.sleep(0.02)
threading.Thread(target=watch, daemon=True).start()
began = time.time()
setup = set_up(Path("a.yaml"))
report(setup)
ready = time.time() - began
class Enough(Exception): pass
from bpcli.family import Callback
class Some(Callback):
    def on_batch_end(self, state, loss):
        if state.progress.batch == 400: raise Enough
from bpcli.studies.run import fingerprints
fingerprints.sha256_of = lambda file: ""  # tested elsewhere; it reads every byte
try:
    start(setup, Path("run"), [Some()]).run()
except Enough:
    pass
print(most, ready, time.time() - began)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not say what memory is anonymous")
@pytest.mark.parametrize("width", [8, 800])
def test_twenty_gigabytes_train_in_less_than_one(width: int) -> None:
    """A sparse file of zeros: 625 million rows of 8 numbers, 6.25 million of 800."""
    rows = 20 * 10**9 // 4 // width
    array = np.lib.format.open_memmap("x.npy", "w+", np.float32, (rows, width))
    array[rows // 2, 0] = 1  # two classes, in a column that is all but constant
    array.flush()
    Path("a.yaml").write_text(
        "data: {train: {type: npy, path: x.npy, target: 0}, validation: 0.001, scale: standardize}\n"
        "architecture: [{type: dense, units: 4, activation: relu}, {type: dense, units: 1}]\n"
        "loss: mean_squared_error\ntraining: {epochs: 1, batch_size: 1024}\n"
    )
    done = subprocess.run([sys.executable, "-c", HUGE], capture_output=True, text=True, timeout=3000, check=False)
    assert done.returncode == 0, done.stderr
    most, ready, seconds = map(float, done.stdout.split())
    sys.stdout.write(
        f"\n{rows:,} x {width}: at most {most:.0f} MiB; ready after {ready:.0f} s, 400 steps at {seconds:.0f} s\n"
    )
    assert most < 1000e6 / 2**20
