"""The picture of the network: what can be clicked on, what feeds what, and which numbers stand on the wires."""

import re
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
from derivation_pages import RESIDUAL, TWO_THREE_ONE, WIDE, Make, check
from derivation_pages import derived as derived

from bpcli.render.trace.html.document import html
from bpcli.render.trace.html.layout import PictureLayout
from bpcli.render.trace.html.network import _sources, network


def test_choices_lead_to_their_lines(derived: Make) -> None:
    d = derived(RESIDUAL)
    page = html(d)
    read = check(page)
    address = {m[1]: m[2] for m in re.finditer(r'<div class="worked" id="([^"]*)"><code>(.*?)</code>', page)}

    def of(title: str) -> list[str]:
        return [address[name] for name in read.choices[title]["data-lines"].split()]

    assert of("dense_1, unit 1") == [
        "dense_1.y[0,1]", "dense_1.activation.y[0,1]", "residual_1.dense_1.dx[0,1]", "residual_1.dx[0,1]",
        "dense_1.activation.dx[0,1]",
    ]  # fmt: skip
    weight = of("residual_1.dense_1.W[1,0]")
    assert weight[0] == "residual_1.dense_1.activation.dx[0,0]"
    assert set(weight) >= {
        "residual_1.dense_1.dW[1,0]", "residual_1.dense_1.W.penalty_slope[1,0]", "clipping.factor", "learning_rate",
        "residual_1.dense_1.dW_clipped[1,0]", "residual_1.dense_1.W.m_new[1,0]", "residual_1.dense_1.W_new[1,0]",
    }  # fmt: skip
    assert all(name.endswith("[1,0]") or "[" not in name for name in weight[1:])
    assert "penalty_slope" not in " ".join(of("dense_1.b[0]"))
    assert "dense_1.b_new[0]" in of("dense_1.b[0]")
    assert "data_loss" in of("the loss")
    assert of("dense_2, unit 0")[:2] == ["dense_2.y[0,0]", "loss.dx[0,0]"]
    assert of("input x[0]") == ["dense_1.dx[0,0]"]
    assert "layer_norm_1.mu[0]" in of("layer_norm_1, unit 1")


def test_what_is_not_worked_out_names_the_command(derived: Make) -> None:
    d = derived(TWO_THREE_ONE, params=("dense_1.W[0,1]",))
    choices = check(html(d)).choices
    assert choices["dense_1.W[0,1]"]["data-lines"]
    assert "dense_1.W_new" not in choices["dense_1.W[1,2]"].get("data-lines", "")
    assert choices["dense_1.W[1,2]"]["data-ask"] == "--param dense_1.W[1,2]"
    assert choices["dense_1, unit 2"]["data-ask"] == "--param dense_1.W[0,2]"
    assert choices["dense_1, unit 2"]["data-facts"].startswith("z = ")


def test_columns_know_what_feeds_them(derived: Make) -> None:
    d = derived(RESIDUAL)
    found = network(d, d.steps[0])
    feeding = {c.path: c.sources for c in found.columns}
    assert feeding == {
        "": (), "dense_1": ("",), "residual_1.dense_1": ("dense_1",), "residual_1": ("dense_1", "residual_1.dense_1"),
        "layer_norm_1": ("residual_1",), "dense_2": ("layer_norm_1",),
    }  # fmt: skip
    assert {c.path: c.parent for c in found.columns}["residual_1.dense_1"] == "residual_1"
    assert [c.path for c in found.columns if not c.mixes] == ["residual_1"]
    layout = PictureLayout(found)
    assert [(c.path, source) for c, source in layout.ways] == [("residual_1", "dense_1")]
    assert "residual_1 adds its x unchanged" in html(d)


def test_the_wires_between_two_columns_are_the_weights_of_their_shape() -> None:
    layout = PictureLayout.__new__(PictureLayout)
    source, column = SimpleNamespace(units=(2,)), SimpleNamespace(units=(3,))
    known = {"a.U": (2, 3), "a.W": (3, 2), "b.W": (2, 3), "c.W": (2, 3)}
    layout.network = SimpleNamespace(parameters=lambda of: [(p, np.zeros(s)) for p, s in known.items()])  # type: ignore[assignment]
    assert layout.matrix(column, source) == "b.W"  # type: ignore[arg-type]
    known.clear()
    assert layout.matrix(column, source) == ""  # type: ignore[arg-type]


def test_a_layer_in_a_branch_that_reads_nothing_of_it_is_an_end_of_it() -> None:
    lines: Any = dict.fromkeys(("before", "r.a", "r.b", "r.c", "r"))
    feeds = {"r": "before.y", "r.a": "before.y", "r.b": "r.a.y"}
    assert list(_sources(feeds, "r", lines)) == ["before", "r.b", "r.c"]
    assert list(_sources(feeds, "before", lines)) == [""]


def test_a_followed_weight_is_drawn_in_a_large_network(derived: Make) -> None:
    inputs = np.linspace(-1, 1, 640).reshape(10, 64).round(3).tolist()
    d = derived(WIDE.format(inputs=inputs), params=("dense_1.W[41,117]",))
    assert "dense_1.W[41,117]" in check(html(d)).choices


def test_numbers_on_wires_do_not_overlap(derived: Make) -> None:
    for units in (1, 2, 3, 4):
        page = html(derived(TWO_THREE_ONE.replace("units: 3", f"units: {units}")))
        spots = {}
        for match in re.finditer(r'<g class="label"><text class="value middle f" x="([\d.]+)" y="([\d.]+)"', page):
            spots.setdefault(match[1], []).append(float(match[2]))
        assert sum(map(len, spots.values())) == 3 * units
        for heights in spots.values():
            heights.sort()
            assert all(b - a > 13 for a, b in pairwise(heights))
    crowded = html(derived(TWO_THREE_ONE.replace("units: 3", "units: 5")))
    assert crowded.count('<g class="label">') == 5  # those to the one output
    assert crowded.count('<g class="label quiet">') == 10
