"""Every part beside numbers that other authors' libraries gave for it, where none of them is installed.

The laws hold a kernel to its equations; what is wrong in both alike only numbers from elsewhere can show. How they were
made: tests/support/peer_records.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from peer_records import files
from peer_records.comparison import MODULES, differences, differently, gaps
from registry import leaves

from bpcli.family import Activation, Initializer, Metric, Scaler
from bpcli.family.part import Part

RECORDS = {family: files.read(family) for family in files.families()}
EACH = [(family, record) for family, records in RECORDS.items() for record in records]
DIFFERENT = {
    "torch.nn.functional.hardsigmoid": "its slope is the float32 nearest to 1/6, ours is 1/6",
    "torch.nn.functional.softplus": "it is the identity beyond 20, ours nowhere",
    "torch.nn.utils.clip_grad_norm_": "it divides by the norm + 1e-6, we by the norm",
    "zclip.ZClip": "it divides by the norm + 1e-6, we by the norm",
    "torch.nn.init.xavier_uniform_": "it counts the filters of all groups into fan_out, we those of one group",
    "torch.nn.init.xavier_normal_": "it counts the filters of all groups into fan_out, we those of one group",
}
"""From whom we differ on purpose, and how."""

NAMES = [f"{family} {' '.join(map(str, record['part'].values()))[:60]} #{i}" for i, (family, record) in enumerate(EACH)]


@pytest.mark.parametrize(("family", "record"), EACH, ids=NAMES)
def test_we_find_what_others_found(family: str, record: files.Record) -> None:
    assert gaps(family, record) == [], record["peer"]


def test_where_we_differ_on_purpose_we_do() -> None:
    """What is stated as a difference from a peer is one: without it our numbers are not the peer's."""
    stated = [(family, record) for family, record in EACH if differently(family, record)[0]]
    found = {record["peer"]: differently(family, record)[0] for family, record in stated}
    assert found == DIFFERENT
    for family, record in stated:
        assert differences(family, record, MODULES[family].ours(record), record["found"]) != [], record["peer"]


