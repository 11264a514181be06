"""Building a model that gets its weights only with its first batch, before that batch trains it.

Keras calls `on_train_begin` before a Sequential without input shape or a subclassed model has any weights. What its
first batch looks like is known from the iterator that `fit` hands to the train function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf


def is_built(model: keras.Model) -> bool:
    """Whether the model and all its layers have their weights."""
    return bool(model.built and model.weights and all(layer.built for layer in model._flatten_layers()))


def before_first_batch(model: keras.Model, then: Callable[[], None]) -> None:
    """Builds the model when the running `fit` asks for its first step, calls `then`, and does the step.

    Args:
        model: a model in a `fit` that has just begun.
        then: called once, when the weights exist and no batch has been used.
    """

    def train_function(iterator: Any) -> Any:
        spec = getattr(iterator, "element_spec", None)
        if not is_built(model):
            inputs, _, _ = keras.utils.unpack_x_y_sample_weight(next(iter(iterator)) if spec is None else spec)
            model(keras.tree.map_structure(_blank, inputs), training=False)
        model.make_train_function(force=True)
        then()
        return model.train_function(iterator)

    model.train_function = train_function


def _blank(spec: Any) -> Any:
    # One sample; open sizes (a sequence's length) are 32 long.
    shape = [1, *(32 if n is None else int(n) for n in spec.shape[1:])]
    dtype = tf.as_dtype(spec.dtype)
    return tf.zeros(shape, dtype) if dtype != tf.string else tf.constant(np.full(shape, ""))
