"""The page of a derivation: it is whole, asks nobody for anything, says what the derivation says, can be clicked."""

import os
import re
import shutil
import subprocess
import unicodedata
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from paths import CONFIGS

from bpcli.records.trace import Derivation, Stage
from bpcli.records.training import Problem
from bpcli.render.trace.html.document import html
from bpcli.render.trace.html.layout import PictureLayout
from bpcli.render.trace.html.network import _sources, network
from bpcli.studies.trace.derive_step import View, derive
from bpcli.studies.trace.open import TracedRows, open_target

ARTICLE = CONFIGS / "article.yaml"
TWO_THREE_ONE = """
name: two-three-one
data: {train: {type: inline, inputs: [[0.5, -1], [1, 2]], targets: [[0], [1]]}}
architecture:
  - {type: dense, units: 3, activation: relu}
  - {type: dense, units: 1, activation: sigmoid}
loss: {type: squared_error, factor: 0.5}
optimizer: {type: momentum, learning_rate: 0.1}
"""
RESIDUAL = """
name: residual
data: {train: {type: inline, inputs: [[0.5, -1], [1, 2]], targets: [[0], [1]]}}
architecture:
  - {type: dense, units: 2, activation: tanh}
  - {type: residual, layers: [{type: dense, units: 2, activation: relu}]}
  - {type: layer_norm}
  - {type: dense, units: 1}
loss: binary_cross_entropy
regularization: {type: l2, strength: 0.01}
clipping: {type: global_norm, max_norm: 0.1}
optimizer: {type: adam, learning_rate: 0.1}
"""
WIDE = """
name: wide
data: {{train: {{type: inline, inputs: {inputs}, targets: [a, b, c, d, e, f, g, h, i, j]}}}}
architecture:
  - {{type: dense, units: 256, activation: relu}}
  - {{type: dense, units: 10}}
loss: softmax_cross_entropy
regularization: {{type: l2, strength: 0.01}}
clipping: {{type: global_norm, max_norm: 1.0}}
optimizer: adam
"""
HOSTILE = """</script></title><img src=x onerror=alert(1)>" ' & {x} `\x00\u202e"""
VOID = {"meta", "link", "input", "br"}

Make = Callable[..., Derivation]


@pytest.fixture
def derived(tmp_path: Path) -> Make:
    def make(text: str, detail: str = "neuron", samples: tuple[int, ...] = (0,), **view: object) -> Derivation:
        file = tmp_path / "net.yaml"
        file.write_text(text, encoding="utf-8")
        return derive(open_target(file, TracedRows(samples=samples)), View(detail=detail, **view))  # type: ignore[arg-type]

    return make


def article(detail: str = "neuron", **view: object) -> Derivation:
    return derive(open_target(ARTICLE, TracedRows(samples=(2,))), View(detail=detail, **view))  # type: ignore[arg-type]


