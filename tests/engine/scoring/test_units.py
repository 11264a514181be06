"""`score_units` against routes of its own, through graphs: BatchNorm, residual groups, depthwise, nested models."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers
from scipy import linalg

import engine
from engine.errors import DataError, ModelError, PruneError, UnknownName

RNG = np.random.default_rng(5)
ALL = ("l1_norm", "l2_norm", "bn_scale", "fpgm", "apoz", "activation", "taylor", "column_norm", "interpolative",
       "random", "magnitude", "snip", "synflow")  # fmt: skip


def shaken(model):
    rng = np.random.default_rng(2)
    for v in model.weights:
        low = 0.5 if "variance" in v.path else -1.0
        v.assign(rng.uniform(low, 1.5, v.shape))
    return model


@pytest.fixture
def model():
    """A stem, a residual block, a depthwise convolution, a head; BatchNorm before the ReLUs."""
    i = keras.Input((6, 6, 3))
    x = layers.Conv2D(4, 3, padding="same", name="stem")(i)
    x = layers.BatchNormalization(name="bn_stem")(x)
    x = layers.ReLU(name="relu_stem")(x)
    y = layers.Conv2D(5, 3, padding="same", name="a")(x)
    y = layers.BatchNormalization(name="bn_a")(y)
    y = layers.Activation("relu", name="relu_a")(y)
    y = layers.Conv2D(4, 3, padding="same", name="b")(y)
    x = layers.ReLU(name="relu_b")(layers.Add()([x, y]))
    x = layers.DepthwiseConv2D(3, name="dw", activation="relu")(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(6, activation="relu", name="dense")(x)
    return shaken(keras.Model(i, layers.Dense(3, name="out")(x)))


@pytest.fixture
def x():
    return RNG.normal(size=(20, 6, 6, 3)).astype(np.float32)


def column(model, layer, order):
    kernel = model.get_layer(layer).kernel.numpy().astype(np.float64)
    return np.linalg.norm(kernel.reshape(-1, kernel.shape[-1]), ord=order, axis=0)


@pytest.mark.parametrize(("name", "order"), [("l1_norm", 1), ("l2_norm", 2)])
def test_norms_are_summed_over_the_producers_of_a_group(model, name, order):
    scores = engine.score_units(model, name)
    deep = model.get_layer("dw").kernel.numpy()[..., 0].reshape(9, 4)
    stream = column(model, "stem", order) + column(model, "b", order) + np.linalg.norm(deep, ord=order, axis=0)
    for layer in ("stem", "b", "dw"):
        assert scores[layer] == pytest.approx(stream, rel=1e-6)
    assert scores["a"] == pytest.approx(column(model, "a", order), rel=1e-6)
    assert engine.score_units(model, name, pool="mean")["b"] == pytest.approx(stream / 3, rel=1e-6)
    largest = np.max(
        [column(model, "stem", order), column(model, "b", order), np.linalg.norm(deep, ord=order, axis=0)], axis=0
    )
    assert engine.score_units(model, name, pool="max")["stem"] == pytest.approx(largest, rel=1e-6)
    assert engine.score_units(model, name, pool=None)["b/kernel"] == pytest.approx(column(model, "b", order), rel=1e-6)


def test_layers_can_be_brought_to_one_scale(model):
    plain = engine.score_units(model, "l2_norm")
    for layer, scores in engine.score_units(model, "l2_norm", normalize="mean").items():
        assert scores == pytest.approx(plain[layer] / plain[layer].mean())
    assert all(s.max() == 1.0 for s in engine.score_units(model, "l2_norm", normalize="max").values())


def test_bn_scale_is_gamma(model):
    scores = engine.score_units(model, "bn_scale")
    assert scores["a"] == pytest.approx(np.abs(model.get_layer("bn_a").gamma.numpy()))
    assert scores["stem"] == pytest.approx(np.abs(model.get_layer("bn_stem").gamma.numpy()))
    assert "dense" not in scores
    with pytest.raises(ModelError, match="BatchNorm"):
        engine.score_units(keras.Sequential([keras.Input((3,)), layers.Dense(2)]), "bn_scale")


def test_fpgm_is_the_sum_of_distances(model):
    kernel = model.get_layer("a").kernel.numpy().reshape(-1, 5).astype(np.float64)
    expected = [sum(np.linalg.norm(kernel[:, j] - kernel[:, k]) for k in range(5)) for j in range(5)]
    assert engine.score_units(model, "fpgm")["a"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("split", [20, 7])
def test_apoz_and_activation_look_behind_batchnorm_and_relu(model, x, split):
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices(x).batch(split)
    outputs = {name: model.get_layer(name).output for name in ("relu_stem", "relu_a", "relu_b", "dw", "dense")}
    seen = {k: v.numpy() for k, v in keras.Model(model.inputs[0], outputs)(x).items()}
    alive = {k: (v > 0).reshape(-1, v.shape[-1]).mean(0) for k, v in seen.items()}
    apoz = engine.score_units(model, "apoz", data, pool=None)
    assert apoz["a/kernel"] == pytest.approx(alive["relu_a"])
    assert apoz["stem/kernel"] == pytest.approx(alive["relu_stem"])
    assert apoz["b/kernel"] == pytest.approx(alive["relu_b"])
    assert apoz["dw/kernel"] == pytest.approx(alive["dw"])
    assert "no activation" in apoz.skipped["out/kernel"]
    mean = engine.score_units(model, "activation", data)
    assert mean["a"] == pytest.approx(np.abs(seen["relu_a"]).mean((0, 1, 2)), rel=1e-5)
    assert mean["dense"] == pytest.approx(np.abs(seen["dense"]).mean(0), rel=1e-5)


def test_taylor_by_hand():
    # One unit a layer of a linear net, squared error: y = w2 w1 x; with t = 0, dL/dw1 = 2 y w2 x, dL/dw2 = 2 y w1 x.
    net = keras.Sequential(
        [keras.Input((1,)), layers.Dense(1, use_bias=False, name="one"), layers.Dense(1, use_bias=False, name="two")]
    )
    net.set_weights([np.array([[2.0]]), np.array([[3.0]])])
    data = (np.array([[1.0], [2.0]], np.float32), np.zeros((2, 1), np.float32))
    # samples: y = 6, 12; w1 g1 = 2 y w1 w2 x = 72 and 288, their mean 180
    for form, whole, apart in (
        ("square", 180.0**2, (72.0**2 + 288.0**2) / 2),
        ("abs", 180.0, 180.0),
        ("abs_sum", 180.0, 180.0),
    ):
        scores = engine.score_units(net, "taylor", data, loss="mse", form=form)
        assert scores["one"] == pytest.approx([whole])
        scores = engine.score_units(net, "taylor", data, loss="mse", form=form, batch_size=1)
        assert scores["one"] == pytest.approx([apart])


def test_column_norm_folds_the_batchnorm_that_follows(model):
    norm = model.get_layer("bn_a")
    factor = np.abs(norm.gamma.numpy()) / np.sqrt(norm.moving_variance.numpy() + norm.epsilon)
    folded = column(model, "a", 2) * factor
    assert engine.score_units(model, "column_norm")["a"] == pytest.approx(folded / folded.mean(), rel=1e-5)
    plain = column(model, "b", 2)
    own = engine.score_units(model, "column_norm", pool=None)
    assert own["b/kernel"] == pytest.approx(plain / plain.mean(), rel=1e-5)
    # Weights in the same measure: below alpha is |w| < alpha mu / sqrt(fan).
    weights = engine.score(model, "column_norm")
    w = np.abs(model.get_layer("a").kernel.numpy()) * factor
    assert weights["a/kernel"] == pytest.approx(w * np.sqrt(36) / folded.mean(), rel=1e-4)


def test_interpolative_is_the_pivots_of_what_is_read(model, x):
    scores = engine.score_units(model, "interpolative", x)
    z = keras.Model(model.inputs[0], model.get_layer("relu_a").output)(x).numpy().reshape(-1, 5).astype(np.float64)
    upper, order = linalg.qr(z, mode="r", pivoting=True)
    assert scores["a"][order] == pytest.approx(np.abs(np.diag(upper)) / abs(upper[0, 0]), rel=1e-5)
    assert np.array_equal(scores["stem"], scores["b"])
    assert scores["stem"].max() == 1.0


def test_random_draws_once_a_group(model):
    scores = engine.score_units(model, "random", seed=3)
    assert np.array_equal(scores["stem"], scores["dw"])
    assert np.array_equal(scores["a"], engine.score_units(model, "random", seed=3)["a"])
    assert not np.array_equal(scores["a"], engine.score_units(model, "random", seed=4)["a"])
    assert all((v >= 0).all() and (v < 1).all() for v in scores.values())


def test_a_criterion_of_weights_is_summed_over_columns(model):
    assert engine.score_units(model, "magnitude")["a"] == pytest.approx(column(model, "a", 1), rel=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_nothing_changes_and_all_is_finite(model, x, name):
    y = RNG.integers(0, 3, 20)
    before = [w.copy() for w in model.get_weights()]
    scores = engine.score_units(model, name, (x, y))
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    for layer, values in scores.items():
        assert np.isfinite(values).all()
        assert len(values) == model.get_layer(layer).output.shape[-1]


def test_nested_models_and_ops():
    inner = keras.Sequential(
        [keras.Input((4,)), layers.Dense(5, name="deep"), layers.BatchNormalization(name="norm")], name="inner"
    )
    i = keras.Input((4,))
    model = shaken(keras.Model(i, layers.Dense(2, name="out")(keras.ops.relu(inner(i)))))
    x = RNG.normal(size=(30, 4)).astype(np.float32)
    made = np.maximum(inner(x).numpy(), 0)
    assert engine.score_units(model, "apoz", x)["deep"] == pytest.approx((made > 0).mean(0))
    assert engine.score_units(model, "activation", x)["deep"] == pytest.approx(made.mean(0), rel=1e-5)
    own = engine.score_units(model, "column_norm", pool=None)
    assert [v.mean() for v in own.values()] == pytest.approx([1.0, 1.0])


def test_attention_recurrent_and_separable_layers():
    i = keras.Input((6, 16))
    x = layers.Dense(8, name="embed")(i)
    x = layers.Add()([x, layers.MultiHeadAttention(4, 5, name="mha")(x, x)])
    x = layers.LSTM(7, name="lstm")(x)
    model = shaken(keras.Model(i, layers.Dense(3, name="out")(x)))
    scores = engine.score_units(model, "l2_norm")
    heads = [np.asarray(v, np.float64) for v in (model.get_layer("mha").weights[n] for n in (0, 2, 4))]
    assert scores["mha"] == pytest.approx(sum(np.linalg.norm(h, axis=(0, 2)) for h in heads), rel=1e-6)
    width = np.asarray(model.get_layer("mha").weights[6], np.float64).reshape(20, 8)
    assert scores["embed"] == pytest.approx(column(model, "embed", 2) + np.linalg.norm(width, axis=0), rel=1e-6)
    cell = model.get_layer("lstm").cell
    both = [np.asarray(k, np.float64).reshape(-1, 4, 7) for k in (cell.kernel, cell.recurrent_kernel)]
    assert scores["lstm"] == pytest.approx(sum(np.linalg.norm(k, axis=(0, 1)) for k in both), rel=1e-6)
    images = shaken(
        keras.Sequential([keras.Input((5, 5, 2)), layers.SeparableConv2D(4, 3, name="s"), layers.Conv2D(1, 1)])
    )
    x = RNG.normal(size=(3, 5, 5, 2)).astype(np.float32)
    seen = np.abs(images.get_layer("s")(x).numpy()).mean((0, 1, 2))
    assert engine.score_units(images, "activation", x)["s"] == pytest.approx(seen, rel=1e-5)


def test_errors_say_what_to_do(model, x):
    with pytest.raises(UnknownName, match="l2_norm"):
        engine.score_units(model, "l2norm")
    with pytest.raises(PruneError, match="pool must be"):
        engine.score_units(model, "l2_norm", pool="median")
    with pytest.raises(PruneError, match="normalize must be"):
        engine.score_units(model, "l2_norm", normalize="sum")
    with pytest.raises(DataError, match="needs data"):
        engine.score_units(model, "apoz")
    with pytest.raises(PruneError, match="no parameter"):
        engine.score_units(model, "l2_norm", form="square")
