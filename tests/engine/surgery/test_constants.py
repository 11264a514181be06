"""What masked units send is followed through every operation, or known to be unknown: shrinking changes nothing."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import engine
from engine.surgery import layer_units, remove, shrink_with_report, unit_masks

L = keras.layers
ops = keras.ops
GONE = np.array([1, 4, 9])
BOUNDS = np.linspace(0.2, 0.4, 12)


# A masked unit sends sigmoid(0). What these make of it is decided by positions, numbers or a bias of their own.
STEPS = {
    "sum over the steps, in a Lambda": L.Lambda(lambda t: ops.sum(t, axis=-2, keepdims=True)),
    "running sum in a Lambda": L.Lambda(lambda t: ops.cumsum(t, axis=-2)),
    "one factor a step": L.Lambda(lambda t: t * ops.reshape(ops.arange(7, dtype=t.dtype), (7, 1))),
    "one factor a unit": L.Lambda(lambda t: t * ops.convert_to_tensor(BOUNDS, t.dtype)),
    "softmax over the steps": L.Activation(lambda t: ops.softmax(t * ops.cos(t[:, :1] * 9), axis=-2)),
    "dense at every step": L.TimeDistributed(L.Dense(4, activation="relu")),
    "dense at every step, no bias": L.TimeDistributed(L.Dense(4, activation="relu", use_bias=False)),
    "highest above a start": lambda x: ops.max(x, axis=1, initial=0.7),
    "lowest below a start": lambda x: ops.min(x, axis=1, initial=0.1),
    "a bias of the steps": L.EinsumDense("abc,cd->adb", output_shape=(7, 7), bias_axes="b", activation="sigmoid"),
    "bounds a unit": lambda x: ops.clip(x, -BOUNDS, BOUNDS),
    "one minus it": lambda x: 1.0 - x,
    "its square": lambda x: x**2,
    "a number to its power": lambda x: 2.0**x,
    "over a number": lambda x: 3.0 / x,
    "at least a number": lambda x: ops.maximum(0.6, x),
    "its mean, the axis kept": lambda x: ops.mean(x, axis=1, keepdims=True),
    "side by side in time": lambda x: L.Concatenate(axis=1)([x, 1.0 - x, x]),
    "stacked": lambda x: ops.stack([x, x * 2.0], axis=1),
    "one step split off": lambda x: ops.split(x, 7, axis=1)[2],
}
# Zeros pass all of these.
ZEROS = {
    "sum over the steps": lambda x: ops.sum(x, axis=1),
    "padded with zeros": lambda x: ops.pad(x, ((0, 0), (1, 1), (0, 0))),
    "running sum": lambda x: ops.cumsum(x, axis=1),
    "side by side in time": lambda x: ops.concatenate([x, x * 3.0], axis=1),
    "one row more": lambda x: ops.stack([x, x * 2.0], axis=-1),
    "mixed in time": lambda x: ops.matmul(np.ones((3, 7), "float32"), x),
    "einsum": lambda x: ops.einsum("btc,bsc->bts", x, x),
    "attention": lambda x: L.Attention()([x * 2.0, x]),
}


def build(step, activation):
    i = keras.Input((7, 5))
    y = step(L.Dense(12, activation=activation, name="c")(i))
    return keras.Model(i, L.Dense(3, name="d")(L.Flatten()(y) if len(y.shape) > 2 else y))


def masked(model, reference, gone=GONE):
    reference.randomize(model)
    kept = {k: np.ones(u.units, bool) for k, u in layer_units(model).items()}
    kept["c"][gone] = False
    for path, mask in unit_masks(model, {"c": kept["c"]}).items():
        variable = next(v for v in model.weights if v.path == path)
        variable.assign(variable.numpy() * mask)
    return model


@pytest.mark.parametrize("name", STEPS)
def test_constants_are_followed_or_known_to_be_unknown(name, reference):
    model = masked(build(STEPS[name], "sigmoid"), reference)
    x = np.random.default_rng(1).normal(size=(4, 7, 5)).astype("float32")
    done = shrink_with_report(model)
    assert reference.difference([done.model(x)], [model(x)]) < 1e-5


@pytest.mark.parametrize("name", ZEROS)
def test_zeros_pass(name, reference):
    model = build(ZEROS[name], "tanh")
    reference.randomize(model)
    dense = model.get_layer("c")
    kernel, bias = dense.get_weights()
    kernel[:, GONE], bias[GONE] = 0, 0
    dense.set_weights([kernel, bias])
    x = np.random.default_rng(1).normal(size=(4, 7, 5)).astype("float32")
    done = shrink_with_report(model)
    assert reference.difference([done.model(x)], [model(x)]) < 1e-5
    assert done.report.removed["c"] == tuple(GONE)


@pytest.mark.parametrize("name", ["one minus it", "its square", "its mean, the axis kept", "side by side in time",
                                  "dense at every step", "dense at every step, no bias"])  # fmt: skip
def test_constants_are_folded_where_they_are_known(name, reference):
    done = shrink_with_report(masked(build(STEPS[name], "sigmoid"), reference))
    assert done.report.removed["c"] == tuple(GONE)


def test_what_a_softmax_makes_of_a_constant_is_not_one(reference):
    i = keras.Input((5,))
    y = L.Dense(3)(L.Dense(6, name="n")(L.Dense(4, activation="softmax", name="s")(i)))
    model = reference.randomize(keras.Model(i, y))
    kernel, bias = model.get_layer("s").get_weights()
    kernel[:, 0] = 0
    model.get_layer("s").set_weights([kernel, bias])
    rows, offset = model.get_layer("n").get_weights()
    rows[1:, 2] = 0  # unit 2 of n reads the unit alone whose logit does not depend on the input
    model.get_layer("n").set_weights([rows, offset])
    x = np.random.default_rng(1).normal(size=(4, 5)).astype("float32")
    assert reference.difference([engine.shrink(model)(x)], [model(x)]) < 1e-5


def test_inputs_by_name_reach_the_inputs_of_that_name(reference):
    a, b = keras.Input((6,), name="a"), keras.Input((6,), name="b")
    inner = keras.Model([b, a], L.Dense(5, activation="relu")(b) * 2.0 + L.Dense(5)(a), name="inner")
    i = keras.Input((5,))
    one, two = (L.Dense(6, activation="relu", name=n)(i) for n in ("one", "two"))
    model = reference.randomize(keras.Model(i, L.Dense(2)(inner({"a": one, "b": two}))))
    x = np.random.default_rng(1).normal(size=(4, 5)).astype("float32")
    for gone in ({"one": [0, 1], "two": [2, 3]}, {"one": [0, 1, 5], "two": [2]}):
        want = model.get_layer("inner")(
            {
                n: y * ~np.isin(np.arange(6), gone[k])
                for n, k in (("a", "one"), ("b", "two"))
                for y in [model.get_layer(k)(x)]
            }
        )
        done = remove(model, gone)
        assert done.report.removed == {k: tuple(v) for k, v in gone.items()}
        assert reference.difference([done.model(x)], [model.layers[-1](want)]) < 1e-5


@pytest.mark.parametrize("axis", [0, 1])
def test_constant_arrays_beside_a_tensor_keep_their_size(axis, reference):
    i = keras.Input(batch_shape=(1, 5))
    y = L.Dense(12, name="c")(i)
    other = np.ones((1, 12), "float32")
    y = ops.reshape(ops.stack([other, y], axis=1), (1, 24)) if axis else ops.concatenate([other, y], axis=1)
    model = reference.randomize(keras.Model(i, L.Dense(2)(y)))
    done = remove(model, {"c": [1, 2]})
    assert done.report.removed == ({} if axis else {"c": (1, 2)})
    done.model(np.ones((1, 5), "float32"))


def _doubled(t):
    return ops.relu(t) * 2


@pytest.mark.parametrize(
    "layer",
    [lambda: L.Dense(8, activation=_doubled), lambda: L.Dense(8, activation=lambda t: 2 * ops.relu(t)),
     lambda: L.Activation(_doubled), lambda: L.TimeDistributed(L.Dense(8, activation=_doubled)),
     lambda: L.LSTM(8, activation=_doubled, kernel_initializer=lambda shape, dtype=None: ops.ones(shape, dtype)),
     lambda: L.Dense(8, kernel_regularizer=lambda w: ops.sum(w * w))],
)  # fmt: skip
def test_functions_of_the_user_come_along(layer, reference):
    i = keras.Input((4, 5))
    model = reference.randomize(keras.Model(i, L.Dense(2)(L.Flatten()(layer()(L.Dense(9, name="c")(i))))))
    x = np.random.default_rng(1).normal(size=(4, 4, 5)).astype("float32")
    kernel, bias = model.get_layer("c").get_weights()
    kernel[:, :2], bias[:2] = 0, 0
    model.get_layer("c").set_weights([kernel, bias])
    done = remove(model, {"c": [0, 1]})
    assert done.report.removed["c"] == (0, 1)
    assert reference.difference([done.model(x)], [model(x)]) < 1e-5


def test_a_rule_that_fails_halfway_leaves_its_layer_whole(reference):
    @keras.saving.register_keras_serializable("constants")
    class Half(L.Dense):
        def call(self, x):
            return super().call(x)

    @engine.surgery.rule(Half)
    def half(call):
        made = call.units(call.op.kernel, 1)
        call.space(made)
        return call.inputs[0]  # of another width than what comes out

    i = keras.Input((5,))
    model = reference.randomize(keras.Model(i, L.Dense(2)(Half(4, name="h")(L.Dense(6, name="c")(i)))))
    done = remove(model, {"c": [0], "h": [1]})
    assert done.report.removed == {}
    assert {s.layer for s in done.report.skipped} == {"c", "h"}
    assert "does not fit" in done.report.skipped[0].reason
