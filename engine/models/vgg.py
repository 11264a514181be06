"""VGG for small images: convolutions of 3x3 with batch normalisation, pooling by 2 five times, one dense layer."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from engine.models.parts import Builder, images, scaled


def vgg(
    name: str,
    input_shape: Sequence[int],
    classes: int,
    seed: int,
    *,
    stages: Sequence[Sequence[int]],
    width: float,
    dropout: float,
) -> keras.Model:
    """A VGG with layers `conv_S_I`, `norm_S_I`, `activation_S_I`, `pool_S` and `output`.

    Args:
        name: the model's name.
        input_shape: (height, width, channels) of an image.
        classes: units of the last layer.
        seed: of the initial weights.
        stages: filters of each convolution; pooling follows each stage while there is something left to pool.
        width: multiplies the filters.
        dropout: before the last layer.
    """
    images(input_shape, name)
    make = Builder(name, input_shape, seed=seed, initializer="he_normal")
    x = make.input
    for s, stage in enumerate(stages, 1):
        for i, filters in enumerate(stage, 1):
            place = f"{s}_{i}"
            x = make.norm(make.conv(x, scaled(filters, width), f"conv_{place}"), f"norm_{place}")
            x = make.activate(x, f"activation_{place}")
        x = make.pool(x, f"pool_{s}")
    return make.end(make.drop(make.flat(x), dropout, "dropout"), classes)
