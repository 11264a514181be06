"""Numbers as people read them; "-" for what is not there, and a word for what is no finite number."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from engine.events import as_float
from engine.events import number as worded

NONE = "-"


def number(value: Any) -> str:
    """Four significant digits."""
    return _said(value, lambda plain: f"{plain:.4g}")


def count(value: Any) -> str:
    """A whole number with separators."""
    return _said(value, lambda plain: f"{round(plain):,}")


def share(value: Any) -> str:
    """A percentage with two decimals."""
    return _said(value, lambda plain: f"{100 * plain:.2f} %")


def ratio(value: Any) -> str:
    """So many times as much."""
    return _said(value, lambda plain: f"{plain:.2f}x")


def milliseconds(value: Any) -> str:
    """Three significant digits."""
    return _said(value, lambda plain: f"{plain:.3g}")


def bytes_of(value: Any) -> str:
    """Bytes in the unit that reads best, powers of 1000."""
    return _said(value, _in_units)


def finite(value: Any) -> float | None:
    """The number where it is one and finite: what a plot can show."""
    plain = _plain(value)
    return plain if plain is not None and math.isfinite(plain) else None


def _in_units(plain: float) -> str:
    for unit in ("B", "kB", "MB"):
        if plain < 1000:
            return f"{plain:.0f} {unit}" if unit == "B" else f"{plain:.1f} {unit}"
        plain /= 1000
    return f"{plain:.1f} GB"


def _said(value: Any, form: Callable[[float], str]) -> str:
    plain = _plain(value)
    if plain is None:
        return NONE
    return form(plain) if math.isfinite(plain) else str(worded(plain))


def _plain(value: Any) -> float | None:
    if value is None or isinstance(value, bool):
        return None
    try:
        return as_float(value)
    except (TypeError, ValueError):
        return None
