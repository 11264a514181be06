"""What the smaller model keeps of the old one besides its weights."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import engine
from engine.errors import ModelError
from engine.surgery import remove, rule, shrink

L = keras.layers
X = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")


def test_inputs_and_outputs_by_name():
    i, j = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    x = L.Dense(6, name="a")(i)
    y = L.Add(name="both")([x, L.Dense(6, name="b")(j)])
    model = keras.Model({"left": i, "right": j}, {"one": L.Dense(2, name="o")(y), "two": L.Dense(1, name="p")(x)})
    small = engine.remove_units(model, {"b": [1, 5]})
    made = small({"left": X, "right": X})
    assert set(made) == {"one", "two"}
    a, b, o = (model.get_layer(n).get_weights() for n in "abo")
    keep = [0, 2, 3, 4]
    want = (X @ a[0] + a[1] + X @ b[0] + b[1])[:, keep] @ o[0][keep] + o[1]
    assert np.allclose(made["one"], want, atol=1e-5)
    assert small.output_names == model.output_names


def test_an_output_in_the_middle_keeps_its_units():
    i = keras.Input((4,))
    x = L.Dense(6, name="a")(i)
    model = keras.Model(i, [x, L.Dense(2, name="b")(L.Dense(5, name="c")(x))])
    small = engine.remove_units(model, {"a": [0], "c": [0]})
    assert small.surgery.removed == {"c": (0,)}
    assert small.surgery.skipped[0].reason == "a: it makes the model's output"


class Trained(keras.Model):
    def train_step(self, data):
        return {"mine": 1.0}


def test_a_subclass_with_a_graph_stays_one():
    i = keras.Input((4,))
    model = Trained(i, L.Dense(2, name="b")(L.Dense(6, name="a")(i)))
    small = engine.remove_units(model, {"a": [0]})
    assert isinstance(small, Trained)
    assert small.get_layer("a").units == 5


def test_what_is_frozen_stays_frozen():
    model = keras.Sequential([keras.Input((4,)), L.Dense(6, name="a"), L.Dense(5, name="b"), L.Dense(2)])
    model.get_layer("b").trainable = False
    small = engine.remove_units(model, {"a": [0]})
    assert [layer.trainable for layer in small.layers] == [True, False, True]
    model.trainable = False
    assert not engine.remove_units(model, {"a": [0]}).trainable_variables


def test_functions_in_lambdas_come_along():
    keras.config.enable_unsafe_deserialization()
    i = keras.Input((4,))
    x = L.Lambda(lambda t: 3 * t + 1, name="line")(L.Dense(6, name="a")(i))
    x = L.Dense(5, name="b")(x)
    x = L.Lambda(lambda t: t - keras.ops.mean(t, axis=-1, keepdims=True), name="centre")(x)
    model = keras.Model(i, L.Dense(2)(x))
    small = engine.remove_units(model, {"a": [0, 1], "b": [2]})
    assert small.surgery.removed == {"a": (0, 1)}  # "centre" looks at all of b's units
    assert small(X).shape == (3, 2)


@keras.saving.register_keras_serializable("tests")
class Scale(keras.layers.Layer):
    """Makes its weights from a value, and has a config entry of the width."""

    def __init__(self, width, **options):
        super().__init__(**options)
        self.width = width
        self.scale = keras.Variable(np.linspace(1, 2, width).astype("float32"), name="scale")

    def call(self, x):
        return x * self.scale

    def get_config(self):
        return {**super().get_config(), "width": self.width}


@rule(Scale)
def _scale(call):
    axis = call.inputs[0].axis(-1)
    call.follows(call.op.scale, 0, axis)
    call.resize(axis, "width")
    return call.inputs[0]


def test_a_users_layer_with_weights_of_its_own_making():
    i = keras.Input((4,))
    model = keras.Model(i, L.Dense(2, name="b")(Scale(6, name="s")(L.Dense(6, name="a")(i))))
    small = engine.remove_units(model, {"a": [0, 4]})
    assert np.allclose(small.get_layer("s").scale, np.linspace(1, 2, 6)[[1, 2, 3, 5]])
    a, s, b = (model.get_layer(n).get_weights() for n in "asb")
    keep = [1, 2, 3, 5]
    assert np.allclose(small(X), ((X @ a[0] + a[1]) * s[0])[:, keep] @ b[0][keep] + b[1], atol=1e-5)


class Nameless(keras.layers.Layer):
    """Has weights, and a config that cannot make it again."""

    def __init__(self, function, **options):
        super().__init__(**options)
        self.function = function
        self.w = self.add_weight(shape=(1,))

    def call(self, x):
        return self.function(x) * self.w


def test_a_layer_that_cannot_be_made_again_is_told_in_words():
    i = keras.Input((4,))
    model = keras.Model(i, L.Dense(2)(Nameless(abs)(L.Dense(3)(L.Dense(6, name="a")(i)))))
    with pytest.raises(ModelError, match="cannot be built again"):
        engine.remove_units(model, {"a": [0]})


def test_adapted_normalization_works_on():
    n = L.Normalization(name="n")
    n.adapt(X * 3 + 1)
    i = keras.Input((4,))
    model = keras.Model(i, L.Dense(2)(L.Dense(6, name="a")(n(i))))
    inner = L.Normalization(name="m")
    inner.adapt(np.random.default_rng(1).normal(2, 3, (50, 6)))
    deep = keras.Model(i, L.Dense(2, name="o")(inner(L.Dense(6, name="a")(i))))
    small = engine.remove_units(model, {"a": [0]})
    assert np.allclose(small.get_layer("n")(X), n(X))
    small = engine.remove_units(deep, {"a": [0, 2]})
    assert np.allclose(small.get_layer("m").mean, inner.mean.numpy()[:, [1, 3, 4, 5]])
    a, o = deep.get_layer("a").get_weights(), deep.get_layer("o").get_weights()
    keep = [1, 3, 4, 5]
    z = inner(X @ a[0] + a[1]).numpy()[:, keep] @ o[0][keep] + o[1]
    assert np.allclose(small(X), z, atol=1e-5)


def test_a_layer_inside_a_wrapper_and_beside_it_stays_one(reference):
    shared = keras.layers.Dense(5, name="shared")
    i = keras.Input((3, 4))
    one, two = (keras.layers.Dense(6, activation="sigmoid", name=n)(i) for n in ("one", "two"))
    y = keras.layers.Concatenate()([keras.layers.TimeDistributed(shared)(one), shared(two)])
    model = reference.randomize(keras.Model(i, keras.layers.Dense(2)(y)))
    x = np.random.default_rng(0).normal(size=(4, 3, 4)).astype("float32")
    for name in ("one", "two"):
        kernel, bias = model.get_layer(name).get_weights()
        model.get_layer(name).set_weights([kernel * [0, 1, 1, 0, 1, 1], bias * [0, 1, 1, 0, 1, 1]])
    same = remove(model, {"one": []}).model
    assert reference.difference([same(x)], [model(x)]) < 1e-6
    assert len(same.weights) == len(model.weights)
    assert reference.difference([shrink(model)(x)], [model(x)]) < 1e-5


def test_a_cell_that_two_layers_share_gives_both_its_weights(reference):
    cell = L.GRUCell(4)
    i = keras.Input((3, 5))
    y = L.Concatenate()([L.RNN(cell)(i), L.RNN(cell, go_backwards=True)(i)])
    model = reference.randomize(keras.Model(i, L.Dense(2)(L.Dense(6, activation="relu", name="d")(y))))
    x = np.random.default_rng(0).normal(size=(4, 3, 5)).astype("float32")
    kernel, bias = model.get_layer("d").get_weights()
    model.get_layer("d").set_weights([kernel * [0, 1, 1, 0, 1, 1], bias * [0, 1, 1, 0, 1, 1]])
    small = shrink(model)
    assert small.surgery.removed == {"d": (0, 3)}
    assert reference.difference([small(x)], [model(x)]) < 1e-5


@pytest.mark.filterwarnings("ignore:Layer .* does not support masking")
@pytest.mark.parametrize("named", [False, True])
def test_a_nested_model_under_a_mask_and_called_by_name(named, reference):
    a = keras.Input((6, 8))
    inner = keras.Model(a, L.LSTM(5, return_sequences=True)(L.Dense(7, activation="tanh")(a)))
    i = keras.Input((6,), dtype="int32")
    y = L.Embedding(9, 8, mask_zero=True, name="words")(i)
    y = inner(inputs=y) if named else inner(y)
    model = reference.randomize(keras.Model(i, L.Dense(2)(L.GlobalAveragePooling1D()(y))))
    x = np.random.default_rng(0).integers(0, 9, (4, 6))
    model.get_layer("words").set_weights([model.get_layer("words").get_weights()[0] * [1, 0, 1, 1, 0, 1, 1, 1]])
    small = shrink(model)
    assert small.surgery.removed["words"] == (1, 4)
    assert reference.difference([small(x)], [model(x)]) < 1e-5
