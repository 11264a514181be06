"""Losses and metrics of a run's model, against Keras' own numbers; one unit for two classes through a run."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import engine
from engine.errors import ModelError
from engine.running.task import task_of

Z = np.array([[-2.0], [3.0], [0.4], [-0.3]], "float32")
Y = np.array([0, 1, 0, 1], "int32")


def head(width: int, activation: str | None) -> keras.Model:
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(width, activation=activation)])


@pytest.mark.parametrize(("activation", "outputs"), [(None, Z), ("sigmoid", 1 / (1 + np.exp(-Z)))])
def test_one_unit_tells_two_classes(activation, outputs):
    task = task_of(head(1, activation), classes=2)
    wanted = keras.losses.binary_crossentropy(Y[:, None].astype("float32"), Z, from_logits=True)
    np.testing.assert_allclose(task.losses(Y, outputs), wanted, rtol=2e-5)
    np.testing.assert_array_equal(task.scores(Y, outputs), [1, 1, 0, 0])
    assert task.logits is not None
    np.testing.assert_allclose(task.logits(outputs), np.concatenate([np.zeros_like(Z), Z], 1), rtol=2e-5)
    assert (task.metric.name, task.metric.direction) == ("accuracy", "max")


@pytest.mark.parametrize("activation", [None, "softmax", "sigmoid", "log_softmax"])
def test_several_units_whatever_they_end_in(activation):
    logits = np.array([[0.5, 2.0, -1.0], [1.0, 0.0, 0.0]], "float32")
    y = np.array([1, 2], "int32")
    outputs = np.asarray(keras.activations.get(activation)(logits))
    task = task_of(head(3, activation), classes=3)
    if activation == "sigmoid":  # as Keras reads it: shares of their sum
        p = outputs / outputs.sum(-1, keepdims=True)
        wanted = -np.log(p[[0, 1], y])
    else:
        wanted = keras.losses.sparse_categorical_crossentropy(y, logits, from_logits=True)
    np.testing.assert_allclose(task.losses(y, outputs), wanted, rtol=1e-5)
    np.testing.assert_array_equal(task.scores(y, outputs), [1, 0])


def test_the_last_activation_is_seen_through_layers_and_shapes():
    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(1)(inputs)
    for make in (
        keras.layers.Activation("sigmoid"),
        keras.ops.sigmoid,
        lambda x: keras.layers.Reshape((1,))(keras.layers.Activation("sigmoid", dtype="float32")(x)),
    ):
        task = task_of(keras.Model(inputs, make(hidden)), classes=2)
        np.testing.assert_array_equal(task.scores(np.array([1, 0]), np.array([[0.4], [0.4]], "float32")), [0, 1])


def test_heads_that_do_not_fit_the_data_are_said():
    with pytest.raises(ModelError, match="one output tells two classes apart, and the data has 5"):
        task_of(head(1, "sigmoid"), classes=5)
    with pytest.raises(ModelError, match="1 outputs, the data 2 real values"):
        task_of(head(1, None), classes=0, targets=2)


def test_a_recipe_runs_a_model_of_ones_own_with_one_unit(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 4)).astype("float32")
    y = (x[:, 0] > 0).astype("float32")[:, None]  # as a sigmoid's labels mostly are: a column of 0.0 and 1.0
    np.savez(tmp_path / "d.npz", x=x, y=y)
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(8, activation="relu"), keras.layers.Dense(1, activation="sigmoid")]
    )
    model.compile(keras.optimizers.Adam(0.05), "binary_crossentropy")
    model.fit(x, y, epochs=10, verbose=0)
    model.save(tmp_path / "m.keras")
    (tmp_path / "r.yaml").write_text(f"""
schema: 1
name: yes-or-no
data: {{npz: {tmp_path}/d.npz}}
model: {{file: {tmp_path}/m.keras}}
train: {{epochs: 0}}
prune:
  criterion: snip
  schedule: one_shot
  target: {{sparsity: 0.5}}
  repair: {{name: fine_tune, epochs: 2, distillation: 0.5, temperature: 2.0}}
measure: {{latency: null}}
""")
    session = engine.run(engine.load_recipe(tmp_path / "r.yaml"))
    assert session.state == "done"
    assert session.metric.name == "accuracy"
    assert session.dense["metric"]["value"] > 0.9
    assert session.pruned["metric"]["value"] > 0.8
    assert [row["label"] for row in session.pruned["comparison"]["classes"]] == [0, 1]
    assert session.pruned["loss"] < 0.693
