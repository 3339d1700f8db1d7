"""The `data` section: fractions, sources and the messages for anything else."""

import math
from typing import Any

import pytest
from pydantic import ValidationError

import bpcli.parts  # noqa: F401  (declares the sources)
from bpcli.config.data import Data
from bpcli.config.schema import json_schema
from bpcli.parts.data.csv.source import Csv
from bpcli.parts.data.npz import Npz
from bpcli.parts.scalers import MinMax, NoScaling, Standardize

TRAIN = {"type": "csv", "path": "a.csv", "target": "y"}


def data(**settings: Any) -> Data:
    return Data.model_validate({"train": TRAIN, **settings})


def test_defaults() -> None:
    found = data()
    assert isinstance(found.train, Csv)
    assert (found.validation, found.test, found.stratify) == (None, None, None)
    assert (found.scale, found.scale_target) == (NoScaling(), NoScaling())


def test_fractions_and_sources() -> None:
    found = data(validation=0.15, test={"type": "npz", "path": "b.npz"}, scale="standardize")
    assert found.validation == 0.15
    assert found.test == Npz(path="b.npz")
    assert found.scale == Standardize()
    assert data(scale_target={"type": "minmax", "per": "all"}).scale_target == MinMax(per="all")


def test_round_trip() -> None:
    found = data(validation=0.15, test={"type": "npz", "path": "b.npz"}, scale="standardize", stratify=False)
    assert Data.model_validate(found.model_dump(mode="json", exclude_none=True)) == found


@pytest.mark.parametrize(
    ("settings", "place", "message"),
    [
        ({"validation": 0}, ("validation",), "0 rows are no split: leave the key out"),
        ({"test": 0.0}, ("test",), "0 rows are no split: leave the key out"),
        ({"test": 1}, ("test",), "a fraction of the training rows lies between 0 and 1, and 1 does not"),
        ({"test": -0.1}, ("test",), "a fraction of the training rows lies between 0 and 1, and -0.1 does not"),
        ({"test": math.nan}, ("test",), "a fraction of the training rows lies between 0 and 1, and nan does not"),
        ({"test": True}, ("test",), "write a fraction of the training rows, such as 0.15, or a data source"),
        ({"test": "15%"}, ("test",), "write a fraction of the training rows, such as 0.15, or a data source"),
        ({"test": {"type": "cvs"}}, ("test",), "unknown data source `cvs`; known: "),
        ({"test": {"type": "csv"}}, ("test", "path"), "Field required"),
        ({"test": {"path": "a.csv"}}, ("test",), "this is not a data source"),
        ({"validation": 0.5, "test": 0.5}, (), "validation and test take 1 of the rows: together"),
        ({"train": 0.5}, ("train",), "this is not a data source"),
        ({"scale": "standardise"}, ("scale",), "unknown scaling `standardise`; known: standardize, minmax, ro"),
        ({"stratify": 1}, ("stratify",), "valid boolean"),
        ({"valid": 0.1}, ("valid",), "Extra inputs"),
    ],
)  # fmt: skip
def test_one_clean_error(settings: dict[str, Any], place: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        data(**settings)
    (error,) = caught.value.errors()
    assert error["loc"] == place
    assert message in error["msg"]


def test_schema_speaks_of_all_forms() -> None:
    schema = json_schema(Data)["properties"]["validation"]["anyOf"]
    assert [form.get("type", form.get("$ref")) for form in schema] == ["number", "#/$defs/Source", "null"]
