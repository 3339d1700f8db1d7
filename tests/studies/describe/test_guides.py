"""The guides that come with the package: each says for whom it is, and fits a terminal of 80 columns."""

import re

import pytest

from bpcli.records.training import Failure
from bpcli.studies.describe.guides import Guide, guide, guides

KNOWN = guides()


@pytest.mark.parametrize("one", KNOWN, ids=lambda one: one.name)
def test_a_guide(one: Guide) -> None:
    outside = re.sub(r"```.*?```", "", one.text, flags=re.DOTALL)
    assert re.findall(r"^# (.*)", outside, re.MULTILINE) == [one.title]
    assert len(one.title) < 60
    assert re.match(r"This guide is for [^.]+[.:]", one.summary)
    assert max(len(line) for line in outside.splitlines() if not line.startswith("|")) <= 120
    for code in re.findall(r"```(?:yaml|sh)\n(.*?)```", one.text, re.DOTALL):
        assert max(map(len, code.splitlines())) <= 78


def test_by_name() -> None:
    assert [one.name for one in KNOWN] == sorted(one.name for one in KNOWN)
    assert guide("gradcheck") == next(one for one in KNOWN if one.name == "gradcheck")


@pytest.mark.parametrize(
    ("name", "help"),
    [
        ("custom-parts", "did you mean `custom_parts`? `bpcli guide` lists all"),
        ("xyz", f"the guides are {', '.join(one.name for one in KNOWN)}"),
    ],
)
def test_an_unknown_name(name: str, help: str) -> None:
    with pytest.raises(Failure, match=f"there is no guide `{name}`") as caught:
        guide(name)
    assert caught.value.problems[0].help == help
    assert int(caught.value.exit) == 2
