"""A layer that its input cannot enter is named with its place, however deep it stands in branches."""

import pytest

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.engine.blueprint import LayerError, draw_up
from bpcli.family import Layer

WRONG = {"type": "dense", "units": 2, "weights": [[1.0, 2.0]]}
INNER = {"type": "residual", "layers": ["tanh", WRONG, {"type": "dense", "units": 4}]}


@pytest.mark.parametrize(
    ("branch", "text", "loc"),
    [
        ([WRONG], "residual_1.dense_1: the weights are given as 1 x 2 and must be 4 x 2", ("layers", 0)),
        (["relu", {"type": "dense", "units": 4}, WRONG], "residual_1.dense_2: the weights", ("layers", 2)),
        (["relu", INNER], "residual_1.residual_1.dense_1: the weights", ("layers", 1, "layers", 1)),
        ([{"type": "dense", "units": 3}], "residual_1: the branch turns rows of shape (4,) into (3,)", ()),
        ([INNER, {"type": "dense", "units": 3}], "residual_1: the branch turns rows of shape (4,) into (3,)", ()),
    ],
)
def test_errors_inside_a_branch_say_where(branch: list[object], text: str, loc: tuple[object, ...]) -> None:
    layers = [Layer.parse({"type": "dense", "units": 4}), Layer.parse({"type": "residual", "layers": branch})]
    with pytest.raises(LayerError) as caught:
        draw_up(layers, (2,))
    assert str(caught.value).startswith(text)
    assert caught.value.loc == ("architecture", 1, *loc)
