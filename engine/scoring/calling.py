"""Calling a model with other weights, in another precision, watched: and nothing in the model changes.

Weights are put in through a `keras.StatelessScope`: what the layers read is a tensor of ours, in our dtype, and what
they would assign is dropped. So no variable is ever written, and float64 works on a float32 model. A layer's dtype
policy and `call` are replaced while a graph is traced, and put back at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
import tensorflow as tf

Hook = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]


def call(
    model: keras.Model,
    x: Any,
    *,
    values: Mapping[int, Any],
    dtype: str,
    hooks: Mapping[int, tuple[keras.Layer, Hook]] | None = None,
) -> Any:
    """The model's output in inference mode; to be used while a graph is traced.

    Args:
        model: a built model.
        x: inputs.
        values: tensors by `id` of the Keras variable; floating ones that are missing are read and cast.
        dtype: the floating dtype of the whole computation.
        hooks: by `id` of a layer, what is called instead of its `call`.
    """
    with ExitStack() as stack:
        layers = list(model._flatten_layers(include_self=True, recursive=True))
        for layer in layers:
            stack.enter_context(_precision(layer, dtype))
            stack.enter_context(_open_door(getattr(layer, "_functional", None) or layer, dtype))
        for layer, hook in (hooks or {}).values():
            stack.enter_context(_hooked(layer, hook))
        read = [(v, tf.cast(v.value, dtype)) for v in weights_of(model) if id(v) not in values and floating(v)]
        scope = stack.enter_context(keras.StatelessScope())
        for variable in weights_of(model):
            if id(variable) in values:
                scope.add_update((variable, values[id(variable)]))
        for variable, value in read:
            scope.add_update((variable, value))
        return model(x, training=False)


def weights_of(model: keras.Model) -> list[keras.Variable]:
    """All variables of a model, each once."""
    return list({id(v): v for v in model.variables}.values())


def floating(variable: Any) -> bool:
    """Whether a variable holds floating-point numbers."""
    return "float" in str(variable.dtype)


@contextmanager
def whole_moments() -> Iterator[None]:
    """While a graph is traced, `tf.nn.moments` (LayerNorm, GroupNorm) may be differentiated twice.

    TensorFlow's own stops the gradient from the variance through the mean. That is 0, but its derivative is not: GraSP
    of a Transformer would be wrong by some percent.
    """
    before = tf.nn.moments
    tf.nn.moments = _moments
    try:
        yield
    finally:
        tf.nn.moments = before


def _moments(x: Any, axes: Any, shift: Any = None, keepdims: bool = False, name: Any = None) -> Any:  # noqa: FBT001, FBT002
    mean = tf.reduce_mean(x, axes, keepdims=True)
    variance = tf.reduce_mean(tf.math.squared_difference(x, mean), axes, keepdims=True)
    return (mean, variance) if keepdims else (tf.squeeze(mean, axes), tf.squeeze(variance, axes))


@contextmanager
def _precision(layer: keras.Layer, dtype: str) -> Iterator[None]:
    policy = layer._dtype_policy
    compute = getattr(policy, "compute_dtype", None)
    if getattr(policy, "quantization_mode", None) is not None or compute == dtype or "float" not in str(compute):
        yield
        return
    layer.__dict__["_dtype_policy"] = keras.DTypePolicy(dtype)
    try:
        yield
    finally:
        layer.__dict__["_dtype_policy"] = policy


@contextmanager
def _open_door(layer: keras.Layer, dtype: str) -> Iterator[None]:
    # Nested models cast what comes in to the dtype of their input layer (Sequential) or of their drawing (functional).
    if isinstance(layer, keras.layers.InputLayer) and "float" in str(layer.__dict__.get("_dtype")):
        before = layer.__dict__["_dtype"]
        layer.__dict__["_dtype"] = dtype
        try:
            yield
        finally:
            layer.__dict__["_dtype"] = before
        return
    convert = getattr(layer, "_convert_inputs_to_tensors", None)
    if convert is None or "_convert_inputs_to_tensors" in layer.__dict__:
        yield
        return

    def kept(flat: list[Any]) -> list[Any]:
        return [x if tf.is_tensor(x) and x.dtype.is_floating else c for x, c in zip(flat, convert(flat), strict=True)]

    layer.__dict__["_convert_inputs_to_tensors"] = kept
    try:
        yield
    finally:
        del layer.__dict__["_convert_inputs_to_tensors"]


@contextmanager
def _hooked(layer: keras.Layer, hook: Hook) -> Iterator[None]:
    # Straight into __dict__: a Keras layer tracks what is set on it, and would remember the hook.
    before = layer.__dict__.get("call")
    original = layer.call
    layer.__dict__["call"] = lambda *args, **kwargs: hook(original, args, kwargs)
    try:
        yield
    finally:
        if before is None:
            del layer.__dict__["call"]
        else:
            layer.__dict__["call"] = before
