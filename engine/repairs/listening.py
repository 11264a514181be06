"""Listening in on layers while a model runs: another function stands in for a layer's `call` for a while.

It works wherever a layer sits (nested models, shared layers, layers inside layers), because it is the layer that is
changed and not the graph. Nothing of the model is different afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

Call = Callable[..., Any]


@contextmanager
def replaced(layers: Mapping[keras.Layer, Callable[[Call], Call]]) -> Iterator[None]:
    """While this lasts, each layer's `call` is what its function makes of the real one.

    A function compiled before does not notice: make (and trace) the `tf.function` inside.
    """
    before = {layer: layer.__dict__.get("call") for layer in layers}
    try:
        for layer, make in layers.items():
            layer.__dict__["call"] = make(layer.call)
        yield
    finally:
        for layer, own in before.items():
            if own is None:
                layer.__dict__.pop("call", None)
            else:
                layer.__dict__["call"] = own
