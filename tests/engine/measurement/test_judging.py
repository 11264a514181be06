"""What outputs and labels mean together, by hand: one unit for two classes, one-hot labels, numbers."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import engine
from engine.errors import DataError, PruneError, UnknownName

X = np.array([[-2.0], [3.0], [0.5], [-0.1]], "float32")
Y = np.array([0, 1, 0, 0])


def one_unit(activation: str | None, dtype: str = "float32") -> keras.Model:
    """Answers its input, or the input's sigmoid."""
    model = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(1, use_bias=False, activation=activation, dtype=dtype)]
    )
    model.layers[0].kernel.assign([[1.0]])
    return model


def wanted_loss() -> float:
    return sum(math.log1p(math.exp(-z)) if y else math.log1p(math.exp(z)) for (z,), y in zip(X, Y, strict=True)) / 4


@pytest.mark.parametrize("activation", [None, "sigmoid"])
@pytest.mark.parametrize("labels", [Y, Y.astype("float32"), Y[:, None], Y.astype(bool), np.eye(2)[Y]])
def test_a_probability_or_a_logit_tells_two_classes(activation, labels):
    found = engine.measure(one_unit(activation), (X, labels), batch_sizes=())
    assert found.metric is not None
    assert (found.metric.name, found.metric.value) == ("accuracy", 0.75)  # 0.5 is a logit of class 1, and wrong
    assert found.loss == pytest.approx(wanted_loss(), rel=1e-5)


def test_logits_between_0_and_1_are_no_probabilities():
    x = np.array([[0.2], [0.3]], "float32")
    found = engine.measure(one_unit(None), (x, np.array([1, 1])), batch_sizes=())
    assert found.metric is not None
    assert found.metric.value == 1.0
    model = one_unit(None)
    model.compile(loss="binary_crossentropy")  # whoever trains so says that they are probabilities
    said = engine.measure(model, (x, np.array([1, 1])), batch_sizes=())
    assert said.metric is not None
    assert said.metric.value == 0.0


def test_numbers_that_begin_with_0_and_1_are_no_classes():
    x = np.array([[0.0], [1.0], [4.0]], "float32")
    y = np.array([0, 1, 2])
    for data in ((x, y), tf.data.Dataset.from_tensor_slices((x, y)).batch(1)):
        found = engine.measure(one_unit(None), data, batch_sizes=())
        assert found.metric is not None
        assert (found.metric.name, found.metric.value) == ("mean_squared_error", pytest.approx(4 / 3))
    model = one_unit(None)
    model.compile(loss="mse")
    found = engine.measure(model, (x[:2], y[:2]), batch_sizes=())
    assert found.metric is not None
    assert (found.metric.name, found.metric.value) == ("mean_squared_error", 0.0)


def test_two_classes_beside_the_dense_control():
    flipped = one_unit("sigmoid")
    flipped.layers[0].kernel.assign([[0.0]])  # always 0.5: class 0
    found = engine.measure(flipped, (X, Y), reference=one_unit("sigmoid"), batch_sizes=())
    assert found.comparison is not None
    assert found.comparison.agreement == 0.5
    assert (found.comparison.lost, found.comparison.gained) == (1, 1)
    assert [(c.label, c.recall.before, c.recall.after) for c in found.comparison.classes] == [
        (0, pytest.approx(2 / 3), 1.0),
        (1, 1.0, 0.0),
    ]


def test_half_precision_is_judged_like_the_whole():
    found = engine.measure(one_unit("sigmoid", "mixed_bfloat16"), (X, Y), batch_sizes=(1,), repeats=2)
    assert found.metric is not None
    assert found.metric.value == 0.75
    assert len(found.latency) == 1


def test_several_answers_for_each_example():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, use_bias=False, activation="sigmoid")])
    model.layers[0].kernel.assign(np.eye(2))
    x = np.array([[3.0, 3.0], [-3.0, 3.0]], "float32")
    found = engine.measure(model, (x, np.array([[1, 1], [0, 0]])), batch_sizes=())
    assert found.metric is not None
    assert (found.metric.name, found.metric.direction, found.metric.value) == ("binary_accuracy", "max", 0.75)
    assert found.loss == pytest.approx((3 * math.log1p(math.exp(-3)) + math.log1p(math.exp(3))) / 4, rel=1e-4)


