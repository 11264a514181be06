"""A MobileNet for small images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras

from engine.models.parts import Builder, images, scaled
from engine.registry import register

# Filters and strides of the separable blocks.
BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (256, 1))


@register("model", "mobilenet_small")
@dataclass(frozen=True)
class MobilenetSmall:
    """`conv_0`, then blocks `depthwise_I` and `pointwise_I`, and `output`."""

    width: float = 1.0
    dropout: float = 0.0

    def build(self, input_shape: Sequence[int], classes: int, seed: int) -> keras.Model:
        """The model for these images."""
        images(input_shape, "mobilenet_small")
        make = Builder("mobilenet_small", input_shape, seed=seed, initializer="he_normal")
        x = make.norm(make.conv(make.input, scaled(32, self.width), "conv_0"), "norm_0")
        x = make.activate(x, "activation_0")
        for i, (filters, strides) in enumerate(BLOCKS, 1):
            x = make.norm(make.depthwise(x, f"depthwise_{i}", strides=strides), f"norm_depthwise_{i}")
            x = make.activate(x, f"activation_depthwise_{i}")
            x = make.norm(make.conv(x, scaled(filters, self.width), f"pointwise_{i}", size=1), f"norm_pointwise_{i}")
            x = make.activate(x, f"activation_pointwise_{i}")
        return make.end(make.drop(make.average(x), self.dropout, "dropout"), classes)
