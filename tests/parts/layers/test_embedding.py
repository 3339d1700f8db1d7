"""Embeddings: numbers that come again, and data that holds other than whole numbers in range, in every command."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_lab import Lab, lab

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.engine.network import Network
from bpcli.engine.network_plan import LayerError, plan_network
from bpcli.family import Layer
from bpcli.parts.layers import embedding
from bpcli.records.training import Failure
from bpcli.studies.run.setup import set_up

__all__ = ["lab"]  # a fixture

EMBEDDING = {"type": "embedding", "tokens": 6, "units": 2}


def test_numbers_that_come_again_add_up_in_blocks_too(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = np.random.default_rng(0).integers(0, 4, (9, 5))
    dy = np.random.default_rng(1).normal(size=(9, 5, 2))
    expected = np.zeros((6, 2))
    for i, g in zip(ids.ravel(), dy.reshape(-1, 2), strict=True):
        expected[i] += g
    for block in (embedding.GRADIENT_BLOCK_ENTRIES, 6):
        monkeypatch.setattr(embedding, "GRADIENT_BLOCK_ENTRIES", block)
        network = Network(plan_network([Layer.parse(EMBEDDING)], (5,)), 9, np.float64, 0, need_dx=True)
        network.grad[...] = np.nan
        chain = network.chain(9)
        chain.x[...] = ids
        chain.forward(True)
        assert np.array_equal(chain.y, network.theta.reshape(6, 2)[ids])
        chain.dy[...] = dy
        chain.backward(True)
        assert np.allclose(network.grad.reshape(6, 2), expected, rtol=1e-14)
        assert chain.dx is not None
        assert not chain.dx.any()


def test_rows_start_as_normal_numbers() -> None:
    network = Network(plan_network([Layer.parse({**EMBEDDING, "tokens": 2000, "units": 16})], (3,)), 1, np.float64, 0)
    assert abs(network.theta.std() - 1) < 0.02


@pytest.mark.parametrize(
    ("before", "good"),
    [([], True), (["flatten"], True), ([{"type": "reshape", "shape": [2, 1, 2]}, "upsample"], True),
     ([{"type": "dense", "units": 4}], False), (["dropout"], False), (["flatten", "relu"], False)],
)  # fmt: skip
def test_only_what_moves_entries_may_stand_before_it(before: list[Any], good: bool) -> None:
    layers = [Layer.parse(layer) for layer in [*before, EMBEDDING]]
    if good:
        assert plan_network(layers, (4,)).tokens == 6
        return
    with pytest.raises(
        LayerError, match=r"embedding_1 takes the whole numbers of the data, and .* before it"
    ) as caught:
        plan_network(layers, (4,))
    assert caught.value.loc == ("architecture", len(before))


def test_in_a_branch_it_is_known_what_stands_before_the_branch() -> None:
    branch = {"type": "residual", "layers": [EMBEDDING, "flatten"], "projection": [{"type": "dense", "units": 6}]}
    assert plan_network([Layer.parse(branch)], (3,)).tokens == 6
    with pytest.raises(LayerError, match=r"residual_1.embedding_1 takes .* and dropout_1 before it"):
        plan_network([Layer.parse("dropout"), Layer.parse(branch)], (3,))


# -------------------------------------------------------------------------------------------------------- in commands
FILE = """
data:
  train: {type: csv, path: words.csv, target: kind}
  %s
architecture:
  - {type: embedding, tokens: 6, units: 3}
  - flatten
  - {type: dense, units: 2}
loss: softmax_cross_entropy
training: {epochs: 2, batch_size: 4}
"""
GOOD = [(0, 1, "a"), (5, 1, "b"), (2, 2, "a"), (3, 4, "b"), (1, 0, "a"), (4, 5, "b"), (2, 1, "a"), (5, 5, "b")]


def written(folder: Path, rows: list[tuple[Any, ...]], data: str = "", name: str = "words.csv") -> Path:
    lines = ["first,second,kind", *(",".join(map(str, row)) for row in rows)]
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    file = folder / "words.yaml"
    file.write_text(FILE % data, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("value", "data", "text", "help"),
    [
        (
            6,
            "",
            "train, row 8 (counted from 0): embedding_1 takes whole numbers from 0 to 5, and here is 6",
            "tokens: 7",
        ),
        (-1, "", "and here is -1", "numbers are counted from 0"),
        (2.5, "", "and here is 2.5", "`dense` takes any"),
        (3, "scale: standardize", "train, row 0 (counted from 0): embedding_1 takes", "leave `scale` out"),
    ],
)
def test_other_numbers_are_refused_before_training(
    tmp_path: Path, value: float, data: str, text: str, help: str
) -> None:
    with pytest.raises(Failure) as caught:
        set_up(written(tmp_path, [*GOOD, (1, value, "a")], data))
    (problem,) = caught.value.problems
    assert text in problem.text
    assert help in problem.help
    assert problem.path[:2] == ("architecture", 0)
    assert problem.line == 6


def test_a_column_of_text_is_no_whole_number(tmp_path: Path) -> None:
    """It becomes columns of 0 and 1, which are whole numbers too, and stand for nothing that is looked up."""
    rows = [("red", 1, "a"), ("blue", 0, "b"), ("green", 2, "a"), ("red", 2, "b")] * 3
    with pytest.raises(Failure) as caught:
        set_up(written(tmp_path, rows))
    (problem,) = caught.value.problems
    assert problem.text == (
        "embedding_1 looks up whole numbers of the data, and the column `first` becomes 3 inputs of the network"
    )
    assert problem.help == "number what stands in `first` (0, 1, 2, ...) in the file, or begin with `dense`"


def test_a_branch_that_takes_them_for_amounts_is_warned_of(tmp_path: Path) -> None:
    file = written(tmp_path, GOOD)
    look = "{type: embedding, tokens: 6, units: 3}"
    branch = f"{{type: residual, layers: [{look}, flatten], projection: [%s{{type: dense, units: 6}}]}}"
    for before, warned in (("", True), (f"{look}, flatten, ", False)):
        file.write_text((FILE % "").replace(look, branch % before), encoding="utf-8")
        found = [p for p in set_up(file).warnings if p.code == "tokens"]
        assert len(found) == warned
        for problem in found:
            assert problem.level == "warning"
            assert "residual_1.projection.dense_1 takes for amounts the whole numbers that" in problem.text


def test_a_trained_model_refuses_them_too(lab: Lab) -> None:
    written(lab.path, GOOD)
    written(lab.path, [*GOOD, (1, 6, "a")], name="more.csv")
    lab.good("train", "words.yaml", "--out", "run")
    lab.good("eval", "run")
    lab.good("predict", "run", "--data", "words.csv")
    traced = lab.good("trace", "run", "--sample", "1", "--sample", "4", "--detail", "neuron").out
    assert "a number that comes twice adds twice" in traced
    for words in (("eval", "run", "--data", "more.csv"), ("predict", "run", "--data", "more.csv"),
                  ("trace", "run", "--x", "1,6", "--t", "a")):  # fmt: skip
        found = lab.run(*words)
        assert found.code == 65
        assert "the model takes whole numbers from 0 to 5, and here is 6" in " ".join(found.err.split())


def test_whole_numbers_are_numbers_to_every_other_layer(tmp_path: Path) -> None:
    """Token ids given to a float layer are inputs like any other."""
    file = written(tmp_path, GOOD)
    file.write_text(file.read_text(encoding="utf-8").replace("  - {type: embedding, tokens: 6, units: 3}\n", ""))
    assert set_up(file).network_plan.tokens == 0
