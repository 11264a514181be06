"""Groups of hand-made graphs, by hand."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import engine
from engine.errors import ModelError
from engine.surgery import Flow, layer_units, rule
from engine.surgery.flow import blocks

L = keras.layers


def members(group):
    # a Sequential model's own name leads its variables' paths
    short = (key.partition("/")[2] if key.startswith("sequential") else key for key, _, _ in group.members)
    return {(key, axis): index for key, (_, axis, index) in zip(short, group.members, strict=True)}


def residual():
    i = keras.Input((6, 6, 3))
    x = L.Conv2D(4, 3, padding="same", name="conv1")(i)
    y = L.Conv2D(4, 3, padding="same", name="conv2")(x)
    y = L.BatchNormalization(name="bn2")(y)
    z = L.Add(name="add")([y, x])
    z = L.Flatten(name="flat")(L.MaxPooling2D(3, name="pool")(z))
    return keras.Model(i, L.Dense(2, name="fc")(z))


def test_a_shortcut_couples_both_sides_and_flatten_makes_blocks():
    (group,) = engine.dependency_groups(residual())
    assert group.units == 4
    found = members(group)
    assert set(found) == {
        ("conv1/kernel", 3), ("conv1/bias", 0), ("conv2/kernel", 2), ("conv2/kernel", 3), ("conv2/bias", 0),
        ("bn2/gamma", 0), ("bn2/beta", 0), ("bn2/moving_mean", 0), ("bn2/moving_variance", 0), ("fc/kernel", 0),
    }  # fmt: skip
    assert found["conv1/kernel", 3].tolist() == [[0], [1], [2], [3]]
    # 2 x 2 positions are left after the pool; channels are the fastest axis of Flatten
    assert found["fc/kernel", 0].tolist() == [[0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15]]
    assert group.words == "conv1, conv2 and bn2 go together; read by fc"


def test_what_must_stay_is_listed_on_request_with_the_reason():
    free, stuck = engine.dependency_groups(residual(), everything=True)
    assert not free.stays
    assert stuck.layers == ("fc",)
    assert stuck.stays == "fc: it makes the model's output"


def test_concatenate_offsets():
    i = keras.Input((6, 6, 3))
    a, b = L.Conv2D(2, 1, name="a")(i), L.Conv2D(3, 1, name="b")(i)
    c = L.Conv2D(4, 1, name="c")(L.Concatenate()([a, b, a]))
    model = keras.Model(i, L.Dense(2, name="out")(L.GlobalAveragePooling2D()(c)))
    one, two, three = engine.dependency_groups(model)
    assert members(one)["c/kernel", 2].tolist() == [[0, 5], [1, 6]]
    assert members(two)["c/kernel", 2].tolist() == [[2], [3], [4]]
    assert members(three)["out/kernel", 0].tolist() == [[0], [1], [2], [3]]


def test_depthwise_channels_follow_their_producer():
    model = keras.Sequential(
        [keras.Input((6, 6, 3)), L.Conv2D(3, 1, name="a"), L.DepthwiseConv2D(3, depth_multiplier=2, name="d"),
         L.Conv2D(4, 1, name="b"), L.Flatten(), L.Dense(2)]
    )  # fmt: skip
    first = engine.dependency_groups(model)[0]
    assert members(first)["d/kernel", 2].tolist() == [[0], [1], [2]]
    assert members(first)["d/bias", 0].tolist() == [[0, 1], [2, 3], [4, 5]]  # channel in * m + j
    assert members(first)["b/kernel", 2].tolist() == [[0, 1], [2, 3], [4, 5]]


def test_gates_lie_side_by_side():
    model = keras.Sequential([keras.Input((5, 3)), L.LSTM(2, name="r"), L.Dense(2, name="out")])
    (group,) = engine.dependency_groups(model)
    found = members(group)
    assert found["r/lstm_cell/kernel", 1].tolist() == [[0, 2, 4, 6], [1, 3, 5, 7]]
    assert found["r/lstm_cell/recurrent_kernel", 0].tolist() == [[0], [1]]
    assert found["out/kernel", 0].tolist() == [[0], [1]]


def test_units_of_attention_are_heads():
    i = keras.Input((5, 6))
    model = keras.Model(i, L.Dense(2)(L.MultiHeadAttention(3, 4, name="att")(i, i)))
    heads = engine.dependency_groups(model)[0]
    assert heads.units == 3
    assert {(k, a) for k, a, _ in heads.members if "kernel" in k} == {
        ("att/query/kernel", 1), ("att/key/kernel", 1), ("att/value/kernel", 1), ("att/attention_output/kernel", 0)
    }  # fmt: skip
    units = layer_units(model)
    assert units["att"].units == 3
    assert units["att/attention_output"].units == 6


def test_grouped_convolutions_lose_equal_offsets_or_whole_groups():
    i = keras.Input((6, 6, 3))
    x = L.Conv2D(6, 1, name="a")(i)
    x = L.Conv2D(6, 1, groups=2, name="g")(x)
    model = keras.Model(i, L.Dense(2)(L.GlobalAveragePooling2D()(x)))
    offsets = engine.remove_units(model, {"a": [0, 3]})
    assert offsets.surgery.removed == {"a": (0, 3)}
    assert offsets.get_layer("g").groups == 2
    whole = engine.remove_units(model, {"a": [0, 1, 2]})
    assert whole.surgery.removed == {"a": (0, 1, 2), "g": (0, 1, 2)}
    assert whole.get_layer("g").groups == 1
    alone = engine.remove_units(model, {"a": [1]})
    assert alone.surgery.removed == {"a": (1, 4)}


class Doubled(keras.layers.Layer):
    def call(self, x):
        return 2 * x


class Reversed(keras.layers.Layer):
    def call(self, x):
        return x[..., ::-1]


class Rich(keras.layers.Dense):
    def call(self, x):
        return super().call(x) + 1


class Same(keras.layers.Dense):
    """Nothing overridden."""


@rule(Doubled)
def _doubled(call):
    return call.inputs[0]


@rule(Reversed)
def _reversed(call):
    x = call.inputs[0]
    axis = x.axis(-1)
    return Flow(call.shapes[0], (*x.axes[:-1], axis and axis.take(np.arange(len(axis.labels))[::-1])))


def test_users_add_rules_and_what_has_none_is_a_barrier():
    i = keras.Input((4,))
    x = Doubled(name="twice")(L.Dense(5, name="a")(i))
    x = Rich(6, name="rich")(Reversed(name="back")(x))
    model = keras.Model(i, L.Dense(2, name="out")(Same(3, name="same")(x)))
    small = engine.remove_units(model, {"a": [0], "rich": [1], "same": [2]})
    assert small.surgery.removed == {"same": (2,)}  # "rich" overrides call, so Dense's rule is not its own
    why = {s.layer: s.reason for s in small.surgery.skipped}
    assert "Rich rich has no rule" in why["a"]
    assert "Rich rich has no rule" in why["rich"]
    j = keras.Input((4,))
    plain = keras.Model(j, L.Dense(2)(Reversed()(Doubled()(L.Dense(5, name="a")(j)))))
    small = engine.remove_units(plain, {"a": [0, 1]})
    assert small.get_layer("a").units == 3
    w1, b1, w2, b2 = plain.get_weights()
    x = np.ones((1, 4))
    assert np.allclose(small(x), 2 * (x @ w1 + b1)[:, [4, 3, 2]] @ w2[[0, 1, 2]] + b2, atol=1e-5)


def test_a_model_without_a_graph_is_refused_in_words():
    class Own(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(ModelError, match="no Functional or Sequential"):
        engine.dependency_groups(Own())


def test_blocks_of_a_reshape():
    assert blocks((4, 6, 5), (24, 5)) == [(range(2), range(1)), (range(2, 3), range(1, 2))]
    assert blocks((7, 12), (7, 3, 4)) == [(range(1), range(1)), (range(1, 2), range(1, 3))]
    assert blocks((7, 1, 5), (7, 5)) == [(range(1), range(1)), (range(1, 3), range(1, 2))]
