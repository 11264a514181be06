"""What a model answers on data: loss, the main metric, predicted classes, in one compiled pass."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.errors import DataError, UnknownName
from engine.events import Number, number
from engine.heads import Final, final_of
from engine.measurement.judging import Judge, judge
from engine.measurement.values import Direction, Value

if TYPE_CHECKING:
    import keras

Array = np.ndarray[Any, Any]
ROWS = 256
_MOST_SHAPES = 8
"""Batches of so many shapes get a trace each; for more, one trace with sizes left open is made."""


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
    loss: Number | None
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
        DataError: when it is none of these, is not batched, has no end, or x and y differ in length.
    """
    if hasattr(data, "element_spec"):
        if int(data.cardinality()) == -1:  # tf.data.INFINITE_CARDINALITY
            raise DataError("the dataset has no end", todo="Give it one: dataset.take(batches)")
        for element in data:
            parts = element if isinstance(element, tuple) else (element,)
            if any(len(part.shape) == 0 for part in _leaves(parts[-1]) if hasattr(part, "shape")):
                raise DataError("the dataset is not batched", todo="Pass dataset.batch(64)")
            yield _numpy(parts[0]), _numpy(parts[1]) if len(parts) > 1 else None
        return
    if not isinstance(data, tuple | list | dict) and hasattr(data, "__getitem__") and not hasattr(data, "shape"):
        for i in range(len(data)):  # a keras.utils.PyDataset
            one: Any = data[i]
            element = one if isinstance(one, tuple) else (one,)
            yield _numpy(element[0]), _numpy(element[1]) if len(element) > 1 else None
        return
    if not isinstance(data, tuple) or not 1 <= len(data) <= 3:
        raise DataError(
            "data is neither (x, y) arrays nor a tf.data.Dataset", todo="Pass engine.measure(model, (x, y))"
        )
    x, y = (_plain(part) for part in (data[0], data[1] if len(data) > 1 else None))
    counts = [len(a) for part in (x, y) if part is not None for a in _leaves(part)]
    count = counts[0]
    if len(set(counts)) > 1:
        raise DataError(f"x and y differ in length: {', '.join(map(str, counts))} rows", todo="Give a row an example")
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

    forward = _Forward(model)
    task: Judge | None = None
    meter: Any = None
    predicted: list[Array] = []
    labels: list[Array] = []
    total, total_loss, hits = 0, 0.0, 0
    skipped: list[str] = []
    for x, y in batches(data):
        out = forward(x)
        rows = len(next(iter(_leaves(x))))
        total += rows
        if len(out) != 1:
            if not skipped:
                skipped.append("metrics: the model has several outputs; metrics are taken for one output only")
            continue
        values = _as_rows(out[0])
        if task is None:
            task = judge(model, forward.final, values, y, loss, whole=functools.partial(_all_labels, data))
            if y is not None:
                meter = _meter(keras, metric, task)
        classes = task.classes(values)
        if classes is not None:
            predicted.append(classes)
        if y is None:
            continue
        truth = task.truth(y, values)
        if truth is not None and classes is not None:
            labels.append(truth.reshape(classes.shape))
            if task.count >= 10:
                best = np.argpartition(values, -5, axis=-1)[..., -5:]
                hits += int((best == truth.reshape(classes.shape)[..., None]).any(axis=-1).sum())
        if meter is not None:
            meter.update_state(task.fitted(y, values), values)
        total_loss += float(np.mean(task.loss(task.fitted(y, values), values))) * rows
    if total == 0:
        raise DataError("the data holds no example")
    if task is None:
        return Answers(None, None, None, None, None, total, tuple(skipped))
    truth_all, classes_all = _together(labels), _together(predicted)
    value = None
    if metric in (None, "accuracy", "acc") and classes_all is not None and truth_all is not None:
        value = Value(name="accuracy", direction="max", value=number(float(np.mean(classes_all == truth_all))))
    elif meter is not None:
        value = Value(
            name=str(meter.name),
            direction=direction or _direction(str(meter.name)),
            value=number(float(np.asarray(meter.result()))),
        )
    has_labels = meter is not None
    return Answers(
        metric=value,
        loss=number(total_loss / total) if has_labels else None,
        top5=hits / truth_all.size if truth_all is not None and task.count >= 10 else None,
        predicted=classes_all,
        labels=truth_all,
        samples=total,
        skipped=tuple(skipped),
    )


