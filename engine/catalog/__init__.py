"""The catalog: everything that a recipe can name, as data.

Code is bound to it by name on first use (`engine.registry`), and a test holds the two sets equal. One file a kind.
"""

from __future__ import annotations

from importlib import import_module

from engine.catalog.entry import Entry, Kind, Param, Type
from engine.errors import UnknownName

__all__ = ["FILES", "Entry", "Kind", "Param", "Type", "entries", "get", "kinds"]

FILES: dict[Kind, str] = {
    "criterion": "criteria",
    "granularity": "granularities",
    "scope": "scopes",
    "schedule": "schedules",
    "target": "targets",
    "repair": "repairs",
    "data": "data",
    "model": "models",
    "optimizer": "optimizers",
    "learning_rate": "learning_rates",
}
_loaded: dict[Kind, dict[str, Entry]] = {}


def kinds() -> tuple[Kind, ...]:
    """All kinds, in the order of the sentence."""
    return tuple(FILES)


def entries(kind: Kind) -> dict[str, Entry]:
    """The entries of a kind by name, in menu order. Each file holds them as `ENTRIES`."""
    if kind not in _loaded:
        found: tuple[Entry, ...] = import_module(f"engine.catalog.{FILES[kind]}").ENTRIES
        _loaded[kind] = {e.name: e for e in found}
    return _loaded[kind]


def get(kind: Kind, name: str, *, where: str = "") -> Entry:
    """The entry, or `UnknownName` that lists the close ones."""
    try:
        return entries(kind)[name]
    except KeyError:
        raise UnknownName(kind, name, entries(kind), where=where) from None
