"""Layers that take up a mixture of what they read: with two units alike, one of them must go without a trace."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
from keras import layers

from engine.interpolation.compressing import compress

RNG = np.random.default_rng(7)

# What makes 8 units from five steps of 4 values, and what reads them.
READERS: dict[str, tuple[Callable[[], keras.Layer], Callable[[], keras.Layer]]] = {
    kind: (lambda: layers.Dense(8, activation="relu"), make)
    for kind, make in {
        "SimpleRNN": lambda: layers.SimpleRNN(6),
        "GRU": lambda: layers.GRU(6),
        "LSTM": lambda: layers.LSTM(6, return_sequences=True),
        "both directions": lambda: layers.Bidirectional(layers.LSTM(6)),
        "both directions, summed": lambda: layers.Bidirectional(layers.GRU(6), merge_mode="sum"),
        "Dense at every step": lambda: layers.TimeDistributed(layers.Dense(6)),
        "Conv1D": lambda: layers.Conv1D(6, 3),
        "EinsumDense": lambda: layers.EinsumDense("abc,cd->abd", (5, 6)),
        "EinsumDense over steps too": lambda: layers.EinsumDense("abc,bcd->ad", 6),
        "EinsumDense with steps apart": lambda: layers.EinsumDense("abc,bcd->abd", (5, 6)),
    }.items()
}
READERS["EinsumDense, an axis in the middle"] = (
    lambda: layers.EinsumDense("abc,cde->abde", (5, 8, 3), activation="relu"),
    lambda: layers.EinsumDense("abde,def->abf", (5, 6)),
)
READERS["Conv1D over windows"] = (
    lambda: layers.EinsumDense("abc,cde->abde", (5, 6, 8), activation="relu"),
    lambda: layers.TimeDistributed(layers.Conv1D(5, 2)),
)


@pytest.mark.parametrize("batch_size", [None, 16])
@pytest.mark.parametrize("kind", READERS)
def test_a_reader_takes_up_the_mixture(kind, batch_size):
    maker, reader = (make() for make in READERS[kind])
    i = keras.Input((5, 4))
    y = layers.Dense(2, name="out")(layers.Flatten()(reader(maker(i))))
    model = keras.Model(i, y)
    for v in model.weights:
        v.assign(RNG.uniform(-0.5, 0.75, v.shape))
    spaces = compress(model, RNG.normal(size=(8, 5, 4)), epsilon=0.0).sizes
    made_by = next(key for key, (units, _) in spaces.items() if units == 8)
    for v in maker.weights:  # units 1 and 4 become the same
        value = v.numpy()
        axis = value.shape.index(8)
        np.moveaxis(value, axis, -1)[..., 4] = np.moveaxis(value, axis, -1)[..., 1]
        v.assign(value)
    x, held_out = (RNG.normal(size=(n, 5, 4)).astype(np.float32) for n in (40, 10))
    before = model(held_out).numpy()
    made = compress(model, x, keep={made_by: [0, 1, 2, 3, 5, 6, 7]}, batch_size=batch_size)
    assert made.sizes[made_by] == (8, 7)
    assert not made.skipped
    assert made.fits[0].reader.partition("/")[0] == reader.name
    assert np.abs(made.model(held_out).numpy() - before).max() <= 2e-5 * np.abs(before).max()
    assert np.array_equal(model(held_out), before)
