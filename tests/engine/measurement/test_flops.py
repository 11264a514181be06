"""FLOPs against hand counts and TensorFlow's own profiler (which counts no ReLU)."""

from __future__ import annotations

import keras
import pytest
import tensorflow as tf

from engine.measurement.flops import count_flops, layer_costs

L = keras.layers


def profiled(model):
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2_as_graph
    from tensorflow.python.profiler.model_analyzer import profile
    from tensorflow.python.profiler.option_builder import ProfileOptionBuilder

    spec = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32)
    concrete = tf.function(lambda x: model(x, training=False)).get_concrete_function(spec)
    _, graph_def = convert_variables_to_constants_v2_as_graph(concrete)
    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(graph_def, name="")
        options = ProfileOptionBuilder(ProfileOptionBuilder.float_operation()).with_empty_output().build()
        return profile(graph, options=options).total_float_ops


@pytest.mark.parametrize(
    "layers",
    [
        [L.Flatten(), L.Dense(7), L.Dense(3)],
        [L.Conv2D(5, 3, padding="same"), L.Conv2D(4, 3, strides=2, use_bias=False)],
        [L.DepthwiseConv2D(3, depth_multiplier=2), L.Conv2D(4, 1), L.Flatten(), L.Dense(2)],
        [L.SeparableConv2D(5, 3, depth_multiplier=2, strides=2), L.AveragePooling2D(2)],
        [L.Reshape((64, 3)), L.SeparableConv1D(5, 3), L.Conv1D(4, 3, dilation_rate=2), L.GlobalAveragePooling1D()],
        [L.Conv2D(4, 3, groups=1), L.MaxPooling2D(2), L.Flatten(), L.Dense(2, use_bias=False)],
    ],
)
def test_as_the_profiler_counts(layers):
    model = keras.Sequential([keras.Input((8, 8, 3)), *layers])
    assert count_flops(model)[0] == profiled(model)


def test_by_hand():
    i = keras.Input((4, 6))
    x = L.LSTM(5, return_sequences=True, name="lstm")(i)
    x = L.MultiHeadAttention(2, 3, use_bias=False, name="mha")(x, x)
    x = L.Conv1D(8, 3, groups=1, padding="same", name="conv")(x)
    x = L.Conv1D(8, 3, groups=4, padding="same", use_bias=False, name="grouped")(x)
    x = L.Conv1DTranspose(2, 2, strides=2, use_bias=False, name="up")(x)
    model = keras.Model(i, L.Dense(3, name="out")(L.Flatten()(x)))
    costs = layer_costs(model)
    assert sum(costs["lstm"].products.values()) == 2 * 4 * (6 * 20 + 5 * 20)
    assert costs["lstm"].params == 6 * 20 + 5 * 20 + 20
    # four projections of 5 x 6, then scores and weighted sums over 4 x 4 pairs, softmax 5 each
    assert costs["mha"].flops == 4 * 2 * 4 * 5 * 6 + 2 * 4 * 4 * 2 * (3 + 3) + 5 * 4 * 4 * 2
    assert costs["conv"].flops == 2 * 4 * 8 * 3 * 5 + 4 * 8
    assert costs["grouped"].flops == 2 * 4 * 8 * 3 * 2
    assert costs["up"].flops == 2 * 4 * 8 * 2 * 2
    assert costs["out"].flops == 2 * 16 * 3 + 3
    assert all(c.exact for c in costs.values())


def test_other_attention_and_einsum_by_hand():
    i = keras.Input((4, 6))
    q, v = L.Dense(8, name="q")(i), L.Dense(5, name="v")(i)
    k = L.Dense(8, name="k")(i)
    a = L.Attention(name="plain")([q, v, k])
    g = L.GroupQueryAttention(3, 4, 2, use_bias=False, name="grouped")(a, a)
    e = keras.ops.einsum("btd,bsd->bts", g, g)
    u = L.Conv2DTranspose(3, 3, strides=2, name="up")(L.Reshape((2, 2, 4))(e))
    costs = layer_costs(keras.Model(i, L.EinsumDense("bhwc,wcd->bhd", (5, 7), bias_axes="d", name="two")(u)))
    assert costs["plain"].flops == 4 * 4 * (2 * 8 + 2 * 5 + 5)
    # query and output for 4 heads, key and value for 2, all of width 3; then 4 x 4 pairs for each of the 4 heads
    assert costs["grouped"].flops == 2 * 4 * 5 * 3 * (4 + 4 + 2 + 2) + 4 * 4 * 4 * (2 * 3 + 2 * 3 + 5)
    assert next(c for name, c in costs.items() if name.startswith("einsum") and name != "two").flops == 2 * 4 * 4 * 5
    assert costs["up"].flops == 2 * (2 * 2 * 4) * 3 * 9 + 5 * 5 * 3
    assert costs["two"].flops == 2 * (5 * 7) * (5 * 3) + 5 * 7
    assert costs["two"].params == 5 * 3 * 7 + 7
    assert all(c.exact for c in costs.values())


def test_zeros_save_only_their_own_products():
    model = keras.Sequential([keras.Input((4,)), L.Dense(5, name="a")])
    kernel = model.get_layer("a").kernel.numpy()
    kernel[:2] = 0
    model.get_layer("a").kernel.assign(kernel)
    assert count_flops(model) == (2 * 20 + 5, 2 * 10 + 5)


def test_dynamic_sizes_are_said():
    model = keras.Sequential([keras.Input((None, 4)), L.Dense(5, name="a")])
    assert not layer_costs(model)["a"].exact
    assert layer_costs(model)["a"].flops == 45
