"""shrink: masked units go without a trace, constants are folded where that is exact, and only there."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import keras
import numpy as np
import pytest

import engine
from engine.surgery import layer_units, shrink_with_report, unit_masks

L = keras.layers
_spec = importlib.util.spec_from_file_location("surgery_graphs", Path(__file__).with_name("test_removal.py"))
graphs = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(graphs)


def apply(model, masks):
    for v in model.weights:
        if v.path in masks:
            v.assign(v.numpy() * masks[v.path])


@pytest.mark.parametrize("make", graphs.GRAPHS, ids=lambda f: f.__name__)
def test_masked_units_go_without_a_trace(make, reference):
    keras.utils.clear_session()
    x = graphs.GRAPHS[make]
    model = reference.randomize(make())
    rng = np.random.default_rng(3)
    kept = {k: (rng.random(u.units) < 0.7) | ~u.free for k, u in layer_units(model).items()}
    apply(model, unit_masks(model, kept))
    feed = x if len(x) > 1 else x[0]
    want = keras.tree.flatten(model(feed))
    done = shrink_with_report(model)
    assert reference.difference(keras.tree.flatten(done.model(feed)), want) < 1e-5
    assert sum(len(u) for u in done.report.removed.values()) > 0
    for key, keep in kept.items():
        stayed = {u for s in done.report.skipped if s.layer == key for u in s.units}
        assert set(np.flatnonzero(~keep)) <= stayed | set(done.report.removed.get(key, ()))


def dense(activation, *, bias=True):
    return keras.Sequential(
        [keras.Input((3,)), L.Dense(4, activation=activation, name="a"), L.Dense(2, use_bias=bias, name="b")]
    )


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("activation", ["sigmoid", "relu", "softplus", "tanh"])
def test_activation_of_zero_is_folded_into_the_reader(activation, bias):
    model = dense(activation, bias=bias)
    a, b = model.layers
    kernel, rows = np.arange(12.0).reshape(3, 4) / 10, np.arange(8.0).reshape(4, 2)
    kernel[:, 1] = 0
    a.set_weights([kernel, np.array([0.1, 0.0, 0.3, 0.4])])
    b.set_weights([rows, np.array([1.0, 2.0])] if bias else [rows])
    small = engine.shrink(model)
    at_zero = {"sigmoid": 0.5, "relu": 0.0, "softplus": np.log(2), "tanh": 0.0}[activation]
    x = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    assert small.get_layer("a").kernel.shape == (3, 3)
    assert np.allclose(small(x), model(x), atol=1e-5)
    if bias or at_zero:
        given = np.array([1.0, 2.0]) if bias else 0.0
        assert np.allclose(small.get_layer("b").bias, given + at_zero * rows[1], atol=1e-6)
    else:
        assert small.get_layer("b").bias is None


def convolutions(padding):
    return keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            L.Conv2D(4, 3, name="a"),
            L.BatchNormalization(name="n"),
            L.Conv2D(3, 3, padding=padding, name="b"),
            L.GlobalAveragePooling2D(),
            L.Dense(2),
        ]
    )


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_a_constant_under_same_padding_stays(padding, reference):
    # gamma 0 leaves beta: the reader's border would see zeros beside it
    model = reference.randomize(convolutions(padding))
    gamma = model.get_layer("n").gamma.numpy()
    gamma[2] = 0
    model.get_layer("n").gamma.assign(gamma)
    done = shrink_with_report(model)
    x = np.random.default_rng(0).normal(size=(2, 6, 6, 2)).astype("float32")
    assert reference.difference([done.model(x)], [model(x)]) < 1e-5
    if padding == "valid":
        assert done.report.removed == {"a": (2,)}
    else:
        assert done.report.removed == {}
    kernel = model.get_layer("a").kernel.numpy()
    kernel[..., 1] = 0
    model.get_layer("a").kernel.assign(kernel)  # the column is 0, the BatchNorm still sends a constant
    done = shrink_with_report(model)
    assert reference.difference([done.model(x)], [model(x)]) < 1e-5
    if padding == "same":
        assert [(s.layer, s.units) for s in done.report.skipped] == [("a", (1,))]
        assert "folded into b" in done.report.skipped[0].reason


def test_layer_norm_keeps_silent_units_unless_told():
    model = keras.Sequential([keras.Input((3,)), L.Dense(4, name="a"), L.LayerNormalization(name="n"), L.Dense(2)])
    apply(model, unit_masks(model, {"a": np.array([True, False, True, True])}))
    done = shrink_with_report(model)
    assert done.report.removed == {}
    assert done.report.skipped[0].units == (1,)
    assert "n normalises over these channels" in done.report.skipped[0].reason
    assert shrink_with_report(model, exact=False).report.removed == {"a": (1,)}


def test_a_layer_never_loses_all_its_units_and_keeps_multiples():
    model = keras.Sequential([keras.Input((3,)), L.Dense(10, name="a"), L.Dense(10, name="b"), L.Dense(2)])
    masks = unit_masks(model, {"a": np.zeros(10, bool), "b": np.arange(10) < 3})
    apply(model, masks)
    x = np.ones((2, 3), "float32")
    small = engine.shrink(model)
    assert np.allclose(small(x), model(x))
    assert [layer.units for layer in small.layers] == [1, 1, 2]  # b reads nothing but zeros, so it sends a constant too
    assert [layer.units for layer in engine.shrink(model, round_to=4).layers] == [4, 4, 2]
    assert [layer.units for layer in engine.shrink(model, minimum=3).layers] == [3, 3, 2]


def test_a_constant_bias_reaches_the_readers_of_a_shared_layer_only_as_zero():
    i = keras.Input((3,))
    a, b = L.Dense(4, name="a"), L.Dense(4, name="b")
    shared = L.Dense(2, name="shared")
    model = keras.Model(i, [shared(a(i)), shared(b(i))])
    kernel = a.kernel.numpy()
    kernel[:, 1] = 0
    a.kernel.assign(kernel)
    b.kernel.assign(kernel)
    a.bias.assign([0, 1.0, 0, 0])
    done = shrink_with_report(model)
    assert done.report.removed == {}  # one bias cannot hold two constants
    a.bias.assign([0, 0, 0, 0])
    assert shrink_with_report(model).report.removed == {"a": (1,), "b": (1,)}
