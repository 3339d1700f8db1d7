"""Settings changed in the text of a config: what it says then is what `--set` makes of it, and all else stays."""

from pathlib import Path

import pytest
from paths import ROOT

from bpcli.config.document import Document
from bpcli.config.edit import edit
from bpcli.config.overrides import apply_sets
from bpcli.config.yamlfile import parse

CONFIG = """\
name: a    # a name
training: {epochs: 10, batch_size: full}    # 10 epochs
architecture:
  - {type: dense, units: 64, activation: relu}
  - {type: dense, units: 2}
"regularization": {"type": l2, 'strength': 1e-4}  # weak
note: "ä: \\"10\\""
"""


def changed(sets: list[str], text: str = CONFIG) -> str:
    document = parse(text, "a.yaml")
    found = edit(document, sets)
    assert parse(found, "a.yaml").data == apply_sets(document, sets).data
    return found


def test_a_value_takes_the_place_of_another() -> None:
    sets = ["training.epochs=1000", "architecture.0.units=7", "architecture.1.units=128", "training.batch_size=2"]
    lines = changed([*sets, "regularization.strength=0.25", "note=b"]).splitlines()
    assert lines == [
        "name: a    # a name",
        "training: {epochs: 1000, batch_size: 2}    # 10 epochs",
        "architecture:",
        "  - {type: dense, units: 7, activation: relu}",
        "  - {type: dense, units: 128}",
        '"regularization": {"type": l2, \'strength\': 0.25}  # weak',
        "note: b",
    ]


def test_the_last_of_two_values_stays() -> None:
    assert "epochs: 3," in changed(["training.epochs=20000", "training.epochs=3"])


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_stay(end: str) -> None:
    text = CONFIG.replace("\n", end)
    assert changed(["training.epochs=7"], text) == text.replace("epochs: 10", "epochs: 7")


@pytest.mark.parametrize("path", ["training.watch", "training", "architecture.0", "architecture.2.units", "a.b"])
def test_what_does_not_stand_there_cannot_be_replaced(path: str) -> None:
    with pytest.raises(KeyError):
        edit(parse(CONFIG, "a.yaml"), [f"{path}=1"])


def scalars(document: Document) -> list[str]:
    """The paths of all whole numbers of a config."""
    found: list[str] = []

    def visit(value: object, path: tuple[str, ...]) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                visit(inner, (*path, key))
        elif isinstance(value, list):
            for k, inner in enumerate(value):
                visit(inner, (*path, str(k)))
        elif type(value) is int and not any("." in step for step in path):
            found.append(".".join(path))

    visit(document.data, ())
    return found


@pytest.mark.parametrize(
    "file",
    [ROOT / "configs" / f"{name}.yaml" for name in ("digits_cnn", "diabetes_lbfgs", "spirals", "wine")],
    ids=lambda f: f.name,
)
def test_every_number_of_a_shipped_config_can_be_replaced(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    document = parse(text, str(file))
    paths = scalars(document)[:12]
    assert paths
    found = changed([f"{path}=987654" for path in paths], text)
    assert found.count("987654") == len(paths)
