"""Derivations made by hand, marked: the article's, and single mistakes in every part of a step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mark_file import mark_file
from paths import ROOT
from student import Student, random_net

from bpcli.records.trace import Mark, Marks
from bpcli.records.training import Exit, Failure
from bpcli.studies.mistakes.claims import read_claims
from bpcli.studies.mistakes.marking import mark
from bpcli.studies.trace.derive_step import View, derive
from bpcli.studies.trace.open import TracedRows, open_target

ARTICLE = ROOT / "configs" / "article.yaml"
ROWS = TracedRows(samples=(0, 1, 2, 3))

NET: dict[str, Any] = {
    "data": {
        "train": {
            "type": "inline", "inputs": [[0.1, 1.2], [0.7, -1.0], [1.0, 0.3], [-1.0, 1.5]],
            "targets": [[0], [1], [1], [0]],
        }
    },
    "architecture": [
        {"type": "dense", "units": 3, "activation": "tanh"},
        {"type": "residual", "layers": [{"type": "dense", "units": 3, "activation": "relu"}]},
        {"type": "dense", "units": 1},
    ],
    "loss": "binary_cross_entropy",
    "regularization": {"type": "l2", "strength": 0.01},
    "clipping": {"type": "global_norm", "max_norm": 0.1},
    "optimizer": {"type": "adam", "learning_rate": 0.1},
    "training": {"epochs": 5, "batch_size": "full"},
}  # fmt: skip
NORMED = [
    {"type": "dense", "units": 3}, "batch_norm", "relu", {"type": "dropout", "rate": 0.3}, "layer_norm",
    {"type": "dense", "units": 1},
]  # fmt: skip
OTHERS: dict[str, Mapping[str, Any]] = {
    "adam": {},
    "nesterov": {"optimizer": {"type": "nesterov", "learning_rate": {"type": "cosine", "start": 0.1}}},
    "lbfgs": {"optimizer": "lbfgs", "clipping": None, "architecture": [{"type": "dense", "units": 1}]},
    "clipped by tensor": {"clipping": {"type": "norm", "max_norm": 0.05}},
    "constrained": {"constraint": {"type": "max_norm", "limit": 0.5}},
    "normed": {"architecture": NORMED, "clipping": None},
    "two penalties": {
        "architecture": [
            {"type": "dense", "units": 3, "activation": "silu", "regularization": {"type": "l1", "strength": 0.02}},
            {"type": "dense", "units": 1},
        ],
        "loss": "huber",
    },
}


def network(folder: Path, change: Mapping[str, Any]) -> Path:
    config = {key: value for key, value in {**NET, **change}.items() if value is not None}
    (folder / "net.yaml").write_text(json.dumps(config), encoding="utf-8")
    return folder / "net.yaml"


def truth(net: Path, rows: TracedRows = ROWS) -> dict[str, float]:
    """Every number of the derivation, by the name that claims use."""
    d = derive(open_target(net, rows), View(detail="neuron", entries=1 << 30))
    found = {e.name: float(q.value[e.at]) for q in d.quantities for e in q.entries}
    found |= {"loss": d.steps[0].loss, "loss_after": d.steps[0].after}
    for g in d.start_values:
        value = np.asarray(g.value, float)
        found |= {f"{g.path}{list(at)}".replace(" ", ""): float(value[at]) for at in np.ndindex(value.shape)}
    return found


def claimed(net: Path, numbers: Mapping[str, float | str], rows: TracedRows = ROWS, digits: int = 10) -> Marks:
    lines = [f"{name},{v if isinstance(v, str) else f'{v:#.{digits}g}'}\n" for name, v in numbers.items()]
    file = net.parent / "claims.csv"
    file.write_text("".join(lines), encoding="utf-8")
    return mark_file(net, rows, file)


def first(marks: Marks) -> Mark:
    assert marks.first is not None
    return marks.first


def codes(mark: Mark) -> list[str]:
    return [cause.code for cause in mark.causes]


# The article
def test_the_article_is_wrong_where_it_is_wrong() -> None:
    marks = mark_file(ARTICLE, TracedRows(x=("1",), t=("1",)), ROOT / "configs" / "article_claims.yaml")
    found = {m.name: m for m in marks.marks}
    assert {name: m.verdict for name, m in found.items()} == {
        "dense_1.a": "right", "dense_2.a": "wrong", "loss": "wrong", "dense_1.dW": "wrong", "dense_1.W_new": "wrong",
    }  # fmt: skip
    assert not marks.right
    o2, loss, slope, new = list(found.values())[1:]
    assert marks.first is o2
    assert o2.causes[0].code == "dropped-input"
    assert o2.causes[0].where == "dense_2.y"
    assert o2.causes[0].text == "its input, dense_1.activation.y, is left out, as if it were 1"
    assert loss.causes == ()
    assert loss.expected == pytest.approx(0.534446645389, abs=1e-12)  # from its own o2
    assert slope.causes == ()
    assert slope.expected == pytest.approx(0.0565199697129, abs=1e-12)
    assert slope.note == "it is 4.455 times the right number"
    assert codes(new) == ["added"]
    right = (0.324962472623176, 0.455675663367016, 0.058227603267763, 0.941772396732237)
    assert [m.right for m in (o2, loss, slope, new)] == pytest.approx(right, abs=1e-14)


def test_the_row_of_the_file_is_the_same_as_its_values() -> None:
    claims = ROOT / "configs" / "article_claims.yaml"
    assert (
        mark_file(ARTICLE, TracedRows(samples=(2,)), claims).marks
        == mark_file(ARTICLE, TracedRows(x=("1",), t=("1",)), claims).marks
    )


# Derivations without a mistake
@pytest.mark.parametrize("name", OTHERS)
def test_the_derivation_itself_is_right(name: str, tmp_path: Path) -> None:
    """Every number of it, to as many digits as may be written."""
    net = network(tmp_path, OTHERS[name])
    numbers = truth(net)
    for digits in (17, 6, 3):
        marks = claimed(net, numbers, digits=digits)
        assert [(m.address, m.written, m.right) for m in marks.marks if m.verdict != "right"] == []
        assert marks.right
        assert len(marks.marks) == len(numbers)


@pytest.mark.parametrize("name", ["adam", "normed", "two penalties", "constrained"])
def test_what_follows_from_an_error_is_kept_apart_from_errors(name: str, tmp_path: Path) -> None:
    """A second network whose first weights are other ones gives what somebody would find who misread them."""
    layers = OTHERS[name].get("architecture", NET["architecture"])
    weights = [[0.3, -0.2, 0.5], [0.1, 0.7, -0.6]]
    own = [{**layers[0], "weights": weights}, *layers[1:]]
    other = [{**layers[0], "weights": [[0.3, 0.2, 0.5], weights[1]]}, *layers[1:]]
    net = network(tmp_path, {**OTHERS[name], "architecture": other})
    wrong = truth(net)
    net = network(tmp_path, {**OTHERS[name], "architecture": own})
    marks = claimed(net, wrong)
    assert [m.address for m in marks.marks if m.verdict == "wrong"] == ["dense_1.W[0,1]"]
    assert "it is given" in first(marks).note
    assert first(marks).causes == ()
    assert marks.count("follows") > 50


# Single mistakes, and nothing said of anything else
def test_the_learning_rate_is_forgotten(tmp_path: Path) -> None:
    net = network(tmp_path, {"optimizer": {"type": "sgd", "learning_rate": 0.3}})
    numbers = truth(net)
    marks = claimed(net, {"dense_1.W_new[0,0]": numbers["dense_1.W[0,0]"] - numbers["dense_1.dW_clipped[0,0]"]})
    assert codes(first(marks)) == ["learning-rate"]


def test_the_bias_correction_is_forgotten(tmp_path: Path) -> None:
    net = network(tmp_path, {})
    numbers = truth(net)
    name = "dense_1.W.mhat[0,0]"
    marks = claimed(net, {name: numbers["dense_1.W.m_new[0,0]"]})
    assert codes(first(marks))[0] == "bias-correction"
    step = 0.1 * numbers["dense_1.W.m_new[0,0]"] / (np.sqrt(numbers["dense_1.W.vhat[0,0]"]) + 1e-8)
    (found,) = claimed(net, {"dense_1.W_new[0,0]": numbers["dense_1.W[0,0]"] - step}).marks
    assert codes(found)[0] == "bias-correction"
    assert found.causes[0].where == "dense_1.W.mhat"


def test_the_old_velocity_is_used(tmp_path: Path) -> None:
    """At the first step that is 0, and nothing moves."""
    net = network(tmp_path, {"optimizer": {"type": "momentum", "learning_rate": 0.1}})
    numbers = truth(net)
    marks = claimed(net, {f"dense_1.W_new[0,{i}]": numbers[f"dense_1.W[0,{i}]"] for i in range(3)})
    assert "old-state" in codes(first(marks))


def test_the_penalty_is_forgotten(tmp_path: Path) -> None:
    net = network(tmp_path, {})
    numbers = truth(net)
    data = numbers["dense_1.dW[0,1]"] - 0.01 * numbers["dense_1.W[0,1]"]
    assert codes(first(claimed(net, {"dense_1.dW[0,1]": data}))) == ["penalty"]


def test_the_bias_is_forgotten_or_counted_twice(tmp_path: Path) -> None:
    layers = [{"type": "dense", "units": 2, "bias": [0.5, 0.25]}, {"type": "dense", "units": 1}]
    net = network(tmp_path, {"architecture": layers})
    z = truth(net)["dense_1.y[0,0]"]
    assert codes(first(claimed(net, {"dense_1.z[0,0]": z - 0.5})))[0] == "dropped-bias"
    assert codes(first(claimed(net, {"dense_1.z[0,0]": z + 0.5})))[0] == "counted-twice"


def softmax(folder: Path) -> tuple[Path, dict[str, float]]:
    layers = [{"type": "dense", "units": 2}, {"type": "dense", "units": 3, "activation": "softmax"}]
    data = {"train": {**NET["data"]["train"], "targets": [[0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0]]}}
    net = network(folder, {"architecture": layers, "loss": "mean_squared_error", "data": data})
    return net, truth(net)


def test_softmax_has_more_than_a_diagonal(tmp_path: Path) -> None:
    net, numbers = softmax(tmp_path)
    y, dy = (np.array([numbers[f"{name}[0,{k}]"] for k in range(3)]) for name in ("dense_2.activation.y", "loss.dx"))
    wrong = dict(zip((f"dense_2.activation.dx[0,{k}]" for k in range(3)), dy * y * (1 - y), strict=True))
    found = first(claimed(net, wrong))
    assert "diagonal" in codes(found)


def test_cross_entropy_without_the_slope_of_softmax(tmp_path: Path) -> None:
    layers = [{"type": "dense", "units": 3}]
    inputs = [[0.1, 1.2], [0.7, -1.0], [0.2, 0.4]]
    data = {"train": {"type": "inline", "inputs": inputs, "targets": ["a", "b", "c"]}}
    net = network(tmp_path, {"architecture": layers, "loss": "softmax_cross_entropy", "data": data})
    rows = TracedRows(samples=(0, 1, 2))
    p = truth(net, rows)["loss.p[0,0]"]
    found = first(claimed(net, {"loss.dx[0,0]": -1 / p / 3, "loss.dx[0,1]": 0.0}, rows))
    assert codes(found)[0] == "half-chain"
    assert found.causes[0].text == "it is the slope of the loss by p, not by what p is computed from"


def test_a_loss_that_is_summed_and_not_averaged(tmp_path: Path) -> None:
    net = network(tmp_path, {"regularization": None})
    assert codes(first(claimed(net, {"loss": 4 * truth(net)["loss"]}))) == ["rows"]


def test_rounding_on_the_way(tmp_path: Path) -> None:
    """What comes of rounded numbers is no other mistake, and what is rounded at the end is none at all."""
    net = network(tmp_path, {})
    numbers = truth(net)
    z = round(numbers["dense_1.y[0,0]"], 2)
    (found,) = claimed(net, {"dense_1.a[0,0]": float(np.tanh(z))}).marks
    assert codes(found)[0] == "rounding"
    assert found.causes[0].text == "it is computed from numbers rounded to 2 decimals"
    both = {"dense_1.z[0,0]": f"{z:.2f}", "dense_1.a[0,0]": float(np.tanh(z))}
    right, wrong = claimed(net, both).marks
    assert right.verdict == "right"
    assert codes(wrong)[0] == "rounding"


def test_what_is_computed_on_from_rounded_numbers_follows(tmp_path: Path) -> None:
    """After an error, from the wrong number as it is written."""
    net = network(tmp_path, {})
    wrong = {"dense_1.z[0,0]": "0.123", "dense_1.a[0,0]": float(np.tanh(0.123))}
    assert [m.verdict for m in claimed(net, wrong).marks] == ["wrong", "follows"]


def test_a_mistake_in_what_nobody_wrote_down(tmp_path: Path) -> None:
    """The cause is named where it is, and what it changes besides follows from it."""
    net = network(tmp_path, {})
    numbers = truth(net)
    a = [numbers[f"dense_1.activation.y[{n},0]"] for n in range(4)]
    dy = [numbers[f"residual_1.dx[{n},0]"] for n in range(4)]
    x = [numbers[f"x[{n},0]"] for n in range(4)]
    w = numbers["dense_1.W[0,0]"]
    forgotten = sum(xi * d for xi, d in zip(x, dy, strict=True)) + 0.01 * w
    right = sum(xi * d * (1 - ai**2) for xi, d, ai in zip(x, dy, a, strict=True)) + 0.01 * w
    assert numbers["dense_1.dW[0,0]"] == pytest.approx(right, rel=1e-12)
    bias = numbers["dense_1.b[0]"] + sum(dy)
    found, follows = claimed(net, {"dense_1.dW[0,0]": forgotten, "dense_1.db[0]": bias}).marks
    assert found.causes[0].code == "no-slope"
    assert found.causes[0].where in ("dense_1.activation.dx", "dense_1.dW")
    assert follows.verdict == "follows" or codes(follows)[0] == "no-slope"


def test_a_mistake_that_nobody_wrote_down_goes_on(tmp_path: Path) -> None:
    """The bias was left out of z, which is not claimed; the slope of softplus is taken there all the same."""
    layers = [{"type": "dense", "units": 1, "bias": [0.7], "activation": "softplus"}, {"type": "dense", "units": 1}]
    net = network(tmp_path, {"architecture": layers, "loss": "mean_squared_error", "regularization": None})
    row = TracedRows(samples=(0,))
    n = truth(net, row)
    z = n["dense_1.y[0,0]"] - 0.7
    a = float(np.log1p(np.exp(z)))
    error = 2 * (a * n["dense_2.W[0,0]"] - n["t[0,0]"]) * n["dense_2.W[0,0]"]
    wrong, follows = claimed(net, {"dense_1.a": a, "dense_1.delta": error / (1 + np.exp(-z))}, row).marks
    assert (codes(wrong)[0], wrong.causes[0].where) == ("dropped-bias", "dense_1.y")
    assert follows.verdict == "follows"


def test_a_step_with_another_learning_rate(tmp_path: Path) -> None:
    net = network(tmp_path, {"clipping": None, "optimizer": {"type": "sgd", "learning_rate": 0.1}})
    n = truth(net)
    new = n["dense_1.W[0,0]"] - 0.25 * n["dense_1.dW[0,0]"]
    marks = claimed(net, {"learning_rate": 0.25, "dense_1.W_new[0,0]": new})
    assert [m.verdict for m in marks.marks] == ["wrong", "follows"]


# What is not known
def test_no_cause_is_invented(tmp_path: Path) -> None:
    """Numbers by chance, in few digits or in many: hardly ever is one of them explained."""
    rng = np.random.default_rng(3)
    explained = 0
    config, claims = tmp_path / "net.yaml", tmp_path / "claims.csv"
    for _ in range(60):
        net = random_net(rng)
        notes = Student(net).work()
        entries = [(name, at) for name, value in notes.items() for at in np.ndindex(value.shape)]
        chosen = entries[rng.integers(len(entries))]
        by_chance = rng.uniform(-2, 2) * abs(float(notes[chosen[0]][chosen[1]]) or 1.0)
        digits = int(rng.integers(1, 5))
        lines = [f"{n}{list(a) if a else ''},{by_chance if (n, a) == chosen else float(notes[n][a]):#.{digits}g}"
                 for n, a in entries]  # fmt: skip
        config.write_text(json.dumps(net.config), encoding="utf-8")
        claims.write_text("\n".join(lines), encoding="utf-8")
        marks = mark(open_target(config, TracedRows(samples=tuple(range(len(net.x))))), read_claims(claims))
        explained += marks.first is not None and bool(marks.first.causes)
    assert explained <= 3


def test_a_step_that_cannot_be_made(tmp_path: Path) -> None:
    layers = [{"type": "dense", "units": 1, "weights": [[1e200], [1e200]]}]
    net = network(tmp_path, {"architecture": layers, "loss": "mean_squared_error"})
    with np.errstate(all="ignore"), pytest.raises(Failure, match="is not finite") as caught:
        claimed(net, {"loss": 1.0})
    assert caught.value.exit is Exit.BAD_RESULT