def test_labels_that_do_not_go_with_the_model():
    with pytest.raises(DataError, match="label 4, and the model has 3 classes"):
        engine.measure(
            keras.Sequential([keras.Input((1,)), keras.layers.Dense(3)]), (X, np.array([0, 1, 2, 4])), batch_sizes=()
        )
    with pytest.raises(DataError, match=r"labels of shape \(4, 3\) do not go with outputs of shape \(4, 1\)"):
        engine.measure(one_unit(None), (X, np.zeros((4, 3))), batch_sizes=())
    with pytest.raises(DataError, match="does not take this data"):
        engine.measure(one_unit(None), (np.zeros((4, 7), "float32"), Y), batch_sizes=())
    with pytest.raises(DataError, match="has no end"):
        engine.measure(one_unit(None), tf.data.Dataset.from_tensor_slices((X, Y)).batch(2).repeat(), batch_sizes=())


def test_mistakes_are_answered_with_a_sentence():
    model = one_unit(None)
    single = tf.data.Dataset.from_tensor_slices((np.zeros((3, 4), "float32"), Y[:3]))
    for error, said, data, more in (
        (DataError, "4, 2 rows", (X, Y[:2]), {}),
        (DataError, "no example", (X[:0], Y[:0]), {}),
        (DataError, "not batched", single, {}),
        (UnknownName, "Did you mean accuracy", (X, Y), {"metric": "accurracy"}),
        (UnknownName, "no loss named 'nonsense'", (X, Y), {"loss": "nonsense"}),
        (PruneError, "batch of 0 rows", None, {"batch_sizes": (0,)}),
    ):
        with pytest.raises(error, match=said):
            engine.measure(model, data, **{"batch_sizes": (), **more})


def test_data_comes_in_many_forms():
    class Batches(keras.utils.PyDataset):  # type: ignore[misc]
        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: int) -> object:
            return X[2 * index : 2 * index + 2], Y[2 * index : 2 * index + 2]

    for data in (
        (X.tolist(), Y.tolist()), (tf.constant(X), tf.constant(Y)), (X, Y, np.ones(4)), Batches(),
        tf.data.Dataset.from_tensor_slices((X, Y)).batch(3),
    ):  # fmt: skip
        found = engine.measure(one_unit(None), data, batch_sizes=(2,), repeats=2)
        assert found.metric is not None
        assert (found.metric.value, found.samples, len(found.latency)) == (0.75, 4, 1)


def test_sequences_of_any_length():
    model = keras.Sequential([keras.Input((None, 3)), keras.layers.Dense(4)])
    parts = [np.zeros((2, n, 3), "float32") for n in range(1, 12)]
    labels = [np.zeros((2, n), "int64") for n in range(1, 12)]
    data = tf.data.Dataset.from_generator(
        lambda: zip(parts, labels, strict=True),
        output_signature=(tf.TensorSpec((None, None, 3), tf.float32), tf.TensorSpec((None, None), tf.int64)),
    )
    found = engine.measure(model, data, reference=model, batch_sizes=(1,), repeats=2)
    assert found.samples == 22
    assert found.comparison is not None
    assert found.comparison.agreement == 1.0


def test_words_as_inputs():
    words = np.array([["red"], ["blue"], ["red"]], dtype=object)
    inputs = keras.Input((1,), dtype="string")
    lookup = keras.layers.StringLookup(vocabulary=["red", "blue"])
    model = keras.Model(
        inputs, keras.layers.Dense(2)(keras.layers.Flatten()(keras.layers.Embedding(3, 4)(lookup(inputs))))
    )
    found = engine.measure(model, (words, np.array([0, 1, 0])), batch_sizes=(2,), repeats=2)
    assert found.samples == 3
    assert len(found.latency) == 1
    alone = engine.measure(model, batch_sizes=(2,), repeats=2)
    assert len(alone.latency) == 1
