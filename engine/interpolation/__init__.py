"""Model-preserving compression by interpolative decomposition (methods.md §5). Each name loads on first use."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES: dict[str, str] = {
    "Compression": "compressing",
    "agreement_of": "compressing",
    "compress": "compressing",
    "fold": "compressing",
    "interpolate": "compressing",
    "interpolate_with_report": "compressing",
    "units_within": "compressing",
    "Fit": "folding",
    "Gram": "gathering",
    "Triangle": "gathering",
    "mixture": "mixing",
    "Pivots": "pivoting",
    "pivots": "pivoting",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'engine.interpolation' has no attribute {name!r}")
    value = getattr(import_module(f"engine.interpolation.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
