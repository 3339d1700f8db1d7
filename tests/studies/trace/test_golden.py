"""The first quantity in which a derivation differs from the one that was kept."""

import json
import math
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bpcli.records.training import Exit, Failure
from bpcli.studies.trace.golden import GOLDEN_RTOL, _compare, compare_golden


def rows(**values: Any) -> list[tuple[str, str, Any]]:
    """Quantities by their ids; their paths are those in capitals."""
    return [(id, id.upper(), np.asarray(value, np.float64)) for id, value in values.items()]


KEPT = rows(y=[[1.0, -2.0]], loss=0.5)


@pytest.mark.parametrize(
    ("found", "name", "text"),
    [
        (rows(y=[[1.0, -2.5]], loss=0.7), "Y[0,1]", "it was -2 and is -2.5"),
        (rows(y=[[1.0, -2.0]], loss=0.7), "LOSS", "it was 0.5 and is 0.7"),
        (rows(y=[[math.nan, -2.0]], loss=0.5), "Y[0,0]", "it was 1 and is nan"),
        (
            rows(y=[[1.0, -2.0, 3.0]], loss=0.5),
            "Y",
            "it was Y 1 x 2 and is Y 1 x 3: the network or the rows are others",
        ),
        (rows(z=[[1.0, -2.0]], loss=0.5), "Z", "it was Y 1 x 2 and is Z 1 x 2: the network or the rows are others"),
        (rows(y=[[1.0, -2.0]], loss=0.5, dy=1.0), "DY", "it is new: 2 quantities were kept, 3 are found"),
        (rows(y=[[1.0, -2.0]]), "LOSS", "it is gone: 2 quantities were kept, 1 are found"),
    ],
)
def test_the_first_difference_is_named(found: list[Any], name: str, text: str) -> None:
    difference = _compare(KEPT, found)
    assert difference is not None
    assert (difference.name, difference.text) == (name, text)


def test_rounding_of_what_is_large_beside_it_is_none() -> None:
    assert _compare(KEPT, KEPT) is None
    assert _compare(KEPT, rows(y=[[1.0 + GOLDEN_RTOL, -2.0]], loss=0.5)) is None
    assert _compare(KEPT, rows(y=[[1.0 + 3 * GOLDEN_RTOL, -2.0]], loss=0.5)) is not None


def test_infinity_beside_a_number_hides_nothing() -> None:
    kept = rows(y=[math.inf, 1.0, -math.inf])
    assert _compare(kept, kept) is None
    for other in ([math.inf, 1.5, -math.inf], [math.inf, 1.0, math.inf], [2.0, 1.0, -math.inf]):
        assert _compare(kept, rows(y=other)) is not None


def derivation(**values: Any) -> Any:
    found = [SimpleNamespace(id=id, path=id.upper(), value=np.asarray(value)) for id, value in values.items()]
    return SimpleNamespace(name="net", quantities=found, steps=[SimpleNamespace(step=1, after=0.25)])


def test_a_derivation_is_kept_the_first_time_and_compared_ever_after(tmp_path: Path) -> None:
    file = tmp_path / "kept.json"
    first = compare_golden(derivation(y=[1.0, 2.0]), file)
    assert (first.written, first.count, first.difference) == (True, 2, None)
    again = compare_golden(derivation(y=[1.0, 2.0]), file)
    assert (again.written, again.count, again.difference) == (False, 2, None)
    other = compare_golden(derivation(y=[1.0, 2.5]), file)
    assert other.difference is not None
    assert other.difference.name == "Y[1]"


def test_what_is_no_kept_derivation(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="cannot be read: ") as failure:
        compare_golden(derivation(y=1.0), tmp_path)
    assert failure.value.exit == Exit.NO_INPUT
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Failure, match="cannot be read: it is not text"):
        compare_golden(derivation(y=1.0), tmp_path / "bytes.json")
    for text in ("[]", "{}", '{"format": "another", "quantities": []}', '{"format": "bpcli derivation 1"}', "nothing"):
        (tmp_path / "other.json").write_text(text)
        with pytest.raises(Failure, match="is not a derivation that `bpcli trace --golden` wrote"):
            compare_golden(derivation(y=1.0), tmp_path / "other.json")


def test_infinities_are_kept_and_the_file_is_json_for_every_reader(tmp_path: Path) -> None:
    file = tmp_path / "kept.json"
    compare_golden(derivation(y=[[1.0, math.inf], [-math.inf, 7.0]], z=math.inf), file)
    text = file.read_text()
    json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert compare_golden(derivation(y=[[1.0, math.inf], [-math.inf, 7.0]], z=math.inf), file).difference is None
    assert compare_golden(derivation(y=[[1.0, math.inf], [2.0, 7.0]], z=math.inf), file).difference is not None


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "golden.json")
    d: Any = SimpleNamespace(quantities=(), steps=())
    with pytest.raises(Failure, match="it is a pipe or a device, not a file"):
        compare_golden(d, tmp_path / "golden.json")
