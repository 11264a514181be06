"""Networks by name, built for the data at hand, with weights that depend on the seed alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

__all__ = ["build"]


def build(name: str, input_shape: Sequence[int], classes: int, seed: int = 0, **params: Any) -> keras.Model:
    """Builds a model of the catalog.

    Args:
        name: the entry's name, e.g. `mlp`, `resnet20`, `file`.
        input_shape: of one example, e.g. `(28, 28, 1)`.
        classes: units of the last layer, a Dense layer `output` without softmax (`data.outputs`; for regression the
            targets of one example).
        seed: of the initial weights and of dropout. A `file` brings its own weights.
        params: the entry's parameters; the others take the catalog's defaults.

    Returns:
        A built model, not compiled, with the same layer names every time.

    Raises:
        UnknownName: no such model.
        ModelError: it does not fit the data, or the file cannot be loaded.
    """
    from engine.registry import make

    model: keras.Model = make("model", name, params).build(tuple(input_shape), classes, seed)
    return model
