"""Recalibration gives BatchNorm the moments of what it sees, and touches nothing else."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from engine.errors import DataError
from engine.repairs.inputs import input_batches
from engine.repairs.recalibrate import recalibrate


def norms_of(model):
    return [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(3.0, 2.0, (64, 5)).astype(np.float32)


def test_one_layer_gets_the_moments_of_all_rows(x):
    model = keras.Sequential([keras.Input((5,)), keras.layers.BatchNormalization(name="bn")])
    assert recalibrate(model, x, batch_size=16) == ("bn",)
    assert np.allclose(model.layers[0].moving_mean.numpy(), x.mean(0), atol=1e-5)
    assert np.allclose(model.layers[0].moving_variance.numpy(), x.var(0), rtol=1e-5)


def test_each_layer_sees_normalised_inputs_below_it():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3, name="c1"),
            keras.layers.BatchNormalization(name="b1"),
            keras.layers.ReLU(),
            keras.layers.Dropout(0.5),
            keras.layers.Conv2D(6, 3, strides=2, name="c2"),
            keras.layers.BatchNormalization(name="b2"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3),
        ]
    )
    x = np.random.default_rng(1).normal(size=(40, 8, 8, 3)).astype(np.float32)
    kept = [w.numpy() for layer in model.layers for w in layer.trainable_variables]
    recalibrate(model, x, batch_size=40)
    # One batch: the statistics are those that the layer has in inference mode on the same batch.
    for norm in norms_of(model):
        seen = keras.Model(model.inputs[0], norm.input)(x, training=False).numpy()
        assert np.allclose(norm.moving_mean.numpy(), seen.mean((0, 1, 2)), atol=1e-5)
        assert np.allclose(norm.moving_variance.numpy(), seen.var((0, 1, 2)), rtol=1e-3)
    assert all(np.array_equal(a, b) for a, b in zip(kept, [w.numpy() for w in model.trainable_variables], strict=True))
    assert all("call" not in layer.__dict__ for layer in model.layers)


def test_nested_and_frozen_layers_and_datasets(x):
    inner = keras.Sequential([keras.Input((5,)), keras.layers.BatchNormalization(name="deep")], name="inner")
    inner.trainable = False
    model = keras.Sequential([keras.Input((5,)), inner, keras.layers.Dense(2)])
    data = tf.data.Dataset.from_tensor_slices((x, np.zeros(64))).batch(32)
    assert recalibrate(model, data) == ("deep",)
    assert np.allclose(inner.layers[0].moving_mean.numpy(), x.mean(0), atol=1e-5)
    before = inner.layers[0].moving_mean.numpy()
    recalibrate(model, (x, None), batch_size=32, batches=1)
    assert np.allclose(inner.layers[0].moving_mean.numpy(), x[:32].mean(0), atol=1e-5)
    assert not np.allclose(before, inner.layers[0].moving_mean.numpy())


def test_without_batchnorm_there_is_nothing_to_do(x):
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(2)])
    assert recalibrate(model, x) == ()


def test_bad_inputs_are_said_and_change_nothing(x):
    model = keras.Sequential([keras.Input((5,)), keras.layers.BatchNormalization(name="bn")])
    with pytest.raises(DataError, match="not finite"):
        recalibrate(model, np.full((4, 5), np.nan, np.float32))
    assert np.array_equal(model.layers[0].moving_mean.numpy(), np.zeros(5))
    with pytest.raises(DataError, match="no rows"):
        recalibrate(model, x[:0])
    with pytest.raises(DataError, match="inputs are needed"):
        recalibrate(model, "x.npy")


def test_batches_of_several_inputs():
    x = {"a": np.arange(5), "b": np.arange(10).reshape(5, 2)}
    cut = list(input_batches((x, None), rows=2))
    assert [b["a"].tolist() for b in cut] == [[0, 1], [2, 3], [4]]
    assert [len(b["b"]) for b in cut] == [2, 2, 1]
    assert list(input_batches(iter([1, 2]), rows=7)) == [1, 2]
    with pytest.raises(DataError, match="different numbers"):
        list(input_batches([np.zeros(2), np.zeros(3)], rows=2))
