"""LeNet-300-100."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras

from engine.models.mlp import Mlp
from engine.registry import register


@register("model", "lenet_300_100")
@dataclass(frozen=True)
class Lenet300100:
    """Dense layers `dense_1` (300), `dense_2` (100) and `output`."""

    def build(self, input_shape: Sequence[int], classes: int, seed: int) -> keras.Model:
        """The model for these examples."""
        return Mlp().build(input_shape, classes, seed, name="lenet_300_100")
