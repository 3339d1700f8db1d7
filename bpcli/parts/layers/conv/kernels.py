"""Which kernel a convolution takes."""

from __future__ import annotations

from functools import lru_cache

from bpcli.parts.layers.conv.axes import FilterAxis
from bpcli.parts.layers.conv.correlation import Correlation
from bpcli.parts.layers.conv.depthwise import Depthwise
from bpcli.parts.layers.conv.strips import Strips

__all__ = ["correlation"]


@lru_cache(maxsize=512)
def correlation(h: FilterAxis, w: FilterAxis, groups: int, channels: int, filters: int, bias: bool) -> Correlation:
    """The correlation of these sizes, made once."""
    if groups > 1 and channels == filters == 1:
        return Depthwise(h, w, groups, channels, filters, bias)
    return (Strips if Strips.pay(h, w, channels) else Correlation)(h, w, groups, channels, filters, bias)
