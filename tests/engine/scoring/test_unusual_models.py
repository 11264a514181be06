"""Models that are not a plain stack: scored as far as can be, and what cannot be is said."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import engine
from engine.errors import ModelError

L = keras.layers


class Own(L.Layer):
    """A user's layer with a kernel."""

    def __init__(self, units):
        super().__init__()
        self.units = units

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], self.units), name="kernel")

    def call(self, x):
        return tf.nn.relu(tf.matmul(x, self.kernel))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.first, self.second = L.Dense(4, activation="relu"), L.Dense(3, activation="softmax")

    def call(self, x):
        return self.second(self.first(x))


def shared_and_nested():
    inner = keras.Sequential([keras.Input((6,)), L.Dense(4, activation="relu", name="d")], name="inner")
    again = keras.Sequential([keras.Input((4,)), L.Dense(4, name="d", use_bias=False)], name="again")
    x = keras.Input((6,))
    return keras.Model(x, L.Dense(3, activation="softmax")(again(again(inner(x)))))


def attention():
    x = keras.Input((5, 8))
    h = L.LayerNormalization()(x + L.MultiHeadAttention(2, 4)(x, x))
    return keras.Model(x, L.Dense(3)(L.GlobalAveragePooling1D()(h)))


def convolutions():
    x = keras.Input((9, 9, 4))
    h = L.Conv2D(4, 3, groups=2, strides=2, padding="same")(x)
    h = L.SeparableConv2D(4, 3, activation="relu")(L.Conv2DTranspose(6, 2, strides=2)(h))
    h = L.DepthwiseConv2D(3, depth_multiplier=2)(L.MaxPooling2D(2)(h))
    return keras.Model(x, L.Dense(3)(L.GlobalAveragePooling2D()(h)))


def sequence():
    x = keras.Input((9, 3))
    h = L.SeparableConv1D(4, 3)(L.Conv1DTranspose(4, 3)(L.Conv1D(4, 3, activation="relu")(x)))
    return keras.Model(x, L.Dense(3)(L.GlobalMaxPooling1D()(h)))


def volume():
    x = keras.Input((5, 5, 5, 2))
    h = L.AveragePooling3D(2)(L.Conv3DTranspose(3, 2)(L.Conv3D(3, 2, activation="relu")(x)))
    return keras.Model(x, L.Dense(3)(L.Flatten()(h)))


def einsum():
    x = keras.Input((5, 6))
    h = L.EinsumDense("...x,xy->...y", 4)(L.Reshape((5, 6))(L.EinsumDense("abc,cde->abde", (None, 2, 3))(x)))
    return keras.Model(x, L.Dense(3)(L.Flatten()(h)))


def recurrent(layer):
    return keras.Sequential(
        [keras.Input((4,), dtype="int32"), L.Embedding(11, 5), layer, L.Dense(3, activation="softmax")]
    )


def mixed():
    half = "mixed_float16"
    ends = [L.Dense(3, dtype=half), L.Activation("softmax", dtype="float32")]
    return keras.Sequential([keras.Input((6,)), L.Dense(5, activation="relu", dtype=half), *ends])


# name -> (model, shape of a sample, kernels, kernels whose input activation cannot see)
CASES = {
    "no_input_shape": (lambda: keras.Sequential([L.Dense(4, activation="relu"), L.Dense(3)]), (6,), 2, 0),
    "subclassed": (Subclassed, (6,), 2, 0),
    "shared_and_nested": (shared_and_nested, (6,), 3, 0),
    "own_layer": (lambda: keras.Sequential([keras.Input((6,)), Own(4), Own(3)]), (6,), 2, 0),
    "convolutions": (convolutions, (9, 9, 4), 6, 1),
    "sequence": (sequence, (9, 3), 5, 1),
    "volume": (volume, (5, 5, 5, 2), 3, 0),
    "einsum": (einsum, (5, 6), 3, 0),
    "attention": (attention, (5, 8), 5, 0),
    "gru": (lambda: recurrent(L.GRU(3)), (4,), 4, 1),
    "mixed_precision": (mixed, (6,), 2, 0),
}


@pytest.mark.parametrize("name", CASES)
def test_scored(name):
    make, shape, count, unseen = CASES[name]
    model, rng = make(), np.random.default_rng(0)
    x = rng.integers(0, 11, (6, *shape)) if name == "gru" else rng.normal(size=(6, *shape)).astype("float32")
    data = x, np.array([0, 1, 2, 0, 1, 2])
    twice = ("grasp",) if name in ("attention", "einsum", "volume", "shared_and_nested", "mixed_precision") else ()
    for criterion in ("magnitude", "snip", "synflow", "activation", *twice):
        scores = engine.score(model, criterion, data)
        hidden = unseen if criterion == "activation" else 0
        assert (len(scores), len(scores.skipped)) == (count - hidden, hidden)
        shapes = {v.path: tuple(v.shape) for v in model.variables}
        for key, score in scores.items():
            assert score.shape == shapes.get(key, score.shape)
            assert np.isfinite(score).all()
            assert score.any() or name == "attention"
    masks = engine.prune(model, data, sparsity=0.5)
    total = sum(m.size for m in masks.arrays().values())
    assert sum(int(m.sum()) for m in masks.arrays().values()) == total - total // 2


