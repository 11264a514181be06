"""LeNet-5 in the form that pruning papers use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras

from engine.models.parts import Builder, images
from engine.registry import register


@register("model", "lenet5")
@dataclass(frozen=True)
class Lenet5:
    """`conv_1` (20), `conv_2` (50), `dense_1` (500) and `output`, all with biases."""

    def build(self, input_shape: Sequence[int], classes: int, seed: int) -> keras.Model:
        """The model for these examples; `same` padding where images are too small for two valid 5x5 convolutions."""
        small = min(images(input_shape, "lenet5")[:2]) < 16
        make = Builder("lenet5", input_shape, seed=seed)
        x = make.input
        for i, filters in enumerate((20, 50), 1):
            padding = "same" if small else "valid"
            x = make.conv(x, filters, f"conv_{i}", size=5, bias=True, padding=padding, activation="relu")
            x = make.pool(x, f"pool_{i}")
        return make.end(make.dense(make.flat(x), 500, "dense_1", activation="relu"), classes)
