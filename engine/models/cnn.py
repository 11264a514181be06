"""Small convolutional networks of any size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras

from engine.models.parts import Builder, images
from engine.registry import register


@register("model", "cnn")
@dataclass(frozen=True)
class Cnn:
    """Blocks `conv_i`, `norm_i`, `activation_i`, `pool_i`; then `dense_i` and `output`."""

    filters: Sequence[int] = (32, 64)
    kernel_size: int = 3
    dense: Sequence[int] = ()
    activation: str = "relu"
    batch_norm: bool = True
    head: str = "flatten"
    dropout: float = 0.0

    def build(self, input_shape: Sequence[int], classes: int, seed: int) -> keras.Model:
        """The model for these examples."""
        images(input_shape, "cnn")
        make = Builder("cnn", input_shape, seed=seed, initializer="he_normal")
        x = make.input
        for i, filters in enumerate(self.filters, 1):
            x = make.conv(x, filters, f"conv_{i}", size=self.kernel_size, bias=not self.batch_norm)
            if self.batch_norm:
                x = make.norm(x, f"norm_{i}")
            x = make.pool(make.activate(x, f"activation_{i}", self.activation), f"pool_{i}")
        x = make.flat(x) if self.head == "flatten" else make.average(x)
        for i, units in enumerate(self.dense, 1):
            x = make.dense(make.drop(x, self.dropout, f"dropout_{i}"), units, f"dense_{i}", activation=self.activation)
        return make.end(make.drop(x, self.dropout, "dropout"), classes)
