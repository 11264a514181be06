"""Pruning that decides by itself: dynamic, SAP, budgets and sensitivity. Each name loads on first use."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES: dict[str, str] = {
    "prune_dynamically": "dynamic",
    "hold": "holding",
    "sap_round": "sap",
    "watch_index": "sap",
    "search_budget": "budget",
    "sense": "sensing",
    "sensitivity": "sensing",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'engine.running.adaptive' has no attribute {name!r}")
    value = getattr(import_module(f"engine.running.adaptive.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
