"""What all built-in models share: fixed layer names, and initial weights that depend on seed and name alone."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any

import keras


class Builder:
    """Strings layers together. Every layer is named by hand, so that keys are the same in every process.

    Args:
        name: the model's name.
        input_shape: of one example.
        seed: with a layer's name it gives that layer's initial weights and dropout.
        initializer: "glorot_uniform" or "he_normal", of every kernel but the last.
    """

    def __init__(
        self, name: str, input_shape: Sequence[int], *, seed: int, initializer: str = "glorot_uniform"
    ) -> None:
        self.name, self.seed, self.initializer = name, seed, initializer
        self.input = keras.Input(tuple(input_shape), name="input")

    def dense(self, x: Any, units: int, name: str, *, activation: str | None = None, bias: bool = True) -> Any:
        """A dense layer."""
        start = self._start(name)
        return keras.layers.Dense(units, activation=activation, use_bias=bias, kernel_initializer=start, name=name)(x)

    def conv(
        self, x: Any, filters: int, name: str, *, size: int = 3, strides: int = 1, bias: bool = False, **kw: Any
    ) -> Any:
        """A convolution, `same` padding unless said otherwise."""
        return keras.layers.Conv2D(
            filters,
            size,
            strides=strides,
            use_bias=bias,
            kernel_initializer=self._start(name),
            name=name,
            **{"padding": "same", **kw},
        )(x)

    def depthwise(self, x: Any, name: str, *, strides: int = 1) -> Any:
        """A 3x3 depthwise convolution without bias."""
        start = self._start(name)
        return keras.layers.DepthwiseConv2D(
            3, strides=strides, padding="same", use_bias=False, depthwise_initializer=start, name=name
        )(x)

    def norm(self, x: Any, name: str) -> Any:
        """Batch normalisation."""
        return keras.layers.BatchNormalization(name=name)(x)

    def activate(self, x: Any, name: str, activation: str = "relu") -> Any:
        """An activation as a layer of its own."""
        return keras.layers.Activation(activation, name=name)(x)

    def pool(self, x: Any, name: str) -> Any:
        """Max pooling by 2, where there is something left to pool."""
        return keras.layers.MaxPooling2D(2, name=name)(x) if min(x.shape[1:3]) >= 2 else x

    def flat(self, x: Any) -> Any:
        """Vectors from whatever comes."""
        return x if len(x.shape) == 2 else keras.layers.Flatten(name="flatten")(x)

    def average(self, x: Any) -> Any:
        """Vectors from images: the mean over positions."""
        return keras.layers.GlobalAveragePooling2D(name="average")(x)

    def drop(self, x: Any, rate: float, name: str) -> Any:
        """Dropout, where there is any."""
        return keras.layers.Dropout(rate, seed=self._seed(name), name=name)(x) if rate else x

    def end(self, x: Any, outputs: int, *, bias: bool = True) -> keras.Model:
        """The model, with a last linear layer `output`: logits, in float32 under mixed precision, too."""
        start = keras.initializers.GlorotUniform(seed=self._seed("output"))
        last = keras.layers.Dense(outputs, use_bias=bias, kernel_initializer=start, dtype="float32", name="output")
        return keras.Model(self.input, last(x), name=self.name)

    def _start(self, name: str) -> Any:
        cls = {"glorot_uniform": keras.initializers.GlorotUniform, "he_normal": keras.initializers.HeNormal}
        return cls[self.initializer](seed=self._seed(name))

    def _seed(self, name: str) -> int:
        text = f"{self.seed}/{name}"
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "little") >> 1


def scaled(filters: int, width: float) -> int:
    """A number of filters times a width, at least 1; halves go up."""
    return max(1, math.floor(filters * width + 0.5))


def images(input_shape: Sequence[int], model: str) -> tuple[int, int, int]:
    """The shape as (height, width, channels).

    Raises:
        ModelError: the examples are not images.
    """
    from engine.errors import ModelError

    if len(input_shape) != 3:
        raise ModelError(
            f"examples of shape {tuple(input_shape)} are not images (height, width, channels)",
            where=f"model {model}",
            todo="Use model: mlp for other data",
        )
    height, width, channels = input_shape
    return height, width, channels
