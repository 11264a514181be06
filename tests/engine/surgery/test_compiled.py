"""Compiled state goes along: optimizer slots of the variable's own shape, losses, metrics."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from engine.surgery import remove

L = keras.layers
X = np.random.default_rng(0).normal(size=(16, 6, 6, 2)).astype("float32")
Y = np.arange(16) % 3


def network():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            L.Conv2D(4, 3, name="a"),
            L.BatchNormalization(name="n"),
            L.ReLU(),
            L.Flatten(),
            L.Dense(5, activation="relu", name="b"),
            L.Dense(3, activation="softmax", name="out"),
        ]
    )


OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.1, momentum=0.9),
    "adam": lambda: keras.optimizers.Adam(0.01, amsgrad=True),
    "adamw": lambda: keras.optimizers.AdamW(0.01, use_ema=True),
    "rmsprop": lambda: keras.optimizers.RMSprop(0.01, momentum=0.5, centered=True),
    "nadam": lambda: keras.optimizers.Nadam(0.01),
    "scaled": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01)),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_slots_keep_their_values(name):
    model = network()
    model.compile(OPTIMIZERS[name](), "sparse_categorical_crossentropy", metrics=["accuracy"], run_eagerly=True)
    model.fit(X, Y, batch_size=8, epochs=1, verbose=0)
    done = remove(model, {"a": [1], "b": [0, 3]})
    old, new = model.optimizer, done.model.optimizer
    old, new = (getattr(o, "inner_optimizer", o) for o in (old, new))
    assert done.report.notes == ()
    assert int(new.iterations) == 2
    kept = [0, 2, 3]
    rows = np.concatenate([np.arange(16)[:, None] * 4 + np.array(kept)]).ravel()
    checked = 0
    for before, after in zip(old.variables, new.variables, strict=True):
        value = before.numpy()
        if value.shape == (3, 3, 2, 4):
            want = value[..., kept]
        elif value.shape == (64, 5):
            want = value[rows][:, [1, 2, 4]]
        elif value.shape == (5, 3):
            want = value[[1, 2, 4]]
        elif value.shape in {(4,), (5,)}:
            want = value[kept if len(value) == 4 else [1, 2, 4]]
        else:
            want = value
        assert np.array_equal(after.numpy(), want), before.path
        checked += value.ndim > 0
    assert checked >= 6
    done.model.train_on_batch(X[:4], Y[:4])
    assert done.model.metrics_names == model.metrics_names


def test_slots_of_other_shapes_start_anew_and_the_report_says_so():
    model = network()
    model.compile(keras.optimizers.Adafactor(0.01), "sparse_categorical_crossentropy", run_eagerly=True)
    model.fit(X, Y, batch_size=8, epochs=1, verbose=0)
    done = remove(model, {"a": [1]})
    assert any("start anew" in note for note in done.report.notes)


def test_a_loss_that_keras_cannot_write_down_is_shared():
    model = network()
    model.compile("sgd", lambda y, p: 2 * keras.losses.sparse_categorical_crossentropy(y, p), run_eagerly=True)
    model.fit(X, Y, batch_size=8, epochs=1, verbose=0)
    done = remove(model, {"a": [1]})
    done.model.train_on_batch(X[:4], Y[:4])


def test_an_uncompiled_model_stays_uncompiled():
    assert not remove(network(), {"a": [1]}).model.compiled
