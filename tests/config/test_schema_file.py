"""The schema beside the configs is the one `bpcli schema` prints, and accepts them."""

import json
from pathlib import Path

import jsonschema
import pytest
from paths import CONFIGS

from bpcli.config.experiment import Experiment
from bpcli.config.schema import json_schema
from bpcli.config.yamlfile import read

SCHEMA = json.loads((CONFIGS / "bpcli.schema.json").read_text(encoding="utf-8"))


def test_it_is_up_to_date() -> None:
    is_current = json.loads(json.dumps(json_schema(Experiment))) == SCHEMA
    assert is_current, "settings have changed: `bpcli schema --out configs/bpcli.schema.json` writes the file anew"


EXPERIMENTS = [f for f in sorted(CONFIGS.glob("**/*.yaml")) if not f.stem.endswith("_claims")]


@pytest.mark.parametrize("file", EXPERIMENTS, ids=lambda p: p.stem)
def test_it_accepts_every_config(file: Path) -> None:
    jsonschema.validate(read(file).data, SCHEMA)


def test_it_refuses_a_misspelled_key() -> None:
    data = read(CONFIGS / "iris.yaml").data
    with pytest.raises(jsonschema.ValidationError, match="epohcs"):
        jsonschema.validate({**data, "training": {"epohcs": 3}}, SCHEMA)
