"""Multilayer perceptrons of any size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras

from engine.models.parts import Builder
from engine.registry import register


@register("model", "mlp")
@dataclass(frozen=True)
class Mlp:
    """Dense layers `dense_1`, `dense_2`, ... and `output`."""

    hidden: Sequence[int] = (300, 100)
    activation: str = "relu"
    bias: bool = True
    batch_norm: bool = False
    dropout: float = 0.0

    def build(self, input_shape: Sequence[int], classes: int, seed: int, *, name: str = "mlp") -> keras.Model:
        """The model for these examples."""
        make = Builder(name, input_shape, seed=seed)
        x = make.flat(make.input)
        for i, units in enumerate(self.hidden, 1):
            if self.batch_norm:
                x = make.norm(make.dense(x, units, f"dense_{i}", bias=self.bias), f"norm_{i}")
                x = make.activate(x, f"activation_{i}", self.activation)
            else:
                x = make.dense(x, units, f"dense_{i}", activation=self.activation, bias=self.bias)
            x = make.drop(x, self.dropout, f"dropout_{i}")
        return make.end(x, classes, bias=self.bias)
