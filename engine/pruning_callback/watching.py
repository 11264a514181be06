"""What gradients do during training, kept on the device: movement scores, and the last step's gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from engine.criteria.movement import Movement
from engine.layout import Array, Kernel


class Watch:
    """Sees the gradient of each kernel before each update, inside the compiled step.

    Args:
        model: gives the distribution strategy.
        kernels: what to watch, by key.
        movement: add up movement scores `-w dL/dw`; else keep the last gradient.
    """

    def __init__(self, model: keras.Model, kernels: Mapping[str, Kernel], *, movement: bool) -> None:
        self.movement = movement
        self._kept: dict[str, Any] = {}
        self._keys = {id(k.variable): key for key, k in kernels.items()}
        with model.distribute_strategy.scope():
            for key, kernel in kernels.items():
                # Each replica sees its own part of the batch; what they see adds up.
                self._kept[key] = tf.Variable(
                    tf.zeros(kernel.shape), trainable=False, aggregation=tf.VariableAggregation.SUM, name="watched"
                )

    def __call__(self, grads: Sequence[Any], variables: Sequence[Any]) -> None:
        """Takes note of one step."""
        for grad, variable in zip(grads, variables, strict=True):
            key = self._keys.get(id(variable))
            if grad is None or key is None:
                continue
            dense = tf.cast(tf.convert_to_tensor(grad), tf.float32)
            if self.movement:
                weight = tf.cast(keras.ops.convert_to_tensor(variable), tf.float32)
                self._kept[key].assign_add(Movement.step(weight, dense))
            else:
                self._kept[key].assign(dense)

    def arrays(self) -> dict[str, Array]:
        """What was seen so far, by key."""
        return {key: np.asarray(kept.numpy()) for key, kept in self._kept.items()}
