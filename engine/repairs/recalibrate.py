"""BatchNorm recalibration: the statistics of the pruned net's own activations, without labels or gradients.

Unit pruning changes what BatchNorm layers see, and their old means and variances then shift every channel: measured
so, unit pruning looks far worse than it is (adaptive batch normalisation; Li et al., "EagleEye", ECCV 2020).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.errors import DataError
from engine.keys import layer_keys
from engine.layout import parts
from engine.registry import register
from engine.repairs.inputs import count_rows, input_batches
from engine.repairs.listening import Call, replaced

if TYPE_CHECKING:
    import keras

Array = np.ndarray[Any, Any]
Heard = list[tuple[int, Any, Any, Any]]


@register("repair", "recalibrate")
@dataclass(frozen=True)
class Recalibrate:
    """Statistics over `batches` batches of `batch_size` unlabelled inputs."""

    batches: int = 20
    batch_size: int = 128


def recalibrate(model: keras.Model, data: Any, *, batches: int | None = None, batch_size: int = 128) -> tuple[str, ...]:
    """Takes every BatchNorm layer's moving mean and variance anew, in place; everything else stays as it is.

    Each layer normalises with the batch's own moments on the way (as in training; dropout stays off), and its
    statistics become the moments over all rows of all batches: `mean = E[m_b]`, `var = E[v_b + m_b^2] - mean^2`.

    Args:
        model: a built model of any kind that can be called.
        data: unlabelled inputs: an array, `(x, y)` (y is not looked at), a `tf.data.Dataset`, or an iterator
            over batches.
        batches: how many batches at most; None takes all.
        batch_size: rows a batch where the data is arrays. A shorter last batch is left out unless it is the only one.

    Returns:
        The keys of the layers that were recalibrated, () for a model without BatchNorm.

    Raises:
        DataError: there are no inputs, or the statistics are not finite (nothing is changed then).
    """
    import keras
    import tensorflow as tf

    named = {k: [p for p in parts(v) if isinstance(p, keras.layers.BatchNormalization)] for k, v in _layers(model)}
    norms = [norm for found in named.values() for norm in found]
    if not norms:
        return ()
    heard: Heard = []
    sums = [_Moments() for _ in norms]

    @tf.function(reduce_retracing=True)
    def forward(x: Any) -> Heard:
        heard.clear()
        model(x, training=False)
        return list(heard)

    first = None
    with replaced({norm: _batchwise(i, norm, heard) for i, norm in enumerate(norms)}):
        for batch in islice(input_batches(data, rows=batch_size), batches):
            rows = count_rows(batch)
            first = rows if first is None else first
            if rows < first and not hasattr(data, "element_spec"):
                break
            for i, mean, variance, count in forward(tf.nest.map_structure(tf.convert_to_tensor, batch)):
                sums[int(i)].add(mean.numpy(), variance.numpy(), float(count))
    if first is None:
        raise DataError("there are no inputs to recalibrate on")
    for key, total in ((k, sums[norms.index(n)]) for k, found in named.items() for n in found):
        if total.rows and not (np.isfinite(total.mean).all() and np.isfinite(total.variance).all()):
            raise DataError("the statistics are not finite", where=key, todo="Check the weights and the inputs")
    for norm, total in zip(norms, sums, strict=True):
        if total.rows:
            norm.moving_mean.assign(total.mean)
            norm.moving_variance.assign(total.variance)
    return tuple(k for k, found in named.items() if any(sums[norms.index(n)].rows for n in found))


@dataclasses.dataclass
class _Moments:
    rows: float = 0.0
    first: Any = 0.0
    second: Any = 0.0

    def add(self, mean: Array, variance: Array, rows: float) -> None:
        mean, variance = mean.astype(np.float64), variance.astype(np.float64)
        self.rows += rows
        self.first = self.first + rows * mean
        self.second = self.second + rows * (variance + mean**2)

    @property
    def mean(self) -> Array:
        return np.asarray(self.first / self.rows)

    @property
    def variance(self) -> Array:
        return np.asarray(np.maximum(self.second / self.rows - self.mean**2, 0.0))


def _layers(model: keras.Model) -> list[tuple[str, keras.Layer]]:
    return list(layer_keys(model).items())


def _batchwise(number: int, norm: Any, heard: Heard) -> Callable[[Call], Call]:
    """BatchNorm with the moments of its batch, which are noted, and without touching its variables."""
    from keras import ops

    def make(_: Call) -> Call:
        def call(inputs: Any, training: Any = None, mask: Any = None) -> Any:
            x = ops.cast(inputs, "float32") if str(inputs.dtype) in ("float16", "bfloat16") else inputs
            axis = norm.axis % len(x.shape)
            over = [a for a in range(len(x.shape)) if a != axis]
            weight = ops.ones_like(x[..., :1]) if mask is None else ops.cast(ops.expand_dims(mask, -1), x.dtype)
            if mask is None:
                mean, variance = ops.moments(x, axes=over)
                count = ops.cast(ops.size(x), "float32") / x.shape[axis]
            else:
                count = ops.sum(weight)
                mean = ops.sum(x * weight, axis=over) / count
                shape = [1 if a != axis else -1 for a in range(len(x.shape))]
                variance = ops.sum(weight * ops.square(x - ops.reshape(mean, shape)), axis=over) / count
            heard.append((number, mean, variance, count))
            made = ops.batch_normalization(
                x,
                mean,
                variance,
                axis=axis,
                offset=None if norm.beta is None else ops.cast(norm.beta, x.dtype),
                scale=None if norm.gamma is None else ops.cast(norm.gamma, x.dtype),
                epsilon=norm.epsilon,
            )
            return ops.cast(made, norm.compute_dtype)

        return call

    return make
