"""How a model's outputs and the labels belong together: classes, yes or no, or numbers; and the loss that fits."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.errors import DataError, UnknownName
from engine.heads import Final

if TYPE_CHECKING:
    import keras

Array = np.ndarray[Any, Any]
_OF_NUMBERS = ("error", "huber", "cosh", "poisson", "cosine")


@dataclasses.dataclass(frozen=True)
class Judge:
    """How outputs are read.

    Attributes:
        count: how many classes; 1: one yes-or-no output; 0: plain numbers.
        threshold: above it one output says yes.
        one_hot: labels are one-hot rows.
        loss: `(labels, outputs) -> losses`.
        several: each of several outputs says yes or no for itself (count is 0: there is no one class).
    """

    count: int
    threshold: float
    one_hot: bool
    loss: Callable[[Any, Any], Any]
    several: bool = False

    @property
    def metric(self) -> str:
        """The metric where none was asked for."""
        return "accuracy" if self.count else "binary_accuracy" if self.several else "mean_squared_error"

    def classes(self, outputs: Array) -> Array | None:
        """The predicted classes `(n, ...)` of outputs `(n, ..., width)`; None where they are no classes."""
        if self.count == 0:
            return None
        if self.count == 1:
            return (outputs[..., 0] > self.threshold).astype("int64")
        return np.asarray(outputs.argmax(axis=-1))

    def truth(self, y: Any, outputs: Array) -> Array | None:
        """The true classes.

        Raises:
            DataError: a label is no class of the model.
        """
        if self.count == 0:
            return None
        y = np.asarray(y)
        truth: Array = y.argmax(axis=-1) if self.one_hot else y.astype("int64")
        most = max(self.count, 2)
        if truth.size * outputs.shape[-1] != outputs.size:
            raise DataError(f"labels of shape {y.shape} do not go with outputs of shape {outputs.shape}")
        if truth.size and (truth.min() < 0 or truth.max() >= most):
            bad = int(truth.min() if truth.min() < 0 else truth.max())
            raise DataError(f"there is a label {bad}, and the model has {most} classes", todo="Labels count from 0")
        return truth

    def fitted(self, y: Any, outputs: Array) -> Array:
        """The labels as the loss takes them."""
        y = np.asarray(y)
        if self.count > 1:
            return np.asarray(y if self.one_hot else y.reshape(outputs.shape[:-1]))
        if self.count == 1 and self.one_hot:
            y = y.argmax(axis=-1)
        return np.asarray(y.reshape(outputs.shape) if y.size == outputs.size else y)


def judge(
    model: keras.Model, final: Final, outputs: Array, y: Any, loss: Any, *, whole: Callable[[], Iterable[Array]]
) -> Judge:
    """How to read a model's outputs.

    Args:
        model: what it is compiled with counts where no loss is given.
        final: the activation that it ends in.
        outputs: of the first batch, `(n, ..., width)`.
        y: its labels, or None.
        loss: a Keras loss, its name, or None.
        whole: gives all labels, for the case that the first do not tell numbers from classes.

    Raises:
        DataError: labels and outputs do not go together.
        UnknownName: Keras knows no such loss.
    """
    import keras

    y = None if y is None else np.asarray(y)
    width = outputs.shape[-1]
    chosen = loss if loss is not None else getattr(model, "loss", None)
    try:
        given = None if chosen is None or isinstance(chosen, dict | list | tuple) else keras.losses.get(chosen)
    except ValueError:
        known = [n for n in dir(keras.losses) if n.islower() and not n.startswith("_")]
        raise UnknownName("loss", str(chosen), known) from None
    one_hot, several, count = False, False, width if width > 1 else int(final == "sigmoid")
    if y is not None:
        one_hot = _one_hot(y, width) and (final == "softmax" or all(_one_hot(labels, width) for labels in whole()))
        several = final == "sigmoid" and width > 1 and not one_hot and y.shape == outputs.shape and _yes_or_no(y)
        if width > 1:
            count = width if one_hot or _sparse(y, outputs) else 0
        else:
            count = int(
                one_hot or (y.size == outputs.size and _yes_or_no(y) and _says_yes_or_no(final, given, y, whole))
            )
        if count == 0 and given is None and y.size != outputs.size:
            raise DataError(
                f"labels of shape {y.shape} do not go with outputs of shape {outputs.shape}",
                todo="Give a class or a one-hot row for each example, or numbers of the outputs' shape",
            )
    elif width == 1 and final != "sigmoid":
        count = int(_is_binary(given))
    probabilities = _probabilities(final, given, outputs)
    if given is not None:
        function: Any = given
    elif count > 1 and one_hot:
        function = keras.losses.CategoricalCrossentropy(from_logits=not probabilities)
    elif count > 1:
        function = keras.losses.SparseCategoricalCrossentropy(from_logits=not probabilities)
    elif count == 1 or several:
        function = keras.losses.BinaryCrossentropy(from_logits=not probabilities)
    else:
        function = keras.losses.MeanSquaredError()
    return Judge(count, 0.5 if probabilities else 0.0, one_hot, function, several)


def _one_hot(y: Array, width: int) -> bool:
    fits = y.ndim > 1 and y.shape[-1] == max(width, 2)
    return fits and _yes_or_no(y) and bool(np.all(y.sum(axis=-1) == 1))


def _sparse(y: Array, outputs: Array) -> bool:
    whole = y.dtype.kind in "iub" or (y.dtype.kind == "f" and bool(np.all(y == np.round(y))))
    return whole and y.size * outputs.shape[-1] == outputs.size


def _yes_or_no(y: Array) -> bool:
    return bool(np.isin(y, (0, 1)).all())


def _says_yes_or_no(final: Final, given: Any, y: Array, whole: Callable[[], Iterable[Array]]) -> bool:
    """Whether one output with labels 0 and 1 tells two classes apart; numbers may happen to begin with 0 and 1."""
    if final == "sigmoid" or _is_binary(given) or y.dtype == bool:
        return True
    if given is not None and any(word in _name(given) for word in _OF_NUMBERS):
        return False
    return all(_yes_or_no(labels) for labels in whole())


def _is_binary(given: Any) -> bool:
    return given is not None and "binary" in _name(given)


def _name(loss: Any) -> str:
    return str(getattr(loss, "name", None) or getattr(loss, "__name__", "")).lower()


def _probabilities(final: Final, given: Any, outputs: Array) -> bool:
    if final in ("softmax", "sigmoid"):
        return True
    within = bool(np.all((outputs >= 0) & (outputs <= 1)))
    if outputs.shape[-1] == 1:
        # Logits may lie between 0 and 1 as well: it takes a loss that says so to read them as probabilities.
        return within and _is_binary(given) and not getattr(given, "from_logits", False)
    return within and bool(np.allclose(outputs.sum(axis=-1), 1, atol=1e-3))
