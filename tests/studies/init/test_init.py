"""`init`: what is written fits what is found in a file, trains, and is no worse than the usual."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from init_lab import _here as _here
from init_lab import found, made
from paths import DATASETS

from bpcli.records.training import Failure
from bpcli.studies.init.init import _experiment_name, write_config, write_example
from bpcli.studies.init.inspect import Inspection
from bpcli.studies.run.setup import set_up


def saved(text: str | bytes, name: str = "a.csv") -> str:
    Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return name


def table(header: str, *columns: Any, name: str = "a.csv", sep: str = ",") -> str:
    rows = "".join(sep.join(str(v) for v in row) + "\n" for row in zip(*columns, strict=True))
    return saved(f"{header}\n{rows}", name)


def failure(*targets: str, **more: Any) -> str:
    with pytest.raises(Failure) as caught:
        write_config(more.pop("data", "a.csv"), targets, more.pop("task", None), None)
    (problem,) = caught.value.problems
    return f"{problem.text} | {problem.help}"


N = 60
CHANCE = np.random.default_rng(0)
X = CHANCE.normal(size=N).round(3)
HALF = ["yes" if v > 0 else "no" for v in X]


def kinds(f: Inspection) -> dict[str, str]:
    return {c.name: c.treatment for c in f.columns}


def test_columns_that_say_nothing_are_left_out() -> None:
    names = [f"Person {i}" for i in range(N)]
    many = [f"town {i % 55}" for i in range(N)]
    days = [f"2024-01-{i % 28 + 1:02}" for i in range(N)]
    header = "id,name,town,x,colour,born,good,same,lone,user_id,code,y"
    texts = names, many, X, ["r", "g", "b"] * 20, days, ["yes", "no"] * 30
    table(header, range(N), *texts, [3] * N, ["a"] * N, CHANCE.permutation(N) * 7, CHANCE.permutation(N), HALF)
    f = found("y")
    assert kinds(f) == {
        "id": "left out: it numbers the rows",
        "name": "left out: names or ids",
        "town": "left out: names or ids",
        "x": "standardized",
        "colour": "one-hot, 3 inputs",
        "born": "days, month and weekday",
        "good": "1 or 0",
        "same": "left out: the same in every row",
        "lone": "left out: the same in every row",
        "user_id": "left out: it numbers the rows",
        "code": "standardized",
    }
    assert f.shape == (1 + 3 + 3 + 1 + 1,)
    written, setup = made("y")
    assert setup.network_plan.x == f.shape
    assert setup.experiment.data.train.drop == ("id", "name", "town", "same", "lone", "user_id")  # type: ignore[attr-defined]
    for column in f.columns:
        assert f"#   {column.name} " in written.text


def test_many_categories() -> None:
    rows = 3000
    words = [f"w{i % 140}" for i in range(rows)]
    table("a,w,v,y", range(rows), words, [f"v{i % 400}" for i in range(rows)], [i % 2 for i in range(rows)])
    f = found("y")
    assert kinds(f)["w"] == "one-hot, 140 inputs"
    assert kinds(f)["v"] == "one-hot, 400 inputs"


@pytest.mark.parametrize(
    ("target", "task", "outputs"),
    [
        (HALF, "classify", 2),
        (["a", "b", "c"] * 20, "classify", 3),
        ([0, 1] * 30, "classify", 2),
        ([1, 2, 3, 4, 5, 6] * 10, "classify", 6),
        ([-5, 1000] * 30, "classify", 2),
        (list(range(20)) * 3, "regress", 1),  # too few rows of each
        ([0, 100, 500] * 20, "regress", 1),  # too far apart
        (list(range(N)), "regress", 1),
        (X, "regress", 1),
        ([1.5, 2.5] * 30, "regress", 1),
    ],
)
def test_the_task_is_in_the_target(target: Any, task: str, outputs: int) -> None:
    table("x,y", X, target)
    f = found("y")
    assert (f.task, f.outputs) == (task, outputs)
    _, setup = made("y")
    assert setup.experiment.loss.kind == {"classify": "softmax_cross_entropy", "regress": "mean_squared_error"}[task]
    assert setup.experiment.data.scale_target.kind == ("none" if task == "classify" else "standardize")


def test_the_task_can_be_said() -> None:
    table("x,y", X, [1, 2, 3, 4, 5, 6] * 10)
    assert found("y", task="regress").task == "regress"
    table("x,y", X, [0, 100, 500] * 20)
    assert found("y", task="classify").classes == {"0": 20, "100": 20, "500": 20}
    table("x,y,k", X, X, HALF)
    assert "the target `y` holds fractions: they are no classes | --task regress" in failure("y", task="classify")
    assert "the target `k` holds text: it cannot be a regression" in failure("k", task="regress")


def test_several_targets() -> None:
    table("x,p,q", X, X * 2, X + 1)
    assert (found("p", "q").task, found("p", "q").outputs) == ("regress", 2)
    _, setup = made("p", "q")
    assert setup.network_plan.y == (2,)
    table("x,p,q", X, [0, 1] * 30, [1, 1] * 30)
    f = found("p", "q")
    assert (f.task, f.several) == ("classify", True)
    _, setup = made("p", "q")
    assert setup.experiment.loss.kind == "binary_cross_entropy"
    table("x,p,q", X, [0, 1] * 30, [1, 0] * 30)
    _, setup = made("p", "q")
    assert setup.experiment.loss.kind == "softmax_cross_entropy"


def test_uneven_classes_are_told_and_not_weighed() -> None:
    """Weights make more rows of small classes right, and so many more of large ones wrong that f1 falls."""
    rare = ["fraud" if i % 30 == 0 else "fine" for i in range(N * 10)]
    table("x,z,y", list(X) * 10, CHANCE.normal(size=N * 10).round(4), rare)
    assert found("y").imbalance == 29
    written, setup = made("y")
    assert "# 580 rows of fine, 20 of fraud: judge by f1 and by the recall of each class" in written.text
    assert setup.experiment.loss.model_dump()["class_weights"] is None
    weighed = "# loss: {type: softmax_cross_entropy, class_weights: balanced}\nloss: softmax_cross_entropy\n"
    Path("a.yaml").write_text(written.text.replace(weighed, weighed[2:].partition("\n")[0] + "\n"))
    assert set_up(Path("a.yaml")).experiment.loss.model_dump()["class_weights"] is not None
    assert "metrics: [accuracy, f1, capped_loss]" in written.text
    table("x,y", X, (["a"] * 5 + ["b"]) * 10)
    written, _ = made("y")
    assert "class_weights" not in written.text


def test_few_rows_of_each_class_are_told() -> None:
    table("x,y", X, [f"k{i // 2}" for i in range(N)])
    assert "# 60 rows for 30 classes, the smallest with 2: hardly enough to learn from. Join" in made("y")[0].text
    table("x,y", X, ["a", "b", "c", "d", "e", "f"] * 10)
    assert "hardly" not in made("y")[0].text


def test_gaps() -> None:
    gaps = ["" if i % 10 == 0 else v for i, v in enumerate(X)]
    colours = ["NA" if i == 3 else "r" if i % 2 else "g" for i in range(N)]
    table("x,c,z,y", gaps, colours, X, ["" if i == 7 else h for i, h in enumerate(HALF)])
    f = found("y")
    assert {c.name: round(c.missing, 2) for c in f.columns} == {"x": 0.10, "c": 0.02, "z": 0.0}
    written, setup = made("y")
    assert "missing: median" in written.text
    assert "indicator: true" in written.text
    assert '"y": {missing: drop}' in written.text
    assert "1 row is left out: it has no value in `y`" in written.text
    assert sum(len(s.x) for s in setup.prepared.splits.values()) == N - 1
    table("x,y", X, HALF)
    assert "missing: median    # of the training rows, for gaps in later files too" in made("y")[0].text


def test_the_size_follows_the_rows() -> None:
    seen = []
    for rows in (40, 300, 2000, 20_000, 120_000):
        x = CHANCE.normal(size=rows).round(4)
        table("x,y", x, (x > 0).astype(int))
        written, setup = made("y")
        assert ("# so many rows teach enough in a few passes" in written.text) == (rows > 100_000)
        seen.append((setup.network_plan.size, setup.experiment.training.batch_size, setup.experiment.training.epochs))
        assert ("test" in setup.prepared.splits) == (rows >= 50)
        assert ("validation" in setup.prepared.splits) == (rows >= 500)
        assert (setup.experiment.training.early_stopping is not None) == (rows >= 500)
    sizes, batches, epochs = zip(*seen, strict=True)
    assert list(sizes) == sorted(sizes)
    assert list(batches) == sorted(batches)
    assert list(epochs) == sorted(epochs, reverse=True)


def test_files_as_they_come() -> None:
    saved("1.5,2,0\n" + "".join(f"{v},{i},{i % 2}\n" for i, v in enumerate(X)), "bare.csv")
    written, setup = made("-1", data="bare.csv")
    assert "header: false" in written.text
    assert setup.prepared.preprocessor.classes == ("0", "1")
    table(",x,z,y", range(N), X, X * 2, HALF, name="frame.csv")
    written, setup = made("y", data="frame.csv")
    assert 'drop: [""]' in written.text
    assert len(setup.prepared.preprocessor.columns) == 2
    comma = ["1,5" if i % 2 else "2,25" for i in range(N)]
    table("alter;größe;ziel", comma, [str(v).replace(".", ",") for v in X], HALF, name="semi.csv", sep=";")
    assert kinds(found("ziel", data="semi.csv")) == dict.fromkeys(("alter", "größe"), "decimal ,; standardized")
    made("ziel", data="semi.csv")
    saved(b"\xef\xbb\xbf" + Path("frame.csv").read_bytes().replace(b"\n", b"\r\n"), "bom.csv")
    made("y", data="bom.csv")
    wide = "".join(",".join(f"{v:.3f}" for v in CHANCE.normal(size=200)) + f",{i % 2}\n" for i in range(80))
    saved(",".join(f"f{i}" for i in range(200)) + ",y\n" + wide, "wide.csv")
    written, setup = made("y", data="wide.csv")
    assert setup.network_plan.x == (200,)
    assert "and 160 more" in written.text
    odd = table('"a: b",yes,"1","# x","new\nline",y', X, X * 2, X + 1, X * 3, X + 5, HALF, name="odd.csv")
    _, setup = made("y", data=odd)
    assert setup.network_plan.x == (5,)


def test_what_cannot_be_begun() -> None:
    table("x,kind,same,y", X, [f"k{i}" for i in range(N)], ["a"] * N, HALF)
    help = "name the column to predict: --target NAME; the columns are x, kind, same, y"
    assert failure() == f"what is to be predicted is not said | {help}"
    assert "the file has no column `z` | the columns are x, kind" in failure("z")
    assert "has 60 different values in 60 rows: a class of a single row cannot be learned" in failure("kind")
    assert "name a column whose values come back, --target NAME (there are x, same, y), or give rows" in failure("kind")
    assert "--task regress" not in failure("kind")
    table("x,kind", X, range(N))
    assert failure("kind", task="classify").endswith("; --task regress predicts numbers as values")
    table("x,kind,same,y", X, [f"k{i}" for i in range(N)], ["a"] * N, HALF)
    assert "is `a` in every row: there is nothing to tell apart" in failure("same")
    table("id,y", range(N), HALF)
    assert "no column is left to learn from" in failure("y")
    assert "no such file: b.csv | did you mean `a.csv`?" in failure("y", data="b.csv")
    table("x,y", [*X[:50], "oops", *X[51:]], HALF)
    assert "column `x`: `oops` is not a number" in failure("y")


def test_a_file_is_never_overwritten() -> None:
    table("x,y", X, HALF)
    first = write_config("a.csv", ["y"], None, None)
    assert first.file == Path("a.yaml")
    assert failure("y") == "a.yaml is there already | choose another place with --out, or overwrite it with --force"
    Path("sub").mkdir()
    other = write_config("a.csv", ["y"], None, Path("sub/b.yaml"))
    assert "path: ../a.csv" in other.text
    assert "name: b" in other.text
    Path("link").symlink_to(Path("sub"))
    table("x,y", X, HALF, name="sub/c.csv")
    assert "path: link/c.csv" in write_config("link/c.csv", ["y"], None, Path("-")).text
    write_config("a.csv", ["y"], None, Path("link/d.yaml"))
    set_up(Path("link/d.yaml"))
    set_up(Path("sub/b.yaml"))
    assert write_config("a.csv", ["y"], None, Path("-")).file is None


def test_a_source_spelled_out_and_arrays() -> None:
    table("x,y", ["oops" if i == 50 else v for i, v in enumerate(X)], HALF)
    data = "{type: csv, path: a.csv, target: y, text: [x]}"
    assert failure(data=data).startswith("a.csv: no column is left to learn from: x")
    np.savez("b.npz", x=CHANCE.normal(size=(N, 3)), y=[0, 1] * 30)
    written = write_config("b.npz", [], None, None)
    assert set_up(Path("b.yaml")).network_plan.x == (3,)
    assert "train: {type: npz, path: b.npz}" in written.text
    np.save("x.npy", CHANCE.normal(size=(N, 4)))
    write_config("{type: npy, path: x.npy, target: -1}", [], None, Path("c.yaml"))
    assert set_up(Path("c.yaml")).experiment.loss.kind == "mean_squared_error"


@pytest.mark.parametrize("task", ["classify", "regress", "images"])
def test_from_nothing(task: str) -> None:
    """An example trains as it is, and well."""
    from bpcli.studies.evaluation.evaluate import evaluate
    from bpcli.studies.run.resume import start

    written = write_example(task, None)
    assert written.file == Path(f"{task}.yaml")
    setup = set_up(written.file, ["training.epochs=4"] if task == "images" else [])
    assert setup.warnings == ()
    start(setup, Path("run")).run()
    metrics = evaluate(Path("run"), "test").metrics
    assert metrics["r2" if task == "regress" else "accuracy"] > 0.9


@pytest.mark.peers
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "target"), [("iris", "species"), ("wine", "cultivar"), ("breast_cancer", "diagnosis"),
                         ("diabetes", "progression"), ("digits", "digit")],
)  # fmt: skip
def test_as_good_as_a_standard_pipeline(name: str, target: str) -> None:
    """Cross-validated on the same folds, against scikit-learn's MLP after a StandardScaler; two seeds."""
    import warnings

    from sklearn.neural_network import MLPClassifier, MLPRegressor

    from bpcli.studies.evaluation import cross_validate as folds

    write_config(str(DATASETS / name / f"{name}.csv"), [target], None, Path("a.yaml"))
    figure = "r2" if name == "diabetes" else "accuracy"
    ours, theirs = [], []
    for seed in (0, 1):
        study = folds.start(Path("a.yaml"), (f"seed={seed}",), 5, Path(f"f{seed}"))
        ours.append(study.run().metrics[figure].mean)
        for number in range(1, 6):
            sets = ("data.test=null", "data.validation=null", "training.early_stopping=null")
            setup = set_up(Path("a.yaml"), (*sets, f"seed={seed}", folds.fold_setting(number, 5)))
            train, test = setup.prepared.splits["train"], setup.prepared.splits["test"]
            model = (MLPRegressor if figure == "r2" else MLPClassifier)(random_state=seed, max_iter=500)
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                model.fit(train.x, train.t.ravel())
            theirs.append(model.score(test.x, test.t.ravel()))
    assert np.mean(ours) > np.mean(theirs) - 0.01


