"""What the network is for: the loss it is trained with and the metric it is judged by."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from engine.events import Metric

Sums = Callable[[Any, Any], tuple[Any, Any]]


@dataclasses.dataclass(frozen=True)
class Task:
    """A loss and a main metric, both as sums over the examples of a batch, so that batches of any size add up.

    Attributes:
        metric: its name and which way is better.
        losses: `(targets, outputs) -> (batch,)` losses.
        scores: `(targets, outputs) -> (batch,)` contributions to the metric; their mean is the metric.
        labels: dtype of the targets.
        for_measuring: the loss as `engine.measure` takes it.
    """

    metric: Metric
    losses: Callable[[Any, Any], Any]
    scores: Callable[[Any, Any], Any]
    labels: Any = tf.int32
    for_measuring: dict[str, Any] = dataclasses.field(default_factory=dict)


def _cross_entropy(y: Any, logits: Any) -> Any:
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=tf.cast(logits, tf.float32))


def _cross_entropy_of_probabilities(y: Any, p: Any) -> Any:
    p = tf.clip_by_value(tf.cast(p, tf.float32), 1e-7, 1.0)
    return -tf.math.log(tf.gather(p, y, batch_dims=1))


def _correct(y: Any, outputs: Any) -> Any:
    return tf.cast(tf.equal(tf.argmax(outputs, axis=-1, output_type=tf.int32), y), tf.float32)


def _squared(y: Any, outputs: Any) -> Any:
    return tf.reduce_mean(tf.square(_like(y, outputs) - tf.cast(outputs, tf.float32)), axis=-1)


def _absolute(y: Any, outputs: Any) -> Any:
    return tf.reduce_mean(tf.abs(_like(y, outputs) - tf.cast(outputs, tf.float32)), axis=-1)


def _like(y: Any, outputs: Any) -> Any:
    return tf.reshape(tf.cast(y, tf.float32), tf.shape(outputs))


def task_of(model: Any, *, classes: int) -> Task:
    """Classification where the data has classes, regression elsewhere.

    Args:
        model: its last activation tells whether it puts out logits or probabilities.
        classes: how many the data has; 0 means real-valued targets.
    """
    if classes == 0:
        return Task(
            Metric("mean absolute error", "min"), _squared, _absolute, tf.float32,
            {"loss": "mean_squared_error", "metric": "mean_absolute_error"},
        )  # fmt: skip
    losses = _cross_entropy_of_probabilities if ends_in_probabilities(model) else _cross_entropy
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=losses is _cross_entropy)
    return Task(Metric("accuracy", "max"), losses, _correct, for_measuring={"loss": loss})


def ends_in_probabilities(model: Any) -> bool:
    """True when the model's output has gone through a softmax already."""
    last = model.layers[-1] if model.layers else None
    while last is not None and getattr(last, "layers", None):
        last = last.layers[-1]
    if type(last).__name__ == "Softmax":
        return True
    return getattr(getattr(last, "activation", None), "__name__", "") == "softmax"
