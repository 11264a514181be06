"""Numbers as people read them; "-" for what is not there."""

from __future__ import annotations

import math
from typing import Any

from engine.events import as_float

NONE = "-"


def number(value: Any) -> str:
    """Four significant digits."""
    plain = _plain(value)
    return NONE if plain is None else f"{plain:.4g}"


def count(value: Any) -> str:
    """A whole number with separators."""
    plain = _plain(value)
    return NONE if plain is None else f"{round(plain):,}"


def share(value: Any) -> str:
    """A percentage with two decimals."""
    plain = _plain(value)
    return NONE if plain is None else f"{100 * plain:.2f} %"


def ratio(value: Any) -> str:
    """So many times as much."""
    plain = _plain(value)
    return NONE if plain is None else f"{plain:.2f}x"


def milliseconds(value: Any) -> str:
    """Three significant digits."""
    plain = _plain(value)
    return NONE if plain is None else f"{plain:.3g}"


def bytes_of(value: Any) -> str:
    """Bytes in the unit that reads best, powers of 1000."""
    plain = _plain(value)
    if plain is None:
        return NONE
    for unit in ("B", "kB", "MB"):
        if plain < 1000:
            return f"{plain:.0f} {unit}" if unit == "B" else f"{plain:.1f} {unit}"
        plain /= 1000
    return f"{plain:.1f} GB"


def _plain(value: Any) -> float | None:
    if value is None or isinstance(value, bool):
        return None
    try:
        plain = as_float(value)
    except (TypeError, ValueError):
        return None
    return plain if math.isfinite(plain) else None
