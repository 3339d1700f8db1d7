"""What stands on a contact sheet: which mistakes, in which order, in which colours."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from picture_folder import shapes

from bpcli.records.training import Exit, Failure
from bpcli.render.evaluation.contact_sheet import _clipped, _last_part, png
from bpcli.studies.evaluation.contact_sheet import Sheet, Tile, augmented, misclassified
from bpcli.studies.evaluation.evaluate import open_rows, score
from bpcli.studies.evaluation.predict import outputs
from bpcli.studies.run.resume import start
from bpcli.studies.run.setup import set_up

CONFIG = """\
data:
  train: {{type: images, path: shapes, mode: gray}}
  validation: 0.4
  scale: {scale}
  augment: [{{type: shift, pixels: 1, fill: 255}}]
architecture: [flatten, {{type: dense, units: {units}}}]
loss: {loss}
training: {{epochs: 1, batch_size: 8}}
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shapes("shapes")


def trained(loss: str = "softmax_cross_entropy", units: int = 2, scale: str = "{type: standardize, per: all}") -> Path:
    Path("a.yaml").write_text(CONFIG.format(loss=loss, units=units, scale=scale))
    start(set_up(Path("a.yaml")), Path("run")).run()
    return Path("run")


@pytest.mark.parametrize(
    ("loss", "units"),
    [("softmax_cross_entropy", 2), ("binary_cross_entropy", 1), ("multiclass_hinge", 2), ("hinge", 1)],
)
def test_the_worst_come_first(loss: str, units: int) -> None:
    rows = open_rows(trained(loss, units), "train")
    sheet = misclassified(rows)
    y = outputs(rows.model, rows.x)
    y = np.hstack([1 - y if loss == "binary_cross_entropy" else -y, y]) if units == 1 else y
    regret = y[np.arange(len(y)), rows.t] - (0 if "entropy" in loss else y.max(1))
    wrong = [i for i in np.argsort(regret, kind="stable") if y[i].argmax() != rows.t[i]]
    names = rows.model.preprocessor.classes
    assert len(wrong) > 1
    assert [t.lines[2][0] for t in sheet.tiles] == [rows.name_of(i) for i in wrong]
    for tile, i in zip(sheet.tiles, wrong, strict=True):
        predicted = names[1 - rows.t[i]] + (f": {100 * y[i, 1 - rows.t[i]]:.0f} %" if "entropy" in loss else "")
        assert tile.lines[0] == (predicted, "wrong")
        assert tile.lines[1][0].startswith(f"is {names[rows.t[i]]}")
    assert f"{len(wrong)} of {len(y)} train images" in sheet.title


@pytest.mark.parametrize("scale", ["none", "{type: standardize, per: all}", "{type: minmax, per: all}"])
def test_pixels_are_those_of_the_file(scale: str) -> None:
    rows = open_rows(trained(scale=scale), data="shapes", root=Path("."))
    table = rows.model.experiment.data.train.load(Path("."))
    sheet = misclassified(rows, limit=1000)
    files = [table.numbers[table.row_names.index(t.lines[2][0])] for t in sheet.tiles]
    low, high = np.min(files), np.max(files)
    for tile, pixels in zip(sheet.tiles, files, strict=True):
        assert np.abs(tile.pixels - (pixels - low) * (255 / (high - low))).max() <= 0.51


def test_no_mistake_is_shown_as_such() -> None:
    rows = open_rows(trained(), "train")
    rows.t[...] = outputs(rows.model, rows.x).argmax(1)
    sheet = misclassified(rows)
    assert len(sheet.tiles) == 0
    assert score(rows).metrics["accuracy"] == 1
    assert sheet.note == "there is none to show"
    assert png(sheet).startswith(b"\x89PNG")


def test_training_images_and_what_becomes_of_them() -> None:
    Path("a.yaml").write_text(CONFIG.format(loss="softmax_cross_entropy", units=2, scale="none"))
    sheet = augmented(set_up(Path("a.yaml")))
    assert [t.lines[0][0] for t in sheet.tiles if t.lines[0][0]] == ["lying", "standing"]
    assert len(sheet.tiles) == 16
    assert sheet.title.endswith(": shift")
    assert sheet.note == "each image as it is, then as training changes it, anew in every step"
    first, *others = (t.pixels for t in sheet.tiles[:8])
    assert any(not np.array_equal(first, other) for other in others)
    sides = [side for p in others for side in (p[0], p[-1], p[:, 0], p[:, -1])]
    assert max(int(side.min()) for side in sides) == 255, "white comes in at a border, as `fill` says"


def test_names_too_long_for_a_tile() -> None:
    class Font:
        def getlength(self, text: str) -> int:
            return 10 * len(text)

    assert _clipped("Coat: 98 %", 100, Font()) == "Coat: 98 %"
    assert _clipped("Windbreaker: 98 %", 130, Font()) == "Wind...: 98 %"
    assert _clipped("Windbreaker", 80, Font()) == "Windb..."
    assert _last_part("a/very/long/name_0017.png", 120, Font()) == "..._0017.png"


