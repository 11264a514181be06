from __future__ import annotations

import dataclasses
import json
import pkgutil
from importlib import import_module
from pathlib import Path

import pytest

from engine import catalog
from engine.errors import UnknownName
from engine.recipe_schema import schema
from engine.recipe_values import Wrong, check_param
from engine.registry import PACKAGES, implementation, make

EVERY = [(kind, name) for kind in catalog.kinds() for name in catalog.entries(kind)]
BOUND = [(kind, name) for kind, name in EVERY if kind in PACKAGES]


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_every_entry_is_complete_and_its_defaults_are_allowed(kind: catalog.Kind, name: str) -> None:
    entry = catalog.get(kind, name)
    assert entry.kind == kind
    assert entry.title
    assert len(entry.summary) > 15
    for param in entry.params:
        assert param.doc
        if not param.required:
            assert not isinstance(check_param(param, param.default), Wrong)


@pytest.mark.parametrize(("kind", "name"), BOUND)
def test_every_entry_is_bound_to_code_with_the_same_parameters_and_defaults(kind: catalog.Kind, name: str) -> None:
    entry = catalog.get(kind, name)
    cls = implementation(kind, name)
    fields = {f.name: f for f in dataclasses.fields(cls)}
    assert set(fields) == {p.name for p in entry.params}
    if not any(p.required for p in entry.params):
        instance = make(kind, name)
        assert all(getattr(instance, p.name) == p.default for p in entry.params)


@pytest.mark.parametrize("kind", list(PACKAGES))
def test_no_code_is_registered_that_the_catalog_does_not_name(kind: catalog.Kind) -> None:
    package = import_module(PACKAGES[kind])
    for module in pkgutil.iter_modules(package.__path__):
        import_module(f"{PACKAGES[kind]}.{module.name}")
    from engine.registry import _bound

    assert {name for k, name in _bound if k == kind} == set(catalog.entries(kind))


def test_an_unknown_name_lists_the_close_ones() -> None:
    with pytest.raises(UnknownName, match="Did you mean magnitude"):
        catalog.get("criterion", "magnitudes")


def test_the_schema_that_ships_is_the_schema(repository: Path) -> None:
    shipped = json.loads((repository / "presets" / "recipe.schema.json").read_text())
    assert shipped == json.loads(json.dumps(schema()))
