"""Binds the catalog's names to the code behind them, on first use.

A part is a frozen dataclass whose fields are the catalog's parameters, with the same defaults. It lives in the module
that bears its name in its kind's package (`engine/criteria/snip.py`), and says so:

    @register("criterion", "snip")
    @dataclass(frozen=True)
    class Snip: ...
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, TypeVar

import msgspec

from engine import catalog
from engine.errors import PruneError, near

PACKAGES: dict[catalog.Kind, str] = {
    "criterion": "engine.criteria",
    "scope": "engine.scopes",
    "schedule": "engine.schedules",
    "target": "engine.targets",
    "repair": "engine.repairs",
    "data": "engine.data",
    "model": "engine.models",
}
_bound: dict[tuple[str, str], type] = {}
_T = TypeVar("_T", bound=type)


def register(kind: catalog.Kind, name: str) -> Callable[[_T], _T]:
    """Binds a frozen dataclass to a catalog entry; its fields must be the entry's parameters."""

    def bind(cls: _T) -> _T:
        entry = catalog.get(kind, name)
        fields = {f.name for f in dataclasses.fields(cls) if f.init}
        if fields != {p.name for p in entry.params}:
            said = [p.name for p in entry.params]
            raise TypeError(f"{cls.__name__} has fields {sorted(fields)}; the catalog's {kind} {name} says {said}")
        _bound[kind, name] = cls
        return cls

    return bind


def implementation(kind: catalog.Kind, name: str) -> type:
    """The dataclass behind a name, imported on first use."""
    entry = catalog.get(kind, name)
    if (kind, name) not in _bound:
        import_module(f"{PACKAGES[kind]}.{entry.name}")
    return _bound[kind, name]


def make(kind: catalog.Kind, name: str, params: Mapping[str, Any] | None = None) -> Any:
    """An instance of a part with these parameters; the others take the catalog's defaults."""
    entry = catalog.get(kind, name)
    given = dict(params or {})
    known = [p.name for p in entry.params]
    for key in given:
        if key not in known:
            hint = (
                f"Did you mean {near(key, known)[0]}?" if near(key, known) else f"It has: {', '.join(known) or 'none'}"
            )
            raise PruneError(f"{kind} {name} has no parameter {key!r}", todo=hint)
    values = {p.name: given.get(p.name, p.default) for p in entry.params}
    missing = [k for k, v in values.items() if v is msgspec.UNSET]
    if missing:
        raise PruneError(f"{kind} {name} needs {', '.join(missing)}")
    return implementation(kind, name)(**values)