def _meter(keras: Any, metric: Any, task: Judge) -> Any:
    if isinstance(metric, keras.metrics.Metric):
        metric.reset_state()
        return metric
    name = metric if isinstance(metric, str) else task.metric
    if name in ("accuracy", "acc"):
        if task.count == 1:
            return keras.metrics.BinaryAccuracy(name="accuracy", threshold=task.threshold)
        kind = keras.metrics.CategoricalAccuracy if task.one_hot else keras.metrics.SparseCategoricalAccuracy
        return kind(name="accuracy")
    try:
        found = keras.metrics.get(name)
    except ValueError:
        known = [n for n in dir(keras.metrics) if n.islower() and not n.startswith("_")]
        raise UnknownName("metric", str(name), ["accuracy", *known]) from None
    return found if isinstance(found, keras.metrics.Metric) else keras.metrics.MeanMetricWrapper(found, name=name)


def _direction(name: str) -> Direction:
    small = ("error", "loss", "entropy", "divergence", "poisson", "hinge", "false_")
    return "min" if any(word in name for word in small) or name in ("mse", "mae", "mape", "msle") else "max"


class _Forward:
    """The model's inference, traced once for each shape of batch (the last may be smaller).

    Attributes:
        final: the activation that the first output ends in, once it was called.
    """

    def __init__(self, model: keras.Model) -> None:
        import tensorflow as tf

        self._function: Any = tf.function(lambda x: model(x, training=False), reduce_retracing=True)
        self._traced: dict[Any, Any] = {}
        self.final: Final = "linear"

    def __call__(self, x: Any) -> list[Array]:
        """The outputs, 16-bit floats widened."""
        import tensorflow as tf

        tensors = _map(tf.convert_to_tensor, x)
        flat = tf.nest.flatten(tensors)
        kind = tuple((tuple(t.shape), t.dtype) for t in flat)
        try:
            if kind not in self._traced and len(self._traced) < _MOST_SHAPES:
                self._traced[kind] = self._function.get_concrete_function(tensors)
                self.final = final_of(self._traced[kind].graph.outputs[0])
            out = self._traced[kind](*flat) if kind in self._traced else self._function(tensors)
        except Exception as error:  # Keras and TensorFlow raise anything for inputs that a model is not made for
            said = _said(error)
            shapes = ", ".join(f"{tuple(t.shape)} {t.dtype.name}" for t in flat)
            raise DataError(
                f"the model does not take this data ({shapes}): {said}",
                todo="Give x as the model was trained on it; a tf.data.Dataset has to be batched",
            ) from error
        return [_wide(t.numpy()) for t in tf.nest.flatten(out)]


def _said(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    found = re.search(r"^\s*\w+Error: (.+)$", text, re.MULTILINE) if text.startswith("in user code") else None
    return found[1] if found else text.splitlines()[0]


def _plain(part: Any) -> Any:
    """Plain lists of numbers as an array; lists of arrays are several inputs, and stay."""
    several = isinstance(part, list | tuple) and all(hasattr(p, "shape") for p in part)
    return np.asarray(part) if isinstance(part, list | tuple) and not several else part


def _wide(array: Array) -> Array:
    narrow = array.dtype.itemsize < 4 and array.dtype.kind not in "iub"
    return array.astype("float32") if narrow else array


def _as_rows(outputs: Array) -> Array:
    return outputs[:, None] if outputs.ndim == 1 else outputs


def _together(parts: list[Array]) -> Array | None:
    if not parts:
        return None
    if len({p.shape[1:] for p in parts}) > 1:  # sequences of another length in each batch
        parts = [p.reshape(-1) for p in parts]
    return np.concatenate(parts)


def _all_labels(data: Any) -> Iterator[Array]:
    return (np.asarray(y) for _, y in batches(data) if y is not None)


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
