"""The page of a derivation: it is whole, asks nobody for anything, and says what the derivation says."""

from dataclasses import replace

import numpy as np
import pytest
from derivation_pages import RESIDUAL, TWO_THREE_ONE, WIDE, Make, article, check
from derivation_pages import derived as derived

from bpcli.records.trace import Derivation, Stage
from bpcli.records.training import Problem
from bpcli.render.trace.html.document import html

HOSTILE = """</script></title><img src=x onerror=alert(1)>" ' & {x} `\x00\u202e"""


# -------------------------------------------------------------------------------------------------- the page as a whole
@pytest.mark.parametrize("detail", ["overview", "layer", "neuron", "path"])
@pytest.mark.parametrize("net", [TWO_THREE_ONE, RESIDUAL])
def test_every_level_is_well_formed_and_asks_nobody(derived: Make, net: str, detail: str) -> None:
    d = derived(net, detail, samples=(0, 1), steps=2)
    read = check(html(d))
    stages = [a for _, a in read.tags if "stage" in a.get("class", "").split()]
    assert len(stages) == (0 if detail == "overview" else 2 * len(Stage))
    assert sum(tag == "svg" and "viewbox" in a for tag, a in read.tags) == 2  # a picture of each step
    tables = {a.get("class") for tag, a in read.tags if tag == "table"}
    assert ("factors" in tables) == (detail == "path")
    assert ("layers" in tables) == (detail == "overview")


def test_header_says_facts_losses_and_agreement() -> None:
    d = article()
    words = "".join(check(html(d)).words)
    for _, text in d.facts:
        assert text.replace("->", "→") in words
    assert (
        "loss 0.455676 →becomes 0.318318: it changes by −0.137358, and to first order the gradient predicts −0.141364"
        in words
    )
    assert f"{d.compared} numbers agree with the engine" in words
    assert "WRONG" not in words


def test_disagreement_is_said_at_the_top_and_at_the_line() -> None:
    d = article()
    i = next(i for i, q in enumerate(d.quantities) if q.path == "dense_2.dW")
    wrong = replace(d.quantities[i], gap=0.25, allowed=1e-12)
    page = html(replace(d, quantities=(*d.quantities[:i], wrong, *d.quantities[i + 1 :]), worst=0.25))
    words = "".join(check(page).words)
    assert "numbers agree with the engine" not in words
    assert "What these equations give is not what the engine computed: dense_2.dW" in words
    assert "WRONG: dense_2.dW is 2.5e-01 from what the engine computed; rounding explains 1.0e-12" in words


def test_hostile_names_stay_text(derived: Make) -> None:
    d = derived(TWO_THREE_ONE)
    d = replace(
        d,
        name=HOSTILE,
        facts=((HOSTILE, HOSTILE),),
        start_values=tuple(replace(g, note=HOSTILE) for g in d.start_values),
        quantities=tuple(replace(q, kind=HOSTILE, why=HOSTILE) for q in d.quantities),
        steps=tuple(
            replace(s, layers=tuple(replace(line, kind=HOSTILE, note=HOSTILE) for line in s.layers)) for s in d.steps
        ),
        warnings=(Problem(HOSTILE, help=HOSTILE),),
    )
    page = html(d)
    read = check(page)
    assert [tag for tag, _ in read.tags].count("script") == 1
    assert "img" not in {tag for tag, _ in read.tags}
    assert "\x00" not in page
    assert "\u202e" not in page


def test_hostile_layer_names_stay_text(derived: Make) -> None:
    name = '<b onclick="x">&amp;'
    d = derived(TWO_THREE_ONE, "path")
    renamed = repr_replace(d, "dense_1", name)
    read = check(html(renamed))
    assert "b" not in {tag for tag, a in read.tags if "onclick" in a}
    assert any(name in title for title in read.choices)


def repr_replace(d: Derivation, old: str, new: str) -> Derivation:
    """The derivation with another name of a layer, wherever it stands."""

    def go(text: str) -> str:
        return text.replace(old, new)

    steps = tuple(
        replace(
            s,
            layers=tuple(replace(line, layer=go(line.layer)) for line in s.layers),
            gradients={go(k): v for k, v in s.gradients.items()},
            after_clipping={go(k): v for k, v in s.after_clipping.items()},
            updated={go(k): v for k, v in s.updated.items()},
        )
        for s in d.steps
    )
    quantities = tuple(
        replace(
            q,
            id=go(q.id), layer=go(q.layer), path=go(q.path), tensor=go(q.tensor),
            sources={k: go(v) for k, v in q.sources.items()},
            entries=tuple(replace(e, name=go(e.name), index=tuple(map(go, e.index))) for e in q.entries),
        )
        for q in d.quantities
    )  # fmt: skip
    paths = tuple(
        replace(
            p,
            name=go(p.name),
            paths=tuple(tuple(replace(h, upper=go(h.upper), lower=go(h.lower)) for h in way) for way in p.paths),
        )
        for p in d.paths
    )
    start_values = tuple(replace(g, path=go(g.path)) for g in d.start_values)
    return replace(d, steps=steps, quantities=quantities, paths=paths, start_values=start_values)


# ---------------------------------------------------------------------------------------------------------- its numbers
def test_arrays_of_the_layer_level_are_whole_or_elided(derived: Make) -> None:
    inputs = np.linspace(-1, 1, 640).reshape(10, 64).round(3).tolist()
    page = html(derived(WIDE.format(inputs=inputs), "layer"))
    read = check(page)
    words = "".join(read.words)
    assert "64 × 256" in words
    assert "⋯" in words
    assert len(page) < 400_000
    d = derived(TWO_THREE_ONE, "layer")
    small = "".join(check(html(d)).words)
    value = next(q.value for q in d.quantities if q.path == "dense_1.dW")
    assert f"{value[1, 1]:.6g}".replace("-", "−") in small
    assert "dense_1.dW 2 × 3" in small
    assert "⋯" not in small


def test_a_large_network_stays_small(derived: Make) -> None:
    inputs = np.linspace(-1, 1, 640).reshape(10, 64).round(3).tolist()
    d = derived(WIDE.format(inputs=inputs))
    page = html(d)
    read = check(page)
    assert len(page.encode()) < 2_000_000
    assert "59 more" in "".join(read.words)
    assert {"dense_1, unit 0", "dense_1, unit 255", "dense_1.W[0,0]", "dense_2.b[9]"} <= read.choices.keys()
    assert len(read.choices) < 200
