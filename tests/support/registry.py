"""Every registered part and every sample of it, for the laws."""

from collections.abc import Iterator

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.family.part import Part, families
from bpcli.family.plan import Sample


def leaves() -> dict[str, type[Part]]:
    """Every part of this package once, by `family/type`."""
    found: dict[str, type[Part]] = {}
    for family in families():
        for kind, leaf in family.registry.items():
            if leaf.__module__.startswith("bpcli.") and leaf not in found.values():
                found[f"{family.__name__.lower()}/{kind}"] = leaf
    return found


def label(part: str, sample: Sample) -> str:
    return f"{part} {sample.note or sample.x}"


def good() -> Iterator[tuple[str, Sample]]:
    """The samples that must work, with a readable name."""
    for name, leaf in leaves().items():
        for i, sample in enumerate(leaf.samples()):
            if not sample.error:
                yield f"{label(name, sample)} #{i}", sample


def bad() -> Iterator[tuple[str, type[Part], Sample]]:
    """The samples that must be refused."""
    for name, leaf in leaves().items():
        for i, sample in enumerate(leaf.samples()):
            if sample.error:
                yield f"{name} #{i} {sample.error[:30]}", leaf, sample


def named_alone(family: type[Part]) -> list[str]:
    """Returns the types of a family that a name alone stands for: all but a formula, which has to be stated."""
    return [kind for kind in family.registry if kind != "formula"]
