"""The size of what each input channel of a kernel receives: sums of squares over samples and positions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from engine.keys import layer_keys
from engine.layout import Kernel, kernel_name
from engine.scoring.watching import Watch

_GROUPED = ("Conv1D", "Conv2D", "Conv3D")


def watched_layers(model: keras.Model, kernels: Mapping[str, Kernel]) -> list[keras.Layer]:
    """The layers whose input tells what their kernels receive."""
    outer = layer_keys(model)
    found = [outer[k.layer_key] if _cell(k) else k.layer for k in kernels.values()]
    return list({id(layer): layer for layer in found}.values())


def square_sums(model: keras.Model, kernels: Mapping[str, Kernel], watches: Mapping[int, Watch]) -> dict[str, Any]:
    """By kernel key, a tensor that broadcasts to the kernel; kernels whose input cannot be seen are missing."""
    outer = layer_keys(model)
    found: dict[str, Any] = {}
    for key, kernel in kernels.items():
        watch = watches[id(outer[kernel.layer_key] if _cell(kernel) else kernel.layer)]
        sums = [s for x in watch.inputs if (s := _one(kernel, x)) is not None]
        if sums and not watch.inside:
            found[key] = tf.add_n(sums)
    return found


def _one(kernel: Kernel, x: Any) -> Any:
    """The sum of squares of one call's input, shaped to broadcast to the kernel, or None."""
    layer, shape, name = kernel.layer, kernel.shape, kernel_name(kernel.layer, kernel.variable)
    if name in ("recurrent_kernel", "pointwise_kernel"):
        return None  # what these receive is made inside the layer
    if name == "embeddings":
        # An index is a one-hot input: the square of its norm is how often it came.
        counts = tf.math.bincount(tf.cast(tf.reshape(x, [-1]), tf.int32), minlength=shape[0], maxlength=shape[0])
        return tf.cast(counts, tf.float32)[:, None]
    if type(layer).__name__ == "EinsumDense":
        return _einsum(layer.equation, x, shape)
    axis = 1 if getattr(layer, "data_format", None) == "channels_first" else -1
    squares = tf.square(tf.cast(x, tf.float32))
    channels = tf.reduce_sum(squares, axis=[a for a in range(len(x.shape)) if a != axis % len(x.shape)])
    if kernel.layout.input_axis is None:
        return tf.reshape(channels, [1] * (len(shape) - 2) + [-1, 1]) if channels.shape[0] == shape[-2] else None
    groups = getattr(layer, "groups", 1) if type(layer).__name__ in _GROUPED else 1
    if channels.shape[0] != shape[kernel.layout.input_axis] * groups:
        return None
    if groups > 1:  # output o belongs to group o // (outputs / groups)
        spread = tf.repeat(tf.reshape(channels, [groups, -1]), shape[-1] // groups, axis=0)
        return tf.reshape(tf.transpose(spread), [1] * (len(shape) - 2) + [shape[-2], shape[-1]])
    place = [1] * len(shape)
    place[kernel.layout.input_axis] = -1
    return tf.reshape(channels, place)


def _einsum(equation: str, x: Any, shape: tuple[int, ...]) -> Any:
    inputs, rest = equation.replace(" ", "").split(",")
    kernel, output = rest.split("->")
    if len(kernel) != len(shape):
        return None
    if "..." in inputs:
        spare = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in equation]
        inputs = inputs.replace("...", "".join(spare[: len(x.shape) - len(inputs) + 3]))
    contracted = [c for c in kernel if c in inputs and c not in output]
    if not contracted or len(inputs) != len(x.shape):
        return None
    sums = tf.einsum(f"{inputs}->{''.join(contracted)}", tf.square(tf.cast(x, tf.float32)))
    return tf.reshape(sums, [n if c in contracted else 1 for c, n in zip(kernel, shape, strict=True)])


def _cell(kernel: Kernel) -> bool:
    return type(kernel.layer).__name__.endswith("Cell")