@pytest.mark.peers
@pytest.mark.parametrize("family", MODULES)
def test_the_records_are_what_the_libraries_find(family: str) -> None:
    """As installed here, whatever their versions."""
    for name in ("torch", "optax", "sklearn", "scipy", *(["zclip"] if family == "limits" else [])):
        pytest.importorskip(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [files.rounded(record) for record in MODULES[family].record()]
    recorded = RECORDS[family]
    assert [record["part"] for record in found] == [record["part"] for record in recorded]
    for mine, known in zip(found, recorded, strict=True):
        assert mine["inputs"] == known["inputs"]
        assert differences(family, known, mine["found"], known["found"]) == [], known["part"]


# ------------------------------------------------------------------------------------------------- nothing is left out
# These ask for records that only the libraries make: where those are not installed, a new part is right by the laws.
HOW = "`PYTHONPATH=tests/support python -m peer_records` writes what the modules of tests/support/peer_records record"

WITHOUT = {
    "initializer/values": "copies what a file says",
    "scaler/none": "changes nothing",
    **{f"{family}/formula": "is what a file states" for family in ("layer", "loss", "regularizer")},
    "metric/capped_loss": "no library has it: tests/parts/test_capped_loss.py finds the cap by bisection",
}
"""Parts that nobody else's numbers are kept of, and why."""

FAMILIES = {
    "layer", "activation", "loss", "regularizer", "clipper", "constraint", "optimizer", "schedule", "metric", "scaler",
    "initializer",
}  # fmt: skip
"""What has values, gradients or steps. Sources and augmentations have none: their tests hold them to files."""

NO_MATHS = {"type", "name", "init", "weights", "activation", "regularization", "constraint", "per", "metric"}
"""Settings that choose another part, give numbers by value, or say what is counted."""

UNRECORDED = {
    "lbfgs.c1": "a line search may end anywhere that its conditions allow: tests/peers/test_full_batch.py asks SciPy",
    "lbfgs.c2": "as c1",
    "lbfgs.max_evaluations": "a limit of the search",
    "lbfgs.tolerance": "where it ends",
    "levenberg_marquardt.up": "a matter of the try that failed, which a ridge regression does not do",
    "levenberg_marquardt.max_damping": "where it ends",
    "levenberg_marquardt.tolerance": "where it ends",
}
"""Settings that no other library has in the same form, and why."""


def parts() -> dict[str, type[Any]]:
    return {name: leaf for name, leaf in leaves().items() if name.partition("/")[0] in FAMILIES}


def recorded(leaf: type[Any]) -> list[tuple[str, files.Record]]:
    """The records of a part: a metric and an initializer of one name (`constant`) are told apart by their files."""
    homes = {Initializer: "initializers", Metric: "figures", Scaler: "figures", Activation: "layers"}
    home = next((file for family, file in homes.items() if issubclass(leaf, family)), None)
    kind = leaf.model_fields["type"].default
    of_schedules = leaf.family == "schedule"
    found = []
    for family, record in EACH:
        fits = family == home if home else (family == "schedules") == of_schedules and family != "initializers"
        if fits and record["part"]["type"] == kind:
            found.append((family, record))
    return found


@pytest.mark.peers
def test_every_part_has_a_record() -> None:
    assert {name for name, leaf in parts().items() if not recorded(leaf)} == WITHOUT.keys(), HOW


def nudged(leaf: type[Any], part: dict[str, Any], setting: str, others: list[Any]) -> Iterator[dict[str, Any]]:
    """The part with this setting a twentieth larger or smaller, or as another record has it."""
    value = part.get(setting, leaf.model_fields[setting].default)
    if isinstance(value, Part):
        value = value.model_dump().get("value")  # a constant learning rate
    if isinstance(value, bool):
        yield part | {setting: not value}
    elif isinstance(value, float):
        yield from (part | {setting: v} for v in (value * 1.05 or 0.05, value * 0.95))
    elif isinstance(value, int):
        yield from (part | {setting: v} for v in (value + 1, value - 1))
    yield from (part | {setting: other} for other in others if other not in (None, value))
    if setting in part and None in others:
        yield {key: v for key, v in part.items() if key != setting}


def is_seen(leaf: type[Any], family: str, record: files.Record, setting: str, others: list[Any]) -> bool:
    """Whether another value of the setting gives other numbers, or none."""
    ours = MODULES[family].ours(record)
    for part in nudged(leaf, record["part"], setting, others):
        try:
            leaf.model_validate(part)
        except ValueError:
            continue
        try:
            if differences(family, record, MODULES[family].ours(record | {"part": part}), ours):
                return True
        except (ValueError, LookupError):  # other shapes or parameters
            return True
    return False


@pytest.mark.peers
def test_every_setting_is_seen_as_it_is_by_default_and_as_set() -> None:
    """So that neither a wrong default nor a setting that is ignored can pass: of each there is a record without it and
    one with it whose numbers are others where its value is another."""
    missing = []
    for name, leaf in parts().items():
        if name in WITHOUT:
            continue
        for setting, about in leaf.model_fields.items():
            if setting in NO_MATHS and (setting, leaf.family) != ("per", "scaling"):
                continue
            records = recorded(leaf)
            others = [record["part"].get(setting) for _, record in records]
            for is_set in (False, True):
                if (not is_set and about.is_required()) or (is_set and setting == "learning_rate"):
                    continue  # rates are schedules, which have records of their own
                some = ((f, r) for f, r in records if (setting in r["part"]) == is_set)
                if not any(is_seen(leaf, family, record, setting, others) for family, record in some):
                    missing.append(f"{leaf.model_fields['type'].default}.{setting}")
    assert set(missing) == UNRECORDED.keys(), HOW
