"""Physical removal of units through any Keras graph. Each name loads on first use."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES: dict[str, str] = {
    "Call": "call",
    "Axis": "flow",
    "Flow": "flow",
    "Group": "groups",
    "dependency_groups": "groups",
    "Plan": "plan",
    "Skip": "plan",
    "Surgery": "removal",
    "planned": "removal",
    "remove": "removal",
    "remove_units": "removal",
    "shrink": "removal",
    "shrink_with_report": "removal",
    "LayerChange": "report",
    "Report": "report",
    "rule": "rules",
    "aimed_units": "choosing",
    "count_units": "choosing",
    "kept_units": "choosing",
    "LayerUnits": "units",
    "column_norms": "units",
    "layer_units": "units",
    "norm_scores": "units",
    "pool_columns": "units",
    "unit_masks": "units",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'engine.surgery' has no attribute {name!r}")
    value = getattr(import_module(f"engine.surgery.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
