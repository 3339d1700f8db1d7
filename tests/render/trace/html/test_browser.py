"""The page in a browser: what is clicked is shown."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from derivation_pages import article

from bpcli.render.trace.html.document import html


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
