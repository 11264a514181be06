from __future__ import annotations

import keras
import numpy as np

import engine
from engine.surgery.choosing import kept_units
from engine.surgery.units import LayerUnits, layer_units


def layers(*sizes):
    starts = np.cumsum((0, *sizes))
    return {
        f"l{i}": LayerUnits(n, np.ones(n, bool), np.arange(starts[i], starts[i] + n), "") for i, n in enumerate(sizes)
    }


def scores(*values):
    return {f"l{i}": np.array(v, float) for i, v in enumerate(values)}


def test_a_layer_keeps_its_best_unit_and_the_count_stays_exact():
    # 9 units, floor(0.5 * 9) = 4 go, 5 stay: the best of l1 is one of them, so a unit of l0 goes in its place.
    given = scores([5, 6, 7, 8, 9, 10], [1, 3, 2])
    kept = kept_units(layers(6, 3), given, 0.5, scope="global")
    assert sum(k.sum() for k in kept.values()) == 5
    assert kept["l1"].tolist() == [False, True, False]
    assert kept["l0"].tolist() == [False, False, True, True, True, True]
    assert given["l1"].tolist() == [1, 3, 2]


def test_more_layers_than_units_to_keep():
    kept = kept_units(layers(3, 2, 2), scores([1, 2, 3], [9, 8], [-5, -4]), 0.9, scope="global")
    assert [k.tolist() for k in kept.values()] == [[False, False, True], [True, False], [False, True]]


def test_what_is_gone_stays_gone_though_its_score_is_the_best():
    before = {"l0": np.array([True, True, True, True]), "l1": np.array([False, True, True])}
    kept = kept_units(layers(4, 3), scores([5, 6, 7, 8], [4, 1, 2]), 0.6, scope="global", before=before)
    # floor(0.6 * 7) = 4 go, 3 stay.
    assert [k.tolist() for k in kept.values()] == [[False, False, True, True], [False, False, True]]


def test_a_pattern_that_names_the_output_too_still_spares_the_others():
    given = layers(6, 6, 3)
    given["l2"] = LayerUnits(3, np.zeros(3, bool), given["l2"].group, "it makes the model's output")
    values = scores(range(6), range(6), range(3))
    assert all(k.all() for k in kept_units(given, values, 0.5, params={"skip": ["l*"]}).values())
    kept = kept_units(given, values, 0.5, params={"skip": ["l2"]})
    assert [int(k.sum()) for k in kept.values()] == [3, 3, 3]


def test_erk_shares_out_units_by_the_shapes_of_their_kernels():
    model = keras.Sequential([keras.Input((40,)), *(keras.layers.Dense(n, name=f"d{n}") for n in (30, 10, 20, 2))])
    units = layer_units(model)
    kept = kept_units(units, {k: np.arange(u.units) for k, u in units.items()}, 0.5, scope="erk")
    # eps * (in + out) / (in * out) * out units, eps for 30 of 60: 70/40, 40/30 and 30/10 units of eps; 10 at most
    weights = np.array([70 / 40, 40 / 30, 30 / 10])
    free = 30 * weights / weights.sum()
    assert free.round(2).tolist() == [8.63, 6.58, 14.79]
    assert [int(kept[f"d{n}"].sum()) for n in (30, 10, 20)] == [9, 6, 15]
    direct = engine.choose(
        {k: np.ones(u.shape) for k, u in units.items() if k != "d2"}, 0.5, granularity="unit", scope="erk"
    )
    assert {k: int(m.all(0).sum()) for k, m in direct.items()} == {k: int(kept[k].sum()) for k in direct}
