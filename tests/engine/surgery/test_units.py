"""Scores pooled over groups, and the masks that silence units."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import engine
from engine.errors import PruneError, UnknownName
from engine.surgery import column_norms, norm_scores, pool_columns, unit_masks

L = keras.layers


def bottleneck():
    i = keras.Input((5, 5, 2))
    x = L.Conv2D(3, 1, name="a")(i)
    y = L.BatchNormalization(name="n")(L.Conv2D(3, 1, name="b")(x))
    y = L.DepthwiseConv2D(2, padding="same", depth_multiplier=1, name="d")(L.Add()([x, y]))
    return keras.Model(i, L.Dense(2, name="out")(L.GlobalAveragePooling2D()(y)))


def test_all_members_of_a_group_share_its_score():
    model = bottleneck()
    given = {"a/kernel": [1.0, 2, 3], "b/kernel": [10.0, 20, 30], "d/kernel": [0.0, 4, 2]}
    for pool, want in (("sum", [11, 26, 35]), ("mean", [11 / 3, 26 / 3, 35 / 3]), ("max", [10, 20, 30])):
        scores = pool_columns(model, {k: np.array(v) for k, v in given.items()}, pool=pool)
        assert set(scores) == {"a", "b", "d"}
        for key in scores:
            assert np.allclose(scores[key], want)
    gamma = pool_columns(model, {"n/gamma": np.array([0.1, 0.2, 0.3])})
    assert np.allclose(gamma["a"], [0.1, 0.2, 0.3])


def test_norms_are_of_columns():
    model = bottleneck()
    a = model.get_layer("a").kernel.numpy()[0, 0]
    assert np.allclose(column_norms(model)["a/kernel"], np.sqrt((a**2).sum(0)))
    assert np.allclose(column_norms(model, order=1)["a/kernel"], np.abs(a).sum(0))
    out = model.get_layer("out").kernel.numpy()
    assert np.allclose(norm_scores(model)["out"], np.sqrt((out**2).sum(0)))


def test_columns_of_gates_heads_and_multipliers():
    i = keras.Input((4, 6))
    x = L.LSTM(3, name="r", return_sequences=True)(i)
    x = L.MultiHeadAttention(2, 5, name="m")(x, x)
    x = L.DepthwiseConv1D(1, depth_multiplier=2, name="d")(L.Conv1D(3, 1, name="c")(x))
    model = keras.Model(i, L.Dense(2)(L.Flatten()(x)))
    scores = norm_scores(model)
    r = model.get_layer("r").cell
    want = sum(np.sqrt((w.numpy().reshape(-1, 4, 3) ** 2).sum((0, 1))) for w in (r.kernel, r.recurrent_kernel))
    assert np.allclose(scores["r"], want, rtol=1e-5)
    m = model.get_layer("m")
    want = sum(np.sqrt((d.kernel.numpy() ** 2).sum((0, 2))) for d in (m._query_dense, m._key_dense, m._value_dense))
    assert np.allclose(scores["m"], want, rtol=1e-5)
    want = np.sqrt((m._output_dense.kernel.numpy() ** 2).sum((0, 1)))
    assert np.allclose(scores["m/attention_output"], want, rtol=1e-5)
    d = model.get_layer("d").kernel.numpy()[0]
    c = np.sqrt((model.get_layer("c").kernel.numpy() ** 2).sum((0, 1)))
    assert np.allclose(scores["c"], c + np.abs(d).sum(1), rtol=1e-5)
    assert np.allclose(scores["d"], np.repeat(scores["c"], 2), rtol=1e-6)


def test_a_unit_mask_covers_column_bias_gamma_and_beta_of_the_whole_group():
    masks = unit_masks(bottleneck(), {"b": np.array([True, False, True])})
    assert set(masks) == {
        "a/kernel", "a/bias", "b/kernel", "b/bias", "n/gamma", "n/beta", "d/kernel", "d/bias"
    }  # fmt: skip
    assert not masks["b/kernel"][..., 1].any()
    assert masks["b/kernel"][..., [0, 2]].all()
    assert masks["d/kernel"].shape == (2, 2, 3, 1)
    assert not masks["d/kernel"][:, :, 1].any()
    for key in ("a/bias", "b/bias", "n/gamma", "n/beta", "d/bias"):
        assert masks[key].tolist() == [True, False, True]


def test_mistakes_are_told_in_words():
    model = bottleneck()
    with pytest.raises(UnknownName, match="Did you mean"):
        engine.remove_units(model, {"aa": [0], "a": [1]})
    with pytest.raises(PruneError, match="has no unit 3"):
        engine.remove_units(model, {"a": [3]})
    with pytest.raises(PruneError, match="3 units"):
        unit_masks(model, {"a": np.ones(4, bool)})
    with pytest.raises(UnknownName):
        pool_columns(model, {"nothing": np.ones(3)})
    with pytest.raises(PruneError):
        pool_columns(model, {"a/kernel": np.ones(5)})


def test_a_layer_without_units_is_skipped_with_a_reason():
    small = engine.remove_units(bottleneck(), {"n": [0], "out": [1]})
    assert {s.layer: s.reason for s in small.surgery.skipped} == {
        "n": "it makes no units that can be removed",
        "out": "out: it makes the model's output",
    }
