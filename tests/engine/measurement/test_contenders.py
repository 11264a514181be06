"""All runtimes give the same answers; those that cannot say why."""

from __future__ import annotations

from typing import get_args

import keras
import numpy as np
import pytest

from engine.errors import ModelError, UnknownName
from engine.measurement import runtimes
from engine.measurement.chain import chain, numpy_dense, scipy_csr, tf_sparse
from engine.measurement.contenders import RUNTIMES
from engine.recipe import RuntimeName


def mlp() -> keras.Model:
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((4, 5)),
            keras.layers.Flatten(),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(8, use_bias=False),
            keras.layers.Activation("tanh"),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    for weight in model.weights:
        weight.assign(np.random.default_rng(1).standard_normal(weight.shape) * (weight.numpy() > 0))
    return model


@pytest.mark.parametrize("how", [numpy_dense, scipy_csr, tf_sparse])
def test_matrices_answer_as_the_model(how):
    model = mlp()
    x = np.random.default_rng(0).standard_normal((6, 4, 5)).astype("f4")
    np.testing.assert_allclose(how(chain(model))(x), model(x), atol=1e-5)


def test_what_is_no_chain_is_said():
    inputs = keras.Input((4,))
    fork = keras.Model(inputs, keras.layers.Add()([keras.layers.Dense(4)(inputs), inputs]))
    with pytest.raises(ModelError, match=r"no fully connected layer|not in a row"):
        chain(fork)
    with pytest.raises(ModelError, match="no fully connected layer"):
        chain(keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Conv2D(1, 2)]))
    with pytest.raises(ModelError, match="gelu"):
        chain(keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, activation="gelu")]))


def test_the_table():
    rows = {row.name: row for row in runtimes(mlp(), batch_size=3, repeats=5, seconds=0.02)}
    assert next(iter(rows)) == "tensorflow"
    for name in ("tensorflow", "tensorflow_xla", "tensorflow_sparse", "numpy", "scipy", "litert", "litert_2"):
        row = rows[name]
        assert row.missing == ""
        assert row.latency is not None
        assert row.latency.batch_size == 3
        assert row.difference is not None
        assert row.difference < 1e-5
    assert rows["tensorflow"].latency.speedup is None
    assert rows["scipy"].latency.speedup > 0
    assert rows["litert_2"].threads == 2
    assert rows["litert"].bytes > 0


def test_what_does_not_run_says_why():
    model = keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Conv2D(2, 3)])
    rows = runtimes(model, only=["scipy"], repeats=3)
    assert [row.name for row in rows] == ["tensorflow", "scipy"]
    assert "no fully connected layer" in rows[1].missing
    assert rows[1].latency is None


def test_the_names_of_recipes_are_those_that_are_there():
    assert set(get_args(RuntimeName)) == {"all", *RUNTIMES}
    with pytest.raises(UnknownName, match="Did you mean scipy"):
        runtimes(mlp(), only=["scipi"])
