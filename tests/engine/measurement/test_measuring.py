"""`engine.measure` on models whose numbers are known by hand."""

from __future__ import annotations

import json
import math

import keras
import msgspec
import numpy as np
import pytest
import tensorflow as tf

import engine
from engine.errors import DataError, ModelError
from engine.measurement.memory import activation_bytes
from engine.measurement.values import Measurement


def identity(scale: float = 1.0) -> keras.Model:
    """Answers its input: predictions are known."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, use_bias=False)])
    model.layers[0].kernel.assign(scale * np.eye(4, dtype="float32"))
    return model


def data() -> tuple[np.ndarray, np.ndarray]:
    x = np.eye(4, dtype="float32")[[0, 1, 2, 3, 0]]
    return x, np.array([0, 1, 2, 3, 1])


def test_counts_by_hand():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), keras.layers.BatchNormalization()])
    kernel = np.zeros((3, 4), "float32")
    kernel[0, :2] = 1
    model.layers[0].kernel.assign(kernel)
    counts = engine.measure(model, batch_sizes=()).counts
    assert (counts.parameters, counts.nonzero) == (12 + 4 + 16, 2 + 0 + 4 + 4)  # gamma and the moving variance are ones
    assert (counts.prunable, counts.prunable_nonzero, counts.units, counts.units_alive) == (12, 2, 4, 2)
    assert (counts.bytes_raw, counts.bytes_nonzero) == (32 * 4, 10 * 4)
    assert counts.sparsity == pytest.approx(10 / 12)


def test_metric_and_loss_by_hand():
    found = engine.measure(identity(), data(), batch_sizes=())
    assert found.metric is not None
    assert (found.metric.name, found.metric.direction, found.samples) == ("accuracy", "max", 5)
    assert found.metric.value == pytest.approx(0.8)
    # The outputs are one-hot rows: they look like probabilities, as a softmax's do, and Keras clips at 1e-7.
    assert found.loss == pytest.approx(-math.log(1e-7) / 5, rel=1e-3)


def test_logits_one_hot_and_datasets_say_the_same():
    x, y = data()
    plain = engine.measure(identity(3.0), (x, y), batch_sizes=())
    hot = engine.measure(identity(3.0), (x, np.eye(4)[y]), batch_sizes=())
    stream = engine.measure(identity(3.0), tf.data.Dataset.from_tensor_slices((x, y)).batch(2), batch_sizes=())
    wanted = math.log(math.exp(3) + 3) - 3 * 4 / 5
    for found in (plain, hot, stream):
        assert found.metric is not None
        assert found.metric.value == pytest.approx(0.8)
        assert found.loss == pytest.approx(wanted, rel=1e-5)


def test_numbers_get_an_error_that_is_better_small():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)])
    model.layers[0].kernel.assign([[1.0], [0.0]])
    x = np.array([[1.0, 5.0], [2.0, 5.0]], "float32")
    found = engine.measure(model, (x, np.array([1.5, 3.0])), batch_sizes=())
    assert found.metric is not None
    assert (found.metric.direction, found.metric.value) == ("min", pytest.approx((0.25 + 1.0) / 2))
    named = engine.measure(model, (x, np.array([1.5, 3.0])), metric="mean_absolute_error", batch_sizes=())
    assert named.metric is not None
    assert (named.metric.name, named.metric.direction) == ("mean_absolute_error", "min")
    assert named.metric.value == pytest.approx(0.75)


def test_yes_or_no():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.layers[0].kernel.assign([[1.0]])
    found = engine.measure(model, (np.array([[-2.0], [3.0], [0.5]], "float32"), np.array([0, 1, 0])), batch_sizes=())
    assert found.metric is not None
    assert (found.metric.name, found.metric.value) == ("accuracy", pytest.approx(2 / 3))


def test_top5_from_ten_classes_on():
    model = keras.Sequential([keras.Input((10,)), keras.layers.Dense(10, use_bias=False)])
    model.layers[0].kernel.assign(np.eye(10, dtype="float32"))
    x = np.tile(np.arange(10, dtype="float32"), (4, 1))  # best five: 5 to 9
    found = engine.measure(model, (x, np.array([9, 5, 4, 0])), batch_sizes=())
    assert found.top5 == pytest.approx(0.5)
    assert engine.measure(identity(), data(), batch_sizes=()).top5 is None


def test_beside_the_dense_control():
    other = identity()
    other.layers[0].kernel.assign(np.diag([1.0, 1.0, 1.0, 0.0]).astype("float32"))  # class 3 is now answered with 0
    found = engine.measure(other, data(), reference=identity(), batch_sizes=(1, 8), repeats=5, seconds=0.05)
    assert found.reference is not None
    assert found.comparison is not None
    assert found.comparison.accuracy is not None
    assert (found.comparison.lost, found.comparison.gained) == (1, 0)
    assert found.comparison.agreement == pytest.approx(0.8)
    assert found.comparison.accuracy.difference == pytest.approx(-0.2)
    assert [row.batch_size for row in found.latency] == [1, 8]
    for row, control in zip(found.latency, found.reference.latency, strict=True):
        assert row.speedup is not None
        assert control.speedup is None
        assert 0 < row.minimum <= row.low <= row.median <= row.high
    assert found.at(8) is found.latency[1]
    assert found.compression == pytest.approx(16 / 3)
    assert found.threads >= 1
    assert found.memory is not None
    assert found.memory.process_peak is None or found.memory.process_peak > found.memory.weights


def test_theory_and_measurement_are_apart():
    # 4 x 4 products at 2 operations; half of the kernel is zero.
    half = identity()
    kernel = np.ones((4, 4), "float32")
    kernel[:, :2] = 0
    half.layers[0].kernel.assign(kernel)
    found = engine.measure(half, reference=identity(), batch_sizes=(1,), repeats=3)
    assert (found.flops, found.effective_flops) == (32, 16)
    assert found.theoretical_speedup == pytest.approx(2.0)
    assert found.latency[0].speedup is not None
    alone = engine.measure(half, batch_sizes=())
    assert alone.theoretical_speedup == pytest.approx(2.0)


def test_a_measurement_goes_through_json_and_back():
    model = identity()
    model.layers[0].kernel.assign(np.full((4, 4), np.nan, "float32"))
    found = engine.measure(model, data(), batch_sizes=(1,), repeats=2, reference=identity())
    assert found.loss == "nan"  # JSON has no NaN: it travels as a word
    text = msgspec.json.encode(found)
    json.loads(text, parse_constant=pytest.fail)
    assert msgspec.json.decode(text, type=Measurement) == found


def test_what_cannot_be_timed_is_said():
    model = keras.Sequential([keras.Input((None, 3)), keras.layers.Conv1D(2, 1)])
    found = engine.measure(model, batch_sizes=(2,))
    assert found.latency == ()
    assert "no fixed shape" in found.skipped[-1]
    assert "FLOPs: conv1d" in found.skipped[0]
    timed = engine.measure(model, (np.zeros((4, 5, 3), "float32"),), batch_sizes=(2,), repeats=2)
    assert len(timed.latency) == 1


def test_several_outputs_are_said():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, [keras.layers.Dense(2)(inputs), keras.layers.Dense(3)(inputs)])
    found = engine.measure(model, data(), batch_sizes=(1,), repeats=2)
    assert found.metric is None
    assert len(found.latency) == 1
    assert "several outputs" in found.skipped[0]


def test_errors_for_people():
    with pytest.raises(ModelError, match="not built"):
        engine.measure(keras.Sequential([keras.layers.Dense(2)]))
    with pytest.raises(DataError, match="neither"):
        engine.measure(identity(), [1, 2])


def test_the_most_between_layers_by_hand():
    # 2 rows of 8, 16 and 4 floats: while the middle is made the input is still there (2 * 24 * 4 bytes).
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(16), keras.layers.Dense(4)])
    assert activation_bytes(model, 2) == 2 * (8 + 16) * 4
    # A skip connection keeps the input until the Add: 8 + 8 + 8.
    inputs = keras.Input((8,))
    inner = keras.layers.Dense(8)(inputs)
    skip = keras.Model(inputs, keras.layers.Add()([inputs, keras.layers.Dense(8)(inner)]))
    assert activation_bytes(skip, 1) == 3 * 8 * 4
