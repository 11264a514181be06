"""The loss that gradients are taken of: on logits, so that no final softmax or sigmoid saturates it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from engine.errors import DataError, ModelError
from engine.scoring.samples import Batch

_CROSS = ("sparse_categorical_crossentropy", "categorical_crossentropy", "binary_crossentropy")
_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {"softmax": tf.nn.softmax, "sigmoid": tf.nn.sigmoid}


@dataclass(frozen=True)
class Labels:
    """What can be seen of the labels: it tells a classifier's loss where none was named."""

    whole: bool
    one_hot: bool
    binary: bool
    highest: float = field(compare=False)  # of these samples; it tells nothing about the loss


@dataclass(frozen=True)
class Loss:
    """A mean loss over samples (and positions), for each output of a model.

    Attributes:
        given: for each output a name, a function, a Keras loss, or None (told from the labels and the output).
        labels: what the labels of each output look like.
        weights: what each output's loss is multiplied by; 0 for one without a loss.
        names: of the outputs, where labels may come in a mapping.
    """

    given: tuple[Any, ...]
    labels: tuple[Labels, ...]
    weights: tuple[float, ...]
    names: tuple[str, ...] = ()

    def __call__(self, final: str, logits: Any, y: Any, *, temperature: float, index: int = 0) -> Any:
        """The loss of one output.

        Args:
            final: the activation that was left out: `softmax`, `sigmoid`, `linear`.
            logits: its input.
            y: labels.
            temperature: what the logits are divided by.
            index: which output of the model.
        """
        logits = logits / tf.cast(temperature, logits.dtype)
        given = self.given[index]
        name = given if isinstance(given, str) else _name(given)
        if given is None:
            name = self._guess(final, logits, y, self.labels[index])
        smooth = float(getattr(given, "label_smoothing", 0.0) or 0.0)
        if name in _CROSS and _on_logits(given, final):
            if name.startswith("sparse") and self.labels[index].highest >= logits.shape[-1]:
                raise DataError(
                    f"there is a label {self.labels[index].highest:g}, and the model has {logits.shape[-1]} classes",
                    todo="Labels count from 0",
                )
            return tf.reduce_mean(_cross(name, logits, y, smooth))
        function = keras.losses.get(name) if isinstance(given, str) or given is None else given
        if function is None:
            raise ModelError(f"there is no loss named {name!r}")
        return tf.reduce_mean(function(y, _ACTIVATIONS[final](logits) if final in _ACTIVATIONS else logits))

    @staticmethod
    def _guess(final: str, logits: Any, y: Any, seen: Labels) -> str:
        same = y.shape.rank == logits.shape.rank and y.shape[-1] == logits.shape[-1]
        if logits.shape[-1] == 1 or (final == "sigmoid" and same):
            return "binary_crossentropy" if final == "sigmoid" or seen.binary else "mean_squared_error"
        if same and not (seen.whole and y.shape[-1] == 1):
            return "categorical_crossentropy" if final == "softmax" or seen.one_hot else "mean_squared_error"
        return "sparse_categorical_crossentropy"


def loss_for(model: keras.Model, given: Any, batches: Sequence[Batch]) -> Loss:
    """The loss to score with: the one given, else the one the model is compiled with, else told from the labels.

    One loss serves all outputs; a mapping (by output name) or a list has one for each, weighted as in `compile`.
    """
    names, weights = _names(model), None
    if given is None and getattr(model, "compiled", False):
        given = getattr(model, "loss", None)
        weights = getattr(getattr(model, "_compile_loss", None), "_user_loss_weights", None)
    columns = list(zip(*(labels_of(b.y, names) for b in batches), strict=True))
    many = isinstance(given, Mapping | list | tuple)
    each = _for_each(given, names, len(columns), "losses") if many else (given,) * len(columns)
    shares = (1.0,) * len(columns)
    if isinstance(weights, Mapping | list | tuple):
        shares = tuple(1.0 if w is None else float(w) for w in _for_each(weights, names, len(columns), "loss weights"))
    if many:
        shares = tuple(0.0 if loss is None else share for loss, share in zip(each, shares, strict=True))
    return Loss(each, tuple(_look(column) for column in columns), shares, names)


