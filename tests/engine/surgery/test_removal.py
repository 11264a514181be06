"""Smaller models of every kind of graph answer as the original does with the lost channels masked."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from engine.surgery import layer_units, remove

L = keras.layers
ops = keras.ops
IMAGE = np.random.default_rng(1).normal(size=(2, 8, 8, 3)).astype("float32")
WORDS = np.random.default_rng(1).integers(0, 20, (2, 6)).astype("int32")


def chain():
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            L.Conv2D(8, 3, activation="relu"),
            L.BatchNormalization(),
            L.PReLU(shared_axes=[1, 2]),
            L.AveragePooling2D(2),
            L.Conv2DTranspose(6, 3, strides=2, padding="same"),
            L.SeparableConv2D(8, 3, depth_multiplier=2, padding="same"),
            L.LayerNormalization(),
            L.GroupNormalization(4),
            L.PReLU(),
            L.UpSampling2D(),
            L.ZeroPadding2D(),
            L.Cropping2D(),
            L.Permute((3, 1, 2)),
            L.Flatten(),
            L.Dense(7, activation="gelu"),
            L.Dropout(0.5),
            L.RMSNormalization(),
            L.Dense(3),
        ]
    )


def gates():
    i = keras.Input((8, 8, 3))
    x = L.Conv2D(8, 3, padding="same")(i)
    g = L.GlobalAveragePooling2D()(x)
    g = L.Reshape((1, 1, 8))(g)
    g = L.Conv2D(4, 1, activation="swish")(g)
    g = L.Conv2D(8, 1, activation="sigmoid")(g)
    y = L.Multiply()([x, g])
    y = L.Conv2D(8, 3, padding="same", groups=4)(y)
    z = L.Concatenate()([x, y])
    z = L.BatchNormalization()(z)
    z = L.Conv2D(8, 1)(z)
    z = L.Average()([z, y])
    z = L.Maximum()([z, x])
    z = L.Subtract()([L.GlobalMaxPooling2D(keepdims=True)(z), L.GlobalAveragePooling2D(keepdims=True)(x)])
    return keras.Model(i, L.Dense(3)(L.Flatten()(z)))


def encoder():
    i = keras.Input((6,), dtype="int32")
    p = L.Embedding(20, 12)(i)
    a = L.MultiHeadAttention(4, 5)(p, p)
    x = L.LayerNormalization()(L.Add()([p, a]))
    f = L.Dense(12)(L.Dense(16, activation="gelu")(x))
    x = L.LayerNormalization()(x + f)
    a = L.GroupQueryAttention(3, 6, 2)(x, x)
    return keras.Model(i, L.Dense(3)(L.GlobalAveragePooling1D()(x + a)))


def recurrent():
    i = keras.Input((6,), dtype="int32")
    x = L.Embedding(20, 12)(i)
    x = L.LSTM(7, return_sequences=True)(x)
    x = L.Bidirectional(L.GRU(5, return_sequences=True))(x)
    x = L.TimeDistributed(L.Dense(6, activation="relu"))(x)
    x = L.SimpleRNN(5, return_sequences=True)(x)
    x, h = L.GRU(6, return_state=True, reset_after=False)(x)
    y = L.Bidirectional(L.LSTM(4), merge_mode="sum")(L.RepeatVector(3)(x + h))
    return keras.Model(i, L.Dense(3)(y))


def einsum():
    i = keras.Input((6,), dtype="int32")
    x = L.Embedding(20, 12)(i)
    x = L.EinsumDense("abc,cde->abde", output_shape=(None, 3, 4), bias_axes="de")(x)
    x = ops.transpose(x, (0, 2, 1, 3))
    x = ops.swapaxes(ops.relu(x), 1, 2)
    x = L.EinsumDense("abcd,cde->abe", output_shape=(None, 8), bias_axes="e")(x)
    x = L.EinsumDense("...x,xy->...y", output_shape=6, bias_axes="y", activation="relu")(x)
    return keras.Model(i, L.Dense(3)(ops.mean(x, axis=1)))


def operations():
    i = keras.Input((8, 8, 3))
    x = L.Conv2D(8, 3, padding="same")(i)
    a, b = ops.split(x, 2, axis=-1)
    x = a * ops.sigmoid(b)
    x = ops.concatenate([x, ops.tanh(x)], axis=-1)
    y = ops.relu(x[:, :, :, 1:6]) * 2.0
    y = ops.pad(y, ((0, 0), (1, 1), (1, 1), (0, 0)))
    y = ops.reshape(L.Conv2D(6, 3)(y), (-1, 64, 6))
    q, k, v = L.Dense(8)(y), L.Dense(8)(y), L.Dense(6)(y)
    s = ops.softmax(ops.matmul(q, ops.transpose(k, (0, 2, 1))) / 3.0, axis=-1)
    y = ops.max(ops.matmul(s, v), axis=1)
    y = ops.squeeze(ops.moveaxis(ops.expand_dims(y, 1), 1, 2), 2)
    return keras.Model(i, L.Dense(3)(y))


def nested():
    encoder = keras.Sequential([keras.Input((8, 8, 3)), L.Conv2D(6, 3, padding="same"), L.ReLU()], name="enc")
    inner = keras.Input((8, 8, 6))
    block = keras.Model(inner, L.Add()([L.Conv2D(6, 3, padding="same")(inner), inner]), name="block")
    i, j = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    x, y = block(block(encoder(i))), encoder(j)
    z = L.GlobalAveragePooling2D()(L.Concatenate()([x, y]))
    shared = L.Dense(5, name="shared")
    outputs = [L.Dense(2, name=n)(shared(L.Dense(7)(z))) for n in ("one", "two")]
    return keras.Model([i, j], outputs)


def grouped():
    i = keras.Input((8, 8, 3))
    x = L.Conv2D(12, 3, padding="same")(i)
    x = L.Conv2D(12, 3, padding="same", groups=3)(x)
    x = L.GroupNormalization(3)(x)
    x = L.DepthwiseConv2D(3, depth_multiplier=2)(x)
    x = L.Conv2D(12, 3, groups=12)(x[..., :12])
    return keras.Model(i, L.Dense(3)(L.Flatten()(x)))


def other_ranks():
    i = keras.Input((8, 8, 3))
    x = L.Reshape((8, 8, 3, 1))(i)
    x = L.MaxPooling3D((2, 2, 1))(L.Conv3D(6, (3, 3, 1))(x))
    x = L.GlobalAveragePooling3D()(L.Conv3DTranspose(4, 3)(x))
    y = L.Conv1D(6, 3, padding="causal")(L.Reshape((64, 3))(i))
    y = L.Conv1DTranspose(5, 3)(L.DepthwiseConv1D(3)(y))
    y = L.UnitNormalization()(L.SeparableConv1D(4, 3)(y))
    y = L.Subtract()([x, L.GlobalMaxPooling1D()(y)])
    return keras.Model(i, L.Dense(3)(y))


def shuffled():
    i = keras.Input((8, 8, 3))
    x = L.Conv2D(12, 3, padding="same")(i)
    a, b = ops.split(x, 2, axis=-1)
    b = L.Conv2D(6, 1, activation="relu")(L.DepthwiseConv2D(3, padding="same")(L.Conv2D(6, 1)(b)))
    x = L.Reshape((8, 8, 2, 6))(L.Concatenate()([a, b]))
    x = L.Reshape((8, 8, 12))(L.Permute((1, 2, 4, 3))(x))
    return keras.Model(i, L.Dense(3)(L.GlobalAveragePooling2D()(x)))


def windows():
    i = keras.Input((8, 8, 3))
    x = L.Conv2D(8, 1)(i)
    w = ops.transpose(ops.reshape(x, (-1, 2, 4, 2, 4, 8)), (0, 1, 3, 2, 4, 5))
    w = L.Dense(24)(ops.reshape(w, (-1, 16, 8)))
    q, k, v = (ops.transpose(ops.reshape(t, (-1, 16, 2, 4)), (0, 2, 1, 3)) for t in ops.split(w, 3, axis=-1))
    w = ops.matmul(ops.softmax(ops.matmul(q, ops.transpose(k, (0, 1, 3, 2))) * 0.5), v)
    w = L.Dense(8)(ops.reshape(ops.transpose(w, (0, 2, 1, 3)), (-1, 16, 8)))
    w = ops.transpose(ops.reshape(w, (-1, 2, 2, 4, 4, 8)), (0, 1, 3, 2, 4, 5))
    x = x + ops.reshape(w, (-1, 8, 8, 8))
    m = ops.transpose(ops.reshape(x, (-1, 4, 2, 4, 2, 8)), (0, 1, 3, 2, 4, 5))
    m = L.Dense(12)(ops.reshape(m, (-1, 4, 4, 32)))
    return keras.Model(i, L.Dense(3)(ops.mean(m, axis=(1, 2))))


GRAPHS = {
    chain: [IMAGE],
    gates: [IMAGE],
    encoder: [WORDS],
    recurrent: [WORDS],
    einsum: [WORDS],
    operations: [IMAGE],
    nested: [IMAGE, IMAGE[::-1].copy()],
    grouped: [IMAGE],
    other_ranks: [IMAGE],
    shuffled: [IMAGE],
    windows: [IMAGE],
}


@pytest.mark.parametrize("make", GRAPHS, ids=lambda f: f.__name__)
def test_smaller_models_answer_like_masked_ones(make, reference, tmp_path):
    keras.utils.clear_session()
    x = GRAPHS[make]
    model = reference.randomize(make())
    weights = model.get_weights()
    rng = np.random.default_rng(0)
    asked = {k: np.flatnonzero((rng.random(u.units) < 0.4) & u.free) for k, u in layer_units(model).items()}
    done = remove(model, asked)
    small = done.model
    for key, units in asked.items():
        stayed = [u for s in done.report.skipped if s.layer == key for u in s.units]
        assert set(units) - set(stayed) <= set(done.report.removed.get(key, ()))
    want = reference.masked_outputs(model, x, done.report.removed)
    got = keras.tree.flatten(small(x if len(x) > 1 else x[0]))
    assert reference.difference(got, want) < 1e-4
    assert sum(len(u) for u in done.report.removed.values()) > 0
    assert [layer.name for layer in small.layers] == [layer.name for layer in model.layers]
    assert [t.name for t in small.inputs] == [t.name for t in model.inputs]
    assert [w.path for w in small.weights] == [w.path for w in model.weights]
    assert done.report.params == (model.count_params(), small.count_params())
    assert all(np.array_equal(a, b) for a, b in zip(weights, model.get_weights(), strict=True))
    small.save(tmp_path / "small.keras")
    again = keras.models.load_model(tmp_path / "small.keras")
    assert np.allclose(keras.tree.flatten(again(x if len(x) > 1 else x[0]))[0], got[0], atol=1e-5)
