"""VGG-16 for small images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras

from engine.models.vgg import vgg
from engine.registry import register

STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


@register("model", "vgg16")
@dataclass(frozen=True)
class Vgg16:
    """Thirteen convolutions (configuration D) and `output`."""

    width: float = 1.0
    dropout: float = 0.0

    def build(self, input_shape: Sequence[int], classes: int, seed: int) -> keras.Model:
        """The model for these images."""
        return vgg("vgg16", input_shape, classes, seed, stages=STAGES, width=self.width, dropout=self.dropout)
