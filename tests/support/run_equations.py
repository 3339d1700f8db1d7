"""Equations that are compiled and run over given arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bpcli.notation import Eq, NotationError, compile_equations


def run(*eqs: Eq | tuple[str, str], detail: str = "", **env: Any) -> Any:
    """The left sides of equations over `env`."""
    parsed = [e if isinstance(e, Eq) else Eq(*e) for e in eqs]
    env = {k: np.asarray(v) if np.ndim(v) else v for k, v in env.items()}
    known = {k: v.shape for k, v in env.items() if np.ndim(v)}
    scalars = {k: v for k, v in env.items() if not np.ndim(v) and not np.iscomplexobj(v)}
    return compile_equations(parsed, scalars, known, detail=detail).run(env)


def value(right: str, left: str = "y", **env: Any) -> Any:
    return run((left, right), **env)[left.partition("[")[0]]


def fails(text: str, *eqs: tuple[str, str], **env: Any) -> None:
    with pytest.raises(NotationError) as caught:
        run(*eqs, **env)
    assert text in str(caught.value)