def total(loss: Loss, outputs: list[tuple[str, Any]], y: Any, *, temperature: float = 1.0) -> Any:
    """The weighted sum of the losses of all outputs.

    Raises:
        DataError: there are not as many label arrays as outputs.
    """
    labels = labels_of(y, loss.names)
    if len(labels) != len(outputs):
        raise DataError(f"the model has {len(outputs)} outputs, the data {len(labels)} arrays of labels")
    rows = enumerate(zip(outputs, labels, loss.weights, strict=True))
    parts = [w * loss(f, z, t, temperature=temperature, index=i) for i, ((f, z), t, w) in rows if w]
    return tf.add_n(parts)


def labels_of(y: Any, names: Sequence[str]) -> list[Any]:
    """The arrays of labels in the order of the outputs."""
    if isinstance(y, Mapping) and set(y) == set(names):
        return [y[name] for name in names]
    found: list[Any] = keras.tree.flatten(y)
    return found


def _names(model: keras.Model) -> tuple[str, ...]:
    """What the outputs are called, in their order; of a model with a mapping as output, its keys."""
    made = getattr(model, "_outputs_struct", None)
    if isinstance(made, Mapping):
        return tuple(keras.tree.flatten({key: key for key in made}))
    return tuple(getattr(model, "output_names", None) or ())


def _for_each(given: Any, names: Sequence[str], count: int, what: str) -> tuple[Any, ...]:
    if isinstance(given, Mapping):
        if not set(given) <= set(names):
            raise ModelError(
                f"there are {what} for {', '.join(map(str, given))}, and the model has the outputs {', '.join(names)}",
                todo="Give one with loss=...",
            )
        return tuple(given.get(name) for name in names)
    if len(given) != count:
        raise ModelError(f"there are {len(given)} {what} for {count} outputs", todo="Give one for each")
    return tuple(given)


def _look(column: Sequence[Any]) -> Labels:
    whole = all(np.issubdtype(y.dtype, np.integer) or y.dtype == bool for y in column)
    binary = all(bool(np.isin(y, (0, 1)).all()) for y in column)
    one_hot = binary and all(y.ndim > 1 and y.shape[-1] > 1 and bool((y.sum(axis=-1) == 1).all()) for y in column)
    return Labels(whole, one_hot, binary, max(float(y.max()) for y in column))


def _name(loss: Any) -> str:
    text = getattr(loss, "__name__", None) or type(loss).__name__
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text).lower()


def _on_logits(given: Any, final: str) -> bool:
    # A Keras loss with from_logits=False, on probabilities that we cannot see through, means what it says.
    if isinstance(given, keras.losses.Loss):
        plain = getattr(given, "ignore_class", None) is None and getattr(given, "axis", -1) in (-1, None)
        return plain and (final != "linear" or bool(getattr(given, "from_logits", True)))
    return True


def _cross(name: str, logits: Any, y: Any, smooth: float) -> Any:
    """Cross-entropy a sample (and position), by plain ops: their second derivatives are exact."""
    if name == "binary_crossentropy":
        target = tf.reshape(tf.cast(y, logits.dtype), tf.shape(logits))
        target = target * (1 - smooth) + smooth / 2
        return tf.nn.softplus(logits) - target * logits
    if name == "sparse_categorical_crossentropy":
        index = tf.cast(y, tf.int32)
        if index.shape.rank == logits.shape.rank:
            index = tf.squeeze(index, -1)
        target = tf.one_hot(index, logits.shape[-1], dtype=logits.dtype)
    else:
        target = tf.cast(y, logits.dtype)
        target = target * (1 - smooth) + smooth / logits.shape[-1]
    return -tf.reduce_sum(target * tf.nn.log_softmax(logits), axis=-1)
