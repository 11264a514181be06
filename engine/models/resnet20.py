"""Residual networks for small images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from engine.models.parts import Builder, images, scaled
from engine.registry import register


@register("model", "resnet20")
@dataclass(frozen=True)
class Resnet20:
    """`conv_0`, then blocks `conv_S_B_1`, `conv_S_B_2` with `project_S_B` where the size changes, and `output`."""

    blocks: int = 3
    width: float = 1.0

    def build(self, input_shape: Sequence[int], classes: int, seed: int) -> keras.Model:
        """The model for these images."""
        images(input_shape, "resnet20")
        make = Builder("resnet20", input_shape, seed=seed, initializer="he_normal")
        x = make.norm(make.conv(make.input, scaled(16, self.width), "conv_0"), "norm_0")
        x = make.activate(x, "activation_0")
        for stage, filters in enumerate((16, 32, 64), 1):
            for block in range(1, self.blocks + 1):
                strides = 2 if stage > 1 and block == 1 else 1
                x = _block(make, x, scaled(filters, self.width), f"{stage}_{block}", strides=strides)
        return make.end(make.average(x), classes)


def _block(make: Builder, x: Any, filters: int, place: str, *, strides: int) -> Any:
    inside = make.norm(make.conv(x, filters, f"conv_{place}_1", strides=strides), f"norm_{place}_1")
    inside = make.activate(inside, f"activation_{place}_1")
    inside = make.norm(make.conv(inside, filters, f"conv_{place}_2"), f"norm_{place}_2")
    if strides != 1 or x.shape[-1] != filters:
        x = make.conv(x, filters, f"project_{place}", size=1, strides=strides)
        x = make.norm(x, f"norm_project_{place}")
    return make.activate(keras.layers.Add(name=f"add_{place}")([x, inside]), f"activation_{place}")
