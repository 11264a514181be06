"""Augmentation of training images, as Keras layers beside the model, so that what is saved stays the bare network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import DataError

if TYPE_CHECKING:
    import keras

    from engine.data.dataset import Dataset


def augmentation(data: Dataset, *, seed: int = 0) -> keras.Layer | None:
    """The layer that flips and shifts a batch, `(n, height, width, channels)` in and out, or None if nothing is asked.

    Call it with `training=True`; it works inside a `tf.function`, but not under XLA (no kernel for image transforms).
    Shifts are by whole pixels, with zeros moving in: what cropping a padded image gives. Each random layer holds a
    `keras.random.SeedGenerator`, which may be set anew before each epoch.

    Raises:
        DataError: the examples are not images.
    """
    if not (data.flip or data.shift):
        return None
    import keras

    if len(data.input_shape) != 3:
        raise DataError(
            f"examples of shape {data.input_shape} cannot be flipped and shifted", where=f"data {data.name}"
        )
    height, width, _ = data.input_shape
    if data.shift >= min(height, width):
        raise DataError(
            f"a shift of {data.shift} pixels moves images of {height}x{width} away", where=f"data {data.name}"
        )
    layers: list[keras.Layer] = [keras.Input(data.input_shape)]
    if data.flip:
        layers.append(keras.layers.RandomFlip("horizontal", seed=seed, name="flip"))
    if data.shift:
        layers.append(
            keras.layers.RandomTranslation(
                data.shift / height,
                data.shift / width,
                fill_mode="constant",
                interpolation="nearest",
                seed=seed + 1,
                name="shift",
            )
        )
    return keras.Sequential(layers, name="augmentation")
