"""How cells are written is learned from train, saved with the model, and holds for other files; dates as cycles."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from bpcli.family import ColumnFormat
from bpcli.studies.dataset.columns import ColumnEncoder, date_inputs, expand_columns
from bpcli.studies.dataset.preprocessor import Preprocessor

FORMATS = (
    ColumnFormat(form="dressed", decimal=",", thousands=".", unit="€", bare=True, missing_values=("nil", "-999")),
    ColumnFormat("date", date_order="mdy"),
    ColumnFormat(form="hours"),
)


def test_formats_are_saved_with_the_model() -> None:
    encoders = (
        ColumnEncoder("a", format=FORMATS[0]),
        ColumnEncoder("b", "date", parts=("season", "hour"), format=FORMATS[1]),
        ColumnEncoder("c"),  # of an earlier version
    )
    saved = Preprocessor((5,), encoders, target_names=("y",), outputs=1, target_formats={"y": FORMATS[2]})
    again = Preprocessor.from_meta(saved.to_meta(), {})
    assert again.columns == encoders
    assert again.formats == {"a": FORMATS[0], "b": FORMATS[1], "y": FORMATS[2]}
    assert "target_formats" not in Preprocessor((1,), (ColumnEncoder("c"),), outputs=1).to_meta()


def test_cycles_have_a_sine_and_a_cosine() -> None:
    start = datetime(2023, 1, 1, tzinfo=UTC)
    dates = [start + timedelta(hours=7 * i) for i in range(2000)]
    days = np.array([d.timestamp() / 86400 for d in dates])

    def turns(part: str) -> np.ndarray:
        sine, cosine = date_inputs(days, part)  # type: ignore[arg-type]
        return np.arctan2(sine, cosine) / (2 * np.pi) % 1

    length = [(datetime(d.year + 1, 1, 1, tzinfo=UTC) - datetime(d.year, 1, 1, tzinfo=UTC)).days for d in dates]
    year = [(d - datetime(d.year, 1, 1, tzinfo=UTC)) / timedelta(days=n) for d, n in zip(dates, length, strict=True)]
    assert np.allclose((turns("season") - year + 0.5) % 1, 0.5, atol=1e-9)
    assert np.allclose((turns("weekday_cycle") - [d.weekday() / 7 for d in dates] + 0.5) % 1, 0.5, atol=1e-9)
    assert np.allclose((turns("hour_cycle") - [d.hour / 24 for d in dates] + 0.5) % 1, 0.5, atol=1e-9)


def test_a_cycle_is_two_inputs() -> None:
    column = ColumnEncoder("t", "date", parts=("year", "season", "hour_cycle"))
    assert (column.scaled_width, column.width) == (5, 5)
    assert column.inputs == ("t.year", "t.season_sin", "t.season_cos", "t.hour_sin", "t.hour_cos")
    found = expand_columns([column], np.array([[19722.25], [np.nan]]))
    assert found.shape == (2, 5)
    assert np.isnan(found[1]).all()
    assert found[0].tolist() == pytest.approx([2023, *(f(2 * np.pi * 364.25 / 365) for f in (np.sin, np.cos)), 1, 0])


@pytest.mark.parametrize(
    ("form", "words"),
    [
        (ColumnFormat(), ""),
        (FORMATS[0], "with €, thousands ., decimal ,, no value: nil -999"),
        (FORMATS[1], "as month, day, year"),
        (FORMATS[2], "times of day, in hours"),
        (ColumnFormat(form="durations"), "durations, in hours"),
        (ColumnFormat(form="dressed", thousands=" ", magnitudes=True), "with K, M, thousands a space"),
    ],
)
def test_a_format_in_words(form: ColumnFormat, words: str) -> None:
    assert form.words() == words
