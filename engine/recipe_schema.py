"""The recipe as JSON Schema (2020-12), for editors: made from the typed recipe and the catalog."""

from __future__ import annotations

from typing import Any

import msgspec

from engine import catalog
from engine.catalog import Entry, Param
from engine.recipe import Latency, Measure, Recipe, Train

_TYPES: dict[str, dict[str, Any]] = {
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "str": {"type": "string"},
    "map": {"type": "object", "additionalProperties": {"type": "number"}},
    "any": {},
}
_PARTS = {"train": ("optimizer", "learning_rate"), "prune": ("criterion", "granularity", "scope", "schedule", "target")}


def schema() -> dict[str, Any]:
    """The whole schema as plain values."""
    plain: dict[str, Any] = {
        "title": "prune-tui recipe",
        "type": "object",
        "additionalProperties": False,
        "required": ["name"],
        "properties": {
            "schema": {"const": 1, "description": "version of this format"},
            "name": {"type": "string", "description": "one word; the run's folder bears it"},
            "title": {"type": "string"},
            "family": {"type": "string", "description": "where the menu lists it"},
            "about": {"type": "string"},
            "data": _part("data"),
            "model": _part("model"),
            "train": _struct(Train, {k: _part(k) for k in ("optimizer", "learning_rate")}),
            "prune": {
                "type": "object",
                "additionalProperties": False,
                "properties": {**{k: _part(k) for k in _PARTS["prune"]}, "repair": _repairs()},  # type: ignore[arg-type]
            },
            "measure": _struct(Measure, {"latency": _struct(Latency, {})}),
            "seed": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1, "default": 0},
            "sweep": {
                "type": "object",
                "description": "values by key from the top, as in `prune.target.sparsity: [0, 0.5, 0.9]`",
                "additionalProperties": {"type": "array"},
            },
        },
    }
    assert set(plain["properties"]) == set(Recipe.__struct_fields__)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **plain}


def _struct(cls: type[msgspec.Struct], given: dict[str, Any]) -> dict[str, Any]:
    """A struct's own fields from msgspec, those in `given` from here."""
    _, definitions = msgspec.json.schema_components([cls], ref_template="#/$defs/{name}")
    properties = definitions[cls.__name__]["properties"]
    return {"type": "object", "additionalProperties": False, "properties": {**properties, **given}}


def _repairs() -> dict[str, Any]:
    one = _part("repair")
    return {"anyOf": [one, {"type": "array", "items": one}]}


def _part(kind: catalog.Kind) -> dict[str, Any]:
    entries = catalog.entries(kind).values()
    words = [{"const": e.name, "description": e.summary} for e in entries if not any(p.required for p in e.params)]
    if kind == "granularity":
        words += [{"type": "string", "pattern": r"^(block:\d+x\d+|\d+:\d+)$", "description": "block:4x1 or 2:4"}]
    return {"description": f"which {kind}", "anyOf": [*words, *(_mapping(e) for e in entries)]}


def _mapping(entry: Entry) -> dict[str, Any]:
    named = {"name": {"const": entry.name}}
    properties = {**named, **{p.name: _param(p) for p in entry.params}}
    required = [p.name for p in entry.params if p.required]
    if entry.param(entry.name) is None:
        required = ["name", *required]
    elif entry.name not in required:
        required = [entry.name, *required]
    return {
        "type": "object",
        "description": entry.summary,
        "additionalProperties": False,
        "required": required,
        "properties": properties,
    }


def _param(param: Param) -> dict[str, Any]:
    if param.type in ("ints", "floats", "strs"):
        plain: dict[str, Any] = {"type": "array", "items": {**_TYPES[param.type[:-1]], **_bounds(param)}}
    elif param.type == "map":
        plain = {"type": "object", "additionalProperties": {"type": "number", **_bounds(param)}}
    else:
        plain = {**_TYPES[param.type], **_bounds(param)}
    if param.optional or param.default is None:
        plain = {"anyOf": [plain, {"type": "null"}]} if plain else {}
    if not param.required:
        plain["default"] = list(param.default) if isinstance(param.default, tuple) else param.default
    return {"description": param.doc, **plain}


def _bounds(param: Param) -> dict[str, Any]:
    bounds: dict[str, Any] = {"enum": list(param.choices)} if param.choices else {}
    if param.low is not None:
        bounds["minimum"] = param.low
    if param.high is not None:
        bounds["maximum"] = param.high
    return bounds
