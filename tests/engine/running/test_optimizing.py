"""Optimizer states by weight: taken, put back, and begun anew where a smaller network has no use for them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from engine.keys import variable_keys
from engine.recipe import Recipe
from engine.recipe_reading import recipe_from
from engine.running.optimizing import Fresh, named
from engine.yaml12 import parse


def made(optimizer: str, **more: Any) -> tuple[Any, Fresh]:
    text = f"name: o\ndata: digits\nmodel: mlp\ntrain: {{optimizer: {optimizer}}}\n"
    recipe: Recipe = recipe_from(parse(text), overrides=more)
    x = keras.Input((3,))
    model = keras.Model(x, keras.layers.Dense(2, name="b")(keras.layers.Dense(4, name="a")(x)))
    return model, Fresh(recipe.train, model.trainable_variables)


@pytest.mark.parametrize("optimizer", ["adam", "{name: sgd, momentum: 0.9}", "rmsprop", "adamw"])
def test_states_are_kept_by_weight_whatever_keras_calls_them(optimizer: str) -> None:
    model, fresh = made(optimizer)
    keys = variable_keys(model)
    states = named(fresh.optimizer, keys)
    assert {name.partition("|")[2] for name in states if "|" in name} == set(keys)
    assert len(states) == len(fresh.optimizer.variables)
    rng = np.random.default_rng(0)
    kept = {name: rng.normal(size=v.shape) if "|" in name else v.numpy() + 5 for name, v in states.items()}
    other, again = made(optimizer)  # another optimizer, numbered otherwise by Keras
    again.put(kept, variable_keys(other), counters=True)
    found = named(again.optimizer, variable_keys(other))
    assert found.keys() == kept.keys()
    for name, variable in found.items():
        assert variable.numpy() == pytest.approx(kept[name], abs=1e-6)
    # Time goes on where only a state is put back, and what is not among the values begins anew.
    again.put({}, variable_keys(other), counters=False)
    assert int(again.optimizer.iterations.numpy()) == int(fresh.optimizer.iterations.numpy()) + 5
    assert all(not v.numpy().any() for name, v in found.items() if "|" in name)


def test_what_has_another_shape_begins_anew() -> None:
    model, fresh = made("adam")
    fresh.put({"0|a/kernel": np.ones((3, 2)), "0|b/bias": np.ones(2)}, variable_keys(model), counters=False)
    states = named(fresh.optimizer, variable_keys(model))
    assert not states["0|a/kernel"].numpy().any()
    assert states["0|b/bias"].numpy().all()
