"""The catalog and the code behind it are the same set, for the parts of the sentence."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil

import pytest

from engine import catalog, registry

KINDS = ("criterion", "scope", "schedule", "target")


@pytest.mark.parametrize("kind", KINDS)
def test_every_entry_is_bound_to_code_with_the_same_defaults(kind):
    for name, entry in catalog.entries(kind).items():
        made = registry.make(kind, name)
        assert dataclasses.is_dataclass(made)
        for param in entry.params:
            assert getattr(made, param.name) == param.default, (kind, name, param.name)
            field = {f.name: f for f in dataclasses.fields(made)}[param.name]
            own = field.default if field.default is not dataclasses.MISSING else field.default_factory()
            assert own == param.default, (kind, name, param.name)
        assert made.__dataclass_params__.frozen


@pytest.mark.parametrize("kind", KINDS)
def test_every_module_is_in_the_catalog(kind):
    package = importlib.import_module(registry.PACKAGES[kind])
    modules = {m.name for m in pkgutil.iter_modules(package.__path__)}
    for name in modules:
        importlib.import_module(f"{package.__name__}.{name}")
    assert set(catalog.entries(kind)) <= modules
    bound = {name: cls for (k, name), cls in registry._bound.items() if k == kind}
    assert set(bound) == set(catalog.entries(kind))
    for name, cls in bound.items():
        assert cls.__module__ == f"{package.__name__}.{name}"


@pytest.mark.parametrize("kind", ["criterion", "granularity", "scope", "schedule", "target"])
def test_cards_are_written(kind):
    for entry in catalog.entries(kind).values():
        assert entry.title
        assert entry.family
        assert entry.summary.endswith(".")
        assert entry.formula
        assert entry.source
        assert entry.when.endswith(".")
        entry.words.format(**{p.name: p.default for p in entry.params})
        for param in entry.params:
            assert param.doc
            if param.choices:
                given = param.default if isinstance(param.default, tuple) else (param.default,)
                assert set(given) <= set(param.choices)
