"""What the network is for: the loss it is trained with and the metric it is judged by."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from engine.errors import ModelError
from engine.events import Metric
from engine.heads import Final, final_activation

_TINY = 1e-7


@dataclasses.dataclass(frozen=True)
class Task:
    """A loss and a main metric, both as sums over the examples of a batch, so that batches of any size add up.

    Attributes:
        metric: its name and which way is better.
        losses: `(targets, outputs) -> (batch,)` losses.
        scores: `(targets, outputs) -> (batch,)` contributions to the metric; their mean is the metric.
        labels: dtype of the targets.
        logits: `outputs -> (batch, classes)` logits, whatever the head puts out; None where there are no classes.
        for_measuring: the loss as `engine.measure` takes it.
    """

    metric: Metric
    losses: Callable[[Any, Any], Any]
    scores: Callable[[Any, Any], Any]
    labels: Any = tf.int32
    logits: Callable[[Any], Any] | None = None
    for_measuring: dict[str, Any] = dataclasses.field(default_factory=dict)


def task_of(model: Any, *, classes: int, targets: int | None = None) -> Task:
    """Classification where the data has classes, regression elsewhere.

    Two classes may be told by one unit: a sigmoid's probability of class 1 (above 0.5), or its logit (above 0).

    Args:
        model: its last activation tells whether it puts out logits or probabilities.
        classes: how many the data has; 0 means real-valued targets.
        targets: how many real values an example has, where that is known.

    Raises:
        ModelError: the model's outputs are not what the data asks for.
    """
    width = _width(model)
    if classes == 0:
        if targets is not None and width not in (None, targets):
            raise ModelError(
                f"the model has {width} outputs, the data {targets} real values for each example",
                todo="Choose the data it was made for, or data with task: classification",
            )
        return Task(
            Metric("mean absolute error", "min"), _squared, _absolute, tf.float32,
            for_measuring={"loss": "mean_squared_error", "metric": "mean_absolute_error"},
        )  # fmt: skip
    final = final_activation(model)
    probabilities = final in ("softmax", "sigmoid")
    if width == 1:
        if classes != 2:
            raise ModelError(
                f"one output tells two classes apart, and the data has {classes}",
                todo="Use data with two classes, or with real values (task: regression)",
            )
        logits = _logits_of_one(final)
        loss: Any = keras.losses.BinaryCrossentropy(from_logits=not probabilities)
        losses, scores = _binary_cross_entropy(logits), _right_side(0.5 if probabilities else 0.0)
        return Task(
            Metric("accuracy", "max"), losses, scores,
            logits=lambda outputs: tf.concat([tf.zeros_like(z := logits(outputs)), z], axis=-1),
            for_measuring={"loss": loss},
        )  # fmt: skip
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=not probabilities)
    return Task(
        Metric("accuracy", "max"), _cross_entropy_of_probabilities if probabilities else _cross_entropy, _correct,
        logits=_log if probabilities else _float, for_measuring={"loss": loss},
    )  # fmt: skip


def _width(model: Any) -> int | None:
    shape = getattr((getattr(model, "outputs", None) or [None])[0], "shape", None)
    return None if not shape else shape[-1]


# ---- classes -------------------------------------------------------------------------------------------------------


def _cross_entropy(y: Any, logits: Any) -> Any:
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=tf.cast(logits, tf.float32))


def _cross_entropy_of_probabilities(y: Any, p: Any) -> Any:
    p = tf.cast(p, tf.float32)
    p /= tf.reduce_sum(p, axis=-1, keepdims=True)  # those of a sigmoid do not add up to 1
    return -tf.math.log(tf.gather(tf.clip_by_value(p, _TINY, 1.0), y, batch_dims=1))


def _correct(y: Any, outputs: Any) -> Any:
    return tf.cast(tf.equal(tf.argmax(outputs, axis=-1, output_type=tf.int32), y), tf.float32)


def _float(outputs: Any) -> Any:
    return tf.cast(outputs, tf.float32)


def _log(p: Any) -> Any:
    return tf.math.log(tf.clip_by_value(tf.cast(p, tf.float32), _TINY, 1.0))


# ---- two classes told by one unit ----------------------------------------------------------------------------------


def _logits_of_one(final: Final) -> Callable[[Any], Any]:
    if final != "sigmoid":
        return _float

    def logits(outputs: Any) -> Any:
        p = tf.clip_by_value(tf.cast(outputs, tf.float32), _TINY, 1.0 - _TINY)
        return tf.math.log(p) - tf.math.log1p(-p)

    return logits


def _binary_cross_entropy(logits: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    def losses(y: Any, outputs: Any) -> Any:
        z = tf.reshape(logits(outputs), (-1,))
        return tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.cast(y, tf.float32), logits=z)

    return losses


def _right_side(threshold: float) -> Callable[[Any, Any], Any]:
    def scores(y: Any, outputs: Any) -> Any:
        said = tf.cast(tf.reshape(tf.cast(outputs, tf.float32), (-1,)) > threshold, tf.int32)
        return tf.cast(tf.equal(said, y), tf.float32)

    return scores


# ---- real values ---------------------------------------------------------------------------------------------------


def _squared(y: Any, outputs: Any) -> Any:
    return tf.reduce_mean(tf.square(_like(y, outputs) - tf.cast(outputs, tf.float32)), axis=-1)


def _absolute(y: Any, outputs: Any) -> Any:
    return tf.reduce_mean(tf.abs(_like(y, outputs) - tf.cast(outputs, tf.float32)), axis=-1)


def _like(y: Any, outputs: Any) -> Any:
    return tf.reshape(tf.cast(y, tf.float32), tf.shape(outputs))
