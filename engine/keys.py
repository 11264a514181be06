"""Names for a model's variables and layers that are stable and unique.

A key is Keras' own path (`dense/kernel`) or layer name (`dense`). Where two places of a model claim the same one, each
is qualified by the nested models it lives in (`encoder/dense/kernel`), and by a number as the last resort. A shared
layer or variable is one object and has one key.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import keras

_T = TypeVar("_T")


def layer_keys(model: keras.Model) -> dict[str, keras.Layer]:
    """Every layer that is not itself a model, nested ones included, in the model's order."""
    return _unique((layer.name, chain, layer) for chain, layer in walk(model))


def variable_keys(model: keras.Model) -> dict[str, keras.Variable]:
    """Every variable that `model.weights` holds, in the model's order."""
    placed = [(v.path, chain, v) for chain, layer in walk(model) for v in layer.weights]
    own = [(v.path, (), v) for v in model.weights]
    return _unique(iter([*placed, *own]))


def walk(model: keras.Model, chain: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], keras.Layer]]:
    """Every layer with the names of the nested models around it; shared layers come once."""
    seen: set[int] = set()

    def visit(node: keras.Layer, chain: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], keras.Layer]]:
        for layer in node.layers:
            if id(layer) in seen:
                continue
            seen.add(id(layer))
            if getattr(layer, "layers", None) and hasattr(layer, "get_layer"):
                yield from visit(layer, (*chain, layer.name))
            else:
                yield chain, layer

    yield from visit(model, chain)


def _unique(found: Iterator[tuple[str, tuple[str, ...], _T]]) -> dict[str, _T]:
    rows: dict[int, tuple[str, tuple[str, ...], _T]] = {}
    for row in found:
        rows.setdefault(id(row[2]), row)
    short = Counter(name for name, _, _ in rows.values())
    keys: dict[str, _T] = {}
    for name, chain, item in rows.values():
        key = name if short[name] == 1 else "/".join((*chain, name))
        number = 1
        unique = key
        while unique in keys:
            unique, number = f"{key}_{number}", number + 1
        keys[unique] = item
    return keys
