"""A derivation as Markdown and as LaTeX: what the pages hold, that nothing misreads them, and that TeX sets them.

The snapshots are written anew by `WRITE_SNAPSHOTS=1 pytest tests/render/trace/test_pages.py`; read the difference.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trace_nets as nets
from derivations import LEVELS, SNAPSHOTS, XOR, derived, even
from rich.text import Text

from bpcli.notation.syntax import Eq, parse
from bpcli.records.trace import STAGES, Derivation
from bpcli.render.trace import blocks, maths
from bpcli.render.trace import latex as latex_module
from bpcli.render.trace.latex import latex
from bpcli.render.trace.markdown import markdown
from bpcli.render.trace.text import Terminal
from bpcli.studies.trace.derive_step import View
from bpcli.studies.trace.worksheet import worksheet

PAGES: dict[str, Callable[[Any], str]] = {"md": markdown, "tex": latex}


EVERY = [(name, detail, form) for name in ("article", "xor", "softmax") for detail in LEVELS for form in PAGES]
MORE = [(name, detail, form) for name, detail in (("image", "layer"), ("twice", "neuron"))
        for form in PAGES]  # fmt: skip
"""Arrays of images, and two steps."""


@pytest.mark.parametrize(("name", "detail", "form"), [*EVERY, *MORE])
def test_snapshots(name: str, detail: str, form: str) -> None:
    page = PAGES[form](derived(name, detail))
    file = SNAPSHOTS / f"{name}_{detail}.{form}"
    if os.environ.get("WRITE_SNAPSHOTS"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(page, encoding="utf-8", newline="\n")
    assert even(page) == even(file.read_text(encoding="utf-8")), f"{file.name} is not what it was"


# ------------------------------------------------------------------------------------------------------- what they hold
@pytest.mark.parametrize("form", PAGES)
def test_seven_headings_in_order(form: str) -> None:
    page = PAGES[form](derived("article", "neuron"))
    form_of = {"md": r"^## (\d)\. (.*)$", "tex": r"^\\section()\{(.*)\}$"}[form]
    found = re.findall(form_of, page, re.M)
    assert [title for _, title in found] == [title for title, _ in STAGES.values()]
    if form == "md":
        assert [int(number) for number, _ in found] == list(range(1, 8))


@pytest.mark.parametrize("form", PAGES)
@pytest.mark.parametrize("seed", range(4))
def test_every_worked_entry_stands_there_once_with_its_result(seed: int, form: str) -> None:
    d = nets.derived(nets.random_experiment(seed))
    page = PAGES[form](d)
    if form == "md":
        page = page.replace("_ ", "_")
    at = 0
    for q in d.quantities:
        for e in q.entries:
            left, _, sign, result = maths.worked(q, e)
            line = re.compile(
                f"{re.escape(left)} [^\n]*?{re.escape(sign)} {re.escape(result)}(?![0-9.])".replace(r"\_", "_")
            )
            match = line.search(page.replace("\\cr\n&", "") if form == "md" else page, at)
            assert match, (e.name, left, result)
            at = match.end()
            if form == "tex":
                assert f"{{{latex_module._plain(e.name)}}}" in page[match.start() :].split("\n")[0]


def test_a_line_that_does_not_close_is_not_an_equation() -> None:
    d = derived("article", "neuron")
    q = next(q for q in d.quantities if q.path == "dense_2.y")
    loose = replace(q, entries=(replace(q.entries[0], worked=replace(q.entries[0].worked, closes=False)),))
    d = replace(d, quantities=tuple(loose if o is q else o for o in d.quantities))
    assert latex(d).count(r"\approx") == markdown(d).count(r"\approx") == 1


def test_hidden_entries_are_said() -> None:
    d = nets.derived(XOR, entries=1)
    for page in (markdown(d), latex(d)):
        assert "and 3 more entries of" in page
        assert "and 1 more entry of" in page
    d = nets.derived(XOR, layers=("dense_2",))
    for draw in PAGES.values():
        assert re.search(r"Not worked out here: \S*dense\\?_1\.y\S* \(4\)", draw(d))


def test_an_equation_over_all_weights_is_stated_once() -> None:
    page = markdown(derived("softmax", "neuron"))
    assert page.count(r"\hat{m}_ {j} = ") == 1
    assert page.count("**`dense_") > 20  # and every tensor has its entries


def test_a_disagreement_is_told_and_not_hidden() -> None:
    d = derived("article", "neuron")
    q = d.quantities[0]
    wrong = replace(d, quantities=(replace(q, gap=0.5, allowed=1e-15), *d.quantities[1:]))
    for draw in PAGES.values():
        assert draw(wrong).count("WRONG") == 2
        assert "they agree" not in draw(wrong)
        assert "WRONG" not in draw(d)


def test_two_steps() -> None:
    d = nets.derived(XOR, steps=2)
    assert [line for line in markdown(d).split("\n") if "Training step" in line] == [
        "## Training step 1",
        "## Training step 2",
    ]
    d = nets.derived(XOR, "path", steps=2, params=("dense_1.W[0,0]", "dense_1.W[1,0]"))
    assert re.findall(r"^## (.*?):?`? *(?:one|\d+) path|^## (Training step \d)", markdown(d), re.M)
    assert markdown(d).count("to the loss\n") == 4


# --------------------------------------------------------------------------------------------------------------- paths
@pytest.mark.parametrize("name", ["article", "xor", "softmax"])
def test_products_and_sums_of_paths_close_as_printed(name: str) -> None:
    for p in derived(name, "path").paths:
        for number, hops in enumerate(p.paths):
            left, right = maths.product(p, number, 6).split(" = ")
            factors = [Decimal(f.replace(r"\left(", "").replace(r"\right)", "")) for f in left.split(r" \cdot ")]
            assert len(factors) == len(hops)
            assert f"{float(np.prod(factors)) + 0.0:.5e}" == f"{float(right):.5e}"
        left, right = maths.total(p, 6).split(" = ")
        terms = [Decimal(f.replace(r"\left(", "").replace(r"\right)", "")) for f in left.split(" + ")]
        assert f"{float(sum(terms)) + 0.0:.5e}" == f"{float(right):.5e}"


def test_of_very_many_paths_the_rest_is_counted_and_summed() -> None:
    d = derived("fan", "path")
    (whole,) = d.paths
    assert (whole.count, len(whole.paths)) == (40, 40)
    assert "more paths" not in markdown(d)
    assert "Paths summed" in markdown(d)
    cut = replace(d, paths=(replace(whole, paths=whole.paths[:2]),))
    assert "and 38 more paths; all together come to" in markdown(cut)
    assert "Paths summed" not in markdown(cut)
    lines = " ".join(word for item in Terminal(d, 80).draw() if isinstance(item, Text) for word in str(item).split())
    assert "path 40 of 40: dense_1.W[0,0]" in lines
    assert "[32 more: 0.21" in lines
    assert "paths summed −0.39" in lines


def test_digits_are_added_until_a_product_closes() -> None:
    assert (
        maths._closing([0.7, -0.11875761], -0.083130327, 5, times=True)
        == r"0.7 \cdot \left(-0.1187576\right) = -0.083130"
    )
    assert maths._closing([0.1, 0.2], 0.4, 5, times=False) == r"0.1 + 0.2 \approx 0.4"


# ------------------------------------------------------------------------------------------------------------- formulas
def test_a_long_sum_goes_on_in_the_next_line() -> None:
    right = " + ".join(f"{letter}long * {letter}other" for letter in "abcdefgh")
    text = maths.Display().equation(parse(Eq("y", right)))
    rows = text.partition("[t]")[2].split(r"\\")
    assert len(rows) > 1
    assert all(maths.visible_width(row) <= maths.MAX_CHARACTERS for row in rows)
    assert text.count("aligned") == 2  # one box, not boxes in boxes
    assert re.sub(r"\\(begin|end)\{aligned\}(\[t\])?|\\\\|&|\s", "", text) == re.sub(
        r"\s", "", maths.Latex().equation(parse(Eq("y", right)))
    )


def test_a_long_sum_within_a_sum_is_not_broken_again() -> None:
    inner = " + ".join(f"{letter}long * {letter}other" for letter in "abcdefgh")
    for right in (f"x - ({inner})", f"({inner}) - (x - ({inner}))"):
        text = maths.Display().equation(parse(Eq("y", right)))
        assert text.count("aligned") == 2
    twice = maths.Display().equation(parse(Eq("y", f"({inner}) * ({inner})")))
    assert twice.count("aligned") == 4, "a product has two"


def test_a_short_one_stays() -> None:
    assert maths.Display().equation(parse(Eq("y", "a + b"))) == "y = a + b"


@pytest.mark.parametrize(
    ("text", "width"), [("a + b", 3), (r"\frac{\partial L}{\partial W_{0,1}}", 4), (r"\left(x\right)^{2}", 4), ("", 0)]
)
def test_width(text: str, width: int) -> None:
    assert maths.visible_width(text) == width


def test_big_arrays_show_their_edges_and_their_shape() -> None:
    (text,), more = maths.matrices("W", np.arange(784 * 512).reshape(784, 512), 6)
    assert more == 0
    assert text.startswith(r"W = \begin{bmatrix} 0 & 1 & 2 & \cdots & 509 & 510 & 511 \\ 512 & ")
    assert text.endswith(r"& 401407 \end{bmatrix}_{784 \times 512}")
    assert text.count(r"\vdots") == 6
    (text,), _ = maths.matrices("W", np.zeros((6, 1)), 6)
    assert "dots" not in text


def test_an_image_is_shown_by_channel() -> None:
    images = np.arange(2 * 4 * 4 * 3).reshape(2, 4, 4, 3)
    y = parse(Eq("y[n,h,w,c]", "x[n,h,w,c]")).letters
    texts, more = maths.matrices("y", images, 6, y)
    assert more == 2
    assert texts[1].startswith(r"y_{0,\cdot,\cdot,1} = \begin{bmatrix} 1 & 4 & 7 & 10 \\ 13")
    texts, more = maths.matrices("x", images, 6)
    assert texts[1].startswith(r"x_{0,1,\cdot,\cdot} = \begin{bmatrix} 12 & 13 & 14 \\ 15")
    assert maths.matrices("x", np.zeros((0, 2)), 6) == ([], 0)
    assert maths.matrices("L", np.asarray(-2.5e-7), 6) == ([r"L = -2.5 \cdot 10^{-7}"], 0)


# ------------------------------------------------------------------------------------------- what a page could misread
def formulas(page: str) -> list[str]:
    return re.findall(r"^\$\$\n(.*?)\n\$\$$", page, re.M | re.S)


@pytest.mark.parametrize("detail", ["layer", "neuron"])
def test_markdown_cannot_misread_a_formula_of_any_part(detail: str) -> None:
    count = 0
    for name, experiment in nets.with_each_part():
        page = markdown(nets.derived(experiment, detail, entries=2))
        found = formulas(page)
        assert 2 * len(found) == len(re.findall(r"^\$\$$", page, re.M))
        for math in found:
            count += 1
            assert not re.search(r"\\[^a-zA-Z]", math), (name, math)  # Markdown drops the backslash
            assert not re.search(r"_(?! )|[<>`*]", math.replace("operatorname*", "")), (name, math)
            assert not re.search(r"^\s*([-+=#]|\d+\.\s|$)", math, re.M), (name, math)  # a list, a heading, the end
            assert math.count("{") == math.count("}")
            assert len(re.findall(r"\\left\b", math)) == len(re.findall(r"\\right\b", math))
    assert count > 1000


def test_tables_have_as_many_cells_in_every_row() -> None:
    for detail in LEVELS:
        for table in re.findall(r"(?:^\|.*\|\n)+", markdown(derived("softmax", detail)), re.M):
            assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.strip().split("\n")}) == 1


WEIRD = r"100% _a_ & b$ #1 {x} \n `c` <d> ~e^2 | -- ''q'' \"r\" żółć Σ 你"


def weird() -> Derivation:
    d = derived("article", "neuron")
    return replace(
        d,
        name=WEIRD,
        facts=((WEIRD, WEIRD),),
        start_values=(replace(d.start_values[0], note=WEIRD), *d.start_values[1:]),
    )


def test_names_are_escaped() -> None:
    page = markdown(weird())
    assert page.startswith(r"# 100% \_a\_ \& b\$ \#1 \{x\} \\n \`c\` \<d\> \~e^2 \| -- ''q'' \\" + '"r')
    page = latex(weird())
    assert r"100\% \_a\_ \& b\$ \#1 \{x\} \textbackslash{}n \textasciigrave{}c\textasciigrave{} $<$d$>$" in page
    assert r"\textasciitilde{}e\textasciicircum{}2 $|$ -{}- '{}'q'{}'" in page
    assert r"żółć $\Sigma$ [U+4F60]" in page


# ----------------------------------------------------------------------------------------------------------------- TeX
ENGINE = next((e for e in ("pdflatex", "lualatex", "xelatex") if shutil.which(e)), None)


def pages() -> dict[str, str]:
    sheet = worksheet(nets.trace_target(XOR), 3, View(), "bpcli mark answers.yaml 'a b.yaml' --seed 3")
    letters = " ".join(chr(c) for c in range(0xC0, 0x17F) if chr(c).isalpha())
    return {
        "article neuron": latex(derived("article", "neuron")),
        "softmax path": latex(derived("softmax", "path")),
        "random layer": latex(nets.derived(nets.random_experiment(3), "layer")),
        "xor overview, weird": latex(
            replace(derived("xor", "overview"), name=WEIRD, facts=(("#1 & b", letters + WEIRD),))
        ),
        "worksheet": latex(sheet),
    }


@pytest.mark.skipif(ENGINE is None, reason="no TeX engine here")
@pytest.mark.parametrize("name", ["article neuron", "softmax path", "random layer", "xor overview, weird", "worksheet"])
def test_tex_sets_it_and_no_line_is_too_long(name: str, tmp_path: Path) -> None:
    (tmp_path / "page.tex").write_text(pages()[name], encoding="utf-8")
    command = [str(ENGINE), "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout
    assert (tmp_path / "page.pdf").stat().st_size > 10_000


def test_what_is_empty_leaves_no_gap_in_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [blocks.Paragraph(("before",)), blocks.WorkedLines(()), blocks.Paragraph(("after",))]
    monkeypatch.setattr(latex_module, "document", lambda source: found)
    assert "before\n\nafter\n\n\\end{document}" in latex(derived("xor", "layer"))


def test_tex_skeleton() -> None:
    page = latex(derived("article", "neuron"))
    assert page.startswith(r"\documentclass")
    assert page.endswith("\\end{document}\n")
    for word in ("aligned", "bmatrix", "cases", "center", "tabular"):
        assert page.count(rf"\begin{{{word}}}") == page.count(rf"\end{{{word}}}")
    body = page.partition(r"\begin{document}")[2]
    assert not re.search(r"[^\x00-\x7f]", body)


def test_the_article_line_by_line() -> None:
    page = latex(derived("article", "neuron"))
    assert r"\entry{y_{0,0} = 0.731059 \cdot \left(-1\right) + 0 = -0.731059}{}{dense\_2.y[0,0]}" in page
    assert r"\entry{L = \frac{1 \cdot \left(0.324962 - 1\right)^{2}}{1} = 0.455676}{}{data\_loss}" in page
    assert r"\entry{\frac{\partial L}{\partial b_{0}} = -0.296155}{}{dense\_2.db[0]}" in page  # not said twice
    assert r"\entry{w_{0,0}^{+} = 1 - 1 \cdot 0.0582276 = 0.941772}{}{dense\_1.W\_new[0,0]}" in page