def test_float64_reaches_into_nested_models():
    """Nested models cast what they are given to the dtype they were drawn with: then 1e-12 would not hold."""
    sums = {k: s.sum() for k, s in engine.score(shared_and_nested(), "synflow").items()}
    assert sums["again/d/kernel"] == pytest.approx(2 * sums["inner/d/kernel"], rel=1e-12)  # it is passed twice


def test_two_outputs():
    x = keras.Input((6,))
    h = L.Dense(4, activation="relu")(x)
    model = keras.Model(x, [L.Dense(3, activation="softmax")(h), L.Dense(1, activation="sigmoid")(h)])
    rng = np.random.default_rng(0)
    data = rng.normal(size=(6, 6)).astype("float32"), [np.arange(6) % 3, np.arange(6) % 2]
    both = list(engine.score(model, "movement", data).values())
    parts = [
        list(engine.score(keras.Model(x, o), "movement", (data[0], y)).values())
        for o, y in zip(model.outputs, data[1], strict=True)
    ]
    assert both[0] == pytest.approx(parts[0][0] + parts[1][0], abs=1e-6)


@pytest.mark.parametrize("form", ["lists", "mappings", "dict outputs", "one without"])
def test_outputs_with_losses_of_their_own(form):
    x = keras.Input((6,))
    h = L.Dense(4, activation="relu")(x)
    ends = {"b": L.Dense(3, activation="softmax", name="b")(h), "a": L.Dense(1, name="a")(h)}
    model = keras.Model(x, ends if form == "dict outputs" else list(ends.values()))
    rows = np.random.default_rng(0).normal(size=(6, 6)).astype("float32")
    y = {"a": rows[:, :1] * 3, "b": np.arange(6) % 3}
    losses, weights = {"b": "sparse_categorical_crossentropy", "a": "mse"}, {"b": 2.0, "a": 0.5}
    if form == "one without":
        losses["a"] = None
    if form == "lists":
        y, losses, weights = [y["b"], y["a"]], list(losses.values()), list(weights.values())
    model.compile("sgd", losses, loss_weights=weights)
    found = engine.score(model, "movement", (rows, y))[model.layers[1].kernel.path]
    heads = [keras.Model(x, end) for end in ends.values()]
    b = engine.score(heads[0], "movement", (rows, np.arange(6) % 3))[model.layers[1].kernel.path]
    a = engine.score(heads[1], "movement", (rows, rows[:, :1] * 3), loss="mse")[model.layers[1].kernel.path]
    assert found == pytest.approx(2 * b + (0 if form == "one without" else 0.5 * a), abs=1e-5)


def test_losses_that_do_not_fit_the_outputs():
    x = keras.Input((6,))
    model = keras.Model(x, [L.Dense(3, name="b")(x), L.Dense(1, name="a")(x)])
    data = np.zeros((3, 6), "float32"), [np.arange(3), np.arange(3.0)]
    with pytest.raises(ModelError, match="outputs b, a"):
        engine.score(model, "snip", data, loss={"c": "mse"})
    with pytest.raises(ModelError, match="1 losses for 2 outputs"):
        engine.score(model, "snip", data, loss=["mse"])


def test_open_sizes_come_from_the_data():
    x = keras.Input((None, 4))
    model = keras.Model(x, L.Dense(2)(L.GlobalAveragePooling1D()(L.Conv1D(3, 2)(x))))
    assert len(engine.score(model, "synflow")) == 2
    assert len(engine.score(model, "synflow", np.zeros((1, 7, 4), "float32"))) == 2


class Called(Own):
    """A user's layer that keeps a kernel without naming it, and a matrix that it does not call a kernel."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], self.units))
        self.mix = self.add_weight(shape=(self.units, self.units), name="mix")

    def call(self, x):
        return tf.matmul(tf.matmul(x, self.kernel), self.mix)


class Holder(keras.Model):
    """A model with a matrix of its own beside its layers."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 3), name="kernel")
        self.inner = L.Dense(3)
        self.inner.build((None, 3))
        self.built = True

    def call(self, x):
        return self.inner(tf.matmul(x, self.kernel))


def test_kernels_of_ones_own_layers():
    x = keras.Input((6,))
    model = keras.Model(x, L.Dense(3)(Holder()(Called(4)(x))))
    own, holder = model.layers[1], model.layers[2]
    data = np.random.default_rng(0).normal(size=(6, 6)).astype("float32"), np.arange(6) % 3
    for criterion in ("magnitude", "snip", "activation"):
        scores = engine.score(model, criterion, data)
        assert list(scores) == [k.path for k in (own.kernel, holder.inner.kernel, model.layers[3].kernel)]
        assert set(scores.skipped) == {own.mix.path, holder.kernel.path}
    masks = engine.prune(model, sparsity=0.5)
    assert "name it kernel" in masks.skipped[own.mix.path]
    assert "layer of its own" in masks.skipped[holder.kernel.path]
    assert (own.mix.numpy() != 0).all()
