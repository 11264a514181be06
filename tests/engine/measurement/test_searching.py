"""Crossovers and choices."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ModelError
from engine.measurement.cutting import cut
from engine.measurement.searching import crossing, crossover, fastest_way


def test_the_crossing_by_hand():
    # Halfway between in logarithms: from 1/2 to 2.
    assert crossing([(0.5, 0.25), (0.8, 0.5), (0.9, 2.0)]) == pytest.approx(0.85)
    assert crossing([(0.5, 1.5), (0.9, 3.0)]) == 0.5
    assert crossing([(0.5, 1.5), (0.9, 0.9)]) is None
    assert crossing([(0.5, 1.2), (0.7, 0.5), (0.9, 2.0)]) == pytest.approx(0.8)  # a lucky point before does not count


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 12), st.integers(1, 6), st.sampled_from([1, 2, 4]), st.floats(0, 0.99))
def test_cut_takes_whole_blocks_and_the_right_number(rows, columns, block, sparsity):
    kernel = np.random.default_rng(0).standard_normal((rows, columns)) + 10
    made = cut(kernel, sparsity, block=block)
    blocks = rows // block * columns
    assert np.count_nonzero(made == 0) == block * int(sparsity * blocks)
    whole = (made == 0)[: rows // block * block].reshape(rows // block, block, columns)
    assert (whole.all(axis=1) == whole.any(axis=1)).all()


def test_cut_takes_the_weakest():
    kernel = np.array([[1.0, -9.0], [-2.0, 3.0]])
    np.testing.assert_array_equal(cut(kernel, 0.5), [[0, -9], [0, 3]])


def test_a_crossover_has_its_points():
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(64)])
    before = model.get_weights()[0].copy()
    found = crossover(model, sparsities=(0.99, 0.5), repeats=3, seconds=0.02)
    assert [s for s, _ in found.points] == [0.5, 0.99]
    assert all(ratio > 0 for _, ratio in found.points)
    np.testing.assert_array_equal(model.get_weights()[0], before)


def test_the_fastest_way_is_the_one_with_the_least_time():
    (found,) = fastest_way(keras.Sequential([keras.Input((64,)), keras.layers.Dense(64)]), 0.9, repeats=3)
    assert set(found.milliseconds) == {"dense", "block:4x1", "unit"}
    assert found.milliseconds[found.best] == min(found.milliseconds.values())
    assert found.speedup >= 1
    with pytest.raises(ModelError):
        fastest_way(keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)]), 1.0)
