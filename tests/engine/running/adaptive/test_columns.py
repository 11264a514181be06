"""Columns of live models: BatchNorm folded in, coupled units, rows that died."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from engine.layout import kernels
from engine.running.adaptive.columns import Network, dead_rows, following_norms, scale


def network(model):
    return Network(model, kernels(model))


def chain(shape, *layers):
    """A functional model: its keys are the layers' names."""
    x = y = keras.Input(shape)
    for layer in layers:
        y = layer(y)
    return keras.Model(x, y)


def test_batch_norm_that_follows_directly_is_folded_in():
    model = chain(
        (2,),
        keras.layers.Dense(2, use_bias=False, name="a"),
        keras.layers.BatchNormalization(name="n", epsilon=0.25),
        keras.layers.ReLU(),
        keras.layers.Dense(2, name="b", activation="relu"),
        keras.layers.BatchNormalization(name="m"),
    )
    model.get_layer("a").kernel.assign([[3.0, 1.0], [4.0, 0.0]])
    model.get_layer("n").gamma.assign([-2.0, 1.0])
    model.get_layer("n").moving_variance.assign([3.75, 0.0])
    # |gamma| / sqrt(var + eps) = 2 / 2 and 1 / 0.5: norms 5 * 1 and 1 * 2.
    seen = network(model).columns({})
    assert seen["a/kernel"].norms.tolist() == pytest.approx([5.0, 2.0])
    assert scale(model.get_layer("n")).tolist() == pytest.approx([1.0, 2.0])
    assert [v.name for v in following_norms(model).values()] == ["n"]  # relu lies between b and m
    b = model.get_layer("b").kernel.numpy()
    assert seen["b/kernel"].norms == pytest.approx(np.linalg.norm(b, axis=0))


def mlp(activation="relu"):
    return chain((3,), keras.layers.Dense(4, activation=activation, name="a"), keras.layers.Dense(2, name="out"))


def test_output_units_cannot_go():
    seen = network(mlp()).columns({})
    assert np.isinf(seen["out/kernel"].elsewhere).all()
    assert (seen["a/kernel"].elsewhere == 0).all()


def test_units_go_with_bias_and_their_readers_rows():
    model = mlp()
    live = network(model)
    masks = live.ones()
    assert set(masks) == {"a/kernel", "a/bias", "out/kernel"}
    masks |= live.without_units("a/kernel", np.array([1, 3]), masks)
    assert masks["a/kernel"].sum(axis=0).tolist() == [3, 0, 3, 0]
    assert masks["a/bias"].tolist() == [True, False, True, False]
    for key, mask in masks.items():
        variable = dict(zip(["a/kernel", "a/bias", "out/kernel"], model.weights[:3], strict=True))[key]
        variable.assign(variable.numpy() * mask)
    rows = dead_rows(model, masks)
    assert list(rows) == ["out/kernel"]
    assert rows["out/kernel"].any(axis=1).tolist() == [True, False, True, False]
    again = live.without_units("a/kernel", np.array([0]), masks)
    assert again["a/kernel"].any(axis=0).tolist() == [False, False, True, False]


def test_rows_that_read_a_constant_stay():
    model = mlp("sigmoid")
    live = network(model)
    masks = live.ones() | live.without_units("a/kernel", np.array([1]), live.ones())
    model.get_layer("a").kernel.assign(model.get_layer("a").kernel.numpy() * masks["a/kernel"])
    model.get_layer("a").bias.assign(np.zeros(4))
    assert dead_rows(model, masks) == {}  # sigmoid(0) is 0.5, and somebody reads it


def test_weights_are_taken_where_the_columns_are():
    model = chain((4, 4, 2), keras.layers.Conv2D(3, 2, name="c"), keras.layers.Flatten(), keras.layers.Dense(2))
    live = network(model)
    gone = np.zeros((8, 3), dtype=bool)
    gone[5, 1] = True  # row 5 of (kh, kw, in) = (1, 0, 1)
    mask = live.without_weights("c/kernel", gone, {})["c/kernel"]
    assert np.argwhere(~mask).tolist() == [[1, 0, 1, 1]]


def test_coupled_units_know_of_each_other():
    x = keras.Input((3,))
    a = keras.layers.Dense(2, name="a")(x)
    b = keras.layers.Dense(2, name="b")(x)
    model = keras.Model(x, keras.layers.Dense(1, name="out")(keras.layers.Add()([a, b])))
    model.get_layer("a").kernel.assign([[1, 3], [0, 0], [0, 0]])
    model.get_layer("b").kernel.assign([[4, 4], [0, 0], [0, 0]])
    live = network(model)
    seen = live.columns({})
    assert seen["b/kernel"].elsewhere.tolist() == pytest.approx([0.5, 1.5])
    assert seen["a/kernel"].elsewhere.tolist() == pytest.approx([1.0, 1.0])
    masks = live.without_units("a/kernel", np.array([0]), live.ones())
    assert not masks["b/kernel"][:, 0].any()
    # A unit that a skipped layer makes as well stays.
    part = Network(model, {k: v for k, v in kernels(model).items() if k != "b/kernel"})
    assert np.isinf(part.columns({})["a/kernel"].elsewhere).all()
