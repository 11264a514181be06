"""VGG-11 for small images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras

from engine.models.vgg import vgg
from engine.registry import register

STAGES = ((64,), (128,), (256, 256), (512, 512), (512, 512))


@register("model", "vgg11")
@dataclass(frozen=True)
class Vgg11:
    """Eight convolutions (configuration A) and `output`."""

    width: float = 1.0
    dropout: float = 0.0

    def build(self, input_shape: Sequence[int], classes: int, seed: int) -> keras.Model:
        """The model for these images."""
        return vgg("vgg11", input_shape, classes, seed, stages=STAGES, width=self.width, dropout=self.dropout)
