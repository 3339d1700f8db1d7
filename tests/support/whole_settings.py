"""Every setting of a part that is a whole number, and the parts that stand for its family with numbers put in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import ValidationError
from registry import leaves

from bpcli.family import Layer, Part, Sample, Shape
from bpcli.family.part import dump


def is_whole(annotation: Any) -> bool:
    """Whether a value of this type may be a whole number, or hold some."""
    return annotation is int or any(is_whole(inner) for inner in get_args(annotation))


def whole_settings(kind: type[Part]) -> list[str]:
    """The settings of a part that are whole numbers."""
    return [name for name, field in kind.model_fields.items() if is_whole(field.annotation)]


def first_good(kind: type[Part]) -> Sample:
    """The first sample of a part that is as it should be."""
    return next(s for s in kind.samples() if isinstance(s.part, Part) and not s.error)


def changed(kind: type[Part], **numbers: Any) -> Part | None:
    """The part of the first good sample with other settings; None where they are refused as they are read."""
    try:
        return kind.model_validate({**dump(first_good(kind).part), **numbers})
    except ValidationError:
        return None


def enlarged_layers(powers: Iterator[int] | range) -> Iterator[tuple[Layer, Shape, str]]:
    """Yields layers with one whole setting at 10**k for each power k, alone, and at every third with `padding: same`
    and with padding as large, each with the rows that enter it and what it is called."""
    for kind in leaves().values():
        names = whole_settings(kind)
        if not (issubclass(kind, Layer) and names):
            continue
        x = first_good(kind).x
        for name in names:
            for k in powers:
                value: Any = [10**k, -1] if name == "shape" else 10**k
                beside: list[dict[str, Any]] = [{}]
                if "padding" in names and name != "padding" and k % 3 == 0:
                    beside += [{"padding": "same"}, {"padding": 10**k}]
                    beside += [{"padding": "same", n: 10**k} for n in ("kernel", "size") if n in names and n != name]
                for more in beside:
                    part = changed(kind, **{name: value, **more})
                    if isinstance(part, Layer):
                        yield part, x, f"{kind.__name__} {name}: 10**{k} {more}"
