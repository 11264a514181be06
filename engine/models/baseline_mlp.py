"""The MLP of the baseline experiment (methods: weight magnitude and unit norm)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras

from engine.models.mlp import Mlp
from engine.registry import register


@register("model", "baseline_mlp")
@dataclass(frozen=True)
class BaselineMlp:
    """Dense layers `dense_1` to `dense_4` of 1000, 1000, 500 and 200 ReLU units and `output`, none with a bias."""

    def build(self, input_shape: Sequence[int], classes: int, seed: int) -> keras.Model:
        """The model for these examples."""
        return Mlp(hidden=(1000, 1000, 500, 200), bias=False).build(input_shape, classes, seed, name="baseline_mlp")
