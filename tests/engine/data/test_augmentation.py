from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import engine.data
from engine.data.augmentation import augmentation
from engine.errors import DataError


def test_nothing_asked_is_nothing() -> None:
    assert augmentation(engine.data.load("digits")) is None


def test_flips_and_whole_pixel_shifts() -> None:
    data = engine.data.load("digits", flip=True, shift=2)
    layer = augmentation(data, seed=1)
    assert layer is not None
    x = np.zeros((64, 8, 8, 1), np.float32)
    x[:, 3, 2] = 1.0
    run: Any = tf.function(lambda a: layer(a, training=True))
    out = run(x).numpy()
    places = {tuple(int(n) for n in np.argwhere(image[..., 0] == 1)[0]) for image in out}
    assert set(np.unique(out)) == {0.0, 1.0}  # no blur
    rows, columns = {r for r, _ in places}, {c for _, c in places}
    assert rows == {1, 2, 3, 4, 5}
    assert columns == {0, 1, 2, 3, 4} | {3, 4, 5, 6, 7}
    np.testing.assert_array_equal(layer(x, training=False), x)


def test_the_seed_decides() -> None:
    data = engine.data.load("digits", flip=True, shift=1)
    x = data.x_train[:16]
    one, same, other = (augmentation(data, seed=s)(x, training=True) for s in (1, 1, 2))  # type: ignore[misc]
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_an_epoch_can_be_done_again_by_setting_the_state() -> None:
    data = engine.data.load("digits", flip=True, shift=1)
    layer: Any = augmentation(data)
    x, seen = data.x_train[:16], []
    for _ in range(2):
        for part in layer._flatten_layers():
            for generator in getattr(part, "_seed_generators", ()):
                generator.state.assign(np.array([7, 0], dtype=generator.state.dtype))
        seen.append(layer(x, training=True).numpy())
    np.testing.assert_array_equal(*seen)


def test_what_cannot_be_augmented_is_said(tmp_path: Any) -> None:
    np.savez(tmp_path / "t.npz", x=np.zeros((10, 3)), y=np.arange(10) % 2)
    with pytest.raises(DataError, match="only images"):
        engine.data.load("npz", npz=str(tmp_path / "t.npz"), flip=True)
    with pytest.raises(DataError, match="moves images"):
        augmentation(engine.data.load("digits", shift=8))
