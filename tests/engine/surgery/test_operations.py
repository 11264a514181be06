"""`keras.ops` between a convolution and its reader: exact, or a barrier that says what is in the way."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from engine.surgery import remove

L = keras.layers
ops = keras.ops
IMAGE = np.random.default_rng(2).normal(size=(2, 8, 8, 3)).astype("float32")
ROW = np.arange(60, dtype="float32").reshape(12, 5) / 60
GONE = [1, 4, 9]

# Each leaves the channels on the last axis and treats them one by one.
EXACT = {
    "flip": lambda x: ops.flip(x, axis=2),
    "roll": lambda x: ops.roll(x, 3, axis=1),
    "cumsum": lambda x: ops.cumsum(x, axis=1),
    "sort": lambda x: ops.sort(x, axis=2),
    "resize": lambda x: ops.image.resize(x, (5, 4)),
    "where": lambda x: ops.where(x > 0, x, 0.1 * x),
    "logical": lambda x: x * ops.cast(ops.logical_and(ops.isfinite(x), ops.logical_not(x <= 0.2)), "float32"),
    "logaddexp": lambda x: ops.logaddexp(x, ops.relu(x)),
    "remainder": lambda x: ops.mod(x, 0.7) + x // 0.5,
    "std": lambda x: ops.std(x, axis=(1, 2)),
    "einsum": lambda x: ops.einsum("bhwc->bc", x),
    "unstack": lambda x: ops.unstack(x, axis=1)[2],
    "normalised": lambda x: L.LayerNormalization(axis=1, center=False, scale=False)(x) * 2.0,
    "adaptive": lambda x: getattr(L, "AdaptiveMaxPooling2D", L.MaxPooling2D)(2)(x) * 2.0,
    "padded": lambda x: ops.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="reflect"),
    "strides": lambda x: x[:, 1:7:2, ::-1],
}

# Each needs channels that surgery cannot take from it.
BARRIERS = {
    "flip works along this axis": lambda x: ops.flip(x, axis=-1),
    "cumsum works along this axis": lambda x: ops.cumsum(x, axis=-1),
    "unstack picks single entries": lambda x: ops.stack(ops.unstack(x, axis=-1)[:3], axis=-1),
    "matmul combines it with channels that cannot go": lambda x: ops.matmul(x, ROW),
    "einsum combines it with channels that cannot go": lambda x: ops.einsum("bhwc,cd->bhwd", x, ROW),
    "multiply combines it with channels that cannot go": lambda x: x * ROW[:, 0],
    "get_item picks single entries": lambda x: x[..., ::2],
    "pad pads this axis": lambda x: ops.pad(x, [[0, 0], [0, 0], [0, 0], [2, 1]]),
    "mean mixes these channels": lambda x: x - ops.mean(x, axis=-1, keepdims=True),
    "Take take has no rule": lambda x: ops.take(x, [0, 3, 5], axis=-1),
}


def build(function):
    keras.utils.clear_session()
    i = keras.Input((8, 8, 3))
    y = function(L.Conv2D(12, 3, padding="same", name="c")(i))
    return keras.Model(i, L.Dense(3, name="d")(L.Flatten()(y) if len(y.shape) > 2 else y))


@pytest.mark.parametrize("name", EXACT)
def test_operations_over_positions_let_channels_go(name, reference, tmp_path):
    model = reference.randomize(build(EXACT[name]))
    done = remove(model, {"c": GONE})
    assert done.report.removed == {"c": tuple(GONE)}
    stays = np.ones(12, "float32")
    stays[GONE] = 0
    y = np.asarray(EXACT[name](model.get_layer("c")(IMAGE) * stays)) * stays
    want = y.reshape(2, -1) @ model.get_layer("d").kernel.numpy() + model.get_layer("d").bias.numpy()
    assert reference.difference([done.model(IMAGE)], [want]) < 1e-5
    done.model.save(tmp_path / "small.keras")
    again = keras.models.load_model(tmp_path / "small.keras")
    assert reference.difference([again(IMAGE)], [want]) < 1e-5


@pytest.mark.parametrize("why", BARRIERS)
def test_what_cannot_be_followed_is_named_and_changes_nothing(why, reference):
    model = reference.randomize(build(BARRIERS[why]))
    done = remove(model, {"c": GONE})
    assert done.report.removed == {}
    assert [s.layer for s in done.report.skipped] == ["c"]
    assert why in done.report.skipped[0].reason
    assert reference.difference([done.model(IMAGE)], [model(IMAGE)]) < 1e-6
