"""Property: whatever graph is built, and whatever is asked of it, the smaller model is the masked one."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from engine.surgery import layer_units, remove, shrink_with_report, unit_masks

L = keras.layers
ops = keras.ops


@pytest.fixture(autouse=True)
def _double():
    before = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(before)


def conv(x, n, held):
    return L.Conv2D(
        2 + n % 7, 1 + 2 * (n % 2), padding="same", use_bias=n % 3 > 0, activation=(None, "relu", "tanh")[n % 3]
    )(x)


def grouped(x, n, held):
    groups = next(g for g in (3, 2, 1) if x.shape[-1] % g == 0)
    return L.Conv2D(groups * (1 + n % 3), 3, padding="same", groups=groups)(x)


def depthwise(x, n, held):
    return L.DepthwiseConv2D(3, padding="same", depth_multiplier=1 + n % 2)(x)


def separable(x, n, held):
    return L.SeparableConv2D(3 + n % 4, 3, padding="same", depth_multiplier=1 + n % 2)(x)


def transposed(x, n, held):
    return L.Conv2DTranspose(3 + n % 4, 2, padding="same")(x)


def normal(x, n, held):
    groups = next(g for g in (3, 2, 1) if x.shape[-1] % g == 0)
    kinds = [
        L.BatchNormalization, L.LayerNormalization, L.RMSNormalization, L.UnitNormalization,
        lambda: L.GroupNormalization(groups), lambda: L.GroupNormalization(-1),
    ]  # fmt: skip
    return kinds[n % 6]()(x)


def pointwise(x, n, held):
    kinds = [
        L.ReLU, L.PReLU, lambda: L.PReLU(shared_axes=[1, 2]), lambda: L.Activation("gelu"), lambda: L.Dropout(0.5),
        lambda: L.Rescaling(0.5, 0.1), L.ELU, lambda: ops.sigmoid, lambda: (lambda t: t * 0.5 + 1.0),
    ]  # fmt: skip
    return kinds[n % 9]()(x)


def pooled(x, n, held):
    kinds = [
        lambda: L.MaxPooling2D(2, strides=1, padding="same"), lambda: L.AveragePooling2D(2, strides=1, padding="same"),
        lambda: (lambda t: L.Cropping2D(1)(L.ZeroPadding2D(1)(t))),
        lambda: (lambda t: L.MaxPooling2D()(L.UpSampling2D()(t))),
    ]  # fmt: skip
    return kinds[n % 4]()(x)


def merge(x, n, held):
    others = [t for t in held if t.shape == x.shape]
    other = others[n % len(others)]
    return [L.Add(), L.Subtract(), L.Multiply(), L.Average(), L.Maximum(), L.Minimum()][n % 6]([x, other])


def concatenate(x, n, held):
    other = held[n % len(held)]
    return L.Concatenate()([x, other, x] if n % 4 == 0 else [other, x])


def gate(x, n, held):
    channels = x.shape[-1]
    y = L.GlobalAveragePooling2D(keepdims=n % 2 == 0)(x)
    if n % 2:
        y = L.Reshape((1, 1, channels))(y)
    y = L.Conv2D(channels, 1, activation="sigmoid")(L.Conv2D(2, 1, activation="relu")(y))
    return L.Multiply()([x, y])


def halves(x, n, held):
    a, b = ops.split(L.Conv2D(6, 1)(x), 2, axis=-1)
    return a * ops.sigmoid(b) if n % 2 else ops.concatenate([b, a[..., 1:]], axis=-1)


STEPS = [
    conv, conv, conv, grouped, depthwise, separable, transposed, normal, normal, pointwise, pooled, merge, concatenate,
    gate, halves,
]  # fmt: skip


def flat(x, n):
    return L.Flatten()(x)


def averaged(x, n):
    return L.GlobalMaxPooling2D()(x) if n % 2 else ops.mean(x, axis=(1, 2))


def sequence(x, n):
    y = L.Reshape((16, x.shape[-1]))(x)
    return [L.LSTM(4), L.GRU(3), L.Bidirectional(L.SimpleRNN(3)), L.Conv1D(4, 3)][n % 4](y)


def attended(x, n):
    y = ops.reshape(x, (-1, 16, x.shape[-1]))
    y = L.Add()([y, L.MultiHeadAttention(3, 2)(y, y)])
    y = L.EinsumDense("abc,cd->abd", output_shape=(None, 5), bias_axes="d", activation="relu")(y)
    return L.GlobalAveragePooling1D()(y)


def permuted(x, n):
    y = ops.transpose(L.Permute((3, 1, 2))(x), (0, 2, 3, 1))
    return L.Flatten()(y)


HEADS = [flat, averaged, sequence, attended, permuted]
number = st.integers(0, 1000)


def build(steps, head, n):
    keras.utils.clear_session()
    keras.config.set_dtype_policy("float64")  # which clear_session forgets
    i = keras.Input((4, 4, 3))
    held = [L.Conv2D(6, 3, padding="same")(i)]
    for kind, k in steps:
        made = STEPS[kind](held[-1], k, held)
        if made.shape[-1] <= 24:
            held.append(made)
    x = HEADS[head](held[-1], n)
    return keras.Model(i, L.Dense(3)(L.Dense(4, activation="relu")(x)))


steps = st.lists(st.tuples(st.integers(0, len(STEPS) - 1), number), min_size=2, max_size=6)
recipes = st.tuples(steps, st.integers(0, len(HEADS) - 1), number)


@settings(deadline=None, max_examples=6, derandomize=True, phases=[Phase.generate])
@given(recipes, st.integers(0, 2**16))
def test_the_smaller_model_is_the_masked_one(reference, recipe, seed):
    model = reference.randomize(build(*recipe), seed)
    rng = np.random.default_rng(seed)
    asked = {k: np.flatnonzero(rng.random(u.units) < 0.35) for k, u in layer_units(model).items()}
    x = rng.normal(size=(2, 4, 4, 3)).astype("float32")  # what a keras.Input holds
    done = remove(model, asked)
    want = reference.masked_outputs(model, [x], done.report.removed)
    assert reference.difference([done.model(x)], want) < 1e-10
    for key, units in asked.items():
        stayed = {u for s in done.report.skipped if s.layer == key for u in s.units}
        assert set(units) <= stayed | set(done.report.removed.get(key, ()))


@settings(deadline=None, max_examples=4, derandomize=True, phases=[Phase.generate])
@given(recipes, st.integers(0, 2**16))
def test_shrinking_a_masked_model_changes_nothing(reference, recipe, seed):
    model = reference.randomize(build(*recipe), seed)
    rng = np.random.default_rng(seed)
    kept = {k: (rng.random(u.units) < 0.7) | ~u.free for k, u in layer_units(model).items()}
    masks = unit_masks(model, kept)
    for v in model.weights:
        if v.path in masks:
            v.assign(v.numpy() * masks[v.path])
    x = rng.normal(size=(2, 4, 4, 3)).astype("float32")  # what a keras.Input holds
    want = model(x)
    done = shrink_with_report(model)
    assert reference.difference([done.model(x)], [want]) < 1e-10
