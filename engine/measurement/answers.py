"""What a model answers on data: loss, the main metric, predicted classes, in one compiled pass."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.errors import DataError
from engine.measurement.values import Direction, Value, finite

if TYPE_CHECKING:
    import keras

Array = np.ndarray[Any, Any]
ROWS = 256


@dataclasses.dataclass(frozen=True)
class Answers:
    """A model's answers.

    Attributes:
        metric: the main metric.
        loss: mean loss, or None.
        top5: top-5 accuracy of classifiers from 10 classes on, or None.
        predicted: the predicted class of each row (of each pixel, for maps), or None where outputs are no classes.
        labels: the true ones, same shape, or None.
        samples: rows seen.
        skipped: what was left out, and why.
    """

    metric: Value | None
    loss: float | None
    top5: float | None
    predicted: Array | None
    labels: Array | None
    samples: int
    skipped: tuple[str, ...] = ()


def batches(data: Any, rows: int = ROWS) -> Iterator[tuple[Any, Any]]:
    """`(x, y)` batches of arrays or of a `tf.data.Dataset`; y is None where there are no labels.

    Args:
        data: `(x, y)`, `(x,)` or a dataset of batches. x may be a list or a dict of arrays.
        rows: how many rows of arrays go into a batch.

    Raises:
        DataError: when it is none of these.
    """
    if hasattr(data, "element_spec"):
        for element in data:
            parts = element if isinstance(element, tuple) else (element,)
            yield _numpy(parts[0]), _numpy(parts[1]) if len(parts) > 1 else None
        return
    if not isinstance(data, tuple) or not 1 <= len(data) <= 3:
        raise DataError(
            "data is neither (x, y) arrays nor a tf.data.Dataset", todo="Pass engine.measure(model, (x, y))"
        )
    x, y = data[0], data[1] if len(data) > 1 else None
    count = len(next(iter(_leaves(x))))
    for start in range(0, count, rows):
        cut = _cutter(slice(start, start + rows))
        yield _map(cut, x), None if y is None else _map(cut, y)


def answer(
    model: keras.Model, data: Any, *, loss: Any = None, metric: Any = None, direction: Direction | None = None
) -> Answers:
    """Runs the model over the data once, in inference mode.

    Args:
        model: a built model.
        data: `(x, y)` arrays or a `tf.data.Dataset`.
        loss: a Keras loss or its name; None takes the model's own, else the one that fits labels and outputs.
        metric: a `keras.metrics.Metric`, or a name that Keras knows (`accuracy`, `mean_squared_error`, ...); None takes
            accuracy for classes and mean squared error for numbers.
        direction: `max` or `min`; None derives it: errors, losses and divergences are better small.
    """
    import keras
    import tensorflow as tf

    forward = _compiled(model)
    task: _Task | None = None
    meter: Any = None
    predicted: list[Array] = []
    labels: list[Array] = []
    total, total_loss, hits = 0, 0.0, 0
    skipped: list[str] = []
    for x, y in batches(data):
        out = forward(x)
        outputs = out if isinstance(out, tf.Tensor) else None
        rows = len(next(iter(_leaves(x))))
        total += rows
        if outputs is None:
            if "outputs" not in str(skipped):
                skipped.append("metrics: the model has several outputs; metrics are taken for one output only")
            continue
        if task is None:
            task = _task(model, outputs.numpy(), y, loss)
            if y is not None:
                meter = _meter(keras, metric, task)
        values = outputs.numpy()
        classes = task.classes(values)
        if classes is not None:
            predicted.append(classes)
        if y is None:
            continue
        truth = task.truth(y)
        if truth is not None and classes is not None:
            labels.append(truth.reshape(classes.shape))
            if task.count >= 10:
                best = np.argpartition(values, -5, axis=-1)[..., -5:]
                hits += int((best == truth.reshape(classes.shape)[..., None]).any(axis=-1).sum())
        if meter is not None:
            meter.update_state(task.fitted(y, values), values)
        total_loss += float(np.mean(task.loss(task.fitted(y, values), values))) * rows
    if task is None or total == 0:
        return Answers(None, None, None, None, None, total, tuple(skipped))
    truth_all = np.concatenate(labels) if labels else None
    classes_all = np.concatenate(predicted) if predicted else None
    value = None
    if metric in (None, "accuracy", "acc") and classes_all is not None and truth_all is not None:
        value = Value(name="accuracy", direction="max", value=finite(float(np.mean(classes_all == truth_all))))
    elif meter is not None:
        value = Value(
            name=str(meter.name),
            direction=direction or _direction(str(meter.name)),
            value=finite(float(np.asarray(meter.result()))),
        )
    has_labels = meter is not None
    return Answers(
        metric=value,
        loss=finite(total_loss / total) if has_labels else None,
        top5=finite(hits / truth_all.size) if truth_all is not None and task.count >= 10 else None,
        predicted=classes_all,
        labels=truth_all,
        samples=total,
        skipped=tuple(skipped),
    )


@dataclasses.dataclass(frozen=True)
class _Task:
    """How outputs and labels belong together. count: classes; 1: one yes-or-no output; 0: plain numbers."""

    count: int
    threshold: float
    one_hot: bool
    loss: Callable[[Any, Any], Any]

    def classes(self, outputs: Array) -> Array | None:
        if self.count == 0:
            return None
        if self.count == 1:
            return (outputs[..., 0] > self.threshold).astype("int64")
        return np.asarray(outputs.argmax(axis=-1))

    def truth(self, y: Any) -> Array | None:
        if self.count == 0:
            return None
        return np.asarray(y).argmax(axis=-1) if self.one_hot else np.asarray(y).astype("int64")

    def fitted(self, y: Any, outputs: Array) -> Array:
        y = np.asarray(y)
        if self.count > 1:
            return np.asarray(y if self.one_hot else y.reshape(outputs.shape[:-1]))
        return np.asarray(y.reshape(outputs.shape) if y.size == outputs.size else y)


def _task(model: keras.Model, outputs: Array, y: Any, loss: Any) -> _Task:
    import keras

    y = None if y is None else np.asarray(y)
    width = outputs.shape[-1] if outputs.ndim > 1 else 1
    one_hot = (
        y is not None
        and width > 1
        and y.shape == outputs.shape
        and bool(np.all((y == 0) | (y == 1)))
        and bool(np.all(y.sum(axis=-1) == 1))
    )
    whole = y is not None and (y.dtype.kind in "iub" or bool(np.all(y == np.round(y))))
    sparse = whole and not one_hot and y is not None and width > 1 and y.size * width == outputs.size
    binary = whole and y is not None and width == 1 and y.size == outputs.size and bool(np.all((y == 0) | (y == 1)))
    probabilities = bool(np.all((outputs >= 0) & (outputs <= 1)))
    sums_to_one = width > 1 and probabilities and bool(np.allclose(outputs.sum(axis=-1), 1, atol=1e-3))
    if y is None:
        count = width if width > 1 else 0
    else:
        count = width if one_hot or sparse else 1 if binary and outputs.ndim > 1 else 0
    chosen = loss if loss is not None else getattr(model, "loss", None)
    if chosen is not None and not isinstance(chosen, dict | list | tuple):
        function = keras.losses.get(chosen)
    elif count > 1 and one_hot:
        function = keras.losses.CategoricalCrossentropy(from_logits=not sums_to_one)
    elif count > 1:
        function = keras.losses.SparseCategoricalCrossentropy(from_logits=not sums_to_one)
    elif count == 1:
        function = keras.losses.BinaryCrossentropy(from_logits=not probabilities)
    else:
        function = keras.losses.MeanSquaredError()
    return _Task(count, 0.5 if probabilities else 0.0, one_hot, function)


def _meter(keras: Any, metric: Any, task: _Task) -> Any:
    if isinstance(metric, keras.metrics.Metric):
        metric.reset_state()
        return metric
    name = metric if isinstance(metric, str) else ("accuracy" if task.count else "mean_squared_error")
    if name in ("accuracy", "acc"):
        if task.count == 1:
            return keras.metrics.BinaryAccuracy(name="accuracy", threshold=task.threshold)
        kind = keras.metrics.CategoricalAccuracy if task.one_hot else keras.metrics.SparseCategoricalAccuracy
        return kind(name="accuracy")
    found = keras.metrics.get(name)
    return found if isinstance(found, keras.metrics.Metric) else keras.metrics.MeanMetricWrapper(found, name=name)


def _direction(name: str) -> Direction:
    small = ("error", "loss", "entropy", "divergence", "poisson", "hinge", "false_")
    return "min" if any(word in name for word in small) or name in ("mse", "mae", "mape", "msle") else "max"


def _compiled(model: keras.Model) -> Callable[[Any], Any]:
    """The model's inference, traced once a batch size: the last batch may be smaller."""
    import tensorflow as tf

    function: Any = tf.function(lambda x: model(x, training=False))
    traced: dict[Any, Any] = {}

    def run(x: Any) -> Any:
        tensors = _map(tf.convert_to_tensor, x)
        flat = tf.nest.flatten(tensors)
        kind = tuple((tuple(t.shape), t.dtype) for t in flat)
        if kind not in traced:
            traced[kind] = function.get_concrete_function(tensors)
        return traced[kind](*flat)

    return run


def _cutter(part: slice) -> Callable[[Any], Array]:
    return lambda array: np.asarray(array[part])


def _leaves(tree: Any) -> Iterator[Any]:
    if isinstance(tree, dict):
        yield from tree.values()
    elif isinstance(tree, list | tuple):
        yield from tree
    else:
        yield tree


def _map(function: Callable[[Any], Any], tree: Any) -> Any:
    if isinstance(tree, dict):
        return {k: function(v) for k, v in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(function(v) for v in tree)
    return function(tree)


def _numpy(tree: Any) -> Any:
    return _map(np.asarray, tree)