@pytest.mark.parametrize("shape", [(1, 1, 1), (300, 40, 3), (113, 112, 1), (8, 20, 3)])
def test_images_of_any_size_can_be_drawn(shape: tuple[int, int, int]) -> None:
    tiles = [Tile(np.full(shape, 40 * k, np.uint8), (("Ω", "plain"), ("x" * 99, "dim"))) for k in range(5)]
    assert png(Sheet("title " * 30, "note", 3, tiles)).startswith(b"\x89PNG")


def test_experiments_without_augmentation_have_none() -> None:
    text = CONFIG.format(loss="softmax_cross_entropy", units=2, scale="none")
    Path("a.yaml").write_text(text.replace("  augment", "#"))
    setup = set_up(Path("a.yaml"))
    assert setup.augmenter() is None
    sheet = augmented(setup)
    assert (sheet.title.endswith(": training images"), sheet.note) == (True, "nothing changes them")
    assert {t.lines[0][0] for t in augmented(setup).tiles} == {"lying", "standing"}


def test_forty_mistakes_are_shown_in_rows_of_eight() -> None:
    rows = open_rows(trained(), "train")
    wrong = int(np.flatnonzero(outputs(rows.model, rows.x).argmax(1) != rows.t)[0])
    many = replace(rows, x=np.repeat(rows.x[[wrong]], 41, axis=0), t=np.repeat(rows.t[[wrong]], 41), names=())
    many = replace(many, rows=np.arange(100, 141))
    sheet = misclassified(many)
    assert (len(sheet.tiles), sheet.columns) == (40, 8)
    assert [tile.lines[2][0] for tile in sheet.tiles[:2]] == ["row 100", "row 101"]
    assert sheet.title == "41 of 41 train images taken for another class (1e+02 %)"


def test_of_images_without_classes_ten_are_shown_by_their_rows() -> None:
    np.savez("images.npz", x=50 + np.arange(12 * 16).reshape(12, 4, 4, 1), y=np.linspace(0, 1, 12))
    Path("a.yaml").write_text(
        "data: {train: {type: npz, path: images.npz}}\n"
        "architecture: [flatten, {type: dense, units: 1}]\nloss: mean_squared_error\n"
    )
    sheet = augmented(set_up(Path("a.yaml")))
    assert [tile.lines[0][0] for tile in sheet.tiles] == [f"row {k}" for k in range(10)]
    darkest, brightest = (f(tile.pixels.min() for tile in sheet.tiles) for f in (min, max))
    assert (darkest, brightest) == (0, round(255 * 144 / 159))
    start(set_up(Path("a.yaml"), ["training.epochs=1"]), Path("values")).run()
    with pytest.raises(Failure, match="has no classes to choose from") as failure:
        misclassified(open_rows(Path("values"), "train"))
    assert failure.value.exit == Exit.USAGE


@pytest.mark.parametrize(("shape", "drawn"), [((4, 4, 3), True), ((4, 4, 2), False), ((4, 4), False)])
def test_images_with_one_or_three_channels_can_be_drawn(shape: tuple[int, ...], drawn: bool) -> None:
    np.savez("images.npz", x=np.arange(12 * np.prod(shape)).reshape(12, *shape), y=[0, 1] * 6)
    Path("a.yaml").write_text(
        "data: {train: {type: npz, path: images.npz}}\n"
        "architecture: [flatten, {type: dense, units: 2}]\nloss: softmax_cross_entropy\n"
    )
    if drawn:
        assert augmented(set_up(Path("a.yaml"))).tiles[0].pixels.shape == shape
        return
    with pytest.raises(Failure, match="a row of this model has the shape"):
        augmented(set_up(Path("a.yaml")))


def test_of_many_classes_the_first_image_of_ten_is_shown() -> None:
    np.savez("images.npz", x=np.arange(24 * 16).reshape(24, 4, 4, 1), y=np.arange(24) % 12)
    Path("a.yaml").write_text(
        "data: {train: {type: npz, path: images.npz}}\n"
        "architecture: [flatten, {type: dense, units: 12}]\nloss: softmax_cross_entropy\n"
    )
    assert [tile.lines[0][0] for tile in augmented(set_up(Path("a.yaml"))).tiles] == [str(k) for k in range(10)]


def test_pixels_that_have_a_scale_each_are_shown_in_their_own_numbers() -> None:
    x = np.random.default_rng(0).integers(20, 200, size=(10, 4, 4, 1)) * np.linspace(0.1, 1, 16).reshape(4, 4, 1)
    np.savez("images.npz", x=x, y=[0, 1] * 5)
    Path("a.yaml").write_text(
        "data: {train: {type: npz, path: images.npz}, scale: standardize}\n"
        "architecture: [flatten, {type: dense, units: 2}]\nloss: softmax_cross_entropy\n"
    )
    tiles = augmented(set_up(Path("a.yaml"))).tiles
    shown, own = np.stack([tile.pixels for tile in tiles]), x[:2]
    assert np.abs(shown - (own - own.min()) * 255 / np.ptp(own)).max() <= 0.51
