"""Sensitivity: the table, the shares it suggests, and that the model is left alone."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import engine
from engine.errors import DataError, PruneError
from engine.events import Result, Saved
from engine.recipe import load_recipe
from engine.running.adaptive.shares import Sensitivity, fragment, per_layer


def table(rows, sizes, dense=0.9, direction="max"):
    return Sensitivity(metric="accuracy", direction=direction, dense=dense, table=rows, sizes=sizes)


SEEN = table({"a": {0.0: 0.9, 0.5: 0.9, 0.9: 0.8}, "b": {0.0: 0.9, 0.5: 0.85, 0.9: 0.89}}, {"a": 300, "b": 100})


def test_shares_stop_at_the_first_drop():
    assert SEEN.shares(0.0) == {"a": 0.5, "b": 0.0}
    assert SEEN.shares(0.04) == {"a": 0.5, "b": 0.0}  # b recovers at 0.9, but is not within at 0.5
    assert SEEN.shares(0.05) == {"a": 0.5, "b": 0.9}
    assert SEEN.shares(0.1) == {"a": 0.9, "b": 0.9}
    worse = table({"a": {0.5: 1.2}}, {"a": 1}, dense=1.0, direction="min")
    assert worse.shares(0.1) == {"a": 0.0}
    assert worse.shares(0.2) == {"a": 0.5}


def test_shares_for_a_total_lose_alike():
    # Loss of a: 0 to 0.5, then up to 0.1 at 0.9; of b: up to 0.05 at 0.5, and not above until 0.9.
    shares = SEEN.shares_for(0.5)
    # At loss x < 0.05: a = 0.5 + 4x, b = 10x, total (300 a + 100 b) / 400 = 0.375 + 5.5x = 0.5: x = 0.0227.
    assert shares["a"] == pytest.approx(0.5 + 4 * 0.125 / 5.5, abs=1e-6)
    assert shares["b"] == pytest.approx(10 * 0.125 / 5.5, abs=1e-6)
    for total in (0.0, 0.1, 0.375, 0.6, 0.9, 0.97, 1.0):
        found = SEEN.shares_for(total)
        assert SEEN.total(found) == pytest.approx(total, abs=1e-9)
        assert all(0 <= s <= 1 for s in found.values())


def test_shares_become_a_recipe():
    assert per_layer({"a": 0.123456, "b": 0.29}) == {"a": 0.1234, "b": 0.29}
    assert fragment({"a": 0.5}) == {"scope": {"name": "layer", "per_layer": {"a": 0.5}}}


def toy():
    """Two classes by the sign of x0: unit 0 carries it, unit 1 carries nothing."""
    x = keras.Input((2,))
    hidden = keras.layers.Dense(2, use_bias=False, name="h")(x)
    model = keras.Model(x, keras.layers.Dense(2, use_bias=False, name="o")(hidden))
    model.get_layer("h").kernel.assign([[2.0, 0.0], [0.0, 0.1]])
    model.get_layer("o").kernel.assign([[1.0, -1.0], [0.01, 0.02]])
    inputs = np.array([[1, 1], [2, -1], [-1, 1], [-3, -1]], dtype=np.float32)
    return model, (inputs, np.array([0, 0, 1, 1]))


def test_table_of_a_model_made_by_hand():
    model, data = toy()
    before = [w.numpy().copy() for w in model.weights]
    told = []
    found = engine.sensitivity(model, data, sparsities=(0.0, 0.5, 0.75, 1.0), on_cell=lambda *cell: told.append(cell))
    assert found.dense == 1.0
    # h keeps 2 and 0.1 of 4 at 0.5, only 2 at 0.75, nothing at 1: all outputs 0, class 0, half right.
    assert found.table["h/kernel"] == {0.0: 1.0, 0.5: 1.0, 0.75: 1.0, 1.0: 0.5}
    # o keeps (1, -1), then the first of the two equal ones: x0 > 0 still gives class 0.
    assert found.table["o/kernel"] == {0.0: 1.0, 0.5: 1.0, 0.75: 1.0, 1.0: 0.5}
    assert found.shares(0.1) == {"h/kernel": 0.75, "o/kernel": 0.75}
    assert found.sizes == {"h/kernel": 4, "o/kernel": 4}
    assert len(told) == 8
    assert all(np.array_equal(w.numpy(), b) for w, b in zip(model.weights, before, strict=True))


def test_units_and_datasets():
    import tensorflow as tf

    model, (x, y) = toy()
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(3)
    found = engine.sensitivity(model, data, criterion="l2_norm", granularity="unit", sparsities=(0.0, 0.5))
    assert found.table == {"h": {0.0: 1.0, 0.5: 1.0}}  # the output keeps all its units
    assert found.sizes == {"h": 2}


def test_without_labels():
    model, (x, _) = toy()
    with pytest.raises(DataError, match="labels"):
        engine.sensitivity(model, (x,))


@pytest.mark.parametrize("granularity", ["weight", "unit"])
def test_in_a_run(play, granularity, tmp_path):
    prune = {
        "criterion": "magnitude" if granularity == "weight" else "l2_norm", "granularity": granularity,
        "scope": "layer", "schedule": {"name": "sensitivity", "sparsities": [0.0, 0.5, 0.9]},
        "target": {"accuracy_drop": 0.05},
    }  # fmt: skip
    ran = play(prune, epochs=6, folder=tmp_path)
    told = [e.value for e in ran.of(Result) if e.name == "sensitivity"]
    layers = 2 if granularity == "weight" else 1
    assert len(told) == 3 * layers  # it fills cell by cell
    last = told[-1]
    assert sorted(last["table"]) == sorted(last["layers"])
    shares = ran.session.results["shares"]
    assert ran.session.sparsity == pytest.approx(shares["sparsity"], abs=0.01)
    for key, share in shares["per_layer"].items():
        assert last["dense"] - last["table"][key][f"{share:g}"] <= 0.05 + 1e-9
    assert any(e.file == "shares.yaml" for e in ran.of(Saved))
    recipe = load_recipe(tmp_path / "shares.yaml")
    assert dict(recipe.prune.scope.get("per_layer")) == shares["per_layer"]


def test_for_a_total(play):
    prune = {"scope": "layer", "schedule": "sensitivity", "target": {"sparsity": 0.8}}
    ran = play(prune, epochs=3)
    assert ran.session.sparsity == pytest.approx(0.8, abs=0.002)


def test_other_targets_do_not_go_with_it(play):
    with pytest.raises(PruneError, match="does not go with"):
        play({"schedule": "sensitivity", "target": {"flops": 0.5}}, epochs=1)