@pytest.mark.parametrize(
    ("data", "name"),
    [("a.csv", "a"), ("my data.v2.csv.gz", "my-data-v2"), ("sales.2019.csv", "sales-2019"),
     ("sales.2020.csv", "sales-2020"), ("a.b", "a"), ("set.1", "set-1"),
     ("t.idx3-ubyte.gz", "t"), ("in/b.CSV", "b"), ("süß.csv", "s"), ("_x_.csv", "x"), ("123.csv", "123"),
     ("{type: csv, path: a.csv}", "data"), ("ä.csv", "experiment"), ("x" * 70 + ".csv", "x" * 60),
     ("a_b-c.csv", "a_b-c")],
)  # fmt: skip
def test_the_name_of_an_experiment_is_that_of_its_file(data: str, name: str) -> None:
    assert _experiment_name(data) == name


def test_the_command_that_made_a_config_stands_in_it() -> None:
    table("-x,b c,y", X, X, HALF, name="a b.csv")
    written = write_config("a b.csv", ["y"], "classify", Path("-"))
    assert "# Made by `bpcli init 'a b.csv' --target y --task classify`" in written.text
    assert "name: a-b" in written.text
    written = write_config("a b.csv", ["-x", "b c"], None, Path("c.yaml"))
    assert "# Made by `bpcli init 'a b.csv' --target=-x --target 'b c'`" in written.text
    assert (written.file, "name: c" in written.text) == (Path("c.yaml"), True)


def test_an_example_on_the_terminal_copies_nothing() -> None:
    assert write_example("images", Path("-")).file is None
    assert list(Path().iterdir()) == []
    assert "name: other" in write_example("regress", Path("other.yaml")).text
    assert "name: classify" in write_example("classify", Path("-")).text
    assert failure_of_example() == "other.yaml is there already"
    assert write_example("classify", Path("other.yaml"), force=True).file == Path("other.yaml")


def failure_of_example() -> str:
    with pytest.raises(Failure) as caught:
        write_example("classify", Path("other.yaml"))
    return caught.value.problems[0].text