class Reader(HTMLParser):
    """Checks that tags close in order, and keeps what a test asks for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"an attribute twice: {tag} {attrs}"
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> without a beginning"
        assert self.open.pop() == tag, f"</{tag}> closes something else at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def choices(self) -> dict[str, dict[str, str]]:
        return {a["data-title"]: a for _, a in self.tags if "data-title" in a}


def check(page: str) -> Reader:
    """All that must hold of any page."""
    read = Reader(page)
    ids = [a["id"] for _, a in read.tags if "id" in a]
    assert len(ids) == len(set(ids))
    for choice in read.choices.values():
        assert (choice["role"], choice["tabindex"]) == ("button", "0")
        assert choice["aria-label"]
        missing = set(choice.get("data-lines", "").split()) - set(ids)
        assert not missing, f"{choice['data-title']} shows lines that are not there: {missing}"
    assert not re.search(r"https?:|//[a-z]|@import|url\(", page)
    for tag, attributes in read.tags:
        assert "src" not in attributes
        assert tag not in ("iframe", "object", "embed", "base")
        assert attributes.get("href", "#").startswith(("#", "data:,"))
        assert not any(name.startswith("on") for name in attributes)
    for match in re.finditer(r"<(math|svg)\b.*?</\1>", page, re.S):
        ET.fromstring(match[0])
    return read


def lines(page: str) -> dict[str, str]:
    """The worked lines, by their addresses."""
    pattern = r'<div class="worked" id="[^"]*"><code>(.*?)</code><div class="sum">(.*?)</div>'
    return dict(re.findall(pattern, page, re.S))


def bare(drawn: str) -> str:
    """A line without its tags."""
    return re.sub(r"<[^>]*>", "", drawn)


def figures(text: str) -> list[str]:
    """The figures of a printed line in the order of the drawn one: powers of ten, and how many terms are left out."""
    text = re.sub(r"\[([\d,]+) more: ([^\]]*)\]", r"\2 \1", text)
    text = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda m: " " + unicodedata.normalize("NFKC", m[0]), text)
    text = re.sub(r"(?<![\d.])1e[-−]?(\d+)", r"10 \1", text)
    text = re.sub(r"(?<=\d)e[-−]?(\d+)", r" 10 \1", text)
    return re.findall(r"\d+(?:\.\d+)?", text)


def signs(text: str) -> str:
    """The signs of a printed line, powers of ten as they are drawn."""
    text = re.sub(r"(?<![\d.])1e-", "−", text)
    text = re.sub(r"(?<=\d)e-", "·−", text)
    return "".join(c for c in text if c in "+−·")


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
def test_lines_have_the_digits_of_the_derivation(derived: Make) -> None:
    for d in (article(), derived(TWO_THREE_ONE), derived(RESIDUAL)):
        shown = lines(html(d))
        entries = [e for q in d.quantities for e in q.entries]
        assert len(entries) > 15
        assert shown.keys() == {e.name for e in entries}
        last = {e.name: e for e in entries}  # a gradient has its name with and without the penalty
        for name, e in last.items():
            found = re.findall(r"<mn>(.*?)</mn>", shown[name])
            alike = figures(e.worked.substituted) == figures(e.worked.result)
            wanted = figures(e.worked.result) if alike else figures(f"{e.worked.substituted} = {e.worked.result}")
            assert found[len(found) - len(wanted) :] == wanted, f"{name}: {bare(shown[name])} for {e.worked.line}"
            line = e.worked.result if alike else f"{e.worked.substituted} = {e.worked.result}"
            drawn = [c for c in bare(shown[name]) if c in "+−·"]
            assert "".join(drawn).endswith(signs(line)), f"{name}: {bare(shown[name])} for {e.worked.line}"
            assert ("≈" in shown[name]) == (not e.worked.closes)


def test_article_lines_read_as_in_a_textbook() -> None:
    shown = {name: bare(drawn) for name, drawn in lines(html(article())).items()}
    assert shown["dense_2.y[0,0]"].endswith("=0.731059·(−1)+0=−0.731059")
    assert shown["dense_2.activation.dx[0,0]"].endswith("=(−1.350075)·0.3249625·(1−0.3249625)=−0.296155")
    assert shown["dense_1.W_new[0,0]"].endswith("=1−1·0.0582276=0.941772")


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


# ----------------------------------------------------------------------------------------------- what can be clicked on
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


# -------------------------------------------------------------------------------------------------------- in a browser
def browser() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    return next(filter(None, map(shutil.which, names)), None)


SCRIPT = """<script>
const report = {};
const chosen = (title) => [...document.querySelectorAll("[data-title]")].find((e) => e.dataset.title === title);
const panel = document.querySelector(".panel");
chosen("dense_1.W[0,0]").dispatchEvent(new MouseEvent("click", { bubbles: true }));
report.weight = panel.textContent;
report.pressed = chosen("dense_1.W[0,0]").getAttribute("aria-pressed");
const unit = chosen("dense_2, unit 0");
unit.focus();
report.focus = document.activeElement === unit;
unit.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }));
report.unit = panel.textContent;
report.released = chosen("dense_1.W[0,0]").getAttribute("aria-pressed");
chosen("input x[0]").dispatchEvent(new KeyboardEvent("keydown", { key: " ", bubbles: true }));
report.input = panel.textContent;
const seen = (css) => getComputedStyle(document.querySelector(css)).display !== "none";
report.forward = [seen(".label .f"), seen(".label .b")];
document.querySelector(".view.b").click();
report.backward = [seen(".label .f"), seen(".label .b")];
document.querySelector("[data-fold='']").click();
report.folded = document.querySelectorAll("main details[open]").length;
report.requests = performance.getEntriesByType("resource").length;
report.width = document.documentElement.scrollWidth - document.documentElement.clientWidth;
const out = document.createElement("pre");
out.id = "report";
out.textContent = Object.entries(report).map(([name, value]) => name + "=" + value).join("\\u0001");
document.body.append(out);
</script>"""


@pytest.mark.skipif(browser() is None, reason="no Chromium here")
def test_a_browser_shows_the_derivation_of_what_is_clicked(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(html(article()).replace("</body>", SCRIPT + "</body>"), encoding="utf-8")
    command = [
        str(browser()), "--headless", "--no-sandbox", "--disable-gpu", "--window-size=500,900", "--no-first-run",
        "--enable-logging=stderr", f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=2000",
        "--dump-dom", file.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
        env=os.environ | {"HOME": str(tmp_path)},
    )
    assert "CONSOLE" not in done.stderr, done.stderr
    found = re.search(r'<pre id="report">(.*?)</pre>', done.stdout, re.S)
    assert found, done.stderr
    report = dict(part.split("=", 1) for part in found[1].split("\x01"))
    assert report["weight"].startswith("dense_1.W[0,0]OLD W = 1∂L/∂W = 0.0582276new W = 0.941772")
    for stage in ("4 Hidden errors", "5 Chain rule for each weight", "6 Update"):
        assert stage in report["weight"]
    assert "dense_1.dW[0,0]" in report["weight"]
    assert "=1·0.0582276=0.0582276" in report["weight"]
    assert "=1−1·0.0582276=0.941772" in report["weight"]
    assert report["pressed"] == "true"
    assert report["released"] == "false"
    assert report["focus"] == "true"
    assert "dense_2.activation.y[0,0]" in report["unit"]
    assert "dense_2.activation.dx[0,0]" in report["unit"]
    assert report["input"].startswith("input x[0]")
    assert report["forward"] == "true,false"
    assert report["backward"] == "false,true"
    assert report["folded"] == "0"
    assert report["requests"] == "0"
    assert report["width"] == "0", "the page is wider than its window"
