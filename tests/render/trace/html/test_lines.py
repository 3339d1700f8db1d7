"""The worked lines of the page have the digits and signs of the derivation."""

import re
import unicodedata

from derivation_pages import RESIDUAL, TWO_THREE_ONE, Make, article
from derivation_pages import derived as derived

from bpcli.render.trace.html.document import html


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
